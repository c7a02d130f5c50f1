//! What every sampler must do, whatever it proposes: values in range and on the grid, the same for the same
//! history, seed and number, on any history that a database can hold.
//!
//! A new sampler adds its configurations to `all`, a new kind of history its name to `histories`.

mod common;

use common::{GENERATIONS, new_trial};
use std::collections::BTreeMap;
use trialbox_core::seam::rng::{TrialRng, trial_rng, unit};
use trialbox_core::seam::sampler::Ask;
use trialbox_core::study::trial::is_of_search;
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, Sampler, StudyDirection, TrialNumber,
    TrialState,
};
use trialbox_samplers::{MidpointSampler, RandomSampler, SamplerConfig};

/// Returns every sampler, with the options that change what it does.
fn all() -> Vec<SamplerConfig> {
    let with = |name: &str, options: &str| {
        let options = Json::parse(options).expect("JSON");
        SamplerConfig::from_json(&Json::object([("name", name.into()), ("options", options)]))
            .expect("a sampler with options")
    };
    let tpe = |options: &str| with("tpe", options);
    let with_options = [
        tpe(r#"{"multivariate": false}"#),
        tpe(r#"{"group": true, "n_startup_trials": 1}"#),
        tpe(r#"{"multivariate": true, "constant_liar": false, "n_ei_candidates": 1}"#),
        tpe(r#"{"prior_weight": 0, "n_startup_trials": 1}"#),
        tpe(r#"{"consider_magic_clip": false, "consider_endpoints": true}"#),
        with("qmc", r#"{"scramble": true, "seed": 3}"#),
        with("qmc", r#"{"qmc_type": "halton"}"#),
        with("qmc", r#"{"qmc_type": "halton", "scramble": true}"#),
        // Values in range, beside it, and of other types.
        with(
            "grid",
            r#"{"search_space": {"p07": [1, 7], "p05": [0.3, "x", null], "p12": [0]}, "seed": 3}"#,
        ),
        with("cmaes", r#"{"use_separable_cma": true, "n_startup_trials": 0}"#),
        with("cmaes", r#"{"with_margin": true, "popsize": 2, "sigma0": 1}"#),
        with("cmaes", r#"{"lr_adapt": true, "popsize": 5, "x0": {"p00": 7, "p05": "x"}}"#),
        with("cmaes", r#"{"popsize": 3, "consider_pruned_trials": true, "sigma0": 1e-10}"#),
        with("cmaes", r#"{"popsize": 2, "with_categorical": false}"#),
        with("nsga2", r#"{"population_size": 2, "crossover_prob": 1, "mutation": "polynomial"}"#),
        with("nsga2", r#"{"crossover": "blxalpha", "alpha": 1000000, "mutation_prob": 0}"#),
        with("nsga2", r#"{"population_size": 3, "crossover": "spx", "mutation_prob": 0}"#),
        with("nsga3", r#"{"crossover": "sbx", "mutation_prob": 0, "dividing_parameter": 100}"#),
        with("nsga3", r#"{"crossover": "vsbx", "reference_points": [[1, 0], [0, 1e100]]}"#),
        with("nsga2", r#"{"crossover": "undx", "mutation": "polynomial", "mutation_eta": 1e6}"#),
        with("brute-force", r#"{"avoid_premature_stop": true}"#),
    ];
    SamplerConfig::all().chain(with_options).collect()
}

type Space = Vec<(String, Distribution)>;

/// Ranges of every kind, some with hardly any room in them.
fn space() -> Space {
    let choices = |n: i64| (0..n).map(Json::from).collect::<Vec<_>>();
    let distributions = [
        Distribution::float(0.0, 1.0, false, None),
        Distribution::float(-1e300, 1e300, false, None),
        Distribution::float(5e-324, 1e308, true, None),
        Distribution::float(1e-9, 1e-9, true, None),
        Distribution::float(1.0, 1.0f64.next_up(), false, None),
        Distribution::float(0.0, 1.0, false, Some(0.3)),
        Distribution::float(-1.0, 1.0, false, Some(5.0)),
        Distribution::int(0, 1, false, 1),
        Distribution::int(-(1 << 53), 1 << 53, false, 1),
        Distribution::int(1, 1 << 53, true, 1),
        Distribution::int(3, 1000, false, 7),
        Distribution::int(5, 5, false, 1),
        Distribution::categorical(choices(1)),
        Distribution::categorical(choices(1000)),
    ];
    let named = |(index, distribution): (usize, Result<Distribution, _>)| {
        (format!("p{index:02}"), distribution.expect("a valid distribution"))
    };
    distributions.into_iter().enumerate().map(named).collect()
}

fn even(distribution: &Distribution, rng: &mut TrialRng) -> f64 {
    let (history, none) = (History::new(vec![], vec![]), BTreeMap::new());
    RandomSampler.sample_independent(&ask(&history, &none, 0), "", distribution, rng)
}

fn ask<'a>(history: &'a History, attrs: &'a BTreeMap<String, Json>, number: u32) -> Ask<'a> {
    Ask {
        history,
        number: TrialNumber(number),
        params: &[],
        fixed_params: &[],
        system_attrs: attrs,
    }
}

/// Returns COMPLETE trials with even draws.
fn complete(n: u32, space: &Space, n_objectives: usize) -> Vec<FrozenTrial> {
    let mut rng = trial_rng(n.into(), TrialNumber(u32::MAX));
    let trial = |number| FrozenTrial {
        values: (0..n_objectives).map(|_| unit(&mut rng)).collect(),
        params: space
            .iter()
            .map(|(name, distribution)| {
                let internal = even(distribution, &mut rng);
                (name.clone(), Param { distribution: distribution.clone(), internal })
            })
            .collect(),
        ..new_trial(number)
    };
    (0..n).map(trial).collect()
}

fn changed(
    mut trials: Vec<FrozenTrial>,
    change: impl Fn(u32, &mut FrozenTrial),
) -> Vec<FrozenTrial> {
    trials.iter_mut().for_each(|trial| change(trial.number.0, trial));
    trials
}

/// Histories of one objective, and what is asked for on them.
fn histories() -> Vec<(&'static str, Vec<FrozenTrial>, Space)> {
    let of_space = |n| complete(n, &space(), 1);
    let wide = (0..200).map(|i| (format!("x{i:03}"), space()[[0, 5, 9, 13][i % 4]].1.clone()));
    let wide: Space = wide.collect();
    let float = |high: f64| Distribution::float(0.0, high, false, None).expect("a range");
    vec![
        ("empty", vec![], space()),
        ("one point", of_space(1), space()),
        ("plain", of_space(30), space()),
        ("constant", changed(of_space(30), |_, trial| trial.values = vec![1.0]), space()),
        ("all infinite", changed(of_space(30), |_, it| it.values = vec![f64::INFINITY]), space()),
        (
            "infinite",
            changed(of_space(30), |i, it| {
                it.values = vec![[1.0, f64::NEG_INFINITY, f64::INFINITY][i as usize % 3]]
            }),
            space(),
        ),
        ("pruned", changed(of_space(30), prune), space()),
        ("infeasible", changed(of_space(30), violate), space()),
        (
            "one value",
            changed(of_space(30), |_, it| {
                it.params.iter_mut().for_each(|(_, param)| {
                    param.internal = even(&param.distribution, &mut trial_rng(0, TrialNumber(0)))
                })
            }),
            space(),
        ),
        ("fixed outside of the range", changed(of_space(30), fix_outside), space()),
        (
            "conditional",
            changed(of_space(40), |i, it| {
                it.params.retain(|(name, _)| name.ends_with(char::from(b'0' + (i % 4) as u8)))
            }),
            space(),
        ),
        (
            "changing ranges",
            changed(of_space(40), |i, it| {
                it.params = vec![(
                    "x".to_owned(),
                    Param { distribution: float(f64::from(i + 1)), internal: f64::from(i) },
                )]
            }),
            vec![("x".to_owned(), float(3.0))],
        ),
        (
            "incompatible",
            changed(of_space(30), |i, it| it.params.rotate_left(i as usize % 3)),
            incompatible(),
        ),
        ("zombies", changed(of_space(80), haunt), space()),
        (
            "only zombies",
            changed(of_space(30), |_, it| (it.state, it.values) = (TrialState::Running, vec![])),
            space(),
        ),
        (
            "failed and waiting",
            changed(of_space(30), |i, it| {
                (it.state, it.values) =
                    (if i % 2 == 0 { TrialState::Fail } else { TrialState::Waiting }, vec![])
            }),
            space(),
        ),
        (
            "without parameters",
            changed(of_space(30), |i, it| {
                if i % 5 == 0 {
                    it.params.clear()
                }
            }),
            space(),
        ),
        ("200 parameters", complete(40, &wide, 1), wide),
        ("10,000 trials", of_space(10_000), space()),
        ("generations", changed(of_space(60), belong), space()),
        ("a few generations", changed(of_space(20), belong), space()),
    ]
}

/// Trials of generations of five, some of which failed, with values fixed outside of the range here and there.
fn belong(number: u32, trial: &mut FrozenTrial) {
    for key in GENERATIONS {
        trial.system_attrs.insert(key.to_owned(), Json::Int((number / 5).into()));
    }
    match number % 7 {
        0 => (trial.state, trial.values) = (TrialState::Fail, vec![]),
        1 => fix_outside(number, trial),
        2 => violate(number, trial),
        3 => trial.values = vec![f64::NEG_INFINITY],
        4 => trial.system_attrs.extend(GENERATIONS.map(|key| (key.to_owned(), "last".into()))),
        _ => {}
    }
}

fn prune(number: u32, trial: &mut FrozenTrial) {
    trial.state = TrialState::Pruned;
    trial.values = vec![];
    let values = [0.5, f64::NAN, f64::INFINITY];
    trial.intermediate_values =
        (0..number % 4).map(|step| (step.into(), values[(number + step) as usize % 3])).collect();
}

fn violate(number: u32, trial: &mut FrozenTrial) {
    let violation = if number.is_multiple_of(2) { f64::INFINITY } else { f64::from(number) };
    trial.system_attrs.insert("constraints:c".to_owned(), violation.into());
}

/// What a user fixes need not be in the range.
fn fix_outside(number: u32, trial: &mut FrozenTrial) {
    for (_, param) in &mut trial.params {
        match &param.distribution {
            Distribution::Float(float) if float.log() => param.internal = 1e-300,
            Distribution::Int(int) if int.log() => param.internal = 1e15,
            Distribution::Categorical(_) => {}
            _ => param.internal = f64::from(number) * 1e6 - 1e7 + 0.5,
        }
    }
}

/// Returns the same names as other kinds, as two first trials that run at the same time can leave them behind.
fn incompatible() -> Space {
    let mut space = space();
    let distributions: Vec<Distribution> = space.iter().map(|(_, it)| it.clone()).collect();
    let n = space.len();
    for (index, (_, distribution)) in space.iter_mut().enumerate() {
        *distribution = distributions[(index + 5) % n].clone();
    }
    space
}

/// Of five trials four are RUNNING: with nothing, with a part, with a joint draw, with half of its text.
fn haunt(number: u32, trial: &mut FrozenTrial) {
    let Some(how) = (number % 5).checked_sub(1) else { return };
    trial.state = TrialState::Running;
    trial.values = vec![];
    let external = trial.params.iter().map(|(name, param)| (name.clone(), param.external()));
    let text = Json::object(external.collect::<Vec<_>>()).to_string();
    match how {
        0 => trial.params.clear(),
        1 => trial.params.truncate(3),
        _ => {
            trial.params.truncate(1);
            let text = &text[..if how == 2 { text.len() } else { text.len() / 2 }];
            trial.system_attrs.insert("tpe:relative_params:0".to_owned(), text.into());
        }
    }
}

/// What a trial of that number gets when it asks for everything: as the session asks.
fn suggest_all(sampler: &dyn Sampler, history: &History, asked: &Space, number: u32) -> Vec<f64> {
    let mut rng = trial_rng(7, TrialNumber(number));
    let mut attrs = BTreeMap::new();
    let marks = sampler.before_trial(&ask(history, &attrs, number), &mut rng);
    attrs.extend(marks);
    let before = ask(history, &attrs, number);
    let space = sampler.relative_search_space(&before);
    let drawn = sampler.sample_relative(&before, &space, &mut rng);
    for (name, value) in &drawn.params {
        let distribution = space.get(name).expect("a parameter of the space");
        assert!(distribution.contains(*value), "{name} = {value} of {distribution}");
    }
    attrs.extend(drawn.system_attrs.iter().cloned());
    // What no storage reads back would tell later trials nothing, without an error.
    for key in attrs.keys() {
        assert!(is_of_search(TrialState::Running, key), "no later trial reads `{key}`");
    }
    let mut params: Vec<(String, Param)> = Vec::new();
    for (name, distribution) in asked {
        let relative = drawn.params.get(name).copied().filter(|it| distribution.contains(*it));
        let internal = relative.unwrap_or_else(|| {
            let ask = Ask { params: &params, ..ask(history, &attrs, number) };
            sampler.sample_independent(&ask, name, distribution, &mut rng)
        });
        params.push((name.clone(), Param { distribution: distribution.clone(), internal }));
    }
    params.into_iter().map(|(_, param)| param.internal).collect()
}

#[track_caller]
fn check(name: &str, history: &History, asked: &Space, n_draws: u32) {
    for config in all() {
        let context = format!("{config} on {name}");
        // A fit of a model takes milliseconds.
        let n_draws =
            if ["gp", "auto"].contains(&config.name()) { n_draws.min(2) } else { n_draws };
        check_sampler(&context, || config.build(), history, asked, n_draws);
    }
    let context = format!("midpoint on {name}");
    check_sampler(&context, || Box::new(MidpointSampler), history, asked, n_draws);
}

#[track_caller]
fn check_sampler(
    context: &str,
    build: impl Fn() -> Box<dyn Sampler>,
    history: &History,
    asked: &Space,
    n_draws: u32,
) {
    let sampler = build();
    for number in 0..n_draws {
        let values = suggest_all(sampler.as_ref(), history, asked, 100_000 + number);
        for ((parameter, distribution), value) in asked.iter().zip(&values) {
            assert!(
                distribution.contains(*value),
                "{context}: {parameter} = {value} of {distribution}"
            );
        }
        let again = suggest_all(build().as_ref(), history, asked, 100_000 + number);
        assert_eq!(values, again, "{context}");
    }
}

#[test]
fn every_draw_is_in_range_and_the_same_again_on_every_history() {
    for (name, trials, asked) in histories() {
        let n_draws = if trials.len() > 1000 || asked.len() > 100 { 1 } else { 5 };
        for direction in [StudyDirection::Minimize, StudyDirection::Maximize] {
            check(name, &History::new(vec![direction], trials.clone()), &asked, n_draws);
        }
    }
}

#[test]
fn every_draw_is_in_range_with_several_objectives() {
    let both = [StudyDirection::Minimize, StudyDirection::Maximize];
    for n_objectives in [2, 3, 4] {
        let directions: Vec<StudyDirection> = both.into_iter().cycle().take(n_objectives).collect();
        let trials = complete(40, &space(), n_objectives);
        let equal = changed(trials.clone(), |_, it| it.values.fill(0.0));
        let infinite = changed(trials.clone(), |i, it| {
            it.values[i as usize % n_objectives] =
                [f64::INFINITY, f64::NEG_INFINITY][i as usize % 2];
        });
        let constrained = changed(trials.clone(), violate);
        let generations = changed(complete(60, &space(), n_objectives), |i, it| {
            let values = it.values.clone();
            belong(i, it);
            if it.state == TrialState::Complete {
                it.values = values;
            }
        });
        for (name, trials) in [
            ("several", trials),
            ("equal", equal),
            ("infinite", infinite),
            ("constrained", constrained),
            ("generations", generations),
        ] {
            check(name, &History::new(directions.clone(), trials), &space(), 3);
        }
    }
}

#[test]
fn draws_of_different_trials_differ() {
    let asked = vec![space()[0].clone()];
    let history = History::new(vec![StudyDirection::Minimize], complete(30, &asked, 1));
    for config in all() {
        let first = |number| suggest_all(config.build().as_ref(), &history, &asked, number)[0];
        let mut values: Vec<u64> = (0..20).map(|number| first(number).to_bits()).collect();
        values.sort_unstable();
        values.dedup();
        assert_eq!(values.len(), 20, "{config}");
    }
}

#[test]
fn a_search_that_is_not_finite_goes_on() {
    let history = History::new(vec![StudyDirection::Minimize], complete(30, &space(), 1));
    for config in all() {
        let sampler = config.build();
        assert!(sampler.is_finite() || !sampler.is_exhausted(&history), "{config}");
    }
    assert!(!MidpointSampler.is_finite() && !MidpointSampler.is_exhausted(&history));
}

#[test]
fn a_name_that_is_no_sampler_lists_those_there_are() {
    let error = SamplerConfig::parse("tea").expect_err("no such sampler");
    assert_eq!(
        error.to_string(),
        "unknown sampler `tea`: expected tpe, auto, random, qmc, gp, cmaes, nsga2, nsga3, grid or brute-force"
    );
}

#[test]
fn a_study_reads_back_the_sampler_that_it_remembers() {
    for config in all() {
        let want = config.check_complete().map(|()| config.clone());
        assert_eq!(SamplerConfig::from_json(&config.to_json()), want);
    }
    assert_eq!(all().iter().filter(|config| config.check_complete().is_err()).count(), 1);
}

#[test]
fn options_without_a_default_are_asked_for() {
    let mut grid = SamplerConfig::parse("grid").expect("a sampler");
    let error = grid.check_complete().expect_err("a grid without values");
    assert!(
        error
            .to_string()
            .starts_with("sampler `grid` needs the option `search_space`, for example")
    );
    grid.set_option(r#"search_space={"lr": [0.1, 0.01]}"#).expect("a grid");
    assert_eq!(grid.check_complete(), Ok(()));
    assert_eq!(SamplerConfig::from_json(&grid.to_json()), Ok(grid));
}
