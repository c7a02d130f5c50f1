//! What needs no more than Slurm's programs.

mod cluster;

use super::cluster::{Cluster, Options, Proctrack};
use super::recipe::{Recipe, lay_out_objective};
use super::time_limit::check_that_no_trial_stays_running;
use crate::scene::Scene;

#[test]
fn the_wiki_recipe_with_trialbox_in_it_completes_every_task() {
    let scene = Scene::new("slurm-recipe-linuxproc");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    lay_out_objective(&scene);
    let program = "trialbox run quadratic.wasm";
    let recipe = Recipe { array: "1-32%16", program, database: "study.db" };
    recipe.run(&scene, &cluster).assert_nothing_was_lost(32);
}

#[test]
fn no_trial_stays_running_when_its_jobs_time_is_over_however_it_was_started() {
    let scene = Scene::new("slurm-time-limit-linuxproc");
    let cluster = Cluster::start(&scene, &Options::new(Proctrack::Linuxproc));
    check_that_no_trial_stays_running(&scene, &cluster);
}
