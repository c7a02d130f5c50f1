//! `suggest`: the CPU time of one trial's suggestions, and how it grows with the history, the parameters and
//! the candidates.

use crate::optuna::{self, OptunaProposer};
use crate::problem::{ParamSpec, choice, float, int, log_float, log_int};
use crate::proposer::{draw, new_trial};
use crate::run::Places;
use crate::stats::quantile;
use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::path::Path;
use trialbox_core::seam::rng::{TrialRng, trial_rng, unit};
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, Sampler, StudyDirection, TrialNumber,
    TrialState,
};
use trialbox_samplers::SamplerConfig;

/// The number of times that each suggestion is timed, after one that is not.
const REPEATS: usize = 20;

/// The middle setting, around which one thing at a time is varied.
const MIDDLE: Setting = Setting { n_trials: 1000, n_params: 10, n_candidates: 24 };
const N_TRIALS: [usize; 3] = [100, 1000, 10_000];
const N_PARAMS: [usize; 5] = [1, 2, 5, 10, 50];
const N_CANDIDATES: [usize; 4] = [6, 24, 96, 384];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setting {
    /// Finished trials.
    n_trials: usize,
    n_params: usize,
    n_candidates: usize,
}

/// The CPU seconds of each timed suggestion.
struct Timed<'a> {
    sampler: &'a str,
    setting: Setting,
    seconds: Vec<f64>,
}

/// Times every setting for every sampler in turn; writes `suggest.csv` with all times and `suggest.md` with
/// medians and ratios of the first sampler's, both into `folder`, and returns the latter.
///
/// # Errors
/// An unknown sampler, or one without the option `n_ei_candidates`.
pub(crate) fn run(samplers: &[String], places: &Places, folder: &Path) -> Result<String> {
    let mut raw = "sampler,n_trials,n_params,n_candidates,cpu_seconds\n".to_owned();
    let mut text = format!(
        "# CPU time of one trial's suggestions\n\n\
         Medians of {REPEATS} trials, all in one run; in brackets the multiple of `{}`'s. The parameters are \
         floats, integers and choices in turn, some log-scaled.\n",
        samplers[0]
    );
    for (title, settings) in sweeps() {
        let _ = writeln!(text, "\n| {title} | {} |", samplers.join(" | "));
        let _ = writeln!(text, "|{}", "---|".repeat(samplers.len() + 1));
        for (label, setting) in settings {
            let timed: Vec<Timed> = samplers
                .iter()
                .map(|sampler| time(sampler, setting, places))
                .collect::<Result<_>>()?;
            timed.iter().for_each(|timed| timed.write_raw(&mut raw));
            let _ = writeln!(text, "| {label} | {} |", cells(&timed).join(" | "));
        }
    }
    std::fs::write(folder.join("suggest.csv"), raw)?;
    std::fs::write(folder.join("suggest.md"), &text)?;
    Ok(text)
}

fn sweeps() -> [(String, Vec<(usize, Setting)>); 3] {
    let Setting { n_trials, n_params, n_candidates } = MIDDLE;
    [
        (
            format!("finished trials ({n_params} parameters, {n_candidates} candidates)"),
            N_TRIALS.map(|n| (n, Setting { n_trials: n, ..MIDDLE })).to_vec(),
        ),
        (
            format!("parameters ({n_trials} trials, {n_candidates} candidates)"),
            N_PARAMS.map(|n| (n, Setting { n_params: n, ..MIDDLE })).to_vec(),
        ),
        (
            format!("candidates ({n_trials} trials, {n_params} parameters)"),
            N_CANDIDATES.map(|n| (n, Setting { n_candidates: n, ..MIDDLE })).to_vec(),
        ),
    ]
}

fn cells(timed: &[Timed]) -> Vec<String> {
    let base = timed[0].median();
    let cell = |timed: &Timed| {
        let median = timed.median();
        format!("{:.3} ms ({:.1}x)", 1e3 * median, median / base)
    };
    timed.iter().map(cell).collect()
}

impl Timed<'_> {
    fn median(&self) -> f64 {
        quantile(&self.seconds, 0.5)
    }

    fn write_raw(&self, raw: &mut String) {
        let Setting { n_trials, n_params, n_candidates } = self.setting;
        for seconds in &self.seconds {
            let _ = writeln!(
                raw,
                "{},{n_trials},{n_params},{n_candidates},{seconds:.3e}",
                self.sampler
            );
        }
    }
}

fn time<'a>(sampler: &'a str, setting: Setting, places: &Places) -> Result<Timed<'a>> {
    let params = params(setting.n_params);
    let trials = random_trials(&params, setting.n_trials);
    let mut seconds = match sampler.strip_prefix(optuna::PREFIX) {
        Some(name) => time_optuna(name, setting, places, &params, &trials)?,
        None => {
            let mut config = SamplerConfig::parse(sampler)?;
            config.set("n_ei_candidates", &Json::from(setting.n_candidates as u64))?;
            time_ours(config.build().as_ref(), &params, trials)?
        }
    };
    // The first one fills caches and loads what is loaded when it is needed.
    seconds.remove(0);
    Ok(Timed { sampler, setting, seconds })
}

fn time_ours(
    sampler: &dyn Sampler,
    params: &[ParamSpec],
    trials: Vec<FrozenTrial>,
) -> Result<Vec<f64>> {
    let first = u32::try_from(trials.len())?;
    let history = History::new(vec![StudyDirection::Minimize], trials);
    (0..=REPEATS as u32)
        .map(|repeat| {
            let started = cpu_seconds();
            draw(sampler, &history, params, (0, TrialNumber(first + repeat)))?;
            Ok(cpu_seconds() - started)
        })
        .collect()
}

fn time_optuna(
    sampler: &str,
    setting: Setting,
    Places { python, script, .. }: &Places,
    params: &[ParamSpec],
    trials: &[FrozenTrial],
) -> Result<Vec<f64>> {
    let mut optuna = OptunaProposer::start(python, script, sampler)?;
    let n_candidates = Json::from(setting.n_candidates as u64);
    optuna.begin_study(params, 1, 0, &[("n_ei_candidates", n_candidates)])?;
    let trial_json = |trial: &FrozenTrial| {
        let params = trial.params.iter().map(|(name, param)| (name.as_str(), param.external()));
        Json::Array(vec![Json::object(params), Json::from(trial.values[0])])
    };
    let trials = trials.iter().map(trial_json).collect();
    optuna.call(&Json::object([("add", Json::Array(trials))]))?;
    let taken = optuna.call(&Json::object([("time", Json::from(REPEATS as u64 + 1))]))?;
    let Json::Array(taken) = taken else {
        anyhow::bail!("expected a list from Optuna, found {taken}")
    };
    taken.iter().map(|seconds| seconds.as_f64().context("a time is a number")).collect()
}

/// Returns the CPU time that this thread has used.
pub(crate) fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}

/// Returns floats, integers and choices in turn, some log-scaled.
pub(crate) fn params(n: usize) -> Vec<ParamSpec> {
    (0..n)
        .map(|i| {
            let name = format!("p{i:02}");
            match i % 5 {
                0 => float(&name, -5.0, 5.0),
                1 => log_float(&name, 1e-5, 1.0),
                2 => int(&name, 1, 16),
                3 => log_int(&name, 8, 1024),
                _ => choice(&name, &["a", "b", "c", "d"]),
            }
        })
        .collect()
}

/// Returns COMPLETE trials at random points; what they are worth falls with the distance from the ranges' middles.
pub(crate) fn random_trials(params: &[ParamSpec], n: usize) -> Vec<FrozenTrial> {
    let random_trial = |number: u32| {
        let mut rng = trial_rng(1, TrialNumber(number));
        let mut trial = new_trial(TrialNumber(number), TrialState::Complete);
        let mut value = 0.0;
        for ParamSpec { name, distribution, .. } in params {
            let u = unit(&mut rng);
            value += (u - 0.5) * (u - 0.5);
            let internal = at(distribution, u, &mut rng);
            let param = Param { distribution: distribution.clone(), internal };
            trial.params.push((name.clone(), param));
        }
        trial.values = vec![value];
        trial
    };
    (0..n as u32).map(random_trial).collect()
}

fn at(distribution: &Distribution, u: f64, rng: &mut TrialRng) -> f64 {
    match distribution {
        Distribution::Categorical(found) => (unit(rng) * found.choices().len() as f64).floor(),
        _ => bounds(distribution)
            .and_then(|(low, high)| untransform(distribution, low + u * (high - low)))
            .unwrap_or(f64::NAN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histories_have_values_within_the_ranges() {
        let params = params(10);
        for trial in random_trials(&params, 50) {
            assert_eq!(trial.params.len(), 10);
            assert!(
                trial.params.iter().all(|(_, param)| param.distribution.contains(param.internal))
            );
        }
    }

    #[test]
    fn ratios_are_of_the_first_sampler() {
        let timed = |sampler, seconds| Timed { sampler, setting: MIDDLE, seconds: vec![seconds] };
        let found = cells(&[timed("a", 0.002), timed("b", 0.01)]);
        assert_eq!(found, ["2.000 ms (1.0x)", "10.000 ms (5.0x)"]);
    }
}
