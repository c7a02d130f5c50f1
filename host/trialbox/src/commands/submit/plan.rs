//! How many trials are missing, in how many tasks, and what running them side by side costs.

use std::time::Duration;

/// What is to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    /// How many trials the study shall have.
    pub(super) n_trials: u64,
    /// How many of them it has: COMPLETE, PRUNED or RUNNING.
    pub(super) n_present: u64,
    /// How many trials a task runs.
    pub(super) per_task: u64,
    /// How many of them run side by side.
    pub(super) jobs: u64,
    /// How many tasks may run at once, as the user wants it.
    pub(super) parallel: u64,
}

/// What trials know of each other where several run at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Knowledge {
    /// How many run at once.
    pub(super) at_once: u64,
    /// How often as many are begun.
    pub(super) n_rounds: u64,
    /// How many are begun before any result of them is known.
    pub(super) n_blind: u64,
    /// Of the results that a trial would know if each waited for the one before, the part that it knows, on average:
    /// 0 to 1.
    pub(super) share: f64,
}

impl Plan {
    /// How many trials are missing.
    pub(super) fn n_missing(&self) -> u64 {
        self.n_trials.saturating_sub(self.n_present)
    }

    /// How many tasks the array has.
    pub(super) fn n_tasks(&self) -> u64 {
        self.n_missing().div_ceil(self.per_task)
    }

    /// How many tasks run at once: no more than there are.
    pub(super) fn n_parallel(&self) -> u64 {
        self.parallel.min(self.n_tasks())
    }

    /// What the missing trials know when `parallel` tasks run at once, or as many as there are.
    ///
    /// With P trials at once and all of the same length, the i-th (from 0) begins when i − (P − 1) others have ended,
    /// and one after another it would be i. What the study had before, both know.
    pub(super) fn knowledge(&self, parallel: u64) -> Knowledge {
        let missing = self.n_missing();
        let n_tasks = parallel.min(self.n_tasks());
        let at_once = (n_tasks * self.jobs.min(self.per_task)).clamp(1, missing.max(1));
        let (n, had, p) = (missing as f64, self.n_present as f64, at_once as f64);
        let known = n * had + (n - p) * (n - p + 1.0) / 2.0;
        let could = n * had + n * (n - 1.0) / 2.0;
        Knowledge {
            at_once,
            n_rounds: missing.div_ceil(at_once),
            n_blind: if self.n_present == 0 { at_once } else { 0 },
            share: if could > 0.0 { known / could } else { 1.0 },
        }
    }

    /// A number of tasks at once with which a sampler still learns, if `parallel` is too large for that: more than a
    /// quarter of the trials at once. A tenth leaves trials about four fifths of what they could know.
    pub(super) fn fewer_at_once(&self) -> Option<u64> {
        let at_once = self.knowledge(self.parallel).at_once;
        let in_task = self.jobs.min(self.per_task);
        let fewer = self.n_trials.div_ceil(10).div_ceil(in_task).max(1);
        (at_once * 4 > self.n_trials && fewer < self.n_parallel()).then_some(fewer)
    }

    /// How long a task takes in which each trial takes so long.
    pub(super) fn task_duration(&self, trial: Duration) -> Duration {
        let in_a_row = self.per_task.div_ceil(self.jobs);
        trial.saturating_mul(u32::try_from(in_a_row).unwrap_or(u32::MAX))
    }

    /// How many trials should share a task so that it lasts half an hour, if it would last less than ten minutes, which
    /// is the least that computing centres ask for. Where that leaves some of `parallel` tasks without work, it is as
    /// few as ten minutes allow. No more than fit into four fifths of `limit`.
    pub(super) fn more_per_task(&self, trial: Duration, limit: Option<Duration>) -> Option<u64> {
        if self.task_duration(trial) >= SHORT_TASK {
            return None;
        }
        let missing = self.n_missing();
        let fill = |task: Duration| {
            let task = limit.map_or(task, |limit| task.min(limit.mul_f64(0.8)));
            let in_a_row = task.as_secs_f64() / trial.as_secs_f64().max(0.001);
            (in_a_row as u64).saturating_mul(self.jobs).min(missing)
        };
        let for_all = missing.div_ceil(self.parallel);
        let more = fill(GOOD_TASK).min(for_all.max(fill(SHORT_TASK)));
        (more > self.per_task).then_some(more)
    }
}

/// TTT4HPC and CodeRefinery: join short runs until a job lasts 10 to 60 minutes.
pub(super) const SHORT_TASK: Duration = Duration::from_secs(600);
const GOOD_TASK: Duration = Duration::from_secs(1800);

/// The duration in the middle.
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
    fn only_what_is_missing_is_submitted_and_no_task_is_empty() {
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

    /// Against a simulation: trials of one length, each begun when one before it ends.
    #[test]
    fn what_is_known_is_what_counting_gives() {
        for (n, had, p) in [(40u64, 0u64, 8u64), (40, 0, 40), (7, 0, 3), (10, 100, 10), (5, 0, 1)] {
            let known: u64 = (0..n).map(|i| had + i.saturating_sub(p - 1)).sum();
            let could: u64 = (0..n).map(|i| had + i).sum();
            let found = plan(n + had, had, 1, p).knowledge(p);
            assert!((found.share - known as f64 / could as f64).abs() < 1e-12, "{n} {had} {p}");
        }
        let all = plan(40, 0, 1, 8).knowledge(8);
        assert_eq!((all.at_once, all.n_rounds, all.n_blind), (8, 5, 8));
        assert!((all.share - 1056.0 / 1560.0).abs() < 1e-12);
        assert_eq!(plan(1, 0, 1, 1).knowledge(1).share, 1.0);
        // Trials side by side in one task are begun without knowing each other, too.
        let jobs = Plan { jobs: 4, ..plan(40, 0, 4, 2) };
        assert_eq!(jobs.knowledge(2).at_once, 8);
        // Two tasks cannot run eight trials at once.
        assert_eq!(plan(40, 0, 20, 8).knowledge(8).at_once, 2);
    }

    #[test]
    fn more_than_a_quarter_at_once_is_too_much_for_a_sampler_that_learns() {
        assert_eq!(plan(40, 0, 1, 10).fewer_at_once(), None);
        assert_eq!(plan(40, 0, 1, 11).fewer_at_once(), Some(4));
        assert_eq!(plan(40, 0, 1, 40).fewer_at_once(), Some(4));
        // The ten last of 110 know a hundred.
        assert_eq!(plan(110, 100, 1, 10).fewer_at_once(), None);
        // One after another cannot be fewer.
        assert_eq!(plan(2, 0, 1, 1).fewer_at_once(), None);
        assert_eq!(plan(1, 0, 1, 8).fewer_at_once(), None);
    }

    #[test]
    fn short_trials_share_a_task_for_half_an_hour_or_ten_minutes_or_as_long_as_there_is_time() {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let of_1000 = plan(1000, 0, 1, 10);
        assert_eq!(of_1000.more_per_task(minutes(10), None), None);
        assert_eq!(of_1000.more_per_task(minutes(1), None), Some(30));
        assert_eq!(of_1000.more_per_task(minutes(1), Some(minutes(20))), Some(16));
        // Ten tasks of 25 minutes; and where ten cannot have ten minutes each, fewer.
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
