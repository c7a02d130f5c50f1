//! What the checks of rows remember of the rows before: enough to name a place, and to compare.

use super::Place;
use std::collections::BTreeMap;
use trialbox_core::{Distribution, Json, TrialState, UtcDateTime};

/// The database's studies and trials.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) studies: BTreeMap<i64, Study>,
    pub(super) trials: BTreeMap<i64, Trial>,
    /// The version of Optuna that made the database, if it says so.
    pub(super) library_version: Option<String>,
}

/// A study.
pub(super) struct Study {
    pub(super) name: String,
    pub(super) n_directions: usize,
    /// Its trials' ids, ascending.
    pub(super) trials: Vec<i64>,
    /// By name, the distributions that cannot stand beside each other, and the first trial of each.
    pub(super) params: BTreeMap<String, Vec<(Distribution, i64)>>,
}

/// A trial of a study that exists.
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
    /// Where a trial is.
    pub(super) fn trial_place(&self, trial_id: i64) -> Place {
        let trial = self.trials.get(&trial_id);
        let study = trial.and_then(|trial| self.studies.get(&trial.study));
        Place {
            study: study.map(|study| study.name.clone()),
            number: trial.and_then(|trial| trial.number),
            trial_id: Some(trial_id),
            ..Place::default()
        }
    }

    /// Where something of a trial's is.
    pub(super) fn trial_key(&self, trial_id: i64, key: impl Into<String>) -> Place {
        Place { key: Some(key.into()), ..self.trial_place(trial_id) }
    }

    /// Where something of a study's is.
    pub(super) fn study_key(&self, study_id: i64, key: impl Into<String>) -> Place {
        let study = self.studies.get(&study_id).map(|study| study.name.clone());
        Place { study, key: Some(key.into()), ..Place::default() }
    }
}
