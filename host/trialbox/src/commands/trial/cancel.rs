//! `trialbox trial cancel`: drops trials that wait for a worker.

use crate::args::storage::StudyArgs;
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::TrialCancelled;
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::{Clock as _, TrialNumber, TrialState};

#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The numbers of the trials
    #[arg(value_name = "NUMBER", required_unless_present = "all")]
    numbers: Vec<u32>,

    /// Cancel all WAITING trials
    #[arg(long, conflicts_with = "numbers")]
    all: bool,

    /// The reason, which `trial show` prints
    #[arg(long, value_name = "TEXT", default_value = "cancelled by the user")]
    reason: String,
}

impl CancelArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let numbers: Vec<TrialNumber> = if self.all {
            let trials = storage.outcomes(study.id)?;
            let waiting = trials.iter().filter(|trial| trial.state == TrialState::Waiting);
            waiting.map(|trial| trial.number).collect()
        } else {
            self.numbers.iter().copied().map(TrialNumber).collect()
        };
        let failure = Failure::new(FailureCode::Cancelled, self.reason.as_str()).to_json(&[]);
        let mut left = Vec::new();
        for number in numbers {
            let at = SystemClock::new().utc_now();
            if storage.cancel_waiting(study.id, number, &failure, at)? {
                output.print(&TrialCancelled { study: name.clone(), number: number.0 });
            } else {
                left.push((number, storage.trial(study.id, number)?.state));
            }
        }
        // With `--all` they started after the look, which is no mistake.
        match left.first() {
            Some((number, state)) if !self.all => Err(CommandError::usage(
                format!("trial {number} is {state}; only a WAITING trial can be cancelled"),
                "`trialbox reap --trial NUMBER` fails a RUNNING trial; a finished one stays as it is",
            )),
            _ => Ok(ExitCode::Done),
        }
    }
}
