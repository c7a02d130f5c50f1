//! Waits for the job that examines a cluster, and tells the user what the job waits for.

use super::job::{Job, ProbeFolder, State};
use crate::error::CommandError;
use crate::probe::{folder_error, read_from_server, report_name};
use crate::view::output::Output;
use std::path::Path;
use std::time::{Duration, Instant};
use trialbox_core::session::objective::Interruption;
use trialbox_runtime::Interrupts;

/// The time between two checks for reports.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The time between two questions to Slurm about the job: at first, and at most.
const FIRST_QUESTION: Duration = Duration::from_secs(2);
const LAST_QUESTION: Duration = Duration::from_secs(30);

/// The time that a file system may take to show here the files that the job wrote on its nodes.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(3);

/// The wait for a job.
pub(super) struct Watch<'a> {
    pub(super) folder: &'a ProbeFolder,
    /// The end of the wait.
    pub(super) deadline: Instant,
    pub(super) interrupts: &'a Interrupts,
    pub(super) output: &'a Output,
}

/// The end of a wait.
pub(super) enum Waited {
    /// The job has ended, with its reports or without.
    Ended,
    /// The deadline was reached; the job's state at that time.
    TimeOver(State),
    Interrupted(Interruption),
    /// Slurm never gives one job two nodes here. Holds Slurm's reason.
    NeverTwo(String),
}

/// The schedule of questions to Slurm, which get rarer because Slurm serves many users.
struct Questions {
    next: Instant,
    interval: Duration,
}

impl Watch<'_> {
    /// Waits until both tasks have reported, the job has ended without, or the deadline is reached.
    pub(super) fn wait(&self, job: &mut Job) -> Result<Waited, CommandError> {
        let mut questions =
            Questions { next: Instant::now() + FIRST_QUESTION, interval: FIRST_QUESTION };
        let mut state = State::Unknown;
        loop {
            if has_reports(&self.folder.path).map_err(folder_error)? {
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
                        wait_for_reports(&self.folder.path);
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
            std::thread::sleep(CHECK_INTERVAL);
        }
    }
}

impl Questions {
    /// Returns whether the next question is due, and schedules the one after it.
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

/// Returns whether a job waits forever because it asks for more nodes than one job may have (squeue(1), job reasons).
fn is_about_nodes(reason: &str) -> bool {
    reason == "PartitionNodeLimit" || reason.ends_with("MaxNodePerJobLimit")
}

/// Waits for the end of a job that has reported: its open files should not be removed.
fn wait_for_end(job: &mut Job) {
    for _ in 0..10 {
        if job.state() == State::Ended {
            return;
        }
        std::thread::sleep(CHECK_INTERVAL);
    }
}

/// Waits for the reports of a job that has ended.
fn wait_for_reports(folder: &Path) {
    let ended = Instant::now();
    while ended.elapsed() < PROPAGATION_TIMEOUT && !has_reports(folder).unwrap_or(false) {
        std::thread::sleep(CHECK_INTERVAL);
    }
}

fn has_reports(folder: &Path) -> anyhow::Result<bool> {
    for rank in [0, 1] {
        if read_from_server(folder, &report_name(rank))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}
