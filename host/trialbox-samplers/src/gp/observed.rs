//! A study as the model sees it: points of the trials, their losses, constraints and failures, and what still runs.

use super::space::Space;
use crate::relative_params;
use std::collections::BTreeMap;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{FrozenTrial, History, TrialState};

/// The system attributes that hold a joint draw, for simultaneous trials.
pub(crate) const RELATIVE_PARAMS: &str = "trialbox:sampler:gp:relative_params";

/// The largest number of trials that the model is conditioned on.
pub(super) const MAX_TRIALS: usize = 512;

/// The distance of simultaneous trials in the unit cube, in their most distant parameter.
const APART: f64 = 0.01;

/// The largest number of pending trials that are looked at.
const MAX_PENDING: usize = 128;

/// A constraint, or what stands for one: it is satisfied where a value is at most 0.
pub(crate) struct Constraint {
    pub(super) points: Vec<f64>,
    pub(super) values: Vec<f64>,
    /// True if the values stand for success and failure.
    pub(super) is_of_failures: bool,
}

/// A study's trials, as points with outcomes.
pub(crate) struct Observed {
    pub(crate) space: Space,
    /// The points of the finished trials that have losses, row after row.
    pub(super) points: Vec<f64>,
    /// The losses of each objective, one for each point.
    pub(crate) losses: Vec<Vec<f64>>,
    /// True where a point satisfies its constraints.
    pub(super) is_feasible: Vec<bool>,
    pub(crate) constraints: Vec<Constraint>,
    /// The points of running trials.
    pub(crate) pending: Vec<Vec<f64>>,
    /// The number of running trials whose points are not known yet.
    pub(super) n_unseen: usize,
    /// The number of finished trials that have losses; some of many are left out above.
    pub(super) n_finished: usize,
}

impl Observed {
    /// Returns the number of points.
    pub(crate) fn len(&self) -> usize {
        self.is_feasible.len()
    }

    /// Returns a point.
    pub(crate) fn point(&self, i: usize) -> &[f64] {
        let width = self.space.geometry.width();
        &self.points[i * width..(i + 1) * width]
    }

    /// Returns whether a running trial is so close to a point that the two would teach the same.
    pub(crate) fn is_beside_pending(&self, point: &[f64]) -> bool {
        self.pending.iter().any(|other| is_beside(other, point))
    }

    /// Gathers what the trials that `is_taken` tell about the parameters of `space`.
    pub(crate) fn new(
        history: &History,
        space: &SearchSpace,
        is_taken: impl Fn(&FrozenTrial) -> bool,
    ) -> Observed {
        let mut finished: Vec<(&FrozenTrial, Vec<f64>)> = Vec::new();
        for trial in history.trials().iter().filter(|trial| is_taken(trial)) {
            if !trial.params.is_empty()
                && let Some(losses) = losses(trial, history)
            {
                finished.push((trial, losses));
            }
        }
        let n_finished = finished.len();
        treat_pruned(&mut finished);
        let limit = max_trials(history, &finished);
        let finished = chosen(finished, limit);
        let mut learnt: Vec<&FrozenTrial> = finished.iter().map(|(trial, _)| *trial).collect();
        let failed = failed(history, &finished, &is_taken);
        learnt.extend(&failed);
        let space = Space::new(space, &learnt);
        let mut observed = Observed {
            points: Vec::new(),
            losses: vec![Vec::new(); history.directions().len()],
            is_feasible: Vec::new(),
            constraints: constraints(&space, &finished),
            pending: Vec::new(),
            n_unseen: 0,
            n_finished,
            space,
        };
        for (trial, losses) in &finished {
            observed.points.extend(observed.space.encode(trial));
            observed.is_feasible.push(trial.is_feasible());
            observed.losses.iter_mut().zip(losses).for_each(|(all, loss)| all.push(*loss));
        }
        observed.add_failures(&failed);
        observed.add_running(history);
        observed
    }

    /// Failures are learnt as a constraint is: −1 where trials finish, 1 where they fail.
    fn add_failures(&mut self, failed: &[&FrozenTrial]) {
        if failed.is_empty() {
            return;
        }
        let mut constraint = Constraint {
            points: self.points.clone(),
            values: vec![-1.0; self.len()],
            is_of_failures: true,
        };
        for trial in failed {
            constraint.points.extend(self.space.encode(trial));
            constraint.values.push(1.0);
        }
        self.constraints.push(constraint);
    }

    fn add_running(&mut self, history: &History) {
        let running: Vec<&FrozenTrial> = history.in_state(TrialState::Running).collect();
        // The newest: of many, the oldest are likelier to be dead.
        for trial in running.iter().rev().take(MAX_PENDING) {
            match self.running_point(trial) {
                Some(point) => self.pending.push(point),
                None => self.n_unseen += 1,
            }
        }
        self.pending.reverse();
    }

    /// Returns the point of a running trial, of its parameters and its joint draw.
    fn running_point(&self, trial: &FrozenTrial) -> Option<Vec<f64>> {
        let joint = relative_params::of_trial(RELATIVE_PARAMS, trial);
        let value = |name: &str| {
            let axis = self.space.axes.iter().find(|axis| axis.name == name)?;
            let external = match trial.param(name) {
                Some(param) => param.external(),
                None => joint.as_ref()?.get(name)?.clone(),
            };
            axis.distribution.to_internal(&external).ok()
        };
        let n_known = self.space.axes.iter().filter(|axis| value(&axis.name).is_some()).count();
        // A trial that has a part of its parameters may be about to get the others.
        let is_known = joint.is_some() || n_known == self.space.axes.len();
        (is_known && n_known > 0).then(|| self.space.encode_external(value))
    }
}

/// Returns a finished trial's losses; of a pruned one the last value, whatever its step.
fn losses(trial: &FrozenTrial, history: &History) -> Option<Vec<f64>> {
    let directions = history.directions();
    match trial.state {
        TrialState::Complete if trial.values.len() == directions.len() => {
            let both = trial.values.iter().zip(directions);
            Some(both.map(|(value, direction)| direction.to_minimize(*value)).collect())
        }
        TrialState::Pruned if directions.len() == 1 => {
            let (_, value) = trial.intermediate_values.last_key_value()?;
            Some(vec![directions[0].to_minimize(*value)])
        }
        _ => None,
    }
}

/// Raises the losses of pruned trials to the median of the others: a last value from an earlier step says nothing below
/// that.
fn treat_pruned(finished: &mut [(&FrozenTrial, Vec<f64>)]) {
    let complete = finished.iter().filter(|(trial, _)| trial.state == TrialState::Complete);
    let mut losses: Vec<f64> = complete.filter_map(|(_, losses)| losses.first().copied()).collect();
    losses.sort_by(f64::total_cmp);
    let Some(median) = losses.get(losses.len() / 2).copied() else { return };
    for (trial, losses) in finished {
        if trial.state == TrialState::Pruned {
            losses.iter_mut().for_each(|loss| *loss = if *loss > median { *loss } else { median });
        }
    }
}

/// Returns whether two points are nearer than [`APART`] in each feature.
pub(super) fn is_beside(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).fold(0.0f64, |most, (a, b)| (a - b).abs().max(most)) < APART
}

/// Returns the largest number of trials for the models of a study, whose costs grow with its square and with their
/// number: the objective, each constraint, and failures.
fn max_trials(history: &History, finished: &[(&FrozenTrial, Vec<f64>)]) -> usize {
    let n_constraints = finished.first().map_or(0, |(trial, _)| trial.constraints().len());
    let has_failed = history.in_state(TrialState::Fail).next().is_some();
    let n_models = 1 + n_constraints + usize::from(has_failed);
    (MAX_TRIALS as f64 / (n_models as f64).sqrt()) as usize
}

/// Returns the trials to condition on: of too many, the best half, and an even choice of the others.
fn chosen(finished: Vec<(&FrozenTrial, Vec<f64>)>, limit: usize) -> Vec<(&FrozenTrial, Vec<f64>)> {
    let n = finished.len();
    if n <= limit {
        return finished;
    }
    let keys: Vec<(f64, f64)> = finished
        .iter()
        .map(|(trial, losses)| (trial.violation(), losses.iter().sum::<f64>()))
        .collect();
    let is_chosen = best_and_even(n, limit, |a, b| {
        keys[a].0.total_cmp(&keys[b].0).then(keys[a].1.total_cmp(&keys[b].1))
    });
    let both = finished.into_iter().zip(is_chosen);
    both.filter_map(|(trial, is_chosen)| is_chosen.then_some(trial)).collect()
}

/// Chooses `limit` of `n` things: the best half of them by an order, and an even choice of the others.
pub(super) fn best_and_even(
    n: usize,
    limit: usize,
    order: impl Fn(usize, usize) -> std::cmp::Ordering,
) -> Vec<bool> {
    let mut by_worth: Vec<usize> = (0..n).collect();
    by_worth.sort_by(|a, b| order(*a, *b).then(a.cmp(b)));
    let mut is_chosen = vec![false; n];
    let (best, others) = by_worth.split_at((limit / 2).min(n));
    best.iter().for_each(|index| is_chosen[*index] = true);
    let n_even = (limit - best.len()).min(others.len());
    for place in 0..n_even {
        is_chosen[others[place * others.len() / n_even]] = true;
    }
    is_chosen
}

/// Returns the failed trials whose point has not succeeded elsewhere: those teach about the point, not about a node.
fn failed<'a>(
    history: &'a History,
    finished: &[(&FrozenTrial, Vec<f64>)],
    is_taken: &impl Fn(&FrozenTrial) -> bool,
) -> Vec<&'a FrozenTrial> {
    if finished.is_empty() {
        return vec![];
    }
    let mut failed: Vec<&FrozenTrial> = Vec::new();
    for trial in history.in_state(TrialState::Fail).filter(|trial| is_taken(trial)) {
        let is_whole = finished.iter().any(|(it, _)| it.params.len() <= trial.params.len());
        let succeeded = finished.iter().any(|(it, _)| it.has_values_of(&trial.params));
        if is_whole && !trial.params.is_empty() && !succeeded {
            failed.push(trial);
        }
    }
    let n_old = failed.len().saturating_sub(MAX_TRIALS / 4);
    failed.split_off(n_old)
}

fn constraints(space: &Space, finished: &[(&FrozenTrial, Vec<f64>)]) -> Vec<Constraint> {
    let mut constraints: BTreeMap<String, Constraint> = BTreeMap::new();
    for (trial, _) in finished {
        for (name, value) in trial.constraints() {
            let new = Constraint { points: vec![], values: vec![], is_of_failures: false };
            let constraint = constraints.entry(name).or_insert(new);
            constraint.points.extend(space.encode(trial));
            constraint.values.push(value);
        }
    }
    constraints.into_values().collect()
}
