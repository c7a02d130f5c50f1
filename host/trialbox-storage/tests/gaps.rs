//! Laws of the storages beyond those of `conformance.rs` and `sqlite.rs`.

mod common;

use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, ClaimLoss, Ending, EnqueueTrial, Outcome, Reader as _, Studies as _,
    StudyAttrs, TrialBatch, TrialStart, Trials as _,
};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{
    Distribution, Json, Param, Storage, StorageError, StudyDirection, StudyId, UtcDateTime,
};
use trialbox_storage::{Create, MemoryStorage, Options, SqlStorage};

fn patient() -> Options {
    Options { create: Create::Missing, ..Options::default() }
}

fn hasty() -> Options {
    Options { timeout: Duration::from_millis(1), ..Options::default() }
}

fn fresh(test: &str) -> PathBuf {
    let folder = common::own_folder().join(format!("gaps-{test}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    folder.join("study.db")
}

fn open(path: &Path, options: &Options) -> SqlStorage {
    SqlStorage::open_file(path, options).expect("the database opens")
}

fn raw(path: &Path) -> Connection {
    Connection::open(path).expect("the file opens")
}

fn each(test: &str, law: impl Fn(&mut dyn Storage)) {
    law(&mut MemoryStorage::new());
    law(&mut open(&fresh(test), &patient()));
}

fn at() -> UtcDateTime {
    parse_datetime("2026-11-24 01:02:03.000456").expect("a date and time")
}

fn new_study(name: &str) -> NewStudy {
    NewStudy {
        name: name.to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    }
}

fn study(storage: &mut dyn Storage) -> StudyId {
    storage.create_study(&new_study("s")).expect("the study is new").id
}

fn request(max_trials: Option<u64>) -> BeginTrial {
    BeginTrial { owner: "o".into(), has_heartbeat: true, max_trials, at: at() }
}

fn begin(storage: &mut dyn Storage, study: StudyId) -> BegunTrial {
    match storage.begin_trial(study, &request(None)).expect("the study is there") {
        TrialStart::Begun(begun) => *begun,
        other => panic!("no trial was begun: {other:?}"),
    }
}

fn param(name: &str, distribution: Distribution, internal: f64) -> (String, Param) {
    (name.to_owned(), Param { distribution, internal })
}

fn float() -> Distribution {
    Distribution::float(0.0, 1.0, false, None).expect("a valid range")
}

fn pair(key: &str) -> Vec<(String, Json)> {
    vec![(key.to_owned(), Json::Int(1))]
}

fn is_too_long<T: std::fmt::Debug>(result: Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::NameTooLong { chars: 513, .. }))
}

#[test]
fn names_of_parameters_and_of_a_trials_attributes_have_at_most_512_characters() {
    each("names", |storage| {
        let id = study(storage);
        let claim = begin(storage, id).claim;
        let batches = |name: &str| {
            [
                TrialBatch { params: vec![param(name, float(), 0.5)], ..TrialBatch::default() },
                TrialBatch { user_attrs: pair(name), ..TrialBatch::default() },
                TrialBatch { system_attrs: pair(name), ..TrialBatch::default() },
            ]
        };
        for batch in batches(&"é".repeat(513)) {
            assert!(is_too_long(storage.record(&claim, &batch)));
        }
        for batch in batches(&"é".repeat(512)) {
            storage.record(&claim, &batch).expect("512 are allowed");
        }
        let trial = storage.trials(id).expect("it reads").remove(0);
        assert_eq!((trial.params.len(), trial.user_attrs.len()), (1, 1));
    });
}

#[test]
fn the_claim_of_a_deleted_trial_has_vanished_and_nothing_is_written() {
    let path = fresh("vanished");
    let mut storage = open(&path, &patient());
    let id = study(&mut storage);
    let claim = begin(&mut storage, id).claim;
    let other = raw(&path);
    other
        .execute_batch(
            "PRAGMA foreign_keys = 0; DELETE FROM trials; DELETE FROM trial_system_attributes;
             DELETE FROM trial_heartbeats; DELETE FROM study_directions; DELETE FROM studies;",
        )
        .expect("rows can be deleted");
    let batch = TrialBatch { intermediate_values: vec![(0, 1.0)], ..TrialBatch::default() };
    let complete = Ending::new(Outcome::Complete(vec![1.0]), at());
    for result in
        [storage.record(&claim, &batch), storage.finish_trial(&claim, &batch, &complete).map(drop)]
    {
        match result {
            Err(StorageError::ClaimLost { reason, .. }) => assert_eq!(reason, ClaimLoss::Vanished),
            other => panic!("the claim should be lost: {other:?}"),
        }
    }
    for table in ["trial_values", "trial_intermediate_values", "trial_heartbeats"] {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = other.query_row(&count, [], |row| row.get(0)).expect("the table is there");
        assert_eq!(rows, 0, "{table}");
    }
    let gone = |result: Result<(), StorageError>| {
        assert!(matches!(result, Err(StorageError::NoSuchStudy { .. })), "{result:?}");
    };
    gone(storage.begin_trial(id, &request(None)).map(drop));
    gone(storage.enqueue_trial(id, &EnqueueTrial::default()).map(drop));
    gone(storage.set_study_defaults(id, &pair("k")).map(drop));
    gone(storage.set_directions(id, &[StudyDirection::Maximize]).map(drop));
    gone(
        storage
            .set_study_attrs(id, &StudyAttrs { user: pair("k"), ..StudyAttrs::default() })
            .map(drop),
    );
}

#[test]
fn the_tables_have_the_names_columns_and_types_of_optunas() {
    let path = fresh("schema");
    open(&path, &patient());
    let connection = raw(&path);
    let mut found = Vec::new();
    let mut names = connection
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        .expect("every database has a master table");
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .expect("it reads")
        .collect::<Result<_, _>>()
        .expect("names are text");
    for table in names {
        let mut statement =
            connection.prepare(&format!("PRAGMA table_info({table})")).expect("a pragma");
        let columns: Vec<String> = statement
            .query_map([], |row| {
                let (name, kind): (String, String) = (row.get(1)?, row.get(2)?);
                let not_null = if row.get(3)? { " NN" } else { "" };
                Ok(format!("{name} {kind}{not_null}"))
            })
            .expect("it reads")
            .collect::<Result<_, _>>()
            .expect("columns are text");
        found.push(format!("{table}: {}", columns.join(", ")));
    }
    let attributes = |owner: &str, kind: &str| {
        format!(
            "{owner}_{kind}_attributes: {owner}_{kind}_attribute_id INTEGER NN, {owner}_id INTEGER, \
             key VARCHAR(512), value_json TEXT"
        )
    };
    let want = [
        "alembic_version: version_num VARCHAR(32) NN".to_owned(),
        "studies: study_id INTEGER NN, study_name VARCHAR(512) NN".to_owned(),
        "study_directions: study_direction_id INTEGER NN, direction VARCHAR(8) NN, \
         study_id INTEGER NN, objective INTEGER NN".to_owned(),
        attributes("study", "system"),
        attributes("study", "user"),
        "trial_heartbeats: trial_heartbeat_id INTEGER NN, trial_id INTEGER NN, heartbeat DATETIME NN".to_owned(),
        "trial_intermediate_values: trial_intermediate_value_id INTEGER NN, \
         trial_id INTEGER NN, step INTEGER NN, intermediate_value FLOAT, \
         intermediate_value_type VARCHAR(7) NN".to_owned(),
        "trial_params: param_id INTEGER NN, trial_id INTEGER, param_name VARCHAR(512), \
         param_value FLOAT, distribution_json TEXT".to_owned(),
        attributes("trial", "system"),
        attributes("trial", "user"),
        "trial_values: trial_value_id INTEGER NN, trial_id INTEGER NN, objective INTEGER NN, \
         value FLOAT, value_type VARCHAR(7) NN".to_owned(),
        "trials: trial_id INTEGER NN, number INTEGER, study_id INTEGER, state VARCHAR(8) NN, \
         datetime_start DATETIME, datetime_complete DATETIME".to_owned(),
        "version_info: version_info_id INTEGER NN, schema_version INTEGER, library_version VARCHAR(256)".to_owned(),
    ];
    assert_eq!(found, want);
    let indexes: String = connection
        .query_row(
            "SELECT group_concat(name, ' ') FROM (
               SELECT name FROM sqlite_master
               WHERE type = 'index' AND sql IS NOT NULL ORDER BY name)",
            [],
            |row| row.get(0),
        )
        .expect("there are indexes");
    assert_eq!(indexes, "ix_studies_study_name ix_trials_study_id");
}

#[test]
fn what_no_column_holds_stands_in_the_rows_as_a_type() {
    let path = fresh("encodings");
    let mut storage = open(&path, &patient());
    let id = study(&mut storage);
    let odd = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.25];
    for value in [odd[0], odd[1], odd[3]] {
        let claim = begin(&mut storage, id).claim;
        let steps = (0i64..).zip(odd).collect();
        let batch = TrialBatch { intermediate_values: steps, ..TrialBatch::default() };
        let outcome = Outcome::Complete(vec![value]);
        let ending = Ending::new(outcome, at());
        storage.finish_trial(&claim, &batch, &ending).expect("the trial is ours");
    }
    let read = |sql: &str| -> Vec<(Option<f64>, String)> {
        let connection = raw(&path);
        let mut statement = connection.prepare(sql).expect("the table is there");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it reads");
        rows.collect::<Result<_, _>>().expect("values have their types")
    };
    let row = |value: Option<f64>, kind: &str| (value, kind.to_owned());
    let (plus, minus) = (row(None, "INF_POS"), row(None, "INF_NEG"));
    let finite = row(Some(0.25), "FINITE");
    assert_eq!(
        read("SELECT value, value_type FROM trial_values ORDER BY trial_id"),
        [plus.clone(), minus.clone(), finite.clone()]
    );
    assert_eq!(
        read(
            "SELECT intermediate_value, intermediate_value_type FROM trial_intermediate_values
             WHERE trial_id = 1 ORDER BY step"
        ),
        [plus, minus, row(None, "NAN"), finite]
    );
}

#[test]
fn a_choice_or_step_that_makes_no_sense_is_named() {
    for (test, sql, message) in [
        (
            "choice",
            "UPDATE trial_params SET param_value = 2",
            "`c` of trial 0: there is no choice 2",
        ),
        (
            "null-param",
            "UPDATE trial_params SET param_value = NULL",
            "`c` of trial 0: the value is NULL",
        ),
        (
            "null-step",
            "UPDATE trial_intermediate_values SET intermediate_value = NULL",
            "step 3 of trial 0: type FINITE with value None",
        ),
        (
            "user-json",
            "UPDATE trial_user_attributes SET value_json = 'oops'",
            "attribute `k` of trial 0: invalid JSON",
        ),
    ] {
        let path = fresh(test);
        let mut storage = open(&path, &patient());
        let id = study(&mut storage);
        let claim = begin(&mut storage, id).claim;
        let choices = Distribution::categorical(vec!["a".into(), "b".into()]).expect("two choices");
        let batch = TrialBatch {
            params: vec![param("c", choices, 1.0)],
            intermediate_values: vec![(3, 0.5)],
            user_attrs: pair("k"),
            ..TrialBatch::default()
        };
        storage.record(&claim, &batch).expect("the trial is ours");
        raw(&path).execute_batch(sql).expect("rows can be changed");
        match storage.trials(id) {
            Err(StorageError::UnreadableRow { what }) => assert!(what.contains(message), "{what}"),
            other => panic!("{test}: {other:?}"),
        }
    }
}

#[test]
fn an_exclusive_lock_is_waited_for_as_long_as_the_options_say() {
    let path = fresh("exclusive");
    let mut patient = open(&path, &patient());
    let id = study(&mut patient);
    let mut hasty = open(&path, &hasty());
    let other = raw(&path);
    other.execute_batch("BEGIN EXCLUSIVE").expect("no other process holds the lock");
    for result in [hasty.begin_trial(id, &request(None)).map(drop), hasty.trials(id).map(drop)] {
        match result {
            Err(error @ StorageError::Busy { .. }) => {
                assert!(error.to_string().ends_with(": waited 0 s for the database's lock"));
            }
            other => panic!("the database is locked: {other:?}"),
        }
    }
    let (started, starts) = mpsc::channel();
    let (ended, ends) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            started.send(()).expect("the test listens");
            ended.send(begin(&mut patient, id).claim.number.0).expect("the test listens");
        });
        starts.recv().expect("the worker starts");
        assert!(ends.try_recv().is_err(), "nothing can end under the lock");
        other.execute_batch("COMMIT").expect("the lock is ours");
        assert_eq!(ends.recv(), Ok(0));
    });
}
