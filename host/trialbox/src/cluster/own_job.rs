//! Asks Slurm about the job of this process, and requeues it.
//!
//! The environment alone proves nothing. A job that was submitted from within a task inherits the task's variables.
//! When a silent node comes back, two copies of a job have the same variables.

use super::slurm::{SlurmError, SlurmJob, ask, read_time};
use std::time::Duration;

/// The arguments of squeue for [`Standing`], before `-j` and the job id.
const SQUEUE: [&str; 6] = [
    "--noheader",
    "--all",
    "--states",
    "all",
    "--Format",
    "JobID:|,ArrayJobID:|,ArrayTaskID:|,RestartCnt:|,TimeLeft:|",
];

/// The state of a job in the output of squeue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The name in Slurm's commands: `17`, or `12_3` for a task of an array. The id of one task is that of the array.
    pub(crate) name: String,
    /// The number of restarts.
    pub(crate) restart_count: u32,
    /// The time that is left.
    pub(crate) left: Left,
}

/// The time until the end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Time(Duration),
    Unlimited,
    /// Slurm shows no time, such as for a job beyond its limit.
    Unknown,
}

impl Standing {
    /// Asks Slurm about a job. Returns `None` if Slurm does not know it.
    ///
    /// # Errors
    /// As [`ask`].
    pub(crate) fn of(job: &SlurmJob) -> Result<Option<Self>, SlurmError> {
        let answer = ask("squeue", &[&SQUEUE[..], &["-j", &job.id]].concat())?;
        Ok(answer.lines().find_map(|line| read_standing(line, &job.id)))
    }

    /// Returns whether the job was restarted after this process started in it.
    pub(crate) fn supersedes(&self, job: &SlurmJob) -> bool {
        self.restart_count > job.restart_count
    }
}

/// Requeues a job, unless it was restarted `most` times already. Returns the job's name.
///
/// # Errors
/// The reason, as the end of `job 17 was not requeued: …`.
pub(crate) fn requeue(job: &SlurmJob, most: u32) -> Result<String, String> {
    match Standing::of(job) {
        Err(error) => Err(error.to_string()),
        Ok(None) => Err("Slurm does not know the job".to_owned()),
        Ok(Some(now)) if now.supersedes(job) => {
            Err("Slurm has restarted it elsewhere, and this process is an old copy".to_owned())
        }
        Ok(Some(now)) if now.restart_count >= most => {
            Err(format!("it has been restarted {} times", now.restart_count))
        }
        Ok(Some(now)) => match ask("scontrol", &["requeue", &now.name]) {
            Ok(_) => Ok(now.name),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Reads a line of squeue, if it belongs to this job. For the id of an array, squeue prints all of its tasks.
fn read_standing(line: &str, id: &str) -> Option<Standing> {
    let mut fields = line.trim().split('|').map(str::trim);
    let mut next = || fields.next();
    let (found, array, task) = (next()?, next()?, next()?);
    let restart_count = next()?.parse().ok()?;
    let left = match next()? {
        "UNLIMITED" => Left::Unlimited,
        text => read_time(text).map_or(Left::Unknown, Left::Time),
    };
    let is_task = task.chars().all(|c| c.is_ascii_digit()) && !task.is_empty();
    let name = if is_task { format!("{array}_{task}") } else { id.to_owned() };
    (found == id).then_some(Standing { name, restart_count, left })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, want: Option<(&str, u32, Left)>) {
        let found = read_standing(line, "17");
        let found =
            found.as_ref().map(|found| (found.name.as_str(), found.restart_count, found.left));
        assert_eq!(found, want, "{line}");
    }

    /// The lines are output of Slurm 22.05.8.
    #[test]
    fn the_line_of_this_job_is_found_and_read() {
        let left = |seconds| Left::Time(Duration::from_secs(seconds));
        check("17|17|N/A|0|58:00|", Some(("17", 0, left(3480))));
        check("17|12|3|2|4:58|", Some(("12_3", 2, left(298))));
        // The id of an array is also the id of one of its tasks.
        check("17|17|3|0|1-00:00:00|", Some(("17_3", 0, left(86400))));
        check("18|17|2|0|4:58|", None);
        check("17|17|N/A|0|UNLIMITED|", Some(("17", 0, Left::Unlimited)));
        check("17|17|N/A|0|INVALID|", Some(("17", 0, Left::Unknown)));
        check("slurm_load_jobs error", None);
        check("", None);
    }
}
