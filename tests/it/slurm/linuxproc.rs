//! What needs no more than Slurm's programs.

mod cluster;

use super::cluster::{Cluster, Options, Proctrack};
use super::recipe::{Recipe, lay_out_objective};
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
