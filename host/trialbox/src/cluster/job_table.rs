//! The job of Slurm that owns a trial, and its state in Slurm's list of jobs. Runs no command itself.

use std::collections::BTreeMap;
use trialbox_core::Json;

/// The arguments of squeue for [`JobTable::read`], before the user's id.
///
/// Without `--all`, jobs in partitions that are hidden or closed to the user seem to be gone. With `--user`, the
/// controller sends no jobs of other users (squeue(1), Slurm 22.05 to 26.05).
pub(crate) const SQUEUE: [&str; 8] = [
    "--noheader",
    "--all",
    "--local",
    "--states",
    "all",
    "--Format",
    "JobID:|,State:|,RestartCnt:|",
    "--user",
];

/// The arguments of sacct for [`read_accounts`], before the job ids.
pub(crate) const SACCT: [&str; 6] =
    ["--noheader", "--allocations", "--parsable2", "--format", "JobIDRaw,State", "--jobs"];

/// The states in which a job's processes are stopped and send no heartbeats.
const HALTED: [&str; 2] = ["SUSPENDED", "STOPPED"];

/// The states in which a job's processes run or are being ended. A single process may be dead all the same.
const ACTIVE: [&str; 7] =
    ["RUNNING", "CONFIGURING", "RESIZING", "SIGNALING", "REQUEUED", "STAGE_OUT", COMPLETING];

/// The state in which a job's processes end. The restart count of a requeued job has already grown.
const COMPLETING: &str = "COMPLETING";

/// The final states of a job.
const ENDED: [&str; 9] = [
    "COMPLETED",
    "FAILED",
    "TIMEOUT",
    "CANCELLED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
];

/// One start of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobStart {
    /// The job id, of which each task of an array has its own.
    pub(crate) id: String,
    /// The name in Slurm's commands: `17`, or `12_3` for a task of an array.
    pub(crate) name: String,
    /// The number of starts before this one.
    pub(crate) restart_count: u32,
    /// The cluster, without which an id is ambiguous.
    pub(crate) cluster: String,
    /// The id of the job's user.
    pub(crate) uid: Option<String>,
}

impl JobStart {
    /// Reads the job from the members of an owner token.
    pub(crate) fn from_members(owner: &Json) -> Option<Self> {
        let member = |key: &str| owner.get(key).and_then(Json::as_str).map(str::to_owned);
        let id = member("slurm_job_id")?;
        let array = member("slurm_array_job_id").zip(member("slurm_array_task_id"));
        Some(JobStart {
            name: array.map_or_else(|| id.clone(), |(array, task)| format!("{array}_{task}")),
            id,
            restart_count: match member("slurm_restart_count") {
                Some(count) => count.parse().ok()?,
                None => 0,
            },
            cluster: member("slurm_cluster")?,
            uid: member("slurm_uid"),
        })
    }

    /// Returns whether this is a later start of the same job.
    pub(crate) fn supersedes(&self, other: &JobStart) -> bool {
        (&self.id, &self.cluster) == (&other.id, &other.cluster)
            && self.restart_count > other.restart_count
    }
}

/// The state of one start of a job, as far as Slurm's list proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The job's processes may run. Only the heartbeat of a process shows whether it does.
    Active,
    /// The job's processes are stopped and may continue.
    Halted,
    /// The job has ended.
    Ended {
        /// Slurm's final state.
        state: &'static str,
    },
    /// The job was requeued, and this start is over.
    Restarted {
        /// The number of restarts so far.
        restart_count: u32,
        /// True if the job waits in the queue.
        waits: bool,
    },
    /// The list does not contain the job.
    NotListed,
    /// The list proves nothing about this start.
    Unclear,
}

/// Slurm's list of a user's jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobTable {
    /// The states and restart counts by job id.
    jobs: BTreeMap<String, (String, u32)>,
    /// True if every line could be read.
    is_whole: bool,
}

impl JobTable {
    /// Reads the output of squeue for [`SQUEUE`], which has a line such as `17|RUNNING|0|` for each job.
    pub(crate) fn read(text: &str) -> Self {
        let mut table = JobTable { jobs: BTreeMap::new(), is_whole: true };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split('|').collect::<Vec<_>>()[..] {
                [id, state, restarts, ""] if let Ok(restarts) = restarts.parse() => {
                    table.jobs.insert(id.to_owned(), (state.to_owned(), restarts));
                }
                _ => table.is_whole = false,
            }
        }
        table
    }

    /// Returns whether the list contains all of the user's jobs.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Judges a start of a job.
    pub(crate) fn judge(&self, job: &JobStart) -> Verdict {
        let Some((state, restart_count)) = self.jobs.get(&job.id) else {
            return Verdict::NotListed;
        };
        let (is_halted, is_active) =
            (HALTED.contains(&state.as_str()), ACTIVE.contains(&state.as_str()));
        let end = end_state(state);
        match restart_count.checked_sub(job.restart_count) {
            Some(0) if is_halted => Verdict::Halted,
            Some(0) if is_active => Verdict::Active,
            // PENDING proves nothing: after a crash of the controller, a running job can be shown so.
            Some(0) => end.map_or(Verdict::Unclear, |state| Verdict::Ended { state }),
            // A job that is being requeued still records its trial.
            Some(1) if state == COMPLETING => Verdict::Active,
            Some(_) => {
                let waits = !is_halted && !is_active && end.is_none();
                Verdict::Restarted { restart_count: *restart_count, waits }
            }
            None => Verdict::Unclear,
        }
    }
}

/// Reads the output of sacct for [`SACCT`]: the final states of jobs by id.
pub(crate) fn read_accounts(text: &str) -> BTreeMap<String, &'static str> {
    let ended = text.lines().filter_map(|line| {
        let (id, state) = line.trim().split_once('|')?;
        // `CANCELLED by 1000`
        Some((id.to_owned(), end_state(state.split_whitespace().next()?)?))
    });
    ended.collect()
}

fn end_state(state: &str) -> Option<&'static str> {
    ENDED.into_iter().find(|ended| *ended == state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As squeue 22.05.8 printed it.
    const PRINTED: &str =
        "2|COMPLETED|0|\n4|COMPLETING|1|\n3|FAILED|0|\n1|PENDING|0|\n5|RUNNING|0|\n";

    fn start(id: &str, restart_count: u32) -> JobStart {
        JobStart {
            id: id.to_owned(),
            name: id.to_owned(),
            restart_count,
            cluster: "c".to_owned(),
            uid: None,
        }
    }

    #[test]
    fn the_output_of_squeue_is_read() {
        let table = JobTable::read(PRINTED);
        assert!(table.is_whole());
        for (id, want) in [
            ("2", Verdict::Ended { state: "COMPLETED" }),
            ("3", Verdict::Ended { state: "FAILED" }),
            // The job was requeued, and its processes are being ended.
            ("4", Verdict::Active),
            ("1", Verdict::Unclear),
            ("5", Verdict::Active),
            ("6", Verdict::NotListed),
        ] {
            assert_eq!(table.judge(&start(id, 0)), want, "{id}");
        }
        assert!(JobTable::read("").is_whole());
    }

    #[test]
    fn a_list_with_an_unreadable_line_is_not_whole() {
        for line in ["slurm_load_jobs error: x", "7|RUNNING|0", "7|RUNNING|N/A|", "7|RUNNING|0|9|"]
        {
            let table = JobTable::read(&format!("{PRINTED}{line}\n"));
            assert!(!table.is_whole(), "{line}");
            assert_eq!(table.judge(&start("5", 0)), Verdict::Active);
            assert_eq!(table.judge(&start("7", 0)), Verdict::NotListed);
        }
    }

    #[test]
    fn every_state_has_its_verdict_on_the_same_start() {
        let judge = |state: &str| JobTable::read(&format!("7|{state}|2|")).judge(&start("7", 2));
        for state in HALTED {
            assert_eq!(judge(state), Verdict::Halted, "{state}");
        }
        for state in ACTIVE {
            assert_eq!(judge(state), Verdict::Active, "{state}");
        }
        for state in ENDED {
            assert_eq!(judge(state), Verdict::Ended { state });
        }
        // States of waiting jobs, of other clusters, and of future versions.
        for state in ["PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "REVOKED", "?"] {
            assert_eq!(judge(state), Verdict::Unclear, "{state}");
        }
    }

    #[test]
    fn another_start_of_a_job_is_recognised_by_the_restart_count() {
        let judge = |state: &str, ours: u32| {
            JobTable::read(&format!("7|{state}|2|")).judge(&start("7", ours))
        };
        let restarted = |waits| Verdict::Restarted { restart_count: 2, waits };
        for ours in [0, 1] {
            assert_eq!(judge("RUNNING", ours), restarted(false));
            assert_eq!(judge("PENDING", ours), restarted(true));
            assert_eq!(judge("COMPLETED", ours), restarted(false));
        }
        assert_eq!(judge("COMPLETING", 1), Verdict::Active);
        assert_eq!(judge("COMPLETING", 0), restarted(false));
        // The controller forgot a restart.
        for state in ["RUNNING", "PENDING", "COMPLETED"] {
            assert_eq!(judge(state, 3), Verdict::Unclear, "{state}");
        }
    }

    #[test]
    fn the_output_of_sacct_about_ended_jobs_is_read() {
        let states = read_accounts("4|TIMEOUT\n5|CANCELLED by 1000\n6|RUNNING\n7|NODE_FAIL\n\nx\n");
        let want = [("4", "TIMEOUT"), ("5", "CANCELLED"), ("7", "NODE_FAIL")];
        assert_eq!(states, want.map(|(id, state)| (id.to_owned(), state)).into());
    }

    #[test]
    fn an_owner_names_its_job_and_which_start_of_it() {
        let owner = |members: &[(&'static str, &str)]| {
            let members = members.iter().map(|(key, value)| (*key, Json::from(*value)));
            JobStart::from_members(&Json::object(members))
        };
        let alone = owner(&[("slurm_job_id", "17"), ("slurm_cluster", "c")]).expect("a job");
        assert_eq!(alone, start("17", 0));
        let again = owner(&[
            ("slurm_job_id", "17"),
            ("slurm_array_job_id", "12"),
            ("slurm_array_task_id", "3"),
            ("slurm_restart_count", "1"),
            ("slurm_cluster", "c"),
            ("slurm_uid", "1000"),
        ])
        .expect("a job");
        let want =
            JobStart { name: "12_3".to_owned(), uid: Some("1000".to_owned()), ..start("17", 1) };
        assert_eq!(again, want);
        assert!(again.supersedes(&alone) && !alone.supersedes(&again));
        assert!(!again.supersedes(&start("18", 0)) && !again.supersedes(&again));
        let elsewhere = JobStart { cluster: "d".to_owned(), ..alone };
        assert!(!again.supersedes(&elsewhere));
        // An id without a cluster is ambiguous, and so is a restart count that cannot be read.
        assert_eq!(owner(&[("slurm_job_id", "17")]), None);
        let unreadable =
            [("slurm_job_id", "17"), ("slurm_cluster", "c"), ("slurm_restart_count", "x")];
        assert_eq!(owner(&unreadable), None);
    }
}
