//! Laws of a SQLite file: other processes, versions, damage, and rows as other programs read them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::seam::storage::{
    BeginTrial, Ending, EnqueueTrial, Leases as _, Outcome, Reader as _, Remedy, Studies as _,
    StudyAttrs, TrialBatch, TrialStart, Trials as _,
};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{Storage, StorageError, StudyDirection, StudyId, TrialState};
use trialbox_storage::{Create, Options, SqlStorage};

fn creating() -> Options {
    Options { create: Create::Missing, ..Options::default() }
}

fn fresh(test: &str) -> PathBuf {
    let folder = common::own_folder().join(test);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("study.db")
}

fn study(storage: &mut dyn Storage) -> StudyId {
    let study = NewStudy {
        name: "s".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    };
    storage.create_study(&study).unwrap().id
}

fn request(owner: &str, max_trials: Option<u64>) -> BeginTrial {
    BeginTrial {
        owner: owner.into(),
        has_heartbeat: true,
        max_trials,
        at: parse_datetime("2026-11-24 01:02:03.000456").unwrap(),
    }
}

/// Runs trials until told to stop; returns the numbers.
fn work(path: &Path, owner: &str, n: usize, max_trials: Option<u64>) -> Vec<u32> {
    let mut storage = SqlStorage::open_file(path, &creating()).unwrap();
    let id = storage.open_study("s").unwrap().id;
    let mut numbers = Vec::new();
    for index in 0..n {
        let request = request(&format!("{owner}-{index}"), max_trials);
        let TrialStart::Begun(begun) = storage.begin_trial(id, &request).unwrap() else { break };
        let outcome = Outcome::Complete(vec![f64::from(begun.claim.number.0)]);
        let ending = Ending::new(outcome, request.at);
        storage.finish_trial(&begun.claim, &TrialBatch::default(), &ending).unwrap();
        numbers.push(begun.claim.number.0);
    }
    numbers
}

fn side_by_side(n: usize, work: impl Fn(usize) -> Vec<u32> + Sync) -> Vec<u32> {
    let mut numbers: Vec<u32> = std::thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..n).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    numbers
}

#[test]
fn workers_at_once_get_distinct_numbers_without_gaps() {
    let path = fresh("workers");
    study(&mut SqlStorage::open_file(&path, &creating()).unwrap());
    let numbers = side_by_side(8, |worker| work(&path, &worker.to_string(), 20, None));
    assert_eq!(numbers, (0..160).collect::<Vec<_>>());
}

#[test]
fn workers_at_once_never_overshoot_the_budget() {
    let path = fresh("overshoot");
    study(&mut SqlStorage::open_file(&path, &creating()).unwrap());
    let numbers = side_by_side(8, |worker| work(&path, &worker.to_string(), 20, Some(33)));
    assert_eq!(numbers, (0..33).collect::<Vec<_>>());
}

#[test]
fn workers_at_once_take_each_waiting_trial_once() {
    let path = fresh("claims");
    let mut storage = SqlStorage::open_file(&path, &creating()).unwrap();
    let id = study(&mut storage);
    for _ in 0..20 {
        storage.enqueue_trial(id, &EnqueueTrial::default()).unwrap();
    }
    let numbers = side_by_side(4, |worker| work(&path, &worker.to_string(), 5, None));
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_herd_that_opens_a_missing_file_makes_one_database() {
    let path = fresh("herd");
    side_by_side(16, |_| {
        SqlStorage::open_file(&path, &creating()).unwrap();
        vec![]
    });
    let connection = Connection::open(&path).unwrap();
    for table in ["version_info", "alembic_version"] {
        let rows: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1, "{table}");
    }
    drop(connection);
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "nothing is left over");
}

#[test]
fn times_and_values_stand_in_the_rows_as_optuna_writes_them() {
    let path = fresh("rows");
    study(&mut SqlStorage::open_file(&path, &creating()).unwrap());
    work(&path, "o", 1, None);
    let connection = Connection::open(&path).unwrap();
    let row: (String, String, String) = connection
        .query_row("SELECT state, datetime_start, datetime_complete FROM trials", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    let at = "2026-11-24 01:02:03.000456".to_owned();
    assert_eq!(row, ("COMPLETE".to_owned(), at.clone(), at));
    let value: (f64, String, i64) = connection
        .query_row("SELECT value, value_type, objective FROM trial_values", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(value, (0.0, "FINITE".to_owned(), 0));
    let has_heartbeat: i64 = connection
        .query_row("SELECT count(*) FROM trial_heartbeats", [], |row| row.get(0))
        .unwrap();
    assert_eq!(has_heartbeat, 1);
}

/// Opening must fail with this message, and leave the file as it is. The file is an old one: a new one might
/// still be in the making.
#[track_caller]
fn check_refused(path: &Path, options: &Options, message: &str) {
    if let Ok(file) = std::fs::File::options().write(true).open(path) {
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    }
    let before = std::fs::read(path).ok();
    let error = SqlStorage::open_file(path, options).expect_err("it must be refused");
    assert!(error.to_string().contains(message), "{error}");
    assert_eq!(std::fs::read(path).ok(), before);
}

fn altered(test: &str, sql: &str) -> PathBuf {
    let path = fresh(test);
    SqlStorage::open_file(&path, &creating()).unwrap();
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

#[test]
fn a_file_that_is_no_database_of_ours_is_refused_and_not_touched() {
    let path = fresh("refused");
    check_refused(&path, &Options::default(), "there is no database");
    std::fs::write(&path, "\x7fELF".repeat(500)).unwrap();
    check_refused(&path, &creating(), "is not a SQLite database");
    let path = fresh("foreign");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE birds (name TEXT)").unwrap();
    check_refused(&path, &creating(), "but not Optuna's: it has the tables birds");
    let older = altered("older", "UPDATE alembic_version SET version_num = 'v2.6.0.a'");
    check_refused(&older, &creating(), "has the schema of an older Optuna (revision v2.6.0.a)");
    let newer = altered("newer", "UPDATE alembic_version SET version_num = 'v9.9.9.a'");
    check_refused(
        &newer,
        &creating(),
        "has a schema that trialbox does not know (revision v9.9.9.a",
    );
    let headless = altered("headless", "DROP TABLE version_info");
    check_refused(&headless, &creating(), "is a SQLite database, but not Optuna's");
    let mut damaged = std::fs::read(altered("header", "")).unwrap();
    damaged[..16].copy_from_slice(b"SQLite format 4\0");
    let path = fresh("header-damaged");
    std::fs::write(&path, &damaged).unwrap();
    check_refused(&path, &creating(), "is not a SQLite database");
    let two = altered("two", "INSERT INTO alembic_version VALUES ('v1.2.0.a')");
    check_refused(&two, &creating(), "expected 1 row in `alembic_version`");
}

#[test]
fn a_database_without_revision_is_stamped_and_an_empty_file_filled_only_on_request() {
    let path = altered("stamped", "DELETE FROM alembic_version");
    SqlStorage::open_file(&path, &creating()).unwrap();
    let revision: String = Connection::open(&path)
        .unwrap()
        .query_row("SELECT version_num FROM alembic_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(revision, "v3.2.0.a");
    let path = fresh("zero");
    std::fs::write(&path, "").unwrap();
    check_refused(&path, &Options::default(), "is empty");
    check_refused(&path, &creating(), "is empty");
    let filling = Options { create: Create::MissingOrEmpty, ..Options::default() };
    study(&mut SqlStorage::open_file(&path, &filling).unwrap());
}

#[test]
fn a_row_that_makes_no_sense_is_named() {
    for (test, sql, message) in [
        ("null-number", "UPDATE trials SET number = NULL", "its number is NULL"),
        ("null-value", "UPDATE trial_values SET value = NULL", "value 0 of trial 0: type FINITE"),
        (
            "nan-value",
            "UPDATE trial_values SET value = NULL, value_type = 'NAN'",
            "value 0 of trial 0: a final value cannot be NaN",
        ),
        (
            "text-step",
            "INSERT INTO trial_intermediate_values VALUES (1, 1, 'one', 1.0, 'FINITE')",
            "a report of trial 0: expected a value of another type in `step`, found text",
        ),
        ("state", "UPDATE trials SET state = 'done'", "trial 0: unknown state `done`"),
        (
            "json",
            "UPDATE trial_system_attributes SET value_json = '{'",
            "attribute `trialbox:owner` of trial 0: invalid JSON",
        ),
        (
            "time",
            "UPDATE trials SET datetime_start = 'noon'",
            "trial 0: expected a date and time, found `noon`",
        ),
    ] {
        let path = fresh(test);
        let mut storage = SqlStorage::open_file(&path, &creating()).unwrap();
        let id = study(&mut storage);
        work(&path, "o", 1, None);
        let other = Connection::open(&path).unwrap();
        other.execute_batch("DROP TRIGGER trialbox_guard_state").unwrap();
        other.execute_batch(sql).unwrap();
        match storage.trials(id) {
            Err(StorageError::UnreadableRow { what }) => assert!(what.contains(message), "{what}"),
            other => panic!("{test}: {other:?}"),
        }
    }
}

#[test]
fn a_database_locked_for_too_long_is_reported_with_the_time_waited() {
    let path = fresh("locked");
    study(&mut SqlStorage::open_file(&path, &creating()).unwrap());
    let hasty = Options { timeout: Duration::from_millis(10), ..Options::default() };
    let mut storage = SqlStorage::open_file(&path, &hasty).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    match storage.begin_trial(StudyId(1), &request("o", None)) {
        Err(StorageError::Busy { waited, action, .. }) => {
            assert!(waited >= Duration::from_millis(10), "{waited:?}");
            assert!(action.starts_with("start a trial in `sqlite:///"), "{action}");
        }
        other => panic!("{other:?}"),
    }
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(
        storage.begin_trial(StudyId(1), &request("o", None)),
        Ok(TrialStart::Begun(_))
    ));
}

#[test]
fn a_timeout_of_a_year_is_no_problem() {
    let path = fresh("year");
    let options = Options { timeout: Duration::from_secs(365 * 86_400), ..creating() };
    study(&mut SqlStorage::open_file(&path, &options).unwrap());
}

#[test]
fn a_study_that_got_the_id_of_a_deleted_one_is_not_written_by_who_had_the_old_one_open() {
    let path = fresh("reused");
    let mut ours = SqlStorage::open_file(&path, &creating()).unwrap();
    let old = study(&mut ours);
    let TrialStart::Begun(begun) = ours.begin_trial(old, &request("ours", None)).unwrap() else {
        panic!("there is no budget")
    };
    let mut others = SqlStorage::open_file(&path, &Options::default()).unwrap();
    let theirs = others.open_study("s").unwrap();
    others.delete_study(theirs.id).unwrap();
    let other = NewStudy {
        name: "other".to_owned(),
        directions: vec![StudyDirection::Maximize],
        user_attrs: vec![],
        system_attrs: vec![],
    };
    assert_eq!(others.create_study(&other).unwrap().id, old, "SQLite gives ids out again");
    let TrialStart::Begun(theirs) = others.begin_trial(old, &request("theirs", None)).unwrap()
    else {
        panic!("there is no budget")
    };
    assert_eq!(theirs.claim.id, begun.claim.id);

    let gone = |result: Result<(), StorageError>| {
        assert!(matches!(result, Err(StorageError::NoSuchStudy { name, .. }) if name == "s"));
    };
    gone(ours.begin_trial(old, &request("ours", None)).map(drop));
    gone(ours.enqueue_trial(old, &EnqueueTrial::default()).map(drop));
    gone(ours.set_study_attrs(old, &StudyAttrs::default()).map(drop));
    gone(ours.delete_study(old));
    let ending = Ending::new(Outcome::Complete(vec![1.0]), request("o", None).at);
    let finished = ours.finish_trial(&begun.claim, &TrialBatch::default(), &ending);
    assert!(matches!(finished, Err(StorageError::ClaimLost { .. })), "{finished:?}");
    assert_eq!(others.trials(old).unwrap()[0].state, TrialState::Running);
}

/// Tests a page of zeros and a truncated file: reading them is an error, and changes nothing.
#[test]
fn a_damaged_file_is_an_error_that_says_so() {
    let path = fresh("damaged");
    study(&mut SqlStorage::open_file(&path, &creating()).unwrap());
    work(&path, "o", 50, None);
    let whole = std::fs::read(&path).unwrap();
    let mut zeroed = whole.clone();
    zeroed[8192..].fill(0);
    for bytes in [zeroed, whole[..whole.len() / 2].to_vec()] {
        std::fs::write(&path, &bytes).unwrap();
        let result = SqlStorage::open_file(&path, &Options::default())
            .and_then(|mut storage| storage.trials(StudyId(1)));
        match result {
            Err(StorageError::Backend { source, help: Some(Remedy::Advice(help)), .. }) => {
                assert!(source.to_string().contains("malformed"), "{source}");
                assert!(help.contains("copy"), "{help}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

/// Optuna creates its tables one by one. A process that opens the file meanwhile must neither reject nor complete it.
#[test]
fn a_database_that_another_process_is_creating_is_waited_for() {
    let whole = altered("being-made-whole", "");
    let path = fresh("being-made");
    let maker = Connection::open(&path).unwrap();
    // Only the first table exists so far.
    let statements: Vec<String> = Connection::open(&whole)
        .unwrap()
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    maker.execute_batch(&statements[0]).unwrap();
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| SqlStorage::open_file(&path, &creating()).map(drop));
        for statement in &statements[1..] {
            assert!(!opened.is_finished(), "it must not give up while others go on");
            maker.execute_batch(statement).unwrap();
        }
        maker
            .execute_batch(
                "INSERT INTO version_info VALUES (1, 12, '5.0.0');
                 INSERT INTO alembic_version VALUES ('v3.2.0.a');",
            )
            .unwrap();
        opened.join().unwrap().unwrap();
    });
}

/// The ids of deleted trials are given away again: what was known of a study's ended trials must not hide those of
/// another of the same name.
#[test]
fn a_study_made_anew_under_its_name_is_looked_at_from_its_beginning() {
    let path = fresh("made-anew");
    let mut storage = SqlStorage::open_file(&path, &creating()).unwrap();
    let id = study(&mut storage);
    assert_eq!(work(&path, "earlier", 3, None), [0, 1, 2]);
    assert!(storage.running_trials(id).unwrap().is_empty());

    let mut other = SqlStorage::open_file(&path, &creating()).unwrap();
    other.delete_study(id).unwrap();
    assert_eq!(study(&mut other), id);
    other.enqueue_trial(id, &EnqueueTrial::default()).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
             VALUES (1, 1, 'FAIL', '2026-01-01', '2026-01-01'), (2, 1, 'FAIL', '2026-01-01', '2026-01-01')",
        )
        .unwrap();

    let TrialStart::Begun(begun) = storage.begin_trial(id, &request("a", Some(1))).unwrap() else {
        panic!("the new study has no trial that counts");
    };
    assert_eq!(begun.claim.number.0, 0, "the trial that waits");
}

#[test]
fn a_heartbeat_is_renewed_for_one_trial_only() {
    let path = fresh("one-heartbeat");
    let mut storage = SqlStorage::open_file(&path, &creating()).unwrap();
    let id = study(&mut storage);
    let claims = ["silent", "alive", "silent, too"].map(|owner| {
        match storage.begin_trial(id, &request(owner, None)).unwrap() {
            TrialStart::Begun(begun) => begun.claim,
            other => panic!("{other:?}"),
        }
    });
    let other = Connection::open(&path).unwrap();
    let old = "2026-11-24 01:00:00";
    other.execute("UPDATE trial_heartbeats SET heartbeat = ?1", [old]).unwrap();
    storage.record(&claims[1], &TrialBatch::default()).unwrap();
    let running = storage.running_trials(id).unwrap();
    let is_old: Vec<bool> =
        running.iter().map(|trial| trial.heartbeat.as_ref().unwrap().stamp == old).collect();
    assert_eq!(is_old, [true, false, true]);
}

#[test]
fn finished_trials_are_counted_anew_when_another_program_has_removed_or_moved_the_last() {
    let copy = "INSERT INTO trials
        SELECT 3, 1, study_id, state, datetime_start, datetime_complete FROM trials WHERE trial_id = 1";
    for (change, n_trials) in [
        ("DELETE FROM trials WHERE trial_id = 2".to_owned(), 1),
        ("UPDATE trials SET study_id = 77 WHERE trial_id = 2".to_owned(), 1),
        (format!("DELETE FROM trials WHERE trial_id = 2; {copy}"), 2),
    ] {
        let path = fresh("counted-anew");
        let mut storage = SqlStorage::open_file(&path, &creating()).unwrap();
        let id = study(&mut storage);
        // All end at the same moment, so a row in the place of the last looks like it.
        assert_eq!(work(&path, "w", 2, None), [0, 1]);
        let full = |n_trials| TrialStart::BudgetReached { n_trials };
        assert_eq!(storage.begin_trial(id, &request("o", Some(0))).unwrap(), full(2));
        // As Python does it.
        let change = format!("PRAGMA foreign_keys = 0; {change}");
        Connection::open(&path).unwrap().execute_batch(&change).unwrap();
        let again = storage.begin_trial(id, &request("o", Some(0))).unwrap();
        assert_eq!(again, full(n_trials), "{change}");
    }
}
