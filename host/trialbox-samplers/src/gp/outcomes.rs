//! Outcomes as the model sees them: without infinities, of mean 0 and variance 1, the bad half possibly drawn in.

use super::model::Prediction;
use crate::tpe::normal::truncated_quantile;

/// A way to transform losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Warp {
    /// As they are.
    Standard,
    /// The worse half by its ranks: as the upper half of a normal distribution whose deviation is that of the better
    /// half around the median. Song et al. 2024, "The Vizier Gaussian Process Bandit Algorithm", section 3.3.
    HalfRank,
    /// As the half-rank, and then logarithmic, so that steps near the best count more; the log-warp there.
    HalfRankLog,
}

impl Warp {
    pub(super) const ALL: [Warp; 3] = [Warp::Standard, Warp::HalfRank, Warp::HalfRankLog];

    /// Returns the word for attributes.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Warp::Standard => "standard",
            Warp::HalfRank => "half-rank",
            Warp::HalfRankLog => "half-rank-log",
        }
    }

    /// Reads the word.
    pub(super) fn parse(text: &str) -> Option<Warp> {
        Warp::ALL.into_iter().find(|warp| warp.as_str() == text)
    }
}

/// Transformed losses.
pub(super) struct Warped {
    pub(super) values: Vec<f64>,
    /// The logarithms of the slopes of the transformation at the losses.
    log_slopes: Vec<f64>,
}

/// Returns losses that are finite: infinite ones become the best or worst finite one, NaN the worst, as Optuna 5.0
/// treats infinities; all 0 if none is finite.
pub(crate) fn finite(losses: &[f64]) -> Vec<f64> {
    let finite = losses.iter().copied().filter(|loss| loss.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    if low > high {
        return vec![0.0; losses.len()];
    }
    let clip = |loss: &f64| if loss.is_nan() { high } else { loss.clamp(low, high) };
    losses.iter().map(clip).collect()
}

/// Returns the mean and the standard deviation of finite values, and all values less the mean, divided by it; divided
/// by 1 if all are equal.
pub(crate) fn standardized(values: &[f64]) -> (f64, f64, Vec<f64>) {
    let n = values.len().max(1) as f64;
    // Values near the ends of the floats have no squares, and their sum may be infinite.
    let largest = values.iter().fold(0.0f64, |largest, x| x.abs().max(largest));
    let unit = if largest > 0.0 { largest } else { 1.0 };
    let mean = values.iter().map(|x| x / unit).sum::<f64>() / n;
    let variance = values.iter().map(|x| (x / unit - mean).powi(2)).sum::<f64>() / n;
    let deviation = variance.sqrt();
    // Below this, the differences are rounding.
    let deviation = if deviation > 1e-15 { deviation } else { 1.0 };
    let scaled = values.iter().map(|x| (x / unit - mean) / deviation).collect();
    (mean * unit, deviation * unit, scaled)
}

/// Returns the ranks from 0, equal values sharing the mean of theirs.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for chunk in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let rank = start as f64 + 0.5 * (chunk.len() - 1) as f64;
        chunk.iter().for_each(|index| ranks[*index] = rank);
        start += chunk.len();
    }
    ranks
}

impl Warped {
    /// Transforms finite losses.
    pub(super) fn new(losses: &[f64], warp: Warp) -> Warped {
        let (_, _, values) = standardized(losses);
        let mut warped = Warped { log_slopes: vec![0.0; values.len()], values };
        if warp != Warp::Standard {
            warped.half_rank();
        }
        if warp == Warp::HalfRankLog {
            warped.log();
        }
        let (_, deviation, values) = standardized(&warped.values);
        warped.values = values;
        let by = libm::log(deviation);
        warped.log_slopes.iter_mut().for_each(|slope| *slope -= by);
        warped
    }

    fn half_rank(&mut self) {
        let n = self.values.len();
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(median) = sorted.get(n / 2).copied() else { return };
        let good: Vec<f64> = sorted.iter().copied().filter(|value| *value < median).collect();
        if good.is_empty() {
            return;
        }
        let squares: f64 = good.iter().map(|value| (value - median).powi(2)).sum();
        let deviation = (squares / good.len() as f64).sqrt();
        let ranks = ranks(&self.values);
        for (value, rank) in self.values.iter_mut().zip(ranks) {
            if *value > median {
                let share = (rank + 0.5) / n as f64;
                *value = median + deviation * truncated_quantile(share, -40.0, 40.0).max(0.0);
            }
        }
    }

    fn log(&mut self) {
        /// The slope at the best, in slopes at the worst.
        const STEEPNESS: f64 = 10.0;
        let (low, high) = self.range();
        if high <= low {
            return;
        }
        let by = (STEEPNESS - 1.0) / (high - low);
        for (value, log_slope) in self.values.iter_mut().zip(&mut self.log_slopes) {
            let inner = 1.0 + by * (*value - low);
            *value = libm::log(inner);
            *log_slope += libm::log(by / inner);
        }
    }

    fn range(&self) -> (f64, f64) {
        let values = self.values.iter();
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)))
    }

    /// Returns the mean logarithm of the density of the better half's losses, each as predicted by all others: the
    /// evidence for the transformation, in units of the losses.
    pub(super) fn evidence(&self, predictions: &[Prediction]) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(median) = sorted.get(sorted.len() / 2) else { return f64::NEG_INFINITY };
        let (mut sum, mut n) = (0.0, 0.0);
        for ((value, log_slope), it) in self.values.iter().zip(&self.log_slopes).zip(predictions) {
            if value <= median {
                let z = (value - it.mean) / it.deviation;
                sum += -0.5 * z * z - libm::log(it.deviation) + log_slope;
                n += 1.0;
            }
        }
        sum / n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_becomes_the_best_or_the_worst_number() {
        let found = finite(&[2.0, f64::INFINITY, f64::NAN, f64::NEG_INFINITY, 5.0]);
        assert_eq!(found, [2.0, 5.0, 5.0, 2.0, 5.0]);
        assert_eq!(finite(&[f64::NAN, f64::INFINITY]), [0.0, 0.0]);
    }

    #[test]
    fn numbers_at_the_ends_of_the_floats_are_standardized() {
        for values in [[f64::MAX, f64::MIN, 0.0], [5e-324, 1e-323, 0.0], [1.0; 3], [0.0; 3]] {
            for warp in Warp::ALL {
                let found = Warped::new(&values, warp).values;
                assert!(found.iter().all(|value| value.abs() < 2.0), "{values:?}: {found:?}");
            }
        }
    }

    #[test]
    fn a_transformation_keeps_the_order_and_draws_the_bad_half_in() {
        let losses: Vec<f64> = (0..20).map(|i| f64::from(i).powi(4)).collect();
        for warp in Warp::ALL {
            let values = Warped::new(&losses, warp).values;
            assert!(values.is_sorted_by(|a, b| a < b), "{warp:?}: {values:?}");
        }
        let skew = |warp| {
            let values = Warped::new(&losses, warp).values;
            values[19] / -values[0]
        };
        assert!(skew(Warp::HalfRank) < 0.7 * skew(Warp::Standard));
        assert!(Warp::ALL.iter().all(|warp| Warp::parse(warp.as_str()) == Some(*warp)));
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
    }
}
