//! What is written, handed to sbatch and said.

use super::checks::Finding;
use super::given::Given;
use super::plan::Plan;
use super::quote::{shell_quote, wrap};
use super::script::{ArrayScript, ClosingScript, Common};
use crate::cluster::slurm::{SlurmError, submit};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::trial::count;
use serde_json::{Value, json};
use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// An array job, and the job that closes it.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) study: String,
    pub(super) url: String,
    pub(super) plan: Plan,
    pub(super) given: Given,
    /// The study's name as that of jobs and files.
    pub(super) label: String,
    /// The study and its database, as the files say it.
    pub(super) of: String,
    /// The current folder.
    pub(super) folder: PathBuf,
    /// `trialbox`.
    pub(super) program: PathBuf,
    /// Where the array's script goes.
    pub(super) script: PathBuf,
    /// The log's name, a pattern of sbatch's.
    pub(super) log: String,
    /// Where the closing job writes; without one, nowhere.
    pub(super) report: Option<String>,
    pub(super) resources: Vec<Vec<String>>,
    pub(super) closing_resources: Vec<Vec<String>>,
}

/// A job as sbatch gets it.
pub(super) struct Sheet {
    /// The script.
    pub(super) text: String,
    /// What stands in it as directives. On the command line as well, it wins over `SBATCH_…` variables.
    flags: Vec<Vec<String>>,
}

/// The numbers of jobs that Slurm has taken.
struct Jobs {
    array: String,
    closing: Option<String>,
}

impl Submission {
    /// The array.
    pub(super) fn array(&self) -> Sheet {
        let program = shell_quote(&self.program.display().to_string());
        let plan = &self.plan;
        let (n_tasks, n_parallel) = (plan.n_tasks(), plan.n_parallel());
        let summary = format!(
            "{} of study {}: {}, {n_parallel} at once.",
            count(plan.n_missing(), "trial"),
            self.label,
            self.count_tasks()
        );
        let run = wrap(&self.given.run_command(&program, plan.per_task));
        let common = self.common(&self.log, &self.resources);
        let script = ArrayScript { common, summary: &summary, n_tasks, n_parallel, run: &run };
        Sheet { text: script.text(), flags: script.flags() }
    }

    /// The closing job, if there is to be one.
    pub(super) fn closing(&self) -> Option<Sheet> {
        let log = format!("{}-close-%j.log", self.label);
        // The study's own bound ends it: of the trials that are there now, more may be lost.
        let mut run = self.given.run_command("\"$trialbox\"", self.plan.n_trials);
        // It is not to try every missing trial of an objective that fails always.
        if !self.given.has("max_failures") {
            run.push("--max-failures 3".to_owned());
        }
        let script = ClosingScript {
            common: self.common(&log, &self.closing_resources),
            program: &shell_quote(&self.program.display().to_string()),
            run: &wrap(&run),
            study_flags: &self.given.study_flags(),
            report: self.report.as_deref()?,
        };
        Some(Sheet { text: script.text(), flags: script.flags() })
    }

    fn common<'a>(&'a self, log: &'a str, resources: &'a [Vec<String>]) -> Common<'a> {
        Common { label: &self.label, of: &self.of, folder: &self.folder, log, resources }
    }

    /// Where the closing job's script goes: `digits-close.sbatch` beside `digits.sbatch`.
    pub(super) fn closing_path(&self) -> PathBuf {
        let stem = self.script.file_stem().unwrap_or_default().to_string_lossy();
        let extension = self.script.extension().unwrap_or("sbatch".as_ref()).to_string_lossy();
        self.script.with_file_name(format!("{stem}-close.{extension}"))
    }

    /// Prints what would be submitted: the script alone, so that it can be kept with `>`.
    pub(super) fn show(&self, findings: &[Finding], output: &Output) {
        let (array, closing) = (self.array().text, self.closing().map(|closing| closing.text));
        output.result(&array, || {
            let mut value = self.json("dry_run", findings);
            value["script_text"] = array.clone().into();
            value["closing_script_text"] = closing.clone().into();
            value
        });
        match closing {
            Some(closing) if output.is_verbose() => output.note(&format!("\n{closing}")),
            Some(_) => {
                output.note("a second job would run what is missing after it; -v shows its script")
            }
            None => {}
        }
    }

    /// Writes the scripts, submits them, and says what to type next.
    pub(super) fn submit(&self, findings: &[Finding], output: &Output) -> CommandResult {
        let array = self.write_and_submit(&self.script, &self.array())?;
        let closing = self.closing().map(|mut closing| {
            closing.flags.push(vec![format!("--dependency=afterany:{array}")]);
            self.write_and_submit(&self.closing_path(), &closing)
        });
        let closing = match closing.transpose() {
            Ok(closing) => closing,
            Err(error) => {
                // The array runs: that is a success, but for what follows it.
                output.note(&format!(
                    "warning: the array is submitted, and the job after it is not: {:#}",
                    error.error
                ));
                None
            }
        };
        let jobs = Jobs { array, closing };
        output.result(&self.text(&jobs), || self.submitted_json(&jobs, findings));
        output.note(&self.next(&jobs));
        Ok(ExitCode::Done)
    }

    /// Writes a script and submits it; the job's number.
    fn write_and_submit(&self, path: &Path, sheet: &Sheet) -> Result<String, CommandError> {
        let shown = path.display();
        self.write(path, &sheet.text).map_err(|error| {
            self.failed(format!("the script `{shown}` cannot be written: {error}"), "")
        })?;
        let absolute = std::path::absolute(path)?.display().to_string();
        let flags = sheet.flags.iter().flatten().map(String::as_str);
        let arguments: Vec<&str> = flags.chain([absolute.as_str()]).collect();
        submit(&arguments).map_err(|error| {
            let look = match error {
                SlurmError::Silent { .. } => "the job may be there (`squeue --me`); if not, ",
                _ => "",
            };
            self.failed(error.to_string(), look)
        })
    }

    fn write(&self, path: &Path, script: &str) -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        // Values may be secrets. Of a file that is there the mode is another matter.
        let is_secret = self.given.has("env");
        options.mode(if is_secret { 0o600 } else { 0o666 });
        let mut file = options.open(path)?;
        if is_secret {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        file.write_all(script.as_bytes())
    }

    fn failed(&self, message: String, look: &str) -> CommandError {
        CommandError::usage(
            message,
            format!(
                "{look}submit again: the study `{}` is there now, which does no harm, and nothing was run",
                self.study
            ),
        )
    }

    fn count_tasks(&self) -> String {
        format!("{} of {}", count(self.plan.n_tasks(), "task"), count(self.plan.per_task, "trial"))
    }

    fn text(&self, jobs: &Jobs) -> String {
        let has = match self.plan.n_present {
            0 => String::new(),
            n => format!(", which has {n} of {}", self.plan.n_trials),
        };
        let mut text = format!(
            "submitted job {}: {}, {} at once, for study `{}`{has}\n  script   {}\n  log      {}",
            jobs.array,
            self.count_tasks(),
            self.plan.n_parallel(),
            self.study,
            self.script.display(),
            self.log_of(&jobs.array)
        );
        if let (Some(closing), Some(report)) = (&jobs.closing, &self.report) {
            text.push_str(&format!(
                "\n  closing  job {closing} runs what is missing after it, and writes {report}"
            ));
        }
        text
    }

    /// What to type next.
    fn next(&self, jobs: &Jobs) -> String {
        let all: Vec<&str> = [Some(&jobs.array), jobs.closing.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        // People type the array's number alone.
        let alone = match jobs.closing {
            Some(_) => format!("    # {} alone starts the closing job", jobs.array),
            None => String::new(),
        };
        format!(
            "next:\n  squeue -j {}\n  tail -F {}\n  trialbox study show {}\nto stop:\n  scancel {}{}",
            all.join(","),
            self.log_of(&jobs.array),
            self.given.study_flags(),
            all.join(" "),
            alone
        )
    }

    /// The array's log; `*` for what only tasks know.
    fn log_of(&self, job: &str) -> String {
        let log = self.log.replace("%A", job);
        ["%N", "%a", "%j", "%n", "%t"].iter().fold(log, |log, pattern| log.replace(pattern, "*"))
    }

    fn json(&self, event: &str, findings: &[Finding]) -> Value {
        let closing = self.report.as_ref().map(|_| self.closing_path().display().to_string());
        json!({
            "event": event,
            "study": self.study,
            "storage": self.url,
            "n_trials": self.plan.n_trials,
            "n_present": self.plan.n_present,
            "n_missing": self.plan.n_missing(),
            "n_tasks": self.plan.n_tasks(),
            "parallel": self.plan.n_parallel(),
            "trials_per_task": self.plan.per_task,
            "script": self.script.display().to_string(),
            "closing_script": closing,
            "log": self.log,
            "report": self.report,
            "checks": findings.iter().map(Finding::to_json).collect::<Vec<_>>(),
        })
    }

    fn submitted_json(&self, jobs: &Jobs, findings: &[Finding]) -> Value {
        let mut value = self.json("submitted", findings);
        value["job_id"] = jobs.array.clone().into();
        value["closing_job_id"] = jobs.closing.clone().into();
        value["log"] = self.log_of(&jobs.array).into();
        value
    }
}
