//! The job of this process in its environment, and Slurm's commands.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The time limit of Slurm's commands. A busy controller answers after seconds, a dead one never.
pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);

/// The job of this process, as the environment describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlurmJob {
    /// The job id, of which each task of an array has its own.
    pub(crate) id: String,
    /// The id of the array and the index of the task in it.
    pub(crate) array: Option<(String, String)>,
    /// The number of restarts, in which alone two copies of a task differ.
    pub(crate) restart_count: u32,
    /// The end of the job in seconds since 1970, which Slurm tells since version 23.02.
    pub(crate) end_time: Option<i64>,
    /// The process that gets Slurm's signals: the batch script's shell, or a task of `srun`.
    pub(crate) task_pid: Option<u32>,
    /// The memory limit on this node in bytes, if there is one.
    pub(crate) memory_bytes: Option<u64>,
}

impl SlurmJob {
    /// Reads the job from the environment.
    pub(crate) fn current() -> Option<Self> {
        SlurmJob::of(|variable| std::env::var(variable).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let array = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
        let number = |name: &str| variable(name)?.parse().ok();
        let amount = |name: &str| variable(name)?.parse::<u64>().ok();
        // The unit is MiB, and 0 means all memory of the node (sbatch(1)).
        let per_cpu = amount("SLURM_MEM_PER_CPU").zip(amount("SLURM_CPUS_ON_NODE"));
        let memory_mib = amount("SLURM_MEM_PER_NODE")
            .or_else(|| per_cpu.map(|(memory, cpus)| memory.saturating_mul(cpus)));
        Some(SlurmJob {
            id: variable("SLURM_JOB_ID")?,
            array,
            restart_count: number("SLURM_RESTART_COUNT").unwrap_or(0),
            end_time: variable("SLURM_JOB_END_TIME").and_then(|time| time.parse().ok()),
            task_pid: number("SLURM_TASK_PID"),
            memory_bytes: memory_mib.filter(|mib| *mib > 0).map(|mib| mib.saturating_mul(1 << 20)),
        })
    }

    /// Returns the name in Slurm's commands: `17`, or `12_3` for a task of an array.
    pub(crate) fn name(&self) -> String {
        match &self.array {
            Some((array, task)) => format!("{array}_{task}"),
            None => self.id.clone(),
        }
    }
}

/// Returns the number of CPUs that Slurm has given to this job on this node.
pub(crate) fn cpus_of_job() -> Option<usize> {
    std::env::var("SLURM_CPUS_ON_NODE").ok()?.parse().ok()
}

/// The error of a command of Slurm.
#[derive(Debug)]
pub(crate) enum SlurmError {
    /// The command could not be started.
    NoCommand { program: String, error: io::Error },
    /// The command failed, with this message.
    Refused { program: String, said: String },
    /// The command did not finish in time.
    Silent { program: String, timeout: Duration },
}

impl std::fmt::Display for SlurmError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SlurmError::NoCommand { program, error } => {
                write!(f, "`{program}` cannot be started: {error}")
            }
            SlurmError::Refused { program, said } => write!(f, "`{program}` says: {said}"),
            SlurmError::Silent { program, timeout } => {
                write!(f, "`{program}` did not answer within {} s", timeout.as_secs())
            }
        }
    }
}

impl std::error::Error for SlurmError {}

/// The output of a command of Slurm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The standard output.
    pub(crate) text: String,
    /// The standard error. Some commands complain there, omit a part of the answer, and succeed.
    pub(crate) complaint: String,
}

/// Runs a command of Slurm, and returns its standard output.
///
/// # Errors
/// Fails if the command cannot be started, fails, or does not finish within 15 s, after which it is killed.
pub(crate) fn ask(program: &str, arguments: &[&str]) -> Result<String, SlurmError> {
    ask_within(COMMAND_TIMEOUT, program, arguments, "").map(|answer| answer.text)
}

/// Runs a command of Slurm with a time limit and an input, and returns its complaints too.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_within(
    timeout: Duration,
    program: &str,
    arguments: &[&str],
    input: &str,
) -> Result<Answer, SlurmError> {
    let mut command = Command::new(program);
    command.args(arguments);
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|variable| changes_answers(program, variable)) {
            command.env_remove(variable);
        }
    }
    let no_command = |error| SlurmError::NoCommand { program: program.to_owned(), error };
    let finished = finish(&mut command, input, timeout).map_err(no_command)?;
    let Some((success, stdout, stderr)) = finished else {
        return Err(SlurmError::Silent { program: program.to_owned(), timeout });
    };
    let complaint = read_complaint(program, &stderr);
    if success {
        Ok(Answer { text: stdout, complaint })
    } else {
        Err(SlurmError::Refused { program: program.to_owned(), said: complaint })
    }
}

/// Returns the messages of a command on one line, without the prefix `PROGRAM: error:`.
fn read_complaint(program: &str, stderr: &str) -> String {
    let prefix = format!("{program}: error: ");
    let line = |line: &str| {
        let line = line.trim();
        line.strip_prefix(&prefix).unwrap_or(line).to_owned()
    };
    stderr.trim().lines().map(line).collect::<Vec<_>>().join("; ")
}

/// Returns whether a variable changes the output of Slurm's commands, or the cluster that they ask (squeue(1),
/// sacct(1), scontrol(1)). Users set such variables for their own reading: with `SQUEUE_PARTITION`, jobs of other
/// partitions seem to be gone.
fn changes_answers(program: &str, variable: &str) -> bool {
    let is_filter = ["SQUEUE_", "SACCT_"].iter().any(|prefix| variable.starts_with(prefix));
    if program == "sbatch" {
        return is_of_this_job(variable);
    }
    let is_cluster = variable == "SLURM_CLUSTERS";
    is_filter || is_cluster || variable == "SLURM_TIME_FORMAT"
}

/// Returns whether a variable belongs to the job of this process, and must not reach a job that it submits: sbatch
/// passes its environment on.
///
/// With the last three, sbatch would submit an array, wait for the job's end, or send signals to the job's shell.
fn is_of_this_job(variable: &str) -> bool {
    let is_setting = ["SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"].contains(&variable);
    (variable.starts_with("SLURM_") && !is_setting)
        || ["SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_SIGNAL"].contains(&variable)
}

/// Runs a command, and returns its success, standard output and standard error; `None` after a timeout.
fn finish(
    command: &mut Command,
    input: &str,
    timeout: Duration,
) -> io::Result<Option<(bool, String, String)>> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    write_aside(child.stdin.take(), input.to_owned());
    let (stdout, stderr) = (read_aside(child.stdout.take()), read_aside(child.stderr.take()));
    let deadline = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    // A program that the command left running may keep the streams open.
    let text = |read: Receiver<Vec<u8>>| {
        let bytes = read.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(text(stdout).zip(text(stderr)).map(|(out, err)| (status.success(), out, err)))
}

/// Writes a stream in a thread of its own, because the reader may not read it.
fn write_aside(stream: Option<impl io::Write + Send + 'static>, text: String) {
    if let Some(mut stream) = stream {
        std::thread::spawn(move || stream.write_all(text.as_bytes()));
    }
}

/// Reads a stream in a thread of its own, so that the other stream cannot fill up meanwhile.
fn read_aside(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// Runs sbatch with these arguments and this script on its standard input, and returns the job id. Without a script
/// the arguments name one.
///
/// # Errors
/// As [`ask`], with a longer time limit. sbatch repeats its request while the controller is busy, and killing it early
/// could leave an unknown job in the queue.
pub(crate) fn submit(arguments: &[&str], script: &str) -> Result<String, SlurmError> {
    const SUBMISSION_TIMEOUT: Duration = Duration::from_secs(300);
    let arguments = [&["--parsable"], arguments].concat();
    let said = ask_within(SUBMISSION_TIMEOUT, "sbatch", &arguments, script)?.text;
    read_job_id(&said).map(str::to_owned).ok_or_else(|| SlurmError::Refused {
        program: "sbatch".to_owned(),
        said: format!("expected a job id, found `{}`", said.trim()),
    })
}

/// Reads the job id from the output of `sbatch --parsable`: `4711`, or `4711;cluster`.
fn read_job_id(said: &str) -> Option<&str> {
    let id = said.trim().lines().last()?.split(';').next()?.trim();
    (!id.is_empty() && id.chars().all(|c| c.is_ascii_digit())).then_some(id)
}

/// Reads a time in the formats of Slurm: minutes, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`,
/// `days-hours:minutes` or `days-hours:minutes:seconds` (sbatch(1), `--time`). Returns `None` for anything else, such
/// as `UNLIMITED`.
pub(crate) fn read_time(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days), rest),
        None => (None, text),
    };
    let parts: Option<Vec<u64>> = rest.split(':').map(|part| part.parse().ok()).collect();
    let parts = parts?;
    let (hours, minutes, seconds) = match (days.is_some(), &parts[..]) {
        (false, [minutes]) => (0, *minutes, 0),
        (false, [minutes, seconds]) => (0, *minutes, *seconds),
        (true, [hours]) => (*hours, 0, 0),
        (true, [hours, minutes]) => (*hours, *minutes, 0),
        (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        _ => return None,
    };
    let days: u64 = days.map_or(Some(0), |days| days.parse().ok())?;
    let hours = days.checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    Some(Duration::from_secs(minutes.checked_mul(60)?.checked_add(seconds)?))
}

/// Formats a time for `--time` of sbatch: `days-hours:minutes:seconds`, rounded up to a second.
pub(crate) fn format_time(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (days, hours) = (seconds / 86400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    let days = if days > 0 { format!("{days}-") } else { String::new() };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_slurm_reads_them_and_written_so_that_they_read_back() {
        for (text, seconds) in [
            ("1", 60),
            ("90", 5400),
            ("1:30", 90),
            ("0:05", 5),
            ("2:00:00", 7200),
            ("1-0", 86400),
            ("1-2:30", 95400),
            ("1-02:03:04", 93784),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(read_time(text), Some(time), "{text}");
            assert_eq!(read_time(&format_time(time)), Some(time), "{}", format_time(time));
        }
        assert_eq!(format_time(Duration::from_secs(93784)), "1-02:03:04");
        for text in ["", "UNLIMITED", "INVALID", "-1", "1-", "1:2:3:4", "1.5", "1h"] {
            assert_eq!(read_time(text), None, "{text}");
        }
    }

    #[test]
    fn the_job_id_is_read_with_and_without_a_cluster() {
        assert_eq!(read_job_id("4711\n"), Some("4711"));
        assert_eq!(read_job_id("4711;north\n"), Some("4711"));
        // Some sites print a message for their users first.
        assert_eq!(read_job_id("Welcome!\n4711\n"), Some("4711"));
        assert_eq!(read_job_id("Submitted\n"), None);
        assert_eq!(read_job_id(""), None);
    }

    #[test]
    fn a_command_that_leaves_its_streams_open_is_not_waited_for() {
        let left = ["-c", "sleep 1000 & echo $! >&2; exec 2>&-"];
        let silent = ask_within(Duration::from_millis(200), "sh", &left, "").expect_err("open");
        assert!(matches!(silent, SlurmError::Silent { .. }), "{silent}");
    }

    #[test]
    fn variables_of_this_job_do_not_reach_a_job_that_it_submits() {
        for (variable, is_removed) in [
            ("SLURM_ARRAY_TASK_ID", true),
            ("SLURM_RESTART_COUNT", true),
            ("SBATCH_ARRAY_INX", true),
            ("SBATCH_ACCOUNT", false),
            ("SLURM_CONF", false),
            ("SLURM_CLUSTERS", false),
            ("HOME", false),
        ] {
            assert_eq!(changes_answers("sbatch", variable), is_removed, "{variable}");
        }
    }

    #[test]
    fn a_task_of_an_array_is_named_as_slurm_prints_it() {
        let job = |environment: &[(&str, &str)]| {
            SlurmJob::of(|name| {
                let found = environment.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(job(&[("SLURM_ARRAY_TASK_ID", "3")]), None);
        let task = job(&[
            ("SLURM_JOB_ID", "17"),
            ("SLURM_ARRAY_JOB_ID", "12"),
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_RESTART_COUNT", "2"),
        ]);
        let task = task.expect("a job");
        assert_eq!((task.name(), task.restart_count), ("12_3".to_owned(), 2));
        let alone = job(&[("SLURM_JOB_ID", "17")]).expect("a job");
        assert_eq!((alone.name(), alone.restart_count), ("17".to_owned(), 0));
    }

    #[test]
    fn the_memory_of_a_job_is_what_it_has_on_its_node() {
        let memory_mib = |environment: &[(&str, &str)]| {
            let job = SlurmJob::of(|name| {
                let all = environment.iter().chain(&[("SLURM_JOB_ID", "17")]);
                all.clone().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            });
            job.expect("a job").memory_bytes.map(|bytes| bytes >> 20)
        };
        assert_eq!(memory_mib(&[]), None);
        assert_eq!(memory_mib(&[("SLURM_MEM_PER_NODE", "300")]), Some(300));
        assert_eq!(memory_mib(&[("SLURM_MEM_PER_NODE", "0")]), None);
        let per_cpu = ("SLURM_MEM_PER_CPU", "200");
        assert_eq!(memory_mib(&[per_cpu, ("SLURM_CPUS_ON_NODE", "4")]), Some(800));
        assert_eq!(memory_mib(&[per_cpu]), None);
    }

    #[test]
    fn variables_that_change_the_output_are_removed_and_those_that_locate_slurm_stay() {
        for variable in ["SQUEUE_PARTITION", "SQUEUE_FORMAT2", "SACCT_FORMAT", "SLURM_CLUSTERS"] {
            assert!(changes_answers("squeue", variable), "{variable}");
        }
        for variable in ["SLURM_CONF", "SLURM_JOB_ID", "PATH"] {
            assert!(!changes_answers("squeue", variable), "{variable}");
        }
        assert!(!changes_answers("sbatch", "SLURM_CLUSTERS"));
    }

    #[test]
    fn a_command_that_succeeds_may_complain_and_one_that_is_silent_is_ended() {
        let complains = ask_within(COMMAND_TIMEOUT, "sh", &["-c", "echo one; echo two >&2"], "")
            .expect("it succeeds");
        let want = Answer { text: "one\n".to_owned(), complaint: "two".to_owned() };
        assert_eq!(complains, want);
        // With `exec`, the killed process is the one that holds the streams open.
        let silent = ask_within(Duration::from_millis(50), "sh", &["-c", "exec sleep 1000"], "")
            .expect_err("it takes too long");
        assert!(matches!(silent, SlurmError::Silent { .. }), "{silent}");
    }

    #[test]
    fn a_complaint_has_no_prefix_with_the_program_and_the_word_error() {
        let said = "sbatch: error: invalid partition specified: mian\n\
                    allocation failure: Invalid partition name specified\n";
        let want = "invalid partition specified: mian; \
                    allocation failure: Invalid partition name specified";
        assert_eq!(read_complaint("sbatch", said), want);
        assert_eq!(read_complaint("squeue", ""), "");
    }

    #[test]
    fn the_errors_of_a_command_that_fails_and_of_one_that_is_missing_name_the_cause() {
        let failed =
            ask("sh", &["-c", "echo one >&2; echo two >&2; exit 3"]).expect_err("it fails");
        assert_eq!(failed.to_string(), "`sh` says: one; two");
        let missing = ask("trialbox-has-no-such-command", &[]).expect_err("it is missing");
        assert!(
            missing.to_string().starts_with("`trialbox-has-no-such-command` cannot be started")
        );
        assert_eq!(ask("echo", &["17"]).expect("it prints"), "17\n");
        assert_eq!(
            ask_within(COMMAND_TIMEOUT, "cat", &[], "a\nb").expect("it prints").text,
            "a\nb"
        );
    }
}
