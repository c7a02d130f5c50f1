//! Checks the rows of parameters and attributes.

use super::cell::{Cell, each};
use super::studies::check_name;
use super::survey::Survey;
use super::{Findings, Kind, Place, kinds};
use rusqlite::Connection;
use std::collections::HashMap;
use trialbox_core::seam::storage::{FIXED_PARAMS_ATTR, OWNER_ATTR};
use trialbox_core::space::distribution::{DistributionJsonError, MAX_EXACT_INT};
use trialbox_core::{Distribution, Json};

/// The names of distributions before Optuna 3.0.
const LEGACY: [&str; 5] = [
    "UniformDistribution",
    "LogUniformDistribution",
    "DiscreteUniformDistribution",
    "IntUniformDistribution",
    "IntLogUniformDistribution",
];

/// The parsed texts of distributions. Each is parsed once, because every trial of a study repeats it.
type Parsed = HashMap<String, Result<Distribution, (&'static Kind, String)>>;

pub(super) fn check_params(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT trial_id, param_name, param_value, distribution_json
        FROM trial_params ORDER BY param_id";
    let mut parsed = Parsed::new();
    each(connection, sql, |row| {
        let [trial_id, name, value, text] = row;
        let Some(trial_id) = survey.known_trial(trial_id) else { return };
        let shown = name.to_plain();
        let place = survey.trial_key(trial_id, shown.as_str());
        check_name(findings, place.clone(), "parameter's name", name);
        if *text == Cell::Blob {
            let found = "expected a distribution as text, found a blob";
            return findings.add(&kinds::WRONG_TYPE, place, found);
        }
        match parsed.entry(text.to_plain()).or_insert_with_key(|text| parse(text)) {
            Ok(distribution) => {
                check_value(findings, place.clone(), distribution, value);
                check_exact(findings, place.clone(), distribution);
                check_legacy(findings, place, text);
                check_compatible(findings, survey, trial_id, shown, distribution);
            }
            Err((kind, found)) => findings.add(kind, place, found.as_str()),
        }
    })
}

fn parse(text: &str) -> Result<Distribution, (&'static Kind, String)> {
    let error = match Distribution::from_json_text(text) {
        Ok(distribution) => return Ok(distribution),
        Err(error) => error,
    };
    let kind = match &error {
        DistributionJsonError::Json(_) => &kinds::DISTRIBUTION_JSON,
        DistributionJsonError::UnknownName { .. } => &kinds::DISTRIBUTION_UNKNOWN,
        DistributionJsonError::Attribute { .. } => &kinds::DISTRIBUTION_ATTRIBUTE,
        DistributionJsonError::Range(_) => &kinds::DISTRIBUTION_RANGE,
    };
    let mut found = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        found.push_str(&format!(": {cause}"));
    }
    found.push_str(&format!(", in {}", Cell::Text(text.to_owned())));
    Err((kind, found))
}

fn check_value(findings: &mut Findings, place: Place, distribution: &Distribution, value: &Cell) {
    let found = format!("expected a value of {distribution}, found {value}");
    let Some(number) = value.number() else {
        // Optuna converts all values but those of floats when it reads them, and fails on a wrong type.
        let kind = match distribution {
            Distribution::Float(_) if *value == Cell::Null => &kinds::PARAM_ODD,
            Distribution::Float(_) => &kinds::PARAM_TEXT,
            // Python reads digits from bytes too.
            _ if *value == Cell::Blob => &kinds::PARAM_TEXT,
            _ => &kinds::PARAM_NOT_A_NUMBER,
        };
        return findings.add(kind, place, found);
    };
    match distribution {
        Distribution::Float(_) if distribution.contains(number) => {}
        Distribution::Int(_) | Distribution::Categorical(_) if !number.is_finite() => {
            findings.add(&kinds::PARAM_NOT_A_NUMBER, place, found);
        }
        Distribution::Categorical(categorical) => {
            let n = categorical.choices().len() as f64;
            // Python's lists take negative indices from the end, so only those below -n fail.
            let index = number.trunc();
            if index >= n || index < -n {
                findings.add(&kinds::CHOICE_OUT_OF_RANGE, place, found);
            } else if index < 0.0 {
                findings.add(&kinds::CHOICE_NEGATIVE, place, found);
            }
        }
        Distribution::Int(_) if distribution.contains(number) => {}
        _ => findings.add(&kinds::PARAM_OUT_OF_RANGE, place, found),
    }
}

fn check_exact(findings: &mut Findings, place: Place, distribution: &Distribution) {
    let exact = -MAX_EXACT_INT..=MAX_EXACT_INT;
    if let Distribution::Int(int) = distribution
        && !(int.is_exact() && exact.contains(&int.low()) && exact.contains(&int.high()))
    {
        findings.add(&kinds::DISTRIBUTION_INEXACT, place, format!("found {distribution}"));
    }
}

fn check_legacy(findings: &mut Findings, place: Place, text: &Cell) {
    let text = text.text().unwrap_or_default();
    if let Some(name) = LEGACY.iter().find(|name| text.contains(&format!("\"{name}\""))) {
        findings.add(&kinds::DISTRIBUTION_LEGACY, place, format!("found {name} of Optuna 2"));
    }
}

/// Adds a finding for each distribution that is incompatible with the study's others of that name.
fn check_compatible(
    findings: &mut Findings,
    survey: &mut Survey,
    trial_id: i64,
    name: String,
    distribution: &Distribution,
) {
    let Some(trial) = survey.trials.get(&trial_id) else { return };
    let Some(study) = survey.studies.get_mut(&trial.study) else { return };
    let known = study.params.entry(name.clone()).or_default();
    if known.iter().any(|(known, _)| known.check_compatible(distribution).is_ok()) {
        return;
    }
    let first = known.first().cloned();
    // One finding for each distribution, not for each trial that has it.
    known.push((distribution.clone(), trial_id));
    if let Some((first, first_id)) = first {
        let found =
            format!("expected {first} as in the trial with id {first_id}, found {distribution}");
        let place = survey.trial_key(trial_id, name);
        findings.add(&kinds::DISTRIBUTIONS_INCOMPATIBLE, place, found);
    }
}

pub(super) fn check_attributes(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    for word in ["user", "system"] {
        let sql = format!(
            "SELECT study_id, \"key\", value_json FROM study_{word}_attributes ORDER BY 1, 2"
        );
        each(connection, &sql, |row| {
            let [study_id, key, value] = row;
            let Some(study) = survey.known_study(study_id) else { return };
            let place = survey.study_key(study, key.to_plain());
            check_attribute(findings, place, key, value);
        })?;
        let sql = format!(
            "SELECT trial_id, \"key\", value_json FROM trial_{word}_attributes ORDER BY 1, 2"
        );
        each(connection, &sql, |row| {
            let [trial_id, key, value] = row;
            let Some(id) = survey.known_trial(trial_id) else { return };
            let place = survey.trial_key(id, key.to_plain());
            let json = check_attribute(findings, place, key, value);
            if word == "system" {
                remember(survey, id, key.text().unwrap_or_default(), json);
            }
        })?;
    }
    Ok(())
}

/// Checks an attribute and returns its value, if that is JSON.
fn check_attribute(
    findings: &mut Findings,
    place: Place,
    key: &Cell,
    value: &Cell,
) -> Option<Json> {
    check_name(findings, place.clone(), "attribute's key", key);
    let Some(text) = value.text() else {
        let kind = match value {
            Cell::BadText => &kinds::TEXT_NOT_UTF8,
            // Python reads JSON from bytes too.
            Cell::Blob => &kinds::WRONG_TYPE,
            _ => &kinds::ATTRIBUTE_NOT_JSON,
        };
        findings.add(kind, place, format!("expected JSON, found {value}"));
        return None;
    };
    match Json::parse(text) {
        Ok(json) => Some(json),
        Err(error) => {
            let is_deep = error.expected.contains("nested");
            let kind = if is_deep { &kinds::ATTRIBUTE_NESTED } else { &kinds::ATTRIBUTE_NOT_JSON };
            findings.add(kind, place, format!("{error}, in {value}"));
            None
        }
    }
}

/// Keeps the attributes about a trial's owner, its fixed parameters and its retries.
fn remember(survey: &mut Survey, id: i64, key: &str, json: Option<Json>) {
    let Some(trial) = survey.trials.get_mut(&id) else { return };
    match key {
        OWNER_ATTR => trial.owner = json,
        FIXED_PARAMS_ATTR => trial.fixed_params = json,
        "failed_trial" => trial.failed_trial = json,
        "retry_history" => trial.retry_history = json,
        _ => {}
    }
}
