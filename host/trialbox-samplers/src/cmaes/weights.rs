//! Weights and learning rates, which follow from the dimension and the population size.
//!
//! Hansen 2016, "The CMA Evolution Strategy: A Tutorial", Table 1.

/// Keeps divisions by lengths finite.
pub(super) const TINY: f64 = 1e-8;

/// The largest step size.
pub(super) const MAX_SIGMA: f64 = 1e32;

/// The weights of a population and the rates that follow from them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    /// One a solution, the best first; negative from the middle on.
    pub(super) weights: Vec<f64>,
    /// The number of solutions that the mean follows.
    pub(super) mu: usize,
    /// The variance effective size of these.
    pub(super) mu_eff: f64,
    /// The rank-one and the rank-µ learning rate of the covariance matrix.
    pub(super) c1: f64,
    pub(super) cmu: f64,
    /// The decay of the path of the covariance matrix.
    pub(super) cc: f64,
    /// The decay of the path of the step size, and its damping.
    pub(super) c_sigma: f64,
    pub(super) d_sigma: f64,
    /// The expected length of a normal vector.
    pub(super) chi_n: f64,
}

/// Returns the default size of a population.
pub(super) fn population_size(n_dims: usize) -> usize {
    4 + (3.0 * (n_dims as f64).ln()).floor().max(0.0) as usize
}

/// Returns the expected length of a normal vector.
fn chi(n: f64) -> f64 {
    n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n))
}

/// Returns the damping of the step size.
fn damping(mu_eff: f64, n: f64, c_sigma: f64) -> f64 {
    1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma
}

/// Returns (Σ w)² / Σ w².
fn effective(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    sum * sum / weights.iter().map(|it| it * it).sum::<f64>()
}

impl Weights {
    /// Returns those of a full covariance matrix, with negative weights. Of a population of at least 2; `n_dims` is 0
    /// where only choices are drawn.
    pub(super) fn full(n_dims: usize, size: usize) -> Weights {
        let n = n_dims as f64;
        let mu = size / 2;
        let raw: Vec<f64> =
            (0..size).map(|i| ((size + 1) as f64 / 2.0).ln() - ((i + 1) as f64).ln()).collect();
        let (mu_eff, mu_eff_minus) = (effective(&raw[..mu]), effective(&raw[mu..]));
        let c1 = 2.0 / ((n + 1.3).powi(2) + mu_eff);
        let cmu = (1.0 - c1 - 1e-8)
            .min(2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0).powi(2) + mu_eff));
        let least = (1.0 + c1 / cmu)
            .min(1.0 + 2.0 * mu_eff_minus / (mu_eff + 2.0))
            .min((1.0 - c1 - cmu) / (n * cmu));
        let least = if n_dims == 0 { 0.0 } else { least };
        let positive: f64 = raw.iter().filter(|it| **it > 0.0).sum();
        let negative: f64 = raw.iter().filter(|it| **it < 0.0).map(|it| it.abs()).sum();
        let scaled = |it: f64| if it >= 0.0 { it / positive } else { least / negative * it };
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        Weights {
            weights: raw.into_iter().map(scaled).collect(),
            mu,
            mu_eff,
            c1,
            cmu,
            cc: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_sigma,
            d_sigma: damping(mu_eff, n, c_sigma),
            chi_n: chi(n),
        }
    }

    /// Returns those of a diagonal covariance matrix (Ros and Hansen 2008), without negative weights.
    pub(super) fn diagonal(n_dims: usize, size: usize) -> Weights {
        let n = n_dims as f64;
        let mu = size / 2;
        let raw: Vec<f64> =
            (0..mu).map(|i| ((mu + 1) as f64).ln() - ((i + 1) as f64).ln()).collect();
        let sum: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.into_iter().map(|it| it / sum).collect();
        let mu_eff = 1.0 / weights.iter().map(|it| it * it).sum::<f64>();
        let cmu_full = 2.0 / mu_eff / (n + 2f64.sqrt()).powi(2)
            + (1.0 - 1.0 / mu_eff) * 1f64.min((2.0 * mu_eff - 1.0) / ((n + 2.0).powi(2) + mu_eff));
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 3.0);
        Weights {
            weights,
            mu,
            mu_eff,
            c1: 2.0 / ((n + 1.3).powi(2) + mu_eff),
            cmu: (n + 2.0) / 3.0 * cmu_full,
            cc: 4.0 / (n + 4.0),
            c_sigma,
            d_sigma: damping(mu_eff, n, c_sigma),
            chi_n: chi(n),
        }
    }
}

/// The factors by which a generation changes C and its path.
pub(super) struct Rates {
    pub(super) path_keep: f64,
    pub(super) path_add: f64,
    pub(super) keep: f64,
    pub(super) one: f64,
    pub(super) mu: f64,
}

impl Rates {
    /// Returns the rates after a path that was short enough, or was not, in which case C's own path stands still.
    pub(super) fn of(weights: &Weights, is_short: bool) -> Rates {
        let Weights { cc, c1, cmu, mu_eff, .. } = *weights;
        let h = if is_short { 1.0 } else { 0.0 };
        let loss = (1.0 - h) * cc * (2.0 - cc);
        let sum: f64 = weights.weights.iter().sum();
        Rates {
            path_keep: 1.0 - cc,
            path_add: h * (cc * (2.0 - cc) * mu_eff).sqrt(),
            keep: 1.0 + c1 * loss - c1 - cmu * sum,
            one: c1,
            mu: cmu,
        }
    }
}
