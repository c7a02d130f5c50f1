//! `trialbox doctor`: examines a database and repairs it; `cluster` examines the nodes of a Slurm cluster.

mod cluster;
mod remedy;

use crate::args::quantity::{parse_duration, parse_grace};
use crate::args::runtime::RuntimeArgs;
use crate::args::storage::StorageArgs;
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::finding::{Counts, Finding, Severity};
use crate::view::output::Output;
use crate::view::record::{
    DatabaseFinding, DatabaseSummary, FindingRecord, Record, SummaryRecord, View,
};
use cluster::ClusterCheck;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::Clock as _;
use trialbox_core::value::text::byte_size;
use trialbox_files::{Folder, remove_named_tree};
use trialbox_storage::doctor::{self, Options, Report, examine, examine_copy, repair};
use trialbox_storage::platform::mount::Locks;
use trialbox_storage::{Create, Location, ServerAddress, WaitCancellation};

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
/// the database, and the file system. Also looks at the runtime for Python, if there is one. Nothing is changed without
/// --repair.
///
/// With --slurm, examines the cluster instead of the database. One small job runs two tasks on two nodes for a few
/// seconds. They find out whether locks, caches and names in the database's directory hold between nodes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    storage: StorageArgs,

    #[command(flatten)]
    runtime: RuntimeArgs,

    /// Repair the database, after a copy to NAME.before-repair-TIME
    ///
    /// Makes only repairs whose right result can be proven, all in one transaction.
    #[arg(long)]
    repair: bool,

    /// Report a running trial as stuck after this long without a heartbeat
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_grace)]
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
    /// The finding about the runtime for Python, if there is one that cannot be used.
    runtime: Option<Finding>,
    /// True if the text shows all findings of one kind.
    is_verbose: bool,
}

impl DoctorArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let path = match self.storage.location()? {
            Location::Server(address) if !self.slurm => {
                return self.examine_server(&address, output);
            }
            // The tasks meet in a folder.
            Location::Server(_) => PathBuf::from("trialbox-server"),
            _ => self.path()?,
        };
        if self.slurm {
            let lock = self.storage.options(Create::Never, WaitCancellation::default()).lock;
            let (database, sbatch) = (path.as_path(), self.sbatch.as_slice());
            return ClusterCheck { database, lock, wait: self.wait, sbatch }.run(output);
        }
        let storage = self.storage.options(Create::Never, WaitCancellation::default());
        let (spool, now) = (self.storage.spool(), SystemClock::new().utc_now());
        let options = Options { storage, spool, grace: self.grace, now };
        let (report, repaired, copy) = if self.repair {
            let done = repair(&path, &options)?;
            (done.report, Some(done.done), done.copy)
        } else {
            (examine(&path, &options), None, None)
        };
        let (runtime, is_verbose) = (self.examine_runtime(), output.is_verbose());
        let diagnosis = Diagnosis { path, report, repaired, copy, runtime, is_verbose };
        output.print(&diagnosis);
        Ok(diagnosis.counts().exit_code(ExitCode::Storage))
    }

    /// Examines the tables of a server in a copy of them.
    fn examine_server(&self, address: &ServerAddress, output: &Output) -> CommandResult {
        if self.repair {
            return Err(CommandError::usage(
                format!("`--repair` is for files, and `{}` is a server", address.shown()),
                "copy the studies that can be read: trialbox study copy --to-storage study.db",
            ));
        }
        let storage = self.storage.options(Create::Never, WaitCancellation::default());
        let (spool, now) = (self.storage.spool(), SystemClock::new().utc_now());
        let mut opened = self.storage.open()?;
        let folder = Folder::temporary("trialbox-doctor")?;
        let copy = folder.path().join("copy.db");
        let copied = opened.snapshot(&copy);
        let options = Options { storage, spool, grace: self.grace, now };
        let report = copied.map(|()| examine_copy(&copy, &options));
        let _ = remove_named_tree(folder.path());
        let (runtime, is_verbose) = (self.examine_runtime(), output.is_verbose());
        let (path, report) = (PathBuf::from(address.shown()), report?);
        let diagnosis = Diagnosis { path, report, repaired: None, copy: None, runtime, is_verbose };
        output.print(&diagnosis);
        Ok(diagnosis.counts().exit_code(ExitCode::Storage))
    }

    /// Examines the runtime for Python, if there is one. Digests are computed where a file has another stamp.
    fn examine_runtime(&self) -> Option<Finding> {
        let rejection = self.runtime.find_existing()?.err()?;
        let finding = Finding::warning("runtime", rejection.message);
        let finding = finding.meaning("objectives in Python do not run in the sandbox");
        Some(finding.advice(rejection.help.unwrap_or_default()))
    }

    fn path(&self) -> Result<PathBuf, CommandError> {
        let location = self.storage.location()?;
        location.file().map(PathBuf::from).ok_or_else(|| {
            let url = self.storage.shown_url();
            CommandError::usage(
                format!("`doctor` examines a database file, and `{url}` is not a file"),
                "give a path such as `study.db`, or `sqlite:///study.db`",
            )
        })
    }
}

impl View for Diagnosis {
    /// Returns a line about the file, the findings, and a line with their numbers.
    fn text(&self) -> String {
        let mut texts = Vec::new();
        for finding in self.repaired.iter().flatten() {
            texts.push(self.finding_text(finding, true));
        }
        let mut shown: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &self.report.findings {
            let n_shown = shown.entry(finding.kind.code).or_default();
            *n_shown += 1;
            if self.is_verbose || *n_shown <= MAX_SHOWN {
                texts.push(self.finding_text(finding, false));
            } else if *n_shown == MAX_SHOWN + 1 {
                let code = finding.kind.code;
                let same = self.report.findings.iter().filter(|other| other.kind.code == code);
                texts.push(format!("{} more of {code}; -v shows all", same.count() - MAX_SHOWN));
            }
        }
        texts.extend(self.runtime.iter().map(Finding::to_text));
        let mut parts = vec![self.header(), self.footer()];
        if !texts.is_empty() {
            parts.insert(1, texts.join("\n"));
        }
        parts.join("\n\n")
    }

    /// Returns the findings, the repaired ones first, and the summary.
    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        let repaired = self.repaired.iter().flatten().map(|finding| self.record(finding, true));
        let left = self.report.findings.iter().map(|finding| self.record(finding, false));
        let runtime = self.runtime.iter().cloned();
        let runtime = runtime.map(|finding| FindingRecord { finding, database: None });
        let findings = repaired.chain(left).chain(runtime);
        let findings = findings.map(|finding| Record::Finding(Box::new(finding)));
        Box::new(findings.chain([Record::Summary(Box::new(self.summary()))]))
    }
}

impl Diagnosis {
    /// Returns the line about the file and its file system.
    fn header(&self) -> String {
        let machine = &self.report.machine;
        let mut text = self.path.display().to_string();
        if let Some(mount) = &self.report.mount {
            text.push_str(&format!(" on {} ({})", mount.fs_type, mount.mount_point.display()));
        }
        if let Some(free) = machine.free_bytes {
            text.push_str(&format!(", {} free", byte_size(free)));
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
        let found = self.report.findings.iter().map(|finding| finding.kind.severity.into());
        Counts::of(found.chain(self.runtime.iter().map(|finding| finding.severity)))
    }

    fn finding(&self, finding: &doctor::Finding) -> Finding {
        let kind = finding.kind;
        Finding::new(Severity::from(kind.severity), kind.code, &*finding.found)
            .meaning(kind.meaning)
            .advice(remedy::advice(finding, &self.path))
    }

    /// Returns the text of a finding with its place and its repair.
    fn finding_text(&self, finding: &doctor::Finding, is_repaired: bool) -> String {
        let found = format!("{}: {}", finding.place, finding.found);
        let repair = finding.fix.as_ref().map(|fix| format!("\n  --repair {fix}"));
        if is_repaired {
            let code = finding.kind.code;
            return format!("repaired[{code}]: {found}{}", repair.unwrap_or_default());
        }
        let text = Finding { found, ..self.finding(finding) }.to_text();
        match repair {
            Some(repair) => text + &repair,
            None if self.repaired.is_some() => {
                format!("{text}\n  not repaired: {}", finding.why_not)
            }
            None => text,
        }
    }

    fn record(&self, finding: &doctor::Finding, is_repaired: bool) -> FindingRecord {
        let place = &finding.place;
        FindingRecord {
            finding: self.finding(finding),
            database: Some(DatabaseFinding {
                study: place.study.clone(),
                trial_number: place.number,
                trial_id: place.trial_id,
                key: place.key.clone(),
                file: place.file.as_deref().map(format_path),
                repairable: finding.fix.is_some(),
                repaired: is_repaired,
                repair: finding.fix.as_ref().map(ToString::to_string),
                not_repaired_because: finding.fix.is_none().then_some(finding.why_not),
            }),
        }
    }

    fn summary(&self) -> SummaryRecord {
        let (mount, machine) = (self.report.mount.as_ref(), &self.report.machine);
        SummaryRecord {
            counts: self.counts(),
            trialbox_version: env!("CARGO_PKG_VERSION"),
            database: Some(DatabaseSummary {
                database: format_path(&self.path),
                repaired: self.repaired.as_ref().map(Vec::len),
                copy: self.copy.as_deref().map(format_path),
                file_system: mount.map(|mount| mount.fs_type.clone()),
                mount_point: mount.map(|mount| format_path(&mount.mount_point)),
                mount_source: mount.map(|mount| mount.source.clone()),
                mount_options: mount.map(|mount| mount.options.clone()),
                locks: mount.map(|mount| match mount.locks {
                    Locks::Local => "local",
                    Locks::Network => "network",
                    Locks::Unknown => "unknown",
                }),
                free_bytes: machine.free_bytes,
                sqlite_version: machine.sqlite_version,
            }),
            cluster: None,
        }
    }
}

fn format_path(path: &Path) -> String {
    path.display().to_string()
}
