//! The updates of every variant against those of the package `cmaes`, recorded by `tests/golden/evolution.py`.

use super::cma::Cma;
use super::grid::Grid;
use super::learning_rate::LearningRate;
use super::margin::MarginCma;
use super::mixed::{MixedCma, MixedPoint, MixedSpace};
use super::optimizer::{Optimizer, Solution};
use super::sep::SepCma;
use super::warm_start;
use crate::testing::{floats, index, indices, items, member, number};
use trialbox_core::Json;

fn golden(key: &str) -> Vec<Json> {
    let all = Json::parse(include_str!("../../tests/golden/evolution.json")).expect("JSON");
    items(member(&all, key)).to_vec()
}

#[track_caller]
fn assert_close(found: &[f64], want: &[f64], what: &str) {
    assert_eq!(found.len(), want.len(), "{what}");
    let largest = want.iter().fold(1e-3, |size: f64, it| size.max(it.abs()));
    for (a, b) in found.iter().zip(want) {
        assert!((a - b).abs() <= 1e-9 * largest, "{what}: {found:?}, {want:?}");
    }
}

/// Tells a population, which the optimiser must learn from.
fn tell(optimizer: &mut Optimizer, population: Vec<Solution>) {
    let before = optimizer.generation();
    optimizer.tell(population);
    assert_eq!(optimizer.generation(), before + 1);
}

fn solution(raw: Vec<f64>, choices: Vec<usize>, loss: f64) -> Solution {
    Solution { point: MixedPoint { raw, choices }, loss, is_foreign: false }
}

/// Returns whether the state after this generation was recorded: every fifth and the last.
fn is_recorded(generation: usize, n: usize) -> bool {
    generation % 5 == 4 || generation + 1 == n
}

#[test]
fn updates_are_those_of_cmaes() {
    let rows = golden("sequences");
    assert_eq!(rows.len(), 11);
    for row in rows {
        let n = index(member(&row, "n"));
        let told = items(member(&row, "told"));
        let size = items(&told[0]).len();
        let variant = member(&row, "variant").as_str().expect("a name");
        let middle = vec![0.5; n];
        let mut optimizer = if variant == "separable" {
            Optimizer::Separable(SepCma::new(middle, 1.0 / 6.0, size))
        } else {
            let mut cma = Cma::new(middle, 1.0 / 6.0, Cma::identity(n), size);
            cma.learning_rate = (variant == "lr_adapt").then(|| LearningRate::new(n));
            Optimizer::Full(cma)
        };
        let mut states = items(member(&row, "states")).iter();
        for (generation, population) in told.iter().enumerate() {
            let solutions = items(population).iter().map(|pair| {
                let [point, value] = items(pair) else { panic!("{pair}") };
                solution(floats(point), vec![], number(value))
            });
            tell(&mut optimizer, solutions.collect());
            if !is_recorded(generation, told.len()) {
                continue;
            }
            let want = states.next().expect("a state");
            let what = format!("{variant} of {n}, generation {generation}");
            let (mean, sigma, c) = match &optimizer {
                Optimizer::Full(cma) => (&cma.mean, cma.sigma, &cma.covariance),
                Optimizer::Separable(cma) => (&cma.mean, cma.sigma, &cma.variances),
                _ => unreachable!("one of the two"),
            };
            assert_close(mean, &floats(member(want, "mean")), &what);
            assert_close(&[sigma], &[number(member(want, "sigma"))], &what);
            assert_close(c, &floats(member(want, "c")), &what);
        }
    }
}

#[test]
fn margins_are_those_of_cmaes() {
    let rows = golden("margins");
    assert_eq!(rows.len(), 3);
    for row in rows {
        let steps = floats(member(&row, "steps"));
        let n = steps.len();
        let grid = |step: &f64| {
            let n = if *step > 0.0 { (1.0 / step).round() as usize + 1 } else { 0 };
            (n > 0).then_some(Grid { low: 0.0, step: *step, n })
        };
        let cma =
            Cma::new(vec![0.5; n], 1.0 / 6.0, Cma::identity(n), index(member(&row, "popsize")));
        let margin = MarginCma::new(cma, steps.iter().map(grid).collect());
        let mut optimizer = Optimizer::Margin(margin);
        let states = items(member(&row, "states"));
        for (population, want) in items(member(&row, "told")).iter().zip(states) {
            let mut solutions = Vec::new();
            for told in items(population) {
                let [x, raw, value] = items(told) else { panic!("{told}") };
                assert_close(&optimizer.evaluated(&floats(raw)), &floats(x), "rounded");
                solutions.push(solution(floats(raw), vec![], number(value)));
            }
            tell(&mut optimizer, solutions);
            let Optimizer::Margin(margin) = &optimizer else { unreachable!("of a margin") };
            assert_close(&margin.cma.mean, &floats(member(want, "mean")), "mean");
            assert_close(&[margin.cma.sigma], &[number(member(want, "sigma"))], "sigma");
            assert_close(&margin.stretch, &floats(member(want, "stretch")), "stretch");
        }
    }
}

#[test]
fn updates_of_numbers_grids_and_choices_are_those_of_cmaes() {
    let rows = golden("mixed");
    assert_eq!(rows.len(), 6);
    for row in rows {
        let grid = |n: &usize| Grid { low: 0.0, step: 1.0 / (n - 1) as f64, n: *n };
        let space = MixedSpace {
            ranges: vec![(0.0, 1.0); index(member(&row, "n_continuous"))],
            grids: indices(member(&row, "grids")).iter().map(grid).collect(),
            n_choices: indices(member(&row, "choices")),
        };
        let size = index(member(&row, "popsize"));
        let mut optimizer = Optimizer::Mixed(Box::new(MixedCma::new(space, None, 1.0, size)));
        let told = items(member(&row, "told"));
        let mut states = items(member(&row, "states")).iter();
        for (generation, population) in told.iter().enumerate() {
            let solutions = items(population).iter().map(|told| {
                let [raw, choices, value] = items(told) else { panic!("{told}") };
                solution(floats(raw), indices(choices), number(value))
            });
            tell(&mut optimizer, solutions.collect());
            if !is_recorded(generation, told.len()) {
                continue;
            }
            let want = states.next().expect("a state");
            let Optimizer::Mixed(mixed) = &optimizer else { unreachable!("of a mixed space") };
            let what = format!("generation {generation} of {}", member(&row, "choices"));
            assert_close(&mixed.cma.mean, &floats(member(want, "mean")), &what);
            if mixed.cma.n_dims() > 0 {
                assert_close(&[mixed.cma.sigma], &[number(member(want, "sigma"))], &what);
            }
            assert_close(&mixed.stretch, &floats(member(want, "stretch")), &what);
            let probabilities = items(member(want, "q"));
            for (found, want) in mixed.choices.probabilities.iter().zip(probabilities) {
                assert_close(found, &floats(want), &what);
            }
        }
    }
}

#[test]
fn first_distributions_from_other_trials_are_those_of_cmaes() {
    let rows = golden("warm_starts");
    assert_eq!(rows.len(), 2);
    for row in rows {
        let points: Vec<Vec<f64>> = items(member(&row, "points")).iter().map(floats).collect();
        let (mean, sigma, c) = warm_start::estimate(&points).expect("a promising trial");
        assert_close(&mean, &floats(member(&row, "mean")), "mean");
        assert_close(&[sigma], &[number(member(&row, "sigma"))], "sigma");
        assert_close(&c, &floats(member(&row, "c")), "c");
    }
}
