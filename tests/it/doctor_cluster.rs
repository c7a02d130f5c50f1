//! `trialbox doctor --slurm` on a fake Slurm of shell scripts. The two tasks of the job are real, and run on two
//! "nodes" of this machine.

use crate::scene::{Ran, Scene};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A script that reads the flags, and leaves the program and the folder in `$2` and `$3`.
const SBATCH: &str = r#"
case $1 in --version) echo "slurm 23.11.4"; exit;; esac
while [ $# -gt 3 ]; do
    case $1 in
        --output=*) log=${1#--output=};;
        --nodes=*) nodes=${1#--nodes=};;
    esac
    shift
done
task() { # RANK NODE FOLDER
    SLURM_JOB_ID=17 SLURM_PROCID=$1 SLURMD_NODENAME=$2 SLURM_JOB_END_TIME=4000000000 \
        sh -c 'SLURM_TASK_PID=$$ exec "$0" __probe "$1"' "$program" "$3" >>"$log" 2>&1 &
}
program=$2
"#;

/// A script that prints settings in Slurm's format.
const SCONTROL: &str = r#"
case $2 in
    job) echo "JobId=17 JobState=FAILED ExitCode=1:0 NodeList=n[1-2]";;
    config) echo "KillWait                = 30 sec"
            echo "ProctrackType           = proctrack/cgroup"
            echo "SLURM_VERSION           = 23.11.4";;
esac
"#;

#[test]
fn two_nodes_that_share_locks_caches_and_names_are_said_to() {
    let scene = Scene::new("doctor-cluster-sound");
    let slurm = FakeSlurm::new(&scene, "task 0 n1 \"$3\"; task 1 n2 \"$3\"; echo 17");
    let (code, findings, summary) = slurm.doctor(scene.folder.as_path(), &[]);
    assert_eq!(code, Some(0));
    for code in [
        "same-folder",
        "locks",
        "caches",
        "names",
        "cpu-mix",
        "cache",
        "job-end",
        "parent",
        "kill-wait",
    ] {
        assert_eq!(findings[code]["severity"], "ok", "{code}: {findings:?}");
    }
    assert_eq!(findings["signals"]["severity"], "note");
    // On a busy machine messages are slow.
    assert_ne!(findings["clocks"]["severity"], "warning");
    assert_eq!((&summary["errors"], &summary["warnings"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(summary["slurm_version"], "23.11.4");
    let nodes = summary["nodes"].as_array().unwrap();
    let names: Vec<&Value> = nodes.iter().map(|node| &node["facts"]["node"]).collect();
    assert_eq!(names, ["n1", "n2"]);
    assert!(nodes.iter().all(|node| node["problem"].is_null()), "{summary}");
    let text = slurm.run(&scene.folder, &[]).stdout;
    assert!(text.starts_with("job 17 of Slurm 23.11.4; trialbox "), "{text}");
    assert!(text.contains("\nok[locks]: locks on files hold between both nodes: "), "{text}");
    assert!(text.contains("\n0 errors, 0 warnings, "), "{text}");
    assert_eq!(text.lines().last(), Some("Studies are safe in this folder."));
    assert_eq!(text.matches("n1").count(), 1, "{text}");
    slurm.assert_nothing_is_left(&scene.folder);
}

#[test]
fn a_cluster_of_one_node_is_looked_at_as_far_as_that_goes() {
    let scene = Scene::new("doctor-cluster-one-node");
    let slurm = FakeSlurm::new(
        &scene,
        "[ $nodes = 1 ] || { echo 'Node count specification invalid' >&2; exit 1; }
         task 0 n1 \"$3\"; task 1 n1 \"$3\"; echo 17",
    );
    let (code, findings, _) = slurm.doctor(scene.folder.as_path(), &[]);
    assert_eq!(code, Some(0));
    assert_eq!(findings["one-node"]["severity"], "warning");
    let found = findings["one-node"]["found"].as_str().unwrap();
    assert!(found.contains("Node count specification invalid"), "{found}");
    assert_eq!(findings["locks"]["severity"], "ok");
}

#[test]
fn a_job_without_results_is_an_error_that_quotes_its_log() {
    let scene = Scene::new("doctor-cluster-no-results");
    let slurm = FakeSlurm::new(&scene, "echo 'execve(): trialbox: not found' >\"$log\"; echo 17");
    let (code, findings, _) = slurm.doctor(scene.folder.as_path(), &[]);
    assert_eq!(code, Some(3));
    let finding = &findings["no-results"];
    assert_eq!(finding["severity"], "error");
    let found = "job 17 (FAILED, exit code 1:0, on n[1-2]) left no results beside the study";
    assert_eq!(finding["found"], found);
    assert_eq!(finding["meaning"], "its log ends with `execve(): trialbox: not found`");
    slurm.assert_nothing_is_left(&scene.folder);
}

#[test]
fn a_job_that_does_not_start_in_time_is_cancelled() {
    let scene = Scene::new("doctor-cluster-wait");
    let slurm = FakeSlurm::new(&scene, "echo 17");
    slurm.script("squeue", "echo 'PENDING|Resources|'");
    let ran = slurm.run(&scene.folder, &["--wait", "3s", "--", "--partition", "busy"]);
    ran.assert_error(2, &["job 17 waits (Resources) after 3.0 s", "--partition NAME"]);
    let cancelled = std::fs::read_to_string(scene.path("cancelled")).unwrap();
    assert_eq!(cancelled, "17\n");
    slurm.assert_nothing_is_left(&scene.folder);
}

#[test]
fn what_sbatch_refuses_is_said_in_its_words_and_without_slurm_what_is_missing() {
    let scene = Scene::new("doctor-cluster-refused");
    let slurm = FakeSlurm::new(&scene, "echo 'invalid account' >&2; exit 1");
    let ran = slurm.run(&scene.folder, &[]);
    ran.assert_error(2, &["`sbatch` says: invalid account", "-- --account NAME"]);
    slurm.assert_nothing_is_left(&scene.folder);
    let mut nowhere = scene.command(&["doctor", "--slurm"]);
    let ran = Ran::from(nowhere.env("PATH", scene.path("nowhere")).output().unwrap());
    ran.assert_error(2, &["cannot find Slurm: `sbatch` cannot be started"]);
}

#[test]
fn a_task_whose_other_never_comes_reports_that_and_what_it_is_itself() {
    let scene = Scene::new("doctor-cluster-alone");
    let folder = scene.folder.display().to_string();
    let ran = scene.trialbox(&["__probe", &folder, "--rank", "1", "--timeout", "50ms"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = std::fs::read_to_string(scene.path("report.1")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let problem = "the other task did not answer within 0.05 s, at the step `hello`";
    assert_eq!(report["problem"], problem);
    assert_eq!(report["facts"]["arch"], std::env::consts::ARCH);
    let missing = scene.trialbox(&["__probe", "no/such", "--rank", "0"]);
    missing.assert_error(2, &["cannot find the folder `no/such` on this node"]);
}

/// Tests that need bindfs.
mod two_nodes {
    use super::FakeSlurm;
    use crate::scene::Scene;
    use crate::two_nodes::{Caches, TwoNodes};

    #[test]
    fn locks_and_caches_that_end_at_the_node_are_found_and_names_that_do_not_are_too() {
        let scene = Scene::new("doctor-cluster-two-nodes");
        let nodes = TwoNodes::mount(&scene, Caches::Kept);
        let slurm = FakeSlurm::new(
            &scene,
            "task 0 n1 \"$3\"; task 1 n2 \"$(echo \"$3\" | sed s,/node1/,/node2/,)\"; echo 17",
        );
        let (code, findings, _) = slurm.doctor(nodes.point(0), &[]);
        assert_eq!(code, Some(0));
        let found = |code: &str| -> (&str, &str) {
            (
                findings[code]["severity"].as_str().unwrap(),
                findings[code]["found"].as_str().unwrap(),
            )
        };
        assert_eq!(found("locks"), ("warning", "locks on files do not hold between both nodes"));
        let stale =
            "one node keeps reading the old contents of an open file that the other has changed";
        assert_eq!(found("caches"), ("warning", stale));
        assert_eq!(found("names").0, "ok");
        slurm.assert_nothing_is_left(nodes.point(0));
    }
}

/// The commands of a fake Slurm.
struct FakeSlurm<'a> {
    scene: &'a Scene,
    bin: PathBuf,
}

impl<'a> FakeSlurm<'a> {
    /// Writes the commands. `submit` is the code of sbatch after its flags.
    fn new(scene: &'a Scene, submit: &str) -> Self {
        let bin = scene.path("bin");
        std::fs::create_dir(&bin).unwrap();
        let slurm = FakeSlurm { scene, bin };
        slurm.script("sbatch", &format!("{SBATCH}\n{submit}"));
        slurm.script("squeue", "");
        slurm.script("scontrol", SCONTROL);
        let cancelled = scene.path("cancelled");
        slurm.script("scancel", &format!("echo \"$@\" >>'{}'", cancelled.display()));
        slurm
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs `doctor --slurm` for a study in a folder.
    fn run(&self, folder: &Path, arguments: &[&str]) -> Ran {
        let database = folder.join("s.db").display().to_string();
        let own = ["doctor", "--slurm", "--storage", &database];
        let mut command = self.scene.command(&[&own, arguments].concat());
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.bin.display()));
        command.output().unwrap().into()
    }

    /// Returns the exit code, the findings by code, and the summary.
    #[track_caller]
    fn doctor(
        &self,
        folder: &Path,
        arguments: &[&str],
    ) -> (Option<i32>, BTreeMap<String, Value>, Value) {
        let ran = self.run(folder, &[arguments, &["--format", "json"]].concat());
        let mut lines = ran.json();
        let summary = lines.pop().unwrap_or_else(|| panic!("{ran:?}"));
        assert_eq!(summary["event"], "summary", "{ran:?}");
        let by_code =
            lines.into_iter().map(|line| (line["code"].as_str().unwrap().to_owned(), line));
        (ran.code, by_code.collect(), summary)
    }

    #[track_caller]
    fn assert_nothing_is_left(&self, folder: &Path) {
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> =
            names.filter(|name| name.to_string_lossy().starts_with(".trialbox")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
