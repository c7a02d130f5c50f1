//! The flags that bound a study.

use crate::error::CommandError;
use crate::study::budget::{BUDGETS, count};
use std::num::NonZeroU32;
use trialbox_core::{Json, StudyDirection};

const HEADING: &str = "When the study ends";

/// The bounds of a study, each as the study remembers it: null for `none`.
///
/// `none` is remembered too: with `--override` it lifts a bound.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct StoppingArgs {
    /// How many trials the whole study may have (COMPLETE, PRUNED or RUNNING); remembered by the study. Once it
    /// has them, and likewise with the next two, no trial is begun, enqueued ones neither, and this ends with 0
    #[arg(long, value_name = "N|none", value_parser = parse_max_trials, help_heading = HEADING)]
    max_trials: Option<Json>,

    /// End the study, which must have one objective, once a COMPLETE and feasible trial is as good as this:
    /// <= when minimizing, >= when maximizing; remembered by the study
    #[arg(long, value_name = "VALUE|none", value_parser = parse_wanted, allow_negative_numbers = true, help_heading = HEADING)]
    stop_when_value: Option<Json>,

    /// End the study, which must have one objective, once N trials with higher numbers than the best one have
    /// ended; remembered by the study. COMPLETE and PRUNED trials count, FAIL ones do not; a tie and an infeasible
    /// trial are no improvement; without any feasible trial, N trials end it, too. Better more than run at once
    #[arg(long, value_name = "N|none", value_parser = parse_patience, help_heading = HEADING)]
    patience: Option<Json>,
}

impl StoppingArgs {
    /// Sets the number of trials.
    pub(crate) fn set_max_trials(&mut self, n_trials: u32) {
        self.max_trials = Some(n_trials.into());
    }

    /// Returns the given flags by the attributes that remember them.
    pub(crate) fn explicit(&self) -> impl Iterator<Item = (String, Json)> {
        let values = [&self.max_trials, &self.stop_when_value, &self.patience];
        BUDGETS
            .into_iter()
            .zip(values)
            .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
    }

    /// Checks that a rule about the best value is not given for a study of several objectives, which has none.
    pub(crate) fn check(&self, directions: &[StudyDirection]) -> Result<(), CommandError> {
        let is_said = |value: &Option<Json>| value.as_ref().is_some_and(|it| *it != Json::Null);
        let flag = match (is_said(&self.stop_when_value), is_said(&self.patience)) {
            (true, _) => "--stop-when-value",
            (false, true) => "--patience",
            (false, false) => return Ok(()),
        };
        match directions.len() {
            1 => Ok(()),
            n => Err(CommandError::usage(
                format!(
                    "{flag} needs a study with one objective, and this one has {n}: it has no best value"
                ),
                "end it with --max-trials or --until, or by hand with `trialbox study stop`",
            )),
        }
    }
}

fn parse_max_trials(text: &str) -> Result<Json, String> {
    or_none(text, "a number of trials such as 500, or none", || {
        // A larger number could not be read back from the database.
        text.parse::<u64>().map(Json::from).ok().filter(|n| count(n).is_some())
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
        let explicit: Vec<(String, Json)> = args.explicit().collect();
        let attrs: Vec<(&str, Json)> =
            explicit.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
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
            assert_eq!(budgets_of(&study(&[(key, bad)])), Err(key));
            assert_eq!(budgets_of(&study(&[(key, "many".into())])), Err(key));
            for text in ["", "many", "nan", "inf", "None"] {
                assert!(parse(text).is_err(), "{text}");
            }
        }
        assert!(parse_patience("0").is_err());
        assert!(parse_max_trials("9223372036854775807").is_ok());
        assert!(parse_max_trials("9223372036854775808").is_err());
    }
}
