//! Importances of parameters, as Optuna 5.0's `get_param_importances` assesses them.
//!
//! [`ped_anova`](ped_anova()) asks which parameters decide whether a trial is among the best tenth; it is
//! exact and quick. [`fanova()`] and [`mean_decrease_impurity`] ask which parameters explain the values of all
//! trials, by a random forest. All look at COMPLETE trials with finite values, feasible or not.

mod error;
mod fanova;
mod grid;
mod ped_anova;

pub use error::ImportanceError;
pub use fanova::{fanova, mean_decrease_impurity};
pub use ped_anova::ped_anova;

use trialbox_core::{FrozenTrial, History, TrialState};

/// The result that parameters are to be important for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Good values of one objective, by its index.
    Objective(usize),
    /// A place near the Pareto front of all objectives; of a single one, its good values.
    AllObjectives,
}

/// Parameters with their importances, >= 0: the largest first, of equal ones by name.
pub type Importances = Vec<(String, f64)>;

/// Divides the importances by their sum. If all are 0, so that nothing is known, they become equal.
pub fn normalize(importances: &mut Importances) {
    let sum: f64 = importances.iter().map(|(_, value)| value).sum();
    let equal = 1.0 / importances.len() as f64;
    for (_, value) in importances {
        *value = if sum == 0.0 { equal } else { *value / sum };
    }
}

/// Returns the COMPLETE trials that have finite values for the target.
///
/// # Errors
/// There are fewer than two. Optuna calls all parameters equally important then, without evidence.
fn assessable(history: &History, target: Target) -> Result<Vec<&FrozenTrial>, ImportanceError> {
    let n_objectives = history.directions().len();
    let mut trials: Vec<&FrozenTrial> = history.in_state(TrialState::Complete).collect();
    trials.retain(|trial| match target {
        Target::Objective(index) => trial.values.get(index).is_some_and(|value| value.is_finite()),
        Target::AllObjectives => {
            trial.values.len() == n_objectives && trial.values.iter().all(|it| it.is_finite())
        }
    });
    let n_complete = history.in_state(TrialState::Complete).count();
    if trials.len() < 2 {
        return Err(ImportanceError::TooFewTrials { n_usable: trials.len(), n_complete });
    }
    Ok(trials)
}

fn refuse_unknown_objective(history: &History, target: Target) -> Result<(), ImportanceError> {
    let n_objectives = history.directions().len();
    match target {
        Target::Objective(index) if index >= n_objectives => {
            Err(ImportanceError::NoSuchObjective { index, n_objectives })
        }
        _ => Ok(()),
    }
}

fn largest_first(importances: &mut Importances) {
    // An empty sum is -0, which would be printed so.
    importances.iter_mut().for_each(|(_, value)| *value += 0.0);
    importances.sort_by(|(name_a, a), (name_b, b)| b.total_cmp(a).then_with(|| name_a.cmp(name_b)));
}
