//! The values of all trials in their order, and the best so far.

use super::NO_RESULT;
use super::scatter::{MAX_POINTS, ValueScale, scatter};
use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Point, Table};
use crate::kind::{Kind, kind_of};
use crate::number::short;
use crate::scale::Scale;
use crate::subject::Subject;
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, StudyDirection, TrialState};

/// Returns the trials that improved an objective, with their values, in the order of their numbers.
pub(crate) fn improvements(subject: &Subject, objective: usize) -> Vec<(u32, f64)> {
    let direction = subject.directions()[objective];
    let mut found: Vec<(u32, f64)> = Vec::new();
    for trial in subject.results() {
        let value = trial.values[objective];
        let is_better = found
            .last()
            .is_none_or(|(_, best)| direction.to_minimize(value) < direction.to_minimize(*best));
        if is_better {
            found.push((trial.number.0, value));
        }
    }
    found
}

pub(super) fn history(subject: &Subject) -> Result<Figure, String> {
    let names = subject.objective_labels();
    let n_started = subject.trials().len() - subject.in_state(TrialState::Waiting);
    if n_started == 0 {
        return Err("no trial has started yet".to_owned());
    }
    let mut panels = Vec::new();
    let mut caption = String::new();
    for (objective, name) in names.iter().enumerate() {
        let (panel, remark) = panel(subject, objective, name);
        panels.push(if names.len() > 1 { panel.titled(name.clone()) } else { panel.wide() });
        caption.push_str(&remark);
    }
    caption.push_str(" The line is the best so far.");
    if subject.trials().len() > MAX_POINTS {
        caption.push_str(
            " Cells of a stronger colour hold more trials: there are too many to draw each.",
        );
    }
    Ok(Figure {
        kind: FigureKind::History,
        caption: caption.trim().to_owned(),
        data: data(subject),
        panels,
    })
}

fn panel(subject: &Subject, objective: usize, name: &str) -> (Panel, String) {
    let direction = subject.directions()[objective];
    let values = subject.trials().iter().filter_map(|trial| trial.values.get(objective).copied());
    let value_scale = ValueScale::new(values, direction);
    let mut points = Vec::new();
    for trial in subject.trials().iter().filter(|trial| trial.state != TrialState::Waiting) {
        points.push(point(subject, trial, objective, &value_scale, direction));
    }
    let improvements = improvements(subject, objective);
    let last = subject.trials().last().map_or(0, |trial| trial.number.0);
    let x = Scale::Linear(-0.5, f64::from(last) + 0.5);
    let mut layers = scatter(points, &x, &value_scale.scale);
    layers.push(Layer::Line(Kind::Best, steps(&improvements, last, &value_scale)));
    let panel = Panel::new(
        Axis::new("trial", x),
        Axis::new(format!("{name} ({direction})"), value_scale.scale.clone()),
        layers,
    );
    let remark = match improvements.last() {
        None => format!(" {NO_RESULT}."),
        Some((number, best)) => format!(
            " The best {name} is {}, of trial {number}, after {}.{}",
            short(*best),
            counted(improvements.len() as u64 - 1, "improvement"),
            value_scale.remark()
        ),
    };
    (panel, remark)
}

fn point(
    subject: &Subject,
    trial: &FrozenTrial,
    objective: usize,
    scale: &ValueScale,
    direction: StudyDirection,
) -> (Kind, Point) {
    let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
    let value = trial.values.get(objective).filter(|value| !value.is_nan());
    let y = value.map_or(scale.worst(direction), |value| scale.clamp(*value));
    (kind, Point { trial: trial.number.0, x: f64::from(trial.number.0), y })
}

/// Returns the corners of the line of the best so far.
fn steps(improvements: &[(u32, f64)], last: u32, scale: &ValueScale) -> Vec<(f64, f64)> {
    let mut line = Vec::new();
    for (number, value) in improvements {
        let (x, y) = (f64::from(*number), scale.clamp(*value));
        if let Some((_, before)) = line.last().copied() {
            line.push((x, before));
        }
        line.push((x, y));
    }
    if let Some((_, best)) = line.last().copied() {
        line.push((f64::from(last), best));
    }
    line
}

fn data(subject: &Subject) -> Table {
    let names = subject.objective_names();
    let mut table = Table::new(&["number", "state"]);
    table.columns.extend(names.iter().cloned());
    table.columns.extend(names.iter().map(|name| format!("best {name}")));
    let mut best: Vec<Option<f64>> = vec![None; names.len()];
    let improvements: Vec<Vec<(u32, f64)>> =
        (0..names.len()).map(|objective| improvements(subject, objective)).collect();
    let mut next: Vec<_> = improvements.iter().map(|found| found.iter().peekable()).collect();
    for trial in subject.trials() {
        for (best, next) in best.iter_mut().zip(&mut next) {
            if let Some((_, value)) = next.next_if(|(number, _)| *number == trial.number.0) {
                *best = Some(*value);
            }
        }
        let mut row = vec![Cell::Count(trial.number.0.into()), Cell::Text(kind_text(trial))];
        row.extend((0..names.len()).map(|index| trial.values.get(index).copied().into()));
        row.extend(best.iter().map(|best| Cell::from(*best)));
        table.rows.push(row);
    }
    table
}

fn kind_text(trial: &FrozenTrial) -> String {
    match kind_of(trial) {
        Kind::Infeasible => "INFEASIBLE".to_owned(),
        _ => trial.state.to_string(),
    }
}
