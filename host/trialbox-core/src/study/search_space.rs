//! The parameters that a sampler draws jointly.

use crate::space::distribution::Distribution;
use crate::study::trial::FrozenTrial;
use std::collections::BTreeMap;

/// Parameters with their distributions, sorted by name as Optuna's relative search spaces are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchSpace {
    distributions: BTreeMap<String, Distribution>,
}

impl SearchSpace {
    /// The parameters that every one of the trials has, with equal distributions, without those that can
    /// take only one value: what Optuna's `IntersectionSearchSpace` gives. Empty without trials; one trial
    /// without parameters empties it. O(trials · parameters).
    pub fn intersection<'a>(trials: impl IntoIterator<Item = &'a FrozenTrial>) -> Self {
        let mut trials = trials.into_iter();
        let Some(first) = trials.next() else { return SearchSpace::default() };
        let mut common: Vec<(usize, &str, &Distribution)> = first
            .params
            .iter()
            .enumerate()
            .map(|(place, (name, param))| (place, name.as_str(), &param.distribution))
            .collect();
        for trial in trials {
            common.retain(|(place, name, distribution)| {
                // Nearly always a parameter has the same place in every trial.
                let param = match trial.params.get(*place) {
                    Some((found, param)) if found == name => Some(param),
                    _ => trial.param(name),
                };
                match param {
                    Some(param) => param.distribution.is_same(distribution),
                    None => false,
                }
            });
        }
        common
            .into_iter()
            .filter(|(_, _, distribution)| distribution.single().is_none())
            .map(|(_, name, distribution)| (name.to_owned(), distribution.clone()))
            .collect()
    }

    /// Returns the parameters that a value can be drawn for; see [`Distribution::require_drawable`]. Other programs can
    /// store others, and their arithmetic would spoil a joint draw.
    pub fn drawable(mut self) -> Self {
        self.distributions.retain(|_, distribution| distribution.require_drawable().is_ok());
        self
    }

    /// Returns whether the space has no parameter.
    pub fn is_empty(&self) -> bool {
        self.distributions.is_empty()
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.distributions.len()
    }

    /// The distribution of one parameter.
    pub fn get(&self, name: &str) -> Option<&Distribution> {
        self.distributions.get(name)
    }

    /// The parameters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Distribution)> {
        self.distributions.iter().map(|(name, distribution)| (name.as_str(), distribution))
    }
}

impl FromIterator<(String, Distribution)> for SearchSpace {
    fn from_iter<I: IntoIterator<Item = (String, Distribution)>>(parameters: I) -> Self {
        SearchSpace { distributions: parameters.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::trial::{Param, TrialId, TrialNumber, TrialState};
    use crate::value::json::Json;
    use std::collections::BTreeMap;

    fn trial(params: &[(&str, Distribution)]) -> FrozenTrial {
        let param = |distribution: &Distribution| Param {
            distribution: distribution.clone(),
            internal: 0.0,
        };
        FrozenTrial {
            id: TrialId(1),
            number: TrialNumber(0),
            state: TrialState::Complete,
            values: vec![0.0],
            datetime_start: None,
            datetime_complete: None,
            params: params.iter().map(|(name, it)| ((*name).to_owned(), param(it))).collect(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
        }
    }

    fn float(high: f64) -> Distribution {
        Distribution::float(0.0, high, false, None).expect("a range")
    }

    #[track_caller]
    fn check(trials: &[FrozenTrial], want: &[&str]) {
        let space = SearchSpace::intersection(trials);
        assert_eq!(space.iter().map(|(name, _)| name).collect::<Vec<_>>(), want);
    }

    #[test]
    fn the_intersection_has_what_all_trials_have_with_equal_distributions() {
        let choices = |list: &[Json]| Distribution::categorical(list.to_vec()).expect("choices");
        let all = [("z", float(1.0)), ("a", float(2.0)), ("single", float(0.0))];
        check(&[], &[]);
        check(&[trial(&all)], &["a", "z"]);
        let reversed: Vec<_> = all.iter().rev().cloned().collect();
        check(&[trial(&all), trial(&reversed)], &["a", "z"]);
        check(&[trial(&all), trial(&[("z", float(1.0)), ("a", float(2.5))])], &["z"]);
        check(&[trial(&all), trial(&[]), trial(&all)], &[]);
        let int = [("c", choices(&[1i64.into(), f64::NAN.into()]))];
        let float = [("c", choices(&[1.0.into(), f64::NAN.into()]))];
        check(&[trial(&int), trial(&float)], &["c"]);
    }
}
