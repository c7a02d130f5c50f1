//! Checks the database file without SQLite, and the files beside it.

use super::{Findings, Fix, Options, Place, kinds};
use crate::location::LockMode;
use crate::lock::file::{has_journal, kind_of, path_of};
use crate::lock::text::LockText;
use crate::platform::process::{Life, ProcessId, host_name};
use crate::spool::Spool;
use rustix::fs::{Access, access};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use trialbox_core::value::text::counted;
use trialbox_files::{Folder, open_named, remove_named_tree};

/// A generous limit on the time to create a database. It decides for processes on other machines, whose death this
/// machine cannot see.
const LONGEST_CREATION: Duration = Duration::from_secs(24 * 3600);

/// The journal of the database, which holds transactions that are not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journal {
    /// A rollback journal, which exists during a transaction.
    Rollback,
    /// A write-ahead log that is not there, because no process has the database open.
    WalAtRest,
    /// A write-ahead log with its index.
    WalInUse,
    /// A write-ahead log without its index. No process has the database open, because all that have share the index.
    WalAlone,
}

impl Journal {
    pub(super) fn is_wal(self) -> bool {
        self != Journal::Rollback
    }
}

/// Checks the file without SQLite. Returns `None` if there is no database to open.
pub(super) fn check(findings: &mut Findings, path: &Path, options: &Options) -> Option<Journal> {
    check_beside(findings, path, options);
    if let Err(error) = crate::neighbours::check(path) {
        findings.add(&kinds::UNREADABLE_FILE, Place::default(), error.to_string());
        return None;
    }
    let journal = match header(path) {
        Ok(Header::Database { wal }) => check_journals(findings, path, wal),
        Ok(Header::Empty) => {
            findings.add(
                &kinds::ZERO_LENGTH,
                Place::default(),
                "expected a database, found 0 bytes",
            );
            None
        }
        Ok(Header::Other) => {
            let found = "expected the header of a SQLite database, found other bytes";
            findings.add(&kinds::NOT_A_DATABASE, Place::default(), found);
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let found = format!("expected a file `{}`, found none", path.display());
            findings.add(&kinds::MISSING_FILE, Place::default(), found);
            return None;
        }
        Err(error) => {
            let found = format!("cannot read the file: {error}");
            findings.add(&kinds::UNREADABLE_FILE, Place::default(), found);
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

/// Reads the first hundred bytes (sqlite.org/fileformat2.html, section 1.3).
fn header(path: &Path) -> io::Result<Header> {
    let mut bytes = Vec::new();
    open_named(path)?.take(100).read_to_end(&mut bytes)?;
    Ok(match bytes.as_slice() {
        [] => Header::Empty,
        // Bytes 18 and 19 are the versions for writing and for reading; 2 stands for a write-ahead log.
        bytes if bytes.len() == 100 && bytes.starts_with(b"SQLite format 3\0") => {
            Header::Database { wal: bytes[18] == 2 || bytes[19] == 2 }
        }
        _ => Header::Other,
    })
}

fn check_journals(findings: &mut Findings, path: &Path, wal: bool) -> Option<Journal> {
    // SQLite keeps journals beside the file itself, not beside a link to it.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let rollback = beside(path, "-journal");
    if has_journal(path) {
        let found = "found a rollback journal beside the database";
        findings.add(&kinds::JOURNAL_PRESENT, at_file(&rollback), found);
    }
    let (log, index) = (beside(path, "-wal"), beside(path, "-shm"));
    let log_bytes = match fs::metadata(&log) {
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    if log_bytes > 0 {
        let found = format!("found {log_bytes} bytes of write-ahead log beside the database");
        let kind = if wal { &kinds::WAL_PRESENT } else { &kinds::WAL_STRAY };
        findings.add(kind, at_file(&log), found);
    } else if index.exists() && !log.exists() {
        let found = "found the index of a write-ahead log without the log";
        findings.add(&kinds::SHM_STRAY, at_file(&index), found);
    }
    if wal {
        findings.add(&kinds::JOURNAL_WAL, Place::default(), "the journal mode is WAL");
    }
    // SQLite looks for the log of every database, even where the header names a rollback journal.
    Some(match (log.exists(), index.exists()) {
        (true, true) => Journal::WalInUse,
        (true, false) => Journal::WalAlone,
        (false, _) if wal => Journal::WalAtRest,
        (false, _) => Journal::Rollback,
    })
}

/// Copies a database and its write-ahead log as `copy.db` into a new temporary directory, and returns the directory.
pub(super) fn copy_with_log(path: &Path) -> io::Result<PathBuf> {
    let path = &fs::canonicalize(path)?;
    // Other users must not be able to read the copy of a private database.
    let folder = Folder::temporary("trialbox-doctor")?;
    for (source, name) in [(path, "copy.db"), (&beside(path, "-wal"), "copy.db-wal")] {
        if let Err(error) = copy_into(&folder, source, name) {
            let _ = remove_named_tree(folder.path());
            return Err(error);
        }
    }
    Ok(folder.path().to_owned())
}

fn copy_into(folder: &Folder, source: &Path, name: &str) -> io::Result<()> {
    let mut copy = folder.create_new(name.as_ref())?;
    io::copy(&mut open_named(source)?, &mut copy)?;
    Ok(())
}

fn check_permissions(findings: &mut Findings, path: &Path) {
    for (what, target) in [("file", path), ("directory", folder_of(path))] {
        if let Err(error) = access(target, Access::WRITE_OK) {
            let found = format!("cannot write to the {what} `{}`: {error}", target.display());
            findings.add(&kinds::NOT_WRITABLE, at_file(target), found);
        }
    }
}

/// Checks the files that jobs leave behind: incomplete databases, results in the spool, locks.
fn check_beside(findings: &mut Findings, path: &Path, options: &Options) {
    // All lie beside the file itself, not beside a link to it.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Some(name) = path.file_name() else { return };
    let name = name.to_string_lossy();
    let mut entries = Vec::new();
    if let Ok(found) = fs::read_dir(folder_of(path)) {
        entries.extend(found.flatten());
    }
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let found = entry.file_name().to_string_lossy().into_owned();
        if let Some(rest) = found.strip_prefix(&format!(".{name}."))
            && (rest.ends_with(".tmp") || rest.contains(".tmp-"))
        {
            check_creation(findings, &entry.path(), rest);
        } else if found == format!("{name}.lock")
            || found.starts_with(&format!("{name}.lock."))
            || (found == format!("{name}.lock-kind") && !path_of(path).exists())
        {
            check_lock(findings, &entry.path(), path, options);
        }
    }
    check_spool(findings, options);
}

/// Checks an incomplete database, `.NAME.HOST.PID.THREAD.tmp`. `rest` is its name from the host on.
///
/// A repair deletes it if its process on this machine died, or after a day for any process.
fn check_creation(findings: &mut Findings, entry: &Path, rest: &str) {
    let age = age(entry);
    let is_dead = match creator(rest) {
        Some(process) => matches!(process.life(), Life::Gone(_)),
        None => false,
    };
    let fix = if is_dead || age.is_some_and(|age| age > LONGEST_CREATION) {
        Some(Fix::RemoveFile(entry.to_owned()))
    } else {
        None
    };
    let found = format!("found an incomplete database, {} old", show_age(age));
    findings.add_fixable(&kinds::CREATION_LEFTOVER, at_file(entry), found, fix);
}

/// Returns the process of this machine that the name of an incomplete database holds.
fn creator(rest: &str) -> Option<ProcessId> {
    let host = host_name();
    let pid = rest.strip_prefix(&format!("{host}."))?.split('.').next()?.parse().ok()?;
    Some(ProcessId { host, pid, start_ticks: None, ..ProcessId::current() })
}

fn check_spool(findings: &mut Findings, options: &Options) {
    let Some(Ok(mut entries)) = options.spool.as_ref().map(Spool::entries) else { return };
    // The trial of a stray has the finding, if this database has the trial.
    entries.retain(|entry| !entry.is_stray);
    let Some(folder) = entries.first().and_then(|entry| entry.path.parent()) else { return };
    let unreadable: Vec<&String> =
        entries.iter().filter_map(|entry| entry.result.as_ref().err()).collect();
    let mut found = format!("found {} in the spool", counted(entries.len() as u64, "result"));
    if let Some(first) = unreadable.first() {
        let n = counted(unreadable.len() as u64, "unreadable result");
        found.push_str(&format!(", with {n}, the first because: {first}"));
    }
    findings.add(&kinds::SPOOL_ENTRIES, at_file(folder), found);
}

/// Checks the lock file and the files of its waiters. A repair deletes the lock file if SQLite's locks are asked for,
/// and waiters' files that no process uses.
fn check_lock(findings: &mut Findings, entry: &Path, database: &Path, options: &Options) {
    let lock = LockText::read(entry).ok().flatten();
    let found = match &lock {
        Some(lock) if lock.is_released() => "found the lock file, released".to_owned(),
        _ if *entry == kind_of(database) => "found the mark of a lock file, released".to_owned(),
        _ => show_holder(lock.as_ref(), age(entry), options),
    };
    let reason = match lock.as_ref().and_then(LockText::reason) {
        Some(reason) => format!("; taken because {reason}"),
        None => String::new(),
    };
    let decides = [path_of(database), kind_of(database)].contains(&entry.to_owned());
    let fix = if decides {
        (options.storage.lock == LockMode::Sqlite).then_some(Fix::RetireLock)
    } else {
        is_litter(lock.as_ref(), age(entry)).then(|| Fix::RemoveFile(entry.to_owned()))
    };
    findings.add_fixable(&kinds::LOCK_FILE, at_file(entry), found + &reason, fix);
}

/// Returns whether a waiter's file is of a process that is gone, or too old to be of one that lives.
fn is_litter(lock: Option<&LockText>, age: Option<Duration>) -> bool {
    let process = lock.and_then(LockText::process);
    process.is_some_and(|process| matches!(process.life(), Life::Gone(_)))
        || age.is_some_and(|age| age > LONGEST_CREATION)
}

fn show_holder(lock: Option<&LockText>, age: Option<Duration>, options: &Options) -> String {
    let is_old = age.is_some_and(|age| age > options.grace);
    let older = if is_old { ", longer than the grace" } else { "" };
    let holder = match lock.and_then(LockText::process) {
        Some(process) => match process.life() {
            Life::Gone(because) => format!("its holder is dead: {because}"),
            _ => format!("held by process {} on {}", process.pid, process.host),
        },
        None => "without the name of its holder".to_owned(),
    };
    format!("found a lock, unchanged for {}{older}; {holder}", show_age(age))
}

/// Returns the time since a file was written, or `None` if it is unknown or in the future.
fn age(entry: &Path) -> Option<Duration> {
    let modified = fs::metadata(entry).ok()?.modified().ok()?;
    SystemTime::now().duration_since(modified).ok()
}

fn show_age(age: Option<Duration>) -> String {
    match age {
        Some(age) => super::life::show_seconds(age.as_secs()),
        None => "an unknown time".to_owned(),
    }
}

fn at_file(file: &Path) -> Place {
    Place { file: Some(file.to_owned()), ..Place::default() }
}

/// Returns the path with an ending after its file name.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Returns the directory of a file.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        // A bare file name is in the current directory.
        _ => Path::new("."),
    }
}
