//! The value over the two most important parameters.

use super::NO_RESULT;
use super::scatter::{MAX_POINTS, scatter};
use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Point, Table};
use crate::kind::{Kind, kind_of};
use crate::params::Parameter;
use crate::subject::Subject;
use trialbox_core::TrialState;

/// The cells of the surface: columns and rows.
const GRID: (u32, u32) = (32, 20);

/// The levels of the surface, from the best.
const LEVELS: f64 = 7.0;

/// The number of trials from which the surface is interpolated.
const MAX_ANCHORS: usize = 500;

/// A trial on the plot: places from 0 to 1, and its loss.
struct Anchor {
    x: f64,
    y: f64,
    loss: f64,
}

pub(super) fn contour(subject: &Subject) -> Result<Figure, String> {
    if subject.results().next().is_none() {
        return Err(NO_RESULT.to_owned());
    }
    let [first, second, ..] = subject.by_importance()[..] else {
        return Err("fewer than two parameters have more than one value yet".to_owned());
    };
    let name = subject.objective_labels().swap_remove(0);
    let direction = subject.directions()[0];
    let mut data = Table::new(&["number"]);
    data.columns.extend([&first.name, &second.name, &name].map(Clone::clone));
    let (mut anchors, mut points) = (Vec::new(), Vec::new());
    for (index, x) in &first.values {
        let trial = &subject.trials()[*index];
        let (Some(y), Some(value)) = (second.value(*index), trial.values.first()) else { continue };
        if trial.state != TrialState::Complete {
            continue;
        }
        data.rows.push(vec![
            Cell::Count(trial.number.0.into()),
            first.cell(*x),
            second.cell(y),
            Cell::Number(*value),
        ]);
        let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
        points.push((kind, Point { trial: trial.number.0, x: *x, y }));
        let places = (first.scale.place(*x), second.scale.place(y));
        if let (Some(x), Some(y), true) = (places.0, places.1, value.is_finite()) {
            anchors.push(Anchor { x, y, loss: direction.to_minimize(*value) });
        }
    }
    if anchors.len() < 4 {
        return Err(
            "fewer than four trials have values of the two most important parameters".to_owned()
        );
    }
    let mut layers = vec![surface(&anchors, first, second)];
    if points.len() > MAX_POINTS {
        points.retain(|(kind, _)| *kind == Kind::Best);
    }
    layers.extend(scatter(points, &first.scale, &second.scale));
    let caption = format!(
        "`{name}` over `{}` and `{}`, interpolated between the trials: a stronger colour is better.",
        first.label(),
        second.label()
    );
    let axis = |parameter: &Parameter| Axis::new(parameter.label(), parameter.scale.clone());
    let panel = Panel::new(axis(first), axis(second), layers);
    Ok(Figure { kind: FigureKind::Contour, caption, data, panels: vec![panel] })
}

/// Returns the surface by ranks of the losses, which a few bad trials do not flatten, interpolated with the inverse
/// square of the distance (Shepard 1968, "A two-dimensional interpolation function for irregularly-spaced data").
fn surface(anchors: &[Anchor], first: &Parameter, second: &Parameter) -> Layer {
    let mut losses: Vec<f64> = anchors.iter().map(|anchor| anchor.loss).collect();
    losses.sort_unstable_by(f64::total_cmp);
    let last = (losses.len() - 1).max(1) as f64;
    let stride = anchors.len().div_ceil(MAX_ANCHORS);
    let ranked: Vec<(f64, f64, f64)> = anchors
        .iter()
        .step_by(stride)
        .map(|anchor| {
            let rank = losses.partition_point(|loss| *loss < anchor.loss);
            (anchor.x, anchor.y, rank as f64 / last)
        })
        .collect();
    let (columns, rows) = (cells(first, GRID.0), cells(second, GRID.1));
    let mut surface = Vec::new();
    for column in 0..columns {
        for row in 0..rows {
            let size = (1.0 / f64::from(columns), 1.0 / f64::from(rows));
            let corner = (f64::from(column) * size.0, f64::from(row) * size.1);
            let middle = (corner.0 + size.0 / 2.0, corner.1 + size.1 / 2.0);
            let level = 1.0 + (interpolate(&ranked, middle) * LEVELS).min(LEVELS - 1.0).floor();
            surface.push(([corner.0, corner.1, corner.0 + size.0, corner.1 + size.1], level as u8));
        }
    }
    Layer::Surface(surface)
}

/// Returns the number of cells along a parameter: one for each choice.
fn cells(parameter: &Parameter, usual: u32) -> u32 {
    match &parameter.scale {
        crate::scale::Scale::Names(names) => (names.len() as u32).clamp(1, usual),
        _ => usual,
    }
}

fn interpolate(anchors: &[(f64, f64, f64)], at: (f64, f64)) -> f64 {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (x, y, rank) in anchors {
        let weight = 1.0 / ((x - at.0).powi(2) + (y - at.1).powi(2) + 1e-4);
        // Squared once more, so that the nearest trials decide.
        sum += weight * weight * rank;
        weights += weight * weight;
    }
    sum / weights
}
