//! A child of a population: selection of parents, crossover, mutation.
//!
//! As `NSGAIIChildGenerationStrategy`, draw for draw.

use super::crossover::{self, Parents};
use super::options::GeneticOptions;
use super::population::dominates;
use crate::draws::Draws;
use std::collections::BTreeMap;
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial, StudyDirection};

/// The number of children that are rejected because they lie below a range; the next is moved into it.
const MAX_CHILDREN: usize = 100;

/// Parameters of a kind, with the names that trials have for them.
type Params<'a> = Vec<(&'a str, &'a Distribution)>;

/// Returns the internal values of a child of these parents, of which there is at least one. A parameter that mutates
/// is left out, unless the mutation is polynomial.
pub(super) fn child(
    options: &GeneticOptions,
    parents: &[&FrozenTrial],
    directions: &[StudyDirection],
    space: &SearchSpace,
    draws: &mut dyn Draws,
) -> BTreeMap<String, f64> {
    let (choices, numbers): (Params, Params) =
        space.iter().partition(|(_, distribution)| bounds(distribution).is_none());
    let crossing = Crossing { options, parents, directions, choices, numbers };
    let values = if draws.uniform() < options.crossover_prob {
        crossing.crossed(draws)
    } else {
        let parent = parents[draws.index(parents.len())];
        space.iter().map(|(name, it)| (name, it, internal_of(parent, name))).collect()
    };
    let probability = options.mutation_prob.unwrap_or(1.0 / values.len().max(1) as f64);
    let mut child = BTreeMap::new();
    for (name, distribution, value) in values {
        let value = if draws.uniform() >= probability {
            Some(value)
        } else if options.is_polynomial {
            mutated(distribution, value, options.mutation_eta, draws)
        } else {
            None
        };
        // What a user fixed outside of the range stays with that trial.
        if let Some(value) = value.filter(|value| distribution.contains(*value)) {
            child.insert(name.to_owned(), value);
        }
    }
    child
}

/// The parents and the parameters of a crossover.
struct Crossing<'a> {
    options: &'a GeneticOptions,
    parents: &'a [&'a FrozenTrial],
    directions: &'a [StudyDirection],
    choices: Params<'a>,
    numbers: Params<'a>,
}

impl<'a> Crossing<'a> {
    /// Returns a child's parameters: choices, then numbers.
    fn crossed(&self, draws: &mut dyn Draws) -> Vec<(&'a str, &'a Distribution, f64)> {
        let mut n_rejected = 0;
        loop {
            let parents = self.select(draws);
            let mut values = Vec::with_capacity(self.choices.len() + self.numbers.len());
            for (name, distribution) in &self.choices {
                let is_last = draws.uniform() >= self.options.swapping_prob;
                let parent = if is_last { parents.last() } else { parents.first() };
                let value = parent.map_or(f64::NAN, |parent| internal_of(parent, name));
                values.push((*name, *distribution, value));
            }
            let (numbers, is_inside) = self.crossed_numbers(&parents, draws);
            if is_inside || n_rejected >= MAX_CHILDREN {
                values.extend(numbers);
                return values;
            }
            n_rejected += 1;
        }
    }

    /// Returns a child's numbers, and whether none had to be raised to its range: Optuna rejects those children only.
    fn crossed_numbers(
        &self,
        parents: &[&FrozenTrial],
        draws: &mut dyn Draws,
    ) -> (Vec<(&'a str, &'a Distribution, f64)>, bool) {
        if self.numbers.is_empty() {
            return (Vec::new(), true);
        }
        let point = |parent: &&FrozenTrial| -> Vec<f64> {
            let numbers = self.numbers.iter();
            numbers.map(|(name, it)| transformed(it, internal_of(parent, name))).collect()
        };
        let points: Vec<Vec<f64>> = parents.iter().map(point).collect();
        let bounds: Vec<(f64, f64)> =
            self.numbers.iter().map(|(_, it)| bounds(it).unwrap_or((0.0, 0.0))).collect();
        let is_multi_objective = self.directions.len() > 1;
        let parents = Parents { points: &points, bounds: &bounds, is_multi_objective };
        let child = crossover::child(&parents, self.options, draws);
        let mut is_inside = true;
        let mut numbers = Vec::with_capacity(child.len());
        for ((name, distribution), x) in self.numbers.iter().zip(child) {
            is_inside &= !is_below(distribution, x);
            numbers.push((*name, *distribution, untransform(distribution, x).unwrap_or(f64::NAN)));
        }
        (numbers, is_inside)
    }

    /// Returns different parents, each the better one of two, as far as there are enough.
    fn select(&self, draws: &mut dyn Draws) -> Vec<&'a FrozenTrial> {
        let n_parents = self.options.crossover.n_parents();
        let mut left: Vec<&FrozenTrial> = self.parents.to_vec();
        let mut parents: Vec<&FrozenTrial> = Vec::with_capacity(n_parents);
        for _ in 0..n_parents {
            if left.is_empty() {
                left = self.parents.to_vec();
            }
            let first = left[draws.index(left.len())];
            let second = left[draws.index(left.len())];
            let parent = if dominates(first, second, self.directions) { first } else { second };
            left.retain(|trial| trial.number != parent.number);
            parents.push(parent);
        }
        parents
    }
}

fn internal_of(trial: &FrozenTrial, name: &str) -> f64 {
    trial.param(name).map_or(f64::NAN, |param| param.internal)
}

/// Returns a value in transformed coordinates.
fn transformed(distribution: &Distribution, internal: f64) -> f64 {
    let is_log = match distribution {
        Distribution::Float(float) => float.log(),
        Distribution::Int(int) => int.log(),
        Distribution::Categorical(_) => false,
    };
    if is_log { internal.ln() } else { internal }
}

/// Returns whether a coordinate is below a range that does not take it as its lower end.
fn is_below(distribution: &Distribution, x: f64) -> bool {
    match distribution {
        Distribution::Float(float) => !float.log() && float.step().is_none() && x < float.low(),
        _ => false,
    }
}

/// Returns the value after a polynomial mutation (Deb and Goyal 1996); `None` for a choice, which is drawn anew.
fn mutated(
    distribution: &Distribution,
    internal: f64,
    eta: f64,
    draws: &mut dyn Draws,
) -> Option<f64> {
    let (low, high) = bounds(distribution)?;
    let x = transformed(distribution, internal);
    let (u, width) = (draws.uniform(), high - low);
    if width <= 0.0 {
        return Some(internal);
    }
    let power = eta + 1.0;
    let offset = if u <= 0.5 {
        let rest = 1.0 - (x - low) / width;
        (2.0 * u + (1.0 - 2.0 * u) * rest.powf(power)).powf(1.0 / power) - 1.0
    } else {
        let rest = 1.0 - (high - x) / width;
        1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * rest.powf(power)).powf(1.0 / power)
    };
    untransform(distribution, x + offset * width)
}
