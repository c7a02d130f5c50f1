//! Hyperparameters by the largest posterior density: marginal likelihood times prior.

use super::cholesky::{Lower, dot};
use super::kernel::{Geometry, Hyper, Matrix, Scaled};
use super::lbfgs::{Limits, minimize};
use std::f64::consts::SQRT_2;

/// The smallest noise, as a share of the variance of the outcomes: below it, factors lose their last digits.
pub(super) const MIN_NOISE: f64 = 1e-7;

/// The beliefs about hyperparameters before the first trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prior {
    /// Lengths grow with the root of the number of parameters: ln ℓ ~ N(√2 + ½·ln d, 3), of Hvarfner, Hellsten and
    /// Nardi 2024, "Vanilla Bayesian Optimization Performs Great in High Dimensions", eq. 6. The others as Optuna's.
    ScaledByDimension,
    /// The priors of Optuna 5.0's `optuna/_gp/prior.py`, against which golden numbers are held.
    #[cfg_attr(not(test), expect(dead_code, reason = "golden numbers alone need it"))]
    Optuna,
}

impl Prior {
    /// Returns the logarithm of the density, without a constant, and adds its derivatives by the logarithms of the
    /// hyperparameters.
    pub(super) fn log_density(self, hyper: &Hyper, slopes: &mut [f64]) -> f64 {
        let n_groups = hyper.weights.len();
        let mut sum = 0.0;
        for (weight, slope) in hyper.weights.iter().zip(&mut *slopes) {
            let (value, by_log) = self.of_weight(*weight, n_groups);
            sum += value;
            *slope += by_log;
        }
        let (scale, noise) = (hyper.scale, hyper.noise);
        // Gamma(2, 1) and Gamma(1.1, 30).
        slopes[n_groups] += 1.0 - scale;
        slopes[n_groups + 1] += 0.1 - 30.0 * noise;
        sum + libm::log(scale) - scale + 0.1 * libm::log(noise) - 30.0 * noise
    }

    fn of_weight(self, weight: f64, n_groups: usize) -> (f64, f64) {
        match self {
            Prior::Optuna => (-(0.1 / weight + 0.1 * weight), 0.1 / weight - 0.1 * weight),
            Prior::ScaledByDimension => {
                let log_length = -0.5 * libm::log(weight);
                let off = log_length - median_log_length(n_groups);
                (-off * off / 6.0 - log_length, 0.5 * (off / 3.0 + 1.0))
            }
        }
    }
}

fn median_log_length(n_groups: usize) -> f64 {
    SQRT_2 + 0.5 * libm::log(n_groups.max(1) as f64)
}

/// Outcomes at points, row after row.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) points: &'a [f64],
    pub(super) outcomes: &'a [f64],
}

/// Returns ln p(outcomes | hyperparameters) + ½·n·ln 2π, and writes its derivatives by the logarithms of the
/// hyperparameters; `None` if rounding leaves the covariance without a factor. O(n³).
///
/// Rasmussen and Williams 2006, eq. 2.30 and 5.9.
pub(super) fn log_likelihood(data: Data, hyper: &Hyper, slopes: &mut [f64]) -> Option<f64> {
    let points = Scaled::new(data.geometry, &hyper.weights, data.points);
    let matrix = Matrix::of(&points);
    let factor = matrix.covariance(hyper).cholesky()?;
    let whitened = factor.solve(data.outcomes);
    let alpha = factor.solve_transposed(&whitened);
    let inverse = factor.inverse_of_product();
    let row_of_m = |i: usize, row: &mut [f64]| {
        for ((m, alpha_j), inverse) in row.iter_mut().zip(&alpha).zip(inverse.row(i)) {
            *m = 0.5 * (alpha[i] * alpha_j - inverse);
        }
    };
    slopes.copy_from_slice(&matrix.trace_of_slopes(&points, data.geometry, hyper, row_of_m));
    Some(-0.5 * dot(&whitened, &whitened) - 0.5 * factor.log_det())
}

/// Bounds of the logarithms: of lengths between 0.02 and 1,000, a scale within a factor of 1,000, a noise up to 1.
fn bounds(n_groups: usize) -> (Vec<f64>, Vec<f64>) {
    let log_1000 = 6.907_755_278_982_137;
    let (mut low, mut high) = (vec![-2.0 * log_1000; n_groups], vec![7.8; n_groups]);
    low.extend([-log_1000, libm::log(MIN_NOISE)]);
    high.extend([log_1000, 0.0]);
    (low, high)
}

/// Returns the hyperparameters to start from without an earlier fit: the prior's mode, and little noise.
pub(super) fn first_guess(n_groups: usize) -> Hyper {
    let log_length = median_log_length(n_groups) - 3.0;
    Hyper { weights: vec![libm::exp(-2.0 * log_length); n_groups], scale: 1.0, noise: 1e-4 }
}

/// Returns the hyperparameters of the largest posterior density that is found from `start`, and its logarithm.
pub(super) fn fit(data: Data, prior: Prior, start: &Hyper, max_steps: usize) -> (Hyper, f64) {
    let (low, high) = bounds(data.geometry.n_groups);
    let limits = Limits { low: &low, high: &high, tolerance: 1e-2, max_steps };
    let minimum = minimize(&start.to_logs(), &limits, |logs, slopes| {
        let hyper = Hyper::from_logs(logs);
        let Some(likelihood) = log_likelihood(data, &hyper, slopes) else {
            return f64::INFINITY;
        };
        let density = likelihood + prior.log_density(&hyper, slopes);
        slopes.iter_mut().for_each(|slope| *slope = -*slope);
        -density
    });
    (Hyper::from_logs(&minimum.x), -minimum.value)
}

/// Returns the factor of the covariance, the noise being raised until there is one.
pub(super) fn factor(matrix: &Matrix, hyper: &mut Hyper) -> Lower {
    loop {
        if let Some(factor) = matrix.covariance(hyper).cholesky() {
            return factor;
        }
        // With noise far above the scale the matrix is nearly diagonal.
        hyper.noise = if hyper.noise.is_finite() { 10.0 * hyper.noise + MIN_NOISE } else { 1.0 };
        if !hyper.scale.is_finite() || hyper.noise > 1e6 {
            (hyper.scale, hyper.noise) = (0.0, 1.0);
            hyper.weights.fill(1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Geometry, Vec<f64>, Vec<f64>) {
        let geometry = Geometry { n_numbers: 3, groups: vec![0, 1, 1, 2], n_groups: 3 };
        let (mut points, mut outcomes) = (Vec::new(), Vec::new());
        for i in 0..17 {
            let at = |factor: f64| (f64::from(i) * factor).fract();
            let choice = f64::from(i % 3);
            points.extend([at(0.618), at(0.414), at(0.732), choice]);
            outcomes.push((5.0 * at(0.618)).sin() + at(0.414) + 0.3 * choice);
        }
        (geometry, points, outcomes)
    }

    #[test]
    fn the_slopes_are_those_of_the_density() {
        let (geometry, points, outcomes) = sample();
        let data = Data { geometry: &geometry, points: &points, outcomes: &outcomes };
        for prior in [Prior::ScaledByDimension, Prior::Optuna] {
            let density = |logs: &[f64], slopes: &mut [f64]| {
                let hyper = Hyper::from_logs(logs);
                let likelihood = log_likelihood(data, &hyper, slopes).expect("a factor");
                likelihood + prior.log_density(&hyper, slopes)
            };
            let logs = [0.7, -0.4, 0.2, 0.3, -4.0];
            let mut slopes = [0.0; 5];
            density(&logs, &mut slopes);
            for (index, slope) in slopes.iter().enumerate() {
                let moved = |by: f64| {
                    let mut logs = logs;
                    logs[index] += by;
                    density(&logs, &mut [0.0; 5])
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((slope - difference).abs() < 1e-6 * slope.abs().max(1.0), "{index}");
            }
        }
    }

    #[test]
    fn a_fit_is_denser_than_its_start_and_finds_the_dimension_that_matters() {
        let (geometry, points, outcomes) = sample();
        let data = Data { geometry: &geometry, points: &points, outcomes: &outcomes };
        let start = first_guess(3);
        let (found, density) = fit(data, Prior::ScaledByDimension, &start, 50);
        let mut slopes = [0.0; 5];
        let before = log_likelihood(data, &start, &mut slopes).expect("a factor")
            + Prior::ScaledByDimension.log_density(&start, &mut slopes);
        assert!(density > before + 1.0, "{before} to {density}");
        assert!(found.weights[0] > 3.0 * found.weights[1], "{found:?}");
    }
}
