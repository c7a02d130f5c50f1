//! Divides the missing trials into tasks, and computes the cost of running them in parallel.

use std::time::Duration;

/// The size and shape of an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// The number of trials that the study should have.
    pub(super) n_trials: u64,
    /// The number of trials that it has: COMPLETE, PRUNED or RUNNING.
    pub(super) n_present: u64,
    /// The number of trials that a task runs.
    pub(super) per_task: u64,
    /// The number of trials that a task runs at a time.
    pub(super) jobs: u64,
    /// The number of tasks that may run at a time, as the user set it.
    pub(super) parallel: u64,
}

/// The results that trials can learn from when several run at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Knowledge {
    /// The number of trials that run at a time.
    pub(super) at_a_time: u64,
    /// The number of rounds in which that many trials start.
    pub(super) n_rounds: u64,
    /// The number of trials that start before any result is known.
    pub(super) n_blind: u64,
    /// The average share of results that a trial knows, from 0 to 1, compared to running trials one by one.
    pub(super) share: f64,
}

impl Plan {
    /// Returns the number of missing trials.
    pub(super) fn n_missing(&self) -> u64 {
        self.n_trials.saturating_sub(self.n_present)
    }

    /// Returns the number of tasks of the array.
    pub(super) fn n_tasks(&self) -> u64 {
        self.n_missing().div_ceil(self.per_task)
    }

    /// Returns the number of tasks that run at a time, which is at most the number of tasks.
    pub(super) fn n_parallel(&self) -> u64 {
        self.parallel.min(self.n_tasks())
    }

    /// Computes the knowledge of the missing trials when at most `parallel` tasks run at a time.
    ///
    /// With P trials of the same length at a time, the i-th trial (from 0) starts when i − (P − 1) others have
    /// finished. One by one, i would have finished. Both ways, a trial knows the results that the study had before.
    pub(super) fn knowledge(&self, parallel: u64) -> Knowledge {
        let missing = self.n_missing();
        let n_tasks = parallel.min(self.n_tasks());
        let at_a_time = (n_tasks * self.jobs.min(self.per_task)).clamp(1, missing.max(1));
        let (n, had, p) = (missing as f64, self.n_present as f64, at_a_time as f64);
        let known = n * had + (n - p) * (n - p + 1.0) / 2.0;
        let could = n * had + n * (n - 1.0) / 2.0;
        Knowledge {
            at_a_time,
            n_rounds: missing.div_ceil(at_a_time),
            n_blind: if self.n_present == 0 { at_a_time } else { 0 },
            share: if could > 0.0 { known / could } else { 1.0 },
        }
    }

    /// Returns a number of parallel tasks with which a sampler still learns, if `parallel` is too large for that.
    ///
    /// More than a quarter of the trials at a time is too large. With a tenth at a time, trials know about four fifths
    /// of the results that they could know.
    pub(super) fn fewer_at_a_time(&self) -> Option<u64> {
        let at_a_time = self.knowledge(self.parallel).at_a_time;
        let in_task = self.jobs.min(self.per_task);
        let fewer = self.n_trials.div_ceil(10).div_ceil(in_task).max(1);
        (at_a_time * 4 > self.n_trials && fewer < self.n_parallel()).then_some(fewer)
    }

    /// Returns the duration of a task from the duration of a trial.
    pub(super) fn task_duration(&self, trial: Duration) -> Duration {
        let in_a_row = self.per_task.div_ceil(self.jobs);
        trial.saturating_mul(u32::try_from(in_a_row).unwrap_or(u32::MAX))
    }

    /// Returns the number of trials that should share a task, if a task would take less than ten minutes, the minimum
    /// that computing centres ask for.
    ///
    /// The number fills half an hour, or four fifths of `limit`. Where some of the `parallel` tasks would have no work
    /// then, it fills ten minutes.
    pub(super) fn more_per_task(&self, trial: Duration, limit: Option<Duration>) -> Option<u64> {
        if self.task_duration(trial) >= SHORT_TASK {
            return None;
        }
        let missing = self.n_missing();
        let trials_in = |task: Duration| {
            let task = limit.map_or(task, |limit| task.min(limit.mul_f64(0.8)));
            let in_a_row = task.as_secs_f64() / trial.as_secs_f64().max(0.001);
            (in_a_row as u64).saturating_mul(self.jobs).min(missing)
        };
        let for_all = missing.div_ceil(self.parallel);
        let more = trials_in(GOOD_TASK).min(for_all.max(trials_in(SHORT_TASK)));
        (more > self.per_task).then_some(more)
    }
}

/// The minimum and the recommended duration of a task. TTT4HPC and CodeRefinery advise to group short runs until a job
/// takes 10 to 60 minutes.
pub(super) const SHORT_TASK: Duration = Duration::from_secs(600);
const GOOD_TASK: Duration = Duration::from_secs(1800);

/// Returns the median, of an even number the smaller middle one.
pub(super) fn median(mut durations: Vec<Duration>) -> Option<Duration> {
    durations.sort();
    durations.get(durations.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(n_trials: u64, n_present: u64, per_task: u64, parallel: u64) -> Plan {
        Plan { n_trials, n_present, per_task, jobs: 1, parallel }
    }

    #[test]
    fn only_missing_trials_are_submitted_and_no_task_is_empty() {
        for (plan, missing, tasks, parallel) in [
            (plan(40, 0, 1, 8), 40, 40, 8),
            (plan(40, 37, 1, 8), 3, 3, 3),
            (plan(40, 40, 1, 8), 0, 0, 0),
            (plan(40, 50, 1, 8), 0, 0, 0),
            (plan(40, 0, 7, 8), 40, 6, 6),
        ] {
            let found = (plan.n_missing(), plan.n_tasks(), plan.n_parallel());
            assert_eq!(found, (missing, tasks, parallel), "{plan:?}");
        }
    }

    /// Compares with a simulation of trials of one length, each of which starts when an earlier one finishes.
    #[test]
    fn the_share_of_known_results_is_that_of_a_simulation() {
        for (n, had, p) in [(40u64, 0u64, 8u64), (40, 0, 40), (7, 0, 3), (10, 100, 10), (5, 0, 1)] {
            let known: u64 = (0..n).map(|i| had + i.saturating_sub(p - 1)).sum();
            let could: u64 = (0..n).map(|i| had + i).sum();
            let found = plan(n + had, had, 1, p).knowledge(p);
            assert!((found.share - known as f64 / could as f64).abs() < 1e-12, "{n} {had} {p}");
        }
        let all = plan(40, 0, 1, 8).knowledge(8);
        assert_eq!((all.at_a_time, all.n_rounds, all.n_blind), (8, 5, 8));
        assert!((all.share - 1056.0 / 1560.0).abs() < 1e-12);
        assert_eq!(plan(1, 0, 1, 1).knowledge(1).share, 1.0);
        // Parallel trials of one task do not know each other's results either.
        let jobs = Plan { jobs: 4, ..plan(40, 0, 4, 2) };
        assert_eq!(jobs.knowledge(2).at_a_time, 8);
        // Two tasks cannot run eight trials at a time.
        assert_eq!(plan(40, 0, 20, 8).knowledge(8).at_a_time, 2);
    }

    #[test]
    fn more_than_a_quarter_at_a_time_is_too_much_for_a_sampler_that_learns() {
        assert_eq!(plan(40, 0, 1, 10).fewer_at_a_time(), None);
        assert_eq!(plan(40, 0, 1, 11).fewer_at_a_time(), Some(4));
        assert_eq!(plan(40, 0, 1, 40).fewer_at_a_time(), Some(4));
        // The last ten of 110 trials know the results of a hundred.
        assert_eq!(plan(110, 100, 1, 10).fewer_at_a_time(), None);
        // Fewer than one at a time is impossible.
        assert_eq!(plan(2, 0, 1, 1).fewer_at_a_time(), None);
        assert_eq!(plan(1, 0, 1, 8).fewer_at_a_time(), None);
    }

    #[test]
    fn short_trials_share_a_task_for_half_an_hour_or_ten_minutes_or_as_long_as_there_is_time() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let of_1000 = plan(1000, 0, 1, 10);
        assert_eq!(of_1000.more_per_task(minutes(10), None), None);
        assert_eq!(of_1000.more_per_task(minutes(1), None), Some(30));
        assert_eq!(of_1000.more_per_task(minutes(1), Some(minutes(20))), Some(16));
        // Ten tasks of 25 minutes, or fewer tasks where ten would take less than ten minutes each.
        assert_eq!(plan(250, 0, 1, 10).more_per_task(minutes(1), None), Some(25));
        assert_eq!(plan(40, 0, 1, 40).more_per_task(minutes(1), None), Some(10));
        assert_eq!(of_1000.more_per_task(Duration::from_millis(20), None), Some(1000));
        assert_eq!(of_1000.more_per_task(Duration::ZERO, None), Some(1000));
        assert_eq!(plan(1000, 999, 1, 10).more_per_task(minutes(1), None), None);
        assert_eq!(plan(1000, 0, 12, 10).more_per_task(minutes(1), None), None);
        let jobs = Plan { jobs: 4, per_task: 4, ..of_1000 };
        assert_eq!(jobs.more_per_task(minutes(1), None), Some(100), "25 minutes");
    }

    #[test]
    fn the_median_of_two_is_the_smaller_one() {
        let seconds = |of: &[u64]| of.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        assert_eq!(median(vec![]), None);
        assert_eq!(median(seconds(&[3, 1, 2])), Some(Duration::from_secs(2)));
        assert_eq!(median(seconds(&[3, 1])), Some(Duration::from_secs(1)));
    }
}
