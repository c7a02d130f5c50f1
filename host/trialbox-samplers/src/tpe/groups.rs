//! The partition of all parameters into those that occur together, for `group`.

use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial};

/// Returns the parameters of the trials, divided so that each trial has all or none of a group's, as Optuna's
/// `_GroupDecomposedSearchSpace` divides them. A parameter's distribution is the oldest trial's;
/// single-valued parameters and groups without others are left out.
///
/// O(trials · parameters) while the groups do not change.
pub(super) fn groups<'a>(trials: impl IntoIterator<Item = &'a FrozenTrial>) -> Vec<SearchSpace> {
    let mut groups: Vec<Vec<(&str, &Distribution)>> = Vec::new();
    for trial in trials {
        let mut next = Vec::with_capacity(groups.len() + 1);
        let mut n_known = 0;
        for group in groups {
            let (with, without): (Vec<_>, Vec<_>) =
                group.into_iter().partition(|(name, _)| trial.param(name).is_some());
            n_known += with.len();
            next.extend([with, without].into_iter().filter(|group| !group.is_empty()));
        }
        if n_known < trial.params.len() {
            let mut new: Vec<(&str, &Distribution)> = Vec::new();
            for (name, param) in &trial.params {
                if !next.iter().flatten().any(|(known, _)| known == name) {
                    new.push((name, &param.distribution));
                }
            }
            next.push(new);
        }
        groups = next;
    }
    groups.into_iter().map(space_of).filter(|space| !space.is_empty()).collect()
}

/// Returns the parameters of a group that have more than one value.
fn space_of(group: Vec<(&str, &Distribution)>) -> SearchSpace {
    let several = group.into_iter().filter(|(_, distribution)| distribution.single().is_none());
    several.map(|(name, distribution)| (name.to_owned(), distribution.clone())).collect()
}
