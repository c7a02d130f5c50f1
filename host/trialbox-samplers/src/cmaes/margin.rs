//! CMA-ES with margin: each value beside the mean's keeps a small probability, so that a grid is not left early.
//!
//! Hamano et al. 2022, "CMA-ES with Margin: Lower-Bounding Marginal Probability for Mixed-Integer Black-Box
//! Optimization"; update for update as the package `cmaes` (`_cmawm.py`).

use super::cma::Cma;
use super::grid::Grid;
use crate::draws::Draws;
use crate::tpe::{normal_cdf, normal_quantile};

/// A normal distribution of which some coordinates are rounded to a grid.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MarginCma {
    pub(super) cma: Cma,
    /// By coordinate.
    pub(super) grids: Vec<Option<Grid>>,
    /// The factors by which the coordinates are stretched before they are rounded.
    pub(super) stretch: Vec<f64>,
    margin: f64,
}

impl MarginCma {
    /// Gives a margin to the coordinates that have a grid.
    pub(super) fn new(cma: Cma, grids: Vec<Option<Grid>>) -> Self {
        let n = cma.n_dims();
        let margin = 1.0 / (n * cma.weights.weights.len()) as f64;
        MarginCma { cma, grids, stretch: vec![1.0; n], margin }
    }

    /// Shows every number of the state.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        self.cma.visit(each);
        self.stretch.iter_mut().for_each(each);
    }

    /// Draws a point that is not rounded yet.
    pub(super) fn sample(&mut self, draws: &mut dyn Draws) -> Vec<f64> {
        self.cma.sample(draws)
    }

    /// Returns a point with its coordinates rounded to their grids.
    pub(super) fn rounded(&self, x: &[f64]) -> Vec<f64> {
        let mut rounded = x.to_vec();
        for (place, grid) in self.grids.iter().enumerate() {
            if let Some(grid) = grid {
                let mean = self.cma.mean[place];
                let stretched = (x[place] - mean) * self.stretch[place] + mean;
                rounded[place] = grid.value(grid.nearest(stretched));
            }
        }
        rounded
    }

    /// Learns from a population, the best point first, none rounded.
    pub(super) fn tell(&mut self, points: &[Vec<f64>]) {
        self.cma.tell(points);
        let variances = self.cma.variances();
        for (place, variance) in variances.into_iter().enumerate() {
            if let Some(grid) = self.grids[place] {
                self.correct(place, &grid, self.cma.sigma * variance.sqrt());
            }
        }
    }

    /// Moves the mean and the stretch of a coordinate such that the values beside the mean's are likely enough.
    fn correct(&mut self, place: usize, grid: &Grid, deviation: f64) {
        let (mean, margin) = (self.cma.mean[place], self.margin);
        let (low, high) = grid.limits(mean);
        let scale = deviation * self.stretch[place];
        let below = normal_cdf((low - mean) / scale);
        let above = 1.0 - normal_cdf((high - mean) / scale);
        if below.max(above) > 0.5 {
            if below.min(above) < margin {
                let sign = sign(mean - high);
                self.cma.mean[place] = high + sign * scale * -normal_quantile(margin);
            }
            return;
        }
        let inside = 1.0 - (below + above);
        let (below, above) = (below.max(margin / 2.0), above.max(margin / 2.0));
        let excess = (1.0 - below - above - inside) / (below + inside + above - 1.5 * margin);
        let share = |it: f64| (it + excess * (it - margin / 2.0)).clamp(1e-10, 0.5 - 1e-10);
        let (to_low, to_high) = (-normal_quantile(share(below)), -normal_quantile(share(above)));
        self.stretch[place] = (high - low) / ((to_low + to_high) * deviation);
        self.cma.mean[place] = (low * to_high + high * to_low) / (to_low + to_high);
    }
}

/// Returns −1, 0 or 1.
pub(super) fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}
