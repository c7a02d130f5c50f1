//! Numbers at the ends of what floats and integers hold: every sampler stays in range and on the grid, every pruner
//! judges, every importance is a number or a sentence, and nothing panics.

mod common;

use common::{Space, configured, new_trial, option_value, suggested};
use proptest::prelude::*;
use std::collections::BTreeMap;
use trialbox_core::seam::pruner::{Pruner, RunningTrial};
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, Sampler, StudyDirection, TrialNumber,
    TrialState,
};
use trialbox_samplers::importance::{
    ImportanceError, Importances, Target, fanova, mean_decrease_impurity, normalize, ped_anova,
};
use trialbox_samplers::pareto::{hypervolume, losses, pareto_front, reference_point};
use trialbox_samplers::{PartialFixedSampler, SamplerConfig};

/// Floats among which sums, products, quotients and logarithms leave the floats.
const FLOATS: [f64; 32] = [
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    1e-323,
    2.225_073_858_507_201e-308,
    f64::MIN_POSITIVE,
    1e-300,
    -1e-300,
    1e-17,
    0.1,
    0.3,
    1.0,
    0.999_999_999_999_999_9,
    1.000_000_000_000_000_2,
    -1.0,
    9_007_199_254_740_991.0,
    9_007_199_254_740_992.0,
    -9_007_199_254_740_992.0,
    1e16,
    9.223_372_036_854_776e18,
    -9.223_372_036_854_776e18,
    1e150,
    1e300,
    -1e300,
    8e307,
    -8e307,
    1e308,
    -1e308,
    1.7e308,
    f64::MAX,
    f64::MIN,
];

/// Values that no range holds.
const NO_NUMBERS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

const INTS: [i64; 18] = [
    i64::MIN,
    i64::MIN + 1,
    -(1 << 53) - 1,
    -(1 << 53),
    -1,
    0,
    1,
    2,
    10,
    1 << 30,
    (1 << 53) - 1,
    1 << 53,
    (1 << 53) + 1,
    1 << 62,
    i64::MAX - 1024,
    i64::MAX - 513,
    i64::MAX - 1,
    i64::MAX,
];

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![4 => prop::sample::select(&FLOATS[..]), 1 => any::<f64>()]
}

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![9 => any_float(), 1 => prop::sample::select(&NO_NUMBERS[..])]
}

/// Ranges as a program would ask for them, those that nothing can be drawn from included.
fn any_distribution() -> impl Strategy<Value = Distribution> {
    let float = (any_float(), any_float(), any::<bool>(), prop::option::of(any_float()));
    let float = float.prop_filter_map("a range", |(a, b, log, step)| {
        Distribution::float(a.min(b), a.max(b), log, step.filter(|_| !log).map(f64::abs)).ok()
    });
    let int = (
        prop::sample::select(&INTS[..]),
        prop::sample::select(&INTS[..]),
        any::<bool>(),
        prop::sample::select(&[1, 1, 3, 1 << 53, 1 << 62, i64::MAX][..]),
    );
    let int = int.prop_filter_map("a range", |(a, b, log, step)| {
        let step = if log { 1 } else { step };
        let text = format!(
            r#"{{"name": "IntDistribution", "attributes": {{"log": {log}, "step": {step}, "low": {}, "high": {}}}}}"#,
            a.min(b),
            a.max(b)
        );
        Distribution::from_json_text(&text).ok()
    });
    let choices = prop::collection::vec(any_number().prop_map(Json::Float), 1..5)
        .prop_map(|choices| Distribution::categorical(choices).expect("choices"));
    prop_oneof![4 => float, 3 => int, 1 => choices]
}

fn any_space() -> impl Strategy<Value = Space> {
    prop::collection::vec(any_distribution(), 1..4)
        .prop_map(|all| (0..).zip(all).map(|(index, it)| (format!("p{index}"), it)).collect())
}

/// One trial's results: its state, values, reports, and the numbers that its parameters' values are made of.
type Outcome = (TrialState, Vec<f64>, Vec<(i64, f64)>, Vec<f64>);

fn any_outcome() -> impl Strategy<Value = Outcome> {
    (
        prop::sample::select(&TrialState::ALL[..]),
        prop::collection::vec(any_number(), 0..4),
        prop::collection::vec((prop::sample::select(&INTS[..]), any_number()), 0..4),
        prop::collection::vec(prop_oneof![2 => 0.0..=1.0, 1 => any_number()], 3),
    )
}

fn any_outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    prop::collection::vec(any_outcome(), 0..30)
}

/// A history of the space: values at its ends and in between, and some that are out of it, as other programs store.
fn history(space: &Space, n_objectives: usize, outcomes: &[Outcome]) -> History {
    let mut trials = Vec::new();
    for (number, (state, values, reports, draws)) in (0..).zip(outcomes) {
        let mut trial = new_trial(number);
        trial.state = *state;
        trial.values = values.clone();
        if trial.state == TrialState::Complete {
            trial.values.resize(n_objectives, 1.0);
        }
        trial.intermediate_values = reports.iter().copied().collect();
        for ((name, distribution), draw) in space.iter().zip(draws) {
            let (distribution, internal) = (distribution.clone(), internal(distribution, *draw));
            trial.params.push((name.clone(), Param { distribution, internal }));
        }
        trials.push(trial);
    }
    let directions = [StudyDirection::Minimize, StudyDirection::Maximize];
    History::new((0..n_objectives).map(|index| directions[index % 2]).collect(), trials)
}

fn internal(distribution: &Distribution, draw: f64) -> f64 {
    if !(0.0..=1.0).contains(&draw) {
        return draw;
    }
    match distribution {
        Distribution::Float(float) => (1.0 - draw) * float.low() + draw * float.high(),
        Distribution::Int(int) => {
            ((1.0 - draw) * int.low() as f64 + draw * int.high() as f64).round()
        }
        Distribution::Categorical(it) => (draw * (it.choices().len() - 1) as f64).round(),
    }
}

/// Checks a number that users see.
fn check_all(importances: Result<Importances, ImportanceError>) -> Result<(), TestCaseError> {
    let Ok(mut importances) = importances else { return Ok(()) };
    for (name, value) in &importances {
        prop_assert!(value.is_finite() && *value >= 0.0, "{name}: {value}");
        prop_assert!(value.is_sign_positive(), "{name}: {value}");
    }
    normalize(&mut importances);
    for (name, value) in &importances {
        prop_assert!((0.0..=1.0 + 1e-9).contains(value), "{name}: {value} of 1");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 256,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_sampler_stays_in_range_and_on_the_grid(
        space in any_space(),
        n_objectives in 1usize..3,
        outcomes in any_outcomes(),
        options in prop::collection::vec(option_value(), 8),
        seed in any::<u64>(),
    ) {
        let history = history(&space, n_objectives, &outcomes);
        // The session refuses the others before it asks a sampler.
        let mut asked = space.clone();
        asked.retain(|(_, it)| it.require_drawable().is_ok());
        let fixed = vec![("p0".to_owned(), Json::Float(0.5))];
        for config in configured::<dyn Sampler>(&options) {
            let partial = PartialFixedSampler::new(fixed.clone(), config.build());
            let free: Space = asked.iter().filter(|(name, _)| name != "p0").cloned().collect();
            for (sampler, space) in [(config.build(), &asked), (Box::new(partial), &free)] {
                let found = suggested(sampler.as_ref(), &history, space, seed);
                for ((name, distribution), value) in space.iter().zip(found) {
                    prop_assert!(distribution.contains(value), "{config}: {name} = {value:e} of {distribution}");
                    prop_assert!(distribution.require_storable(value).is_ok());
                    let read = distribution.to_internal(&distribution.to_external(value));
                    if !matches!(distribution, Distribution::Categorical(_)) {
                        prop_assert!(distribution.contains(read.expect("a number")), "{value:e} of {distribution}");
                    }
                }
                sampler.is_exhausted(&history);
            }
        }
    }

    #[test]
    fn every_pruner_judges_every_report(
        outcomes in any_outcomes(),
        reports in prop::collection::vec((prop::sample::select(&INTS[..]), any_number()), 0..6),
        options in prop::collection::vec(option_value(), 8),
        rungs in prop::collection::vec(any_number(), 0..4),
    ) {
        let history = history(&Space::new(), 1, &outcomes);
        let intermediate_values: BTreeMap<i64, f64> = reports.into_iter().collect();
        let mut system_attrs = BTreeMap::new();
        for (rung, value) in rungs.into_iter().enumerate() {
            system_attrs.insert(format!("completed_rung_{rung}"), Json::Float(value));
        }
        for config in configured::<dyn Pruner>(&options) {
            let number = TrialNumber(u32::MAX);
            let (values, system_attrs) = (&intermediate_values, &system_attrs);
            let current = RunningTrial { study_name: "s", number, intermediate_values: values, system_attrs };
            let judgement = config.build().judge(&history, &current);
            prop_assert!(!judgement.should_prune || !values.is_empty(), "{config}");
            prop_assert!(judgement.system_attrs.len() < 70, "{config}: more rungs than there are steps");
        }
    }

    #[test]
    fn every_importance_is_a_number_from_0_on_or_a_sentence(
        space in any_space(),
        n_objectives in 1usize..3,
        outcomes in any_outcomes(),
    ) {
        let history = history(&space, n_objectives, &outcomes);
        check_all(ped_anova(&history, None, Target::AllObjectives))?;
        for index in 0..n_objectives {
            check_all(ped_anova(&history, None, Target::Objective(index)))?;
            check_all(fanova(&history, None, index, 0))?;
            check_all(mean_decrease_impurity(&history, None, index, 0))?;
        }
    }

    #[test]
    fn the_front_is_of_finished_trials_and_its_volume_is_a_number(
        outcomes in any_outcomes(),
        n_objectives in 1usize..5,
    ) {
        let history = history(&Space::new(), n_objectives, &outcomes);
        let front: Vec<&FrozenTrial> = pareto_front(history.trials(), history.directions());
        prop_assert!(front.iter().all(|trial| trial.state == TrialState::Complete));
        prop_assert_eq!(front.is_empty(), history.n_complete() == 0);
        let points: Vec<Vec<f64>> =
            front.iter().map(|trial| losses(&trial.values, history.directions())).collect();
        if !points.iter().flatten().any(|value| value.is_nan()) {
            prop_assert!(hypervolume(&points, &reference_point(&points)) >= 0.0);
        }
        prop_assert!(n_objectives > 1 || history.best_trial().is_some() == (history.n_complete() > 0));
    }
}

/// The ranges that once ended the host process, with each sampler after twelve trials.
#[test]
fn the_ranges_at_the_ends_of_the_floats_are_sampled() {
    let float = |low, high, log, step| Distribution::float(low, high, log, step).expect("a range");
    let int = |low, high, log, step| Distribution::int(low, high, log, step).expect("a range");
    let outcomes: Vec<Outcome> = (0..12)
        .map(|index| {
            (TrialState::Complete, vec![f64::from(index)], vec![], vec![f64::from(index) / 11.0])
        })
        .collect();
    for distribution in [
        float(5e-324, 1e-323, false, None),
        float(5e-324, 1e-323, true, None),
        int((1 << 53) - 1, 1 << 53, true, 1),
        int(-(1 << 53), 1 << 53, false, 1),
        float(8e307, 1.7e308, false, None),
        float(8e307, 1.7e308, true, None),
        float(-8e307, 8e307, false, None),
        float(0.0, 1.0, false, Some(1e-27)),
    ] {
        assert_eq!(distribution.require_drawable(), Ok(()), "{distribution}");
        let space = vec![("x".to_owned(), distribution.clone())];
        let history = history(&space, 1, &outcomes);
        for config in SamplerConfig::all().filter(|config| config.check_complete().is_ok()) {
            for seed in 0..50 {
                let found = suggested(config.build().as_ref(), &history, &space, seed);
                assert!(distribution.contains(found[0]), "{config}: {found:?} of {distribution}");
            }
        }
    }
}

/// A range, the internal value of each trial, and the importance.
type Assessed<'a> = (Distribution, &'a dyn Fn(u32) -> f64, f64);

/// Importances of `x` that Optuna 5.0's `PedAnovaImportanceEvaluator` assesses, for 32 trials with these values.
#[test]
fn ranges_that_optuna_assesses_are_assessed_alike() {
    let wide = r#"{"type": "int", "low": -9223372036854775808, "high": 9223372036854775807}"#;
    let wide = Distribution::from_json_text(wide).expect("a range");
    let log = Distribution::int((1 << 53) - 1, 1 << 53, true, 1).expect("a range");
    let high = Distribution::float(8e307, 1.7e308, false, None).expect("a range");
    let tiny = Distribution::float(0.0, 1.0, false, Some(1e-20)).expect("a range");
    let widest = Distribution::float(-1e308, 1e308, false, None).expect("a range");
    let denormal = Distribution::float(5e-324, 1e-323, false, None).expect("a range");
    let share = |number: u32| f64::from(number * 7 % 32) / 32.0;
    let parity = |number: u32| f64::from(number % 2);
    let cases: [Assessed; 6] = [
        (wide, &|n| (share(n) - 0.5) * 2f64.powi(64), 0.009_635_255_240_775_827),
        (log, &|n| 2f64.powi(53) - parity(n), 0.001_442_449_007_825_235_6),
        (high, &|n| 8e307 + share(n) * 9e307, 0.068_973_020_248_959_21),
        (tiny, &share, 0.068_973_020_248_959_21),
        (denormal, &|n| if n % 2 == 1 { 5e-324 } else { 1e-323 }, 0.014_729_215_967_351_028),
        (widest, &|n| (2.0 * share(n) - 1.0) * 1e308, 0.014_729_215_967_351_028),
    ];
    for (distribution, value, want) in cases {
        let mut trials = Vec::new();
        for number in 0..32 {
            let param = Param { distribution: distribution.clone(), internal: value(number) };
            let params = vec![("x".to_owned(), param)];
            trials.push(FrozenTrial { values: vec![share(number)], params, ..new_trial(number) });
        }
        let history = History::new(vec![StudyDirection::Minimize], trials);
        let found = ped_anova(&history, None, Target::AllObjectives).expect("assessable")[0].1;
        assert!((found - want).abs() <= 1e-9 * want, "{distribution}: {found}, want {want}");
    }
}

/// The squares of such values are no floats; the forest sees them scaled.
#[test]
fn one_huge_value_leaves_the_forests_importances_as_they_are() {
    let unit = Distribution::float(0.0, 1.0, false, None).expect("a range");
    let assess = |huge: f64| {
        let mut trials = Vec::new();
        for number in 0..40 {
            let mut trial = new_trial(number);
            for (name, factor) in [("x", 0.618_033_988_749), ("y", 0.414_213_562_373)] {
                let internal = (f64::from(number) * factor).fract();
                trial
                    .params
                    .push((name.to_owned(), Param { distribution: unit.clone(), internal }));
            }
            let value = trial.params[0].1.internal;
            trial.values = vec![if number == 7 { huge } else { value }];
            trials.push(trial);
        }
        let history = History::new(vec![StudyDirection::Minimize], trials);
        let fanova = fanova(&history, None, 0, 0).expect("assessable");
        (fanova, mean_decrease_impurity(&history, None, 0, 0).expect("assessable"))
    };
    let want = assess(2f64.powi(300));
    assert_eq!(assess(2f64.powi(1000)), want);
    for (found, want) in assess(1e300).0.iter().zip(&want.0) {
        assert!((found.1 - want.1).abs() < 1e-9, "{found:?}, want {want:?}");
    }
}
