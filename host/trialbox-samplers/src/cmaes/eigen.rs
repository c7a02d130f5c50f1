//! Eigenvalues and eigenvectors of a symmetric matrix.
//!
//! Reduction to three diagonals by reflections, then rotations with implicit shifts (Golub and Van Loan, "Matrix
//! Computations", 8.3). For the few dozen dimensions of a search, a library would be most of the build.

use crate::vector::{dot, norm};

/// A symmetric matrix taken apart: Σ λᵢ·vᵢ·vᵢᵀ.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Eigen {
    /// λᵢ, in no order.
    pub(super) values: Vec<f64>,
    /// vᵢ, orthonormal, one after another.
    vectors: Vec<f64>,
}

/// The number of rotations of the whole matrix after which an eigenvalue is taken as it is.
const MAX_SWEEPS: usize = 60;

impl Eigen {
    /// Takes a matrix apart, given row by row; the lower half counts.
    pub(super) fn of(matrix: &[f64], n: usize) -> Eigen {
        let mut matrix = matrix.to_vec();
        let (mut diagonal, mut beside, mut vectors) = tridiagonal(&mut matrix, n);
        for first in 0..n {
            for _ in 0..MAX_SWEEPS {
                let last = block_end(&diagonal, &beside, first);
                if last == first {
                    break;
                }
                sweep(&mut diagonal, &mut beside, &mut vectors, first, last);
            }
        }
        Eigen { values: diagonal, vectors }
    }

    /// Returns the i-th eigenvector.
    pub(super) fn vector(&self, i: usize) -> &[f64] {
        let n = self.values.len();
        &self.vectors[i * n..(i + 1) * n]
    }

    /// Returns the matrix of the same eigenvectors with other eigenvalues, made of these.
    pub(super) fn with_values(&self, value: impl Fn(f64) -> f64) -> Vec<f64> {
        let n = self.values.len();
        let mut matrix = vec![0.0; n * n];
        for (k, own) in self.values.iter().enumerate() {
            let (vector, value) = (self.vector(k), value(*own));
            for i in 0..n {
                for j in 0..n {
                    matrix[i * n + j] += value * vector[i] * vector[j];
                }
            }
        }
        matrix
    }

    /// Returns the coordinates of a vector along the eigenvectors.
    pub(super) fn coordinates(&self, vector: &[f64]) -> Vec<f64> {
        (0..self.values.len()).map(|i| dot(self.vector(i), vector)).collect()
    }

    /// Returns the vector of these coordinates.
    pub(super) fn combination(&self, coordinates: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.values.len()];
        for (i, coordinate) in coordinates.iter().enumerate() {
            sum.iter_mut().zip(self.vector(i)).for_each(|(sum, part)| *sum += coordinate * part);
        }
        sum
    }
}

/// Returns the diagonal, the elements beside it, and the vectors that belong to them, one after another.
fn tridiagonal(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut reflections: Vec<(f64, Vec<f64>)> = Vec::with_capacity(n);
    let mut beside = vec![0.0; n];
    for k in 0..n.saturating_sub(1) {
        let mut v: Vec<f64> = (k + 1..n).map(|row| matrix[row * n + k]).collect();
        let norm = norm(&v);
        beside[k] = -norm.copysign(v[0]);
        v[0] -= beside[k];
        let square = dot(&v, &v);
        let beta = if square > 0.0 { 2.0 / square } else { 0.0 };
        reflect_both_sides(matrix, n, k + 1, beta, &v);
        reflections.push((beta, v));
    }
    let diagonal = (0..n).map(|i| matrix[i * n + i]).collect();
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    for (k, (beta, v)) in reflections.iter().enumerate().rev() {
        for vector in vectors.chunks_exact_mut(n) {
            let part = &mut vector[k + 1..];
            let factor = beta * dot(v, part);
            part.iter_mut().zip(v).for_each(|(value, v)| *value -= factor * v);
        }
    }
    (diagonal, beside, vectors)
}

/// Applies I − β·v·vᵀ from both sides to the rows and columns from `start` on; only the lower half is kept.
fn reflect_both_sides(matrix: &mut [f64], n: usize, start: usize, beta: f64, v: &[f64]) {
    let mut product = vec![0.0; v.len()];
    for i in 0..v.len() {
        let row = &matrix[(start + i) * n + start..(start + i) * n + start + i + 1];
        for (j, value) in row.iter().enumerate() {
            product[i] += value * v[j];
            if j < i {
                product[j] += value * v[i];
            }
        }
    }
    product.iter_mut().for_each(|it| *it *= beta);
    let half = 0.5 * beta * dot(&product, v);
    product.iter_mut().zip(v).for_each(|(it, v)| *it -= half * v);
    for i in 0..v.len() {
        let row = &mut matrix[(start + i) * n + start..(start + i) * n + start + i + 1];
        for (j, value) in row.iter_mut().enumerate() {
            *value -= v[i] * product[j] + product[i] * v[j];
        }
    }
}

/// Returns the last place of the block that begins at `first`: the element beside it is nothing.
fn block_end(diagonal: &[f64], beside: &[f64], first: usize) -> usize {
    (first..diagonal.len() - 1)
        .find(|i| {
            let size = diagonal[*i].abs() + diagonal[i + 1].abs();
            beside[*i].abs() <= f64::EPSILON * size
        })
        .unwrap_or(diagonal.len() - 1)
}

/// Rotates the block from its end to its beginning, which brings the element beside the first towards zero.
fn sweep(diagonal: &mut [f64], beside: &mut [f64], vectors: &mut [f64], first: usize, last: usize) {
    let n = diagonal.len();
    // The eigenvalue of the first two rows that is nearer to the first.
    let ratio = (diagonal[first + 1] - diagonal[first]) / (2.0 * beside[first]);
    let shift = diagonal[first] - beside[first] / (ratio + ratio.hypot(1.0).copysign(ratio));
    let (mut sine, mut cosine, mut moved) = (1.0, 1.0, 0.0);
    let mut bulge = diagonal[last] - shift;
    for i in (first..last).rev() {
        let (across, along) = (sine * beside[i], cosine * beside[i]);
        let length = across.hypot(bulge);
        beside[i + 1] = length;
        if length == 0.0 {
            diagonal[i + 1] -= moved;
            beside[last] = 0.0;
            return;
        }
        (sine, cosine) = (across / length, bulge / length);
        let rest = diagonal[i + 1] - moved;
        let turned = (diagonal[i] - rest) * sine + 2.0 * cosine * along;
        moved = sine * turned;
        diagonal[i + 1] = rest + moved;
        bulge = cosine * turned - along;
        let (front, back) = vectors.split_at_mut((i + 1) * n);
        for (a, b) in front[i * n..].iter_mut().zip(&mut back[..n]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
    diagonal[first] -= moved;
    beside[first] = bulge;
    beside[last] = 0.0;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Draws as _;
    use trialbox_core::TrialNumber;
    use trialbox_core::seam::rng::trial_rng;

    /// The sum of the parts is the matrix, and the vectors are orthonormal.
    #[track_caller]
    fn check(matrix: &[f64], n: usize) {
        let eigen = Eigen::of(matrix, n);
        let size = matrix.iter().fold(1e-300, |size: f64, it| size.max(it.abs()));
        for i in 0..n {
            for j in 0..n {
                let sum: f64 =
                    (0..n).map(|k| eigen.values[k] * eigen.vector(k)[i] * eigen.vector(k)[j]).sum();
                let error = (sum - matrix[i * n + j]).abs() / size;
                assert!(error < 1e-13, "{n}: {error} at {i}, {j}");
                let want = if i == j { 1.0 } else { 0.0 };
                let error = (dot(eigen.vector(i), eigen.vector(j)) - want).abs();
                assert!(error < 1e-13, "{n}: {error} of {i}, {j}");
            }
        }
    }

    #[test]
    fn the_parts_of_a_matrix_make_it_up() {
        let mut rng = trial_rng(1, TrialNumber(0));
        for n in [1, 2, 3, 10, 40] {
            for scale in [1.0f64, 1e-3, 1e6] {
                let mut matrix = vec![0.0; n * n];
                for i in 0..n {
                    for j in 0..=i {
                        let value = rng.normal() * scale.powi((i % 3) as i32);
                        (matrix[i * n + j], matrix[j * n + i]) = (value, value);
                    }
                }
                check(&matrix, n);
            }
        }
        check(&[0.0; 9], 3);
        check(&[2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0], 3);
        check(&[1.0, 1.0, 1.0, 1.0], 2);
        check(&[0.0, 1.0, 1.0, 0.0], 2);
    }

    #[test]
    fn numbers_that_are_none_end_too() {
        let eigen = Eigen::of(&[f64::NAN; 16], 4);
        assert_eq!(eigen.values.len(), 4);
        let _ = Eigen::of(&[f64::INFINITY; 16], 4);
    }
}
