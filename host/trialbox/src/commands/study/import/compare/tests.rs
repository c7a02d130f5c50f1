//! Tests of the comparison of a file with a study.

use super::*;
use trialbox_core::TrialNumber;
use trialbox_core::study::retry::FAILED_TRIAL_ATTR;
use trialbox_core::study::trial::{TrialId, parse_datetime};

fn float(low: f64, high: f64, log: bool) -> Distribution {
    Distribution::float(low, high, log, None).expect("a range")
}

fn int(low: i64, high: i64) -> Distribution {
    Distribution::int(low, high, false, 1).expect("a range")
}

fn choice(choices: &[&str]) -> Distribution {
    let choices = choices.iter().map(|choice| Json::from(*choice)).collect();
    Distribution::categorical(choices).expect("choices")
}

/// Returns a trial that started at a second of its own.
fn trial(state: TrialState, second: u32, params: &[(&str, Distribution, f64)]) -> FrozenTrial {
    let at = parse_datetime(&format!("2026-11-24 01:02:{second:02}.000456"));
    FrozenTrial {
        id: TrialId(0),
        number: TrialNumber(second),
        state,
        values: if state == TrialState::Complete { vec![0.5] } else { vec![] },
        datetime_start: at.filter(|_| state != TrialState::Waiting),
        datetime_complete: at.filter(|_| state.is_finished()),
        params: params
            .iter()
            .map(|(name, distribution, internal)| {
                let param = Param { distribution: distribution.clone(), internal: *internal };
                ((*name).to_owned(), param)
            })
            .collect(),
        user_attrs: BTreeMap::new(),
        system_attrs: BTreeMap::new(),
        intermediate_values: BTreeMap::new(),
    }
}

fn enqueued(x: f64) -> FrozenTrial {
    let mut trial = trial(TrialState::Waiting, 0, &[]);
    let params = Json::object([("x", Json::from(x))]);
    trial.system_attrs.insert(FIXED_PARAMS_ATTR.to_owned(), params);
    trial
}

/// Returns how many trials of a file are new to a study.
fn n_new(file: &[FrozenTrial], study: &[FrozenTrial]) -> usize {
    new_trials(file, study).len()
}

#[test]
fn a_finished_trial_is_recognised_whatever_its_number() {
    let (a, b) = (trial(TrialState::Complete, 1, &[]), trial(TrialState::Fail, 2, &[]));
    let mut moved = a.clone();
    moved.number = TrialNumber(9);
    moved.id = TrialId(9);
    assert_eq!(n_new(&[a.clone(), b.clone()], &[moved]), 1);
    for other in [
        FrozenTrial { values: vec![0.25], ..a.clone() },
        FrozenTrial { state: TrialState::Pruned, ..a.clone() },
        FrozenTrial { datetime_complete: b.datetime_complete, ..a.clone() },
        FrozenTrial { user_attrs: BTreeMap::from([("k".to_owned(), Json::Null)]), ..a.clone() },
        FrozenTrial { intermediate_values: BTreeMap::from([(1, 0.5)]), ..a.clone() },
        FrozenTrial {
            params: vec![("x".to_owned(), Param { distribution: int(0, 9), internal: 1.0 })],
            ..a.clone()
        },
    ] {
        assert_eq!(n_new(std::slice::from_ref(&other), std::slice::from_ref(&a)), 1, "{other:?}");
    }
}

#[test]
fn a_trial_of_the_study_stands_for_one_of_the_file() {
    let twice = [enqueued(2.0), enqueued(2.0)];
    assert_eq!(n_new(&twice, &twice), 0);
    assert_eq!(n_new(&twice, &twice[..1]), 1);
    assert_eq!(n_new(&twice, &[]), 2);
    // The RUNNING trial has become the only one that could stand for the WAITING one too.
    let mut running = enqueued(2.0);
    (running.state, running.datetime_start) =
        (TrialState::Running, parse_datetime("2026-11-24 01:02:03"));
    let mut complete = running.clone();
    (complete.state, complete.values) = (TrialState::Complete, vec![1.0]);
    assert_eq!(n_new(&[running, enqueued(2.0)], &[complete]), 1);
}

#[test]
fn a_retry_is_recognised_although_a_copy_names_its_lost_trial_by_another_number() {
    let mut retry = trial(TrialState::Complete, 1, &[]);
    retry.system_attrs.insert(FAILED_TRIAL_ATTR.to_owned(), Json::from(0u32));
    let mut copy = retry.clone();
    copy.system_attrs.insert(FAILED_TRIAL_ATTR.to_owned(), Json::from(5u32));
    assert_eq!(n_new(&[retry], &[copy]), 0);
}

#[test]
fn an_unfinished_trial_is_recognised_in_what_it_has_become() {
    let x = ("x", float(0.0, 1.0, false), 0.5);
    let running = trial(TrialState::Running, 1, std::slice::from_ref(&x));
    let more = [x.clone(), ("y", int(0, 9), 3.0)];
    for became in [
        as_copied(running.clone()),
        running.clone(),
        trial(TrialState::Complete, 1, &more),
        trial(TrialState::Fail, 1, std::slice::from_ref(&x)),
    ] {
        assert_eq!(
            n_new(std::slice::from_ref(&running), std::slice::from_ref(&became)),
            0,
            "{became:?}"
        );
    }
    let other_x = ("x", float(0.0, 1.0, false), 0.25);
    for other in [
        trial(TrialState::Complete, 2, &more),
        trial(TrialState::Complete, 1, &[other_x]),
        trial(TrialState::Complete, 1, &[]),
    ] {
        assert_eq!(
            n_new(std::slice::from_ref(&running), std::slice::from_ref(&other)),
            1,
            "{other:?}"
        );
    }
    let mut ran = enqueued(2.0);
    (ran.state, ran.values) = (TrialState::Complete, vec![1.0]);
    assert_eq!(n_new(&[enqueued(2.0)], &[ran.clone()]), 0);
    assert_eq!(n_new(&[enqueued(3.0)], &[ran]), 1);
    // A trial that is to be sampled can become any other.
    let to_be_sampled = trial(TrialState::Waiting, 0, &[]);
    assert_eq!(n_new(&[to_be_sampled], &[trial(TrialState::Complete, 1, &more)]), 1);
}

#[test]
fn a_running_trial_is_added_as_a_failed_one() {
    let added = new_trials(&[trial(TrialState::Running, 1, &[])], &[]);
    assert_eq!(added[0].state, TrialState::Fail);
}

#[test]
fn another_kind_scale_or_choice_is_refused_and_another_range_is_listed() {
    let complete = |name, distribution, value| {
        vec![trial(TrialState::Complete, 1, &[(name, distribution, value)])]
    };
    for (study, file, refused, listed) in [
        (float(0.0, 1.0, false), float(0.0, 1.0, false), "", ""),
        (
            float(0.0, 1.0, false),
            float(0.0, 5.0, false),
            "",
            "parameter `p`: float 0.0 to 1.0 in the study, float 0.0 to 5.0 in the file",
        ),
        (
            float(0.5, 1.0, false),
            float(0.5, 1.0, true),
            "parameter `p`: float 0.5 to 1.0 in the study, float 0.5 to 1.0, log in the file",
            "",
        ),
        (
            float(0.0, 1.0, false),
            int(0, 1),
            "parameter `p`: float 0.0 to 1.0 in the study, int 0 to 1 in the file",
            "",
        ),
        (
            choice(&["a", "b"]),
            choice(&["b", "a"]),
            "parameter `p`: one of \"a\", \"b\" in the study, one of \"b\", \"a\" in the file",
            "",
        ),
    ] {
        let found =
            SpaceDifferences::between(&complete("p", file, 1.0), &complete("p", study, 1.0));
        assert_eq!(found.refused.join("\n"), refused);
        assert_eq!(found.ranges.join("\n"), listed);
    }
    let other_names = SpaceDifferences::between(
        &complete("p", int(0, 1), 1.0),
        &complete("q", float(0.0, 1.0, false), 1.0),
    );
    assert_eq!(other_names, SpaceDifferences::default());
    // A study that already holds both goes on to.
    let mixed =
        [complete("p", int(0, 1), 1.0), complete("p", float(0.0, 1.0, false), 1.0)].concat();
    assert_eq!(
        SpaceDifferences::between(&complete("p", int(0, 1), 0.0), &mixed),
        SpaceDifferences::default()
    );
}
