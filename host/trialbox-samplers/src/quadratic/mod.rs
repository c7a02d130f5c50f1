//! A quadratic model of the losses around the best trials, which is believed only if it orders trials that it has not
//! seen.
//!
//! Near a smooth minimum a quadratic is nearly exact, and its minimum gains digits at every trial, where a Gaussian
//! process is held back by its noise. NGOpt proposes minima of quadratic models so (Meunier et al. 2021, "Black-Box
//! Optimization Revisited"); leaving one out in place of a check on the fitted points keeps it from fooling itself.

mod least_squares;

use crate::gp::outcomes::{ranks, standardized};

/// The smallest rank correlation of predictions that leave one out.
const MIN_CORRELATION: f64 = 0.9;

/// The share of the points' box by which the minimum may lie outside of it, on each side.
const MARGIN: f64 = 0.25;

/// The largest number of parameters: the full form of 40 has 861 coefficients.
const MAX_PARAMETERS: usize = 40;

/// A quadratic function of places in [−1, 1], relative to a box.
struct Quadratic {
    d: usize,
    /// The slopes at the middle.
    slopes: Vec<f64>,
    /// The symmetric matrix of second derivatives, row after row.
    curvatures: Vec<f64>,
}

/// Returns the place of the minimum of a quadratic model, in the unit cube; `None` if there are too few points, or if
/// the model does not order points that are left out.
///
/// The places are points in the unit cube; the losses are finite.
pub(crate) fn minimum(places: &[&[f64]], losses: &[f64]) -> Option<Vec<f64>> {
    let d = places.first()?.len();
    if d == 0 || d > MAX_PARAMETERS {
        return None;
    }
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| losses[*a].total_cmp(&losses[*b]).then(a.cmp(b)));
    let n_full = (d + 1) * (d + 2) / 2;
    for (is_full, n_coefficients) in [(true, n_full), (false, 2 * d + 1)] {
        let n = n_coefficients + (d / 2).max(2);
        if places.len() < n {
            continue;
        }
        let best: Vec<&[f64]> = order[..n].iter().map(|i| places[*i]).collect();
        let losses: Vec<f64> = order[..n].iter().map(|i| losses[*i]).collect();
        let found = of_points(&best, &losses, is_full);
        if found.is_some() {
            return found;
        }
    }
    None
}

/// Returns the minimum of the model of these points, the best one first.
fn of_points(points: &[&[f64]], losses: &[f64], is_full: bool) -> Option<Vec<f64>> {
    let (middles, halves) = box_of(points)?;
    let (_, _, outcomes) = standardized(losses);
    let place = |point: &[f64]| -> Vec<f64> {
        let both = point.iter().zip(&middles).zip(&halves);
        both.map(|((x, middle), half)| (x - middle) / half).collect()
    };
    let placed: Vec<Vec<f64>> = points.iter().map(|point| place(point)).collect();
    let (model, left_out) = Quadratic::fit(&placed, &outcomes, is_full)?;
    if correlation(&ranks(&left_out), &ranks(&outcomes)) < MIN_CORRELATION {
        return None;
    }
    // The side of the box in its own coordinates, within the unit cube.
    let side = 1.0 + 2.0 * MARGIN;
    let low: Vec<f64> =
        middles.iter().zip(&halves).map(|(m, h)| ((0.0 - m) / h).max(-side)).collect();
    let high: Vec<f64> =
        middles.iter().zip(&halves).map(|(m, h)| ((1.0 - m) / h).min(side)).collect();
    let found = model.minimize(&placed[0], &low, &high)?;
    let both = found.iter().zip(&middles).zip(&halves);
    Some(both.map(|((x, middle), half)| (middle + x * half).clamp(0.0, 1.0)).collect())
}

/// Returns the middle and half of the width of the points' box in each dimension; `None` if it is flat.
fn box_of(points: &[&[f64]]) -> Option<(Vec<f64>, Vec<f64>)> {
    let d = points[0].len();
    let (mut middles, mut halves) = (Vec::with_capacity(d), Vec::with_capacity(d));
    for j in 0..d {
        let column = points.iter().map(|point| point[j]);
        let (low, high) =
            column.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if high - low <= 1e-14 {
            return None;
        }
        middles.push(0.5 * (low + high));
        halves.push(0.5 * (high - low));
    }
    Some((middles, halves))
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let ((_, _, a), (_, _, b)) = (standardized(a), standardized(b));
    a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
}

impl Quadratic {
    /// Fits a quadratic, with the products of different parameters if `is_full`. Returns the predictions that leave one
    /// point out too.
    fn fit(points: &[Vec<f64>], outcomes: &[f64], is_full: bool) -> Option<(Quadratic, Vec<f64>)> {
        let d = points[0].len();
        let column = |f: &dyn Fn(&[f64]) -> f64| points.iter().map(|x| f(x)).collect::<Vec<f64>>();
        let mut columns = vec![column(&|_| 1.0)];
        (0..d).for_each(|i| columns.push(column(&|x| x[i])));
        let mut pairs = Vec::new();
        for i in 0..d {
            pairs.push((i, i));
            if is_full {
                pairs.extend((i + 1..d).map(|j| (i, j)));
            }
        }
        pairs.iter().for_each(|(i, j)| columns.push(column(&|x| x[*i] * x[*j])));
        let fit = least_squares::fit(columns, outcomes)?;
        let slopes = fit.coefficients[1..=d].to_vec();
        let mut curvatures = vec![0.0; d * d];
        for ((i, j), coefficient) in pairs.iter().zip(&fit.coefficients[d + 1..]) {
            curvatures[i * d + j] += coefficient;
            curvatures[j * d + i] += coefficient;
        }
        Some((Quadratic { d, slopes, curvatures }, fit.left_out))
    }

    fn slope(&self, x: &[f64], i: usize) -> f64 {
        let row = &self.curvatures[i * self.d..(i + 1) * self.d];
        self.slopes[i] + row.iter().zip(x).map(|(c, x)| c * x).sum::<f64>()
    }

    /// Minimises within a box, from a start: Newton's steps in the variables that no side holds. `None` if the function
    /// does not curve upwards there.
    ///
    /// Bertsekas 1982, "Projected Newton Methods for Optimization Problems with Simple Constraints".
    fn minimize(&self, start: &[f64], low: &[f64], high: &[f64]) -> Option<Vec<f64>> {
        let mut x = start.to_vec();
        for _ in 0..4 * self.d + 10 {
            let slopes: Vec<f64> = (0..self.d).map(|i| self.slope(&x, i)).collect();
            let is_free = |i: &usize| {
                !(x[*i] <= low[*i] && slopes[*i] > 0.0 || x[*i] >= high[*i] && slopes[*i] < 0.0)
            };
            let free: Vec<usize> = (0..self.d).filter(is_free).collect();
            if free.is_empty() {
                break;
            }
            let step = self.newton_step(&free, &slopes)?;
            let mut largest = 0.0f64;
            for (i, step) in free.iter().zip(step) {
                let new = (x[*i] + step).max(low[*i]).min(high[*i]);
                largest = largest.max((new - x[*i]).abs());
                x[*i] = new;
            }
            if largest <= 1e-15 {
                break;
            }
        }
        x.iter().all(|x| x.is_finite()).then_some(x)
    }

    /// Returns minus the inverse of the curvatures in these variables times their slopes.
    fn newton_step(&self, free: &[usize], slopes: &[f64]) -> Option<Vec<f64>> {
        let mut matrix = crate::gp::cholesky::Lower::zeros(free.len());
        for (row, i) in free.iter().enumerate() {
            for (element, j) in matrix.row_mut(row).iter_mut().zip(free) {
                *element = self.curvatures[i * self.d + j];
            }
        }
        let factor = matrix.cholesky()?;
        let negative: Vec<f64> = free.iter().map(|i| -slopes[*i]).collect();
        Some(factor.solve_transposed(&factor.solve(&negative)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(n: usize, d: usize) -> Vec<Vec<f64>> {
        let root = |j: usize| [2.0f64, 3.0, 5.0, 7.0, 11.0][j].sqrt();
        (1..=n).map(|i| (0..d).map(|j| (i as f64 * root(j)).fract()).collect()).collect()
    }

    fn found(points: &[Vec<f64>], f: impl Fn(&[f64]) -> f64) -> Option<Vec<f64>> {
        let losses: Vec<f64> = points.iter().map(|point| f(point)).collect();
        let places: Vec<&[f64]> = points.iter().map(Vec::as_slice).collect();
        minimum(&places, &losses)
    }

    #[test]
    fn the_minimum_of_a_quadratic_is_found_to_its_digits() {
        let f = |x: &[f64]| {
            let (a, b, c) = (x[0] - 0.3, x[1] - 0.6, x[3] - 0.4);
            7.0 + a * a + 3.0 * b * b + 1.5 * a * b + 0.1 * (x[2] - 0.5).powi(2) + c * c - a * c
        };
        let found = found(&points(30, 4), f).expect("a minimum");
        let apart = found.iter().zip([0.3, 0.6, 0.5, 0.4]).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-12, "{found:?}");
    }

    #[test]
    fn with_few_points_the_separable_form_serves() {
        let f = |x: &[f64]| x.iter().map(|x| (x - 0.35).powi(2)).sum();
        let found = found(&points(14, 5), f).expect("a minimum");
        assert!(found.iter().all(|x| (x - 0.35).abs() < 1e-12), "{found:?}");
    }

    #[test]
    fn a_minimum_outside_of_the_cube_is_moved_to_its_side() {
        let f = |x: &[f64]| (x[0] + 0.2).powi(2) + (x[1] - 0.5).powi(2) + 0.5 * x[0] * x[1];
        let found = found(&points(12, 2), f).expect("a minimum");
        assert!(found[0] == 0.0 && (found[1] - 0.5).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn what_is_no_quadratic_has_no_minimum() {
        let wild = |x: &[f64]| (40.0 * x[0]).sin() + (50.0 * x[1] * x[0]).cos();
        assert_eq!(found(&points(12, 2), wild), None);
        assert_eq!(found(&points(5, 2), |x| x[0]), None, "too few points");
        assert_eq!(found(&points(12, 2), |_| 1.0), None, "no differences");
        let flat = vec![vec![0.5, 0.5]; 12];
        assert_eq!(found(&flat, |_| 1.0), None, "one place");
    }
}
