//! A trial stops whose last value is out of bounds.

use super::reports::{due_report, single_direction};
use crate::config::Configured;
use crate::error::ConfigError;
use crate::options::{Field, Options};
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::{History, Json};

/// Options of [`ThresholdPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdOptions {
    /// Values below are pruned.
    pub lower: Option<f64>,
    /// Values above are pruned.
    pub upper: Option<f64>,
    /// The first step at which trials are pruned.
    pub n_warmup_steps: usize,
    /// From there on, only the first report of each interval of so many steps is judged; at least 1.
    pub interval_steps: usize,
}

impl Default for ThresholdOptions {
    fn default() -> Self {
        ThresholdOptions { lower: None, upper: None, n_warmup_steps: 0, interval_steps: 1 }
    }
}

/// Looks at the last value alone, which is out of bounds if it is NaN.
#[derive(Debug, Clone)]
pub struct ThresholdPruner {
    options: ThresholdOptions,
}

impl ThresholdPruner {
    /// Creates the pruner with these options.
    pub fn new(options: ThresholdOptions) -> Self {
        ThresholdPruner { options }
    }
}

impl Pruner for ThresholdPruner {
    fn uses_history(&self) -> bool {
        false
    }

    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        let ThresholdOptions { lower, upper, n_warmup_steps, interval_steps } = self.options;
        if single_direction(history).is_none() {
            return Judgement::new(false);
        }
        let due = due_report(current.intermediate_values, n_warmup_steps, interval_steps);
        let Some((_, value)) = due else { return Judgement::new(false) };
        let is_below = lower.is_some_and(|lower| value < lower);
        let is_above = upper.is_some_and(|upper| value > upper);
        Judgement::new(value.is_nan() || is_below || is_above)
    }
}

impl Options for ThresholdOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::float_or_null("lower", f64::NEG_INFINITY..=f64::INFINITY, |it| &mut it.lower),
        Field::float_or_null("upper", f64::NEG_INFINITY..=f64::INFINITY, |it| &mut it.upper),
        Field::count("n_warmup_steps", 0, |it| &mut it.n_warmup_steps),
        Field::count("interval_steps", 1, |it| &mut it.interval_steps),
    ];
}

impl Configured<dyn Pruner> for ThresholdOptions {
    const NAME: &'static str = "threshold";
    const OPTUNA: &'static str = "ThresholdPruner";
    const SUMMARY: &'static str = "stops what leaves the bounds `lower` and `upper`";

    fn build(&self) -> Box<dyn Pruner> {
        Box::new(ThresholdPruner::new(self.clone()))
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        let owner = Self::owner();
        match (self.lower, self.upper) {
            (None, None) => {
                let (option, example) = ("`lower` or `upper`", "upper=1.5");
                Err(ConfigError::Missing { owner, option, example })
            }
            (Some(lower), Some(upper)) if lower > upper => {
                let (expected, found) =
                    ("at most `upper`".to_owned(), Json::Float(lower).to_string());
                Err(ConfigError::Value { owner, option: "lower", expected, found })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_prune;
    use trialbox_core::StudyDirection::Maximize;

    #[test]
    fn the_last_value_must_be_within_the_bounds() {
        let pruner = ThresholdPruner::new(ThresholdOptions {
            lower: Some(-1.0),
            upper: Some(2.0),
            ..Default::default()
        });
        for (values, want) in [
            (&[][..], false),
            (&[2.0], false),
            (&[2.0f64.next_up()], true),
            (&[-1.0], false),
            (&[f64::NEG_INFINITY], true),
            (&[f64::NAN], true),
            (&[9.0, 0.0], false),
        ] {
            check_prune(&pruner, Maximize, &[], values, want);
        }
    }

    #[test]
    fn a_bound_that_is_not_given_is_none() {
        let options =
            ThresholdOptions { upper: Some(0.0), n_warmup_steps: 1, ..Default::default() };
        let pruner = ThresholdPruner::new(options);
        check_prune(&pruner, Maximize, &[], &[1.0], false);
        check_prune(&pruner, Maximize, &[], &[1.0, 1.0], true);
        check_prune(&pruner, Maximize, &[], &[1.0, f64::NEG_INFINITY], false);
    }
}
