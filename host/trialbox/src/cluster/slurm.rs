//! Slurm: the job that this process is a task of, and what Slurm's commands say.

use std::io::{self, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long a command of Slurm's may take. A busy controller answers after seconds; one that is gone never does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// The job of Slurm's that this process belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlurmJob {
    /// Its number. A task of an array has its own.
    pub(crate) id: String,
    /// The array that it is a task of, and which of them.
    pub(crate) array: Option<(String, String)>,
    /// How often it was started again: two copies of a task share everything else.
    pub(crate) restart_count: u32,
    /// When Slurm ends it, in seconds since 1970; Slurm tells from version 23.02 on.
    pub(crate) end_time: Option<i64>,
    /// The process that gets Slurm's signals: the batch script, or a task of `srun`.
    pub(crate) task_pid: Option<u32>,
    /// How much memory it may use on this node, in bytes, if that is limited.
    pub(crate) memory_bytes: Option<u64>,
}

impl SlurmJob {
    /// The job that the environment speaks of.
    pub(crate) fn current() -> Option<Self> {
        SlurmJob::of(|variable| std::env::var(variable).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let array = variable("SLURM_ARRAY_JOB_ID").zip(variable("SLURM_ARRAY_TASK_ID"));
        let number = |name: &str| variable(name)?.parse().ok();
        let amount = |name: &str| variable(name)?.parse::<u64>().ok();
        // In MiB (sbatch(1)); 0 means all that the node has.
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

    /// As Slurm's commands name and print it: `17`, or `12_3` for a task of an array.
    pub(crate) fn name(&self) -> String {
        match &self.array {
            Some((array, task)) => format!("{array}_{task}"),
            None => self.id.clone(),
        }
    }
}

/// Why a command of Slurm's gave no answer.
#[derive(Debug)]
pub(crate) enum SlurmError {
    /// It could not be started.
    NoCommand { program: String, error: io::Error },
    /// It said that it failed.
    Refused { program: String, said: String },
    /// It did not end in time.
    Silent { program: String, patience: Duration },
}

impl std::fmt::Display for SlurmError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SlurmError::NoCommand { program, error } => {
                write!(f, "`{program}` cannot be started: {error}")
            }
            SlurmError::Refused { program, said } => write!(f, "`{program}` says: {said}"),
            SlurmError::Silent { program, patience } => {
                write!(f, "`{program}` has not answered within {} s", patience.as_secs())
            }
        }
    }
}

impl std::error::Error for SlurmError {}

/// What a command of Slurm's printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// To standard output.
    pub(crate) text: String,
    /// To standard error. Some of Slurm's commands complain there, leave out what they could not do, and succeed.
    pub(crate) complaint: String,
}

/// Runs a command of Slurm's, and returns what it prints.
///
/// # Errors
/// When it cannot be started, fails, or does not end within 15 s; then it is killed.
pub(crate) fn ask(program: &str, arguments: &[&str]) -> Result<String, SlurmError> {
    ask_within(PATIENCE, program, arguments, "").map(|answer| answer.text)
}

/// The same with another time limit and something to read, for who wants to know of complaints too.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_within(
    patience: Duration,
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
    let finished = finish(&mut command, input, patience).map_err(no_command)?;
    let Some((success, stdout, stderr)) = finished else {
        return Err(SlurmError::Silent { program: program.to_owned(), patience });
    };
    let complaint = read_complaint(program, &stderr);
    if success {
        Ok(Answer { text: stdout, complaint })
    } else {
        Err(SlurmError::Refused { program: program.to_owned(), said: complaint })
    }
}

/// What a command complains of, on one line; that it is an error, and whose, is said around it.
fn read_complaint(program: &str, stderr: &str) -> String {
    let prefix = format!("{program}: error: ");
    let line = |line: &str| {
        let line = line.trim();
        line.strip_prefix(&prefix).unwrap_or(line).to_owned()
    };
    stderr.trim().lines().map(line).collect::<Vec<_>>().join("; ")
}

/// Whether a variable, which users set for their own eyes, changes what Slurm's commands show, or of which cluster
/// (squeue(1), sacct(1), scontrol(1)). With `SQUEUE_PARTITION`, for one, jobs of other partitions seem to be gone.
fn changes_answers(program: &str, variable: &str) -> bool {
    let is_filter = ["SQUEUE_", "SACCT_"].iter().any(|prefix| variable.starts_with(prefix));
    if program == "sbatch" {
        return is_of_this_job(variable);
    }
    let is_cluster = variable == "SLURM_CLUSTERS";
    is_filter || is_cluster || variable == "SLURM_TIME_FORMAT"
}

/// Whether a variable would make a job that is submitted here take itself for the one that submits it: sbatch passes its
/// environment on. With the last three every job would be an array, sbatch wait for its end, or its shell die of a signal.
fn is_of_this_job(variable: &str) -> bool {
    let is_setting = ["SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"].contains(&variable);
    (variable.starts_with("SLURM_") && !is_setting)
        || ["SBATCH_ARRAY_INX", "SBATCH_WAIT", "SBATCH_SIGNAL"].contains(&variable)
}

/// Runs a command to its end: whether it succeeded, and what it printed on both streams. `None` if it took too long.
fn finish(
    command: &mut Command,
    input: &str,
    patience: Duration,
) -> io::Result<Option<(bool, String, String)>> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    write_aside(child.stdin.take(), input.to_owned());
    let (stdout, stderr) = (read_aside(child.stdout.take()), read_aside(child.stderr.take()));
    let deadline = Instant::now() + patience;
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
    // A program that it has left running may keep its streams open.
    let text = |read: Receiver<Vec<u8>>| {
        let bytes = read.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok(text(stdout).zip(text(stderr)).map(|(out, err)| (status.success(), out, err)))
}

/// Writes a stream in a thread of its own: whoever should read it may not.
fn write_aside(stream: Option<impl io::Write + Send + 'static>, text: String) {
    if let Some(mut stream) = stream {
        std::thread::spawn(move || stream.write_all(text.as_bytes()));
    }
}

/// Reads a stream in a thread of its own, so that neither of two can fill up.
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

/// Submits a job; its number. The arguments are those of sbatch.
///
/// # Errors
/// As [`ask`], but for the time: sbatch tries again by itself while the controller is busy, and to give up on it early
/// would leave a job in the queue that nobody knows of.
pub(crate) fn submit(arguments: &[&str]) -> Result<String, SlurmError> {
    const SUBMISSION: Duration = Duration::from_secs(300);
    let arguments = [&["--parsable"], arguments].concat();
    let said = ask_within(SUBMISSION, "sbatch", &arguments, "")?.text;
    read_job_id(&said).map(str::to_owned).ok_or_else(|| SlurmError::Refused {
        program: "sbatch".to_owned(),
        said: format!("no number of a job, but `{}`", said.trim()),
    })
}

/// The number that `sbatch --parsable` prints: `4711`, or `4711;cluster`.
fn read_job_id(said: &str) -> Option<&str> {
    let id = said.trim().lines().last()?.split(';').next()?.trim();
    (!id.is_empty() && id.chars().all(|c| c.is_ascii_digit())).then_some(id)
}

/// Reads a time as Slurm's commands print and take it: minutes, `minutes:seconds`, `hours:minutes:seconds`,
/// `days-hours`, `days-hours:minutes` or `days-hours:minutes:seconds` (sbatch(1), `--time`). `None` for
/// anything else, such as `UNLIMITED`.
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

/// Writes a time so that `--time` of sbatch takes it: `days-hours:minutes:seconds`, rounded up to a second.
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
    fn the_jobs_number_is_read_with_and_without_a_cluster() {
        assert_eq!(read_job_id("4711\n"), Some("4711"));
        assert_eq!(read_job_id("4711;north\n"), Some("4711"));
        // Sites print what they want their users to know.
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
    fn a_job_that_is_submitted_within_another_does_not_take_itself_for_it() {
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
    fn what_users_set_for_their_eyes_is_kept_from_questions_and_where_slurm_is_stays() {
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
        let complains =
            ask_within(PATIENCE, "sh", &["-c", "echo one; echo two >&2"], "").expect("it succeeds");
        let want = Answer { text: "one\n".to_owned(), complaint: "two".to_owned() };
        assert_eq!(complains, want);
        // `exec`, so that what is killed is what holds the streams open.
        let silent = ask_within(Duration::from_millis(50), "sh", &["-c", "exec sleep 1000"], "")
            .expect_err("it takes too long");
        assert!(matches!(silent, SlurmError::Silent { .. }), "{silent}");
    }

    #[test]
    fn a_complaint_says_neither_its_program_nor_that_it_is_an_error() {
        let said = "sbatch: error: invalid partition specified: mian\nallocation failure: Invalid partition name specified\n";
        let want = "invalid partition specified: mian; allocation failure: Invalid partition name specified";
        assert_eq!(read_complaint("sbatch", said), want);
        assert_eq!(read_complaint("squeue", ""), "");
    }

    #[test]
    fn a_command_that_fails_says_why_and_one_that_is_missing_says_so() {
        let failed =
            ask("sh", &["-c", "echo one >&2; echo two >&2; exit 3"]).expect_err("it fails");
        assert_eq!(failed.to_string(), "`sh` says: one; two");
        let missing = ask("trialbox-has-no-such-command", &[]).expect_err("it is missing");
        assert!(
            missing.to_string().starts_with("`trialbox-has-no-such-command` cannot be started")
        );
        assert_eq!(ask("echo", &["17"]).expect("it prints"), "17\n");
        assert_eq!(ask_within(PATIENCE, "cat", &[], "a\nb").expect("it prints").text, "a\nb");
    }
}
