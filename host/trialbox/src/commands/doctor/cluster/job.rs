//! The small job that looks at a cluster from the inside.

use crate::cluster::slurm::{self, SlurmError, ask, show_time};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is asked for, once for two nodes; the user's flags come after it and win.
const RESOURCES: [&str; 5] =
    ["--ntasks=2", "--cpus-per-task=1", "--mem=256M", "--no-requeue", "--open-mode=append"];

/// More than the tasks can need, which wait for each other for a minute at most before they give up.
const TIME: Duration = Duration::from_secs(300);

/// The batch script. Program and folder are its arguments, so that nothing needs quoting. A task that fails must not
/// take the other with it, and nothing here needs MPI. Who submits from within a job passes that one's variables on,
/// and srun refuses to be told of memory in two ways.
const SCRIPT: &str = "\
#!/bin/sh
unset SLURM_MEM_PER_CPU SLURM_MEM_PER_GPU
exec srun --mpi=none --kill-on-bad-exit=0 \"$1\" __probe \"$2\"
";

/// The folder that the tasks meet in, until dropped.
#[derive(Debug)]
pub(super) struct ProbeFolder {
    pub(super) path: PathBuf,
}

impl ProbeFolder {
    /// Makes it beside the database.
    ///
    /// # Errors
    /// When the folder of the database is not there or cannot be written.
    pub(super) fn beside(database: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let folder = std::path::absolute(database)?;
        let name = format!(".trialbox-probe-{:016x}", rand::random::<u64>());
        let path = folder.parent().unwrap_or(&folder).join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(ProbeFolder { path })
    }

    /// A name that no other job has.
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
        // The job may still be writing its last line.
        for _ in 0..10 {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    std::thread::sleep(Duration::from_millis(200));
                }
                _ => return,
            }
        }
        tracing::warn!("`{}` could not be removed", self.path.display());
    }
}

/// The job, once Slurm has taken it; cancelled when it is dropped and is not known to be over.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    is_over: bool,
    log: PathBuf,
}

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Why, in Slurm's word for it: `Priority`, `Resources`.
    Waits {
        reason: String,
    },
    /// On these nodes.
    Runs {
        nodes: String,
    },
    Ended,
    /// Slurm did not say.
    Unknown,
}

impl Job {
    /// Submits it, for so many nodes.
    ///
    /// # Errors
    /// When sbatch refuses it, or cannot be started.
    pub(super) fn submit(
        folder: &ProbeFolder,
        program: &Path,
        n_nodes: usize,
        flags: &[String],
    ) -> Result<Self, SlurmError> {
        let refused = |error: io::Error| SlurmError::Refused {
            program: "sbatch".into(),
            said: error.to_string(),
        };
        let script = folder.path.join("script");
        fs::write(&script, SCRIPT).map_err(refused)?;
        let (name, log) = (folder.job_name(), folder.log());
        let own = [
            format!("--job-name={name}"),
            format!("--output={}", log.display()),
            format!("--nodes={n_nodes}"),
            format!("--time={}", show_time(TIME)),
        ];
        let mut arguments = own.to_vec();
        arguments.extend(RESOURCES.map(str::to_owned));
        arguments.extend(flags.iter().cloned());
        arguments.extend([&script, program, &folder.path].map(|path| path.display().to_string()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let id = slurm::submit(&arguments).inspect_err(|_| {
            // It may have been taken all the same.
            cancel(&format!("--name={name}"));
        })?;
        Ok(Job { id, is_over: false, log })
    }

    pub(super) fn state(&mut self) -> State {
        let state = match ask("squeue", &["-h", "-j", &self.id, "-o", "%T|%r|%N"]) {
            Ok(text) => read_state(&text),
            // So it says of jobs that it has forgotten.
            Err(SlurmError::Refused { said, .. }) if said.contains("Invalid job id") => {
                State::Ended
            }
            Err(_) => State::Unknown,
        };
        self.is_over |= state == State::Ended;
        state
    }

    /// The end of what it has printed; `None` if it could not even make its log.
    pub(super) fn last_words(&self) -> Option<String> {
        const MAX_LINES: usize = 5;
        let text = fs::read(&self.log).ok()?;
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Some(lines[lines.len().saturating_sub(MAX_LINES)..].join("; "))
    }

    /// What Slurm says of its end: `FAILED, exit code 1:0, on n1`.
    pub(super) fn end(&self) -> Option<String> {
        read_end(&ask("scontrol", &["show", "job", "-o", &self.id]).ok()?)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.is_over {
            cancel(&self.id);
        }
    }
}

/// Cancels a job by its number, or by `--name=NAME`. Best effort: it ends by itself after some minutes.
fn cancel(which: &str) {
    if let Err(error) = ask("scancel", &[which]) {
        tracing::warn!("the job is not cancelled: {error}");
    }
}

/// As the end of a sentence about the job.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Waits { reason } => write!(f, "waits ({reason})"),
            State::Runs { nodes } => write!(f, "runs on {nodes}"),
            State::Ended => f.write_str("has ended"),
            State::Unknown => f.write_str("has not answered"),
        }
    }
}

/// What `squeue -o '%T|%r|%N'` prints of one job (squeue(1), job state codes): nothing for one that is long over.
fn read_state(text: &str) -> State {
    const OVER: [&str; 11] = [
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
        (Some(state), _, Some(nodes)) if !OVER.contains(&&*state) => State::Runs { nodes },
        _ => State::Ended,
    }
}

/// The members of `scontrol show job -o` that tell how it ended.
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
    fn the_end_of_a_job_is_told_with_its_nodes() {
        let text = "JobId=17 JobName=x JobState=FAILED Reason=NonZeroExitCode ExitCode=1:0 ReqNodeList=(null) NodeList=n[1-2]";
        assert_eq!(read_end(text).as_deref(), Some("FAILED, exit code 1:0, on n[1-2]"));
        assert_eq!(
            read_end("JobState=CANCELLED ExitCode=0:0 NodeList=(null)").as_deref(),
            Some("CANCELLED, exit code 0:0")
        );
        assert_eq!(read_end("nothing"), None);
    }
}
