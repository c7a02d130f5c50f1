//! `wave`: how far apart trials are that start in one instant, as those of an array job do.

use crate::noise::mix;
use crate::problem::Problem;
use crate::problems;
use crate::proposer::{OurProposer, Proposer as _, draw, new_trial};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::Path;
use trialbox_core::space::transform::bounds;
use trialbox_core::{Distribution, FrozenTrial, History, Param, TrialNumber, TrialState};
use trialbox_samplers::SamplerConfig;

/// The number of trials that finish before, one after another.
const BEFORE: usize = 40;

/// The number of trials that start together.
const WAVE: u32 = 64;

/// The number of waves, each after trials of another seed.
const SEEDS: u64 = 3;

/// The distance in the unit cube, in the most distant parameter, from which two trials are different ones.
const APART: f64 = 0.01;

/// The part of a wave that each of its trials sees.
#[derive(Debug, Clone, Copy)]
enum Seen {
    /// The parameters of those that started before.
    All,
    /// That others run, but not yet where.
    Running,
    /// Nothing: the others have not been recorded.
    Nothing,
}

/// Draws waves; writes `wave.md` into `folder`, and returns it.
///
/// # Errors
/// An unknown sampler or problem.
pub(crate) fn run(samplers: &[String], problems: &[String], folder: &Path) -> Result<String> {
    let problems = problems::named(problems)?;
    let mut text = format!(
        "# Waves of {WAVE} trials\n\n\
         After {BEFORE} trials one after another, {WAVE} start in one instant. The number of those without an earlier \
         one within {APART} of the unit cube, in the most distant parameter; {SEEDS} waves.\n\n\
         | problem | sampler | all seen | running, but not where | nothing seen |\n|---|---|---|---|---|\n"
    );
    for problem in &problems {
        for sampler in samplers {
            let mut cells = Vec::new();
            for seen in [Seen::All, Seen::Running, Seen::Nothing] {
                let counts: Result<Vec<String>> = (0..SEEDS)
                    .map(|seed| Ok(n_apart(sampler, problem, seed, seen)?.to_string()))
                    .collect();
                cells.push(counts?.join(", "));
            }
            let _ = writeln!(text, "| {} | {sampler} | {} |", problem.name, cells.join(" | "));
        }
    }
    std::fs::write(folder.join("wave.md"), &text)?;
    Ok(text)
}

fn n_apart(name: &str, problem: &Problem, seed: u64, seen: Seen) -> Result<usize> {
    let mut proposer = OurProposer::new(name)?;
    proposer.begin(problem, seed)?;
    for number in 0..BEFORE {
        let point = proposer.ask(problem)?;
        proposer.tell(number, &problem.evaluate(&point, (seed << 20) ^ number as u64))?;
    }
    let sampler = SamplerConfig::parse(name)?.build();
    let (directions, mut trials) = proposer.into_study();
    let mut wave: Vec<FrozenTrial> = Vec::new();
    for number in (BEFORE as u32..).take(WAVE as usize) {
        let history = History::new(directions.clone(), trials.clone());
        let number = TrialNumber(number);
        let (_, trial) =
            draw(sampler.as_ref(), &history, &problem.params, (mix(seed, problem.name), number))?;
        match seen {
            Seen::All => trials.push(trial.clone()),
            Seen::Running => trials.push(new_trial(number, TrialState::Running)),
            Seen::Nothing => {}
        }
        wave.push(trial);
    }
    let is_new = |index: &usize| {
        let earlier = &wave[..*index];
        earlier.iter().all(|other| distance(other, &wave[*index]) >= APART)
    };
    Ok((0..wave.len()).filter(is_new).count())
}

/// Returns the largest difference of a parameter, in widths of its range; 1 for other choices and other parameters.
fn distance(a: &FrozenTrial, b: &FrozenTrial) -> f64 {
    if a.params.len() != b.params.len() {
        return 1.0;
    }
    let mut largest = 0.0f64;
    for (name, param) in &a.params {
        let difference = match b.param(name) {
            Some(other) => (place(param) - place(other)).abs(),
            None => 1.0,
        };
        largest = difference.max(largest);
    }
    largest
}

fn place(param: &Param) -> f64 {
    let Some((low, high)) = bounds(&param.distribution) else { return param.internal };
    let is_log = match &param.distribution {
        Distribution::Float(float) => float.log(),
        Distribution::Int(int) => int.log(),
        Distribution::Categorical(_) => false,
    };
    let x = if is_log { param.internal.ln() } else { param.internal };
    (x - low) / (high - low)
}
