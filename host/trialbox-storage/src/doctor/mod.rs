//! What is wrong with a SQLite database of Optuna's, what it means for Python's readers, and what to do.
//!
//! [`examine`] only reads, and finds everything at once: one bad row keeps Python from reading a whole study,
//! and says neither which row nor whether it is the only one. [`repair()`] makes a copy, then changes what can
//! be proven, in one transaction.
//!
//! `kinds` is the list of everything that can be found; `file`, `schema`, `studies`, `values`, `params`
//! and `life` find it, from the outside to the inside.

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
use file::Journal;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use survey::Survey;
use trialbox_core::UtcDateTime;

/// How to look.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long to wait for others, what keeps writers apart, and whether the guard should be there.
    pub storage: crate::Options,
    /// Where results wait that could not be written; `None` for beside the database.
    pub spool: Option<Spool>,
    /// How long a running trial may be without a sign of life.
    pub grace: Duration,
    /// Now, against which ages are measured.
    pub now: UtcDateTime,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Python cannot read the study, or data is being lost.
    Error,
    /// Something gives wrong results, or will fail later.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    /// All, the worst first.
    pub const ALL: [Severity; 3] = [Severity::Error, Severity::Warning, Severity::Note];

    /// The word for it, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// A kind of finding: all that does not depend on the single case.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The stable code, in kebab case.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means for those who read the database with Python.
    pub meaning: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// Why it is left alone, where it is: the end of "not repaired, because …".
    why_not: &'static str,
}

/// Every kind there is.
pub fn kinds() -> &'static [&'static Kind] {
    kinds::ALL
}

/// Where something was found. What does not apply is `None`.
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

/// One thing that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Its kind.
    pub kind: &'static Kind,
    /// Where.
    pub place: Place,
    /// What stands there.
    pub found: String,
    /// What a repair would do; `None` if it would leave it alone.
    pub fix: Option<Fix>,
    /// Why it would leave it alone, if it would: the end of "not repaired, because …".
    pub why_not: &'static str,
}

impl Column {
    /// Returns the table of the column.
    pub fn table(&self) -> &'static str {
        self.table
    }
}

impl Finding {
    /// What to do about it, with the name of the database where a command needs one.
    pub fn advice(&self, path: &Path) -> String {
        let name = path.display();
        let advice =
            self.kind.advice.replace("--storage URL", &format!("--storage sqlite:///{name}"));
        advice.replace("sqlite3 FILE", &format!("sqlite3 {name}"))
    }
}

/// A repair that cannot make a true statement false.
#[derive(Debug, Clone, PartialEq)]
pub enum Fix {
    /// Writes a trial's number.
    Number {
        /// The trial.
        trial_id: i64,
        /// The count of the study's trials with smaller ids.
        number: i64,
    },
    /// Deletes a final value of a trial that needs none.
    DeleteValue {
        /// The row.
        value_id: i64,
    },
    /// Sets a number to NULL where the type says that it is infinite.
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
    /// Ends a trial whose process is gone as FAIL.
    EndTrial {
        /// The trial.
        trial_id: i64,
        /// How it is known that the process is gone.
        because: String,
    },
    /// Makes the guard trigger.
    MakeGuard,
    /// Deletes a file that no process will open again.
    RemoveFile(PathBuf),
}

/// What the repair does, as the end of "the repair …".
impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fix::Number { number, .. } => write!(f, "writes the number {number}"),
            Fix::DeleteValue { .. } => f.write_str("deletes the value's row"),
            Fix::ClearNumber { .. } => f.write_str("sets the number to NULL"),
            Fix::UpperCase { word, .. } => write!(f, "writes {word}"),
            Fix::EndTrial { .. } => f.write_str("ends the trial as FAIL"),
            Fix::MakeGuard => f.write_str("makes the trigger"),
            Fix::RemoveFile(_) => f.write_str("deletes the file"),
        }
    }
}

/// As people say it: study `s`, trial 3 (id 7), `lr`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number.map(|number| format!(" {number}")).unwrap_or_default();
        let parts = [
            self.study.as_ref().map(|study| format!("study `{study}`")),
            self.trial_id.map(|id| format!("trial{number} (id {id})")),
            self.key.as_ref().map(|key| format!("`{key}`")),
            self.file.as_ref().map(|file| format!("`{}`", file.display())),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&if parts.is_empty() { "the database".to_owned() } else { parts.join(", ") })
    }
}

/// A column that a repair may write.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    table: &'static str,
    id: &'static str,
    name: &'static str,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The worst first; of one severity, in the order of the database.
    pub findings: Vec<Finding>,
    /// What the database lies on; `None` if the system does not say.
    pub mount: Option<Mount>,
    /// The programs and the disk.
    pub machine: Machine,
}

impl Report {
    /// How many findings there are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.kind.severity == severity).count()
    }
}

/// Looks at a database and all that lies beside it. Changes nothing, and makes no file.
pub fn examine(path: &Path, options: &Options) -> Report {
    let mount = crate::platform::mount::mount_of(path).ok();
    let machine = Machine::here(path);
    let mut findings = Findings::default();
    // Before the database is opened: closing any other handle of the file gives SQLite's locks away.
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

/// All checks of what is inside the file.
fn check_database(findings: &mut Findings, connection: &Connection, options: &Options) {
    if !schema::check(findings, connection, options) {
        return;
    }
    check_rows(findings, connection, options);
    life::drop_finished(findings, connection);
    let unsound = [
        &kinds::INTEGRITY,
        &kinds::COLUMN_MISSING,
        &kinds::REVISION_OLDER,
        &kinds::REVISION_UNKNOWN,
        &kinds::REVISION_TWICE,
    ];
    if findings.list.iter().any(|finding| unsound.contains(&finding.kind)) {
        findings.forbid_repairs();
    }
}

fn check_rows(findings: &mut Findings, connection: &Connection, options: &Options) {
    // One moment of the database, so that rows of a trial that is being written do not contradict each other.
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
    /// Where a copy of it lies, if it is a copy that is read.
    copy: Option<PathBuf>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(folder) = &self.copy {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

/// Opens without write access, and so that SQLite makes no file beside the database: one in WAL mode that
/// no process has open is read as a plain file, and one whose log is there without its index is copied first.
fn open_to_read(path: &Path, journal: Journal, options: &Options) -> rusqlite::Result<Opened> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = None;
    let connection = match journal {
        Journal::WalAtRest => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(format!("file:{}?immutable=1", escape(path)), flags)?
        }
        Journal::WalAlone => {
            let failed = |_| rusqlite::Error::InvalidPath(std::env::temp_dir());
            let folder = file::copy_with_log(path).map_err(failed)?;
            let copied = folder.join("copy.db");
            copy = Some(folder);
            Connection::open_with_flags(copied, flags)?
        }
        Journal::Rollback | Journal::WalInUse => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(options.storage.timeout.min(Duration::from_millis(i32::MAX as u64)))?;
    Ok(Opened { connection, copy })
}

/// A path as SQLite's URIs hold it.
fn escape(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    bytes
        .map(
            |&byte| {
                if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

/// `1 row`, `2 rows`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What has been found so far.
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

    /// What a repair assumes of the database does not hold.
    fn forbid_repairs(&mut self) {
        let in_database = |fix: &Fix| !matches!(fix, Fix::RemoveFile(_));
        for finding in &mut self.list {
            if finding.fix.as_ref().is_some_and(in_database) {
                (finding.fix, finding.why_not) = (None, kinds::UNSOUND);
            }
        }
    }

    /// What SQLite itself has found.
    fn sqlite(&mut self, error: &rusqlite::Error) {
        use rusqlite::ffi::SQLITE_READONLY_ROLLBACK;
        let extended = error.sqlite_error().map(|error| error.extended_code);
        let kind = match error.sqlite_error_code() {
            _ if extended == Some(SQLITE_READONLY_ROLLBACK) => &kinds::HOT_JOURNAL,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => &kinds::LOCKED,
            Some(ErrorCode::NotADatabase) => &kinds::NOT_A_DATABASE,
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => &kinds::UNREADABLE_FILE,
            _ if matches!(error, rusqlite::Error::InvalidPath(_)) => &kinds::UNREADABLE_FILE,
            _ => &kinds::INTEGRITY,
        };
        let is_missing =
            |known: &Finding| [&kinds::COLUMN_MISSING, &kinds::TABLE_MISSING].contains(&known.kind);
        let is_query = matches!(error, rusqlite::Error::SqlInputError { .. })
            || error.sqlite_error_code() == Some(ErrorCode::Unknown);
        if is_query && self.list.iter().any(is_missing) {
            return;
        }
        let found = error.to_string();
        // A damaged page is met by one check after the other.
        if !self.list.iter().any(|known| known.kind == kind && known.found == found) {
            self.add(kind, Place::default(), found);
        }
    }

    fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.kind.severity);
        self.list
    }
}
