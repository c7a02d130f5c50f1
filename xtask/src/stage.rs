//! Stages that run one after the other, each under a heading, and a table of how they went.

use crate::shell;
use anyhow::{Result, ensure};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// A part of the tests or of the checks. A failure hides none of the stages that follow.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The usual time on a machine with two cores, compiled before.
    pub(crate) expected: Duration,
    pub(crate) needs: &'static [Need],
    pub(crate) run: RunStage,
}

/// The work of a stage, which counts the tests that it runs.
type RunStage = Box<dyn Fn(&mut Tally) -> Result<()>>;

/// Something that a stage cannot do without, and that `cargo xtask` cannot compile.
pub(crate) struct Need {
    /// The subject of the sentence "… need …": `the tests of two nodes need bindfs`.
    pub(crate) sentence: &'static str,
    pub(crate) provide: fn() -> Result<()>,
}

/// The tests that ran.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Names of tests that failed.
    pub(crate) names: Vec<String>,
}

/// A stage that is over.
struct Report {
    name: &'static str,
    end: End,
    tally: Tally,
    taken: Duration,
}

enum End {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Tally {
    /// Reads a line of the output of `cargo test`.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.names.push(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for count in result.split([';', '.']) {
            match count.trim().split_once(' ') {
                Some((n, "passed")) => self.passed += n.parse::<u64>().unwrap_or(0),
                Some((n, "failed")) => self.failed += n.parse::<u64>().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Runs a program that prints as `cargo test` does, shows what it prints, and counts.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        shell::run_reading(command, |line| self.read(line))
    }
}

/// Does the same for each item; a failure hides none of those that follow.
///
/// # Errors
/// Fails if one failed, after all are done.
pub(crate) fn for_each<T>(
    items: impl IntoIterator<Item = T>,
    mut run: impl FnMut(T) -> Result<()>,
) -> Result<()> {
    let mut problems = Vec::new();
    for item in items {
        if let Err(problem) = run(item) {
            problems.push(format!("{problem:#}"));
        }
    }
    ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(())
}

/// Runs all stages and sums up.
///
/// # Errors
/// Fails if a stage failed, after all have run.
pub(crate) fn run_all(title: &str, stages: &[Stage]) -> Result<()> {
    let expected = stages.iter().map(|stage| stage.expected).sum();
    println!("{title}: {}, about {}", count(stages.len(), "stage"), rough(expected));
    let reports: Vec<Report> = stages.iter().map(run).collect();
    println!("\n{}", summary(title, &reports));
    let failed: Vec<&str> = reports
        .iter()
        .filter(|report| matches!(report.end, End::Failed(_)))
        .map(|report| report.name)
        .collect();
    ensure!(failed.is_empty(), "{title} failed: {}", failed.join(", "));
    Ok(())
}

/// Returns the named stages in their own order, or all.
///
/// # Errors
/// Fails for a name that no stage has.
pub(crate) fn select(stages: Vec<Stage>, names: &[String]) -> Result<Vec<Stage>> {
    for name in names {
        let known: Vec<&str> = stages.iter().map(|stage| stage.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "expected one of {}, found `{name}`",
            known.join(", ")
        );
    }
    let is_wanted = |stage: &Stage| names.is_empty() || names.iter().any(|name| name == stage.name);
    Ok(stages.into_iter().filter(is_wanted).collect())
}

/// Prints what there is to run.
pub(crate) fn list(stages: &[Stage]) {
    for stage in stages {
        println!("{:<12} {} (about {})", stage.name, stage.about, rough(stage.expected));
        for need in stage.needs {
            println!("{:<12}   {}", "", need.sentence);
        }
    }
}

fn run(stage: &Stage) -> Report {
    println!("\n== {}: {}; about {}", stage.name, stage.about, rough(stage.expected));
    let start = Instant::now();
    let mut tally = Tally::default();
    let end = match stage.needs.iter().find_map(|need| Some((need, (need.provide)().err()?))) {
        Some((need, problem)) => End::Skipped(format!("{}: {problem:#}", need.sentence)),
        None => match (stage.run)(&mut tally) {
            Ok(()) => End::Passed,
            Err(problem) => End::Failed(format!("{problem:#}")),
        },
    };
    match &end {
        End::Passed => {}
        End::Failed(problem) => println!("{} failed: {problem}", stage.name),
        End::Skipped(reason) => println!("skipped 1 stage: {reason}"),
    }
    Report { name: stage.name, end, tally, taken: start.elapsed() }
}

/// Returns the table at the end.
fn summary(title: &str, reports: &[Report]) -> String {
    let mut text =
        format!("{:<14} {:<8} {:>7} {:>7} {:>8}\n", title, "result", "passed", "failed", "seconds");
    for report in reports {
        let (result, note) = match &report.end {
            End::Passed => ("ok", ""),
            End::Failed(problem) => ("FAILED", problem.as_str()),
            End::Skipped(reason) => ("skipped", reason.as_str()),
        };
        let seconds = report.taken.as_secs();
        let (passed, failed) = (report.tally.passed, report.tally.failed);
        let line =
            format!("{:<14} {result:<8} {passed:>7} {failed:>7} {seconds:>8}  {note}", report.name);
        let _ = writeln!(text, "{}", line.trim_end());
        for name in &report.tally.names {
            let _ = writeln!(text, "  failed: {name}");
        }
    }
    let skipped = reports.iter().filter(|report| matches!(report.end, End::Skipped(_))).count();
    let passed: u64 = reports.iter().map(|report| report.tally.passed).sum();
    let failed: u64 = reports.iter().map(|report| report.tally.failed).sum();
    let taken: Duration = reports.iter().map(|report| report.taken).sum();
    let _ = write!(
        text,
        "{} passed, {failed} failed, {} skipped, {}",
        count(usize::try_from(passed).unwrap_or(usize::MAX), "test"),
        count(skipped, "stage"),
        rough(taken)
    );
    text
}

/// Returns a number with its noun.
fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Returns a time as people say it.
fn rough(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..90 => count(usize::try_from(seconds).unwrap_or(0), "second"),
        seconds => count(usize::try_from((seconds + 30) / 60).unwrap_or(0), "minute"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    fn stage(name: &'static str, run: fn(&mut Tally) -> Result<()>) -> Stage {
        let expected = Duration::from_secs(1);
        Stage { name, about: "for a test", expected, needs: &[], run: Box::new(run) }
    }

    #[test]
    fn a_failing_stage_hides_none_that_follow_and_fails_the_whole() {
        const MISSING: &[Need] =
            &[Need { sentence: "the tests of x need x", provide: || bail!("no x") }];
        let mut stages = vec![
            stage("first", |_| bail!("broken")),
            stage("second", |tally| {
                tally.read("test a::b ... FAILED");
                tally.read("test result: FAILED. 7 passed; 1 failed; 0 ignored; finished in 0.1s");
                bail!("cargo failed")
            }),
            stage("third", |tally| {
                tally.read("test result: ok. 12 passed; 0 failed; 0 ignored");
                Ok(())
            }),
            stage("fourth", |_| bail!("never run")),
        ];
        stages[3].needs = MISSING;
        let reports: Vec<Report> = stages.iter().map(run).collect();
        let text = summary("tests", &reports);
        let words: Vec<String> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            words,
            [
                "first FAILED 0 0 0 broken",
                "second FAILED 7 1 0 cargo failed",
                "failed: a::b",
                "third ok 12 0 0",
                "fourth skipped 0 0 0 the tests of x need x: no x",
                "19 tests passed, 1 failed, 1 stage skipped, 0 seconds",
            ]
        );
        let problem = run_all("tests", &stages).expect_err("two stages failed");
        assert_eq!(problem.to_string(), "tests failed: first, second");
        assert!(run_all("tests", &stages[2..]).is_ok(), "a skipped stage is no failure");
    }

    #[test]
    fn stages_are_selected_by_name_in_their_own_order() {
        let selected = |names: &[&str]| -> Result<Vec<&str>> {
            let stages = ["a", "b", "c"].map(|name| stage(name, |_| Ok(()))).into();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Ok(select(stages, &names)?.iter().map(|stage| stage.name).collect())
        };
        assert_eq!(selected(&["c", "a"]).expect("stages"), ["a", "c"]);
        assert_eq!(selected(&[]).expect("stages"), ["a", "b", "c"]);
        let problem = selected(&["d"]).expect_err("no stage has this name");
        assert_eq!(problem.to_string(), "expected one of a, b, c, found `d`");
    }

    #[test]
    fn times_are_rough() {
        let show = |seconds| rough(Duration::from_secs(seconds));
        assert_eq!(
            [show(1), show(89), show(90), show(600)],
            ["1 second", "89 seconds", "2 minutes", "10 minutes"]
        );
    }
}
