//! The values that trials have for the parameters that are drawn.

use super::parzen::Columns;
use crate::relative_params;
use trialbox_core::distribution::Distribution;
use trialbox_core::json::Json;
use trialbox_core::search_space::SearchSpace;
use trialbox_core::trial::{FrozenTrial, Param, TrialState};

/// The system attributes that hold a joint draw of TPE's.
pub(super) const RELATIVE_PARAMS: &str = "tpe:relative_params";

/// The internal values of the trials that have all parameters of `space`. Of a RUNNING trial, what it was
/// drawn jointly counts too, if `with_relative`, below what it has asked for already.
pub(super) fn observe(
    trials: &[&FrozenTrial],
    space: &SearchSpace,
    with_relative: bool,
) -> Columns {
    let mut columns: Columns = (0..space.len()).map(|_| Vec::with_capacity(trials.len())).collect();
    // Where the parameters stood in the last trial, which is where they stand in nearly every one.
    let mut places = vec![0; space.len()];
    for trial in trials {
        let is_running = trial.state == TrialState::Running;
        let relative = Some(trial)
            .filter(|_| with_relative && is_running)
            .and_then(|trial| relative_params::of_trial(RELATIVE_PARAMS, trial));
        let n = columns.first().map_or(0, Vec::len);
        for ((name, distribution), (column, place)) in
            space.iter().zip(columns.iter_mut().zip(&mut places))
        {
            let value = match find(trial, name, place) {
                Some(param) => internal_value(param, distribution),
                None => relative
                    .as_ref()
                    .and_then(|relative| internal_of_external(relative.get(name)?, distribution)),
            };
            let Some(value) = value else { break };
            column.push(value);
        }
        if columns.last().is_some_and(|last| last.len() == n) {
            columns.iter_mut().for_each(|column| column.truncate(n));
        }
    }
    columns
}

fn find<'a>(trial: &'a FrozenTrial, name: &str, place: &mut usize) -> Option<&'a Param> {
    match trial.params.get(*place) {
        Some((found, param)) if found == name => Some(param),
        _ => {
            *place = trial.params.iter().position(|(found, _)| found == name)?;
            Some(&trial.params[*place].1)
        }
    }
}

/// The internal value under the distribution that is drawn from now, whose range may be another one.
fn internal_value(param: &Param, distribution: &Distribution) -> Option<f64> {
    let is_same_scale = match (&param.distribution, distribution) {
        (Distribution::Float(_), Distribution::Float(_)) => true,
        (Distribution::Categorical(_), Distribution::Categorical(_)) => {
            param.distribution.is_same(distribution)
        }
        _ => false,
    };
    if is_same_scale {
        usable(param.internal, distribution)
    } else {
        internal_of_external(&param.external(), distribution)
    }
}

fn internal_of_external(external: &Json, distribution: &Distribution) -> Option<f64> {
    usable(distribution.to_internal(external).ok()?, distribution)
}

/// Refuses what has no place on the scale: two first trials at once can record what does not fit together.
fn usable(value: f64, distribution: &Distribution) -> Option<f64> {
    let fits = match distribution {
        Distribution::Float(float) => value.is_finite() && (!float.log() || value > 0.0),
        Distribution::Int(int) => value.is_finite() && (!int.log() || value > 0.0),
        Distribution::Categorical(categorical) => {
            value >= 0.0 && value < categorical.choices().len() as f64
        }
    };
    fits.then_some(value)
}
