//! What stops trials early: chosen by flags, remembered by the study.

use crate::scene::{Scene, digits_data, guest};
use rusqlite::Connection;
use std::collections::BTreeSet;

#[test]
fn a_study_remembers_its_pruner_with_its_options() {
    let scene = Scene::new("pruner-remembered");
    let run = ["run", &guest("quadratic"), "--study-name", "s"];
    let options = ["--pruner", "asha", "--pruner-opt", "reduction_factor=3"];
    scene.json(&[&run[..], &options].concat());
    let shown = scene.trialbox(&["study", "show"]).stdout;
    assert!(shown.contains("pruner       successive-halving, reduction_factor=3\n"), "{shown}");
    scene.json(&run);
    scene
        .trialbox(&[&run[..], &["--pruner", "none"]].concat())
        .assert_error(2, &["--pruner and --pruner-opt", r#"{"name": "nop"}"#, "--override"]);
    scene.json(&[&run[..], &["--pruner", "none", "--override"]].concat());
    assert!(scene.trialbox(&["study", "show"]).stdout.contains("pruner       nop\n"));
}

#[test]
fn a_study_that_was_made_before_there_were_pruners_has_the_default() {
    let scene = Scene::new("pruner-default");
    scene.trialbox(&["study", "create", "--study-name", "s"]);
    assert!(scene.trialbox(&["study", "show"]).stdout.contains("pruner       median\n"));
    let database = Connection::open(scene.path("trialbox.db")).unwrap();
    let delete = "DELETE FROM study_user_attributes WHERE key = 'trialbox:pruner'";
    assert_eq!(database.execute(delete, []).unwrap(), 1);
    let shown = scene.trialbox(&["study", "show"]).stdout;
    assert!(shown.contains("pruner       not chosen yet; `trialbox run` uses median\n"), "{shown}");
    scene.json(&["run", &guest("quadratic"), "--study-name", "s"]);
    assert!(scene.trialbox(&["study", "show"]).stdout.contains("pruner       median\n"));
}

#[test]
fn a_pruner_that_makes_no_sense_is_refused_and_touches_no_database() {
    let scene = Scene::new("pruner-refused");
    let refused = |arguments: &[&str], pieces: &[&str]| {
        let quadratic = guest("quadratic");
        let run = [&["run", &quadratic], arguments].concat();
        scene.trialbox(&run).assert_error(2, pieces);
    };
    refused(&["--pruner", "prune"], &["unknown pruner `prune`: expected median, percentile"]);
    refused(
        &["--pruner-opt", "gamma=3"],
        &["pruner `median` has no option `gamma`", "n_startup_trials=5", "n_min_trials=1"],
    );
    refused(
        &["--pruner", "percentile"],
        &["pruner `percentile` needs the option `percentile`", "--pruner-opt NAME=VALUE"],
    );
    let patient = ["--pruner", "patient", "--pruner-opt", "patience=1", "--pruner-opt"];
    refused(
        &[&patient[..], &["wrapped_pruner=threshold"]].concat(),
        &["pruner `threshold` needs the option `lower` or `upper`"],
    );
    assert!(!scene.path("trialbox.db").exists());
}

#[test]
fn a_trial_that_is_pruned_ends_at_once_and_keeps_its_last_value() {
    let scene = Scene::new("pruner-prunes");
    let threshold = ["--pruner", "threshold", "--pruner-opt", "upper=-1"];
    let run = ["run", &guest("digits"), "--dir", &digits_data()];
    let line = scene.json(&[&run[..], &threshold].concat()).remove(0);
    assert_eq!(line["state"], "PRUNED");
    let trial = scene.json(&["study", "trials"]).remove(0);
    let reports = trial["intermediate_values"].as_array().unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(trial["values"][0], reports[0][1]);
}

/// The first rung is at step 1, where one of two goes on.
#[test]
fn successive_halving_shares_its_rungs() {
    let scene = Scene::new("pruner-rungs");
    let halving = ["--pruner", "asha", "--pruner-opt", "reduction_factor=2"];
    let run = ["run", &guest("digits"), "--dir", &digits_data(), "--seed", "1", "-n", "6"];
    scene.json(&[&run[..], &halving, &["--pruner-opt", "min_resource=1"]].concat());
    let trials = scene.json(&["study", "trials"]);
    let states: BTreeSet<&str> =
        trials.iter().map(|trial| trial["state"].as_str().unwrap()).collect();
    assert_eq!(states, BTreeSet::from(["COMPLETE", "PRUNED"]));
    for trial in &trials {
        let reports = trial["intermediate_values"].as_array().unwrap();
        assert_eq!(trial["system_attrs"]["completed_rung_0"], reports[1][1]);
    }
}

#[test]
fn the_studys_own_pruner_may_be_named_without_its_options() {
    let scene = Scene::new("pruner-named");
    let run = ["run", &guest("quadratic"), "--pruner", "asha"];
    scene.json(&[&run[..], &["--pruner-opt", "min_resource=2"]].concat());
    scene.json(&run);
    let shown = scene.trialbox(&["study", "show"]).stdout;
    assert!(shown.contains("pruner       successive-halving, min_resource=2\n"), "{shown}");
    scene
        .trialbox(&[&run[..2], &["--pruner-opt", "min_resource=3"]].concat())
        .assert_error(2, &["without --pruner they are those of the default, `median`"]);
    // To overrule the study is to mean what is said, the defaults too.
    scene.json(&[&run[..], &["--override"]].concat());
    let shown = scene.trialbox(&["study", "show"]).stdout;
    assert!(shown.contains("pruner       successive-halving\n"), "{shown}");
}
