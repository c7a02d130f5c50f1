//! A guest process that sends arbitrary bytes, and a trial that finishes all the same.

use std::time::Duration;
use trialbox_core::run::{TrialEnd, run_trial};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::storage::{BeginTrial, Reader as _, Studies as _};
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{KnownTrials, OnDeadline, SessionLimits, TrialContext, TrialSession};
use trialbox_core::study::record::NewStudy;
use trialbox_core::{
    Clock, Distribution, FrozenTrial, Json, Param, StudyDirection, StudyRecord, UtcDateTime,
};
use trialbox_runtime::fuzzing::converse;
use trialbox_samplers::RandomSampler;
use trialbox_storage::MemoryStorage;

/// Checks that a trial is recorded as the host reports it, finished and alone, whatever bytes the guest sends.
///
/// The first byte is the size of the pieces in which the others arrive.
pub fn protocol(bytes: &[u8]) {
    let Some((piece, said)) = bytes.split_first() else { return };
    let mut objective =
        |session: &mut TrialSession| converse(said, usize::from(*piece) + 1, session);
    run_recorded(&mut objective, &StoppedClock);
}

/// Runs a trial and checks that it is recorded as the host reports it.
pub(crate) fn run_recorded(
    objective: &mut dyn FnMut(&mut TrialSession) -> Evaluation,
    clock: &dyn Clock,
) {
    let mut storage = MemoryStorage::new();
    let study = storage.create_study(&new_study()).expect("a storage without studies");
    let end = run_trial(
        &context(&study, clock),
        &mut storage,
        &mut |session: &mut TrialSession| objective(session),
        &BeginTrial {
            owner: Json::Null,
            has_heartbeat: false,
            max_trials: None,
            at: UtcDateTime::ZERO,
        },
        &mut KnownTrials::default(),
        &mut |_| (),
    );
    let Ok(TrialEnd::Finished(told)) = end else { panic!("{end:?}") };
    let trials = storage.trials(study.id).expect("the study");
    let [stored]: &[FrozenTrial] = &trials else { panic!("{} trials", trials.len()) };
    assert!(stored.state.is_finished());
    assert_eq!(stored.state, told.state);
    assert_eq!(stored.params.len(), told.params.len());
    for (name, param) in &stored.params {
        assert!(is_in_range(param), "{name}: {param:?}");
    }
}

/// Returns whether a value is in its range. [`Distribution::contains`] is stricter: where a grid is finer than floats
/// are, no value is a point of it.
fn is_in_range(param: &Param) -> bool {
    match &param.distribution {
        Distribution::Float(float) => (float.low()..=float.high()).contains(&param.internal),
        other => other.contains(param.internal),
    }
}

fn new_study() -> NewStudy {
    NewStudy {
        name: "fuzzed".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    }
}

fn context<'a>(study: &'a StudyRecord, clock: &'a dyn Clock) -> TrialContext<'a> {
    TrialContext {
        study,
        seed: 1,
        sampler: &RandomSampler,
        held: &[],
        pruner: &NopPruner,
        clock,
        limits: SessionLimits::default(),
        retry: None,
        on_deadline: OnDeadline::default(),
        provenance: &[],
    }
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn utc_now(&self) -> UtcDateTime {
        UtcDateTime::ZERO
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}
