//! The empirical distribution of the values.

use super::NO_RESULT;
use super::scatter::ValueScale;
use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Table};
use crate::kind::Kind;
use crate::number::short;
use crate::scale::Scale;
use crate::subject::Subject;
use trialbox_core::TrialState;

/// The corners of the line that is drawn.
const MAX_CORNERS: usize = 400;

pub(super) fn edf(subject: &Subject) -> Result<Figure, String> {
    let mut panels = Vec::new();
    let mut data = Table::new(&["objective", "value", "share"]);
    let mut caption = String::new();
    for (objective, name) in subject.objective_labels().into_iter().enumerate() {
        let complete = subject.history().in_state(TrialState::Complete);
        let mut values: Vec<f64> =
            complete.filter_map(|trial| trial.values.get(objective).copied()).collect();
        if values.is_empty() {
            return Err(NO_RESULT.to_owned());
        }
        values.sort_unstable_by(f64::total_cmp);
        let share = |index: usize| (index + 1) as f64 / values.len() as f64;
        for (index, value) in values.iter().enumerate() {
            let row = [Cell::Text(name.clone()), Cell::Number(*value), Cell::Number(share(index))];
            data.rows.push(row.to_vec());
        }
        let median = values[values.len() / 2];
        caption.push_str(&format!(
            "Half of the COMPLETE trials have {name} of at most {}. ",
            short(median)
        ));
        let scale = ValueScale::new(values.iter().copied(), subject.directions()[objective]);
        let stride = values.len().div_ceil(MAX_CORNERS);
        let mut line = vec![(scale.clamp(values[0]), 0.0)];
        for index in (0..values.len()).step_by(stride).chain([values.len() - 1]) {
            let x = scale.clamp(values[index]);
            let (_, before) = line[line.len() - 1];
            line.extend([(x, before), (x, share(index))]);
        }
        panels.push(Panel::new(
            Axis::new(name, scale.scale.clone()),
            Axis::new("share of trials", Scale::Linear(0.0, 1.0)),
            vec![Layer::Line(Kind::Complete, line)],
        ));
    }
    Ok(Figure { kind: FigureKind::Edf, caption: caption.trim().to_owned(), data, panels })
}
