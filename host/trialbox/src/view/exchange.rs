//! Studies as JSON lines that lose nothing: `study export` writes them, `study import` reads them.
//!
//! The first line is the study, each further one a trial, in strict JSON. What strict JSON lacks is a string
//! where a float is expected (`"nan"`, `"inf"`, `"-inf"`), and elsewhere an object `{"$json": "…"}` with the
//! value as Python writes it: a NaN, an integer beyond 64 bits, a string with an unpaired surrogate.

use crate::view::record::{Float, floats};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::trial::{TrialId, format_rfc3339, parse_datetime};
use trialbox_core::{
    Distribution, FrozenTrial, Json, Param, StudyDirection, StudyRecord, TrialNumber, TrialState,
    UtcDateTime,
};

/// The member that holds a value which strict JSON cannot.
const ESCAPE: &str = "$json";

/// A line of an exported study. Its values are strict JSON and lose nothing: what JSON lacks is an object
/// `{"$json": "…"}` with the value as Python writes it.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum ExportLine {
    /// The first line: the study.
    Study(ExportedStudy),
    /// Each further line: a trial.
    Trial(Box<ExportedTrial>),
}

/// An exported study.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExportedStudy {
    /// The study's name.
    study: String,
    /// `minimize` or `maximize` for each objective.
    directions: Vec<String>,
    /// The names of the objectives, if the study names them.
    metric_names: Option<Vec<String>>,
    /// The attributes that users attached, and those that all jobs of the study share.
    user_attrs: BTreeMap<String, Value>,
    /// The attributes of Optuna and its samplers.
    system_attrs: BTreeMap<String, Value>,
}

/// An exported trial.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExportedTrial {
    /// The trial's number in its study, from 0.
    number: u32,
    /// `COMPLETE`, `PRUNED`, `FAIL`, `RUNNING` or `WAITING`.
    state: &'static str,
    /// One value for each objective.
    values: Vec<Float>,
    /// The time at which the trial started (RFC 3339, UTC).
    datetime_start: Option<String>,
    /// The time at which the trial finished (RFC 3339, UTC).
    datetime_complete: Option<String>,
    /// The seconds from the trial's start to its end.
    duration_seconds: Option<f64>,
    /// The parameters by name, as the objective saw them.
    params: BTreeMap<String, Value>,
    /// The names of the parameters in the order in which the objective asked for them.
    params_order: Vec<String>,
    /// The parameters by name, as the database stores them.
    params_internal: BTreeMap<String, Float>,
    /// The range or the choices of each parameter, in Optuna's form.
    distributions: BTreeMap<String, Value>,
    /// The reported values as pairs of step and value.
    intermediate_values: Vec<(i64, Float)>,
    /// The attributes that the objective or a user attached.
    user_attrs: BTreeMap<String, Value>,
    /// The attributes of trialbox and of Optuna's samplers.
    system_attrs: BTreeMap<String, Value>,
}

/// The content of an exported file.
#[derive(Debug, Default)]
pub(crate) struct ImportedStudy {
    pub(crate) name: Option<String>,
    pub(crate) directions: Option<Vec<StudyDirection>>,
    pub(crate) user_attrs: Vec<(String, Json)>,
    pub(crate) system_attrs: Vec<(String, Json)>,
    pub(crate) trials: Vec<FrozenTrial>,
}

/// Returns the lines of a study.
pub(crate) fn encode(study: &StudyRecord, trials: &[FrozenTrial]) -> String {
    let head = ExportLine::Study(ExportedStudy {
        study: study.name.clone(),
        directions: study.directions.iter().map(ToString::to_string).collect(),
        metric_names: study.metric_names(),
        user_attrs: attrs(&study.user_attrs),
        system_attrs: attrs(&study.system_attrs),
    });
    let mut text = encode_line(&head);
    for trial in trials {
        text.push_str(&encode_line(&ExportLine::Trial(Box::new(encode_trial(trial)))));
    }
    text
}

fn encode_line(line: &ExportLine) -> String {
    // Only a map with keys that are no strings cannot be written, and no line has one.
    let value = serde_json::to_value(line).unwrap_or_default();
    format!("{value}\n")
}

fn encode_trial(trial: &FrozenTrial) -> ExportedTrial {
    let by_name = |value: &dyn Fn(&Param) -> Value| {
        trial.params.iter().map(|(name, param)| (name.clone(), value(param))).collect()
    };
    let internal = trial.params.iter().map(|(name, param)| (name.clone(), Float(param.internal)));
    let steps = trial.intermediate_values.iter();
    ExportedTrial {
        number: trial.number.0,
        state: trial.state.as_str(),
        values: floats(&trial.values),
        datetime_start: trial.datetime_start.map(format_rfc3339),
        datetime_complete: trial.datetime_complete.map(format_rfc3339),
        duration_seconds: trial.duration().map(|duration| duration.as_secs_f64()),
        params: by_name(&|param| escape(&param.external())),
        params_order: trial.params.iter().map(|(name, _)| name.clone()).collect(),
        params_internal: internal.collect(),
        distributions: by_name(&|param| {
            let json = Json::parse(&param.distribution.to_json_text());
            escape(&json.unwrap_or(Json::Null))
        }),
        intermediate_values: steps.map(|(step, value)| (*step, Float(*value))).collect(),
        user_attrs: attrs(&trial.user_attrs),
        system_attrs: attrs(&trial.system_attrs),
    }
}

/// Reads the lines of a study; the line of the study itself may be missing.
///
/// # Errors
/// The number of the line, and its fault.
pub(crate) fn decode(text: &str) -> Result<ImportedStudy, String> {
    let mut imported = ImportedStudy::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let place = |problem: String| format!("line {}: {problem}", index + 1);
        let json = Json::parse(line).map_err(|error| place(error.to_string()))?;
        match json.get("event").and_then(Json::as_str) {
            Some("study") => decode_study(&json, &mut imported).map_err(place)?,
            _ => imported.trials.push(as_copied(decode_trial(&json).map_err(place)?)),
        }
    }
    Ok(imported)
}

/// Returns a trial as it is in a copy of its study. No job runs it there, so a RUNNING trial becomes FAIL.
pub(crate) fn as_copied(mut trial: FrozenTrial) -> FrozenTrial {
    if trial.state == TrialState::Running {
        trial.state = TrialState::Fail;
        trial.values.clear();
        trial.datetime_complete = trial.datetime_complete.or(trial.datetime_start);
        let failure = Failure::new(FailureCode::Lost, "it was RUNNING when the study was copied");
        trial.system_attrs.insert(FAILURE_ATTR.to_owned(), failure.to_json(&[]));
    }
    trial
}

fn decode_study(json: &Json, imported: &mut ImportedStudy) -> Result<(), String> {
    imported.name = Some(text(json, "study")?.to_owned());
    let directions = array(json, "directions")?.iter().map(|direction| {
        let word = direction.as_str().unwrap_or_default();
        StudyDirection::parse(&word.to_uppercase())
            .ok_or_else(|| format!("expected minimize or maximize, found `{word}`"))
    });
    imported.directions = Some(directions.collect::<Result<_, _>>()?);
    imported.user_attrs = members(json, "user_attrs")?;
    imported.system_attrs = members(json, "system_attrs")?;
    Ok(())
}

fn decode_trial(json: &Json) -> Result<FrozenTrial, String> {
    let state = text(json, "state")?;
    let state = TrialState::parse(state)
        .ok_or_else(|| format!("expected the state of a trial, found `{state}`"))?;
    let values =
        array(json, "values")?.iter().map(read_float).collect::<Result<Vec<f64>, String>>()?;
    let trial = FrozenTrial {
        id: TrialId(0),
        number: TrialNumber(
            json.get("number").and_then(Json::as_i64).and_then(|n| n.try_into().ok()).unwrap_or(0),
        ),
        state,
        values,
        datetime_start: read_time(json, "datetime_start")?,
        datetime_complete: read_time(json, "datetime_complete")?,
        params: decode_params(json)?,
        user_attrs: members(json, "user_attrs")?.into_iter().collect(),
        system_attrs: members(json, "system_attrs")?.into_iter().collect(),
        intermediate_values: array(json, "intermediate_values")?
            .iter()
            .map(decode_step)
            .collect::<Result<BTreeMap<i64, f64>, String>>()?,
    };
    check(&trial)?;
    Ok(trial)
}

/// Checks the rules of Optuna's `add_trial`, which the readers of a database rely on.
fn check(trial: &FrozenTrial) -> Result<(), String> {
    let has_ended = trial.state.is_finished();
    if trial.values.iter().any(|value| value.is_nan()) {
        return Err("a final value is NaN".to_owned());
    }
    if trial.state == TrialState::Complete && trial.values.is_empty() {
        return Err("a COMPLETE trial has no values".to_owned());
    }
    if trial.state == TrialState::Fail && !trial.values.is_empty() {
        return Err("a FAIL trial has values".to_owned());
    }
    if has_ended && (trial.datetime_start.is_none() || trial.datetime_complete.is_none()) {
        return Err(format!(
            "a trial that is {} needs the times of its start and its end",
            trial.state
        ));
    }
    if !has_ended && trial.datetime_complete.is_some() {
        return Err(format!("a trial that is {} cannot have a time of its end", trial.state));
    }
    Ok(())
}

fn decode_params(json: &Json) -> Result<Vec<(String, Param)>, String> {
    let internal = members(json, "params_internal")?;
    let distributions = members(json, "distributions")?;
    let mut params = Vec::with_capacity(internal.len());
    for name in array(json, "params_order")? {
        let name = name.as_str().ok_or("expected strings in `params_order`")?;
        let find = |members: &[(String, Json)], what: &str| {
            let found = members.iter().find(|(found, _)| found == name);
            found.map(|(_, value)| value.clone()).ok_or_else(|| format!("`{name}` has no {what}"))
        };
        let distribution = find(&distributions, "distribution")?;
        let distribution = Distribution::from_json_text(&distribution.to_string())
            .map_err(|error| format!("parameter `{name}`: {error}"))?;
        let internal = read_float(&find(&internal, "value")?)?;
        let is_choice = matches!(distribution, Distribution::Categorical(_));
        if is_choice && !distribution.contains(internal) {
            return Err(format!("parameter `{name}`: choice {internal} does not exist"));
        }
        params.push((name.to_owned(), Param { distribution, internal }));
    }
    Ok(params)
}

fn decode_step(json: &Json) -> Result<(i64, f64), String> {
    let pair = if let Json::Array(parts) = json { &parts[..] } else { &[] };
    match pair {
        [step, value] => {
            let step = step.as_i64().ok_or("expected an integer as step")?;
            Ok((step, read_float(value)?))
        }
        _ => Err("expected pairs of step and value in `intermediate_values`".to_owned()),
    }
}

fn read_float(json: &Json) -> Result<f64, String> {
    match json.as_str() {
        Some("nan") => Ok(f64::NAN),
        Some("inf") => Ok(f64::INFINITY),
        Some("-inf") => Ok(f64::NEG_INFINITY),
        _ => json.as_f64().ok_or_else(|| format!("expected a number, found `{json}`")),
    }
}

fn attrs(attrs: &BTreeMap<String, Json>) -> BTreeMap<String, Value> {
    attrs.iter().map(|(key, value)| (key.clone(), escape(value))).collect()
}

/// Returns a value as strict JSON.
fn escape(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::from(*value),
        Json::Int(value) => Value::from(*value),
        Json::Float(value) if value.is_finite() => Value::from(*value),
        Json::String(text) => Value::from(text.clone()),
        Json::Array(items) => items.iter().map(escape).collect(),
        Json::Object(members) if members.iter().all(|(key, _)| key != ESCAPE) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), escape(value))).collect())
        }
        Json::BigInt(_) | Json::Float(_) | Json::IllFormedString(_) | Json::Object(_) => {
            Value::Object(Map::from_iter([(ESCAPE.to_owned(), Value::from(json.to_string()))]))
        }
    }
}

fn unescape(json: &Json) -> Result<Json, String> {
    match json {
        Json::Object(members) => match &members[..] {
            [(key, Json::String(text))] if key == ESCAPE => {
                Json::parse(text).map_err(|error| error.to_string())
            }
            _ => members
                .iter()
                .map(|(key, value)| Ok((key.clone(), unescape(value)?)))
                .collect::<Result<_, String>>()
                .map(Json::Object),
        },
        Json::Array(items) => items.iter().map(unescape).collect::<Result<_, _>>().map(Json::Array),
        other => Ok(other.clone()),
    }
}

fn text<'a>(json: &'a Json, key: &str) -> Result<&'a str, String> {
    json.get(key).and_then(Json::as_str).ok_or_else(|| format!("expected a string as `{key}`"))
}

fn array<'a>(json: &'a Json, key: &str) -> Result<&'a [Json], String> {
    match json.get(key) {
        Some(Json::Array(items)) => Ok(items),
        _ => Err(format!("expected an array as `{key}`")),
    }
}

fn members(json: &Json, key: &str) -> Result<Vec<(String, Json)>, String> {
    match json.get(key).map(unescape).transpose()? {
        Some(Json::Object(members)) => Ok(members),
        _ => Err(format!("expected an object as `{key}`")),
    }
}

fn read_time(json: &Json, key: &str) -> Result<Option<UtcDateTime>, String> {
    match json.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => parse_datetime(text)
            .map(Some)
            .ok_or_else(|| format!("expected a date and time as `{key}`, found `{text}`")),
        Some(other) => Err(format!("expected a date and time as `{key}`, found `{other}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::StudyId;

    #[test]
    fn a_study_comes_back_to_the_bit_through_strict_json() {
        let choices = vec![Json::Null, 1i64.into(), 1.0.into(), f64::NAN.into(), "é".into()];
        let param = |distribution: Distribution, internal| Param { distribution, internal };
        let odd = Json::Object(vec![
            ("$json".to_owned(), Json::from("plain text")),
            ("big".to_owned(), Json::BigInt("9".repeat(30))),
            ("half".to_owned(), Json::IllFormedString(vec![0x61, 0xd800])),
            ("list".to_owned(), Json::Array(vec![f64::INFINITY.into(), true.into()])),
        ]);
        let at = parse_datetime("2026-11-24 01:02:03.000456");
        let trial = FrozenTrial {
            id: TrialId(0),
            number: TrialNumber(0),
            state: TrialState::Complete,
            values: vec![f64::NEG_INFINITY, 0.1 + 0.2],
            datetime_start: at,
            datetime_complete: at,
            params: vec![
                (
                    "z".to_owned(),
                    param(Distribution::float(0.0, 1.0, false, None).expect("a range"), 5e-324),
                ),
                ("a".to_owned(), param(Distribution::categorical(choices).expect("choices"), 3.0)),
            ],
            user_attrs: BTreeMap::from([("odd".to_owned(), odd)]),
            system_attrs: BTreeMap::from([("fixed_params".to_owned(), Json::Object(vec![]))]),
            intermediate_values: BTreeMap::from([(-1, f64::NAN), (7, 1e308)]),
        };
        let study = StudyRecord {
            id: StudyId(1),
            name: "a\nb".to_owned(),
            directions: vec![StudyDirection::Minimize, StudyDirection::Maximize],
            user_attrs: BTreeMap::from([("trialbox:seed".to_owned(), Json::from(u64::MAX))]),
            system_attrs: BTreeMap::new(),
        };
        let text = encode(&study, std::slice::from_ref(&trial));
        for line in text.lines() {
            serde_json::from_str::<Value>(line).expect("strict JSON");
        }
        let back = decode(&text).expect("it reads back");
        assert_eq!((back.name.as_deref(), back.directions), (Some("a\nb"), Some(study.directions)));
        assert_eq!(back.user_attrs, study.user_attrs.into_iter().collect::<Vec<_>>());
        // As text, because NaN is not equal to itself.
        assert_eq!(format!("{:?}", back.trials), format!("{:?}", [trial]));
    }

    /// Returns the line of a trial that holds nothing but its state and its start, which is JSON.
    fn bare_line(state: &str, datetime_start: &str) -> String {
        let head =
            format!(r#"{{"state": "{state}", "values": [], "datetime_start": {datetime_start}, "#);
        let params = r#""params_internal": {}, "params_order": [], "distributions": {}, "#;
        let rest = r#""user_attrs": {}, "system_attrs": {}, "intermediate_values": []}"#;
        head + params + rest
    }

    #[test]
    fn a_malformed_line_is_named() {
        let trial = bare_line("COMPLETE", "null");
        for (text, problem) in [
            ("{", "line 1: invalid JSON"),
            ("\n{}", "line 2: expected a string as `state`"),
            (&trial, "line 1: a COMPLETE trial has no values"),
            (
                &trial.replace("COMPLETE", "DONE"),
                "line 1: expected the state of a trial, found `DONE`",
            ),
        ] {
            let error = decode(text).expect_err("a malformed line");
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn a_running_trial_is_copied_as_a_failed_one() {
        let line = bare_line("RUNNING", r#""2026-11-24T01:02:03Z""#);
        let trial = decode(&line).expect("it reads").trials.remove(0);
        assert_eq!(trial.state, TrialState::Fail);
        assert_eq!(trial.datetime_complete, trial.datetime_start);
        assert!(trial.datetime_complete.is_some());
    }
}
