//! Studies in the memory of one process: for tests, and for trials that are not recorded.
//!
//! The transitions of a trial are those of [`ledger`]; this file adds ids, a counter for heartbeats and the studies.

use std::collections::BTreeMap;
use std::path::Path;
use trialbox_core::run::retry::{copies_of_failed, enqueued, has_params, renumbered};
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, Claim, ClaimLoss, Ending, EnqueueTrial, Heartbeat, LeasedTrial, Leases,
    LostTrial, Reader, RetryPolicy, Studies, StudyAttrs, TrialBatch, TrialStart, Trials,
    check_name,
};
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::ledger;
use trialbox_core::study::record::{NewStudy, StudySummary};
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::study::trial::{TrialId, is_of_search};
use trialbox_core::{
    Distribution, FrozenTrial, Json, Param, StorageError, StudyDirection, StudyId, StudyRecord,
    TrialNumber, TrialState, UtcDateTime,
};

/// Studies that end with the process. A heartbeat is a counter, because the storage reads no clock.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    studies: Vec<(StudyRecord, Vec<FrozenTrial>)>,
    heartbeats: BTreeMap<TrialId, u64>,
    n_studies: i64,
    n_trials: i64,
}

impl MemoryStorage {
    /// Creates a storage without studies.
    pub fn new() -> Self {
        MemoryStorage::default()
    }

    fn study(&mut self, id: StudyId) -> Result<&mut (StudyRecord, Vec<FrozenTrial>), StorageError> {
        match self.studies.iter_mut().find(|(study, _)| study.id == id) {
            Some(found) => Ok(found),
            None => {
                Err(StorageError::NoSuchStudy { name: format!("(id {})", id.0), known: vec![] })
            }
        }
    }

    fn is_taken(&self, name: &str) -> bool {
        self.studies.iter().any(|(found, _)| found.name == name)
    }

    fn append(&mut self, study: StudyId, trial: FrozenTrial) -> Result<TrialNumber, StorageError> {
        let id = TrialId(self.n_trials + 1);
        let (_, trials) = self.study(study)?;
        let number = ledger::append(trials, id, trial);
        self.n_trials += 1;
        Ok(number)
    }

    /// Returns the trials of a trial's study, and the trial's index in them.
    fn find(&mut self, id: TrialId) -> Option<(&mut Vec<FrozenTrial>, usize)> {
        self.studies.iter_mut().find_map(|(_, trials)| {
            let index = trials.iter().position(|trial| trial.id == id)?;
            Some((trials, index))
        })
    }

    fn claimed(&mut self, claim: &Claim) -> Result<&mut FrozenTrial, StorageError> {
        match self.find(claim.id) {
            Some((trials, index)) => Ok(&mut trials[index]),
            None => {
                Err(StorageError::ClaimLost { number: claim.number, reason: ClaimLoss::Vanished })
            }
        }
    }

    fn lease(&self, trial: &FrozenTrial) -> Option<LeasedTrial> {
        let n_beats = self.heartbeats.get(&trial.id);
        let heartbeat = n_beats.map(|n| Heartbeat { stamp: n.to_string(), age_secs: 0.0 });
        ledger::lease(trial, heartbeat)
    }

    fn begin_unplanned(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
    ) -> Result<BegunTrial, StorageError> {
        let number = self.append(study, ledger::unplanned())?;
        let (_, trials) = self.study(study)?;
        Ok(ledger::begin(&mut trials[number.0 as usize], &request.owner, request.at)?)
    }

    fn append_retry(
        &mut self,
        finished: TrialId,
        policy: Option<RetryPolicy>,
    ) -> Option<TrialNumber> {
        let id = TrialId(self.n_trials + 1);
        let policy = policy?;
        let (trials, index) = self.find(finished)?;
        let number = trials[index].number;
        let retry = ledger::append_retry(trials, id, number, policy)?;
        self.n_trials += 1;
        Some(retry)
    }
}

/// Returns the trial as samplers and pruners see it.
fn of_search(trial: &FrozenTrial) -> FrozenTrial {
    let mut trial = FrozenTrial { user_attrs: BTreeMap::new(), ..trial.clone() };
    trial.system_attrs.retain(|key, _| is_of_search(trial.state, key));
    trial.params.retain(|(_, param)| param.internal.is_finite());
    trial
}

/// Returns the trial with its state, times, values and the search's system attributes only.
fn outcome_only(trial: &FrozenTrial) -> FrozenTrial {
    FrozenTrial { params: Vec::new(), intermediate_values: BTreeMap::new(), ..of_search(trial) }
}

/// Returns whether a trial was finished when `known` was read, which is sorted by number.
fn was_finished(known: &[FrozenTrial], number: TrialNumber) -> bool {
    match known.binary_search_by_key(&number, |trial| trial.number) {
        Ok(index) => known[index].state.is_finished(),
        Err(_) => false,
    }
}

fn summary((study, trials): &(StudyRecord, Vec<FrozenTrial>)) -> StudySummary {
    let mut n_trials = BTreeMap::new();
    for trial in trials {
        *n_trials.entry(trial.state).or_insert(0) += 1;
    }
    let datetime_start = trials.iter().filter_map(|trial| trial.datetime_start).min();
    StudySummary { study: study.clone(), n_trials, datetime_start }
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
        ledger::check_values(trials)?;
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
        match self.studies.iter().find(|(study, _)| study.name == name) {
            Some((study, _)) => Ok(study.clone()),
            None => Err(StorageError::NoSuchStudy {
                name: name.to_owned(),
                known: self.studies.iter().map(|(study, _)| study.name.clone()).collect(),
            }),
        }
    }

    fn list_studies(&mut self) -> Result<Vec<StudySummary>, StorageError> {
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

    fn set_directions(
        &mut self,
        study: StudyId,
        directions: &[StudyDirection],
    ) -> Result<Option<StudyRecord>, StorageError> {
        let (record, trials) = self.study(study)?;
        let has_value =
            |trial: &FrozenTrial| !trial.values.is_empty() || !trial.intermediate_values.is_empty();
        if trials.iter().any(has_value) {
            return Ok(None);
        }
        record.directions = directions.to_vec();
        Ok(Some(record.clone()))
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
        ledger::check_values(trials)?;
        let first = TrialNumber(self.study(study)?.1.len() as u32);
        for trial in renumbered(trials, first) {
            self.append(study, trial)?;
        }
        Ok(first)
    }

    fn add_chosen_trials(
        &mut self,
        study: StudyId,
        choose: &dyn Fn(&[FrozenTrial]) -> Vec<FrozenTrial>,
    ) -> Result<usize, StorageError> {
        let chosen = choose(&self.study(study)?.1);
        self.add_trials(study, &chosen)?;
        Ok(chosen.len())
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
        self.append(study, enqueued(trial)).map(Some)
    }

    fn cancel_waiting(
        &mut self,
        study: StudyId,
        number: TrialNumber,
        failure: &Json,
        at: UtcDateTime,
    ) -> Result<bool, StorageError> {
        let id = self.trial(study, number)?.id;
        let Some((trials, index)) = self.find(id) else { return Ok(false) };
        let trial = &mut trials[index];
        if trial.state != TrialState::Waiting {
            return Ok(false);
        }
        trial.system_attrs.insert(FAILURE_ATTR.to_owned(), failure.clone());
        trial.state = TrialState::Fail;
        trial.datetime_start.get_or_insert(at);
        trial.datetime_complete = Some(at);
        Ok(true)
    }

    fn retry_failed(
        &mut self,
        study: StudyId,
        numbers: &[TrialNumber],
    ) -> Result<Vec<(TrialNumber, TrialNumber)>, StorageError> {
        let copies = copies_of_failed(&self.study(study)?.1, numbers);
        copies.into_iter().map(|(number, copy)| Ok((number, self.append(study, copy)?))).collect()
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
        let n_trials = ledger::count_towards_budget(trials);
        if let Some(max_trials) = request.max_trials
            && n_trials >= max_trials
        {
            return Ok(TrialStart::BudgetReached { n_trials });
        }
        let begun = match ledger::next_waiting(trials) {
            Some(waiting) => ledger::begin(waiting, &request.owner, request.at)?,
            None => self.begin_unplanned(study, request)?,
        };
        if request.has_heartbeat {
            *self.heartbeats.entry(begun.claim.id).or_insert(0) += 1;
        }
        Ok(TrialStart::Begun(Box::new(begun)))
    }

    fn record(&mut self, claim: &Claim, batch: &TrialBatch) -> Result<(), StorageError> {
        ledger::record(self.claimed(claim)?, claim, batch)?;
        if let Some(beats) = self.heartbeats.get_mut(&claim.id) {
            *beats += 1;
        }
        Ok(())
    }

    fn record_apart(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        point: &[(String, Param)],
        n_known: usize,
    ) -> Result<bool, StorageError> {
        ledger::check_owner(self.claimed(claim)?, claim)?;
        if let Some((trials, _)) = self.find(claim.id) {
            let others = trials.iter().filter(|trial| trial.id != claim.id);
            if others.filter(|trial| trial.has_values_of(point)).count() > n_known {
                return Ok(false);
            }
        }
        self.record(claim, batch)?;
        Ok(true)
    }

    fn finish_trial(
        &mut self,
        claim: &Claim,
        batch: &TrialBatch,
        ending: &Ending,
    ) -> Result<Option<TrialNumber>, StorageError> {
        ledger::finish(self.claimed(claim)?, claim, batch, ending)?;
        Ok(self.append_retry(claim.id, ending.retry))
    }
}

impl Leases for MemoryStorage {
    fn running_trials(&mut self, study: StudyId) -> Result<Vec<LeasedTrial>, StorageError> {
        let trials = self.study(study)?.1.clone();
        Ok(trials.iter().filter_map(|trial| self.lease(trial)).collect())
    }

    fn note_watches(&mut self, watches: &[(TrialId, Json)]) -> Result<(), StorageError> {
        for (id, watch) in watches {
            if let Some((trials, index)) = self.find(*id) {
                ledger::watch(&mut trials[index], watch);
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
        let Some((trials, index)) = self.find(lost.id) else { return Ok(None) };
        let trial = trials[index].clone();
        let now = self.lease(&trial);
        let Some((trials, index)) = self.find(lost.id) else { return Ok(None) };
        if !ledger::fail_lost(&mut trials[index], now.as_ref(), lost, failure, at) {
            return Ok(None);
        }
        let retry = self.append_retry(lost.id, retry);
        Ok(Some(LostTrial { number: lost.number, retry }))
    }
}

impl Reader for MemoryStorage {
    fn url(&self) -> &str {
        "memory:"
    }

    fn trial(&mut self, study: StudyId, number: TrialNumber) -> Result<FrozenTrial, StorageError> {
        let (record, trials) = self.study(study)?;
        match trials.get(number.0 as usize) {
            Some(trial) => Ok(trial.clone()),
            None => Err(StorageError::NoSuchTrial {
                study: record.name.clone(),
                number,
                n_trials: trials.len() as u64,
            }),
        }
    }

    fn trials(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        Ok(self.study(study)?.1.clone())
    }

    fn history(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        Ok(self.study(study)?.1.iter().map(of_search).collect())
    }

    fn outcomes(&mut self, study: StudyId) -> Result<Vec<FrozenTrial>, StorageError> {
        Ok(self.study(study)?.1.iter().map(outcome_only).collect())
    }

    fn changed_trials(
        &mut self,
        study: StudyId,
        known: &[FrozenTrial],
    ) -> Result<Option<Vec<FrozenTrial>>, StorageError> {
        let trials = &self.study(study)?.1;
        let is_there = |known: &FrozenTrial| {
            trials.get(known.number.0 as usize).is_some_and(|trial| trial.id == known.id)
        };
        if !known.iter().all(is_there) {
            return Ok(None);
        }
        let changed = trials.iter().filter(|trial| !was_finished(known, trial.number));
        Ok(Some(changed.map(of_search).collect()))
    }

    fn recorded_distribution(
        &mut self,
        study: StudyId,
        trial: TrialId,
        param: &str,
    ) -> Result<Option<Distribution>, StorageError> {
        let (_, trials) = self.study(study)?;
        for other in trials.iter().filter(|other| other.id != trial) {
            if let Some(param) = other.param(param) {
                return Ok(Some(param.distribution.clone()));
            }
        }
        Ok(None)
    }

    fn snapshot(&mut self, _path: &Path) -> Result<(), StorageError> {
        Err(StorageError::Unsupported { url: "memory:".to_owned(), what: "be copied to a file" })
    }
}
