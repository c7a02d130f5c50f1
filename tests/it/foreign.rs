//! A database, and the settings in it, as another user may have written them.

#[cfg(feature = "failpoints")]
use crate::faults::{end, signal, stopped_before_the_end};
use crate::scene::{Scene, guest, root};
use rusqlite::Connection;
use serde_json::Value;

fn execute(scene: &Scene, sql: &str) {
    Connection::open(scene.path("trialbox.db")).unwrap().execute_batch(sql).unwrap();
}

/// Sets an attribute of the study `s`, in the table: `set-attr` may refuse.
fn set(scene: &Scene, key: &str, json: &str) {
    let sql = "INSERT OR REPLACE INTO study_user_attributes (study_id, \"key\", value_json) VALUES (1, ?1, ?2)";
    let connection = Connection::open(scene.path("trialbox.db")).unwrap();
    connection.execute(sql, [key, json]).unwrap();
}

/// Returns the settings of a study, from the page on the format.
fn settings() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/format.md")).unwrap();
    let table = page.split("### Settings").nth(1).unwrap().split("### Facts").next().unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn a_schema_that_would_run_something_is_refused_by_every_command_and_named_by_doctor() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
    let view = format!(
        "DROP TABLE trial_heartbeats; CREATE VIEW trial_heartbeats AS \
         SELECT i AS trial_heartbeat_id, i AS trial_id, printf('%.*c', 1000000000, 'x') AS heartbeat FROM ({endless})"
    );
    let trigger = format!(
        "CREATE TRIGGER hang BEFORE INSERT ON trials BEGIN INSERT INTO studies SELECT i, i FROM ({endless}); END"
    );
    let guard =
        "CREATE TRIGGER trialbox_guard_state BEFORE UPDATE OF state ON trials BEGIN SELECT 1; END";
    for (name, sql, code, piece) in [
        ("view", view.as_str(), "view-unknown", "has a view `trial_heartbeats`"),
        ("trigger", &trigger, "trigger-unknown", "has a trigger `hang` on `trials`"),
        ("guard", guard, "guard-altered", "a trigger `trialbox_guard_state` with a text"),
    ] {
        let scene = Scene::new(&format!("foreign-{name}"));
        scene.json(&["study", "create", "--study-name", "s", "--no-guard"]);
        execute(&scene, sql);
        let run = guest("quadratic");
        for command in [
            &["run", &run, "--study-name", "s"][..],
            &["study", "list"],
            &["study", "trials"],
            &["study", "export"],
            &["study", "set-attr", "a=1"],
            &["trial", "ask", "--search-space", "{}"],
            &["reap"],
        ] {
            scene.trialbox(command).assert_error(3, &[piece, "  help: "]);
        }
        let ran = scene.trialbox(&["doctor"]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.contains(&format!("error[{code}]")), "{ran:?}");
    }
}

#[test]
fn every_setting_of_another_shape_is_refused_with_its_study_and_its_attribute() {
    let scene = Scene::new("foreign-settings");
    let run = ["run", &guest("quadratic"), "--study-name", "s"];
    assert_eq!(scene.trialbox(&run).code, Some(0));
    let keys = settings();
    assert!(keys.len() >= 12, "{keys:?}");
    let get = "SELECT value_json FROM study_user_attributes WHERE \"key\" = ?1";
    for key in keys {
        let connection = Connection::open(scene.path("trialbox.db")).unwrap();
        let before: Option<String> = connection.query_row(get, [&key], |row| row.get(0)).ok();
        for bad in ["[1]", "{\"nosuch\": 3}", "\"x\"", "-1.5e300", "NaN", "1e999"] {
            set(&scene, &key, bad);
            let text = format!("the attribute `{key}` of study `s` cannot be read");
            // A number is a value to reach, and none of the others is.
            if key == "trialbox:stop_when_value" && bad == "-1.5e300" {
                continue;
            }
            scene.trialbox(&run).assert_error(2, &[&text, "--override"]);
        }
        let sql = "DELETE FROM study_user_attributes WHERE \"key\" = ?1";
        connection.execute(sql, [&key]).unwrap();
        if let Some(before) = before {
            set(&scene, &key, &before);
        }
    }
    assert_eq!(scene.trialbox(&run).code, Some(0));
}

#[test]
fn a_limit_above_the_default_holds_only_with_its_flag() {
    let scene = Scene::new("foreign-limits");
    let quadratic = guest("quadratic");
    let run = |flags: &[&str]| {
        scene.trialbox(&[&["run", &quadratic, "--study-name", "s"], flags].concat())
    };
    assert_eq!(run(&["--max-memory", "8GiB", "--limit", "handles=7"]).code, Some(0));
    let problem = "study `s` remembers 8 GiB, expected at most the default of 4 GiB";
    run(&[]).assert_error(2, &[problem, "`memory`", "add --max-memory 8GiB"]);
    assert_eq!(run(&["--max-memory", "8GiB"]).code, Some(0));
    let submit = ["submit", &quadratic, "--study-name", "s", "--trials", "9", "--parallel", "2"];
    scene.trialbox(&[&submit[..], &["--dry-run"]].concat()).assert_error(2, &[problem]);
    set(&scene, "trialbox:limits", "{\"handles\": 10001}");
    let flags = ["--max-memory", "8GiB"];
    run(&flags).assert_error(2, &["remembers 10001", "add --limit handles=10001"]);
    // Commands that run no objective do not mind.
    assert_eq!(scene.trialbox(&["trial", "ask", "--search-space", "{}"]).code, Some(0));
}

#[test]
fn an_option_of_a_sampler_that_takes_the_memory_is_refused() {
    let scene = Scene::new("foreign-sampler");
    scene.json(&["study", "create", "--study-name", "s"]);
    let json = r#"{"name": "tpe", "options": {"n_ei_candidates": 2000000000}}"#;
    set(&scene, "trialbox:sampler", json);
    let run = ["run", &guest("quadratic"), "--study-name", "s"];
    scene.trialbox(&run).assert_error(2, &["n_ei_candidates", "from 1 to 1000000", "2000000000"]);
}

#[test]
fn a_search_space_that_no_guest_may_ask_for_leaves_no_row() {
    let scene = Scene::new("foreign-space");
    scene.json(&["study", "create", "--study-name", "s"]);
    for space in [
        r#"{"b": {"type": "float", "low": -Infinity, "high": Infinity}}"#,
        r#"{"b": {"type": "float", "low": -1.7e308, "high": 1.7e308}}"#,
        r#"{"b": {"type": "int", "low": 0, "high": 9007199254740993}}"#,
        r#"{"b": {"type": "int", "low": 0, "high": 18446744073709551615}}"#,
    ] {
        let ran = scene.trialbox(&["trial", "ask", "--search-space", space]);
        ran.assert_error(2, &["parameter `b` of --search-space"]);
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(scene.json(&["study", "trials"]), Vec::<Value>::new());
}

/// Rows that a NaN left behind, and integers as Python stores them.
#[test]
fn a_row_without_a_number_and_wide_integers_are_shown_exported_and_continued() {
    let scene = Scene::new("foreign-rows");
    let run = ["run", &guest("quadratic"), "--study-name", "s", "-n", "3"];
    assert_eq!(scene.trialbox(&run).code, Some(0));
    execute(
        &scene,
        "UPDATE trial_params SET param_value = NULL WHERE param_id = 1;
         INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
         SELECT trial_id, 'seed', 1.2e19, '{\"name\": \"IntDistribution\", \"attributes\": \
         {\"log\": false, \"step\": 1, \"low\": 0, \"high\": 18446744073709551615}}' FROM trials",
    );
    assert_eq!(scene.trialbox(&["doctor"]).code, Some(0));
    for command in [&["study", "list"][..], &["study", "trials"], &["study", "best"], &run] {
        assert_eq!(scene.trialbox(command).code, Some(0), "{command:?}");
    }
    assert_eq!(scene.trialbox(&["trial", "show", "0"]).code, Some(0));
    assert_eq!(scene.trialbox(&["study", "importance"]).code, Some(0));
    let exported = scene.trialbox(&["study", "export", "--format", "json"]);
    assert!(exported.stdout.contains("12000000000000000000"), "{exported:?}");
    assert!(exported.stdout.contains("18446744073709551615"), "{exported:?}");
    std::fs::write(scene.path("s.json"), &exported.stdout).unwrap();
    // What no column can hold is not written again.
    let import = ["study", "import", "s.json", "--storage", "t.db"];
    let refusal = ["the value of parameter `x` cannot be stored", "expected a number, found NaN"];
    scene.trialbox(&import).assert_error(2, &refusal);
    execute(&scene, "UPDATE trial_params SET param_value = 0.5 WHERE param_id = 1");
    let exported = scene.trialbox(&["study", "export", "--format", "json"]);
    std::fs::write(scene.path("s.json"), &exported.stdout).unwrap();
    scene.json(&import);
    let again = scene.trialbox(&["study", "export", "--format", "json", "--storage", "t.db"]);
    assert_eq!(again.stdout, exported.stdout);
}

#[cfg(feature = "failpoints")]
#[test]
fn a_result_whose_database_is_gone_is_kept_and_reported() {
    for mode in ["delete", "wal"] {
        let scene = Scene::new(&format!("foreign-gone-{mode}"));
        scene.json(&["study", "create", "--study-name", "quadratic"]);
        execute(&scene, &format!("PRAGMA journal_mode = {mode}"));
        let child = stopped_before_the_end(&scene, "--default-signal");
        std::fs::rename(scene.path("trialbox.db"), scene.path("away.db")).unwrap();
        signal(&child, "CONT");
        let ran = end(child);
        ran.assert_error(
            3,
            &["trial 0 finished as COMPLETE, but its result could not be recorded"],
        );
        std::fs::rename(scene.path("away.db"), scene.path("trialbox.db")).unwrap();
        let synced: Vec<Value> = scene.json(&["study", "sync"]);
        // A log that stayed behind may have brought the result already.
        let fate = synced[0]["fate"].as_str().unwrap();
        assert!(["recorded", "recorded_before"].contains(&fate), "{mode}: {synced:?}");
        assert_eq!(scene.json(&["study", "trials"])[0]["state"], "COMPLETE", "{mode}");
    }
}

/// SQLite's folder for temporary files is a file system without room.
#[test]
fn no_command_needs_the_folder_for_temporary_files() {
    let scene = Scene::new("foreign-tmp");
    scene.json(&["study", "create", "--study-name", "s"]);
    execute(
        &scene,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO trials SELECT i, i - 1, 1, 'COMPLETE', '2026-11-24 01:00:00', '2026-11-24 01:00:01' FROM n;
         INSERT INTO trial_values (trial_id, objective, value, value_type)
         SELECT trial_id, 0, trial_id, 'FINITE' FROM trials;
         INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
         SELECT trial_id, 'x', 0.5, '{\"name\": \"FloatDistribution\", \"attributes\": \
         {\"step\": null, \"low\": 0.0, \"high\": 1.0, \"log\": false}}' FROM trials;
         INSERT INTO trial_user_attributes (trial_id, \"key\", value_json)
         SELECT trial_id, 'note', '\"' || hex(zeroblob(200)) || '\"' FROM trials;",
    );
    let tmp = scene.path("tmp");
    std::fs::create_dir(&tmp).unwrap();
    let (binary, folder) = (env!("CARGO_BIN_EXE_trialbox"), tmp.display());
    let run = format!("run {} --study-name s", guest("quadratic"));
    for arguments in [
        "study list",
        "study show",
        "study trials --state fail",
        "study best",
        "study export --format json -o all.json",
        "study importance",
        "study snapshot copy.db",
        "trial show 7",
        "trial enqueue --study-name s --param x=0.5",
        "trial ask --study-name s --search-space {}",
        &run,
        "reap --study-name s",
        "doctor",
        "study copy s --to-study-name t",
        "study trials --study-name t",
        "study delete t --force",
    ] {
        // In a namespace of its own, the user may mount a file system of two pages.
        let script = format!(
            "mount -t tmpfs -o size=8k tmpfs {folder} && head -c 8k /dev/zero > {folder}/full; \
             SQLITE_TMPDIR={folder} exec {binary} {arguments}"
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
        scene.isolate(&mut command);
        let Ok(output) = command.output() else { return skip("there is no `unshare`") };
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if ["unshare:", "mount:"].iter().any(|program| stderr.starts_with(program)) {
            return skip("this user may not mount");
        }
        assert!(output.status.code().is_some_and(|code| code < 2), "{arguments}: {stderr}");
        assert!(!stderr.contains("disk is full"), "{arguments}: {stderr}");
    }
}

/// Counts a test that cannot run here.
fn skip(why: &str) {
    let text = format!("skipped 1 test: {why}\n");
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}
