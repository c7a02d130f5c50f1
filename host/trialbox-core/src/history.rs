//! What a sampler and a pruner know of a study: its trials at one moment.

use crate::study::StudyDirection;
use crate::trial::{FrozenTrial, TrialState};

/// An immutable view of a study's trials, by number.
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
