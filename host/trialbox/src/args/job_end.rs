//! The flags about the end of the batch job.

use crate::args::quantity::parse_duration;
use crate::cluster::job_end::JobEndPlan;
use std::time::Duration;
use trialbox_core::session::OnDeadline;

/// The flags about the end of the job's time.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Job")]
pub(crate) struct JobEndArgs {
    /// Time that the job has left when this process starts
    ///
    /// Only batch systems other than Slurm need it. [default: as Slurm says]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    job_time: Option<Duration>,

    /// Stop and record running trials this long before the end
    ///
    /// [default: 15s, or a quarter of the time left if that is less]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    reserve: Option<Duration>,

    /// Start no trial with less than this much time left
    ///
    /// [default: the duration of this process's longest trial so far]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    min_time: Option<Duration>,

    /// Fate of a trial that the end of the job stops
    ///
    /// `retry` requeues it, `prune` makes it PRUNED with its last value, `fail` makes it FAIL. [default: retry]
    #[arg(
        long,
        value_name = "retry|prune|fail",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    on_deadline: OnDeadlineArg,

    /// Requeue the job if its time ends before the study
    ///
    /// Calls `scontrol requeue` as long as trials make progress, else up to --max-retries times. A signal does not
    /// requeue the job.
    #[arg(long)]
    requeue: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum OnDeadlineArg {
    #[default]
    Retry,
    Prune,
    Fail,
}

impl JobEndArgs {
    /// Returns the fate of a trial that the end of the job stops.
    pub(crate) fn on_deadline(&self) -> OnDeadline {
        match self.on_deadline {
            OnDeadlineArg::Retry => OnDeadline::Retry,
            OnDeadlineArg::Prune => OnDeadline::Prune,
            OnDeadlineArg::Fail => OnDeadline::Fail,
        }
    }

    /// Returns the flags as the watch of the job's end takes them.
    pub(crate) fn plan(&self) -> JobEndPlan {
        JobEndPlan {
            job_time: self.job_time,
            reserve: self.reserve,
            min_time: self.min_time,
            requeue: self.requeue,
        }
    }
}
