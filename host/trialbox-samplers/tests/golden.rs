//! Splits, ranks and subsets against those that Optuna 5.0 computes, recorded by `golden/record.py`.

mod common;

use common::{floats, histories, indices, items};
use trialbox_core::space::transform::{bounds, untransform};
use trialbox_core::{Distribution, FrozenTrial, Json};
use trialbox_samplers::pareto::{
    hypervolume, non_domination_ranks, reference_point, select_subset,
};
use trialbox_samplers::tpe::{default_weights, n_below, split};

fn golden(key: &str) -> Vec<Json> {
    let all = Json::parse(include_str!("golden/tpe.json")).expect("JSON");
    items(all.get(key).expect("recorded")).to_vec()
}

fn member<'a>(json: &'a Json, key: &str) -> &'a Json {
    json.get(key).unwrap_or_else(|| panic!("no `{key}`"))
}

fn points(json: &Json) -> Vec<Vec<f64>> {
    items(json).iter().map(floats).collect()
}

#[track_caller]
fn assert_close(found: f64, want: f64) {
    let close = found == want || (found - want).abs() <= 1e-9 * want.abs().max(1.0);
    assert!(close, "found {found}, want {want}");
}

#[test]
fn transforms_and_their_bounds_are_optunas() {
    let cases = golden("transforms");
    assert_eq!(cases.len(), 5 * 41);
    for case in cases {
        let text = member(&case, "distribution").as_str().expect("a text");
        let distribution = Distribution::from_json_text(text).expect("valid");
        let (low, high) = bounds(&distribution).expect("numeric");
        for (found, want) in [low, high].into_iter().zip(floats(member(&case, "bounds"))) {
            assert_close(found, want);
        }
        let number = |key: &str| member(&case, key).as_f64().expect("a number");
        let found = untransform(&distribution, number("x")).expect("numeric");
        assert_close(found, number("value"));
    }
}

#[test]
fn weights_fall_off_for_old_trials_as_optunas_do() {
    let Json::Object(cases) = &golden("default_weights")[0] else { panic!("an object") };
    assert_eq!(cases.len(), 7);
    for (n, want) in cases {
        let (found, want) = (default_weights(n.parse().expect("a number")), floats(want));
        assert_eq!(found.len(), want.len());
        found.into_iter().zip(want).for_each(|(found, want)| assert_close(found, want));
    }
}

#[test]
fn as_many_trials_are_good_as_in_optuna() {
    let Json::Object(cases) = &golden("gamma")[0] else { panic!("an object") };
    assert_eq!(cases.len(), 12);
    for (n, want) in cases {
        let n = n.parse().expect("a number");
        assert_eq!([n_below(n, 1), n_below(n, 2)][..], indices(want));
    }
}

#[test]
fn trials_are_split_as_in_optuna() {
    let histories = histories();
    let cases = golden("splits");
    assert!(cases.len() > 200);
    for case in cases {
        let recorded = &histories[member(&case, "history").as_i64().expect("an index") as usize];
        let n_below = member(&case, "n_below").as_i64().expect("a number") as usize;
        let trials: Vec<&FrozenTrial> = recorded.history.trials().iter().collect();
        let (below, above) = split(&trials, recorded.history.directions(), n_below);
        for (side, key) in [(below, "below"), (above, "above")] {
            let numbers: Vec<usize> = side.iter().map(|trial| trial.number.0 as usize).collect();
            let want = indices(member(&case, key));
            assert_eq!(numbers, want, "{}, {n_below} {key}", recorded.name);
        }
    }
}

#[test]
fn the_subset_that_covers_most_is_optunas() {
    let cases = golden("selections");
    assert_eq!(cases.len(), 40);
    for case in cases {
        let points = points(member(&case, "points"));
        let k = member(&case, "k").as_i64().expect("a number") as usize;
        let reference = reference_point(&points);
        let want = floats(member(&case, "reference"));
        assert_eq!(reference, want);
        assert_eq!(
            select_subset(&points, k, &reference),
            indices(member(&case, "chosen")),
            "{case}"
        );
    }
}

#[test]
fn hypervolumes_are_optunas() {
    let cases = golden("volumes");
    assert_eq!(cases.len(), 7);
    for case in cases {
        let found =
            hypervolume(&points(member(&case, "points")), &floats(member(&case, "reference")));
        assert_close(found, member(&case, "volume").as_f64().expect("a number"));
    }
}

#[test]
fn ranks_are_optunas() {
    let cases = golden("ranks");
    assert_eq!(cases.len(), 10);
    for case in cases {
        let n_below = member(&case, "n_below").as_i64().expect("a number") as usize;
        let found = non_domination_ranks(&points(member(&case, "points")), n_below);
        assert_eq!(found, indices(member(&case, "ranks")));
    }
}
