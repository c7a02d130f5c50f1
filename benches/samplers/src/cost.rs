//! `cost`: the CPU time of a suggestion by each of our samplers, in studies that it led itself.

use crate::noise::mix;
use crate::problem::{ParamSpec, Problem};
use crate::problems;
use crate::proposer::draw;
use crate::stats::quantile;
use crate::suggest::{cpu_seconds, params, random_trials};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use trialbox_core::seam::rng::{trial_rng, unit};
use trialbox_core::study::trial::CONSTRAINT_PREFIX;
use trialbox_core::{FrozenTrial, History, Json, Sampler, StudyDirection, TrialNumber, TrialState};
use trialbox_samplers::{RandomSampler, SamplerConfig};

/// The number of suggestions that are timed at the beginning and afterwards.
const REPEATS: u32 = 9;

/// The number of finished trials.
const N_TRIALS: [usize; 3] = [200, 1000, 10_000];

/// A kind of study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ten parameters: floats, integers and choices in turn.
    Mixed,
    /// The same with three constraints.
    Constrained,
    /// Three branches of seven parameters or fewer.
    Conditional,
    /// Ten parameters and three objectives.
    ThreeObjectives,
}

impl Kind {
    const ALL: [Kind; 4] =
        [Kind::Mixed, Kind::Constrained, Kind::Conditional, Kind::ThreeObjectives];

    fn as_str(self) -> &'static str {
        match self {
            Kind::Mixed => "ten parameters",
            Kind::Constrained => "ten parameters, three constraints",
            Kind::Conditional => "conditional parameters",
            Kind::ThreeObjectives => "ten parameters, three objectives",
        }
    }

    fn n_objectives(self) -> usize {
        if self == Kind::ThreeObjectives { 3 } else { 1 }
    }
}

/// The CPU seconds of suggestions.
struct Timed {
    /// Of those that find nothing prepared.
    cold: Vec<f64>,
    /// Of those after a suggestion that left what it had learnt in its trial.
    warm: Vec<f64>,
}

/// Times every sampler; writes `cost.csv` with all times and `cost.md` with medians into `folder`, and returns the
/// latter.
///
/// # Errors
/// An unknown sampler.
pub(crate) fn run(samplers: &[String], folder: &Path) -> Result<String> {
    let mut raw = "study,n_trials,sampler,start,cpu_seconds\n".to_owned();
    let mut text = format!(
        "# CPU time of one trial's suggestions, by sampler\n\n\
         Milliseconds: the median of {REPEATS} suggestions that find nothing prepared / of {REPEATS} that follow each \
         other, each trial holding what its suggestion left for the next.\n\
         The trials are random; generations are noted as the sampler would have noted them.\n"
    );
    for kind in Kind::ALL {
        let _ = writeln!(text, "\n| {} | {} |", kind.as_str(), samplers.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(samplers.len() + 1));
        for n_trials in N_TRIALS {
            let mut cells = Vec::with_capacity(samplers.len());
            for sampler in samplers {
                let timed = time(sampler, kind, n_trials)?;
                for (start, all) in [("cold", &timed.cold), ("warm", &timed.warm)] {
                    for seconds in all {
                        let _ = writeln!(
                            raw,
                            "{},{n_trials},{sampler},{start},{seconds:.3e}",
                            kind.as_str().replace(',', " and")
                        );
                    }
                }
                let median = |seconds: &[f64]| 1e3 * quantile(seconds, 0.5);
                cells.push(format!("{:.2} / {:.2}", median(&timed.cold), median(&timed.warm)));
            }
            let _ = writeln!(text, "| {n_trials} trials | {} |", cells.join(" | "));
        }
    }
    std::fs::write(folder.join("cost.csv"), raw)?;
    std::fs::write(folder.join("cost.md"), &text)?;
    Ok(text)
}

fn time(sampler: &str, kind: Kind, n_trials: usize) -> Result<Timed> {
    let (params, mut trials) = study(kind, n_trials)?;
    note_generations(sampler, &mut trials);
    let sampler = SamplerConfig::parse(sampler)?.build();
    let directions = vec![StudyDirection::Minimize; kind.n_objectives()];
    let mut history = History::new(directions, trials);
    let mut timed = Timed { cold: Vec::new(), warm: Vec::new() };
    let first = u32::try_from(n_trials)?;
    for repeat in 0..REPEATS {
        timed.cold.push(suggest(sampler.as_ref(), &history, &params, (repeat.into(), first))?.0);
    }
    for number in first..=first + REPEATS {
        // What a history derives from its trials is part of the cost, as after each result.
        let (seconds, mut trial) = suggest(sampler.as_ref(), &history, &params, (0, number))?;
        if number > first {
            timed.warm.push(seconds);
        }
        trial.state = TrialState::Complete;
        trial.values = history.trials()[number as usize % n_trials].values.clone();
        let model = &history.trials()[number as usize % n_trials].system_attrs;
        let constraints = model.iter().filter(|(name, _)| name.starts_with(CONSTRAINT_PREFIX));
        trial.system_attrs.extend(constraints.map(|(name, it)| (name.clone(), it.clone())));
        history.update(vec![trial]);
    }
    Ok(timed)
}

fn suggest(
    sampler: &dyn Sampler,
    history: &History,
    params: &[ParamSpec],
    (seed, number): (u64, u32),
) -> Result<(f64, FrozenTrial)> {
    let started = cpu_seconds();
    let (_, trial) = draw(sampler, history, params, (seed, TrialNumber(number)))?;
    Ok((cpu_seconds() - started, trial))
}

/// Returns a study's parameters and its finished trials.
fn study(kind: Kind, n_trials: usize) -> Result<(Vec<ParamSpec>, Vec<FrozenTrial>)> {
    if kind == Kind::Conditional {
        let problem = problems::named(&["mixcond".to_owned()])?.remove(0);
        let trials = random_runs(&problem, n_trials)?;
        return Ok((problem.params, trials));
    }
    let params = params(10);
    let mut trials = random_trials(&params, n_trials);
    for trial in &mut trials {
        let mut rng = trial_rng(mix(2, kind.as_str()), trial.number);
        while trial.values.len() < kind.n_objectives() {
            trial.values.push(unit(&mut rng));
        }
        let n_constraints = if kind == Kind::Constrained { 3 } else { 0 };
        for index in 0..n_constraints {
            let value = trial.values[0] - 0.5 - 0.2 * unit(&mut rng);
            trial.system_attrs.insert(format!("{CONSTRAINT_PREFIX}{index}"), value.into());
        }
    }
    Ok((params, trials))
}

fn random_runs(problem: &Problem, n_trials: usize) -> Result<Vec<FrozenTrial>> {
    let empty = History::new(vec![StudyDirection::Minimize], Vec::new());
    let mut trials = Vec::with_capacity(n_trials);
    for number in 0..u32::try_from(n_trials)? {
        let (point, mut trial) =
            draw(&RandomSampler, &empty, &problem.params, (1, TrialNumber(number)))?;
        trial.state = TrialState::Complete;
        trial.values = problem.evaluate(&point, u64::from(number)).values;
        trials.push(trial);
    }
    Ok(trials)
}

/// Notes the generations that a sampler's own trials would carry.
fn note_generations(sampler: &str, trials: &mut [FrozenTrial]) {
    let (names, size): (&[&str], usize) = match sampler {
        "cmaes" => (&["cma:generation", "catcma:generation"], 10),
        "nsga2" => (&["NSGAIISampler:generation"], 50),
        "nsga3" => (&["NSGAIIISampler:generation"], 50),
        _ => return,
    };
    for (index, trial) in trials.iter_mut().enumerate() {
        let generation = Json::from((index / size) as u64);
        let attrs: BTreeMap<String, Json> =
            names.iter().map(|name| ((*name).to_owned(), generation.clone())).collect();
        trial.system_attrs.extend(attrs);
    }
}
