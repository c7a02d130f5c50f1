//! Many processes at once on one study, as the first second of an array job is.

use crate::scene::{Ran, Scene, guest};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};

const HERD: usize = 64;

#[test]
fn a_herd_on_a_missing_study_makes_it_and_loses_nothing() {
    let scene = Scene::new("herd-missing");
    for database in ["first.db", "second.db"] {
        run_herd(&scene, HERD, &["run", &guest("quadratic"), "--storage", database]);
        assert_complete_and_gapless(&scene, database, HERD);
    }
}

#[test]
fn a_herd_on_an_existing_study_appends_to_it_and_loses_nothing() {
    let scene = Scene::new("herd-existing");
    scene.json(&["run", &guest("quadratic"), "--storage", "study.db", "-n", "100"]);
    for round in 1..=2 {
        run_herd(&scene, HERD, &["run", &guest("quadratic"), "--storage", "study.db"]);
        assert_complete_and_gapless(&scene, "study.db", 100 + round * HERD);
    }
}

#[test]
fn a_herd_with_more_processes_than_the_study_may_have_trials_never_exceeds_them() {
    const MAX_TRIALS: usize = 40;
    let scene = Scene::new("herd-budget");
    let max_trials = MAX_TRIALS.to_string();
    let ran = run_herd(
        &scene,
        HERD,
        &["run", &guest("quadratic"), "--storage", "study.db", "--max-trials", &max_trials],
    );
    let surplus = ran.iter().filter(|ran| ran.json()[0]["event"] == "budget_reached");
    assert_eq!(surplus.count(), HERD - MAX_TRIALS);
    assert_complete_and_gapless(&scene, "study.db", MAX_TRIALS);
}

#[test]
fn a_herd_runs_each_enqueued_trial_exactly_once() {
    const ENQUEUED: usize = 20;
    const PROCESSES: usize = 32;
    let scene = Scene::new("herd-queue");
    scene.json(&["study", "create", "--storage", "study.db", "--study-name", "quadratic"]);
    for number in 0..ENQUEUED {
        let x = format!("x={}", number as f64 / 4.0);
        scene.json(&["trial", "enqueue", "--storage", "study.db", "--param", &x]);
    }
    let ran = run_herd(&scene, PROCESSES, &["run", &guest("quadratic"), "--storage", "study.db"]);
    let ran: Vec<u64> = ran.iter().map(|ran| ran.json()[0]["number"].as_u64().unwrap()).collect();
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), PROCESSES, "a trial ran twice: {ran:?}");
    let trials = assert_complete_and_gapless(&scene, "study.db", PROCESSES);
    for (number, trial) in trials.iter().take(ENQUEUED).enumerate() {
        assert_eq!(trial["params"]["x"], number as f64 / 4.0);
    }
}

/// `y` has 21 values, and `x` is fixed. Every process draws while the others do.
#[test]
fn a_herd_searches_by_brute_force_and_tries_each_point_once() {
    const POINTS: usize = 21;
    let scene = Scene::new("herd-brute-force");
    for (database, processes, trials) in [("one.db", POINTS, "1"), ("many.db", 4, "30")] {
        let quadratic = guest("quadratic");
        let run = ["run", &quadratic, "--storage", database, "--max-trials", "21", "-n", trials];
        let brute_force = ["--sampler", "brute-force", "--fix", "x=2"];
        run_herd(&scene, processes, &[&run[..], &brute_force].concat());
        let trials = assert_complete_and_gapless(&scene, database, POINTS);
        let points: BTreeSet<String> =
            trials.iter().map(|trial| trial["params"].to_string()).collect();
        assert_eq!(points.len(), POINTS, "{points:?}");
    }
}

/// The JSON lines of processes with the same arguments that are let go at once, all of which end with 0.
#[track_caller]
fn run_herd(scene: &Scene, n_processes: usize, arguments: &[&str]) -> Vec<Ran> {
    let arguments = [arguments, &["--format", "json"]].concat();
    let ran = run_together((0..n_processes).map(|_| scene.command(&arguments)).collect());
    for ran in &ran {
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    ran
}

/// Starts processes that wait at a gate, opens it, and waits for their ends.
pub(crate) fn run_together(commands: Vec<Command>) -> Vec<Ran> {
    let (gate, opener) = std::io::pipe().unwrap();
    let start = |command: &Command| {
        let mut waiting = Command::new("sh");
        waiting.args(["-c", "read gate; exec \"$0\" \"$@\""]);
        waiting.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => waiting.env(name, value),
                None => waiting.env_remove(name),
            };
        }
        waiting.current_dir(command.get_current_dir().unwrap());
        waiting.stdin(gate.try_clone().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        waiting.spawn().unwrap()
    };
    let children: Vec<_> = commands.iter().map(start).collect();
    // The gate is a pipe: it opens for all at once when its last writer closes it.
    drop(opener);
    std::thread::scope(|scope| {
        let wait = |child: std::process::Child| scope.spawn(|| child.wait_with_output().unwrap());
        let waits: Vec<_> = children.into_iter().map(wait).collect();
        waits.into_iter().map(|wait| Ran::from(wait.join().unwrap())).collect()
    })
}

/// The trials of the only study of a database, after it was found to have this many, numbered from 0 without a
/// gap, each of them COMPLETE.
#[track_caller]
pub(crate) fn assert_complete_and_gapless(
    scene: &Scene,
    database: &str,
    n_trials: usize,
) -> Vec<Value> {
    let trials = scene.json(&["study", "trials", "--storage", database]);
    let numbers: Vec<u64> = trials.iter().map(|trial| trial["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..n_trials as u64).collect::<Vec<_>>());
    let others: Vec<&Value> = trials.iter().filter(|trial| trial["state"] != "COMPLETE").collect();
    assert!(others.is_empty(), "{others:?}");
    trials
}
