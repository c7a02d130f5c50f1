//! The Pareto front of a study.

use super::non_domination_ranks;
use trialbox_core::{FrozenTrial, StudyDirection, TrialState};

/// Returns the Pareto front of a study's trials, in their order: those that are COMPLETE and feasible and that no other
/// such trial dominates. Equal points all stay, as in Optuna's `best_trials`.
///
/// O(n·log n) for n trials of two objectives, O(n·front) for more.
pub fn pareto_front<'a>(
    trials: &'a [FrozenTrial],
    directions: &[StudyDirection],
) -> Vec<&'a FrozenTrial> {
    let candidates: Vec<&FrozenTrial> = trials
        .iter()
        .filter(|trial| trial.state == TrialState::Complete && trial.is_feasible())
        .filter(|trial| trial.values.len() == directions.len())
        .collect();
    let points: Vec<Vec<f64>> =
        candidates.iter().map(|trial| losses(&trial.values, directions)).collect();
    // Once a single point has a rank, the whole front has rank 0 and everything else rank 1.
    let ranks = non_domination_ranks(&points, 1);
    let ranked = candidates.into_iter().zip(ranks);
    ranked.filter(|(_, rank)| *rank == 0).map(|(trial, _)| trial).collect()
}

/// Returns values with their signs changed where larger is better, so that smaller is.
pub fn losses(values: &[f64], directions: &[StudyDirection]) -> Vec<f64> {
    let values = values.iter().zip(directions);
    values.map(|(value, direction)| direction.to_minimize(*value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trial_with;

    const MIXED: [StudyDirection; 3] =
        [StudyDirection::Minimize, StudyDirection::Maximize, StudyDirection::Minimize];

    fn trial(number: u32, state: TrialState, values: &[f64]) -> FrozenTrial {
        FrozenTrial { values: values.to_vec(), ..trial_with(number, state, &[]) }
    }

    fn numbers(trials: &[FrozenTrial], n_objectives: usize) -> Vec<u32> {
        let front = pareto_front(trials, &MIXED[..n_objectives]);
        front.iter().map(|trial| trial.number.0).collect()
    }

    #[test]
    fn the_front_keeps_equal_points_and_drops_dominated_ones() {
        let mut trials = vec![
            trial(0, TrialState::Complete, &[1.0, 1.0]),
            trial(1, TrialState::Complete, &[0.0, 0.0]),
            trial(2, TrialState::Complete, &[2.0, 2.0]),
            trial(3, TrialState::Complete, &[1.0, 1.0]),
            trial(4, TrialState::Complete, &[2.0, 0.5]),
            trial(5, TrialState::Pruned, &[]),
        ];
        assert_eq!(numbers(&trials, 2), [0, 1, 2, 3]);
        trials[2].system_attrs.insert("constraints:size".to_owned(), 1e-9.into());
        assert_eq!(numbers(&trials, 2), [0, 1, 3]);
        assert_eq!(numbers(&[], 2), [0; 0]);
    }

    /// Values from a grid and the infinities, so that ties of every kind occur.
    #[test]
    fn a_trial_is_on_the_front_unless_another_one_dominates_it() {
        let mut state = 1u64;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match state >> 60 {
                0 => f64::NEG_INFINITY,
                1 => f64::INFINITY,
                n => n as f64,
            }
        };
        for n_objectives in [1, 2, 3] {
            let trials: Vec<FrozenTrial> = (0..200)
                .map(|number| {
                    let values: Vec<f64> = (0..n_objectives).map(|_| draw()).collect();
                    trial(number, TrialState::Complete, &values)
                })
                .collect();
            let costs: Vec<Vec<f64>> =
                trials.iter().map(|trial| losses(&trial.values, &MIXED)).collect();
            let dominates = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
            let is_on_front = |number: &u32| {
                let cost = &costs[*number as usize];
                !costs.iter().any(|other| dominates(other, cost))
            };
            let wanted: Vec<u32> = (0..200).filter(is_on_front).collect();
            assert_eq!(numbers(&trials, n_objectives), wanted);
        }
    }
}
