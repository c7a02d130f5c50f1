//! A database as others may have made it: foreign objects in the schema, and files that vanish during a run.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use rusqlite::Connection;
use rustix::fs::{FileType, Mode};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use trialbox_core::StorageError;
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, Ending, Outcome, Reader as _, Remedy, Studies as _, TrialBatch,
    TrialStart, Trials as _,
};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{StudyDirection, StudyId};
use trialbox_storage::{Create, LockMode, Options, SqlStorage};

const MODES: [LockMode; 2] = [LockMode::Sqlite, LockMode::File];

fn options(lock: LockMode) -> Options {
    Options { create: Create::Missing, lock, ..Options::default() }
}

fn fresh(test: &str) -> PathBuf {
    let folder = common::own_folder().join("foreign").join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("study.db")
}

fn study(storage: &mut SqlStorage) -> StudyId {
    let study = NewStudy {
        name: "s".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    };
    storage.import_study(&study, &[]).unwrap().id
}

fn begin(storage: &mut SqlStorage, id: StudyId) -> Result<BegunTrial, StorageError> {
    let at = parse_datetime("2026-11-24 01:02:03").unwrap();
    let request = BeginTrial { owner: "o".into(), has_heartbeat: true, max_trials: None, at };
    match storage.begin_trial(id, &request)? {
        TrialStart::Begun(begun) => Ok(*begun),
        other => panic!("{other:?}"),
    }
}

fn finish(storage: &mut SqlStorage, begun: &BegunTrial) -> Result<(), StorageError> {
    let at = parse_datetime("2026-11-24 01:02:04").unwrap();
    let ending = Ending::new(Outcome::Complete(vec![1.0]), at);
    storage.finish_trial(&begun.claim, &TrialBatch::default(), &ending).map(|_| ())
}

fn execute(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_trigger_that_appears_during_a_run_is_refused_by_the_next_transaction() {
    for (index, mode) in MODES.into_iter().enumerate() {
        let path = fresh(&format!("appears-{index}"));
        let mut storage = SqlStorage::open_file(&path, &options(mode)).unwrap();
        let id = study(&mut storage);
        let begun = begin(&mut storage, id).unwrap();
        let sql =
            "CREATE TRIGGER swallow BEFORE INSERT ON trial_values BEGIN SELECT RAISE(IGNORE); END";
        execute(&path, sql);
        let error = finish(&mut storage, &begun).unwrap_err();
        assert!(error.to_string().contains("has a trigger `swallow` on `trial_values`"), "{error}");
        let StorageError::WrongDatabase { help: Remedy::RunSql { sql, .. }, .. } = error else {
            panic!("{error:?}")
        };
        execute(&path, &sql);
        finish(&mut storage, &begun).unwrap();
        assert_eq!(storage.trials(id).unwrap()[0].values, [1.0]);
    }
}

#[test]
fn a_constraint_that_calls_a_function_is_refused_before_a_row_is_written() {
    let path = fresh("constraint");
    drop(SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap());
    execute(&path, "ALTER TABLE trials ADD COLUMN note TEXT CHECK (length(hex(zeroblob(9))) > 0)");
    let error = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap_err();
    let want = "a table `trials` with a constraint or a default that calls a function";
    assert!(error.to_string().contains(want), "{error}");
}

#[test]
fn an_object_whose_name_needs_quotes_is_named_and_no_statement_is_suggested() {
    let path = fresh("quotes");
    drop(SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap());
    execute(&path, "CREATE VIEW \"a'; rm -rf ~\" AS SELECT 1");
    let error = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap_err();
    let StorageError::WrongDatabase { problem, help: Remedy::Examine { .. } } = error else {
        panic!("{error:?}")
    };
    assert!(problem.contains("a view `a'; rm -rf ~`"), "{problem}");
}

#[test]
fn a_database_of_another_program_is_that_first_of_all() {
    let path = fresh("other");
    execute(&path, "CREATE TABLE pages (url TEXT); CREATE VIEW best AS SELECT * FROM pages");
    let error = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap_err();
    assert!(error.to_string().contains("not Optuna's: it has the tables pages"), "{error}");
}

type Deed = fn(&Path);

/// The things that can stand in the place of a file of SQLite's.
const PLANTS: [(&str, Deed); 4] = [
    ("a named pipe", |path| {
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0).unwrap();
    }),
    ("a directory", |path| std::fs::create_dir(path).unwrap()),
    ("a symbolic link", |path| std::os::unix::fs::symlink("elsewhere", path).unwrap()),
    ("a socket", |path| {
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Socket, mode, 0).unwrap();
    }),
];

fn remove(path: &Path) {
    if path.symlink_metadata().unwrap().is_dir() {
        std::fs::remove_dir(path).unwrap();
    } else {
        std::fs::remove_file(path).unwrap();
    }
}

/// Runs a test that would wait for a FIFO forever if it failed.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        sender.send(()).unwrap();
    });
    match receiver.recv_timeout(Duration::from_secs(300)) {
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        // The thread has ended, with a panic if nothing was sent.
        _ => thread.join().unwrap(),
    }
}

#[test]
fn what_appears_beside_a_database_during_a_run_is_named_by_the_next_transaction() {
    in_time(|| {
        for (index, mode) in MODES.into_iter().enumerate() {
            let path = fresh(&format!("beside-{index}"));
            let mut storage = SqlStorage::open_file(&path, &options(mode)).unwrap();
            let id = study(&mut storage);
            let begun = begin(&mut storage, id).unwrap();
            for ending in ["-journal", "-wal", "-shm"] {
                let neighbour = path.with_extension(format!("db{ending}"));
                for (what, plant) in PLANTS {
                    let _ = std::fs::remove_file(&neighbour);
                    plant(&neighbour);
                    for error in [
                        storage.trials(id).unwrap_err(),
                        finish(&mut storage, &begun).unwrap_err(),
                        SqlStorage::open_file(&path, &options(mode)).unwrap_err(),
                    ] {
                        let StorageError::Backend { source, .. } = error else {
                            panic!("{error:?}")
                        };
                        let want =
                            format!("study.db{ending}`: expected a regular file, found {what}");
                        assert!(source.to_string().contains(&want), "{source}");
                    }
                    remove(&neighbour);
                }
            }
            finish(&mut storage, &begun).unwrap();
            assert_eq!(storage.trials(id).unwrap()[0].values, [1.0]);
        }
    });
}

#[test]
fn a_database_that_was_renamed_away_takes_no_transaction_until_it_is_back() {
    for (index, mode) in MODES.into_iter().enumerate() {
        let path = fresh(&format!("away-{index}"));
        let away = path.with_extension("away");
        let mut storage = SqlStorage::open_file(&path, &options(mode)).unwrap();
        let id = study(&mut storage);
        let begun = begin(&mut storage, id).unwrap();
        std::fs::rename(&path, &away).unwrap();
        storage.trials(id).unwrap_err();
        finish(&mut storage, &begun).unwrap_err();
        // Another database in its place: its study of the same name and number is another one.
        std::fs::copy(&away, &path).unwrap();
        let before = std::fs::read(&path).unwrap();
        if mode == LockMode::Sqlite {
            for error in
                [storage.trials(id).unwrap_err(), finish(&mut storage, &begun).unwrap_err()]
            {
                let StorageError::Backend { source, .. } = error else { panic!("{error:?}") };
                assert!(source.to_string().contains("was deleted or replaced"), "{source}");
            }
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
        std::fs::rename(&away, &path).unwrap();
        finish(&mut storage, &begun).unwrap();
        assert_eq!(storage.trials(id).unwrap()[0].values, [1.0]);
    }
}

#[test]
fn a_file_that_vanishes_during_a_run_takes_no_result() {
    let deeds: [(&str, Deed); 4] = [
        ("delete", |path| std::fs::remove_file(path).unwrap()),
        ("replace", |path| {
            let copy = path.with_extension("copy");
            std::fs::copy(path, &copy).unwrap();
            std::fs::rename(copy, path).unwrap();
        }),
        ("empty", |path| {
            std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
        }),
        ("folder", |path| {
            let folder = path.parent().unwrap();
            std::fs::rename(folder, folder.with_extension("away")).unwrap();
        }),
    ];
    for mode in ["delete", "truncate", "persist", "wal"] {
        for (name, deed) in deeds {
            let path = fresh(&format!("{mode}-{name}"));
            let _ = std::fs::remove_dir_all(path.parent().unwrap().with_extension("away"));
            let mut storage = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap();
            let id = study(&mut storage);
            drop(storage);
            execute(&path, &format!("PRAGMA journal_mode = {mode}"));
            let mut storage = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap();
            storage.open_study("s").unwrap();
            let begun = begin(&mut storage, id).unwrap();
            deed(&path);
            finish(&mut storage, &begun).expect_err(&format!("{mode} {name}"));
        }
    }
}

#[test]
fn a_write_ahead_log_that_vanishes_takes_no_result() {
    let path = fresh("log");
    let mut storage = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap();
    let id = study(&mut storage);
    drop(storage);
    execute(&path, "PRAGMA journal_mode = wal");
    let mut storage = SqlStorage::open_file(&path, &options(LockMode::Sqlite)).unwrap();
    storage.open_study("s").unwrap();
    let begun = begin(&mut storage, id).unwrap();
    std::fs::remove_file(path.with_extension("db-wal")).unwrap();
    let error = finish(&mut storage, &begun).unwrap_err();
    let StorageError::Backend { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("study.db-wal` was deleted or replaced"), "{source}");
}
