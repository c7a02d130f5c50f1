//! Grids of floats, in the decimal arithmetic in which Optuna enumerates them.

use bigdecimal::{BigDecimal, Zero as _};

/// Returns whether a value is `low` plus a multiple of `step`, with Optuna's tolerance, because grid points are sums of
/// decimals and need not be exact; and with that of floats, which is larger where the values are many steps from 0.
pub(super) fn is_grid_point(value: f64, low: f64, step: f64) -> bool {
    let k = (value - low) / step;
    let rounding = 4.0 * f64::EPSILON * low.abs().max(value.abs()) / step;
    (k - k.round_ties_even()).abs() < 1e-8 + rounding
}

/// The largest `low + k·step` that is not above `high`, in decimal arithmetic on the shortest
/// representations, so that (0, 0.3, 0.1) keeps its 0.3 and (0, 1, 0.3) ends at 0.9.
pub(super) fn last_grid_point(low: f64, high: f64, step: f64) -> f64 {
    // Infinite bounds have no decimal form; they are refused before anything is sampled.
    let (Some(d_low), Some(d_high), Some(d_step)) = (decimal(low), decimal(high), decimal(step))
    else {
        return high;
    };
    let range = &d_high - &d_low;
    if (&range % &d_step).is_zero() {
        return high;
    }
    let steps = (&range / &d_step).with_scale_round(0, bigdecimal::RoundingMode::Down);
    (steps * d_step + d_low).to_string().parse().unwrap_or(high)
}

/// The shortest decimal that is read back as this float.
pub(super) fn decimal(value: f64) -> Option<BigDecimal> {
    format!("{value:e}").parse().ok()
}
