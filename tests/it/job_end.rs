//! Jobs whose time is over: no signal tells them, and nothing is lost.

use crate::scene::{Ran, Scene, guest};
use crate::scripted::{Call, Ending, component, endless, float};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Runs an endless objective in a job whose time is over long after the objective has reported, on this machine as
/// busy as it is now.
fn run_out_of_time(scene: &Scene, flags: &[&str]) -> Ran {
    let time = format!("{}s", RESERVE + time_for_a_trial(scene).as_secs());
    let reserve = format!("{RESERVE}s");
    let job = ["run", endless(scene), "--job-time", &time, "--reserve", &reserve];
    scene.trialbox(&[&job[..], flags].concat())
}

/// The part of a job's time in which no trial runs, in seconds.
const RESERVE: u64 = 2;

/// Returns ten times as long as a process takes here and now for a trial with the same reports, at least 3 s.
fn time_for_a_trial(scene: &Scene) -> Duration {
    let calls = [float("x", 0.0, 1.0), Call::Report(0.25, 0), Call::Report(0.75, 1)];
    std::fs::write(scene.path("ends.wasm"), component(&calls, &Ending::Values(&[0.0]))).unwrap();
    let started = Instant::now();
    let ran = scene.trialbox(&["run", "ends.wasm", "--storage", "other.db", "--no-cache"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    (10 * started.elapsed()).max(Duration::from_secs(3))
}

fn trials(scene: &Scene) -> Vec<Value> {
    scene.json(&["study", "trials"])
}

#[test]
fn a_trial_at_the_end_of_its_job_is_recorded_with_what_it_has_and_waits_again() {
    let scene = Scene::new("job-end-retry");
    let ran = run_out_of_time(&scene, &["-n", "5", "--max-retries", "1"]);
    assert_eq!(ran.code, Some(75), "{ran:?}");
    for piece in ["because its job's time was over", "it was requeued as trial 1", "time is over"] {
        assert!(ran.stdout.contains(piece), "`{piece}` is missing in {}", ran.stdout);
    }
    let found = trials(&scene);
    assert_eq!(found.len(), 2, "no second trial was begun: {found:?}");
    assert_eq!((&found[0]["state"], &found[1]["state"]), (&json!("FAIL"), &json!("WAITING")));
    assert_eq!(found[0]["system_attrs"]["trialbox:failure"]["code"], "E-INTERRUPTED");
    assert_eq!(found[0]["intermediate_values"], json!([[0, 0.25], [1, 0.75]]));
    assert_eq!(found[0]["params"]["x"], found[1]["params"]["x"]);
    assert!(found[0]["params"]["x"].is_f64(), "{found:?}");

    // The retry has no time either, and was the last.
    let ran = run_out_of_time(&scene, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("it has been tried 2 times and is not tried again"), "{ran:?}");
    let states: Vec<Value> = trials(&scene).iter().map(|trial| trial["state"].clone()).collect();
    assert_eq!(states, ["FAIL", "FAIL"]);
}

#[test]
fn a_trial_at_the_end_of_its_job_may_count_as_pruned_or_failed_instead() {
    let scene = Scene::new("job-end-prune");
    let ran = run_out_of_time(&scene, &["--on-deadline", "prune"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = run_out_of_time(&scene, &["--on-deadline", "fail"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let found = trials(&scene);
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!((&found[0]["state"], &found[0]["values"]), (&json!("PRUNED"), &json!([0.75])));
    assert_eq!(found[1]["state"], "FAIL");
}

#[test]
fn a_process_gives_up_after_as_many_failures_as_it_may_have() {
    let scene = Scene::new("job-end-failures");
    let misfit = guest("misfit");
    let run = ["run", &misfit, "-n", "5", "--max-failures", "2", "--format", "json"];
    let ran = scene.trialbox(&run);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let events: Vec<Value> = ran.json().iter().map(|line| line["event"].clone()).collect();
    assert_eq!(events, ["trial", "trial", "too_many_failures"]);
    // Those of earlier processes do not count.
    assert_eq!(scene.trialbox(&run).json().len(), 3);
    assert_eq!(trials(&scene).len(), 4);
}

/// Slurm would kill the whole job, and the user would not learn why.
#[test]
fn a_guest_that_wants_more_memory_than_its_job_has_fails_with_the_reason() {
    let scene = Scene::new("job-end-memory");
    let run = |flags: &[&str]| {
        let misfit = guest("misfit");
        let mut command = scene.command(&["run", &misfit, "--env", "MISFIT=alloc"]);
        command.args(flags).env("SLURM_JOB_ID", "1").env("SLURM_MEM_PER_NODE", "100");
        command.env("SLURM_JOB_END_TIME", "4000000000");
        Ran::from(command.output().unwrap()).stdout
    };
    let failed = run(&[]);
    assert!(
        failed.contains("E-MEM")
            && failed.contains("limit `memory` allows 36 MiB; raise it with --max-memory"),
        "{failed}"
    );
    // Who says how much knows best.
    let failed = run(&["--max-memory", "50MiB"]);
    assert!(
        failed.contains("limit `memory` allows 50 MiB; raise it with --max-memory"),
        "{failed}"
    );
}

#[test]
fn no_trial_is_begun_that_cannot_end() {
    let scene = Scene::new("job-end-min-time");
    let job = ["run", &guest("quadratic"), "--job-time", "1h", "--format", "json"];
    let ran = scene.trialbox(&[&job[..], &["--min-time", "2h"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()[0]["event"], "job_ends");
    let ran = scene.trialbox(&[&job[..], &["--min-time", "1m"]].concat());
    assert_eq!(ran.json()[0]["event"], "trial", "{ran:?}");
    // What is held back for recording is no time for trials.
    let ran = scene.trialbox(&[&job[..], &["--min-time", "1m", "--reserve", "3590s"]].concat());
    assert_eq!(ran.json()[0]["event"], "job_ends", "{ran:?}");
    assert_eq!(trials(&scene).len(), 1);
    // In a study that is complete no time is missing.
    let complete = ["--max-trials", "1", "--min-time", "2h"];
    let ran = scene.trialbox(&[&job[..], &complete].concat());
    assert_eq!(ran.json()[0]["event"], "budget_reached", "{ran:?}");
    // Where nothing is left at all, the objective is not even compiled.
    let ran = scene.trialbox(&["run", "none.wasm", "--job-time", "0s"]);
    assert_eq!((ran.code, ran.stderr.contains("time is over")), (Some(0), true), "{ran:?}");
}

#[test]
fn the_objective_is_told_how_long_its_job_leaves_it() {
    let scene = Scene::new("job-end-remaining");
    let remaining = component(&[Call::Remaining], &Ending::Floats(1));
    std::fs::write(scene.path("remaining.wasm"), remaining).unwrap();
    let seconds = |flags: &[&str]| {
        let told = scene.json(&[&["run", "remaining.wasm"], flags].concat());
        told[0]["values"][0].as_f64()
    };
    let job = ["--job-time", "1h", "--reserve", "10s"];
    let told = seconds(&job).unwrap();
    assert!(told > 3000.0 && told <= 3590.0, "{told}");
    let told = seconds(&[&job[..], &["--trial-timeout", "60s"]].concat()).unwrap();
    assert!(told > 30.0 && told <= 60.0, "{told}");
}

#[test]
fn the_signals_that_batch_systems_send_before_the_end_mean_leave_and_sigcont_does_not() {
    for name in [Signal::USR1, Signal::USR2] {
        let scene = Scene::new(&format!("job-end-signal-{}", name.as_raw()));
        let mut child = start(&scene);
        await_report(&scene, &mut child);
        let pid = Pid::from_child(&child);
        kill_process(pid, Signal::CONT).unwrap();
        kill_process(pid, name).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(75), "{ended:?}");
        let found = trials(&scene);
        assert_eq!((&found[0]["state"], &found[1]["state"]), (&json!("FAIL"), &json!("WAITING")));
        let failure = &found[0]["system_attrs"]["trialbox:failure"];
        assert_eq!(failure["code"], "E-INTERRUPTED");
        assert!(failure["message"].as_str().unwrap().contains("(a signal)"), "{failure}");
    }
}

/// As `scancel --full` does, and Slurm wherever it knows processes by their parents.
#[cfg(feature = "failpoints")]
#[test]
fn a_signal_to_every_process_of_the_job_interrupts_the_trial_like_one_to_the_first() {
    let scene = Scene::new("job-end-every-process");
    let mut child = start(&scene);
    await_report(&scene, &mut child);
    let guest = crate::process::guest_process(&child);
    for name in [Signal::TERM, Signal::USR1, Signal::INT] {
        rustix::process::pidfd_send_signal(&guest, name).unwrap();
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(75));
    let found = trials(&scene);
    assert_eq!((&found[0]["state"], &found[1]["state"]), (&json!("FAIL"), &json!("WAITING")));
    assert_eq!(found[0]["system_attrs"]["trialbox:failure"]["code"], "E-INTERRUPTED");
}

fn start(scene: &Scene) -> Child {
    let mut command = scene.command(&["run", endless(scene)]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the trial's reports are in the study.
fn await_report(scene: &Scene, child: &mut Child) {
    loop {
        let ran = scene.trialbox(&["study", "trials", "--format", "json"]);
        if ran.code == Some(0) && ran.stdout.contains("0.75") {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
    }
}
