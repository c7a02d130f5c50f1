//! Runs test programs with one mutant chosen.

use crate::mutants::tree::{Placed, TestProgram};
use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The memory of a test program in KiB: a mutant may allocate for ever.
const MEMORY: u64 = 4 << 20;

/// A test program that passes without a mutant.
pub(super) struct Subject {
    program: TestProgram,
    /// The time that it takes.
    time: Duration,
    /// The mutants whose places it runs through.
    reaches: BTreeSet<usize>,
}

/// The end of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A test failed.
    Found,
    /// The tests took several times as long as without it, and were ended.
    TimedOut,
    /// All tests passed.
    Survived,
    /// No test runs through its place.
    NotReached,
}

/// Runs every program without a mutant, the quick ones first from then on.
pub(super) fn subjects(programs: Vec<TestProgram>, scratch: &Path) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    for program in programs {
        let reached = scratch.join(format!("{}-{}.reached", program.package, program.name));
        let _ = std::fs::remove_file(&reached);
        let started = Instant::now();
        let mut command = command(&program, 0);
        let status = command.env("MUTANTS_REACHED", &reached).status()?;
        ensure!(status.success(), "{} of {} fails without a mutant", program.name, program.package);
        let text = std::fs::read_to_string(&reached).unwrap_or_default();
        let reaches: BTreeSet<usize> = text.lines().filter_map(|line| line.parse().ok()).collect();
        let time = started.elapsed();
        println!(
            "{:18} {:12} {:6.1} s, runs through {} mutants",
            program.package,
            program.name,
            time.as_secs_f64(),
            reaches.len()
        );
        subjects.push(Subject { program, time, reaches });
    }
    subjects.sort_by_key(|subject| subject.time);
    Ok(subjects)
}

/// Runs the tests that reach a mutant until one fails: first those of its own crate.
pub(super) fn judge(mutant: &Placed, subjects: &[Subject]) -> Result<Verdict> {
    let mut reaching: Vec<&Subject> = subjects
        .iter()
        .filter(|it| it.program.tests(&mutant.file) && it.reaches.contains(&mutant.number))
        .collect();
    reaching.sort_by_key(|subject| !mutant.file.starts_with(&subject.program.package));
    if reaching.is_empty() {
        return Ok(Verdict::NotReached);
    }
    for subject in reaching {
        let limit = subject.time * 10 + Duration::from_secs(20);
        match run_within(&mut command(&subject.program, mutant.number), limit)? {
            Some(true) => {}
            Some(false) => return Ok(Verdict::Found),
            None => return Ok(Verdict::TimedOut),
        }
    }
    Ok(Verdict::Survived)
}

/// Returns the command that runs a program with a mutant, or with none for 0.
fn command(program: &TestProgram, number: usize) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -v {MEMORY}; exec \"$0\"")])
        .arg(&program.path)
        .current_dir(&program.folder)
        .env("MUTANT", number.to_string())
        .env("PROPTEST_CASES", "64")
        // The same inputs for each mutant.
        .env("PROPTEST_RNG_SEED", "1")
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

/// Runs a command, and returns whether it succeeds, or `None` if it takes longer than the limit and was killed.
fn run_within(command: &mut Command, limit: Duration) -> Result<Option<bool>> {
    let mut child = command.spawn().context("a test program starts")?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= deadline {
            kill_group(&mut child)?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Ends a program and those that it started, which are of its process group.
fn kill_group(child: &mut Child) -> Result<()> {
    let group = rustix::process::Pid::from_child(child);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL)?;
    child.wait()?;
    Ok(())
}
