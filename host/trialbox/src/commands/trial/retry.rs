//! `trialbox trial retry`: runs failed trials again, with the same parameters.

use crate::args::storage::StudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::TrialRequeued;
use std::collections::BTreeMap;
use trialbox_core::run::retry::{copies_of_failed, retries};
use trialbox_core::study::failure::{FAILURE_ATTR, FailureCode};
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, StorageError, TrialNumber, TrialState};

/// Run failed trials again, with the same parameters.
///
/// The failed trial stays, and a WAITING copy of it is appended, as Optuna's callback for retries does; it names the
/// trial in `failed_trial` and `retry_history`. The next `run` or `trial ask` takes it. A trial that has a retry is
/// skipped, and so is a cancelled one unless its number is given.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The numbers of the trials
    #[arg(value_name = "NUMBER")]
    numbers: Vec<u32>,

    /// Retry the trials in this state; `fail` is the only one that can be retried
    #[arg(long, value_name = "fail", value_parser = ["fail"], conflicts_with = "numbers")]
    state: Option<String>,

    /// Retry the failed trials with this code, such as E-TIME
    #[arg(long, value_name = "CODE", conflicts_with_all = ["numbers", "all"])]
    code: Option<String>,

    /// Retry all failed trials
    #[arg(long, conflicts_with = "numbers")]
    all: bool,

    /// Print the trials that would be retried; write nothing
    #[arg(long)]
    dry_run: bool,
}

impl RetryArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        if self.numbers.is_empty() && self.state.is_none() && self.code.is_none() && !self.all {
            return Err(CommandError::usage(
                "expected the trials to retry, found none",
                "give their numbers, --all for every failed trial, or --code CODE for those with one code",
            ));
        }
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trials = storage.trials(study.id)?;
        let chosen = self.chosen(&name, &trials)?;
        let numbers: Vec<TrialNumber> = chosen.iter().map(|trial| trial.number).collect();
        if !self.numbers.is_empty() {
            let retried = retries(&trials);
            for (number, retry) in numbers.iter().filter_map(|n| Some((n, retried.get(n)?))) {
                output.note(&format!("trial {number} was requeued as trial {retry} already"));
            }
        }
        let requeued: Vec<(TrialNumber, Option<TrialNumber>)> = if self.dry_run {
            let copies = copies_of_failed(&trials, &numbers);
            copies.into_iter().map(|(number, _)| (number, None)).collect()
        } else {
            let requeued = storage.retry_failed(study.id, &numbers)?;
            requeued.into_iter().map(|(number, retry)| (number, Some(retry))).collect()
        };
        for (number, retry) in &requeued {
            let retry = retry.map(|retry| retry.0);
            output.print(&TrialRequeued { study: name.clone(), number: number.0, retry });
        }
        output.note(&match (requeued.len(), self.dry_run) {
            (0, _) => self.none_text(&name, &trials, !chosen.is_empty()),
            (n, true) => format!("{} would be requeued", counted(n as u64, "trial")),
            (_, false) => "`trialbox run` and `trialbox trial ask` run them next".to_owned(),
        });
        Ok(ExitCode::Done)
    }

    /// Returns the failed trials that the flags choose.
    fn chosen<'a>(
        &self,
        study: &str,
        trials: &'a [FrozenTrial],
    ) -> Result<Vec<&'a FrozenTrial>, CommandError> {
        if self.numbers.is_empty() {
            let failed = trials.iter().filter(|trial| trial.state == TrialState::Fail);
            return Ok(failed.filter(|trial| self.has_code(trial)).collect());
        }
        let mut chosen: Vec<&FrozenTrial> = Vec::new();
        for number in self.numbers.iter().copied().map(TrialNumber) {
            let Some(trial) = trials.iter().find(|trial| trial.number == number) else {
                let (study, n_trials) = (study.to_owned(), trials.len() as u64);
                return Err(StorageError::NoSuchTrial { study, number, n_trials }.into());
            };
            if trial.state != TrialState::Fail {
                return Err(CommandError::usage(
                    format!("trial {number} is {}; only a FAIL trial can be retried", trial.state),
                    "`trialbox trial enqueue` runs any parameters again",
                ));
            }
            if !chosen.iter().any(|known| known.number == number) {
                chosen.push(trial);
            }
        }
        Ok(chosen)
    }

    /// Returns whether the trial failed with the wanted code; without one, with any but that of a cancelled trial.
    fn has_code(&self, trial: &FrozenTrial) -> bool {
        let code = code_of(trial);
        match &self.code {
            Some(wanted) => code.is_some_and(|code| code.eq_ignore_ascii_case(wanted)),
            None => code != Some(FailureCode::Cancelled.as_str()),
        }
    }

    /// Returns the reason why no trial is retried. `are_retried` is true if such trials have retries already.
    fn none_text(&self, study: &str, trials: &[FrozenTrial], are_retried: bool) -> String {
        let failed = trials.iter().filter(|trial| trial.state == TrialState::Fail);
        let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
        for trial in failed {
            *codes.entry(code_of(trial).unwrap_or("none")).or_default() += 1;
        }
        if codes.is_empty() {
            return format!("study `{study}` has no failed trial");
        }
        if are_retried {
            return format!("each of these failed trials of study `{study}` was requeued already");
        }
        let there: Vec<String> =
            codes.iter().map(|(code, number)| format!("{code} ({number})")).collect();
        let there = there.join(", ");
        match &self.code {
            Some(code) => format!("no failed trial has the code {code}; there are {there}"),
            None => format!(
                "study `{study}` has only cancelled trials, {there}: give their numbers to retry them"
            ),
        }
    }
}

fn code_of(trial: &FrozenTrial) -> Option<&str> {
    trial.system_attrs.get(FAILURE_ATTR)?.get("code")?.as_str()
}
