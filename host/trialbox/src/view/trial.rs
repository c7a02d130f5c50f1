//! The text of trials and their numbers.

use std::time::Duration;
use trialbox_core::study::constraint::is_satisfied;
use trialbox_core::value::json::python_repr;
use trialbox_core::{Json, Param};

/// Formats a float: short where nothing is lost, else with six digits.
pub(crate) fn show_float(value: f64) -> String {
    let exact = python_repr(value);
    if exact.len() <= 9 {
        return exact.trim_end_matches(".0").to_owned();
    }
    let size = value.abs();
    if (1e-4..1e6).contains(&size) { format!("{value:.6}") } else { format!("{value:.5e}") }
}

/// Formats a float for a column of a table, with a fixed number of decimals. A value that rounds to zero has no sign.
pub(crate) fn show_rounded(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_owned(),
        _ => text,
    }
}

/// Formats several values.
pub(crate) fn show_floats(values: &[f64]) -> String {
    values.iter().map(|value| show_float(*value)).collect::<Vec<_>>().join(", ")
}

/// Formats a parameter's value.
pub(crate) fn show_value(value: &Json) -> String {
    match value {
        Json::Float(value) => show_float(*value),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Formats parameters on one line: `lr=0.01, depth=2`.
pub(crate) fn show_params(params: &[(String, Param)]) -> String {
    let pairs =
        params.iter().map(|(name, param)| format!("{name}={}", show_value(&param.external())));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Formats a constraint with its verdict: `size = 20   (violated)`.
pub(crate) fn show_constraint((name, value): &(String, f64)) -> String {
    let verdict = if is_satisfied(*value) { "satisfied" } else { "violated" };
    format!("{name} = {}   ({verdict})", show_float(*value))
}

/// Formats constraints on one line: `size = 20, cost = 0.5`.
pub(crate) fn show_constraints<'a>(
    constraints: impl IntoIterator<Item = &'a (String, f64)>,
) -> String {
    let pairs =
        constraints.into_iter().map(|(name, value)| format!("{name} = {}", show_float(*value)));
    pairs.collect::<Vec<_>>().join(", ")
}

/// Formats the violated constraints on one line, if there are any.
pub(crate) fn show_violated(constraints: &[(String, f64)]) -> Option<String> {
    let violated = constraints.iter().filter(|(_, value)| !is_satisfied(*value));
    let violated: Vec<&(String, f64)> = violated.collect();
    (!violated.is_empty()).then(|| show_constraints(violated))
}

/// Formats a duration: `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 10 min`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_for_people() {
        for (value, text) in [
            (0.5, "0.5"),
            (2.0, "2"),
            (1.0 / 3.0, "0.333333"),
            (1.23456789e-7, "1.23457e-7"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(show_float(value), text);
        }
    }

    #[test]
    fn a_rounded_zero_has_no_sign() {
        for (value, text) in [
            (-0.0, "0.0000"),
            (-4e-5, "0.0000"),
            (-6e-5, "-0.0001"),
            (4e-5, "0.0000"),
            (-10.0, "-10.0000"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(show_rounded(value, 4), text, "{value}");
        }
        assert_eq!(show_rounded(-0.4, 0), "0");
    }
}
