//! The parameters that a sampler draws jointly.

use crate::distribution::Distribution;
use std::collections::BTreeMap;

/// Parameters with their distributions, sorted by name as Optuna's relative search spaces are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchSpace {
    distributions: BTreeMap<String, Distribution>,
}

impl SearchSpace {
    /// Whether there is nothing to draw jointly.
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
