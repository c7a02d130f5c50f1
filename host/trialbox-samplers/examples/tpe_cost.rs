//! The CPU time of one joint suggestion of TPE, by trials, parameters and candidates; one line a case, as
//! `trials,parameters,candidates,milliseconds`. Run by `cargo xtask bench tpe`.
#![expect(clippy::print_stdout, reason = "an experiment, whose result goes to whoever runs it")]

use std::collections::BTreeMap;
use trialbox_core::distribution::Distribution;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::rng::{TrialRng, trial_rng};
use trialbox_core::sampler::{Ask, Sampler as _};
use trialbox_core::study::StudyDirection;
use trialbox_core::transform::{bounds, untransform};
use trialbox_core::trial::{FrozenTrial, Param, TrialId, TrialNumber, TrialState};
use trialbox_samplers::{RandomSampler, TpeOptions, TpeSampler};

fn main() {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|text| text.parse().expect("a whole number")).collect();
    if let [n_trials, n_parameters, n_candidates] = arguments[..] {
        return report(n_trials as u32, n_parameters, n_candidates);
    }
    for n_trials in [100, 1000, 10_000] {
        report(n_trials, 10, 24);
    }
    for n_parameters in [1, 3, 30, 100] {
        report(1000, n_parameters, 24);
    }
    for n_candidates in [1, 100, 1000] {
        report(1000, 10, n_candidates);
    }
}

fn report(n_trials: u32, n_parameters: usize, n_ei_candidates: usize) {
    let history = history(n_trials, n_parameters);
    let sampler = TpeSampler::new(TpeOptions {
        n_ei_candidates,
        n_startup_trials: 1,
        ..TpeOptions::default()
    });
    let none = BTreeMap::new();
    let ask = Ask {
        history: &history,
        number: TrialNumber(n_trials),
        params: &[],
        fixed_params: &[],
        system_attrs: &none,
    };
    let suggest = |seed| {
        let mut rng = trial_rng(seed, ask.number);
        let space = sampler.relative_search_space(&ask);
        assert_eq!(space.len(), n_parameters);
        sampler.sample_relative(&ask, &space, &mut rng).params
    };
    suggest(0);
    // Enough draws for the scheduler's clock; the least of several batches is nearest to what the machine
    // does undisturbed.
    let n = (100_000 / n_trials).max(20) * 10 / n_parameters.max(10) as u32;
    let mut least = f64::INFINITY;
    for batch in 0..5 {
        let started = cpu_ms();
        for draw in 0..n {
            std::hint::black_box(suggest(u64::from(batch * n + draw)));
        }
        least = least.min((cpu_ms() - started) / f64::from(n));
    }
    println!("{n_trials},{n_parameters},{n_ei_candidates},{least:.4}");
}

/// The CPU time of this process so far, in milliseconds, by Linux's own count in nanoseconds.
fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux's /proc");
    let nanoseconds = text.split(' ').next().expect("three numbers");
    nanoseconds.parse::<f64>().expect("a number") * 1e-6
}

/// Random trials of three floats, two log-scaled ones, one with steps, two integers and two choices, again
/// and again.
fn history(n_trials: u32, n_parameters: usize) -> History {
    let kinds = [
        Distribution::float(-5.0, 10.0, false, None),
        Distribution::float(-5.0, 10.0, false, None),
        Distribution::float(-5.0, 10.0, false, None),
        Distribution::float(1e-5, 1.0, true, None),
        Distribution::float(1e-5, 1.0, true, None),
        Distribution::float(0.0, 0.9, false, Some(0.1)),
        Distribution::int(1, 8, false, 1),
        Distribution::int(4, 512, true, 1),
        Distribution::categorical(vec!["relu".into(), "tanh".into(), Json::Null, 2.5.into()]),
        Distribution::categorical(vec![true.into(), false.into()]),
    ];
    let kinds: Vec<Distribution> =
        kinds.into_iter().map(|kind| kind.expect("a valid distribution")).collect();
    let mut rng = trial_rng(0, TrialNumber(u32::MAX));
    let trials =
        (0..n_trials).map(|number| trial(number, &kinds, n_parameters, &mut rng)).collect();
    History::new(vec![StudyDirection::Minimize], trials)
}

fn trial(
    number: u32,
    kinds: &[Distribution],
    n_parameters: usize,
    rng: &mut TrialRng,
) -> FrozenTrial {
    let empty = History::new(vec![], vec![]);
    let none = BTreeMap::new();
    let ask = Ask {
        history: &empty,
        number: TrialNumber(number),
        params: &[],
        fixed_params: &[],
        system_attrs: &none,
    };
    let mut loss = 0.0;
    let params = (0..n_parameters).map(|index| {
        let distribution = kinds[index % kinds.len()].clone();
        let internal = RandomSampler.sample_independent(&ask, "", &distribution, rng);
        loss += distance(&distribution, internal);
        (format!("parameter_{index}"), Param { distribution, internal })
    });
    let params = params.collect();
    FrozenTrial {
        id: TrialId(i64::from(number) + 1),
        number: TrialNumber(number),
        state: TrialState::Complete,
        values: vec![loss],
        datetime_start: None,
        datetime_complete: None,
        params,
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}

/// The squared distance from a point at a third of the range.
fn distance(distribution: &Distribution, internal: f64) -> f64 {
    let Some((low, high)) = bounds(distribution) else { return 0.1 * internal };
    let best = untransform(distribution, low + (high - low) / 3.0).unwrap_or(internal);
    ((internal - best) / (high - low)).powi(2)
}
