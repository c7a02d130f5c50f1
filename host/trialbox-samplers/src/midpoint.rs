//! The middle of every range: the value of a parameter that was not given.

use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::{Distribution, Sampler};

/// Proposes the middle of a parameter's range, on a log scale the geometric mean of its ends, and the first
/// of its choices. For single calls and probing, not for studies.
#[derive(Debug, Clone, Copy, Default)]
pub struct MidpointSampler;

impl Sampler for MidpointSampler {
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
        _rng: &mut TrialRng,
    ) -> f64 {
        let Some((low, high)) = bounds(distribution) else { return 0.0 };
        untransform(distribution, low + 0.5 * (high - low)).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ask;
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{History, TrialNumber};

    #[track_caller]
    fn check<E: std::fmt::Debug>(distribution: Result<Distribution, E>, want: f64) {
        let distribution = distribution.expect("a valid distribution");
        let (history, mut rng) = (History::new(vec![], vec![]), trial_rng(0, TrialNumber(0)));
        let found =
            MidpointSampler.sample_independent(&ask(&history), "x", &distribution, &mut rng);
        assert!((found - want).abs() <= 1e-12 * want.abs(), "{distribution}: {found}");
    }

    #[test]
    fn the_middle_is_that_of_the_scale() {
        check(Distribution::float(-1.0, 3.0, false, None), 1.0);
        check(Distribution::float(1e-4, 1.0, true, None), 1e-2);
        check(Distribution::float(0.0, 1.0, false, Some(0.25)), 0.5);
        check(Distribution::int(1, 9, false, 2), 5.0);
        check(Distribution::categorical(vec![1i64.into(), 2i64.into()]), 0.0);
    }
}
