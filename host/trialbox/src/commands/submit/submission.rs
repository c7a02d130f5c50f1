//! Writes the scripts, submits them, and prints the result.

use super::plan::Plan;
use super::quote::{shell_quote, wrap};
use super::run_flags::RunFlags;
use super::script::{ArrayScript, ClosingScript, Common};
use crate::cluster::slurm::{SlurmError, submit};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::finding::Finding;
use crate::view::output::Output;
use crate::view::record::{DryRunRecord, Record, Rendered, SubmissionShape, SubmittedRecord};
use std::path::{Path, PathBuf};
use trialbox_core::value::text::counted;
use trialbox_files::{FileError, write_named};

/// An array job and its closing job.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) study: String,
    pub(super) url: String,
    pub(super) plan: Plan,
    pub(super) run_flags: RunFlags,
    /// The study's name for jobs and files.
    pub(super) label: String,
    /// The line that names the study in the files.
    pub(super) of: String,
    /// The current folder.
    pub(super) folder: PathBuf,
    /// The path of `trialbox`.
    pub(super) program: PathBuf,
    /// The path of the array's script.
    pub(super) script: PathBuf,
    /// The log's name, as a pattern of sbatch.
    pub(super) log: String,
    /// The path of the closing job's report; `None` without a closing job.
    pub(super) report: Option<String>,
    pub(super) resources: Vec<Vec<String>>,
    pub(super) closing_resources: Vec<Vec<String>>,
}

/// A job for sbatch.
pub(super) struct Sheet {
    /// The script.
    pub(super) text: String,
    /// The script's directives. On the command line too, they override `SBATCH_…` variables.
    flags: Vec<Vec<String>>,
}

/// The ids of the submitted jobs.
struct JobIds {
    array: String,
    closing: Option<String>,
}

impl Submission {
    /// Returns the job of the array.
    pub(super) fn array(&self) -> Sheet {
        let program = shell_quote(&self.program.display().to_string());
        let plan = &self.plan;
        let (n_tasks, n_parallel) = (plan.n_tasks(), plan.n_parallel());
        let summary = format!(
            "{} of study {}: {}, {n_parallel} at a time.",
            counted(plan.n_missing(), "trial"),
            self.label,
            self.count_tasks()
        );
        let run = wrap(&self.run_flags.run_command(&program, plan.per_task, None));
        let common = self.common(&self.log, &self.resources);
        let script = ArrayScript { common, summary: &summary, n_tasks, n_parallel, run: &run };
        Sheet { text: script.text(), flags: script.flags() }
    }

    /// Returns the closing job, unless the user wants none.
    pub(super) fn closing(&self) -> Option<Sheet> {
        let log = format!("{}-close-%j.log", self.label);
        // An objective that always fails must not run for every missing trial.
        let few_failures = match self.run_flags.has("max_failures") {
            true => None,
            false => Some("--max-failures 3"),
        };
        // The study's own limit stops it: trials of the study may still be lost until then.
        let n_trials = self.plan.n_trials;
        let run = self.run_flags.run_command("\"$trialbox\"", n_trials, few_failures);
        let script = ClosingScript {
            common: self.common(&log, &self.closing_resources),
            program: &shell_quote(&self.program.display().to_string()),
            run: &wrap(&run),
            study_flags: &self.run_flags.study_flags(),
            report: self.report.as_deref()?,
        };
        Some(Sheet { text: script.text(), flags: script.flags() })
    }

    fn common<'a>(&'a self, log: &'a str, resources: &'a [Vec<String>]) -> Common<'a> {
        Common { label: &self.label, of: &self.of, folder: &self.folder, log, resources }
    }

    /// Returns the path of the closing job's script: `digits-close.sbatch` beside `digits.sbatch`.
    pub(super) fn closing_path(&self) -> PathBuf {
        let stem = self.script.file_stem().unwrap_or_default().to_string_lossy();
        let extension = self.script.extension().unwrap_or("sbatch".as_ref()).to_string_lossy();
        self.script.with_file_name(format!("{stem}-close.{extension}"))
    }

    /// Returns the files that a submission writes, each with the flag that sets its name.
    pub(super) fn files(&self) -> Vec<(PathBuf, &'static str)> {
        let mut files = vec![(self.script.clone(), "--script")];
        if let Some(report) = &self.report {
            files.push((self.closing_path(), "--script"));
            files.push((PathBuf::from(report), "--report"));
        }
        files
    }

    /// Prints the result of a dry run. The text is the script alone, so that it can be redirected to a file.
    pub(super) fn print(&self, findings: &[Finding], output: &Output) {
        let (array, closing) = (self.array().text, self.closing().map(|closing| closing.text));
        let record = DryRunRecord {
            shape: self.shape(self.log.clone(), findings),
            script_text: array.clone(),
            closing_script_text: closing.clone(),
        };
        output.print_as_it_is(&Rendered::new(array, Record::DryRun(Box::new(record))));
        match closing {
            Some(closing) if output.is_verbose() => output.note_as_it_is(&format!("\n{closing}")),
            Some(_) => output
                .note("a closing job would run the missing trials after it; -v shows its script"),
            None => {}
        }
    }

    /// Writes the scripts, submits them, and prints the jobs and the next commands.
    pub(super) fn submit(&self, findings: &[Finding], output: &Output) -> CommandResult {
        let array = self.write_and_submit(&self.script, &self.array())?;
        let closing = self.closing().map(|mut closing| {
            closing.flags.push(vec![format!("--dependency=afterany:{array}")]);
            self.write_and_submit(&self.closing_path(), &closing)
        });
        let closing = match closing.transpose() {
            Ok(closing) => closing,
            Err(error) => {
                // The array runs, so the submission has succeeded all the same.
                output.note(&format!(
                    "warning: the array was submitted, but its closing job was not: {:#}",
                    error.error
                ));
                None
            }
        };
        let jobs = JobIds { array, closing };
        let record = SubmittedRecord {
            shape: self.shape(self.log_of(&jobs.array), findings),
            job_id: jobs.array.clone(),
            closing_job_id: jobs.closing.clone(),
        };
        output.print(&Rendered::new(self.text(&jobs), Record::Submitted(Box::new(record))));
        output.note_as_it_is(&self.next_commands(&jobs));
        Ok(ExitCode::Done)
    }

    /// Writes a script for the user and submits its text. Returns the job's id.
    ///
    /// sbatch gets the text itself and not the file, which another user of the folder could replace before sbatch reads
    /// it.
    fn write_and_submit(&self, path: &Path, sheet: &Sheet) -> Result<String, CommandError> {
        self.write(path, &sheet.text)
            .map_err(|error| self.failed(format!("cannot write the script: {error}"), ""))?;
        let arguments: Vec<&str> = sheet.flags.iter().flatten().map(String::as_str).collect();
        submit(&arguments, &sheet.text).map_err(|error| {
            let first = match error {
                SlurmError::Silent { .. } => "the job may be queued (see `squeue --me`); if not, ",
                _ => "",
            };
            self.failed(error.to_string(), first)
        })
    }

    /// Writes the script under its name, and never through a link that another user left there.
    fn write(&self, path: &Path, script: &str) -> Result<(), FileError> {
        // Values of --env may be secrets.
        let mode = self.run_flags.has("env").then_some(0o600);
        write_named(path, script.as_bytes(), mode)
    }

    fn failed(&self, message: String, first: &str) -> CommandError {
        CommandError::usage(
            message,
            format!(
                "{first}submit again: the study `{}` exists now, which does no harm, and no trial has run",
                self.study
            ),
        )
    }

    fn count_tasks(&self) -> String {
        format!(
            "{} of {}",
            counted(self.plan.n_tasks(), "task"),
            counted(self.plan.per_task, "trial")
        )
    }

    fn text(&self, jobs: &JobIds) -> String {
        let has = match self.plan.n_present {
            0 => String::new(),
            n => format!(", which has {n} of {}", self.plan.n_trials),
        };
        let mut text = format!(
            "submitted job {}: {}, {} at a time, for study `{}`{has}\n  script   {}\n  log      {}",
            jobs.array,
            self.count_tasks(),
            self.plan.n_parallel(),
            self.study,
            self.script.display(),
            self.log_of(&jobs.array)
        );
        if let (Some(closing), Some(report)) = (&jobs.closing, &self.report) {
            text.push_str(&format!(
                "\n  closing  job {closing} runs missing trials after it, and writes {report}"
            ));
        }
        text
    }

    /// Returns the commands that the user may want next.
    fn next_commands(&self, jobs: &JobIds) -> String {
        let (array, log) = (&jobs.array, self.log_of(&jobs.array));
        let (list, stop) = match &jobs.closing {
            // Users expect that the array's id is enough.
            Some(closing) => (
                format!("{array},{closing}"),
                format!("{array} {closing}    # {array} alone starts the closing job"),
            ),
            None => (array.clone(), array.clone()),
        };
        let study = self.run_flags.study_flags();
        format!(
            "next:\n  squeue -j {list}\n  tail -F {log}\n  trialbox study show {study}\n\
             to stop:\n  scancel {stop}"
        )
    }

    /// Returns the name of the array's log, with `*` for the parts that differ between tasks.
    fn log_of(&self, job: &str) -> String {
        let log = self.log.replace("%A", job);
        ["%N", "%a", "%j", "%n", "%t"].iter().fold(log, |log, pattern| log.replace(pattern, "*"))
    }

    fn shape(&self, log: String, checks: &[Finding]) -> SubmissionShape {
        let closing = self.report.as_ref().map(|_| self.closing_path().display().to_string());
        SubmissionShape {
            study: self.study.clone(),
            storage: self.url.clone(),
            n_trials: self.plan.n_trials,
            n_present: self.plan.n_present,
            n_missing: self.plan.n_missing(),
            n_tasks: self.plan.n_tasks(),
            parallel: self.plan.n_parallel(),
            trials_per_task: self.plan.per_task,
            script: self.script.display().to_string(),
            closing_script: closing,
            log,
            report: self.report.clone(),
            checks: checks.to_vec(),
        }
    }
}
