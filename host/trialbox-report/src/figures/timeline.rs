//! Trials by time, in a row for each worker.

use crate::figure::{Axis, Cell, Figure, FigureKind, Layer, Panel, Table};
use crate::kind::{Kind, kind_of};
use crate::scale::Scale;
use crate::subject::Subject;
use std::collections::{BTreeMap, BTreeSet};
use trialbox_core::study::claim::OWNER_ATTR;
use trialbox_core::study::trial::format_datetime;
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, Json, TrialState, UtcDateTime};

/// The number of rows that are drawn.
const MAX_ROWS: usize = 40;

/// The number of trials that are drawn: the latest.
const MAX_SPANS: usize = 3000;

pub(super) fn timeline(subject: &Subject) -> Result<Figure, String> {
    let started: Vec<(&FrozenTrial, UtcDateTime)> = subject
        .trials()
        .iter()
        .filter_map(|trial| Some((trial, subject.local(trial.datetime_start?))))
        .collect();
    let Some(first) = started.iter().map(|(_, start)| *start).min() else {
        return Err("no trial has a time of its start".to_owned());
    };
    let data = data(&started);
    let drawn = &started[started.len().saturating_sub(MAX_SPANS)..];
    let start = drawn.iter().map(|(_, start)| *start).min().unwrap_or(first);
    let (rows, names) = rows(drawn);
    let mut spans: BTreeMap<Kind, Vec<(u32, f64, f64, f64)>> = BTreeMap::new();
    let mut end: f64 = 1.0;
    for ((trial, from), row) in drawn.iter().zip(rows).filter(|(_, row)| *row < MAX_ROWS) {
        let until = trial.datetime_complete.map_or(subject.now(), |at| at);
        let from = seconds_between(start, *from);
        // Clocks of two machines may disagree.
        let until = seconds_between(start, subject.local(until)).max(from);
        end = end.max(until);
        // The first row is the uppermost.
        let row = (names.len().min(MAX_ROWS) - 1 - row) as f64;
        let kind = if subject.is_best(trial) { Kind::Best } else { kind_of(trial) };
        spans.entry(kind).or_default().push((trial.number.0, row, from, until));
    }
    let n_rows = names.len();
    let n_workers = names.iter().collect::<BTreeSet<_>>().len();
    let names = names.into_iter().take(MAX_ROWS).rev().collect();
    let layers = spans.into_iter().map(|(kind, spans)| Layer::Spans(kind, spans)).collect();
    let panel = Panel::new(
        Axis::new("", Scale::Time(start, end * 1.01)),
        Axis::new("", Scale::Names(names)),
        layers,
    );
    let mut caption = format!("{} ran trials.", counted(n_workers as u64, "worker"));
    if n_rows > MAX_ROWS {
        caption.push_str(&format!(" The first {MAX_ROWS} of {n_rows} rows are drawn."));
    }
    if drawn.len() < started.len() {
        caption
            .push_str(&format!(" The latest {MAX_SPANS} of {} trials are drawn.", started.len()));
    }
    Ok(Figure { kind: FigureKind::Timeline, caption, data, panels: vec![panel.wide()] })
}

/// Returns the row of each trial, and the names of the rows: workers in the order of their first trials. Trials without
/// a known worker fill rows of their own, so that none covers another.
fn rows(started: &[(&FrozenTrial, UtcDateTime)]) -> (Vec<usize>, Vec<String>) {
    let mut names: Vec<String> = Vec::new();
    let mut ends: Vec<Option<UtcDateTime>> = Vec::new();
    let mut rows = vec![0; started.len()];
    let mut order: Vec<usize> = (0..started.len()).collect();
    order.sort_by_key(|index| started[*index].1);
    for index in order {
        let (trial, start) = &started[index];
        let worker = worker(trial).unwrap_or_default();
        // Times are of one clock only within a worker, so a row's end is compared with its own trials alone.
        let is_free = |row: &usize| {
            names[*row] == worker
                && ends[*row].is_some_and(|end| end <= trial.datetime_start.unwrap_or(*start))
        };
        let row = (0..names.len()).find(is_free).unwrap_or_else(|| {
            names.push(worker.clone());
            ends.push(None);
            names.len() - 1
        });
        ends[row] = trial.datetime_complete;
        rows[index] = row;
    }
    (rows, names)
}

/// Returns the job's task and the node of the worker that ran a trial, as far as they are known.
fn worker(trial: &FrozenTrial) -> Option<String> {
    let owner = trial.system_attrs.get(OWNER_ATTR)?;
    let text = |key: &str| match owner.get(key)? {
        Json::String(text) => Some(text.clone()),
        number => Some(number.to_string()),
    };
    let first = |keys: &[&str]| keys.iter().find_map(|key| text(key));
    let job = match (text("slurm_array_job_id"), text("slurm_array_task_id")) {
        (Some(job), Some(task)) => Some(format!("{job}_{task}")),
        _ => first(&["slurm_job_id", "pbs_job_id", "lsf_job_id"]),
    };
    match (job, first(&["host", "slurm_node"])) {
        (Some(job), Some(host)) => Some(format!("{job} {host}")),
        (Some(job), None) => Some(job),
        (None, host) => host,
    }
}

fn seconds_between(from: UtcDateTime, to: UtcDateTime) -> f64 {
    to.duration_since(from).as_secs_f64()
}

fn data(started: &[(&FrozenTrial, UtcDateTime)]) -> Table {
    let mut table = Table::new(&["number", "state", "start (UTC)", "end (UTC)", "worker"]);
    for (trial, _) in started {
        let time =
            |at: Option<UtcDateTime>| at.map_or(Cell::None, |at| Cell::Text(format_datetime(at)));
        table.rows.push(vec![
            Cell::Count(trial.number.0.into()),
            Cell::Text(match trial.state {
                TrialState::Complete if !trial.is_feasible() => "INFEASIBLE".to_owned(),
                state => state.to_string(),
            }),
            time(trial.datetime_start),
            time(trial.datetime_complete),
            worker(trial).map_or(Cell::None, Cell::Text),
        ]);
    }
    table
}
