//! The histories that `tests/golden/record.py` recorded, and the lists of samplers and pruners with their options.
#![allow(dead_code, unreachable_pub, reason = "each test crate uses its part")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use trialbox_core::seam::rng::trial_rng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::study::trial::{CONSTRAINT_PREFIX, TrialId};
use trialbox_core::{
    Distribution, FrozenTrial, History, Json, Param, Sampler, StudyDirection, TrialNumber,
    TrialState,
};
use trialbox_samplers::{Config, Kind};

/// The parameters that an objective asks for, in its order.
pub type Space = Vec<(String, Distribution)>;

/// A recorded history, and what was asked for on it.
pub struct Recorded {
    pub name: String,
    /// Options of the sampler, as a study remembers them.
    pub options: Json,
    pub history: History,
    pub asked: Vec<(String, Distribution)>,
}

/// Returns all recorded histories.
pub fn histories() -> Vec<Recorded> {
    let text = include_str!("../golden/histories.json");
    items(&Json::parse(text).expect("JSON")).iter().map(read_history).collect()
}

/// Returns the items of an array.
#[track_caller]
pub fn items(json: &Json) -> &[Json] {
    let Json::Array(items) = json else { panic!("expected an array, found {json}") };
    items
}

/// Returns the numbers of an array.
#[track_caller]
pub fn floats(json: &Json) -> Vec<f64> {
    items(json).iter().map(|item| item.as_f64().expect("a number")).collect()
}

/// Returns the whole numbers of an array.
#[track_caller]
pub fn indices(json: &Json) -> Vec<usize> {
    items(json).iter().map(|item| item.as_i64().expect("a number") as usize).collect()
}

fn read_history(json: &Json) -> Recorded {
    let member = |key: &str| json.get(key).unwrap_or_else(|| panic!("no `{key}`"));
    let distributions: Vec<Distribution> = items(member("distributions"))
        .iter()
        .map(|text| Distribution::from_json_text(text.as_str().expect("a text")).expect("valid"))
        .collect();
    let directions = floats(member("directions"))
        .into_iter()
        .map(|sign| if sign > 0.0 { StudyDirection::Minimize } else { StudyDirection::Maximize })
        .collect();
    let named = |pair: &Json| {
        let [name, index, rest @ ..] = items(pair) else { panic!("a name and an index") };
        let index = index.as_i64().expect("an index") as usize;
        let value = rest.first().and_then(Json::as_f64);
        (name.as_str().expect("a name").to_owned(), distributions[index].clone(), value)
    };
    let trials = items(member("trials"))
        .iter()
        .enumerate()
        .map(|(number, trial)| read_trial(number, trial, &named));
    Recorded {
        name: member("name").as_str().expect("a name").to_owned(),
        options: member("options").clone(),
        history: History::new(directions, trials.collect()),
        asked: items(member("asked")).iter().map(named).map(|(name, it, _)| (name, it)).collect(),
    }
}

fn read_trial(
    number: usize,
    json: &Json,
    named: &impl Fn(&Json) -> (String, Distribution, Option<f64>),
) -> FrozenTrial {
    let mut trial = new_trial(number as u32);
    let member = |key: &str| json.get(key);
    let state = member("state").and_then(Json::as_str).expect("a state");
    trial.state = TrialState::parse(state).expect("a state");
    trial.values = floats(member("values").expect("values"));
    let params = items(member("params").expect("params")).iter().map(named);
    let param = |(name, distribution, value): (String, Distribution, Option<f64>)| {
        (name, Param { distribution, internal: value.expect("a value") })
    };
    trial.params = params.map(param).collect();
    if let Some(steps) = member("intermediate_values") {
        let pair = |pair: &Json| (items(pair)[0].as_i64(), items(pair)[1].as_f64());
        let steps = items(steps).iter().map(pair);
        trial.intermediate_values =
            steps.map(|(step, value)| (step.expect("a step"), value.expect("a value"))).collect();
    }
    if let Some(Json::Object(constraints)) = member("constraints") {
        let attrs = constraints
            .iter()
            .map(|(key, value)| (format!("{CONSTRAINT_PREFIX}{key}"), value.clone()));
        trial.system_attrs.extend(attrs);
    }
    if let Some(text) = member("relative_params") {
        trial.system_attrs.insert("tpe:relative_params:0".to_owned(), text.clone());
    }
    trial
}

/// Returns a COMPLETE trial without anything.
pub fn new_trial(number: u32) -> FrozenTrial {
    FrozenTrial {
        id: TrialId(i64::from(number) + 1),
        number: TrialNumber(number),
        state: TrialState::Complete,
        values: vec![],
        datetime_start: None,
        datetime_complete: None,
        params: vec![],
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}

/// Returns the arguments of a sampler's method.
pub fn ask<'a>(history: &'a History, attrs: &'a BTreeMap<String, Json>, number: u32) -> Ask<'a> {
    let number = TrialNumber(number);
    Ask { history, number, params: &[], fixed_params: &[], system_attrs: attrs }
}

/// Returns the values that a trial gets, suggested as a session does.
pub fn suggested(sampler: &dyn Sampler, history: &History, space: &Space, seed: u64) -> Vec<f64> {
    const NUMBER: u32 = 1000;
    let mut rng = trial_rng(seed, TrialNumber(NUMBER));
    let mut attrs = BTreeMap::new();
    attrs.extend(sampler.before_trial(&ask(history, &attrs, NUMBER), &mut rng));
    let before = ask(history, &attrs, NUMBER);
    let joint = sampler.relative_search_space(&before).drawable();
    let drawn = sampler.sample_relative(&before, &joint, &mut rng).params;
    let mut params: Vec<(String, Param)> = Vec::new();
    for (name, distribution) in space {
        let ask = Ask { params: &params, ..before };
        let internal = match drawn.get(name) {
            Some(value) => *value,
            None => sampler.sample_independent(&ask, name, distribution, &mut rng),
        };
        let distribution = distribution.clone();
        params.push((name.clone(), Param { distribution, internal }));
    }
    params.into_iter().map(|(_, param)| param.internal).collect()
}

/// Returns a value that some option of any shape may take.
pub fn option_value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..50u32).prop_map(|n| n.to_string()),
        (0.0..=1.0f64).prop_map(|x| x.to_string()),
        Just("true".to_owned()),
        Just("False".to_owned()),
        Just("None".to_owned()),
        Just("auto".to_owned()),
        Just("halton".to_owned()),
        Just("median".to_owned()),
        Just(r#"{"p0": [0, 1], "p1": ["a", null]}"#.to_owned()),
    ]
}

/// Returns every sampler or pruner, with each value set where an option of the place takes it, and completed by
/// the example that the error of a missing option gives.
pub fn configured<S: Kind + ?Sized>(values: &[String]) -> Vec<Config<S>> {
    let mut all: Vec<Config<S>> = Config::all().collect();
    for config in &mut all {
        for (option, value) in config.options().iter().zip(values) {
            // What an option does not take leaves it as it was.
            let _ = config.set_option(&format!("{option}={value}"));
        }
        complete(config);
    }
    all
}

fn complete<S: Kind + ?Sized>(config: &mut Config<S>) {
    if let Err(error) = config.check_complete() {
        let text = error.to_string();
        if let Some((_, example)) = text.split_once("for example ") {
            config.set_option(example).expect("an example can be given");
        }
    }
    if config.check_complete().is_err() {
        *config = Config::parse(config.name()).expect("a name of the list");
        if let Err(error) = config.check_complete() {
            let text = error.to_string();
            let (_, example) = text.split_once("for example ").expect("an example");
            config.set_option(example).expect("an example can be given");
        }
    }
    assert_eq!(config.check_complete(), Ok(()), "{config}");
}

/// The attributes under which evolutionary samplers find their trials.
pub(crate) const GENERATIONS: [&str; 6] = [
    "NSGAIISampler:generation",
    "NSGAIIISampler:generation",
    "cma:generation",
    "sepcma:generation",
    "cmawm:generation",
    "catcma:generation",
];
