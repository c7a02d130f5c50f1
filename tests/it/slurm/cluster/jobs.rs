//! Jobs of a cluster: submitted, waited for, and what became of them.

use super::Cluster;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

/// What `sbatch` said that the job is called.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Job(u32);

impl Job {
    /// One that somebody else has submitted.
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

/// One task of an array job, or the only one of any other, as `scontrol show job` knows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Task {
    /// Such as `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `TIMEOUT`.
    pub(crate) state: String,
    /// Why it is pending, or why it ended badly.
    pub(crate) reason: String,
    /// The batch script's exit code and the signal that ended it, as in `0:15`.
    pub(crate) exit_code: String,
    /// How often it was requeued.
    pub(crate) restarts: u32,
    /// Where it runs or has run.
    pub(crate) node: Option<String>,
}

impl Cluster {
    /// Submits a batch script, which is a file of the test's folder, with options before it.
    #[track_caller]
    pub(crate) fn sbatch(&self, arguments: &[&str]) -> Job {
        self.sbatch_with(&[], arguments)
    }

    /// The same, with more in the job's environment. An option `--export` with names would do it too, but has the
    /// node start a login shell for each job (`--get-user-env`), which takes seconds on a busy machine.
    #[track_caller]
    pub(crate) fn sbatch_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Job {
        let mut sbatch = self.command("sbatch", &[&["--parsable"], arguments].concat());
        let printed = self.finish(sbatch.envs(variables.iter().copied()));
        Job::named(&printed)
    }

    /// Waits until all tasks of a job have left the queue; what became of them, by task id.
    #[track_caller]
    pub(crate) fn wait_for(&self, job: Job) -> BTreeMap<u32, Task> {
        let job_id = job.to_string();
        self.poll(&format!("job {job} to leave the queue"), || {
            self.run("squeue", &["-h", "-j", &job_id, "-o", "%i"]).is_empty().then_some(())
        });
        self.job_states(job)
    }

    /// Waits until the tasks of a job are as is wanted; how they are, by task id.
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

    /// How the tasks of a job are, by task id; a job that is no array has task 0. Tasks of an array that Slurm
    /// has not thought of starting yet are one record to it, and are left out.
    #[track_caller]
    pub(crate) fn job_states(&self, job: Job) -> BTreeMap<u32, Task> {
        let shown = self.run("scontrol", &["show", "job", "--oneliner", &job.to_string()]);
        shown.lines().filter_map(task_of).collect()
    }

    /// Where a job that is no array runs, once it does.
    #[track_caller]
    pub(crate) fn node_of(&self, job: Job) -> String {
        let tasks = self.wait_until(job, "to run", |tasks| tasks[&0].state == "RUNNING");
        tasks[&0].node.clone().unwrap()
    }
}

/// Reads a line of `NAME=VALUE` pairs. Some values have blanks, but none that is looked at here.
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
