//! CatCMA with margin: numbers, grids and choices together.
//!
//! Hamano et al. 2025, "CatCMA with Margin: Stochastic Optimization for Continuous, Integer, and Categorical
//! Variables"; update for update as the package `cmaes` (`_catcmawm.py`).

use super::categorical::Choices;
use super::cma::Cma;
use super::grid::Grid;
use super::margin::sign;
use super::weights::{TINY, Weights};
use crate::draws::Draws;
use crate::tpe::{normal_cdf, normal_quantile, order};

/// The smallest variance of a step.
const LEAST_VARIANCE: f64 = 1e-30;

/// A point: the raw coordinates of numbers (continuous ones, then grids), and choices.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MixedPoint {
    pub(super) raw: Vec<f64>,
    pub(super) choices: Vec<usize>,
}

/// The space of an optimiser.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MixedSpace {
    /// The ranges of continuous coordinates.
    pub(super) ranges: Vec<(f64, f64)>,
    pub(super) grids: Vec<Grid>,
    /// The numbers of choices.
    pub(super) n_choices: Vec<usize>,
}

/// A normal distribution beside distributions of choices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MixedCma {
    space: MixedSpace,
    pub(super) cma: Cma,
    pub(super) choices: Choices,
    /// The factors by which coordinates are stretched.
    pub(super) stretch: Vec<f64>,
    /// The probabilities at which grids leave the mean's value.
    mutation: Vec<f64>,
    /// True if a good point had another value than the mean, by grid.
    has_mutated: Vec<bool>,
    /// The latest interquartile ranges of values, the newest first; 0 where there is none yet.
    ranges: Vec<f64>,
    margin: f64,
}

impl MixedCma {
    /// Creates an optimiser around `mean`, or the middle, with steps of `sigma` times a sixth of the ranges.
    pub(super) fn new(space: MixedSpace, mean: Option<Vec<f64>>, sigma: f64, size: usize) -> Self {
        let n_continuous = space.ranges.len();
        let bounds: Vec<(f64, f64)> = space
            .ranges
            .iter()
            .copied()
            .chain(space.grids.iter().map(|grid| (grid.low, grid.value(grid.n - 1))))
            .collect();
        let n = bounds.len();
        let mean =
            mean.unwrap_or_else(|| bounds.iter().map(|(low, high)| (low + high) / 2.0).collect());
        let mut covariance = vec![0.0; n * n];
        for (place, (low, high)) in bounds.iter().enumerate() {
            let part = if place < n_continuous { 6.0 } else { 5.0 };
            let width = (mean[place] - low).min(high - mean[place]) / part;
            covariance[place * n + place] = width * width;
        }
        let n_discrete = space.grids.len() + space.n_choices.len();
        let n_ranges = 20 + (3 * n).div_ceil(size);
        MixedCma {
            cma: Cma::new(mean, sigma, covariance, size),
            choices: Choices::new(&space.n_choices, n_discrete),
            stretch: vec![1.0; n],
            mutation: vec![0.5 - TINY; space.grids.len()],
            has_mutated: vec![false; space.grids.len()],
            ranges: vec![0.0; n_ranges],
            margin: 1.0 - 0.73f64.powf(1.0 / n_discrete as f64),
            space,
        }
    }

    /// Shows every number of the state.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        self.cma.visit(each);
        self.choices.visit(each);
        let more = self.mutation.iter_mut().chain(&mut self.ranges);
        self.stretch.iter_mut().chain(more).for_each(each);
    }

    /// Draws a point.
    pub(super) fn sample(&mut self, draws: &mut dyn Draws) -> MixedPoint {
        let drawn = self.cma.sample(draws);
        let raw = self.stretched(&drawn);
        MixedPoint { raw, choices: self.choices.sample(draws) }
    }

    /// Returns the point with steps from the mean that are longer by the stretch.
    fn stretched(&self, x: &[f64]) -> Vec<f64> {
        let both = x.iter().zip(&self.cma.mean).zip(&self.stretch);
        both.map(|((x, mean), factor)| (x - mean) * factor + mean).collect()
    }

    /// Returns the point with steps from the mean that are shorter by the stretch.
    pub(super) fn unstretched(&self, raw: &[f64]) -> Vec<f64> {
        let both = raw.iter().zip(&self.cma.mean).zip(&self.stretch);
        both.map(|((x, mean), factor)| (x - mean) / factor + mean).collect()
    }

    /// Returns the coordinates of a raw point that are evaluated: within their ranges and on their grids.
    pub(super) fn repaired(&self, raw: &[f64]) -> Vec<f64> {
        let (continuous, discrete) = raw.split_at(self.space.ranges.len());
        let continuous = continuous.iter().zip(&self.space.ranges);
        let grids = discrete.iter().zip(&self.space.grids);
        continuous
            .map(|(x, (low, high))| trialbox_core::space::transform::into_range(*x, *low, *high))
            .chain(grids.map(|(x, grid)| grid.value(grid.nearest(*x))))
            .collect()
    }

    /// Learns from a population with its values.
    pub(super) fn tell(&mut self, mut population: Vec<(MixedPoint, f64)>) {
        population.sort_by(|a, b| order(a.1, b.1));
        if !self.space.ranges.is_empty() {
            self.punish(&mut population);
            population.sort_by(|a, b| order(a.1, b.1));
        }
        let mut raw: Vec<Vec<f64>> =
            population.iter().map(|(point, _)| point.raw.clone()).collect();
        self.centre(&mut raw);
        if self.cma.n_dims() > 0 {
            let points: Vec<Vec<f64>> = raw.iter().map(|raw| self.unstretched(raw)).collect();
            self.cma.tell(&points);
            let least = self.cma.prepare().values.iter().copied().fold(f64::INFINITY, f64::min);
            self.cma.sigma = self.cma.sigma.max((LEAST_VARIANCE / least).sqrt());
        } else {
            self.cma.generation += 1;
        }
        self.correct_margins();
        if !self.space.n_choices.is_empty() {
            let choices: Vec<&[usize]> =
                population.iter().map(|(point, _)| &point.choices[..]).collect();
            let Weights { weights, mu, .. } = &self.cma.weights;
            self.choices.tell(&choices[..*mu], &weights[..*mu]);
        }
    }

    /// Adds to the values of points outside of their ranges what they are away (Hansen et al. 2009, "A Method for
    /// Handling Uncertainty in Evolutionary Optimization", section on boundaries).
    fn punish(&mut self, population: &mut [(MixedPoint, f64)]) {
        let size = population.len();
        let range = population[3 * size / 4].1 - population[size / 4].1;
        self.note_range(range);
        let mut known: Vec<f64> = self.ranges.iter().copied().filter(|it| *it > 0.0).collect();
        if known.is_empty() {
            return;
        }
        known.sort_by(|a, b| order(*a, *b));
        let typical = 0.5 * (known[(known.len() - 1) / 2] + known[known.len() / 2]);
        let n = self.cma.n_dims() as f64;
        let variances = self.cma.variances();
        let spread: Vec<f64> = variances.iter().zip(&self.stretch).map(|(a, b)| a * b).collect();
        let (sum, logs) =
            (spread.iter().sum::<f64>(), spread.iter().map(|it| it.ln()).sum::<f64>());
        let base = 2.0 * typical / (self.cma.sigma * self.cma.sigma * sum);
        let mu_eff = self.cma.weights.mu_eff;
        for (place, (low, high)) in self.space.ranges.iter().enumerate() {
            let mean = self.cma.mean[place];
            let far = 3.0 * self.cma.sigma * spread[place].sqrt() * (n.sqrt() / mu_eff).max(1.0);
            let is_far = mean < *low && low - mean > far || mean > *high && mean - high > far;
            let more = if is_far { 1.1f64.powf((mu_eff / (10.0 * n)).max(1.0)) } else { 1.0 };
            let scale = (0.9 * (spread[place].ln() - logs / n)).exp();
            for (point, value) in population.iter_mut() {
                let x = point.raw[place];
                let outside = x - trialbox_core::space::transform::into_range(x, *low, *high);
                if outside != 0.0 {
                    *value += base * more * outside * outside / scale;
                }
            }
        }
    }

    fn note_range(&mut self, range: f64) {
        let is_known = |ranges: &[f64]| ranges.iter().filter(|it| **it > 0.0).count() > 1;
        let noted = if range.is_finite() && range > 0.0 {
            range
        } else if range == f64::INFINITY && is_known(&self.ranges) {
            self.ranges.iter().copied().fold(0.0, f64::max)
        } else {
            return;
        };
        self.ranges.pop();
        self.ranges.insert(0, noted);
    }

    fn grid_value(&self, grid: usize, x: f64) -> f64 {
        let grid = &self.space.grids[grid];
        grid.value(grid.nearest(x))
    }

    /// Moves good points that have another value than the mean onto it, and the others against the bias of that.
    fn centre(&mut self, raw: &mut [Vec<f64>]) {
        let (mu, offset) = (self.cma.weights.mu, self.space.ranges.len());
        for g in 0..self.space.grids.len() {
            let place = offset + g;
            let at_mean = self.grid_value(g, self.cma.mean[place]);
            let old: Vec<f64> = raw[..mu].iter().map(|it| it[place]).collect();
            let (mut up, mut down, mut bias) = (0.0, 0.0, 0.0);
            self.has_mutated[g] = false;
            for (point, old) in raw.iter_mut().zip(&old) {
                let value = self.grid_value(g, *old);
                let to_value = value - old;
                if value != at_mean {
                    self.has_mutated[g] = true;
                    point[place] = value;
                    bias += to_value;
                } else if to_value > 0.0 {
                    up += to_value;
                } else {
                    down += to_value;
                }
            }
            let mut share = 0.0;
            for moves in [up, down] {
                if bias * moves < 0.0 {
                    share = (-bias / moves).min(1.0);
                }
            }
            for (point, old) in raw.iter_mut().zip(&old) {
                let to_value = self.grid_value(g, *old) - old;
                let is_at_mean = self.grid_value(g, point[place]) == at_mean;
                if bias * to_value < 0.0 && is_at_mean {
                    point[place] += share * to_value;
                }
            }
        }
    }

    fn correct_margins(&mut self) {
        let longest = self.space.grids.iter().map(|grid| grid.n).max().unwrap_or(2);
        let variances = self.cma.variances();
        for g in 0..self.space.grids.len() {
            let place = self.space.ranges.len() + g;
            let deviation = self.cma.sigma * variances[place].sqrt();
            self.correct_margin(g, place, longest, deviation);
        }
    }

    fn correct_margin(&mut self, g: usize, place: usize, longest: usize, deviation: f64) {
        let mean = self.cma.mean[place];
        let (low, high) = self.space.grids[g].padded_limits(mean, longest);
        let scale = deviation * self.stretch[place];
        let below = normal_cdf((low - mean) / scale);
        let above = 1.0 - normal_cdf((high - mean) / scale);
        if below.max(above) > 0.5 {
            let mut rate = below.min(above).max(self.margin);
            if !self.has_mutated[g] {
                rate = rate.min(self.mutation[g]);
            }
            let rate = rate.clamp(TINY, 0.5 - TINY);
            let to_border = (self.grid_value(g, mean) - high).abs();
            let least = to_border / (deviation * -normal_quantile(self.margin));
            self.stretch[place] = self.stretch[place].max(least);
            let distance = deviation * self.stretch[place] * -normal_quantile(rate);
            self.cma.mean[place] = high + sign(mean - high) * distance;
            self.mutation[g] = rate;
        } else {
            self.correct_inside(g, place, (low, high), (below, above), deviation);
        }
    }

    fn correct_inside(
        &mut self,
        g: usize,
        place: usize,
        (low, high): (f64, f64),
        (below, above): (f64, f64),
        deviation: f64,
    ) {
        let half = self.margin / 2.0;
        let mut inside = 1.0 - (below + above);
        let (below, above) = (below.max(half), above.max(half));
        // The mean's value keeps its probability, unless good points had others.
        let mut kept = half;
        if !self.has_mutated[g] {
            inside = inside.max(1.0 - self.mutation[g]);
            kept = 1.0 - self.mutation[g];
        }
        let excess = (1.0 - below - above - inside) / (below + above + inside - self.margin - kept);
        let share = |it: f64| (it + excess * (it - half)).clamp(TINY, 0.5 - TINY);
        let (below, above) = (share(below), share(above));
        let (to_low, to_high) = (-normal_quantile(below), -normal_quantile(above));
        self.stretch[place] = (high - low) / ((to_low + to_high) * deviation);
        self.cma.mean[place] = (low * to_high + high * to_low) / (to_low + to_high);
        self.mutation[g] = below + above;
    }
}
