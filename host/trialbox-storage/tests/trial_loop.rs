//! One trial from its start to its end, on storages without a sandbox: run, ask and tell, record later, reap.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use trialbox_core::run::ask_tell::{Asked, Tell, TellError, Told, ask, tell, tell_later};
use trialbox_core::run::reap::{Loss, Observer, OwnerProbe, OwnerState, ReapRequest, reap};
use trialbox_core::run::steer::{report, should_prune};
use trialbox_core::run::{
    FinishedTrial, LateRecord, TrialEnd, UnrecordedTrial, record_later, run_trial,
};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::Ask;
use trialbox_core::seam::storage::{
    BeginTrial, ClaimLoss, Ending, LeasedTrial, Outcome, RetryPolicy, Studies as _, StudyAttrs,
    TrialBatch, TrialStart, Trials as _,
};
use trialbox_core::session::objective::{Evaluation, Interruption};
use trialbox_core::session::transcript::LogSource;
use trialbox_core::session::{KnownTrials, OnDeadline, SessionLimits, TrialContext, TrialSession};
use trialbox_core::space::declared::{DeclaredParam, DeclaredSpace};
use trialbox_core::space::relation::Relation;
use trialbox_core::study::failure::{FAILURE_ATTR, Failure, FailureCode};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::stopping::STOP_ATTR;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{
    Clock, Distribution, FrozenTrial, Json, Sampler, Storage, StudyDirection, StudyRecord,
    TrialNumber, TrialState, UtcDateTime,
};
use trialbox_storage::{Create, MemoryStorage, Options, SqlStorage};

/// A sampler whose proposal depends on how often it was asked before.
struct Scripted {
    is_finite: bool,
    propose: fn(u32) -> f64,
    n_asked: AtomicU32,
}

impl Scripted {
    const fn new(is_finite: bool, propose: fn(u32) -> f64) -> Self {
        Scripted { is_finite, propose, n_asked: AtomicU32::new(0) }
    }
}

/// Proposes the middle of every range.
static MIDDLE: Scripted = Scripted::new(false, |_| 0.5);

impl Sampler for Scripted {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn uses_history(&self) -> bool {
        false
    }

    fn is_finite(&self) -> bool {
        self.is_finite
    }

    fn sample_independent(
        &self,
        _ask: &Ask,
        _name: &str,
        _distribution: &Distribution,
        _rng: &mut TrialRng,
    ) -> f64 {
        (self.propose)(self.n_asked.fetch_add(1, Ordering::Relaxed))
    }
}

struct FixedClock;

impl Clock for FixedClock {
    fn utc_now(&self) -> UtcDateTime {
        now()
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

fn now() -> UtcDateTime {
    parse_datetime("2026-11-24 01:02:03.000456").unwrap()
}

const RETRY: RetryPolicy = RetryPolicy { max_retries: 1 };

fn new_study(storage: &mut dyn Storage) -> StudyRecord {
    let study = NewStudy {
        name: "s".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    };
    storage.create_study(&study).unwrap()
}

fn memory() -> (MemoryStorage, StudyRecord) {
    let mut storage = MemoryStorage::new();
    let study = new_study(&mut storage);
    (storage, study)
}

fn context(study: &StudyRecord, on_deadline: OnDeadline) -> TrialContext<'_> {
    TrialContext {
        study,
        seed: 1,
        sampler: &MIDDLE,
        held: &[],
        pruner: &NopPruner,
        clock: &FixedClock,
        limits: SessionLimits::default(),
        retry: Some(RETRY),
        on_deadline,
        provenance: &[],
    }
}

fn request(owner: &str) -> BeginTrial {
    BeginTrial {
        owner: Json::object([("uuid", owner.into())]),
        has_heartbeat: true,
        max_trials: None,
        at: now(),
    }
}

/// Runs a trial whose objective returns this evaluation.
fn run(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    request: &BeginTrial,
    evaluate: &mut dyn FnMut(&mut TrialSession) -> Evaluation,
) -> TrialEnd {
    let context = context(study, OnDeadline::Retry);
    let mut objective = |session: &mut TrialSession| evaluate(session);
    run_trial(&context, storage, &mut objective, request, &mut KnownTrials::default(), &mut |_| ())
        .unwrap()
}

#[track_caller]
fn finished(end: TrialEnd) -> FinishedTrial {
    match end {
        TrialEnd::Finished(trial) => *trial,
        other => panic!("expected a finished trial, found {other:?}"),
    }
}

fn trials(storage: &mut dyn Storage, study: &StudyRecord) -> Vec<FrozenTrial> {
    storage.trials(study.id).unwrap()
}

fn failure_code(trial: &FrozenTrial) -> Option<&str> {
    trial.system_attrs.get(FAILURE_ATTR)?.get("code")?.as_str()
}

fn unit() -> Distribution {
    Distribution::float(0.0, 1.0, false, None).unwrap()
}

#[test]
fn a_trial_beyond_the_budget_is_not_started() {
    let (mut storage, study) = memory();
    let request = BeginTrial { max_trials: Some(1), ..request("a") };
    let first =
        finished(run(&mut storage, &study, &request, &mut |_| Evaluation::Complete(vec![2.5])));
    assert_eq!((first.number, first.values), (TrialNumber(0), vec![2.5]));
    let end = run(&mut storage, &study, &request, &mut |_| panic!("the objective is not called"));
    assert_eq!(end, TrialEnd::BudgetReached { n_trials: 1 });
    assert_eq!(trials(&mut storage, &study).len(), 1);
}

#[test]
fn a_failed_trial_leaves_its_place_in_the_budget_to_another() {
    let (mut storage, study) = memory();
    let request = BeginTrial { max_trials: Some(1), ..request("a") };
    let broken = || Evaluation::Fail(Failure::new(FailureCode::Guest, "broken"));
    let first = finished(run(&mut storage, &study, &request, &mut |_| broken()));
    assert_eq!((first.state, first.retry), (TrialState::Fail, None));
    let second =
        finished(run(&mut storage, &study, &request, &mut |_| Evaluation::Complete(vec![1.0])));
    assert_eq!((second.number, second.state), (TrialNumber(1), TrialState::Complete));
}

#[test]
fn a_stopped_study_starts_no_trial() {
    let (mut storage, study) = memory();
    let stop = Json::object([("by", Json::from("ada")), ("reason", Json::from("enough"))]);
    let attrs = StudyAttrs { user: vec![(STOP_ATTR.to_owned(), stop)], system: vec![] };
    storage.set_study_attrs(study.id, &attrs).unwrap();
    let end = run(&mut storage, &study, &request("a"), &mut |_| panic!("it is not called"));
    let TrialEnd::Stopped(stop) = end else { panic!("expected a stopped study, found {end:?}") };
    assert_eq!((stop.by.as_deref(), stop.reason.as_deref()), (Some("ada"), Some("enough")));
    assert_eq!(trials(&mut storage, &study), []);
}

/// A scheduler or a deadline may interrupt a trial, which is then retried. A user who presses Ctrl-C wants no retry.
#[test]
fn an_interrupted_trial_is_requeued_if_the_scheduler_or_the_deadline_stopped_it() {
    use Interruption::{Deadline, Scheduler, User};
    let fail = TrialState::Fail;
    for (interruption, on_deadline, state, is_requeued) in [
        (Scheduler, OnDeadline::Retry, fail, true),
        (Scheduler, OnDeadline::Prune, fail, true),
        (Scheduler, OnDeadline::Fail, fail, true),
        (Deadline, OnDeadline::Retry, fail, true),
        (Deadline, OnDeadline::Prune, TrialState::Pruned, false),
        (Deadline, OnDeadline::Fail, fail, false),
        (User, OnDeadline::Retry, fail, false),
        (User, OnDeadline::Prune, fail, false),
        (User, OnDeadline::Fail, fail, false),
    ] {
        let (mut storage, study) = memory();
        let context = context(&study, on_deadline);
        let mut objective = |session: &mut TrialSession| {
            session.report(0.25, 1).unwrap();
            Evaluation::Interrupted(interruption)
        };
        let end = run_trial(
            &context,
            &mut storage,
            &mut objective,
            &request("a"),
            &mut KnownTrials::default(),
            &mut |_| (),
        )
        .unwrap();
        let trial = finished(end);
        let case = format!("{interruption:?}, {on_deadline:?}");
        assert_eq!((trial.state, trial.interruption), (state, Some(interruption)), "{case}");
        assert_eq!(trial.retry, is_requeued.then_some(TrialNumber(1)), "{case}");
        let stored = trials(&mut storage, &study);
        assert_eq!(stored[0].state, state, "{case}");
        let pruned = state == TrialState::Pruned;
        assert_eq!(stored[0].values, if pruned { vec![0.25] } else { vec![] }, "{case}");
        assert_eq!(failure_code(&stored[0]), (!pruned).then_some("E-INTERRUPTED"), "{case}");
        assert_eq!(stored.len(), 1 + usize::from(is_requeued), "{case}");
    }
}

#[test]
fn a_pruned_trial_has_the_value_of_its_largest_step() {
    let (mut storage, study) = memory();
    let trial = finished(run(&mut storage, &study, &request("a"), &mut |session| {
        for (step, value) in [(1, 0.5), (7, 0.25), (3, 0.75)] {
            session.report(value, step).unwrap();
        }
        Evaluation::Pruned
    }));
    assert_eq!((trial.state, trial.values), (TrialState::Pruned, vec![0.25]));
    assert_eq!((trial.n_reports, trial.n_reports_stored, trial.retry), (3, 3, None));
    let stored = &trials(&mut storage, &study)[0];
    assert_eq!(stored.values, [0.25]);
    assert_eq!(stored.intermediate_values, [(1, 0.5), (3, 0.75), (7, 0.25)].into());
}

#[test]
fn a_pruned_trial_whose_last_report_is_nan_or_missing_has_no_value() {
    for report in [Some(f64::NAN), None] {
        let (mut storage, study) = memory();
        let trial = finished(run(&mut storage, &study, &request("a"), &mut |session| {
            if let Some(value) = report {
                session.report(value, 1).unwrap();
            }
            Evaluation::Pruned
        }));
        assert_eq!((trial.state, trial.values), (TrialState::Pruned, vec![]), "{report:?}");
    }
}

#[test]
fn values_that_do_not_fit_the_study_fail_the_trial_with_its_last_lines_of_log() {
    let (mut storage, study) = memory();
    let trial = finished(run(&mut storage, &study, &request("a"), &mut |session| {
        for line in 0..12 {
            session.log(LogSource::Stdout, &format!("line {line}\n"));
        }
        Evaluation::Complete(vec![1.0, 2.0])
    }));
    let failure = trial.failure.unwrap();
    assert_eq!(failure.code, FailureCode::Value);
    let message = "the objective returned 2 values, but the study has 1 objective";
    assert_eq!(failure.message, message);
    let stored = trials(&mut storage, &study).remove(0);
    let attr = stored.system_attrs.get(FAILURE_ATTR).unwrap();
    assert_eq!(attr.get("message").and_then(Json::as_str), Some(message));
    let Some(Json::Array(log)) = attr.get("log") else { panic!("a log") };
    let log: Vec<&str> = log.iter().filter_map(Json::as_str).collect();
    assert_eq!((log.len(), log[0], log[9]), (10, "line 2", "line 11"));
}

/// Returns a space without conditions.
fn space(params: &[(&str, Distribution)]) -> DeclaredSpace {
    let param = |(name, distribution): &(&str, Distribution)| DeclaredParam {
        name: (*name).to_owned(),
        distribution: distribution.clone(),
        when: vec![],
    };
    DeclaredSpace::new(params.iter().map(param).collect(), vec![]).unwrap()
}

#[test]
fn an_ask_that_contradicts_the_study_is_refused_and_leaves_a_failed_trial() {
    let (mut storage, study) = memory();
    finished(run(&mut storage, &study, &request("a"), &mut |session| {
        assert_eq!(session.suggest_float("x", 0.0, 1.0, false, None), Ok(0.5));
        Evaluation::Complete(vec![1.0])
    }));
    let context = context(&study, OnDeadline::Retry);
    let space = space(&[("y", unit()), ("x", Distribution::int(0, 9, false, 1).unwrap())]);
    let asked = ask(&context, &mut storage, &request("b"), &space).unwrap();
    let Asked::Refused { number, failure } = asked else { panic!("refused, not {asked:?}") };
    assert_eq!((number, failure.code), (TrialNumber(1), FailureCode::Suggest));
    let stored = &trials(&mut storage, &study)[1];
    assert_eq!((stored.state, failure_code(stored)), (TrialState::Fail, Some("E-SUGGEST")));
    let names: Vec<&str> = stored.params.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["y"], "what was suggested before is kept");
    assert!(stored.datetime_complete.is_some());
}

fn constrained() -> DeclaredSpace {
    let params = space(&[("a", unit()), ("b", unit())]).params().to_vec();
    DeclaredSpace::new(params, vec![Relation::parse("a + b >= 1.5").unwrap()]).unwrap()
}

#[test]
fn a_point_that_a_constraint_excludes_is_drawn_again_and_leaves_nothing() {
    let (mut storage, study) = memory();
    // The lower end of a range until it was asked often enough, and then the upper end.
    let late = Scripted::new(false, |n_asked| if n_asked < 20 { 0.0 } else { 1.0 });
    let context = TrialContext { sampler: &late, ..context(&study, OnDeadline::Retry) };
    let asked = ask(&context, &mut storage, &request("a"), &constrained()).unwrap();
    let Asked::Begun { params, .. } = asked else { panic!("begun, not {asked:?}") };
    let values: Vec<(&str, f64)> =
        params.iter().map(|(name, param)| (name.as_str(), param.internal)).collect();
    assert_eq!(values, [("a", 1.0), ("b", 1.0)], "each parameter once");
    assert_eq!(trials(&mut storage, &study)[0].params, params);
}

#[test]
fn a_trial_without_an_allowed_point_fails_and_one_of_a_finite_search_is_pruned() {
    let (mut storage, study) = memory();
    let middle = context(&study, OnDeadline::Retry);
    let asked = ask(&middle, &mut storage, &request("a"), &constrained()).unwrap();
    let Asked::Refused { failure, .. } = asked else { panic!("refused, not {asked:?}") };
    assert_eq!(failure.code, FailureCode::Suggest);
    let want = "the constraint `a + b >= 1.5` does not hold for a = 0.5, b = 0.5";
    assert!(failure.message.ends_with(want), "{}", failure.message);

    // A finite search, which has one point for a trial.
    let one_point = Scripted::new(true, |_| 0.5);
    let finite = TrialContext { sampler: &one_point, ..context(&study, OnDeadline::Retry) };
    let asked = ask(&finite, &mut storage, &request("b"), &constrained()).unwrap();
    let excluded = Asked::Excluded { number: TrialNumber(1), reason: want.to_owned() };
    assert_eq!(asked, excluded);
    let states: Vec<TrialState> =
        trials(&mut storage, &study).iter().map(|trial| trial.state).collect();
    assert_eq!(states, [TrialState::Fail, TrialState::Pruned]);
}

#[test]
fn only_the_owner_of_a_running_trial_reports_and_the_first_value_of_a_step_stays() {
    let (mut storage, study) = memory();
    let context = context(&study, OnDeadline::Retry);
    ask(&context, &mut storage, &request("mine"), &DeclaredSpace::default()).unwrap();
    let number = TrialNumber(0);
    let mut report = |owner, step, value| {
        report(&mut storage, &study, number, owner, (step, value)).map_err(|e| e.to_string())
    };
    assert_eq!(report(Some("mine"), 0, 1.0), Ok(true));
    assert_eq!(report(None, 0, 2.0), Ok(false));
    assert_eq!(report(None, 1, 3.0), Ok(true));
    assert!(report(Some("yours"), 2, 4.0).is_err());
    let kept = trials(&mut storage, &study)[0].intermediate_values.clone();
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [(0, 1.0), (1, 3.0)]);
    let prune = should_prune(&mut storage, &study, number, Some("mine"), &NopPruner);
    assert!(matches!(prune, Ok(false)), "{prune:?}");
    let other = should_prune(&mut storage, &study, number, Some("yours"), &NopPruner);
    assert!(matches!(other, Err(TellError::OtherOwner { .. })), "{other:?}");
}

#[test]
fn a_trial_that_was_asked_for_is_told_once_and_by_its_owner() {
    let (mut storage, study) = memory();
    let context = context(&study, OnDeadline::Retry);
    let space = space(&[("x", unit())]);
    let asked = ask(&context, &mut storage, &request("mine"), &space).unwrap();
    let Asked::Begun { claim, params } = asked else { panic!("begun, not {asked:?}") };
    assert_eq!(params[0].1.internal, 0.5);
    let value =
        |owner: &str| Tell { values: vec![3.5], owner: Some(owner.to_owned()), ..Tell::default() };
    let other = tell(&mut storage, &study, claim.number, &value("yours"), now());
    assert!(matches!(other, Err(TellError::OtherOwner { number: TrialNumber(0) })), "{other:?}");
    let told = tell(&mut storage, &study, claim.number, &value("mine"), now()).unwrap();
    assert_eq!(told, Told::Recorded { outcome: Outcome::Complete(vec![3.5]), failure: None });
    let again = tell(&mut storage, &study, claim.number, &value("mine"), now());
    let Err(TellError::NotRunning { number, state }) = again else { panic!("not {again:?}") };
    assert_eq!((number, state), (TrialNumber(0), TrialState::Complete));
    let skipping = Tell { skip_if_finished: true, ..value("mine") };
    let skipped = tell(&mut storage, &study, claim.number, &skipping, now()).unwrap();
    assert_eq!(skipped, Told::Skipped(TrialState::Complete));
    assert_eq!(trials(&mut storage, &study)[0].values, [3.5]);
}

#[test]
fn a_tell_whose_state_and_values_contradict_writes_nothing() {
    let (mut storage, study) = memory();
    let context = context(&study, OnDeadline::Retry);
    ask(&context, &mut storage, &request("a"), &DeclaredSpace::default()).unwrap();
    for (state, values) in [
        (TrialState::Complete, vec![]),
        (TrialState::Complete, vec![f64::NAN]),
        (TrialState::Pruned, vec![1.0]),
        (TrialState::Fail, vec![1.0]),
        (TrialState::Running, vec![]),
        (TrialState::Waiting, vec![]),
    ] {
        let contradiction = Tell { values, state: Some(state), ..Tell::default() };
        let told = tell(&mut storage, &study, TrialNumber(0), &contradiction, now());
        assert!(matches!(told, Err(TellError::Contradiction { .. })), "{state}: {told:?}");
    }
    assert_eq!(trials(&mut storage, &study)[0].state, TrialState::Running);
}

/// A trial whose result could not be written, with one value.
fn unrecorded(storage: &mut dyn Storage, study: &StudyRecord, value: f64) -> UnrecordedTrial {
    let begun = storage.begin_trial(study.id, &request("late")).unwrap();
    let TrialStart::Begun(begun) = begun else { panic!("{begun:?}") };
    UnrecordedTrial {
        claim: begun.claim,
        batch: TrialBatch { intermediate_values: vec![(1, 0.5)], ..TrialBatch::default() },
        ending: Ending::new(Outcome::Complete(vec![value]), now()),
    }
}

#[test]
fn a_result_is_recorded_later_once_and_another_one_is_kept_beside_it() {
    let (mut storage, study) = memory();
    let trial = unrecorded(&mut storage, &study, 0.25);
    assert_eq!(record_later(&mut storage, "s", &trial).unwrap(), LateRecord::Recorded);
    assert_eq!(record_later(&mut storage, "s", &trial).unwrap(), LateRecord::RecordedBefore);
    let other = UnrecordedTrial {
        ending: Ending::new(Outcome::Complete(vec![0.75]), now()),
        ..trial.clone()
    };
    let key = "trialbox:late_result:0:late";
    assert_eq!(
        record_later(&mut storage, "s", &other).unwrap(),
        LateRecord::TooLate {
            reason: ClaimLoss::Finished(TrialState::Complete),
            kept_as: Some(key.to_owned()),
        }
    );
    let stored = &trials(&mut storage, &study)[0];
    assert_eq!((stored.values.as_slice(), stored.intermediate_values[&1]), (&[0.25][..], 0.5));
    let study = storage.open_study("s").unwrap();
    let kept = r#"{"trial": 0, "state": "COMPLETE", "values": [0.75], "at": "2026-11-24 01:02:03.000456"}"#;
    assert_eq!(study.user_attrs[key].to_string(), kept);
}

#[test]
fn a_result_whose_study_or_attempt_is_not_in_the_database_is_left_to_its_holder() {
    let (mut storage, study) = memory();
    let trial = unrecorded(&mut storage, &study, 0.25);
    let mut other_attempt = trial.clone();
    other_attempt.claim.owner = Json::object([("uuid", "stranger".into())]);
    assert_eq!(record_later(&mut storage, "s", &other_attempt).unwrap(), LateRecord::Homeless);
    let (mut empty, _) = memory();
    assert_eq!(record_later(&mut empty, "s", &trial).unwrap(), LateRecord::Homeless);
    assert_eq!(trials(&mut storage, &study)[0].state, TrialState::Running);
}

#[test]
fn a_result_that_was_told_in_vain_is_recorded_later_once() {
    let (mut storage, study) = memory();
    unrecorded(&mut storage, &study, 0.25);
    let told = |value: f64, owner: Option<&str>| Tell {
        values: vec![value],
        owner: owner.map(str::to_owned),
        ..Tell::default()
    };
    let mut later = |tell: &Tell, number| {
        tell_later(&mut storage, &study, TrialNumber(number), tell, now()).unwrap()
    };
    let too_late = |reason, attempt| LateRecord::TooLate {
        reason,
        kept_as: Some(format!("trialbox:late_result:0:{attempt}")),
    };
    let taken_over = too_late(ClaimLoss::TakenOver, "stranger");
    assert_eq!(later(&told(0.5, Some("stranger")), 0), taken_over);
    assert_eq!(later(&told(0.25, None), 0), LateRecord::Recorded);
    assert_eq!(later(&told(0.25, None), 0), LateRecord::RecordedBefore);
    let finished = ClaimLoss::Finished(TrialState::Complete);
    assert_eq!(later(&told(0.75, None), 0), too_late(finished, "told"));
    assert_eq!(later(&told(0.25, None), 7), LateRecord::Homeless);
    let contradiction = Tell { state: Some(TrialState::Pruned), ..told(0.25, None) };
    assert_eq!(later(&contradiction, 0), LateRecord::Homeless);
    let study = storage.open_study("s").unwrap();
    assert_eq!(study.user_attrs.len(), 2, "{:?}", study.user_attrs);
}

/// A liveness check that finds every worker dead.
struct Undertaker;

impl OwnerProbe for Undertaker {
    fn look(&self, trials: &[&LeasedTrial]) -> Vec<OwnerState> {
        trials.iter().map(|_| OwnerState::Gone(Loss::by_hand("it was unplugged"))).collect()
    }
}

fn reap_request<'a>(has_result: &'a dyn Fn(&LeasedTrial) -> bool) -> ReapRequest<'a> {
    ReapRequest {
        probe: &Undertaker,
        observer: Observer { boot_id: "m".to_owned(), since_boot: Duration::from_secs(1) },
        grace: Duration::from_secs(300),
        foreign_grace: Duration::from_secs(300),
        has_result,
        retry: Some(RETRY),
        at: now(),
    }
}

#[test]
fn a_lost_trial_is_requeued_once_and_its_retry_as_often_as_the_policy_allows() {
    let (mut storage, study) = memory();
    storage.begin_trial(study.id, &request("a")).unwrap();
    let report = reap(&mut storage, study.id, &reap_request(&|_| false)).unwrap();
    let [lost] = &report.lost[..] else { panic!("one lost trial, not {report:?}") };
    assert_eq!((lost.trial.number, lost.trial.retry), (TrialNumber(0), Some(TrialNumber(1))));
    assert_eq!(report.n_running, 0);
    let again = reap(&mut storage, study.id, &reap_request(&|_| false)).unwrap();
    assert_eq!((again.lost, again.n_running), (vec![], 0), "it is not requeued twice");
    let states = |storage: &mut dyn Storage| -> Vec<TrialState> {
        trials(storage, &study).iter().map(|trial| trial.state).collect()
    };
    assert_eq!(states(&mut storage), [TrialState::Fail, TrialState::Waiting]);
    // The retry dies too, and has had its one retry.
    storage.begin_trial(study.id, &request("b")).unwrap();
    let report = reap(&mut storage, study.id, &reap_request(&|_| false)).unwrap();
    assert_eq!((report.lost[0].trial.number, report.lost[0].trial.retry), (TrialNumber(1), None));
    assert_eq!(states(&mut storage), [TrialState::Fail, TrialState::Fail]);
    assert_eq!(failure_code(&trials(&mut storage, &study)[1]), Some("E-LOST"));
}

#[test]
fn a_dead_workers_trial_whose_result_waits_to_be_recorded_is_not_lost() {
    let (mut storage, study) = memory();
    storage.begin_trial(study.id, &request("a")).unwrap();
    let report = reap(&mut storage, study.id, &reap_request(&|_| true)).unwrap();
    assert_eq!((report.lost, report.n_running), (vec![], 1));
    assert_eq!(trials(&mut storage, &study)[0].state, TrialState::Running);
}

#[test]
fn a_trial_that_was_reaped_while_it_ran_keeps_its_result_beside_it() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trial-loop-reaped.db");
    let _ = std::fs::remove_file(&path);
    let open = || {
        let options = Options { create: Create::Missing, ..Options::default() };
        SqlStorage::open_file(&path, &options).unwrap()
    };
    let (mut ours, mut others) = (open(), open());
    let study = new_study(&mut ours);
    let n_reaped = Cell::new(0);
    let end = run(&mut ours, &study, &request("a"), &mut |_| {
        let report = reap(&mut others, study.id, &reap_request(&|_| false)).unwrap();
        n_reaped.set(report.lost.len());
        Evaluation::Complete(vec![0.5])
    });
    assert_eq!(n_reaped.get(), 1);
    let key = "trialbox:late_result:0:a";
    assert_eq!(
        end,
        TrialEnd::ClaimLost {
            number: TrialNumber(0),
            reason: ClaimLoss::Finished(TrialState::Fail),
            values: vec![0.5],
            kept_as: Some(key.to_owned()),
        }
    );
    let stored = trials(&mut others, &study);
    assert_eq!((stored[0].state, stored[0].values.len()), (TrialState::Fail, 0));
    assert_eq!(stored[1].state, TrialState::Waiting, "its retry");
    let attrs = others.open_study("s").unwrap().user_attrs;
    assert_eq!(attrs[key].get("values").unwrap().to_string(), "[0.5]");
}
