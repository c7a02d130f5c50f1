//! The kind of a trial, which decides the colour and the shape of its point.

use trialbox_core::{FrozenTrial, TrialState};

/// Returns the kind of a trial: its state, and of a COMPLETE one whether it is feasible.
pub(crate) fn kind_of(trial: &FrozenTrial) -> Kind {
    match trial.state {
        TrialState::Complete if trial.is_feasible() => Kind::Complete,
        TrialState::Complete => Kind::Infeasible,
        TrialState::Pruned => Kind::Pruned,
        TrialState::Fail => Kind::Failed,
        TrialState::Running | TrialState::Waiting => Kind::Running,
    }
}

/// The kind of a point, which decides its colour and its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Complete,
    Infeasible,
    Pruned,
    Failed,
    Running,
    Best,
}

impl Kind {
    pub(crate) const ALL: [Kind; 6] =
        [Kind::Complete, Kind::Infeasible, Kind::Pruned, Kind::Failed, Kind::Running, Kind::Best];

    /// Returns the word in legends and data.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Complete => "complete",
            Kind::Infeasible => "infeasible",
            Kind::Pruned => "pruned",
            Kind::Failed => "failed",
            Kind::Running => "running",
            Kind::Best => "best",
        }
    }
}
