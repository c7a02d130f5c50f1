//! Finds out whether the owners of trials are alive: from the process table of this machine, and from Slurm.

use super::job_table::{JobStart, JobTable, SACCT, SQUEUE, Verdict, read_accounts};
use super::owner_members;
use super::process_table::owner_state;
use super::slurm::{Answer, COMMAND_TIMEOUT, SlurmError, ask_within};
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::Json;
use trialbox_core::run::reap::{Evidence, Loss, OwnerProbe, OwnerState};
use trialbox_core::seam::storage::LeasedTrial;
use trialbox_storage::{HolderProbe, HolderState};

/// The age of a heartbeat from which a trial may be lost: at least one heartbeat is missing.
const SUSPICIOUS_AGE: Duration = Duration::from_secs(60);

/// The time limit of sacct, which adds only the reason of a loss.
const ACCOUNTING_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of jobs that one sacct is asked about at most.
const MAX_ACCOUNTED: usize = 1000;

/// The condition for asking Slurm about trials of unknown owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inquiry {
    /// Only if a heartbeat is older than a minute. A thousand tasks that start together must not all ask.
    IfSilent,
    /// Always.
    Always,
}

impl Inquiry {
    /// Returns the time limit of Slurm's commands. At its start, a trial does not wait long for news of others.
    fn timeout(self) -> Duration {
        match self {
            Inquiry::IfSilent => Duration::from_secs(5),
            Inquiry::Always => COMMAND_TIMEOUT,
        }
    }
}

/// A probe that asks the process table of this machine, then the environment of this process, then Slurm, once for all
/// trials.
///
/// Slurm is asked about jobs of this user on this cluster only. Jobs of other users may be hidden (`PrivateData` in
/// slurm.conf(5)), and job ids of other clusters are ambiguous.
pub(crate) struct Liveness<'a> {
    inquiry: Inquiry,
    here: Here,
    ask: &'a Ask,
}

/// Runs a command of Slurm, as [`ask_within`] does.
type Ask = dyn Fn(Duration, &str, &[&str]) -> Result<Answer, SlurmError>;

/// The process that asks.
struct Here {
    uid: String,
    /// The job that this process belongs to.
    job: Option<JobStart>,
}

impl Liveness<'static> {
    /// Returns the probe of this process.
    pub(crate) fn new(inquiry: Inquiry) -> Self {
        let here = Here {
            uid: rustix::process::getuid().as_raw().to_string(),
            job: JobStart::from_members(&Json::object(owner_members())),
        };
        let ask = &|timeout, program: &str, arguments: &[&str]| {
            ask_within(timeout, program, arguments, "")
        };
        Liveness { inquiry, here, ask }
    }
}

/// Returns the knowledge of Slurm about processes that hold a lock file on other machines.
pub(crate) fn holder_probe() -> HolderProbe {
    HolderProbe::new(owner_members(), |lock| Liveness::new(Inquiry::IfSilent).holder_state(lock))
}

impl OwnerProbe for Liveness<'_> {
    fn look(&self, trials: &[&LeasedTrial]) -> Vec<OwnerState> {
        let mut states: Vec<OwnerState> =
            trials.iter().map(|trial| self.local_state(trial)).collect();
        let open =
            trials.iter().zip(&mut states).filter(|(_, state)| **state == OwnerState::Unknown);
        let mut open: Vec<Question> = open
            .filter_map(|(trial, state)| {
                Some(Question { trial, job: self.job_to_ask(trial)?, state })
            })
            .collect();
        if self.inquiry == Inquiry::Always || open.iter().any(|question| is_silent(question.trial))
        {
            self.ask_slurm(&mut open);
        }
        states
    }
}

/// A trial whose owner only Slurm may know.
struct Question<'a> {
    trial: &'a LeasedTrial,
    job: JobStart,
    state: &'a mut OwnerState,
}

impl Liveness<'_> {
    /// Returns the owner's state as far as this machine knows it, without running a command.
    fn local_state(&self, trial: &LeasedTrial) -> OwnerState {
        let Some(owner) = trial.owner_of_this() else { return OwnerState::Unknown };
        let state = owner_state(owner);
        let job = job_of(owner).filter(|_| state == OwnerState::Unknown);
        match self.here.job.as_ref().zip(job) {
            Some((ours, job)) if ours.supersedes(&job) => {
                gone(&job, &restarted(ours.restart_count))
            }
            _ => state,
        }
    }

    /// Returns the owner's job, if Slurm can be asked about it.
    fn job_to_ask(&self, trial: &LeasedTrial) -> Option<JobStart> {
        job_of(trial.owner_of_this()?).filter(|job| self.may_ask_about(job))
    }

    fn may_ask_about(&self, job: &JobStart) -> bool {
        let is_here = self.here.job.as_ref().is_none_or(|ours| ours.cluster == job.cluster);
        is_here && job.uid.as_ref() == Some(&self.here.uid)
    }

    /// Asks Slurm about all trials at a time.
    fn ask_slurm(&self, questions: &mut Vec<Question>) {
        if questions.is_empty() {
            return;
        }
        let table = self.cluster().and_then(|cluster| {
            questions.retain(|question| question.job.cluster == cluster);
            if questions.is_empty() { Ok(None) } else { self.job_table().map(Some) }
        });
        match table {
            Ok(Some(table)) => self.answer(questions, &table),
            Ok(None) => {}
            // Heartbeats decide then, as without Slurm.
            Err(error) => tracing::info!(%error, "cannot ask Slurm which jobs are alive"),
        }
    }

    /// Returns the cluster that Slurm's commands ask here.
    fn cluster(&self) -> Result<String, SlurmError> {
        if let Some(job) = &self.here.job {
            return Ok(job.cluster.clone());
        }
        let config = (self.ask)(self.inquiry.timeout(), "scontrol", &["show", "config"])?.text;
        Ok(cluster_name(&config).unwrap_or_default().to_owned())
    }

    /// Returns the state of the process that wrote a lock, as far as Slurm knows its job.
    fn holder_state(&self, lock: &Json) -> HolderState {
        let Some(job) = job_of(lock).filter(|job| self.may_ask_about(job)) else {
            return HolderState::Unknown;
        };
        match self.cluster() {
            Ok(cluster) if cluster == job.cluster => {}
            _ => return HolderState::Unknown,
        }
        let Ok(jobs) = self.job_table() else { return HolderState::Unknown };
        match jobs.table.judge(&job) {
            Verdict::Halted => HolderState::Stopped,
            Verdict::Active => HolderState::MayRun,
            Verdict::Ended { state } => {
                HolderState::Gone(format!("job {} ended as {state}", job.name))
            }
            Verdict::Restarted { .. } => {
                HolderState::Gone(format!("job {} was restarted", job.name))
            }
            Verdict::NotListed if jobs.is_whole => {
                HolderState::Gone(format!("job {} is not known to Slurm any more", job.name))
            }
            Verdict::NotListed | Verdict::Unclear => HolderState::Unknown,
        }
    }

    /// Asks squeue for the user's jobs.
    fn job_table(&self) -> Result<ListedJobs, SlurmError> {
        let arguments = [&SQUEUE[..], &[self.here.uid.as_str()]].concat();
        let Answer { text, complaint } = (self.ask)(self.inquiry.timeout(), "squeue", &arguments)?;
        let table = JobTable::read(&text);
        // For a user without a name, squeue lists no jobs and succeeds. A list without the job of this process cannot
        // be trusted either.
        let knows_us =
            self.here.job.as_ref().is_none_or(|job| table.judge(job) != Verdict::NotListed);
        let is_whole = table.is_whole() && complaint.is_empty() && knows_us;
        if !is_whole {
            tracing::info!(complaint, knows_us, "squeue may have omitted jobs");
        }
        Ok(ListedJobs { table, is_whole })
    }

    /// Sets the owners' states from Slurm's list.
    fn answer(&self, questions: &mut [Question], jobs: &ListedJobs) {
        let verdicts: Vec<Verdict> =
            questions.iter().map(|question| jobs.table.judge(&question.job)).collect();
        let forgotten = questions.iter().zip(&verdicts);
        let forgotten = forgotten.filter(|(_, verdict)| **verdict == Verdict::NotListed);
        let forgotten: Vec<&str> =
            forgotten.map(|(question, _)| question.job.id.as_str()).collect();
        let accounts = if jobs.is_whole { self.accounts(&forgotten) } else { BTreeMap::new() };
        for (question, verdict) in questions.iter_mut().zip(verdicts) {
            let job = &question.job;
            *question.state = match verdict {
                Verdict::Halted => OwnerState::Alive,
                Verdict::Active | Verdict::Unclear => OwnerState::Unknown,
                Verdict::Ended { state } => ended(job, state),
                Verdict::Restarted { restart_count, waits: false } => {
                    gone(job, &restarted(restart_count))
                }
                Verdict::Restarted { restart_count, waits: true } => {
                    gone(job, &format!("was requeued (restart {restart_count})"))
                }
                Verdict::NotListed if !jobs.is_whole => OwnerState::Unknown,
                Verdict::NotListed => match accounts.get(&job.id) {
                    Some(state) => ended(job, state),
                    None => gone(job, "is not known to Slurm any more"),
                },
            };
        }
    }

    /// Asks sacct about jobs that the controller has forgotten. Many clusters have no accounting.
    fn accounts(&self, ids: &[&str]) -> BTreeMap<String, &'static str> {
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let ids = ids[..ids.len().min(MAX_ACCOUNTED)].join(",");
        let arguments = [&SACCT[..], &[ids.as_str()]].concat();
        match (self.ask)(ACCOUNTING_TIMEOUT, "sacct", &arguments) {
            Ok(answer) => read_accounts(&answer.text),
            Err(error) => {
                tracing::debug!(%error, "cannot ask sacct how jobs ended");
                BTreeMap::new()
            }
        }
    }
}

/// The list of squeue.
struct ListedJobs {
    table: JobTable,
    /// True if a job that is not in the list has ended.
    is_whole: bool,
}

/// Returns the job of an owner's process. An owner without a process took its trial with `trial ask`: the trial
/// outlives the job, because the result may come from elsewhere.
fn job_of(owner: &Json) -> Option<JobStart> {
    owner.get("pid").and_then(|_| JobStart::from_members(owner))
}

/// Returns whether a heartbeat is too old. A trial without heartbeats is never silent.
fn is_silent(trial: &LeasedTrial) -> bool {
    trial.heartbeat.as_ref().is_some_and(|heartbeat| !heartbeat.is_recent(SUSPICIOUS_AGE))
}

fn restarted(restart_count: u32) -> String {
    format!("was restarted (restart {restart_count})")
}

fn ended(job: &JobStart, state: &'static str) -> OwnerState {
    let evidence = format!("job {} ended as {state}", job.name);
    let loss = Loss::of_process(Evidence::Scheduler, &evidence);
    OwnerState::Gone(Loss { scheduler_state: Some(state.to_owned()), ..loss })
}

fn gone(job: &JobStart, what: &str) -> OwnerState {
    OwnerState::Gone(Loss::of_process(Evidence::Scheduler, &format!("job {} {what}", job.name)))
}

/// Reads the line `ClusterName = …` of `scontrol show config`.
fn cluster_name(config: &str) -> Option<&str> {
    let mut lines = config.lines().filter_map(|line| line.split_once('='));
    lines.find(|(key, _)| key.trim() == "ClusterName").map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests;
