//! Studies as JSON lines that lose nothing: `study export` writes them, `study import` reads them.
//!
//! The first line is the study, each further one a trial, in strict JSON. What strict JSON lacks is a string
//! where a float is expected (`"nan"`, `"inf"`, `"-inf"`), and elsewhere an object `{"$json": "…"}` with the
//! value as Python writes it: a NaN, an integer beyond 64 bits, a string with an unpaired surrogate.

use crate::view::record::{Float, floats};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::retry::{FAILED_TRIAL_ATTR, RESUMES_ATTR, RETRY_HISTORY_ATTR};
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
pub(crate) enum ExportLine<'a> {
    /// The first line: the study.
    Study(ExportedStudy<'a>),
    /// Each further line: a trial.
    Trial(Box<ExportedTrial<'a>>),
}

/// An exported study.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExportedStudy<'a> {
    /// The study's name.
    study: String,
    /// `minimize` or `maximize` for each objective.
    directions: Vec<String>,
    /// The names of the objectives, if the study names them.
    metric_names: Option<Vec<String>>,
    /// The attributes that users attached, and those that all jobs of the study share.
    user_attrs: BTreeMap<String, Strict<'a>>,
    /// The attributes of Optuna and its samplers.
    system_attrs: BTreeMap<String, Strict<'a>>,
}

/// An exported trial.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ExportedTrial<'a> {
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
    params: BTreeMap<String, Strict<'a>>,
    /// The names of the parameters in the order in which the objective asked for them.
    params_order: Vec<String>,
    /// The parameters by name, as the database stores them.
    params_internal: BTreeMap<String, Float>,
    /// The range or the choices of each parameter, in Optuna's form.
    distributions: BTreeMap<String, Strict<'a>>,
    /// The reported values as pairs of step and value.
    intermediate_values: Vec<(i64, Float)>,
    /// The attributes that the objective or a user attached.
    user_attrs: BTreeMap<String, Strict<'a>>,
    /// The attributes of trialbox and of Optuna's samplers.
    system_attrs: BTreeMap<String, Strict<'a>>,
}

/// A value of the database as strict JSON, its members in their order.
#[derive(Debug)]
struct Strict<'a>(Cow<'a, Json>);

impl<'a> From<&'a Json> for Strict<'a> {
    fn from(json: &'a Json) -> Self {
        Strict(Cow::Borrowed(json))
    }
}

impl Serialize for Strict<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_ref() {
            Json::Null => serializer.serialize_unit(),
            Json::Bool(value) => serializer.serialize_bool(*value),
            Json::Int(value) => serializer.serialize_i64(*value),
            Json::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Json::String(text) => serializer.serialize_str(text),
            Json::Array(items) => serializer.collect_seq(items.iter().map(Strict::from)),
            Json::Object(members) if has_plain_keys(members) => serializer
                .collect_map(members.iter().map(|(key, value)| (key, Strict::from(value)))),
            Json::BigInt(_) | Json::Float(_) | Json::IllFormedString(_) | Json::Object(_) => {
                serializer.collect_map([(ESCAPE, self.0.to_string())])
            }
        }
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Strict<'_> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        serde_json::Value::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        serde_json::Value::json_schema(generator)
    }
}

/// Returns whether no key is the escape, and none occurs twice.
fn has_plain_keys(members: &[(String, Json)]) -> bool {
    let keys: BTreeSet<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    keys.len() == members.len() && !keys.contains(ESCAPE)
}

/// The content of an exported file. A trial that was RUNNING is RUNNING here; see [`as_copied`].
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

fn encode_line(line: &ExportLine<'_>) -> String {
    // Only a map with keys that are no strings cannot be written, and no line has one.
    let text = serde_json::to_string(line).unwrap_or_default();
    format!("{text}\n")
}

/// Returns a text that two trials share if they are the same trial: everything but the numbers, which a copy changes.
pub(crate) fn content(trial: &FrozenTrial) -> String {
    let mut trial = trial.clone();
    trial.number = TrialNumber(0);
    for attr in [FAILED_TRIAL_ATTR, RETRY_HISTORY_ATTR, RESUMES_ATTR] {
        trial.system_attrs.remove(attr);
    }
    // SQLite does not keep the sign of a zero.
    trial.values.iter_mut().for_each(drop_sign_of_zero);
    trial.params.iter_mut().for_each(|(_, param)| drop_sign_of_zero(&mut param.internal));
    trial.intermediate_values.values_mut().for_each(drop_sign_of_zero);
    encode_line(&ExportLine::Trial(Box::new(encode_trial(&trial))))
}

fn drop_sign_of_zero(value: &mut f64) {
    *value += 0.0;
}

fn encode_trial(trial: &FrozenTrial) -> ExportedTrial<'_> {
    let internal = trial.params.iter().map(|(name, param)| (name.clone(), Float(param.internal)));
    let steps = trial.intermediate_values.iter();
    ExportedTrial {
        number: trial.number.0,
        state: trial.state.as_str(),
        values: floats(&trial.values),
        datetime_start: trial.datetime_start.map(format_rfc3339),
        datetime_complete: trial.datetime_complete.map(format_rfc3339),
        duration_seconds: trial.duration().map(|duration| duration.as_secs_f64()),
        params: by_name(trial, Param::external),
        params_order: trial.params.iter().map(|(name, _)| name.clone()).collect(),
        params_internal: internal.collect(),
        distributions: by_name(trial, |param| {
            Json::parse(&param.distribution.to_json_text()).unwrap_or(Json::Null)
        }),
        intermediate_values: steps.map(|(step, value)| (*step, Float(*value))).collect(),
        user_attrs: attrs(&trial.user_attrs),
        system_attrs: attrs(&trial.system_attrs),
    }
}

/// Returns a value of each parameter by its name.
fn by_name(
    trial: &FrozenTrial,
    value: impl Fn(&Param) -> Json,
) -> BTreeMap<String, Strict<'static>> {
    let values = trial.params.iter();
    values.map(|(name, param)| (name.clone(), Strict(Cow::Owned(value(param))))).collect()
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
            _ => imported.trials.push(decode_trial(&json).map_err(place)?),
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
    if values.iter().any(|value| value.is_nan()) {
        return Err("a final value is NaN".to_owned());
    }
    Ok(FrozenTrial {
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
    })
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

fn attrs(attrs: &BTreeMap<String, Json>) -> BTreeMap<String, Strict<'_>> {
    attrs.iter().map(|(key, value)| (key.clone(), value.into())).collect()
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
    let Some(Json::Object(members)) = json.get(key) else {
        return Err(format!("expected an object as `{key}`"));
    };
    // A member may have the name of the escape, which only values are.
    members.iter().map(|(key, value)| Ok((key.clone(), unescape(value)?))).collect()
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
mod tests;
