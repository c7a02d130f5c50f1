//! A study as a sampler and a pruner see it: its trials at one moment.

use crate::study::record::{StudyDirection, best_trial};
use crate::study::trial::{FrozenTrial, TrialNumber, TrialState};
use crate::value::json::Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// An immutable view of a study's trials, by number. For a sampler or a pruner, the trial that asks is not
/// among them.
#[derive(Debug, Clone)]
pub struct History {
    directions: Vec<StudyDirection>,
    trials: Vec<FrozenTrial>,
    study_attrs: BTreeMap<String, Json>,
    derived: Derived,
}

/// Functions of the trials, each computed when it is first asked for, and not at all for those who do not ask.
#[derive(Debug, Clone, Default)]
struct Derived {
    table: OnceLock<Table>,
    complete: OnceLock<Complete>,
    steps: OnceLock<HashMap<i64, StepValues>>,
    /// The index of the best trial.
    best: OnceLock<Option<usize>>,
}

/// The index of COMPLETE trials.
#[derive(Debug, Clone, Copy)]
struct Complete {
    n_trials: usize,
    last_step: Option<i64>,
}

/// The values that COMPLETE trials reported at one step.
#[derive(Debug, Clone, Default)]
struct StepValues {
    /// By trial.
    values: Vec<f64>,
    /// Only the steps that are asked for are sorted: few of them, where pruners look at intervals.
    sorted: OnceLock<Vec<f64>>,
}

/// The parameters of all trials, close together.
///
/// Nearly always all trials have the same parameters, with the same distributions, in the same order: one
/// *schema*. A reader of parameters need only read one trial of each schema, and the values.
#[derive(Debug, Clone)]
struct Table {
    /// The schema of each trial, and where its values begin in `values`.
    trials: Vec<(u32, usize)>,
    /// The index of the first trial of each schema.
    firsts: Vec<usize>,
    /// Internal values, trial by trial.
    values: Vec<f64>,
}

impl History {
    /// A history of `trials`, which are sorted by number here.
    pub fn new(directions: Vec<StudyDirection>, mut trials: Vec<FrozenTrial>) -> Self {
        trials.sort_by_key(|trial| trial.number);
        History { directions, trials, study_attrs: BTreeMap::new(), derived: Derived::default() }
    }

    /// Adds the system attributes of the study, for samplers that share some with Optuna's.
    pub fn with_study_attrs(self, study_attrs: BTreeMap<String, Json>) -> Self {
        History { study_attrs, ..self }
    }

    /// Takes a trial out, for the view that this trial itself is to have.
    pub fn take(&mut self, number: TrialNumber) -> Option<FrozenTrial> {
        let index = self.trials.binary_search_by_key(&number, |trial| trial.number).ok()?;
        self.derived = Derived::default();
        Some(self.trials.remove(index))
    }

    /// Takes over what has changed: trials that are new, and trials as they are now.
    pub fn update(&mut self, changed: Vec<FrozenTrial>) {
        // What COMPLETE trials reported costs most to gather, and changes least.
        if changed.iter().any(|trial| trial.state == TrialState::Complete) {
            self.derived = Derived::default();
        } else if !changed.is_empty() {
            // By index, which a trial that comes late may shift.
            (self.derived.table, self.derived.best) = (OnceLock::new(), OnceLock::new());
        }
        for trial in changed {
            match self.trials.binary_search_by_key(&trial.number, |found| found.number) {
                Ok(index) => self.trials[index] = trial,
                Err(index) => self.trials.insert(index, trial),
            }
        }
    }

    /// One direction for each objective.
    pub fn directions(&self) -> &[StudyDirection] {
        &self.directions
    }

    /// The system attributes of the study; empty unless the sampler reads them.
    pub fn study_attrs(&self) -> &BTreeMap<String, Json> {
        &self.study_attrs
    }

    /// All trials, by number.
    pub fn trials(&self) -> &[FrozenTrial] {
        &self.trials
    }

    /// The trials in one state, by number.
    pub fn in_state(&self, state: TrialState) -> impl Iterator<Item = &FrozenTrial> {
        self.trials.iter().filter(move |trial| trial.state == state)
    }

    /// The trials that taught something, COMPLETE or PRUNED, by number.
    pub fn evaluated(&self) -> impl Iterator<Item = &FrozenTrial> {
        self.trials.iter().filter(|trial| trial.state.is_evaluated())
    }

    /// The schema of a trial of this history and its internal values, in the order of its parameters. Trials
    /// of one schema have the same parameters, with the same distributions (see
    /// [`crate::space::distribution::Distribution::is_same`]), in the same order; schemas are counted from 0 in the
    /// order of their first trials. O(trials · parameters) the first time.
    pub fn row(&self, trial: &FrozenTrial) -> (usize, &[f64]) {
        let table = self.table();
        // Numbers are without gaps but for the trial that asks, which is mostly the last.
        let guess = trial.number.0 as usize;
        let index = match self.trials.get(guess) {
            Some(found) if found.number == trial.number => Some(guess),
            _ => self.trials.binary_search_by_key(&trial.number, |trial| trial.number).ok(),
        };
        let Some(index) = index else { return (0, &[]) };
        let (schema, start) = table.trials[index];
        (schema as usize, &table.values[start..start + trial.params.len()])
    }

    /// Returns the number of schemas.
    pub fn n_schemas(&self) -> usize {
        self.table().firsts.len()
    }

    /// Returns the number of COMPLETE trials. O(trials) the first time.
    pub fn n_complete(&self) -> usize {
        self.complete().n_trials
    }

    /// The largest step at which a COMPLETE trial reported. O(trials) the first time.
    pub fn last_complete_step(&self) -> Option<i64> {
        self.complete().last_step
    }

    /// Returns the values that COMPLETE trials reported at exactly this step, in ascending order, NaN last. O(reports)
    /// the first time, and O(n log n) the first time for a step of n reports.
    pub fn complete_values_at(&self, step: i64) -> &[f64] {
        let steps = self.derived.steps.get_or_init(|| {
            let mut steps = HashMap::<i64, StepValues>::new();
            for trial in self.in_state(TrialState::Complete) {
                for (step, value) in &trial.intermediate_values {
                    steps.entry(*step).or_default().values.push(*value);
                }
            }
            steps
        });
        match steps.get(&step) {
            Some(values) => values.sorted(),
            None => &[],
        }
    }

    /// The best trial of a single objective, as [`best_trial`]. O(trials) the first time.
    pub fn best_trial(&self) -> Option<&FrozenTrial> {
        let best = self.derived.best.get_or_init(|| {
            let [direction] = self.directions[..] else { return None };
            let best = best_trial(&self.trials, direction)?;
            self.trials.iter().position(|trial| trial.number == best.number)
        });
        best.map(|index| &self.trials[index])
    }

    fn table(&self) -> &Table {
        self.derived.table.get_or_init(|| Table::of(&self.trials))
    }

    fn complete(&self) -> &Complete {
        self.derived.complete.get_or_init(|| {
            let mut complete = Complete { n_trials: 0, last_step: None };
            for trial in self.in_state(TrialState::Complete) {
                complete.n_trials += 1;
                complete.last_step =
                    complete.last_step.max(trial.intermediate_values.keys().last().copied());
            }
            complete
        })
    }
}

impl StepValues {
    fn sorted(&self) -> &[f64] {
        self.sorted.get_or_init(|| {
            let mut sorted = self.values.clone();
            // Of `total_cmp` alone, a NaN with its sign set would be the first.
            sorted.sort_unstable_by(|a, b| a.is_nan().cmp(&b.is_nan()).then(a.total_cmp(b)));
            sorted
        })
    }
}

impl Table {
    fn of(trials: &[FrozenTrial]) -> Self {
        let n_params = trials.first().map_or(0, |trial| trial.params.len());
        let mut table = Table {
            trials: Vec::with_capacity(trials.len()),
            firsts: Vec::new(),
            values: Vec::with_capacity(trials.len() * n_params),
        };
        let mut schema = 0;
        for (index, trial) in trials.iter().enumerate() {
            schema = match table.find_schema(trials, trial, schema) {
                Some(found) => found,
                None => {
                    table.firsts.push(index);
                    table.firsts.len() - 1
                }
            };
            table.trials.push((schema as u32, table.values.len()));
            table.values.extend(trial.params.iter().map(|(_, param)| param.internal));
        }
        table
    }

    /// A trial's schema, if an earlier trial has it; `guess` is the likeliest.
    fn find_schema(
        &self,
        trials: &[FrozenTrial],
        trial: &FrozenTrial,
        guess: usize,
    ) -> Option<usize> {
        // The newest schemas first: of a search that changes, the old ones do not come back.
        let newest = (0..self.firsts.len()).rev().take(MAX_TRIED);
        Some(guess).into_iter().chain(newest).find(|schema| match self.firsts.get(*schema) {
            Some(first) => has_same_schema(&trials[*first], trial),
            None => false,
        })
    }
}

/// The number of schemas that a trial is compared with before it gets one of its own: where ranges change all the time,
/// comparing with all of them would cost more than it saves.
const MAX_TRIED: usize = 16;

fn has_same_schema(a: &FrozenTrial, b: &FrozenTrial) -> bool {
    a.params.len() == b.params.len()
        && a.params.iter().zip(&b.params).all(|((name_a, a), (name_b, b))| {
            name_a == name_b && a.distribution.is_same(&b.distribution)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::distribution::Distribution;
    use crate::study::trial::{Param, TrialId};
    use std::collections::BTreeMap;

    fn trial(number: u32, params: &[(&str, f64)]) -> FrozenTrial {
        let param = |high: f64| Param {
            distribution: Distribution::float(0.0, high, false, None).expect("a range"),
            internal: 0.25 * high,
        };
        FrozenTrial {
            id: TrialId(1),
            number: TrialNumber(number),
            state: TrialState::Complete,
            values: vec![0.0],
            datetime_start: None,
            datetime_complete: None,
            params: params.iter().map(|(name, high)| ((*name).to_owned(), param(*high))).collect(),
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
        }
    }

    #[test]
    fn complete_trials_are_looked_up_by_step() {
        let of = |number, state, values: &[(i64, f64)]| FrozenTrial {
            state,
            intermediate_values: values.iter().copied().collect(),
            values: vec![f64::from(number)],
            ..trial(number, &[])
        };
        let trials = vec![
            of(0, TrialState::Complete, &[(0, 3.0), (7, 1.0)]),
            of(1, TrialState::Complete, &[(0, -f64::NAN), (9, 1.0)]),
            of(2, TrialState::Complete, &[(0, f64::NEG_INFINITY)]),
            of(3, TrialState::Pruned, &[(0, 5.0), (11, 5.0)]),
        ];
        let mut history = History::new(vec![StudyDirection::Maximize], trials);
        let [low, high, nan] = history.complete_values_at(0) else { panic!("three values") };
        assert!(*low == f64::NEG_INFINITY && *high == 3.0 && nan.is_nan());
        assert_eq!(history.complete_values_at(7), [1.0]);
        assert_eq!(history.complete_values_at(11), []);
        assert_eq!((history.n_complete(), history.last_complete_step()), (3, Some(9)));
        assert_eq!(history.best_trial().map(|best| best.number), Some(TrialNumber(2)));
        history.take(TrialNumber(2));
        history.take(TrialNumber(1));
        assert_eq!(history.complete_values_at(0), [3.0]);
        assert_eq!((history.n_complete(), history.last_complete_step()), (1, Some(7)));
        assert_eq!(history.best_trial().map(|best| best.number), Some(TrialNumber(0)));
    }

    #[test]
    fn trials_with_the_same_parameters_share_a_schema() {
        let trials = vec![
            trial(0, &[("x", 1.0), ("y", 1.0)]),
            trial(1, &[("x", 1.0), ("y", 2.0)]),
            trial(2, &[]),
            trial(3, &[("x", 1.0), ("y", 1.0)]),
            trial(4, &[("y", 2.0), ("x", 1.0)]),
        ];
        let mut history = History::new(vec![], trials.clone());
        let schemas = |history: &History| -> Vec<usize> {
            history.trials().iter().map(|trial| history.row(trial).0).collect()
        };
        assert_eq!(schemas(&history), [0, 1, 2, 0, 3]);
        assert_eq!(history.n_schemas(), 4);
        assert_eq!(history.row(&trials[4]), (3, &[0.5, 0.25][..]));
        assert_eq!(history.row(&trials[2]), (2, &[][..]));
        assert_eq!(history.take(TrialNumber(1)).as_ref(), Some(&trials[1]));
        assert_eq!(schemas(&history), [0, 1, 0, 2]);
        history.update(vec![trials[1].clone(), trial(2, &[("z", 1.0)])]);
        assert_eq!(schemas(&history), [0, 1, 2, 0, 3]);
        history.update(Vec::new());
        assert_eq!(history.trials()[2], trial(2, &[("z", 1.0)]));
    }
}
