//! The progress line of a run of several trials.

use crate::view;
use crate::view::output::Output;
use crate::view::record::View;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;
use trialbox_core::run::FinishedTrial;
use trialbox_core::{StudyDirection, TrialState};

/// The progress line of a run of several trials, where a person watches.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    best: std::sync::Mutex<Option<f64>>,
}

impl Progress {
    pub(crate) fn new(output: &Output, n_trials: u32) -> Self {
        let bar = (n_trials > 1 && output.shows_progress()).then(|| {
            let bar = ProgressBar::new(u64::from(n_trials));
            if let Ok(style) = ProgressStyle::with_template(
                "{bar:30} {pos}/{len} trials, elapsed {elapsed}, {eta} left{msg}",
            ) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        Progress { bar, best: std::sync::Mutex::new(None) }
    }

    /// Counts a trial, and shows the best value of this run for a single objective.
    pub(crate) fn advance(&self, trial: &FinishedTrial, directions: &[StudyDirection]) {
        let Some(bar) = &self.bar else { return };
        if let ([direction], [value], TrialState::Complete) =
            (directions, &trial.values[..], trial.state)
        {
            let mut best = self.best.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if best.is_none_or(|best| direction.to_minimize(*value) < direction.to_minimize(best)) {
                *best = Some(*value);
                bar.set_message(format!(", best {}", view::trial::show_float(*value)));
            }
        }
        bar.inc(1);
    }

    /// Prints a result above the progress line.
    pub(crate) fn print(&self, output: &Output, view: &dyn View) {
        self.suspend(|| output.print(view));
    }

    pub(crate) fn note(&self, output: &Output, text: &str) {
        self.suspend(|| output.note(text));
    }

    fn suspend(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
