//! Sobol' sequences.

use std::sync::LazyLock;
use trialbox_core::seam::rng::{TrialRng, below};

/// The number of dimensions that have direction numbers.
pub(crate) const MAX_DIMENSIONS: usize = 1024;

/// The number of bits of a coordinate, as in SciPy: there are 2³⁰ points.
pub(crate) const BITS: usize = 30;

const TABLE: &str = include_str!("joe_kuo.txt");

/// Direction numbers of one dimension: element k has its leading one at bit `BITS − 1 − k`.
type Directions = [u32; BITS];

static DIRECTIONS: LazyLock<Vec<Directions>> = LazyLock::new(|| {
    // The first dimension is van der Corput's sequence.
    let first = std::array::from_fn(|k| 1 << (BITS - 1 - k));
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    std::iter::once(first).chain(rows.map(directions)).collect()
});

/// Returns the point of an index, in [0, 1)ᵈ for d = `dimensions` <= [`MAX_DIMENSIONS`], `index` < 2^[`BITS`]. The
/// points are in Gray-code order, as SciPy's `qmc.Sobol`; the first is the origin. O(d · bits).
///
/// Antonov and Saleev 1979, "An Economic Method of Computing LPτ-Sequences"; direction numbers of Joe and Kuo 2008.
pub(crate) fn point(index: u32, dimensions: usize) -> Vec<f64> {
    DIRECTIONS[..dimensions].iter().map(|found| to_unit(digits(index, found))).collect()
}

/// Returns the point of an index as [`point`], scrambled as SciPy does it (but with other random numbers): the bits
/// of each dimension are multiplied by a random lower triangular matrix with ones on its diagonal, then shifted by
/// random bits. The points stay a Sobol' sequence; each by itself is uniform. O(d · bits²).
///
/// Matoušek 1998, "On the L2-Discrepancy for Anchored Boxes".
pub(crate) fn scrambled_point(index: u32, dimensions: usize, rng: &mut TrialRng) -> Vec<f64> {
    let mut point = Vec::with_capacity(dimensions);
    for found in &DIRECTIONS[..dimensions] {
        let matrix: [u32; BITS] = std::array::from_fn(|row| matrix_row(row, rng));
        let shift = random_bits(rng);
        point.push(to_unit(multiply(&matrix, digits(index, found)) ^ shift));
    }
    point
}

/// Returns row `row` of a lower triangular matrix over two elements: random bits before its diagonal one. The leading
/// bit is column 0.
fn matrix_row(row: usize, rng: &mut TrialRng) -> u32 {
    let diagonal = 1 << (BITS - 1 - row);
    let before = ((1u32 << BITS) - 1) & !(2 * diagonal - 1);
    random_bits(rng) & before | diagonal
}

fn random_bits(rng: &mut TrialRng) -> u32 {
    below(1 << BITS, rng) as u32
}

fn multiply(matrix: &[u32; BITS], digits: u32) -> u32 {
    matrix.iter().fold(0, |product, row| product << 1 | (row & digits).count_ones() & 1)
}

fn digits(index: u32, directions: &Directions) -> u32 {
    let gray = index ^ index >> 1;
    let chosen = directions.iter().enumerate().filter(|(k, _)| gray >> k & 1 == 1);
    chosen.fold(0, |sum, (_, direction)| sum ^ direction)
}

fn to_unit(digits: u32) -> f64 {
    f64::from(digits) / f64::from(1u32 << BITS)
}

/// Computes direction numbers by the recurrence of Bratley and Fox 1988, "Algorithm 659": m_k = 2·a_1·m_{k−1} ⊕ … ⊕
/// 2ˢ·m_{k−s} ⊕ m_{k−s}.
fn directions(row: &str) -> Directions {
    let numbers: Vec<u32> = row.split(' ').map(|word| word.parse().unwrap_or_default()).collect();
    let [_, degree, a, initial @ ..] = &numbers[..] else { return [0; BITS] };
    let degree = *degree as usize;
    let mut m = [0u32; BITS];
    m[..degree].copy_from_slice(initial);
    for k in degree..BITS {
        let before = m[k - degree];
        let inner = (1..degree).filter(|i| a >> (degree - 1 - i) & 1 == 1);
        m[k] = inner.fold(before ^ before << degree, |sum, i| sum ^ m[k - i] << i);
    }
    std::array::from_fn(|k| m[k] << (BITS - 1 - k))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::TrialNumber;
    use trialbox_core::seam::rng::trial_rng;

    /// `scipy.stats.qmc.Sobol(5, scramble=False).random(8)`, SciPy 1.17.
    #[test]
    fn the_first_points_are_those_of_scipy() {
        let want = [
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [0.5, 0.5, 0.5, 0.5, 0.5],
            [0.75, 0.25, 0.25, 0.25, 0.75],
            [0.25, 0.75, 0.75, 0.75, 0.25],
            [0.375, 0.375, 0.625, 0.875, 0.375],
            [0.875, 0.875, 0.125, 0.375, 0.875],
            [0.625, 0.125, 0.875, 0.625, 0.625],
            [0.125, 0.625, 0.375, 0.125, 0.125],
        ];
        for (index, want) in want.iter().enumerate() {
            assert_eq!(point(index as u32, 5), want);
        }
    }

    /// Point 12,345 of SciPy's sequence: its last coordinate, and the sum of (j + 1)·x_j over all of them.
    #[test]
    fn later_points_in_many_dimensions_are_those_of_scipy() {
        for (dimensions, last, sum) in [
            (1, 0.64093017578125, 0.64093017578125),
            (2, 0.81341552734375, 2.26776123046875),
            (3, 0.16033935546875, 2.748779296875),
            (10, 0.42962646484375, 22.96197509765625),
            (50, 0.61285400390625, 631.8175659179688),
            (1024, 0.57708740234375, 257869.27966308594),
        ] {
            let found = point(12_345, dimensions);
            assert_eq!(found[dimensions - 1], last);
            let weighted: f64 = found.iter().enumerate().map(|(j, x)| (j as f64 + 1.0) * x).sum();
            assert!((weighted - sum).abs() < 1e-9 * sum, "{dimensions}: {weighted}");
        }
        assert_eq!(DIRECTIONS.len(), MAX_DIMENSIONS);
    }

    #[test]
    fn scrambling_keeps_one_point_in_each_interval_and_pair_of_quarters() {
        let points: Vec<Vec<f64>> = (0..64)
            .map(|index| scrambled_point(index, 3, &mut trial_rng(5, TrialNumber(0))))
            .collect();
        for j in 0..3 {
            let mut cells: Vec<usize> = points.iter().map(|x| (x[j] * 64.0) as usize).collect();
            cells.sort_unstable();
            assert_eq!(cells, (0..64).collect::<Vec<_>>());
        }
        let mut counts = [[0; 4]; 4];
        for x in &points {
            counts[(x[0] * 4.0) as usize][(x[1] * 4.0) as usize] += 1;
        }
        assert_eq!(counts, [[4; 4]; 4]);
        assert_ne!(points[0], point(0, 3));
    }
}
