//! Examines and repairs a SQLite database of Optuna's.
//!
//! [`examine`] only reads. It reports all findings in one pass, because a single bad row keeps Python from reading a
//! whole study, and Python names neither the row nor the number of bad rows. [`repair()`] makes a copy, then repairs
//! in one transaction the rows whose right contents can be proven.
//!
//! `kinds` lists the kinds of findings. `file`, `schema`, `studies`, `values`, `params` and `life` look for them, from
//! the outside to the inside.

mod cell;
mod file;
mod kinds;
mod life;
mod machine;
mod params;
mod repair;
mod schema;
mod studies;
mod survey;
mod values;

pub use machine::Machine;
pub use repair::{Repaired, repair};

use crate::platform::mount::Mount;
use crate::spool::Spool;
use crate::sqlite::open::{Access, open};
use file::Journal;
use rusqlite::{Connection, ErrorCode};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use survey::Survey;
use trialbox_core::UtcDateTime;

/// The options of an examination.
#[derive(Debug, Clone)]
pub struct Options {
    /// The wait for the lock, the kind of lock, and whether the guard is expected.
    pub storage: crate::Options,
    /// The spool; `None` for the one beside the database.
    pub spool: Option<Spool>,
    /// The age of a heartbeat from which a running trial is reported.
    pub grace: Duration,
    /// The time from which ages are measured.
    pub now: UtcDateTime,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A problem that keeps trialbox or Python from reading the study, or loses data.
    Error,
    /// A problem that gives wrong results, or fails later.
    Warning,
    /// A fact that is worth knowing.
    Note,
}

impl Severity {
    /// All severities, the worst first.
    pub const ALL: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

    /// Returns the word in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A kind of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The stable code, in kebab case.
    pub code: &'static str,
    /// The severity.
    pub severity: Severity,
    /// The consequence for programs that read the database with Python.
    pub meaning: &'static str,
    /// The action to take. Empty for none.
    pub advice: &'static str,
    /// The command that carries the advice out, if there is one.
    pub remedy: Option<Remedy>,
    /// The reason against a repair: the end of "not repaired: …".
    why_not: &'static str,
}

/// A command that follows an advice. The caller decides how to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Names another database.
    ChooseDatabase,
    /// Copies one study.
    CopyStudy,
    /// Creates the guard trigger with a repair, or examines the database without expecting it.
    CreateGuard,
    /// Creates a study, and with it the database.
    CreateStudy,
    /// Examines the database again.
    Examine,
    /// Sets SQLite's journal mode to DELETE.
    LeaveWal,
    /// Keeps writers apart with a lock file.
    LockFile,
    /// Fails lost trials and requeues them.
    Reap,
    /// Reads the remaining rows of a damaged database.
    RecoverRows,
    /// Deletes the lock file, so that SQLite's own locks decide.
    RetireLock,
    /// Opens the database with write access, which makes SQLite roll back the journal.
    RollBack,
    /// Copies the database together with its write-ahead log.
    Snapshot,
    /// Merges the results in the spool.
    Sync,
    /// Upgrades the database with Optuna's migrations.
    Upgrade,
    /// Examines the database with a longer wait for the lock.
    WaitLonger,
}

/// Returns all kinds of findings.
pub fn kinds() -> &'static [&'static Kind] {
    kinds::ALL
}

/// The place of a finding. Members that do not apply are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The study's name.
    pub study: Option<String>,
    /// The trial's number, if it has one.
    pub number: Option<i64>,
    /// The trial's id.
    pub trial_id: Option<i64>,
    /// The parameter, attribute, step, objective, table or column.
    pub key: Option<String>,
    /// A file other than the database.
    pub file: Option<PathBuf>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The kind.
    pub kind: &'static Kind,
    /// The place.
    pub place: Place,
    /// The observed facts.
    pub found: String,
    /// The change that a repair makes; `None` if it changes nothing.
    pub fix: Option<Fix>,
    /// The reason against a repair, where `fix` is `None`: the end of "not repaired: …".
    pub why_not: &'static str,
}

/// A repair whose right result can be proven.
#[derive(Debug, Clone, PartialEq)]
pub enum Fix {
    /// Writes a trial's number.
    Number {
        /// The trial.
        trial_id: i64,
        /// The number of the study's trials with smaller ids.
        number: i64,
    },
    /// Deletes a final value of a trial that failed or was pruned.
    DeleteValue {
        /// The row.
        value_id: i64,
    },
    /// Sets a number to NULL where the type says that the value is infinite.
    ClearNumber {
        /// The table and its columns.
        column: &'static Column,
        /// The row.
        row_id: i64,
    },
    /// Writes a word in upper case.
    UpperCase {
        /// The table and its columns.
        column: &'static Column,
        /// The row.
        row_id: i64,
        /// The word.
        word: String,
    },
    /// Sets a trial whose worker died to FAIL.
    EndTrial {
        /// The trial.
        trial_id: i64,
        /// The proof that the worker died.
        because: String,
    },
    /// Creates the guard trigger.
    MakeGuard,
    /// Deletes a file that no process opens again.
    RemoveFile(PathBuf),
    /// Deletes the lock file, so that SQLite's own locks decide again.
    RetireLock,
}

impl Fix {
    /// Returns whether the repair writes to the database.
    fn is_in_database(&self) -> bool {
        !matches!(self, Fix::RemoveFile(_) | Fix::RetireLock)
    }
}

/// Formats as the end of "a repair …".
impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fix::Number { number, .. } => write!(f, "writes the number {number}"),
            Fix::DeleteValue { .. } => f.write_str("deletes the value's row"),
            Fix::ClearNumber { .. } => f.write_str("sets the number to NULL"),
            Fix::UpperCase { word, .. } => write!(f, "writes {word}"),
            Fix::EndTrial { .. } => f.write_str("sets the trial to FAIL"),
            Fix::MakeGuard => f.write_str("creates the trigger"),
            Fix::RemoveFile(_) => f.write_str("deletes the file"),
            Fix::RetireLock => f.write_str("deletes the lock file; SQLite's own locks decide then"),
        }
    }
}

/// Formats as "study `s`, trial 3 (id 7), `lr`".
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(study) = &self.study {
            parts.push(format!("study `{study}`"));
        }
        match (self.trial_id, self.number) {
            (Some(id), Some(number)) => parts.push(format!("trial {number} (id {id})")),
            (Some(id), None) => parts.push(format!("trial (id {id})")),
            (None, _) => {}
        }
        if let Some(key) = &self.key {
            parts.push(format!("`{key}`"));
        }
        if let Some(file) = &self.file {
            parts.push(format!("`{}`", file.display()));
        }
        if parts.is_empty() {
            return f.write_str("the database");
        }
        f.write_str(&parts.join(", "))
    }
}

/// A column that a repair may write.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    table: &'static str,
    id: &'static str,
    name: &'static str,
}

impl Column {
    /// Returns the table of the column.
    pub fn table(&self) -> &'static str {
        self.table
    }
}

/// The result of an examination.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The findings, the worst first; of one severity, in the order of the database.
    pub findings: Vec<Finding>,
    /// The file system of the database; `None` if it is unknown.
    pub mount: Option<Mount>,
    /// SQLite's version and the free space.
    pub machine: Machine,
}

impl Report {
    /// Returns the number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.kind.severity == severity).count()
    }
}

/// Examines a database and the files beside it. Changes nothing, and creates no file.
pub fn examine(path: &Path, options: &Options) -> Report {
    let options = &options.with_spool(path);
    let mount = crate::platform::mount::mount_of(path).ok();
    let machine = Machine::here(path);
    let mut findings = Findings::default();
    // This reads the file, so it must come before SQLite opens it: POSIX drops all locks of a process on a file when
    // the process closes any handle of that file.
    let journal = file::check(&mut findings, path, options);
    machine::check(&mut findings, path, &machine, mount.as_ref(), journal);
    if let Some(journal) = journal {
        match open_to_read(path, journal, options) {
            Ok(opened) => check_database(&mut findings, &opened.connection, options),
            Err(error) => findings.sqlite(&error),
        }
    }
    Report { findings: findings.sorted(), mount, machine }
}

/// Examines a server's tables in a copy of them ([`Reader::snapshot`](trialbox_core::seam::storage::Reader::snapshot)).
/// Checks of a file are left out, and nothing can be repaired.
pub fn examine_copy(copy: &Path, options: &Options) -> Report {
    let mut options = options.with_spool(copy);
    options.storage.guard = false;
    let mut findings = Findings::default();
    match open(copy, Access::Read, &options.storage) {
        Ok(connection) => check_database(&mut findings, &connection, &options),
        Err(error) => findings.sqlite(&error),
    }
    findings.forbid_repairs();
    Report { findings: findings.sorted(), mount: None, machine: Machine::here(copy) }
}

impl Options {
    /// Returns the options with the database's own spool, if they name none.
    fn with_spool(&self, path: &Path) -> Self {
        let spool = self.spool.clone().unwrap_or_else(|| Spool::of(path, None));
        Options { spool: Some(spool), ..self.clone() }
    }
}

/// Checks the contents of the file.
fn check_database(findings: &mut Findings, connection: &Connection, options: &Options) {
    if !schema::check(findings, connection, options) {
        findings.forbid_repairs();
        return;
    }
    check_rows(findings, connection, options);
    life::drop_finished(findings, connection);
    let unsound = [
        &kinds::INTEGRITY,
        &kinds::COLUMN_MISSING,
        &kinds::REVISION_OLDER,
        &kinds::REVISION_UNKNOWN,
        &kinds::REVISION_MLFLOW,
        &kinds::REVISION_TWICE,
        &kinds::TRIGGER_UNKNOWN,
        &kinds::VIEW_UNKNOWN,
    ];
    if findings.list.iter().any(|finding| unsound.contains(&finding.kind)) {
        findings.forbid_repairs();
    }
}

fn check_rows(findings: &mut Findings, connection: &Connection, options: &Options) {
    // One snapshot for all checks: else the rows of a trial that is being written contradict each other.
    let _ = connection.execute_batch("SAVEPOINT doctor");
    let mut survey = Survey::default();
    for check in [
        studies::check_studies,
        studies::check_trials,
        values::check_values,
        values::check_intermediate_values,
        params::check_params,
        params::check_attributes,
        life::check_heartbeats,
    ] {
        if let Err(error) = check(findings, &mut survey, connection) {
            findings.sqlite(&error);
        }
    }
    let _ = connection.execute_batch("RELEASE doctor");
    studies::check_numbers(findings, &survey);
    studies::check_times(findings, &survey);
    life::check_lives(findings, &survey, options);
    life::check_waiting(findings, &survey);
    life::check_retries(findings, &survey);
}

/// A database that is open for reading.
struct Opened {
    connection: Connection,
    /// The directory of the temporary copy, if a copy is read.
    copy: Option<PathBuf>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(folder) = &self.copy {
            let _ = trialbox_files::remove_named_tree(folder);
        }
    }
}

/// Opens a database without write access, and in a way that SQLite creates no file beside it.
///
/// A database in WAL mode that no process has open is read as a plain file. One that has a log without an index is
/// copied first, because SQLite would create the index.
fn open_to_read(path: &Path, journal: Journal, options: &Options) -> rusqlite::Result<Opened> {
    let mut copy = None;
    let connection = match journal {
        Journal::WalAtRest => open(path, Access::ReadAtRest, &options.storage)?,
        Journal::WalAlone => {
            let folder = file::copy_with_log(path)
                .map_err(|_| rusqlite::Error::InvalidPath(std::env::temp_dir()))?;
            let copied = folder.join("copy.db");
            copy = Some(folder);
            open(&copied, Access::Read, &options.storage)?
        }
        Journal::Rollback | Journal::WalInUse => open(path, Access::Read, &options.storage)?,
    };
    // SQLite counts the milliseconds of the timeout in 32 bits.
    connection.busy_timeout(options.storage.timeout.min(Duration::from_millis(i32::MAX as u64)))?;
    Ok(Opened { connection, copy })
}

/// The findings so far.
#[derive(Default)]
struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    fn add(&mut self, kind: &'static Kind, place: Place, found: impl Into<String>) {
        self.add_fixable(kind, place, found, None);
    }

    fn add_fixable(
        &mut self,
        kind: &'static Kind,
        place: Place,
        found: impl Into<String>,
        fix: Option<Fix>,
    ) {
        self.list.push(Finding { kind, place, found: found.into(), fix, why_not: kind.why_not });
    }

    /// Withdraws all repairs in the database, where their assumptions do not hold.
    fn forbid_repairs(&mut self) {
        for finding in &mut self.list {
            if finding.fix.as_ref().is_some_and(Fix::is_in_database) {
                (finding.fix, finding.why_not) = (None, kinds::UNSOUND);
            }
        }
    }

    /// Adds an error of SQLite, unless another finding explains it.
    fn sqlite(&mut self, error: &rusqlite::Error) {
        let is_query = matches!(error, rusqlite::Error::SqlInputError { .. })
            || error.sqlite_error_code() == Some(ErrorCode::Unknown);
        if is_query && self.has_gap() {
            return;
        }
        let (kind, found) = (kind_of(error), error.to_string());
        // Several checks read the same damaged page.
        if !self.list.iter().any(|known| known.kind == kind && known.found == found) {
            self.add(kind, Place::default(), found);
        }
    }

    /// Returns whether a table or a column is missing, which makes queries fail.
    fn has_gap(&self) -> bool {
        let gaps = [&kinds::COLUMN_MISSING, &kinds::TABLE_MISSING];
        self.list.iter().any(|known| gaps.contains(&known.kind))
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.kind.severity);
        self.list
    }
}

/// Returns the kind of finding that an error of SQLite stands for.
fn kind_of(error: &rusqlite::Error) -> &'static Kind {
    use rusqlite::ffi::SQLITE_READONLY_ROLLBACK;
    if let Some(error) = error.sqlite_error()
        && error.extended_code == SQLITE_READONLY_ROLLBACK
    {
        return &kinds::HOT_JOURNAL;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => &kinds::LOCKED,
        Some(ErrorCode::NotADatabase) => &kinds::NOT_A_DATABASE,
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => &kinds::UNREADABLE_FILE,
        // The temporary copy of a database could not be made.
        _ if matches!(error, rusqlite::Error::InvalidPath(_)) => &kinds::UNREADABLE_FILE,
        _ => &kinds::INTEGRITY,
    }
}
