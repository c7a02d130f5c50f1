//! The division of trials into good ones and the rest.

use crate::pareto::{non_domination_ranks, reference_point, select_subset};
use std::cmp::Ordering;
use trialbox_core::{FrozenTrial, StudyDirection, TrialState};

/// Returns the number of good ones among `n` finished trials: a tenth, of a single objective at most 25.
pub fn n_below(n: usize, n_objectives: usize) -> usize {
    let tenth = (0.1 * n as f64).ceil() as usize;
    if n_objectives > 1 { tenth } else { tenth.min(25) }
}

/// Returns the weights of `n` trials, oldest first: the newest 25 count fully, older ones ever less.
pub fn default_weights(n: usize) -> Vec<f64> {
    const FULL: usize = 25;
    let n_ramp = n.saturating_sub(FULL);
    let first = 1.0 / n as f64;
    let slope = if n_ramp > 1 { (1.0 - first) / (n_ramp - 1) as f64 } else { 0.0 };
    let ramp = (0..n_ramp).map(|place| {
        if place > 0 && place == n_ramp - 1 { 1.0 } else { first + slope * place as f64 }
    });
    ramp.chain(std::iter::repeat_n(1.0, n.min(FULL))).collect()
}

/// Divides `trials`, which are in the order of their numbers, into the `n_below` good ones and the rest, both
/// in that order. As Optuna's `_split_trials`:
///
/// Good are the best COMPLETE trials; if there are too few, the PRUNED ones that got furthest, then those
/// that violate their constraints least. RUNNING trials are never good.
pub fn split<'a>(
    trials: &[&'a FrozenTrial],
    directions: &[StudyDirection],
    n_below: usize,
) -> (Vec<&'a FrozenTrial>, Vec<&'a FrozenTrial>) {
    let mut is_below = vec![false; trials.len()];
    let Ranked { complete, pruned, infeasible } = Ranked::of(trials);
    let mut good = best_complete(trials, complete, directions, n_below);
    good.extend(furthest_pruned(trials, pruned, directions, n_below - good.len()));
    good.extend(least_violating(infeasible, n_below - good.len()));
    for index in good {
        is_below[index] = true;
    }
    let (mut below, mut above) = (Vec::with_capacity(n_below), Vec::with_capacity(trials.len()));
    for (trial, is_below) in trials.iter().zip(is_below) {
        if is_below {
            below.push(*trial);
        } else {
            above.push(*trial);
        }
    }
    (below, above)
}

/// Indices of the trials that can be good, by kind.
#[derive(Default)]
struct Ranked {
    complete: Vec<usize>,
    pruned: Vec<usize>,
    /// With the sum of what is violated.
    infeasible: Vec<(f64, usize)>,
}

impl Ranked {
    fn of(trials: &[&FrozenTrial]) -> Ranked {
        let mut ranked = Ranked::default();
        for (index, trial) in trials.iter().enumerate() {
            if !trial.state.is_evaluated() {
                continue;
            }
            let violation = trial.violation();
            if violation > 0.0 {
                ranked.infeasible.push((violation, index));
            } else if trial.state == TrialState::Complete {
                ranked.complete.push(index);
            } else {
                ranked.pruned.push(index);
            }
        }
        ranked
    }
}

fn best_complete(
    trials: &[&FrozenTrial],
    complete: Vec<usize>,
    directions: &[StudyDirection],
    n: usize,
) -> Vec<usize> {
    if n >= complete.len() {
        return complete;
    }
    let [direction] = directions else {
        let points: Vec<Vec<f64>> =
            complete.iter().map(|index| losses(trials[*index], directions)).collect();
        return best_of_several(&points, n).into_iter().map(|place| complete[place]).collect();
    };
    let scored = complete.into_iter().map(|index| {
        let loss = loss(trials[index].value(), *direction);
        ((loss, 0.0), index)
    });
    smallest(scored.collect(), n)
}

/// Returns a trial's loss in each objective.
fn losses(trial: &FrozenTrial, directions: &[StudyDirection]) -> Vec<f64> {
    let objectives = directions.iter().enumerate();
    objectives.map(|(i, direction)| loss(trial.values.get(i).copied(), *direction)).collect()
}

/// Returns the loss of a value; a missing one is worse than all others.
fn loss(value: Option<f64>, direction: StudyDirection) -> f64 {
    match value {
        Some(value) => direction.to_minimize(value),
        None => f64::INFINITY,
    }
}

/// Returns the places of the `n` best points, which are losses: whole ranks while they fit, of the next rank those
/// that cover most.
pub(crate) fn best_of_several(points: &[Vec<f64>], n: usize) -> Vec<usize> {
    if n == 0 {
        return vec![];
    }
    let ranks = non_domination_ranks(points, n);
    let mut counts = vec![0; ranks.iter().max().map_or(0, |rank| rank + 1)];
    ranks.iter().for_each(|rank| counts[*rank] += 1);
    let (mut n_whole, mut n_taken) = (0, 0);
    while n_whole < counts.len() && n_taken + counts[n_whole] <= n {
        n_taken += counts[n_whole];
        n_whole += 1;
    }
    let mut below: Vec<usize> = (0..points.len()).filter(|it| ranks[*it] < n_whole).collect();
    if n_taken < n {
        let tied: Vec<usize> = (0..points.len()).filter(|it| ranks[*it] == n_whole).collect();
        let tied_points: Vec<Vec<f64>> = tied.iter().map(|it| points[*it].clone()).collect();
        let reference = reference_point(&tied_points);
        let chosen = select_subset(&tied_points, n - n_taken, &reference);
        below.extend(chosen.into_iter().map(|place| tied[place]));
    }
    below
}

/// Returns the trials with the largest last step, of equals the best value there; those without a value come last.
fn furthest_pruned(
    trials: &[&FrozenTrial],
    pruned: Vec<usize>,
    directions: &[StudyDirection],
    n: usize,
) -> Vec<usize> {
    let direction = directions.first().copied().unwrap_or(StudyDirection::Minimize);
    let scored = pruned.into_iter().map(|index| (pruned_score(trials[index], direction), index));
    smallest(scored.collect(), n)
}

/// Returns a score that is smaller for a larger last step, then for a better value there.
fn pruned_score(trial: &FrozenTrial, direction: StudyDirection) -> (f64, f64) {
    match trial.intermediate_values.last_key_value() {
        Some((step, value)) if value.is_nan() => (-(*step as f64), f64::INFINITY),
        Some((step, value)) => (-(*step as f64), direction.to_minimize(*value)),
        None => (1.0, 0.0),
    }
}

fn least_violating(infeasible: Vec<(f64, usize)>, n: usize) -> Vec<usize> {
    smallest(
        infeasible.into_iter().map(|(violation, index)| ((violation, 0.0), index)).collect(),
        n,
    )
}

/// Orders scores as numbers, NaN last: a selection panics where an order is none.
pub(crate) fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Returns the indices of the `n` smallest scores, of equal ones the first; in no order. O(n).
fn smallest(mut scored: Vec<((f64, f64), usize)>, n: usize) -> Vec<usize> {
    if n < scored.len() {
        scored.select_nth_unstable_by(n, |a, b| {
            order(a.0.0, b.0.0).then(order(a.0.1, b.0.1)).then(a.1.cmp(&b.1))
        });
        scored.truncate(n);
    }
    scored.into_iter().map(|(_, index)| index).collect()
}
