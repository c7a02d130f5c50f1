//! The decisions of one `trialbox run`, made once, before its workers start.
//!
//! Flags, environment variables and remembered settings meet here. The workers see none of them.

use crate::args::objective::ObjectiveArgs;
pub(crate) use crate::args::objective::{ObjectivePlan, ReadyObjective};
use crate::cluster::slurm::SlurmJob;
use crate::error::CommandError;
use crate::study::recovery::Reaping;
use crate::study::settings::Settings;
use std::num::NonZeroU32;
use std::time::Duration;
use trialbox_core::seam::storage::RetryPolicy;
use trialbox_core::session::OnDeadline;
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::study::stopping::Budgets;
use trialbox_core::{Json, Storage, UtcDateTime};
use trialbox_program::Share;
use trialbox_samplers::{PrunerConfig, SamplerConfig};
use trialbox_storage::spool::Spool;
use trialbox_storage::{Location, Options};

/// The work of one process. There is no `Default`: every field is decided by `trialbox run`.
pub(crate) struct RunPlan {
    /// The trials that run at the same time.
    pub(crate) workers: NonZeroU32,
    /// The trials that this process starts at most.
    pub(crate) n_trials: NonZeroU32,
    /// True if a line of the objective's log names its trial.
    pub(crate) names_trials: bool,
    /// The time after which no trial starts.
    pub(crate) timeout: Option<Duration>,
    /// The point in time after which no trial starts.
    pub(crate) until: Option<UtcDateTime>,
    /// The failures of the objective after which no trial starts.
    pub(crate) max_failures: Option<NonZeroU32>,
    /// The fate of a trial that the end of the job stops.
    pub(crate) on_deadline: OnDeadline,
    /// The fate of a trial whose worker died or was interrupted.
    pub(crate) retry: RetryPolicy,
    /// The bounds of the study.
    pub(crate) budgets: Budgets,
    /// The study's seed.
    pub(crate) seed: u64,
    /// The study's sampler.
    pub(crate) sampler: SamplerConfig,
    /// The study's pruner.
    pub(crate) pruner: PrunerConfig,
    /// The parameters that all trials of this process share.
    pub(crate) fixed: Vec<(String, Json)>,
    /// True if a fixed value that a parameter cannot have is used or ignored, as Optuna does.
    pub(crate) is_lenient: bool,
    /// The form of the study's constraints.
    pub(crate) constraint_format: ConstraintFormat,
    /// The bounds on a trial.
    pub(crate) limits: Limits,
    /// The limits that the study remembers and no flag has replaced.
    pub(crate) remembered: Vec<Limit>,
    /// True if a trial must give the same bits on every machine.
    pub(crate) deterministic: bool,
    /// The way to get another objective ready.
    pub(crate) objective: ObjectivePlan,
    /// The share of the node that each worker has, in their order; none for a component.
    pub(crate) shares: Vec<Share>,
    /// The way to open the database once more.
    pub(crate) database: Database,
    /// The place of results that the database does not take.
    pub(crate) spool: Option<Spool>,
    /// The look for lost trials before the study is called complete.
    pub(crate) last_look: Reaping,
}

/// A database and how to open it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// Its place.
    pub(crate) location: Location,
    /// The options of every connection.
    pub(crate) options: Options,
}

impl Database {
    /// Opens the database.
    pub(crate) fn open(&self) -> Result<Box<dyn Storage>, CommandError> {
        Ok(self.location.open(&self.options)?)
    }
}

/// Returns the bounds on a trial: those of the flags, else of the study, else the defaults. Where neither sets the
/// memory, a job's memory does: an objective that needs more fails with a reason, and the job does not die of it.
pub(crate) fn limits_of_run(
    settings: &Settings,
    args: &ObjectiveArgs,
    job: Option<&SlurmJob>,
    workers: NonZeroU32,
) -> Limits {
    let mut limits = args.limits_over(settings.limits());
    let is_explicit = args.max_memory.or(settings.max_memory_bytes).is_some();
    if let Some(bytes) = job.and_then(|job| job.memory_bytes)
        && !is_explicit
    {
        let share = memory_of_guest(bytes, workers.get());
        limits.set(Limit::Memory, limits.get(Limit::Memory).map(|most| most.min(share)));
    }
    limits
}

/// Returns the limits that hold because the study remembers them.
pub(crate) fn remembered_limits(settings: &Settings, args: &ObjectiveArgs) -> Vec<Limit> {
    let (of_study, of_flags, default) = (settings.limits(), args.limits(), Limits::default());
    let is_remembered = |limit: &Limit| {
        of_study.get(*limit) != default.get(*limit) && of_flags.get(*limit) == default.get(*limit)
    };
    Limit::all().filter(is_remembered).collect()
}

/// Returns the share of a job's memory that each guest may use, less a reserve for the processes around it.
fn memory_of_guest(job_bytes: u64, n_guests: u32) -> u64 {
    const PROCESSES: u64 = 64 << 20;
    let share = job_bytes / u64::from(n_guests.max(1));
    share.saturating_sub(PROCESSES.max(share / 10)).max(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_share_a_jobs_memory_and_leave_some_to_the_processes_around_them() {
        const MIB: u64 = 1 << 20;
        assert_eq!(memory_of_guest(300 * MIB, 1), 236 * MIB);
        assert_eq!(memory_of_guest(1000 * MIB, 1), 900 * MIB);
        assert_eq!(memory_of_guest(600 * MIB, 2), 236 * MIB);
        assert_eq!(memory_of_guest(50 * MIB, 1), MIB);
    }
}
