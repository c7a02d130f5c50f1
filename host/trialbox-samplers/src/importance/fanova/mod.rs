//! fANOVA and mean decrease impurity: which parameters explain the values, by a random forest.
//!
//! The forest is as Optuna 5.0 asks scikit-learn for it, so importances agree with Optuna's as those of two
//! seeds of its own do.

mod encoding;
mod forest;
mod marginal;

use super::{ImportanceError, Importances, Target, assessable, refuse_unknown_objective};
use encoding::Encoding;
use forest::{Tree, grow_forest};
use marginal::Leaves;
use trialbox_core::History;

/// Returns the importances of `params`, or of all parameters that every COMPLETE trial has with the same range, for
/// one objective. They are not normalised: each is the share of the variance, over the whole search space,
/// that the parameter explains by itself. A parameter that can have only one value has 0.
///
/// The forest is a function of the trials and of `seed`. Its trees' marginals are exact: no sampling, and
/// O(leaves · parameters²) a tree, beside O(trials · parameters · depth) for growing it. Categorical parameters cost
/// O(p²) more, for p different conditions on their choices in a tree.
///
/// Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance". As in
/// Optuna, numbers are taken as they are, without logarithms, and each choice is a column of its own.
///
/// # Errors
/// Fewer than two trials, or all alike; an unknown objective; parameters that no trial has all of, or whose
/// ranges change.
pub fn fanova(
    history: &History,
    params: Option<&[String]>,
    objective: usize,
    seed: u64,
) -> Result<Importances, ImportanceError> {
    let (encoding, forest) = grow(history, params, objective, seed)?;
    let (mut sums, mut n_trees) = (vec![0.0; encoding.params.len()], 0.0);
    for tree in &forest {
        let leaves = Leaves::of(tree, &encoding.bounds);
        let variance = leaves.variance();
        if variance > 0.0 {
            n_trees += 1.0;
            for (sum, (_, columns)) in sums.iter_mut().zip(&encoding.params) {
                *sum += leaves.marginal_variance(columns.clone()) / variance;
            }
        }
    }
    if n_trees == 0.0 {
        return Err(ImportanceError::NoVariance { n: encoding.targets.len() });
    }
    Ok(encoding.importances(sums.into_iter().map(|sum| sum / n_trees)))
}

/// Returns importances as [`fanova()`] does, but a parameter's importance is the share of the trials' squared
/// deviations that splits on it take away, mean over the trees. The sum is 1.
///
/// Breiman et al. 1984, "Classification and Regression Trees"; scikit-learn's `feature_importances_`.
///
/// # Errors
/// As [`fanova()`].
pub fn mean_decrease_impurity(
    history: &History,
    params: Option<&[String]>,
    objective: usize,
    seed: u64,
) -> Result<Importances, ImportanceError> {
    let (encoding, forest) = grow(history, params, objective, seed)?;
    let mut sums = vec![0.0; encoding.params.len()];
    for tree in &forest {
        let decreases = tree.decreases(encoding.bounds.len());
        let total: f64 = decreases.iter().sum();
        if total > 0.0 {
            for (sum, (_, columns)) in sums.iter_mut().zip(&encoding.params) {
                *sum += decreases[columns.clone()].iter().sum::<f64>() / total;
            }
        }
    }
    let total: f64 = sums.iter().sum();
    if total == 0.0 {
        return Err(ImportanceError::NoVariance { n: encoding.targets.len() });
    }
    Ok(encoding.importances(sums.into_iter().map(|sum| sum / total)))
}

fn grow(
    history: &History,
    params: Option<&[String]>,
    objective: usize,
    seed: u64,
) -> Result<(Encoding, Vec<Tree>), ImportanceError> {
    let target = Target::Objective(objective);
    refuse_unknown_objective(history, target)?;
    let trials = assessable(history, target)?;
    let encoding = Encoding::of(history, &trials, params, objective)?;
    let forest = grow_forest(&encoding.columns, &encoding.targets, seed);
    Ok((encoding, forest))
}
