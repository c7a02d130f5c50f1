//! Tests of exports: what they keep, and what is refused.

use super::*;
use proptest::prelude::*;
use serde_json::Value;
use std::path::PathBuf;
use trialbox_core::study::record::NewStudy;
use trialbox_core::{Storage, StudyId};
use trialbox_storage::{Create, Options, SqlStorage};

#[test]
fn a_study_comes_back_to_the_bit_through_strict_json() {
    let choices = vec![Json::Null, 1i64.into(), 1.0.into(), f64::NAN.into(), "é".into()];
    let param = |distribution: Distribution, internal| Param { distribution, internal };
    let odd = Json::Object(vec![
        ("$json".to_owned(), Json::from("plain text")),
        ("big".to_owned(), Json::BigInt("9".repeat(30))),
        ("half".to_owned(), Json::IllFormedString(vec![0x61, 0xd800])),
        ("list".to_owned(), Json::Array(vec![f64::INFINITY.into(), true.into()])),
    ]);
    let at = parse_datetime("2026-11-24 01:02:03.000456");
    let trial = FrozenTrial {
        id: TrialId(0),
        number: TrialNumber(0),
        state: TrialState::Complete,
        values: vec![f64::NEG_INFINITY, 0.1 + 0.2],
        datetime_start: at,
        datetime_complete: at,
        params: vec![
            (
                "z".to_owned(),
                param(Distribution::float(0.0, 1.0, false, None).expect("a range"), 5e-324),
            ),
            ("a".to_owned(), param(Distribution::categorical(choices).expect("choices"), 3.0)),
        ],
        user_attrs: BTreeMap::from([("odd".to_owned(), odd)]),
        system_attrs: BTreeMap::from([("fixed_params".to_owned(), Json::Object(vec![]))]),
        intermediate_values: BTreeMap::from([(-1, f64::NAN), (7, 1e308)]),
    };
    let study = StudyRecord {
        id: StudyId(1),
        name: "a\nb".to_owned(),
        directions: vec![StudyDirection::Minimize, StudyDirection::Maximize],
        user_attrs: BTreeMap::from([("trialbox:seed".to_owned(), Json::from(u64::MAX))]),
        system_attrs: BTreeMap::new(),
    };
    let text = encode(&study, std::slice::from_ref(&trial));
    for line in text.lines() {
        serde_json::from_str::<Value>(line).expect("strict JSON");
    }
    let back = decode(&text).expect("it reads back");
    assert_eq!((back.name.as_deref(), back.directions), (Some("a\nb"), Some(study.directions)));
    assert_eq!(back.user_attrs, study.user_attrs.into_iter().collect::<Vec<_>>());
    // As text, because NaN is not equal to itself.
    assert_eq!(format!("{:?}", back.trials), format!("{:?}", [trial]));
}

/// Returns the line of a trial that holds nothing but its state and its start, which is JSON.
fn bare_line(state: &str, datetime_start: &str) -> String {
    let head =
        format!(r#"{{"state": "{state}", "values": [], "datetime_start": {datetime_start}, "#);
    let params = r#""params_internal": {}, "params_order": [], "distributions": {}, "#;
    let rest = r#""user_attrs": {}, "system_attrs": {}, "intermediate_values": []}"#;
    head + params + rest
}

#[test]
fn an_attribute_may_have_the_name_of_the_escape() {
    let line = bare_line("WAITING", "null")
        .replace(r#""user_attrs": {}"#, r#""user_attrs": {"$json": "no JSON"}"#);
    let trial = decode(&line).expect("it reads").trials.remove(0);
    assert_eq!(trial.user_attrs.get(ESCAPE), Some(&Json::from("no JSON")));
}

#[test]
fn a_malformed_line_is_named() {
    let trial = bare_line("COMPLETE", "null");
    for (text, problem) in [
        ("{", "line 1: invalid JSON"),
        ("\n{}", "line 2: expected a string as `state`"),
        (&trial.replace("\"values\": []", "\"values\": [\"nan\"]"), "line 1: a final value is NaN"),
        (&trial.replace("COMPLETE", "DONE"), "line 1: expected the state of a trial, found `DONE`"),
    ] {
        let error = decode(text).expect_err("a malformed line");
        assert!(error.starts_with(problem), "{error}");
    }
}

#[test]
fn a_running_trial_is_copied_as_a_failed_one() {
    let line = bare_line("RUNNING", r#""2026-11-24T01:02:03Z""#);
    let trial = as_copied(decode(&line).expect("it reads").trials.remove(0));
    assert_eq!(trial.state, TrialState::Fail);
    assert_eq!(trial.datetime_complete, trial.datetime_start);
    assert!(trial.datetime_complete.is_some());
}

/// Characters that a text of the database may have: controls, quotes, letters beyond ASCII and beyond 16 bits.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,3}",
        "[\\x00-\\x1f\"\\\\/,é€𝄞\u{2028}\u{feff}]{0,4}",
        Just("$json".to_owned())
    ]
}

fn any_float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        (-9i64..9).prop_map(|n| n as f64),
        prop::sample::select(vec![0.1 + 0.2, 5e-324, f64::MAX, -0.0, 2f64.powi(53), 2f64.powi(64)]),
        prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::Int),
        "-?[1-9][0-9]{20,40}".prop_map(Json::BigInt),
        any_float().prop_map(Json::Float),
        any_text().prop_map(Json::String),
        Just(Json::IllFormedString(vec![0x61, 0xd800, 0x62])),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            // Keys may repeat, and their order is kept.
            prop::collection::vec((any_text(), inner), 0..4).prop_map(Json::Object),
        ]
    })
}

fn any_attrs() -> impl Strategy<Value = BTreeMap<String, Json>> {
    let known = prop::sample::select(vec!["fixed_params", "constraints", "constraints:c", "k"]);
    let key = prop_oneof![any_text(), known.prop_map(str::to_owned)];
    prop::collection::btree_map(key, any_json(), 0..4)
}

fn any_param() -> impl Strategy<Value = Param> {
    let bound = prop_oneof![-1e300..1e300, -9.0..9.0, Just(5e-324), Just(0.0)];
    let float = (bound.clone(), bound.clone(), bound).prop_map(|(a, b, internal)| {
        let range = Distribution::float(f64::min(a, b), f64::max(a, b), false, None);
        Param { distribution: range.expect("a range"), internal }
    });
    let int = (-(1i64 << 52)..1 << 52, 0i64..1 << 52, 1..9i64).prop_map(|(low, width, step)| {
        let range = Distribution::int(low, low + width, false, step);
        Param { distribution: range.expect("a range"), internal: low as f64 }
    });
    let choices = prop::collection::vec(any_json(), 1..4).prop_flat_map(|choices| {
        let n = choices.len();
        (Just(choices), 0..n)
    });
    let categorical = choices.prop_map(|(choices, index)| {
        let distribution = Distribution::categorical(choices).expect("choices");
        Param { distribution, internal: index as f64 }
    });
    prop_oneof![float, int, categorical]
}

fn any_time() -> impl Strategy<Value = Option<UtcDateTime>> {
    let parts = (1970..2100, 1..=12, 1..=28, 0..24, 0..1_000_000);
    prop::option::of(parts.prop_map(|(year, month, day, hour, micros)| {
        let text = format!("{year}-{month:02}-{day:02} {hour:02}:59:58.{micros:06}");
        parse_datetime(&text).expect("a time")
    }))
}

/// Trials as hands and other programs may have written them: with values in any state, or without times.
fn any_trial(n_objectives: usize) -> impl Strategy<Value = FrozenTrial> {
    let states = vec![
        TrialState::Complete,
        TrialState::Pruned,
        TrialState::Fail,
        TrialState::Running,
        TrialState::Waiting,
    ];
    let value = any_float().prop_filter("no final value is NaN", |value| !value.is_nan());
    (
        prop::sample::select(states),
        prop::collection::vec(value, 0..=n_objectives),
        (any_time(), any_time()),
        prop::collection::btree_map(any_text(), any_param(), 0..4),
        (any_attrs(), any_attrs()),
        prop::collection::btree_map(any::<i64>(), any_float(), 0..4),
    )
        .prop_map(|(state, values, times, params, attrs, intermediate_values)| FrozenTrial {
            id: TrialId(0),
            number: TrialNumber(0),
            state,
            values,
            datetime_start: times.0,
            datetime_complete: times.1,
            params: params.into_iter().rev().collect(),
            user_attrs: attrs.0,
            system_attrs: attrs.1,
            intermediate_values,
        })
}

fn any_study() -> impl Strategy<Value = (NewStudy, Vec<FrozenTrial>)> {
    let direction = prop::sample::select(vec![StudyDirection::Minimize, StudyDirection::Maximize]);
    let directions = prop::collection::vec(direction, 1..4);
    (any_text(), directions, any_attrs(), any_attrs()).prop_flat_map(
        |(name, directions, user_attrs, system_attrs)| {
            let trials = prop::collection::vec(any_trial(directions.len()), 0..5);
            let study = NewStudy {
                name,
                directions,
                user_attrs: user_attrs.into_iter().collect(),
                system_attrs: system_attrs.into_iter().collect(),
            };
            (Just(study), trials)
        },
    )
}

/// A database of a test's own.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let name = format!("trialbox-exchange-{name}-{}.db", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Scratch(path)
    }

    fn open(&self) -> Box<dyn Storage> {
        let options = Options { create: Create::Missing, ..Options::default() };
        Box::new(SqlStorage::open_file(&self.0, &options).expect("it opens"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes a study to a database, and returns its export.
fn through_database(name: &str, study: &NewStudy, trials: &[FrozenTrial]) -> String {
    let scratch = Scratch::new(name);
    let mut storage = scratch.open();
    let made = storage.import_study(study, trials).expect("it is written");
    let (made, trials) = (storage.open_study(&made.name), storage.trials(made.id));
    encode(&made.expect("it is there"), &trials.expect("it is read"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn export_import_export_is_the_identity((study, trials) in any_study()) {
        let first = through_database("first", &study, &trials);
        for line in first.lines() {
            serde_json::from_str::<Value>(line).expect("strict JSON");
        }
        let read = decode(&first).expect("what is exported is imported");
        let again = NewStudy {
            name: read.name.clone().expect("a name"),
            directions: read.directions.clone().expect("directions"),
            user_attrs: read.user_attrs.clone(),
            system_attrs: read.system_attrs.clone(),
        };
        let copies: Vec<_> = read.trials.iter().cloned().map(as_copied).collect();
        let second = through_database("second", &again, &copies);
        // No job runs in a copy.
        let running = r#""state":"RUNNING""#;
        for (first, second) in first.lines().zip(second.lines()) {
            prop_assert!(first == second || first.contains(running), "{first}\n{second}");
        }
        prop_assert_eq!(first.lines().count(), second.lines().count());
        let copies = decode(&second).expect("a copy is imported").trials;
        let contents = |trials: &[FrozenTrial]| trials.iter().map(content).collect::<Vec<_>>();
        let from_first: Vec<_> = read.trials.into_iter().map(as_copied).collect();
        prop_assert_eq!(contents(&from_first), contents(&copies));
    }
}
