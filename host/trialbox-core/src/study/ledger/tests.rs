use super::*;
use crate::space::distribution::Distribution;
use crate::study::outcome::Outcome;
use crate::study::trial::{Param, parse_datetime};

fn at(second: u32) -> UtcDateTime {
    parse_datetime(&format!("2026-11-24 01:02:{second:02}")).expect("a date and time")
}

fn waiting() -> FrozenTrial {
    FrozenTrial { id: TrialId(7), number: TrialNumber(3), ..unplanned() }
}

fn running() -> (FrozenTrial, Claim) {
    let mut trial = waiting();
    let begun = begin(&mut trial, &"me".into(), at(10)).expect("a waiting trial starts");
    (trial, begun.claim)
}

fn in_state(state: TrialState) -> FrozenTrial {
    FrozenTrial { state, ..running().0 }
}

fn param(internal: f64) -> Param {
    let distribution = Distribution::float(0.0, 9.0, false, None).expect("a range");
    Param { distribution, internal }
}

fn lost(reason: ClaimLoss) -> IllegalTransition {
    IllegalTransition::ClaimLost { number: TrialNumber(3), reason }
}

/// The states in which a trial is not a claim's, each with the reason that is reported.
const NOT_OURS: [(TrialState, ClaimLoss); 4] = [
    (TrialState::Waiting, ClaimLoss::TakenOver),
    (TrialState::Complete, ClaimLoss::Finished(TrialState::Complete)),
    (TrialState::Pruned, ClaimLoss::Finished(TrialState::Pruned)),
    (TrialState::Fail, ClaimLoss::Finished(TrialState::Fail)),
];

#[test]
fn trials_are_appended_under_the_next_number() {
    let mut trials = vec![];
    assert_eq!(append(&mut trials, TrialId(5), unplanned()), TrialNumber(0));
    assert_eq!(append(&mut trials, TrialId(9), waiting()), TrialNumber(1));
    let keys: Vec<(i64, u32)> = trials.iter().map(|trial| (trial.id.0, trial.number.0)).collect();
    assert_eq!(keys, [(5, 0), (9, 1)]);
}

#[test]
fn complete_pruned_and_running_trials_count_towards_the_budget() {
    let trials = TrialState::ALL.map(in_state);
    assert_eq!(count_towards_budget(&trials), 3);
    assert_eq!(count_towards_budget(&[in_state(TrialState::Fail), waiting()]), 0);
}

#[test]
fn the_waiting_trial_with_the_lowest_number_starts_next() {
    let mut trials = vec![];
    for state in [TrialState::Running, TrialState::Waiting, TrialState::Waiting] {
        append(&mut trials, TrialId(0), in_state(state));
    }
    assert_eq!(next_waiting(&mut trials).map(|trial| trial.number), Some(TrialNumber(1)));
    assert_eq!(next_waiting(&mut trials[..1]), None);
}

#[test]
fn a_trial_starts_with_its_owner_and_what_it_brings_from_earlier_attempts() {
    let fixed = vec![("x".to_owned(), Json::from(2.0))];
    let mut trial = FrozenTrial {
        id: TrialId(7),
        number: TrialNumber(3),
        params: vec![("y".to_owned(), param(1.0))],
        ..enqueued(&EnqueueTrial { params: fixed.clone(), ..EnqueueTrial::default() })
    };
    trial.system_attrs.insert("failed_trial".to_owned(), Json::from(1u32));
    let begun = begin(&mut trial, &"me".into(), at(10)).expect("it waits");
    let owner = Json::object([("uuid", Json::from("me")), ("trial", Json::from(3u32))]);
    assert_eq!(
        begun,
        BegunTrial {
            claim: Claim { id: TrialId(7), number: TrialNumber(3), owner: owner.clone() },
            fixed_params: fixed,
            params: vec![("y".to_owned(), param(1.0))],
            origin: TrialNumber(1),
        }
    );
    assert_eq!((trial.state, trial.datetime_start), (TrialState::Running, Some(at(10))));
    assert_eq!(trial.system_attrs[OWNER_ATTR], owner);
}

#[test]
fn a_trial_that_is_not_waiting_does_not_start() {
    for (state, reason) in [
        (TrialState::Running, ClaimLoss::TakenOver),
        (TrialState::Complete, ClaimLoss::Finished(TrialState::Complete)),
        (TrialState::Pruned, ClaimLoss::Finished(TrialState::Pruned)),
        (TrialState::Fail, ClaimLoss::Finished(TrialState::Fail)),
    ] {
        let mut trial = in_state(state);
        let before = trial.clone();
        assert_eq!(begin(&mut trial, &"other".into(), at(20)), Err(lost(reason)), "{state}");
        assert_eq!(trial, before);
    }
}

#[test]
fn an_owner_is_compared_whole_and_an_absent_one_is_null() {
    let (mut trial, claim) = running();
    assert_eq!(check_owner(&trial, &claim), Ok(()));
    let stranger = Claim { owner: "me".into(), ..claim.clone() };
    assert_eq!(check_owner(&trial, &stranger), Err(lost(ClaimLoss::TakenOver)));
    trial.system_attrs.remove(OWNER_ATTR);
    assert_eq!(check_owner(&trial, &claim), Err(lost(ClaimLoss::TakenOver)));
    assert_eq!(check_owner(&trial, &Claim { owner: Json::Null, ..claim }), Ok(()));
}

#[test]
fn a_batch_is_added_and_a_repeated_parameter_keeps_its_value() {
    let (mut trial, claim) = running();
    let batch = |internal: f64, step: f64| TrialBatch {
        params: vec![("x".to_owned(), param(internal))],
        intermediate_values: vec![(0, step), (1, step)],
        user_attrs: vec![("u".to_owned(), step.into())],
        system_attrs: vec![("s".to_owned(), step.into())],
    };
    record(&mut trial, &claim, &batch(1.0, 0.5)).expect("it is running");
    record(&mut trial, &claim, &batch(2.0, 0.25)).expect("it is running");
    assert_eq!(trial.params, [("x".to_owned(), param(1.0))]);
    assert_eq!(trial.intermediate_values, BTreeMap::from([(0, 0.25), (1, 0.25)]));
    assert_eq!(trial.user_attrs["u"], Json::from(0.25));
    assert_eq!(trial.system_attrs["s"], Json::from(0.25));
    assert_eq!(trial.state, TrialState::Running);
}

#[test]
fn a_name_that_is_too_long_adds_nothing_of_its_batch() {
    let long = "é".repeat(513);
    let attr = |key: &str| vec![(key.to_owned(), Json::Null)];
    for (what, batch) in [
        (
            "parameter name",
            TrialBatch { params: vec![(long.clone(), param(0.0))], ..Default::default() },
        ),
        ("attribute key", TrialBatch { user_attrs: attr(&long), ..Default::default() }),
        ("attribute key", TrialBatch { system_attrs: attr(&long), ..Default::default() }),
    ] {
        let (mut trial, claim) = running();
        let before = trial.clone();
        let batch = TrialBatch { intermediate_values: vec![(0, 1.0)], ..batch };
        let refused = Err(IllegalTransition::NameTooLong { what, chars: 513 });
        assert_eq!(record(&mut trial, &claim, &batch), refused);
        assert_eq!(trial, before);
    }
    assert_eq!(check_name_length("study name", &"é".repeat(512)), Ok(()));
}

#[test]
fn a_trial_finishes_with_its_values_and_never_before_it_started() {
    for (outcome, state, values) in [
        (
            Outcome::Complete(vec![0.5, f64::INFINITY]),
            TrialState::Complete,
            vec![0.5, f64::INFINITY],
        ),
        (Outcome::Pruned(Some(0.25)), TrialState::Pruned, vec![0.25]),
        (Outcome::Pruned(None), TrialState::Pruned, vec![]),
        (Outcome::Fail, TrialState::Fail, vec![]),
    ] {
        let (mut trial, claim) = running();
        let batch = TrialBatch { intermediate_values: vec![(0, 0.25)], ..Default::default() };
        let ending = Ending::new(outcome, at(30));
        assert_eq!(finish(&mut trial, &claim, &batch, &ending), Ok(()));
        assert_eq!((trial.state, &trial.values), (state, &values));
        assert_eq!(trial.datetime_complete, Some(at(30)));
        assert_eq!(trial.intermediate_values, BTreeMap::from([(0, 0.25)]));
    }
    let (mut trial, claim) = running();
    let early = Ending::new(Outcome::Fail, at(5));
    finish(&mut trial, &claim, &TrialBatch::default(), &early).expect("it is running");
    assert_eq!(trial.datetime_complete, Some(at(10)));
}

#[test]
fn a_value_that_is_nan_finishes_nothing() {
    for outcome in [Outcome::Complete(vec![0.0, f64::NAN]), Outcome::Pruned(Some(f64::NAN))] {
        let (mut trial, claim) = running();
        let before = trial.clone();
        let batch = TrialBatch { intermediate_values: vec![(0, 0.25)], ..Default::default() };
        let refused = finish(&mut trial, &claim, &batch, &Ending::new(outcome, at(30)));
        assert_eq!(refused, Err(IllegalTransition::NanValue));
        assert_eq!(trial, before);
    }
    let imported = FrozenTrial { values: vec![f64::NAN], ..in_state(TrialState::Complete) };
    assert_eq!(check_values(&[waiting(), imported]), Err(IllegalTransition::NanValue));
    assert_eq!(check_values(&[waiting()]), Ok(()));
}

#[test]
fn a_trial_that_is_not_the_claims_stays_as_it_is() {
    let (_, claim) = running();
    for (state, reason) in NOT_OURS {
        let mut trial = in_state(state);
        let before = trial.clone();
        let batch = TrialBatch { intermediate_values: vec![(0, 1.0)], ..Default::default() };
        assert_eq!(record(&mut trial, &claim, &batch), Err(lost(reason)), "{state}");
        let ending = Ending::new(Outcome::Complete(vec![1.0]), at(30));
        assert_eq!(finish(&mut trial, &claim, &batch, &ending), Err(lost(reason)), "{state}");
        assert_eq!(trial, before, "{state}");
    }
}

#[test]
fn a_retry_is_appended_until_the_trial_had_all_its_retries() {
    let mut trials = vec![];
    append(&mut trials, TrialId(1), in_state(TrialState::Fail));
    let once = RetryPolicy { max_retries: 1 };
    assert_eq!(append_retry(&mut trials, TrialId(2), TrialNumber(0), once), Some(TrialNumber(1)));
    assert_eq!((trials[1].id, trials[1].state), (TrialId(2), TrialState::Waiting));
    assert_eq!(trials[1].system_attrs["failed_trial"], Json::from(0u32));
    assert_eq!(trials[1].system_attrs.get(OWNER_ATTR), None);
    assert_eq!(append_retry(&mut trials, TrialId(3), TrialNumber(1), once), None);
    assert_eq!(append_retry(&mut trials, TrialId(3), TrialNumber(9), once), None);
    assert_eq!(trials.len(), 2);
}

#[test]
fn only_a_running_trial_has_a_lease_and_takes_notes() {
    let heartbeat = Some(Heartbeat { stamp: "4".to_owned(), age_secs: 1.0 });
    let (mut trial, claim) = running();
    watch(&mut trial, &"seen".into());
    assert_eq!(
        lease(&trial, heartbeat.clone()),
        Some(LeasedTrial {
            id: TrialId(7),
            number: TrialNumber(3),
            owner: Some(claim.owner),
            heartbeat: heartbeat.clone(),
            watch: Some("seen".into()),
        })
    );
    for (state, _) in NOT_OURS {
        let mut trial = in_state(state);
        let before = trial.clone();
        watch(&mut trial, &"seen".into());
        assert_eq!(trial, before, "{state}");
        assert_eq!(lease(&trial, heartbeat.clone()), None, "{state}");
    }
}

#[test]
fn a_trial_whose_worker_died_fails_only_as_it_was_seen() {
    let beat = |stamp: &str| Some(Heartbeat { stamp: stamp.to_owned(), age_secs: 1.0 });
    let (trial, claim) = running();
    let seen = lease(&trial, beat("4")).expect("it is running");
    // The age differs from observation to observation, and other observers' notes are not a sign of life.
    let later = LeasedTrial {
        heartbeat: Some(Heartbeat { age_secs: 9.0, ..beat("4").expect("a heartbeat") }),
        watch: Some("seen".into()),
        ..seen.clone()
    };
    let mut failed = trial.clone();
    assert!(fail_lost(&mut failed, Some(&later), &seen, &"gone".into(), at(30)));
    assert_eq!((failed.state, failed.datetime_complete), (TrialState::Fail, Some(at(30))));
    assert_eq!(failed.system_attrs[FAILURE_ATTR], Json::from("gone"));
    assert_eq!(check_owner(&failed, &claim), Err(lost(ClaimLoss::Finished(TrialState::Fail))));

    for now in [
        None,
        lease(&trial, beat("5")),
        lease(&trial, None),
        Some(LeasedTrial { owner: Some("other".into()), ..seen.clone() }),
    ] {
        let mut trial = trial.clone();
        let before = trial.clone();
        assert!(!fail_lost(&mut trial, now.as_ref(), &seen, &"gone".into(), at(30)), "{now:?}");
        assert_eq!(trial, before);
    }
}
