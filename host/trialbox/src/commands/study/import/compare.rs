//! Compares the trials of a file with those of the study that they are added to.

use crate::view::exchange::{as_copied, content};
use std::collections::{BTreeMap, HashMap};
use trialbox_core::study::enqueue::FIXED_PARAMS_ATTR;
use trialbox_core::{Distribution, FrozenTrial, Json, Param, TrialState, UtcDateTime};

/// Returns the trials of the file that the study does not have, as they are in a copy.
///
/// A trial is recognised by its content: a finished trial never changes. A trial that was WAITING or RUNNING when the
/// file was written is recognised also in what it has become since. Each trial of the study stands for one of the file.
pub(super) fn new_trials(file: &[FrozenTrial], study: &[FrozenTrial]) -> Vec<FrozenTrial> {
    let mut by_content: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, trial) in study.iter().enumerate().rev() {
        by_content.entry(content(trial)).or_default().push(index);
    }
    let mut is_taken = vec![false; study.len()];
    let mut left = Vec::new();
    for trial in file {
        match by_content.get_mut(&content(&as_copied(trial.clone()))).and_then(Vec::pop) {
            Some(index) => is_taken[index] = true,
            None => left.push(trial.clone()),
        }
    }
    let mut successors = Successors::of(study, is_taken);
    left.retain(|trial| !successors.take(trial));
    left.into_iter().map(as_copied).collect()
}

/// The trials of a study that an unfinished trial of a file can have become.
struct Successors<'a> {
    study: &'a [FrozenTrial],
    is_taken: Vec<bool>,
    by_start: BTreeMap<UtcDateTime, Vec<usize>>,
    by_fixed_params: BTreeMap<Option<String>, Vec<usize>>,
}

impl<'a> Successors<'a> {
    fn of(study: &'a [FrozenTrial], is_taken: Vec<bool>) -> Successors<'a> {
        let (mut by_start, mut by_fixed_params) = (BTreeMap::new(), BTreeMap::new());
        for (index, trial) in study.iter().enumerate() {
            if let Some(start) = trial.datetime_start {
                by_start.entry(start).or_insert_with(Vec::new).push(index);
            }
            by_fixed_params.entry(fixed_params(trial)).or_insert_with(Vec::new).push(index);
        }
        Successors { study, is_taken, by_start, by_fixed_params }
    }

    /// Returns whether the study has what this trial has become, which then stands for no other trial.
    fn take(&mut self, trial: &FrozenTrial) -> bool {
        let candidates = match (trial.state, trial.datetime_start) {
            (TrialState::Running, Some(start)) => self.by_start.get(&start),
            (TrialState::Waiting, _) => self.by_fixed_params.get(&fixed_params(trial)),
            _ => None,
        };
        for &index in candidates.into_iter().flatten() {
            if !self.is_taken[index] && has_become(trial, &self.study[index]) {
                self.is_taken[index] = true;
                return true;
            }
        }
        false
    }
}

/// Returns whether an unfinished trial can have become another, which has the same fixed parameters or the same start.
fn has_become(before: &FrozenTrial, after: &FrozenTrial) -> bool {
    let is_told_apart = before.state == TrialState::Running
        || !before.params.is_empty()
        || fixed_params(before).is_some();
    is_told_apart
        && after.params.len() >= before.params.len()
        && before.params.iter().zip(&after.params).all(|(before, after)| is_same(before, after))
        && (before.state == TrialState::Running
            || before
                .user_attrs
                .iter()
                .all(|(key, value)| after.user_attrs.get(key) == Some(value)))
}

fn is_same(before: &(String, Param), after: &(String, Param)) -> bool {
    before.0 == after.0 && before.1.internal == after.1.internal
}

fn fixed_params(trial: &FrozenTrial) -> Option<String> {
    trial.system_attrs.get(FIXED_PARAMS_ATTR).map(Json::to_string)
}

/// The parameters that a file and a study have under the same names, but with other distributions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SpaceDifferences {
    /// Parameters of another kind, scale or with other choices: no study may hold both.
    pub(super) refused: Vec<String>,
    /// Parameters with other ranges or steps, which may change within a study.
    pub(super) ranges: Vec<String>,
}

impl SpaceDifferences {
    /// Compares the distributions of trials to add with those of the study.
    pub(super) fn between(new: &[FrozenTrial], study: &[FrozenTrial]) -> SpaceDifferences {
        let (in_study, mut differences) = (distributions(study), SpaceDifferences::default());
        for (name, in_file) in distributions(new) {
            let Some(known) = in_study.get(name) else { continue };
            for (text, found) in in_file {
                if known.contains_key(&text) {
                    continue;
                }
                let can_be_held = known.values().any(|known| known.check_compatible(found).is_ok());
                let list =
                    if can_be_held { &mut differences.ranges } else { &mut differences.refused };
                if let Some(example) = known.values().next() {
                    list.push(format!(
                        "parameter `{name}`: {example} in the study, {found} in the file"
                    ));
                }
                break;
            }
        }
        differences
    }
}

/// Returns the distributions of each parameter, by their text.
fn distributions(trials: &[FrozenTrial]) -> BTreeMap<&str, BTreeMap<String, &Distribution>> {
    let mut found: BTreeMap<&str, BTreeMap<String, &Distribution>> = BTreeMap::new();
    for (name, param) in trials.iter().flat_map(|trial| &trial.params) {
        let known = found.entry(name).or_default();
        known.insert(param.distribution.to_json_text(), &param.distribution);
    }
    found
}

#[cfg(test)]
mod tests;
