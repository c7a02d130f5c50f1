//! One interface to the variants.

use super::cma::Cma;
use super::margin::MarginCma;
use super::mixed::{MixedCma, MixedPoint};
use super::sep::SepCma;
use crate::draws::Draws;
use crate::tpe::order;

/// A distribution that learns from populations.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Optimizer {
    Full(Cma),
    Separable(SepCma),
    Margin(MarginCma),
    Mixed(Box<MixedCma>),
}

/// A drawn point.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Drawn {
    /// Coordinates of numbers, as they are evaluated.
    pub(super) numbers: Vec<f64>,
    pub(super) choices: Vec<usize>,
    /// Coordinates of numbers, as they are learnt from, where that differs.
    pub(super) raw: Option<Vec<f64>>,
}

/// A point with what its trial came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solution {
    pub(super) point: MixedPoint,
    pub(super) loss: f64,
    /// True if it was not drawn from the distribution that learns from it.
    pub(super) is_foreign: bool,
}

impl Optimizer {
    /// Returns the number of populations that were learnt from.
    pub(super) fn generation(&self) -> u64 {
        match self {
            Optimizer::Full(cma) => cma.generation,
            Optimizer::Separable(cma) => cma.generation,
            Optimizer::Margin(margin) => margin.cma.generation,
            Optimizer::Mixed(mixed) => mixed.cma.generation,
        }
    }

    pub(super) fn set_generation(&mut self, generation: u64) {
        match self {
            Optimizer::Full(cma) => cma.generation = generation,
            Optimizer::Separable(cma) => cma.generation = generation,
            Optimizer::Margin(margin) => margin.cma.generation = generation,
            Optimizer::Mixed(mixed) => mixed.cma.generation = generation,
        }
    }

    /// Shows every number of the state.
    pub(super) fn visit(&mut self, each: &mut dyn FnMut(&mut f64)) {
        match self {
            Optimizer::Full(cma) => cma.visit(each),
            Optimizer::Separable(cma) => cma.visit(each),
            Optimizer::Margin(margin) => margin.visit(each),
            Optimizer::Mixed(mixed) => mixed.visit(each),
        }
    }

    /// Returns the numbers of the state.
    pub(super) fn numbers(&mut self) -> Vec<f64> {
        let mut numbers = Vec::new();
        self.visit(&mut |number| numbers.push(*number));
        numbers
    }

    /// Draws a point: again while a continuous coordinate is out of its range, `n_retries` times, then moved into it.
    pub(super) fn sample(&mut self, n_retries: usize, draws: &mut dyn Draws) -> Drawn {
        let mut raw = match self {
            Optimizer::Mixed(mixed) => {
                let point = mixed.sample(draws);
                let numbers = mixed.repaired(&point.raw);
                return Drawn { numbers, choices: point.choices, raw: Some(point.raw) };
            }
            _ => self.sample_raw(draws),
        };
        for _ in 0..n_retries {
            if self.is_inside(&raw) {
                break;
            }
            raw = self.sample_raw(draws);
        }
        for (place, x) in raw.iter_mut().enumerate() {
            if !self.has_grid(place) {
                *x = trialbox_core::space::transform::into_range(*x, 0.0, 1.0);
            }
        }
        match self {
            Optimizer::Margin(margin) => {
                Drawn { numbers: margin.rounded(&raw), choices: Vec::new(), raw: Some(raw) }
            }
            _ => Drawn { numbers: raw, choices: Vec::new(), raw: None },
        }
    }

    fn sample_raw(&mut self, draws: &mut dyn Draws) -> Vec<f64> {
        match self {
            Optimizer::Full(cma) => cma.sample(draws),
            Optimizer::Separable(cma) => cma.sample(draws),
            Optimizer::Margin(margin) => margin.sample(draws),
            Optimizer::Mixed(mixed) => mixed.sample(draws).raw,
        }
    }

    fn has_grid(&self, place: usize) -> bool {
        match self {
            Optimizer::Margin(margin) => margin.grids[place].is_some(),
            _ => false,
        }
    }

    fn is_inside(&self, raw: &[f64]) -> bool {
        raw.iter().enumerate().all(|(place, x)| self.has_grid(place) || (0.0..=1.0).contains(x))
    }

    /// Returns the coordinates that are evaluated at a raw point.
    pub(super) fn evaluated(&self, raw: &[f64]) -> Vec<f64> {
        match self {
            Optimizer::Margin(margin) => margin.rounded(raw),
            Optimizer::Mixed(mixed) => mixed.repaired(raw),
            _ => raw.to_vec(),
        }
    }

    /// Learns from a population. Arithmetic that leaves the floats changes nothing but the generation.
    pub(super) fn tell(&mut self, mut population: Vec<Solution>) {
        for solution in population.iter_mut().filter(|it| it.is_foreign) {
            self.shorten(&mut solution.point.raw);
        }
        let mut next = self.clone();
        if let Optimizer::Mixed(mixed) = &mut next {
            mixed.tell(population.into_iter().map(|it| (it.point, it.loss)).collect());
        } else {
            population.sort_by(|a, b| order(a.loss, b.loss));
            let points: Vec<Vec<f64>> = population.into_iter().map(|it| it.point.raw).collect();
            match &mut next {
                Optimizer::Full(cma) => cma.tell(&points),
                Optimizer::Separable(cma) => cma.tell(&points),
                Optimizer::Margin(margin) => margin.tell(&points),
                Optimizer::Mixed(_) => {}
            }
        }
        if next.is_sound() {
            *self = next;
        } else {
            self.set_generation(self.generation().saturating_add(1));
        }
    }

    /// Returns whether every number of the state is one that can be computed with.
    pub(super) fn is_sound(&mut self) -> bool {
        let mut is_finite = true;
        self.visit(&mut |number| is_finite &= number.abs() < 1e150);
        let sigma = match self {
            Optimizer::Full(cma) => cma.sigma,
            Optimizer::Separable(cma) => cma.sigma,
            Optimizer::Margin(margin) => margin.cma.sigma,
            Optimizer::Mixed(mixed) => mixed.cma.sigma,
        };
        is_finite && sigma > 1e-150
    }

    /// Moves a point towards the mean if it is farther away than a draw would be, so that a single one cannot carry
    /// the distribution off (Hansen 2011, "Injecting External Solutions Into CMA-ES").
    fn shorten(&mut self, raw: &mut [f64]) {
        let n = raw.len() as f64;
        let longest = n.sqrt() + 2.0 * n / (n + 2.0);
        let (distance, mean) = match self {
            Optimizer::Full(cma) => (cma.distance(raw), &cma.mean),
            Optimizer::Separable(cma) => (cma.distance(raw), &cma.mean),
            Optimizer::Margin(margin) => (margin.cma.distance(raw), &margin.cma.mean),
            Optimizer::Mixed(mixed) => {
                let plain = mixed.unstretched(raw);
                (mixed.cma.distance(&plain), &mixed.cma.mean)
            }
        };
        if distance > longest {
            for (x, mean) in raw.iter_mut().zip(mean) {
                *x = mean + (*x - mean) * longest / distance;
            }
        }
    }
}
