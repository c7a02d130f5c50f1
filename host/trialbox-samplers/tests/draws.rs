//! 5,000 suggestions of ours against 5,000 of Optuna's on recorded histories of every kind: two-sample tests
//! of each parameter and of all together, none of which may reject after Holm's correction at 1 %.
//!
//! Seeds are fixed on both sides, so that a run either always passes or never does.

mod common;
mod two_samples;

use common::{Recorded, histories};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use trialbox_core::seam::rng::trial_rng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::{Distribution, Json, Sampler, TrialNumber};
use trialbox_samplers::SamplerConfig;
use two_samples::{Sample, Scale, holm_rejections, joint_p_value, p_value};

const N_DRAWS: usize = 5000;
const LEVEL: f64 = 0.01;

#[test]
fn suggestions_are_distributed_as_optunas() {
    let histories = histories();
    assert!(histories.len() >= 30);
    let recorded = recorded_draws(&histories);
    let p_values = on_all_cores(histories.len(), |index| {
        let history = &histories[index];
        let ours = draw(tpe(&history.options).as_ref(), history);
        compare(history, &recorded[index], &ours)
    });
    let p_values: Vec<(String, f64)> = p_values.into_iter().flatten().collect();
    let rejected = holm_rejections(&p_values, LEVEL);
    assert!(rejected.is_empty(), "of {} tests these reject: {rejected:?}", p_values.len());
}

/// What the comparison would miss is what it says nothing about.
#[test]
fn the_comparison_tells_slightly_wrong_samplers_apart() {
    let histories = histories();
    let recorded = recorded_draws(&histories);
    for (name, wrong) in [
        ("mixed", r#"{"n_ei_candidates": 18}"#),
        ("uniform", r#"{"prior_weight": 2.0}"#),
        ("running, relative", r#"{"constant_liar": false}"#),
        ("conditional, group", r#"{"group": false}"#),
    ] {
        let index = histories.iter().position(|it| it.name == name).expect("a history");
        let ours = draw(tpe(&Json::parse(wrong).expect("JSON")).as_ref(), &histories[index]);
        let p_values = compare(&histories[index], &recorded[index], &ours);
        assert!(!holm_rejections(&p_values, LEVEL).is_empty(), "{name}: {p_values:?}");
    }
}

fn tpe(options: &Json) -> Box<dyn Sampler> {
    let json = Json::object([("name", "tpe".into()), ("options", options.clone())]);
    SamplerConfig::from_json(&json).expect("options of TPE").build()
}

/// Runs `work` for 0..n on as many threads as there are cores; the results in order.
fn on_all_cores<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= n {
                    return done;
                }
                done.push((index, work(index)));
            }
        };
        let workers: Vec<_> = (0..n_threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Python's draws of every history: one row a draw, one number a parameter.
fn recorded_draws(histories: &[Recorded]) -> Vec<Sample> {
    let bytes = include_bytes!("golden/draws.bin");
    let mut numbers = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let draws: Vec<Sample> = histories
        .iter()
        .map(|history| {
            let row = |_| numbers.by_ref().take(history.asked.len()).collect();
            (0..N_DRAWS).map(row).collect()
        })
        .collect();
    assert_eq!(numbers.next(), None, "draws.bin and histories.json are of one recording");
    draws
}

/// Our draws: those of one trial that asks for everything, 5,000 times with another stream.
fn draw(sampler: &dyn Sampler, recorded: &Recorded) -> Sample {
    let none = BTreeMap::new();
    let ask = Ask {
        history: &recorded.history,
        number: TrialNumber(recorded.history.trials().len() as u32),
        params: &[],
        fixed_params: &[],
        system_attrs: &none,
    };
    let space = sampler.relative_search_space(&ask);
    let row = |stream: usize| {
        let mut rng = trial_rng(2026, TrialNumber(stream as u32));
        let relative = sampler.sample_relative(&ask, &space, &mut rng).params;
        let value = |(name, distribution): &(String, Distribution)| {
            let drawn = relative.get(name).copied().filter(|value| distribution.contains(*value));
            let value = drawn
                .unwrap_or_else(|| sampler.sample_independent(&ask, name, distribution, &mut rng));
            assert!(distribution.contains(value), "{name} = {value} of {distribution}");
            quantise(value, distribution)
        };
        recorded.asked.iter().map(value).collect()
    };
    (0..N_DRAWS).map(row).collect()
}

fn scale(distribution: &Distribution) -> Scale {
    let (low, high, step) = match distribution {
        Distribution::Categorical(categorical) => {
            return Scale::Choices(categorical.choices().len());
        }
        Distribution::Float(float) => (float.low(), float.high(), float.step()),
        Distribution::Int(int) => (int.low() as f64, int.high() as f64, Some(int.step() as f64)),
    };
    match step {
        Some(step) if (high - low) / step <= 1000.0 => {
            Scale::Grid(((high - low) / step).round() as usize + 1)
        }
        _ => Scale::Continuous,
    }
}

/// As `quantise` in `golden/record.py`.
fn quantise(value: f64, distribution: &Distribution) -> u16 {
    let (low, high, step, log) = match distribution {
        Distribution::Categorical(_) => return value as u16,
        Distribution::Float(float) => {
            (float.low(), float.high(), float.step().unwrap_or(1.0), float.log())
        }
        Distribution::Int(int) => {
            (int.low() as f64, int.high() as f64, int.step() as f64, int.log())
        }
    };
    if let Scale::Grid(_) = scale(distribution) {
        return ((value - low) / step).round() as u16;
    }
    let place = |value: f64| if log { value.ln() } else { value };
    ((place(value) - place(low)) / (place(high) - place(low)) * 65535.0).round() as u16
}

/// Returns the tests of one history: one a parameter, and one of all together.
fn compare(history: &Recorded, theirs: &Sample, ours: &Sample) -> Vec<(String, f64)> {
    let scales: Vec<Scale> = history.asked.iter().map(|(_, it)| scale(it)).collect();
    let column = |sample: &Sample, index: usize| -> Vec<u16> {
        sample.iter().map(|row| row[index]).collect()
    };
    let one = |(index, (name, _)): (usize, &(String, Distribution))| {
        let p = p_value(&column(theirs, index), &column(ours, index), &scales[index]);
        (format!("{}: {name}", history.name), p)
    };
    let mut p_values: Vec<(String, f64)> = history.asked.iter().enumerate().map(one).collect();
    p_values
        .push((format!("{}: all together", history.name), joint_p_value(theirs, ours, &scales)));
    p_values
}
