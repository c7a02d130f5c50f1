//! The recipe with trialbox and the original recipe, on one cluster.

use crate::scene::{Scene, root};
use crate::slurm::cluster::{Cluster, Options, Proctrack, bench_environment};
use crate::slurm::faults::{self, N_TRIALS};
use crate::slurm::recipe::{Outcome, Recipe, lay_out_objective};
use serde_json::{Value, json};
use std::path::Path;

#[test]
fn the_wiki_recipe_completes_every_task_with_trialbox_in_it_and_in_less_time_than_with_python() {
    let scene = Scene::new("slurm-recipe");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    lay_out_objective(&scene);
    let program = "trialbox run quadratic.wasm";
    let ours = Recipe { array: "1-200%16", program, database: "study.db", setup: "" }
        .run(&scene, &cluster);
    ours.assert_nothing_was_lost(200);

    let (python, train) = (root().join("target/venv/bin/python"), "tests/it/slurm/train.py");
    let program = format!("{} {}", python.display(), root().join(train).display());
    let recipe = Recipe { array: "1-32%16", program: &program, database: "python.db", setup: "" };
    let pythons = recipe.run(&scene, &cluster);
    record(&ours, &pythons);
    // Timing decides how many of Python's tasks die. Each of the others has a trial.
    assert_eq!(pythons.tasks.len(), 32);
    assert!(pythons.n_complete() >= 32 - pythons.n_dead(), "{:#}", pythons.json());
    let (ours, pythons) = (ours.median_task_seconds(), pythons.median_task_seconds());
    assert!(ours < pythons, "a task of ours takes {ours} s, one of Python's {pythons} s");
}

#[test]
fn the_wiki_recipe_completes_every_task_with_its_own_script_and_another_launch_line() {
    let scene = Scene::new("slurm-recipe-program");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    let environment = bench_environment();
    let (script, n_tasks, setup) = match &environment {
        Some(folder) => {
            std::os::unix::fs::symlink(folder, scene.path("env")).unwrap();
            ("benches/recipe/train.py", 200, "source ~/env/bin/activate\n")
        }
        None => ("examples/program/train.py", 24, ""),
    };
    std::fs::copy(root().join(script), scene.path("train.py")).unwrap();
    let run = |n_tasks: u32, program, database| {
        let array = format!("1-{n_tasks}%16");
        Recipe { array: &array, program, database, setup }.run(&scene, &cluster)
    };
    let ours = run(n_tasks, "trialbox run --as-optuna -- python3 train.py", "study.db");
    ours.assert_all_finished(n_tasks);
    assert_eq!(ours.trials.len(), n_tasks as usize);
    if environment.is_some() {
        let pythons = run(64, "python3 train.py", "python.db");
        let figures = json!({ "trialbox": ours.json(), "optuna": pythons.json() });
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slurm-recipe-program.json");
        std::fs::write(path, format!("{figures:#}\n")).unwrap();
    }
}

/// Writes the figures to a file, for comparisons.
fn record(ours: &Outcome, pythons: &Outcome) {
    let ratio = pythons.median_task_seconds() / ours.median_task_seconds();
    let figures = json!({
        "trialbox": ours.json(), "optuna": pythons.json(), "task seconds: optuna / trialbox": ratio,
    });
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("slurm-recipe.json");
    std::fs::write(path, format!("{figures:#}\n")).unwrap();
}

#[test]
fn a_study_is_complete_and_optuna_opens_it_whatever_happened_to_its_jobs_nodes_and_controller() {
    let scene = Scene::new("slurm-faults");
    let mut cluster = Cluster::start(&scene, &Options::new(Proctrack::Cgroup));
    faults::run_study_through_a_bad_night(&scene, &mut cluster, &faults::slow_component(&scene));
    faults::assert_complete(&scene);
    let database = scene.path("study.db").display().to_string();
    let output = scene.python("interop.py", &["read", &database, "s"]).output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let trials = read["trials"].as_array().unwrap();
    let complete = trials.iter().filter(|trial| trial["state"] == "COMPLETE");
    assert_eq!(complete.count(), N_TRIALS);
}
