//! CMA-ES with a diagonal covariance matrix, which learns faster where parameters do not depend on each other.
//!
//! Ros and Hansen 2008, "A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity"; update for update
//! as the package `cmaes` (`_sepcma.py`).

use super::weights::{MAX_SIGMA, Rates, TINY, Weights};
use crate::draws::Draws;
use crate::vector::norm;

/// A normal distribution with independent coordinates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SepCma {
    pub(super) weights: Weights,
    pub(super) mean: Vec<f64>,
    pub(super) sigma: f64,
    /// The diagonal of C.
    pub(super) variances: Vec<f64>,
    p_sigma: Vec<f64>,
    p_c: Vec<f64>,
    pub(super) generation: u64,
}

impl SepCma {
    /// Creates the distribution N(mean, sigma²) for populations of `size`.
    pub(super) fn new(mean: Vec<f64>, sigma: f64, size: usize) -> Self {
        let n = mean.len();
        SepCma {
            weights: Weights::diagonal(n, size),
            mean,
            sigma,
            variances: vec![1.0; n],
            p_sigma: vec![0.0; n],
            p_c: vec![0.0; n],
            generation: 0,
        }
    }

    /// Shows every number of the state.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        each(&mut self.sigma);
        let paths = self.p_sigma.iter_mut().chain(&mut self.p_c);
        self.mean.iter_mut().chain(&mut self.variances).chain(paths).for_each(each);
    }

    fn deviations(&self) -> Vec<f64> {
        self.variances.iter().map(|it| if *it < 0.0 { TINY } else { it.sqrt() }).collect()
    }

    /// Draws from the distribution.
    pub(super) fn sample(&self, draws: &mut dyn Draws) -> Vec<f64> {
        let both = self.mean.iter().zip(self.deviations());
        both.map(|(mean, deviation)| mean + self.sigma * deviation * draws.normal()).collect()
    }

    /// Returns the length of a step in units of the distribution.
    pub(super) fn distance(&self, x: &[f64]) -> f64 {
        let deviations = self.deviations();
        let parts = x.iter().zip(&self.mean).zip(&deviations);
        parts.map(|((x, mean), it)| ((x - mean) / self.sigma / it).powi(2)).sum::<f64>().sqrt()
    }

    /// Learns from a population, the best point first.
    pub(super) fn tell(&mut self, points: &[Vec<f64>]) {
        self.generation += 1;
        let deviations = self.deviations();
        let n = self.mean.len();
        let Weights { c_sigma, d_sigma, mu_eff, chi_n, .. } = self.weights;
        let step = |x: &Vec<f64>| -> Vec<f64> {
            x.iter().zip(&self.mean).map(|(x, mean)| (x - mean) / self.sigma).collect()
        };
        let steps: Vec<Vec<f64>> = points.iter().map(step).collect();
        let weighted = || steps.iter().zip(&self.weights.weights);
        let mean_step: Vec<f64> =
            (0..n).map(|i| weighted().map(|(step, weight)| weight * step[i]).sum()).collect();
        for (mean, step) in self.mean.iter_mut().zip(&mean_step) {
            *mean += self.sigma * step;
        }
        let factor = (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt();
        for ((path, step), deviation) in self.p_sigma.iter_mut().zip(&mean_step).zip(&deviations) {
            *path = (1.0 - c_sigma) * *path + factor * (step / deviation);
        }
        let length = norm(&self.p_sigma);
        self.sigma *= ((c_sigma / d_sigma) * (length / chi_n - 1.0)).exp();
        self.sigma = self.sigma.min(MAX_SIGMA);
        let generations = 2 * self.generation.saturating_add(1);
        let settled = 1.0 - (1.0 - c_sigma).powf(generations as f64);
        let is_short = length / settled.sqrt() < (1.4 + 2.0 / (n as f64 + 1.0)) * chi_n;
        let rates = Rates::of(&self.weights, is_short);
        for (i, step) in mean_step.iter().enumerate() {
            self.p_c[i] = rates.path_keep * self.p_c[i] + rates.path_add * step;
            let rank_mu: f64 = weighted().map(|(step, weight)| weight * step[i] * step[i]).sum();
            self.variances[i] = rates.keep * self.variances[i]
                + rates.one * self.p_c[i] * self.p_c[i]
                + rates.mu * rank_mu;
        }
    }
}
