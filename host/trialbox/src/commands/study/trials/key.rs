//! Names of a trial's properties on the command line: what `--sort`, `--where` and `--columns` take.

use crate::error::CommandError;
use crate::view::objectives::objective_names;
use crate::view::trial::{show_duration, show_float, show_value};
use std::cmp::Ordering;
use std::collections::BTreeSet;
use trialbox_core::{FrozenTrial, Json, StudyDirection, StudyRecord, UtcDateTime};

/// A property of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Number,
    State,
    /// An objective, by its index.
    Objective(usize),
    Duration,
    Started,
    Finished,
    Param(String),
    UserAttr(String),
}

/// The words that are properties of every trial.
const FIXED: [(&str, Key); 5] = [
    ("number", Key::Number),
    ("state", Key::State),
    ("duration", Key::Duration),
    ("started", Key::Started),
    ("finished", Key::Finished),
];

/// The mark before the name of a user attribute.
const USER: &str = "user:";

/// A trial's value of a property. Numbers order before texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Text(String),
}

impl Value {
    /// Reads a value on the command line.
    pub(super) fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Value::Number(number),
            Err(_) => Value::Text(text.to_owned()),
        }
    }

    fn of_json(json: &Json) -> Option<Self> {
        match json {
            Json::Null => None,
            // As Python prints them, which is how a table shows them.
            Json::Bool(_) => Some(Value::Text(json.to_string())),
            Json::String(text) => Some(Value::Text(text.clone())),
            other => {
                Some(other.as_f64().map_or_else(|| Value::Text(other.to_string()), Value::Number))
            }
        }
    }

    /// Compares two values. A NaN equals itself and comes after all numbers.
    pub(super) fn compare(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Number(a), Value::Number(b)) => {
                a.partial_cmp(b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
            }
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Number(_), Value::Text(_)) => Ordering::Less,
            (Value::Text(_), Value::Number(_)) => Ordering::Greater,
        }
    }
}

impl Key {
    /// Finds a property by its name. A parameter's name wins over the words that every study has, unless an objective
    /// has it.
    ///
    /// # Errors
    /// A name that the study does not have, with the names that it has.
    pub(super) fn find(
        name: &str,
        study: &StudyRecord,
        trials: &[FrozenTrial],
    ) -> Result<Self, CommandError> {
        let objectives = objective_names(study);
        if let Some(index) = objectives.iter().position(|objective| objective == name) {
            return Ok(Key::Objective(index));
        }
        if trials.iter().any(|trial| trial.param(name).is_some()) {
            return Ok(Key::Param(name.to_owned()));
        }
        if let Some((_, key)) = FIXED.iter().find(|(word, _)| *word == name) {
            return Ok(key.clone());
        }
        if name == "value" && objectives.len() == 1 {
            return Ok(Key::Objective(0));
        }
        if let Some(attr) = name.strip_prefix(USER)
            && trials.iter().any(|trial| trial.user_attrs.contains_key(attr))
        {
            return Ok(Key::UserAttr(attr.to_owned()));
        }
        Err(CommandError::usage(
            format!("study `{}` has nothing of the name `{name}`", study.name),
            format!("expected one of {}", known(&objectives, trials).join(", ")),
        ))
    }

    /// Returns a trial's value, if it has one.
    pub(super) fn value(&self, trial: &FrozenTrial) -> Option<Value> {
        let time = |at: Option<UtcDateTime>| {
            Some(Value::Text(at?.strftime("%Y-%m-%d %H:%M:%S").to_string()))
        };
        match self {
            Key::Number => Some(Value::Number(trial.number.0.into())),
            Key::State => Some(Value::Text(trial.state.as_str().to_lowercase())),
            Key::Objective(index) => trial.values.get(*index).copied().map(Value::Number),
            Key::Duration => Some(Value::Number(trial.duration()?.as_secs_f64())),
            Key::Started => time(trial.datetime_start),
            Key::Finished => time(trial.datetime_complete),
            Key::Param(name) => Value::of_json(&trial.param(name)?.external()),
            Key::UserAttr(name) => Value::of_json(trial.user_attrs.get(name)?),
        }
    }

    /// Formats a trial's value for a table.
    pub(super) fn show(&self, trial: &FrozenTrial) -> String {
        match self {
            Key::State => trial.state.to_string(),
            Key::Duration => trial.duration().map(show_duration).unwrap_or_default(),
            Key::Param(name) => {
                trial.param(name).map(|param| show_value(&param.external())).unwrap_or_default()
            }
            Key::UserAttr(name) => trial.user_attrs.get(name).map(show_value).unwrap_or_default(),
            _ => match self.value(trial) {
                Some(Value::Number(value)) => show_float(value),
                Some(Value::Text(text)) => text,
                None => String::new(),
            },
        }
    }

    /// Compares two trials: good values of an objective come first, small ones of everything else, and trials without a
    /// value last.
    pub(super) fn compare(
        &self,
        study: &StudyRecord,
        a: &FrozenTrial,
        b: &FrozenTrial,
    ) -> Ordering {
        let is_reversed = match self {
            Key::Objective(index) => {
                study.directions.get(*index) == Some(&StudyDirection::Maximize)
            }
            _ => false,
        };
        match (self.value(a), self.value(b)) {
            (Some(a), Some(b)) if is_reversed => b.compare(&a),
            (Some(a), Some(b)) => a.compare(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }
}

/// Returns the names that a study has.
fn known(objectives: &[String], trials: &[FrozenTrial]) -> Vec<String> {
    let fixed = FIXED.iter().map(|(word, _)| (*word).to_owned());
    let params: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.params.iter().map(|(name, _)| name)).collect();
    let attrs: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.user_attrs.keys()).collect();
    let attrs = attrs.into_iter().map(|name| format!("{USER}{name}"));
    fixed
        .chain(objectives.iter().cloned())
        .chain(params.into_iter().cloned())
        .chain(attrs)
        .collect()
}
