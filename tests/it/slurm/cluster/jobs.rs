//! The jobs of a cluster: submits them, waits for them, and reads their states.

use super::Cluster;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

/// The id of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Job(u32);

impl Job {
    /// Returns a job that another process submitted.
    #[track_caller]
    pub(crate) fn named(id: &str) -> Self {
        Job(id.trim().parse().unwrap_or_else(|_| panic!("no job id: {id}")))
    }
}

impl Display for Job {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A task of an array job, or the only task of another job, as `scontrol show job` prints it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// Slurm's state, such as `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `TIMEOUT`.
    pub(crate) state: String,
    /// Slurm's reason for a pending or failed job.
    pub(crate) reason: String,
    /// The batch script's exit code and the signal that ended it: `0:15`.
    pub(crate) exit_code: String,
    /// The number of restarts.
    pub(crate) restarts: u32,
    /// The node on which the task runs or ran.
    pub(crate) node: Option<String>,
}

impl Cluster {
    /// Submits a batch script of the test's folder, after the options of sbatch.
    #[track_caller]
    pub(crate) fn sbatch(&self, arguments: &[&str]) -> Job {
        self.sbatch_with(&[], arguments)
    }

    /// Submits a batch script with additional variables in the job's environment. The option `--export` with names
    /// would make the node start a login shell for each job (`--get-user-env`), which takes seconds on a busy machine.
    #[track_caller]
    pub(crate) fn sbatch_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Job {
        let mut sbatch = self.command("sbatch", &[&["--parsable"], arguments].concat());
        let printed = self.finish(sbatch.envs(variables.iter().copied()));
        Job::named(&printed)
    }

    /// Waits until all tasks of a job have left the queue, and returns them by index.
    #[track_caller]
    pub(crate) fn wait_for(&self, job: Job) -> BTreeMap<u32, Task> {
        let job_id = job.to_string();
        self.poll(&format!("job {job} to leave the queue"), || {
            self.run("squeue", &["-h", "-j", &job_id, "-o", "%i"]).is_empty().then_some(())
        });
        self.job_states(job)
    }

    /// Waits until the tasks of a job fulfil a condition, and returns them by index.
    #[track_caller]
    pub(crate) fn wait_until(
        &self,
        job: Job,
        wanted: &str,
        is_so: impl Fn(&BTreeMap<u32, Task>) -> bool,
    ) -> BTreeMap<u32, Task> {
        self.poll(&format!("job {job}: {wanted}"), || {
            Some(self.job_states(job)).filter(|tasks| is_so(tasks))
        })
    }

    /// Returns the tasks of a job by index, which is 0 without an array. Tasks that Slurm has not scheduled yet share
    /// one record, and are omitted.
    #[track_caller]
    pub(crate) fn job_states(&self, job: Job) -> BTreeMap<u32, Task> {
        let shown = self.run("scontrol", &["show", "job", "--oneliner", &job.to_string()]);
        shown.lines().filter_map(task_of).collect()
    }

    /// Waits until a job without an array runs, and returns its node.
    #[track_caller]
    pub(crate) fn node_of(&self, job: Job) -> String {
        let tasks = self.wait_until(job, "to run", |tasks| tasks[&0].state == "RUNNING");
        tasks[&0].node.clone().unwrap()
    }
}

/// Reads a line of `NAME=VALUE` pairs. Some values contain blanks, but none of those that are read here.
fn task_of(line: &str) -> Option<(u32, Task)> {
    let find = |name| line.split(' ').find_map(|pair| pair.strip_prefix(name));
    let get = |name| find(name).unwrap_or_else(|| panic!("no {name} in {line}")).to_owned();
    let task_id = find("ArrayTaskId=").unwrap_or("0").parse().ok()?;
    let node = find("NodeList=").filter(|node| !matches!(*node, "" | "(null)"));
    let task = Task {
        state: get("JobState="),
        reason: get("Reason="),
        exit_code: get("ExitCode="),
        restarts: get("Restarts=").parse().unwrap(),
        node: node.map(str::to_owned),
    };
    Some((task_id, task))
}

#[test]
fn a_line_of_scontrol_is_read() {
    let line = "JobId=8 ArrayJobId=7 ArrayTaskId=2 JobName=a b UserId=u(1) JobState=TIMEOUT Reason=TimeLimit \
                Dependency=(null) Requeue=1 Restarts=3 ExitCode=0:15 ReqNodeList=x NodeList=c1n2 NumNodes=1";
    let task = Task {
        state: "TIMEOUT".into(),
        reason: "TimeLimit".into(),
        exit_code: "0:15".into(),
        restarts: 3,
        node: Some("c1n2".into()),
    };
    assert_eq!(task_of(line), Some((2, task)));
    assert_eq!(task_of("JobId=7 ArrayJobId=7 ArrayTaskId=3-200%16 JobState=PENDING"), None);
}
