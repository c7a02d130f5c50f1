//! Lost trials between trialbox and Python's Optuna: each side reaps and retries what the other has lost.

use crate::interop::python;
use crate::invariants::Inspection;
use crate::kill::{inspect_x, recover, storm, storm_inspection, study, trials};
use crate::process::{DATABASE, Ended, HANGS, RETURNS_X, STUDY, end, resume, wait_until_stopped};
use crate::scene::Scene;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

#[test]
fn optunas_reapers_retry_our_lost_trials_once_each_and_both_sides_complete_the_retries() {
    let scene = Scene::new("interop-kill-ours");
    let (hangs, returns) = (scene.objective("hangs", HANGS), scene.objective("returns", RETURNS_X));
    let mut ours = [
        scene.start("begin.after_commit=stop@1", &["run", &returns]),
        scene.start("begin.after_commit=stop@1", &["run", &returns]),
        scene.start("record.after_commit=stop@1", &["run", &hangs]),
        scene.start("record.after_commit=stop@1", &["run", &hangs]),
        scene.start("finish.before_begin=stop@1", &["run", &returns]),
    ];
    // All at a time: our own next run would reap those that are gone.
    ours.iter().for_each(wait_until_stopped);
    ours[..4].iter_mut().for_each(|child| child.kill().unwrap());
    let [a, b, c, d, stopped] = ours;
    let mut ended: Vec<Ended> = [a, b, c, d].map(end).into();

    let reapers = [0, 1].map(|_| start(scene.python("kill.py", &["reap", DATABASE, STUDY])));
    let reaped = reapers.map(end);
    assert!(reaped.iter().all(|reaper| reaper.code == Some(0)), "{reaped:?}");
    let states = inspect_x(&scene, &ended).recovered().assert_holds();
    assert_eq!(states, [[FAIL; 5], [WAITING; 5]].concat());
    // They copy our owners too, each of which says that it is another trial's.
    let owner = |trial: &Value| trial["system_attrs"]["trialbox:owner"]["trial"].clone();
    let copied = |trial: &Value| owner(trial) == trial["system_attrs"]["failed_trial"];
    assert!(trials(&scene)[5..].iter().all(copied));

    resume(&stopped);
    ended.push(end(stopped));
    assert_eq!(ended[4].code, Some(6), "{ended:?}");
    let key = ended[4].events[0]["kept_as"].as_str().unwrap().to_owned();
    assert_eq!(study(&scene)["user_attrs"][key]["values"], ended[4].events[0]["values"]);

    let (worker, held) = hold(&scene);
    assert_eq!(held["number"], 5);
    // Its copied owner is a process that is gone, and yet it lives.
    let reap = scene.finish("", &["reap"]);
    assert_eq!((reap.events.len(), &reap.events[0]["n_running"]), (1, &json!(1)));
    let_go(worker);
    ended.push(scene.finish("", &["run", &returns, "-n", "4"]));
    let states = inspect_x(&scene, &ended).recovered().assert_holds();
    assert_eq!(states, [[FAIL; 5], [COMPLETE; 5]].concat());
    assert!(trials(&scene)[6..].iter().all(|trial| owner(trial) == trial["number"]));
    optuna_reads_and_both_continue(&scene, ended, inspect_x, &returns, 10);
}

#[test]
fn we_retry_optunas_lost_trials_once_their_hearts_have_stood_still() {
    let scene = Scene::new("interop-kill-theirs");
    let returns = scene.objective("returns", RETURNS_X);
    let mut ended = vec![scene.finish("", &["run", &returns])];
    let mut drawn = vec![];
    let workers = [hold(&scene), hold(&scene)];
    for (mut worker, held) in workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
        drawn.push(held["x"].clone());
    }
    // A heart that has just beaten is no suspect, so that there is nothing yet to wait for.
    let mut lost = vec![];
    while lost.len() < 2 {
        let reaped = scene.finish("", &["reap", "--wait", "--grace", "2s", "--force"]);
        lost.extend(reaped.events_of("trial_lost").map(|event| event["retry"].clone()));
    }
    assert_eq!(lost, [3, 4]);
    let found = trials(&scene);
    for (number, retry) in [(1, 3), (2, 4)] {
        let message = &found[number]["system_attrs"]["trialbox:failure"]["message"];
        assert!(message.as_str().unwrap().contains("has stood still"), "{message}");
        let attrs = json!({ "failed_trial": number, "retry_history": [number] });
        assert_eq!(found[retry]["system_attrs"], attrs);
    }
    ended.push(scene.finish("", &["run", &returns, "-n", "2"]));
    let states = inspect_x(&scene, &ended).recovered().assert_holds();
    assert_eq!(states, [COMPLETE, FAIL, FAIL, COMPLETE, COMPLETE]);
    // A retry has the parameters that the lost trial had.
    let values: Vec<&Value> = ended[1].events.iter().map(|event| &event["values"][0]).collect();
    assert_eq!(values, drawn.iter().collect::<Vec<_>>());
    optuna_reads_and_both_continue(&scene, ended, inspect_x, &returns, 5);
}

#[test]
fn optuna_and_its_dashboard_read_what_a_storm_left_and_both_continue_it() {
    let scene = Scene::new("interop-kill-storm");
    let mut ended = storm(&scene, 64);
    ended.extend(recover(&scene, 64));
    let n_trials = storm_inspection(&scene, &ended).recovered().assert_holds().len();
    let quadratic = crate::scene::guest("quadratic");
    optuna_reads_and_both_continue(&scene, ended, storm_inspection, &quadratic, n_trials);
    let served = python(&scene, &["dashboard", DATABASE]).json().remove(0);
    assert_eq!(served["studies"], json!([STUDY]));
    assert_eq!(served["states"].as_array().unwrap().len(), n_trials + 2);
    assert_eq!(served["status"], json!({ "dashboard": 200, "importances": 200, "csv": 200 }));
}

const WAITING: &str = "WAITING";
const COMPLETE: &str = "COMPLETE";
const FAIL: &str = "FAIL";

/// I11: Optuna reads all of the study and adds a trial, and after that so do we.
#[track_caller]
fn optuna_reads_and_both_continue(
    scene: &Scene,
    mut ended: Vec<Ended>,
    inspection: for<'a> fn(&Scene, &'a [Ended]) -> Inspection<'a>,
    objective: &str,
    n_trials: usize,
) {
    let best = scene.finish("", &["study", "best"]).events[0]["number"].clone();
    let checked = end(start(scene.python("kill.py", &["check", DATABASE, STUDY])));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let seen = json!({ "rows": n_trials, "before": n_trials, "best": best, "after": n_trials + 1 });
    assert_eq!(checked.events, [seen]);
    // The storm's budget is the study's.
    let unlimited = ["--max-trials", "none", "--override"];
    ended.push(scene.finish("", &[&["run", objective], &unlimited[..]].concat()));
    let states = inspection(scene, &ended).recovered().assert_holds();
    assert_eq!(states[n_trials..], [COMPLETE; 2]);
}

fn start(mut command: Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// A worker of Optuna's in the middle of a trial, and what it says of it.
fn hold(scene: &Scene) -> (Child, Value) {
    let mut worker = start(scene.python("kill.py", &["hold", DATABASE, STUDY]));
    let mut line = String::new();
    BufReader::new(worker.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (worker, serde_json::from_str(&line).unwrap())
}

/// Lets a worker finish its trial.
fn let_go(mut worker: Child) {
    worker.stdin.take().unwrap().write_all(b"\n").unwrap();
    let ended = end(worker);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}
