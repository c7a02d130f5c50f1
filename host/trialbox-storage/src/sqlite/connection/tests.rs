//! Transactions against a database that others hold, move or spoil.

use super::*;
use crate::SqlStorage;
use crate::location::LockMode;
use rusqlite::trace::{TraceEvent, TraceEventCodes};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use trialbox_core::seam::storage::{
    BeginTrial, Ending, EnqueueTrial, Leases as _, Outcome, Reader as _, RetryPolicy, Studies as _,
    StudyAttrs, TrialBatch, TrialStart, Trials as _,
};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{Distribution, Json, Param, StudyDirection};

#[test]
fn a_database_with_a_write_ahead_log_is_refused_where_machines_share_it() {
    let folder = std::env::temp_dir().join(format!("trialbox-wal-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (mode, has_log) in [("delete", false), ("wal", true)] {
        let path = folder.join(mode);
        let connection = Connection::open(&path).expect("a database");
        connection.pragma_update(None, "journal_mode", mode).expect("a mode");
        connection.execute_batch("CREATE TABLE t (a)").expect("a table");
        drop(connection);
        assert_eq!(has_write_ahead_log(&path), has_log, "{mode}");
    }
    assert!(!has_write_ahead_log(&folder.join("missing")));
    let path = Path::new("/net/s.db");
    assert!(refuse_wal(false, path).is_ok());
    match refuse_wal(true, path) {
        Err(StorageError::WrongDatabase { problem, help: Remedy::Advice(help) }) => {
            assert_eq!(
                problem,
                "`/net/s.db` lies on a network file system and has a write-ahead log, which loses rows \
                 there"
            );
            assert!(help.ends_with("sqlite3 /net/s.db 'PRAGMA journal_mode=DELETE'"), "{help}");
        }
        other => panic!("{other:?}"),
    }
}

/// Opens a new database, and runs a transaction on it that fails to open a file the first `n_failures` times.
fn cannot_open(
    lock: LockMode,
    n_failures: u32,
    timeout: Duration,
) -> (Result<(), StorageError>, u32) {
    let name = format!("trialbox-cannot-{lock:?}-{}-{}", timeout.as_secs(), std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    let options = Options { create: Create::Missing, lock, timeout, ..Options::default() };
    let path = folder.join("s.db");
    let mut database = SqliteDatabase::open(&path, &options).expect("a database");
    let n_calls = std::cell::Cell::new(0);
    let result = database.read("read", |_| {
        n_calls.set(n_calls.get() + 1);
        if n_calls.get() > n_failures {
            return Ok(());
        }
        let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        Err(rusqlite::Error::SqliteFailure(error, None).into())
    });
    let _ = std::fs::remove_dir_all(&folder);
    (result, n_calls.get())
}

#[test]
fn a_file_that_cannot_be_opened_is_tried_again_where_a_file_system_may_remember_it() {
    let long = Duration::from_secs(300);
    let (result, n_calls) = cannot_open(LockMode::File, 3, long);
    assert_eq!((result.is_ok(), n_calls), (true, 4));
    for (lock, timeout) in [(LockMode::Sqlite, long), (LockMode::File, Duration::ZERO)] {
        let (result, n_calls) = cannot_open(lock, u32::MAX, timeout);
        assert_eq!(n_calls, 1, "{lock:?}");
        assert!(matches!(result, Err(StorageError::Backend { .. })), "{lock:?}: {result:?}");
    }
}

/// Calls every operation of a storage, with two studies and trials in every state.
fn use_everything(storage: &mut SqlStorage) -> Result<(), StorageError> {
    let at = parse_datetime("2026-11-24 01:02:03").unwrap_or_default();
    let study = NewStudy {
        name: "s".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![("a".to_owned(), Json::Int(1))],
        system_attrs: vec![],
    };
    let id = storage.create_study(&study)?.id;
    let enqueued = EnqueueTrial { skip_if_exists: true, ..EnqueueTrial::default() };
    storage.enqueue_trial(id, &enqueued)?;
    let max_trials = Some(9);
    let request = BeginTrial { owner: "o".into(), has_heartbeat: true, max_trials, at };
    for _ in 0..2 {
        let TrialStart::Begun(begun) = storage.begin_trial(id, &request)? else { continue };
        let claim = &begun.claim;
        let mut batch = TrialBatch::default();
        let distribution = Distribution::categorical(vec![Json::Null])
            .map_err(|error| StorageError::UnreadableRow { what: error.to_string() })?;
        batch.params.push(("c".to_owned(), Param { distribution, internal: 0.0 }));
        batch.intermediate_values.push((1, 1.0));
        batch.user_attrs.push(("a".to_owned(), Json::Int(1)));
        storage.record(claim, &batch)?;
        storage.try_record(claim, &batch)?;
        for leased in storage.running_trials(id)? {
            storage.note_watches(&[(leased.id, Json::Null)])?;
        }
        storage.recorded_distribution(id, claim.id, "c")?;
        let retry = Some(RetryPolicy { max_retries: 1 });
        let ending = Ending { retry, ..Ending::new(Outcome::Complete(vec![1.0]), at) };
        storage.finish_trial(claim, &batch, &ending)?;
    }
    storage.begin_trial(id, &request)?;
    for leased in storage.running_trials(id)? {
        let retry = Some(RetryPolicy { max_retries: 1 });
        storage.fail_lost_trial(&leased, &Json::Null, retry, at)?;
    }
    let known = storage.history(id)?;
    storage.changed_trials(id, &known)?;
    storage.outcomes(id)?;
    let trials = storage.trials(id)?;
    storage.trial(id, trials[0].number)?;
    storage.add_trials(id, &trials)?;
    storage.list_studies()?;
    storage.open_study("s")?;
    storage.set_study_defaults(id, &[("b".to_owned(), Json::Null)])?;
    storage.set_study_attrs(id, &StudyAttrs::default())?;
    storage.set_directions(id, &[StudyDirection::Maximize])?;
    storage.rename_study(id, "t")?;
    storage.delete_study(id)
}

#[test]
fn no_statement_sorts_rows() {
    let folder = std::env::temp_dir().join(format!("trialbox-plans-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    let options = Options { create: Create::Missing, ..Options::default() };
    let mut storage = SqlStorage::open_file(&folder.join("s.db"), &options).expect("a database");
    let log = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&log);
    let Access::Kept(kept) = &mut storage.file_mut().access else { panic!("no lock file") };
    let note = move |event: TraceEvent<'_>| {
        if let TraceEvent::Stmt(statement, _) = event {
            seen.lock().expect("no panic").insert(statement.sql().to_string());
        }
    };
    kept.connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note)).expect("a log");
    use_everything(&mut storage).expect("a storage that works");
    let statements = log.lock().expect("no panic").clone();
    let Access::Kept(kept) = &mut storage.file_mut().access else { panic!("no lock file") };
    let rows_of = |sql: &&String| {
        ["SELECT", "UPDATE", "INSERT", "DELETE"].iter().any(|word| sql.starts_with(word))
    };
    let read: Vec<&String> = statements.iter().filter(rows_of).collect();
    assert!(read.len() >= 40, "{}: {read:#?}", read.len());
    for sql in read {
        let plan = format!("EXPLAIN QUERY PLAN {sql}");
        let mut statement = kept.connection.prepare(&plan).expect("a statement that ran");
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().expect("a plan") {
            let step: String = row.get(3).expect("a step");
            assert!(!step.contains("TEMP B-TREE"), "{step}: {sql}");
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}
