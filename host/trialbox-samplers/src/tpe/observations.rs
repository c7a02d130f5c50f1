//! The values that trials have for the parameters that are drawn.

use super::parzen::Columns;
use crate::relative_params;
use trialbox_core::distribution::Distribution;
use trialbox_core::history::History;
use trialbox_core::json::Json;
use trialbox_core::search_space::SearchSpace;
use trialbox_core::trial::{FrozenTrial, TrialState};

/// The system attributes that hold a joint draw of TPE's.
pub(super) const RELATIVE_PARAMS: &str = "tpe:relative_params";

/// The internal values of the trials that have all parameters of `space`. Of a RUNNING trial, what it was
/// drawn jointly counts too, if `with_relative`, below what it has asked for already.
pub(super) fn observe(
    history: &History,
    trials: &[&FrozenTrial],
    space: &SearchSpace,
    with_relative: bool,
) -> Columns {
    let mut columns: Columns = (0..space.len()).map(|_| Vec::with_capacity(trials.len())).collect();
    let mut sources: Vec<Option<Vec<Source>>> = vec![None; history.n_schemas()];
    for trial in trials {
        let is_running = trial.state == TrialState::Running;
        let relative = Some(trial)
            .filter(|_| with_relative && is_running)
            .and_then(|trial| relative_params::of_trial(RELATIVE_PARAMS, trial));
        let (schema, values) = history.row(trial);
        let sources = sources[schema].get_or_insert_with(|| sources_of(trial, space));
        let n = columns.first().map_or(0, Vec::len);
        for (((name, distribution), column), source) in space.iter().zip(&mut columns).zip(sources)
        {
            let value = match source {
                Source::AsStored(place) => usable(values[*place], distribution),
                Source::Converted(place) => {
                    internal_of_external(&trial.params[*place].1.external(), distribution)
                }
                Source::Missing => relative
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

/// Where the trials of one schema have a parameter.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// At this place, its internal value meaning the same as now.
    AsStored(usize),
    /// At this place, on another scale.
    Converted(usize),
    Missing,
}

fn sources_of(trial: &FrozenTrial, space: &SearchSpace) -> Vec<Source> {
    let source = |(name, distribution): (&str, &Distribution)| {
        let Some(place) = trial.params.iter().position(|(found, _)| found == name) else {
            return Source::Missing;
        };
        let stored = &trial.params[place].1.distribution;
        let is_as_stored = match (stored, distribution) {
            (Distribution::Float(_), Distribution::Float(_)) => true,
            (Distribution::Int(_), Distribution::Int(_)) => true,
            (Distribution::Categorical(_), _) => stored.is_same(distribution),
            _ => false,
        };
        if is_as_stored { Source::AsStored(place) } else { Source::Converted(place) }
    };
    space.iter().map(source).collect()
}

fn internal_of_external(external: &Json, distribution: &Distribution) -> Option<f64> {
    usable(distribution.to_internal(external).ok()?, distribution)
}

/// Refuses what has no place on the scale: two first trials at once can record what does not fit together.
fn usable(value: f64, distribution: &Distribution) -> Option<f64> {
    match distribution {
        Distribution::Float(float) => {
            (value.is_finite() && (!float.log() || value > 0.0)).then_some(value)
        }
        // An integer that a user fixed may be stored with a fraction.
        Distribution::Int(int) => {
            let value = value.trunc();
            (value.is_finite() && (!int.log() || value > 0.0)).then_some(value)
        }
        Distribution::Categorical(categorical) => {
            (value >= 0.0 && value < categorical.choices().len() as f64).then_some(value)
        }
    }
}
