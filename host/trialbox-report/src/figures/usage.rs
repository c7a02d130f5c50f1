//! The time and the memory of trials against their values.

use super::NO_RESULT;
use super::scatter::{ValueScale, scatter};
use crate::figure::{Axis, Cell, Figure, FigureKind, Panel, Point, Table};
use crate::kind::{Kind, kind_of};
use crate::number;
use crate::subject::Subject;
use std::time::Duration;
use trialbox_core::study::usage::{USAGE_ATTR, Usage};
use trialbox_core::{FrozenTrial, TrialState};

pub(super) fn usage(subject: &Subject) -> Result<Figure, String> {
    let name = subject.objective_labels().swap_remove(0);
    let mut data = Table::new(&["number", "state", "seconds", "cpu seconds", "memory bytes"]);
    data.columns.push(subject.objective_names().swap_remove(0));
    for trial in subject.trials().iter().filter(|trial| trial.state.is_finished()) {
        let [seconds, cpu, memory] = measured(trial);
        data.rows.push(vec![
            Cell::Count(trial.number.0.into()),
            Cell::Text(trial.state.to_string()),
            seconds.into(),
            cpu.into(),
            memory.into(),
            trial.values.first().copied().into(),
        ]);
    }
    let values = subject.trials().iter().filter_map(|trial| trial.values.first().copied());
    let value_scale = ValueScale::new(values, subject.directions()[0]);
    let columns = [(0, "seconds", 1.0), (2, "memory (MiB)", f64::from(1 << 20))];
    let panels: Vec<Panel> = columns
        .into_iter()
        .filter_map(|(column, label, unit)| {
            panel(
                subject,
                column,
                unit,
                label,
                Axis::new(name.clone(), value_scale.scale.clone()),
                &value_scale,
            )
        })
        .collect();
    if panels.is_empty() {
        return Err(NO_RESULT.to_owned());
    }
    Ok(Figure { kind: FigureKind::Usage, caption: caption(subject), data, panels })
}

/// Returns the seconds, the CPU seconds and the bytes of memory of a trial, as far as they are known.
fn measured(trial: &FrozenTrial) -> [Option<f64>; 3] {
    let usage = trial.system_attrs.get(USAGE_ATTR).map(Usage::from_json);
    let seconds = trial.duration().or(usage.map(|usage| usage.wall));
    let cpu = usage.and_then(|usage| usage.cpu);
    let memory = usage.and_then(|usage| usage.peak_memory_bytes);
    [seconds.map(|it| it.as_secs_f64()), cpu.map(|it| it.as_secs_f64()), memory.map(|it| it as f64)]
}

fn panel(
    subject: &Subject,
    column: usize,
    unit: f64,
    label: &str,
    y: Axis,
    scale: &ValueScale,
) -> Option<Panel> {
    let mut points: Vec<(Kind, Point)> = Vec::new();
    for trial in subject.history().in_state(TrialState::Complete) {
        if let (Some(amount), Some(value)) = (measured(trial)[column], trial.values.first()) {
            let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
            let point = Point { trial: trial.number.0, x: amount / unit, y: scale.clamp(*value) };
            points.push((kind, point));
        }
    }
    if points.is_empty() {
        return None;
    }
    let amounts = points.iter().map(|(_, point)| point.x);
    let x = ValueScale::new(amounts, trialbox_core::StudyDirection::Minimize);
    points.iter_mut().for_each(|(_, point)| point.x = x.clamp(point.x));
    let layers = scatter(points, &x.scale, &y.scale);
    Some(Panel::new(Axis::new(label, x.scale), y, layers))
}

fn caption(subject: &Subject) -> String {
    let mut seconds: Vec<f64> =
        subject.trials().iter().filter_map(|trial| Some(trial.duration()?.as_secs_f64())).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    let (Some(longest), Some(median)) = (seconds.last(), seconds.get(seconds.len() / 2)) else {
        return String::new();
    };
    let show = |seconds: f64| number::duration(Duration::from_secs_f64(seconds));
    let sum: f64 = seconds.iter().sum();
    format!(
        "A trial takes {} in the middle and {} at most; all together {}.",
        show(*median),
        show(*longest),
        show(sum)
    )
}
