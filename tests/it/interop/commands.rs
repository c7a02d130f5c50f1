//! What single commands write, against what Optuna's own functions do with the same database.

use super::both::{assert_same, copy_golden, each};
use crate::scene::{Ran, Scene};
use serde_json::{Map, Value, json};
use std::process::Stdio;

const STORAGE: [&str; 4] = ["--storage", "study.db", "--study-name", "s"];

impl Scene {
    /// `trialbox trial …` on study `s` of `study.db`.
    fn trial(&self, arguments: &[&str]) -> Ran {
        self.trialbox(&[&["trial"], arguments, &STORAGE, &["--format", "json"]].concat())
    }

    #[track_caller]
    fn trial_json(&self, arguments: &[&str]) -> Value {
        let ran = self.trial(arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.json().remove(0)
    }

    fn create_study(&self) {
        self.json(&[&["study", "create"], &STORAGE[..]].concat());
    }

    fn copy_database(&self, to: &str) {
        std::fs::copy(self.path("study.db"), self.path(to)).unwrap();
    }
}

/// Case 15.
#[test]
fn of_many_tells_at_once_one_wins_and_the_others_learn_it() {
    let scene = Scene::new("commands-tells");
    scene.create_study();
    for (round, skip) in [(0, None), (1, Some("--skip-if-finished"))] {
        scene.trial_json(&["ask"]);
        let number = round.to_string();
        let tells: Vec<_> = (0..8)
            .map(|index| {
                let value = f64::from(index).to_string();
                let mut arguments = vec!["trial", "tell", &number, "--values", &value];
                arguments.extend(skip);
                arguments.extend(STORAGE);
                arguments.extend(["--format", "json"]);
                let mut command = scene.command(&arguments);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let ended: Vec<Ran> =
            tells.into_iter().map(|tell| tell.wait_with_output().unwrap().into()).collect();
        let lines: Vec<Value> = ended.iter().flat_map(Ran::json).collect();
        let told: Vec<&Value> = lines.iter().filter(|line| line["event"] == "told").collect();
        assert_eq!(told.len(), 1, "{ended:?}");
        let lost = if skip.is_some() { Some(0) } else { Some(6) };
        let others: Vec<&Ran> = ended.iter().filter(|ran| ran.code == lost).collect();
        assert_eq!(others.len(), if skip.is_some() { 8 } else { 7 }, "{ended:?}");
        let theirs = scene.case(&["studies", "study.db"]);
        assert_eq!(theirs["s"][round]["values"], told[0]["values"]);
    }
    scene.assert_both_read_the_same("study.db");
}

/// Case 15.
#[test]
fn a_trial_is_asked_for_by_one_side_and_told_by_the_other() {
    let scene = Scene::new("commands-ask-tell");
    scene.create_study();
    let theirs = scene.case(&["ask", "study.db"]);
    let report = ["--report", "1=0.5", "--report", "2=nan", "--user-attr", "gpu=a100"];
    let told = scene.trial_json(&[&["tell", "0", "--values", "-1.5"], &report[..]].concat());
    assert_eq!((&told["state"], &told["values"]), (&json!("COMPLETE"), &json!([-1.5])));
    assert_eq!(scene.trial_json(&["show", "0"])["params"], theirs["params"]);
    let space = r#"{"x": {"type": "float", "low": 1e-5, "high": 0.1, "log": true},
        "n": {"type": "int", "low": 1, "high": 9, "step": 2},
        "c": {"type": "categorical", "choices": [null, "é", 1.0]},
        "full": {"name": "FloatDistribution", "attributes": {"step": 0.3, "low": 0.0, "high": 1.0, "log": false}},
        "old": {"name": "LogUniformDistribution", "attributes": {"low": 0.1, "high": 1}}}"#;
    let asked = scene.trial_json(&["ask", "--search-space", space]);
    assert_eq!(asked["number"], 1);
    assert_eq!(scene.case(&["tell", "study.db", "1", "2.5"]), json!({ "error": null }));
    let ours = scene.trial_json(&["show", "1"]);
    assert_eq!((&ours["state"], &ours["values"]), (&json!("COMPLETE"), &json!([2.5])));
    assert_eq!(ours["params"], asked["params"]);
    assert_eq!(ours["distributions"]["full"]["attributes"]["high"], 0.9);
    // Optuna draws from what we recorded.
    scene.case(&["suggest_again", "study.db", "1"]);
    scene.assert_both_read_the_same("study.db");
}

/// Case 15: the states between which a trial may not go.
#[test]
fn a_tell_that_optuna_would_refuse_has_its_own_exit_code() {
    let scene = Scene::new("commands-refused-tells");
    scene.create_study();
    scene.trial_json(&["enqueue", "--param", "x=0.5"]);
    scene.trial(&["tell", "0", "--values", "1"]).assert_error(2, &["trial 0 is WAITING"]);
    scene.trial(&["tell", "7", "--values", "1"]).assert_error(2, &["has no trial 7"]);
    scene.trial_json(&["ask"]);
    for arguments in [
        &["tell", "0", "--values", "1", "--state", "fail"][..],
        &["tell", "0", "--values", "1", "--state", "pruned"],
        &["tell", "0", "--values", "nan", "--state", "complete"],
        &["tell", "0", "--values", "1", "2", "--state", "complete"],
        &["tell", "0", "--state", "complete"],
    ] {
        assert_eq!(scene.trial(arguments).code, Some(2), "{arguments:?}");
        assert_eq!(scene.trial_json(&["show", "0"])["state"], "RUNNING");
    }
    assert_eq!(scene.trial_json(&["tell", "0", "--values", "nan"])["state"], "FAIL");
    scene.trial(&["tell", "0", "--values", "1"]).assert_error(6, &["trial 0 is FAIL"]);
    assert_eq!(
        scene.trial_json(&["tell", "0", "--values", "1", "--skip-if-finished"])["state"],
        "FAIL"
    );
    let told = scene.case(&["tell_again", "study.db", "0"]);
    assert_eq!(told["refused"], "ValueError: Cannot tell a FAIL trial.");
    scene.assert_both_read_the_same("study.db");
}

/// Case 15: Optuna's reaper was faster.
#[test]
fn a_trial_that_optuna_reaped_cannot_be_told() {
    let scene = Scene::new("commands-tell-reaped");
    assert_eq!(scene.case(&["lose_a_trial", "study.db"]), json!(["FAIL", "WAITING"]));
    scene.trial(&["tell", "0", "--values", "1"]).assert_error(6, &["trial 0 is FAIL"]);
    scene.trial(&["tell", "1", "--values", "1"]).assert_error(2, &["trial 1 is WAITING"]);
    assert_eq!(each(&scene.trials("study.db", "s"), "state"), [json!("FAIL"), json!("WAITING")]);
}

/// Optuna compares values of one type only, but for a `True` with a recorded 1. To trialbox 1, 1.0 and true are
/// one value, as they are to Optuna among the choices of a parameter.
#[test]
fn skip_if_exists_decides_as_optunas_does_but_for_the_type_of_a_number() {
    let scene = Scene::new("commands-skip");
    scene.create_study();
    for params in [
        &["--param", "x=0.5"][..],
        &["--param", "n=1", "--param", "c=null"],
        &["--param", "b=true"],
        &["--param", "t=\"1\""],
        &["--param", "nan=NaN"],
        &["--param", "list=[1, 2]"],
    ] {
        scene.trial_json(&[&["enqueue"], params].concat());
    }
    let candidates = [
        r#"{"x": 0.5}"#,
        r#"{"x": 0.500001}"#,
        r#"{"x": 0.50001}"#,
        r#"{"x": "0.5"}"#,
        r#"{"x": 0.5, "y": 1}"#,
        r#"{"c": null, "n": 1}"#,
        r#"{"c": null, "n": 1.0}"#,
        r#"{"c": null, "n": true}"#,
        r#"{"c": "null", "n": 1}"#,
        r#"{"b": true}"#,
        r#"{"b": 1}"#,
        r#"{"b": false}"#,
        r#"{"t": "1"}"#,
        r#"{"t": 1}"#,
        r#"{"nan": NaN}"#,
        r#"{"list": [1, 2]}"#,
        r#"{"list": [2, 1]}"#,
        "{}",
    ];
    let theirs = scene.case_with_input(&["would_skip", "study.db"], &json!(candidates));
    let ours: Vec<bool> = candidates
        .iter()
        .map(|candidate| {
            scene.copy_database("copy.db");
            let params = scene.case_with_input(&["flags"], &json!(candidate));
            let params: Vec<&str> =
                params.as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect();
            let enqueue = [
                "trial",
                "enqueue",
                "--storage",
                "copy.db",
                "--study-name",
                "s",
                "--skip-if-exists",
            ];
            scene.json(&[&enqueue[..], &params].concat())[0]["number"].is_null()
        })
        .collect();
    let theirs: Vec<bool> =
        theirs.as_array().unwrap().iter().map(|skips| skips.as_bool().unwrap()).collect();
    let differing: Vec<&str> = candidates
        .into_iter()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(candidate, _)| candidate)
        .collect();
    assert_eq!(differing, [r#"{"c": null, "n": 1.0}"#, r#"{"b": 1}"#]);
}

/// A trial without what each side says in its own words: when, and why.
fn without_attempt(trial: &Value) -> Value {
    let mut trial = trial.clone();
    for key in ["datetime_start", "datetime_complete"] {
        trial.as_object_mut().unwrap().remove(key);
    }
    let attrs = trial["system_attrs"].as_object_mut().unwrap();
    *attrs = attrs
        .clone()
        .into_iter()
        .filter(|(key, _)| !key.starts_with("trialbox:"))
        .collect::<Map<_, _>>();
    trial
}

/// Case 9, the other way round.
#[test]
fn a_lost_trial_is_retried_as_optunas_reaper_does_it_and_the_chain_goes_on_with_either() {
    let scene = Scene::new("commands-retry");
    scene.case(&["run_and_lose", "study.db"]);
    scene.copy_database("theirs.db");
    assert_eq!(scene.case(&["reap", "theirs.db"]), json!(["FAIL", "WAITING"]));
    let reap = |number: &str| {
        scene.json(&[&["reap", "--trial", number, "--max-retries", "2"], &STORAGE[..]].concat())
    };
    assert_eq!(reap("0")[0]["retry"], 1);
    let both = |name: &str| -> Vec<Value> {
        scene.case(&["studies", name])["s"]
            .as_array()
            .unwrap()
            .iter()
            .map(without_attempt)
            .collect()
    };
    assert_eq!(both("study.db"), both("theirs.db"));
    // Optuna runs our retry and loses it; its own reaper then, and ours at the end of the chain.
    scene.case(&["run_and_lose", "study.db"]);
    assert_eq!(scene.case(&["reap", "study.db", "s", "2"]), json!(["FAIL", "FAIL", "WAITING"]));
    let retry = scene.trial_json(&["show", "2"]);
    assert_eq!(retry["system_attrs"]["failed_trial"], 0);
    assert_eq!(retry["system_attrs"]["retry_history"], json!([0, 1]));
    scene.case(&["run_and_lose", "study.db"]);
    assert_eq!(reap("2")[0]["retry"], Value::Null);
    assert_eq!(scene.trials("study.db", "s").len(), 3);
    scene.assert_both_read_the_same("study.db");
}

/// Every value of JSON that Python writes survives each way of copying a study.
#[test]
fn a_copied_and_an_imported_study_are_to_optuna_as_their_original() {
    let scene = Scene::new("commands-copy");
    copy_golden(&scene, "4.9.0");
    let original = scene.case(&["exactly", "study.db"]);
    for name in [
        "plain",
        "values",
        "attributes",
        "distributions",
        "objectives",
        "constraints",
        "tpe",
        "retries",
    ] {
        scene.json(&["study", "copy", name, "--storage", "study.db", "--to-storage", "copies.db"]);
        let from = ["study", "export", "--storage", "study.db", "--study-name", name];
        let ran =
            scene.trialbox(&[&from[..], &["--format", "json", "--output", "study.jsonl"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        scene.json(&["study", "import", "study.jsonl", "--storage", "imported.db"]);
    }
    let (copies, imported) =
        (scene.case(&["exactly", "copies.db"]), scene.case(&["exactly", "imported.db"]));
    for (name, copy) in copies.as_object().unwrap() {
        for found in [copy, &imported[name]] {
            assert_eq!(found["study"], original[name]["study"], "{name}");
            let (found, wanted) =
                (found["trials"].as_array().unwrap(), original[name]["trials"].as_array().unwrap());
            assert_eq!(found.len(), wanted.len());
            // A copy has no worker: it is FAIL where the original is RUNNING.
            for (found, wanted) in
                found.iter().zip(wanted).filter(|(_, wanted)| wanted["state"] != "RUNNING")
            {
                assert_eq!(found, wanted, "{name}");
            }
        }
    }
    assert_eq!(copies.as_object().unwrap().len(), 8);
}

/// Case 25.
#[test]
fn a_renamed_study_keeps_its_ids_and_a_deleted_one_leaves_no_row() {
    let scene = Scene::new("commands-rename");
    copy_golden(&scene, "4.9.0");
    let before = scene.case(&["exactly", "study.db"]);
    let ids = "SELECT study_id FROM studies ORDER BY study_id";
    let ids_before = scene.rows(ids);
    scene.json(&["study", "rename", "objectives", "two lines \u{1f423}", "--storage", "study.db"]);
    let after = scene.case(&["exactly", "study.db"]);
    assert_eq!(after["two lines \u{1f423}"], before["objectives"]);
    assert_eq!(after.get("objectives"), None);
    assert_eq!(scene.rows(ids), ids_before);
    let taken = scene.trialbox(&["study", "rename", "plain", "values", "--storage", "study.db"]);
    taken.assert_error(2, &["there is already a study `values`"]);
    for name in ["plain", "attributes", "retries"] {
        scene.json(&["study", "delete", name, "--storage", "study.db", "--force"]);
    }
    assert_eq!(scene.case(&["orphans", "study.db"]), json!({}));
    let left = scene.case(&["exactly", "study.db"]);
    for (name, study) in left.as_object().unwrap() {
        assert_eq!(study, &after[name], "{name}");
    }
    assert_eq!(left.as_object().unwrap().len(), after.as_object().unwrap().len() - 3);
}

/// Case 17.
#[test]
fn no_command_writes_a_name_of_513_characters() {
    let scene = Scene::new("commands-limits");
    scene.create_study();
    let (fits, long) = ("é".repeat(512), "é".repeat(513));
    let too_long = ["513 characters long; at most 512"];
    let storage = &STORAGE[..];
    let set_attr = |key: &str| {
        scene.trialbox(&[&["study", "set-attr", &format!("{key}=1")], storage].concat())
    };
    assert_eq!(set_attr(&fits).code, Some(0));
    set_attr(&long).assert_error(2, &too_long);
    let user_attr = |key: &str| scene.trial(&["enqueue", "--user-attr", &format!("{key}=1")]);
    assert_eq!(user_attr(&fits).code, Some(0));
    user_attr(&long).assert_error(2, &too_long);
    let rename =
        |name: &str| scene.trialbox(&["study", "rename", "s", name, "--storage", "study.db"]);
    rename(&long).assert_error(2, &too_long);
    let ask = |name: &str| {
        let space = json!({ name: { "type": "float", "low": 0, "high": 1 } });
        scene.trial(&["ask", "--search-space", &space.to_string()])
    };
    assert_eq!(ask(&fits).code, Some(0));
    ask(&long).assert_error(2, &too_long);
    let theirs = scene.case(&["studies", "study.db"]);
    assert_same(&scene.trials("study.db", "s"), &theirs["s"]);
    assert_eq!(theirs["s"][0]["user_attrs"], json!({ fits.as_str(): 1 }));
    assert_eq!(rename(&fits).code, Some(0));
}
