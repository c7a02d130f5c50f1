//! Studies in the memory of one process: for tests, and for calls that are recorded nowhere.

use std::collections::BTreeMap;
use trialbox_core::run::retry::{enqueued, has_params, origin, renumbered, retry_of};
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, Claim, ClaimLoss, Ending, EnqueueTrial, FIXED_PARAMS_ATTR, Heartbeat,
    LeasedTrial, Leases, LostTrial, OWN_PREFIX, OWNER_ATTR, Reader, RetryPolicy, Studies,
    StudyAttrs, TrialBatch, TrialStart, Trials, WATCH_ATTR, check_name, owner_of,
};
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::record::{NewStudy, StudySummary};
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::study::trial::TrialId;
use trialbox_core::{
    Distribution, FrozenTrial, Json, StorageError, StudyId, StudyRecord, TrialNumber, TrialState,
    UtcDateTime,
};

/// Studies that end with the process. Hearts beat by a counter, as time is nobody's here.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    studies: Vec<(StudyRecord, Vec<FrozenTrial>)>,
    heartbeats: BTreeMap<TrialId, u64>,
    n_studies: i64,
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

    fn is_taken(&self, name: &str) -> bool {
        self.studies.iter().any(|(found, _)| found.name == name)
    }

    fn append(&mut self, study: StudyId, trial: FrozenTrial) -> Result<TrialId, StorageError> {
        let id = TrialId(self.n_trials + 1);
        let (_, trials) = self.study(study)?;
        let number = TrialNumber(trials.len() as u32);
        trials.push(FrozenTrial { id, number, ..trial });
        self.n_trials += 1;
        Ok(id)
    }

    fn find(&mut self, id: TrialId) -> Option<(StudyId, &mut FrozenTrial)> {
        self.studies.iter_mut().find_map(|(study, trials)| {
            let found = trials.iter_mut().find(|trial| trial.id == id)?;
            Some((study.id, found))
        })
    }

    fn held(&self, trial: &FrozenTrial) -> Option<LeasedTrial> {
        let beats = self.heartbeats.get(&trial.id);
        (trial.state == TrialState::Running).then(|| LeasedTrial {
            id: trial.id,
            number: trial.number,
            owner: trial.system_attrs.get(OWNER_ATTR).cloned(),
            heartbeat: beats.map(|beats| Heartbeat { stamp: beats.to_string(), age_secs: 0.0 }),
            watch: trial.system_attrs.get(WATCH_ATTR).cloned(),
        })
    }

    /// Appends the retry of a trial that has ended, if it may have one.
    fn append_retry(
        &mut self,
        id: TrialId,
        policy: Option<RetryPolicy>,
    ) -> Result<Option<TrialNumber>, StorageError> {
        let (Some(policy), Some((study, ended))) = (policy, self.find(id)) else { return Ok(None) };
        let Some(retry) = retry_of(ended, policy) else { return Ok(None) };
        let retry = self.append(study, retry)?;
        Ok(self.find(retry).map(|(_, trial)| trial.number))
    }

    /// The trial, if it is RUNNING and has our token.
    fn ours(&mut self, claim: &Claim) -> Result<&mut FrozenTrial, StorageError> {
        let lost = |reason| StorageError::ClaimLost { number: claim.number, reason };
        let (_, trial) = self.find(claim.id).ok_or_else(|| lost(ClaimLoss::Vanished))?;
        match trial.state {
            state if state.is_finished() => Err(lost(ClaimLoss::Finished(state))),
            TrialState::Running
                if *trial.system_attrs.get(OWNER_ATTR).unwrap_or(&Json::Null) == claim.owner =>
            {
                Ok(trial)
            }
            _ => Err(lost(ClaimLoss::TakenOver)),
        }
    }
}

/// A trial as samplers and pruners see it.
fn without_own_attrs(trial: &FrozenTrial) -> FrozenTrial {
    let mut trial = trial.clone();
    trial.system_attrs.retain(|key, _| !key.starts_with(OWN_PREFIX));
    trial
}

impl Studies for MemoryStorage {
    fn import_study(
        &mut self,
        study: &NewStudy,
        trials: &[FrozenTrial],
    ) -> Result<StudyRecord, StorageError> {
        check_name("study name", &study.name)?;
        if self.is_taken(&study.name) {
            return Err(StorageError::DuplicateStudy { name: study.name.clone() });
        }
        refuse_nan(trials)?;
        self.n_studies += 1;
        let record = StudyRecord {
            id: StudyId(self.n_studies),
            name: study.name.clone(),
            directions: study.directions.clone(),
            user_attrs: study.user_attrs.iter().cloned().collect(),
            system_attrs: study.system_attrs.iter().cloned().collect(),
        };
        self.studies.push((record.clone(), vec![]));
        self.add_trials(record.id, trials)?;
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

    fn set_study_attrs(
        &mut self,
        study: StudyId,
        attrs: &StudyAttrs,
    ) -> Result<StudyRecord, StorageError> {
        for (key, _) in attrs.user.iter().chain(&attrs.system) {
            check_name("attribute key", key)?;
        }
        let (record, _) = self.study(study)?;
        record.user_attrs.extend(attrs.user.iter().cloned());
        record.system_attrs.extend(attrs.system.iter().cloned());
        Ok(record.clone())
    }

    fn rename_study(&mut self, study: StudyId, name: &str) -> Result<(), StorageError> {
        check_name("study name", name)?;
        let is_other = self.study(study)?.0.name != name;
        if is_other && self.is_taken(name) {
            return Err(StorageError::DuplicateStudy { name: name.to_owned() });
        }
        name.clone_into(&mut self.study(study)?.0.name);
        Ok(())
    }

    fn delete_study(&mut self, study: StudyId) -> Result<(), StorageError> {
        self.study(study)?;
        self.studies.retain(|(found, _)| found.id != study);
        Ok(())
    }
}

impl Trials for MemoryStorage {
    fn add_trials(
        &mut self,
        study: StudyId,
        trials: &[FrozenTrial],
    ) -> Result<TrialNumber, StorageError> {
        refuse_nan(trials)?;
        let first = TrialNumber(self.study(study)?.1.len() as u32);
        for trial in renumbered(trials, first) {
            self.append(study, trial)?;
        }
        Ok(first)
    }

    fn enqueue_trial(
        &mut self,
        study: StudyId,
        trial: &EnqueueTrial,
    ) -> Result<Option<TrialNumber>, StorageError> {
        let (_, trials) = self.study(study)?;
        if trial.skip_if_exists && trials.iter().any(|found| has_params(found, &trial.params)) {
            return Ok(None);
        }
        let id = self.append(study, enqueued(trial))?;
        Ok(self.find(id).map(|(_, trial)| trial.number))
    }

    fn begin_trial(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<TrialStart, StorageError> {
        let (record, trials) = self.study(study)?;
        if let Some(stop) = record.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json) {
            return Ok(TrialStart::Stopped(stop));
        }
        let n_trials =
            trials.iter().filter(|trial| trial.state.counts_towards_budget()).count() as u64;
        if request.max_trials.is_some_and(|max_trials| n_trials >= max_trials) {
            return Ok(TrialStart::BudgetReached { n_trials });
        }
        let waiting = trials.iter().find(|trial| trial.state == TrialState::Waiting);
        let id = match waiting.map(|trial| trial.id) {
            Some(id) => id,
            None => {
                let new = enqueued(&EnqueueTrial::default());
                self.append(study, FrozenTrial { system_attrs: BTreeMap::new(), ..new })?
            }
        };
        if request.has_heartbeat {
            *self.heartbeats.entry(id).or_insert(0) += 1;
        }
        let Some((_, trial)) = self.find(id) else {
            unreachable!("the trial was just found or made")
        };
        let owner = owner_of(&request.owner, trial.number);
        trial.state = TrialState::Running;
        trial.datetime_start = Some(request.at);
        trial.system_attrs.insert(OWNER_ATTR.to_owned(), owner.clone());
        let fixed_params = match trial.system_attrs.get(FIXED_PARAMS_ATTR) {
            Some(Json::Object(members)) => members.clone(),
            _ => vec![],
        };
        Ok(TrialStart::Begun(Box::new(BegunTrial {
            claim: Claim { id, number: trial.number, owner },
            fixed_params,
            params: trial.params.clone(),
            origin: origin(trial.number, &trial.system_attrs),
        })))
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
        if let Some(beats) = self.heartbeats.get_mut(&claim.id) {
            *beats += 1;
        }
        Ok(())
    }

    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        ending: &Ending,
    ) -> Result<Option<TrialNumber>, StorageError> {
        self.ours(claim)?;
        if ending.outcome.values().iter().any(|value| value.is_nan()) {
            return Err(StorageError::NanValue);
        }
        self.record(claim, batch)?;
        let trial = self.ours(claim)?;
        trial.values = ending.outcome.values().to_vec();
        trial.state = ending.outcome.state();
        trial.datetime_complete = trial.datetime_start.max(Some(ending.at));
        self.append_retry(claim.id, ending.retry)
    }
}

impl Leases for MemoryStorage {
    fn running_trials(&mut self, study: StudyId) -> Result<Vec<LeasedTrial>, StorageError> {
        let trials = self.study(study)?.1.clone();
        Ok(trials.iter().filter_map(|trial| self.held(trial)).collect())
    }

    fn note_watches(&mut self, watches: &[(TrialId, Json)]) -> Result<(), StorageError> {
        for (id, watch) in watches {
            if let Some((_, trial)) = self.find(*id)
                && trial.state == TrialState::Running
            {
                trial.system_attrs.insert(WATCH_ATTR.to_owned(), watch.clone());
            }
        }
        Ok(())
    }

    fn fail_lost_trial(
        &mut self,
        lost: &LeasedTrial,
        failure: &Json,
        retry: Option<RetryPolicy>,
        at: UtcDateTime,
    ) -> Result<Option<LostTrial>, StorageError> {
        let Some((_, trial)) = self.find(lost.id) else { return Ok(None) };
        let trial = trial.clone();
        let is_same =
            |now: &LeasedTrial| now.owner == lost.owner && now.heartbeat == lost.heartbeat;
        if !self.held(&trial).as_ref().is_some_and(is_same) {
            return Ok(None);
        }
        if let Some((_, trial)) = self.find(lost.id) {
            trial.system_attrs.insert(FAILURE_ATTR.to_owned(), failure.clone());
            trial.state = TrialState::Fail;
            trial.datetime_complete = trial.datetime_start.max(Some(at));
        }
        let retry = self.append_retry(lost.id, retry)?;
        Ok(Some(LostTrial { number: lost.number, retry }))
    }
}

impl Reader for MemoryStorage {
    fn url(&self) -> &str {
        "memory:"
    }

    fn trial(&mut self, study: StudyId, number: TrialNumber) -> Result<FrozenTrial, StorageError> {
        let (record, trials) = self.study(study)?;
        let missing = || StorageError::NoSuchTrial {
            study: record.name.clone(),
            number,
            n_trials: trials.len() as u64,
        };
        trials.get(number.0 as usize).cloned().ok_or_else(missing)
    }

    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        Ok(self.study(study)?.1.clone())
    }

    fn history(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        Ok(self.study(study)?.1.iter().map(without_own_attrs).collect())
    }

    fn outcomes(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        let bare = |trial: &FrozenTrial| FrozenTrial {
            params: Vec::new(),
            user_attrs: BTreeMap::new(),
            intermediate_values: BTreeMap::new(),
            ..trial.clone()
        };
        Ok(self.study(study)?.1.iter().map(bare).collect())
    }

    fn changed_trials(
        &mut self,
        study: StudyId,
        known: &[FrozenTrial],
    ) -> Result<Vec<FrozenTrial>, StorageError> {
        let had_ended = |number: TrialNumber| {
            let index = known.binary_search_by_key(&number, |trial| trial.number);
            index.is_ok_and(|index| known[index].state.is_finished())
        };
        let trials = self.study(study)?.1.iter();
        Ok(trials.filter(|trial| !had_ended(trial.number)).map(without_own_attrs).collect())
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

    fn snapshot(&mut self, _path: &std::path::Path) -> Result<(), StorageError> {
        Err(StorageError::Unsupported { url: "memory:".to_owned(), what: "be copied to a file" })
    }
}

fn refuse_nan(trials: &[FrozenTrial]) -> Result<(), StorageError> {
    let has_nan = |trial: &FrozenTrial| trial.values.iter().any(|value| value.is_nan());
    if trials.iter().any(has_nan) { Err(StorageError::NanValue) } else { Ok(()) }
}
