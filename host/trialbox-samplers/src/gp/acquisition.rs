//! The worth of a point: the logarithm of the expected improvement, and of the probability of being feasible.

use crate::tpe::normal::{LN_SQRT_2PI, log_cdf};

fn log_density(z: f64) -> f64 {
    -0.5 * z * z - LN_SQRT_2PI
}

/// Returns ln(φ(z) + z·Φ(z)), the logarithm of the expected part of a standard normal above −z, with its digits
/// however far z is below 0.
///
/// Ament et al. 2023, "Unexpected Improvements to Expected Improvement", eq. 9; the series replaces their erfcx.
pub(super) fn log_h(z: f64) -> f64 {
    if z > -1.0 {
        return libm::log(libm::exp(log_density(z)) + z * libm::exp(log_cdf(z)));
    }
    if z > -20.0 {
        // φ(z)·(1 − |z|·Φ(z)/φ(z)); the ratio is below 1 by 1/z² or more.
        let ratio = -z * libm::exp(log_cdf(z) - log_density(z));
        return log_density(z) + libm::log1p(-ratio);
    }
    // The asymptotic series of the same difference, Abramowitz and Stegun 1964, eq. 26.2.12.
    let r = 1.0 / (z * z);
    let series =
        1.0 - r * (3.0 - r * (15.0 - r * (105.0 - r * (945.0 - r * (10_395.0 - r * 135_135.0)))));
    log_density(z) - 2.0 * libm::log(-z) + libm::log(series)
}

/// A value with its derivatives by the mean and the standard deviation of the prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Worth {
    pub(super) value: f64,
    pub(super) by_mean: f64,
    pub(super) by_deviation: f64,
}

/// Returns the logarithm of the expected improvement below `best`, of a loss with this mean and deviation > 0.
pub(super) fn log_expected_improvement(mean: f64, deviation: f64, best: f64) -> Worth {
    let z = (best - mean) / deviation;
    let log_h = log_h(z);
    Worth {
        value: log_h + libm::log(deviation),
        by_mean: -libm::exp(log_cdf(z) - log_h) / deviation,
        by_deviation: libm::exp(log_density(z) - log_h) / deviation,
    }
}

/// Returns the logarithm of the probability that a value with this mean and deviation > 0 is at most `limit`.
pub(super) fn log_feasibility(mean: f64, deviation: f64, limit: f64) -> Worth {
    let z = (limit - mean) / deviation;
    let value = log_cdf(z);
    let by_z = libm::exp(log_density(z) - value);
    Worth { value, by_mean: -by_z / deviation, by_deviation: -by_z * z / deviation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_the_values() {
        let both = [log_expected_improvement, log_feasibility];
        for worth in both {
            for (mean, deviation, limit) in [(0.3, 0.8, 0.1), (2.0, 0.3, 0.0), (9.0, 0.4, 0.0)] {
                let found = worth(mean, deviation, limit);
                let value = |by_mean: f64, by_deviation: f64| {
                    worth(mean + by_mean, deviation + by_deviation, limit).value
                };
                let by_mean = (value(1e-6, 0.0) - value(-1e-6, 0.0)) / 2e-6;
                let by_deviation = (value(0.0, 1e-6) - value(0.0, -1e-6)) / 2e-6;
                let is_close = |a: f64, b: f64| (a - b).abs() < 1e-6 * a.abs().max(1.0);
                assert!(is_close(found.by_mean, by_mean), "{mean}: {found:?}, {by_mean}");
                assert!(is_close(found.by_deviation, by_deviation), "{mean}: {found:?}");
            }
        }
    }

    #[test]
    fn the_branches_meet() {
        for at in [-1.0, -20.0] {
            let (below, above) = (log_h(at - 1e-9), log_h(at + 1e-9));
            assert!((below - above).abs() < 1e-7, "{at}: {below}, {above}");
        }
        assert!(log_h(-1e8).is_finite() && log_h(1e8).is_finite());
    }
}
