//! Crossovers: a child of two or three parents, in transformed coordinates.
//!
//! As `optuna/samplers/nsgaii/_crossovers`, draw for draw.

use super::basis::orthonormal_complement;
use super::method::Crossover;
use super::options::GeneticOptions;
use crate::draws::Draws;
use crate::vector::{dot, norm};

/// Parents in transformed coordinates, with the space that they live in.
pub(super) struct Parents<'a> {
    /// As many as [`Crossover::n_parents`].
    pub(super) points: &'a [Vec<f64>],
    /// The range of each coordinate.
    pub(super) bounds: &'a [(f64, f64)],
    /// True in a study of several objectives.
    pub(super) is_multi_objective: bool,
}

/// Returns a child, which may lie outside of the space.
pub(super) fn child(
    parents: &Parents,
    options: &GeneticOptions,
    draws: &mut dyn Draws,
) -> Vec<f64> {
    let points = parents.points;
    match options.crossover {
        Crossover::Uniform => uniform(&points[0], &points[1], options.swapping_prob, draws),
        Crossover::BlxAlpha => blx_alpha(&points[0], &points[1], options.alpha, draws),
        Crossover::Spx => spx(points, options.epsilon, draws),
        Crossover::Sbx => sbx(parents, options, draws),
        Crossover::Vsbx => vsbx(parents, options, draws),
        Crossover::Undx => undx(points, options, draws),
    }
}

fn uniform(first: &[f64], second: &[f64], swapping_prob: f64, draws: &mut dyn Draws) -> Vec<f64> {
    let both = first.iter().zip(second);
    both.map(|(a, b)| if draws.uniform() >= swapping_prob { *b } else { *a }).collect()
}

fn blx_alpha(first: &[f64], second: &[f64], alpha: f64, draws: &mut dyn Draws) -> Vec<f64> {
    let coordinate = |(a, b): (&f64, &f64)| {
        let (smaller, larger) = (a.min(*b), a.max(*b));
        let margin = alpha * (larger - smaller);
        let (low, high) = (smaller - margin, larger + margin);
        (high - low) * draws.uniform() + low
    };
    first.iter().zip(second).map(coordinate).collect()
}

fn spx(points: &[Vec<f64>], epsilon: Option<f64>, draws: &mut dyn Draws) -> Vec<f64> {
    let n_dims = points[0].len();
    let epsilon = epsilon.unwrap_or_else(|| ((n_dims + 2) as f64).sqrt());
    let shares: Vec<f64> =
        (1..points.len()).map(|k| draws.uniform().powf(1.0 / k as f64)).collect();
    let coordinate = |place: usize| {
        let mean = points.iter().map(|point| point[place]).sum::<f64>() / points.len() as f64;
        let expanded = |k: usize| mean + epsilon * (points[k][place] - mean);
        let mut offset = 0.0;
        for (k, share) in shares.iter().enumerate() {
            offset = share * (expanded(k) - expanded(k + 1) + offset);
        }
        expanded(points.len() - 1) + offset
    };
    (0..n_dims).map(coordinate).collect()
}

/// Returns the distribution index: the larger, the nearer are children to their parents.
fn eta(options: &GeneticOptions, is_multi_objective: bool) -> f64 {
    options.eta.unwrap_or(if is_multi_objective { 20.0 } else { 2.0 })
}

fn sbx(parents: &Parents, options: &GeneticOptions, draws: &mut dyn Draws) -> Vec<f64> {
    let power = eta(options, parents.is_multi_objective) + 1.0;
    let mut pairs = Vec::with_capacity(parents.bounds.len());
    for (place, (low, high)) in parents.bounds.iter().enumerate() {
        let (a, b) = (parents.points[0][place], parents.points[1][place]);
        let (smaller, larger) = (a.min(b), a.max(b));
        let width = (larger - smaller).max(1e-10);
        let u = draws.uniform();
        // Of each side, the part that would leave the range is cut off.
        let spread = |room: f64| {
            let alpha = 2.0 - (1.0 + 2.0 * room / width).powf(-power);
            let base = if u > 1.0 / alpha { 1.0 / (2.0 - u * alpha) } else { u * alpha };
            base.powf(1.0 / power)
        };
        let (below, above) = (spread(smaller - low), spread(high - larger));
        pairs.push((
            0.5 * ((smaller + larger) - below * width),
            0.5 * ((smaller + larger) + above * width),
        ));
    }
    one_of_two_children(parents, &pairs, options, draws)
}

fn vsbx(parents: &Parents, options: &GeneticOptions, draws: &mut dyn Draws) -> Vec<f64> {
    const LEAST: f64 = 1e-10;
    let power = 1.0 / (eta(options, parents.is_multi_objective) + 1.0);
    let us: Vec<f64> = parents.bounds.iter().map(|_| draws.uniform()).collect();
    let (is_first, is_second) = (draws.uniform() <= 0.5, draws.uniform() <= 0.5);
    let pair = |(place, u): (usize, &f64)| {
        let (a, b) = (parents.points[0][place], parents.points[1][place]);
        let beta_1 = (1.0 / (2.0 * u).max(LEAST)).powf(power);
        let beta_2 = (1.0 / (2.0 * (1.0 - u)).max(LEAST)).powf(power);
        let first = if is_first {
            0.5 * ((1.0 + beta_1) * a + (1.0 - beta_2) * b)
        } else {
            0.5 * ((1.0 - beta_1) * a + (1.0 + beta_2) * b)
        };
        let second = if is_second {
            0.5 * ((3.0 - beta_1) * a - (1.0 - beta_2) * b)
        } else {
            0.5 * (-(1.0 - beta_1) * a + (3.0 - beta_2) * b)
        };
        (first, second)
    };
    let pairs: Vec<(f64, f64)> = us.iter().enumerate().map(pair).collect();
    one_of_two_children(parents, &pairs, options, draws)
}

/// Makes one child of the two that the literature has: each coordinate is a child's or a parent's, and either may be
/// swapped with its counterpart.
fn one_of_two_children(
    parents: &Parents,
    children: &[(f64, f64)],
    options: &GeneticOptions,
    draws: &mut dyn Draws,
) -> Vec<f64> {
    let mut both = Vec::with_capacity(children.len());
    for (place, child) in children.iter().enumerate() {
        let is_child = draws.uniform() < options.use_child_gene_prob;
        let (first, second) =
            if is_child { *child } else { (parents.points[0][place], parents.points[1][place]) };
        let is_kept = draws.uniform() >= options.uniform_crossover_prob;
        both.push(if is_kept { (first, second) } else { (second, first) });
    }
    let is_first = draws.uniform() < 0.5;
    both.into_iter().map(|(first, second)| if is_first { first } else { second }).collect()
}

fn undx(points: &[Vec<f64>], options: &GeneticOptions, draws: &mut dyn Draws) -> Vec<f64> {
    let [first, second, third] = points else { return points.concat() };
    let n_dims = first.len();
    let sigma_eta = options.sigma_eta.unwrap_or_else(|| 0.35 / (n_dims as f64).sqrt());
    // Optuna passes the variance where NumPy takes the standard deviation; children are as near as Optuna's.
    let etas: Vec<f64> = (0..n_dims).map(|_| draws.normal() * sigma_eta.powi(2)).collect();
    let xi = draws.normal() * options.sigma_xi.powi(2);

    let direction: Vec<f64> = first.iter().zip(second).map(|(a, b)| b - a).collect();
    let length = norm(&direction).max(1e-10);
    let direction: Vec<f64> = direction.into_iter().map(|it| it / length).collect();
    let to_third: Vec<f64> = first.iter().zip(third).map(|(a, b)| b - a).collect();
    let along = dot(&to_third, &direction);
    let across: Vec<f64> = to_third.iter().zip(&direction).map(|(a, b)| a - along * b).collect();
    let distance = norm(&across);

    let mut child: Vec<f64> =
        first.iter().zip(second).map(|(a, b)| (a + b) / 2.0 + xi * (a - b)).collect();
    for (eta, axis) in etas.iter().zip(orthonormal_complement(&direction)) {
        child.iter_mut().zip(axis).for_each(|(value, part)| *value += distance * eta * part);
    }
    child
}
