//! Studies that unit tests share.

use crate::subject::{Ordered, Subject};
use std::collections::BTreeMap;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, StudyDirection, StudyId, StudyRecord,
    TrialNumber, TrialState, UtcDateTime,
};

/// Returns a study of this name.
pub(crate) fn study(name: &str, directions: &[StudyDirection]) -> StudyRecord {
    StudyRecord {
        id: StudyId(1),
        name: name.to_owned(),
        directions: directions.to_vec(),
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
    }
}

/// Returns a moment of the tests' day.
pub(crate) fn moment(seconds: u32) -> UtcDateTime {
    let start: UtcDateTime = "2026-11-30T10:00:00".parse().expect("a time");
    start.checked_add(jiff::SignedDuration::from_secs(seconds.into())).expect("a time")
}

/// Returns a COMPLETE trial that took a minute.
pub(crate) fn trial(number: u32, values: &[f64]) -> FrozenTrial {
    FrozenTrial {
        id: TrialId(i64::from(number) + 1),
        number: TrialNumber(number),
        state: TrialState::Complete,
        values: values.to_vec(),
        datetime_start: Some(moment(60 * number)),
        datetime_complete: Some(moment(60 * number + 55)),
        params: vec![],
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}

/// Adds a parameter of the range 0 to 1.
pub(crate) fn with_unit(mut trial: FrozenTrial, name: &str, value: f64) -> FrozenTrial {
    let distribution = Distribution::float(0.0, 1.0, false, None).expect("a range");
    trial.params.push((name.to_owned(), Param { distribution, internal: value }));
    trial
}

/// Adds a choice.
pub(crate) fn with_choice(
    mut trial: FrozenTrial,
    name: &str,
    choices: &[&str],
    index: usize,
) -> FrozenTrial {
    let choices = choices.iter().map(|choice| Json::from(*choice)).collect();
    let distribution = Distribution::categorical(choices).expect("choices");
    trial.params.push((name.to_owned(), Param { distribution, internal: index as f64 }));
    trial
}

/// Returns a number in [0, 1) that looks random.
pub(crate) fn draw(number: u32, seed: u32) -> f64 {
    let mut state = (u64::from(number) << 32) | (u64::from(seed) + 1);
    for _ in 0..3 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^= state >> 29;
    }
    (state >> 11) as f64 / (1u64 << 53) as f64
}

/// Returns trials of a search with `n_params` parameters, of which every tenth failed and every eleventh was pruned.
pub(crate) fn searched(n_trials: u32, n_params: u32) -> Vec<FrozenTrial> {
    let mut trials = Vec::new();
    for number in 0..n_trials {
        let x = |seed: u32| draw(number, seed);
        let value = (x(0) - 0.3).powi(2) + 0.3 * (x(1) - 0.99).powi(2) + 0.01 * x(2);
        let mut found = trial(number, &[value]);
        for seed in 0..n_params {
            found = with_unit(found, &format!("p{seed}"), x(seed));
        }
        found.intermediate_values =
            (0..4).map(|step| (step, value + 1.0 / (step as f64 + 1.0))).collect();
        if number % 10 == 7 {
            (found.state, found.values) = (TrialState::Fail, vec![]);
        } else if number % 11 == 5 {
            found.state = TrialState::Pruned;
        }
        trials.push(found);
    }
    trials
}

/// Calls a test with the subject of trials.
pub(crate) fn with_subject<T>(
    study: &StudyRecord,
    trials: Vec<FrozenTrial>,
    test: impl FnOnce(&Subject) -> T,
) -> T {
    let n_trials = trials.len() as u32;
    let history = History::new(study.directions.clone(), trials);
    let ordered = Ordered {
        show_trial: "trialbox trial show".to_owned(),
        plot: "trialbox study plot".to_owned(),
        version: "0.1.0".to_owned(),
        ..Ordered::default()
    };
    let now = moment(60 * n_trials + 120);
    test(&Subject::new(study, &history, now, jiff::SignedDuration::ZERO, ordered))
}
