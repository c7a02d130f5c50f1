//! A Parzen estimator: a mixture of products of kernels, one kernel a trial and one for the prior.

use super::TpeOptions;
use super::kernels::{Axis, CategoricalKernels, NumericKernels};
use super::mixture::Mixture;
use trialbox_core::Distribution;
use trialbox_core::seam::rng::{TrialRng, unit};

/// Observed internal values: one column a parameter, one row a trial.
pub(crate) type Columns = Vec<Vec<f64>>;

/// The mixture Σₖ wₖ·∏ᵈ pₖᵈ(x).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParzenEstimator {
    /// One a kernel, summing to 1; the prior's is the last.
    pub(super) weights: Vec<f64>,
    pub(super) dimensions: Vec<Dimension>,
}

/// The kernels of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Dimension {
    Numeric(NumericKernels),
    Categorical(CategoricalKernels),
}

impl ParzenEstimator {
    /// An estimator of `observed`, whose columns are those of `distributions`. `weights` are those of the
    /// trials, oldest first, before the prior joins them.
    pub(crate) fn new(
        distributions: &[&Distribution],
        observed: Columns,
        mut weights: Vec<f64>,
        options: &TpeOptions,
    ) -> Self {
        weights.push(if weights.is_empty() { 1.0 } else { options.prior_weight });
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        let dimension = |(distribution, observed): (&&Distribution, Vec<f64>)| match distribution {
            Distribution::Categorical(categorical) => Dimension::Categorical(
                CategoricalKernels::new(categorical.choices().len(), &observed, options),
            ),
            _ => match Axis::of(distribution) {
                Some(axis) => Dimension::Numeric(NumericKernels::new(axis, observed, options)),
                None => unreachable!("only categorical distributions have no axis"),
            },
        };
        let dimensions = distributions.iter().zip(observed).map(dimension).collect();
        ParzenEstimator { weights, dimensions }
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
    /// parameter is its logarithm. O(points · kernels) at worst times the parameters.
    pub(crate) fn log_pdf(&self, points: &Columns) -> Vec<f64> {
        Mixture::new(self, points).log_pdf(points.first().map_or(0, Vec::len))
    }
}

impl Dimension {
    fn quantile(&self, k: usize, q: f64) -> f64 {
        match self {
            Dimension::Numeric(kernels) => kernels.quantile(k, q),
            Dimension::Categorical(kernels) => kernels.quantile(k, q),
        }
    }
}
