//! Points of trials: one by one while they can be seen so, as a density beyond that; and the axis of their values.

use crate::figure::{Layer, Point};
use crate::kind::Kind;
use crate::scale::Scale;
use std::collections::BTreeMap;
use trialbox_core::StudyDirection;

/// The number of points that a plot shows one by one.
pub(crate) const MAX_POINTS: usize = 2000;

/// The cells of a density: columns and rows.
const GRID: (f64, f64) = (56.0, 28.0);

/// Returns the layers of points: by kind, or as a density with only the best one by one.
pub(super) fn scatter(points: Vec<(Kind, Point)>, x: &Scale, y: &Scale) -> Vec<Layer> {
    let is_binned = points.len() > MAX_POINTS;
    let mut layers = Vec::new();
    if is_binned {
        layers.push(density(&points, x, y));
    }
    for kind in Kind::ALL {
        if is_binned && kind != Kind::Best {
            continue;
        }
        let of_kind = points.iter().filter(|(found, _)| *found == kind).map(|(_, point)| *point);
        let of_kind: Vec<Point> = of_kind.collect();
        if !of_kind.is_empty() {
            layers.push(Layer::Points(kind, of_kind));
        }
    }
    layers
}

fn density(points: &[(Kind, Point)], x: &Scale, y: &Scale) -> Layer {
    let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    for (_, point) in points {
        if let (Some(x), Some(y)) = (x.place(point.x), y.place(point.y)) {
            let cell = ((x * GRID.0).min(GRID.0 - 1.0), (y * GRID.1).min(GRID.1 - 1.0));
            *counts.entry((cell.0 as u32, cell.1 as u32)).or_default() += 1;
        }
    }
    let most = f64::from(counts.values().copied().max().unwrap_or(1));
    let cells = counts.into_iter().map(|((column, row), count)| {
        let (left, bottom) = (f64::from(column) / GRID.0, f64::from(row) / GRID.1);
        let corners = [left, bottom, left + 1.0 / GRID.0, bottom + 1.0 / GRID.1];
        // Logarithmic: where trials gather there are a hundred times as many as where they search.
        let level = 1.0 + 4.0 * (f64::from(count).ln_1p() / most.ln_1p());
        (corners, level.round() as u8)
    });
    Layer::Density(cells.collect())
}

/// An axis of values that a few bad results do not flatten.
pub(super) struct ValueScale {
    pub(super) scale: Scale,
    /// The number of values that lie beyond its worse end.
    pub(super) n_beyond: usize,
}

impl ValueScale {
    /// Returns the scale of values of one objective. It is logarithmic if they are positive and span more than three
    /// orders of magnitude.
    pub(super) fn new(values: impl Iterator<Item = f64>, direction: StudyDirection) -> Self {
        let mut losses: Vec<f64> = values
            .filter(|value| value.is_finite())
            .map(|value| direction.to_minimize(value))
            .collect();
        losses.sort_unstable_by(f64::total_cmp);
        let (Some(best), Some(worst)) = (losses.first().copied(), losses.last().copied()) else {
            return ValueScale { scale: Scale::Linear(0.0, 1.0), n_beyond: 0 };
        };
        let lowest = direction.to_minimize(best).min(direction.to_minimize(worst));
        let highest = direction.to_minimize(best).max(direction.to_minimize(worst));
        let usual = losses[(losses.len() - 1) * 9 / 10];
        if lowest > 0.0 && highest / lowest > 1000.0 {
            let scale = Scale::Log(lowest / 1.3, highest * 1.3);
            return ValueScale { scale, n_beyond: 0 };
        }
        if losses.len() < 10 || usual <= best || worst - best <= 5.0 * (usual - best) {
            return ValueScale {
                scale: Scale::of_values([best, worst].map(|it| direction.to_minimize(it))),
                n_beyond: 0,
            };
        }
        let limit = usual + 0.5 * (usual - best);
        let n_beyond = losses.iter().filter(|loss| **loss > limit).count();
        let ends = [best, limit].map(|loss| direction.to_minimize(loss));
        ValueScale { scale: Scale::of_values(ends), n_beyond }
    }

    /// Returns a value, or the end of the axis if it lies beyond.
    pub(super) fn clamp(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear(low, high) | Scale::Log(low, high) => value.clamp(low, high),
            _ => value,
        }
    }

    /// Returns the worse end, where trials without a value are drawn.
    pub(super) fn worst(&self, direction: StudyDirection) -> f64 {
        match direction {
            StudyDirection::Minimize => self.scale.value_at(0.985),
            StudyDirection::Maximize => self.scale.value_at(0.015),
        }
    }

    /// Returns the remark about values beyond.
    pub(super) fn remark(&self) -> String {
        match self.n_beyond {
            0 => String::new(),
            1 => " One much worse value is drawn at the edge.".to_owned(),
            n => format!(" {n} much worse values are drawn at the edge."),
        }
    }
}
