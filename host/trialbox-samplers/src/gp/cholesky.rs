//! Symmetric positive definite matrices by their Cholesky factors, in plain loops over rows.
//!
//! All products are dot products of rows, in an order that is written out here: the bits are the same on all machines.

/// The number of partial sums of a dot product, so that several products are under way at a time.
const LANES: usize = 8;

/// The number of right-hand sides that are solved for at a time.
pub(super) const TOGETHER: usize = 8;

/// Returns the dot product of two rows of equal length, in eight partial sums.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [0.0; LANES];
    let (mut chunks_a, mut chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (a, b) in chunks_a.by_ref().zip(chunks_b.by_ref()) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(a, b)| a * b).sum();
    let pairs = [sums[0] + sums[4], sums[1] + sums[5], sums[2] + sums[6], sums[3] + sums[7]];
    (pairs[0] + pairs[2]) + (pairs[1] + pairs[3]) + rest
}

/// Returns the dot products of four rows with one, which is read once.
fn dot4(rows: [&[f64]; 4], b: &[f64]) -> [f64; 4] {
    const WIDTH: usize = 4;
    let n = b.len();
    let rows = rows.map(|row| &row[..n]);
    let mut sums = [[0.0; WIDTH]; 4];
    let n_whole = n - n % WIDTH;
    for start in (0..n_whole).step_by(WIDTH) {
        let b = &b[start..start + WIDTH];
        for (sums, row) in sums.iter_mut().zip(rows) {
            let a = &row[start..start + WIDTH];
            for lane in 0..WIDTH {
                sums[lane] += a[lane] * b[lane];
            }
        }
    }
    let mut products = [0.0; 4];
    for ((product, sums), row) in products.iter_mut().zip(sums).zip(rows) {
        let rest: f64 = row[n_whole..].iter().zip(&b[n_whole..]).map(|(a, b)| a * b).sum();
        *product = (sums[0] + sums[2]) + (sums[1] + sums[3]) + rest;
    }
    products
}

/// A lower triangular matrix: row i has i + 1 elements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lower {
    n: usize,
    elements: Vec<f64>,
}

impl Lower {
    /// Returns a matrix of zeros.
    pub(crate) fn zeros(n: usize) -> Lower {
        Lower { n, elements: vec![0.0; n * (n + 1) / 2] }
    }

    /// Returns the number of rows.
    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Returns row `i` up to its diagonal.
    pub(super) fn row(&self, i: usize) -> &[f64] {
        let start = i * (i + 1) / 2;
        &self.elements[start..start + i + 1]
    }

    /// Returns row `i` up to its diagonal, to be written.
    pub(crate) fn row_mut(&mut self, i: usize) -> &mut [f64] {
        let start = i * (i + 1) / 2;
        &mut self.elements[start..start + i + 1]
    }

    /// Adds a row of n + 1 elements at the end.
    pub(super) fn push_row(&mut self, row: &[f64]) {
        self.elements.extend_from_slice(&row[..self.n + 1]);
        self.n += 1;
    }

    /// Returns the Cholesky factor L of a symmetric matrix A = LLᵀ, of which this is the lower half; `None` if it is
    /// not positive definite. O(n³ / 6).
    ///
    /// Golub and Van Loan 2013, "Matrix Computations", algorithm 4.2.1, row by row.
    pub(crate) fn cholesky(mut self) -> Option<Lower> {
        for i in 0..self.n {
            let start = i * (i + 1) / 2;
            let (done, rest) = self.elements.split_at_mut(start);
            let row = &mut rest[..=i];
            for j in 0..i {
                let other = &done[j * (j + 1) / 2..j * (j + 1) / 2 + j + 1];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            row[i] = pivot.sqrt();
        }
        Some(self)
    }

    /// Returns L⁻¹b. O(n² / 2).
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = Vec::with_capacity(self.n);
        for i in 0..self.n {
            let row = self.row(i);
            x.push((b[i] - dot(&row[..i], &x)) / row[i]);
        }
        x
    }

    /// Returns L⁻¹B for eight columns at a time, row by row: the factor is read once for all. O(4·n²).
    pub(super) fn solve_together(&self, b: &[[f64; TOGETHER]]) -> Vec<[f64; TOGETHER]> {
        let mut x: Vec<[f64; TOGETHER]> = Vec::with_capacity(self.n);
        for (i, b) in b.iter().enumerate().take(self.n) {
            let row = self.row(i);
            let mut sums = *b;
            for (element, x) in row[..i].iter().zip(&x) {
                for lane in 0..TOGETHER {
                    sums[lane] -= element * x[lane];
                }
            }
            sums.iter_mut().for_each(|sum| *sum /= row[i]);
            x.push(sums);
        }
        x
    }

    /// Returns L⁻ᵀb. O(n² / 2).
    pub(crate) fn solve_transposed(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b[..self.n].to_vec();
        for i in (0..self.n).rev() {
            let row = self.row(i);
            x[i] /= row[i];
            let factor = x[i];
            for (x, element) in x[..i].iter_mut().zip(row) {
                *x -= factor * element;
            }
        }
        x
    }

    /// Returns 2·ln det L = ln det LLᵀ.
    pub(super) fn log_det(&self) -> f64 {
        (0..self.n).map(|i| 2.0 * libm::log(self.row(i)[i])).sum()
    }

    /// Returns the columns of L⁻¹, column j from its diagonal on: the rows of (L⁻¹)ᵀ, which is upper triangular.
    /// O(n³ / 6).
    fn inverse_columns(&self) -> Vec<Vec<f64>> {
        let mut columns: Vec<Vec<f64>> =
            (0..self.n).map(|j| Vec::with_capacity(self.n - j)).collect();
        for i in 0..self.n {
            let row = self.row(i);
            let scale = 1.0 / row[i];
            let mut j = 0;
            // Element (i, j) is −(Σₖ L[i, k]·X[k, j]) / L[i, i] over k from j to i − 1.
            while j < i {
                let sum = dot(&row[j..i], &columns[j]);
                columns[j].push(-sum * scale);
                j += 1;
            }
            columns[i].push(scale);
        }
        columns
    }

    /// Returns the lower half of (LLᵀ)⁻¹ = L⁻ᵀL⁻¹. O(n³ / 3).
    pub(super) fn inverse_of_product(&self) -> Lower {
        let columns = self.inverse_columns();
        let mut inverse = Lower::zeros(self.n);
        for i in 0..self.n {
            let row = inverse.row_mut(i);
            let tail = &columns[i];
            let mut j = 0;
            // Element (i, j), j <= i, is the product of the columns from row i on.
            while j + 4 <= i {
                let four = [0, 1, 2, 3].map(|k| &columns[j + k][i - j - k..]);
                row[j..j + 4].copy_from_slice(&dot4(four, tail));
                j += 4;
            }
            for j in j..=i {
                row[j] = dot(&columns[j][i - j..], tail);
            }
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matrix that is positive definite: 1 / (1 + |i − j|) with a larger diagonal.
    fn matrix(n: usize) -> Lower {
        let mut matrix = Lower::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                matrix.row_mut(i)[j] =
                    1.0 / (1.0 + (i - j) as f64) + if i == j { 0.5 } else { 0.0 };
            }
        }
        matrix
    }

    fn element(matrix: &Lower, i: usize, j: usize) -> f64 {
        matrix.row(i.max(j))[i.min(j)]
    }

    #[test]
    fn the_factor_the_solutions_and_the_inverse_belong_to_the_matrix() {
        for n in [1, 2, 7, 33] {
            let a = matrix(n);
            let l = a.clone().cholesky().expect("positive definite");
            let inverse = l.inverse_of_product();
            let b: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let x = l.solve_transposed(&l.solve(&b));
            for (i, want) in b.iter().enumerate() {
                let product: f64 = (0..n).map(|j| element(&a, i, j) * x[j]).sum();
                assert!((product - want).abs() < 1e-12, "n = {n}, row {i}");
                for j in 0..n {
                    let product: f64 =
                        (0..n).map(|k| element(&a, i, k) * element(&inverse, k, j)).sum();
                    let want = f64::from(u8::from(i == j));
                    assert!((product - want).abs() < 1e-12, "n = {n}, element ({i}, {j})");
                }
            }
        }
    }

    #[test]
    fn a_row_that_is_added_extends_the_factor() {
        let whole = matrix(9).cholesky().expect("positive definite");
        let mut grown = matrix(8).cholesky().expect("positive definite");
        let a = matrix(9);
        let mut row = grown.solve(&a.row(8)[..8]);
        let pivot = a.row(8)[8] - dot(&row, &row);
        row.push(pivot.sqrt());
        grown.push_row(&row);
        assert_eq!(whole.row(8).len(), grown.row(8).len());
        assert!(whole.row(8).iter().zip(grown.row(8)).all(|(a, b)| (a - b).abs() < 1e-14));
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_no_factor() {
        let mut singular = matrix(3);
        singular.row_mut(2).copy_from_slice(&[2.0, 2.0, 1.0]);
        assert!(singular.cholesky().is_none());
        let mut nan = matrix(3);
        nan.row_mut(1)[0] = f64::NAN;
        assert!(nan.cholesky().is_none());
    }
}
