//! Commands that change studies as a whole, and trials that are asked for and told.

use crate::scene::{Ran, Scene, guest};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::{Child, Stdio};

/// A study of three trials in `study.db`: two COMPLETE, one WAITING.
fn three_trials(test: &str) -> Scene {
    let scene = Scene::new(test);
    let arguments = ["run", &guest("quadratic"), "--storage", "study.db", "-n", "2", "--seed", "1"];
    scene.json(&arguments);
    enqueue(&scene, &["--param", "x=2", "--user-attr", "why=a guess"]);
    scene
}

fn enqueue(scene: &Scene, more: &[&str]) -> Value {
    scene.json(&[&["trial", "enqueue", "--storage", "study.db"], more].concat()).remove(0)
}

/// Runs a command that succeeds.
fn succeed(scene: &Scene, arguments: &[&str]) -> Ran {
    let ran = scene.trialbox(arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// What `study export` writes, without the study's line.
fn exported(scene: &Scene, storage: &str, study: &str) -> Vec<Value> {
    scene.json(&["study", "export", "--storage", storage, "--study-name", study]).split_off(1)
}

#[test]
fn a_copy_has_the_same_trials_in_the_same_or_another_database() {
    let scene = three_trials("manage-copy");
    let original = exported(&scene, "study.db", "quadratic");
    assert_eq!(original.len(), 3);
    scene.json(&["study", "copy", "quadratic", "--to-study-name", "b", "--storage", "study.db"]);
    scene.json(&[
        "study",
        "copy",
        "quadratic",
        "--to-storage",
        "other.db",
        "--storage",
        "study.db",
    ]);
    assert_eq!(exported(&scene, "study.db", "b"), original);
    assert_eq!(exported(&scene, "other.db", "quadratic"), original);
    // The copy goes on where the original stands: with the trial that waits.
    let arguments =
        ["run", &guest("quadratic"), "--storage", "other.db", "--study-name", "quadratic"];
    let ran = scene.json(&arguments).remove(0);
    assert_eq!((&ran["number"], &ran["params"]["x"]), (&json!(2), &json!(2.0)));
    scene
        .trialbox(&["study", "copy", "quadratic", "--storage", "study.db"])
        .assert_error(2, &["the copy needs another name than its original", "--to-study-name"]);
    let again = ["study", "copy", "quadratic", "--to-study-name", "b", "--storage", "study.db"];
    scene.trialbox(&again).assert_error(2, &["there is already a study `b`"]);
}

#[test]
fn what_is_exported_is_imported_as_it_was() {
    let scene = three_trials("manage-import");
    let ran = scene.trialbox(&["study", "export", "--storage", "study.db", "--format", "json"]);
    std::fs::write(scene.path("trials.jsonl"), &ran.stdout).unwrap();
    let imported = scene.json(&["study", "import", "trials.jsonl", "--storage", "new.db"]);
    assert_eq!((&imported[0]["created"], &imported[0]["n_trials"]), (&json!(true), &json!(3)));
    let again = scene.trialbox(&["study", "export", "--storage", "new.db", "--format", "json"]);
    assert_eq!(again.stdout, ran.stdout);
    std::fs::write(scene.path("bad.jsonl"), "{\"state\": \"COMPLETE\"}\n").unwrap();
    scene
        .trialbox(&["study", "import", "bad.jsonl", "--storage", "new.db", "--study-name", "s"])
        .assert_error(
            2,
            &["`bad.jsonl` cannot be imported: line 1: expected an array as `values`"],
        );
}

#[test]
fn an_import_adds_only_what_the_study_does_not_have() {
    let scene = three_trials("manage-import-again");
    let export = ["study", "export", "--format", "json", "--output", "trials.jsonl"];
    succeed(&scene, &[&export[..], &["--storage", "study.db"]].concat());
    let import = ["study", "import", "trials.jsonl", "--storage"];
    scene.json(&[&import[..], &["new.db"]].concat());
    let again = scene.trialbox(&[&import[..], &["new.db"]].concat());
    let said = "added no trials to study `quadratic`: it already has the 3 trials of the file\n";
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), said));
    // The study of the export has the trial that waited in another state by now.
    scene.json(&["run", &guest("quadratic"), "--storage", "study.db", "-n", "2"]);
    let same = scene.json(&[&import[..], &["study.db"]].concat()).remove(0);
    assert_eq!((&same["n_trials"], &same["n_present"]), (&json!(0), &json!(3)));
    // What was added since is new to the copy, and the trial that has run there counts as that which waited.
    scene.json(&["run", &guest("quadratic"), "--storage", "new.db", "-n", "1"]);
    succeed(&scene, &[&export[..], &["--storage", "study.db"]].concat());
    let more = scene.json(&[&import[..], &["new.db"]].concat()).remove(0);
    assert_eq!((&more["n_trials"], &more["n_present"]), (&json!(2), &json!(2)));
    let numbers: Vec<Value> = exported(&scene, "new.db", "quadratic")
        .iter()
        .map(|trial| trial["number"].clone())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4].map(Value::from));
}

#[test]
fn simultaneous_imports_of_a_file_add_each_trial_once() {
    let scene = three_trials("manage-import-herd");
    let export = ["study", "export", "--format", "json", "--output", "trials.jsonl"];
    succeed(&scene, &[&export[..], &["--storage", "study.db"]].concat());
    for storage in ["empty.db", "begun.db"] {
        if storage == "begun.db" {
            scene.json(&["study", "create", "--storage", storage, "--study-name", "quadratic"]);
        }
        let import = ["study", "import", "trials.jsonl", "--storage", storage];
        let start = |_| scene.command(&import).stdout(Stdio::null()).spawn().expect("it starts");
        let importers: Vec<Child> = (0..8).map(start).collect();
        for mut importer in importers {
            assert!(importer.wait().expect("it is our child").success(), "into {storage}");
        }
        assert_eq!(exported(&scene, storage, "quadratic").len(), 3, "in {storage}");
    }
}

#[test]
fn an_import_into_another_kind_of_study_is_refused_and_adds_nothing() {
    let scene = three_trials("manage-import-other");
    let export = ["study", "export", "--format", "json", "--output", "trials.jsonl"];
    succeed(&scene, &[&export[..], &["--storage", "study.db"]].concat());
    let import = ["study", "import", "trials.jsonl", "--storage", "other.db", "--study-name"];
    for (study, directions, said) in [
        (
            "max",
            &["maximize"][..],
            "expected the directions of study `max` (maximize), found minimize in the file",
        ),
        (
            "two",
            &["minimize", "minimize"],
            "expected the directions of study `two` (minimize, minimize), found minimize in the file",
        ),
    ] {
        let create = ["study", "create", "--storage", "other.db", "--study-name", study];
        let direction: Vec<&str> = [&["--direction"], directions].concat();
        scene.json(&[&create[..], &direction].concat());
        let refused = scene.trialbox(&[&import[..], &[study]].concat());
        refused.assert_error(2, &[said, "another --study-name"]);
    }
    let ask = |study: &str, space: &str| {
        let create = ["study", "create", "--storage", "other.db", "--study-name", study];
        scene.json(&create);
        let ask = ["trial", "ask", "--storage", "other.db", "--study-name", study];
        scene.json(&[&ask[..], &["--search-space", space]].concat());
    };
    ask("int", r#"{"x": {"type": "int", "low": -10, "high": 10}}"#);
    let kinds = "parameter `x`: int -10 to 10 in the study, float -10.0 to 10.0 in the file";
    scene.trialbox(&[&import[..], &["int"]].concat()).assert_error(2, &[kinds]);
    for study in ["max", "two"] {
        assert!(exported(&scene, "other.db", study).is_empty(), "{study}");
    }
    assert_eq!(exported(&scene, "other.db", "int").len(), 1);
    ask("narrow", r#"{"x": {"type": "float", "low": -1, "high": 1}}"#);
    let added = scene.trialbox(&[&import[..], &["narrow"]].concat());
    assert_eq!(added.code, Some(0), "{added:?}");
    let ranges = "parameter `x`: float -1.0 to 1.0 in the study, float -10.0 to 10.0 in the file";
    assert!(added.stderr.contains(ranges), "{}", added.stderr);
    assert_eq!(exported(&scene, "other.db", "narrow").len(), 4);
}

#[test]
fn a_file_that_is_no_export_is_refused_with_the_way_that_works() {
    let scene = three_trials("manage-import-foreign");
    let export = ["study", "export", "--storage", "study.db", "--output"];
    succeed(&scene, &[&export[..], &["trials.csv"]].concat());
    succeed(&scene, &[&export[..], &["trials.jsonl", "--format", "json"]].concat());
    let lines = std::fs::read(scene.path("trials.jsonl")).unwrap();
    std::fs::write(scene.path("marked.jsonl"), [b"\xef\xbb\xbf", &lines[..]].concat()).unwrap();
    std::fs::write(scene.path("optuna.json"), r#"[{"number": 0, "value": 1.5}]"#).unwrap();
    let import = |file| scene.trialbox(&["study", "import", file, "--storage", "new.db"]);
    for (file, said) in [
        ("trials.csv", "`trials.csv` cannot be imported: it is a table of trials (CSV)"),
        ("optuna.json", "`optuna.json` cannot be imported: it is one JSON array"),
        ("study.db", "`study.db` cannot be imported: it is a database"),
    ] {
        import(file).assert_error(2, &[said, "trialbox study copy"]);
    }
    assert!(!scene.path("new.db").exists());
    assert_eq!(import("marked.jsonl").code, Some(0));
    assert_eq!(exported(&scene, "new.db", "quadratic"), exported(&scene, "study.db", "quadratic"));
}

#[test]
fn a_study_is_renamed_and_deleted_by_name() {
    let scene = three_trials("manage-rename");
    scene.json(&["study", "rename", "quadratic", "q", "--storage", "study.db"]);
    scene.json(&["study", "set-attr", "a=1", "b=two", "--storage", "study.db"]);
    let study = &scene.json(&["study", "list", "--storage", "study.db"])[0];
    assert_eq!((&study["study"], &study["n_trials"]), (&json!("q"), &json!(3)));
    assert_eq!((&study["user_attrs"]["a"], &study["user_attrs"]["b"]), (&json!(1), &json!("two")));
    let space = r#"{"x": {"type": "float", "low": -10, "high": 10}}"#;
    scene.json(&["trial", "ask", "--storage", "study.db", "--search-space", space]);
    scene
        .trialbox(&["study", "delete", "q", "--storage", "study.db"])
        .assert_error(2, &["1 trial of study `q` is RUNNING", "--force"]);
    scene.json(&["study", "delete", "q", "--force", "--storage", "study.db"]);
    let database = rusqlite::Connection::open(scene.path("study.db")).unwrap();
    for table in [
        "studies",
        "trials",
        "trial_params",
        "trial_values",
        "trial_heartbeats",
        "study_directions",
    ] {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = database.query_row(&count, [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    scene
        .trialbox(&["study", "delete", "q", "--storage", "study.db"])
        .assert_error(2, &["there is no study `q`"]);
}

#[test]
fn a_snapshot_is_a_whole_database_and_overwrites_nothing() {
    let scene = three_trials("manage-snapshot");
    let snapshot = ["study", "snapshot", "copy.db", "--storage", "study.db"];
    scene.json(&snapshot);
    assert_eq!(exported(&scene, "copy.db", "quadratic"), exported(&scene, "study.db", "quadratic"));
    scene.trialbox(&snapshot).assert_error(2, &["`copy.db` exists"]);
}

#[test]
fn an_enqueued_trial_is_run_next_and_not_queued_twice_on_request() {
    let scene = three_trials("manage-enqueue");
    let skipped = enqueue(&scene, &["--param", "x=2", "--skip-if-exists"]);
    assert_eq!(skipped["number"], Value::Null);
    assert_eq!(enqueue(&scene, &["--param", "x=3", "--skip-if-exists"])["number"], json!(3));
    let arguments = ["run", &guest("quadratic"), "--storage", "study.db", "-n", "3"];
    let ran = scene.json(&arguments);
    let fixed: Vec<(&Value, &Value)> =
        ran.iter().map(|trial| (&trial["number"], &trial["params"]["x"])).collect();
    assert_eq!(fixed[..2], [(&json!(2), &json!(2.0)), (&json!(3), &json!(3.0))]);
    let shown = scene.json(&["trial", "show", "2", "--storage", "study.db"]).remove(0);
    assert_eq!(shown["user_attrs"]["why"], "a guess");
    scene
        .trialbox(&["trial", "show", "9", "--storage", "study.db"])
        .assert_error(2, &["study `quadratic` has no trial 9; it has 5 trials"]);
}

#[test]
fn an_asked_trial_has_the_parameters_of_its_space_and_counts_towards_the_budget() {
    let scene = Scene::new("manage-ask");
    scene.json(&["study", "create", "--study-name", "s", "--seed", "1", "--direction", "maximize"]);
    let space = r#"{"lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": true},
                    "n": {"name": "IntDistribution", "attributes": {"low": 1, "high": 9}},
                    "act": {"type": "categorical", "choices": ["relu", null]}}"#;
    let ask = ["trial", "ask", "--search-space", space, "--max-trials", "2"];
    let first = scene.json(&ask).remove(0);
    assert_eq!(first["number"], 0);
    let lr = first["params"]["lr"].as_f64().unwrap();
    assert!((1e-5..=0.1).contains(&lr), "{first}");
    assert!((1..=9).contains(&first["params"]["n"].as_i64().unwrap()), "{first}");
    scene.json(&[
        "trial",
        "tell",
        "0",
        "--values",
        "-0.25",
        "--report",
        "1=0.5",
        "--user-attr",
        "epochs=3",
    ]);
    let told = scene.json(&["trial", "show", "0"]).remove(0);
    assert_eq!(told["values"], json!([-0.25]));
    assert_eq!(told["intermediate_values"], json!([[1, 0.5]]));
    assert_eq!(told["user_attrs"]["epochs"], 3);
    assert_eq!(told["params"], first["params"]);
    scene.json(&ask);
    assert_eq!(scene.json(&ask), Vec::<Value>::new(), "the budget is used up: nothing, and 0");
    assert_eq!(scene.json(&ask[..2]), Vec::<Value>::new(), "the study remembers its budget");

    // As Optuna's `tell`: what is no result is FAIL; PRUNED takes the last reported value.
    scene.json(&[
        "trial", "tell", "1", "--state", "pruned", "--report", "2=0.75", "--report", "1=0.5",
    ]);
    assert_eq!(scene.json(&["trial", "show", "1"])[0]["values"], json!([0.75]));
    let lifted = scene.json(&["trial", "ask", "--max-trials", "none", "--override"]);
    scene.json(&["trial", "tell", &lifted[0]["number"].to_string(), "--state", "fail"]);
    for (arguments, state) in
        [(&["--values", "nan"][..], "FAIL"), (&["--values", "1", "2"], "FAIL")]
    {
        let number = scene.json(&["trial", "ask"]).remove(0)["number"].to_string();
        let told = scene.json(&[&["trial", "tell", &number], arguments].concat()).remove(0);
        assert_eq!(told["state"], state, "{arguments:?}");
    }
    let number = scene.json(&["trial", "ask"]).remove(0)["number"].to_string();
    for (arguments, problem) in [
        (&["--state", "complete"][..], "returned 0 values, but the study has 1 objective"),
        (&["--state", "fail", "--values", "1"], "a trial that is FAIL is told without values"),
    ] {
        let ran = scene.trialbox(&[&["trial", "tell", &number], arguments].concat());
        ran.assert_error(2, &[problem]);
    }
    scene.json(&["trial", "tell", &number, "--state", "fail", "--reason", "out of memory"]);
    let failed = scene.json(&["trial", "show", &number]).remove(0);
    assert_eq!(failed["system_attrs"]["trialbox:failure"]["message"], "out of memory");
}

#[test]
fn an_asked_trial_is_lost_with_the_process_that_was_to_tell() {
    let scene = Scene::new("manage-owner");
    scene.json(&["study", "create", "--study-name", "s"]);
    let mut owner = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = owner.id().to_string();
    let space = r#"{"x": {"type": "float", "low": 0, "high": 1}}"#;
    let asked =
        scene.json(&["trial", "ask", "--search-space", space, "--owner-pid", &pid]).remove(0);
    // A trial without such a process is not reaped.
    scene.json(&["trial", "ask"]);
    assert_eq!(scene.json(&["reap"])[0]["n_running"], 2);
    owner.kill().unwrap();
    owner.wait().unwrap();
    let reaped = scene.json(&["reap"]);
    assert_eq!((&reaped[0]["number"], &reaped[0]["retry"]), (&json!(0), &json!(2)));
    assert_eq!(reaped[1]["n_running"], 1);
    // The retry has the parameters that the lost trial had.
    let again = scene.json(&["trial", "ask", "--search-space", space]).remove(0);
    assert_eq!((&again["number"], &again["params"]), (&json!(2), &asked["params"]));
    let ended = scene.json(&["reap", "--trial", "1", "--max-retries", "0"]);
    assert_eq!((&ended[0]["number"], &ended[0]["retry"]), (&json!(1), &Value::Null));
}

#[test]
fn an_export_never_replaces_a_database() {
    let scene = Scene::new("manage-export-over");
    scene.json(&["run", &guest("quadratic"), "--storage", "study.db"]);
    std::os::unix::fs::symlink("study.db", scene.path("link.db")).unwrap();
    let before = std::fs::read(scene.path("study.db")).unwrap();
    let export = |output: &str| {
        scene.trialbox(&["study", "export", "--storage", "study.db", "--output", output])
    };
    for output in ["study.db", "./study.db", "link.db"] {
        export(output)
            .assert_error(2, &[output, "expected a new file or an export, found a database"]);
    }
    assert_eq!(std::fs::read(scene.path("study.db")).unwrap(), before);
    assert_eq!(export("trials.csv").code, Some(0));
    // An earlier export is replaced, and a device is written to.
    assert_eq!(export("trials.csv").code, Some(0));
    assert_eq!(export("/dev/null").code, Some(0));
    let csv = std::fs::read_to_string(scene.path("trials.csv")).unwrap();
    assert!(csv.starts_with("number,"), "{csv}");
    export("no/such/folder/x.csv").assert_error(2, &["no/such/folder", "choose another --output"]);
}

/// What a guest could not ask for is refused before a trial starts, and the study stays readable.
#[test]
fn ask_refuses_a_range_that_nothing_can_be_drawn_from_and_draws_from_the_odd_ones() {
    let scene = Scene::new("manage-ask-range");
    scene.json(&["study", "create", "--study-name", "s"]);
    let ask = |range: &str| {
        let space = format!(r#"{{"b": {range}}}"#);
        scene.trialbox(&["trial", "ask", "--search-space", &space])
    };
    for (range, problem) in [
        (r#"{"type": "float", "low": -Infinity, "high": Infinity}"#, "`low` must be finite"),
        (r#"{"type": "float", "low": -1e308, "high": 1e308}"#, "`high - low` must be finite"),
        (r#"{"type": "float", "low": 0, "high": 1, "step": 1e-300}"#, "fewer than 10^28 parts"),
        (r#"{"type": "int", "low": 0, "high": 9223372036854775807, "step": 3}"#, "±2^53"),
        (r#"{"type": "int", "low": -9223372036854775808, "high": 9223372036854775807}"#, "±2^53"),
    ] {
        ask(range).assert_error(2, &["parameter `b` of --search-space: ", problem]);
    }
    assert_eq!(scene.json(&["study", "show"]).remove(0)["n_trials"], 0);
    for range in [
        r#"{"type": "float", "low": 5e-324, "high": 1e-323}"#,
        r#"{"type": "float", "low": 8e307, "high": 1.7e308}"#,
        r#"{"type": "int", "low": 9007199254740991, "high": 9007199254740992, "log": true}"#,
    ] {
        scene.json(&["study", "delete", "s", "--force"]);
        scene.json(&["study", "create", "--study-name", "s"]);
        for value in 0..12 {
            let asked = ask(range);
            assert_eq!(asked.code, Some(0), "{range}: {}", asked.stderr);
            let number = value.to_string();
            scene.json(&["trial", "tell", &number, "--value", &number]);
        }
        for evaluator in ["ped-anova", "fanova", "mdi"] {
            let importance = ["study", "importance", "--evaluator", evaluator];
            let assessed = scene.trialbox(&[&importance[..], &["--format", "json"]].concat());
            // Where all draws are one value, that is said.
            if assessed.code == Some(2) {
                assert!(
                    assessed.stderr.contains("or the same parameters"),
                    "{range}: {assessed:?}"
                );
            } else {
                assert!(assessed.json()[0]["importance"].is_number(), "{range}: {assessed:?}");
            }
        }
        scene.json(&["study", "best"]);
        scene.json(&["study", "export"]);
    }
}

/// A finite search is over for `ask` when each of its points is a trial's: then it prints nothing and says why.
#[test]
fn ask_ends_where_the_search_does_and_repeats_no_point() {
    let scene = Scene::new("manage-ask-end");
    let ask = |study: &str, space: &str| {
        scene.trialbox(&["trial", "ask", "--study-name", study, "--search-space", space])
    };
    let nine =
        r#"{"a": {"type": "int", "low": 0, "high": 2}, "b": {"type": "int", "low": 1, "high": 3}}"#;
    scene.json(&["study", "create", "--study-name", "all", "--sampler", "brute-force"]);
    let points: BTreeSet<String> = (0..9).map(|_| ask("all", nine).stdout).collect();
    assert_eq!(points.len(), 9);
    let over = ask("all", nine);
    assert_eq!((over.code, over.stdout.as_str()), (Some(0), ""));
    let why = "study `all` is complete: the sampler has tried everything";
    assert!(over.stderr.contains(why), "{}", over.stderr);

    let (two, grid) =
        (r#"{"x": {"type": "int", "low": 0, "high": 99}}"#, r#"search_space={"x":[0,50]}"#);
    let create = ["study", "create", "--study-name", "grid", "--sampler", "grid"];
    scene.json(&[&create[..], &["--sampler-opt", grid]].concat());
    scene.json(&["trial", "enqueue", "--study-name", "grid", "--param", "x=7"]);
    let values: Vec<Value> = (0..3)
        .map(|_| {
            serde_json::from_str::<Value>(&ask("grid", two).stdout).unwrap()["params"]["x"].clone()
        })
        .collect();
    assert_eq!(
        values.iter().map(Value::to_string).collect::<BTreeSet<_>>(),
        ["0", "50", "7"].map(str::to_owned).into()
    );
    let over = ask("grid", two);
    assert_eq!((over.code, over.stdout.as_str()), (Some(0), ""));
    let why = "study `grid` has no untried point, and 3 trials are running";
    assert!(over.stderr.contains(why), "{}", over.stderr);
    for number in ["0", "1", "2"] {
        scene.json(&["trial", "tell", number, "--value", "1", "--study-name", "grid"]);
    }
    let over = ask("grid", two);
    assert_eq!((over.code, over.stdout.as_str()), (Some(0), ""));
    assert!(over.stderr.contains("the sampler has tried everything"), "{}", over.stderr);
}
