//! Waiting for the job that looks at a cluster, and saying what it waits for.

use super::job::{Job, ProbeFolder, State};
use crate::error::CommandError;
use crate::probe::{look, no_use_of_folder, report_name};
use crate::view::output::Output;
use std::path::Path;
use std::time::{Duration, Instant};
use trialbox_core::session::objective::Interruption;
use trialbox_runtime::Interrupts;

/// How often reports are looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often Slurm is asked about the job: at first, and at last.
const FIRST_QUESTION: Duration = Duration::from_secs(2);
const LAST_QUESTION: Duration = Duration::from_secs(30);

/// How long the file system may take to show here what a job that has ended wrote on its nodes.
const NEWS: Duration = Duration::from_secs(3);

/// Who waits.
pub(super) struct Watch<'a> {
    pub(super) folder: &'a ProbeFolder,
    /// For no longer than until then.
    pub(super) deadline: Instant,
    pub(super) interrupts: &'a Interrupts,
    pub(super) output: &'a Output,
}

/// How waiting ended.
pub(super) enum Waited {
    /// The job is over, with its reports or without.
    Ended,
    /// What it was doing when there was no more time.
    TimeOver(State),
    Interrupted(Interruption),
    /// Slurm never gives one job two nodes here; its reason.
    NeverTwo(String),
}

/// When Slurm is to be asked: less and less often, because many users ask it.
struct Questions {
    next: Instant,
    interval: Duration,
}

impl Watch<'_> {
    /// Waits until both tasks have reported, or there is no more hope of it.
    pub(super) fn wait(&self, job: &mut Job) -> Result<Waited, CommandError> {
        let mut questions =
            Questions { next: Instant::now() + FIRST_QUESTION, interval: FIRST_QUESTION };
        let mut state = State::Unknown;
        loop {
            if has_reports(&self.folder.path).map_err(no_use_of_folder)? {
                wait_for_end(job);
                return Ok(Waited::Ended);
            }
            if let Some(interruption) = self.interrupts.pending() {
                return Ok(Waited::Interrupted(interruption));
            }
            if Instant::now() >= self.deadline {
                return Ok(Waited::TimeOver(state));
            }
            if questions.is_due() {
                match job.state() {
                    State::Ended => {
                        wait_for_news(&self.folder.path);
                        return Ok(Waited::Ended);
                    }
                    State::Waits { reason } if is_about_nodes(&reason) => {
                        return Ok(Waited::NeverTwo(reason));
                    }
                    State::Unknown => {}
                    found if found != state => {
                        self.output.note(&format!("job {} {found}", job.id));
                        state = found;
                    }
                    _ => {}
                }
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }
}

impl Questions {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        self.interval = (self.interval * 2).min(LAST_QUESTION);
        self.next = now + self.interval;
        true
    }
}

/// Whether a job waits for ever because it asks for more nodes than one job may have (squeue(1), job reasons).
fn is_about_nodes(reason: &str) -> bool {
    reason == "PartitionNodeLimit" || reason.ends_with("MaxNodePerJobLimit")
}

/// What the job still has open should not be removed.
fn wait_for_end(job: &mut Job) {
    for _ in 0..10 {
        if job.state() == State::Ended {
            return;
        }
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn wait_for_news(folder: &Path) {
    let ended = Instant::now();
    while ended.elapsed() < NEWS && !has_reports(folder).unwrap_or(false) {
        std::thread::sleep(LOOK_INTERVAL);
    }
}

fn has_reports(folder: &Path) -> anyhow::Result<bool> {
    Ok(look(folder, &report_name(0))?.is_some() && look(folder, &report_name(1))?.is_some())
}
