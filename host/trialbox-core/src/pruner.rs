//! The seam for pruners: whether a running trial is worth going on with.

use crate::history::History;
use std::collections::BTreeMap;

/// Judges a running trial by what it and the others reported. A pure function.
pub trait Pruner: Send + Sync {
    /// Whether any call looks at the trials of `history`; if not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// Whether the trial should stop now. Never true before the trial has reported anything.
    fn should_prune(&self, history: &History, current: &RunningTrial) -> bool;
}

/// What a pruner sees of the trial that asks.
#[derive(Debug, Clone, Copy)]
pub struct RunningTrial<'a> {
    /// The values reported so far, by step.
    pub intermediate_values: &'a BTreeMap<i64, f64>,
}

/// Never stops a trial.
#[derive(Debug, Clone, Copy, Default)]
pub struct NopPruner;

impl Pruner for NopPruner {
    fn uses_history(&self) -> bool {
        false
    }

    fn should_prune(&self, _history: &History, _current: &RunningTrial) -> bool {
        false
    }
}
