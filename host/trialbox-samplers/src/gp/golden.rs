//! The numbers of the Gaussian process against those that Optuna 5.0 computes, recorded by `tests/golden/gp.py`.

use super::acquisition::{log_expected_improvement, log_h};
use super::fit::{Data, Prior, log_likelihood};
use super::kernel::{Geometry, Hyper, Matrix, Scaled};
use super::model::Model;
use crate::testing::{floats, items};
use trialbox_core::Json;

fn golden(key: &str) -> Vec<Json> {
    let all = Json::parse(include_str!("../../tests/golden/gp.json")).expect("JSON");
    items(all.get(key).expect("recorded")).to_vec()
}

#[track_caller]
fn assert_close(found: f64, want: f64, what: &str) {
    let close = (found - want).abs() <= 1e-9 * want.abs().max(1.0);
    assert!(close, "{what}: found {found}, want {want}");
}

#[test]
fn kernel_likelihood_prior_predictions_and_expected_improvement_are_optunas() {
    let cases = golden("cases");
    assert_eq!(cases.len(), 3);
    cases.iter().for_each(check);
}

fn check(case: &Json) {
    let member = |key: &str| case.get(key).expect("recorded");
    let number = |key: &str| member(key).as_f64().expect("a number");
    let rows = |key: &str| -> Vec<Vec<f64>> { items(member(key)).iter().map(floats).collect() };
    let weights = floats(member("weights"));
    let n_groups = weights.len();
    let n_numbers = number("n_numbers") as usize;
    let geometry = Geometry { n_numbers, groups: (0..n_groups).collect(), n_groups };
    let hyper = Hyper { weights, scale: number("scale"), noise: number("noise") };
    let points = rows("points").concat();
    // Optuna's losses are turned around: it looks for the largest.
    let outcomes: Vec<f64> = floats(member("outcomes")).iter().map(|value| -value).collect();
    let data = Data { geometry: &geometry, points: &points, outcomes: &outcomes };

    let matrix = Matrix::of(&Scaled::new(&geometry, &hyper.weights, &points));
    for (i, row) in rows("kernel").iter().enumerate() {
        for (j, want) in row[..=i].iter().enumerate() {
            assert_close(hyper.scale * matrix.values.row(i)[j], *want, "kernel");
        }
    }
    let mut slopes = vec![0.0; n_groups + 2];
    let likelihood = log_likelihood(data, &hyper, &mut slopes).expect("a factor");
    assert_close(likelihood, number("log_likelihood"), "likelihood");
    let prior = Prior::Optuna.log_density(&hyper, &mut slopes);
    assert_close(prior, number("log_prior"), "prior");

    let model = Model::new(data, &hyper);
    let best = outcomes.iter().copied().fold(f64::INFINITY, f64::min);
    let (means, variances) = (floats(member("means")), floats(member("variances")));
    for (i, query) in rows("queries").iter().enumerate() {
        let found = model.predict(query);
        assert_close(found.mean, -means[i], "mean");
        assert_close(found.deviation.powi(2), variances[i], "variance");
        let worth = log_expected_improvement(found.mean, found.deviation, best).value;
        assert_close(worth, floats(member("log_ei"))[i], "ln EI");
    }
}

#[test]
fn the_expected_part_of_a_normal_is_optunas() {
    let rows = golden("log_h");
    assert_eq!(rows.len(), 52);
    for row in rows {
        let [z, want] = floats(&row)[..] else { panic!("two numbers") };
        assert_close(log_h(z), want, &format!("at {z}"));
    }
}
