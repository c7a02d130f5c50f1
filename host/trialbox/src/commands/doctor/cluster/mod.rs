//! `trialbox doctor --slurm`: what a cluster is like for trials, found out by two tasks on two of its nodes.
//!
//! `job` submits them and `wait` waits for them; what they do is `probe`, at the top. `pair`, `nodes` and `config` judge what came of it,
//! between the two nodes, on each of them, and in Slurm's configuration.

mod config;
mod finding;
mod job;
mod nodes;
mod offset;
mod pair;
mod wait;

use crate::cluster::slurm::{SlurmError, ask};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::probe::{Facts, Report, look, no_use_of_folder, report_name};
use crate::view::output::Output;
use crate::view::trial::show_duration;
use anyhow::Context as _;
use config::Config;
use finding::{Finding, Severity};
use job::{Job, ProbeFolder, State};
use pair::Pair;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use trialbox_core::session::objective::Interruption;
use trialbox_runtime::Interrupts;
use trialbox_storage::LockMode;
use wait::{Waited, Watch};

/// What to look at, and how.
#[derive(Debug)]
pub(super) struct ClusterCheck<'a> {
    /// The study's database, which need not be there.
    pub(super) database: &'a Path,
    /// What commands will be told to keep writers apart with.
    pub(super) lock: LockMode,
    /// How long to wait for the job.
    pub(super) wait: Duration,
    /// What else sbatch is to be told.
    pub(super) sbatch: &'a [String],
}

/// What the tasks have left. The job is over.
#[derive(Debug)]
struct Seen {
    job: Job,
    reports: Vec<Report>,
    /// Why there was only one node, if there was.
    one_node: Option<String>,
}

impl ClusterCheck<'_> {
    pub(super) fn run(&self, output: &Output) -> CommandResult {
        ask("sbatch", &["--version"]).map_err(no_slurm)?;
        let interrupts = Interrupts::install()?;
        let folder = ProbeFolder::beside(self.database).map_err(|error| self.no_folder(&error))?;
        let here = Facts::here(&folder.path);
        let seen = self.look(&folder, &interrupts, output)?;
        let config = ask("scontrol", &["show", "config"]).map(|text| Config::read(&text));
        let findings = self.judge(&here, &seen, &config);
        let version = config.as_ref().ok().and_then(Config::version);
        show(&findings, &here, &seen, version, output);
        let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
        Ok(if has_errors { ExitCode::Storage } else { ExitCode::Done })
    }

    /// Runs the job, on two nodes if there are two.
    fn look(
        &self,
        folder: &ProbeFolder,
        interrupts: &Interrupts,
        output: &Output,
    ) -> Result<Seen, CommandError> {
        let deadline = Instant::now() + self.wait;
        let watch = Watch { folder, deadline, interrupts, output };
        let program = std::env::current_exe()?;
        let (mut job, mut one_node) = self.submit(folder, &program)?;
        loop {
            let nodes = if one_node.is_some() { "one node" } else { "two nodes" };
            output.note(&format!(
                "job {}: two small tasks on {nodes}, for some seconds; waiting for at most {}",
                job.id,
                show_duration(self.wait)
            ));
            match watch.wait(&mut job)? {
                Waited::Ended => {
                    let reports = read_reports(&folder.path).map_err(no_use_of_folder)?;
                    return Ok(Seen { job, reports, one_node });
                }
                Waited::Interrupted(interruption) => return Err(interrupted(&job, interruption)),
                Waited::NeverTwo(reason) if one_node.is_none() => {
                    drop(job);
                    job = Job::submit(folder, &program, 1, self.sbatch).map_err(refused)?;
                    one_node = Some(reason);
                }
                Waited::NeverTwo(reason) => {
                    return Err(self.time_over(&job, &State::Waits { reason }));
                }
                Waited::TimeOver(state) => return Err(self.time_over(&job, &state)),
            }
        }
    }

    /// Submits it for two nodes, or where Slurm refuses that, for one; then with what it said.
    fn submit(
        &self,
        folder: &ProbeFolder,
        program: &Path,
    ) -> Result<(Job, Option<String>), CommandError> {
        match Job::submit(folder, program, 2, self.sbatch) {
            Ok(job) => Ok((job, None)),
            Err(SlurmError::Refused { program: by, said }) => {
                match Job::submit(folder, program, 1, self.sbatch) {
                    Ok(job) => Ok((job, Some(said))),
                    // It was not about the number of nodes.
                    Err(_) => Err(refused(SlurmError::Refused { program: by, said })),
                }
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Everything, the worst first.
    fn judge(
        &self,
        here: &Facts,
        seen: &Seen,
        config: &Result<Config, SlurmError>,
    ) -> Vec<Finding> {
        let mut findings = missing(seen);
        if let [first, second] = &seen.reports[..] {
            let one_node = seen.one_node.as_deref();
            findings.extend(Pair { here, first, second, one_node, lock: self.lock }.judge());
        }
        let facts: Vec<&Facts> = seen.reports.iter().map(|report| &report.facts).collect();
        if !facts.is_empty() {
            findings.extend(nodes::judge(&facts));
        }
        match config {
            Ok(config) => findings.extend(config.judge()),
            Err(error) => findings.push(Finding::new(
                Severity::Note,
                "slurm-config",
                format!("Slurm's configuration is not known: {error}"),
                "nothing is said about signals, arrays and preemption",
                "",
            )),
        }
        findings.sort_by_key(|finding| finding.severity);
        findings
    }

    fn no_folder(&self, error: &std::io::Error) -> CommandError {
        CommandError::usage(
            format!("no folder can be made beside `{}`: {error}", self.database.display()),
            "name the database where it is, or will be: --storage PATH",
        )
    }

    fn time_over(&self, job: &Job, state: &State) -> CommandError {
        CommandError::usage(
            format!("job {} {state} after {}, and is cancelled", job.id, show_duration(self.wait)),
            "ask again with a longer --wait, or for nodes that are free: trialbox doctor --slurm -- --partition NAME",
        )
    }
}

fn no_slurm(error: SlurmError) -> CommandError {
    CommandError::usage(
        format!("there is no Slurm to look at: {error}"),
        "ask on a login node of the cluster, where `sbatch`, `squeue` and `scontrol` are found",
    )
}

fn refused(error: SlurmError) -> CommandError {
    CommandError::usage(
        format!("the job is not submitted: {error}"),
        "what sbatch needs here goes behind two dashes: trialbox doctor --slurm -- --account NAME --partition NAME",
    )
}

fn interrupted(job: &Job, interruption: Interruption) -> CommandError {
    let exit = ExitCode::of(interruption);
    let error = anyhow::anyhow!("interrupted; job {} is cancelled", job.id);
    CommandError { exit, code: None, error, help: None }
}

/// Those that there are.
fn read_reports(folder: &Path) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for rank in [0, 1] {
        if let Some(text) = look(folder, &report_name(rank))? {
            let report = serde_json::from_str(&text);
            reports.push(report.context("a task's report is not as this trialbox writes it")?);
        }
    }
    Ok(reports)
}

/// What kept the tasks from their end.
fn missing(seen: &Seen) -> Vec<Finding> {
    let job = &seen.job;
    // One alone can only say that it was.
    let problems: Vec<String> = seen
        .reports
        .iter()
        .filter_map(|report| {
            let problem = report.problem.as_ref().filter(|_| seen.reports.len() == 2);
            Some(format!("{} says: {}", report.facts.node, problem?))
        })
        .collect();
    if seen.reports.len() == 2 && problems.is_empty() {
        return vec![];
    }
    let end = job.end().map(|end| format!(" ({end})")).unwrap_or_default();
    let log = match job.last_words() {
        Some(words) if words.is_empty() => "its log is empty".to_owned(),
        Some(words) => format!("its log ends with `{words}`"),
        None => "its nodes could not even write its log there".to_owned(),
    };
    let (id, nowhere) =
        (&job.id, "keep the study, and trialbox itself, in folders that all nodes see");
    let (code, found, advice) = match &seen.reports[..] {
        [] => {
            ("no-results", format!("job {id}{end} has left no results beside the study"), nowhere)
        }
        [only] => {
            let node = &only.facts.node;
            ("no-results", format!("job {id}{end} has results of {node} alone"), nowhere)
        }
        _ => (
            "not-met",
            format!("the tasks of job {id} did not get to their end"),
            "ask again; if that does not help, keep the study on another file system",
        ),
    };
    let meaning = [problems, vec![log]].concat().join(", ");
    vec![Finding::new(Severity::Error, code, found, meaning, advice)]
}

fn show(
    findings: &[Finding],
    here: &Facts,
    seen: &Seen,
    slurm_version: Option<&str>,
    output: &Output,
) {
    if output.is_json() {
        for finding in findings {
            output.result("", || finding.line());
        }
        output.result("", || summary(findings, here, seen, slurm_version));
        return;
    }
    let counts = Severity::ALL.map(|severity| {
        let n = count(findings, severity);
        let plural = if n == 1 || severity == Severity::Ok { "" } else { "s" };
        format!("{n} {}{plural}", severity.as_str())
    });
    let sentences: Vec<String> = findings.iter().map(Finding::text).collect();
    let surroundings = format!(
        "job {} of Slurm {}; trialbox {}",
        seen.job.id,
        slurm_version.unwrap_or("of an unknown version"),
        env!("CARGO_PKG_VERSION")
    );
    let (sentences, counts) = (sentences.join("\n"), counts.join(", "));
    let text = format!("{surroundings}\n\n{sentences}\n\n{counts}\n{}", verdict(findings));
    output.result(&text, || Value::Null);
}

/// What it comes to, for whoever reads only the last line.
fn verdict(findings: &[Finding]) -> &'static str {
    let has = |code: &str| findings.iter().any(|finding| finding.code == code);
    match (count(findings, Severity::Error), count(findings, Severity::Warning)) {
        (0, _) if has("one-node") => "Studies can lie in this folder, as far as one node can tell.",
        (0, 0) => "Studies can lie in this folder.",
        (0, _) => "Studies can lie in this folder, if you do what the warnings say.",
        _ => "Keep no study in this folder before the errors are gone.",
    }
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

fn summary(findings: &[Finding], here: &Facts, seen: &Seen, slurm_version: Option<&str>) -> Value {
    json!({
        "event": "summary",
        "errors": count(findings, Severity::Error),
        "warnings": count(findings, Severity::Warning),
        "notes": count(findings, Severity::Note),
        "oks": count(findings, Severity::Ok),
        "job_id": seen.job.id,
        "here": here,
        "nodes": seen.reports,
        "slurm_version": slurm_version,
        "trialbox_version": env!("CARGO_PKG_VERSION"),
    })
}
