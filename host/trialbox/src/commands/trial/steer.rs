//! `trialbox trial report` and `trial should-prune`: a trial that was asked for, while it runs outside.

use crate::args::storage::StudyArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::settings::Settings;
use crate::view::output::Output;
use crate::view::record::{Advice, Rendered};
use trialbox_core::TrialNumber;
use trialbox_core::run::steer::{report, should_prune};

#[derive(Debug, clap::Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: u32,

    /// The value
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: f64,

    /// The step, such as the epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    step: i64,

    /// The token that `ask` printed: only the attempt with this token may report
    #[arg(long, value_name = "TOKEN")]
    owner: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShouldPruneArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: u32,

    /// The token that `ask` printed: only the attempt with this token gets advice
    #[arg(long, value_name = "TOKEN")]
    owner: Option<String>,
}

impl ReportArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let (number, owner) = (TrialNumber(self.number), self.owner.as_deref());
        let is_kept = report(storage.as_mut(), &study, number, owner, (self.step, self.value))
            .map_err(CommandError::from)?;
        if !is_kept {
            let step = self.step;
            output.note(&format!("step {step} was already reported; the first value is kept"));
        }
        Ok(ExitCode::Done)
    }
}

impl ShouldPruneArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let pruner = Settings::of(&study)?.pruner.build();
        let (number, owner) = (TrialNumber(self.number), self.owner.as_deref());
        let prune = should_prune(storage.as_mut(), &study, number, owner, pruner.as_ref())
            .map_err(CommandError::from)?;
        if output.is_json() {
            output.print(&Rendered::new("", Advice { prune }));
        }
        Ok(if prune { ExitCode::Done } else { ExitCode::TrialFailed })
    }
}
