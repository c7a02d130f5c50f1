//! The end of the batch job that this process runs in, and the thread that watches it.
//!
//! A usual batch script delivers no signal: Slurm sends its signals to the script's shell, which dies of them or
//! ignores them. So this process asks Slurm for the end, and interrupts and records trials some seconds before it.

use crate::cluster::own_job::{self, Left, Standing};
use crate::cluster::slurm::{SlurmError, SlurmJob};
use crate::view::output::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
use trialbox_runtime::SharedDeadline;

/// The default time before the end of the job at which a trial is interrupted: enough to record it in a busy database,
/// or else in a file.
const RESERVE: Duration = Duration::from_secs(15);

/// The largest part of a short job that is reserved, as a divisor.
const LARGEST_PART: u32 = 4;

/// The time before the end at which Slurm is asked again: the limit of a job can change while the job runs
/// (`scontrol update TimeLimit`).
const LAST_QUESTION: Duration = Duration::from_secs(60);

/// The largest random time by which that question comes earlier, so that tasks that started together do not ask
/// together.
const SPREAD: Duration = Duration::from_secs(30);

/// The pause after the first question without an answer. Each further pause is twice as long.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);

/// The pause between questions about a job without a time limit, which may get one.
const UNLIMITED_PAUSE: Duration = Duration::from_secs(3600);

/// The time before the end at which a process stops waiting for the database, and writes its results to a file.
const LAST_CALL: Duration = Duration::from_secs(8);

/// The time before the end at which a program that was told to end is killed, so that its trial can be recorded.
const LAST_MOMENT: Duration = Duration::from_secs(5);

/// The part of a short reserve that stays for that, as a divisor.
const LAST_PART: u32 = 3;

/// The number of restarts of a job that makes progress each time: practically unlimited, but finite.
const MAX_RESTARTS: u32 = 1000;

/// The user's orders about the end of the job's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JobEndPlan {
    /// The time that the job has left when this process starts, where the user knows it.
    pub(crate) job_time: Option<Duration>,
    /// The time before the end at which a running trial is stopped.
    pub(crate) reserve: Option<Duration>,
    /// The time that must be left for a trial to start.
    pub(crate) min_time: Option<Duration>,
    /// True if the job is to be requeued when there is more to do.
    pub(crate) requeue: bool,
}

impl JobEndPlan {
    /// Starts to watch the end of the job.
    pub(crate) fn watch(self) -> JobEnd {
        let end = JobEnd {
            deadline: Arc::default(),
            last_moment: Arc::default(),
            last_call: Arc::default(),
            min_time: self.min_time,
            reserve: self.reserve,
            requeue: self.requeue,
            was_requeued: AtomicBool::new(false),
        };
        let mut watch = Watch {
            deadline: Arc::clone(&end.deadline),
            last_moment: Arc::clone(&end.last_moment),
            last_call: Arc::clone(&end.last_call),
            reserve: self.reserve,
            has_warned: false,
        };
        match (self.job_time, SlurmJob::current()) {
            (Some(time), _) => watch.set(Left::Time(time)),
            (None, Some(job)) => {
                // With the end from the environment, the first trial starts with a deadline.
                // An end that is past was moved, or belongs to another job.
                let told = job.end_time.map(|end| until(end, SystemTime::now()));
                let told = told.filter(|left| !left.is_zero()).map(Left::Time);
                told.into_iter().for_each(|left| watch.set(left));
                // The thread ends with the process, and is not joined.
                std::thread::spawn(move || watch.keep(&job, told));
            }
            (None, None) => {}
        }
        end
    }
}

/// The end of the job, as the workers of this process see it.
#[derive(Debug)]
pub(crate) struct JobEnd {
    /// The time at which trials are interrupted.
    pub(crate) deadline: Arc<SharedDeadline>,
    /// The time by which a program that was told to end must be gone.
    pub(crate) last_moment: Arc<SharedDeadline>,
    /// The time at which waits for the database end.
    pub(crate) last_call: Arc<SharedDeadline>,
    reserve: Option<Duration>,
    min_time: Option<Duration>,
    /// True if the job is to be requeued when there is more to do.
    requeue: bool,
    was_requeued: AtomicBool,
}

impl JobEnd {
    /// Returns the time between the end of trials and that of the job, if the latter is known.
    pub(crate) fn reserve(&self) -> Option<Duration> {
        let left = self.deadline.remaining()?;
        Some(self.reserve.unwrap_or_else(|| RESERVE.min(left / LARGEST_PART)))
    }

    /// Returns the time that is left, if it is too short for another trial. `longest` is the duration of this process's
    /// longest trial.
    pub(crate) fn too_little_left(&self, longest: Duration) -> Option<Duration> {
        let left = self.deadline.remaining()?;
        let wanted = self.min_time.unwrap_or(longest);
        (left.is_zero() || left < wanted).then_some(left)
    }

    /// Requeues the job, if the user wants that and it was not done before. Returns true if the requeue failed, after a
    /// note with the reason.
    ///
    /// Allows `max_restarts` restarts in all, or a thousand for a job that makes progress.
    pub(crate) fn fails_to_requeue(
        &self,
        max_restarts: u32,
        makes_progress: bool,
        output: &Output,
    ) -> bool {
        if !self.requeue || self.was_requeued.swap(true, Ordering::Relaxed) {
            return false;
        }
        let Some(job) = SlurmJob::current() else {
            output.note("--requeue: this process does not belong to a job of Slurm");
            return true;
        };
        let most = if makes_progress { max_restarts.max(MAX_RESTARTS) } else { max_restarts };
        match own_job::requeue(&job, most) {
            Ok(name) => {
                output.note(&format!("job {name} was requeued"));
                false
            }
            Err(why) => {
                output.note(&format!("job {} was not requeued: {why}", job.name()));
                true
            }
        }
    }
}

/// The thread that keeps the deadlines up to date.
struct Watch {
    deadline: Arc<SharedDeadline>,
    last_moment: Arc<SharedDeadline>,
    last_call: Arc<SharedDeadline>,
    reserve: Option<Duration>,
    has_warned: bool,
}

impl Watch {
    /// Sets the deadlines from the time that the job has left. An unknown time changes nothing.
    fn set(&mut self, left: Left) {
        match left {
            Left::Unknown => {}
            Left::Unlimited => {
                self.deadline.set(None);
                self.last_moment.set(None);
                self.last_call.set(None);
            }
            Left::Time(left) => {
                // The reserve is computed once: later, a quarter of the rest would be less.
                let reserve = *self.reserve.get_or_insert_with(|| RESERVE.min(left / LARGEST_PART));
                let after = |time: Duration| Instant::now().checked_add(time);
                self.deadline.set(after(left.saturating_sub(reserve)));
                let last_moment = LAST_MOMENT.min(reserve / LAST_PART);
                self.last_moment.set(after(left.saturating_sub(last_moment)));
                self.last_call.set(after(left.saturating_sub(LAST_CALL)));
            }
        }
    }

    /// Asks Slurm when the job ends, unless the environment told it, and again before the end.
    fn keep(&mut self, job: &SlurmJob, told: Option<Left>) {
        let mut backoff = FIRST_BACKOFF;
        let mut is_first = true;
        let mut heard = told.map_or_else(|| self.ask(job), Some);
        loop {
            let pause = match heard {
                Some(Left::Time(left)) => until_next_question(left, is_first),
                Some(Left::Unlimited) => Some(UNLIMITED_PAUSE),
                // Slurm is busy or down. At the start of an array, many tasks ask.
                Some(Left::Unknown) => Some(backoff),
                None => None,
            };
            let Some(pause) = pause else { return };
            if heard == Some(Left::Unknown) {
                backoff = (backoff * 2).min(LAST_QUESTION);
            } else {
                is_first = false;
            }
            std::thread::sleep(pause);
            heard = self.ask(job);
        }
    }

    /// Asks Slurm how long the job may still run. Returns `None` if asking again is useless: this process belongs to an
    /// old copy of the job, or squeue is missing.
    fn ask(&mut self, job: &SlurmJob) -> Option<Left> {
        let problem = match Standing::of(job) {
            Ok(Some(now)) if now.supersedes(job) => return None,
            Ok(Some(now)) => {
                tracing::debug!(?now, "the job of this process");
                self.set(now.left);
                return Some(now.left);
            }
            Ok(None) => "squeue does not list the job".to_owned(),
            Err(error @ SlurmError::NoCommand { .. }) => {
                tracing::info!(%error, "cannot find out when the job ends");
                return None;
            }
            Err(error) => error.to_string(),
        };
        let is_news = !std::mem::replace(&mut self.has_warned, true);
        if is_news && self.deadline.remaining().is_none() {
            tracing::warn!(
                "the end of job {} is not known yet ({problem}), so its trial may not be stopped in \
                 time; --job-time sets it",
                job.name()
            );
        }
        Some(Left::Unknown)
    }
}

/// Returns the pause before the next question, or `None` after the last one. `left` is the time that the job has left.
fn until_next_question(left: Duration, is_first: bool) -> Option<Duration> {
    let early = LAST_QUESTION + SPREAD.mul_f64(rand::random());
    match left.checked_sub(early) {
        Some(pause) if pause > LAST_QUESTION => Some(pause),
        // A short job asks once more, after half of its time.
        _ => is_first.then_some(left / 2),
    }
}

/// Returns the time until a point in seconds since 1970, or zero if it is past.
fn until(seconds: i64, now: SystemTime) -> Duration {
    let at =
        u64::try_from(seconds).map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    at.ok().and_then(|at| at.duration_since(now).ok()).unwrap_or_default()
}

/// Returns a note for the user if the batch script keeps Slurm's signals from this process.
pub(crate) fn explain_lost_signals() -> Option<String> {
    let listener = SlurmJob::current()?.task_pid?;
    // A script with a trap is assumed to pass the signal on.
    let is_lost = listener != std::process::id() && !catches_sigterm(listener);
    is_lost.then(|| {
        "note: Slurm sends its signals to the batch script's shell, not to this process. End the script with `exec \
         trialbox run …`, so that a trial is recorded when its job is cancelled or preempted"
            .to_owned()
    })
}

/// Returns whether a process catches SIGTERM, from its mask of caught signals (proc_pid_status(5)).
fn catches_sigterm(pid: u32) -> bool {
    const SIGTERM: u32 = 15;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (SIGTERM - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn slurm_is_asked_again_before_the_last_minute_and_once_in_a_short_job() {
        for is_first in [true, false] {
            let pause = until_next_question(secs(3600), is_first).expect("a long job");
            assert!((secs(3510)..=secs(3540)).contains(&pause), "{pause:?}");
        }
        assert_eq!(until_next_question(secs(60), true), Some(secs(30)));
        assert_eq!(until_next_question(secs(60), false), None);
        assert_eq!(until_next_question(secs(90), false), None);
    }

    #[test]
    fn a_short_job_keeps_three_quarters_of_its_time_for_trials() {
        let set = |reserve, left| {
            let (deadline, last_call) = (Arc::default(), Arc::default());
            let last_moment = Arc::default();
            let mut watch = Watch { deadline, last_moment, last_call, reserve, has_warned: false };
            watch.set(Left::Time(left));
            let remaining = watch.deadline.remaining().expect("a deadline");
            // Some of the time is over when it is read.
            (remaining.as_secs_f64()).ceil() as u64
        };
        assert_eq!(set(None, secs(3600)), 3585);
        assert_eq!(set(None, secs(20)), 15);
        assert_eq!(set(Some(secs(1)), secs(20)), 19);
        assert_eq!(set(Some(secs(30)), secs(20)), 0);
    }

    #[test]
    fn a_trial_starts_only_if_there_is_time_for_it() {
        let end = |left: Option<Duration>, min_time| {
            let deadline = Arc::new(SharedDeadline::default());
            deadline.set(left.map(|left| Instant::now() + left));
            JobEnd {
                deadline,
                last_moment: Arc::default(),
                last_call: Arc::default(),
                reserve: None,
                min_time,
                requeue: false,
                was_requeued: AtomicBool::new(false),
            }
        };
        assert_eq!(end(None, Some(secs(60))).too_little_left(secs(9)), None);
        assert_eq!(end(Some(secs(100)), None).too_little_left(Duration::ZERO), None);
        assert!(end(Some(secs(100)), None).too_little_left(secs(101)).is_some());
        assert_eq!(end(Some(secs(100)), Some(secs(1))).too_little_left(secs(101)), None);
        assert!(end(Some(secs(100)), Some(secs(101))).too_little_left(Duration::ZERO).is_some());
        assert!(
            end(Some(Duration::ZERO), Some(Duration::ZERO))
                .too_little_left(Duration::ZERO)
                .is_some()
        );
    }

    #[test]
    fn a_time_that_is_past_leaves_nothing() {
        let now = SystemTime::UNIX_EPOCH + secs(1000);
        assert_eq!(until(1060, now), secs(60));
        assert_eq!(until(940, now), Duration::ZERO);
        assert_eq!(until(-1, now), Duration::ZERO);
    }
}
