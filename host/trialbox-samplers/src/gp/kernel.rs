//! The Matérn kernel of smoothness 5/2 over points of numbers and choices.
//!
//! A point is a row of *features*: numbers first, choices after them. Features of one *group* share a weight, which is
//! the inverse of a squared length. The squared distance of two points is Σ w·(a − b)² over the numbers plus Σ w over
//! the choices that differ (Hamming's distance): a Euclidean distance, so that the kernel is positive definite.

use super::cholesky::{Lower, dot};

const SQRT_5: f64 = 2.236_067_977_499_79;

/// Returns the kernel's value and its derivative by r², for a squared distance r²:
/// (1 + √5·r + 5/3·r²)·exp(−√5·r) and −5/6·(1 + √5·r)·exp(−√5·r).
///
/// Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", eq. 4.17.
pub(super) fn matern52(squared: f64) -> (f64, f64) {
    let r = SQRT_5 * squared.sqrt();
    let decay = libm::exp(-r);
    (decay * (1.0 + r + 5.0 / 3.0 * squared), -5.0 / 6.0 * (1.0 + r) * decay)
}

/// The features of a point.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Geometry {
    /// The number of features that are numbers.
    pub(crate) n_numbers: usize,
    /// The group of each feature, numbers first.
    pub(super) groups: Vec<usize>,
    /// The number of groups.
    pub(super) n_groups: usize,
}

impl Geometry {
    /// Returns the number of features.
    pub(crate) fn width(&self) -> usize {
        self.groups.len()
    }
}

/// Hyperparameters: the weight of each group, the kernel's scale (a variance), and the noise (a variance).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Hyper {
    pub(super) weights: Vec<f64>,
    pub(super) scale: f64,
    pub(super) noise: f64,
}

impl Hyper {
    /// Returns the hyperparameters of these logarithms: of the weights, the scale, the noise.
    pub(super) fn from_logs(logs: &[f64]) -> Hyper {
        let n_groups = logs.len() - 2;
        Hyper {
            weights: logs[..n_groups].iter().map(|log| libm::exp(*log)).collect(),
            scale: libm::exp(logs[n_groups]),
            noise: libm::exp(logs[n_groups + 1]),
        }
    }

    /// Returns the logarithms.
    pub(super) fn to_logs(&self) -> Vec<f64> {
        let all = self.weights.iter().chain([&self.scale, &self.noise]);
        all.map(|value| libm::log(*value)).collect()
    }
}

/// Points whose numbers are divided by their lengths, so that a distance needs no weights.
#[derive(Debug, Clone)]
pub(super) struct Scaled {
    n_numbers: usize,
    width: usize,
    roots: Vec<f64>,
    /// The weights of the choices.
    choice_weights: Vec<f64>,
    rows: Vec<f64>,
}

impl Scaled {
    /// Scales points, which stand row after row.
    pub(super) fn new(geometry: &Geometry, weights: &[f64], points: &[f64]) -> Scaled {
        let of_feature = |feature: &usize| weights[*feature];
        let (numbers, choices) = geometry.groups.split_at(geometry.n_numbers);
        let mut scaled = Scaled {
            n_numbers: geometry.n_numbers,
            width: geometry.width(),
            roots: numbers.iter().map(|feature| of_feature(feature).sqrt()).collect(),
            choice_weights: choices.iter().map(of_feature).collect(),
            rows: Vec::with_capacity(points.len()),
        };
        if scaled.width > 0 {
            points.chunks_exact(scaled.width).for_each(|point| scaled.push(point));
        }
        scaled
    }

    /// Adds a point.
    pub(super) fn push(&mut self, point: &[f64]) {
        let scaled = self.scale(point);
        self.rows.extend(scaled);
    }

    /// Returns a point as the rows have it.
    pub(super) fn scale(&self, point: &[f64]) -> Vec<f64> {
        let mut scaled = point.to_vec();
        scaled.iter_mut().zip(&self.roots).for_each(|(x, root)| *x *= root);
        scaled
    }

    /// Returns the number of points.
    pub(super) fn len(&self) -> usize {
        self.rows.len().checked_div(self.width).unwrap_or(0)
    }

    /// Returns a point, scaled.
    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.rows[i * self.width..(i + 1) * self.width]
    }

    /// Returns the root of the weight of a number.
    pub(super) fn root(&self, number: usize) -> f64 {
        self.roots[number]
    }

    /// Returns the squared distance of two scaled points.
    pub(super) fn squared_distance(&self, a: &[f64], b: &[f64]) -> f64 {
        let mut sum = 0.0;
        for (a, b) in a[..self.n_numbers].iter().zip(&b[..self.n_numbers]) {
            sum += (a - b) * (a - b);
        }
        let choices = a[self.n_numbers..].iter().zip(&b[self.n_numbers..]);
        for ((a, b), weight) in choices.zip(&self.choice_weights) {
            sum += if a == b { 0.0 } else { *weight };
        }
        sum
    }

    /// Adds `factor` times the share of each group in the squared distance of two scaled points.
    fn add_shares(&self, a: &[f64], b: &[f64], factor: f64, groups: &[usize], sums: &mut [f64]) {
        for f in 0..self.n_numbers {
            sums[groups[f]] += factor * (a[f] - b[f]) * (a[f] - b[f]);
        }
        for (index, weight) in self.choice_weights.iter().enumerate() {
            let f = self.n_numbers + index;
            sums[groups[f]] += if a[f] == b[f] { 0.0 } else { factor * weight };
        }
    }
}

/// The kernel matrix of points: values and derivatives by r², both of scale 1, lower halves.
pub(super) struct Matrix {
    pub(super) values: Lower,
    slopes: Lower,
}

impl Matrix {
    /// Computes the matrix. O(n²·features / 2).
    pub(super) fn of(points: &Scaled) -> Matrix {
        let n = points.len();
        let (mut values, mut slopes) = (Lower::zeros(n), Lower::zeros(n));
        for i in 0..n {
            let (value_row, slope_row) = (values.row_mut(i), slopes.row_mut(i));
            for j in 0..=i {
                let squared = points.squared_distance(points.row(i), points.row(j));
                (value_row[j], slope_row[j]) = matern52(squared);
            }
        }
        Matrix { values, slopes }
    }

    /// Returns scale·K + noise·I.
    pub(super) fn covariance(&self, hyper: &Hyper) -> Lower {
        let mut covariance = self.values.clone();
        for i in 0..covariance.n() {
            let row = covariance.row_mut(i);
            row.iter_mut().for_each(|value| *value *= hyper.scale);
            row[i] += hyper.noise;
        }
        covariance
    }

    /// Returns Σᵢⱼ Mᵢⱼ·∂Cᵢⱼ/∂ln θ for each hyperparameter θ (the weights, the scale, the noise), C being the covariance
    /// and M symmetric, of which `m` gives element (i, j) for i >= j.
    pub(super) fn trace_of_slopes(
        &self,
        points: &Scaled,
        geometry: &Geometry,
        hyper: &Hyper,
        m: impl Fn(usize, &mut [f64]),
    ) -> Vec<f64> {
        let n_groups = geometry.n_groups;
        let mut sums = vec![0.0; n_groups + 2];
        let mut row_of_m = vec![0.0; points.len()];
        for i in 0..points.len() {
            m(i, &mut row_of_m[..=i]);
            let (before, diagonal) = (&row_of_m[..i], row_of_m[i]);
            let (values, slopes) = (self.values.row(i), self.slopes.row(i));
            sums[n_groups] +=
                hyper.scale * (2.0 * dot(before, &values[..i]) + diagonal * values[i]);
            sums[n_groups + 1] += hyper.noise * diagonal;
            for j in 0..i {
                let factor = 2.0 * hyper.scale * before[j] * slopes[j];
                let (a, b) = (points.row(i), points.row(j));
                points.add_shares(a, b, factor, &geometry.groups, &mut sums);
            }
        }
        sums
    }
}
