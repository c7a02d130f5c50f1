//! `trialbox eval`.

use crate::scene::{Scene, digits_data, guest};

#[test]
fn eval_calls_the_objective_with_given_and_middle_values_and_records_nothing() {
    let scene = Scene::new("eval-plain");
    let lines = scene.json(&["eval", &guest("quadratic"), "--param", "x=5"]);
    assert_eq!(lines[0]["values"], serde_json::json!([10.0]));
    assert_eq!(lines[0]["params"], serde_json::json!({ "x": 5.0, "y": 0 }));
    assert_eq!(std::fs::read_dir(&scene.folder).unwrap().count(), 0);
}

#[test]
fn a_parameter_that_is_unknown_or_out_of_range_says_what_would_do() {
    let scene = Scene::new("eval-params");
    let quadratic = guest("quadratic");
    let ran = scene.trialbox(&["eval", &quadratic, "--param", "z=1"]);
    ran.assert_error(2, &["the objective does not suggest `z`", "it suggests: x, y"]);
    let ran = scene.trialbox(&["eval", &quadratic, "--param", "x=11"]);
    ran.assert_error(
        2,
        &["parameter `x` cannot be fixed to 11: it is outside of float -10.0 to 10.0"],
    );
    let ran = scene.trialbox(&["eval", &quadratic, "--param", "x=warm"]);
    ran.assert_error(2, &["expected a number, found \"warm\""]);
    let ran = scene.trialbox(&[
        "eval",
        &guest("digits"),
        "--dir",
        &digits_data(),
        "--param",
        "activation=sine",
    ]);
    ran.assert_error(2, &["\"sine\" is none of the choices [\"relu\", \"tanh\", \"logistic\"]"]);
    scene
        .trialbox(&["eval", &quadratic, "--param", "x"])
        .assert_error(2, &["expected NAME=VALUE such as lr=0.1, found `x`"]);
}

#[test]
fn the_same_call_gives_the_same_bits_twice() {
    let scene = Scene::new("eval-repeat");
    let (digits, data) = (guest("digits"), digits_data());
    let value = || {
        let arguments = [
            "eval",
            &digits,
            "--dir",
            &data,
            "--defaults",
            "random",
            "--seed",
            "3",
            "--param",
            "width=8",
        ];
        scene.json(&arguments)[0]["values"].clone()
    };
    assert_eq!(value(), value());
}
