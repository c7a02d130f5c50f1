//! What every pruner must do, whatever it decides on. That it decides as Optuna is shown by `pruner_tables` in
//! the end-to-end tests.
//!
//! A new pruner adds its configurations to `all`.

mod common;

use common::new_trial;
use std::collections::BTreeMap;
use trialbox_core::StudyDirection::{Maximize, Minimize};
use trialbox_core::seam::pruner::{Judgement, RunningTrial};
use trialbox_core::seam::rng::{trial_rng, unit};
use trialbox_core::{FrozenTrial, History, Json, TrialNumber, TrialState};
use trialbox_samplers::PrunerConfig;

/// Returns every pruner, with options that let it prune.
fn all() -> Vec<PrunerConfig> {
    [
        r#"{"name": "median"}"#,
        r#"{"name": "percentile", "options": {"percentile": 10, "n_startup_trials": 0}}"#,
        r#"{"name": "successive-halving"}"#,
        r#"{"name": "successive-halving", "options": {"min_resource": 2, "bootstrap_count": 1}}"#,
        r#"{"name": "hyperband"}"#,
        r#"{"name": "hyperband", "options": {"max_resource": 9, "reduction_factor": 2}}"#,
        r#"{"name": "threshold", "options": {"lower": -0.5, "upper": 0.5}}"#,
        r#"{"name": "patient", "options": {"patience": 0}}"#,
        r#"{"name": "patient", "options": {"patience": 1, "wrapped_pruner": {"name": "median"}}}"#,
        r#"{"name": "wilcoxon", "options": {"p_threshold": 0.5}}"#,
        r#"{"name": "nop"}"#,
    ]
    .map(|text| PrunerConfig::from_json(&Json::parse(text).expect("JSON")).expect("a pruner"))
    .to_vec()
}

/// Trials of every state, the best first; the others have some values that are not finite, at the steps 0 to 99.
fn trials() -> Vec<FrozenTrial> {
    let mut rng = trial_rng(1, TrialNumber(0));
    let mut value = |number: u32| match unit(&mut rng) {
        u if u < 0.01 && number > 0 => f64::NAN,
        u if u > 0.99 && number > 0 => f64::INFINITY,
        u => u,
    };
    let mut trial = |number: u32| FrozenTrial {
        state: TrialState::ALL[number as usize % TrialState::ALL.len()],
        values: vec![f64::from(number)],
        intermediate_values: (0..100).map(|step| (step, value(number))).collect(),
        system_attrs: BTreeMap::from([("completed_rung_0".to_owned(), Json::Float(value(number)))]),
        ..new_trial(number)
    };
    (0..40).map(&mut trial).collect()
}

fn judge(config: &PrunerConfig, history: &History, values: &BTreeMap<i64, f64>) -> Judgement {
    config.build().judge(
        history,
        &RunningTrial {
            study_name: "s",
            number: TrialNumber(100),
            intermediate_values: values,
            system_attrs: &BTreeMap::new(),
        },
    )
}

/// Returns a bad trial, its values getting worse, after so many reports.
fn worse(n_reports: i64) -> BTreeMap<i64, f64> {
    (0..n_reports).map(|step| (step, 2.0 + step as f64)).collect()
}

#[test]
fn a_trial_without_reports_is_kept_and_leaves_nothing() {
    for direction in [Minimize, Maximize] {
        let history = History::new(vec![direction], trials());
        for config in all() {
            assert_eq!(judge(&config, &history, &worse(0)), Judgement::default(), "{config}");
        }
    }
}

#[test]
fn the_same_trial_is_judged_the_same_again_and_a_bad_one_is_pruned_at_last() {
    for config in all() {
        let history = History::new(vec![Minimize], trials());
        let judged: Vec<Judgement> =
            (0..100).map(|n| judge(&config, &history, &worse(n))).collect();
        let fresh = History::new(vec![Minimize], trials());
        for (n, judgement) in (0..).zip(&judged) {
            assert_eq!(judge(&config, &fresh, &worse(n)), *judgement, "{config} after {n} reports");
        }
        let is_pruned = judged.iter().any(|judgement| judgement.should_prune);
        assert_eq!(is_pruned, config.name() != "nop", "{config}");
    }
}

#[test]
fn a_pruner_that_does_not_use_the_history_decides_without_it() {
    let (full, empty) =
        (History::new(vec![Minimize], trials()), History::new(vec![Minimize], vec![]));
    let unused: Vec<PrunerConfig> =
        all().into_iter().filter(|config| !config.build().uses_history()).collect();
    assert_eq!(unused.len(), 3);
    for (config, n) in unused.iter().flat_map(|config| (0..20).map(move |n| (config, n))) {
        assert_eq!(judge(config, &full, &worse(n)), judge(config, &empty, &worse(n)), "{config}");
    }
}

#[test]
fn trials_of_several_objectives_are_kept() {
    let history = History::new(vec![Minimize, Maximize], trials());
    for config in all() {
        assert_eq!(judge(&config, &history, &worse(100)), Judgement::default(), "{config}");
    }
}

#[test]
fn a_study_reads_back_the_pruner_that_it_remembers() {
    for config in all() {
        assert_eq!(PrunerConfig::from_json(&config.to_json()), Ok(config));
    }
    for config in PrunerConfig::all() {
        assert_eq!(PrunerConfig::parse(config.name()), Ok(config));
    }
    assert_eq!(PrunerConfig::parse("asha"), PrunerConfig::parse("successive-halving"));
    assert_eq!(PrunerConfig::parse("None"), PrunerConfig::parse("nop"));
    assert_eq!(PrunerConfig::all().next(), Some(PrunerConfig::default()));
}

#[track_caller]
fn check_refused(name: &str, options: &[&str], want: &str) {
    let mut config = PrunerConfig::parse(name).expect("a pruner");
    let set = options.iter().try_for_each(|option| config.set_option(option));
    let error = set.and_then(|()| config.check_complete()).expect_err(want);
    assert_eq!(error.to_string(), want);
}

#[test]
fn options_that_are_missing_or_do_not_fit_are_named() {
    check_refused(
        "percentile",
        &[],
        "pruner `percentile` needs the option `percentile`, for example percentile=25",
    );
    check_refused(
        "threshold",
        &["lower=None"],
        "pruner `threshold` needs the option `lower` or `upper`, for example upper=1.5",
    );
    check_refused(
        "threshold",
        &["lower=2", "upper=1"],
        "option `lower` of pruner `threshold`: expected at most `upper`, found 2.0",
    );
    check_refused(
        "patient",
        &[],
        "pruner `patient` needs the option `patience`, for example patience=3",
    );
    check_refused(
        "patient",
        &["wrapped_pruner=median", "wrapped_pruner=tea"],
        "unknown pruner `tea`: expected median, percentile, successive-halving (asha), hyperband, threshold, \
         patient, wilcoxon or nop (none)",
    );
    for shape in [
        r#"{"name": "median", "option": {}}"#,
        r#"{"name": "median", "options": [1]}"#,
        r#"{"options": {}}"#,
    ] {
        check_refused(
            "patient",
            &[&format!("wrapped_pruner={shape}")],
            &format!(r#"expected a pruner as {{"name": NAME, "options": {{…}}}}, found {shape}"#),
        );
    }
    check_refused(
        "asha",
        &["bootstrap_count=2"],
        "option `bootstrap_count` of pruner `successive-halving`: expected 0 where the resource is \"auto\", found 2",
    );
    check_refused(
        "hyperband",
        &["reduction_factor=1"],
        "option `reduction_factor` of pruner `hyperband`: expected a whole number of at least 2, found 1",
    );
    check_refused("nop", &["gamma=1"], "pruner `nop` has no option `gamma`; it has no options");
    check_refused("median", &["x"], "expected an option of a pruner as NAME=VALUE, found `x`");
}
