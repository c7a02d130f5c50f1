//! `trialbox doctor`: examines a database and repairs it; `cluster` examines the nodes of a Slurm cluster.

mod cluster;

use crate::args::storage::{StorageArgs, parse_duration};
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::finding::{Counts, Finding, Severity};
use crate::view::output::Output;
use crate::view::trial::show_bytes;
use cluster::ClusterCheck;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::Clock as _;
use trialbox_storage::doctor::{self, Options, Report, examine, repair};
use trialbox_storage::platform::mount::Locks;
use trialbox_storage::{Create, WaitCancellation};

const EXAMPLES: &str = "\
Examples:
  trialbox doctor                                          examine trialbox.db, change nothing
  trialbox doctor --storage study.db --repair              copy the database, then repair it
  trialbox doctor --storage study.db --grace 30m           a job may be silent for half an hour
  trialbox doctor --format json | jq 'select(.severity == \"error\")'
  trialbox doctor --slurm --storage /shared/study.db       two nodes of a Slurm cluster: locks, clocks, limits
  trialbox doctor --slurm -- --account me --partition cpu  the same, with flags that sbatch needs here

Flags of sbatch go after `--`.

Exit codes:
  0  no finding is worse than a warning
  2  with --slurm: the job was not submitted, or did not finish in time
  3  a finding is an error: Python cannot read a study, or data is being lost";

/// The number of findings of one kind that the text shows; a damaged study can have thousands.
const MAX_SHOWN: usize = 5;

/// Examine a database or a Slurm cluster, and repair the database.
///
/// Checks the file, its tables, every row of every study, running and waiting trials, files that jobs left beside
/// the database, and the file system. Nothing is changed without --repair.
///
/// With --slurm, examines the cluster instead of the database. One small job runs two tasks on two nodes for a few
/// seconds. They find out whether locks, caches and names in the database's directory hold between nodes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    storage: StorageArgs,

    /// Repair the database, after a copy to NAME.before-repair-TIME
    ///
    /// Makes only repairs whose right result can be proven, all in one transaction.
    #[arg(long)]
    repair: bool,

    /// Report a running trial as stuck after this long without a heartbeat
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration)]
    grace: Duration,

    /// Examine the nodes of the Slurm cluster instead of the database
    ///
    /// The database does not need to exist yet: only its directory is used.
    #[arg(long, conflicts_with = "repair")]
    slurm: bool,

    /// Cancel the job that examines the nodes after this long
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration, requires = "slurm")]
    wait: Duration,

    /// Flags for sbatch, after `--`, such as --account, --partition or --nodelist
    #[arg(last = true, value_name = "SBATCH FLAG", requires = "slurm")]
    sbatch: Vec<String>,
}

/// The result of an examination, with or without a repair.
struct Diagnosis {
    path: PathBuf,
    report: Report,
    /// The repaired findings; `None` without `--repair`.
    repaired: Option<Vec<doctor::Finding>>,
    copy: Option<PathBuf>,
}

/// A line of the JSON output.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    Finding(DatabaseFinding<'a>),
    Summary(Summary<'a>),
}

/// A finding with its place in the database and its repair.
#[derive(Serialize)]
struct DatabaseFinding<'a> {
    #[serde(flatten)]
    finding: Finding,
    #[serde(skip)]
    place: &'a doctor::Place,
    study: Option<&'a str>,
    trial_number: Option<i64>,
    trial_id: Option<i64>,
    key: Option<&'a str>,
    file: Option<String>,
    repairable: bool,
    repaired: bool,
    repair: Option<String>,
    not_repaired_because: Option<&'static str>,
}

/// The last line of the JSON output.
#[derive(Serialize)]
struct Summary<'a> {
    database: String,
    #[serde(flatten)]
    counts: Counts,
    repaired: Option<usize>,
    copy: Option<String>,
    file_system: Option<&'a str>,
    mount_point: Option<String>,
    mount_source: Option<&'a str>,
    mount_options: Option<&'a [String]>,
    locks: Option<&'static str>,
    free_bytes: Option<u64>,
    sqlite_version: &'a str,
    trialbox_version: &'static str,
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
                output.result("", || serde_json::to_value(&line).unwrap_or_default());
            }
        } else {
            output.result(&diagnosis.to_text(output.is_verbose()), || Value::Null);
        }
        Ok(diagnosis.counts().exit_code(ExitCode::Storage))
    }

    fn path(&self) -> Result<PathBuf, CommandError> {
        let location = self.storage.location()?;
        location.file().map(PathBuf::from).ok_or_else(|| {
            let url = self.storage.url();
            CommandError::usage(
                format!("`doctor` examines a database file, and `{url}` is not a file"),
                "give a path such as `study.db`, or `sqlite:///study.db`",
            )
        })
    }
}

impl Diagnosis {
    /// Returns the text: a line about the file, the findings, and a line with their numbers.
    fn to_text(&self, is_verbose: bool) -> String {
        let mut texts = Vec::new();
        for finding in self.repaired.iter().flatten() {
            texts.push(self.finding(finding, true).to_text(false));
        }
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.report.findings {
            let n_shown = shown.entry(finding.kind.code).or_default();
            *n_shown += 1;
            if is_verbose || *n_shown <= MAX_SHOWN {
                texts.push(self.finding(finding, false).to_text(self.repaired.is_some()));
            } else if *n_shown == MAX_SHOWN + 1 {
                let code = finding.kind.code;
                let same = self.report.findings.iter().filter(|other| other.kind.code == code);
                texts.push(format!("{} more of {code}; -v shows all", same.count() - MAX_SHOWN));
            }
        }
        let mut parts = vec![self.header(), self.footer()];
        if !texts.is_empty() {
            parts.insert(1, texts.join("\n"));
        }
        parts.join("\n\n")
    }

    /// Returns the line about the file and its file system.
    fn header(&self) -> String {
        let machine = &self.report.machine;
        let mut text = self.path.display().to_string();
        if let Some(mount) = &self.report.mount {
            text.push_str(&format!(" on {} ({})", mount.fs_type, mount.mount_point.display()));
        }
        if let Some(free) = machine.free_bytes {
            text.push_str(&format!(", {} free", show_bytes(free)));
        }
        let version = env!("CARGO_PKG_VERSION");
        format!("{text}; trialbox {version}, SQLite {}", machine.sqlite_version)
    }

    /// Returns the line with the numbers of findings.
    fn footer(&self) -> String {
        let mut text = self.counts().to_string();
        if let Some(repaired) = &self.repaired {
            text.push_str(&format!("; {} repaired", repaired.len()));
        }
        if let Some(copy) = &self.copy {
            text.push_str(&format!("; the copy from before: {}", copy.display()));
        }
        text
    }

    fn counts(&self) -> Counts {
        Counts::of(self.report.findings.iter().map(|finding| finding.kind.severity.into()))
    }

    /// Returns a line for each finding, the repaired ones first, and the summary.
    fn lines(&self) -> Vec<Line<'_>> {
        let repaired = self.repaired.iter().flatten().map(|finding| self.finding(finding, true));
        let left = self.report.findings.iter().map(|finding| self.finding(finding, false));
        let findings = repaired.chain(left).map(Line::Finding);
        findings.chain([Line::Summary(self.summary())]).collect()
    }

    fn finding<'a>(&self, finding: &'a doctor::Finding, is_repaired: bool) -> DatabaseFinding<'a> {
        let (kind, place) = (finding.kind, &finding.place);
        DatabaseFinding {
            finding: Finding::new(Severity::from(kind.severity), kind.code, &*finding.found)
                .meaning(kind.meaning)
                .advice(finding.advice(&self.path)),
            place,
            study: place.study.as_deref(),
            trial_number: place.number,
            trial_id: place.trial_id,
            key: place.key.as_deref(),
            file: place.file.as_deref().map(format_path),
            repairable: finding.fix.is_some(),
            repaired: is_repaired,
            repair: finding.fix.as_ref().map(ToString::to_string),
            not_repaired_because: finding.fix.is_none().then_some(finding.why_not),
        }
    }

    fn summary(&self) -> Summary<'_> {
        let mount = self.report.mount.as_ref();
        Summary {
            database: format_path(&self.path),
            counts: self.counts(),
            repaired: self.repaired.as_ref().map(Vec::len),
            copy: self.copy.as_deref().map(format_path),
            file_system: mount.map(|mount| mount.fs_type.as_str()),
            mount_point: mount.map(|mount| format_path(&mount.mount_point)),
            mount_source: mount.map(|mount| mount.source.as_str()),
            mount_options: mount.map(|mount| mount.options.as_slice()),
            locks: mount.map(|mount| match mount.locks {
                Locks::Local => "local",
                Locks::Network => "network",
                Locks::Unknown => "unknown",
            }),
            free_bytes: self.report.machine.free_bytes,
            sqlite_version: &self.report.machine.sqlite_version,
            trialbox_version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl DatabaseFinding<'_> {
    /// Returns the text of the finding with its place, and a line about its repair.
    /// `explains_refusal` says why the repair left the finding alone.
    fn to_text(&self, explains_refusal: bool) -> String {
        let found = format!("{}: {}", self.place, self.finding.found);
        if self.repaired {
            let repair = self.repair.as_deref().unwrap_or_default();
            return format!("repaired[{}]: {found}\n  --repair {repair}", self.finding.code);
        }
        let mut text = Finding { found, ..self.finding.clone() }.to_text();
        match (&self.repair, self.not_repaired_because) {
            (Some(repair), _) => text.push_str(&format!("\n  --repair {repair}")),
            (None, Some(why)) if explains_refusal => {
                text.push_str(&format!("\n  not repaired: {why}"));
            }
            _ => {}
        }
        text
    }
}

fn format_path(path: &Path) -> String {
    path.display().to_string()
}
