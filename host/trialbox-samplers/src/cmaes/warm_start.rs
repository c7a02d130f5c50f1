//! A first distribution from the trials of a similar study.
//!
//! Nomura et al. 2021, "Warm Starting CMA-ES for Hyperparameter Optimization"; number for number as the package `cmaes`
//! (`_warm_start.py`).

use super::eigen::Eigen;

/// The share of trials that are promising.
const GAMMA: f64 = 0.1;

/// The width that each of them has, in widths of the ranges.
const ALPHA: f64 = 0.1;

/// A normal distribution: mean, step size and covariance matrix.
pub(super) type Estimate = (Vec<f64>, f64, Vec<f64>);

/// Returns the distribution of the promising trials, of which all are points in the unit cube, the best first.
pub(super) fn estimate(sorted: &[Vec<f64>]) -> Option<Estimate> {
    let promising = &sorted[..(sorted.len() as f64 * GAMMA).floor() as usize];
    let n = promising.first()?.len();
    let average = |value: &dyn Fn(&Vec<f64>) -> f64| {
        promising.iter().map(value).sum::<f64>() / promising.len() as f64
    };
    let mean: Vec<f64> = (0..n).map(|i| average(&|x| x[i])).collect();
    let mut covariance = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..n {
            covariance[i * n + j] = average(&|x| x[i] * x[j]) - mean[i] * mean[j];
        }
        covariance[i * n + i] += ALPHA * ALPHA;
    }
    let logs: f64 = Eigen::of(&covariance, n).values.iter().map(|it| it.ln()).sum();
    let sigma = (logs / 2.0 / n as f64).exp();
    covariance.iter_mut().for_each(|it| *it /= sigma * sigma);
    sigma.is_finite().then_some((mean, sigma, covariance))
}
