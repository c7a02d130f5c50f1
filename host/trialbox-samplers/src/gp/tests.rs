//! The sampler as a study uses it.

use super::*;
use crate::auto::{ARM, AutoOptions};
use crate::testing::trial;
use trialbox_core::seam::rng::trial_rng;
use trialbox_core::{FrozenTrial, Json, Param, StudyDirection, TrialNumber};

type Params = Vec<(&'static str, Distribution)>;

fn float(name: &'static str) -> (&'static str, Distribution) {
    (name, Distribution::float(0.0, 1.0, false, None).expect("a range"))
}

fn choices(name: &'static str, n: i64) -> (&'static str, Distribution) {
    let choices = (0..n).map(Json::from).collect();
    (name, Distribution::categorical(choices).expect("choices"))
}

/// Returns a trial that asks for these parameters, one after another, as a session does; RUNNING.
fn asked(
    sampler: &dyn Sampler,
    history: &History,
    number: u32,
    params: impl Fn(&[(String, Param)]) -> Option<(&'static str, Distribution)>,
) -> FrozenTrial {
    let mut trial = FrozenTrial { state: TrialState::Running, values: vec![], ..trial(number) };
    let mut rng = trial_rng(3, TrialNumber(number));
    let ask = Ask { number: TrialNumber(number), ..crate::testing::ask(history) };
    let space = sampler.relative_search_space(&ask).drawable();
    let drawn = if space.is_empty() {
        Suggestion::default()
    } else {
        sampler.sample_relative(&ask, &space, &mut rng)
    };
    while let Some((name, distribution)) = params(&trial.params) {
        let internal = match drawn.params.get(name) {
            Some(internal) => *internal,
            None => sampler.sample_independent(&ask, name, &distribution, &mut rng),
        };
        assert!(distribution.contains(internal), "{name} = {internal}");
        trial.params.push((name.to_owned(), Param { distribution, internal }));
    }
    trial.system_attrs = drawn.system_attrs.into_iter().collect();
    trial
}

fn in_order(all: &Params) -> impl Fn(&[(String, Param)]) -> Option<(&'static str, Distribution)> {
    |before| all.get(before.len()).cloned()
}

/// Runs trials one after another; a loss that is NaN fails its trial.
fn study(
    sampler: &dyn Sampler,
    n: u32,
    params: impl Fn(&[(String, Param)]) -> Option<(&'static str, Distribution)>,
    loss: impl Fn(&FrozenTrial) -> f64,
) -> History {
    let mut history = History::new(vec![StudyDirection::Minimize], vec![]);
    for number in 0..n {
        let mut trial = asked(sampler, &history, number, &params);
        let loss = loss(&trial);
        trial.state = if loss.is_nan() { TrialState::Fail } else { TrialState::Complete };
        trial.values = if loss.is_nan() { vec![] } else { vec![loss] };
        history.update(vec![trial]);
    }
    history
}

fn value(trial: &FrozenTrial, name: &str) -> f64 {
    trial.param(name).map_or(f64::NAN, |param| param.internal)
}

fn bowl(trial: &FrozenTrial) -> f64 {
    (value(trial, "x") - 0.3).powi(2) + 2.0 * (value(trial, "y") - 0.7).powi(2)
}

/// Returns the smallest distance of two trials, in the larger coordinate.
fn nearest(trials: &[FrozenTrial]) -> f64 {
    let mut nearest = f64::INFINITY;
    for (index, a) in trials.iter().enumerate() {
        for b in &trials[..index] {
            let by = |name| (value(a, name) - value(b, name)).abs();
            nearest = by("x").max(by("y")).min(nearest);
        }
    }
    nearest
}

#[test]
fn a_smooth_minimum_is_found_in_few_trials() {
    let plane = vec![float("x"), float("y")];
    for (sampler, limit) in
        [(GpOptions::default().build(), 1e-4), (AutoOptions::default().build(), 1e-12)]
    {
        let history = study(sampler.as_ref(), 30, in_order(&plane), bowl);
        let best = history.best_trial().and_then(FrozenTrial::value).expect("a value");
        assert!(best < limit, "{best}");
    }
}

#[test]
fn simultaneous_trials_that_see_each_other_keep_apart() {
    let plane = vec![float("x"), float("y")];
    for sampler in [GpOptions::default().build(), AutoOptions::default().build()] {
        let mut history = study(sampler.as_ref(), 15, in_order(&plane), bowl);
        let mut wave = Vec::new();
        for number in 15..31 {
            let trial = asked(sampler.as_ref(), &history, number, in_order(&plane));
            // As others see it before its first write of parameters: with the joint draw alone.
            history.update(vec![FrozenTrial { params: vec![], ..trial.clone() }]);
            wave.push(trial);
        }
        assert!(nearest(&wave) > 0.01, "{}", nearest(&wave));
    }
}

#[test]
fn simultaneous_trials_that_cannot_see_each_other_differ() {
    let plane = vec![float("x"), float("y")];
    let sampler = GpOptions::default().build();
    let finished = study(sampler.as_ref(), 15, in_order(&plane), bowl);
    let mut running = finished.clone();
    let trials = 15..79;
    let start =
        |number| FrozenTrial { state: TrialState::Running, values: vec![], ..trial(number) };
    running.update(trials.clone().map(start).collect());
    // Others run but have no parameters yet, or have not been recorded at all.
    for history in [running, finished] {
        let mut distinct: Vec<FrozenTrial> = Vec::new();
        for number in trials.clone() {
            let mut others = history.clone();
            others.take(TrialNumber(number));
            let trial = asked(sampler.as_ref(), &others, number, in_order(&plane));
            if distinct.iter().all(|it| nearest(&[it.clone(), trial.clone()]) > 0.01) {
                distinct.push(trial);
            }
        }
        assert!(distinct.len() >= 40, "{}", distinct.len());
    }
}

#[test]
fn a_region_where_trials_fail_is_left_alone() {
    let plane = vec![float("x"), float("y")];
    let loss = |trial: &FrozenTrial| if value(trial, "x") > 0.6 { f64::NAN } else { bowl(trial) };
    let history = study(GpOptions::default().build().as_ref(), 40, in_order(&plane), loss);
    let late = history.trials()[20..].iter();
    let n_failed = late.filter(|trial| trial.state == TrialState::Fail).count();
    assert!(n_failed <= 4, "{n_failed} of 20");
    let best = history.best_trial().and_then(FrozenTrial::value).expect("a value");
    assert!(best < 1e-3, "{best}");
}

#[test]
fn a_table_is_tried_without_repetition() {
    let int = |name| (name, Distribution::int(0, 5, false, 1).expect("a range"));
    let table = vec![int("x"), int("y")];
    let sampler = GpOptions { n_startup_trials: 1 }.build();
    let history = study(sampler.as_ref(), 30, in_order(&table), bowl);
    // The first trials are drawn without a look at the others.
    let learnt = &history.trials()[1..];
    for (index, trial) in learnt.iter().enumerate() {
        let earlier = learnt[..index].iter().find(|it| it.has_values_of(&trial.params));
        assert!(earlier.is_none(), "{:?}", trial.params);
    }
}

/// `kind` decides on `x`: only the third has it, and there the best trials are.
fn conditional(before: &[(String, Param)]) -> Option<(&'static str, Distribution)> {
    match before {
        [] => Some(choices("kind", 3)),
        [_] => Some(float("y")),
        [(_, kind), _] if kind.internal == 2.0 => Some(float("x")),
        _ => None,
    }
}

fn conditional_loss(trial: &FrozenTrial) -> f64 {
    let base = (value(trial, "y") - 0.5).powi(2);
    match trial.param("x") {
        Some(x) => base + 8.0 * (x.internal - 0.125).powi(2) - 0.1,
        None => base,
    }
}

#[test]
fn a_branch_that_starts_badly_is_looked_at_again() {
    let sampler = AutoOptions::default().build();
    let history = study(sampler.as_ref(), 60, conditional, conditional_loss);
    let best = history.best_trial().and_then(FrozenTrial::value).expect("a value");
    assert!(best < -0.0999, "{best}");
    let arm = |trial: &FrozenTrial| {
        let text = trial.system_attrs.get(ARM).and_then(Json::as_str).expect("a reason");
        text.split(':').next().unwrap_or_default().to_owned()
    };
    let arms: Vec<String> = history.trials()[1..].iter().map(arm).collect();
    for want in ["even", "gp", "tpe", "branch"] {
        assert!(arms.iter().any(|arm| arm == want), "no {want} in {arms:?}");
    }
}

#[test]
fn the_first_trial_of_auto_is_at_the_centre() {
    let plane = vec![float("x"), ("n", Distribution::int(1, 9, false, 1).expect("a range"))];
    let sampler = AutoOptions::default().build();
    let nothing = History::new(vec![StudyDirection::Minimize], vec![]);
    let first = asked(sampler.as_ref(), &nothing, 0, in_order(&plane));
    assert_eq!((value(&first, "x"), value(&first, "n")), (0.5, 5.0));
}
