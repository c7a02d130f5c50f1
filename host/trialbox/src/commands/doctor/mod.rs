//! `trialbox doctor`: what is wrong with a database, what it means, and what to do; `cluster` asks the same of the
//! nodes where jobs run.

mod cluster;

use crate::args::storage::{StorageArgs, parse_duration};
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::trial::show_bytes;
use cluster::ClusterCheck;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::Clock as _;
use trialbox_storage::doctor::{Finding, Options, Report, Severity, examine, repair};
use trialbox_storage::platform::mount::Locks;
use trialbox_storage::{Create, WaitCancellation};

const EXAMPLES: &str = "\
Examples:
  trialbox doctor                                          look at trialbox.db, change nothing
  trialbox doctor --storage study.db --repair              make a copy, then repair what can be proven
  trialbox doctor --storage study.db --grace 30m           a job may be silent for half an hour
  trialbox doctor --format json | jq 'select(.severity == \"error\")'
  trialbox doctor --slurm --storage /shared/study.db       two nodes of a Slurm cluster: locks, clocks, limits
  trialbox doctor --slurm -- --account me --partition cpu  the same, with what sbatch needs here

Flags of sbatch go after `--`.

Ends with 0 if there is nothing worse than a warning, with 3 if Python cannot read a study or data is being lost,
with 2 if no answer of Slurm's came in time.";

/// How many findings of one kind are printed for people; a damaged study can have thousands.
const MAX_SHOWN: usize = 5;

/// Find out what is wrong with a database, and repair what can be proven.
///
/// Looks at the file, the tables, every row of every study, running and waiting trials, what jobs have left
/// beside the database, and the file system it lies on. Without --repair nothing is changed.
///
/// With --slurm it looks at the cluster instead: one small job of a minute, two tasks on two nodes, finds out in the
/// database's folder whether locks, caches and names hold between nodes, and what the nodes are like.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    storage: StorageArgs,

    /// Repair what can be proven, in one transaction, after a copy NAME.before-repair-TIME
    #[arg(long)]
    repair: bool,

    /// How long a running trial may be without a sign of life
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    grace: Duration,

    /// Look at the nodes of the Slurm cluster instead of the database, which need not be there yet
    #[arg(long, conflicts_with = "repair")]
    slurm: bool,

    /// How long to wait for the job that looks at the nodes
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, requires = "slurm")]
    wait: Duration,

    /// Flags for sbatch, after `--`, such as --account, --partition or --nodelist
    #[arg(last = true, value_name = "SBATCH FLAG", requires = "slurm")]
    sbatch: Vec<String>,
}

/// All that there is to say.
struct Diagnosis {
    path: PathBuf,
    report: Report,
    /// `None` if nothing was asked to be repaired.
    repaired: Option<Vec<Finding>>,
    copy: Option<PathBuf>,
}

impl DoctorArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let path = self.path()?;
        if self.slurm {
            let lock = self.storage.options(Create::Never, WaitCancellation::default()).lock;
            let (database, sbatch) = (path.as_path(), self.sbatch.as_slice());
            return ClusterCheck { database, lock, wait: self.wait, sbatch }.run(output);
        }
        let storage = self.storage.options(Create::Never, WaitCancellation::default());
        let (spool, now) = (self.storage.spool(), SystemClock::new().utc_now());
        let options = Options { storage, spool, grace: self.grace, now };
        let diagnosis = if self.repair {
            let done = repair(&path, &options)?;
            let (repaired, copy) = (Some(done.done), done.copy);
            Diagnosis { path, report: done.report, repaired, copy }
        } else {
            let report = examine(&path, &options);
            Diagnosis { path, report, repaired: None, copy: None }
        };
        if output.is_json() {
            for line in diagnosis.lines() {
                output.result("", || line);
            }
        } else {
            output.result(&diagnosis.text(output.is_verbose()), || Value::Null);
        }
        let has_errors = diagnosis.report.count(Severity::Error) > 0;
        Ok(if has_errors { ExitCode::Storage } else { ExitCode::Done })
    }

    fn path(&self) -> Result<PathBuf, CommandError> {
        let location = self.storage.location()?;
        location.file().map(PathBuf::from).ok_or_else(|| {
            let url = self.storage.url();
            CommandError::usage(
                format!("`{url}` is no file, so there is nothing to look at"),
                "give a path such as `study.db`, or `sqlite:///study.db`",
            )
        })
    }
}

impl Diagnosis {
    /// A line about the surroundings, a paragraph for each finding, and a line that counts them.
    fn text(&self, verbose: bool) -> String {
        let mut paragraphs = vec![self.surroundings()];
        for finding in self.repaired.iter().flatten() {
            paragraphs.push(self.repaired_paragraph(finding));
        }
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.report.findings {
            let count = shown.entry(finding.kind.code).or_default();
            *count += 1;
            if verbose || *count <= MAX_SHOWN {
                paragraphs.push(self.paragraph(finding));
            } else if *count == MAX_SHOWN + 1 {
                let code = finding.kind.code;
                let same = self.report.findings.iter().filter(|found| found.kind.code == code);
                paragraphs
                    .push(format!("{} more of {code}; -v shows all", same.count() - MAX_SHOWN));
            }
        }
        paragraphs.push(self.count());
        paragraphs.join("\n\n")
    }

    fn surroundings(&self) -> String {
        let machine = &self.report.machine;
        let mount = self
            .report
            .mount
            .as_ref()
            .map(|mount| format!(" on {} ({})", mount.fs_type, mount.mount_point.display()));
        let free = machine.free_bytes.map(|free| format!(", {} free", show_bytes(free)));
        format!(
            "{}{}{}; trialbox {}, SQLite {}",
            self.path.display(),
            mount.unwrap_or_default(),
            free.unwrap_or_default(),
            env!("CARGO_PKG_VERSION"),
            machine.sqlite_version
        )
    }

    fn paragraph(&self, finding: &Finding) -> String {
        let kind = finding.kind;
        let mut lines = vec![
            format!("{}[{}]: {}", kind.severity.as_str(), kind.code, finding.place),
            format!("  found: {}", finding.found),
            format!("  for Python: {}", kind.meaning),
            format!("  to do: {}", finding.advice(&self.path)),
        ];
        match &finding.fix {
            Some(fix) => lines.push(format!("  --repair {fix}")),
            None if self.repaired.is_some() => {
                lines.push(format!("  not repaired, because {}", finding.why_not));
            }
            None => {}
        }
        lines.join("\n")
    }

    fn repaired_paragraph(&self, finding: &Finding) -> String {
        let fix = finding.fix.as_ref().map(ToString::to_string).unwrap_or_default();
        format!(
            "repaired[{}]: {}\n  found: {}\n  the repair {fix}",
            finding.kind.code, finding.place, finding.found
        )
    }

    fn count(&self) -> String {
        let count = |severity: Severity| {
            let n = self.report.count(severity);
            format!("{n} {}{}", severity.as_str(), if n == 1 { "" } else { "s" })
        };
        let counts = Severity::ALL.map(count).join(", ");
        let repaired = self.repaired.as_ref().map(|done| format!("; {} repaired", done.len()));
        let copy = self.copy.as_ref().map(|copy| format!("; before: {}", copy.display()));
        format!("{counts}{}{}", repaired.unwrap_or_default(), copy.unwrap_or_default())
    }

    /// One object for each finding, the repaired ones first, and one for the whole.
    fn lines(&self) -> Vec<Value> {
        let done = self.repaired.iter().flatten().map(|finding| self.line(finding, true));
        let left = self.report.findings.iter().map(|finding| self.line(finding, false));
        done.chain(left).chain([self.summary()]).collect()
    }

    fn line(&self, finding: &Finding, is_repaired: bool) -> Value {
        let (kind, place) = (finding.kind, &finding.place);
        json!({
            "event": "finding",
            "code": kind.code,
            "severity": kind.severity.as_str(),
            "study": place.study,
            "trial_number": place.number,
            "trial_id": place.trial_id,
            "key": place.key,
            "file": place.file.as_deref().map(show_path),
            "found": finding.found,
            "meaning": kind.meaning,
            "advice": finding.advice(&self.path),
            "repairable": finding.fix.is_some(),
            "repaired": is_repaired,
            "repair": finding.fix.as_ref().map(ToString::to_string),
            "not_repaired_because": finding.fix.is_none().then_some(finding.why_not),
        })
    }

    fn summary(&self) -> Value {
        let mount = self.report.mount.as_ref();
        let locks = mount.map(|mount| match mount.locks {
            Locks::Local => "local",
            Locks::Network => "network",
            Locks::Unknown => "unknown",
        });
        json!({
            "event": "summary",
            "database": show_path(&self.path),
            "errors": self.report.count(Severity::Error),
            "warnings": self.report.count(Severity::Warning),
            "notes": self.report.count(Severity::Note),
            "repaired": self.repaired.as_ref().map(Vec::len),
            "copy": self.copy.as_deref().map(show_path),
            "file_system": mount.map(|mount| &mount.fs_type),
            "mount_point": mount.map(|mount| show_path(&mount.mount_point)),
            "mount_source": mount.map(|mount| &mount.source),
            "mount_options": mount.map(|mount| &mount.options),
            "locks": locks,
            "free_bytes": self.report.machine.free_bytes,
            "sqlite_version": self.report.machine.sqlite_version,
            "trialbox_version": env!("CARGO_PKG_VERSION"),
        })
    }
}

fn show_path(path: &Path) -> String {
    path.display().to_string()
}
