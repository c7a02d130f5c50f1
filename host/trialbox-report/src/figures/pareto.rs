//! The Pareto front of several objectives: a plot for each pair.

use super::NO_RESULT;
use super::scatter::{ValueScale, scatter};
use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Point, Table};
use crate::kind::{Kind, kind_of};
use crate::subject::Subject;
use trialbox_core::TrialState;
use trialbox_core::value::text::counted;

/// The number of pairs that are drawn.
const MAX_PAIRS: usize = 6;

pub(super) fn pareto(subject: &Subject) -> Result<Figure, String> {
    if subject.is_single() {
        return Err("the study has one objective".to_owned());
    }
    if subject.front().is_empty() {
        return Err(NO_RESULT.to_owned());
    }
    let names = subject.objective_labels();
    let scales: Vec<ValueScale> = (0..names.len())
        .map(|objective| {
            let complete = subject.history().in_state(TrialState::Complete);
            let values = complete.filter_map(|trial| trial.values.get(objective).copied());
            ValueScale::new(values, subject.directions()[objective])
        })
        .collect();
    let pairs = (0..names.len()).flat_map(|a| (a + 1..names.len()).map(move |b| (a, b)));
    let panels: Vec<Panel> = pairs
        .take(MAX_PAIRS)
        .map(|(a, b)| {
            let label =
                |index: usize| format!("{} ({})", names[index], subject.directions()[index]);
            let x = Axis::new(label(a), scales[a].scale.clone());
            let y = Axis::new(label(b), scales[b].scale.clone());
            let layers = layers(subject, (a, b), (&scales[a], &scales[b]));
            Panel::new(x, y, layers)
        })
        .collect();
    let n_front = subject.front().len();
    let caption = format!(
        "{} of {} on the front: no other trial is at least as good in every objective and better in one.",
        counted(n_front as u64, "trial"),
        subject.results().count()
    );
    Ok(Figure { kind: FigureKind::Pareto, caption, data: data(subject), panels })
}

fn layers(
    subject: &Subject,
    (a, b): (usize, usize),
    scales: (&ValueScale, &ValueScale),
) -> Vec<Layer> {
    let mut points = Vec::new();
    for trial in subject.history().in_state(TrialState::Complete) {
        if let (Some(x), Some(y)) = (trial.values.get(a), trial.values.get(b)) {
            let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
            let (x, y) = (scales.0.clamp(*x), scales.1.clamp(*y));
            points.push((kind, Point { trial: trial.number.0, x, y }));
        }
    }
    let mut layers = Vec::new();
    // Of two objectives the front is a staircase; of more, each pair shows a projection.
    if subject.directions().len() == 2 {
        layers.push(Layer::Line(Kind::Best, staircase(&points)));
    }
    layers.extend(scatter(points, &scales.0.scale, &scales.1.scale));
    layers
}

/// Returns the corners between the trials of a front.
fn staircase(points: &[(Kind, Point)]) -> Vec<(f64, f64)> {
    let best = points.iter().filter(|(kind, _)| *kind == Kind::Best);
    let mut front: Vec<(f64, f64)> = best.map(|(_, point)| (point.x, point.y)).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    front
}

fn data(subject: &Subject) -> Table {
    let mut table = Table::new(&["number", "is on front", "feasible"]);
    table.columns.extend(subject.objective_names());
    for trial in subject.history().in_state(TrialState::Complete) {
        let mut row = vec![
            Cell::Count(trial.number.0.into()),
            Cell::Text(subject.is_best(trial).to_string()),
            Cell::Text(trial.is_feasible().to_string()),
        ];
        row.extend(
            (0..subject.directions().len()).map(|index| trial.values.get(index).copied().into()),
        );
        table.rows.push(row);
    }
    table
}
