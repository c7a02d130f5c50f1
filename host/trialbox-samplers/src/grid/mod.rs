//! Every combination of given values, once.

mod mt19937;
mod options;

pub use options::GridOptions;

use crate::RandomSampler;
use crate::config::Configured;
use crate::error::ConfigError;
use mt19937::Mt19937;
use std::collections::BTreeSet;
use trialbox_core::seam::rng::{TrialRng, below};
use trialbox_core::seam::sampler::Ask;
use trialbox_core::{Distribution, History, Json, Sampler, TrialState};

/// The system attribute that holds a trial's cell: Optuna's.
const GRID_ID_ATTR: &str = "grid_id";
/// The system attribute that holds the grid which the cell is of: Optuna's.
const SEARCH_SPACE_ATTR: &str = "search_space";

/// Tries every combination of the values given for each parameter. As Optuna's `GridSampler`, and together
/// with it: Python's workers number the cells alike and see in the database which are taken.
///
/// Trial n takes cell n, and once the numbers are beyond the grid a random cell that no trial has; then one
/// that no trial has finished, because a RUNNING trial may yet die. The search is exhausted when every cell is
/// finished, by whatever end; so simultaneous trials can try a cell twice.
///
/// A parameter that the grid does not have, and one whose value the objective's range cannot take, is random:
/// a sampler cannot fail. Optuna fails such a trial, or uses the value all the same.
#[derive(Debug, Clone)]
pub struct GridSampler {
    /// Names in ascending order, each with its values as given.
    space: Vec<(String, Vec<Json>)>,
    /// Cells by id: their places in the order in which the last name's values vary fastest.
    cells: Vec<usize>,
}

impl GridSampler {
    /// Creates a sampler of the grid.
    pub fn new(options: &GridOptions) -> Self {
        let space: Vec<_> = options.search_space.clone().into_iter().collect();
        let mut cells: Vec<usize> = (0..options.n_cells()).collect();
        Mt19937::new(options.seed).shuffle(&mut cells);
        GridSampler { space, cells }
    }

    /// Returns the value that a cell gives a parameter.
    fn value(&self, cell: usize, name: &str) -> Option<&Json> {
        let mut place = *self.cells.get(cell)?;
        // The last name varies fastest, so its part of the place is taken off first.
        for (found, values) in self.space.iter().rev() {
            let value = &values[place % values.len()];
            if found == name {
                return Some(value);
            }
            place /= values.len();
        }
        None
    }

    /// Returns the cells that no trial has finished; of these, those that no trial has begun, if there are any.
    fn open_cells(&self, history: &History) -> Vec<usize> {
        let (mut finished, mut running) = (BTreeSet::new(), BTreeSet::new());
        for trial in history.trials() {
            let Some(cell) = self.cell(&trial.system_attrs) else { continue };
            if trial.state.is_finished() {
                finished.insert(cell);
            } else if trial.state == TrialState::Running {
                running.insert(cell);
            }
        }
        let unfinished = (0..self.cells.len()).filter(|cell| !finished.contains(cell));
        let (begun, open): (Vec<usize>, Vec<usize>) =
            unfinished.partition(|cell| running.contains(cell));
        if open.is_empty() { begun } else { open }
    }

    /// Returns the cell that a trial is marked with, if it is of this grid.
    fn cell(&self, attrs: &std::collections::BTreeMap<String, Json>) -> Option<usize> {
        let cell = attrs.get(GRID_ID_ATTR)?.as_i64()?;
        let is_ours = self.is_this_grid(attrs.get(SEARCH_SPACE_ATTR)?);
        let cell = usize::try_from(cell).ok()?;
        if is_ours && cell < self.cells.len() { Some(cell) } else { None }
    }

    fn is_this_grid(&self, search_space: &Json) -> bool {
        let Json::Object(members) = search_space else { return false };
        members.len() == self.space.len()
            && self.space.iter().all(|(name, values)| {
                matches!(search_space.get(name), Some(Json::Array(found))
                    if found.len() == values.len()
                        && found.iter().zip(values).all(|(found, value)| found.python_eq(value)))
            })
    }

    fn search_space_json(&self) -> Json {
        let space = self.space.iter();
        Json::object(space.map(|(name, values)| (name.as_str(), Json::Array(values.clone()))))
    }
}

impl Configured<dyn Sampler> for GridOptions {
    const NAME: &'static str = "grid";
    const OPTUNA: &'static str = "GridSampler";
    const SUMMARY: &'static str = "every combination of given values: \
         `search_space={\"lr\": [0.1, 0.01]}`";

    fn build(&self) -> Box<dyn Sampler> {
        Box::new(GridSampler::new(self))
    }

    fn check_complete(&self) -> Result<(), ConfigError> {
        if !self.search_space.is_empty() {
            return Ok(());
        }
        Err(ConfigError::Missing {
            owner: Self::owner(),
            option: "`search_space`",
            example: r#"search_space={"lr": [0.1, 0.01], "depth": [1, 2, 3]}"#,
        })
    }
}

impl Sampler for GridSampler {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn before_trial(&self, ask: &Ask, rng: &mut TrialRng) -> Vec<(String, Json)> {
        if ask.system_attrs.contains_key(GRID_ID_ATTR) {
            return Vec::new();
        }
        let number = ask.number.0 as usize;
        let cell = if number < self.cells.len() {
            number
        } else {
            let open = self.open_cells(ask.history);
            let n_choices = if open.is_empty() { self.cells.len() } else { open.len() };
            let chosen = below(n_choices as u64, rng) as usize;
            open.get(chosen).copied().unwrap_or(chosen)
        };
        vec![
            (SEARCH_SPACE_ATTR.to_owned(), self.search_space_json()),
            (GRID_ID_ATTR.to_owned(), Json::from(cell as u64)),
        ]
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        distribution: &Distribution,
        rng: &mut TrialRng,
    ) -> f64 {
        let value = self.cell(ask.system_attrs).and_then(|cell| self.value(cell, name));
        let internal = value.and_then(|value| distribution.to_internal(value).ok());
        match internal.filter(|internal| distribution.contains(*internal)) {
            Some(internal) => internal,
            None => {
                let (trial, value) = (ask.number.0, value.map(Json::to_string));
                let range = distribution;
                tracing::warn!(
                    trial,
                    name,
                    value,
                    %range,
                    "the grid has no value that fits, so it is random"
                );
                RandomSampler.sample_independent(ask, name, distribution, rng)
            }
        }
    }

    fn is_finite(&self) -> bool {
        true
    }

    fn is_exhausted(&self, history: &History) -> bool {
        self.open_cells(history).is_empty()
    }

    fn is_taken(&self, history: &History) -> bool {
        let mut taken = BTreeSet::new();
        for trial in history.trials() {
            let has_started = trial.state != TrialState::Waiting;
            taken.extend(self.cell(&trial.system_attrs).filter(|_| has_started));
        }
        taken.len() == self.cells.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ask, trial_with};
    use std::collections::BTreeMap;
    use trialbox_core::seam::rng::trial_rng;
    use trialbox_core::{FrozenTrial, StudyDirection, TrialNumber};

    fn grid() -> GridSampler {
        let mut search_space = BTreeMap::new();
        for (name, values) in [("y", &[10, 20, 30][..]), ("a", &[1, 2])] {
            let values = values.iter().map(|value: &i64| Json::from(*value)).collect();
            search_space.insert(name.to_owned(), values);
        }
        GridSampler::new(&GridOptions { search_space, seed: 0 })
    }

    fn marked(number: u32, state: TrialState, cell: u64) -> FrozenTrial {
        let mut found = trial_with(number, state, &[]);
        found.system_attrs.insert(GRID_ID_ATTR.to_owned(), cell.into());
        found.system_attrs.insert(SEARCH_SPACE_ATTR.to_owned(), grid().search_space_json());
        found
    }

    fn history(trials: Vec<FrozenTrial>) -> History {
        History::new(vec![StudyDirection::Minimize], trials)
    }

    fn cell_of(history: &History, number: u32) -> i64 {
        let mut rng = trial_rng(1, TrialNumber(number));
        let attrs =
            grid().before_trial(&Ask { number: TrialNumber(number), ..ask(history) }, &mut rng);
        let (_, cell) = attrs.into_iter().find(|(key, _)| key == GRID_ID_ATTR).expect("a cell");
        cell.as_i64().expect("a number")
    }

    /// `GridSampler({"y": [10, 20, 30], "a": [1, 2]})._all_grids` of Optuna 5.0.
    #[test]
    fn the_cells_are_numbered_as_by_optuna() {
        let want = [[2, 30], [1, 30], [1, 20], [2, 10], [1, 10], [2, 20]];
        for (cell, want) in want.into_iter().enumerate() {
            let found = ["a", "y"].map(|name| grid().value(cell, name).and_then(Json::as_i64));
            assert_eq!(found, want.map(Some), "{cell}");
        }
        assert_eq!(grid().search_space_json().to_string(), r#"{"a": [1, 2], "y": [10, 20, 30]}"#);
    }

    fn all_but(open: u32, state: TrialState) -> Vec<FrozenTrial> {
        let others = (0..6).filter(|cell| *cell != open);
        others.map(|cell| marked(10 + cell, state, cell.into())).collect()
    }

    #[test]
    fn a_trial_takes_the_cell_of_its_number_then_an_open_one_then_an_unfinished_one() {
        let nothing = history(vec![]);
        assert_eq!(
            (0..6).map(|number| cell_of(&nothing, number)).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5]
        );
        for number in 20..30 {
            assert_eq!(cell_of(&history(all_but(4, TrialState::Running)), number), 4);
            let mut begun = all_but(2, TrialState::Fail);
            begun.push(marked(19, TrialState::Running, 2));
            assert_eq!(cell_of(&history(begun), number), 2);
        }
    }

    #[test]
    fn the_search_ends_when_every_cell_of_this_very_grid_is_finished() {
        let mut trials: Vec<FrozenTrial> =
            (0..6).map(|cell| marked(cell, TrialState::Complete, cell.into())).collect();
        assert!(grid().is_exhausted(&history(trials.clone())));
        trials[3].state = TrialState::Running;
        assert!(!grid().is_exhausted(&history(trials.clone())));
        trials[3].state = TrialState::Pruned;
        trials[3].system_attrs.insert(
            SEARCH_SPACE_ATTR.to_owned(),
            Json::parse(r#"{"a": [1, 2], "y": [10, 20, 31]}"#).expect("JSON"),
        );
        assert!(!grid().is_exhausted(&history(trials.clone())));
        trials[3].system_attrs.insert(
            SEARCH_SPACE_ATTR.to_owned(),
            Json::parse(r#"{"y": [10.0, 20, 30], "a": [1, 2]}"#).expect("JSON"),
        );
        assert!(grid().is_exhausted(&history(trials)));
    }

    #[test]
    fn a_parameter_has_its_cells_value_and_a_value_out_of_range_is_random() {
        let attrs: BTreeMap<String, Json> = marked(0, TrialState::Running, 1).system_attrs;
        let nothing = history(vec![]);
        let ask = Ask { system_attrs: &attrs, ..ask(&nothing) };
        let draw = |name: &str, distribution: Distribution| {
            grid().sample_independent(&ask, name, &distribution, &mut trial_rng(1, TrialNumber(0)))
        };
        let want = grid().value(1, "y").and_then(Json::as_f64).expect("a value");
        assert_eq!(draw("y", Distribution::int(0, 40, false, 1).expect("a range")), want);
        let choices = [30, 20, 10].map(|choice: i64| Json::from(choice)).to_vec();
        let index = draw("y", Distribution::categorical(choices).expect("choices"));
        assert_eq!(30.0 - 10.0 * index, want);
        let narrow = Distribution::int(0, 5, false, 1).expect("a range");
        assert!(narrow.contains(draw("y", narrow.clone())));
        assert!(narrow.contains(draw("unknown", narrow.clone())));
    }
}
