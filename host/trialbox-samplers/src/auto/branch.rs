//! Branches of a conditional space: the combinations of those values that decide which parameters a trial has.
//!
//! A model of all branches looks hardly at those that started badly. One trial in four therefore goes to another branch
//! than the best trial's, with a model of that branch's trials alone.

use crate::gp::observed::Observed;
use crate::gp::{self, search};
use std::collections::BTreeMap;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial, History, TrialState};

/// The largest number of choices of a deciding parameter among which those without a trial are looked for.
const MAX_CHOICES: usize = 16;

/// The values of the deciding parameters, by name; those that are absent are left out.
type Branch = BTreeMap<String, f64>;

fn branch_of(trial: &FrozenTrial, deciding: &[String]) -> Branch {
    let values =
        deciding.iter().filter_map(|name| Some((name.clone(), trial.param(name)?.internal)));
    values.collect()
}

/// Returns the values of a trial in another branch than the best one's, by name; `None` if there is no other. `turn`
/// counts through the others.
pub(super) fn propose(
    ask: &Ask,
    observed: &Observed,
    space: &SearchSpace,
    turn: u64,
    rng: &mut TrialRng,
) -> Option<BTreeMap<String, f64>> {
    let deciding = observed.space.deciding();
    let best = best_trial(ask.history)?;
    let others = others(ask.history, space, &deciding, &branch_of(best, &deciding));
    let branch = others.get(turn.checked_rem(others.len() as u64)? as usize)?;
    let mut params = branch.clone();
    let is_in_branch = |trial: &FrozenTrial| branch_of(trial, &deciding) == *branch;
    let free = free_space(ask.history, space, &deciding, is_in_branch);
    if free.is_empty() {
        return Some(params);
    }
    let observed = Observed::new(ask.history, &free, is_in_branch);
    // Under a model of fewer trials than parameters, the corners look best, one after another.
    let point = if observed.len() < free.len().max(2) {
        search::even_points(&observed.space, 1, rng).pop()?
    } else {
        gp::propose(ask, &observed, None, rng).0
    };
    params.extend(observed.space.decode(&point));
    Some(params)
}

/// Returns the best COMPLETE trial of a single objective; one that violates its constraints only if all do.
fn best_trial(history: &History) -> Option<&FrozenTrial> {
    let [direction] = history.directions() else { return None };
    let complete = history.in_state(TrialState::Complete);
    let loss = |trial: &FrozenTrial| direction.to_minimize(trial.value().unwrap_or(f64::NAN));
    complete.min_by(|a, b| {
        let by_violation = a.violation().total_cmp(&b.violation());
        by_violation.then(loss(a).total_cmp(&loss(b)))
    })
}

/// Returns the branches but the best one: those of evaluated trials, and of a single deciding parameter's choices that
/// no trial had.
fn others(
    history: &History,
    space: &SearchSpace,
    deciding: &[String],
    best: &Branch,
) -> Vec<Branch> {
    let mut branches: Vec<Branch> = Vec::new();
    for trial in history.evaluated() {
        let branch = branch_of(trial, deciding);
        if branch != *best && !branch.is_empty() && !branches.contains(&branch) {
            branches.push(branch);
        }
    }
    if let [name] = deciding
        && let Some(Distribution::Categorical(categorical)) = space.get(name)
        && categorical.choices().len() <= MAX_CHOICES
    {
        for choice in 0..categorical.choices().len() {
            let branch = Branch::from([(name.clone(), choice as f64)]);
            if branch != *best && !branches.contains(&branch) {
                branches.push(branch);
            }
        }
    }
    // Out of range, where a user fixed a value so: not for a sampler to repeat.
    branches.retain(|branch| {
        branch.iter().all(|(name, value)| space.get(name).is_some_and(|it| it.contains(*value)))
    });
    branches
}

/// Returns the parameters that trials of the branch have beside the deciding ones.
fn free_space(
    history: &History,
    space: &SearchSpace,
    deciding: &[String],
    is_in_branch: impl Fn(&FrozenTrial) -> bool,
) -> SearchSpace {
    let trials = history.evaluated();
    let params = trials.filter(|trial| is_in_branch(trial)).flat_map(|trial| &trial.params);
    let mut free = Vec::new();
    for (name, _) in params {
        if let Some(distribution) = space.get(name)
            && !deciding.contains(name)
        {
            free.push((name.clone(), distribution.clone()));
        }
    }
    free.into_iter().collect()
}
