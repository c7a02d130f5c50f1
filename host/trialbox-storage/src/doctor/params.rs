//! The rows of parameters and attributes.

use super::cell::{Cell, each};
use super::studies::check_name;
use super::survey::Survey;
use super::{Findings, Kind, Place, kinds};
use rusqlite::Connection;
use std::collections::HashMap;
use trialbox_core::seam::storage::{FIXED_PARAMS_ATTR, OWNER_ATTR};
use trialbox_core::space::distribution::{DistributionJsonError, MAX_EXACT_INT};
use trialbox_core::{Distribution, Json};

/// The names of Optuna before 3.0.
const LEGACY: [&str; 5] = [
    "UniformDistribution",
    "LogUniformDistribution",
    "DiscreteUniformDistribution",
    "IntUniformDistribution",
    "IntLogUniformDistribution",
];

/// Texts are parsed once: a study repeats each in every trial.
type Parsed = HashMap<String, Result<Distribution, (&'static Kind, String)>>;

pub(super) fn check_params(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params ORDER BY param_id";
    let mut parsed = Parsed::new();
    each(connection, sql, |row| {
        let [trial_id, name, value, text] = row;
        let Some(trial_id) = trial_id.int().filter(|id| survey.trials.contains_key(id)) else {
            return;
        };
        let shown = name.text().map_or_else(|| name.to_string(), str::to_owned);
        let place = survey.trial_key(trial_id, shown.as_str());
        check_name(findings, place.clone(), "parameter's name", name);
        let key = text.text().map_or_else(|| text.to_string(), str::to_owned);
        match parsed.entry(key).or_insert_with_key(|text| parse(text)) {
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
    Distribution::from_json_text(text).map_err(|error| {
        let kind = match &error {
            DistributionJsonError::Json(_) => &kinds::DISTRIBUTION_JSON,
            DistributionJsonError::UnknownName { .. } => &kinds::DISTRIBUTION_UNKNOWN,
            DistributionJsonError::Attribute { .. } => &kinds::DISTRIBUTION_ATTRIBUTE,
            DistributionJsonError::Range(_) => &kinds::DISTRIBUTION_RANGE,
        };
        let cause = std::error::Error::source(&error);
        let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
        (kind, format!("{error}{cause}, in {}", Cell::Text(text.to_owned())))
    })
}

fn check_value(findings: &mut Findings, place: Place, distribution: &Distribution, value: &Cell) {
    let found = format!("the value is {value}, of {distribution}");
    let Some(number) = value.number() else {
        // Only a float goes through Python's reader as it is.
        let kind = match distribution {
            Distribution::Float(_) => &kinds::PARAM_ODD,
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
        && !(exact.contains(&int.low()) && exact.contains(&int.high()))
    {
        findings.add(&kinds::DISTRIBUTION_INEXACT, place, format!("it is {distribution}"));
    }
}

fn check_legacy(findings: &mut Findings, place: Place, text: &Cell) {
    let text = text.text().unwrap_or_default();
    if let Some(name) = LEGACY.iter().find(|name| text.contains(&format!("\"{name}\""))) {
        findings.add(&kinds::DISTRIBUTION_LEGACY, place, format!("a {name} of Optuna 2"));
    }
}

/// One finding for each distribution that cannot stand beside the study's others of that name.
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
    known.push((distribution.clone(), trial_id));
    if let Some((first, first_id)) = first {
        let found = format!("here {distribution}, but {first} in the trial with id {first_id}");
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
            let Some(study) = study_id.int().filter(|id| survey.studies.contains_key(id)) else {
                return;
            };
            let place = survey.study_key(study, show_key(key));
            check_attribute(findings, place, key, value);
        })?;
        let sql = format!(
            "SELECT trial_id, \"key\", value_json FROM trial_{word}_attributes ORDER BY 1, 2"
        );
        each(connection, &sql, |row| {
            let [trial_id, key, value] = row;
            let Some(id) = trial_id.int().filter(|id| survey.trials.contains_key(id)) else {
                return;
            };
            let place = survey.trial_key(id, show_key(key));
            let json = check_attribute(findings, place, key, value);
            if word == "system" {
                remember(survey, id, key.text().unwrap_or_default(), json);
            }
        })?;
    }
    Ok(())
}

fn show_key(key: &Cell) -> String {
    key.text().map_or_else(|| key.to_string(), str::to_owned)
}

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
            _ => &kinds::ATTRIBUTE_NOT_JSON,
        };
        findings.add(kind, place, format!("the value is {value}"));
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

/// Keeps the attributes that say how a trial lives.
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
