//! The file as a file, and what lies beside it.

use super::{Findings, Fix, Options, Place, count, kinds};
use crate::platform::process::{Life, ProcessId, host_name};
use crate::spool::Spool;
use rustix::fs::{Access, access};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use trialbox_core::Json;

/// How long the making of a database can take, generously, on a machine that we cannot ask.
const LONGEST_CREATION: Duration = Duration::from_secs(24 * 3600);

/// How the database keeps what is not committed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journal {
    /// A rollback journal, which is there during a transaction.
    Rollback,
    /// A write-ahead log; no process has the database open.
    WalAtRest,
    /// A write-ahead log, with transactions in it.
    WalInUse,
    /// A write-ahead log without its index, which the processes that have the database open share: none has.
    WalAlone,
}

impl Journal {
    pub(super) fn is_wal(self) -> bool {
        self != Journal::Rollback
    }
}

/// Checks all that can be checked without SQLite. Returns `None` if there is no database to open.
pub(super) fn check(findings: &mut Findings, path: &Path, options: &Options) -> Option<Journal> {
    check_beside(findings, path, options);
    let journal = match header(path) {
        Ok(Header::Database { wal }) => check_journals(findings, path, wal),
        Ok(Header::Empty) => {
            findings.add(&kinds::ZERO_LENGTH, Place::default(), "the file has no bytes");
            None
        }
        Ok(Header::Other) => {
            let found = "it does not begin as a SQLite database does";
            findings.add(&kinds::NOT_A_DATABASE, Place::default(), found);
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = format!("there is no file `{}`", path.display());
            findings.add(&kinds::MISSING_FILE, Place::default(), found);
            return None;
        }
        Err(error) => {
            findings.add(&kinds::UNREADABLE_FILE, Place::default(), error.to_string());
            return None;
        }
    };
    check_permissions(findings, path);
    journal
}

enum Header {
    Database { wal: bool },
    Empty,
    Other,
}

/// The first hundred bytes (sqlite.org/fileformat2.html, section 1.3).
fn header(path: &Path) -> io::Result<Header> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(100).read_to_end(&mut bytes)?;
    Ok(match bytes.as_slice() {
        [] => Header::Empty,
        bytes if bytes.len() == 100 && bytes.starts_with(b"SQLite format 3\0") => {
            Header::Database { wal: bytes[18] == 2 || bytes[19] == 2 }
        }
        _ => Header::Other,
    })
}

fn check_journals(findings: &mut Findings, path: &Path, wal: bool) -> Option<Journal> {
    // SQLite keeps them beside the file itself, not beside a link to it.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (rollback, log) = (beside(path, "-journal"), beside(path, "-wal"));
    // SQLite empties a journal by its length or its header, if it does not delete it.
    let mut start = [0; 8];
    let is_written = fs::File::open(&rollback).and_then(|mut file| file.read_exact(&mut start));
    if is_written.is_ok() && start == [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7] {
        let found = "there is a rollback journal beside the database";
        findings.add(&kinds::JOURNAL_PRESENT, at_file(&rollback), found);
    }
    let log_bytes = fs::metadata(&log).map_or(0, |metadata| metadata.len());
    let index = beside(path, "-shm");
    if log_bytes > 0 {
        let found = format!("there are {log_bytes} bytes of write-ahead log beside the database");
        let kind = if wal { &kinds::WAL_PRESENT } else { &kinds::WAL_STRAY };
        findings.add(kind, at_file(&log), found);
    } else if index.exists() && !log.exists() {
        let found = "there is the index of a write-ahead log, and no log";
        findings.add(&kinds::SHM_STRAY, at_file(&index), found);
    }
    if wal {
        findings.add(&kinds::JOURNAL_WAL, Place::default(), "the journal mode is WAL");
    }
    // SQLite looks for the log of every database, whatever its header says.
    Some(match (log.exists(), index.exists()) {
        (true, true) => Journal::WalInUse,
        (true, false) => Journal::WalAlone,
        (false, _) if wal => Journal::WalAtRest,
        (false, _) => Journal::Rollback,
    })
}

/// Copies a database and its write-ahead log into a new folder of the system's, as `copy.db`.
pub(super) fn copy_with_log(path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let path = &fs::canonicalize(path)?;
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let name = format!("trialbox-doctor-{}-{nanos}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    // What others may not read must not become readable as a copy.
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let copied = fs::copy(path, folder.join("copy.db"))
        .and_then(|_| fs::copy(beside(path, "-wal"), folder.join("copy.db-wal")));
    if copied.is_err() {
        let _ = fs::remove_dir_all(&folder);
    }
    copied.map(|_| folder)
}

fn check_permissions(findings: &mut Findings, path: &Path) {
    for (what, target) in [("file", path), ("folder", folder_of(path))] {
        if let Err(error) = access(target, Access::WRITE_OK) {
            let found = format!("the {what} `{}` cannot be written: {error}", target.display());
            findings.add(&kinds::NOT_WRITABLE, at_file(target), found);
        }
    }
}

/// What jobs leave behind: half-made databases, results that could not be written, locks.
fn check_beside(findings: &mut Findings, path: &Path, options: &Options) {
    let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return;
    };
    let mut entries: Vec<PathBuf> = fs::read_dir(folder_of(path))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    entries.sort();
    for entry in entries {
        let found = entry.file_name().map(|name| name.to_string_lossy().into_owned());
        let found = found.unwrap_or_default();
        if let Some(rest) = found.strip_prefix(&format!(".{name}."))
            && (rest.ends_with(".tmp") || rest.contains(".tmp-"))
        {
            check_creation(findings, &entry, rest);
        } else if found == format!("{name}.lock") || found.starts_with(&format!("{name}.lock.")) {
            check_lock(findings, &entry, options);
        }
    }
    let spool = options.spool.clone().unwrap_or_else(|| Spool::of(path, None));
    check_spool(findings, &spool);
}

/// A database that was being made: `.NAME.HOST.PID.THREAD.tmp`. It can go when its maker is gone: a process of
/// this machine that is not there any more, or any process after a day.
fn check_creation(findings: &mut Findings, entry: &Path, rest: &str) {
    let host = host_name();
    let pid = rest.strip_prefix(&format!("{host}."));
    let pid = pid.and_then(|rest| rest.split('.').next()?.parse().ok());
    let maker = pid.map(|pid| ProcessId { host, pid, start_ticks: None, ..ProcessId::current() });
    let age = age(entry);
    let is_gone = maker.is_some_and(|maker| matches!(maker.life(), Life::Gone(_)))
        || age.is_some_and(|age| age > LONGEST_CREATION);
    let found = format!("a half-made database, {} old", show_age(age));
    let fix = is_gone.then(|| Fix::RemoveFile(entry.to_owned()));
    findings.add_fixable(&kinds::CREATION_LEFTOVER, at_file(entry), found, fix);
}

fn check_spool(findings: &mut Findings, spool: &Spool) {
    let Ok(entries) = spool.entries() else { return };
    let Some(folder) = entries.first().and_then(|entry| entry.path.parent()) else { return };
    let unreadable = entries.iter().filter_map(|entry| entry.result.as_ref().err());
    let unreadable: Vec<&str> = unreadable.map(String::as_str).collect();
    let problem = unreadable.first().map(|first| {
        format!("; {} of them cannot be read, the first because: {first}", unreadable.len())
    });
    let waiting = count(entries.len(), "waiting result");
    let found = format!("{waiting}{}", problem.unwrap_or_default());
    findings.add(&kinds::SPOOL_ENTRIES, at_file(folder), found);
}

fn check_lock(findings: &mut Findings, entry: &Path, options: &Options) {
    let age = age(entry);
    let mut text = Vec::new();
    let _ = fs::File::open(entry).and_then(|file| file.take(1000).read_to_end(&mut text));
    let json = Json::parse(&String::from_utf8_lossy(&text)).ok();
    let holder = json.as_ref().and_then(ProcessId::from_json);
    let holder = holder.map_or_else(
        || "it does not say by whom".to_owned(),
        |holder| match holder.life() {
            Life::Gone(because) => format!("its holder is gone: {because}"),
            _ => format!("by process {} on {}", holder.pid, holder.host),
        },
    );
    let is_old = age.is_some_and(|age| age > options.grace);
    let older = if is_old { ", longer than the grace" } else { "" };
    let found = format!("a lock, untouched for {}{older}; {holder}", show_age(age));
    findings.add(&kinds::LOCK_FILE, at_file(entry), found);
}

fn age(entry: &Path) -> Option<Duration> {
    let modified = fs::metadata(entry).ok()?.modified().ok()?;
    SystemTime::now().duration_since(modified).ok()
}

fn show_age(age: Option<Duration>) -> String {
    age.map_or_else(|| "an unknown time".to_owned(), |age| super::life::show_seconds(age.as_secs()))
}

fn at_file(file: &Path) -> Place {
    Place { file: Some(file.to_owned()), ..Place::default() }
}

/// The file of that name with an ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
