//! What a sampler and a pruner know of a study: its trials at one moment.

use crate::study::StudyDirection;
use crate::trial::{FrozenTrial, TrialNumber, TrialState};

/// An immutable view of a study's trials, by number. For a sampler or a pruner, the trial that asks is not
/// among them.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    directions: Vec<StudyDirection>,
    trials: Vec<FrozenTrial>,
}

impl History {
    /// A history of `trials`, which are sorted by number here.
    pub fn new(directions: Vec<StudyDirection>, mut trials: Vec<FrozenTrial>) -> Self {
        trials.sort_by_key(|trial| trial.number);
        History { directions, trials }
    }

    /// Takes a trial out, for the view that this trial itself is to have.
    pub fn take(&mut self, number: TrialNumber) -> Option<FrozenTrial> {
        let index = self.trials.binary_search_by_key(&number, |trial| trial.number).ok()?;
        Some(self.trials.remove(index))
    }

    /// One direction for each objective.
    pub fn directions(&self) -> &[StudyDirection] {
        &self.directions
    }

    /// All trials, by number.
    pub fn trials(&self) -> &[FrozenTrial] {
        &self.trials
    }

    /// The trials in one state, by number.
    pub fn in_state(&self, state: TrialState) -> impl Iterator<Item = &FrozenTrial> {
        self.trials.iter().filter(move |trial| trial.state == state)
    }
}
