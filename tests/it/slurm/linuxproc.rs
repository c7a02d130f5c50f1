//! Tests that need only Slurm's programs.

mod cluster;

use super::checkpoints::{Counting, check_that_interruptions_leave_no_trace};
use super::cluster::{Cluster, Options, Proctrack};
use super::faults;
use super::page::check_scripts_of_the_page;
use super::recipe::{Recipe, lay_out_objective};
use super::submit::check_submit_to_the_complete_study;
use super::time_limit::{check_that_no_trial_stays_running, endless_program};
use crate::scene::Scene;
use serde_json::Value;

#[test]
fn the_wiki_recipe_with_trialbox_in_it_completes_every_task() {
    let scene = Scene::new("slurm-recipe-linuxproc");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    lay_out_objective(&scene);
    let program = "trialbox run quadratic.wasm";
    let recipe = Recipe { array: "1-32%16", program, database: "study.db", setup: "" };
    recipe.run(&scene, &cluster).assert_nothing_was_lost(32);
}

#[test]
fn no_trial_stays_running_when_its_jobs_time_is_over_however_it_was_started() {
    let scene = Scene::new("slurm-time-limit-linuxproc");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    check_that_no_trial_stays_running(&scene, &cluster, endless_program(&scene));
}

#[test]
fn the_doctor_of_a_healthy_cluster_finds_its_nodes_locks_and_clocks_in_order() {
    let scene = Scene::new("slurm-doctor");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    let examined = ["doctor", "--slurm", "--storage", "study.db", "--format", "json"];
    let printed = cluster.run("trialbox", &examined);
    let lines = printed.lines().map(|line| serde_json::from_str(line).unwrap());
    let findings: Vec<Value> = lines.filter(|line: &Value| line["event"] == "finding").collect();
    let severity = |code: &str| {
        let found = findings.iter().find(|finding| finding["code"] == code);
        found.map(|finding| finding["severity"].as_str().unwrap())
    };
    let checked = ["same-folder", "locks", "caches", "names", "parent", "requeue"];
    for code in checked {
        assert_eq!(severity(code), Some("ok"), "{code}: {printed}");
    }
    // On a busy machine messages are slow.
    assert_ne!(severity("clocks"), Some("warning"), "{printed}");
    // The checks between two nodes were made.
    assert_eq!(severity("one-node"), None, "{printed}");
    let left = std::fs::read_dir(&scene.folder).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.contains("probe")).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_scripts_of_the_page_for_the_alliance_run_as_they_stand_there() {
    let scene = Scene::new("slurm-page");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    check_scripts_of_the_page(&scene, &cluster);
}

#[test]
fn a_study_is_complete_whatever_happened_to_its_jobs_nodes_and_controller() {
    let scene = Scene::new("slurm-faults-linuxproc");
    let mut cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    faults::run_study_through_a_bad_night(&scene, &mut cluster, &faults::slow_program(&scene));
    faults::assert_complete(&scene);
}

#[test]
fn submit_leads_from_nothing_to_the_complete_study_and_its_scripts_pass_shellcheck() {
    let scene = Scene::new("slurm-submit-linuxproc");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    check_submit_to_the_complete_study(&scene, &cluster);
}

#[test]
fn a_trial_that_slurm_interrupts_three_times_ends_with_the_value_of_one_that_it_does_not_to_the_bit()
 {
    let scene = Scene::new("slurm-checkpoints-linuxproc");
    let mut options = Options::new(Proctrack::Linuxproc);
    (options.nodes, options.cpus) = (1, 1);
    let cluster = Cluster::start(&scene, &options);
    check_that_interruptions_leave_no_trace(&scene, &cluster, Counting::Component);
}
