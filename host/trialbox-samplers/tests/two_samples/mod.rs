//! Tests of whether two samples of the same size are of one distribution.

use trialbox_core::TrialNumber;
use trialbox_core::seam::rng::{TrialRng, trial_rng, unit};

/// One row a draw, one number a parameter.
pub(crate) type Sample = Vec<Vec<u16>>;

/// What a parameter's numbers mean.
pub(crate) enum Scale {
    /// Indices of that many choices.
    Choices(usize),
    /// Indices of that many points of a grid.
    Grid(usize),
    /// 65,535ths of a range.
    Continuous,
}

/// Returns the probability of samples that differ as much, were they of one distribution.
pub(crate) fn p_value(a: &[u16], b: &[u16], scale: &Scale) -> f64 {
    match scale {
        Scale::Continuous => kolmogorov_smirnov(a, b),
        Scale::Choices(n) | Scale::Grid(n) => chi_square(a, b, *n),
    }
}

/// Returns the tests that reject at `level` after Holm's correction (1979), with their p-values.
pub(crate) fn holm_rejections(p_values: &[(String, f64)], level: f64) -> Vec<(String, f64)> {
    assert!(p_values.iter().all(|(_, p)| (0.0..=1.0).contains(p)), "{p_values:?}");
    let mut sorted = p_values.to_vec();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
    let n = sorted.len();
    let rejects = |(rank, (_, p)): (usize, &(String, f64))| *p <= level / (n - rank) as f64;
    let n_rejected = sorted.iter().enumerate().take_while(|it| rejects(*it)).count();
    sorted.truncate(n_rejected);
    sorted
}

/// Two-sample Kolmogorov–Smirnov, with the asymptotic distribution; ties only make it milder.
fn kolmogorov_smirnov(a: &[u16], b: &[u16]) -> f64 {
    let (mut a, mut b) = (a.to_vec(), b.to_vec());
    a.sort_unstable();
    b.sort_unstable();
    let below = |sorted: &[u16], value: u16| sorted.partition_point(|it| *it <= value) as f64;
    let distance = a
        .iter()
        .chain(&b)
        .map(|value| {
            (below(&a, *value) / a.len() as f64 - below(&b, *value) / b.len() as f64).abs()
        })
        .fold(0.0, f64::max);
    let lambda = distance * (a.len() as f64 * b.len() as f64 / (a.len() + b.len()) as f64).sqrt();
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sign * (-2.0 * f64::from(k * k) * lambda * lambda).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

/// χ² of homogeneity, neighbouring cells joined until each has ten draws of both samples together.
fn chi_square(a: &[u16], b: &[u16], n_cells: usize) -> f64 {
    let mut counts = vec![[0.0; 2]; n_cells];
    a.iter().for_each(|it| counts[usize::from(*it)][0] += 1.0);
    b.iter().for_each(|it| counts[usize::from(*it)][1] += 1.0);
    let mut cells: Vec<[f64; 2]> = vec![[0.0; 2]];
    for [of_a, of_b] in counts {
        if cells.last().is_some_and(|cell| cell[0] + cell[1] >= 10.0) {
            cells.push([0.0; 2]);
        }
        let last = cells.last_mut().expect("a cell");
        last[0] += of_a;
        last[1] += of_b;
    }
    // Samples of one size share each cell evenly.
    let excess = |[a, b]: &[f64; 2]| if a + b > 0.0 { (a - b).powi(2) / (a + b) } else { 0.0 };
    let statistic: f64 = cells.iter().map(excess).sum();
    if cells.len() < 2 { 1.0 } else { chi_square_survival(statistic, cells.len() - 1) }
}

/// How many features the joint test looks at.
const N_FEATURES: usize = 24;

/// Hotelling's test on smooth features of the rows: cosines in random directions, which differ in mean for
/// some direction whenever the distributions differ (Chwialkowski et al. 2015, "Fast Two-Sample Testing with
/// Analytic Representations of Probability Measures").
pub(crate) fn joint_p_value(a: &Sample, b: &Sample, scales: &[Scale]) -> f64 {
    let features = Features::new(scales);
    let rows = |sample: &Sample| -> Vec<[f64; N_FEATURES]> {
        sample.iter().map(|row| features.of(row, scales)).collect()
    };
    let (a, b) = (rows(a), rows(b));
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let mut covariance = [[0.0; N_FEATURES]; N_FEATURES];
    add_covariance(&a, &mean_a, &mut covariance);
    add_covariance(&b, &mean_b, &mut covariance);
    for (index, row) in covariance.iter_mut().enumerate() {
        // Few choices make few distinct features; this keeps their matrix regular, and the test milder.
        row[index] += 1e-6;
    }
    let difference: [f64; N_FEATURES] = std::array::from_fn(|index| mean_a[index] - mean_b[index]);
    let statistic = a.len() as f64 * inverse_form(covariance, difference);
    chi_square_survival(statistic, N_FEATURES)
}

struct Features {
    /// One direction a feature, over all coordinates.
    directions: Vec<Vec<f64>>,
    phases: Vec<f64>,
}

impl Features {
    fn new(scales: &[Scale]) -> Self {
        let n_coordinates: usize =
            scales.iter().map(|scale| if let Scale::Choices(n) = scale { *n } else { 1 }).sum();
        let mut rng = trial_rng(7, TrialNumber(0));
        // Waves of a fifth of a range and longer.
        let direction =
            |rng: &mut TrialRng| (0..n_coordinates).map(|_| 6.0 * normal(rng)).collect();
        Features {
            directions: (0..N_FEATURES).map(|_| direction(&mut rng)).collect(),
            phases: (0..N_FEATURES).map(|_| std::f64::consts::TAU * unit(&mut rng)).collect(),
        }
    }

    fn of(&self, row: &[u16], scales: &[Scale]) -> [f64; N_FEATURES] {
        let mut point = Vec::new();
        for (value, scale) in row.iter().zip(scales) {
            match scale {
                Scale::Choices(n) => {
                    point.extend(
                        (0..*n).map(|it| if it == usize::from(*value) { 0.3 } else { 0.0 }),
                    );
                }
                Scale::Grid(n) => point.push(f64::from(*value) / (n - 1) as f64),
                Scale::Continuous => point.push(f64::from(*value) / 65535.0),
            }
        }
        std::array::from_fn(|index| {
            let product: f64 = self.directions[index].iter().zip(&point).map(|(w, x)| w * x).sum();
            (product + self.phases[index]).cos()
        })
    }
}

fn normal(rng: &mut TrialRng) -> f64 {
    (-2.0 * (1.0 - unit(rng)).ln()).sqrt() * (std::f64::consts::TAU * unit(rng)).cos()
}

fn mean(rows: &[[f64; N_FEATURES]]) -> [f64; N_FEATURES] {
    std::array::from_fn(|index| rows.iter().map(|row| row[index]).sum::<f64>() / rows.len() as f64)
}

fn add_covariance(
    rows: &[[f64; N_FEATURES]],
    mean: &[f64; N_FEATURES],
    sum: &mut [[f64; N_FEATURES]; N_FEATURES],
) {
    for row in rows {
        let off: [f64; N_FEATURES] = std::array::from_fn(|index| row[index] - mean[index]);
        for (i, sum) in sum.iter_mut().enumerate() {
            for (j, sum) in sum.iter_mut().enumerate() {
                *sum += off[i] * off[j] / rows.len() as f64;
            }
        }
    }
}

/// xᵀ·M⁻¹·x of a positive definite M, by Cholesky's decomposition.
fn inverse_form(mut m: [[f64; N_FEATURES]; N_FEATURES], mut x: [f64; N_FEATURES]) -> f64 {
    for i in 0..N_FEATURES {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| m[i][k] * m[j][k]).sum();
            m[i][j] = if i == j { (m[i][i] - sum).sqrt() } else { (m[i][j] - sum) / m[j][j] };
        }
        let sum: f64 = (0..i).map(|k| m[i][k] * x[k]).sum();
        x[i] = (x[i] - sum) / m[i][i];
    }
    x.iter().map(|x| x * x).sum()
}

/// Returns the probability that χ² with `dof` degrees of freedom exceeds `x`: the upper incomplete gamma function.
fn chi_square_survival(x: f64, dof: usize) -> f64 {
    let (a, x) = (0.5 * dof as f64, 0.5 * x);
    if x <= 0.0 {
        return 1.0;
    }
    let scale = (a * x.ln() - x - libm::lgamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..1000 {
            term *= x / (a + f64::from(n));
            sum += term;
        }
        return 1.0 - scale * sum;
    }
    // Lentz's algorithm for the continued fraction.
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, 1.0 / b);
    let mut fraction = d;
    for n in 1..1000 {
        let numerator = -f64::from(n) * (f64::from(n) - a);
        b += 2.0;
        d = 1.0 / (numerator * d + b);
        c = b + numerator / c;
        fraction *= d * c;
    }
    scale * fraction
}

#[test]
fn survival_is_that_of_the_tables() {
    // Abramowitz and Stegun 1964, table 26.8: upper 5 % and 0.1 % points.
    for (x, dof, want) in [(3.84146, 1, 0.05), (18.3070, 10, 0.05), (59.7031, 30, 0.001)] {
        let found = chi_square_survival(x, dof);
        assert!((found - want).abs() < 1e-5 * want.max(0.1), "{found} for {x} with {dof}");
    }
}
