//! A study: what its trials have in common, and which of them are best.

use crate::study::trial::{FrozenTrial, TrialState, UtcDateTime};
use crate::value::json::Json;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// A study's key in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StudyId(pub i64);

/// The direction in which an objective is optimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StudyDirection {
    /// Small values are good.
    Minimize,
    /// Large values are good.
    Maximize,
}

impl StudyDirection {
    /// The database's word, in upper case.
    pub fn as_str(self) -> &'static str {
        match self {
            StudyDirection::Minimize => "MINIMIZE",
            StudyDirection::Maximize => "MAXIMIZE",
        }
    }

    /// Reads the database's word.
    pub fn parse(text: &str) -> Option<Self> {
        [StudyDirection::Minimize, StudyDirection::Maximize]
            .into_iter()
            .find(|found| found.as_str() == text)
    }

    /// The value with its sign changed, if need be, so that smaller is better.
    pub fn to_minimize(self, value: f64) -> f64 {
        match self {
            StudyDirection::Minimize => value,
            StudyDirection::Maximize => -value,
        }
    }
}

/// In lower case, as on the command line.
impl fmt::Display for StudyDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            StudyDirection::Minimize => "minimize",
            StudyDirection::Maximize => "maximize",
        })
    }
}

/// A study that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStudy {
    /// At most 512 characters, unique in its database.
    pub name: String,
    /// One for each objective, at least one.
    pub directions: Vec<StudyDirection>,
    /// Attributes to begin with.
    pub user_attrs: Vec<(String, Json)>,
    /// Attributes to begin with.
    pub system_attrs: Vec<(String, Json)>,
}

/// A study without its trials.
#[derive(Debug, Clone, PartialEq)]
pub struct StudyRecord {
    /// The database's key.
    pub id: StudyId,
    /// Its name.
    pub name: String,
    /// One for each objective.
    pub directions: Vec<StudyDirection>,
    /// The attributes of users, and under `trialbox:` those that all jobs of the study share.
    pub user_attrs: BTreeMap<String, Json>,
    /// The attributes of samplers and of Optuna.
    pub system_attrs: BTreeMap<String, Json>,
}

impl StudyRecord {
    /// The names of the objectives, if there is one for each.
    pub fn metric_names(&self) -> Option<Vec<String>> {
        let Some(Json::Array(names)) = self.system_attrs.get(METRIC_NAMES) else { return None };
        // Optuna checks the number when it sets the names, but any program can write the attribute.
        if names.len() != self.directions.len() {
            return None;
        }
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    }
}

/// The system attribute that holds the names of a study's objectives.
pub const METRIC_NAMES: &str = "study:metric_names";

/// A study with what a list of studies shows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StudySummary {
    /// The study.
    pub study: StudyRecord,
    /// The number of trials in each state; states without any are left out.
    pub n_trials: BTreeMap<TrialState, u64>,
    /// The time at which its first trial started.
    pub datetime_start: Option<UtcDateTime>,
}

/// The best trial of a study with one objective: COMPLETE, feasible, and of equals the first.
///
/// NaN never occurs in a COMPLETE trial; the infinities order as numbers do. With no feasible trial there
/// is no best one, as in Optuna 5.
pub fn best_trial(trials: &[FrozenTrial], direction: StudyDirection) -> Option<&FrozenTrial> {
    trials
        .iter()
        .filter(|trial| trial.state == TrialState::Complete && trial.is_feasible())
        .filter_map(|trial| Some((direction.to_minimize(trial.value()?), trial)))
        // Not by `total_cmp`, which takes -0.0 for less than 0.0.
        .min_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal))
        .map(|(_, trial)| trial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::trial::{TrialId, TrialNumber};

    fn trial(number: u32, state: TrialState, values: &[f64]) -> FrozenTrial {
        FrozenTrial {
            id: TrialId(i64::from(number) + 1),
            number: TrialNumber(number),
            state,
            values: values.to_vec(),
            datetime_start: None,
            datetime_complete: None,
            params: vec![],
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
        }
    }

    #[test]
    fn the_best_trial_is_complete_feasible_and_the_first_of_equals() {
        let mut trials = vec![
            trial(0, TrialState::Complete, &[2.0]),
            trial(1, TrialState::Pruned, &[0.0]),
            trial(2, TrialState::Complete, &[1.0]),
            trial(3, TrialState::Complete, &[1.0]),
            trial(4, TrialState::Fail, &[]),
            trial(5, TrialState::Complete, &[f64::NEG_INFINITY]),
        ];
        let number = |trials: &[FrozenTrial], direction| {
            best_trial(trials, direction).map(|trial| trial.number.0)
        };
        assert_eq!(number(&trials, StudyDirection::Minimize), Some(5));
        trials[5].system_attrs.insert("constraints:c".to_owned(), 0.5.into());
        assert_eq!(number(&trials, StudyDirection::Minimize), Some(2));
        assert_eq!(number(&trials, StudyDirection::Maximize), Some(0));
        assert_eq!(number(&trials[1..2], StudyDirection::Minimize), None);
        let zeros = [(0, 0.0), (1, -0.0)];
        let zeros = zeros.map(|(number, zero)| trial(number, TrialState::Complete, &[zero]));
        assert_eq!(number(&zeros, StudyDirection::Minimize), Some(0));
    }
}
