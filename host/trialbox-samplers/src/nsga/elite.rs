//! The survivors of a generation: whole fronts, and of the last one those with the most room around them.
//!
//! As `NSGAIIElitePopulationSelectionStrategy`; Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm:
//! NSGA-II".

use super::population::penalty;
use crate::pareto::{losses, non_domination_ranks};
use crate::tpe::order;
use std::collections::BTreeMap;
use trialbox_core::{FrozenTrial, StudyDirection};

/// Returns the survivors.
pub(super) fn select<'a>(
    population: &[&'a FrozenTrial],
    directions: &[StudyDirection],
    size: usize,
) -> Vec<&'a FrozenTrial> {
    let (mut elite, mut last) = whole_fronts(population, directions, size);
    sort_by_crowding(&mut last);
    last.truncate(size - elite.len());
    elite.extend(last);
    elite
}

/// Returns the trials of the fronts that fit into `size` with room left, and those of the next front.
pub(super) fn whole_fronts<'a>(
    population: &[&'a FrozenTrial],
    directions: &[StudyDirection],
    size: usize,
) -> (Vec<&'a FrozenTrial>, Vec<&'a FrozenTrial>) {
    let mut elite = Vec::with_capacity(size);
    for front in fronts(population, directions, size) {
        if elite.len() + front.len() >= size {
            return (elite, front);
        }
        elite.extend(front);
    }
    (elite, Vec::new())
}

/// Returns the trials of each rank: those that satisfy their constraints by domination, then the others by how much
/// they violate them. Once `n_below` distinct trials have a rank, all others share the next one.
pub(super) fn fronts<'a>(
    population: &[&'a FrozenTrial],
    directions: &[StudyDirection],
    n_below: usize,
) -> Vec<Vec<&'a FrozenTrial>> {
    let (mut feasible, mut infeasible) = (Vec::new(), Vec::new());
    for trial in population {
        match penalty(trial) {
            0.0 => feasible.push((*trial, losses(&trial.values, directions))),
            violation => infeasible.push((*trial, vec![violation])),
        }
    }
    let mut fronts = Vec::new();
    for part in [feasible, infeasible] {
        let (trials, points): (Vec<&FrozenTrial>, Vec<Vec<f64>>) = part.into_iter().unzip();
        let ranks = non_domination_ranks(&points, n_below);
        let n_fronts = ranks.iter().max().map_or(0, |rank| rank + 1);
        let mut of_part: Vec<Vec<&FrozenTrial>> = vec![Vec::new(); n_fronts];
        trials.into_iter().zip(ranks).for_each(|(trial, rank)| of_part[rank].push(trial));
        fronts.extend(of_part);
    }
    fronts
}

/// Sorts a front by crowding distance, the largest first.
fn sort_by_crowding(front: &mut Vec<&FrozenTrial>) {
    let distances = crowding_distances(front);
    let distance = |trial: &FrozenTrial| distances.get(&trial.number.0).copied().unwrap_or(0.0);
    front.sort_by(|a, b| order(distance(a), distance(b)));
    front.reverse();
}

/// Returns the crowding distance of each trial, by number: the sum over the objectives of the gap between its two
/// neighbours, the finite width of the front being 1. Leaves the front sorted by the last objective, as Optuna does,
/// which decides about ties.
pub(super) fn crowding_distances(front: &mut [&FrozenTrial]) -> BTreeMap<u32, f64> {
    let mut distances: BTreeMap<u32, f64> = BTreeMap::new();
    let n_objectives = front.first().map_or(0, |trial| trial.values.len());
    for objective in 0..n_objectives {
        front.sort_by(|a, b| order(a.values[objective], b.values[objective]));
        let values: Vec<f64> = front.iter().map(|trial| trial.values[objective]).collect();
        let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
        if first == last {
            continue;
        }
        let width = finite_width(&values);
        for (place, trial) in front.iter().enumerate() {
            let before = place.checked_sub(1).map_or(f64::NEG_INFINITY, |it| values[it]);
            let after = values.get(place + 1).copied().unwrap_or(f64::INFINITY);
            // ∞ − ∞ is no gap.
            let gap = if before == after { 0.0 } else { after - before };
            *distances.entry(trial.number.0).or_default() += gap / width;
        }
    }
    distances
}

/// Returns the difference of the largest and the smallest finite value; 1 if that is not positive.
fn finite_width(sorted: &[f64]) -> f64 {
    let smallest = sorted.iter().find(|value| **value != f64::NEG_INFINITY);
    let largest = sorted.iter().rev().find(|value| **value != f64::INFINITY);
    let width =
        largest.copied().unwrap_or(f64::NEG_INFINITY) - smallest.copied().unwrap_or(f64::INFINITY);
    if width > 0.0 { width } else { 1.0 }
}
