//! The calls of a session to samplers and pruners, and the time at which other processes see the results.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::cell::Cell;
use std::sync::Mutex;
use std::time::Duration;
use trialbox_core::run::run_trial;
use trialbox_core::seam::pruner::{Judgement, NopPruner, Pruner, RunningTrial};
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::seam::storage::{
    BeginTrial, EnqueueTrial, Reader as _, Studies as _, TrialBatch, TrialStart, Trials as _,
};
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{
    CallAborted, KnownTrials, OnDeadline, SessionLimits, TrialContext, TrialSession,
};
use trialbox_core::study::failure::FailureCode;
use trialbox_core::study::limits::Limit;
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{
    Clock, Distribution, History, Json, Sampler, Storage, StudyDirection, StudyRecord, UtcDateTime,
};
use trialbox_storage::{Create, Options, SqlStorage};

/// A clock that the test moves.
struct StoppedClock(Cell<Duration>);

impl Clock for StoppedClock {
    fn utc_now(&self) -> UtcDateTime {
        parse_datetime("2026-11-24 01:02:03.000456").unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.0.get()
    }
}

/// A sampler that draws `x` jointly and records its calls.
#[derive(Default)]
struct Witness(Mutex<Vec<String>>);

impl Witness {
    fn note(&self, call: &str, ask: &Ask) {
        let others: Vec<u32> = ask.history.trials().iter().map(|trial| trial.number.0).collect();
        let params: Vec<&String> = ask.params.iter().map(|(name, _)| name).collect();
        let is_marked = ask.system_attrs.contains_key("mark");
        self.0.lock().unwrap().push(format!(
            "{call}: trial {} beside {others:?}, has {params:?}, marked {is_marked}",
            ask.number
        ));
    }
}

impl Sampler for Witness {
    fn learns_from_results(&self) -> bool {
        true
    }

    fn before_trial(&self, ask: &Ask, _rng: &mut TrialRng) -> Vec<(String, Json)> {
        self.note("before", ask);
        vec![("mark".to_owned(), 1i64.into())]
    }

    fn relative_search_space(&self, _ask: &Ask) -> SearchSpace {
        SearchSpace::from_iter([("x".to_owned(), range())])
    }

    fn sample_relative(&self, ask: &Ask, space: &SearchSpace, _rng: &mut TrialRng) -> Suggestion {
        self.note("relative", ask);
        Suggestion {
            params: space.iter().map(|(name, _)| (name.to_owned(), 0.25)).collect(),
            system_attrs: vec![
                ("draw:0".to_owned(), "a".into()),
                ("draw:1".to_owned(), "b".into()),
            ],
        }
    }

    fn sample_independent(
        &self,
        ask: &Ask,
        name: &str,
        _distribution: &Distribution,
        _rng: &mut TrialRng,
    ) -> f64 {
        self.note(name, ask);
        0.5
    }
}

fn range() -> Distribution {
    Distribution::float(0.0, 1.0, false, None).unwrap()
}

/// Two connections to a database with a study.
fn study(test: &str) -> (SqlStorage, SqlStorage, StudyRecord) {
    study_to(&[StudyDirection::Minimize], test)
}

fn study_to(directions: &[StudyDirection], test: &str) -> (SqlStorage, SqlStorage, StudyRecord) {
    let path = common::own_folder().join(format!("session-{test}.db"));
    let _ = std::fs::remove_file(&path);
    let open = || {
        let options = Options { create: Create::Missing, ..Options::default() };
        SqlStorage::open_file(&path, &options).unwrap()
    };
    let (mut ours, others) = (open(), open());
    let study = NewStudy {
        name: "s".to_owned(),
        directions: directions.to_vec(),
        user_attrs: vec![],
        system_attrs: vec![],
    };
    let study = ours.create_study(&study).unwrap();
    (ours, others, study)
}

fn run(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    sampler: &dyn Sampler,
    objective: &mut dyn FnMut(&mut TrialSession, &StoppedClock),
) {
    run_with(storage, study, (sampler, &NopPruner), objective);
}

fn run_with(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    (sampler, pruner): (&dyn Sampler, &dyn Pruner),
    objective: &mut dyn FnMut(&mut TrialSession, &StoppedClock),
) {
    let clock = StoppedClock(Cell::default());
    let context = TrialContext {
        study,
        seed: 1,
        sampler,
        held: &[],
        pruner,
        clock: &clock,
        limits: SessionLimits::default(),
        retry: None,
        on_deadline: OnDeadline::default(),
        provenance: &[],
    };
    let mut objective = |session: &mut TrialSession| {
        objective(session, &clock);
        Evaluation::Complete(vec![0.0; study.directions.len()])
    };
    run_trial(
        &context,
        storage,
        &mut objective,
        &request("ours"),
        &mut KnownTrials::default(),
        &mut |_| (),
    )
    .unwrap();
}

fn request(owner: &str) -> BeginTrial {
    BeginTrial {
        owner: Json::object([("uuid", owner.into())]),
        has_heartbeat: true,
        max_trials: None,
        at: parse_datetime("2026-11-24 01:02:03.000456").unwrap(),
    }
}

fn suggest(session: &mut TrialSession, name: &str) -> f64 {
    session.suggest_float(name, 0.0, 1.0, false, None).unwrap()
}

#[test]
fn a_sampler_is_asked_with_the_other_trials_and_with_what_this_one_has() {
    let (mut storage, _, study) = study("asked");
    let witness = Witness::default();
    for _ in 0..2 {
        run(&mut storage, &study, &witness, &mut |session, _| {
            assert_eq!([suggest(session, "x"), suggest(session, "y")], [0.25, 0.5]);
        });
    }
    assert_eq!(
        witness.0.into_inner().unwrap(),
        [
            "before: trial 0 beside [], has [], marked false",
            "relative: trial 0 beside [], has [], marked true",
            "y: trial 0 beside [], has [\"x\"], marked true",
            "before: trial 1 beside [0], has [], marked false",
            "relative: trial 1 beside [0], has [], marked true",
            "y: trial 1 beside [0], has [\"x\"], marked true",
        ]
    );
}

#[test]
fn a_trial_with_fixed_parameters_is_not_marked() {
    let (mut storage, _, study) = study("fixed");
    let params = vec![("y".to_owned(), 1.0.into())];
    storage.enqueue_trial(study.id, &EnqueueTrial { params, ..EnqueueTrial::default() }).unwrap();
    let witness = Witness::default();
    run(&mut storage, &study, &witness, &mut |session, _| {
        assert_eq!([suggest(session, "y"), suggest(session, "x")], [1.0, 0.25]);
    });
    assert_eq!(
        witness.0.into_inner().unwrap(),
        ["relative: trial 0 beside [], has [\"y\"], marked false"]
    );
}

#[test]
fn others_see_a_draw_after_20_ms_all_at_once_and_other_notes_after_a_second() {
    let (mut storage, mut others, study) = study("shared");
    let seen = |others: &mut SqlStorage| -> Vec<String> {
        let trials = others.trials(study.id).unwrap();
        trials[0].system_attrs.keys().filter(|key| !key.starts_with("trialbox:")).cloned().collect()
    };
    run(&mut storage, &study, &Witness::default(), &mut |session, clock| {
        assert_eq!(session.until_tick(), Duration::from_secs(30));
        suggest(session, "x");
        assert_eq!(session.until_tick(), Duration::from_millis(20));
        clock.0.set(Duration::from_millis(19));
        session.tick().unwrap();
        assert!(seen(&mut others).is_empty());
        clock.0.set(Duration::from_millis(20));
        session.tick().unwrap();
        assert_eq!(seen(&mut others), ["draw:0", "draw:1", "mark"]);
        suggest(session, "y");
        assert_eq!(session.until_tick(), Duration::from_secs(1));
    });
}

/// A pruner that records its calls, marks the trial at its second step, and never prunes.
#[derive(Default)]
struct Judge(Mutex<Vec<String>>);

impl Pruner for Judge {
    fn judge(&self, history: &History, current: &RunningTrial) -> Judgement {
        let others: Vec<String> = history
            .trials()
            .iter()
            .map(|trial| {
                format!("{} {} {:?}", trial.number, trial.state, trial.intermediate_values)
            })
            .collect();
        self.0.lock().unwrap().push(format!(
            "{:?}, marked {}, beside {others:?}",
            current.intermediate_values,
            current.system_attrs.contains_key("rung")
        ));
        let system_attrs = match current.intermediate_values.len() {
            2 => vec![("rung".to_owned(), 0.5.into())],
            _ => vec![],
        };
        Judgement { should_prune: false, system_attrs }
    }
}

#[test]
fn a_pruner_sees_the_others_anew_after_a_second_and_the_others_see_what_it_notes() {
    let (mut storage, mut others, study) = study("pruned");
    let begun = others.begin_trial(study.id, &request("other")).unwrap();
    let TrialStart::Begun(other) = begun else { panic!("{begun:?}") };
    let mut report = |step: i64| {
        let batch = TrialBatch { intermediate_values: vec![(step, 1.5)], ..TrialBatch::default() };
        others.record(&other.claim, &batch).unwrap();
        let trials = others.trials(study.id).unwrap();
        trials[1].system_attrs.contains_key("rung")
    };
    let judge = Judge::default();
    run_with(&mut storage, &study, (&Witness::default(), &judge), &mut |session, clock| {
        for (step, millis) in [(0, 0), (1, 999), (2, 1000), (3, 1999), (4, 2000)] {
            clock.0.set(Duration::from_millis(millis));
            session.report(0.0, step).unwrap();
            assert!(!session.should_prune().unwrap());
            session.tick().unwrap();
            let is_seen = report(step);
            assert_eq!(is_seen, step > 1, "step {step}");
        }
    });
    assert_eq!(
        judge.0.into_inner().unwrap(),
        [
            r#"{0: 0.0}, marked false, beside ["0 RUNNING {}"]"#,
            r#"{0: 0.0, 1: 0.0}, marked false, beside ["0 RUNNING {}"]"#,
            r#"{0: 0.0, 1: 0.0, 2: 0.0}, marked true, beside ["0 RUNNING {0: 1.5, 1: 1.5}"]"#,
            r#"{0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0}, marked true, beside ["0 RUNNING {0: 1.5, 1: 1.5}"]"#,
            "{0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0}, marked true, \
             beside [\"0 RUNNING {0: 1.5, 1: 1.5, 2: 1.5, 3: 1.5}\"]",
        ]
    );
}

#[test]
fn no_pruner_is_asked_where_there_are_several_objectives() {
    let two = [StudyDirection::Minimize, StudyDirection::Maximize];
    let (mut storage, mut others, study) = study_to(&two, "objectives");
    let judge = Judge::default();
    run_with(&mut storage, &study, (&Witness::default(), &judge), &mut |session, _| {
        session.report(0.5, 3).unwrap();
        assert!(!session.should_prune().unwrap());
    });
    assert!(judge.0.into_inner().unwrap().is_empty());
    assert_eq!(others.trials(study.id).unwrap()[0].intermediate_values[&3], 0.5);
}

#[test]
fn of_a_million_reports_a_bounded_number_is_stored_with_the_last_among_them() {
    let (mut storage, mut others, study) = study("reports");
    run(&mut storage, &study, &Witness::default(), &mut |session, _| {
        (0..1_000_000).for_each(|step| session.report(step as f64, step).unwrap());
    });
    let stored = &others.trials(study.id).unwrap()[0].intermediate_values;
    assert!(stored.len() <= 10_000);
    assert_eq!(stored.last_key_value(), Some((&999_999, &999_999.0)));
}

#[test]
fn what_a_trial_leaves_is_bounded_and_a_value_in_the_place_of_another_counts_once() {
    let (mut ours, _, study) = study("data");
    let text = format!("\"{}\"", "a".repeat(512 << 10));
    run(&mut ours, &study, &Witness::default(), &mut |session, _| {
        for _ in 0..10 {
            session.set_user_attr("a", &text).unwrap();
        }
        session.set_user_attr("b", &text).unwrap();
        session.set_user_attr("c", &text).unwrap();
        let Err(CallAborted::Fail(failure)) = session.set_user_attr("d", &text) else {
            panic!("four of them are more than 2 MiB")
        };
        assert_eq!(failure.code, FailureCode::Budget);
        let limit = failure.limit.unwrap();
        assert_eq!((limit.limit, limit.allowed), (Limit::TrialData, 2 << 20));
        assert_eq!(limit.used, Some(4 * (text.len() as u64 + 1)));
    });
}

/// A sampler and a pruner with a bug.
struct Broken;

impl Sampler for Broken {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn sample_independent(&self, _: &Ask, _: &str, _: &Distribution, _: &mut TrialRng) -> f64 {
        panic!("min > max, or either was NaN")
    }
}

impl Pruner for Broken {
    fn judge(&self, _: &History, _: &RunningTrial) -> Judgement {
        panic!("no such rung")
    }
}

#[test]
fn a_panic_of_a_sampler_or_a_pruner_fails_the_trial_and_leaves_the_process_and_the_database_whole()
{
    let (mut storage, _, study) = study("broken");
    let code = |call: Result<(), CallAborted>| match call {
        Err(CallAborted::Fail(failure)) => (failure.code, failure.message),
        other => panic!("no failure: {other:?}"),
    };
    for _ in 0..2 {
        run_with(&mut storage, &study, (&Broken, &Broken), &mut |session, _| {
            let suggested = session.suggest_float("x", 0.0, 1.0, false, None).map(|_| ());
            let bug =
                "the sampler panicked, which is a bug of trialbox: min > max, or either was NaN";
            assert_eq!(code(suggested), (FailureCode::Host, bug.to_owned()));
            session.report(1.0, 1).unwrap();
            let bug = "the pruner panicked, which is a bug of trialbox: no such rung";
            assert_eq!(
                code(session.should_prune().map(|_| ())),
                (FailureCode::Host, bug.to_owned())
            );
        });
    }
    let trials = storage.history(study.id).unwrap();
    assert!(trials.iter().all(|trial| trial.state.is_finished()) && trials.len() == 2);
}
