//! The numbers of NSGA-II and NSGA-III against those that Optuna 5.0 computes, recorded by `tests/golden/genetic.py`.

use super::crossover::Parents;
use super::method::Crossover;
use super::options::{GeneticOptions, NsgaIiOptions};
use super::{child, crossover, elite, niche};
use crate::config::Configured;
use crate::draws::Tape;
use crate::options;
use crate::testing::{floats, index, indices, items, member, number, trial_with};
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial, Json, StudyDirection, TrialState};

fn golden() -> Json {
    Json::parse(include_str!("../../tests/golden/genetic.json")).expect("JSON")
}

fn matrix(json: &Json) -> Vec<Vec<f64>> {
    items(json).iter().map(floats).collect()
}

fn numbers(trials: &[&FrozenTrial]) -> Vec<usize> {
    trials.iter().map(|trial| trial.number.0 as usize).collect()
}

#[track_caller]
fn assert_close(found: &[f64], want: &[f64], what: &str) {
    assert_eq!(found.len(), want.len(), "{what}");
    for (a, b) in found.iter().zip(want) {
        assert!(a == b || (a - b).abs() <= 1e-12 * b.abs().max(1.0), "{what}: {found:?}, {want:?}");
    }
}

/// The trials of a recorded population, parameters by the names of `space`.
fn population(json: &Json, space: &SearchSpace) -> Vec<FrozenTrial> {
    let trial = |(number, described): (u32, &Json)| {
        let mut params = Vec::new();
        for (name, distribution) in space.iter() {
            let value = member(member(described, "params"), name);
            params.push((name, distribution.clone(), value.as_f64().expect("a value")));
        }
        let mut trial = trial_with(number, TrialState::Complete, &params);
        trial.values = floats(member(described, "values"));
        for (index, value) in items(member(described, "constraints")).iter().enumerate() {
            trial.system_attrs.insert(format!("constraints:{index}"), value.clone());
        }
        trial
    };
    (0..).zip(items(json)).map(trial).collect()
}

fn directions(words: &[Json]) -> Vec<StudyDirection> {
    let maximize = Json::from("maximize");
    let direction = |word: &Json| match *word == maximize {
        true => StudyDirection::Maximize,
        false => StudyDirection::Minimize,
    };
    words.iter().map(direction).collect()
}

fn genetic(crossover: &Json, changed: &[(String, Json)]) -> GeneticOptions {
    let mut found = NsgaIiOptions::default();
    for (name, value) in changed {
        options::set(&mut found, NsgaIiOptions::owner(), name, value).expect("an option");
    }
    let crossover = Crossover::parse(crossover.as_str().expect("a name")).expect("a crossover");
    GeneticOptions { crossover, ..found.genetic }
}

#[test]
fn crossovers_are_optunas() {
    let golden = golden();
    let rows = items(member(&golden, "crossovers"));
    assert_eq!(rows.len(), 72);
    for row in rows {
        let Json::Object(changed) = member(row, "options") else { panic!("{row}") };
        let options = genetic(member(row, "crossover"), changed);
        let bounds: Vec<(f64, f64)> =
            matrix(member(row, "bounds")).iter().map(|pair| (pair[0], pair[1])).collect();
        let parents = Parents {
            points: &matrix(member(row, "parents")),
            bounds: &bounds,
            is_multi_objective: number(member(row, "n_objectives")) > 1.0,
        };
        let mut tape = Tape::new(floats(member(row, "tape")));
        let found = crossover::child(&parents, &options, &mut tape);
        assert_close(&found, &floats(member(row, "child")), &row.to_string());
        assert_eq!(tape.n_left(), 0);
    }
}

#[test]
fn ranks_crowding_distances_and_survivors_are_optunas() {
    let golden = golden();
    let rows = items(member(&golden, "elites"));
    assert_eq!(rows.len(), 36);
    for row in rows {
        let trials = population(member(row, "population"), &SearchSpace::default());
        let directions = directions(items(member(row, "directions")));
        let all: Vec<&FrozenTrial> = trials.iter().collect();
        let mut ranks = vec![0; all.len()];
        let fronts = elite::fronts(&all, &directions, all.len());
        for (rank, front) in fronts.iter().enumerate() {
            numbers(front).into_iter().for_each(|number| ranks[number] = rank);
        }
        assert_eq!(ranks, indices(member(row, "ranks")), "{row}");
        let found = elite::crowding_distances(&mut all.clone());
        let found: Vec<f64> =
            (0..all.len() as u32).map(|it| found.get(&it).copied().unwrap_or(0.0)).collect();
        assert_close(&found, &floats(member(row, "distances")), &row.to_string());
        for (size, want) in [2, 9, 20].into_iter().zip(items(member(row, "chosen"))) {
            let found = elite::select(&all, &directions, size);
            assert_eq!(numbers(&found), indices(want), "{size} of {row}");
        }
    }
}

#[test]
fn normalised_values_and_their_reference_points_are_optunas() {
    let golden = golden();
    let rows = items(member(&golden, "normalised"));
    assert_eq!(rows.len(), 18);
    for row in rows {
        let mut points = matrix(member(row, "values"));
        niche::clamp_infinities(&mut points);
        for (found, want) in points.iter().zip(matrix(member(row, "clamped"))) {
            assert_close(found, &want, "clamped");
        }
        niche::normalise(&mut points);
        for (found, want) in points.iter().zip(matrix(member(row, "found"))) {
            assert_close(found, &want, "normalised");
        }
        let references = niche::spread_points(points[0].len(), 3);
        let found: Vec<(usize, f64)> =
            points.iter().map(|point| niche::nearest(point, &references)).collect();
        let distances: Vec<f64> = found.iter().map(|(_, distance)| *distance).collect();
        assert_close(&distances, &floats(member(row, "distances")), "distances");
        let closest: Vec<usize> = found.iter().map(|(closest, _)| *closest).collect();
        assert_eq!(closest, indices(member(row, "closest")));
    }
}

#[test]
fn survivors_by_reference_points_are_optunas() {
    let golden = golden();
    let rows = items(member(&golden, "niches"));
    assert_eq!(rows.len(), 48);
    for row in rows {
        let trials = population(member(row, "population"), &SearchSpace::default());
        let all: Vec<&FrozenTrial> = trials.iter().collect();
        let n_objectives = trials[0].values.len();
        let points = niche::spread_points(n_objectives, index(member(row, "dividing_parameter")));
        assert_eq!(points, matrix(member(row, "points")));
        let mut tape = Tape::new(floats(member(row, "tape")));
        let size = index(member(row, "size"));
        let minimize = vec![StudyDirection::Minimize; n_objectives];
        let found = niche::select(&all, &minimize, size, &points, &mut tape);
        assert_eq!(numbers(&found), indices(member(row, "chosen")), "{row}");
    }
}

#[test]
fn children_are_optunas() {
    let golden = golden();
    let Json::Object(space) = member(&golden, "space") else { panic!("an object") };
    let parse = |json: &Json| Distribution::from_json_text(json.as_str()?).ok();
    let named = |(name, json): &(String, Json)| (name.clone(), parse(json).expect("valid"));
    let space: SearchSpace = space.iter().map(named).collect();
    let rows = items(member(&golden, "children"));
    assert_eq!(rows.len(), 36);
    for row in rows {
        let options = GeneticOptions {
            is_polynomial: *member(row, "polynomial") == Json::Bool(true),
            crossover_prob: number(member(row, "crossover_prob")),
            mutation_prob: member(row, "mutation_prob").as_f64(),
            ..genetic(member(row, "crossover"), &[])
        };
        let trials = population(member(row, "parents"), &space);
        let parents: Vec<&FrozenTrial> = trials.iter().collect();
        let directions = [StudyDirection::Minimize, StudyDirection::Maximize];
        let mut tape = Tape::new(floats(member(row, "tape")));
        let found = child::child(&options, &parents, &directions, &space, &mut tape);
        let Json::Object(want) = member(row, "child") else { panic!("{row}") };
        assert_eq!(found.len(), want.len(), "{row}");
        for (name, value) in want {
            assert_close(&[found[name]], &[number(value)], &format!("{name} of {row}"));
        }
        assert_eq!(tape.n_left(), 0);
    }
}
