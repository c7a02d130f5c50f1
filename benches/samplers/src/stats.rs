//! Quantiles, rank tests, and what many tests at once ask for.

/// Returns the quantile at `q` in [0, 1], between the two nearest values linearly; NaN of no values. Infinite values
/// are larger than all others.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q * last as f64;
    let below = position.floor() as usize;
    let weight = position - below as f64;
    if weight == 0.0 {
        return sorted[below];
    }
    let above = sorted[below + 1];
    if above.is_infinite() { above } else { sorted[below] + weight * (above - sorted[below]) }
}

/// The outcome of a Mann–Whitney test of two independent samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MannWhitney {
    /// The chance that a value of the first sample is below one of the second, ties counting half.
    pub(crate) superiority: f64,
    /// The one-sided p-value of "the first sample tends to larger values".
    pub(crate) p_larger: f64,
    /// The one-sided p-value of "the first sample tends to smaller values".
    pub(crate) p_smaller: f64,
}

/// Tests whether the values of one sample tend to be larger. Exact without ties and up to 30 values a sample;
/// otherwise the normal approximation with corrections for ties and continuity.
///
/// Mann and Whitney 1947, "On a Test of Whether One of Two Random Variables Is Stochastically Larger".
pub(crate) fn mann_whitney(a: &[f64], b: &[f64]) -> MannWhitney {
    let wins: f64 = a.iter().flat_map(|a| b.iter().map(move |b| win(*a, *b))).sum();
    let (n, m) = (a.len(), b.len());
    let ties = tie_sizes(a.iter().chain(b));
    let (p_larger, p_smaller) = if ties.iter().all(|size| *size == 1) && n <= 30 && m <= 30 {
        let counts = rank_sum_counts(n, m);
        let total: f64 = counts.iter().sum();
        // `wins` counts the pairs in which a is below b: few of them speak for a being larger.
        let u = wins as usize;
        (counts[..=u].iter().sum::<f64>() / total, counts[u..].iter().sum::<f64>() / total)
    } else {
        normal_tails(wins, (n * m) as f64 / 2.0, mann_whitney_variance(n, m, &ties))
    };
    MannWhitney { superiority: wins / (n * m) as f64, p_larger, p_smaller }
}

/// Returns the one-sided p-value of "the differences tend to be positive" (Wilcoxon 1945, signed ranks). Exact without
/// ties and zeros and up to 50 differences; otherwise the normal approximation. Zeros are left out.
pub(crate) fn wilcoxon_p_positive(differences: &[f64]) -> f64 {
    let nonzero: Vec<f64> = differences.iter().copied().filter(|found| *found != 0.0).collect();
    let n = nonzero.len();
    let sizes: Vec<f64> = nonzero.iter().map(|found| found.abs()).collect();
    let rank = |size: f64| {
        let below = sizes.iter().filter(|other| **other < size).count() as f64;
        let equal = sizes.iter().filter(|other| **other == size).count() as f64;
        below + 0.5 * (equal + 1.0)
    };
    let positive: f64 =
        nonzero.iter().filter(|found| **found > 0.0).map(|found| rank(found.abs())).sum();
    let ties = tie_sizes(&sizes);
    if n == differences.len() && ties.iter().all(|size| *size == 1) && n <= 50 {
        let counts = signed_rank_counts(n);
        let total: f64 = counts.iter().sum();
        return counts[positive as usize..].iter().sum::<f64>() / total;
    }
    let cubes: f64 = ties.iter().map(|size| cube_excess(*size)).sum();
    let n = n as f64;
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - cubes / 48.0;
    normal_tails(positive, n * (n + 1.0) / 4.0, variance).1
}

/// Corrects p-values so that they may be read one by one: the chance of any false alarm among all stays below the level
/// (Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure").
pub(crate) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|i, j| p_values[*i].total_cmp(&p_values[*j]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// Returns the ranks of values, from 1 for the smallest; equal values share the mean of theirs.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        let equal = values.iter().filter(|other| *other == value).count() as f64;
        below + 0.5 * (equal + 1.0)
    };
    values.iter().map(rank).collect()
}

fn win(a: f64, b: f64) -> f64 {
    if a < b {
        1.0
    } else if a == b {
        0.5
    } else {
        0.0
    }
}

/// Returns for each different value the number of values that equal it.
fn tie_sizes<'a>(values: impl IntoIterator<Item = &'a f64>) -> Vec<usize> {
    let mut sorted: Vec<f64> = values.into_iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.chunk_by(|a, b| a == b).map(<[f64]>::len).collect()
}

/// Returns t³ − t, by which t tied values lower a rank statistic's variance.
fn cube_excess(t: usize) -> f64 {
    let t = t as f64;
    t * t * t - t
}

/// Counts the ways in which n and m values can be mixed so that u of the n·m pairs are in one order; by u.
/// The recurrence of Mann and Whitney: the largest value belongs to the first sample or to the second.
fn rank_sum_counts(n: usize, m: usize) -> Vec<f64> {
    // counts[j][u] for the present i values of the first sample and j of the second.
    let mut counts = vec![vec![1.0]; m + 1];
    for i in 1..=n {
        let mut next: Vec<Vec<f64>> = vec![vec![1.0]];
        for j in 1..=m {
            let at = |row: &[f64], u: usize| row.get(u).copied().unwrap_or(0.0);
            let ways = |u: usize| {
                let from_first = if u >= j { at(&counts[j], u - j) } else { 0.0 };
                from_first + at(&next[j - 1], u)
            };
            let row = (0..=i * j).map(ways).collect();
            next.push(row);
        }
        counts = next;
    }
    counts.pop().unwrap_or_default()
}

/// Counts the ways in which signs can be given to the ranks 1 to n so that the positive ones sum to w; by w.
fn signed_rank_counts(n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n * (n + 1) / 2 + 1];
    counts[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..counts.len()).rev() {
            counts[sum] += counts[sum - rank];
        }
    }
    counts
}

fn mann_whitney_variance(n: usize, m: usize, ties: &[usize]) -> f64 {
    let (n, m) = (n as f64, m as f64);
    let total = n + m;
    let cubes: f64 = ties.iter().map(|size| cube_excess(*size)).sum();
    n * m / 12.0 * (total + 1.0 - cubes / (total * (total - 1.0)))
}

/// Returns the chances of a statistic at most, and at least, as large as `found`, each moved by half a unit because the
/// statistic is discrete. Without variance nothing can be said: both are 1.
fn normal_tails(found: f64, mean: f64, variance: f64) -> (f64, f64) {
    if variance <= 0.0 {
        return (1.0, 1.0);
    }
    let z = |at: f64| (at - mean) / variance.sqrt();
    (normal_cdf(z(found + 0.5)), normal_cdf(-z(found - 0.5)))
}

/// Returns the standard normal distribution function, by the series of erf near zero and the continued fraction of
/// erfc beyond (Abramowitz and Stegun 7.1.6 and 7.1.14); relative error below 1e-12 for −8 < z < 8.
fn normal_cdf(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let scale = (-x * x).exp() / std::f64::consts::PI.sqrt();
    let upper_tail = if x < 2.0 {
        let mut term = 2.0 * x;
        let mut sum = term;
        for k in 1..80 {
            term *= 2.0 * x * x / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 * (1.0 - scale * sum)
    } else {
        let fraction = (1..120).rev().fold(x, |below, k| x + 0.5 * f64::from(k) / below);
        0.5 * scale / fraction
    };
    if z > 0.0 { 1.0 - upper_tail } else { upper_tail }
}

/// Wanted values are SciPy 1.17's: `mannwhitneyu`, `wilcoxon` and `norm.cdf`.
#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: f64, want: f64) {
        assert!((found - want).abs() <= 1e-11 * want.abs(), "{found} is not {want}");
    }

    #[test]
    fn mann_whitney_without_ties_is_exact() {
        let a = [1.1, 2.5, 0.3, 4.2, 3.3, 0.9];
        let b = [2.2, 5.1, 6.0, 3.9, 4.8, 7.7, 1.7];
        let found = mann_whitney(&a, &b);
        check(found.p_larger, 0.9825174825174825);
        check(found.p_smaller, 0.02564102564102564);
        check(found.superiority, 35.0 / 42.0);
    }

    #[test]
    fn mann_whitney_with_ties_and_infinities_is_approximated() {
        let found = mann_whitney(
            &[1.0, 2.0, 2.0, 3.0, 5.0, f64::INFINITY],
            &[2.0, 3.0, 3.0, 4.0, 6.0, 7.0, 8.0],
        );
        check(found.p_larger, 0.8606845891789543);
        check(found.p_smaller, 0.1738790166796812);
        let equal = mann_whitney(&[1.0; 9], &[1.0; 9]);
        assert_eq!((equal.superiority, equal.p_larger, equal.p_smaller), (0.5, 1.0, 1.0));
    }

    #[test]
    fn signed_ranks_are_exact_without_ties_and_approximated_with_them() {
        check(wilcoxon_p_positive(&[0.3, -0.1, 0.25, 0.7, -0.05, 0.9, 0.41, -0.2]), 0.0546875);
        check(
            wilcoxon_p_positive(&[0.3, -0.3, 0.0, 0.7, -0.1, 0.9, 0.3, -0.2]),
            0.1342262108561733,
        );
    }

    #[test]
    fn the_normal_distribution_is_right_in_its_middle_and_its_tails() {
        for (z, want) in [
            (-8.0, 6.22096057427174e-16),
            (-5.0, 2.866515718791933e-07),
            (-3.0, 0.0013498980316300933),
            (-1.0, 0.15865525393145707),
            (0.0, 0.5),
            (0.5, 0.6914624612740131),
            (2.5, 0.9937903346742238),
        ] {
            check(normal_cdf(z), want);
        }
    }

    #[test]
    fn holm_multiplies_the_smallest_most_and_never_reorders() {
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5]);
        assert_eq!(holm(&[0.9, 0.6]), [1.0, 1.0]);
    }

    #[test]
    fn quantiles_lie_between_neighbours_and_infinity_is_the_largest() {
        assert_eq!(
            [0.25, 0.5, 0.75].map(|q| quantile(&[4.0, 1.0, 3.0, 2.0], q)),
            [1.75, 2.5, 3.25]
        );
        assert_eq!(quantile(&[1.0, f64::INFINITY], 0.5), f64::INFINITY);
        assert_eq!(ranks(&[3.0, 1.0, 3.0]), [2.5, 1.0, 2.5]);
    }
}
