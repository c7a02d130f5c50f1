//! The numbers that the workers of one process share.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The trials that are left to start, and what the finished ones say about the next.
pub(crate) struct Counters {
    left: AtomicU32,
    is_stopped: AtomicBool,
    /// The duration of the longest trial, in milliseconds.
    longest: AtomicU64,
    /// True if the end of the job's time has left trials to run.
    is_out_of_time: AtomicBool,
    /// The trials that failed by the objective's fault.
    n_failures: AtomicU32,
    /// The trials that were not interrupted.
    n_finished: AtomicU32,
    /// True if a trial has finished, or has come closer to its end.
    made_progress: AtomicBool,
}

impl Counters {
    pub(crate) fn new(n_trials: u32) -> Self {
        Counters {
            left: AtomicU32::new(n_trials),
            is_stopped: AtomicBool::new(false),
            longest: AtomicU64::new(0),
            is_out_of_time: AtomicBool::new(false),
            n_failures: AtomicU32::new(0),
            n_finished: AtomicU32::new(0),
            made_progress: AtomicBool::new(false),
        }
    }

    /// Returns whether trials are left to start.
    pub(super) fn is_left(&self) -> bool {
        !self.is_stopped.load(Ordering::Relaxed) && self.left.load(Ordering::Relaxed) > 0
    }

    /// Takes the right to start one trial; returns whether one was left.
    pub(super) fn take(&self) -> bool {
        let take_one = |left: u32| left.checked_sub(1);
        !self.is_stopped.load(Ordering::Relaxed)
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take_one).is_ok()
    }

    /// Gives the right to start a trial back.
    pub(super) fn put_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps all workers from starting trials; returns whether this is the first call.
    pub(super) fn stop(&self) -> bool {
        !self.is_stopped.swap(true, Ordering::Relaxed)
    }

    /// Returns the duration of the longest trial.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::Relaxed))
    }

    /// Notes the duration of a trial.
    pub(super) fn note_duration(&self, took: Duration) {
        let millis = took.as_millis().try_into().unwrap_or(u64::MAX);
        self.longest.fetch_max(millis, Ordering::Relaxed);
    }

    /// Returns the number of trials that failed by the objective's fault.
    pub(super) fn n_failures(&self) -> u32 {
        self.n_failures.load(Ordering::Relaxed)
    }

    /// Notes a trial that failed by the objective's fault.
    pub(super) fn note_failure(&self) {
        self.n_failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of trials that were not interrupted.
    pub(crate) fn n_finished(&self) -> u32 {
        self.n_finished.load(Ordering::Relaxed)
    }

    /// Notes a trial that was not interrupted.
    pub(super) fn note_finished(&self) {
        self.n_finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the end of the job's time has left trials to run.
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.is_out_of_time.load(Ordering::Relaxed)
    }

    /// Notes that the end of the job's time has left trials to run.
    pub(super) fn note_out_of_time(&self) {
        self.is_out_of_time.store(true, Ordering::Relaxed);
    }

    /// Returns whether this process has brought the study further.
    pub(crate) fn made_progress(&self) -> bool {
        self.made_progress.load(Ordering::Relaxed)
    }

    /// Notes that this process has brought the study further.
    pub(super) fn note_progress(&self) {
        self.made_progress.store(true, Ordering::Relaxed);
    }
}
