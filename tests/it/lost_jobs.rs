//! Trials of jobs on other nodes whose processes are gone, where Slurm can be asked: by scripts in the place of its
//! commands, which keep what they were asked.

use crate::kill::trials;
use crate::process::{DATABASE, Ended, HANGS, RETURNS_X, end};
use crate::scene::Scene;
use crate::scripted::endless;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn reap_asks_slurm_once_and_says_how_each_loss_is_known() {
    let scene = Scene::new("lost-jobs-reap");
    let slurm = Slurm::new(&scene, "printf '17|TIMEOUT|0|\\n18|RUNNING|0|\\n'");
    slurm.leave_behind("17");
    slurm.leave_behind("18");
    slurm.leave_behind("19");
    let reaped = slurm.trialbox(&["reap"], &[]);
    let lost: Vec<_> = reaped.events_of("trial_lost").collect();
    assert_eq!(lost.len(), 2, "{reaped:?}");
    let known = |index: usize| [&lost[index]["known_by"], &lost[index]["scheduler_state"]];
    assert_eq!(known(0), ["scheduler", "TIMEOUT"]);
    assert_eq!(lost[0]["reason"], "its process is gone: job 17 ended as TIMEOUT");
    assert_eq!(known(1), [&serde_json::json!("scheduler"), &serde_json::Value::Null]);
    assert_eq!(lost[1]["reason"], "its process is gone: job 19 is not known to Slurm any more");
    // In the end accounting, which knows no more here.
    assert_eq!(slurm.asked(), ["scontrol", "squeue", "sacct"]);

    let trials = trials(&scene);
    let states: Vec<_> = trials.iter().map(|trial| trial["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["FAIL", "RUNNING", "FAIL", "WAITING", "WAITING"]);
    let failure = &trials[0]["system_attrs"]["trialbox:failure"];
    assert_eq!(
        (&failure["code"], &failure["scheduler_state"]),
        (&"E-LOST".into(), &"TIMEOUT".into())
    );
    assert_eq!(trials[2]["system_attrs"]["trialbox:failure"].get("scheduler_state"), None);
}

#[test]
fn a_task_that_starts_asks_slurm_only_if_a_heart_was_silent_for_a_minute() {
    let scene = Scene::new("lost-jobs-gentle");
    let slurm = Slurm::new(&scene, "printf '17|NODE_FAIL|0|\\n20|RUNNING|0|\\n'");
    slurm.leave_behind("17");
    let returns = scene.objective("returns", RETURNS_X);
    let task = [("SLURM_JOB_ID", "20"), ("SLURM_CLUSTER_NAME", "c")];
    let run = |_: &str| slurm.trialbox(&["run", &returns], &task);

    let first = run("the heart beats");
    assert_eq!((first.code, first.events_of("trial").count()), (Some(0), 1), "{first:?}");
    assert_eq!(slurm.asked(), [""; 0]);

    slurm.silence_hearts("-90 seconds");
    let second = run("the heart is silent");
    assert!(
        second.stderr.contains("trial 0 was lost (its process is gone: job 17 ended as NODE_FAIL)"),
        "{second:?}"
    );
    assert_eq!(slurm.asked(), ["squeue"]);
    // It ran the retry of the lost trial.
    let trials = trials(&scene);
    assert_eq!(trials.len(), 3, "{trials:?}");
    assert_eq!(trials[2]["system_attrs"]["failed_trial"], 0);
    assert_eq!(trials[2]["state"], "COMPLETE");
}

#[test]
fn the_last_task_of_a_study_completes_what_the_others_lost() {
    let scene = Scene::new("lost-jobs-last");
    let slurm = Slurm::new(&scene, "cat jobs");
    slurm.leave_behind("17");
    let returns = scene.objective("returns", RETURNS_X);
    let last = || slurm.trialbox(&["run", &returns, "--max-trials", "1", "--override"], &[]);

    std::fs::write(scene.path("jobs"), "17|RUNNING|0|\n").unwrap();
    let ended = last();
    assert_eq!((ended.code, ended.events_of("budget_reached").count()), (Some(0), 1), "{ended:?}");
    assert_eq!(slurm.asked(), ["scontrol", "squeue"]);

    std::fs::write(scene.path("jobs"), "17|OUT_OF_MEMORY|0|\n").unwrap();
    let ended = last();
    assert_eq!((ended.code, ended.events_of("budget_reached").count()), (Some(0), 0), "{ended:?}");
    let states: Vec<_> = trials(&scene).iter().map(|trial| trial["state"].clone()).collect();
    assert_eq!(states, ["FAIL", "COMPLETE"]);
    // Nothing runs any more, so Slurm is not asked.
    slurm.asked();
    assert_eq!(last().events_of("budget_reached").count(), 1);
    assert_eq!(slurm.asked(), [""; 0]);
}

#[test]
fn a_search_that_has_tried_everything_looks_for_what_was_lost_first() {
    let scene = Scene::new("lost-jobs-grid");
    let slurm = Slurm::new(&scene, "printf '17|OUT_OF_MEMORY|0|\\n'");
    let returns = scene.objective("returns", RETURNS_X);
    let grid = ["--sampler", "grid", "--sampler-opt", r#"search_space={"x": [0.25, 0.75]}"#];
    let first = slurm.trialbox(&[&["run", &returns][..], &grid].concat(), &[]);
    assert_eq!(first.code, Some(0), "{first:?}");
    slurm.leave_behind("17");
    let last = slurm.trialbox(&["run", &returns, "-n", "5"], &[]);
    assert_eq!(last.code, Some(0), "{last:?}");
    assert_eq!(last.events_of("search_exhausted").count(), 1, "{last:?}");
    let states: Vec<_> = trials(&scene).iter().map(|trial| trial["state"].clone()).collect();
    // As in Optuna, a point that is only being tried may be tried again; then the lost trial's retry was run.
    assert_eq!(states, ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]);
}

#[test]
fn where_slurm_does_not_answer_hearts_tell_and_the_run_goes_on() {
    let scene = Scene::new("lost-jobs-silent");
    let slurm = Slurm::new(&scene, "echo 'Unable to contact slurm controller' >&2; exit 1");
    slurm.leave_behind("17");
    slurm.silence_hearts("-90 seconds");
    let returns = scene.objective("returns", RETURNS_X);
    let ran = slurm.trialbox(&["run", &returns], &[]);
    assert_eq!((ran.code, ran.events_of("trial").count()), (Some(0), 1), "{ran:?}");
    assert_eq!(slurm.asked(), ["scontrol", "squeue"]);
    slurm.silence_hearts("-1 hour");
    let reaped = slurm.trialbox(&["reap"], &[]);
    assert_eq!(reaped.events_of("reaped").next().unwrap()["suspects"], serde_json::json!([0]));
    assert_eq!(trials(&scene)[0]["state"], "RUNNING");
}

#[test]
fn a_job_requeues_itself_but_an_old_copy_of_it_does_not() {
    for (restarts, why, asked) in [
        ("0", "job 12_3 was requeued", &["squeue", "scontrol"][..]),
        (
            "1",
            "was not requeued: Slurm has restarted it elsewhere, and this process is an old copy",
            &["squeue"],
        ),
    ] {
        let scene = Scene::new(&format!("lost-jobs-requeue-{restarts}"));
        let squeue = format!("printf '18|12|4|9|5:00|\\n17|12|3|{restarts}|5:00|\\n'");
        let slurm = Slurm::new(&scene, &squeue);
        let run = ["run", endless(&scene), "--requeue", "--job-time", "5s", "--reserve", "2s"];
        let ended = slurm.trialbox(&run, &[("SLURM_JOB_ID", "17")]);
        assert_eq!(ended.code, Some(75), "{ended:?}");
        assert!(ended.stderr.contains(why), "{ended:?}");
        assert_eq!(slurm.asked(), asked);
    }
}

#[test]
fn a_slurm_that_does_not_answer_at_first_is_asked_again_when_the_job_ends() {
    let scene = Scene::new("lost-jobs-asked-again");
    let first = "[ -e busy ] || { touch busy; echo 'Socket timed out' >&2; exit 1; }";
    let slurm = Slurm::new(&scene, &format!("{first}\nprintf '17|17|N/A|0|0:06|\\n'"));
    let mut command = scene.on_study(&["run", endless(&scene)]);
    slurm.surround(&mut command, &[("SLURM_JOB_ID", "17")]).env_remove("SLURM_JOB_END_TIME");
    let ended = Ended::from(command.output().unwrap());
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert!(ended.stderr.contains("the end of job 17 is not known yet"), "{ended:?}");
    let failure = &trials(&scene)[0]["system_attrs"]["trialbox:failure"];
    assert_eq!(failure["code"], "E-INTERRUPTED");
}

/// Scripts in the place of Slurm's commands, of which `squeue` is the test's.
struct Slurm<'a> {
    scene: &'a Scene,
}

impl<'a> Slurm<'a> {
    fn new(scene: &'a Scene, squeue: &str) -> Self {
        std::fs::create_dir(scene.path("bin")).unwrap();
        for (program, body) in [
            ("squeue", squeue),
            ("scontrol", "echo 'ClusterName             = c'"),
            ("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1"),
        ] {
            let path = scene.path(&format!("bin/{program}"));
            std::fs::write(&path, format!("#!/bin/sh\necho {program} >> asked\n{body}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        Slurm { scene }
    }

    /// Runs a command to its end, with the variables of a task.
    fn trialbox(&self, arguments: &[&str], task: &[(&str, &str)]) -> Ended {
        self.surround(&mut self.scene.on_study(arguments), task).output().unwrap().into()
    }

    fn surround<'b>(&self, command: &'b mut Command, task: &[(&str, &str)]) -> &'b mut Command {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.scene.path("bin").display());
        let uid = rustix::process::getuid().as_raw().to_string();
        // A process that is told when its job ends does not ask.
        command.env("SLURM_JOB_END_TIME", "4000000000");
        command.env("PATH", path).env("SLURM_JOB_UID", uid).envs(task.iter().copied())
    }

    /// Leaves a RUNNING trial of a job whose process is gone, on what seems to be another machine.
    fn leave_behind(&self, job: &str) {
        let n_before = self.running();
        let hangs = self.scene.objective("hangs", HANGS);
        let mut command = self.scene.on_study(&["run", &hangs]);
        let task = [("SLURM_JOB_ID", job), ("SLURM_CLUSTER_NAME", "c")];
        let mut child = self.surround(&mut command, &task).spawn().unwrap();
        while self.running() == n_before {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it ran a trial");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        assert!(end(child).was_killed());
        self.change(
            "UPDATE trial_system_attributes SET value_json = json_set(value_json, '$.boot_id', 'x')
             WHERE key = 'trialbox:owner'",
        );
    }

    fn running(&self) -> usize {
        let ran = self.scene.on_study(&["study", "trials", "--state", "running"]).output().unwrap();
        // Until there is a study an error is what it prints.
        if ran.status.success() { Ended::from(ran).events.len() } else { 0 }
    }

    /// Has the hearts of all RUNNING trials have beaten last at a time before now.
    fn silence_hearts(&self, age: &str) {
        self.change(&format!("UPDATE trial_heartbeats SET heartbeat = datetime('now', '{age}')"));
    }

    fn change(&self, sql: &str) {
        let connection = Connection::open(self.scene.path(DATABASE)).unwrap();
        assert!(connection.execute(sql, []).unwrap() > 0, "{sql}");
    }

    /// What Slurm was asked since this was called last.
    fn asked(&self) -> Vec<String> {
        let log = self.scene.path("asked");
        let asked = std::fs::read_to_string(&log).unwrap_or_default();
        let _ = std::fs::remove_file(&log);
        asked.lines().map(str::to_owned).collect()
    }
}
