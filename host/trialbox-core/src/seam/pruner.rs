//! The seam for pruners: whether a running trial is worth going on with.

use crate::study::history::History;
use crate::study::trial::TrialNumber;
use crate::value::json::Json;
use std::collections::BTreeMap;

/// Judges a running trial by what it and the others reported. A pure function, for studies of one objective.
pub trait Pruner: Send + Sync {
    /// Whether any call looks at the trials of `history`; if not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// Judges the trial. Never to be pruned before it has reported anything.
    ///
    /// `history` is of the study's other trials, and may be some time old.
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement;
}

/// What a pruner sees of the trial that asks.
#[derive(Debug, Clone, Copy)]
pub struct RunningTrial<'a> {
    /// What the study is called.
    pub study_name: &'a str,
    /// The trial's number.
    pub number: TrialNumber,
    /// The values reported so far, by step.
    pub intermediate_values: &'a BTreeMap<i64, f64>,
    /// The trial's system attributes, those of earlier judgements included.
    pub system_attrs: &'a BTreeMap<String, Json>,
}

/// What a pruner says of a trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// Whether the trial should stop now.
    pub should_prune: bool,
    /// What others need to know of this judgement, such as the rungs that the trial has reached. It is stored
    /// with the trial, soon, so that the others see it.
    pub system_attrs: Vec<(String, Json)>,
}

impl Judgement {
    /// A judgement that leaves nothing behind.
    pub fn new(should_prune: bool) -> Self {
        Judgement { should_prune, system_attrs: Vec::new() }
    }
}

/// Never stops a trial.
#[derive(Debug, Clone, Copy, Default)]
pub struct NopPruner;

impl Pruner for NopPruner {
    fn uses_history(&self) -> bool {
        false
    }

    fn judge(&self, _history: &History, _current: &RunningTrial) -> Judgement {
        Judgement::new(false)
    }
}
