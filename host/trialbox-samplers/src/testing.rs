//! Helpers that the unit tests of several samplers and pruners share.

use std::collections::BTreeMap;
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::seam::sampler::Ask;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, StudyDirection, TrialNumber, TrialState,
};

/// Returns the question of a trial that has nothing yet.
pub(crate) fn ask(history: &History) -> Ask<'_> {
    static NONE: BTreeMap<String, Json> = BTreeMap::new();
    Ask { history, number: TrialNumber(0), params: &[], fixed_params: &[], system_attrs: &NONE }
}

/// Returns a COMPLETE trial of value 0 without parameters.
pub(crate) fn trial(number: u32) -> FrozenTrial {
    FrozenTrial {
        id: TrialId(i64::from(number) + 1),
        number: TrialNumber(number),
        state: TrialState::Complete,
        values: vec![0.0],
        datetime_start: None,
        datetime_complete: None,
        params: vec![],
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}

/// Returns a trial with parameters, given as name, distribution and internal value; of value 0 if it is COMPLETE.
pub(crate) fn trial_with(
    number: u32,
    state: TrialState,
    params: &[(&str, Distribution, f64)],
) -> FrozenTrial {
    let values = if state == TrialState::Complete { vec![0.0] } else { vec![] };
    let mut trial = FrozenTrial { state, values, ..trial(number) };
    for (name, distribution, internal) in params {
        let param = Param { distribution: distribution.clone(), internal: *internal };
        trial.params.push(((*name).to_owned(), param));
    }
    trial
}

/// Returns COMPLETE trials with these values at the steps 0, 1, ….
pub(crate) fn reporting(values: &[&[f64]]) -> Vec<FrozenTrial> {
    let mut trials = Vec::with_capacity(values.len());
    for (number, values) in (0..).zip(values) {
        trials.push(FrozenTrial { intermediate_values: by_step(values), ..trial(number) });
    }
    trials
}

/// Returns PRUNED trials that have left these values at the rungs 0, 1, ….
pub(crate) fn on_rungs(values: &[&[f64]]) -> Vec<FrozenTrial> {
    let mut trials = Vec::with_capacity(values.len());
    for (number, values) in (0..).zip(values) {
        let mut trial = FrozenTrial { state: TrialState::Pruned, ..trial(number) };
        for (rung, value) in values.iter().enumerate() {
            trial.system_attrs.insert(format!("completed_rung_{rung}"), (*value).into());
        }
        trials.push(trial);
    }
    trials
}

/// Judges a trial with these values at the steps 0, 1, ….
pub(crate) fn judge(
    pruner: &dyn Pruner,
    direction: StudyDirection,
    rivals: &[FrozenTrial],
    values: &[f64],
) -> Judgement {
    let history = History::new(vec![direction], rivals.to_vec());
    let current = RunningTrial {
        study_name: "s",
        number: TrialNumber(1000),
        intermediate_values: &by_step(values),
        system_attrs: &BTreeMap::new(),
    };
    pruner.judge(&history, &current)
}

#[track_caller]
pub(crate) fn check_prune(
    pruner: &dyn Pruner,
    direction: StudyDirection,
    rivals: &[FrozenTrial],
    values: &[f64],
    want: bool,
) {
    assert_eq!(judge(pruner, direction, rivals, values), Judgement::new(want), "{values:?}");
}

fn by_step(values: &[f64]) -> BTreeMap<i64, f64> {
    (0..).zip(values.iter().copied()).collect()
}

/// Returns the elements of a recorded array.
pub(crate) fn items(json: &Json) -> &[Json] {
    let Json::Array(items) = json else { panic!("expected an array, found {json}") };
    items
}

/// Returns a member of a recorded object.
pub(crate) fn member<'a>(json: &'a Json, key: &str) -> &'a Json {
    json.get(key).unwrap_or_else(|| panic!("no `{key}`"))
}

/// Returns a recorded number.
pub(crate) fn number(json: &Json) -> f64 {
    json.as_f64().expect("a number")
}

/// Returns a recorded array of numbers.
pub(crate) fn floats(json: &Json) -> Vec<f64> {
    items(json).iter().map(number).collect()
}

/// Returns a recorded index.
pub(crate) fn index(json: &Json) -> usize {
    usize::try_from(json.as_i64().expect("an index")).expect("a small index")
}

/// Returns a recorded array of indices.
pub(crate) fn indices(json: &Json) -> Vec<usize> {
    items(json).iter().map(index).collect()
}
