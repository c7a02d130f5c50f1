//! The numbers of TPE against those that Optuna 5.0 computes, recorded by `tests/golden/record.py`.

use super::TpeOptions;
use super::kernels::{Axis, CategoricalKernels, Columns, NumericKernels};
use super::normal::{log_mass, truncated_quantile};
use super::parzen::ParzenEstimator;
use super::split::default_weights;
use crate::config::Configured;
use crate::options;
use crate::testing::{floats, items};
use trialbox_core::{Distribution, Json};

const GOLDEN: &str = include_str!("../../tests/golden/tpe.json");

fn golden(key: &str) -> Vec<Json> {
    let all = Json::parse(GOLDEN).expect("JSON");
    items(all.get(key).expect("recorded")).to_vec()
}

#[track_caller]
fn assert_close(found: f64, want: f64, what: &str) {
    let close = found == want || (found - want).abs() <= 1e-9 * want.abs().max(1.0);
    assert!(close, "{what}: found {found}, want {want}");
}

#[test]
fn masses_of_intervals_are_optunas() {
    let rows = golden("log_gauss_mass");
    assert_eq!(rows.len(), 12);
    for row in rows {
        let [a, b, want] = floats(&row)[..] else { panic!("three numbers") };
        assert_close(log_mass(a, b), want, &format!("ln mass of [{a}, {b}]"));
    }
}

#[test]
fn quantiles_of_the_cut_normal_are_optunas() {
    let rows = golden("truncnorm_ppf");
    assert_eq!(rows.len(), 96);
    for row in rows {
        let [a, b, q, want] = floats(&row)[..] else { panic!("four numbers") };
        assert_close(truncated_quantile(q, a, b), want, &format!("{q} of [{a}, {b}]"));
    }
}

#[test]
fn densities_and_bandwidths_are_optunas() {
    let rows = golden("densities");
    assert_eq!(rows.len(), 18);
    for row in rows {
        check_density(&row);
    }
}

fn check_density(row: &Json) {
    let member = |key: &str| row.get(key).expect("recorded");
    let mut tpe = TpeOptions::default();
    if let Json::Object(set) = member("options") {
        for (name, value) in set {
            options::set(&mut tpe, TpeOptions::owner(), name, value).expect("an option");
        }
    }
    let parameters: Vec<(&str, Distribution)> = items(member("distributions"))
        .iter()
        .map(|pair| {
            let [name, text] = items(pair) else { panic!("a name and a text") };
            let text = text.as_str().expect("a text");
            (name.as_str().expect("a name"), Distribution::from_json_text(text).expect("valid"))
        })
        .collect();
    let columns = |key: &str| -> Columns {
        let column =
            |(name, _): &(&str, Distribution)| floats(member(key).get(name).expect("a column"));
        parameters.iter().map(column).collect()
    };
    let (observed, queries) = (columns("observations"), columns("queries"));
    for (index, ((_, distribution), want)) in
        parameters.iter().zip(items(member("kernels"))).enumerate()
    {
        check_kernels(distribution, &observed[index], &tpe, want);
    }
    let n = observed[0].len();
    let is_even = *member("even_weights") == Json::Bool(true);
    let weights = if is_even { vec![1.0; n] } else { default_weights(n) };
    let distributions: Vec<&Distribution> = parameters.iter().map(|(_, it)| it).collect();
    let estimator = ParzenEstimator::new(&distributions, observed, weights, &tpe);
    for (found, want) in estimator.weights.iter().zip(floats(member("weights"))) {
        assert_close(*found, want, "a weight");
    }
    let found = estimator.log_pdf(&queries);
    let want = floats(member("log_pdf"));
    assert_eq!(found.len(), want.len());
    for (found, want) in found.into_iter().zip(want) {
        assert_close(found, want, &format!("ln density under {}", member("distributions")));
    }
}

fn check_kernels(distribution: &Distribution, observed: &[f64], tpe: &TpeOptions, want: &Json) {
    let Some(axis) = Axis::of(distribution) else {
        return check_categorical(distribution, observed, tpe, want);
    };
    let kernels = NumericKernels::new(axis, observed.to_vec(), tpe);
    for (key, found) in [("mu", &kernels.mu), ("sigma", &kernels.sigma)] {
        let want = floats(want.get(key).expect("recorded"));
        assert_eq!(found.len(), want.len());
        for (found, want) in found.iter().zip(want) {
            assert_close(*found, want, &format!("{key} of {distribution}"));
        }
    }
}

fn check_categorical(distribution: &Distribution, observed: &[f64], tpe: &TpeOptions, want: &Json) {
    let Distribution::Categorical(categorical) = distribution else { unreachable!() };
    let n_choices = categorical.choices().len();
    let kernels = CategoricalKernels::new(n_choices, observed, tpe);
    let (own, other, prior) = kernels.log_probabilities();
    for (k, want) in items(want.get("weights").expect("recorded")).iter().enumerate() {
        for (choice, want) in floats(want).into_iter().enumerate() {
            let found = match kernels.choice.get(k) {
                None => prior,
                Some(its) if *its as usize == choice => own,
                Some(_) => other,
            };
            assert_close(found.exp(), want, &format!("kernel {k} at choice {choice}"));
        }
    }
}
