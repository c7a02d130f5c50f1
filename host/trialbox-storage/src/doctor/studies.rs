//! Checks the rows of studies and trials.

use super::cell::{Cell, each};
use super::survey::{Study, Survey, Trial};
use super::values::upper_case;
use super::{Column, Findings, Fix, Place, kinds};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{BTreeMap, BTreeSet};
use trialbox_core::study::trial::{MAX_NAME_CHARS, format_datetime, parse_datetime};
use trialbox_core::value::text::counted;
use trialbox_core::{StudyDirection, TrialState, UtcDateTime};

const DIRECTION: Column =
    Column { table: "study_directions", id: "study_direction_id", name: "direction" };
const STATE: Column = Column { table: "trials", id: "trial_id", name: "state" };

/// A difference in seconds that is larger than that of the machines' clocks, and smaller than that of two time zones.
const ZONE_SECONDS: i64 = 600;

pub(super) fn check_name(findings: &mut Findings, place: Place, what: &str, name: &Cell) {
    match name {
        Cell::Text(text) => {
            let chars = text.chars().count();
            if chars > MAX_NAME_CHARS {
                let found = format!(
                    "expected at most {MAX_NAME_CHARS} characters in the {what}, found {chars}"
                );
                findings.add(&kinds::NAME_TOO_LONG, place, found);
            }
        }
        Cell::BadText => {
            let found = format!("expected UTF-8 as the {what}, found {name}");
            findings.add(&kinds::TEXT_NOT_UTF8, place, found);
        }
        Cell::Null => findings.add(&kinds::NAME_NULL, place, format!("found NULL as the {what}")),
        Cell::Int(_) | Cell::Real(_) | Cell::Blob => {
            let found = format!("expected a text as the {what}, found {name}");
            findings.add(&kinds::WRONG_TYPE, place, found);
        }
    }
}

pub(super) fn check_studies(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    each(connection, "SELECT study_id, study_name FROM studies ORDER BY study_id", |row| {
        let [id, name] = row;
        let Some(id) = id.int() else { return };
        let study = Study {
            name: name.to_plain(),
            n_directions: 0,
            trials: Vec::new(),
            params: BTreeMap::new(),
        };
        let place = Place { study: Some(study.name.clone()), ..Place::default() };
        survey.studies.insert(id, study);
        check_name(findings, place, "study's name", name);
    })?;
    check_directions(findings, survey, connection)?;
    // A missing table has its own finding, so it is no error here.
    let sql = "SELECT library_version FROM version_info";
    if let Ok(Some(Cell::Text(version))) =
        connection.query_row(sql, [], |row| Cell::read(row, 0)).optional()
    {
        survey.library_version = Some(version);
    }
    Ok(())
}

fn check_directions(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT study_direction_id, study_id, direction, objective
        FROM study_directions ORDER BY study_direction_id";
    let mut objectives: BTreeMap<i64, Vec<Option<i64>>> = BTreeMap::new();
    each(connection, sql, |row| {
        let [id, study, direction, objective] = row;
        let (Some(id), Some(study)) = (id.int(), survey.known_study(study)) else { return };
        objectives.entry(study).or_default().push(objective.int());
        let place = survey.study_key(study, format!("objective {objective}"));
        check_direction(findings, place, id, direction);
    })?;
    for (id, study) in &mut survey.studies {
        study.n_directions = objectives.entry(*id).or_default().len();
    }
    for (id, inserted) in &objectives {
        check_objectives(findings, survey, *id, inserted);
    }
    Ok(())
}

fn check_direction(findings: &mut Findings, place: Place, id: i64, direction: &Cell) {
    let text = direction.text().unwrap_or_default();
    if text == "NOT_SET" {
        findings.add(
            &kinds::DIRECTION_NOT_SET,
            place,
            "expected MINIMIZE or MAXIMIZE, found NOT_SET",
        );
    } else if StudyDirection::parse(text).is_none() {
        let fix = upper_case(&DIRECTION, id, text, &["MINIMIZE", "MAXIMIZE", "NOT_SET"]);
        let found = format!("expected MINIMIZE or MAXIMIZE, found {direction}");
        findings.add_fixable(&kinds::DIRECTION_UNKNOWN, place, found, fix);
    }
}

/// Checks a study's objectives, in the order of its rows.
fn check_objectives(
    findings: &mut Findings,
    survey: &Survey,
    study: i64,
    inserted: &[Option<i64>],
) {
    let wanted: Vec<Option<i64>> = (0i64..).take(inserted.len()).map(Some).collect();
    let mut sorted = inserted.to_vec();
    sorted.sort_unstable();
    let place = survey.study_key(study, "directions");
    if inserted.is_empty() {
        let found = "expected a direction for each objective, found none";
        findings.add(&kinds::DIRECTIONS_MISSING, place, found);
    } else if sorted != wanted {
        let (wanted, sorted) = (join(&wanted), join(&sorted));
        let found = format!("expected directions of the objectives {wanted}, found {sorted}");
        findings.add(&kinds::DIRECTIONS_GAP, place, found);
    } else if inserted != wanted {
        let (wanted, inserted) = (join(&wanted), join(inserted));
        let found = format!("expected rows in the order {wanted}, found {inserted}");
        findings.add(&kinds::DIRECTIONS_ORDER, place, found);
    }
}

fn join(objectives: &[Option<i64>]) -> String {
    let mut words = Vec::new();
    for objective in objectives {
        words.push(match objective {
            Some(objective) => objective.to_string(),
            None => "(not a whole number)".to_owned(),
        });
    }
    words.join(", ")
}

pub(super) fn check_trials(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT trial_id, study_id, number, state, datetime_start, datetime_complete
        FROM trials ORDER BY trial_id";
    each(connection, sql, |row| {
        let [id, study_id, number, state, start, complete] = row;
        let (Some(id), Some(study_id)) = (id.int(), study_id.int()) else { return };
        let Some(study) = survey.studies.get_mut(&study_id) else { return };
        study.trials.push(id);
        let text = state.text().unwrap_or_default();
        let trial = Trial {
            study: study_id,
            number: number.int(),
            has_null_number: *number == Cell::Null,
            state: TrialState::parse(text),
            ..Trial::default()
        };
        survey.trials.insert(id, trial);
        let place = survey.trial_place(id);
        if !matches!(number, Cell::Int(_) | Cell::Null) {
            let found = format!("expected a whole number, found {number}");
            findings.add(&kinds::NUMBER_NOT_INTEGER, place.clone(), found);
        }
        if number.int().is_some_and(|number| u32::try_from(number).is_err()) {
            let found = format!("expected a number from 0 to {}, found {number}", u32::MAX);
            findings.add(&kinds::NUMBER_OUT_OF_RANGE, place.clone(), found);
        }
        if TrialState::parse(text).is_none() {
            let fix = upper_case(&STATE, id, text, &TrialState::ALL.map(TrialState::as_str));
            let found = format!("expected a state of a trial, found {state}");
            findings.add_fixable(&kinds::STATE_UNKNOWN, place.clone(), found, fix);
        }
        let times = [("datetime_start", start), ("datetime_complete", complete)];
        let [started, finished] = times
            .map(|(column, cell)| check_datetime(findings, survey.trial_key(id, column), cell));
        let trial = survey.trials.entry(id).or_default();
        (trial.start, trial.complete) = (started, finished);
        if let (Some(started), Some(finished)) = (started, finished) {
            check_span(findings, place, started, finished);
        } else if trial.state.is_some_and(TrialState::is_finished) {
            for (column, _) in times.iter().filter(|(_, cell)| **cell == Cell::Null) {
                let found = "expected a time in a finished trial, found NULL";
                findings.add(&kinds::DATETIME_MISSING, survey.trial_key(id, *column), found);
            }
        }
    })
}

fn check_span(findings: &mut Findings, place: Place, started: UtcDateTime, finished: UtcDateTime) {
    if started > finished {
        let (started, finished) = (format_datetime(started), format_datetime(finished));
        let found = format!("expected a finish after the start at {started}, found {finished}");
        findings.add(&kinds::DATETIME_ORDER, place, found);
    }
}

/// Checks a time as Optuna reads it, and returns it.
pub(super) fn check_datetime(
    findings: &mut Findings,
    place: Place,
    cell: &Cell,
) -> Option<UtcDateTime> {
    match cell {
        Cell::Null => None,
        Cell::Text(text) => {
            let parsed = parse_datetime(text);
            if parsed.is_none() {
                let found = format!("expected a date and time, found {cell}");
                findings.add(&kinds::DATETIME_UNREADABLE, place, found);
            } else if let Some(offset) = foreign_offset(text) {
                let found = format!("expected UTC, found the offset {offset} in {cell}");
                findings.add(&kinds::DATETIME_OFFSET, place, found);
            }
            parsed
        }
        Cell::Int(_) | Cell::Real(_) => {
            let found = format!("expected a text, found the number {cell}");
            findings.add(&kinds::DATETIME_TYPE, place, found);
            None
        }
        Cell::BadText | Cell::Blob => {
            let found = format!("expected a date and time, found {cell}");
            findings.add(&kinds::DATETIME_UNREADABLE, place, found);
            None
        }
    }
}

/// Returns the offset of a time from UTC, if it is not zero.
fn foreign_offset(text: &str) -> Option<&str> {
    let (_, time) = text.trim().split_once([' ', 'T'])?;
    let offset = &time[time.find(['+', '-'])?..];
    if offset.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { Some(offset) } else { None }
}

/// Checks that a study's trials have the numbers 0 to n-1, each once, in the order of their ids.
pub(super) fn check_numbers(findings: &mut Findings, survey: &Survey) {
    for (study_id, study) in &survey.studies {
        let mut holders: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut last = None;
        let mut is_ordered = true;
        for id in &study.trials {
            if let Some(Trial { number: Some(number), .. }) = survey.trials.get(id) {
                holders.entry(*number).or_default().push(*id);
                is_ordered &= last < Some(*number);
                last = Some(*number);
            }
        }
        check_missing(findings, survey, &study.trials, &holders);
        // A duplicate breaks the order and leaves a gap, which would be findings about the same rows.
        if check_duplicates(findings, survey, &holders) > 0 {
            continue;
        }
        let place = survey.study_key(*study_id, "number");
        if !is_ordered {
            let found = "expected numbers that ascend with the trials' ids, found another order";
            findings.add(&kinds::NUMBER_ORDER, place.clone(), found);
        }
        // A trial without a number leaves a gap too, so only numbers that are too large show another one.
        let wanted = 0i64..study.trials.len() as i64;
        if let Some(outside) = holders.keys().find(|number| !wanted.contains(number)) {
            let found = format!("expected numbers from 0 to {}, found {outside}", wanted.end - 1);
            findings.add(&kinds::NUMBER_GAP, place, found);
        }
    }
}

/// Adds a finding for each number that several trials have, and returns how many there are.
fn check_duplicates(
    findings: &mut Findings,
    survey: &Survey,
    holders: &BTreeMap<i64, Vec<i64>>,
) -> usize {
    let mut n_duplicates = 0;
    for (number, ids) in holders.iter().filter(|(_, ids)| ids.len() > 1) {
        let others: Vec<String> = ids.iter().map(i64::to_string).collect();
        let found =
            format!("expected one trial with number {number}, found the ids {}", others.join(", "));
        findings.add(&kinds::NUMBER_DUPLICATE, survey.trial_place(ids[0]), found);
        n_duplicates += 1;
    }
    n_duplicates
}

/// Adds a finding for each trial without a number. `ids` are the study's trials, ascending, and `holders` the ids by
/// number.
fn check_missing(
    findings: &mut Findings,
    survey: &Survey,
    ids: &[i64],
    holders: &BTreeMap<i64, Vec<i64>>,
) {
    for (trial_id, number) in ids.iter().copied().zip(0i64..) {
        if !survey.trials.get(&trial_id).is_some_and(|trial| trial.has_null_number) {
            continue;
        }
        // Optuna numbers the trials of a study in the order of their ids.
        let fix = if holders.contains_key(&number) {
            None
        } else {
            Some(Fix::Number { trial_id, number })
        };
        let found = format!("expected the number {number}, found NULL");
        findings.add_fixable(&kinds::NUMBER_NULL, survey.trial_place(trial_id), found, fix);
    }
}

/// Finds trials in local time among trials in UTC.
pub(super) fn check_times(findings: &mut Findings, survey: &Survey) {
    let version = survey.library_version.as_deref().unwrap_or_default();
    // Optuna 5 is the first version that writes UTC.
    let is_old = match version.split('.').next().map(str::parse::<u32>) {
        Some(Ok(major)) => major < 5,
        _ => false,
    };
    if is_old && !survey.trials.is_empty() {
        let found = format!("Optuna {version} created the database");
        findings.add(&kinds::DATETIME_LOCAL, Place::default(), found);
    }
    for (study_id, study) in &survey.studies {
        let ids = study.trials.iter().copied();
        let mut shifted: BTreeSet<i64> =
            ids.filter(|id| contradicts_heartbeat(survey, *id)).collect();
        if is_old {
            shifted.extend(jumps_back(survey, &study.trials));
        }
        let Some(first) = shifted.first() else { continue };
        let mut found = format!(
            "expected one time zone, found {} that seem to be in another",
            counted(shifted.len() as u64, "trial")
        );
        if let Some(Trial { number: Some(number), .. }) = survey.trials.get(first) {
            found.push_str(&format!(", the first with number {number}"));
        }
        findings.add(&kinds::DATETIME_MIXED, survey.study_key(*study_id, "datetime"), found);
    }
}

/// Returns whether a trial's heartbeat is not between its start and its finish.
///
/// Every version of Optuna writes heartbeats in UTC.
fn contradicts_heartbeat(survey: &Survey, id: i64) -> bool {
    let Some(trial) = survey.trials.get(&id) else { return false };
    let Some(beat) = trial.beat else { return false };
    trial.start.is_some_and(|start| is_later_zone(start, beat))
        || trial.complete.is_some_and(|complete| is_later_zone(beat, complete))
}

/// Returns whether `a` is later than `b` by so much that it must be in another time zone.
fn is_later_zone(a: UtcDateTime, b: UtcDateTime) -> bool {
    a.duration_since(b).as_secs() > ZONE_SECONDS
}

/// Returns the trials that started long before a trial with a smaller id.
fn jumps_back(survey: &Survey, ids: &[i64]) -> Vec<i64> {
    let mut jumped = Vec::new();
    let mut latest: Option<UtcDateTime> = None;
    for id in ids {
        let Some(trial) = survey.trials.get(id) else { continue };
        // An enqueued trial starts when a worker takes it, which may be after trials with larger ids.
        let was_queued = trial.fixed_params.is_some() || trial.retry_history.is_some();
        let Some(start) = trial.start else { continue };
        if was_queued {
            continue;
        }
        if latest.is_some_and(|latest| is_later_zone(latest, start)) {
            jumped.push(*id);
        }
        latest = latest.max(Some(start));
    }
    jumped
}
