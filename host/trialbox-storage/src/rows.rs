//! The database's encoding of values, shared by all SQL backends.

use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{Distribution, Json, Param, StorageError, TrialState, UtcDateTime};

/// Returns a value as the columns `value` and `value_type` hold it. A value that some database cannot hold as a number
/// becomes a type.
pub(crate) fn encode_value(value: f64) -> (Option<f64>, &'static str) {
    match value {
        f64::INFINITY => (None, "INF_POS"),
        f64::NEG_INFINITY => (None, "INF_NEG"),
        _ if value.is_nan() => (None, "NAN"),
        _ => (Some(value), "FINITE"),
    }
}

/// Encodes a final value. Unlike an intermediate value it cannot be NaN, or Optuna could not read the study any more.
pub(crate) fn encode_final_value(value: f64) -> Result<(Option<f64>, &'static str), StorageError> {
    if value.is_nan() { Err(StorageError::NanValue) } else { Ok(encode_value(value)) }
}

/// Reads a final value.
pub(crate) fn decode_final_value(
    value: Option<f64>,
    kind: &str,
    what: impl Fn() -> String,
) -> Result<f64, StorageError> {
    match kind {
        "NAN" => Err(unreadable(format!("{}: a final value cannot be NaN", what()))),
        _ => decode_value(value, kind, what),
    }
}

/// Reads a value; `what` names the row for the error.
pub(crate) fn decode_value(
    value: Option<f64>,
    kind: &str,
    what: impl Fn() -> String,
) -> Result<f64, StorageError> {
    match (kind, value) {
        ("FINITE", Some(value)) => Ok(value),
        ("INF_POS", None) => Ok(f64::INFINITY),
        ("INF_NEG", None) => Ok(f64::NEG_INFINITY),
        ("NAN", None) => Ok(f64::NAN),
        _ => Err(unreadable(format!("{}: type {kind} with value {value:?}", what()))),
    }
}

pub(crate) fn decode_state(
    text: &str,
    what: impl Fn() -> String,
) -> Result<TrialState, StorageError> {
    match TrialState::parse(text) {
        Some(state) => Ok(state),
        None => Err(unreadable(format!("{}: unknown state `{text}`", what()))),
    }
}

pub(crate) fn decode_json(text: &str, what: impl Fn() -> String) -> Result<Json, StorageError> {
    Json::parse(text).map_err(|error| unreadable(format!("{}: {error}", what())))
}

pub(crate) fn decode_datetime(
    text: Option<String>,
    what: impl Fn() -> String,
) -> Result<Option<UtcDateTime>, StorageError> {
    let Some(text) = text else { return Ok(None) };
    match parse_datetime(&text) {
        Some(time) => Ok(Some(time)),
        None => Err(unreadable(format!("{}: expected a date and time, found `{text}`", what()))),
    }
}

pub(crate) fn decode_distribution(
    text: &str,
    what: impl Fn() -> String,
) -> Result<Distribution, StorageError> {
    Distribution::from_json_text(text).map_err(|error| unreadable(format!("{}: {error}", what())))
}

/// Reads a parameter. NULL is NaN: SQLite stores NaN as NULL, and a study that has such a row must stay readable.
///
/// The index of a choice is taken as Python takes it: without its fraction, and from the end if it is negative. An
/// index that does not exist is an error, or Python's readers would fail too.
pub(crate) fn decode_param(
    internal: Option<f64>,
    distribution: Distribution,
    what: impl Fn() -> String,
) -> Result<Param, StorageError> {
    let Distribution::Categorical(categorical) = &distribution else {
        return Ok(Param { distribution, internal: internal.unwrap_or(f64::NAN) });
    };
    let Some(found) = internal else {
        return Err(unreadable(format!("{}: the value is NULL", what())));
    };
    let n_choices = categorical.choices().len() as f64;
    let index = if found <= -1.0 { found.trunc() + n_choices } else { found.trunc() };
    if !(0.0..n_choices).contains(&index) {
        return Err(unreadable(format!("{}: there is no choice {found}", what())));
    }
    // A negative zero is an index too.
    Ok(Param { distribution, internal: index.abs() })
}

/// Returns the error of a row that cannot be read; `what` names the row and the problem.
pub(crate) fn unreadable(what: String) -> StorageError {
    StorageError::UnreadableRow { what }
}
