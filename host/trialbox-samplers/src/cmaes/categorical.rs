//! The distribution of choices in CatCMA: a probability for each, moved along the natural gradient.
//!
//! Akimoto et al. 2019, "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search"; update
//! for update as the package `cmaes` (`_catcmawm.py`).

use super::weights::TINY;
use crate::draws::Draws;
use crate::vector::{dot, norm};

/// The ratio of signal to noise that the trust region keeps.
const ALPHA: f64 = 1.5;

/// Independent distributions of choices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choices {
    /// The probability of each choice, by parameter.
    pub(super) probabilities: Vec<Vec<f64>>,
    /// The least probability, by parameter.
    least: Vec<f64>,
    /// The moving average of the normalised gradient, and the square that it would have if it were all noise.
    path: Vec<f64>,
    gamma: f64,
    /// The size of the trust region, and the factor by which it shrinks.
    delta: f64,
    shrink: f64,
}

impl Choices {
    /// Creates even distributions of parameters with these numbers of choices, each at least 2, where `n_discrete`
    /// parameters have a margin.
    pub(super) fn new(n_choices: &[usize], n_discrete: usize) -> Self {
        let margin = 1.0 - 0.73f64.powf(1.0 / n_discrete as f64);
        let even = |n: &usize| vec![1.0 / *n as f64; *n];
        Choices {
            probabilities: n_choices.iter().map(even).collect(),
            least: n_choices.iter().map(|n| margin / (n - 1) as f64).collect(),
            path: vec![0.0; n_choices.iter().map(|n| n - 1).sum()],
            gamma: 0.0,
            delta: 1.0,
            shrink: 1.0,
        }
    }

    /// Shows every number of the state.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        self.probabilities.iter_mut().flatten().chain(&mut self.path).for_each(&mut *each);
        each(&mut self.gamma);
        each(&mut self.delta);
        each(&mut self.shrink);
    }

    /// Draws a choice of each parameter.
    pub(super) fn sample(&self, draws: &mut dyn Draws) -> Vec<usize> {
        let one = |probabilities: &Vec<f64>| {
            let mut left = draws.uniform();
            let last = probabilities.len() - 1;
            let found = probabilities.iter().position(|it| {
                left -= it;
                left < 0.0
            });
            found.unwrap_or(last).min(last)
        };
        self.probabilities.iter().map(one).collect()
    }

    /// Learns from the choices of a population, the best first, with these weights.
    pub(super) fn tell(&mut self, population: &[&[usize]], weights: &[f64]) {
        let gradient = self.gradient(population, weights);
        let whitened = self.whitened(&gradient);
        let length = norm(&whitened);
        let step = self.delta / (length + TINY);
        for (probabilities, gradient) in self.probabilities.iter_mut().zip(&gradient) {
            probabilities.iter_mut().zip(gradient).for_each(|(it, part)| *it += step * part);
        }
        self.delta = 1.0 / self.shrink;
        let beta = self.delta / (self.path.len() as f64).sqrt();
        let factor = (beta * (2.0 - beta)).sqrt();
        // A gradient of nothing has no direction.
        let length = if length > 0.0 { length } else { 1.0 };
        for (path, part) in self.path.iter_mut().zip(&whitened) {
            *path = (1.0 - beta) * *path + factor * part / length;
        }
        self.gamma = (1.0 - beta).powi(2) * self.gamma + beta * (2.0 - beta);
        let signal = dot(&self.path, &self.path) / ALPHA;
        self.shrink *= (beta * (self.gamma - signal)).exp();
        self.keep_margins();
    }

    /// Returns the natural gradient: the weighted mean of what was chosen, relative to the probabilities.
    fn gradient(&self, population: &[&[usize]], weights: &[f64]) -> Vec<Vec<f64>> {
        let mut gradient: Vec<Vec<f64>> =
            self.probabilities.iter().map(|it| vec![0.0; it.len()]).collect();
        for (choices, weight) in population.iter().zip(weights) {
            for (place, chosen) in choices.iter().enumerate() {
                for (choice, part) in gradient[place].iter_mut().enumerate() {
                    let is_chosen = if choice == *chosen { 1.0 } else { 0.0 };
                    *part += weight * (is_chosen - self.probabilities[place][choice]);
                }
            }
        }
        gradient
    }

    /// Returns the gradient times the square root of the Fisher information.
    fn whitened(&self, gradient: &[Vec<f64>]) -> Vec<f64> {
        let mut whitened = Vec::with_capacity(self.path.len());
        for (probabilities, gradient) in self.probabilities.iter().zip(gradient) {
            let [free @ .., last] = &probabilities[..] else { continue };
            let sum: f64 = gradient[..free.len()].iter().sum();
            for (probability, part) in free.iter().zip(gradient) {
                let root = probability.sqrt();
                whitened.push(part / root + root * sum / (last + last.sqrt()));
            }
        }
        whitened
    }

    /// Raises probabilities to the least one, at the cost of the others.
    fn keep_margins(&mut self) {
        for (probabilities, least) in self.probabilities.iter_mut().zip(&self.least) {
            probabilities.iter_mut().for_each(|it| *it = it.max(*least));
            let sum: f64 = probabilities.iter().sum();
            let above = sum - least * probabilities.len() as f64;
            probabilities.iter_mut().for_each(|it| *it -= (sum - 1.0) * (*it - least) / above);
            let sum: f64 = probabilities.iter().sum();
            probabilities.iter_mut().for_each(|it| *it /= sum);
        }
    }
}
