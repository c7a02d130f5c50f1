//! `trialbox trial enqueue`: queues a trial.

use crate::args::param::{check_unique, parse_param};
use crate::args::storage::StudyArgs;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::study::known_params::KnownParams;
use crate::view::output::Output;
use crate::view::record::Enqueued;
use trialbox_core::Json;
use trialbox_core::seam::storage::EnqueueTrial;

#[derive(Debug, clap::Args)]
pub(crate) struct EnqueueArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// A parameter's value; text that is no JSON value is taken as a string. Others are sampled
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_param)]
    param: Vec<(String, Json)>,

    /// An attribute of the trial
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_param)]
    user_attr: Vec<(String, Json)>,

    /// Take values as Optuna does: names that no trial has suggested, and values outside of their ranges
    ///
    /// [default: they are refused]
    #[arg(long)]
    lenient: bool,

    /// Do nothing if the study has a trial with the same parameters
    #[arg(long)]
    skip_if_exists: bool,
}

impl EnqueueArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        check_unique("--param", &self.param)?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        if !self.lenient {
            KnownParams::of(&storage.history(study.id)?).check("--param", &self.param)?;
        }
        let trial = EnqueueTrial {
            params: self.param,
            user_attrs: self.user_attr,
            skip_if_exists: self.skip_if_exists,
        };
        let number = storage.enqueue_trial(study.id, &trial)?;
        output.print(&Enqueued { study: name, number: number.map(|number| number.0) });
        Ok(ExitCode::Done)
    }
}
