//! `trialbox run`.

use crate::herd::run_together;
use crate::scene::{Ran, Scene, digits_data, guest};
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn run_without_flags_makes_a_database_and_runs_one_trial() {
    let scene = Scene::new("run-plain");
    let ran = scene.trialbox(&["run", &guest("quadratic")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("trial 0    COMPLETE "), "{}", ran.stdout);
    assert!(scene.path("trialbox.db").exists());
    let best = scene.json(&["study", "best"]);
    assert_eq!(best[0]["number"], 0);
    let (x, y) =
        (best[0]["params"]["x"].as_f64().unwrap(), best[0]["params"]["y"].as_f64().unwrap());
    assert_eq!(best[0]["values"][0].as_f64().unwrap(), (x - 2.0).powi(2) + (y + 1.0).powi(2));
}

#[test]
fn the_recipes_spelling_forty_times_gives_trials_0_to_39() {
    let scene = Scene::new("run-recipe");
    let (digits, data) = (guest("digits"), digits_data());
    // The slowest parameters would take a second each, and forty trials are about numbers, not about training.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let ran = scene.trialbox(&[
                        "run",
                        &digits,
                        "--dir",
                        &data,
                        "--optuna-db",
                        "study.db",
                        "--optuna-study-name",
                        "s",
                    ]);
                    assert_eq!(ran.code, Some(0), "{ran:?}");
                }
            });
        }
    });
    let trials = scene.json(&["study", "trials", "--storage", "study.db"]);
    let numbers: Vec<u64> = trials.iter().map(|trial| trial["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    for trial in &trials {
        let n_reports = trial["intermediate_values"].as_array().unwrap().len();
        match trial["state"].as_str().unwrap() {
            "COMPLETE" => assert_eq!(n_reports, 15),
            state => assert!(state == "PRUNED" && (1..=15).contains(&n_reports), "{trial}"),
        }
    }
}

/// What a sampler proposes follows from the seed, the trial's number and the history. Without one, jobs side by
/// side draw what one alone would; with one, the same history must lead to the same proposal.
#[test]
fn the_same_seed_and_history_give_the_same_trials_whatever_the_number_of_jobs() {
    let scene = Scene::new("run-seed");
    let quadratic = guest("quadratic");
    let values = |database: &str, sampler: &str, jobs: &str| {
        let seed = ["--seed", "7", "--sampler", sampler];
        let arguments = ["run", &quadratic, "--storage", database, "-n", "12", "--jobs", jobs];
        scene.json(&[&arguments[..], &seed].concat());
        let trials = scene.json(&["study", "trials", "--storage", database]);
        trials.iter().map(|trial| trial["params"].clone()).collect::<Vec<Value>>()
    };
    let alone = values("a.db", "random", "1");
    assert_eq!(alone, values("b.db", "random", "3"));
    assert_eq!(alone.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len(), 12);
    let with_history = values("c.db", "tpe", "1");
    assert_eq!(with_history, values("d.db", "tpe", "1"));
    assert_eq!((&with_history[..10], with_history == alone), (&alone[..10], false));
}

#[test]
fn a_study_that_has_its_trials_gets_no_more() {
    let scene = Scene::new("run-budget");
    let quadratic = guest("quadratic");
    let lines = scene.json(&["run", &quadratic, "-n", "9", "--max-trials", "5", "--jobs", "2"]);
    let events: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events.iter().filter(|event| **event == "trial").count(), 5);
    let again = scene.json(&["run", &quadratic, "--max-trials", "5"]);
    assert_eq!(again[0]["event"], "budget_reached");
    assert_eq!(again[0]["n_trials"], 5);
}

#[test]
fn a_study_remembers_its_seed_and_refuses_another() {
    let scene = Scene::new("run-settings");
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic, "--seed", "1", "--max-memory", "64MiB"]);
    scene.json(&["run", &quadratic, "--seed", "1"]);
    let ran = scene.trialbox(&["run", &quadratic, "--seed", "2"]);
    ran.assert_error(2, &["has --seed = 1, found 2 on the command line", "--override"]);
    scene.json(&["run", &quadratic, "--seed", "2", "--override"]);
    let study = &scene.json(&["study", "show"])[0];
    assert_eq!(study["user_attrs"]["trialbox:seed"], 2);
    assert_eq!(study["user_attrs"]["trialbox:max_memory_bytes"], 64 << 20);
    assert_eq!(study["n_trials"], 3);
}

#[test]
fn a_limit_said_after_the_study_was_made_holds_for_that_command_alone() {
    let scene = Scene::new("run-limits");
    let quadratic = guest("quadratic");
    scene.json(&["run", &quadratic]);
    let ran = scene.trialbox(&["run", &quadratic, "--max-memory", "1KiB"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("E-MEM"), "{}", ran.stdout);
    scene.json(&["run", &quadratic]);
}

#[test]
fn a_study_of_other_directions_is_refused() {
    let scene = Scene::new("run-directions");
    scene.json(&["study", "create", "--study-name", "up", "--direction", "maximize"]);
    let ran = scene.trialbox(&["run", &guest("quadratic"), "--study-name", "up"]);
    ran.assert_error(
        2,
        &[
            "study `up` has 1 objective (maximize), and this component has 1 objective (minimize)",
            "choose another --study-name",
        ],
    );
    let ran = scene.trialbox(&["run", &guest("quadratic"), "--direction", "maximize"]);
    ran.assert_error(
        2,
        &["expected the directions of the objective (minimize)", "leave --direction out"],
    );
}

#[test]
fn a_missing_data_directory_is_found_before_the_database_is_touched() {
    let scene = Scene::new("run-data");
    let digits = guest("digits");
    scene
        .trialbox(&["run", &digits])
        .assert_error(2, &["reads `/data/digits.csv`", "--dir HOST::/data"]);
    scene
        .trialbox(&["run", &digits, "--dir", "nowhere::/data"])
        .assert_error(2, &["cannot grant `nowhere` as `/data`"]);
    std::fs::create_dir(scene.path("empty")).unwrap();
    scene.trialbox(&["run", &digits, "--dir", "empty::/data"]).assert_error(2, &["does not exist"]);
    std::fs::write(scene.path("empty/digits.csv"), "no digits").unwrap();
    scene.trialbox(&["run", &digits, "--dir", "empty::/data"]).assert_error(2, &["SHA-256"]);
    assert!(!scene.path("trialbox.db").exists());
}

#[test]
fn a_database_that_cannot_be_made_or_is_none_is_an_error_of_the_storage() {
    let scene = Scene::new("run-storage");
    let quadratic = guest("quadratic");
    let ran = scene.trialbox(&["run", &quadratic, "--storage", "no/such/folder/study.db"]);
    ran.assert_error(
        3,
        &[
            "failed to create the database `no/such/folder/study.db`",
            "create the folder `no/such/folder` first",
        ],
    );
    std::fs::write(scene.path("text.db"), "not a database, but long enough to be one".repeat(99))
        .unwrap();
    let ran = scene.trialbox(&["run", &quadratic, "--storage", "text.db"]);
    ran.assert_error(3, &["`text.db` is not a SQLite database", "was not touched"]);
    // Root may write anywhere but into the kernel's file systems.
    let ran = scene.trialbox(&["run", &quadratic, "--storage", "/proc/study.db"]);
    ran.assert_error(3, &["failed to create the database `/proc/study.db`"]);
    let ran = scene.trialbox(&["run", &quadratic, "--storage", "mysql://anna:secret@host/db"]);
    ran.assert_error(2, &["unsupported storage URL `mysql://anna:***@host/db`"]);
}

#[test]
fn an_interrupted_trial_is_recorded_and_may_be_started_again() {
    let scene = Scene::new("run-sigterm");
    let component = scene.path("spin.wasm");
    std::fs::write(&component, crate::hostile::component("(loop $l (br $l)) unreachable")).unwrap();
    let mut child = scene
        .command(&["run", &component.display().to_string(), "--study-name", "s"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The trial is RUNNING once the database says so.
    while !running(&scene) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        std::thread::yield_now();
    }
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(75));
    let trial = &scene.json(&["study", "trials"])[0];
    assert_eq!(trial["state"], "FAIL");
    assert_eq!(trial["system_attrs"]["trialbox:failure"]["code"], "E-INTERRUPTED");
}

fn running(scene: &Scene) -> bool {
    let ran = scene.trialbox(&["study", "trials", "--state", "running", "--format", "json"]);
    ran.code == Some(0) && !ran.stdout.is_empty()
}

#[test]
fn of_many_tasks_that_start_together_one_compiles() {
    let scene = Scene::new("run-compile-once");
    let digits = guest("digits");
    let cache = scene.path("cache").display().to_string();
    let arguments = ["inspect", &digits, "--no-probe", "--cache-dir", &cache, "--format", "json"];
    let tasks = (0..8).map(|_| scene.command(&arguments));
    let from_cache = |ran: &Ran| ran.json()[0]["from_cache"].as_bool().unwrap();
    let compiled = run_together(tasks.collect()).into_iter().filter(|ran| !from_cache(ran));
    assert_eq!(compiled.count(), 1);
}

#[test]
fn where_the_users_cache_cannot_be_written_the_jobs_own_directory_holds_compiled_code() {
    let scene = Scene::new("run-tmpdir");
    let tmpdir = scene.path("job");
    std::fs::create_dir(&tmpdir).unwrap();
    let from_cache = || {
        let mut command = scene.command(&["inspect", &guest("quadratic"), "--no-probe"]);
        command.args(["--format", "json"]).env_remove("TRIALBOX_CACHE_DIR");
        // A home that cannot be written, as on the compute nodes of some clusters.
        command.env("XDG_CACHE_HOME", "/proc").env("SLURM_TMPDIR", &tmpdir);
        Ran::from(command.output().unwrap()).json()[0]["from_cache"].as_bool().unwrap()
    };
    assert_eq!([from_cache(), from_cache()], [false, true]);
    assert!(tmpdir.join("trialbox").is_dir());
}

#[test]
fn a_hundred_processes_at_once_share_one_cache_and_one_study() {
    let scene = Scene::new("run-herd");
    let quadratic = guest("quadratic");
    let cache = scene.path("cache").display().to_string();
    let children: Vec<_> = (0..100)
        .map(|_| {
            let arguments =
                ["run", &quadratic, "--cache-dir", &cache, "--storage", "study.db", "--quiet"];
            scene.command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let trials = scene.json(&["study", "trials", "--storage", "study.db"]);
    let numbers: Vec<u64> = trials.iter().map(|trial| trial["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    assert!(trials.iter().all(|trial| trial["state"] == "COMPLETE"));
    // One entry, whole, and nothing left over.
    let entries: Vec<_> = std::fs::read_dir(scene.path("cache")).unwrap().collect();
    assert_eq!(entries.len(), 1);
}
