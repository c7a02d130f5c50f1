//! Studies in the memory of one process: for tests, and for calls that are recorded nowhere.

use std::collections::BTreeMap;
use trialbox_core::distribution::Distribution;
use trialbox_core::json::Json;
use trialbox_core::storage::{
    BeginTrial, BegunTrial, Claim, ClaimLoss, FIXED_PARAMS_ATTR, OWNER_ATTR, Outcome, Storage,
    StorageError, TrialBatch, TrialStart, check_name,
};
use trialbox_core::study::{NewStudy, StudyId, StudyRecord, StudySummary};
use trialbox_core::trial::{FrozenTrial, TrialId, TrialNumber, TrialState, UtcDateTime};

/// Studies that end with the process.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    studies: Vec<(StudyRecord, Vec<FrozenTrial>)>,
    n_trials: i64,
}

impl MemoryStorage {
    /// A storage without studies.
    pub fn new() -> Self {
        MemoryStorage::default()
    }

    fn study(&mut self, id: StudyId) -> Result<&mut (StudyRecord, Vec<FrozenTrial>), StorageError> {
        let missing =
            || StorageError::NoSuchStudy { name: format!("(id {})", id.0), known: vec![] };
        self.studies.iter_mut().find(|(study, _)| study.id == id).ok_or_else(missing)
    }

    fn append(&mut self, id: StudyId, state: TrialState) -> Result<&mut FrozenTrial, StorageError> {
        self.n_trials += 1;
        let trial_id = TrialId(self.n_trials);
        let (_, trials) = self.study(id)?;
        let number = TrialNumber(trials.len() as u32);
        trials.push(FrozenTrial {
            id: trial_id,
            number,
            state,
            values: vec![],
            datetime_start: None,
            datetime_complete: None,
            params: vec![],
            user_attrs: BTreeMap::new(),
            system_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
        });
        trials.last_mut().ok_or_else(|| unreachable!("a trial was just pushed"))
    }

    /// The trial, if it is RUNNING and has our token.
    fn ours(&mut self, claim: &Claim) -> Result<&mut FrozenTrial, StorageError> {
        let lost = |reason| StorageError::ClaimLost { number: claim.number, reason };
        let mut trials = self.studies.iter_mut().flat_map(|(_, trials)| trials);
        let trial =
            trials.find(|trial| trial.id == claim.id).ok_or_else(|| lost(ClaimLoss::Vanished))?;
        match trial.state {
            state if state.is_finished() => Err(lost(ClaimLoss::Finished(state))),
            TrialState::Running if trial.system_attrs.get(OWNER_ATTR) == Some(&claim.owner) => {
                Ok(trial)
            }
            _ => Err(lost(ClaimLoss::TakenOver)),
        }
    }
}

impl Storage for MemoryStorage {
    fn url(&self) -> &str {
        "memory:"
    }

    fn create_study(&mut self, study: &NewStudy) -> Result<StudyRecord, StorageError> {
        check_name("study name", &study.name)?;
        if self.studies.iter().any(|(found, _)| found.name == study.name) {
            return Err(StorageError::DuplicateStudy { name: study.name.clone() });
        }
        let record = StudyRecord {
            id: StudyId(self.studies.len() as i64 + 1),
            name: study.name.clone(),
            directions: study.directions.clone(),
            user_attrs: study.user_attrs.iter().cloned().collect(),
            system_attrs: study.system_attrs.iter().cloned().collect(),
        };
        self.studies.push((record.clone(), vec![]));
        Ok(record)
    }

    fn open_study(&mut self, name: &str) -> Result<StudyRecord, StorageError> {
        let found = self.studies.iter().find(|(study, _)| study.name == name);
        found.map(|(study, _)| study.clone()).ok_or_else(|| StorageError::NoSuchStudy {
            name: name.to_owned(),
            known: self.studies.iter().map(|(study, _)| study.name.clone()).collect(),
        })
    }

    fn list_studies(&mut self) -> Result<Vec<StudySummary>, StorageError> {
        let summary = |(study, trials): &(StudyRecord, Vec<FrozenTrial>)| {
            let mut n_trials = BTreeMap::new();
            for trial in trials {
                *n_trials.entry(trial.state).or_insert(0) += 1;
            }
            let datetime_start = trials.iter().filter_map(|trial| trial.datetime_start).min();
            StudySummary { study: study.clone(), n_trials, datetime_start }
        };
        Ok(self.studies.iter().map(summary).collect())
    }

    fn set_study_defaults(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError> {
        let (record, _) = self.study(study)?;
        for (key, value) in user_attrs {
            record.user_attrs.entry(key.clone()).or_insert_with(|| value.clone());
        }
        Ok(record.clone())
    }

    fn set_study_user_attrs(
        &mut self,
        study: StudyId,
        user_attrs: &[(String, Json)],
    ) -> Result<StudyRecord, StorageError> {
        let (record, _) = self.study(study)?;
        record.user_attrs.extend(user_attrs.iter().cloned());
        Ok(record.clone())
    }

    fn enqueue_trial(
        &mut self,
        study: StudyId,
        params: &[(String, Json)],
    ) -> Result<TrialNumber, StorageError> {
        let trial = self.append(study, TrialState::Waiting)?;
        trial
            .system_attrs
            .insert(FIXED_PARAMS_ATTR.to_owned(), Json::object(params.iter().cloned()));
        Ok(trial.number)
    }

    fn begin_trial(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<TrialStart, StorageError> {
        let (_, trials) = self.study(study)?;
        let counts = |trial: &&FrozenTrial| {
            matches!(trial.state, TrialState::Complete | TrialState::Pruned | TrialState::Running)
        };
        let n_trials = trials.iter().filter(counts).count() as u64;
        if request.max_trials.is_some_and(|max_trials| n_trials >= max_trials) {
            return Ok(TrialStart::BudgetReached { n_trials });
        }
        let waiting = trials.iter().position(|trial| trial.state == TrialState::Waiting);
        let trial = match waiting {
            Some(index) => &mut self.study(study)?.1[index],
            None => self.append(study, TrialState::Running)?,
        };
        trial.state = TrialState::Running;
        trial.datetime_start = Some(request.at);
        trial.system_attrs.insert(OWNER_ATTR.to_owned(), request.owner.clone());
        let fixed_params = match trial.system_attrs.get(FIXED_PARAMS_ATTR) {
            Some(Json::Object(members)) => members.clone(),
            _ => vec![],
        };
        Ok(TrialStart::Begun(Box::new(BegunTrial {
            claim: Claim { id: trial.id, number: trial.number, owner: request.owner.clone() },
            fixed_params,
            params: trial.params.clone(),
        })))
    }

    fn recorded_distribution(
        &mut self,
        study: StudyId,
        trial: TrialId,
        param: &str,
    ) -> Result<Option<Distribution>, StorageError> {
        let (_, trials) = self.study(study)?;
        let mut others = trials.iter().filter(|found| found.id != trial);
        Ok(others.find_map(|found| Some(found.param(param)?.distribution.clone())))
    }

    fn record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        for (name, _) in &batch.params {
            check_name("parameter name", name)?;
        }
        for (key, _) in batch.user_attrs.iter().chain(&batch.system_attrs) {
            check_name("attribute key", key)?;
        }
        let trial = self.ours(claim)?;
        trial.params.extend(batch.params.iter().cloned());
        trial.intermediate_values.extend(batch.intermediate_values.iter().copied());
        trial.user_attrs.extend(batch.user_attrs.iter().cloned());
        trial.system_attrs.extend(batch.system_attrs.iter().cloned());
        Ok(())
    }

    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        outcome: &Outcome,
        at: UtcDateTime,
    ) -> Result<(), StorageError> {
        if outcome.values().iter().any(|value| value.is_nan()) {
            return Err(StorageError::NanValue);
        }
        self.record(claim, batch)?;
        let trial = self.ours(claim)?;
        trial.values = outcome.values().to_vec();
        trial.state = outcome.state();
        trial.datetime_complete = Some(at);
        Ok(())
    }

    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        Ok(self.study(study)?.1.clone())
    }
}
