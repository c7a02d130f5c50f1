//! A Parzen estimator: a mixture of products of kernels, one kernel a trial and one for the prior.

use super::TpeOptions;
use super::kernels::{Columns, Dimension};
use super::mixture::Mixture;
use trialbox_core::Distribution;
use trialbox_core::seam::rng::{TrialRng, unit};

/// The mixture Σₖ wₖ·∏ᵈ pₖᵈ(x).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ParzenEstimator {
    /// One a kernel, summing to 1; the prior's is the last.
    pub(super) weights: Vec<f64>,
    pub(super) dimensions: Vec<Dimension>,
}

impl ParzenEstimator {
    /// Creates an estimator of `observed`, whose columns are those of `distributions`. `weights` are those of the
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
        let columns = distributions.iter().zip(observed);
        let dimensions = columns
            .map(|(distribution, observed)| Dimension::new(distribution, observed, options))
            .collect();
        ParzenEstimator { weights, dimensions }
    }

    /// Draws `n` points: one kernel a point, one independent draw a parameter. Columns as observed.
    pub(crate) fn sample(&self, rng: &mut TrialRng, n: usize) -> Columns {
        let kernels: Vec<usize> = (0..n).map(|_| self.pick_kernel(unit(rng))).collect();
        let mut columns = Columns::with_capacity(self.dimensions.len());
        for dimension in &self.dimensions {
            columns.push(kernels.iter().map(|k| dimension.quantile(*k, unit(rng))).collect());
        }
        columns
    }

    fn pick_kernel(&self, u: f64) -> usize {
        let mut sum = 0.0;
        for (k, weight) in self.weights.iter().enumerate() {
            sum += weight;
            if sum > u {
                return k;
            }
        }
        // The weights sum to 1 but for rounding.
        self.weights.len() - 1
    }

    /// Returns ln of the density at each point; of the mass, in discrete parameters. The coordinate of a log-scaled
    /// parameter is its logarithm. O(points · kernels) at worst times the parameters.
    pub(crate) fn log_pdf(&self, points: &Columns) -> Vec<f64> {
        Mixture::new(&self.weights, &self.dimensions, points)
            .log_pdf(points.first().map_or(0, Vec::len))
    }
}
