//! A finite range as a list of values, without writing it down.

use trialbox_core::Distribution;
use trialbox_core::space::transform::into_range;

/// The most values that are told apart, those of all integers that floats hold: beyond, neighbouring places are the
/// same float.
const MOST: u64 = (1 << 54) + 1;

/// Returns the number of values that a parameter can take; `None` for a float without a step, and for so many values
/// that they are never exhausted.
pub(super) fn count(distribution: &Distribution) -> Option<u64> {
    let count = match distribution {
        Distribution::Float(float) => {
            let steps = (float.high() - float.low()) / float.step()?;
            (steps.round() as u64).saturating_add(1)
        }
        Distribution::Int(int) => {
            (int.high().abs_diff(int.low()) / int.step().unsigned_abs()).saturating_add(1)
        }
        Distribution::Categorical(categorical) => categorical.choices().len() as u64,
    };
    (count <= MOST).then_some(count)
}

/// Returns the value at a place, counted from 0.
pub(super) fn at(distribution: &Distribution, place: u64) -> f64 {
    match distribution {
        Distribution::Float(float) => {
            let point = float.grid_point(place);
            // The decimals of a step so small that it has few digits are not those of its multiples.
            if distribution.contains(point) {
                return point;
            }
            let point = float.low() + place as f64 * float.step().unwrap_or(0.0);
            into_range(point, float.low(), float.high())
        }
        Distribution::Int(int) => {
            // A range can be twice as wide as 64 bits with a sign hold.
            let value = i128::from(int.low()) + i128::from(int.step()) * i128::from(place);
            value.min(i128::from(int.high())) as f64
        }
        Distribution::Categorical(_) => place as f64,
    }
}

/// Returns the place of a value; `None` if it is not one of them.
pub(super) fn place(distribution: &Distribution, internal: f64) -> Option<u64> {
    if !distribution.contains(internal) {
        return None;
    }
    let place = match distribution {
        Distribution::Float(float) => (internal - float.low()) / float.step()?,
        Distribution::Int(int) => (internal - int.low() as f64) / int.step() as f64,
        Distribution::Categorical(_) => internal,
    };
    Some(place.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        for (distribution, n) in [
            (Distribution::float(0.0, 1.0, false, Some(0.1)), 11),
            (Distribution::float(-1.0, 0.0, false, Some(0.3)), 4),
            (Distribution::int(-3, 9, false, 4), 4),
            (Distribution::int(1, 9, true, 1), 9),
            (Distribution::categorical(vec![1i64.into(), 2i64.into()]), 2),
        ] {
            let distribution = distribution.expect("a distribution");
            assert_eq!(count(&distribution), Some(n), "{distribution}");
            for found in 0..n {
                assert!(distribution.contains(at(&distribution, found)));
                assert_eq!(place(&distribution, at(&distribution, found)), Some(found));
            }
            assert_eq!(place(&distribution, at(&distribution, n - 1) + 100.0), None);
        }
        let continuous = Distribution::float(0.0, 1.0, false, None).expect("a range");
        assert_eq!((count(&continuous), place(&continuous, 0.5)), (None, None));
    }
}
