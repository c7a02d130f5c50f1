//! Random numbers behind a seam, so that a test can feed a method the numbers that Optuna had.

use crate::tpe::normal_quantile;
use trialbox_core::seam::rng::{TrialRng, unit};

/// A source of random numbers.
pub(crate) trait Draws {
    /// Draws from the even distribution on [0, 1).
    fn uniform(&mut self) -> f64;

    /// Draws from the standard normal distribution.
    fn normal(&mut self) -> f64;

    /// Draws an index below `n`, which is at least 1.
    fn index(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }
}

impl Draws for TrialRng {
    fn uniform(&mut self) -> f64 {
        unit(self)
    }

    fn normal(&mut self) -> f64 {
        // The middle of one of 2⁵³ cells: neither end has a quantile.
        normal_quantile(unit(self) + 0.5 / (1u64 << 53) as f64)
    }
}

/// Puts items into a random order, each with the same probability.
pub(crate) fn shuffle<T>(items: &mut [T], draws: &mut dyn Draws) {
    for last in (1..items.len()).rev() {
        items.swap(last, draws.index(last + 1));
    }
}

/// Numbers that were drawn elsewhere.
#[cfg(test)]
pub(crate) struct Tape(std::vec::IntoIter<f64>);

#[cfg(test)]
impl Tape {
    /// Returns a tape of these numbers.
    pub(crate) fn new(numbers: Vec<f64>) -> Self {
        Tape(numbers.into_iter())
    }

    /// Returns the number of draws that are left.
    pub(crate) fn n_left(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
impl Draws for Tape {
    fn uniform(&mut self) -> f64 {
        self.0.next().expect("as many draws as were recorded")
    }

    fn normal(&mut self) -> f64 {
        self.uniform()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::TrialNumber;
    use trialbox_core::seam::rng::trial_rng;

    #[test]
    fn normal_draws_have_the_moments_of_the_normal_distribution() {
        let mut rng = trial_rng(3, TrialNumber(0));
        let draws: Vec<f64> = (0..20_000).map(|_| rng.normal()).collect();
        let moment = |power: i32| draws.iter().map(|x| x.powi(power)).sum::<f64>() / 20_000.0;
        for (power, want, error) in [(1, 0.0, 0.03), (2, 1.0, 0.05), (3, 0.0, 0.15), (4, 3.0, 0.3)]
        {
            assert!((moment(power) - want).abs() < error, "moment {power}: {}", moment(power));
        }
    }

    #[test]
    fn a_shuffle_keeps_the_items_and_reaches_every_order() {
        let mut rng = trial_rng(3, TrialNumber(0));
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..600 {
            let mut items = [1, 2, 3];
            shuffle(&mut items, &mut rng);
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        assert!(counts.values().all(|count| (60..140).contains(count)), "{counts:?}");
    }
}
