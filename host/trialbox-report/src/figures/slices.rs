//! The value against each parameter, with a flag where the best lies at the end of a range.

use super::NO_RESULT;
use super::scatter::{ValueScale, scatter};
use crate::figure::{Axis, Cell, Figure, FigureKind, Panel, Point, Table};
use crate::kind::{Kind, kind_of};
use crate::params::{Edge, Parameter};
use crate::subject::Subject;
use trialbox_core::FrozenTrial;
use trialbox_core::value::text::counted;

/// The number of plots.
const SHOWN: usize = 6;

/// The share of a range that is its end.
const END: f64 = 0.03;

/// Returns the parameters whose best value lies at an end of the range: of the best trial, or of at least half of a
/// Pareto front. A wider range may hold better trials.
pub(crate) fn edges_of_best<'a>(subject: &'a Subject) -> Vec<(&'a Parameter, Edge)> {
    let best: Vec<usize> = (0..subject.trials().len())
        .filter(|index| subject.is_best(&subject.trials()[*index]))
        .collect();
    let at = |parameter: &Parameter, edge: Edge| {
        let values = best.iter().filter_map(|index| parameter.value(*index));
        values.filter(|value| parameter.edge(*value, END) == Some(edge)).count()
    };
    let mut found = Vec::new();
    for parameter in subject.by_importance() {
        for edge in [Edge::Low, Edge::High] {
            if !best.is_empty() && 2 * at(parameter, edge) >= best.len() {
                found.push((parameter, edge));
            }
        }
    }
    found
}

pub(super) fn slices(subject: &Subject) -> Result<Figure, String> {
    if subject.results().next().is_none() {
        return Err(NO_RESULT.to_owned());
    }
    let parameters = subject.by_importance();
    if parameters.is_empty() {
        return Err("no parameter has more than one value yet".to_owned());
    }
    let edges = edges_of_best(subject);
    let names = subject.objective_labels();
    let direction = subject.directions()[0];
    let values = subject.trials().iter().filter_map(|trial| trial.values.first().copied());
    let value_scale = ValueScale::new(values, direction);
    let mut panels = Vec::new();
    for parameter in parameters.iter().take(SHOWN) {
        let edge = edges.iter().find(|(found, _)| found.name == parameter.name);
        let flag = edge.map(|(parameter, edge)| {
            format!("best at the {} end of {}", edge.as_str(), parameter.show_range())
        });
        let points = points(subject, parameter, &value_scale);
        let x = Axis::new(parameter.label(), parameter.scale.clone());
        let y = Axis::new(names[0].clone(), value_scale.scale.clone());
        let layers = scatter(points, &x.scale, &y.scale);
        panels.push(Panel { flag, ..Panel::new(x, y, layers).titled(parameter.label()) });
    }
    let mut caption = match &edges[..] {
        [] => "The best lies inside of every range.".to_owned(),
        edges => {
            let names = edges.iter().map(|(parameter, _)| format!("`{}`", parameter.label()));
            let names = names.collect::<Vec<_>>().join(", ");
            format!(
                "The best lies at the end of the range of {names}: a wider range may hold better trials."
            )
        }
    };
    if parameters.len() > SHOWN {
        let n_left = counted((parameters.len() - SHOWN) as u64, "parameter");
        caption.push_str(&format!(" The most important are drawn; {n_left} more are in the data."));
    }
    if names.len() > 1 {
        caption.push_str(&format!(" The plots show `{}`, the first objective.", names[0]));
    }
    caption.push_str(&value_scale.remark());
    let data = data(subject, &parameters);
    Ok(Figure { kind: FigureKind::Slices, caption, data, panels })
}

fn points(subject: &Subject, parameter: &Parameter, scale: &ValueScale) -> Vec<(Kind, Point)> {
    let mut points = Vec::new();
    for (index, x) in &parameter.values {
        let trial = &subject.trials()[*index];
        if let (true, Some(value)) = (trial.state.is_evaluated(), trial.values.first()) {
            let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
            points.push((kind, Point { trial: trial.number.0, x: *x, y: scale.clamp(*value) }));
        }
    }
    points
}

fn data(subject: &Subject, parameters: &[&Parameter]) -> Table {
    let names = subject.objective_names();
    let mut table = Table::new(&["parameter", "number", "state", "param value"]);
    table.columns.extend(names.iter().cloned());
    for parameter in parameters {
        for (index, value) in &parameter.values {
            let trial: &FrozenTrial = &subject.trials()[*index];
            if !trial.state.is_evaluated() {
                continue;
            }
            let mut row = vec![
                Cell::Text(parameter.name.clone()),
                Cell::Count(trial.number.0.into()),
                Cell::Text(trial.state.to_string()),
                parameter.cell(*value),
            ];
            row.extend((0..names.len()).map(|index| trial.values.get(index).copied().into()));
            table.rows.push(row);
        }
    }
    table
}
