//! What holds for every sampler and pruner of the lists, new ones included: the tests walk the lists themselves.

mod common;

use common::{GENERATIONS, Space, ask, configured, new_trial, option_value, suggested};
use proptest::prelude::*;
use std::collections::BTreeMap;
use trialbox_core::seam::pruner::{Judgement, Pruner, RunningTrial};
use trialbox_core::seam::rng::trial_rng;
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, Sampler, StudyDirection, TrialNumber,
    TrialState,
};
use trialbox_samplers::{Config, Kind, PrunerConfig, RandomSampler, SamplerConfig};

fn distribution() -> impl Strategy<Value = Distribution> {
    let float = (-1e3..1e3, 0.1..1e3, prop::option::of(0.01..10.0))
        .prop_map(|(low, width, step)| Distribution::float(low, low + width, false, step));
    let log_float = (1e-6..1.0, 1.1..1e6)
        .prop_map(|(low, ratio)| Distribution::float(low, low * ratio, true, None));
    let int = (-100..100i64, 1..1000i64, 1..9i64)
        .prop_map(|(low, width, step)| Distribution::int(low, low + width, false, step));
    let log_int = (1..100i64, 1..10_000i64)
        .prop_map(|(low, width)| Distribution::int(low, low + width, true, 1));
    let categorical =
        (2..9i64).prop_map(|n| Distribution::categorical((0..n).map(Json::from).collect()));
    prop_oneof![float, log_float, int, log_int, categorical]
        .prop_map(|distribution| distribution.expect("an ordinary range"))
}

fn space() -> impl Strategy<Value = Space> {
    let named = |distributions: Vec<Distribution>| {
        (0..).zip(distributions).map(|(index, it)| (format!("p{index}"), it)).collect()
    };
    prop::collection::vec(distribution(), 1..5).prop_map(named)
}

/// Finished trials with even draws and these values.
fn history(space: &Space, values: &[f64]) -> History {
    let (empty, none) = (History::new(vec![], vec![]), BTreeMap::new());
    let trial = |(number, value): (u32, &f64)| {
        let mut rng = trial_rng(1, TrialNumber(number));
        let mut trial = FrozenTrial { values: vec![*value], ..new_trial(number) };
        // Evolutionary samplers learn from generations of trials that are theirs.
        for key in GENERATIONS {
            trial.system_attrs.insert(key.to_owned(), i64::from(number / 50).into());
        }
        for (name, distribution) in space {
            let ask = ask(&empty, &none, number);
            let internal = RandomSampler.sample_independent(&ask, name, distribution, &mut rng);
            let distribution = distribution.clone();
            trial.params.push((name.clone(), Param { distribution, internal }));
        }
        trial
    };
    let trials = (0..).zip(values).map(trial).collect();
    History::new(vec![StudyDirection::Minimize], trials)
}

/// Returns the pruner's judgement of a trial that gets worse step by step.
fn judged(pruner: &dyn Pruner, history: &History, values: &[f64]) -> Judgement {
    let values: BTreeMap<i64, f64> = (0..).zip(values.iter().copied()).collect();
    let current = RunningTrial {
        study_name: "s",
        number: TrialNumber(1000),
        intermediate_values: &values,
        system_attrs: &BTreeMap::new(),
    };
    pruner.judge(history, &current)
}

/// Checks that what the command line and the study's memory keep of a choice is all of it.
fn check_round_trip<S: Kind + ?Sized>(config: &Config<S>) {
    let json = config.to_json();
    let text = json.to_string();
    let read = Config::from_json(&Json::parse(&text).expect("JSON")).expect("a choice");
    assert_eq!(read, *config);
    let mut given = Config::parse(config.name()).expect("a name of the list");
    if let Some(Json::Object(options)) = json.get("options") {
        for (name, value) in options {
            given.set_option(&format!("{name}={value}")).expect("an option");
        }
    }
    assert_eq!(given, *config);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 64,
        ..ProptestConfig::default()
    })]

    #[test]
    fn suggested_values_lie_in_their_distributions(
        space in space(),
        values in prop::collection::vec(-1.0..1.0, 0..40),
        options in prop::collection::vec(option_value(), 8),
        seed in any::<u64>(),
    ) {
        let history = history(&space, &values);
        for config in configured::<dyn Sampler>(&options) {
            let found = suggested(config.build().as_ref(), &history, &space, seed);
            for ((name, distribution), value) in space.iter().zip(found) {
                prop_assert!(distribution.contains(value), "{config}: {name} = {value} of {distribution}");
            }
        }
    }

    #[test]
    fn a_choice_is_read_back_from_json_and_from_flags(options in prop::collection::vec(option_value(), 8)) {
        for config in configured::<dyn Sampler>(&options) {
            check_round_trip(&config);
        }
        for config in configured::<dyn Pruner>(&options) {
            check_round_trip(&config);
        }
    }

    #[test]
    fn a_sampler_that_does_not_learn_suggests_the_same_whatever_the_results(
        space in space(),
        values in prop::collection::vec(-1.0..1.0, 0..40),
        options in prop::collection::vec(option_value(), 8),
        seed in any::<u64>(),
    ) {
        let reversed: Vec<f64> = values.iter().rev().copied().collect();
        let (one, other) = (history(&space, &values), history(&space, &reversed));
        for config in configured::<dyn Sampler>(&options) {
            let sampler = config.build();
            if !sampler.learns_from_results() {
                let found = suggested(sampler.as_ref(), &one, &space, seed);
                prop_assert_eq!(found, suggested(sampler.as_ref(), &other, &space, seed), "{}", config);
            }
        }
    }

    #[test]
    fn a_sampler_that_uses_no_history_suggests_the_same_without_one(
        space in space(),
        values in prop::collection::vec(-1.0..1.0, 1..40),
        seed in any::<u64>(),
    ) {
        let (full, empty) = (history(&space, &values), history(&space, &[]));
        for config in SamplerConfig::all() {
            let sampler = config.build();
            if !sampler.uses_history() {
                let found = suggested(sampler.as_ref(), &full, &space, seed);
                prop_assert_eq!(found, suggested(sampler.as_ref(), &empty, &space, seed), "{}", config);
            }
        }
    }

    #[test]
    fn a_pruner_that_uses_no_history_judges_the_same_without_one(
        reports in prop::collection::vec(-1.0..1.0, 0..20),
        options in prop::collection::vec(option_value(), 8),
    ) {
        let full: Vec<FrozenTrial> = (0..20).map(|number| FrozenTrial {
            state: TrialState::ALL[number as usize % TrialState::ALL.len()],
            values: vec![f64::from(number)],
            intermediate_values: (0..20).map(|step| (step, step as f64 / 20.0)).collect(),
            ..new_trial(number)
        }).collect();
        let full = History::new(vec![StudyDirection::Minimize], full);
        let empty = History::new(vec![StudyDirection::Minimize], vec![]);
        for config in configured::<dyn Pruner>(&options) {
            let pruner = config.build();
            if !pruner.uses_history() {
                let found = judged(pruner.as_ref(), &full, &reports);
                prop_assert_eq!(found, judged(pruner.as_ref(), &empty, &reports), "{}", config);
            }
        }
    }
}

/// The other direction: a sampler that says that it learns does, somewhere.
#[test]
fn a_sampler_that_learns_suggests_something_else_after_other_results() {
    let range = Distribution::float(0.0, 1.0, false, None).expect("a range");
    // CMA-ES draws a single parameter at random, as Optuna's does.
    let space = vec![("x".to_owned(), range.clone()), ("y".to_owned(), range)];
    let values: Vec<f64> = (0..120).map(|number| f64::from(number % 7)).collect();
    let better: Vec<f64> = values.iter().map(|value| -value).collect();
    let (one, other) = (history(&space, &values), history(&space, &better));
    let (mut n_learners, seed) = (0, 7);
    for config in SamplerConfig::all() {
        let sampler = config.build();
        if sampler.learns_from_results() {
            n_learners += 1;
            let found = suggested(sampler.as_ref(), &one, &space, seed);
            assert_ne!(found, suggested(sampler.as_ref(), &other, &space, seed), "{config}");
        }
    }
    assert!(n_learners > 0);
}

#[test]
fn names_and_aliases_are_unique_and_lists_name_all() {
    check_names::<dyn Sampler>();
    check_names::<dyn Pruner>();
    assert_eq!(
        SamplerConfig::names(),
        "tpe, auto, random, qmc, gp, cmaes, nsga2, nsga3, grid or brute-force"
    );
    assert_eq!(
        PrunerConfig::names(),
        "median, percentile, successive-halving (asha), hyperband, threshold, patient, wilcoxon or nop (none)"
    );
    assert_eq!(
        SamplerConfig::names_of_those_that_do_not_learn(),
        "random, qmc, grid or brute-force"
    );
}

fn check_names<S: Kind + ?Sized>() {
    let mut seen: Vec<&str> = Vec::new();
    for config in Config::<S>::all() {
        for name in config.all_names() {
            assert!(!seen.contains(&name), "{name}");
            assert_eq!(Config::<S>::parse(name), Ok(config.clone()));
            seen.push(name);
        }
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

/// The tables of the documentation come from the lists. After a change, the failure shows the table to paste.
#[test]
fn the_documentation_has_the_tables_of_the_lists() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut pages = std::fs::read_to_string(format!("{root}/README.md")).expect("the README");
    for page in std::fs::read_dir(format!("{root}/docs")).expect("the pages") {
        let page = page.expect("a page").path();
        if page.extension().is_some_and(|extension| extension == "md") {
            pages += &std::fs::read_to_string(page).expect("a page");
        }
    }
    for table in [SamplerConfig::table(), PrunerConfig::table()] {
        assert!(pages.contains(&table), "no page has this table:\n{table}");
    }
}
