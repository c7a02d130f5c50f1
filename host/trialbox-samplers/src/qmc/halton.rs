//! Halton sequences.

use trialbox_core::seam::rng::{TrialRng, below};

/// Returns the point of an index, in [0, 1)ᵈ for d = `dimensions`: coordinate j mirrors the digits of the index in the
/// base of the j-th prime at the point. As SciPy's `qmc.Halton`; the first is the origin. O(d · log index).
///
/// Halton 1960, "On the Efficiency of Certain Quasi-Random Sequences of Points in Evaluating Multi-Dimensional
/// Integrals".
pub(super) fn point(index: u32, dimensions: usize) -> Vec<f64> {
    primes().take(dimensions).map(|base| mirrored(index, base)).collect()
}

/// Returns the point of an index as [`point`], scrambled as SciPy does it (but with other random numbers): at each
/// of a base's first digits, as many as a float resolves, the digits are exchanged by a random permutation. O(d ·
/// base · digits).
///
/// Owen 2017, "A Randomized Halton Algorithm in R", arXiv:1706.02808.
pub(super) fn scrambled_point(index: u32, dimensions: usize, rng: &mut TrialRng) -> Vec<f64> {
    primes().take(dimensions).map(|base| permuted(index, base, rng)).collect()
}

fn mirrored(index: u32, base: u32) -> f64 {
    let (mut rest, mut x, mut weight) = (index, 0.0, 1.0 / f64::from(base));
    while rest > 0 {
        x += f64::from(rest % base) * weight;
        rest /= base;
        weight /= f64::from(base);
    }
    x
}

fn permuted(index: u32, base: u32, rng: &mut TrialRng) -> f64 {
    let n_digits = (54.0 / f64::from(base).log2()).ceil() as usize - 1;
    let (mut rest, mut x, mut weight) = (index, 0.0, 1.0 / f64::from(base));
    for _ in 0..n_digits {
        let digit = permutation(base, rng)[(rest % base) as usize];
        x += f64::from(digit) * weight;
        rest /= base;
        weight /= f64::from(base);
    }
    // The digits together can round up to 1.
    x.min(1.0f64.next_down())
}

/// Returns a random order of 0, 1, … `n` − 1 (Fisher and Yates).
fn permutation(n: u32, rng: &mut TrialRng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, below(i as u64 + 1, rng) as usize);
    }
    order
}

/// Returns the primes in ascending order.
fn primes() -> impl Iterator<Item = u32> {
    let mut found: Vec<u32> = Vec::new();
    (2..).filter(move |n| {
        let is_prime =
            found.iter().take_while(|prime| *prime * *prime <= *n).all(|prime| n % prime != 0);
        if is_prime {
            found.push(*n);
        }
        is_prime
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::TrialNumber;
    use trialbox_core::seam::rng::trial_rng;

    #[track_caller]
    fn check(found: &[f64], want: &[f64]) {
        assert_eq!(found.len(), want.len());
        assert!(found.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {want:?}");
    }

    /// `scipy.stats.qmc.Halton(5, scramble=False).random(6)`, and point 12,345 of 50 dimensions: SciPy 1.17.
    #[test]
    fn the_points_are_those_of_scipy() {
        check(&point(0, 5), &[0.0; 5]);
        check(&point(1, 5), &[0.5, 1.0 / 3.0, 0.2, 1.0 / 7.0, 1.0 / 11.0]);
        check(&point(4, 5), &[0.125, 4.0 / 9.0, 0.8, 0.5714285714285714, 0.36363636363636365]);
        check(&point(5, 5), &[0.625, 7.0 / 9.0, 0.04, 0.7142857142857142, 0.4545454545454546]);
        let late = point(12_345, 50);
        check(&late[47..], &[0.3598503891089706, 0.3843078654738109, 0.9093076028298468]);
        let weighted: f64 = late.iter().enumerate().map(|(j, x)| (j as f64 + 1.0) * x).sum();
        assert!((weighted - 667.9188396915243).abs() < 1e-9);
    }

    #[test]
    fn scrambling_keeps_one_point_in_each_interval() {
        let scrambled = |index| scrambled_point(index, 2, &mut trial_rng(5, TrialNumber(0)));
        for (j, n) in [(0, 64), (1, 81)] {
            let mut cells: Vec<usize> =
                (0..n).map(|index| (scrambled(index)[j] * f64::from(n)) as usize).collect();
            cells.sort_unstable();
            assert_eq!(cells, (0..n as usize).collect::<Vec<_>>());
        }
        assert_ne!(scrambled(0), point(0, 2));
    }

    #[test]
    fn digits_are_exchanged_in_every_order() {
        let mut rng = trial_rng(1, TrialNumber(0));
        let orders: std::collections::BTreeSet<Vec<u32>> =
            (0..200).map(|_| permutation(3, &mut rng)).collect();
        assert_eq!(orders.len(), 6, "{orders:?}");
    }
}
