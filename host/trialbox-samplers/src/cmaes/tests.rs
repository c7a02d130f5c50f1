//! The sampler as a study sees it.

use super::*;
use crate::testing::{ask, trial_with};

use trialbox_core::seam::rng::trial_rng;
use trialbox_core::{FrozenTrial, Param, StudyDirection, TrialNumber};

type Space = Vec<(&'static str, Distribution)>;

fn numbers(n: usize) -> Space {
    let names = ["a", "b", "c", "d", "e"];
    let range = Distribution::float(-1.0, 3.0, false, None).expect("a range");
    names[..n].iter().map(|name| (*name, range.clone())).collect()
}

fn with_choices() -> Space {
    let mut space = numbers(2);
    let choices = ["p", "q", "r"].map(Into::into).to_vec();
    space.push(("choice", Distribution::categorical(choices).expect("choices")));
    space.push(("count", Distribution::int(0, 9, false, 1).expect("a range")));
    space
}

fn options(changes: &[(&str, &str)]) -> CmaEsOptions {
    let mut options = CmaEsOptions::default();
    for (name, value) in changes {
        let value = Json::parse(value).expect("JSON");
        crate::options::set(&mut options, CmaEsOptions::owner(), name, &value).expect("an option");
    }
    options
}

fn history(trials: &[FrozenTrial]) -> History {
    History::new(vec![StudyDirection::Minimize], trials.to_vec())
}

/// Returns a trial that asks for all parameters while the others are as they are.
fn asked(sampler: &dyn Sampler, space: &Space, trials: &[FrozenTrial], number: u32) -> FrozenTrial {
    let history = history(trials);
    let mut rng = trial_rng(4, TrialNumber(number));
    let ask = Ask { number: TrialNumber(number), ..ask(&history) };
    let joint = sampler.relative_search_space(&ask);
    let drawn = match joint.is_empty() {
        true => Suggestion::default(),
        false => sampler.sample_relative(&ask, &joint, &mut rng),
    };
    let mut trial = trial_with(number, TrialState::Running, &[]);
    trial.system_attrs.extend(drawn.system_attrs);
    for (name, distribution) in space {
        let own = || sampler.sample_independent(&ask, name, distribution, &mut rng);
        let internal = drawn.params.get(*name).copied().unwrap_or_else(own);
        let distribution = distribution.clone();
        trial.params.push(((*name).to_owned(), Param { distribution, internal }));
    }
    trial
}

fn finish(trial: &mut FrozenTrial) {
    let loss: f64 = trial.params.iter().map(|(_, param)| (param.internal - 0.7).powi(2)).sum();
    (trial.state, trial.values) = (TrialState::Complete, vec![loss]);
}

/// Runs trials one after another.
fn run(sampler: &dyn Sampler, space: &Space, n: u32) -> Vec<FrozenTrial> {
    let mut trials: Vec<FrozenTrial> = Vec::new();
    for number in 0..n {
        let mut trial = asked(sampler, space, &trials, number);
        finish(&mut trial);
        trials.push(trial);
    }
    trials
}

fn best(trials: &[FrozenTrial]) -> f64 {
    trials.iter().filter_map(|it| it.values.first()).copied().fold(f64::INFINITY, f64::min)
}

fn generation(trial: &FrozenTrial, variant: Variant) -> Option<i64> {
    trial.system_attrs.get(variant.generation_attr())?.as_i64()
}

#[test]
fn every_variant_finds_the_minimum_of_a_bowl() {
    for (changes, space, variant, largest) in [
        (&[][..], numbers(5), Variant::Full, 1e-3),
        (&[("use_separable_cma", "true")], numbers(5), Variant::Separable, 1e-3),
        (&[("with_margin", "true")], numbers(5), Variant::Margin, 1e-3),
        (&[("lr_adapt", "true")], numbers(3), Variant::Full, 0.1),
        (&[], with_choices(), Variant::Mixed, 0.19),
    ] {
        let trials = run(options(changes).build().as_ref(), &space, 250);
        assert!(best(&trials) < largest, "{changes:?}: {}", best(&trials));
        assert_eq!(generation(&trials[0], variant), None);
        let size = trials.iter().filter(|it| generation(it, variant) == Some(0)).count();
        let of_next = trials.iter().filter(|it| generation(it, variant) == Some(1)).count();
        assert_eq!((size, of_next), (size.max(5), size), "{changes:?}");
    }
}

#[test]
fn a_stored_state_is_what_a_replay_computes() {
    for (changes, space) in [
        (&[][..], numbers(4)),
        (&[("use_separable_cma", "true")], numbers(4)),
        (&[("with_margin", "true")], numbers(4)),
        (&[("lr_adapt", "true")], numbers(2)),
        (&[], with_choices()),
    ] {
        let sampler = options(changes).build();
        let trials = run(sampler.as_ref(), &space, 60);
        let has_state =
            |trial: &&FrozenTrial| trial.system_attrs.contains_key("trialbox:sampler:cmaes:0");
        assert!(trials.iter().filter(has_state).count() > 3);
        let mut stripped = trials.clone();
        for trial in &mut stripped {
            trial.system_attrs.retain(|key, _| !key.starts_with("trialbox:sampler:cmaes"));
        }
        let next = |trials: &[FrozenTrial]| asked(sampler.as_ref(), &space, trials, 60).params;
        assert_eq!(next(&trials), next(&stripped), "{changes:?}");
        // A state that was cut off or belongs to another space is none.
        let mut torn = trials.clone();
        for trial in &mut torn {
            for (key, value) in &mut trial.system_attrs {
                if let (true, Some(text)) =
                    (key.starts_with("trialbox:sampler:cmaes"), value.as_str())
                {
                    *value = text[..text.len() - 3].into();
                }
            }
        }
        assert_eq!(next(&trials), next(&torn), "{changes:?}");
    }
}

#[test]
fn results_count_in_the_order_in_which_trials_finish() {
    let (sampler, space) = (options(&[("popsize", "4")]).build(), numbers(2));
    let mut trials = run(sampler.as_ref(), &space, 1);
    // Ten at a time: more than a population.
    for number in 1..11 {
        let trial = asked(sampler.as_ref(), &space, &trials, number);
        trials.push(trial);
    }
    let generation_of_next = |trials: &[FrozenTrial]| {
        generation(&asked(sampler.as_ref(), &space, trials, 50), Variant::Full)
    };
    for (n_finished, want) in [(0, 0), (3, 0), (4, 1), (7, 1), (8, 2), (10, 2)] {
        let mut trials = trials.clone();
        trials[1..=n_finished].iter_mut().for_each(finish);
        assert_eq!(generation_of_next(&trials), Some(want), "{n_finished}");
        // Trials that failed count for nothing.
        trials[1..].iter_mut().for_each(|trial| {
            if trial.state == TrialState::Running {
                trial.state = TrialState::Fail;
            }
        });
        assert_eq!(generation_of_next(&trials), Some(want), "{n_finished}");
    }
}

#[test]
fn trials_of_python_workers_count_by_their_generation() {
    let (sampler, space) = (options(&[("popsize", "4")]).build(), numbers(2));
    let mut trials = run(sampler.as_ref(), &space, 9);
    for trial in &mut trials {
        trial.system_attrs.retain(|key, _| key == "cma:generation");
        trial.system_attrs.insert("cma:optimizer:0".to_owned(), "80049".into());
    }
    let next = asked(sampler.as_ref(), &space, &trials, 9);
    assert_eq!(generation(&next, Variant::Full), Some(2));
    trials.iter_mut().for_each(|trial| trial.system_attrs.clear());
    let next = asked(sampler.as_ref(), &space, &trials, 9);
    assert_eq!(generation(&next, Variant::Full), Some(0));
}

#[test]
fn several_objectives_and_choices_of_other_variants_are_drawn_by_themselves() {
    let mut first = trial_with(0, TrialState::Complete, &[]);
    for (name, distribution) in with_choices() {
        first.params.push((name.to_owned(), Param { distribution, internal: 1.0 }));
    }
    let names = |options: &CmaEsOptions, history: &History| -> Vec<String> {
        let space = options.build().relative_search_space(&ask(history));
        space.iter().map(|(name, _)| name.to_owned()).collect()
    };
    let one = history(&[first.clone()]);
    assert_eq!(names(&options(&[]), &one), ["a", "b", "choice", "count"]);
    for other in ["use_separable_cma", "with_margin", "lr_adapt"] {
        assert_eq!(names(&options(&[(other, "true")]), &one), ["a", "b", "count"]);
    }
    assert_eq!(names(&options(&[("with_categorical", "false")]), &one), ["a", "b", "count"]);
    let two = History::new(vec![StudyDirection::Minimize; 2], vec![first]);
    assert_eq!(names(&options(&[]), &two), [""; 0]);
}

#[test]
fn infeasible_trials_count_as_worse_than_feasible_ones() {
    let (sampler, space) = (options(&[("popsize", "6")]).build(), numbers(2));
    let mut trials = run(sampler.as_ref(), &space, 1);
    for number in 1..200 {
        let mut trial = asked(sampler.as_ref(), &space, &trials, number);
        finish(&mut trial);
        // The best feasible point is a = 1.5.
        let a = trial.params[0].1.internal;
        trial.system_attrs.insert("constraints:a".to_owned(), (1.5 - a).into());
        trials.push(trial);
    }
    let feasible: Vec<FrozenTrial> = trials.into_iter().filter(|it| it.is_feasible()).collect();
    assert!(best(&feasible) < 0.64 + 0.02, "{}", best(&feasible));
}

#[test]
fn a_search_starts_at_x0_and_from_the_promising_trials_of_another_study() {
    let space = numbers(2);
    let x0 = options(&[("x0", r#"{"a": 2.5}"#), ("sigma0", "1e-6")]);
    let trials = run(x0.build().as_ref(), &space, 2);
    let found: Vec<f64> = trials[1].params.iter().map(|(_, param)| param.internal).collect();
    assert!((found[0] - 2.5).abs() < 1e-4 && (found[1] - 1.0).abs() < 1e-4, "{found:?}");

    let sources: Vec<String> = (0..20)
        .map(|i| format!(r#"{{"params": {{"a": {}, "b": 0}}, "value": {i}}}"#, 0.05 * f64::from(i)))
        .collect();
    let warm = options(&[("source_trials", &format!("[{}]", sources.join(", ")))]);
    let mut sum = 0.0;
    let first = run(warm.build().as_ref(), &space, 1);
    for number in 1..50 {
        sum += asked(warm.build().as_ref(), &space, &first, number).params[0].1.internal / 49.0;
    }
    assert!((sum - 0.025).abs() < 0.2, "{sum}");
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let both = options(&[("use_separable_cma", "true"), ("with_margin", "true")]);
    assert_eq!(
        both.check_complete().map_err(|error| error.to_string()),
        Err(
            "option `with_margin` of sampler `cmaes`: expected no value beside use_separable_cma, \
             found with_margin and use_separable_cma"
                .to_owned()
        )
    );
    let sampler = both.build();
    assert_eq!(run(sampler.as_ref(), &numbers(2), 20).len(), 20);
}
