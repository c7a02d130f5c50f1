//! Tests `trialbox doctor`, and compares its findings with what Optuna reads.

use crate::scene::{Ran, Scene, root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Runs `doctor` and returns the exit code, the findings and the summary.
fn doctor(scene: &Scene, arguments: &[&str]) -> (Option<i32>, Vec<Value>, Value) {
    let ran = scene.trialbox(&[&["doctor", "--format", "json"], arguments].concat());
    let mut lines = ran.json();
    let summary = lines.pop().unwrap_or_else(|| panic!("{ran:?}"));
    assert_eq!(summary["event"], "summary");
    assert!(lines.iter().all(|line| line["event"] == "finding"), "{ran:?}");
    (ran.code, lines, summary)
}

fn has_code(findings: &[Value], code: &str) -> bool {
    findings.iter().any(|finding| finding["code"] == code)
}

/// Returns the output of the Python script.
fn python(scene: &Scene, arguments: &[&str]) -> Value {
    let interpreter = root().join("target/venv/bin/python");
    assert!(interpreter.exists(), "{} is missing: run `cargo xtask test`", interpreter.display());
    let script = root().join("tests/it/poison.py");
    let output =
        Command::new(interpreter).arg(script).args(arguments).current_dir(&scene.folder).output();
    let ran = Ran::from(output.unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json().remove(0)
}

#[test]
fn a_study_that_trialbox_made_is_sound() {
    let scene = Scene::new("doctor-sound");
    scene.json(&["study", "create", "--study-name", "s"]);
    let before = std::fs::read(scene.path("trialbox.db")).unwrap();
    let (code, findings, summary) = doctor(&scene, &["--no-guard"]);
    assert_eq!(code, Some(0));
    assert!(findings.iter().all(|finding| finding["file"].is_string()), "{findings:?}");
    assert_eq!((&summary["errors"], &summary["repaired"]), (&Value::from(0), &Value::Null));
    assert_eq!(summary["trialbox_version"], env!("CARGO_PKG_VERSION"));
    for key in ["database", "sqlite_version", "file_system", "mount_point", "locks"] {
        assert!(summary[key].is_string(), "{key}: {summary}");
    }
    assert_eq!(std::fs::read(scene.path("trialbox.db")).unwrap(), before);
    let text = scene.trialbox(&["doctor", "--no-guard"]).stdout;
    assert!(text.lines().last().unwrap().starts_with("0 errors, "), "{text}");
}

#[test]
fn a_trial_whose_process_is_gone_is_found_and_ended() {
    let scene = Scene::new("doctor-dead");
    scene.json(&["study", "create", "--study-name", "s"]);
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    scene.json(&["trial", "ask", "--owner-pid", &child.id().to_string()]);
    let (_, findings, _) = doctor(&scene, &[]);
    assert!(!has_code(&findings, "stuck-running"), "{findings:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let (code, findings, _) = doctor(&scene, &[]);
    assert_eq!((code, has_code(&findings, "stuck-running")), (Some(0), true), "{findings:?}");
    let (_, findings, summary) = doctor(&scene, &["--repair"]);
    assert_eq!((&summary["repaired"], &findings[0]["repaired"]), (&1.into(), &true.into()));
    let trials = scene.json(&["study", "trials"]);
    assert_eq!(trials[0]["state"], "FAIL");
    let (_, findings, _) = doctor(&scene, &[]);
    assert!(!has_code(&findings, "stuck-running"), "{findings:?}");
}

#[test]
fn what_is_no_database_ends_with_3_and_is_not_touched() {
    let scene = Scene::new("doctor-none");
    let (code, findings, _) = doctor(&scene, &["--storage", "nowhere.db", "--repair"]);
    assert_eq!((code, has_code(&findings, "missing-file")), (Some(3), true));
    let create = "trialbox study create --storage nowhere.db --study-name STUDY";
    let help = format!("check the path of the database, or create a study: {create}");
    assert_eq!(findings[0]["advice"], help);
    assert!(!scene.path("nowhere.db").exists());
    for (name, text, code) in
        [("empty.db", "", "zero-length"), ("elf.db", "\x7fELF", "not-a-database")]
    {
        std::fs::write(scene.path(name), text).unwrap();
        let ran = scene.trialbox(&["doctor", "--storage", name]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.contains(&format!("error[{code}]: the database")), "{ran:?}");
        assert!(ran.stdout.lines().last().unwrap().starts_with("1 error, "), "{ran:?}");
        let help = ran.stdout.lines().any(|line| line.starts_with("  help: restore a copy, or "));
        assert!(help, "{ran:?}");
        assert_eq!(std::fs::read_to_string(scene.path(name)).unwrap(), text);
    }
    scene
        .trialbox(&["doctor", "--storage", "memory:"])
        .assert_error(2, &["and `memory:` is not a file", "sqlite:///study.db"]);
    scene
        .trialbox(&["doctor", "--storage", "mysql://anna:secret@host/db"])
        .assert_error(2, &["unsupported storage URL `mysql://anna:***@host/db`"]);
}

#[test]
fn interop_optuna_fails_on_what_the_doctor_calls_an_error_and_reads_what_it_repaired() {
    let scene = Scene::new("doctor-optuna");
    let storage = root().join("host/trialbox-storage");
    let file = |name: &str| storage.join(name).display().to_string();
    let (create, base) = (file("src/create.sql"), file("tests/doctor/base.sql"));
    let cases = file("tests/doctor/cases.sql");
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let pids = std::fs::read_link("/proc/self/ns/pid").unwrap().display().to_string();
    let build = ["build", ".", &create, &base, &cases, host.trim(), boot_id.trim(), &pids];
    let built = python(&scene, &build);
    for case in built.as_array().unwrap() {
        check_error_and_repair(&scene, case);
    }
    // Reading comes last, because Optuna adds missing tables and rows when it opens a database.
    let read: BTreeMap<String, Option<String>> =
        serde_json::from_value(python(&scene, &["read", "."])).unwrap();
    for case in built.as_array().unwrap() {
        let file = case["file"].as_str().unwrap();
        let problem = &read[file];
        assert_eq!(problem.is_some(), case["python"] == "fails", "{file}: {problem:?}");
        let repaired = read.get(&after(file));
        assert_eq!(repaired, Some(&None).filter(|_| case["repair"] == "repaired"), "{file}");
    }
}

/// Checks that `doctor` finds the case with its severity, and repairs a copy of it where the case says so.
fn check_error_and_repair(scene: &Scene, case: &Value) {
    let (name, file) = (case["name"].as_str().unwrap(), case["file"].as_str().unwrap());
    let code = name.split('/').next().unwrap();
    let (exit, findings, _) = doctor(scene, &["--storage", file]);
    let fails = case["python"] == "fails" || case["ours"] == "fails";
    assert_eq!(exit, Some(if fails { 3 } else { 0 }), "{name}");
    if code == "none" {
        return;
    }
    let can_be_repaired = case["repair"] == "repaired";
    let of_case = findings.iter().filter(|finding| finding["code"] == code);
    let repairable: Vec<bool> = of_case
        .map(|finding| finding["repair"].is_string() && finding["not_repaired_because"].is_null())
        .collect();
    assert!(repairable.contains(&can_be_repaired), "{name}: {findings:?}");
    if can_be_repaired {
        let after = after(file);
        std::fs::copy(scene.path(file), scene.path(&after)).unwrap();
        let (exit, findings, summary) = doctor(scene, &["--storage", &after, "--repair"]);
        assert_eq!(exit, Some(0), "{name}");
        assert!(findings.iter().any(|found| found["code"] == code && found["repaired"] == true));
        assert!(summary["copy"].is_string(), "{name}");
    }
}

fn after(file: &str) -> String {
    format!("after-{file}")
}
