//! Densities of one parameter on a grid: Parzen estimators with Scott's bandwidth.

use crate::tpe::normal::log_mass;
use trialbox_core::Distribution;
use trialbox_core::space::distribution::{FloatDistribution, IntDistribution};

/// The most bins that a numeric parameter is divided into.
const MAX_BINS: usize = 50;

/// The narrowest kernel, in bins: 90 % of its mass are within half a bin.
const MIN_SIGMA: f64 = 0.5 / 1.64;

/// The bins of one parameter's values: the choices of a categorical one, else points at even distances from
/// one end of the range to the other, on a logarithmic axis if the parameter has one.
pub(super) struct Grid<'a> {
    distribution: &'a Distribution,
    n_bins: usize,
}

impl<'a> Grid<'a> {
    /// Returns the grid of a distribution that has more than one value.
    pub(super) fn of(distribution: &'a Distribution) -> Self {
        let n_bins = match distribution {
            Distribution::Float(float) => bins_of_float(float),
            Distribution::Int(int) => bins_of_int(int),
            Distribution::Categorical(categorical) => categorical.choices().len(),
        };
        Grid { distribution, n_bins }
    }

    /// Returns the probability of each bin, given internal values: a kernel at each bin that has values, of their
    /// number's weight, and one of weight 1 for the prior. O(values + bins²).
    pub(super) fn density(&self, values: &[f64]) -> Vec<f64> {
        let mut counts = vec![0; self.n_bins];
        let bin = self.binning();
        values.iter().for_each(|value| counts[bin(*value)] += 1);
        let observed: Vec<(usize, u64)> =
            counts.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
        let is_categorical = matches!(self.distribution, Distribution::Categorical(_));
        let mut density = if is_categorical {
            leaning(&observed, self.n_bins)
        } else {
            blurred(&observed, self.n_bins)
        };
        let total = 1.0 + values.len() as f64;
        density.iter_mut().for_each(|weight| *weight /= total);
        density
    }

    /// Returns the bin of an internal value; values outside of the range count to its ends.
    fn binning(&self) -> Box<dyn Fn(f64) -> usize + '_> {
        let last = self.n_bins - 1;
        let (low, high, is_log, is_int) = match self.distribution {
            Distribution::Float(float) => (float.low(), float.high(), float.log(), false),
            Distribution::Int(int) => (int.low() as f64, int.high() as f64, int.log(), true),
            Distribution::Categorical(categorical) => {
                let n_choices = categorical.choices().len();
                let firsts: Vec<usize> =
                    (0..n_choices).map(|index| first_equal(self.distribution, index)).collect();
                return Box::new(move |value| firsts[(value as usize).min(last)]);
            }
        };
        let (first, is_linear_int) = (low as i64, is_int && !is_log);
        let low = on_axis(low, is_log);
        let width = (on_axis(high, is_log) - low) / last as f64;
        Box::new(move |value| {
            let place = if is_linear_int {
                // As NumPy's 64-bit integers, which wrap around where the range is wider than they are.
                (value as i64).wrapping_sub(first) as f64
            } else {
                on_axis(if is_int { value.trunc() } else { value }, is_log) - low
            };
            // A value in the middle between two points belongs to the lower one.
            let bin = (place / width - 0.5).ceil();
            // NumPy makes the least integer of infinity too.
            if bin.is_finite() { bin.clamp(0.0, last as f64) as usize } else { 0 }
        })
    }
}

/// Returns the index of the first choice that is equal to the one at `index`: it counts, as for an external value.
fn first_equal(distribution: &Distribution, index: usize) -> usize {
    match distribution.to_internal(&distribution.to_external(index as f64)) {
        Ok(first) => first as usize,
        Err(_) => index,
    }
}

fn on_axis(value: f64, is_log: bool) -> f64 {
    if is_log { value.ln() } else { value }
}

fn bins_of_float(float: &FloatDistribution) -> usize {
    let Some(step) = float.step() else { return MAX_BINS };
    at_most_all(((float.high() - float.low()) / step).round_ties_even())
}

fn bins_of_int(int: &IntDistribution) -> usize {
    let width = (i128::from(int.high()) - i128::from(int.low())) as f64;
    let n_bins = if int.log() {
        // A quotient of natural logarithms, and not `log2`: of 2²⁹ values Optuna makes 31 bins.
        ((width + 1.0).ln() / 2f64.ln()).ceil()
    } else {
        (width / int.step() as f64).round_ties_even()
    };
    at_most_all(n_bins)
}

/// Returns the number of bins that so many steps divide, at least 2 and at most [`MAX_BINS`].
fn at_most_all(n_steps: f64) -> usize {
    (n_steps + 1.0).clamp(2.0, MAX_BINS as f64) as usize
}

/// Returns for each choice the kernels' probabilities by weight. A kernel has 1/(n + 1) everywhere, with n the number
/// of kernels that are not the prior's, and 1 more at its own choice.
fn leaning(observed: &[(usize, u64)], n_choices: usize) -> Vec<f64> {
    let share = 1.0 / (observed.len() + 1) as f64;
    let total = 1.0 + share * n_choices as f64;
    let n_values: u64 = observed.iter().map(|(_, count)| count).sum();
    let elsewhere = n_values as f64 * share / total + 1.0 / n_choices as f64;
    let mut density = vec![elsewhere; n_choices];
    observed.iter().for_each(|(choice, count)| density[*choice] += *count as f64 / total);
    density
}

/// Returns for each bin the kernels' probabilities by weight: normal ones, cut to the grid, and as wide as it for the
/// prior.
fn blurred(observed: &[(usize, u64)], n_bins: usize) -> Vec<f64> {
    let sigma = scott(observed);
    let middle = 0.5 * (n_bins - 1) as f64;
    let prior = (middle, n_bins as f64, 1.0);
    let kernels = observed.iter().map(|(bin, count)| (*bin as f64, sigma, *count as f64));
    let mut density = vec![0.0; n_bins];
    for (mu, sigma, weight) in kernels.chain([prior]) {
        let log_all = log_mass((-0.5 - mu) / sigma, (n_bins as f64 - 0.5 - mu) / sigma);
        for (bin, density) in density.iter_mut().enumerate() {
            let bin = bin as f64;
            let log_part = log_mass((bin - 0.5 - mu) / sigma, (bin + 0.5 - mu) / sigma);
            *density += weight * (log_part - log_all).exp();
        }
    }
    density
}

/// Returns the width of the kernels in bins, at least [`MIN_SIGMA`]: Scott's rule with the smaller of two estimates of
/// the standard deviation (Scott 1992, "Multivariate Density Estimation"). The quartiles are those of whole
/// counts, as Optuna's.
fn scott(observed: &[(usize, u64)]) -> f64 {
    let n: u64 = observed.iter().map(|(_, count)| count).sum();
    let sum: f64 = observed.iter().map(|(bin, count)| (*bin as u64 * count) as f64).sum();
    let mean = sum / n as f64;
    let squares: f64 =
        observed.iter().map(|(bin, count)| (*bin as f64 - mean).powi(2) * *count as f64).sum();
    let deviation = (squares / (n - 1).max(1) as f64).sqrt();
    let (mut cumulated, mut sum) = (Vec::with_capacity(observed.len()), 0);
    for (_, count) in observed {
        sum += count;
        cumulated.push(sum);
    }
    let lower = cumulated.partition_point(|sum| *sum < n / 4);
    let upper = cumulated.partition_point(|sum| *sum <= n * 3 / 4).min(observed.len() - 1);
    let between_quartiles = observed[upper].0 as f64 - observed[lower].0 as f64;
    let sigma = 1.059 * deviation.min(between_quartiles / 1.34) * (n as f64).powf(-0.2);
    sigma.max(MIN_SIGMA)
}
