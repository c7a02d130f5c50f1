//! A Parzen estimator: a mixture of products of kernels, one kernel a trial and one for the prior.

use super::TpeOptions;
use super::kernels::{Axis, CategoricalKernels, NumericKernels};
use super::normal::{LN_SQRT_2PI, log_mass};
use trialbox_core::distribution::Distribution;
use trialbox_core::rng::{TrialRng, unit};

/// Observed internal values: one column a parameter, one row a trial.
pub(crate) type Columns = Vec<Vec<f64>>;

/// The mixture Σₖ wₖ·∏ᵈ pₖᵈ(x).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParzenEstimator {
    /// One a kernel, summing to 1; the prior's is the last.
    weights: Vec<f64>,
    dimensions: Vec<Dimension>,
}

#[derive(Debug, Clone, PartialEq)]
enum Dimension {
    Numeric(NumericKernels),
    Categorical(CategoricalKernels),
}

/// How many kernels are summed at a time: few enough for the innermost cache.
const BLOCK: usize = 128;

/// A kernel this far, in logarithms, below the largest adds less than half an ulp, even 10,000 of them.
const NEGLIGIBLE: f64 = 46.0;

/// The width of a cell in units of σ up to which its mass is a series around its middle.
const FINE: f64 = 0.05;

impl ParzenEstimator {
    /// An estimator of `observed`, whose columns are those of `distributions`. `weights` are those of the
    /// trials, oldest first, before the prior joins them.
    pub(crate) fn new(
        distributions: &[&Distribution],
        observed: &Columns,
        mut weights: Vec<f64>,
        options: &TpeOptions,
    ) -> Self {
        weights.push(if weights.is_empty() { 1.0 } else { options.prior_weight });
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let dimension = |(distribution, observed): (&&Distribution, &Vec<f64>)| match distribution {
            Distribution::Categorical(categorical) => Dimension::Categorical(
                CategoricalKernels::new(categorical.choices().len(), observed, options),
            ),
            _ => match Axis::of(distribution) {
                Some(axis) => Dimension::Numeric(NumericKernels::new(axis, observed, options)),
                None => unreachable!("only categorical distributions have no axis"),
            },
        };
        let dimensions = distributions.iter().zip(observed).map(dimension).collect();
        ParzenEstimator { weights, dimensions }
    }

    /// The kernels' weights, the prior's last.
    #[cfg(test)]
    pub(crate) fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Draws `n` points: one kernel a point, one independent draw a parameter. Columns as observed.
    pub(crate) fn sample(&self, rng: &mut TrialRng, n: usize) -> Columns {
        let kernels: Vec<usize> = (0..n).map(|_| self.pick_kernel(unit(rng))).collect();
        let draw = |dimension: &Dimension| {
            kernels.iter().map(|k| dimension.quantile(*k, unit(rng))).collect()
        };
        self.dimensions.iter().map(draw).collect()
    }

    fn pick_kernel(&self, u: f64) -> usize {
        let mut sum = 0.0;
        let above = |weight: &f64| {
            sum += weight;
            sum > u
        };
        // The weights sum to 1 but for rounding.
        self.weights.iter().position(above).unwrap_or(self.weights.len() - 1)
    }

    /// ln of the density at each point; of the mass, in discrete parameters. The coordinate of a log-scaled
    /// parameter is its logarithm. O(points · kernels · parameters).
    pub(crate) fn log_pdf(&self, points: &Columns) -> Vec<f64> {
        let n = points.first().map_or(0, Vec::len);
        let base = self.log_constants();
        let terms: Vec<Terms> =
            self.dimensions.iter().zip(points).map(|(it, points)| it.terms(points)).collect();
        let mut sums = vec![LogSum::default(); n];
        let mut block = [0.0; BLOCK];
        for start in (0..base.len()).step_by(BLOCK) {
            let end = base.len().min(start + BLOCK);
            for (point, sum) in sums.iter_mut().enumerate() {
                let block = &mut block[..end - start];
                block.copy_from_slice(&base[start..end]);
                terms.iter().for_each(|terms| terms.add_to(block, start, point));
                sum.add(block);
            }
        }
        sums.into_iter().map(LogSum::finish).collect()
    }

    /// What does not depend on the point: ln wₖ and the kernels' normalisation.
    fn log_constants(&self) -> Vec<f64> {
        let mut constants: Vec<f64> = self.weights.iter().map(|weight| weight.ln()).collect();
        for dimension in &self.dimensions {
            if let Dimension::Numeric(kernels) = dimension {
                add_normalisation(kernels, &mut constants);
            }
        }
        constants
    }
}

/// Divides by each kernel's mass on the axis, and if the parameter is continuous by √(2π)·σ.
fn add_normalisation(kernels: &NumericKernels, constants: &mut [f64]) {
    let is_continuous = kernels.axis.step.is_none();
    let (mut last_sigma, mut log_scale) = (f64::NAN, 0.0);
    for (k, constant) in constants.iter_mut().enumerate() {
        // Most kernels of a long history have the same width.
        if is_continuous && kernels.sigma[k] != last_sigma {
            last_sigma = kernels.sigma[k];
            log_scale = last_sigma.ln() + LN_SQRT_2PI;
        }
        *constant -= kernels.log_mass(k) + log_scale;
    }
}

impl Dimension {
    fn quantile(&self, k: usize, q: f64) -> f64 {
        match self {
            Dimension::Numeric(kernels) => kernels.quantile(k, q),
            Dimension::Categorical(kernels) => kernels.quantile(k, q),
        }
    }

    fn terms(&self, points: &[f64]) -> Terms<'_> {
        match self {
            Dimension::Categorical(kernels) => Terms::Categorical {
                points: points.iter().map(|point| *point as u32).collect(),
                kernels,
            },
            Dimension::Numeric(kernels) => {
                let inverse_sigma = kernels.sigma.iter().map(|sigma| 1.0 / sigma).collect();
                let axis = &kernels.axis;
                let cells = match axis.step {
                    None => points.iter().map(|x| Cell::Point(axis.place(*x))).collect(),
                    Some(step) => cells(kernels, points, step),
                };
                Terms::Numeric { cells, mu: &kernels.mu, inverse_sigma }
            }
        }
    }
}

/// What one parameter adds to the logarithm of each kernel at each point.
enum Terms<'a> {
    Numeric { cells: Vec<Cell>, mu: &'a [f64], inverse_sigma: Vec<f64> },
    Categorical { points: Vec<u32>, kernels: &'a CategoricalKernels },
}

/// A point of a numeric parameter, as the kernels are evaluated there.
enum Cell {
    /// A coordinate of a continuous parameter.
    Point(f64),
    /// A grid point whose cell is narrow for every kernel: its middle and its width.
    Fine { middle: f64, width: f64 },
    /// A grid point whose cell is not: ln of the mass of every kernel, shared by equal points.
    Coarse(std::rc::Rc<[f64]>),
}

impl Terms<'_> {
    /// Adds the terms of the kernels from `start` on at one point.
    fn add_to(&self, block: &mut [f64], start: usize, point: usize) {
        let range = start..start + block.len();
        match self {
            Terms::Numeric { cells, mu, inverse_sigma } => {
                let kernels = mu[range.clone()].iter().zip(&inverse_sigma[range.clone()]);
                let sums = block.iter_mut().zip(kernels);
                match &cells[point] {
                    Cell::Point(x) => sums.for_each(|(sum, (mu, inverse))| {
                        let z = (x - mu) * inverse;
                        *sum -= 0.5 * z * z;
                    }),
                    Cell::Fine { middle, width } => sums.for_each(|(sum, (mu, inverse))| {
                        let (z, h) = ((middle - mu) * inverse, width * inverse);
                        *sum += h.ln() + log_density_of_fine(z * z, h * h);
                    }),
                    Cell::Coarse(logs) => {
                        block.iter_mut().zip(&logs[range]).for_each(|(sum, log)| *sum += log);
                    }
                }
            }
            Terms::Categorical { points, kernels } => {
                let (own, other, prior) = kernels.log_probabilities();
                let choices = &kernels.choice[start.min(kernels.choice.len())..];
                for (sum, choice) in block.iter_mut().zip(choices) {
                    *sum += if *choice == points[point] { own } else { other };
                }
                if choices.len() < block.len() {
                    block[choices.len()] += prior;
                }
            }
        }
    }
}

/// ln of φ's mean over a cell of width h << 1 around z, from z² and h²: the logarithm of the Taylor series
/// of ∫φ around the middle, up to h⁴.
fn log_density_of_fine(z2: f64, h2: f64) -> f64 {
    let first = (z2 - 1.0) / 24.0;
    let second = (z2 * (z2 - 6.0) + 3.0) / 1920.0 - 0.5 * first * first;
    -0.5 * z2 - LN_SQRT_2PI + h2 * (first + h2 * second)
}

fn cells(kernels: &NumericKernels, points: &[f64], step: f64) -> Vec<Cell> {
    let axis = &kernels.axis;
    let narrowest = kernels.sigma.iter().copied().fold(f64::INFINITY, f64::min);
    let mut known: Vec<(f64, std::rc::Rc<[f64]>)> = Vec::new();
    let mut cell = |value: &f64| {
        let (left, right) = axis.cell(*value, step);
        if right - left <= FINE * narrowest {
            return Cell::Fine { middle: 0.5 * (left + right), width: right - left };
        }
        if let Some((_, logs)) = known.iter().find(|(known, _)| known == value) {
            return Cell::Coarse(std::rc::Rc::clone(logs));
        }
        let logs = coarse_masses(kernels, left, right);
        known.push((*value, std::rc::Rc::clone(&logs)));
        Cell::Coarse(logs)
    };
    points.iter().map(&mut cell).collect()
}

/// ln of every kernel's mass between two coordinates.
fn coarse_masses(kernels: &NumericKernels, left: f64, right: f64) -> std::rc::Rc<[f64]> {
    let both = kernels.mu.iter().zip(&kernels.sigma);
    both.map(|(mu, sigma)| log_mass((left - mu) / sigma, (right - mu) / sigma)).collect()
}

/// ln Σ exp, of blocks that come one by one.
#[derive(Clone, Copy)]
struct LogSum {
    largest: f64,
    /// In units of exp(largest).
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        LogSum { largest: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, logs: &[f64]) {
        let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest > self.largest {
            self.sum *= (self.largest - largest).exp();
            self.largest = largest;
        }
        let floor = self.largest - NEGLIGIBLE;
        self.sum += logs
            .iter()
            .filter(|log| **log > floor)
            .map(|log| (log - self.largest).exp())
            .sum::<f64>();
    }

    /// −∞ for an empty sum.
    fn finish(self) -> f64 {
        self.largest + self.sum.ln()
    }
}
