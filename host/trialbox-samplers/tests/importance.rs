//! Importances against those that Optuna 5.0 assesses, recorded by `golden/importance.py`.

mod common;

use common::{histories, items};
use std::collections::BTreeMap;
use trialbox_core::{History, Json};
use trialbox_samplers::importance::{
    ImportanceError, Importances, Target, fanova, mean_decrease_impurity, normalize, ped_anova,
};

fn golden(key: &str) -> Json {
    let all = Json::parse(include_str!("golden/importance.json")).expect("JSON");
    member(&all, key).clone()
}

fn member<'a>(json: &'a Json, key: &str) -> &'a Json {
    json.get(key).unwrap_or_else(|| panic!("no `{key}`"))
}

fn index(json: &Json, key: &str) -> usize {
    member(json, key).as_i64().expect("an index") as usize
}

fn floats_by_name(json: &Json) -> BTreeMap<String, f64> {
    let Json::Object(members) = json else { panic!("expected an object, found {json}") };
    let member = |(name, value): &(String, Json)| (name.clone(), value.as_f64().expect("a number"));
    members.iter().map(member).collect()
}

#[test]
fn ped_anova_assesses_as_optuna_does() {
    let (histories, cases) = (histories(), golden("ped_anova"));
    let cases = items(&cases);
    assert_eq!(cases.len(), 41);
    for case in cases {
        let recorded = &histories[index(case, "history")];
        let target = match member(case, "objective") {
            Json::Null => Target::AllObjectives,
            objective => Target::Objective(objective.as_i64().expect("an index") as usize),
        };
        let found = ped_anova(&recorded.history, None, target).expect("assessable");
        let want = floats_by_name(member(case, "importances"));
        assert_eq!(found.len(), want.len());
        assert!(found.is_sorted_by(|(_, a), (_, b)| a >= b));
        for (name, found) in found {
            let want = want[&name];
            let what = format!("{name} of `{}`, {target:?}", recorded.name);
            assert!((found - want).abs() <= 1e-9 * want.max(1e-3), "{what}: {found}, want {want}");
        }
    }
}

#[test]
fn a_history_that_is_too_short_is_refused() {
    let histories = histories();
    let short = histories.iter().find(|it| it.name == "one point").expect("recorded");
    let found = ped_anova(&short.history, None, Target::AllObjectives);
    assert_eq!(found, Err(ImportanceError::TooFewTrials { n_usable: 1, n_complete: 1 }));
}

type Forest = fn(&History, Option<&[String]>, usize, u64) -> Result<Importances, ImportanceError>;

#[test]
fn fanova_assesses_as_optunas_forests_do_on_average() {
    check_forests("fanova", fanova);
}

#[test]
fn mean_decrease_impurity_assesses_as_optunas_forests_do_on_average() {
    check_forests("mdi", mean_decrease_impurity);
}

/// Both sides' means over 20 seeds estimate the same number, so their difference is within four standard
/// errors but for 1 of 16,000 times. The 0.003 are for scikit-learn's single precision and its own way with
/// ties.
fn check_forests(key: &str, assess: Forest) {
    let (histories, cases) = (histories(), golden(key));
    let cases = items(&cases);
    assert_eq!(cases.len(), 6);
    for case in cases {
        let recorded = &histories[index(case, "history")];
        let ours = over_seeds(&recorded.history, index(case, "objective"), assess);
        let (means, sds) =
            (floats_by_name(member(case, "mean")), floats_by_name(member(case, "sd")));
        assert_eq!(ours.len(), means.len());
        for (name, values) in ours {
            let (mean, sd) = mean_and_sd(&values);
            let standard_error = (sd.powi(2) + sds[&name].powi(2)).sqrt() / 20f64.sqrt();
            let difference = (mean - means[&name]).abs();
            let what =
                format!("{key}, {name} of `{}`: {mean}, want {}", recorded.name, means[&name]);
            assert!(difference <= 4.0 * standard_error + 0.003, "{what} ± {standard_error}");
        }
    }
}

/// Returns the normalised importances of each parameter with 20 seeds.
fn over_seeds(history: &History, objective: usize, assess: Forest) -> BTreeMap<String, Vec<f64>> {
    let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for seed in 0..20 {
        let mut importances = assess(history, None, objective, seed).expect("assessable");
        normalize(&mut importances);
        let again = assess(history, None, objective, seed).map(|mut again| {
            normalize(&mut again);
            again
        });
        assert_eq!(again.as_ref(), Ok(&importances));
        importances
            .into_iter()
            .for_each(|(name, value)| values.entry(name).or_default().push(value));
    }
    values
}

fn mean_and_sd(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

#[test]
fn a_forest_takes_named_parameters_only_from_trials_that_have_them_all_with_one_range() {
    let histories = histories();
    let find = |name: &str| &histories.iter().find(|it| it.name == name).expect("recorded").history;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let conditional = find("conditional");
    let found = fanova(conditional, Some(&names(&["layers", "units"])), 0, 0).expect("assessable");
    assert_eq!(found.len(), 2);
    let apart = names(&["layers", "x"]);
    assert_eq!(
        fanova(conditional, Some(&apart), 0, 0),
        Err(ImportanceError::NeverTogether { names: apart })
    );
    let dynamic = find("dynamic ranges");
    assert_eq!(fanova(dynamic, None, 0, 0), Err(ImportanceError::NoCommonParams));
    assert_eq!(
        fanova(dynamic, Some(&names(&["x"])), 0, 0),
        Err(ImportanceError::ChangingRange { name: "x".to_owned() })
    );
    let n = find("constant").trials().len();
    assert_eq!(fanova(find("constant"), None, 0, 0), Err(ImportanceError::NoVariance { n }));
}
