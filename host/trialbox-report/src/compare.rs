//! A comparison of studies: their values, and whether a difference is more than chance.

use crate::subject::Subject;
use trialbox_core::StudyDirection;

/// A study in a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The study's name.
    pub name: String,
    /// The number of COMPLETE and feasible trials.
    pub n_results: usize,
    /// The best value.
    pub best: Option<f64>,
    /// The value in the middle.
    pub median: Option<f64>,
    /// The comparison with the first study; `None` for the first one itself, and where one of the two has no result.
    pub against_first: Option<RankTest>,
}

/// The result of the rank test of Mann and Whitney (1947, "On a test of whether one of two random variables is
/// stochastically larger than the other"), two-sided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// The chance that a trial of this study is better than one of the first; equal values count half.
    pub superiority: f64,
    /// The probability of a difference at least as large if both studies drew from the same values.
    pub p_value: f64,
}

/// Compares studies of one objective and the same direction with the first of them.
///
/// # Errors
/// The name of a study with several objectives, or of another direction than the first.
pub fn compare(subjects: &[Subject]) -> Result<Vec<Compared>, String> {
    let mut compared = Vec::new();
    let mut first: Option<(StudyDirection, Vec<f64>)> = None;
    for subject in subjects {
        let [direction] = subject.directions()[..] else {
            return Err(subject.study().name.clone());
        };
        let mut losses: Vec<f64> =
            subject.results().map(|trial| direction.to_minimize(trial.values[0])).collect();
        losses.sort_unstable_by(f64::total_cmp);
        let against_first = match &first {
            Some((of_first, _)) if *of_first != direction => {
                return Err(subject.study().name.clone());
            }
            Some((_, of_first)) => rank_test(&losses, of_first),
            None => None,
        };
        let value = |index: usize| losses.get(index).map(|loss| direction.to_minimize(*loss));
        compared.push(Compared {
            name: subject.study().name.clone(),
            n_results: losses.len(),
            best: value(0),
            median: value(losses.len() / 2),
            against_first,
        });
        first.get_or_insert((direction, losses));
    }
    Ok(compared)
}

/// Compares two samples of losses, with the normal approximation, corrected for ties and continuity, as SciPy's
/// `mannwhitneyu(method="asymptotic")`; `None` if one of them is empty.
fn rank_test(ours: &[f64], others: &[f64]) -> Option<RankTest> {
    let (n, m) = (ours.len() as f64, others.len() as f64);
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let mut pooled: Vec<(f64, bool)> = ours.iter().map(|loss| (*loss, true)).collect();
    pooled.extend(others.iter().map(|loss| (*loss, false)));
    pooled.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut rank_sum, mut ties, mut start) = (0.0, 0.0, 0.0);
    for same in pooled.chunk_by(|a, b| a.0 == b.0) {
        let size = same.len() as f64;
        let n_ours = same.iter().filter(|(_, is_ours)| *is_ours).count() as f64;
        rank_sum += n_ours * (start + (size + 1.0) / 2.0);
        ties += size.powi(3) - size;
        start += size;
    }
    // The number of pairs in which the other loss is larger.
    let u = n * m + n * (n + 1.0) / 2.0 - rank_sum;
    let total = n + m;
    let variance = n * m / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let p_value = if variance > 0.0 { libm::erfc(distance / (2.0 * variance).sqrt()) } else { 1.0 };
    Some(RankTest { superiority: u / (n * m), p_value: p_value.min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_test_is_scipys() {
        // scipy.stats.mannwhitneyu(a, b, method="asymptotic") 1.17.1
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let b = [4.0, 6.0, 8.0, 8.0, 9.0, 10.0];
        let found = rank_test(&a, &b).expect("two samples");
        assert!((found.superiority - 0.880_952_380_952_380_9).abs() < 1e-12, "{found:?}");
        assert!((found.p_value - 0.026_184_305_220_028_396).abs() < 1e-12, "{found:?}");
        assert_eq!(rank_test(&a, &[]), None);
        let same = rank_test(&[1.0; 5], &[1.0; 5]).expect("two samples");
        assert_eq!((same.superiority, same.p_value), (0.5, 1.0));
    }
}
