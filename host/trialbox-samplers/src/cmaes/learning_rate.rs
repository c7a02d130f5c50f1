//! Learning-rate adaptation: smaller updates where they are mostly noise.
//!
//! Nomura, Akimoto and Ono 2023, "CMA-ES with Learning Rate Adaptation"; update for update as the package `cmaes`.

use super::eigen::Eigen;
use super::weights::MAX_SIGMA;
use crate::vector::dot;

const ALPHA: f64 = 1.4;
const BETA_MEAN: f64 = 0.1;
const BETA_SIGMA: f64 = 0.03;
const GAMMA: f64 = 0.1;

/// A distribution N(mean, σ²·C).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Normal {
    pub(super) mean: Vec<f64>,
    pub(super) sigma: f64,
    /// C, row by row.
    pub(super) covariance: Vec<f64>,
}

impl Normal {
    /// Returns σ²·C.
    fn scaled(&self) -> Vec<f64> {
        self.covariance.iter().map(|it| self.sigma * self.sigma * it).collect()
    }
}

/// The learning rates of the mean and of Σ = σ²·C.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LearningRate {
    mean: Signal,
    sigma: Signal,
}

/// A learning rate, and moving averages of the update and of its squared length, of which it is a function.
#[derive(Debug, Clone, PartialEq)]
struct Signal {
    beta: f64,
    update: Vec<f64>,
    square: f64,
    rate: f64,
}

impl Signal {
    fn new(beta: f64, n: usize) -> Self {
        Signal { beta, update: vec![0.0; n], square: 0.0, rate: 1.0 }
    }

    /// Takes an update in local coordinates.
    fn adapt(&mut self, update: &[f64]) {
        let beta = self.beta;
        self.update
            .iter_mut()
            .zip(update)
            .for_each(|(average, it)| *average = (1.0 - beta) * *average + beta * it);
        self.square = (1.0 - beta) * self.square + beta * dot(update, update);
        let signal = dot(&self.update, &self.update);
        let ratio = (signal - beta / (2.0 - beta) * self.square) / (self.square - signal);
        // An update of nothing has a ratio that is no number; then the rate stays.
        let relative = (ratio / ALPHA / self.rate - 1.0).clamp(-1.0, 1.0);
        if !relative.is_nan() {
            self.rate *= ((GAMMA * self.rate).min(beta) * relative).exp();
        }
        self.rate = self.rate.min(1.0);
    }

    fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        self.update.iter_mut().for_each(&mut *each);
        each(&mut self.square);
        each(&mut self.rate);
    }
}

impl LearningRate {
    /// Creates the rates of an optimiser with `n` dimensions.
    pub(super) fn new(n: usize) -> Self {
        LearningRate { mean: Signal::new(BETA_MEAN, n), sigma: Signal::new(BETA_SIGMA, n * n) }
    }

    /// Shows every number.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        self.mean.visit(each);
        self.sigma.visit(each);
    }

    /// Returns the distribution between `before`, whose C is taken apart in `eigen`, and `after`.
    pub(super) fn adapt(&mut self, before: &Normal, eigen: &Eigen, after: &Normal) -> Normal {
        let n = before.mean.len();
        let moved: Vec<f64> = after.mean.iter().zip(&before.mean).map(|(a, b)| a - b).collect();
        let old = before.scaled();
        let turned: Vec<f64> = after.scaled().iter().zip(&old).map(|(a, b)| a - b).collect();

        // (σ²·C)^(−1/2), C's eigenvalues being given as square roots.
        let root = eigen.with_values(|root| 1.0 / (root * before.sigma));
        let rate_before = self.mean.rate;
        self.mean.adapt(&product(&root, &moved, n, 1));
        let local = product(&product(&root, &turned, n, n), &root, n, n);
        let halved: Vec<f64> = local.iter().map(|it| it / 2f64.sqrt()).collect();
        self.sigma.adapt(&halved);

        let (mean_rate, sigma_rate) = (self.mean.rate, self.sigma.rate);
        let both = before.mean.iter().zip(&moved);
        let mean = both.map(|(old, step)| old + mean_rate * step).collect();
        let scaled: Vec<f64> = old.iter().zip(&turned).map(|(a, b)| a + sigma_rate * b).collect();
        let logs: f64 = Eigen::of(&scaled, n).values.iter().map(|it| it.ln()).sum();
        let sigma = (logs / 2.0 / n as f64).exp().min(MAX_SIGMA);
        let covariance = scaled.iter().map(|it| it / (sigma * sigma)).collect();
        // The smaller the steps of the mean, the farther apart the points may be.
        Normal { mean, sigma: sigma * (rate_before / mean_rate), covariance }
    }
}

/// Returns the product of an n × n matrix and an n × m one.
fn product(a: &[f64], b: &[f64], n: usize, m: usize) -> Vec<f64> {
    let mut product = vec![0.0; n * m];
    for i in 0..n {
        for k in 0..n {
            for j in 0..m {
                product[i * m + j] += a[i * n + k] * b[k * m + j];
            }
        }
    }
    product
}
