//! A worker that keeps what its last trial knew of the study sees what one that reads the study anew sees.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use rusqlite::Connection;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::time::Duration;
use trialbox_core::run::{RunError, TrialEnd, run_trial};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::seam::storage::{
    BeginTrial, Claim, Ending, Outcome, Studies as _, TrialBatch, TrialStart, Trials as _,
};
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{KnownTrials, OnDeadline, SessionLimits, TrialContext, TrialSession};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{Clock, Distribution, Json, Sampler, StudyDirection, StudyRecord, UtcDateTime};
use trialbox_storage::{Create, Options, SqlStorage};

/// A sampler whose proposal depends on all that it sees of the other trials.
struct Digest;

impl Sampler for Digest {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        _name: &str,
        _distribution: &Distribution,
        _rng: &mut TrialRng,
    ) -> f64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", ask.history.trials()).hash(&mut hasher);
        (hasher.finish() >> 12) as f64 / (1u64 << 52) as f64
    }
}

struct FixedClock;

impl Clock for FixedClock {
    fn utc_now(&self) -> UtcDateTime {
        at("2026-11-24 01:02:03.000456")
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

fn at(time: &str) -> UtcDateTime {
    parse_datetime(time).unwrap()
}

fn request() -> BeginTrial {
    let owner = Json::object([("uuid", "worker".into())]);
    BeginTrial { owner, has_heartbeat: true, max_trials: None, at: FixedClock.utc_now() }
}

fn new_database(name: &str) -> PathBuf {
    let path = common::own_folder().join(name);
    let _ = std::fs::remove_file(&path);
    path
}

/// A worker in a process of its own.
struct Worker {
    storage: SqlStorage,
    study: StudyRecord,
    known: KnownTrials,
}

impl Worker {
    /// A worker on a new study in a new database.
    fn new(database: &str) -> Worker {
        let options = Options { create: Create::Missing, ..Options::default() };
        let mut storage = SqlStorage::open_file(&new_database(database), &options).unwrap();
        let study = create_study(&mut storage);
        Worker { storage, study, known: KnownTrials::default() }
    }

    /// Runs a trial. It proposes a value, which is also its result.
    fn run(&mut self) -> Result<f64, RunError> {
        let context = TrialContext {
            study: &self.study,
            seed: 1,
            sampler: &Digest,
            held: &[],
            pruner: &NopPruner,
            clock: &FixedClock,
            limits: SessionLimits::default(),
            retry: None,
            on_deadline: OnDeadline::default(),
            provenance: &[],
        };
        let mut proposed = f64::NAN;
        let mut objective = |session: &mut TrialSession| {
            let Ok(value) = session.suggest_float("x", 0.0, 1.0, false, None) else {
                return Evaluation::Halted;
            };
            proposed = value;
            Evaluation::Complete(vec![value])
        };
        let begin = request();
        let end = run_trial(
            &context,
            &mut self.storage,
            &mut objective,
            &begin,
            &mut self.known,
            &mut |_| (),
        )?;
        assert!(matches!(end, TrialEnd::Finished(_)), "{end:?}");
        Ok(proposed)
    }

    /// Starts a trial that goes on.
    fn start(&mut self) -> Claim {
        match self.storage.begin_trial(self.study.id, &request()).unwrap() {
            TrialStart::Begun(begun) => begun.claim,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self, claim: &Claim, outcome: Outcome) {
        let ending = Ending::new(outcome, FixedClock.utc_now());
        self.storage.finish_trial(claim, &TrialBatch::default(), &ending).unwrap();
    }
}

fn create_study(storage: &mut SqlStorage) -> StudyRecord {
    let study = NewStudy {
        name: "s".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    };
    storage.create_study(&study).unwrap()
}

/// Runs trials while others start, finish and fail, and returns the proposals. `forget` is called between them.
fn proposals(worker: &mut Worker, forget: fn(&mut Worker)) -> Vec<f64> {
    let mut proposed = Vec::new();
    let mut run = |worker: &mut Worker| {
        proposed.push(worker.run().unwrap());
        forget(worker);
    };
    run(worker);
    let long = worker.start();
    run(worker);
    let short = worker.start();
    run(worker);
    worker.finish(&short, Outcome::Complete(vec![2.0]));
    run(worker);
    run(worker);
    worker.finish(&long, Outcome::Fail);
    run(worker);
    let last = worker.start();
    worker.finish(&last, Outcome::Pruned(None));
    run(worker);
    proposed
}

#[test]
fn what_is_known_is_what_is_read() {
    let known = proposals(&mut Worker::new("known.db"), |_| ());
    let read =
        proposals(&mut Worker::new("read.db"), |worker| worker.known = KnownTrials::default());
    assert_eq!(known, read);
    let mut distinct = known.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup();
    assert_eq!(distinct.len(), known.len(), "the proposals depend on the trials before: {known:?}");
}

#[test]
fn finished_trials_are_read_once() {
    let mut worker = Worker::new("once.db");
    for _ in 0..3 {
        worker.run().unwrap();
    }
    let connection = Connection::open(common::own_folder().join("once.db")).unwrap();
    let spoil = "UPDATE trial_params SET distribution_json = '{' WHERE trial_id = 1";
    assert_eq!(connection.execute(spoil, []).unwrap(), 1);
    worker.run().unwrap();
    worker.known = KnownTrials::default();
    assert!(matches!(worker.run(), Err(RunError::Halted { .. })));
}

/// SQLite gives the ids of a deleted study and of its trials out again.
#[test]
fn a_study_that_was_made_again_is_read_again() {
    let again = |database: &str, forget: fn(&mut Worker)| {
        let mut worker = Worker::new(database);
        for _ in 0..4 {
            worker.run().unwrap();
        }
        let before = worker.study.id;
        worker.storage.delete_study(before).unwrap();
        worker.study = create_study(&mut worker.storage);
        assert_eq!(worker.study.id, before);
        for value in [3.0, 4.0] {
            let claim = worker.start();
            worker.finish(&claim, Outcome::Complete(vec![value]));
        }
        forget(&mut worker);
        worker.run().unwrap()
    };
    let read = again("made-again-read.db", |worker| worker.known = KnownTrials::default());
    assert_eq!(again("made-again.db", |_| ()), read);
}
