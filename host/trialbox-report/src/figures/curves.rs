//! The values that trials reported, by step.

use super::scatter::ValueScale;
use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Table};
use crate::kind::{Kind, kind_of};
use crate::scale::Scale;
use crate::subject::Subject;
use trialbox_core::FrozenTrial;

/// The number of curves that are drawn: the best and the latest.
const MAX_CURVES: usize = 150;

/// The number of points of a curve that are drawn.
const MAX_STEPS: usize = 60;

pub(super) fn curves(subject: &Subject) -> Result<Figure, String> {
    let reporting: Vec<&FrozenTrial> =
        subject.trials().iter().filter(|trial| !trial.intermediate_values.is_empty()).collect();
    if reporting.is_empty() {
        return Err("no trial has reported an intermediate value".to_owned());
    }
    let mut data = Table::new(&["number", "state", "step", "value"]);
    for trial in &reporting {
        for (step, value) in &trial.intermediate_values {
            data.rows.push(vec![
                Cell::Count(trial.number.0.into()),
                Cell::Text(trial.state.to_string()),
                Cell::Number(*step as f64),
                Cell::Number(*value),
            ]);
        }
    }
    let shown = shown(subject, &reporting);
    let values = shown.iter().flat_map(|trial| trial.intermediate_values.values().copied());
    let scale = ValueScale::new(values, subject.directions()[0]);
    let mut layers = Vec::new();
    for kind in Kind::ALL {
        let of_kind = shown.iter().filter(|trial| kind == kind_on_curve(subject, trial));
        let curves: Vec<_> =
            of_kind.map(|trial| (trial.number.0, thinned(trial, &scale))).collect();
        if !curves.is_empty() {
            layers.push(Layer::Curves(kind, curves));
        }
    }
    let steps = shown.iter().flat_map(|trial| trial.intermediate_values.keys());
    let x = Scale::of_values(steps.map(|step| *step as f64));
    let y = Axis::new("reported value", scale.scale.clone());
    let panel = Panel::new(Axis::new("step", x), y, layers).wide();
    let mut caption = format!("{} trials reported intermediate values.", reporting.len());
    if shown.len() < reporting.len() {
        caption = format!(
            "{} of the {} trials that reported values are drawn: the best and the latest.",
            shown.len(),
            reporting.len()
        );
    }
    caption.push_str(&scale.remark());
    Ok(Figure { kind: FigureKind::Curves, caption, data, panels: vec![panel] })
}

fn kind_on_curve(subject: &Subject, trial: &FrozenTrial) -> Kind {
    if subject.is_best(trial) { Kind::Best } else { kind_of(trial) }
}

/// Returns the trials whose curves are drawn, by number: half of them the best, half the latest.
fn shown<'a>(subject: &Subject, reporting: &[&'a FrozenTrial]) -> Vec<&'a FrozenTrial> {
    if reporting.len() <= MAX_CURVES {
        return reporting.to_vec();
    }
    let direction = subject.directions()[0];
    let mut best: Vec<&FrozenTrial> = reporting.to_vec();
    let loss = |trial: &FrozenTrial| {
        trial.values.first().map_or(f64::INFINITY, |value| direction.to_minimize(*value))
    };
    best.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    best.truncate(MAX_CURVES / 2);
    let mut shown: Vec<&FrozenTrial> = reporting[reporting.len() - MAX_CURVES / 2..].to_vec();
    shown.extend(best);
    shown.sort_by_key(|trial| trial.number);
    shown.dedup_by_key(|trial| trial.number);
    shown
}

fn thinned(trial: &FrozenTrial, scale: &ValueScale) -> Vec<(f64, f64)> {
    let stride = trial.intermediate_values.len().div_ceil(MAX_STEPS);
    let last = trial.intermediate_values.len() - 1;
    let kept = trial.intermediate_values.iter().enumerate();
    let kept = kept
        .filter(|(index, (_, value))| (index % stride == 0 || *index == last) && !value.is_nan());
    kept.map(|(_, (step, value))| (*step as f64, scale.clamp(*value))).collect()
}
