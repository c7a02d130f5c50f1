//! Whether the owners of trials live: the process table says so of this machine's, and Slurm of its jobs'.

use super::job_table::{JobStart, JobTable, SACCT, SQUEUE, Verdict, read_accounts};
use super::owner_members;
use super::slurm::{Answer, PATIENCE, SlurmError, ask_within};
use crate::study::owner::look_up_process;
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::Json;
use trialbox_core::run::reap::{Loss, OwnerProbe, OwnerState, Witness};
use trialbox_core::seam::storage::LeasedTrial;

/// A heart that was silent for so long has missed a beat: the trial may be lost.
const SUSPICIOUS_SILENCE: Duration = Duration::from_secs(60);

/// How long Slurm's accounting may take, which knows nothing that a trial has to wait for.
const PATIENCE_WITH_ACCOUNTING: Duration = Duration::from_secs(5);

/// Of so many jobs at most accounting is asked how they ended.
const MAX_ACCOUNTED: usize = 1000;

/// Whether Slurm is asked of trials that nothing else is known of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inquiry {
    /// Only if the heart of one of them was silent for a minute: a thousand tasks that start together must not
    /// all ask.
    IfSilent,
    /// In any case.
    Always,
}

impl Inquiry {
    /// How long Slurm may take to answer. A trial that is to begin does not wait for the others for long.
    fn patience(self) -> Duration {
        match self {
            Inquiry::IfSilent => Duration::from_secs(5),
            Inquiry::Always => PATIENCE,
        }
    }
}

/// Asks the process table of this machine, then the environment of this process, then Slurm, once for all trials.
///
/// Of Slurm's jobs those can be judged that are this user's on this cluster: others' may be hidden (`PrivateData`
/// in slurm.conf(5)), and numbers are one cluster's alone.
pub(crate) struct Liveness<'a> {
    inquiry: Inquiry,
    here: Here,
    ask: &'a Ask,
}

/// Runs a command of Slurm's, as [`ask_within`].
type Ask = dyn Fn(Duration, &str, &[&str]) -> Result<Answer, SlurmError>;

/// Who asks.
struct Here {
    uid: String,
    /// The job that this process belongs to.
    job: Option<JobStart>,
}

impl Liveness<'static> {
    /// As this process sees it.
    pub(crate) fn new(inquiry: Inquiry) -> Self {
        let here = Here {
            uid: rustix::process::getuid().as_raw().to_string(),
            job: JobStart::from_members(&Json::object(owner_members())),
        };
        let ask = &|patience, program: &str, arguments: &[&str]| {
            ask_within(patience, program, arguments, "")
        };
        Liveness { inquiry, here, ask }
    }
}

impl OwnerProbe for Liveness<'_> {
    fn look(&self, trials: &[&LeasedTrial]) -> Vec<OwnerState> {
        let mut states: Vec<OwnerState> =
            trials.iter().map(|trial| self.look_nearby(trial)).collect();
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

/// What only Slurm may know.
struct Question<'a> {
    trial: &'a LeasedTrial,
    job: JobStart,
    state: &'a mut OwnerState,
}

impl Liveness<'_> {
    /// What can be known of an owner without asking anybody.
    fn look_nearby(&self, trial: &LeasedTrial) -> OwnerState {
        let Some(owner) = trial.owner_of_this() else { return OwnerState::Unknown };
        let state = look_up_process(owner);
        let job = job_of(owner).filter(|_| state == OwnerState::Unknown);
        match self.here.job.as_ref().zip(job) {
            Some((ours, job)) if ours.supersedes(&job) => {
                gone(&job, &started_again(ours.restart_count))
            }
            _ => state,
        }
    }

    /// The owner's job, if Slurm would tell us of it, as far as we know without asking.
    fn job_to_ask(&self, trial: &LeasedTrial) -> Option<JobStart> {
        let job = job_of(trial.owner_of_this()?)?;
        let is_here = self.here.job.as_ref().is_none_or(|ours| ours.cluster == job.cluster);
        (is_here && job.uid.as_ref() == Some(&self.here.uid)).then_some(job)
    }

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
            // Then heartbeats tell, as where there is no Slurm.
            Err(error) => tracing::info!(%error, "Slurm does not say which jobs live"),
        }
    }

    /// The cluster that Slurm's commands speak of here.
    fn cluster(&self) -> Result<String, SlurmError> {
        if let Some(job) = &self.here.job {
            return Ok(job.cluster.clone());
        }
        let config = (self.ask)(self.inquiry.patience(), "scontrol", &["show", "config"])?.text;
        Ok(cluster_name(&config).unwrap_or_default().to_owned())
    }

    fn job_table(&self) -> Result<ListedJobs, SlurmError> {
        let arguments = [&SQUEUE[..], &[self.here.uid.as_str()]].concat();
        let Answer { text, complaint } = (self.ask)(self.inquiry.patience(), "squeue", &arguments)?;
        let table = JobTable::read(&text);
        // Of a user whose name it cannot find out squeue shows no jobs, and succeeds; and a list without our own
        // job is none of ours, whatever the reason.
        let knows_us =
            self.here.job.as_ref().is_none_or(|job| table.judge(job) != Verdict::NotListed);
        let is_whole = table.is_whole() && complaint.is_empty() && knows_us;
        if !is_whole {
            tracing::info!(complaint, knows_us, "squeue may not have listed all jobs");
        }
        Ok(ListedJobs { table, is_whole })
    }

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
                    gone(job, &started_again(restart_count))
                }
                Verdict::Restarted { restart_count, waits: true } => {
                    gone(job, &format!("was requeued (restart {restart_count})"))
                }
                Verdict::NotListed if !jobs.is_whole => OwnerState::Unknown,
                Verdict::NotListed => match accounts.get(&job.id) {
                    Some(state) => ended(job, state),
                    None => gone(job, "is none that Slurm knows any more"),
                },
            };
        }
    }

    /// How jobs ended that the controller has forgotten. Many clusters keep no accounts, and then nobody knows.
    fn accounts(&self, ids: &[&str]) -> BTreeMap<String, &'static str> {
        if ids.is_empty() {
            return BTreeMap::new();
        }
        let ids = ids[..ids.len().min(MAX_ACCOUNTED)].join(",");
        let arguments = [&SACCT[..], &[ids.as_str()]].concat();
        match (self.ask)(PATIENCE_WITH_ACCOUNTING, "sacct", &arguments) {
            Ok(answer) => read_accounts(&answer.text),
            Err(error) => {
                tracing::debug!(%error, "how jobs ended is not known");
                BTreeMap::new()
            }
        }
    }
}

/// What squeue listed.
struct ListedJobs {
    table: JobTable,
    /// Whether a job that it does not have has ended.
    is_whole: bool,
}

/// The job that an owner's process belongs to. An owner without a process is one that asked for a trial which may be
/// told from elsewhere: its job may end, and the trial goes on.
fn job_of(owner: &Json) -> Option<JobStart> {
    owner.get("pid").and_then(|_| JobStart::from_members(owner))
}

fn is_silent(trial: &LeasedTrial) -> bool {
    // Without a heartbeat there is no silence.
    trial.heartbeat.as_ref().is_some_and(|heartbeat| !heartbeat.is_recent(SUSPICIOUS_SILENCE))
}

fn started_again(restart_count: u32) -> String {
    format!("was started again (restart {restart_count})")
}

fn ended(job: &JobStart, state: &'static str) -> OwnerState {
    let evidence = format!("job {} ended as {state}", job.name);
    let loss = Loss::of_process(Witness::Scheduler, &evidence);
    OwnerState::Gone(Loss { scheduler_state: Some(state.to_owned()), ..loss })
}

fn gone(job: &JobStart, what: &str) -> OwnerState {
    OwnerState::Gone(Loss::of_process(Witness::Scheduler, &format!("job {} {what}", job.name)))
}

/// The line `ClusterName = …` of `scontrol show config`.
fn cluster_name(config: &str) -> Option<&str> {
    let mut lines = config.lines().filter_map(|line| line.split_once('='));
    lines.find(|(key, _)| key.trim() == "ClusterName").map(|(_, name)| name.trim())
}

#[cfg(test)]
mod tests;
