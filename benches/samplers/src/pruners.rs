//! `pruners`: the CPU time of one judgement on a large history.

use crate::proposer::new_trial;
use crate::stats::quantile;
use crate::suggest::cpu_seconds;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use trialbox_core::seam::pruner::{Pruner, RunningTrial};
use trialbox_core::seam::rng::{TrialRng, trial_rng, unit};
use trialbox_core::{FrozenTrial, History, Json, StudyDirection, TrialNumber, TrialState};
use trialbox_samplers::PrunerConfig;

const N_TRIALS: u32 = 10_000;
const N_STEPS: i64 = 100;

/// Judges a trial after each of its 100 reports, on 10,000 COMPLETE trials of 100 reports each, with every
/// pruner that needs no options, and all of it once again. Returns a table of the first judgement, which looks
/// through the history, of the median and the slowest of the others of the first round, when every step and rung
/// is new to the history, and of the median of the second round.
///
/// # Errors
/// Fails if a name is not that of a pruner.
pub(crate) fn run() -> Result<String> {
    let mut text = format!(
        "CPU time of one judgement on {N_TRIALS} trials of {N_STEPS} steps\n\n\
         | pruner | first | median of the others | slowest | median of a second trial |\n|---|---|---|---|---|\n"
    );
    for name in ["median", "successive-halving", "hyperband", "wilcoxon"] {
        let pruner = PrunerConfig::parse(name)?.build();
        let trials = (0..N_TRIALS).map(trial).collect();
        let history = History::new(vec![StudyDirection::Minimize], trials);
        let mut seconds = time(pruner.as_ref(), &history);
        let first = seconds.remove(0);
        let again = quantile(&time(pruner.as_ref(), &history), 0.5);
        let (median, slowest) = (quantile(&seconds, 0.5), quantile(&seconds, 1.0));
        let micros =
            [first, median, slowest, again].map(|seconds| format!("{:.2} µs", 1e6 * seconds));
        let _ = writeln!(text, "| {name} | {} |", micros.join(" | "));
    }
    Ok(text)
}

fn time(pruner: &dyn Pruner, history: &History) -> Vec<f64> {
    let (mut values, mut attrs) = (BTreeMap::new(), BTreeMap::new());
    let judgement = |step| {
        // Always good enough to go on, so that all rungs are reached.
        values.insert(step, 0.0);
        let current = RunningTrial {
            study_name: "s",
            number: TrialNumber(N_TRIALS),
            intermediate_values: &values,
            system_attrs: &attrs,
        };
        let started = cpu_seconds();
        let judgement = pruner.judge(history, &current);
        let taken = cpu_seconds() - started;
        attrs.extend(judgement.system_attrs);
        taken
    };
    (0..N_STEPS).map(judgement).collect()
}

/// Returns a COMPLETE trial that was on all rungs.
fn trial(number: u32) -> FrozenTrial {
    let mut rng: TrialRng = trial_rng(1, TrialNumber(number));
    let mut trial = new_trial(TrialNumber(number), TrialState::Complete);
    trial.values = vec![unit(&mut rng)];
    trial.intermediate_values = (0..N_STEPS).map(|step| (step, unit(&mut rng))).collect();
    trial.system_attrs = (0..4)
        .map(|rung| (format!("completed_rung_{rung}"), Json::Float(unit(&mut rng))))
        .collect();
    trial
}
