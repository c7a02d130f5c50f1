//! `trialbox __probe`: one of the two tasks of `doctor --slurm`, each on a node of its own.
//!
//! The tasks meet through files in a folder, because files are what trials on a cluster share. Each task leaves a
//! [`Report`], which `doctor --slurm` judges when it has both. `meeting` passes messages, `facts` describes a node,
//! and `experiments` tests locks, caches, names and clocks between the two.

mod experiments;
mod facts;
mod meeting;

pub(crate) use experiments::{CacheSeen, Found, LockSeen, Message};
#[cfg(test)]
pub(crate) use facts::Rlimits;
pub(crate) use facts::{Directory, Facts};
pub(crate) use meeting::read_from_server;

use crate::args::quantity::parse_duration;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use meeting::Meeting;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Run one of the two tasks of `doctor --slurm`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// The folder in which the tasks meet
    folder: PathBuf,

    /// The rank of this task
    #[arg(long, env = "SLURM_PROCID", value_name = "0|1", value_parser = clap::value_parser!(u8).range(..2))]
    rank: u8,

    /// Give up after waiting this long for the other task
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    timeout: Duration,
}

/// The results of one task.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The task's node.
    pub(crate) facts: Facts,
    /// The results of the experiments, as far as the tasks got.
    pub(crate) found: Found,
    /// The error that stopped the experiments.
    pub(crate) problem: Option<String>,
}

/// Returns the file name of a task's report.
pub(crate) fn report_name(rank: u8) -> String {
    format!("report.{rank}")
}

impl ProbeArgs {
    pub(crate) fn run(self) -> CommandResult {
        if !self.folder.is_dir() {
            return Err(CommandError::usage(
                format!("cannot find the folder `{}` on this node", self.folder.display()),
                "keep the study on a file system that all nodes share",
            ));
        }
        let facts = Facts::here(&self.folder);
        let meeting = Meeting::new(&self.folder, self.rank, self.timeout);
        let mut found = Found::default();
        let problem = found.run(&meeting).err().map(|error| format!("{error:#}"));
        let report = Report { facts, found, problem };
        let text = serde_json::to_string(&report).map_err(anyhow::Error::from);
        let written = text.and_then(|text| meeting.write(&report_name(self.rank), &text));
        written.map_err(folder_error)?;
        Ok(ExitCode::Done)
    }
}

/// Returns the error of a folder that cannot be read or written.
pub(crate) fn folder_error(error: anyhow::Error) -> CommandError {
    CommandError { exit: ExitCode::Usage, code: None, error, help: None }
}
