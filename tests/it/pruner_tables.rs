//! Each pruner's decisions on thousands of random histories, held against those of Python's Optuna.

use crate::scene::{Ran, Scene};
use std::collections::BTreeMap;
use trialbox_core::seam::pruner::RunningTrial;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{FrozenTrial, History, Json, StudyDirection, TrialNumber, TrialState};
use trialbox_samplers::PrunerConfig;

const N_HISTORIES: usize = 2000;

#[test]
fn the_median_pruner_decides_as_optunas() {
    check("median");
}

#[test]
fn the_percentile_pruner_decides_as_optunas() {
    check("percentile");
}

#[test]
fn successive_halving_decides_as_optunas() {
    check("successive-halving");
}

#[test]
fn hyperband_decides_as_optunas() {
    check("hyperband");
}

#[test]
fn the_threshold_pruner_decides_as_optunas() {
    check("threshold");
}

#[test]
fn the_patient_pruner_decides_as_optunas() {
    check("patient");
}

#[test]
fn the_wilcoxon_pruner_decides_as_optunas() {
    check("wilcoxon");
}

/// The decisions are the same, and what the trial has left behind after each of them; and Optuna decides in
/// either way often enough.
#[track_caller]
fn check(pruner: &str) {
    let scene = Scene::new(&format!("pruner-tables-{pruner}"));
    let arguments = ["table.jsonl", pruner, &N_HISTORIES.to_string()];
    let ran = Ran::from(scene.python("pruner_tables.py", &arguments).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let text = std::fs::read_to_string(scene.path("table.jsonl")).unwrap();
    let decisions: Vec<bool> =
        text.lines().flat_map(|line| check_history(pruner, &Json::parse(line).unwrap())).collect();
    assert_eq!(text.lines().count(), N_HISTORIES);
    let n_pruned = decisions.iter().filter(|is_pruned| **is_pruned).count();
    let percent = 100 * n_pruned / decisions.len();
    assert!((2..98).contains(&percent), "{n_pruned} of {} were pruned", decisions.len());
}

/// Makes the reports of a history's trial one after the other. Returns what was decided, by both.
#[track_caller]
fn check_history(name: &str, recorded: &Json) -> Vec<bool> {
    let member = |key: &str| recorded.get(key).unwrap();
    let config = [("name", Json::from(name)), ("options", member("options").clone())];
    let pruner = PrunerConfig::from_json(&Json::object(config)).unwrap().build();
    let direction = StudyDirection::parse(member("direction").as_str().unwrap()).unwrap();
    let others = items(member("others")).iter().map(read_trial).collect();
    let history = History::new(vec![direction], others);
    let mut intermediate_values = BTreeMap::new();
    let mut system_attrs = attrs(member("system_attrs"));
    let mut decisions = Vec::new();
    for report in items(member("reports")) {
        let [step, value, is_pruned, left] = items(report) else { panic!("{report}") };
        if let (Some(step), Some(value)) = (step.as_i64(), value.as_f64()) {
            intermediate_values.insert(step, value);
        }
        let Json::Bool(is_pruned) = is_pruned else { continue };
        let current = RunningTrial {
            study_name: member("study").as_str().unwrap(),
            number: number(recorded),
            intermediate_values: &intermediate_values,
            system_attrs: &system_attrs,
        };
        let judgement = pruner.judge(&history, &current);
        assert_eq!(judgement.should_prune, *is_pruned, "at {step} of {recorded}");
        system_attrs.extend(judgement.system_attrs);
        assert_eq!(system_attrs, attrs(left), "at {step} of {recorded}");
        decisions.push(*is_pruned);
    }
    decisions
}

fn read_trial(json: &Json) -> FrozenTrial {
    let member = |key: &str| json.get(key).unwrap();
    let number = number(json);
    let report = |pair: &Json| (items(pair)[0].as_i64().unwrap(), items(pair)[1].as_f64().unwrap());
    FrozenTrial {
        id: TrialId(i64::from(number.0) + 1),
        number,
        state: TrialState::parse(member("state").as_str().unwrap()).unwrap(),
        values: items(member("values")).iter().map(|value| value.as_f64().unwrap()).collect(),
        datetime_start: None,
        datetime_complete: None,
        params: vec![],
        user_attrs: BTreeMap::new(),
        system_attrs: attrs(member("system_attrs")),
        intermediate_values: items(member("intermediate_values")).iter().map(report).collect(),
    }
}

fn number(json: &Json) -> TrialNumber {
    TrialNumber(json.get("number").unwrap().as_i64().unwrap().try_into().unwrap())
}

fn attrs(json: &Json) -> BTreeMap<String, Json> {
    let Json::Object(members) = json else { panic!("an object, not {json}") };
    members.iter().cloned().collect()
}

fn items(json: &Json) -> &[Json] {
    let Json::Array(items) = json else { panic!("an array, not {json}") };
    items
}
