//! Numeric parameters as points of an interval on which uniform draws are fair, and back.
//!
//! The rules are those of Optuna's `_SearchSpaceTransform` (`optuna/_transform.py`): logarithms for
//! log-scaled ranges, and half a step of margin on both sides of a grid, so that its ends are drawn as
//! often as its middle.

use crate::space::distribution::{Distribution, FloatDistribution, IntDistribution};

/// The interval of a numeric distribution in transformed coordinates; `None` for a categorical one.
pub fn bounds(distribution: &Distribution) -> Option<(f64, f64)> {
    match distribution {
        Distribution::Float(float) => Some(float_bounds(float)),
        Distribution::Int(int) => Some(int_bounds(int)),
        Distribution::Categorical(_) => None,
    }
}

/// The internal value at `x`, a point of the interval that [`bounds`] gives: in range and on the grid.
/// Categorical distributions have no such interval and give `None`.
pub fn untransform(distribution: &Distribution, x: f64) -> Option<f64> {
    match distribution {
        Distribution::Float(float) => Some(untransform_float(float, x)),
        Distribution::Int(int) => Some(untransform_int(int, x)),
        Distribution::Categorical(_) => None,
    }
}

/// Returns the number of the range that is nearest to a value; the lower end for NaN, which arithmetic at the ends of
/// the floats can give.
pub fn into_range(value: f64, low: f64, high: f64) -> f64 {
    if value > high {
        high
    } else if value >= low {
        value
    } else {
        low
    }
}

/// Returns the `k`-th integer of a grid. The product may be twice as large as the integers that floats hold, so it is
/// rounded only together with the sum.
pub fn int_at(low: f64, step: f64, k: f64) -> f64 {
    k.mul_add(step, low)
}

fn float_bounds(float: &FloatDistribution) -> (f64, f64) {
    let (low, high) = (float.low(), float.high());
    match float.step() {
        Some(step) => (low - 0.5 * step, high + 0.5 * step),
        None if float.log() => (low.ln(), high.ln()),
        None => (low, high),
    }
}

fn int_bounds(int: &IntDistribution) -> (f64, f64) {
    let half_step = 0.5 * int.step() as f64;
    let (low, high) = (int.low() as f64 - half_step, int.high() as f64 + half_step);
    if int.log() { (low.ln(), high.ln()) } else { (low, high) }
}

fn untransform_float(float: &FloatDistribution, x: f64) -> f64 {
    let (low, high) = (float.low(), float.high());
    if let Some(step) = float.step() {
        return into_range(low + ((x - low) / step).round_ties_even() * step, low, high);
    }
    let value = if float.log() { x.exp() } else { x };
    // A uniform draw is from [low, high), and rounding must not carry it to `high`.
    if low == high { low } else { into_range(value, low, high.next_down()) }
}

fn untransform_int(int: &IntDistribution, x: f64) -> f64 {
    let (low, high, step) = (int.low() as f64, int.high() as f64, int.step() as f64);
    if int.log() {
        return into_range(x.exp().round_ties_even(), low, high);
    }
    into_range(int_at(low, step, ((x - low) / step + 0.5).floor()), low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_has_half_a_step_of_margin_and_logarithms() {
        let check = |distribution: Result<Distribution, _>, want: (f64, f64)| {
            assert_eq!(bounds(&distribution.expect("a valid range")), Some(want));
        };
        check(Distribution::float(0.0, 1.0, false, None), (0.0, 1.0));
        check(Distribution::float(1e-5, 0.1, true, None), (1e-5f64.ln(), 0.1f64.ln()));
        check(Distribution::float(0.0, 1.0, false, Some(0.25)), (-0.125, 1.125));
        check(Distribution::int(1, 9, false, 2), (0.0, 10.0));
        check(Distribution::int(1, 8, true, 1), (0.5f64.ln(), 8.5f64.ln()));
    }

    #[test]
    fn the_ends_of_the_interval_map_into_the_range() {
        for distribution in [
            Distribution::float(0.0, 1.0, false, None),
            Distribution::float(1e-5, 0.1, true, None),
            Distribution::float(0.0, 1.0, false, Some(0.3)),
            Distribution::int(1, 9, false, 2),
            Distribution::int(1, 8, true, 1),
            Distribution::float(2.0, 2.0, false, None),
        ] {
            let distribution = distribution.expect("a valid range");
            let (low, high) = bounds(&distribution).expect("numeric");
            for x in [low, 0.5 * (low + high), high] {
                let value = untransform(&distribution, x).expect("numeric");
                assert!(distribution.contains(value), "{distribution} at {x}: {value}");
            }
        }
    }
}
