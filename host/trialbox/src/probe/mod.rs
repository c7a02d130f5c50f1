//! `trialbox __probe`: one of two tasks of `doctor --slurm` that find out, each on a node of its own, what two nodes
//! have in common.
//!
//! They meet through files of a folder, for that is what trials on a cluster share. Each leaves a [`Report`];
//! it judges nothing, because only who reads both can. `meeting` is how they meet, `facts` what a node is,
//! `experiments` what the two do to each other.

mod experiments;
mod facts;
mod meeting;

pub(crate) use experiments::{CacheSeen, Found, LockSeen, Message};
#[cfg(test)]
pub(crate) use facts::Rlimits;
pub(crate) use facts::{Facts, Place};
pub(crate) use meeting::look;

use crate::args::storage::parse_duration;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use meeting::Meeting;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Be one of the two tasks of `doctor --slurm`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProbeArgs {
    /// The folder that both see
    folder: PathBuf,

    /// Which of the two this is
    #[arg(long, env = "SLURM_PROCID", value_name = "0|1", value_parser = clap::value_parser!(u8).range(..2))]
    rank: u8,

    /// How long to wait for the other
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    patience: Duration,
}

/// What one task has found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Its node, as seen there.
    pub(crate) facts: Facts,
    /// What it saw of the other, as far as they got.
    pub(crate) found: Found,
    /// Why they got no further.
    pub(crate) problem: Option<String>,
}

/// The name of a task's report, a file of the folder.
pub(crate) fn report_name(rank: u8) -> String {
    format!("report.{rank}")
}

impl ProbeArgs {
    pub(crate) fn run(self) -> CommandResult {
        if !self.folder.is_dir() {
            return Err(CommandError::usage(
                format!("this node does not see the folder `{}`", self.folder.display()),
                "the study must lie on a file system that all nodes share",
            ));
        }
        let facts = Facts::here(&self.folder);
        let meeting = Meeting::new(&self.folder, self.rank, self.patience);
        let mut found = Found::default();
        let problem = found.fill(&meeting).err().map(|error| format!("{error:#}"));
        let report = Report { facts, found, problem };
        let text = serde_json::to_string(&report).map_err(anyhow::Error::from);
        let written = text.and_then(|text| meeting.write(&report_name(self.rank), &text));
        written.map_err(no_use_of_folder)?;
        Ok(ExitCode::Done)
    }
}

/// The folder cannot be read or written.
pub(crate) fn no_use_of_folder(error: anyhow::Error) -> CommandError {
    CommandError { exit: ExitCode::Usage, code: None, error, help: None }
}
