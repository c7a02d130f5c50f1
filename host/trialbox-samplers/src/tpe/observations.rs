//! The values that trials have for the parameters that are drawn.

use super::kernels::Columns;
use crate::relative_params;
use trialbox_core::study::search_space::SearchSpace;
use trialbox_core::{Distribution, FrozenTrial, History, Json, TrialState};

/// The system attributes that hold a joint draw of TPE's.
pub(super) const RELATIVE_PARAMS: &str = "tpe:relative_params";

/// Returns the internal values of the trials that have all parameters of `space`. Of a RUNNING trial, the
/// joint draw counts too, if `with_relative`, below what was suggested already.
pub(super) fn observe(
    history: &History,
    trials: &[&FrozenTrial],
    space: &SearchSpace,
    with_relative: bool,
) -> Columns {
    let mut columns: Columns = (0..space.len()).map(|_| Vec::with_capacity(trials.len())).collect();
    let mut sources: Vec<Option<Vec<Source>>> = vec![None; history.n_schemas()];
    // In chunks that stay in the innermost cache while their columns are picked out.
    for trials in trials.chunks(CHUNK) {
        let rows: Vec<Row> = trials.iter().map(|trial| history.row(trial)).collect();
        let mut trials = trials;
        for rows in rows.chunk_by(|a, b| a.0 == b.0) {
            let these;
            (these, trials) = trials.split_at(rows.len());
            let sources = sources[rows[0].0].get_or_insert_with(|| sources_of(these[0], space));
            if copy_all(rows, sources, space, &mut columns) {
                continue;
            }
            for (trial, (_, values)) in these.iter().zip(rows) {
                copy_one(trial, values, sources, space, with_relative, &mut columns);
            }
        }
    }
    columns
}

/// The number of trials that are copied together.
const CHUNK: usize = 256;

/// A trial's schema and its stored internal values.
type Row<'a> = (usize, &'a [f64]);

/// Copies the trials of one schema column by column, which is quick; copies nothing and returns `false` if
/// some value has to be looked at by itself.
fn copy_all(rows: &[Row], sources: &[Source], space: &SearchSpace, columns: &mut Columns) -> bool {
    let n = columns.first().map_or(0, Vec::len);
    let mut both = space.iter().zip(&mut *columns).zip(sources);
    let is_copied = both.all(|(((_, distribution), column), source)| {
        let Source::AsStored(place) = source else { return false };
        column.extend(rows.iter().map(|(_, values)| values[*place]));
        make_usable(&mut column[n..], distribution)
    });
    if !is_copied {
        columns.iter_mut().for_each(|column| column.truncate(n));
    }
    is_copied
}

/// Adds a row to the columns if the trial has a usable value for each.
fn copy_one(
    trial: &FrozenTrial,
    values: &[f64],
    sources: &[Source],
    space: &SearchSpace,
    with_relative: bool,
    columns: &mut Columns,
) {
    let relative = Some(trial)
        .filter(|trial| with_relative && trial.state == TrialState::Running)
        .and_then(|trial| relative_params::of_trial(RELATIVE_PARAMS, trial));
    let value = |((name, distribution), source): ((&str, &Distribution), &Source)| match source {
        Source::AsStored(place) => usable(values[*place], distribution),
        Source::Converted(place) => {
            internal_of_external(&trial.params[*place].1.external(), distribution)
        }
        Source::Missing => relative
            .as_ref()
            .and_then(|relative| internal_of_external(relative.get(name)?, distribution)),
    };
    let row: Option<Vec<f64>> = space.iter().zip(sources).map(value).collect();
    if let Some(row) = row {
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
}

/// The place of a parameter in the trials of one schema.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// At this place, its internal value meaning the same as now.
    AsStored(usize),
    /// At this place, on another scale.
    Converted(usize),
    Missing,
}

fn sources_of(trial: &FrozenTrial, space: &SearchSpace) -> Vec<Source> {
    space.iter().map(|(name, distribution)| source_of(trial, name, distribution)).collect()
}

fn source_of(trial: &FrozenTrial, name: &str, distribution: &Distribution) -> Source {
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
}

fn internal_of_external(external: &Json, distribution: &Distribution) -> Option<f64> {
    usable(distribution.to_internal(external).ok()?, distribution)
}

/// Returns the value if it has a place on the scale: two first trials that run at a time can record what does not
/// fit together.
fn usable(value: f64, distribution: &Distribution) -> Option<f64> {
    let mut values = [value];
    make_usable(&mut values, distribution).then_some(values[0])
}

/// Cuts integers' fractions off, and tells whether all values have a place on the scale.
fn make_usable(values: &mut [f64], distribution: &Distribution) -> bool {
    match distribution {
        Distribution::Float(float) => are_on_scale(values, float.log()),
        Distribution::Int(int) => {
            // An integer that a user fixed may be stored with a fraction.
            values.iter_mut().for_each(|value| *value = truncated(*value));
            are_on_scale(values, int.log())
        }
        Distribution::Categorical(categorical) => {
            let n_choices = categorical.choices().len() as f64;
            values.iter().fold(true, |is, value| is & (*value >= 0.0) & (*value < n_choices))
        }
    }
}

/// Returns whether all values are finite, and above 0 if the scale is logarithmic.
fn are_on_scale(values: &[f64], is_log: bool) -> bool {
    let above = if is_log { 0.0 } else { f64::NEG_INFINITY };
    // `&` and not `&&` or `all`: without branches, several values are looked at in one instruction.
    values.iter().fold(true, |is, value| is & (*value > above) & (*value < f64::INFINITY))
}

/// Cuts the fraction off, as [`f64::trunc`], which is a call where the processor may be an old one.
fn truncated(value: f64) -> f64 {
    // From 2⁵² on, all numbers are whole.
    if value.abs() < 4_503_599_627_370_496.0 { value as i64 as f64 } else { value }
}
