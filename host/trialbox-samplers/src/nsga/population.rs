//! Generations: which trials belong to one, and the parents of the next.
//!
//! Trials carry their generation in an attribute that Optuna's `BaseGASampler` reads and writes too. Its workers also
//! keep the parents of each generation in the study; where they have done so, those are the parents.

use super::kept::{self, Kept};
use crate::tpe::order;
use std::collections::BTreeMap;
use trialbox_core::{FrozenTrial, History, Json, StudyDirection, TrialNumber, TrialState};

/// The class of Optuna's whose attributes are shared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// The attribute of a trial that holds its generation.
    pub(super) generation: &'static str,
    /// The beginning of the study's attributes that hold the ids of a generation's parents.
    pub(super) parents: &'static str,
}

impl Names {
    /// Returns the generation of a trial, if it has one.
    pub(super) fn generation_in(self, attrs: &BTreeMap<String, Json>) -> Option<i64> {
        attrs.get(self.generation)?.as_i64().filter(|generation| *generation >= 0)
    }
}

/// The parents of a generation.
pub(super) struct Chosen<'a> {
    /// In the order of their numbers.
    pub(super) parents: Vec<&'a FrozenTrial>,
    /// The choice for an attribute; `None` if the study has it already.
    pub(super) news: Option<Kept>,
}

/// The COMPLETE trials by generation, each in the order of their numbers.
pub(super) struct Generations<'a> {
    names: Names,
    history: &'a History,
    members: BTreeMap<i64, Vec<&'a FrozenTrial>>,
}

impl<'a> Generations<'a> {
    /// Reads a history.
    pub(super) fn of(history: &'a History, names: Names) -> Self {
        let mut members: BTreeMap<i64, Vec<&FrozenTrial>> = BTreeMap::new();
        for trial in history.in_state(TrialState::Complete) {
            let is_measured = trial.values.len() == history.directions().len();
            if let (Some(generation), true) =
                (names.generation_in(&trial.system_attrs), is_measured)
            {
                members.entry(generation).or_default().push(trial);
            }
        }
        Generations { names, history, members }
    }

    /// Returns the generation of a trial that starts now: the last one until it has `population_size` trials.
    pub(super) fn current(&self, population_size: usize) -> i64 {
        match self.members.last_key_value() {
            Some((last, members)) if members.len() >= population_size => last.saturating_add(1),
            Some((last, _)) => *last,
            None => 0,
        }
    }

    /// Returns the parents of a generation, by number: of each generation before, `select` chooses from its trials and
    /// its own parents. It is told the generation that it chooses for.
    ///
    /// A late result changes the choice, unless a worker of Optuna's has made it.
    pub(super) fn parents(
        &self,
        generation: i64,
        fingerprint: u64,
        mut select: impl FnMut(i64, &[&'a FrozenTrial]) -> Vec<&'a FrozenTrial>,
    ) -> Chosen<'a> {
        let (mut parents, start) = self.kept_parents(generation);
        if start >= generation {
            return Chosen { parents, news: None };
        }
        let mut from = start;
        if let Some((chosen, of)) = self.chosen_before(start, generation, fingerprint) {
            (parents, from) = (chosen, of);
        }
        let is_news = from < generation;
        for (number, members) in self.members.range(from..generation) {
            let mut candidates = members.clone();
            candidates.extend(&parents);
            parents = select(number.saturating_add(1), &candidates);
            parents.sort_by_key(|trial| trial.number);
        }
        let numbers = parents.iter().map(|trial| trial.number).collect();
        let n_before = self.n_before(generation);
        let kept = Kept { generation, start, n_before, parents: numbers };
        Chosen { parents, news: is_news.then_some(kept) }
    }

    /// Returns the number of trials of the generations before.
    fn n_before(&self, generation: i64) -> usize {
        self.members.range(..generation).map(|(_, members)| members.len()).sum()
    }

    /// Returns the parents that a trial chose for the latest generation after `start` and up to `generation`, and that
    /// generation, if the choice would be the same today.
    fn chosen_before(
        &self,
        start: i64,
        generation: i64,
        fingerprint: u64,
    ) -> Option<(Vec<&'a FrozenTrial>, i64)> {
        self.history.trials().iter().rev().find_map(|trial| {
            let kept = kept::of_trial(trial, fingerprint)?;
            let is_usable = (start + 1..=generation).contains(&kept.generation)
                && kept.start == start
                && kept.n_before == self.n_before(kept.generation);
            if !is_usable {
                return None;
            }
            let of_number = |number: &TrialNumber| {
                let trials = self.history.trials();
                let index = trials.binary_search_by_key(number, |trial| trial.number).ok()?;
                Some(&trials[index]).filter(|it| it.state == TrialState::Complete)
            };
            let parents = kept.parents.iter().map(of_number).collect::<Option<Vec<_>>>()?;
            let n_objectives = self.history.directions().len();
            let are_measured = parents.iter().all(|it| it.values.len() == n_objectives);
            are_measured.then_some((parents, kept.generation))
        })
    }

    /// Returns the latest parents that the study keeps, and their generation.
    fn kept_parents(&self, generation: i64) -> (Vec<&'a FrozenTrial>, i64) {
        let mut latest: Option<(i64, &[Json])> = None;
        for (key, value) in self.history.study_attrs() {
            let number = key.strip_prefix(self.names.parents).and_then(|it| it.parse().ok());
            let (Some(kept), Json::Array(ids)) = (number, value) else { continue };
            if (1..=generation).contains(&kept) && latest.is_none_or(|(other, _)| other < kept) {
                latest = Some((kept, ids));
            }
        }
        let Some((kept, ids)) = latest else { return (Vec::new(), 0) };
        let ids: std::collections::BTreeSet<i64> = ids.iter().filter_map(Json::as_i64).collect();
        let n_objectives = self.history.directions().len();
        let parents = self.history.in_state(TrialState::Complete);
        let parents =
            parents.filter(|it| ids.contains(&it.id.0) && it.values.len() == n_objectives);
        (parents.collect(), kept)
    }
}

/// Returns how far a trial is from satisfying its constraints: 0 if it does, infinity if one is NaN.
pub(super) fn penalty(trial: &FrozenTrial) -> f64 {
    match trial.violation() {
        violation if violation > 0.0 => violation,
        _ if trial.is_feasible() => 0.0,
        _ => f64::INFINITY,
    }
}

/// Returns whether one trial dominates another: by its values, but a trial that violates its constraints less comes
/// first.
pub(super) fn dominates(
    first: &FrozenTrial,
    second: &FrozenTrial,
    directions: &[StudyDirection],
) -> bool {
    let (penalty_1, penalty_2) = (penalty(first), penalty(second));
    if penalty_1 > 0.0 || penalty_2 > 0.0 {
        return penalty_1 < penalty_2;
    }
    let pairs = first.values.iter().zip(&second.values).zip(directions);
    let mut is_better = false;
    for ((a, b), direction) in pairs {
        match order(direction.to_minimize(*a), direction.to_minimize(*b)) {
            std::cmp::Ordering::Less => is_better = true,
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => return false,
        }
    }
    is_better
}
