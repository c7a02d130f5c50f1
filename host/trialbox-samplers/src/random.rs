//! Every parameter by itself, evenly over its range.

use crate::config::Configured;
use crate::options::{Field, Options};
use trialbox_core::seam::rng::{TrialRng, unit};
use trialbox_core::seam::sampler::Ask;
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::{Distribution, Sampler};

/// Draws every parameter independently: uniformly, on a log scale where the parameter is log-scaled, each
/// grid point and each choice with the same probability. As Optuna's `RandomSampler`; O(1) a parameter.
///
/// Bergstra and Bengio 2012, "Random Search for Hyper-Parameter Optimization".
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomSampler;

/// No options: a [`RandomSampler`] is a draw from the study's seed.
#[derive(Debug, Clone, Default)]
pub(crate) struct RandomOptions;

impl Options for RandomOptions {
    const FIELDS: &'static [Field<Self>] = &[];
}

impl Configured<dyn Sampler> for RandomOptions {
    const NAME: &'static str = "random";
    const OPTUNA: &'static str = "RandomSampler";
    const SUMMARY: &'static str = "evenly over the ranges";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(RandomSampler)
    }
}

impl Sampler for RandomSampler {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn uses_history(&self) -> bool {
        false
    }

    fn sample_independent(
        &self,
        _ask: &Ask,
        _name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        let u = unit(rng);
        match distribution {
            Distribution::Categorical(categorical) => {
                (u * categorical.choices().len() as f64).floor()
            }
            Distribution::Float(_) | Distribution::Int(_) => {
                let Some((low, high)) = bounds(distribution) else { return f64::NAN };
                untransform(distribution, low + u * (high - low)).unwrap_or(f64::NAN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{History, TrialNumber};

    /// Counts of `n` draws in `k` equally likely cells: chi-square with k − 1 degrees of freedom, whose
    /// 99.9 % quantile is below (k − 1) + 4.5·√(2(k − 1)) + 6 for the k used here.
    #[track_caller]
    fn check_even(
        distribution: Result<Distribution, impl std::fmt::Debug>,
        k: usize,
        cell: impl Fn(f64) -> usize,
    ) {
        let distribution = distribution.expect("a valid distribution");
        let history = History::new(vec![], vec![]);
        let n = 20_000;
        let mut counts = vec![0u32; k];
        let mut rng = trial_rng(1, TrialNumber(0));
        for _ in 0..n {
            counts[cell(RandomSampler.sample_independent(
                &ask(&history),
                "x",
                &distribution,
                &mut rng,
            ))] += 1;
        }
        let expected = f64::from(n) / k as f64;
        let chi_square: f64 =
            counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        let dof = (k - 1) as f64;
        assert!(
            chi_square < dof + 4.5 * (2.0 * dof).sqrt() + 6.0,
            "{distribution}: {counts:?}, chi-square {chi_square}"
        );
    }

    #[test]
    fn draws_are_even_over_ranges_grids_and_choices() {
        check_even(Distribution::float(-1.0, 1.0, false, None), 10, |x| ((x + 1.0) * 5.0) as usize);
        check_even(Distribution::float(1e-4, 1.0, true, None), 4, |x| (x.log10() + 4.0) as usize);
        check_even(Distribution::float(0.0, 1.0, false, Some(0.25)), 5, |x| {
            (x * 4.0).round() as usize
        });
        check_even(Distribution::int(1, 9, false, 2), 5, |x| (x as usize - 1) / 2);
        check_even(
            Distribution::categorical(vec![1i64.into(), 2i64.into(), 3i64.into()]),
            3,
            |x| x as usize,
        );
    }
}
