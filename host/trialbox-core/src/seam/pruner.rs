//! The seam for pruners, which judge whether a running trial should continue.

use crate::study::history::History;
use crate::study::trial::TrialNumber;
use crate::value::json::Json;
use std::collections::BTreeMap;

/// A judge of running trials, for studies of one objective. The judgement is a pure function of the values that the
/// trial and the others reported.
pub trait Pruner: Send + Sync {
    /// Returns whether any call looks at the trials of `history`. If not, the study's trials are not even read.
    fn uses_history(&self) -> bool {
        true
    }

    /// Judges the trial. A trial that has reported no value yet must not be pruned.
    ///
    /// `history` has the study's other trials. It may be a second or more old.
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement;
}

/// The trial that asks, as a pruner sees it.
#[derive(Debug, Clone, Copy)]
pub struct RunningTrial<'a> {
    /// The study's name.
    pub study_name: &'a str,
    /// The trial's number.
    pub number: TrialNumber,
    /// The values reported so far, by step.
    pub intermediate_values: &'a BTreeMap<i64, f64>,
    /// The trial's system attributes, those of earlier judgements included.
    pub system_attrs: &'a BTreeMap<String, Json>,
}

/// A pruner's judgement of a trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// True if the trial should stop now.
    pub should_prune: bool,
    /// The attributes that tell other trials of this judgement, such as the rungs that the trial has reached. They are
    /// stored with the trial soon, so that the others see them.
    pub system_attrs: Vec<(String, Json)>,
}

impl Judgement {
    /// Creates a judgement that stores no attributes.
    pub fn new(should_prune: bool) -> Self {
        Judgement { should_prune, system_attrs: Vec::new() }
    }
}

/// A pruner that never prunes.
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
