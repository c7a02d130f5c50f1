//! The calls of a running objective: suggest, report, prune, attach, log.
//!
//! The session answers from memory and buffers what is to be written. It writes when at least a second has passed since
//! the last write, and at the end, so that neither a chatty objective floods the database nor a killed job takes its
//! parameters with it. It knows nothing of sandboxes and processes.
//!
//! Each of its parts owns its fields, takes the time as an argument and has tests of its own; the session passes
//! storage, clock, sampler and pruner between them.

mod aborted;
mod activity;
mod attach;
mod bounds;
mod context;
mod declared;
pub mod door;
pub mod event;
pub mod objective;
mod params;
mod peers;
pub mod protocol;
mod prune;
mod rejection;
mod reports;
mod suggest;
pub mod transcript;
mod write_behind;

pub use aborted::CallAborted;
pub use context::{OnDeadline, SessionLimits, TrialContext};
pub use declared::DrawnPoint;

use crate::seam::rng::{guest_seed, trial_rng};
use crate::seam::storage::{BegunTrial, Claim, Storage, StorageError};
use crate::session::activity::Activity;
use crate::session::bounds::DataBudget;
use crate::session::event::Event;
use crate::session::params::TrialParams;
pub use crate::session::peers::KnownTrials;
use crate::session::peers::PeerView;
use crate::session::reports::{ReportKept, Reports};
use crate::session::transcript::{LogSource, Transcript};
use crate::session::write_behind::WriteBehind;
use crate::study::batch::TrialBatch;
use crate::study::constraint::ConstraintFormat;
use crate::study::failure::{Failure, FailureCode};
use crate::study::limits::Limit;
use crate::study::provenance::{PROVENANCE_ATTR, RESUMED_FROM};
use crate::study::record::StudyDirection;
use crate::study::trial::{Param, TrialNumber};
use crate::study::usage::Usage;
use crate::value::json::Json;
use std::collections::BTreeMap;
use std::time::Duration;

/// One running trial.
pub struct TrialSession<'a> {
    context: &'a TrialContext<'a>,
    storage: &'a mut dyn Storage,
    observer: &'a mut dyn FnMut(Event),
    claim: Claim,
    origin: TrialNumber,
    seed: u64,
    /// The trial's system attributes: those read from the database, and those of sampler and pruner.
    system_attrs: BTreeMap<String, Json>,
    params: TrialParams,
    peers: PeerView,
    reports: Reports,
    activity: Activity,
    budget: DataBudget,
    writes: WriteBehind,
    has_explained_pruning: bool,
    /// The reason for which the trial cannot continue.
    error: Option<StorageError>,
}

/// The remains of a session whose objective has returned.
pub(crate) struct FinishedSession {
    pub(crate) claim: Claim,
    /// The changes that are not written yet.
    pub(crate) batch: TrialBatch,
    pub(crate) params: Vec<(String, Param)>,
    pub(crate) unused_fixed_params: Vec<String>,
    pub(crate) n_reports_stored: usize,
    pub(crate) activity: Activity,
    pub(crate) error: Option<StorageError>,
    pub(crate) known: KnownTrials,
}

impl<'a> TrialSession<'a> {
    /// Creates the session of a trial that has just started.
    pub fn new(
        context: &'a TrialContext<'a>,
        storage: &'a mut dyn Storage,
        observer: &'a mut dyn FnMut(Event),
        begun: BegunTrial,
    ) -> Self {
        let seed = guest_seed(context.seed, begun.origin);
        let mut batch = TrialBatch::default();
        if !context.provenance.is_empty() {
            let mut members = context.provenance.to_vec();
            members.push(("seed".to_owned(), Json::from(seed)));
            members.push(("trial".to_owned(), Json::from(begun.claim.number.0)));
            batch.system_attrs.push((PROVENANCE_ATTR.to_owned(), Json::Object(members)));
        }
        let rng = trial_rng(context.seed, begun.origin);
        let limits = context.limits.limits;
        TrialSession {
            context,
            storage,
            observer,
            peers: PeerView::new(&context.study.directions, begun.claim.number),
            claim: begun.claim,
            origin: begun.origin,
            seed,
            system_attrs: BTreeMap::new(),
            params: TrialParams::new(rng, begun.fixed_params, begun.params),
            // A row for the last report is needed even where the limit is 0.
            reports: Reports::new(limits.size(Limit::Reports).max(1)),
            activity: Activity::new(Transcript::new(limits.size(Limit::Log))),
            budget: DataBudget::new(limits),
            writes: WriteBehind::new(batch, context.clock.elapsed()),
            has_explained_pruning: false,
            error: None,
        }
    }

    /// Begins with what the worker's last trial knew of the study.
    pub(crate) fn knowing(mut self, known: KnownTrials) -> Self {
        self.peers.know(known);
        self
    }

    /// Returns the trial's number.
    pub fn number(&self) -> TrialNumber {
        self.claim.number
    }

    /// Returns the direction of each value of the study.
    pub fn directions(&self) -> &[StudyDirection] {
        &self.context.study.directions
    }

    /// Returns the trial of which this one is a retry, directly or not; otherwise the trial itself.
    pub fn origin(&self) -> TrialNumber {
        self.origin
    }

    /// Notes that the objective continues from a checkpoint of an earlier attempt: in the log, and in the provenance as
    /// `resumed_from`, because a replay starts afresh. To be called before the objective is.
    pub fn resumes_from(&mut self, earlier: TrialNumber) {
        self.host_note(&format!("resumes from the checkpoint of trial {earlier}"));
        for (key, value) in &mut self.writes.batch.system_attrs {
            if let Json::Object(members) = value
                && key == PROVENANCE_ATTR
            {
                members.push((RESUMED_FROM.to_owned(), Json::from(earlier.0)));
            }
        }
    }

    /// Notes that the objective has left more than the attempt before it. If it is interrupted, the attempt does not
    /// count against the retries.
    pub fn made_progress(&mut self) {
        self.activity.made_progress = true;
    }

    /// Returns the seed for the objective's own random numbers; a retry has that of the trial that was lost.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Gives the objective the seed of another trial, which it replays.
    pub(crate) fn replay_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Returns the time of the session's clock, for deadlines.
    pub fn elapsed(&self) -> Duration {
        self.context.clock.elapsed()
    }

    /// Takes an intermediate value. Of several values for one step the first stays, as in Optuna.
    ///
    /// # Errors
    /// None today; the signature is that of the other calls.
    pub fn report(&mut self, value: f64, step: i64) -> Result<(), CallAborted> {
        (self.observer)(Event::Reported { step, value });
        match self.reports.add(step, value) {
            ReportKept::Kept => self.writes.batch.intermediate_values.push((step, value)),
            ReportKept::Repeated { is_first: true } => self.host_note(&format!(
                "step {step} was already reported; the first value is kept, also of further steps"
            )),
            ReportKept::Passing | ReportKept::Repeated { is_first: false } => {}
        }
        Ok(())
    }

    /// Takes text that the objective logged or printed: any piece of it. Whole lines are kept.
    pub fn log(&mut self, source: LogSource, text: &str) {
        // The notes of the host are not output of the objective.
        if source != LogSource::Host {
            self.activity.usage.log_bytes += text.len() as u64;
        }
        let observer = &mut *self.observer;
        self.activity.transcript.push(source, text, &mut |line| observer(Event::Logged(line)));
    }

    /// Returns the time until [`Self::tick`] has something to write.
    pub fn until_tick(&self) -> Duration {
        self.writes.until_due(self.elapsed())
    }

    /// Writes the buffered changes if they are due, with a heartbeat. To be called whenever the objective has nothing
    /// to ask, after [`Self::until_tick`] or at least once a second.
    ///
    /// # Errors
    /// [`CallAborted::Halt`] when the trial is no longer ours. A database that cannot be written now is not an error
    /// yet: the changes are kept, and the end of the trial tries again.
    pub fn tick(&mut self) -> Result<(), CallAborted> {
        if !self.until_tick().is_zero() {
            return Ok(());
        }
        let result = self.storage.try_record(&self.claim, &self.writes.batch);
        // Read after the write, which may have taken long.
        let now = self.context.clock.elapsed();
        let Err(error) = result else {
            self.writes.written(now);
            return Ok(());
        };
        let is_first = self.writes.failed(now);
        if let StorageError::ClaimLost { .. } = error {
            return Err(self.halt(error));
        }
        if is_first {
            tracing::warn!(trial = self.claim.number.0, %error, "could not write; will try again");
        }
        Ok(())
    }

    /// Records the resource usage that the runtime measured so far. Calls are counted by the session.
    pub fn measured(
        &mut self,
        cpu: Option<Duration>,
        peak_memory_bytes: Option<u64>,
        fuel: Option<u64>,
    ) {
        self.activity.usage = Usage { cpu, peak_memory_bytes, fuel, ..self.activity.usage };
    }

    /// Records the use of GPUs: the most memory in bytes, and the mean utilisation in percent.
    pub fn measured_gpus(&mut self, memory_bytes: Option<u64>, percent: Option<f64>) {
        self.activity.usage.gpu_memory_bytes = memory_bytes;
        self.activity.usage.gpu_percent = percent;
    }

    /// Records the versions of the packages that the objective imported, by name.
    pub fn imported(&mut self, versions: Json) {
        self.activity.packages = Some(versions);
    }

    /// Counts a call of the contract; to be called for each.
    pub fn count_call(&mut self) {
        self.activity.usage.host_calls += 1;
    }

    /// Returns the value at the largest step that is stored.
    pub(crate) fn last_intermediate_value(&self) -> Option<f64> {
        self.reports.values().last_key_value().map(|(_, value)| *value)
    }

    /// Returns the failure of a trial whose objective did not suggest a parameter that is fixed for it; `None` where
    /// that is allowed.
    pub(crate) fn unused_fixed_param(&self) -> Option<Failure> {
        let unused = self.params.unused_fixed();
        let name = unused.first().filter(|_| self.context.limits.strict_fixed_params)?;
        let suggested: Vec<&str> =
            self.params.values.iter().map(|(name, _)| name.as_str()).collect();
        let message = format!(
            "parameter `{name}` was fixed, but the objective does not suggest `{name}`; with these values it suggests: \
             {}",
            suggested.join(", ")
        );
        Some(Failure::new(FailureCode::FixedParam, message))
    }

    /// Ends the session and returns what remains of it.
    pub(crate) fn finish(mut self) -> FinishedSession {
        let Activity { user_attrs, constraints, transcript, usage, .. } = &mut self.activity;
        usage.reports = self.reports.n_made();
        usage.user_attrs = user_attrs.len() as u64;
        let batch = &mut self.writes.batch;
        batch.intermediate_values.extend(self.reports.last_passing());
        if self.context.limits.constraint_format == ConstraintFormat::Legacy {
            ConstraintFormat::Legacy.write(constraints, batch);
        }
        transcript.finish(&mut |line| (self.observer)(Event::Logged(line)));
        FinishedSession {
            claim: self.claim,
            batch: self.writes.batch,
            unused_fixed_params: self.params.unused_fixed(),
            params: self.params.values,
            n_reports_stored: self.reports.values().len(),
            activity: self.activity,
            error: self.error,
            known: self.peers.into_known(),
        }
    }

    /// Adds attributes that simultaneous trials should see soon.
    fn share(&mut self, attrs: Vec<(String, Json)>) {
        self.system_attrs.extend(attrs.iter().cloned());
        self.writes.share(attrs, self.context.clock.elapsed());
    }

    fn host_note(&mut self, text: &str) {
        self.log(LogSource::Host, &format!("{text}\n"));
    }

    fn halt(&mut self, error: StorageError) -> CallAborted {
        self.error = Some(error);
        CallAborted::Halt
    }
}
