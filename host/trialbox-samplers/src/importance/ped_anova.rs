//! PED-ANOVA: which parameters decide whether a trial is among the best.

use super::grid::Grid;
use super::{
    ImportanceError, Importances, Target, assessable, largest_first, refuse_unknown_objective,
};
use crate::tpe::split::best_of_several;
use std::collections::BTreeSet;
use trialbox_core::{Distribution, FrozenTrial, History, StudyDirection, TrialState};

/// The share of the trials that counts as the best, γ′ of the paper. The region they are compared with is all
/// trials, γ = 1.
const TARGET_QUANTILE: f64 = 0.1;

/// Fewer trials than these tell nothing about a density.
const MIN_TRIALS_IN_REGIME: usize = 2;

/// Returns the importances of `params`, or of every parameter of a COMPLETE trial, conditional ones included. They are
/// not normalised.
///
/// A parameter's importance is the Pearson divergence between the densities of its values in the best tenth
/// and in all trials. Trials that have it with one distribution form a *regime*; with α the share of the best
/// trials and β that of all trials in a regime, the importance is γ′²·Σ α²/β·D over the regimes. All are 0
/// when the best tenth is all trials. O(trials · parameters).
///
/// Watanabe, Bansal and Hutter 2023, "PED-ANOVA", arXiv:2304.10255; regimes as arXiv:2601.20800, theorem 4.2
/// and algorithm 1; grids and bandwidths as Optuna 5.0's `PedAnovaImportanceEvaluator`.
///
/// # Errors
/// Fewer than two trials; unknown objectives or parameters, or none.
pub fn ped_anova(
    history: &History,
    params: Option<&[String]>,
    target: Target,
) -> Result<Importances, ImportanceError> {
    refuse_unknown_objective(history, target)?;
    let trials = assessable(history, target)?;
    let names = names(history, params)?;
    let is_best = find_best(&trials, history.directions(), target);
    let n_best = is_best.iter().filter(|is_best| **is_best).count();
    if n_best == trials.len() {
        tracing::warn!(
            "the best tenth of the trials is all of them, so no importance can be computed; more trials are needed"
        );
    }
    let (n, n_best) = (trials.len() as f64, n_best as f64);
    let mut importances = Importances::with_capacity(names.len());
    for name in names {
        let regimes = regimes(&name, &trials, &is_best);
        let sum: f64 = regimes.iter().map(|regime| regime.part(n, n_best)).sum();
        importances.push((name, sum * (n_best / n).powi(2)));
    }
    largest_first(&mut importances);
    Ok(importances)
}

/// Returns the parameters to assess, each once.
fn names(
    history: &History,
    params: Option<&[String]>,
) -> Result<BTreeSet<String>, ImportanceError> {
    let mut known: BTreeSet<&str> = BTreeSet::new();
    let mut is_seen = vec![false; history.n_schemas()];
    for trial in history.in_state(TrialState::Complete) {
        let is_seen = &mut is_seen[history.row(trial).0];
        if !std::mem::replace(is_seen, true) {
            known.extend(trial.params.iter().map(|(name, _)| name.as_str()));
        }
    }
    let Some(params) = params else {
        if known.is_empty() {
            return Err(ImportanceError::NoParams);
        }
        return Ok(known.into_iter().map(str::to_owned).collect());
    };
    let missing: Vec<String> =
        params.iter().filter(|name| !known.contains(name.as_str())).cloned().collect();
    if !missing.is_empty() {
        let known = known.into_iter().map(str::to_owned).collect();
        return Err(ImportanceError::UnknownParams { missing, known });
    }
    Ok(params.iter().cloned().collect())
}

/// Returns for each trial whether it is among the best: of one objective all with a value as good as the last of the
/// best tenth, of several exactly a tenth, chosen as TPE does. Constraints do not count, as in Optuna.
fn find_best(trials: &[&FrozenTrial], directions: &[StudyDirection], target: Target) -> Vec<bool> {
    let n_best = (TARGET_QUANTILE * trials.len() as f64).ceil() as usize;
    let index = match target {
        Target::Objective(index) => index,
        Target::AllObjectives if directions.len() == 1 => 0,
        Target::AllObjectives => return find_best_of_several(trials, directions, n_best),
    };
    let losses: Vec<f64> =
        trials.iter().map(|trial| directions[index].to_minimize(trial.values[index])).collect();
    let mut sorted = losses.clone();
    let (_, last, _) = sorted.select_nth_unstable_by(n_best - 1, f64::total_cmp);
    losses.iter().map(|loss| loss <= last).collect()
}

fn find_best_of_several(
    trials: &[&FrozenTrial],
    directions: &[StudyDirection],
    n_best: usize,
) -> Vec<bool> {
    let mut points: Vec<Vec<f64>> = Vec::with_capacity(trials.len());
    for trial in trials {
        let values = trial.values.iter().zip(directions);
        points.push(values.map(|(value, direction)| direction.to_minimize(*value)).collect());
    }
    let mut is_best = vec![false; trials.len()];
    for place in best_of_several(&points, n_best) {
        is_best[place] = true;
    }
    is_best
}

/// Trials that have a parameter with one distribution.
struct Regime<'a> {
    distribution: &'a Distribution,
    /// The internal values of the parameter.
    all: Vec<f64>,
    /// Those of them that the best trials have.
    best: Vec<f64>,
}

/// Returns the regimes of a parameter that can contribute to its importance.
fn regimes<'a>(name: &str, trials: &[&'a FrozenTrial], is_best: &[bool]) -> Vec<Regime<'a>> {
    let mut regimes: Vec<Regime> = Vec::new();
    let mut latest = 0;
    for (trial, is_best) in trials.iter().zip(is_best) {
        let Some(param) = trial.param(name) else { continue };
        latest = find_or_add_regime(&mut regimes, latest, &param.distribution);
        regimes[latest].all.push(param.internal);
        if *is_best {
            regimes[latest].best.push(param.internal);
        }
    }
    if regimes.iter().any(|regime| regime.all.len() < MIN_TRIALS_IN_REGIME) {
        tracing::warn!(name, "some range of the parameter is in one trial only, which is left out");
    }
    regimes.retain(Regime::can_contribute);
    regimes
}

/// Returns the place of the regime of a distribution, which is nearly always `latest`, that of the trial before.
fn find_or_add_regime<'a>(
    regimes: &mut Vec<Regime<'a>>,
    latest: usize,
    distribution: &'a Distribution,
) -> usize {
    match regimes.get(latest) {
        Some(regime) if regime.distribution.is_same(distribution) => return latest,
        _ => {}
    }
    if let Some(place) = regimes.iter().position(|it| it.distribution.is_same(distribution)) {
        return place;
    }
    regimes.push(Regime { distribution, all: vec![], best: vec![] });
    regimes.len() - 1
}

impl Regime<'_> {
    /// Computes α²/β·D among `n` trials, of which `n_best` are the best.
    fn part(&self, n: f64, n_best: f64) -> f64 {
        let (alpha, beta) = (self.best.len() as f64 / n_best, self.all.len() as f64 / n);
        alpha * alpha / beta * self.divergence()
    }

    /// Returns whether the regime can add to the importance of its parameter.
    fn can_contribute(&self) -> bool {
        self.all.len() >= MIN_TRIALS_IN_REGIME
            && !self.best.is_empty()
            && self.distribution.single().is_none()
    }

    /// Computes D = Σ q·(p/q − 1)² over the grid, with p the density of the best and q that of all.
    fn divergence(&self) -> f64 {
        // Keeps the quotient finite where neither has mass.
        const FLOOR: f64 = 1e-12;
        let grid = Grid::of(self.distribution);
        let (best, all) = (grid.density(&self.best), grid.density(&self.all));
        let floored = best.iter().zip(&all).map(|(best, all)| (best + FLOOR, all + FLOOR));
        floored.map(|(best, all)| all * (best / all - 1.0).powi(2)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importance::normalize;
    use crate::testing::trial_with;

    fn float(high: f64) -> Distribution {
        Distribution::float(0.0, high, false, None).expect("a range")
    }

    /// `n` trials whose value is `x`, beside a parameter `y` that nothing depends on.
    fn trials(n: u32) -> Vec<FrozenTrial> {
        (0..n).map(trial).collect()
    }

    fn trial(number: u32) -> FrozenTrial {
        let (x, y) = (spread(number, 0.618_033_988_749), spread(number, 0.414_213_562_373));
        let params = [("x", float(1.0), x), ("y", float(1.0), y), ("z", float(0.0), 0.0)];
        FrozenTrial { values: vec![x], ..trial_with(number, TrialState::Complete, &params) }
    }

    fn spread(number: u32, factor: f64) -> f64 {
        (f64::from(number) * factor).fract()
    }

    fn assess(trials: Vec<FrozenTrial>) -> Importances {
        let history = History::new(vec![StudyDirection::Minimize], trials);
        ped_anova(&history, None, Target::AllObjectives).expect("assessable")
    }

    #[test]
    fn the_parameter_that_decides_has_nearly_all_importance_and_a_constant_none() {
        let mut importances = assess(trials(400));
        normalize(&mut importances);
        let [(x, of_x), (y, of_y), (z, of_z)] = &importances[..] else { panic!("three") };
        assert_eq!((x.as_str(), y.as_str(), z.as_str()), ("x", "y", "z"));
        assert!(*of_x > 0.95 && *of_y < 0.05 && *of_z == 0.0, "{importances:?}");
        assert!((of_x + of_y - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_order_of_the_trials_does_not_matter() {
        let mut reversed: Vec<FrozenTrial> = trials(50).into_iter().rev().collect();
        for (number, trial) in (0..).zip(&mut reversed) {
            trial.number.0 = number;
        }
        let (a, b) = (assess(trials(50)), assess(reversed));
        for ((name_a, a), (name_b, b)) in a.iter().zip(&b) {
            assert_eq!(name_a, name_b);
            assert!((a - b).abs() <= 1e-12 * a, "{name_a}: {a} and {b}");
        }
    }

    #[test]
    fn trials_that_are_all_equal_make_all_parameters_equally_important() {
        let mut trials = trials(20);
        trials.iter_mut().for_each(|trial| trial.values = vec![1.0]);
        let mut importances = assess(trials);
        assert!(importances.iter().all(|(_, value)| *value == 0.0), "{importances:?}");
        normalize(&mut importances);
        assert!(importances.iter().all(|(_, value)| *value == 1.0 / 3.0), "{importances:?}");
    }

    fn refuse(n: u32, params: Option<&[String]>, target: Target) -> ImportanceError {
        let history = History::new(vec![StudyDirection::Minimize], trials(n));
        ped_anova(&history, params, target).expect_err("it cannot be assessed")
    }

    #[test]
    fn what_cannot_be_assessed_is_refused() {
        let all = Target::AllObjectives;
        let too_few = ImportanceError::TooFewTrials { n_usable: 1, n_complete: 1 };
        assert_eq!(refuse(1, None, all), too_few);
        let unknown = [String::from("x"), String::from("w")];
        let known = ["x", "y", "z"].map(str::to_owned).to_vec();
        let missing = vec![String::from("w")];
        assert_eq!(
            refuse(9, Some(&unknown), all),
            ImportanceError::UnknownParams { missing, known }
        );
        let no_such = ImportanceError::NoSuchObjective { index: 1, n_objectives: 1 };
        assert_eq!(refuse(9, None, Target::Objective(1)), no_such);
    }
}
