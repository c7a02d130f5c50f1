//! CMA-ES: a normal distribution that moves and turns towards the better half of what was drawn from it.
//!
//! Update for update as the package `cmaes` 0.13 has it (`_cma.py`), equations of Hansen 2016, "The CMA Evolution
//! Strategy: A Tutorial".

use super::eigen::Eigen;
use super::learning_rate::{LearningRate, Normal};
use super::weights::{MAX_SIGMA, Rates, TINY, Weights};
use crate::draws::Draws;
use crate::vector::{dot, norm};

/// A normal distribution N(mean, σ²·C), and what it has learnt.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cma {
    pub(super) weights: Weights,
    pub(super) mean: Vec<f64>,
    pub(super) sigma: f64,
    /// C, row by row.
    pub(super) covariance: Vec<f64>,
    /// The evolution paths of the step size and of C.
    pub(super) p_sigma: Vec<f64>,
    pub(super) p_c: Vec<f64>,
    pub(super) generation: u64,
    pub(super) learning_rate: Option<LearningRate>,
    /// C taken apart, its eigenvalues being square roots; made by [`Cma::prepare`].
    eigen: Option<Eigen>,
}

impl Cma {
    /// Creates the distribution N(mean, sigma²·covariance) for populations of `size`.
    pub(super) fn new(mean: Vec<f64>, sigma: f64, covariance: Vec<f64>, size: usize) -> Self {
        let n = mean.len();
        Cma {
            weights: Weights::full(n, size),
            mean,
            sigma,
            covariance,
            p_sigma: vec![0.0; n],
            p_c: vec![0.0; n],
            generation: 0,
            learning_rate: None,
            eigen: None,
        }
    }

    /// Returns the unit matrix.
    pub(super) fn identity(n: usize) -> Vec<f64> {
        (0..n * n).map(|place| if place % (n + 1) == 0 { 1.0 } else { 0.0 }).collect()
    }

    pub(super) fn n_dims(&self) -> usize {
        self.mean.len()
    }

    /// Returns the diagonal of C.
    pub(super) fn variances(&self) -> Vec<f64> {
        self.covariance.iter().copied().step_by(self.n_dims() + 1).collect()
    }

    /// Shows every number of the state, in an order that depends on nothing else: for storing and restoring it.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        let n = self.n_dims();
        self.eigen = None;
        each(&mut self.sigma);
        self.mean.iter_mut().chain(&mut self.p_sigma).chain(&mut self.p_c).for_each(&mut *each);
        for i in 0..n {
            for j in 0..=i {
                each(&mut self.covariance[i * n + j]);
                self.covariance[j * n + i] = self.covariance[i * n + j];
            }
        }
        if let Some(rate) = &mut self.learning_rate {
            rate.visit(each);
        }
    }

    /// Takes C apart. An eigenvalue below zero, which only rounding can make, becomes a small one.
    pub(super) fn prepare(&mut self) -> &Eigen {
        let eigen = match self.eigen.take() {
            Some(eigen) => eigen,
            None => {
                let mut eigen = Eigen::of(&self.covariance, self.n_dims());
                let is_rounded = eigen.values.iter().any(|it| *it < 0.0);
                for value in &mut eigen.values {
                    *value = if *value < 0.0 { TINY } else { value.sqrt() };
                }
                if is_rounded {
                    self.covariance = eigen.with_values(|root| root * root);
                }
                eigen
            }
        };
        self.eigen.insert(eigen)
    }

    /// Draws from the distribution.
    pub(super) fn sample(&mut self, draws: &mut dyn Draws) -> Vec<f64> {
        let eigen = self.prepare();
        let scaled: Vec<f64> = eigen.values.iter().map(|it| it * draws.normal()).collect();
        let step = eigen.combination(&scaled);
        self.mean.iter().zip(step).map(|(mean, step)| mean + self.sigma * step).collect()
    }

    /// Returns the length of a step in units of the distribution: |C^(−1/2)·(x − mean)/σ|.
    pub(super) fn distance(&mut self, x: &[f64]) -> f64 {
        let step: Vec<f64> =
            x.iter().zip(&self.mean).map(|(x, mean)| (x - mean) / self.sigma).collect();
        let eigen = self.prepare();
        let parts = eigen.coordinates(&step);
        let parts: Vec<f64> = parts.iter().zip(&eigen.values).map(|(a, b)| a / b).collect();
        norm(&parts)
    }

    /// Learns from a population, the best point first.
    pub(super) fn tell(&mut self, points: &[Vec<f64>]) {
        let eigen = self.prepare().clone();
        let before = self.learning_rate.as_ref().map(|_| self.normal());
        self.generation += 1;
        let steps: Vec<Vec<f64>> = points.iter().map(|x| self.step_to(x)).collect();
        let mean_step = self.follow(&steps);
        // C^(−1/2)·y for each y, along the eigenvectors, where lengths are the same.
        let whiten = |step: &[f64]| -> Vec<f64> {
            let parts = eigen.coordinates(step);
            parts.iter().zip(&eigen.values).map(|(part, value)| part / value).collect()
        };
        let white = eigen.combination(&whiten(&mean_step));
        let is_short = self.adapt_sigma(&white);
        let rates = Rates::of(&self.weights, is_short);
        self.p_c.iter_mut().zip(&mean_step).for_each(|(path, step)| {
            *path = rates.path_keep * *path + rates.path_add * step;
        });
        let mut by_weight = Vec::with_capacity(steps.len());
        for (step, weight) in steps.iter().zip(&self.weights.weights) {
            let scale = if *weight >= 0.0 {
                1.0
            } else {
                let white = whiten(step);
                self.n_dims() as f64 / (dot(&white, &white) + TINY)
            };
            by_weight.push(weight * scale);
        }
        self.turn(&rates, &steps, &by_weight);
        self.eigen = None;
        if let (Some(mut rate), Some(before)) = (self.learning_rate.take(), before) {
            let shortened = rate.adapt(&before, &eigen, &self.normal());
            (self.mean, self.sigma, self.covariance) =
                (shortened.mean, shortened.sigma, shortened.covariance);
            self.learning_rate = Some(rate);
        }
    }

    fn normal(&self) -> Normal {
        let (mean, covariance) = (self.mean.clone(), self.covariance.clone());
        Normal { mean, sigma: self.sigma, covariance }
    }

    /// Returns (x − mean)/σ.
    fn step_to(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.mean).map(|(x, mean)| (x - mean) / self.sigma).collect()
    }

    /// Moves the mean to the weighted mean of the better half; returns the step (eq. 41 and 42).
    fn follow(&mut self, steps: &[Vec<f64>]) -> Vec<f64> {
        let mut mean_step = vec![0.0; self.n_dims()];
        for (step, weight) in steps.iter().zip(&self.weights.weights[..self.weights.mu]) {
            mean_step.iter_mut().zip(step).for_each(|(sum, part)| *sum += weight * part);
        }
        let sigma = self.sigma;
        self.mean.iter_mut().zip(&mean_step).for_each(|(mean, step)| *mean += sigma * step);
        mean_step
    }

    /// Adapts the step size by its path; returns whether the path is short enough for C to follow (eq. 43 to 45).
    fn adapt_sigma(&mut self, white: &[f64]) -> bool {
        let Weights { c_sigma, d_sigma, mu_eff, chi_n, .. } = self.weights;
        let factor = (c_sigma * (2.0 - c_sigma) * mu_eff).sqrt();
        self.p_sigma.iter_mut().zip(white).for_each(|(path, step)| {
            *path = (1.0 - c_sigma) * *path + factor * step;
        });
        let length = norm(&self.p_sigma);
        self.sigma *= ((c_sigma / d_sigma) * (length / chi_n - 1.0)).exp();
        self.sigma = self.sigma.min(MAX_SIGMA);
        let generations = 2 * self.generation.saturating_add(1);
        let settled = 1.0 - (1.0 - c_sigma).powf(generations as f64);
        length / settled.sqrt() < (1.4 + 2.0 / (self.n_dims() as f64 + 1.0)) * chi_n
    }

    /// Adapts C by its path and by the steps (eq. 47).
    fn turn(&mut self, rates: &Rates, steps: &[Vec<f64>], weights: &[f64]) {
        let n = self.n_dims();
        self.covariance.iter_mut().for_each(|it| *it *= rates.keep);
        let rank_mu = steps.iter().zip(weights).map(|(step, weight)| (step, rates.mu * weight));
        for (step, weight) in rank_mu.chain([(&self.p_c, rates.one)]) {
            for (row, value) in self.covariance.chunks_exact_mut(n).zip(step) {
                row.iter_mut().zip(step).for_each(|(it, other)| *it += weight * value * other);
            }
        }
    }
}
