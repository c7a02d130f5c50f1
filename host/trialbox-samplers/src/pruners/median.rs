//! The median rule, the default: a trial stops whose best is worse than the median of the others at its step.

use super::percentile::{PercentilePruner, Schedule};
use crate::config::Configured;
use crate::options::{Field, Options};
use trialbox_core::History;
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};

/// Options of [`MedianPruner`], with the names and defaults of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MedianOptions {
    /// The trials and steps that are judged.
    pub when: Schedule,
}

/// [`PercentilePruner`] at 50 percent.
///
/// Golovin, Solnik, Moitra, Kochanski, Karro and Sculley 2017, "Google Vizier", section 3.2.2, with medians of
/// values where they have medians of running averages.
#[derive(Debug, Clone)]
pub struct MedianPruner(PercentilePruner);

impl MedianPruner {
    /// Creates the pruner with these options.
    pub fn new(options: MedianOptions) -> Self {
        MedianPruner(PercentilePruner::new(50.0, options.when))
    }
}

impl Pruner for MedianPruner {
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        self.0.judge(history, current)
    }
}

impl Options for MedianOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::count("n_startup_trials", 0, |it| &mut it.when.n_startup_trials),
        Field::count("n_warmup_steps", 0, |it| &mut it.when.n_warmup_steps),
        Field::count("interval_steps", 1, |it| &mut it.when.interval_steps),
        Field::count("n_min_trials", 1, |it| &mut it.when.n_min_trials),
    ];
}

impl Configured<dyn Pruner> for MedianOptions {
    const NAME: &'static str = "median";
    const OPTUNA: &'static str = "MedianPruner";
    const SUMMARY: &'static str =
        "the default: stops what is worse than half of the others were at its step";

    fn build(&self) -> Box<dyn Pruner> {
        Box::new(MedianPruner::new(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_prune, reporting};
    use trialbox_core::StudyDirection::{Maximize, Minimize};

    const NAN: f64 = f64::NAN;

    fn median(n_startup_trials: usize) -> MedianPruner {
        MedianPruner::new(MedianOptions {
            when: Schedule { n_startup_trials, ..Schedule::default() },
        })
    }

    /// Values at the steps 0, 1, ….
    const RIVALS: [&[f64]; 3] = [&[1.0, 3.0], &[1.0, 5.0], &[1.0]];

    #[test]
    fn a_trial_equal_to_the_median_is_kept_and_a_worse_one_is_not() {
        let rivals = reporting(&RIVALS);
        check_prune(&median(0), Minimize, &rivals, &[9.0, 4.0], false);
        check_prune(&median(0), Minimize, &rivals, &[9.0, 4.0f64.next_up()], true);
        check_prune(&median(0), Maximize, &rivals, &[0.0, 4.0], false);
        check_prune(&median(0), Maximize, &rivals, &[0.0, 4.0f64.next_down()], true);
    }

    #[test]
    fn the_best_value_of_all_steps_counts() {
        check_prune(&median(0), Minimize, &reporting(&RIVALS), &[1.0, 9.0], false);
        check_prune(&median(0), Minimize, &reporting(&RIVALS), &[NAN, NAN], true);
    }

    #[test]
    fn no_trial_is_pruned_before_enough_trials_are_complete_and_have_reported_at_the_step() {
        check_prune(&median(0), Minimize, &[], &[9.0], false);
        check_prune(&median(3), Minimize, &reporting(&RIVALS), &[9.0], true);
        check_prune(&median(4), Minimize, &reporting(&RIVALS), &[9.0], false);
        check_prune(&median(0), Minimize, &reporting(&RIVALS), &[9.0, 9.0, 9.0], false);
        let when = Schedule { n_startup_trials: 0, n_min_trials: 3, ..Schedule::default() };
        let few = MedianOptions { when };
        let few = MedianPruner::new(few);
        check_prune(&few, Minimize, &reporting(&RIVALS), &[9.0], true);
        check_prune(&few, Minimize, &reporting(&RIVALS), &[9.0, 9.0], false);
    }

    #[test]
    fn a_median_between_infinities_prunes_no_trial() {
        let rivals = reporting(&[&[f64::NEG_INFINITY], &[f64::INFINITY]]);
        check_prune(&median(0), Minimize, &rivals, &[9.0], false);
        check_prune(&median(0), Minimize, &reporting(&[&[NAN], &[NAN]]), &[9.0], false);
        check_prune(&median(0), Minimize, &reporting(&[&[NAN], &[1.0]]), &[9.0], true);
    }
}
