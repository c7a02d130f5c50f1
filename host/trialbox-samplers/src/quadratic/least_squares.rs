//! Least squares by orthogonal columns, with predictions that leave one point out.

use crate::vector::{dot, norm};

/// A least-squares fit.
pub(super) struct Fit {
    pub(super) coefficients: Vec<f64>,
    /// The prediction at each point by all others.
    pub(super) left_out: Vec<f64>,
}

/// Fits the combination of `columns` that is nearest to `target`; `None` if the columns depend on each other as far as
/// rounding tells. O(rows · columns²).
///
/// Björck 2015, "Numerical Methods in Matrix Computations", algorithm 2.3.5: modified Gram-Schmidt, each column twice.
/// Leaving out goes by the leverages: Belsley, Kuh and Welsch 1980, "Regression Diagnostics", eq. 2.4.
pub(super) fn fit(columns: Vec<Vec<f64>>, target: &[f64]) -> Option<Fit> {
    let n = columns.len();
    let mut upper = vec![vec![0.0; n]; n];
    let mut q: Vec<Vec<f64>> = Vec::with_capacity(n);
    for (j, mut column) in columns.into_iter().enumerate() {
        let before = norm(&column);
        for _ in 0..2 {
            for (i, earlier) in q.iter().enumerate() {
                let share = dot(earlier, &column);
                upper[i][j] += share;
                column.iter_mut().zip(earlier).for_each(|(x, e)| *x -= share * e);
            }
        }
        let length = norm(&column);
        if length.is_nan() || length <= 1e-11 * before {
            return None;
        }
        column.iter_mut().for_each(|x| *x /= length);
        upper[j][j] = length;
        q.push(column);
    }
    let mut residual = target.to_vec();
    let mut shares = vec![0.0; n];
    for _ in 0..2 {
        for (share, column) in shares.iter_mut().zip(&q) {
            let more = dot(column, &residual);
            *share += more;
            residual.iter_mut().zip(column).for_each(|(r, c)| *r -= more * c);
        }
    }
    let mut coefficients = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| upper[i][j] * coefficients[j]).sum();
        coefficients[i] = (shares[i] - known) / upper[i][i];
    }
    let mut left_out = Vec::with_capacity(target.len());
    for (row, (target, residual)) in target.iter().zip(&residual).enumerate() {
        let leverage: f64 = q.iter().map(|column| column[row] * column[row]).sum();
        left_out.push(target - residual / (1.0 - leverage).max(1e-12));
    }
    Some(Fit { coefficients, left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(rows: &[usize]) -> Vec<Vec<f64>> {
        let of = |f: fn(f64) -> f64| rows.iter().map(|i| f(*i as f64 / 9.0)).collect();
        vec![of(|_| 1.0), of(|x| x), of(|x| x * x)]
    }

    #[test]
    fn coefficients_are_found_and_leaving_out_is_a_fit_of_the_others() {
        let target: Vec<f64> =
            (0..10).map(|i| 3.0 - f64::from(i) / 9.0 + 0.1 * f64::from(i % 3)).collect();
        let all: Vec<usize> = (0..10).collect();
        let whole = fit(columns(&all), &target).expect("independent columns");
        let rest = fit(columns(&all[1..]), &target[1..]).expect("independent columns");
        // The point left out is at x = 0, where the prediction is the constant.
        assert!((whole.left_out[0] - rest.coefficients[0]).abs() < 1e-12);
        let exact: Vec<f64> = (0..10).map(|i| 2.0 - f64::from(i) / 9.0).collect();
        let found = fit(columns(&all), &exact).expect("independent columns").coefficients;
        assert!(found.iter().zip([2.0, -1.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-14));
    }

    #[test]
    fn columns_that_depend_on_each_other_have_no_fit() {
        let column = vec![1.0, 2.0, 4.0];
        assert!(fit(vec![column.clone(), column], &[1.0, 1.0, 2.0]).is_none());
    }
}
