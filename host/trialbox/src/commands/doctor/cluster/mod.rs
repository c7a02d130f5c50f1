//! `trialbox doctor --slurm`: examines a cluster by two tasks on two of its nodes.
//!
//! `job` submits the tasks, `wait` waits for them, and the crate's `probe` is what they run. `pair`, `nodes` and
//! `config` judge the results: between the nodes, on each node, and in Slurm's configuration.

mod config;
mod job;
mod nodes;
mod offset;
mod pair;
mod wait;

use crate::cluster::slurm::{SlurmError, ask};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::own_program::own_program;
use crate::probe::{Facts, Report, folder_error, read_from_server, report_name};
use crate::view::finding::{Counts, Finding, sort};
use crate::view::output::Output;
use crate::view::record::{ClusterSummary, Record, SummaryRecord, View};
use crate::view::trial::show_duration;
use anyhow::Context as _;
use config::Config;
use job::{Job, ProbeFolder, State};
use pair::Pair;
use std::path::Path;
use std::time::{Duration, Instant};
use trialbox_core::session::objective::Interruption;
use trialbox_runtime::Interrupts;
use trialbox_storage::LockMode;
use wait::{Waited, Watch};

/// The options of the examination.
#[derive(Debug)]
pub(super) struct ClusterCheck<'a> {
    /// The study's database, which does not need to exist.
    pub(super) database: &'a Path,
    /// The lock mode of the commands on the study.
    pub(super) lock: LockMode,
    /// The time limit for the job, its time in the queue included.
    pub(super) wait: Duration,
    /// The user's flags of sbatch.
    pub(super) sbatch: &'a [String],
}

/// The results of a job that has ended.
#[derive(Debug)]
struct JobResults {
    job: Job,
    reports: Vec<Report>,
    /// Slurm's reason for giving one node only, if it did.
    one_node: Option<String>,
}

/// The findings of an examination, and its summary.
struct Examination {
    findings: Vec<Finding>,
    counts: Counts,
    cluster: ClusterSummary,
}

impl ClusterCheck<'_> {
    pub(super) fn run(&self, output: &Output) -> CommandResult {
        ask("sbatch", &["--version"]).map_err(no_slurm)?;
        let interrupts = Interrupts::install()?;
        let folder = ProbeFolder::beside(self.database).map_err(|error| self.no_folder(&error))?;
        let here = Facts::here(&folder.path);
        let results = self.run_job(&folder, &interrupts, output)?;
        let config = ask("scontrol", &["show", "config"]).map(|text| Config::read(&text));
        let findings = self.judge(&here, &results, &config);
        let counts = Counts::of(findings.iter().map(|finding| finding.severity));
        let cluster = ClusterSummary {
            job_id: results.job.id.clone(),
            here,
            nodes: results.reports,
            slurm_version: config.as_ref().ok().and_then(Config::version).map(str::to_owned),
        };
        output.print(&Examination { findings, counts, cluster });
        Ok(counts.exit_code(ExitCode::Storage))
    }

    /// Runs the job on two nodes, or on one where Slurm does not give two.
    fn run_job(
        &self,
        folder: &ProbeFolder,
        interrupts: &Interrupts,
        output: &Output,
    ) -> Result<JobResults, CommandError> {
        let deadline = Instant::now() + self.wait;
        let watch = Watch { folder, deadline, interrupts, output };
        let program = own_program()?;
        let (mut job, mut one_node) = self.submit(folder, &program)?;
        loop {
            let nodes = if one_node.is_some() { "one node" } else { "two nodes" };
            output.note(&format!(
                "job {}: two small tasks on {nodes}, for a few seconds; waiting for at most {}",
                job.id,
                show_duration(self.wait)
            ));
            match watch.wait(&mut job)? {
                Waited::Ended => {
                    let reports = read_reports(&folder.path).map_err(folder_error)?;
                    return Ok(JobResults { job, reports, one_node });
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

    /// Submits the job for two nodes. Where Slurm refuses that, submits it for one, and returns Slurm's reason.
    fn submit(
        &self,
        folder: &ProbeFolder,
        program: &Path,
    ) -> Result<(Job, Option<String>), CommandError> {
        let error = match Job::submit(folder, program, 2, self.sbatch) {
            Ok(job) => return Ok((job, None)),
            Err(error) => error,
        };
        if let SlurmError::Refused { said, .. } = &error
            && let Ok(job) = Job::submit(folder, program, 1, self.sbatch)
        {
            return Ok((job, Some(said.clone())));
        }
        // Where one node is refused too, the number of nodes was not the reason.
        Err(refused(error))
    }

    /// Returns all findings, the worst first.
    fn judge(
        &self,
        here: &Facts,
        results: &JobResults,
        config: &Result<Config, SlurmError>,
    ) -> Vec<Finding> {
        let mut findings: Vec<Finding> = missing_results(results).into_iter().collect();
        if let [first, second] = &results.reports[..] {
            let one_node = results.one_node.as_deref();
            findings.extend(Pair { here, first, second, one_node, lock: self.lock }.judge());
        }
        let facts: Vec<&Facts> = results.reports.iter().map(|report| &report.facts).collect();
        if !facts.is_empty() {
            findings.extend(nodes::judge(&facts));
        }
        match config {
            Ok(config) => findings.extend(config.judge()),
            Err(error) => findings.push(
                Finding::note(
                    "slurm-config",
                    format!("cannot read Slurm's configuration: {error}"),
                )
                .meaning("the checks of signals, arrays and preemption were not made"),
            ),
        }
        sort(&mut findings);
        findings
    }

    fn no_folder(&self, error: &std::io::Error) -> CommandError {
        CommandError::usage(
            format!("cannot create a folder beside `{}`: {error}", self.database.display()),
            "give the database's present or future path: --storage PATH",
        )
    }

    fn time_over(&self, job: &Job, state: &State) -> CommandError {
        CommandError::usage(
            format!("job {} {state} after {}, and is cancelled", job.id, show_duration(self.wait)),
            "try again with a longer --wait, or with nodes that are free: trialbox doctor --slurm \
             -- --partition NAME",
        )
    }
}

fn no_slurm(error: SlurmError) -> CommandError {
    CommandError::usage(
        format!("cannot find Slurm: {error}"),
        "run this on a login node of the cluster, with `sbatch`, `squeue` and `scontrol` on the PATH",
    )
}

fn refused(error: SlurmError) -> CommandError {
    CommandError::usage(
        format!("the job was not submitted: {error}"),
        "give the flags that sbatch needs here after two dashes: trialbox doctor --slurm -- \
         --account NAME --partition NAME",
    )
}

fn interrupted(job: &Job, interruption: Interruption) -> CommandError {
    let exit = ExitCode::of(interruption);
    let error = anyhow::anyhow!("interrupted; job {} is cancelled", job.id);
    CommandError { exit, code: None, error, help: None }
}

/// Reads the reports that the tasks have left, if any.
fn read_reports(folder: &Path) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for rank in [0, 1] {
        if let Some(text) = read_from_server(folder, &report_name(rank))? {
            let report = serde_json::from_str(&text);
            reports.push(report.context("a task's report was written by another trialbox")?);
        }
    }
    Ok(reports)
}

/// Returns the error of a job whose tasks did not finish; `None` if both did.
fn missing_results(results: &JobResults) -> Option<Finding> {
    let JobResults { job, reports, .. } = results;
    let mut details = Vec::new();
    // The report of one task alone can only say that the other did not answer.
    if reports.len() == 2 {
        for Report { facts, problem, .. } in reports {
            if let Some(problem) = problem {
                details.push(format!("{} reports: {problem}", facts.node));
            }
        }
        if details.is_empty() {
            return None;
        }
    }
    details.push(match job.last_words() {
        Some(words) if words.is_empty() => "its log is empty".to_owned(),
        Some(words) => format!("its log ends with `{words}`"),
        None => "its nodes could not write its log there".to_owned(),
    });
    let end = job.end().map(|end| format!(" ({end})")).unwrap_or_default();
    let job = format!("job {}{end}", job.id);
    let elsewhere = "keep the study, and trialbox itself, in folders that all nodes see";
    let (code, found, advice) = match &reports[..] {
        [] => ("no-results", format!("{job} left no results beside the study"), elsewhere),
        [only] => {
            ("no-results", format!("{job} left results of {} only", only.facts.node), elsewhere)
        }
        _ => (
            "not-met",
            format!("the tasks of {job} did not finish"),
            "try again; if that does not help, keep the study on another file system",
        ),
    };
    Some(Finding::error(code, found).meaning(details.join(", ")).advice(advice))
}

impl View for Examination {
    fn text(&self) -> String {
        let header = format!(
            "job {} of Slurm {}; trialbox {}",
            self.cluster.job_id,
            self.cluster.slurm_version.as_deref().unwrap_or("of an unknown version"),
            env!("CARGO_PKG_VERSION")
        );
        let texts: Vec<String> = self.findings.iter().map(Finding::to_text).collect();
        let verdict = verdict(&self.findings, self.counts);
        format!("{header}\n\n{}\n\n{}\n{verdict}", texts.join("\n"), self.counts)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        let summary = SummaryRecord {
            counts: self.counts,
            trialbox_version: env!("CARGO_PKG_VERSION"),
            database: None,
            cluster: Some(self.cluster.clone()),
        };
        let findings = self.findings.iter().cloned().map(Record::from);
        Box::new(findings.chain([Record::Summary(Box::new(summary))]))
    }
}

/// Returns the last line of the text, which answers the question that the command was run for.
fn verdict(findings: &[Finding], counts: Counts) -> &'static str {
    let is_one_node = findings.iter().any(|finding| finding.code == "one-node");
    match (counts.errors, counts.warnings) {
        (0, _) if is_one_node => "Studies are safe in this folder, as far as one node can tell.",
        (0, 0) => "Studies are safe in this folder.",
        (0, _) => "Studies are safe in this folder if you follow the help of the warnings.",
        _ => "Keep no study in this folder until the errors are resolved.",
    }
}
