//! Constraints: values of a trial besides its objectives that must not be positive, and their forms in a database.

use crate::study::batch::TrialBatch;
use crate::study::trial::{CONSTRAINT_PREFIX, FrozenTrial};
use crate::value::json::Json;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

/// The system attribute that holds a trial's constraints as a list without names, as samplers with a
/// `constraints_func` write it and Optuna up to 4.9 and its dashboard read it.
pub const CONSTRAINT_LIST: &str = "constraints";

/// The user attribute that names the constraints of a list which trialbox wrote.
pub const CONSTRAINT_NAMES: &str = "trialbox:constraint_names";

/// The form in which constraints are written. A trial never has both forms: readers add them up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConstraintFormat {
    /// A system attribute for each, under [`CONSTRAINT_PREFIX`].
    #[default]
    Named,
    /// The list [`CONSTRAINT_LIST`], and [`CONSTRAINT_NAMES`] beside it.
    Legacy,
}

impl ConstraintFormat {
    /// Returns the word on the command line and in a study.
    pub fn as_str(self) -> &'static str {
        match self {
            ConstraintFormat::Named => "named",
            ConstraintFormat::Legacy => "legacy",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [ConstraintFormat::Named, ConstraintFormat::Legacy]
            .into_iter()
            .find(|found| found.as_str() == text)
    }

    /// Adds all constraints of a trial to what is written of it. None of the values is NaN.
    pub fn write(self, constraints: &[(String, f64)], batch: &mut TrialBatch) {
        match self {
            ConstraintFormat::Named => batch.system_attrs.extend(
                constraints
                    .iter()
                    .map(|(name, value)| (format!("{CONSTRAINT_PREFIX}{name}"), (*value).into())),
            ),
            ConstraintFormat::Legacy if constraints.is_empty() => {}
            ConstraintFormat::Legacy => {
                let values = constraints.iter().map(|(_, value)| (*value).into()).collect();
                let names = constraints.iter().map(|(name, _)| name.clone().into()).collect();
                batch.system_attrs.push((CONSTRAINT_LIST.to_owned(), Json::Array(values)));
                batch.user_attrs.push((CONSTRAINT_NAMES.to_owned(), Json::Array(names)));
            }
        }
    }
}

impl fmt::Display for ConstraintFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Returns whether a constraint of this value is satisfied: at most 0, and not NaN.
pub fn is_satisfied(value: f64) -> bool {
    value <= 0.0
}

/// Returns whether a system attribute holds constraints, in either form.
pub fn is_constraint_attr(key: &str) -> bool {
    key == CONSTRAINT_LIST || key.starts_with(CONSTRAINT_PREFIX)
}

/// Constraints, each satisfied when its value is <= 0.
impl FrozenTrial {
    /// Returns the constraints by name: Optuna 5's attributes `constraints:<name>` laid over the older list
    /// `constraints`, whose entries are named by index.
    pub fn constraints(&self) -> BTreeMap<String, f64> {
        let mut constraints = BTreeMap::new();
        if let Some(Json::Array(list)) = self.system_attrs.get(CONSTRAINT_LIST) {
            let values = list.iter().enumerate();
            constraints.extend(
                values.filter_map(|(index, value)| Some((index.to_string(), value.as_f64()?))),
            );
        }
        for (key, value) in &self.system_attrs {
            if let (Some(name), Some(value)) = (key.strip_prefix(CONSTRAINT_PREFIX), value.as_f64())
            {
                constraints.insert(name.to_owned(), value);
            }
        }
        constraints
    }

    /// Returns the constraints for people: those of a list under the names that trialbox wrote beside it, in the order
    /// of the list, then the others.
    pub fn constraints_shown(&self) -> Vec<(String, f64)> {
        let mut constraints = self.constraints();
        let Some(Json::Array(names)) = self.user_attrs.get(CONSTRAINT_NAMES) else {
            return constraints.into_iter().collect();
        };
        let named: Vec<(String, f64)> = names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| {
                Some((name.as_str()?.to_owned(), constraints.remove(&index.to_string())?))
            })
            .collect();
        named.into_iter().chain(constraints).collect()
    }

    /// Returns whether every constraint is satisfied. A trial without any is feasible, as in Optuna 5.
    pub fn is_feasible(&self) -> bool {
        !self.has_constraints() || self.constraints().values().copied().all(is_satisfied)
    }

    /// Returns the violation of the constraints: the sum of the positive values, as in Optuna's samplers.
    pub fn violation(&self) -> f64 {
        if !self.has_constraints() {
            return 0.0;
        }
        self.constraints().values().filter(|value| **value > 0.0).sum()
    }

    /// Returns whether the trial has a constraint, without building the map of them: most trials have none.
    fn has_constraints(&self) -> bool {
        // The list and all named constraints are neighbours in the map: their keys begin with the same word.
        let from = (Bound::Included(CONSTRAINT_LIST), Bound::Unbounded);
        let attrs = self.system_attrs.range::<str, _>(from);
        let mut attrs = attrs.take_while(|(key, _)| key.starts_with(CONSTRAINT_LIST));
        attrs.any(|(key, value)| {
            key.starts_with(CONSTRAINT_PREFIX) || (key == CONSTRAINT_LIST && *value != Json::Null)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::trial::{TrialId, TrialNumber, TrialState};

    fn trial(system_attrs: Vec<(String, Json)>, user_attrs: Vec<(String, Json)>) -> FrozenTrial {
        FrozenTrial {
            id: TrialId(1),
            number: TrialNumber(0),
            state: TrialState::Complete,
            values: vec![1.0],
            datetime_start: None,
            datetime_complete: None,
            params: vec![],
            user_attrs: user_attrs.into_iter().collect(),
            system_attrs: system_attrs.into_iter().collect(),
            intermediate_values: BTreeMap::new(),
        }
    }

    fn pairs(constraints: &[(&str, f64)]) -> Vec<(String, f64)> {
        constraints.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn named_constraints_overlay_the_list() {
        let trial = trial(
            vec![
                ("constraints".to_owned(), Json::Array(vec![1.0.into(), (-1.0).into()])),
                ("constraints:0".to_owned(), (-2.0).into()),
                ("constraints:size".to_owned(), 0.0.into()),
            ],
            vec![],
        );
        let found: Vec<(String, f64)> = trial.constraints().into_iter().collect();
        assert_eq!(found, pairs(&[("0", -2.0), ("1", -1.0), ("size", 0.0)]));
        assert!(trial.is_feasible());
    }

    #[test]
    fn both_forms_say_by_how_much_which_constraint_is_violated() {
        let written = pairs(&[("size", 2.0), ("age", -1.0), ("cost", 0.5)]);
        let by_name = pairs(&[("age", -1.0), ("cost", 0.5), ("size", 2.0)]);
        for (format, shown) in
            [(ConstraintFormat::Named, &by_name), (ConstraintFormat::Legacy, &written)]
        {
            let mut batch = TrialBatch::default();
            format.write(&written, &mut batch);
            let trial = trial(batch.system_attrs, batch.user_attrs);
            assert_eq!(&trial.constraints_shown(), shown, "{format}");
            assert!(!trial.is_feasible());
            assert_eq!(trial.violation(), 2.5);
        }
    }

    #[test]
    fn a_trial_without_constraints_is_feasible_and_a_nan_is_not() {
        let list = |json: Json| trial(vec![("constraints".to_owned(), json)], vec![]);
        assert!(trial(vec![], vec![]).is_feasible());
        assert!(list(Json::Null).is_feasible());
        assert!(list(Json::Array(vec![])).is_feasible());
        assert!(!list(Json::Array(vec![f64::NAN.into()])).is_feasible());
        assert!(!list(Json::Array(vec![f64::INFINITY.into()])).is_feasible());
    }

    #[test]
    fn a_list_is_written_once_there_is_a_constraint() {
        let mut batch = TrialBatch::default();
        ConstraintFormat::Legacy.write(&[], &mut batch);
        assert!(batch.is_empty());
    }
}
