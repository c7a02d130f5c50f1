//! The parts and settings that all trials of a process share.

use crate::seam::clock::Clock;
use crate::seam::pruner::Pruner;
use crate::seam::sampler::Sampler;
use crate::seam::storage::RetryPolicy;
use crate::study::constraint::ConstraintFormat;
use crate::study::limits::Limits;
use crate::study::record::StudyRecord;
use crate::value::json::Json;

/// The study, the parts that answer for it, and the settings that all trials of a process share.
pub struct TrialContext<'a> {
    /// The study.
    pub study: &'a StudyRecord,
    /// The study's seed.
    pub seed: u64,
    /// The source of parameters.
    pub sampler: &'a dyn Sampler,
    /// The external values at which the sampler holds parameters, by name. A sampler cannot fail, so the session
    /// refuses a value that a parameter cannot have, if [`SessionLimits::strict_fixed_params`] says so.
    pub held: &'a [(String, Json)],
    /// The judge of running trials.
    pub pruner: &'a dyn Pruner,
    /// The source of time.
    pub clock: &'a dyn Clock,
    /// The bounds on what a trial may leave behind.
    pub limits: SessionLimits,
    /// The rule for requeueing trials that the scheduler interrupts; `None` requeues none.
    pub retry: Option<RetryPolicy>,
    /// The outcome of a trial that the end of the job's time stops.
    pub on_deadline: OnDeadline,
    /// The inputs of a trial's values besides its parameters: members of the JSON object that is stored with it as
    /// [`PROVENANCE_ATTR`](crate::study::provenance::PROVENANCE_ATTR). The session adds the seed. Empty to store none.
    pub provenance: &'a [(String, Json)],
}

/// Bounds on what one trial may leave in the database and in memory, and the form in which it is left there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionLimits {
    /// The amounts. Of the reported steps that are stored, the first half are a trial's first reports, the others are
    /// spread over all that follow, and the last report is always among them.
    pub limits: Limits,
    /// True if a trial fails when a value fixed for it is outside of its range, or is that of a parameter that the
    /// objective does not suggest. Otherwise the one is used with a warning and the other is ignored, as in Optuna.
    pub strict_fixed_params: bool,
    /// The form in which constraints are written.
    pub constraint_format: ConstraintFormat,
}

/// The outcome of a trial that the end of its job's time stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDeadline {
    /// The trial fails and is requeued, like one that the scheduler interrupts.
    #[default]
    Retry,
    /// The trial is pruned, with the last value that it reported.
    Prune,
    /// The trial fails and is not requeued.
    Fail,
}
