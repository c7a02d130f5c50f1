//! Databases that releases of Optuna wrote, against what those releases read from them.
//!
//! `tests/golden/make.py` makes both: `optuna-VERSION.db`, and `optuna-VERSION.json` with floats as their
//! bits and attributes as the text that Python writes for them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, Ending, Outcome, Reader as _, Remedy, Studies as _, TrialBatch,
    TrialStart, Trials as _,
};
use trialbox_core::study::trial::{format_datetime, parse_datetime};
use trialbox_core::{
    Distribution, FrozenTrial, Json, Param, StorageError, StudyRecord, UtcDateTime,
};
use trialbox_storage::{Create, Options, SqlStorage};

/// The releases that share the tables of 5.0.
const SAME_TABLES: [&str; 4] = ["3.2.0", "3.6.2", "4.0.0", "4.9.0"];

fn options(create: Create) -> Options {
    Options { create, ..Options::default() }
}

fn golden(file: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden")).join(file)
}

/// A copy of a release's database that a test may write to.
fn copy(test: &str, version: &str) -> PathBuf {
    let folder = common::own_folder().join(format!("golden-{test}"));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{version}.db"));
    std::fs::copy(golden(&format!("optuna-{version}.db")), &path).unwrap();
    path
}

fn open(path: &Path) -> SqlStorage {
    SqlStorage::open_file(path, &options(Create::Never)).unwrap()
}

/// Returns the studies as the release read them.
fn expected(version: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(golden(&format!("optuna-{version}.json"))).unwrap();
    match Json::parse(&text).unwrap().get("studies") {
        Some(Json::Array(studies)) => studies.clone(),
        other => panic!("no list of studies: {other:?}"),
    }
}

/// Returns an object with its members sorted, as in the golden files.
fn object<'a>(members: impl IntoIterator<Item = (&'a str, Json)>) -> Json {
    Json::object(members.into_iter().collect::<BTreeMap<_, _>>())
}

fn list(items: impl IntoIterator<Item = Json>) -> Json {
    Json::Array(items.into_iter().collect())
}

fn bits(value: f64) -> Json {
    format!("{:016x}", value.to_bits()).into()
}

fn texts(attrs: &BTreeMap<String, Json>) -> Json {
    object(attrs.iter().map(|(key, value)| (key.as_str(), value.to_string().into())))
}

fn when(at: Option<UtcDateTime>) -> Json {
    at.map_or(Json::Null, |at| format_datetime(at).into())
}

fn param(param: &Param) -> Json {
    object([
        ("distribution", param.distribution.to_json_text().into()),
        ("external", param.external().to_string().into()),
        ("internal", bits(param.internal)),
    ])
}

fn trial(trial: &FrozenTrial) -> Json {
    let steps = trial.intermediate_values.iter();
    object([
        ("number", trial.number.0.into()),
        ("state", trial.state.as_str().into()),
        ("values", list(trial.values.iter().map(|value| bits(*value)))),
        ("datetime_start", when(trial.datetime_start)),
        ("datetime_complete", when(trial.datetime_complete)),
        ("params", object(trial.params.iter().map(|(name, found)| (name.as_str(), param(found))))),
        ("user_attrs", texts(&trial.user_attrs)),
        ("system_attrs", texts(&trial.system_attrs)),
        (
            "intermediate_values",
            list(steps.map(|(step, value)| list([(*step).into(), bits(*value)]))),
        ),
    ])
}

fn study(record: &StudyRecord, trials: &[FrozenTrial]) -> Json {
    object([
        ("name", record.name.as_str().into()),
        ("directions", list(record.directions.iter().map(|found| found.as_str().into()))),
        ("user_attrs", texts(&record.user_attrs)),
        ("system_attrs", texts(&record.system_attrs)),
        ("trials", list(trials.iter().map(trial))),
    ])
}

/// Releases before 3.0 had a class for each kind of range; we have one for floats and one for integers.
fn without_legacy_names(json: &Json) -> Json {
    let is_legacy = |text: &str| text.starts_with("{\"name\": \"") && text.contains("Uniform");
    match json {
        Json::Array(items) => list(items.iter().map(without_legacy_names)),
        Json::Object(members) => {
            object(members.iter().map(|(key, value)| (key.as_str(), without_legacy_names(value))))
        }
        Json::String(text) if is_legacy(text) => {
            Distribution::from_json_text(text).unwrap().to_json_text().into()
        }
        other => other.clone(),
    }
}

/// Returns the first difference of two values. They are compared as text, in which `1` differs from `1.0`, and NaN
/// equals NaN.
fn difference(found: &Json, want: &Json) -> Option<String> {
    let inside = |place: &dyn std::fmt::Display, found, want| {
        difference(found, want).map(|difference| format!("{place} > {difference}"))
    };
    match (found, want) {
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (found, want))| inside(&index, found, want)),
        (Json::Object(a), Json::Object(b))
            if a.iter().map(|(key, _)| key).eq(b.iter().map(|(key, _)| key)) =>
        {
            a.iter().zip(b).find_map(|((key, found), (_, want))| inside(key, found, want))
        }
        _ if found.to_string() == want.to_string() => None,
        _ => Some(format!("found {found}, wanted {want}")),
    }
}

fn string(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).unwrap().to_owned()
}

#[test]
fn every_field_of_every_study_is_what_the_release_that_wrote_it_read() {
    for version in SAME_TABLES {
        let mut storage = open(&copy("read", version));
        let expected = expected(version);
        assert_eq!(storage.list_studies().unwrap().len(), expected.len(), "{version}");
        for want in &expected {
            let name = string(want, "name");
            let record = storage.open_study(&name).unwrap();
            let trials = storage.trials(record.id).unwrap();
            let found = study(&record, &trials);
            if let Some(difference) = difference(&found, &without_legacy_names(want)) {
                panic!("{version}, study `{name}`: {difference}");
            }
        }
    }
}

#[test]
fn a_list_of_the_studies_counts_their_trials_by_state() {
    for version in SAME_TABLES {
        let listed = open(&copy("list", version)).list_studies().unwrap();
        let states = |name: &str| {
            let found = listed.iter().find(|summary| summary.study.name == name).unwrap();
            let counts = found.n_trials.iter().map(|(state, n)| (state.as_str(), *n));
            counts.collect::<BTreeMap<_, _>>()
        };
        let want = [("COMPLETE", 2), ("FAIL", 2), ("PRUNED", 2), ("RUNNING", 2), ("WAITING", 4)];
        assert_eq!(states("states"), BTreeMap::from(want), "{version}");
        assert_eq!(states("states, copied"), BTreeMap::from(want), "{version}");
        assert_eq!(states("empty"), BTreeMap::new(), "{version}");
    }
}

#[test]
fn metric_names_are_read_where_the_release_writes_them() {
    for version in SAME_TABLES {
        let record = open(&copy("metrics", version)).open_study("objectives").unwrap();
        let names = record.metric_names().unwrap();
        assert_eq!(names, ["loss", "speed", ""], "{version}");
    }
}

fn begin(storage: &mut SqlStorage, record: &StudyRecord) -> BegunTrial {
    let at = parse_datetime("2026-11-24 01:02:03.000456").unwrap();
    let request = BeginTrial { owner: "o".into(), has_heartbeat: true, max_trials: None, at };
    match storage.begin_trial(record.id, &request).unwrap() {
        TrialStart::Begun(begun) => *begun,
        other => panic!("no trial was begun: {other:?}"),
    }
}

/// Runs the study's next trial to its end and returns it.
fn run_one(storage: &mut SqlStorage, record: &StudyRecord) -> (BegunTrial, FrozenTrial) {
    let begun = begin(storage, record);
    let batch = TrialBatch { intermediate_values: vec![(0, f64::NAN)], ..TrialBatch::default() };
    let at = parse_datetime("2026-11-24 01:02:04.000000").unwrap();
    let ending = Ending::new(Outcome::Complete(vec![f64::NEG_INFINITY]), at);
    storage.finish_trial(&begun.claim, &batch, &ending).unwrap();
    let ended = storage.trials(record.id).unwrap()[begun.claim.number.0 as usize].clone();
    (begun, ended)
}

#[test]
fn a_trial_that_optuna_enqueued_brings_its_fixed_params() {
    for version in SAME_TABLES {
        let mut storage = open(&copy("queue", version));
        let record = storage.open_study("states").unwrap();
        let before = storage.trials(record.id).unwrap();
        let (begun, ended) = run_one(&mut storage, &record);
        assert_eq!(begun.claim.number.0, 7, "{version}");
        let fixed = Json::object(begun.fixed_params.clone()).to_string();
        assert_eq!(
            fixed,
            r#"{"x": 0.5, "c": null, "text": "\u00e9\ud800", "nan": NaN, "big": 1180591620717411303424}"#
        );
        assert_eq!(ended.values, [f64::NEG_INFINITY]);
        let after = storage.trials(record.id).unwrap();
        assert_eq!(after.len(), before.len());
        for (before, after) in before.iter().zip(&after).filter(|(trial, _)| trial.number.0 != 7) {
            assert_eq!(before, after, "{version}: another trial was changed");
        }
    }
}

#[test]
fn a_trial_that_optunas_reaper_retries_keeps_the_params_that_it_has() {
    for version in SAME_TABLES {
        let mut storage = open(&copy("retry", version));
        let record = storage.open_study("retries").unwrap();
        let lost = storage.trials(record.id).unwrap()[1].clone();
        let (begun, ended) = run_one(&mut storage, &record);
        assert_eq!(begun.claim.number.0, 4, "{version}");
        // Optuna's template had them in another order in some releases.
        let by_name =
            |params: &[(String, Param)]| params.iter().cloned().collect::<HashMap<_, _>>();
        assert_eq!(by_name(&begun.params), by_name(&lost.params));
        assert_eq!(begun.params.len(), 2);
        assert_eq!(ended.params, begun.params);
        assert_eq!(ended.user_attrs, lost.user_attrs);
        assert_eq!(ended.system_attrs["failed_trial"], Json::Int(1));
        assert_eq!(ended.system_attrs["retry_history"], list([Json::Int(1)]));
    }
}

#[test]
fn a_new_trial_gets_the_number_after_the_last() {
    for version in SAME_TABLES {
        let mut storage = open(&copy("append", version));
        let record = storage.open_study("plain").unwrap();
        let (begun, ended) = run_one(&mut storage, &record);
        assert_eq!(begun.claim.number.0, 5, "{version}");
        assert!(begun.params.is_empty() && begun.fixed_params.is_empty());
        assert!(ended.intermediate_values[&0].is_nan());
    }
}

/// Checks that opening fails with this problem and remedy, and leaves every byte as it is.
#[track_caller]
fn check_refused(path: &Path, message: &str, remedy: &Remedy) {
    let before = std::fs::read(path).unwrap();
    for create in [Create::Never, Create::MissingOrEmpty] {
        match SqlStorage::open_file(path, &options(create)) {
            Err(StorageError::WrongDatabase { problem, help }) => {
                assert!(problem.contains(message), "{problem}");
                assert_eq!(help, *remedy);
            }
            other => panic!("{}: it was not refused: {other:?}", path.display()),
        }
    }
    assert_eq!(std::fs::read(path).unwrap(), before);
}

#[test]
fn a_database_of_a_release_before_3_2_is_refused_with_the_command_that_upgrades_it() {
    for (version, revision) in [("2.10.1", "v2.6.0.a"), ("3.1.1", "v3.0.0.d")] {
        let path = copy("older", version);
        let upgrade = Remedy::UpgradeSchema { url: format!("sqlite:///{}", path.display()) };
        check_refused(&path, &format!("of an older Optuna (revision {revision})"), &upgrade);
    }
}

fn altered(test: &str, sql: &str) -> PathBuf {
    let path = copy(test, "4.9.0");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    path
}

#[test]
fn a_revision_of_the_future_and_one_too_many_are_refused() {
    let path = altered("future", "UPDATE alembic_version SET version_num = 'v6.0.0.a'");
    let newer = Remedy::Advice("use a newer trialbox".to_owned());
    check_refused(&path, "(revision v6.0.0.a; known is v3.2.0.a)", &newer);
    let path = altered("two", "INSERT INTO alembic_version VALUES ('v3.0.0.d')");
    let one = "leave only `v3.2.0.a` there, if that is what created the tables";
    let message = "expected 1 row in `alembic_version`";
    check_refused(&path, message, &Remedy::Advice(one.to_owned()));
}

#[test]
fn a_database_without_a_revision_gets_the_one_that_optuna_would_write() {
    for sql in ["DELETE FROM alembic_version", "DROP TABLE alembic_version"] {
        let path = altered("stamp", sql);
        let names = open(&path).list_studies().unwrap();
        assert_eq!(names.len(), expected("4.9.0").len());
        let revision: String = Connection::open(&path)
            .unwrap()
            .query_row("SELECT version_num FROM alembic_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(revision, "v3.2.0.a");
    }
}
