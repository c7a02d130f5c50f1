//! The scale of an axis: values as places from 0 to 1, and the ticks between.

use crate::number::short;
use jiff::SignedDuration;
use trialbox_core::{Distribution, Json, UtcDateTime};

/// A scale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    /// Equal differences are equally far apart.
    Linear(f64, f64),
    /// Equal ratios are equally far apart.
    Log(f64, f64),
    /// Names at equal distances; values are their indices.
    Names(Vec<String>),
    /// Seconds since a moment, in the reader's time.
    Time(UtcDateTime, f64),
}

/// The longest name at an axis, in characters.
const MAX_NAME_CHARS: usize = 18;

impl Scale {
    /// Returns a scale for values, which need not be finite; infinite ones have no place.
    pub(crate) fn of_values(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            return Scale::Linear(0.0, 1.0);
        }
        Scale::Linear(low, high).padded()
    }

    /// Returns the scale of a distribution: its whole range, so that its ends are visible.
    pub(crate) fn of_distribution(distribution: &Distribution) -> Self {
        let (low, high, log) = match distribution {
            Distribution::Float(float) => (float.low(), float.high(), float.log()),
            Distribution::Int(int) => (int.low() as f64, int.high() as f64, int.log()),
            Distribution::Categorical(choices) => {
                return Scale::Names(choices.choices().iter().map(show_choice).collect());
            }
        };
        let scale = if log { Scale::Log(low, high) } else { Scale::Linear(low, high) };
        if low == high { scale.padded() } else { scale }
    }

    /// Returns a scale that covers another one of the same kind too.
    pub(crate) fn with(self, other: &Scale) -> Self {
        match (self, other) {
            (Scale::Linear(a, b), Scale::Linear(c, d)) => Scale::Linear(a.min(*c), b.max(*d)),
            (Scale::Log(a, b), Scale::Log(c, d)) => Scale::Log(a.min(*c), b.max(*d)),
            (one, _) => one,
        }
    }

    /// Returns a scale whose ends are away from its values.
    pub(crate) fn padded(self) -> Self {
        match self {
            // Numbers so near to zero have no halves.
            Scale::Linear(low, high) if low == high || (high - low) < f64::MIN_POSITIVE * 4.0 => {
                let margin = if low.abs() < f64::MIN_POSITIVE { 1.0 } else { low.abs() * 0.1 };
                Scale::Linear((low - margin).max(f64::MIN), (high + margin).min(f64::MAX))
            }
            Scale::Linear(low, high) => {
                // Halves first: the difference of huge numbers would be infinite.
                let margin = (high / 2.0 - low / 2.0) * 0.1;
                Scale::Linear((low - margin).max(f64::MIN), (high + margin).min(f64::MAX))
            }
            Scale::Log(low, high) if low == high => Scale::Log(low / 2.0, high * 2.0),
            other => other,
        }
    }

    /// Returns the place of a value; `None` if it has none on this scale.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        let place = match self {
            Scale::Linear(low, high) => (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0),
            Scale::Log(low, high) => (value / low).ln() / (high / low).ln(),
            Scale::Names(names) => (value + 0.5) / names.len() as f64,
            Scale::Time(_, seconds) => value / seconds,
        };
        let tolerance = 1e-9;
        (-tolerance..=1.0 + tolerance).contains(&place).then(|| place.clamp(0.0, 1.0))
    }

    /// Returns the value at a place.
    pub(crate) fn value_at(&self, place: f64) -> f64 {
        match self {
            Scale::Linear(low, high) => low * (1.0 - place) + high * place,
            Scale::Log(low, high) => low * (high / low).powf(place),
            Scale::Names(names) => place * names.len() as f64 - 0.5,
            Scale::Time(_, seconds) => place * seconds,
        }
    }

    /// Returns about `n` ticks: their places and labels.
    pub(crate) fn ticks(&self, n: usize) -> Vec<(f64, String)> {
        match self {
            Scale::Linear(low, high) => self.at(linear_ticks(*low, *high, n)),
            Scale::Log(low, high) => match log_ticks(*low, *high, n) {
                ticks if ticks.len() >= 2 => self.at(ticks),
                _ => self.at([0.0, 0.5, 1.0].map(|place| round_to(self.value_at(place), 3))),
            },
            Scale::Names(names) => {
                let stride = names.len().div_ceil((n * 2).max(1)).max(1);
                let shown = names.iter().enumerate().step_by(stride);
                shown
                    .filter_map(|(index, name)| Some((self.place(index as f64)?, shortened(name))))
                    .collect()
            }
            Scale::Time(start, seconds) => time_ticks(*start, *seconds, n)
                .into_iter()
                .filter_map(|(at, label)| Some((self.place(at)?, label)))
                .collect(),
        }
    }

    fn at(&self, values: impl IntoIterator<Item = f64>) -> Vec<(f64, String)> {
        let placed = values.into_iter().filter_map(|value| Some((self.place(value)?, value)));
        placed.map(|(place, value)| (place, short(value))).collect()
    }
}

/// Formats a choice: text without its quotes.
pub(crate) fn show_choice(choice: &Json) -> String {
    match choice {
        Json::String(text) => text.clone(),
        Json::Float(value) => short(*value),
        other => other.to_string(),
    }
}

fn shortened(name: &str) -> String {
    trialbox_core::value::text::shorten(name, MAX_NAME_CHARS)
}

/// Returns multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let width = high - low;
    if !width.is_finite() || width <= 0.0 {
        return vec![low, high];
    }
    let rough = width / n.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let step = factors.into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0) * power;
    let first = (low / step).ceil();
    let last = (high / step).floor();
    if !(first.is_finite() && last - first <= 4.0 * n as f64) {
        return vec![low, high];
    }
    (0..=(last - first) as usize).map(|k| round_to((first + k as f64) * step, 12)).collect()
}

/// Returns powers of ten, few enough to be read.
fn log_ticks(low: f64, high: f64, n: usize) -> Vec<f64> {
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    let stride = ((last - first + 1).max(0) as usize).div_ceil(n.max(1)).max(1);
    (first..=last).step_by(stride).map(|power| round_to(10f64.powi(power), 12)).collect()
}

/// Rounds to significant digits, so that sums of steps are what people expect.
fn round_to(value: f64, digits: usize) -> f64 {
    format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value)
}

/// Returns whole units of time, from a second to a week.
fn time_ticks(start: UtcDateTime, seconds: f64, n: usize) -> Vec<(f64, String)> {
    const STEPS: [i64; 17] = [
        1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
        604_800, 2_419_200,
    ];
    let enough = STEPS.into_iter().find(|step| seconds / *step as f64 <= n as f64);
    let step = enough.unwrap_or(seconds as i64 / n.max(1) as i64 + 1);
    let into_day =
        i64::from(start.hour()) * 3600 + i64::from(start.minute()) * 60 + i64::from(start.second());
    let first = step - 1 - (into_day + step - 1) % step;
    let format = match step {
        1..=59 => "%H:%M:%S",
        60..=43_199 => "%H:%M",
        43_200..=86_399 => "%d %b %H:%M",
        _ => "%d %b",
    };
    (0..)
        .map(|k| first + k * step)
        .take_while(|at| *at as f64 <= seconds)
        .take(4 * n.max(1))
        .filter_map(|at| {
            let moment = start.checked_add(SignedDuration::from_secs(at)).ok()?;
            Some((at as f64, moment.strftime(format).to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale, n: usize) -> Vec<String> {
        scale.ticks(n).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(labels(&Scale::Linear(0.0, 1.0), 5), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&Scale::Linear(-3.2, 97.0), 4), ["0", "50"]);
        assert_eq!(labels(&Scale::Log(1e-5, 0.1), 5), ["1e-5", "0.0001", "0.001", "0.01", "0.1"]);
        assert_eq!(labels(&Scale::Log(2.0, 7.0), 4), ["2", "3.74", "7"]);
        let names = Scale::Names(vec!["relu".to_owned(), "x".repeat(40)]);
        assert_eq!(labels(&names, 5), ["relu".to_owned(), format!("{}…", "x".repeat(18))]);
        let start: UtcDateTime = "2026-11-30T14:31:05".parse().expect("a time");
        assert_eq!(labels(&Scale::Time(start, 3600.0), 5), ["14:45", "15:00", "15:15", "15:30"]);
    }

    #[test]
    fn every_finite_value_has_a_place_and_no_scale_is_endless() {
        let extremes = [f64::MIN, -1.0, 0.0, 5e-324, 1e308, f64::MAX, f64::NAN, f64::INFINITY];
        for a in extremes {
            for b in extremes {
                let scale = Scale::of_values([a, b]);
                for value in [a, b].into_iter().filter(|value| value.is_finite()) {
                    assert!(scale.place(value).is_some(), "{value} on {scale:?}");
                }
                assert!(labels(&scale, 5).len() <= 20, "{scale:?}");
            }
        }
        assert_eq!(Scale::of_values([]).place(f64::NAN), None);
    }
}
