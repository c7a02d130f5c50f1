//! What Slurm says now of the job that this process belongs to, and what it does with it.
//!
//! The environment alone is no proof: a job that was submitted from within an array's task inherits that task's
//! variables, and of two copies of a job, which there are when a silent node goes on, both believe to be it.

use super::slurm::{SlurmError, SlurmJob, ask, read_time};
use std::time::Duration;

/// What [`Standing`] is read from; `-j` and the job's number follow.
const SQUEUE: [&str; 6] = [
    "--noheader",
    "--all",
    "--states",
    "all",
    "--Format",
    "JobID:|,ArrayJobID:|,ArrayTaskID:|,RestartCnt:|,TimeLeft:|",
];

/// A job as squeue shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// As Slurm's commands take it: `17`, or `12_3` for a task of an array, whose own number may be the whole array's.
    pub(crate) name: String,
    /// How often it was started again.
    pub(crate) restart_count: u32,
    /// How long it may still run.
    pub(crate) left: Left,
}

/// How long a job may still run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Time(Duration),
    Unlimited,
    /// Slurm does not say, as for one that is beyond its limit.
    Unknown,
}

impl Standing {
    /// Asks Slurm; `None` if it does not know the job.
    ///
    /// # Errors
    /// As [`ask`].
    pub(crate) fn of(job: &SlurmJob) -> Result<Option<Self>, SlurmError> {
        let answer = ask("squeue", &[&SQUEUE[..], &["-j", &job.id]].concat())?;
        Ok(answer.lines().find_map(|line| read_standing(line, &job.id)))
    }

    /// Whether Slurm has started the job again since this process was started in it.
    pub(crate) fn supersedes(&self, job: &SlurmJob) -> bool {
        self.restart_count > job.restart_count
    }
}

/// Has Slurm start this job again, unless it has done so `most` times.
///
/// # Errors
/// Why it does not, as the end of `job 17 is not started again: …`.
pub(crate) fn requeue(job: &SlurmJob, most: u32) -> Result<String, String> {
    match Standing::of(job) {
        Err(error) => Err(error.to_string()),
        Ok(None) => Err("Slurm does not know it".to_owned()),
        Ok(Some(now)) if now.supersedes(job) => {
            Err("it runs elsewhere by now, and this is a copy".to_owned())
        }
        Ok(Some(now)) if now.restart_count >= most => {
            Err(format!("it was started again {} times", now.restart_count))
        }
        Ok(Some(now)) => match ask("scontrol", &["requeue", &now.name]) {
            Ok(_) => Ok(now.name),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Reads a line, if it is this job's: that of an array's number is followed by all its tasks.
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

    /// As Slurm 22.05.8 prints them.
    #[test]
    fn the_line_of_this_job_is_found_and_read() {
        let left = |seconds| Left::Time(Duration::from_secs(seconds));
        check("17|17|N/A|0|58:00|", Some(("17", 0, left(3480))));
        check("17|12|3|2|4:58|", Some(("12_3", 2, left(298))));
        // The number of the whole array is that of one of its tasks.
        check("17|17|3|0|1-00:00:00|", Some(("17_3", 0, left(86400))));
        check("18|17|2|0|4:58|", None);
        check("17|17|N/A|0|UNLIMITED|", Some(("17", 0, Left::Unlimited)));
        check("17|17|N/A|0|INVALID|", Some(("17", 0, Left::Unknown)));
        check("slurm_load_jobs error", None);
        check("", None);
    }
}
