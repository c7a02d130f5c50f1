//! The studies and trials that the checks of rows have read: names for places, and values to compare.

use super::Place;
use super::cell::Cell;
use std::collections::BTreeMap;
use trialbox_core::{Distribution, Json, TrialState, UtcDateTime};

/// The database's studies and trials.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) studies: BTreeMap<i64, Study>,
    pub(super) trials: BTreeMap<i64, Trial>,
    /// The version of Optuna that created the database, if the database names it.
    pub(super) library_version: Option<String>,
}

/// A study.
pub(super) struct Study {
    pub(super) name: String,
    pub(super) n_directions: usize,
    /// The ids of the study's trials, ascending.
    pub(super) trials: Vec<i64>,
    /// The distributions of each parameter that are incompatible with each other, and the first trial of each.
    pub(super) params: BTreeMap<String, Vec<(Distribution, i64)>>,
}

/// A trial whose study exists.
#[derive(Default)]
pub(super) struct Trial {
    pub(super) study: i64,
    pub(super) number: Option<i64>,
    pub(super) has_null_number: bool,
    pub(super) state: Option<TrialState>,
    pub(super) start: Option<UtcDateTime>,
    pub(super) complete: Option<UtcDateTime>,
    pub(super) n_values: usize,
    pub(super) last_objective: Option<i64>,
    pub(super) beat: Option<UtcDateTime>,
    pub(super) owner: Option<Json>,
    pub(super) fixed_params: Option<Json>,
    pub(super) failed_trial: Option<Json>,
    pub(super) retry_history: Option<Json>,
}

impl Survey {
    /// Returns a trial's id from a cell, if the database has that trial.
    pub(super) fn known_trial(&self, id: &Cell) -> Option<i64> {
        let id = id.int()?;
        if self.trials.contains_key(&id) { Some(id) } else { None }
    }

    /// Returns a study's id from a cell, if the database has that study.
    pub(super) fn known_study(&self, id: &Cell) -> Option<i64> {
        let id = id.int()?;
        if self.studies.contains_key(&id) { Some(id) } else { None }
    }

    /// Returns the place of a trial.
    pub(super) fn trial_place(&self, trial_id: i64) -> Place {
        let mut place = Place { trial_id: Some(trial_id), ..Place::default() };
        if let Some(trial) = self.trials.get(&trial_id) {
            place.number = trial.number;
            place.study = self.studies.get(&trial.study).map(|study| study.name.clone());
        }
        place
    }

    /// Returns the place of a trial's parameter, attribute, value or column.
    pub(super) fn trial_key(&self, trial_id: i64, key: impl Into<String>) -> Place {
        Place { key: Some(key.into()), ..self.trial_place(trial_id) }
    }

    /// Returns the place of a study's attribute, objective or column.
    pub(super) fn study_key(&self, study_id: i64, key: impl Into<String>) -> Place {
        let study = self.studies.get(&study_id).map(|study| study.name.clone());
        Place { study, key: Some(key.into()), ..Place::default() }
    }
}
