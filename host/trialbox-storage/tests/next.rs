//! The question before each trial: every reason, their order, and the second look for lost trials.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;
use trialbox_core::run::ask_tell::may_ask;
use trialbox_core::run::next::{Next, NextError, NextTrial, ProcessBounds, Step, next, run_next};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::rng::TrialRng;
use trialbox_core::seam::sampler::{Ask, Suggestion};
use trialbox_core::seam::storage::{
    EnqueueTrial, Reader as _, Studies as _, StudyAttrs, Trials as _,
};
use trialbox_core::session::OnDeadline;
use trialbox_core::session::objective::Evaluation;
use trialbox_core::session::{KnownTrials, SessionLimits, TrialContext, TrialSession};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::study::stopping::{Budgets, STOP_ATTR, StopReason, StopRule};
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{
    Clock, Distribution, History, Json, Sampler, StudyDirection, StudyRecord, TrialNumber,
    UtcDateTime,
};
use trialbox_storage::MemoryStorage;

/// A clock that shows 10 seconds after the start, and always the same time of day.
struct StoppedClock;

impl Clock for StoppedClock {
    fn utc_now(&self) -> UtcDateTime {
        at("2026-11-24 12:00:00")
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(10)
    }
}

fn at(text: &str) -> UtcDateTime {
    parse_datetime(text).unwrap()
}

/// A search that is exhausted after a number of trials, or never.
struct Search(Option<usize>);

impl Sampler for Search {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn relative_search_space(&self, _ask: &Ask) -> SearchSpace {
        SearchSpace::default()
    }

    fn sample_relative(&self, _: &Ask, _: &SearchSpace, _: &mut TrialRng) -> Suggestion {
        Suggestion::default()
    }

    fn sample_independent(&self, _: &Ask, _: &str, _: &Distribution, _: &mut TrialRng) -> f64 {
        0.0
    }

    fn is_finite(&self) -> bool {
        self.0.is_some()
    }

    fn is_exhausted(&self, history: &History) -> bool {
        self.0.is_some_and(|most| history.trials().len() >= most)
    }
}

/// A study in memory, with the clock, the search and the limits of the question.
struct Scene {
    storage: MemoryStorage,
    study: StudyRecord,
    budgets: Budgets,
    bounds: ProcessBounds,
    sampler: Search,
    known: KnownTrials,
}

impl Scene {
    /// A study with trials that are COMPLETE with the values 0, 1, 2 …
    fn new(n_trials: u32) -> Self {
        let mut storage = MemoryStorage::new();
        let study = NewStudy {
            name: "s".to_owned(),
            directions: vec![StudyDirection::Minimize],
            user_attrs: vec![],
            system_attrs: vec![],
        };
        let study = storage.create_study(&study).unwrap();
        let mut scene = Scene {
            storage,
            study,
            budgets: Budgets::default(),
            bounds: ProcessBounds::default(),
            sampler: Search(None),
            known: KnownTrials::default(),
        };
        for value in 0..n_trials {
            let step = scene.step(f64::from(value), 0).0;
            assert!(matches!(step, Step::Finished(_)), "{step:?}");
        }
        scene
    }

    fn next(&mut self) -> Next {
        let Scene { storage, study, budgets, bounds, sampler, .. } = self;
        next(study, budgets, bounds, sampler, storage, &StoppedClock).unwrap()
    }

    #[track_caller]
    fn check(&mut self, reason: StopReason) {
        assert_eq!(self.next(), Next::Stop(reason));
    }

    /// Runs one step with an objective that returns `value`, of a study with `n_lost` lost trials; returns the step
    /// and how often lost trials were looked for.
    fn step(&mut self, value: f64, n_lost: u32) -> (Step, u32) {
        let (n_left, n_looks) = (Cell::new(n_lost), Cell::new(0));
        let ctx = TrialContext {
            study: &self.study,
            seed: 1,
            sampler: &self.sampler,
            held: &[],
            pruner: &NopPruner,
            clock: &StoppedClock,
            limits: SessionLimits::default(),
            retry: None,
            on_deadline: OnDeadline::default(),
            provenance: &[],
        };
        let mut objective = |_: &mut TrialSession| Evaluation::Complete(vec![value]);
        let mut request = NextTrial {
            budgets: &self.budgets,
            bounds: self.bounds,
            known: &mut self.known,
            recover: &mut |_| {
                n_looks.set(n_looks.get() + 1);
                Ok(n_left.replace(0) > 0)
            },
            prepare: &mut |_| Some(Json::from("owner")),
        };
        let storage = &mut self.storage;
        let step = run_next(&mut request, &ctx, storage, &mut objective, &mut |_| ()).unwrap();
        (step, n_looks.get())
    }
}

#[test]
fn a_trial_starts_where_nothing_bounds_the_study() {
    let mut scene = Scene::new(2);
    assert_eq!(scene.next(), Next::Start);
    // The bounds are not reached yet.
    scene.bounds.timeout = Some(Duration::from_secs(11));
    scene.bounds.until = Some(at("2026-11-24 12:00:01"));
    scene.budgets.rules = vec![StopRule::Value(-1.0)];
    scene.sampler = Search(Some(3));
    assert_eq!(scene.next(), Next::Start);
}

#[test]
fn reasons_are_named_in_their_order() {
    let patience = NonZeroU32::new(2).unwrap();
    let mut scene = Scene::new(3);
    let timeout = Duration::from_secs(10);
    let until = at("2026-11-24 12:00:00");
    let left = Duration::from_secs(3);
    scene.bounds = ProcessBounds {
        timeout: Some(timeout),
        until: Some(until),
        too_many_failures: Some(4),
        too_little_time: Some(left),
    };
    scene.budgets.rules = vec![StopRule::Value(0.5), StopRule::Patience(patience)];
    scene.sampler = Search(Some(3));

    scene.check(StopReason::TimeoutReached(timeout));
    scene.bounds.timeout = None;
    scene.check(StopReason::UntilReached(until));
    scene.bounds.until = None;
    scene.check(StopReason::TooManyFailures(4));
    scene.bounds.too_many_failures = None;
    scene.check(StopReason::JobEnds(left));
    scene.bounds.too_little_time = None;
    let number = TrialNumber(0);
    scene.check(StopReason::Value { wanted: 0.5, number, value: 0.0 });
    scene.budgets.rules.remove(0);
    scene.check(StopReason::Patience { n_trials: 2, best: Some((number, 0.0)) });
    scene.budgets.rules.clear();
    scene.check(StopReason::SearchExhausted);
}

/// A finite search with a bug.
struct Broken;

impl Sampler for Broken {
    fn learns_from_results(&self) -> bool {
        false
    }

    fn sample_independent(&self, _: &Ask, _: &str, _: &Distribution, _: &mut TrialRng) -> f64 {
        0.0
    }

    fn is_finite(&self) -> bool {
        true
    }

    fn is_exhausted(&self, _: &History) -> bool {
        panic!("no such point")
    }
}

#[test]
fn a_panic_of_the_sampler_before_a_trial_is_an_error_and_starts_none() {
    let Scene { mut storage, study, budgets, bounds, .. } = Scene::new(1);
    let before = storage.trials(study.id).unwrap();
    let want = "the sampler panicked, which is a bug of trialbox: no such point";
    let asked = may_ask(&study, &budgets, &Broken, &mut storage, &StoppedClock).unwrap_err();
    assert_eq!(asked.to_string(), want);
    let started =
        next(&study, &budgets, &bounds, &Broken, &mut storage, &StoppedClock).unwrap_err();
    assert!(matches!(started, NextError::Host(_)), "{started}");
    assert_eq!(storage.trials(study.id).unwrap(), before);
}

#[test]
fn a_complete_study_is_complete_although_the_job_ends() {
    let mut scene = Scene::new(2);
    let left = Duration::from_secs(3);
    scene.bounds.too_little_time = Some(left);
    scene.budgets.max_trials = Some(2);
    scene.check(StopReason::BudgetReached { n_trials: 2, max_trials: 2 });
    scene.budgets.max_trials = Some(3);
    scene.check(StopReason::JobEnds(left));
}

#[test]
fn a_waiting_trial_runs_although_the_search_is_over() {
    let mut scene = Scene::new(1);
    scene.sampler = Search(Some(1));
    scene.check(StopReason::SearchExhausted);
    scene.storage.enqueue_trial(scene.study.id, &EnqueueTrial::default()).unwrap();
    assert_eq!(scene.next(), Next::Start);
}

#[test]
fn a_study_is_called_complete_only_after_a_look_for_lost_trials() {
    let number = TrialNumber(0);
    let by_count = StopReason::BudgetReached { n_trials: 1, max_trials: 1 };
    let by_value = StopReason::Value { wanted: 0.0, number, value: 0.0 };
    let by_search = StopReason::SearchExhausted;
    for (max_trials, rules, search, reason) in [
        (Some(1), vec![], None, by_count),
        (None, vec![StopRule::Value(0.0)], None, by_value),
        (None, vec![], Some(1), by_search),
    ] {
        let mut scene = Scene::new(1);
        scene.budgets = Budgets { max_trials, rules };
        scene.sampler = Search(search);
        assert_eq!(scene.step(1.0, 1), (Step::Recovered, 1));
        assert_eq!(scene.step(1.0, 0), (Step::Stop(reason), 1));
    }
}

#[test]
fn other_reasons_need_no_look_for_lost_trials() {
    let mut scene = Scene::new(1);
    scene.bounds.too_many_failures = Some(1);
    assert_eq!(scene.step(1.0, 1), (Step::Stop(StopReason::TooManyFailures(1)), 0));

    let mut scene = Scene::new(1);
    let user = vec![(STOP_ATTR.to_owned(), Json::Bool(true))];
    let attrs = StudyAttrs { user, ..StudyAttrs::default() };
    scene.storage.set_study_attrs(scene.study.id, &attrs).unwrap();
    let (step, n_looks) = scene.step(1.0, 1);
    assert!(matches!(step, Step::Stop(StopReason::Stopped(_))), "{step:?}");
    assert_eq!(n_looks, 0);

    let (step, n_looks) = Scene::new(1).step(1.0, 1);
    assert!(matches!(step, Step::Finished(_)), "{step:?}");
    assert_eq!(n_looks, 0);
}
