//! Databases of other versions, and with rows that make no sense.

use super::both::copy_golden;
use crate::scene::{Scene, guest};
use crate::scripted::{Call, Ending, float};
use serde_json::Value;

/// Case 13.
#[test]
fn a_database_of_an_older_optuna_is_refused_until_it_is_upgraded() {
    for (version, revision) in [("2.10.1", "v2.6.0.a"), ("3.1.1", "v3.0.0.d")] {
        let scene = Scene::new(&format!("cases-upgrade-{version}"));
        copy_golden(&scene, version);
        let before = std::fs::read(scene.path("study.db")).unwrap();
        let problem = format!("has the schema of an older Optuna (revision {revision})");
        let command = "optuna storage upgrade --storage sqlite:///study.db";
        let storage = ["--storage", "study.db"];
        for arguments in [vec!["study", "list"], vec!["run", &guest("quadratic")]] {
            scene
                .trialbox(&[arguments, storage.to_vec()].concat())
                .assert_error(3, &[&problem, command]);
        }
        assert_eq!(std::fs::read(scene.path("study.db")).unwrap(), before);
        scene.case(&["upgrade", "study.db"]);
        assert_eq!(scene.run(&guest("quadratic"), &[]).0, Some(0));
        scene.assert_both_read_the_same("study.db");
    }
}

/// Case 13.
#[test]
fn a_database_of_optuna_3_2_to_4_9_goes_on_with_trialbox_and_optuna_5() {
    for version in ["3.2.0", "3.6.2", "4.0.0", "4.9.0"] {
        let scene = Scene::new(&format!("cases-go-on-{version}"));
        copy_golden(&scene, version);
        let (code, lines) = scene.run(&guest("quadratic"), &["-n", "2"]);
        assert_eq!((code, lines.len()), (Some(0), 2));
        scene.case(&["suggest_again", "study.db", "2"]);
        scene.assert_both_read_the_same("study.db");
        assert_eq!(scene.trials("study.db", "s").len(), 4);
    }
}

/// Case 24: rows that make Optuna unable to read the study, and rows that it puts up with.
#[test]
fn a_row_that_optuna_cannot_read_is_an_error_of_ours_and_never_a_panic() {
    let choices =
        "'{\"name\": \"CategoricalDistribution\", \"attributes\": {\"choices\": [\"a\"]}}'";
    let odd_key = "'{\"name\": \"FloatDistribution\", \"attributes\": {\"low\": 0, \"high\": 1, \"unit\": \"m\"}}'";
    let unreadable = [
        ("number", "UPDATE trials SET number = NULL WHERE number = 1".to_owned()),
        ("state", "UPDATE trials SET state = 'DONE'".to_owned()),
        ("lower-case", "UPDATE trials SET state = 'complete'".to_owned()),
        ("finite-null", "UPDATE trial_values SET value = NULL".to_owned()),
        ("inf-value", "UPDATE trial_values SET value_type = 'INF_POS'".to_owned()),
        ("nan-final", "UPDATE trial_values SET value = NULL, value_type = 'NAN'".to_owned()),
        ("kind", "UPDATE trial_values SET value_type = 'HUGE'".to_owned()),
        (
            "report-null",
            "UPDATE trial_intermediate_values SET intermediate_value = NULL".to_owned(),
        ),
        ("objective", "UPDATE trial_values SET objective = 1".to_owned()),
        (
            "index",
            format!("UPDATE trial_params SET param_value = 1.0, distribution_json = {choices}"),
        ),
        ("odd-key", format!("UPDATE trial_params SET distribution_json = {odd_key}")),
        ("attribute", "UPDATE trial_user_attributes SET value_json = 'nothing'".to_owned()),
        ("time", "UPDATE trials SET datetime_start = 1700000000".to_owned()),
    ];
    let tolerated = [
        ("gap", "UPDATE trials SET number = number + 5".to_owned()),
        ("no-values", "DELETE FROM trial_values".to_owned()),
        ("failed-values", "UPDATE trials SET state = 'FAIL'".to_owned()),
        ("negative-step", "UPDATE trial_intermediate_values SET step = -3".to_owned()),
        (
            "orphans",
            "UPDATE trial_intermediate_values SET trial_id = trial_id + 70;
            INSERT INTO trial_params VALUES (9, 99, 'x', 1.0, 'no JSON')"
                .to_owned(),
        ),
        (
            "no-times",
            "UPDATE trials SET datetime_start = NULL, datetime_complete = NULL".to_owned(),
        ),
        ("out-of-range", "UPDATE trial_params SET param_value = 77.0".to_owned()),
    ];
    let scene = Scene::new("cases-poison");
    let calls = [float("x", 0.0, 1.0), Call::Report(1.0, 0), Call::Attr { key: "note", json: "1" }];
    scene.run(&scene.script("guest", &calls, &Ending::Values(&[1.0])), &["-n", "2"]);
    let changes = unreadable.iter().chain(&tolerated);
    let changes: Value = changes.map(|(name, sql)| ((*name).to_owned(), sql.as_str())).collect();
    let theirs = scene.case_with_input(&["poison", "study.db"], &changes);
    let read = |name: &str| {
        let database = format!("{name}.db");
        let ran = scene.trialbox(&["study", "trials", "--storage", &database, "--format", "json"]);
        assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
        ran
    };
    for (name, _) in &unreadable {
        assert_ne!(theirs[name], Value::Null, "{name}: Optuna reads it");
        read(name).assert_error(3, &["a row of the database cannot be read"]);
    }
    for (name, _) in &tolerated {
        assert_eq!(theirs[name], Value::Null, "{name}");
        let ran = read(name);
        assert_eq!((ran.code, ran.json().len()), (Some(0), 2), "{name}: {ran:?}");
    }
}

/// Case 14. Optuna's own processes may die of each other here; ours never do.
#[test]
fn trialbox_opens_a_database_while_optuna_is_making_it() {
    let scene = Scene::new("cases-beside");
    let opened = scene.case(&["create_beside", "study.db", "4"]);
    assert_eq!(opened["problems"], serde_json::json!([]), "{opened}");
    assert_eq!(opened["versions"], serde_json::json!([1, 1]));
}

/// Cases 8 and 13: what Optuna 4.9 wrote are times of its own zone, and nothing in the rows says so.
#[test]
fn the_doctor_flags_the_times_of_an_older_release_and_changes_nothing() {
    let scene = Scene::new("cases-local-times");
    copy_golden(&scene, "4.9.0");
    let before = std::fs::read(scene.path("study.db")).unwrap();
    let ran = scene.trialbox(&["doctor", "--storage", "study.db", "--format", "json"]);
    let codes: Vec<Value> = ran.json().into_iter().map(|line| line["code"].clone()).collect();
    assert!(codes.contains(&"datetime-local".into()), "{codes:?}");
    assert_eq!(std::fs::read(scene.path("study.db")).unwrap(), before);
}
