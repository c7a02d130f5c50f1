//! Parallel coordinates: each trial is a line through its parameters, the most important first, to its value.

use super::NO_RESULT;
use super::scatter::ValueScale;
use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Table};
use crate::kind::{Kind, kind_of};
use crate::params::Parameter;
use crate::scale::Scale;
use crate::subject::Subject;
use trialbox_core::{FrozenTrial, TrialState};

/// The number of parameters that have an axis.
const MAX_AXES: usize = 7;

/// The number of lines that can be told apart: the best and a sample of the others.
const MAX_LINES: usize = 180;

pub(super) fn parallel(subject: &Subject) -> Result<Figure, String> {
    if subject.results().next().is_none() {
        return Err(NO_RESULT.to_owned());
    }
    let parameters = subject.by_importance();
    if parameters.is_empty() {
        return Err("no parameter has more than one value yet".to_owned());
    }
    let names = subject.objective_labels();
    let axes = &parameters[..parameters.len().min(MAX_AXES)];
    let values: Vec<ValueScale> = (0..names.len())
        .map(|objective| {
            let values = subject.results().map(|trial| trial.values[objective]);
            ValueScale::new(values, subject.directions()[objective])
        })
        .collect();
    let complete: Vec<usize> = (0..subject.trials().len())
        .filter(|index| subject.trials()[*index].state == TrialState::Complete)
        .collect();
    let shown = sample(subject, &complete);
    let lines = shown.iter().map(|index| {
        let trial = &subject.trials()[*index];
        let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
        let mut places: Vec<Option<f64>> = axes.iter().map(|axis| axis.value(*index)).collect();
        let of_trial = values.iter().zip(&trial.values);
        places.extend(of_trial.map(|(scale, value)| Some(scale.clamp(*value))));
        (kind, trial.number.0, places)
    });
    // The best last, and so in front.
    let mut lines: Vec<(Kind, u32, Vec<Option<f64>>)> = lines.collect();
    lines.sort_by_key(|(kind, number, _)| (*kind, *number));
    let scales = axes.iter().map(|axis| axis.scale.clone());
    let scales = scales.chain(values.iter().map(|value| value.scale.clone())).collect();
    let mut labels: Vec<String> = axes.iter().map(|axis| axis.label()).collect();
    labels.extend(names.iter().cloned());
    let panel = Panel::new(
        Axis::new("", Scale::Names(labels)),
        Axis::new("", Scale::Linear(0.0, 1.0)),
        vec![Layer::Parallel(scales, lines)],
    );
    let caption = caption(shown.len(), complete.len(), parameters.len());
    let data = data(subject, &parameters);
    Ok(Figure { kind: FigureKind::Parallel, caption, data, panels: vec![panel.wide()] })
}

fn caption(n_shown: usize, n_complete: usize, n_parameters: usize) -> String {
    let mut caption =
        "Each line is a trial, from its parameters, the most important first, to its value."
            .to_owned();
    if n_shown < n_complete {
        caption.push_str(&format!(" {n_shown} of {n_complete} are drawn, the best among them."));
    }
    if n_parameters > MAX_AXES {
        caption.push_str(&format!(" {MAX_AXES} of {n_parameters} parameters have an axis."));
    }
    caption
}

/// Returns the trials that are drawn: a third of them the best, the others evenly over the study.
fn sample(subject: &Subject, complete: &[usize]) -> Vec<usize> {
    if complete.len() <= MAX_LINES {
        return complete.to_vec();
    }
    let direction = subject.directions()[0];
    let loss = |trial: &FrozenTrial| direction.to_minimize(trial.values[0]);
    let mut best: Vec<usize> = complete.to_vec();
    best.sort_by(|a, b| loss(&subject.trials()[*a]).total_cmp(&loss(&subject.trials()[*b])));
    let mut shown = best[..MAX_LINES / 3].to_vec();
    let stride = complete.len().div_ceil(MAX_LINES * 2 / 3);
    shown.extend(complete.iter().step_by(stride));
    shown.sort_unstable();
    shown.dedup();
    shown
}

fn data(subject: &Subject, parameters: &[&Parameter]) -> Table {
    let mut table = Table::new(&["number"]);
    table.columns.extend(subject.objective_names());
    table.columns.extend(parameters.iter().map(|parameter| parameter.name.clone()));
    for (index, trial) in subject.trials().iter().enumerate() {
        if trial.state != TrialState::Complete {
            continue;
        }
        let mut row = vec![Cell::Count(trial.number.0.into())];
        row.extend(trial.values.iter().map(|value| Cell::Number(*value)));
        row.extend(parameters.iter().map(|parameter| {
            parameter.value(index).map_or(Cell::None, |value| parameter.cell(value))
        }));
        table.rows.push(row);
    }
    table
}
