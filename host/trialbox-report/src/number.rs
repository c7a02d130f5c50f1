//! Numbers for people: values, shares, durations.

use std::time::Duration;
use trialbox_core::value::json::python_repr;

/// Formats a value with at most six significant digits.
pub(crate) fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return python_repr(value);
    }
    let size = value.abs();
    if (1e-4..1e7).contains(&size) {
        let n_decimals = (5 - size.log10().floor() as i32).max(0) as usize;
        return trimmed(&format!("{value:.n_decimals$}"));
    }
    let text = format!("{value:.4e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trimmed(digits)),
        None => text,
    }
}

/// Removes zeros at the end of the decimals.
fn trimmed(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Formats a share of a whole: `12 %`.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        share if share > 0.0 && share < 1.0 => "< 1 %".to_owned(),
        share => format!("{share:.0} %"),
    }
}

/// Formats a duration: `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 10 min`, `3 d 4 h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=172_799 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_for_people() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.5, "0.5"),
            (12.0, "12"),
            (100.0, "100"),
            (1234567.0, "1234567"),
            (1.0 / 3.0, "0.333333"),
            (1e-5, "1e-5"),
            (-1.23456e9, "-1.2346e9"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(short(value), text, "{value}");
        }
    }

    #[test]
    fn shares_and_durations_are_in_words() {
        assert_eq!([0.0, 0.004, 0.126, 1.0].map(percent), ["0 %", "< 1 %", "13 %", "100 %"]);
        let durations = [0.25, 3.44, 125.0, 4200.0, 273_600.0];
        let texts = durations.map(|seconds| duration(Duration::from_secs_f64(seconds)));
        assert_eq!(texts, ["250 ms", "3.4 s", "2 min 5 s", "1 h 10 min", "3 d 4 h"]);
    }
}
