//! Memory, SQLite and PostgreSQL agree after any operations in any order, and all change a trial as the ledger of
//! transitions does.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use proptest::prelude::*;
use std::path::{Path, PathBuf};
use trialbox_core::seam::storage::{
    BeginTrial, Claim, Ending, EnqueueTrial, LeasedTrial, Outcome, RetryPolicy, StudyAttrs,
    TrialBatch, TrialStart,
};
use trialbox_core::study::ledger::{self, IllegalTransition};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::{TrialId, parse_datetime};
use trialbox_core::{
    Distribution, FrozenTrial, Json, Param, Storage, StorageError, StudyDirection, StudyId,
    TrialNumber, UtcDateTime,
};
use trialbox_storage::{Create, LockMode, MemoryStorage, Options, SqlStorage};

/// One operation. Numbers choose among the existing studies or trials, modulo their count.
#[derive(Debug, Clone)]
enum Step {
    Create { name: u8, directions: u8 },
    Rename { study: usize, name: u8 },
    Delete { study: usize },
    SetAttrs { study: usize, value: Json },
    SetDefaults { study: usize, value: Json },
    Enqueue { study: usize, x: u8, skip_if_exists: bool },
    Begin { study: usize, has_heartbeat: bool, max_trials: Option<u64> },
    Record { claim: usize, stranger: bool, batch: TrialBatch },
    Finish { claim: usize, batch: TrialBatch, outcome: Outcome, max_retries: Option<u32> },
    FailLost { claim: usize, max_retries: Option<u32> },
    Watch { claim: usize },
    AddCopies { study: usize },
}

fn odd_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i8>().prop_map(f64::from),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(f64::NAN),
        Just(5e-324),
        Just(1e308),
        Just(0.1 + 0.2),
    ]
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        odd_float().prop_map(Json::from),
        "[a\u{0}\"\\\\é😀]{0,4}".prop_map(Json::from),
        Just(Json::BigInt("12345678901234567890123".to_owned())),
        Just(Json::IllFormedString(vec![0x61, 0xdc00])),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            prop::collection::vec(("[ab]", inner), 0..2).prop_map(Json::object),
        ]
    })
}

/// Returns batches in which each name has one parameter, as in a session.
fn batch() -> impl Strategy<Value = TrialBatch> {
    let steps = prop::collection::vec((-2i64..4, odd_float()), 0..4);
    let attrs = || prop::collection::vec(("[ab]", json()), 0..3);
    (any::<bool>(), steps, attrs(), attrs()).prop_map(|(_, steps, user, system)| TrialBatch {
        params: vec![],
        intermediate_values: steps,
        user_attrs: user,
        system_attrs: system,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        odd_float().prop_map(|value| Outcome::Complete(vec![value])),
        prop::option::of(odd_float()).prop_map(Outcome::Pruned),
        Just(Outcome::Fail),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let retries = || prop::option::of(0u32..3);
    prop_oneof![
        1 => (0u8..4, 1u8..3).prop_map(|(name, directions)| Step::Create { name, directions }),
        1 => (any::<usize>(), 0u8..4).prop_map(|(study, name)| Step::Rename { study, name }),
        1 => any::<usize>().prop_map(|study| Step::Delete { study }),
        1 => (any::<usize>(), json()).prop_map(|(study, value)| Step::SetAttrs { study, value }),
        1 => (any::<usize>(), json()).prop_map(|(study, value)| Step::SetDefaults { study, value }),
        3 => (any::<usize>(), 0u8..3, any::<bool>())
            .prop_map(|(study, x, skip_if_exists)| Step::Enqueue { study, x, skip_if_exists }),
        6 => (any::<usize>(), any::<bool>(), prop::option::of(0u64..6))
            .prop_map(|(study, has_heartbeat, max_trials)| Step::Begin { study, has_heartbeat, max_trials }),
        4 => (any::<usize>(), prop::bool::weighted(0.2), batch())
            .prop_map(|(claim, stranger, batch)| Step::Record { claim, stranger, batch }),
        5 => (any::<usize>(), batch(), outcome(), retries())
            .prop_map(|(claim, batch, outcome, max_retries)| Step::Finish { claim, batch, outcome, max_retries }),
        2 => (any::<usize>(), retries())
            .prop_map(|(claim, max_retries)| Step::FailLost { claim, max_retries }),
        1 => any::<usize>().prop_map(|claim| Step::Watch { claim }),
        1 => any::<usize>().prop_map(|study| Step::AddCopies { study }),
    ]
}

/// A storage under test, with the studies and claims that it has returned so far.
struct Subject {
    storage: Box<dyn Storage>,
    studies: Vec<StudyId>,
    claims: Vec<(StudyId, Claim)>,
    file: Option<PathBuf>,
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.file.take().map(std::fs::remove_file);
    }
}

fn at() -> UtcDateTime {
    parse_datetime("2026-11-24 01:02:03.000456").unwrap()
}

fn retry(max_retries: Option<u32>) -> Option<RetryPolicy> {
    max_retries.map(|max_retries| RetryPolicy { max_retries })
}

impl Subject {
    fn new(storage: Box<dyn Storage>) -> Self {
        Subject { storage, studies: vec![], claims: vec![], file: None }
    }

    fn study(&self, index: usize) -> Option<StudyId> {
        (!self.studies.is_empty()).then(|| self.studies[index % self.studies.len()])
    }

    fn claim(&self, index: usize) -> Option<(StudyId, Claim)> {
        (!self.claims.is_empty()).then(|| self.claims[index % self.claims.len()].clone())
    }

    /// Carries out an operation and returns its result as text that does not depend on the backend.
    fn carry_out(&mut self, step: &Step) -> String {
        match step {
            Step::Create { name, directions } => {
                let made = self.storage.create_study(&NewStudy {
                    name: name.to_string(),
                    directions: vec![StudyDirection::Minimize; usize::from(*directions)],
                    user_attrs: vec![],
                    system_attrs: vec![],
                });
                self.studies.extend(made.as_ref().ok().map(|study| study.id));
                told(made.map(|study| study.name))
            }
            Step::Rename { study, name } => self.with_study(*study, |storage, id| {
                told(storage.rename_study(id, &name.to_string()))
            }),
            Step::Delete { study } => {
                let Some(id) = self.study(*study) else { return String::new() };
                self.studies.retain(|found| *found != id);
                // SQLite reuses the ids of deleted rows; `sqlite.rs` tests that case.
                self.claims.retain(|(study, _)| *study != id);
                told(self.storage.delete_study(id))
            }
            Step::SetAttrs { study, value } => self.with_study(*study, |storage, id| {
                let pair = vec![("k".to_owned(), value.clone())];
                let attrs = StudyAttrs { user: pair.clone(), system: pair };
                told(storage.set_study_attrs(id, &attrs).map(|study| study.user_attrs))
            }),
            Step::SetDefaults { study, value } => self.with_study(*study, |storage, id| {
                let pair = [("d".to_owned(), value.clone())];
                told(storage.set_study_defaults(id, &pair).map(|study| study.user_attrs))
            }),
            Step::Enqueue { study, x, skip_if_exists } => self.with_study(*study, |storage, id| {
                told(storage.enqueue_trial(
                    id,
                    &EnqueueTrial {
                        params: vec![("x".to_owned(), f64::from(*x).into())],
                        user_attrs: vec![("u".to_owned(), Json::from(f64::NAN))],
                        skip_if_exists: *skip_if_exists,
                    },
                ))
            }),
            Step::Begin { study, has_heartbeat, max_trials } => {
                self.begin(*study, *has_heartbeat, *max_trials)
            }
            Step::Record { claim, stranger, batch } => {
                let Some((_, mut claim)) = self.claim(*claim) else { return String::new() };
                if *stranger {
                    claim.owner = Json::from("another worker");
                }
                let result = self.against_the_ledger(
                    &claim,
                    |trial| ledger::record(trial, &claim, batch),
                    |storage| storage.record(&claim, batch),
                );
                told(result)
            }
            Step::Finish { claim, batch, outcome, max_retries } => {
                let Some((_, claim)) = self.claim(*claim) else { return String::new() };
                let ending =
                    Ending { outcome: outcome.clone(), at: at(), retry: retry(*max_retries) };
                let result = self.against_the_ledger(
                    &claim,
                    |trial| ledger::finish(trial, &claim, batch, &ending),
                    |storage| storage.finish_trial(&claim, batch, &ending),
                );
                told(result)
            }
            Step::FailLost { claim, max_retries } => {
                let Some((study, claim)) = self.claim(*claim) else { return String::new() };
                let Some(held) = self.held(study, claim.id) else { return "not held".to_owned() };
                let (failure, retry) = (Json::from("lost"), retry(*max_retries));
                let result = self.against_the_ledger(
                    &claim,
                    |trial| {
                        ledger::fail_lost(trial, Some(&held), &held, &failure, at());
                        Ok(())
                    },
                    |storage| storage.fail_lost_trial(&held, &failure, retry, at()),
                );
                told(result)
            }
            Step::Watch { claim } => {
                let Some((_, claim)) = self.claim(*claim) else { return String::new() };
                let result = self.against_the_ledger(
                    &claim,
                    |trial| {
                        ledger::watch(trial, &Json::from("seen"));
                        Ok(())
                    },
                    |storage| storage.note_watches(&[(claim.id, Json::from("seen"))]),
                );
                told(result)
            }
            Step::AddCopies { study } => {
                let Some(id) = self.study(*study) else { return String::new() };
                match self.storage.trials(id) {
                    Ok(trials) if trials.len() < 50 => told(self.storage.add_trials(id, &trials)),
                    other => told(other.map(|_| "too many")),
                }
            }
        }
    }

    /// Changes a trial, and compares the trial with what the ledger makes of its former value. A ledger that
    /// refuses must have left the trial alone, and the storage must have given the same reason.
    fn against_the_ledger<T: std::fmt::Debug>(
        &mut self,
        claim: &Claim,
        transition: impl FnOnce(&mut FrozenTrial) -> Result<(), IllegalTransition>,
        action: impl FnOnce(&mut dyn Storage) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let study = self.claims.iter().find(|(_, found)| found.id == claim.id).unwrap().0;
        let mut wanted = self.storage.trial(study, claim.number).unwrap();
        let before = wanted.clone();
        let legal = transition(&mut wanted);
        let result = action(self.storage.as_mut());
        match (&legal, &result) {
            (Ok(()), Ok(_)) => {}
            (Err(illegal), Err(error)) => {
                assert_eq!(StorageError::from(illegal.clone()).to_string(), error.to_string());
                assert_eq!(format!("{wanted:?}"), format!("{before:?}"));
            }
            (legal, result) => panic!("the ledger says {legal:?}, the storage {result:?}"),
        }
        let found = self.storage.trial(study, claim.number).unwrap();
        // As text, in which NaN equals NaN.
        assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
        result
    }

    fn with_study(
        &mut self,
        index: usize,
        body: impl FnOnce(&mut dyn Storage, StudyId) -> String,
    ) -> String {
        let Some(id) = self.study(index) else { return String::new() };
        body(self.storage.as_mut(), id)
    }

    fn begin(&mut self, study: usize, has_heartbeat: bool, max_trials: Option<u64>) -> String {
        let Some(id) = self.study(study) else { return String::new() };
        let owner = Json::object([("uuid", Json::from(self.claims.len().to_string()))]);
        let request = BeginTrial { owner, has_heartbeat, max_trials, at: at() };
        let before = self.storage.trials(id).unwrap_or_default();
        let start = self.storage.begin_trial(id, &request);
        if let Ok(start) = &start {
            self.check_start(id, &request, before, start);
        }
        match start {
            Ok(TrialStart::Begun(mut begun)) => {
                // The rest of a trial's life needs a parameter, and the storages must agree on it.
                if begun.params.is_empty() {
                    let distribution = Distribution::float(0.0, 9.0, false, None).unwrap();
                    let param = Param { distribution, internal: f64::from(begun.claim.number.0) };
                    let batch = TrialBatch {
                        params: vec![("x".to_owned(), param)],
                        ..TrialBatch::default()
                    };
                    self.storage.record(&begun.claim, &batch).unwrap();
                }
                self.claims.push((id, begun.claim.clone()));
                begun.claim.id = TrialId(0);
                format!("{begun:?}")
            }
            other => told(other),
        }
    }

    /// Compares a start with what the ledger makes of the trials before it.
    fn check_start(
        &mut self,
        study: StudyId,
        request: &BeginTrial,
        mut trials: Vec<FrozenTrial>,
        start: &TrialStart,
    ) {
        let n_trials = ledger::count_towards_budget(&trials);
        let is_full = request.max_trials.is_some_and(|max_trials| n_trials >= max_trials);
        let TrialStart::Begun(begun) = start else {
            assert!(is_full);
            assert_eq!(*start, TrialStart::BudgetReached { n_trials });
            return;
        };
        assert!(!is_full, "{n_trials} trials of {:?}", request.max_trials);
        if ledger::next_waiting(&mut trials).is_none() {
            ledger::append(&mut trials, begun.claim.id, ledger::unplanned());
        }
        let next = ledger::next_waiting(&mut trials).unwrap();
        let wanted = ledger::begin(next, &request.owner, request.at).unwrap();
        assert_eq!(format!("{begun:?}"), format!("{wanted:?}"));
        let found = self.storage.trial(study, begun.claim.number).unwrap();
        assert_eq!(format!("{found:?}"), format!("{next:?}"));
    }

    fn held(&mut self, study: StudyId, id: TrialId) -> Option<LeasedTrial> {
        let held = self.storage.running_trials(study).ok()?;
        held.into_iter().find(|held| held.id == id)
    }

    /// Returns all studies and trials as text, without the backend's own keys and clock.
    fn contents(&mut self) -> String {
        let summaries = self.storage.list_studies().unwrap();
        let mut contents = String::new();
        for summary in summaries {
            let study = summary.study;
            contents += &format!(
                "{} {:?} {:?} {:?} {:?}\n",
                study.name,
                study.directions,
                study.user_attrs,
                study.system_attrs,
                summary.n_trials
            );
            for trial in self.storage.trials(study.id).unwrap() {
                let one = self.storage.trial(study.id, trial.number).unwrap();
                let trial = FrozenTrial { id: TrialId(0), ..trial };
                assert_eq!(
                    format!("{trial:?}"),
                    format!("{:?}", FrozenTrial { id: TrialId(0), ..one })
                );
                contents += &format!("{trial:?}\n");
            }
            for held in self.storage.running_trials(study.id).unwrap() {
                let has_heartbeat = held.heartbeat.is_some();
                contents +=
                    &format!("{} {:?} {has_heartbeat} {:?}\n", held.number, held.owner, held.watch);
            }
        }
        contents
    }
}

/// Returns the result as text. Backends name a deleted study differently.
fn told<T: std::fmt::Debug>(result: Result<T, StorageError>) -> String {
    match result {
        Err(StorageError::NoSuchStudy { .. }) => "no such study".to_owned(),
        other => format!("{other:?}"),
    }
}

fn sqlite(case: &str, lock: LockMode) -> Subject {
    // In memory where that is possible: thousands of transactions need no disk to be tested.
    let shared_memory = Path::new("/dev/shm");
    let folder = common::own_folder();
    let folder = if shared_memory.is_dir() { shared_memory } else { folder };
    let path = folder.join(format!("trialbox-{}-{case}.db", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = Options { create: Create::Missing, lock, ..Options::default() };
    let mut subject = Subject::new(Box::new(SqlStorage::open_file(&path, &options).unwrap()));
    subject.file = Some(path);
    subject
}

/// Returns an empty subject on the shared server, if there is one.
fn postgres(case: &str) -> Option<Subject> {
    let url = common::postgres::shared()?.new_database(case);
    let options = Options { create: Create::Missing, ..Options::default() };
    let location = trialbox_storage::Location::parse(&url).unwrap();
    Some(Subject::new(location.open(&options).unwrap()))
}

fn check_agreement(steps: &[Step], case: &str, lock: LockMode) -> Result<(), TestCaseError> {
    let mut memory = Subject::new(Box::new(MemoryStorage::new()));
    let mut sqlite = sqlite(case, lock);
    for step in steps {
        prop_assert_eq!(memory.carry_out(step), sqlite.carry_out(step), "{:?}", step);
    }
    prop_assert_eq!(memory.contents(), sqlite.contents());
    Ok(())
}

/// Numbers are 0, 1, 2, … in the order of the trials, in every study.
fn check_numbers(subject: &mut Subject) -> Result<(), TestCaseError> {
    for id in subject.studies.clone() {
        let trials = subject.storage.trials(id).unwrap_or_default();
        let numbers: Vec<TrialNumber> = trials.iter().map(|trial| trial.number).collect();
        let wanted: Vec<TrialNumber> = (0..trials.len() as u32).map(TrialNumber).collect();
        prop_assert_eq!(numbers, wanted);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_agree_on_any_sequence_of_operations(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        check_agreement(&steps, "sqlite", LockMode::Sqlite)?;
    }

    #[test]
    fn numbering_has_no_gap_after_any_sequence_of_operations(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut subject = sqlite("numbers", LockMode::Sqlite);
        for step in &steps {
            subject.carry_out(step);
        }
        check_numbers(&mut subject)?;
    }
}

proptest! {
    // Each operation makes and removes a lock file: fewer cases do.
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_sqlite_behind_a_lock_file_agree(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        check_agreement(&steps, "lock-file", LockMode::File)?;
    }
}

proptest! {
    // Each operation makes a connection.
    #![proptest_config(ProptestConfig { cases: 15, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_postgresql_agree(steps in prop::collection::vec(step(), 1..25)) {
        let Some(mut postgres) = postgres("agreement") else { return Ok(()) };
        let mut memory = Subject::new(Box::new(MemoryStorage::new()));
        for step in &steps {
            prop_assert_eq!(memory.carry_out(step), postgres.carry_out(step), "{:?}", step);
        }
        prop_assert_eq!(memory.contents(), postgres.contents());
        check_numbers(&mut postgres)?;
    }
}
