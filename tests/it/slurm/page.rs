//! The batch scripts of `docs/alliance.md`, unchanged.

use super::cluster::Cluster;
use crate::scene::{Scene, guest, root};
use std::os::unix::fs::symlink;

/// Runs each of the page's scripts as an array of four tasks.
#[track_caller]
pub(super) fn check_scripts_of_the_page(scene: &Scene, cluster: &Cluster) {
    std::fs::create_dir(scene.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_trialbox"), scene.path("bin/trialbox")).unwrap();
    symlink(root().join("examples/digits/data"), scene.path("data")).unwrap();
    std::fs::create_dir(scene.path("tmpdir")).unwrap();
    let tmpdir = scene.path("tmpdir").display().to_string();
    let scripts = scripts();
    assert_eq!(scripts.len(), 2);
    for (script, objective) in scripts.iter().zip(["quadratic", "digits"]) {
        let _ = std::fs::remove_file(scene.path("objective.wasm"));
        symlink(guest(objective), scene.path("objective.wasm")).unwrap();
        // Each component needs a study of its own; the page has one name for all.
        let script = script.replace("NAME", objective);
        std::fs::write(scene.path("script.sh"), script).unwrap();
        let job =
            cluster.sbatch_with(&[("SLURM_TMPDIR", &tmpdir)], &["--array=1-4%2", "script.sh"]);
        let tasks = cluster.wait_for(job);
        let ends: Vec<&str> = tasks.values().map(|task| task.exit_code.as_str()).collect();
        assert_eq!(ends, ["0:0"; 4], "{objective}");
        let of_study = ["--storage", "study.db", "--study-name", objective];
        let trials = scene.json(&[&["study", "trials"][..], &of_study].concat());
        let is_done = |state: &str| state == "COMPLETE" || state == "PRUNED";
        assert!(trials.iter().all(|trial| is_done(trial["state"].as_str().unwrap())));
        assert_eq!(trials.len(), 4, "{objective}");
        // As on the page, the array has one log.
        let log = std::fs::read_to_string(scene.path(&format!("{objective}-{job}.log"))).unwrap();
        assert_eq!(log.lines().filter(|line| line.contains(": trial ")).count(), 4, "{log}");
    }
}

/// Returns the page's fenced blocks that are whole scripts.
fn scripts() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/alliance.md")).unwrap();
    let blocks = page.split("```bash\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.starts_with("#!/bin/bash")).map(str::to_owned).collect()
}
