//! The flags that bound a study.

use crate::study::budget::count;
use std::num::NonZeroU32;
use trialbox_core::Json;

/// The bounds of a study, each as the study remembers it: null for `none`.
///
/// `none` is remembered too: it lifts a bound, that of a value or of patience with `--override`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Study")]
pub(crate) struct StoppingArgs {
    /// Number of trials that the whole study may have
    ///
    /// COMPLETE, PRUNED and RUNNING trials count. When this, --stop-when-value or --patience is reached, no further
    /// trial starts (enqueued ones included) and the command exits with 0. Remembered by the study; a larger number or
    /// `none` replaces it. [default: none]
    #[arg(long, value_name = "N|none", value_parser = parse_max_trials)]
    pub(crate) max_trials: Option<Json>,

    /// Value of a trial that completes the study
    ///
    /// A COMPLETE and feasible trial reaches it: <= when minimizing, >= when maximizing. The study must have one
    /// objective. Remembered by the study. [default: none]
    #[arg(long, value_name = "VALUE|none", value_parser = parse_wanted, allow_negative_numbers = true)]
    pub(crate) stop_when_value: Option<Json>,

    /// Trials without improvement that complete the study
    ///
    /// COMPLETE and PRUNED trials with higher numbers than the best one count; ties do not improve. Choose more than
    /// the number of parallel trials. The study must have one objective. Remembered by the study. [default: none]
    #[arg(long, value_name = "N|none", value_parser = parse_patience)]
    pub(crate) patience: Option<Json>,
}

fn parse_max_trials(text: &str) -> Result<Json, String> {
    or_none(text, "a number of trials of at least 1, or none", || {
        // A larger number could not be read back from the database.
        let number = text.parse::<u64>().ok().filter(|number| *number > 0);
        number.map(Json::from).filter(|number| count(number).is_some())
    })
}

fn parse_wanted(text: &str) -> Result<Json, String> {
    or_none(text, "a finite number such as 0.01, or none", || {
        text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Json::from)
    })
}

fn parse_patience(text: &str) -> Result<Json, String> {
    or_none(text, "a number of trials of at least 1, or none", || {
        text.parse::<NonZeroU32>().ok().map(|n| Json::from(n.get()))
    })
}

/// Reads `none` as null, and every other text with `read`.
fn or_none(text: &str, expected: &str, read: impl Fn() -> Option<Json>) -> Result<Json, String> {
    if text == "none" {
        return Ok(Json::Null);
    }
    read().ok_or_else(|| format!("expected {expected}, found `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::budget::{MAX_TRIALS, PATIENCE, STOP_WHEN_VALUE, budgets_of};
    use std::collections::BTreeMap;
    use trialbox_core::StudyDirection;
    use trialbox_core::study::stopping::{Budgets, StopRule};
    use trialbox_core::{StudyId, StudyRecord};

    fn study(attrs: &[(&str, Json)]) -> StudyRecord {
        let attr = |(key, value): &(&str, Json)| ((*key).to_owned(), value.clone());
        StudyRecord {
            id: StudyId(1),
            name: "s".to_owned(),
            directions: vec![StudyDirection::Minimize],
            user_attrs: attrs.iter().map(attr).collect(),
            system_attrs: BTreeMap::new(),
        }
    }

    #[test]
    fn the_study_gives_back_what_the_flags_say() {
        let args = StoppingArgs {
            max_trials: parse_max_trials("500").ok(),
            stop_when_value: parse_wanted("-1e-3").ok(),
            patience: parse_patience("20").ok(),
        };
        let values = [args.max_trials, args.stop_when_value, args.patience];
        let keys = [MAX_TRIALS, STOP_WHEN_VALUE, PATIENCE].into_iter();
        let attrs: Vec<(&str, Json)> = keys.zip(values.into_iter().flatten()).collect();
        let patience = NonZeroU32::new(20).expect("not 0");
        assert_eq!(
            budgets_of(&study(&attrs)),
            Ok(Budgets {
                max_trials: Some(500),
                rules: vec![StopRule::Value(-0.001), StopRule::Patience(patience)]
            })
        );
    }

    #[test]
    fn none_lifts_a_bound_and_an_unreadable_one_is_named() {
        for (parse, key, bad) in [
            (parse_max_trials as fn(&str) -> _, MAX_TRIALS, Json::from(-1i64)),
            (parse_wanted, STOP_WHEN_VALUE, Json::from(f64::NAN)),
            (parse_patience, PATIENCE, Json::from(0u32)),
        ] {
            let lifted = parse("none").expect("none is a bound");
            assert_eq!(budgets_of(&study(&[(key, lifted)])), Ok(Budgets::default()));
            assert_eq!(budgets_of(&study(&[(key, bad)])).map_err(|(key, _)| key), Err(key));
            let many = budgets_of(&study(&[(key, "many".into())]));
            assert_eq!(many.map_err(|(key, _)| key), Err(key));
            for text in ["", "many", "nan", "inf", "None"] {
                assert!(parse(text).is_err(), "{text}");
            }
        }
        assert!(parse_patience("0").is_err());
        assert!(parse_max_trials("0").is_err());
        assert!(parse_max_trials("9223372036854775807").is_ok());
        assert!(parse_max_trials("9223372036854775808").is_err());
    }
}
