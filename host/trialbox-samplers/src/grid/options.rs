//! The options of a grid: the arguments of Optuna's `GridSampler`.

use crate::options::{Field, Options};
use std::collections::BTreeMap;
use trialbox_core::Json;

/// The largest number of cells; beyond it not even the order of the cells fits in memory with ease.
const MAX_CELLS: usize = 10_000_000;

/// Options of [`super::GridSampler`], with the names of Optuna 5.0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GridOptions {
    /// The values of each parameter, external: `{"lr": [0.1, 0.01], "depth": [1, 2, 3]}`. An empty grid has
    /// one cell, without parameters.
    pub search_space: BTreeMap<String, Vec<Json>>,
    /// Shuffles the cells. Processes that share a study must have the same one; Optuna takes 0 for `None`.
    pub seed: u32,
}

impl GridOptions {
    /// Returns the number of combinations.
    pub(super) fn n_cells(&self) -> usize {
        self.search_space.values().map(Vec::len).product()
    }

    fn search_space_json(&self) -> Json {
        let members = self.search_space.iter();
        Json::object(members.map(|(name, values)| (name.as_str(), Json::Array(values.clone()))))
    }
}

impl Options for GridOptions {
    const FIELDS: &'static [Field<Self>] = &[
        Field::custom("search_space", GridOptions::search_space_json, |it, value| {
            it.search_space = parse_space(value).ok_or(EXPECTED_SPACE)?;
            Ok(())
        }),
        Field::custom(
            "seed",
            |it| Json::from(it.seed),
            |it, value| {
                let seed = match value {
                    Json::Null => Some(0),
                    Json::Int(seed) => u32::try_from(*seed).ok(),
                    _ => None,
                };
                it.seed = seed.ok_or("a whole number from 0 to 4294967295, or null")?;
                Ok(())
            },
        ),
    ];
}

const EXPECTED_SPACE: &str = "an object with a list of values, not empty, for each parameter, such as \
     {\"lr\": [0.1, 0.01]}, with at most 10000000 combinations";

fn parse_space(value: &Json) -> Option<BTreeMap<String, Vec<Json>>> {
    let Json::Object(members) = value else { return None };
    let mut n_cells = 1usize;
    let mut space = BTreeMap::new();
    for (name, values) in members {
        let Json::Array(values) = values else { return None };
        let is_nested = values.iter().any(|it| matches!(it, Json::Array(_) | Json::Object(_)));
        n_cells = n_cells.checked_mul(values.len())?;
        if !(1..=MAX_CELLS).contains(&n_cells) || is_nested {
            return None;
        }
        space.insert(name.clone(), values.clone());
    }
    Some(space)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Configured;
    use crate::options::{changed, set};

    fn options(space: &str) -> Result<GridOptions, String> {
        let mut options = GridOptions::default();
        let space = Json::parse(space).expect("JSON");
        set(&mut options, GridOptions::owner(), "search_space", &space)
            .map_err(|error| error.to_string())?;
        Ok(options)
    }

    #[test]
    fn a_grid_is_read_and_remembered() {
        let found = options(r#"{"y": [1, 2.5], "a": ["x", null, true]}"#).expect("a grid");
        assert_eq!(found.n_cells(), 6);
        let remembered = Json::object(changed(&found)).to_string();
        assert_eq!(remembered, r#"{"search_space": {"a": ["x", null, true], "y": [1, 2.5]}}"#);
    }

    #[test]
    fn what_is_no_grid_is_refused() {
        for space in ["[1]", r#"{"a": 1}"#, r#"{"a": []}"#, r#"{"a": [[1]]}"#] {
            let message = options(space).expect_err(space);
            assert!(
                message
                    .contains("`search_space` of sampler `grid`: expected an object with a list"),
                "{message}"
            );
        }
        let huge: Vec<String> = (0..40).map(|i| format!("\"p{i}\": [0, 1, 2, 3]")).collect();
        assert!(options(&format!("{{{}}}", huge.join(", "))).is_err());
    }
}
