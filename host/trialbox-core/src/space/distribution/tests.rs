//! Laws and examples of distributions.

use super::*;
use proptest::prelude::*;

fn float(low: f64, high: f64, log: bool, step: Option<f64>) -> Distribution {
    Distribution::float(low, high, log, step).expect("a valid range")
}

fn int(low: i64, high: i64, log: bool, step: i64) -> Distribution {
    Distribution::int(low, high, log, step).expect("a valid range")
}

/// The table of `optuna-storage` section 2.5, taken from Optuna 5.0.0.
#[test]
fn high_is_lowered_to_the_grid_in_decimal_arithmetic() {
    for (low, high, step, want) in [
        (0.0, 1.0, 0.3, 0.9),
        (0.1, 0.35, 0.1, 0.3),
        (0.0, 1.05, 0.1, 1.0),
        (0.0, 1e-05, 3e-06, 9e-06),
        (-1.0, 1.0, 0.7, 0.4),
        (0.0, 0.3, 0.1, 0.3),
    ] {
        let Distribution::Float(found) = float(low, high, false, Some(step)) else {
            unreachable!()
        };
        assert_eq!(found.high(), want, "({low}, {high}, {step})");
    }
    let Distribution::Int(found) = int(0, 10, false, 3) else { unreachable!() };
    assert_eq!(found.high(), 9);
}

#[test]
fn the_points_of_a_grid_are_the_decimals_that_people_write() {
    let Distribution::Float(found) = float(0.0, 1.0, false, Some(0.1)) else { unreachable!() };
    assert_eq!([0, 1, 3, 7, 10].map(|k| found.grid_point(k)), [0.0, 0.1, 0.3, 0.7, 1.0]);
    let Distribution::Float(found) = float(-0.25, 2.0, false, None) else { unreachable!() };
    assert_eq!(found.grid_point(3), -0.25);
}

/// Python: `suggest_int("seed", 0, 2**64 - 1)`.
#[test]
fn integers_beyond_64_bits_are_read_and_written_in_full() {
    for (log, step, low, high, shown) in [
        (false, 1, "0", "18446744073709551615", "int 0 to 18446744073709551615"),
        (false, 7, "-100000000000000000000", "5", "int -100000000000000000000 to 5, step 7"),
        (true, 1, "1", "36893488147419103232", "int 1 to 36893488147419103232, log"),
    ] {
        let attributes = format!(r#""log": {log}, "step": {step}, "low": {low}, "high": {high}"#);
        let text = format!(r#"{{"name": "IntDistribution", "attributes": {{{attributes}}}}}"#);
        let found = Distribution::from_json_text(&text).expect(&text);
        assert_eq!(found.to_string(), shown);
        let again = Distribution::from_json_text(&found.to_json_text()).expect(shown);
        assert_eq!((again.to_string(), again == found), (shown.to_owned(), true));
        let error = found.require_suggestible().expect_err(shown).to_string();
        let bound = if low.len() > 16 { low } else { high };
        assert!(error.ends_with(&format!("but it is {bound}")), "{error}");
        assert_eq!(found.check_compatible(&int(1, 9, log, 1)), Ok(()));
    }
    let attributes = r#"{"low": 0, "high": 18446744073709551615}"#;
    let text = format!(r#"{{"name": "IntDistribution", "attributes": {attributes}}}"#);
    let wide = Distribution::from_json_text(&text).expect("a range");
    assert!(wide.contains(1.2e19) && !wide.contains(-1.0) && !wide.contains(1e20));
    let external = Json::BigInt("12000000000000000000".to_owned());
    assert_eq!(wide.to_external(1.2e19), external);
    assert_eq!(wide.to_internal(&external), Ok(1.2e19));
    assert_eq!(wide.to_external(5.0), Json::Int(5));
}

#[test]
fn json_is_what_optuna_writes() {
    let choices = vec![Json::Null, true.into(), 1i64.into(), 2.5.into(), "é".into(), "x".into()];
    for (distribution, want) in [
        (
            float(0.0, 1.0, false, None),
            r#"{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}"#,
        ),
        (
            float(1e-5, 0.1, true, None),
            concat!(
                r#"{"name": "FloatDistribution", "#,
                r#""attributes": {"step": null, "low": 1e-05, "high": 0.1, "log": true}}"#
            ),
        ),
        (
            float(0.0, 1.0, false, Some(0.1)),
            r#"{"name": "FloatDistribution", "attributes": {"step": 0.1, "low": 0.0, "high": 1.0, "log": false}}"#,
        ),
        (
            int(1, 10, false, 1),
            r#"{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 1, "high": 10}}"#,
        ),
        (
            Distribution::categorical(choices).expect("choices"),
            concat!(
                r#"{"name": "CategoricalDistribution", "#,
                r#""attributes": {"choices": [null, true, 1, 2.5, "\u00e9", "x"]}}"#
            ),
        ),
    ] {
        assert_eq!(distribution.to_json_text(), want);
        assert_eq!(Distribution::from_json_text(want), Ok(distribution));
    }
}

#[test]
fn legacy_and_abbreviated_forms_are_read() {
    for (text, want) in [
        (
            r#"{"name": "UniformDistribution", "attributes": {"low": 0, "high": 1}}"#,
            float(0.0, 1.0, false, None),
        ),
        (
            r#"{"name": "LogUniformDistribution", "attributes": {"low": 0.1, "high": 1}}"#,
            float(0.1, 1.0, true, None),
        ),
        (
            r#"{"name": "DiscreteUniformDistribution", "attributes": {"low": 0, "high": 1, "q": 0.3}}"#,
            float(0.0, 0.9, false, Some(0.3)),
        ),
        (
            r#"{"name": "IntUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 2}}"#,
            int(1, 9, false, 2),
        ),
        (
            r#"{"name": "IntLogUniformDistribution", "attributes": {"low": 1, "high": 9, "step": 1}}"#,
            int(1, 9, true, 1),
        ),
        (r#"{"type": "int", "low": 1.0, "high": 9.9}"#, int(1, 9, false, 1)),
    ] {
        assert_eq!(Distribution::from_json_text(text), Ok(want), "{text}");
    }
}

#[test]
fn a_grid_of_two_points_is_not_single_though_its_width_rounds_below_a_step() {
    let single =
        |low, high| Distribution::float(low, high, false, Some(0.2)).expect("a grid").single();
    // 0.3 − 0.1 is 0.19999999999999998.
    assert_eq!(single(0.1, 0.3), None);
    assert_eq!(single(0.1, 0.29), Some(0.1));
}

#[test]
fn integers_that_floats_cannot_all_hold_are_read_though_not_offered() {
    let text = |low: i64, high: i64, step: i64| {
        let attributes =
            format!(r#"{{"log": false, "step": {step}, "low": {low}, "high": {high}}}"#);
        format!(r#"{{"name": "IntDistribution", "attributes": {attributes}}}"#)
    };
    let read = |text: &str| Distribution::from_json_text(text).expect("Optuna reads it");
    let widest = read(&text(i64::MIN, i64::MAX, 1));
    assert_eq!(widest.to_json_text(), text(i64::MIN, i64::MAX, 1));
    assert!(widest.contains(-1e18) && widest.contains(1e18) && widest.single().is_none());
    let grid = read(&text(i64::MIN, i64::MAX, 1 << 62));
    assert_eq!(grid.to_json_text(), text(i64::MIN, 1 << 62, 1 << 62));
    assert!(grid.contains(2f64.powi(62)) && !grid.contains(1.0));
    assert!(Distribution::int(i64::MIN, i64::MAX, false, 1).is_err());
}

#[test]
fn what_python_would_refuse_to_read_is_refused() {
    let message = |text: &str| Distribution::from_json_text(text).expect_err(text).to_string();
    assert_eq!(
        message(
            r#"{"name": "FloatDistribution", "attributes": {"low": 0, "high": 1, "unit": "m"}}"#
        ),
        "the attribute `unit` of a FloatDistribution is unknown"
    );
    assert_eq!(message(r#"{"name": "Normal", "attributes": {}}"#), "unknown distribution `Normal`");
    assert_eq!(
        message(r#"{"name": "IntDistribution", "attributes": {"low": 0}}"#),
        "the attribute `high` of a IntDistribution is missing"
    );
}

#[test]
fn a_bad_range_is_named_with_its_values() {
    let message = |result: Result<Distribution, DistributionError>| {
        result.expect_err("a bad range").to_string()
    };
    assert_eq!(
        message(Distribution::float(0.0, 1.0, true, None)),
        "a log-scaled parameter needs `low` > 0, but `low` is 0.0"
    );
    assert_eq!(
        message(Distribution::int(3, 1, false, 1)),
        "`low` must not be greater than `high`, but `low` is 3 and `high` is 1"
    );
    assert_eq!(message(Distribution::int(0, 9, false, 0)), "`step` must be >= 1, but it is 0");
    assert_eq!(
        message(Distribution::float(f64::NAN, 1.0, false, None)),
        "`low` must be a number, but it is NaN"
    );
    assert_eq!(
        message(Distribution::categorical(vec![])),
        "a categorical parameter needs at least one choice"
    );
    assert!(message(Distribution::int(0, i64::MAX, false, 1)).contains("±2^53"));
}

#[test]
fn a_range_is_sampled_only_if_its_width_is_a_float() {
    let infinite = |low, high, step| match float(low, high, false, step).require_drawable() {
        Err(DistributionError::Infinite { name, .. }) => Some(name),
        _ => None,
    };
    assert_eq!(infinite(-8e307, 8e307, None), None);
    assert_eq!(infinite(-1e308, 1e308, None), Some("high - low"));
    assert_eq!(infinite(0.0, 1.5e308, Some(7e307)), Some("high - low"));
    assert_eq!(infinite(0.0, 1.0, Some(f64::INFINITY)), Some("step"));
    assert_eq!(infinite(f64::NEG_INFINITY, 1.0, None), Some("low"));
    let message = |distribution: Distribution| {
        distribution.require_drawable().expect_err("it cannot be drawn from").to_string()
    };
    assert_eq!(
        message(float(0.0, 1.0, false, Some(1e-300))),
        "`step` must divide `high - low` into fewer than 10^28 parts, but it is 1e-300"
    );
    assert_eq!(float(0.0, 1.0, false, Some(1e-27)).require_drawable(), Ok(()));
}

#[test]
fn integers_beyond_those_of_floats_are_drawn_only_if_floats_cannot_leave_the_range() {
    let check = |low, high, log, step| {
        let distribution = Distribution::int_of_any_size(low, high, log, step);
        distribution.expect("a range").require_drawable().is_ok()
    };
    assert!(check(i64::MIN, i64::MAX, false, 1) && check(1, i64::MAX, true, 1));
    assert!(check(-(1 << 53), 1 << 53, false, 7));
    assert!(!check(0, i64::MAX, false, 3));
    // 2⁵³ + 1 becomes 2⁵³, which is below.
    assert!(!check((1 << 53) + 1, (1 << 53) + 9, false, 1));
}

#[test]
fn what_a_column_cannot_hold_is_not_stored_and_what_is_out_of_range_is() {
    let choices = Distribution::categorical(vec!["a".into()]).expect("choices");
    let (float, int) = (float(0.0, 1.0, false, None), int(0, 9, false, 1));
    for distribution in [&float, &int, &choices] {
        assert_eq!(distribution.require_storable(f64::NAN), Err(UnstorableValue::Nan));
        assert_eq!(distribution.require_storable(1e300), Ok(()));
    }
    assert_eq!(float.require_storable(f64::INFINITY), Ok(()));
    let message = int.require_storable(f64::INFINITY).expect_err("no integer").to_string();
    assert_eq!(message, "expected an integer, found an infinite number");
    assert!(choices.require_storable(f64::NEG_INFINITY).is_err());
}

#[test]
fn compatibility_allows_other_ranges_and_nothing_else() {
    let choices = |texts: &[Json]| Distribution::categorical(texts.to_vec()).expect("choices");
    assert_eq!(
        float(0.0, 1.0, false, None).check_compatible(&float(5.0, 9.0, false, Some(0.5))),
        Ok(())
    );
    assert_eq!(
        float(0.1, 1.0, false, None).check_compatible(&float(0.1, 1.0, true, None)),
        Err(Incompatible::Log)
    );
    assert_eq!(
        float(0.0, 1.0, false, None).check_compatible(&int(0, 1, false, 1)),
        Err(Incompatible::Kind)
    );
    assert_eq!(
        choices(&[1i64.into(), Json::Null]).check_compatible(&choices(&[1.0.into(), Json::Null])),
        Ok(())
    );
    assert_eq!(
        choices(&["a".into(), "b".into()]).check_compatible(&choices(&["b".into(), "a".into()])),
        Err(Incompatible::Choices)
    );
}

#[test]
fn external_values_become_internal_as_in_optuna() {
    let choices =
        Distribution::categorical(vec![true.into(), 1i64.into(), f64::NAN.into(), "a".into()])
            .expect("choices");
    assert_eq!(choices.to_internal(&1.0.into()), Ok(0.0));
    assert_eq!(choices.to_internal(&f64::NAN.into()), Ok(2.0));
    assert_eq!(
        choices.to_internal(&"b".into()).expect_err("no choice").to_string(),
        "\"b\" is none of the choices [true, 1, NaN, \"a\"]"
    );
    assert_eq!(int(0, 9, false, 1).to_internal(&2.7.into()), Ok(2.0));
    assert_eq!(float(0.0, 9.0, false, None).to_internal(&"2.5".into()), Ok(2.5));
    assert!(float(0.0, 9.0, false, None).to_internal(&f64::NAN.into()).is_err());
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    let floats =
        (-1e9..1e9, 0.0..1e9).prop_map(|(low, width)| float(low, low + width, false, None));
    // Where the grid's points have more digits than a float holds, Optuna too lowers `high` at each reading.
    let thousandths = |value: i32| f64::from(value) / 1000.0;
    let stepped =
        (-1_000_000..1_000_000, 0..1_000_000, 1..9999).prop_map(move |(low, width, step)| {
            float(thousandths(low), thousandths(low + width), false, Some(thousandths(step)))
        });
    let log_floats =
        (1e-9..1e9, 1.0..1e6).prop_map(|(low, factor)| float(low, low * factor, true, None));
    let ints = (-1_000_000i64..1_000_000, 0i64..1_000_000, 1i64..1000)
        .prop_map(|(low, width, step)| int(low, low + width, false, step));
    let choices = proptest::collection::vec(any::<i64>().prop_map(Json::Int), 1..9)
        .prop_map(|choices| Distribution::categorical(choices).expect("choices"));
    prop_oneof![floats, stepped, log_floats, ints, choices]
}

proptest! {
    // A case that failed is kept as a test of its own, not in a file beside the sources.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proptest_json_round_trips(distribution in any_distribution()) {
        prop_assert_eq!(Distribution::from_json_text(&distribution.to_json_text()), Ok(distribution));
    }

    #[test]
    fn proptest_the_last_grid_point_is_on_the_grid(low in -1e6..1e6, width in 0.0..1e6, step in 1e-2..1e2) {
        let distribution = float(low, low + width, false, Some(step));
        let Distribution::Float(found) = &distribution else { unreachable!() };
        prop_assert!(found.high() <= low + width);
        prop_assert!(distribution.contains(found.high()));
    }
}
