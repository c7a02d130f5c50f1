//! The laws of every storage, over memory, SQLite and PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use trialbox_core::run::retry::{MADE_PROGRESS_ATTR, RESUMES_ATTR};
use trialbox_core::seam::storage::{
    BeginTrial, BegunTrial, Claim, ClaimLoss, Ending, EnqueueTrial, LeasedTrial, LostTrial,
    OWNER_ATTR, Outcome, RetryPolicy, StudyAttrs, TrialBatch, TrialStart,
};
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::study::trial::parse_datetime;
use trialbox_core::{
    Distribution, FrozenTrial, Json, Param, Storage, StorageError, StudyDirection, StudyRecord,
    TrialNumber, TrialState, UtcDateTime,
};
use trialbox_storage::{Create, Location, MemoryStorage, Options, SqlStorage};

/// Runs a law over every backend.
fn each(test: &str, law: impl Fn(&mut dyn Storage)) {
    law(&mut MemoryStorage::new());
    let path = common::own_folder().join(format!("{test}.db"));
    let _ = std::fs::remove_file(&path);
    let options = Options { create: Create::Missing, ..Options::default() };
    law(&mut SqlStorage::open_file(&path, &options).unwrap());
    if let Some(server) = common::postgres::shared() {
        let url = server.new_database(test);
        law(Location::parse(&url).unwrap().open(&options).unwrap().as_mut());
    }
}

fn at() -> UtcDateTime {
    parse_datetime("2026-11-24 01:02:03.000456").unwrap()
}

fn new_study(name: &str, directions: &[StudyDirection]) -> NewStudy {
    NewStudy {
        name: name.to_owned(),
        directions: directions.to_vec(),
        user_attrs: vec![],
        system_attrs: vec![],
    }
}

fn enqueue(params: &[(String, Json)]) -> EnqueueTrial {
    EnqueueTrial { params: params.to_vec(), ..EnqueueTrial::default() }
}

fn study(storage: &mut dyn Storage) -> StudyRecord {
    storage.create_study(&new_study("s", &[StudyDirection::Minimize])).unwrap()
}

fn start(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    owner: &str,
    max_trials: Option<u64>,
) -> TrialStart {
    storage
        .begin_trial(
            study.id,
            &BeginTrial { owner: owner.into(), has_heartbeat: true, max_trials, at: at() },
        )
        .unwrap()
}

#[track_caller]
fn begin(storage: &mut dyn Storage, study: &StudyRecord, owner: &str) -> BegunTrial {
    match start(storage, study, owner, None) {
        TrialStart::Begun(begun) => *begun,
        other => panic!("no trial was begun: {other:?}"),
    }
}

fn finish(storage: &mut dyn Storage, claim: &Claim, outcome: &Outcome) -> Result<(), StorageError> {
    storage
        .finish_trial(claim, &TrialBatch::default(), &Ending::new(outcome.clone(), at()))
        .map(|_| ())
}

#[track_caller]
fn assert_lost(result: Result<(), StorageError>, want: ClaimLoss) {
    match result {
        Err(StorageError::ClaimLost { reason, .. }) => assert_eq!(reason, want),
        other => panic!("the claim should be lost: {other:?}"),
    }
}

#[test]
fn trials_are_numbered_from_0_without_gaps_in_each_study() {
    each("numbers", |storage| {
        let a = study(storage);
        let b = storage.create_study(&new_study("b", &[StudyDirection::Maximize])).unwrap();
        let numbers: Vec<u32> =
            [&a, &b, &a, &a, &b].map(|study| begin(storage, study, "o").claim.number.0).into();
        assert_eq!(numbers, [0, 0, 1, 2, 1]);
    });
}

#[test]
fn waiting_trials_are_taken_once_lowest_first_with_what_was_fixed() {
    each("waiting", |storage| {
        let study = study(storage);
        for x in [1.5, 2.5] {
            storage.enqueue_trial(study.id, &enqueue(&[("x".to_owned(), x.into())])).unwrap();
        }
        for (number, x) in [(0, 1.5), (1, 2.5)] {
            let begun = begin(storage, &study, "o");
            assert_eq!(begun.claim.number.0, number);
            assert_eq!(begun.fixed_params, [("x".to_owned(), Json::from(x))]);
        }
        let begun = begin(storage, &study, "o");
        assert_eq!((begun.claim.number.0, begun.fixed_params), (2, vec![]));
    });
}

#[test]
fn a_budget_counts_running_and_good_trials_and_holds_for_waiting_ones_too() {
    each("budget", |storage| {
        let study = study(storage);
        let first = begin(storage, &study, "a").claim;
        finish(storage, &first, &Outcome::Fail).unwrap();
        begin(storage, &study, "b");
        storage.enqueue_trial(study.id, &enqueue(&[])).unwrap();
        assert_eq!(start(storage, &study, "c", Some(1)), TrialStart::BudgetReached { n_trials: 1 });
        assert!(matches!(start(storage, &study, "c", Some(2)), TrialStart::Begun(_)));
        assert_eq!(start(storage, &study, "d", Some(2)), TrialStart::BudgetReached { n_trials: 2 });
    });
}

#[test]
fn a_stopped_study_begins_no_trial_until_it_is_resumed() {
    each("stop", |storage| {
        let study = study(storage);
        let running = begin(storage, &study, "a").claim;
        storage.enqueue_trial(study.id, &enqueue(&[])).unwrap();
        let stop = StudyStop {
            at: Some(at()),
            by: Some("anna@node7".to_owned()),
            reason: Some("good enough".to_owned()),
        };
        let set = |storage: &mut dyn Storage, value: Json| {
            let user = vec![(STOP_ATTR.to_owned(), value)];
            storage.set_study_attrs(study.id, &StudyAttrs { user, system: vec![] }).unwrap();
        };
        set(storage, stop.to_json());
        // Waiting trials do not start either, and a stop is reported before a budget that is reached.
        for max_trials in [None, Some(1)] {
            let start = start(storage, &study, "b", max_trials);
            assert_eq!(start, TrialStart::Stopped(stop.clone()));
        }
        assert_eq!(storage.trials(study.id).unwrap().len(), 2);
        // Running trials continue and are recorded.
        storage.record(&running, &TrialBatch::default()).unwrap();
        finish(storage, &running, &Outcome::Complete(vec![1.0])).unwrap();
        set(storage, Json::Null);
        assert_eq!(begin(storage, &study, "b").claim.number, TrialNumber(1));
    });
}

#[test]
fn only_the_owner_writes_and_only_until_the_end() {
    each("fence", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "me").claim;
        let batch = TrialBatch { intermediate_values: vec![(0, 1.0)], ..TrialBatch::default() };
        let other = Claim { owner: "them".into(), ..claim.clone() };
        assert_lost(storage.record(&other, &batch), ClaimLoss::TakenOver);
        assert_lost(finish(storage, &other, &Outcome::Complete(vec![9.0])), ClaimLoss::TakenOver);
        finish(storage, &claim, &Outcome::Complete(vec![1.0])).unwrap();
        assert_lost(storage.record(&claim, &batch), ClaimLoss::Finished(TrialState::Complete));
        assert_lost(
            finish(storage, &claim, &Outcome::Fail),
            ClaimLoss::Finished(TrialState::Complete),
        );
        let trial = storage.trials(study.id).unwrap().remove(0);
        assert_eq!(
            (trial.state, trial.values, trial.intermediate_values.len()),
            (TrialState::Complete, vec![1.0], 0)
        );
        assert_eq!((trial.datetime_start, trial.datetime_complete), (Some(at()), Some(at())));
    });
}

/// The end of a trial may be earlier than its start: its clock was read before a wait, or is another machine's.
#[test]
fn a_point_that_another_trial_took_meanwhile_is_not_recorded() {
    each("apart", |storage| {
        let study = study(storage);
        let other_study =
            storage.create_study(&new_study("other", &[StudyDirection::Minimize])).unwrap();
        let point = |a: f64, b: f64| {
            let param = |internal| Param { distribution: float(0.0, 9.0), internal };
            vec![("a".to_owned(), param(a)), ("b".to_owned(), param(b))]
        };
        let batch = |params: &[(String, Param)]| TrialBatch {
            params: params.to_vec(),
            ..TrialBatch::default()
        };
        let elsewhere = begin(storage, &other_study, "o").claim;
        storage.record(&elsewhere, &batch(&point(1.0, 2.0))).unwrap();
        let (first, second) =
            (begin(storage, &study, "p").claim, begin(storage, &study, "q").claim);
        let record =
            |storage: &mut dyn Storage, claim: &Claim, params: &[(String, Param)], n_known| {
                storage.record_apart(claim, &batch(params), params, n_known)
            };
        assert!(record(storage, &first, &point(1.0, 2.0), 0).unwrap());
        assert!(!record(storage, &second, &point(1.0, 2.0), 0).unwrap());
        assert_eq!(storage.trial(study.id, second.number).unwrap().params, []);
        assert!(
            !record(storage, &second, &point(1.0, 3.0)[..1], 0).unwrap(),
            "the prefix is known"
        );
        assert!(record(storage, &second, &point(1.0, 3.0)[..1], 1).unwrap());
        assert!(record(storage, &second, &point(1.0, 3.0), 0).unwrap());
        assert_eq!(storage.trial(study.id, second.number).unwrap().params, point(1.0, 3.0));
        finish(storage, &first, &Outcome::Complete(vec![1.0])).unwrap();
        let late = record(storage, &first, &point(4.0, 5.0), 0).map(|_| ());
        assert_lost(late, ClaimLoss::Finished(TrialState::Complete));
    });
}

#[test]
fn a_parameter_that_no_column_holds_is_refused_by_its_name_and_changes_nothing() {
    each("unstorable", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "p").claim;
        let param = Param { distribution: float(0.0, 9.0), internal: f64::NAN };
        let batch =
            TrialBatch { params: vec![("lr".to_owned(), param.clone())], ..TrialBatch::default() };
        let message = "the value of parameter `lr` cannot be stored: expected a number, found NaN";
        let ending = Ending::new(Outcome::Fail, at());
        let trial = storage.trial(study.id, claim.number).unwrap();
        let added = FrozenTrial { params: vec![("lr".to_owned(), param)], ..trial };
        for error in [
            storage.record(&claim, &batch).unwrap_err(),
            storage.try_record(&claim, &batch).unwrap_err(),
            storage.record_apart(&claim, &batch, &[], 0).unwrap_err(),
            storage.finish_trial(&claim, &batch, &ending).unwrap_err(),
            storage.add_trials(study.id, &[added]).unwrap_err(),
        ] {
            assert_eq!(error.to_string(), message);
        }
        let trials = storage.history(study.id).unwrap();
        assert_eq!(
            (trials.len(), trials[0].state, trials[0].params.len()),
            (1, TrialState::Running, 0)
        );
    });
}

#[test]
fn a_trial_does_not_end_before_it_starts() {
    let earlier = parse_datetime("2026-11-24 01:02:03.000455").unwrap();
    each("times", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "us").claim;
        let ending = Ending::new(Outcome::Fail, earlier);
        storage.finish_trial(&claim, &TrialBatch::default(), &ending).unwrap();
        begin(storage, &study, "others");
        let held = storage.running_trials(study.id).unwrap().remove(0);
        storage.fail_lost_trial(&held, &Json::Null, None, earlier).unwrap().unwrap();
        for trial in storage.trials(study.id).unwrap() {
            assert_eq!((trial.datetime_start, trial.datetime_complete), (Some(at()), Some(at())));
        }
    });
}

#[test]
fn values_come_back_to_the_bit() {
    each("values", |storage| {
        let study = study(storage);
        // Not -0.0: SQLite stores whole floats as integers, so it comes back as 0.0, in Optuna too.
        let odd = [f64::INFINITY, f64::NEG_INFINITY, 5e-324, 1e308, 0.1 + 0.2];
        for value in odd {
            let claim = begin(storage, &study, "o").claim;
            let steps = vec![(0, value), (1, f64::NAN), (-3, f64::NEG_INFINITY)];
            let batch = TrialBatch { intermediate_values: steps, ..TrialBatch::default() };
            let ending = Ending::new(Outcome::Complete(vec![value]), at());
            storage.finish_trial(&claim, &batch, &ending).unwrap();
        }
        for (trial, value) in storage.trials(study.id).unwrap().into_iter().zip(odd) {
            assert_eq!(trial.values[0].to_bits(), value.to_bits());
            assert_eq!(trial.intermediate_values[&0].to_bits(), value.to_bits());
            assert!(trial.intermediate_values[&1].is_nan());
            assert_eq!(trial.intermediate_values[&-3], f64::NEG_INFINITY);
        }
    });
}

#[test]
fn parameters_keep_their_order_type_and_distribution() {
    each("params", |storage| {
        let study = study(storage);
        let choices = vec![
            Json::Null,
            true.into(),
            1i64.into(),
            2.5.into(),
            "é\u{1f600}".into(),
            f64::NAN.into(),
        ];
        let params: Vec<(String, Param)> = [
            ("z", Distribution::float(1e-5, 0.1, true, None), 0.01),
            ("a", Distribution::int(1, 9, false, 2), 5.0),
            ("m", Distribution::categorical(choices), 4.0),
        ]
        .map(|(name, distribution, internal)| {
            (name.to_owned(), Param { distribution: distribution.unwrap(), internal })
        })
        .into();
        let claim = begin(storage, &study, "o").claim;
        storage
            .record(&claim, &TrialBatch { params: params.clone(), ..TrialBatch::default() })
            .unwrap();
        let trial = storage.trials(study.id).unwrap().remove(0);
        // As text, because NaN is not equal to itself.
        assert_eq!(format!("{:?}", trial.params), format!("{params:?}"));
        assert_eq!(storage.recorded_distribution(study.id, claim.id, "a").unwrap(), None);
        let next = begin(storage, &study, "o").claim;
        let found = storage.recorded_distribution(study.id, next.id, "a").unwrap();
        assert_eq!(found.as_ref(), Some(&params[1].1.distribution));
    });
}

#[test]
fn the_directions_of_a_study_change_while_no_trial_has_a_value() {
    each("directions", |storage| {
        let study = study(storage);
        let both = [StudyDirection::Maximize, StudyDirection::Minimize];
        let changed = storage.set_directions(study.id, &both).unwrap().expect("it has no trial");
        assert_eq!(changed.directions, both);
        assert_eq!(storage.open_study(&study.name).unwrap().directions, both);
        let up = [StudyDirection::Maximize];
        let claim = begin(storage, &study, "o").claim;
        assert!(storage.set_directions(study.id, &up).unwrap().is_some(), "a trial runs");
        let batch = TrialBatch { intermediate_values: vec![(0, 1.0)], ..TrialBatch::default() };
        storage.record(&claim, &batch).unwrap();
        assert!(storage.set_directions(study.id, &both).unwrap().is_none(), "it has reported");
        assert_eq!(storage.open_study(&study.name).unwrap().directions, up);
    });
}

#[test]
fn attributes_are_replaced_and_a_studys_defaults_are_set_once() {
    each("attrs", |storage| {
        let study = study(storage);
        let pair = |value: i64| vec![("k".to_owned(), Json::from(value))];
        assert_eq!(
            storage.set_study_defaults(study.id, &pair(1)).unwrap().user_attrs["k"],
            Json::Int(1)
        );
        assert_eq!(
            storage.set_study_defaults(study.id, &pair(2)).unwrap().user_attrs["k"],
            Json::Int(1)
        );
        assert_eq!(
            storage
                .set_study_attrs(study.id, &StudyAttrs { user: pair(3), ..StudyAttrs::default() })
                .unwrap()
                .user_attrs["k"],
            Json::Int(3)
        );
        let claim = begin(storage, &study, "o").claim;
        for value in [1, 2] {
            let batch = TrialBatch {
                user_attrs: pair(value),
                system_attrs: pair(-value),
                ..TrialBatch::default()
            };
            storage.record(&claim, &batch).unwrap();
        }
        let trial = storage.trials(study.id).unwrap().remove(0);
        assert_eq!(
            (&trial.user_attrs["k"], &trial.system_attrs["k"]),
            (&Json::Int(2), &Json::Int(-2))
        );
    });
}

#[test]
fn studies_keep_their_directions_and_have_unique_names_of_at_most_512_characters() {
    each("studies", |storage| {
        // Not the same when read backwards.
        let directions =
            [StudyDirection::Maximize, StudyDirection::Maximize, StudyDirection::Minimize];
        for name in ["", "a\nb", "é 😀 '\"; --", &"x".repeat(512)] {
            let made = storage.create_study(&new_study(name, &directions)).unwrap();
            assert_eq!(storage.open_study(name).unwrap(), made);
            assert_eq!(made.directions, directions);
            let again = storage.create_study(&new_study(name, &directions));
            assert!(matches!(again, Err(StorageError::DuplicateStudy { .. })));
        }
        let long = storage.create_study(&new_study(&"x".repeat(513), &directions));
        assert!(matches!(long, Err(StorageError::NameTooLong { chars: 513, .. })));
        assert_eq!(storage.list_studies().unwrap().len(), 4);
        match storage.open_study("no such") {
            Err(StorageError::NoSuchStudy { known, .. }) => assert_eq!(known.len(), 4),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn failed_and_pruned_trials_may_have_no_value() {
    each("endings", |storage| {
        let study = study(storage);
        for outcome in [Outcome::Fail, Outcome::Pruned(None), Outcome::Pruned(Some(0.5))] {
            let claim = begin(storage, &study, "o").claim;
            finish(storage, &claim, &outcome).unwrap();
        }
        let ends: Vec<_> = storage
            .trials(study.id)
            .unwrap()
            .into_iter()
            .map(|trial| (trial.state, trial.values))
            .collect();
        assert_eq!(
            ends,
            [
                (TrialState::Fail, vec![]),
                (TrialState::Pruned, vec![]),
                (TrialState::Pruned, vec![0.5]),
            ]
        );
    });
}

#[test]
fn a_final_value_that_is_nan_is_refused_and_changes_nothing() {
    each("nan", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "o").claim;
        let refused = finish(storage, &claim, &Outcome::Complete(vec![f64::NAN]));
        assert!(matches!(refused, Err(StorageError::NanValue)));
        assert_eq!(storage.trials(study.id).unwrap()[0].state, TrialState::Running);
        finish(storage, &claim, &Outcome::Fail).unwrap();
    });
}

#[test]
fn a_lost_trial_is_ended_and_queued_again_in_one_step_and_only_as_it_was_seen() {
    each("lost", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "o").claim;
        let batch = TrialBatch {
            intermediate_values: vec![(0, 1.0)],
            user_attrs: vec![("u".to_owned(), 1i64.into())],
            ..TrialBatch::default()
        };
        let seen = storage.running_trials(study.id).unwrap().remove(0);
        assert_eq!((seen.id, seen.owner.as_ref()), (claim.id, Some(&claim.owner)));
        assert!(seen.heartbeat.is_some());
        let other = LeasedTrial { owner: Some("other".into()), ..seen.clone() };
        let policy = Some(RetryPolicy { max_retries: 1 });
        let reason = Json::from("why");
        assert_eq!(storage.fail_lost_trial(&other, &reason, policy, at()).unwrap(), None);
        storage.record(&claim, &batch).unwrap();
        let seen = storage.running_trials(study.id).unwrap().remove(0);
        let lost = storage.fail_lost_trial(&seen, &reason, policy, at()).unwrap().unwrap();
        assert_eq!(lost, LostTrial { number: TrialNumber(0), retry: Some(TrialNumber(1)) });
        // A second reaper that saw the same lease comes too late.
        assert_eq!(storage.fail_lost_trial(&seen, &reason, policy, at()).unwrap(), None);
        assert_lost(storage.record(&claim, &batch), ClaimLoss::Finished(TrialState::Fail));

        let trials = storage.trials(study.id).unwrap();
        assert_eq!(trials.len(), 2);
        assert_eq!(trials[0].state, TrialState::Fail);
        assert_eq!(trials[0].system_attrs["trialbox:failure"], reason);
        let retry = &trials[1];
        assert_eq!((retry.state, retry.intermediate_values.len()), (TrialState::Waiting, 0));
        assert_eq!(retry.user_attrs, trials[0].user_attrs);
        let attrs: Vec<&str> = retry.system_attrs.keys().map(String::as_str).collect();
        assert_eq!(attrs, ["failed_trial", "retry_history"]);

        let again = begin(storage, &study, "p");
        assert_eq!((again.claim.number, again.origin), (TrialNumber(1), TrialNumber(0)));
        let seen = storage.running_trials(study.id).unwrap().remove(0);
        let lost = storage.fail_lost_trial(&seen, &reason, policy, at()).unwrap().unwrap();
        assert_eq!(lost.retry, None, "one retry was allowed");
    });
}

#[test]
fn an_attempt_that_made_progress_has_a_retry_though_none_is_left() {
    each("progress", |storage| {
        let study = study(storage);
        let ending = |outcome| Ending {
            retry: Some(RetryPolicy { max_retries: 0 }),
            ..Ending::new(outcome, at())
        };
        let progress = TrialBatch {
            system_attrs: vec![(MADE_PROGRESS_ATTR.to_owned(), true.into())],
            ..TrialBatch::default()
        };
        let first = begin(storage, &study, "o").claim;
        let retry = storage.finish_trial(&first, &progress, &ending(Outcome::Fail)).unwrap();
        assert_eq!(retry, Some(TrialNumber(1)));
        let second = begin(storage, &study, "p").claim;
        let nothing = TrialBatch::default();
        let retry = storage.finish_trial(&second, &nothing, &ending(Outcome::Fail)).unwrap();
        assert_eq!(retry, None);
        let second = storage.trial(study.id, TrialNumber(1)).unwrap();
        assert_eq!(second.system_attrs[RESUMES_ATTR], 1i64.into());
    });
}

#[test]
fn a_trial_without_a_beating_owner_has_no_heartbeat_and_record_gives_it_none() {
    each("silent", |storage| {
        let study = study(storage);
        let request =
            BeginTrial { owner: "o".into(), has_heartbeat: false, max_trials: None, at: at() };
        let TrialStart::Begun(begun) = storage.begin_trial(study.id, &request).unwrap() else {
            panic!("there is no budget")
        };
        storage.record(&begun.claim, &TrialBatch::default()).unwrap();
        assert_eq!(storage.running_trials(study.id).unwrap()[0].heartbeat, None);
    });
}

#[test]
fn an_owner_that_a_copy_inherited_speaks_of_another_trial() {
    each("inherited", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "o").claim;
        let original = storage.trials(study.id).unwrap();
        storage.add_trials(study.id, &original).unwrap();
        let held = storage.running_trials(study.id).unwrap();
        assert_eq!(held[0].owner_of_this(), Some(&claim.owner));
        assert_eq!((held[1].owner.as_ref(), held[1].owner_of_this()), (Some(&claim.owner), None));
    });
}

#[test]
fn a_history_has_what_a_search_may_depend_on() {
    each("of-search", |storage| {
        let study = study(storage);
        let attrs = [
            "trialbox:usage",
            "trialbox:sampler:gp",
            "tpe:relative_params:0",
            "constraints",
            "grid_id",
        ];
        let mut claims = ["a", "b"].map(|owner| begin(storage, &study, owner).claim);
        for claim in &mut claims {
            let batch = TrialBatch {
                user_attrs: vec![("note".to_owned(), Json::Int(1))],
                system_attrs: attrs.map(|key| (key.to_owned(), Json::Null)).to_vec(),
                ..TrialBatch::default()
            };
            storage.record(claim, &batch).unwrap();
        }
        finish(storage, &claims[0], &Outcome::Complete(vec![1.0])).unwrap();
        let history = storage.history(study.id).unwrap();
        let keys = |index: usize| history[index].system_attrs.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(0), ["constraints", "grid_id", "trialbox:sampler:gp"]);
        // Simultaneous trials learn of a joint draw from the attribute alone.
        assert_eq!(
            keys(1),
            ["constraints", "grid_id", "tpe:relative_params:0", "trialbox:sampler:gp"]
        );
        assert!(history.iter().all(|trial| trial.user_attrs.is_empty()));
    });
}

#[test]
fn trials_are_chosen_with_those_of_the_study_in_view() {
    each("chosen", |storage| {
        let study = study(storage);
        begin(storage, &study, "o");
        let twice = |present: &[FrozenTrial]| [present, present].concat();
        assert_eq!(storage.add_chosen_trials(study.id, &twice).unwrap(), 2);
        assert_eq!(storage.add_chosen_trials(study.id, &twice).unwrap(), 6);
        assert_eq!(storage.add_chosen_trials(study.id, &|_| Vec::new()).unwrap(), 0);
        let trials = storage.trials(study.id).unwrap();
        let numbers: Vec<u32> = trials.iter().map(|trial| trial.number.0).collect();
        assert_eq!(numbers, (0..9).collect::<Vec<u32>>());
    });
}

#[test]
fn a_trial_is_not_queued_twice_if_the_user_says_so() {
    each("skip", |storage| {
        let study = study(storage);
        let trial = |x: f64, skip_if_exists| EnqueueTrial {
            skip_if_exists,
            ..enqueue(&[("x".to_owned(), x.into())])
        };
        let mut put = |x, skip| storage.enqueue_trial(study.id, &trial(x, skip)).unwrap();
        assert_eq!(put(1.0, true), Some(TrialNumber(0)));
        assert_eq!(put(1.0, true), None);
        assert_eq!(put(1.0, false), Some(TrialNumber(1)));
        assert_eq!(put(2.0, true), Some(TrialNumber(2)));
    });
}

#[test]
fn studies_are_renamed_deleted_and_imported_whole() {
    each("move", |storage| {
        let study = study(storage);
        let claim = begin(storage, &study, "o").claim;
        finish(storage, &claim, &Outcome::Complete(vec![0.5])).unwrap();
        let trials = storage.trials(study.id).unwrap();
        let copy =
            storage.import_study(&new_study("copy", &[StudyDirection::Minimize]), &trials).unwrap();
        let mut copied = storage.trials(copy.id).unwrap();
        copied[0].id = trials[0].id;
        assert_eq!(copied, trials);

        let taken = storage.rename_study(study.id, "copy");
        assert!(matches!(taken, Err(StorageError::DuplicateStudy { .. })));
        storage.rename_study(study.id, "t").unwrap();
        assert_eq!(storage.open_study("t").unwrap().id, study.id);
        storage.delete_study(study.id).unwrap();
        assert!(matches!(storage.open_study("t"), Err(StorageError::NoSuchStudy { .. })));
        assert_eq!(storage.trials(copy.id).unwrap(), {
            copied[0].id = storage.trials(copy.id).unwrap()[0].id;
            copied
        });
        let missing = storage.trial(copy.id, TrialNumber(1));
        assert!(matches!(missing, Err(StorageError::NoSuchTrial { n_trials: 1, .. })));
    });
}

#[test]
fn what_has_changed_is_what_is_new_or_had_not_ended() {
    each("changed", |storage| {
        let study = study(storage);
        let other = storage.create_study(&new_study("other", &[StudyDirection::Minimize])).unwrap();
        let claims = ["a", "b", "c"].map(|owner| begin(storage, &study, owner).claim);
        finish(storage, &claims[1], &Outcome::Complete(vec![1.0])).unwrap();
        let known = storage.history(study.id).unwrap();
        assert_eq!(storage.changed_trials(study.id, &[]).unwrap().as_ref(), Some(&known));
        finish(storage, &claims[0], &Outcome::Pruned(None)).unwrap();
        begin(storage, &other, "e");
        begin(storage, &study, "d");
        let changed = storage.changed_trials(study.id, &known).unwrap().unwrap();
        let now = storage.history(study.id).unwrap();
        assert_eq!(changed, [now[0].clone(), now[2].clone(), now[3].clone()]);
        assert_eq!(changed[0].state, TrialState::Pruned);
        // The owner of a trial is irrelevant to the search.
        let mut now = storage.trials(study.id).unwrap();
        assert!(now.iter().all(|trial| trial.system_attrs.contains_key(OWNER_ATTR)));
        now.iter_mut().for_each(|trial| drop(trial.system_attrs.remove(OWNER_ATTR)));
        assert_eq!(storage.history(study.id).unwrap(), now);
        // Another study's trials are known by the same numbers, and are others.
        let elsewhere = storage.history(other.id).unwrap();
        assert_eq!(storage.changed_trials(study.id, &elsewhere).unwrap(), None);
        let now = storage.history(study.id).unwrap();
        let outcomes = storage.outcomes(study.id).unwrap();
        assert_eq!(outcomes.len(), now.len());
        for (outcome, trial) in outcomes.iter().zip(&now) {
            assert_eq!(
                (outcome.number, outcome.state, &outcome.values, &outcome.system_attrs),
                (trial.number, trial.state, &trial.values, &trial.system_attrs)
            );
        }
    });
}

fn float(low: f64, high: f64) -> Distribution {
    Distribution::float(low, high, false, None).unwrap()
}

/// Runs a trial that has one parameter `x`, of this distribution, to its end.
fn run(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    x: &Distribution,
    outcome: &Outcome,
) -> TrialNumber {
    let claim = begin(storage, study, "o").claim;
    let param = Param { distribution: x.clone(), internal: 1.0 };
    let batch = TrialBatch { params: vec![("x".to_owned(), param)], ..TrialBatch::default() };
    storage.record(&claim, &batch).unwrap();
    finish(storage, &claim, outcome).unwrap();
    claim.number
}

#[test]
fn two_studies_at_work_have_their_own_parameters_and_budgets() {
    each("two-studies", |storage| {
        let a = study(storage);
        let b = storage.create_study(&new_study("b", &[StudyDirection::Maximize])).unwrap();
        let (of_a, of_b) = (float(0.0, 2.0), Distribution::int(1, 9, false, 1).unwrap());
        let complete = Outcome::Complete(vec![0.5]);
        // Before a study has the parameter, the other's range does not count.
        run(storage, &a, &of_a, &complete);
        let first_of_b = begin(storage, &b, "o").claim;
        assert_eq!(storage.recorded_distribution(b.id, first_of_b.id, "x").unwrap(), None);
        finish(storage, &first_of_b, &Outcome::Fail).unwrap();
        // The trials of the two alternate, and each study's failed ones stand between the other's good ones.
        for _ in 0..2 {
            run(storage, &b, &of_b, &complete);
            run(storage, &a, &of_a, &Outcome::Pruned(None));
            run(storage, &b, &of_b, &Outcome::Fail);
        }
        for (study, wanted) in [(&a, &of_a), (&b, &of_b)] {
            let running = begin(storage, study, "o").claim;
            let found = storage.recorded_distribution(study.id, running.id, "x").unwrap();
            assert_eq!(found.as_ref(), Some(wanted), "{}", study.name);
            finish(storage, &running, &Outcome::Fail).unwrap();
        }
        // Three count of each: COMPLETE and PRUNED ones of `a`, two COMPLETE ones and a RUNNING one of `b`.
        let running = begin(storage, &b, "o").claim;
        for study in [&a, &b] {
            let full = start(storage, study, "o", Some(3));
            assert_eq!(full, TrialStart::BudgetReached { n_trials: 3 }, "{}", study.name);
        }
        finish(storage, &running, &Outcome::Fail).unwrap();
        assert!(matches!(start(storage, &b, "o", Some(3)), TrialStart::Begun(_)));
        assert!(matches!(start(storage, &a, "o", Some(4)), TrialStart::Begun(_)));
        for study in [&a, &b] {
            let n_running = storage.running_trials(study.id).unwrap().len();
            assert_eq!(n_running, 1, "{}", study.name);
        }
    });
}

#[test]
fn a_study_in_a_deleted_ones_place_counts_its_own_trials() {
    each("in-its-place", |storage| {
        let (a, x) = (study(storage), float(0.0, 2.0));
        let complete = Outcome::Complete(vec![0.5]);
        let directions = [StudyDirection::Maximize];
        let b = storage.create_study(&new_study("b", &directions)).unwrap();
        run(storage, &b, &x, &complete);
        let full = start(storage, &b, "o", Some(1));
        assert_eq!(full, TrialStart::BudgetReached { n_trials: 1 });
        storage.delete_study(b.id).unwrap();
        // SQLite gives the ids of the deleted study and of its trial away again, the trial's to another study.
        run(storage, &a, &x, &complete);
        let again = storage.create_study(&new_study("b", &directions)).unwrap();
        run(storage, &again, &x, &Outcome::Fail);
        assert!(matches!(start(storage, &again, "o", Some(1)), TrialStart::Begun(_)));
        let full = start(storage, &again, "o", Some(1));
        assert_eq!(full, TrialStart::BudgetReached { n_trials: 1 });
    });
}

#[test]
fn a_pruned_trial_after_a_running_one_counts_towards_the_budget() {
    each("pruned-later", |storage| {
        let study = study(storage);
        let running = begin(storage, &study, "first").claim;
        run(storage, &study, &float(0.0, 2.0), &Outcome::Pruned(None));
        let full = start(storage, &study, "o", Some(2));
        assert_eq!(full, TrialStart::BudgetReached { n_trials: 2 });
        finish(storage, &running, &Outcome::Fail).unwrap();
        assert!(matches!(start(storage, &study, "o", Some(2)), TrialStart::Begun(_)));
    });
}

#[test]
fn a_study_starts_with_the_first_of_its_trials() {
    each("start", |storage| {
        let study = study(storage);
        let times = ["01:02:03", "01:00:00", "01:04:00"]
            .map(|time| parse_datetime(&format!("2026-11-24 {time}")).expect("a date and time"));
        for at in times {
            let request =
                BeginTrial { owner: "o".into(), has_heartbeat: false, max_trials: None, at };
            storage.begin_trial(study.id, &request).unwrap();
        }
        let summary = storage.list_studies().unwrap().remove(0);
        assert_eq!(summary.datetime_start, Some(times[1]));
        assert_eq!(summary.n_trials, [(TrialState::Running, 3)].into());
    });
}

#[test]
fn a_waiting_trial_is_cancelled_once_and_no_other_trial_is() {
    each("cancel", |storage| {
        let study = study(storage);
        let failure = Json::object([("code", Json::from("E-CANCELLED"))]);
        for _ in 0..2 {
            storage.enqueue_trial(study.id, &enqueue(&[])).unwrap();
        }
        let cancel = |storage: &mut dyn Storage, number| {
            storage.cancel_waiting(study.id, TrialNumber(number), &failure, at())
        };
        assert!(cancel(storage, 0).unwrap());
        assert!(!cancel(storage, 0).unwrap(), "it is finished");
        let begun = start(storage, &study, "a", None);
        assert!(matches!(begun, TrialStart::Begun(begun) if begun.claim.number == TrialNumber(1)));
        assert!(!cancel(storage, 1).unwrap(), "it is RUNNING");
        let cancelled = storage.trial(study.id, TrialNumber(0)).unwrap();
        assert_eq!(cancelled.state, TrialState::Fail);
        assert_eq!(cancelled.system_attrs["trialbox:failure"], failure);
        assert_eq!(
            (cancelled.datetime_start, cancelled.datetime_complete),
            (Some(at()), Some(at()))
        );
        assert_eq!(storage.trial(study.id, TrialNumber(1)).unwrap().state, TrialState::Running);
        let missing = cancel(storage, 2);
        assert!(matches!(missing, Err(StorageError::NoSuchTrial { .. })), "{missing:?}");
    });
}

#[test]
fn failed_trials_are_retried_once_and_the_copies_name_them() {
    each("retry-failed", |storage| {
        let study = study(storage);
        storage.enqueue_trial(study.id, &enqueue(&[("x".to_owned(), 0.5.into())])).unwrap();
        let TrialStart::Begun(begun) = start(storage, &study, "a", None) else { panic!() };
        let ending = Ending::new(Outcome::Fail, at());
        storage.finish_trial(&begun.claim, &TrialBatch::default(), &ending).unwrap();
        let TrialStart::Begun(running) = start(storage, &study, "b", None) else { panic!() };
        assert_eq!(running.claim.number, TrialNumber(1));
        let all = [TrialNumber(0), TrialNumber(1), TrialNumber(7)];
        let retried = storage.retry_failed(study.id, &all).unwrap();
        assert_eq!(retried, [(TrialNumber(0), TrialNumber(2))]);
        assert_eq!(storage.retry_failed(study.id, &all).unwrap(), [], "it has a retry");
        let copy = storage.trial(study.id, TrialNumber(2)).unwrap();
        assert_eq!(copy.state, TrialState::Waiting);
        assert_eq!(copy.system_attrs["failed_trial"], Json::from(0u32));
        assert_eq!(copy.system_attrs["retry_history"], Json::Array(vec![0u32.into()]));
        let fixed = Json::object([("x", Json::from(0.5))]);
        assert_eq!(copy.system_attrs["fixed_params"], fixed);
    });
}
