//! The small job that examines a cluster from the inside.

use crate::cluster::slurm::{self, SlurmError, ask, format_time};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_files::{FileError, Folder};

/// The resources of the job. The user's flags come after them, and sbatch takes the last.
const RESOURCES: [&str; 5] =
    ["--ntasks=2", "--cpus-per-task=1", "--mem=256M", "--no-requeue", "--open-mode=append"];

/// The time limit of the job: its tasks give up after they have waited a minute for each other.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// The batch script. Program and folder are its arguments, so that nothing needs quoting.
///
/// A task that fails must not end the other, and nothing here needs MPI. Within another job sbatch passes that job's
/// variables on, and srun refuses memory limits of two kinds.
const SCRIPT: &str = "\
#!/bin/sh
unset SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU
exec srun --mpi=none --kill-on-bad-exit=0 \"$1\" __probe \"$2\"
";

/// The most that is read of the job's log, in bytes.
const MAX_LOG_BYTES: u64 = 16 << 20;

/// The folder in which the tasks meet. Dropping it removes the folder.
#[derive(Debug)]
pub(super) struct ProbeFolder {
    pub(super) path: PathBuf,
    beside: Folder,
    folder: Folder,
}

impl ProbeFolder {
    /// Creates the folder beside the database.
    ///
    /// # Errors
    /// Fails if the database's folder does not exist or cannot be written.
    pub(super) fn beside(database: &Path) -> io::Result<Self> {
        let database = std::path::absolute(database)?;
        let beside = Folder::open_named(database.parent().unwrap_or(&database))?;
        let name = format!(".trialbox-probe-{:016x}", rand::random::<u64>());
        let folder = beside.create_private_folder(OsStr::new(&name))?;
        Ok(ProbeFolder { path: folder.path().to_owned(), beside, folder })
    }

    /// Returns a name that no other job has.
    fn job_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.trim_start_matches('.').to_owned()
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }
}

impl Drop for ProbeFolder {
    fn drop(&mut self) {
        // The job may still write its last line.
        for _ in 0..10 {
            let name = self.path.file_name().unwrap_or_default();
            match self.beside.remove_tree(name, &mut || Ok(())) {
                Ok(()) => return,
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
        tracing::warn!("cannot remove `{}`", self.path.display());
    }
}

/// A submitted job. Dropping it cancels the job, unless it has ended.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    has_ended: bool,
    log: PathBuf,
}

/// The state of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// In the queue, for a reason in Slurm's words: `Priority`, `Resources`.
    Waits {
        reason: String,
    },
    Runs {
        nodes: String,
    },
    Ended,
    /// Slurm did not answer.
    Unknown,
}

impl Job {
    /// Submits the job for this number of nodes.
    ///
    /// # Errors
    /// Fails if sbatch refuses the job or cannot be started.
    pub(super) fn submit(
        folder: &ProbeFolder,
        program: &Path,
        n_nodes: usize,
        flags: &[String],
    ) -> Result<Self, SlurmError> {
        let refused = |error: FileError| SlurmError::Refused {
            program: "sbatch".into(),
            said: error.to_string(),
        };
        let script = folder.path.join("script");
        folder.folder.write(OsStr::new("script"), SCRIPT.as_bytes()).map_err(refused)?;
        let (name, log) = (folder.job_name(), folder.log());
        let own = [
            format!("--job-name={name}"),
            format!("--output={}", log.display()),
            format!("--nodes={n_nodes}"),
            format!("--time={}", format_time(TIME_LIMIT)),
        ];
        let mut arguments = own.to_vec();
        arguments.extend(RESOURCES.map(str::to_owned));
        arguments.extend(flags.iter().cloned());
        arguments.extend([&script, program, &folder.path].map(|path| path.display().to_string()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let id = slurm::submit(&arguments, "").inspect_err(|_| {
            // An sbatch that failed late may have submitted the job all the same.
            cancel(&format!("--name={name}"));
        })?;
        Ok(Job { id, has_ended: false, log })
    }

    /// Asks Slurm for the state of the job.
    pub(super) fn state(&mut self) -> State {
        let state = match ask("squeue", &["-h", "-j", &self.id, "-o", "%T|%r|%N"]) {
            Ok(text) => read_state(&text),
            // squeue refuses jobs that the controller has forgotten.
            Err(SlurmError::Refused { said, .. }) if said.contains("Invalid job id") => {
                State::Ended
            }
            Err(_) => State::Unknown,
        };
        self.has_ended |= state == State::Ended;
        state
    }

    /// Returns the last lines of the job's log, or `None` if the job has no log.
    pub(super) fn last_words(&self) -> Option<String> {
        const MAX_LINES: usize = 5;
        let folder = Folder::open(self.log.parent()?).ok()?;
        let text = folder.read(self.log.file_name()?, MAX_LOG_BYTES).ok()?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Some(lines[lines.len().saturating_sub(MAX_LINES)..].join("; "))
    }

    /// Returns the job's end in Slurm's words: `FAILED, exit code 1:0, on n1`.
    pub(super) fn end(&self) -> Option<String> {
        read_end(&ask("scontrol", &["show", "job", "-o", &self.id]).ok()?)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.has_ended {
            cancel(&self.id);
        }
    }
}

/// Cancels a job by its id or by `--name=NAME`, if Slurm answers. Otherwise the job's time limit ends it.
fn cancel(which: &str) {
    if let Err(error) = ask("scancel", &[which]) {
        tracing::warn!("cannot cancel the job: {error}");
    }
}

/// Formats the state as the end of a sentence about the job.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Waits { reason } => write!(f, "waits ({reason})"),
            State::Runs { nodes } => write!(f, "runs on {nodes}"),
            State::Ended => f.write_str("has ended"),
            State::Unknown => f.write_str("has an unknown state"),
        }
    }
}

/// Reads the output of `squeue -o '%T|%r|%N'` for one job (squeue(1), job state codes). It is empty for a job that
/// ended some minutes ago.
fn read_state(text: &str) -> State {
    const ENDED: [&str; 11] = [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "COMPLETING",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ];
    let mut parts = text.trim().lines().next().unwrap_or_default().split('|').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(state), Some(reason), _) if state == "PENDING" => State::Waits { reason },
        (Some(state), _, Some(nodes)) if !ENDED.contains(&&*state) => State::Runs { nodes },
        _ => State::Ended,
    }
}

/// Reads state, exit code and nodes from the output of `scontrol show job -o`.
fn read_end(text: &str) -> Option<String> {
    let value = |key: &str| {
        text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    };
    let nodes = value("NodeList").filter(|nodes| *nodes != "(null)");
    let nodes = nodes.map(|nodes| format!(", on {nodes}")).unwrap_or_default();
    Some(format!("{}, exit code {}{nodes}", value("JobState")?, value("ExitCode")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_waits_runs_and_ends() {
        let waits = State::Waits { reason: "Resources".to_owned() };
        assert_eq!(read_state("PENDING|Resources|\n"), waits);
        assert_eq!(read_state("RUNNING|None|n[1-2]\n"), State::Runs { nodes: "n[1-2]".to_owned() });
        assert_eq!(read_state("SUSPENDED|None|n1\n"), State::Runs { nodes: "n1".to_owned() });
        assert_eq!(read_state("COMPLETING|None|n1\n"), State::Ended);
        assert_eq!(read_state("\n"), State::Ended);
    }

    #[test]
    fn the_end_of_a_job_is_read_with_its_nodes() {
        let text = "JobId=17 JobName=x JobState=FAILED Reason=NonZeroExitCode \
            ExitCode=1:0 ReqNodeList=(null) NodeList=n[1-2]";
        assert_eq!(read_end(text).as_deref(), Some("FAILED, exit code 1:0, on n[1-2]"));
        assert_eq!(
            read_end("JobState=CANCELLED ExitCode=0:0 NodeList=(null)").as_deref(),
            Some("CANCELLED, exit code 0:0")
        );
        assert_eq!(read_end("nothing"), None);
    }
}
