//! The rows of studies and trials.

use super::cell::{Cell, each};
use super::survey::{Study, Survey, Trial};
use super::values::upper_case;
use super::{Column, Findings, Fix, Place, count, kinds};
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::{BTreeMap, BTreeSet};
use trialbox_core::study::trial::{MAX_NAME_CHARS, format_datetime, parse_datetime};
use trialbox_core::{StudyDirection, TrialState, UtcDateTime};

const DIRECTION: Column =
    Column { table: "study_directions", id: "study_direction_id", name: "direction" };
const STATE: Column = Column { table: "trials", id: "trial_id", name: "state" };

/// Clocks of machines differ by less than this; time zones by more.
const ZONE_SECONDS: i64 = 600;

pub(super) fn check_name(findings: &mut Findings, place: Place, what: &str, name: &Cell) {
    let chars = name.text().map_or(0, |name| name.chars().count());
    if chars > MAX_NAME_CHARS {
        let found = format!("the {what} is {chars} characters long, more than {MAX_NAME_CHARS}");
        findings.add(&kinds::NAME_TOO_LONG, place, found);
    } else if *name == Cell::BadText {
        findings.add(&kinds::TEXT_NOT_UTF8, place, format!("the {what} is {name}"));
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
        let shown = name.text().map_or_else(|| name.to_string(), str::to_owned);
        let study =
            Study { name: shown, n_directions: 0, trials: Vec::new(), params: BTreeMap::new() };
        survey.studies.insert(id, study);
        let place = Place {
            study: survey.studies.get(&id).map(|study| study.name.clone()),
            ..Place::default()
        };
        check_name(findings, place, "study's name", name);
    })?;
    check_directions(findings, survey, connection)?;
    let sql = "SELECT library_version FROM version_info";
    survey.library_version = connection
        .query_row(sql, [], |row| Ok(Cell::read(row, 0)?.text().map(str::to_owned)))
        .optional()
        .unwrap_or_default()
        .flatten();
    Ok(())
}

fn check_directions(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT study_direction_id, study_id, direction, objective FROM study_directions ORDER BY study_direction_id";
    let mut objectives: BTreeMap<i64, Vec<Option<i64>>> = BTreeMap::new();
    each(connection, sql, |row| {
        let [id, study, direction, objective] = row;
        let (Some(id), Some(study)) = (id.int(), study.int()) else { return };
        if !survey.studies.contains_key(&study) {
            return;
        }
        objectives.entry(study).or_default().push(objective.int());
        let place = survey.study_key(study, format!("objective {objective}"));
        check_direction(findings, place, id, direction);
    })?;
    for (id, study) in &mut survey.studies {
        study.n_directions = objectives.get(id).map_or(0, Vec::len);
    }
    for id in survey.studies.keys() {
        let inserted = objectives.remove(id).unwrap_or_default();
        check_objectives(findings, survey, *id, &inserted);
    }
    Ok(())
}

fn check_direction(findings: &mut Findings, place: Place, id: i64, direction: &Cell) {
    let text = direction.text().unwrap_or_default();
    if text == "NOT_SET" {
        findings.add(&kinds::DIRECTION_NOT_SET, place, "the direction is NOT_SET");
    } else if StudyDirection::parse(text).is_none() {
        let fix = upper_case(&DIRECTION, id, text, &["MINIMIZE", "MAXIMIZE", "NOT_SET"]);
        let found = format!("the direction is {direction}");
        findings.add_fixable(&kinds::DIRECTION_UNKNOWN, place, found, fix);
    }
}

/// `inserted`: a study's objectives, in the order of its rows.
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
    let show = |objectives: &[Option<i64>]| {
        let words = objectives.iter().map(|objective| {
            objective.map_or_else(|| "(no number)".to_owned(), |objective| objective.to_string())
        });
        words.collect::<Vec<_>>().join(", ")
    };
    if inserted.is_empty() {
        findings.add(&kinds::DIRECTIONS_MISSING, place, "the study has no directions");
    } else if sorted != wanted {
        let found = format!("the directions are those of the objectives {}", show(&sorted));
        findings.add(&kinds::DIRECTIONS_GAP, place, found);
    } else if inserted != wanted {
        let found = format!("the rows stand in the order {}", show(inserted));
        findings.add(&kinds::DIRECTIONS_ORDER, place, found);
    }
}

pub(super) fn check_trials(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT trial_id, study_id, number, state, datetime_start, datetime_complete FROM trials ORDER BY trial_id";
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
            let found = format!("the number is {number}");
            findings.add(&kinds::NUMBER_NOT_INTEGER, place.clone(), found);
        }
        if TrialState::parse(text).is_none() {
            let fix = upper_case(&STATE, id, text, &TrialState::ALL.map(TrialState::as_str));
            let found = format!("the state is {state}");
            findings.add_fixable(&kinds::STATE_UNKNOWN, place.clone(), found, fix);
        }
        let times = [("datetime_start", start), ("datetime_complete", complete)];
        let [begun, ended] = times
            .map(|(column, cell)| check_datetime(findings, survey.trial_key(id, column), cell));
        let trial = survey.trials.entry(id).or_default();
        (trial.start, trial.complete) = (begun, ended);
        if let (Some(begun), Some(ended)) = (begun, ended) {
            check_span(findings, place, begun, ended);
        } else if trial.state.is_some_and(TrialState::is_finished) {
            for (column, _) in times.iter().filter(|(_, cell)| **cell == Cell::Null) {
                let found = "the trial has ended, and the time is NULL";
                findings.add(&kinds::DATETIME_MISSING, survey.trial_key(id, *column), found);
            }
        }
    })
}

fn check_span(findings: &mut Findings, place: Place, begun: UtcDateTime, ended: UtcDateTime) {
    if begun > ended {
        let (begun, ended) = (format_datetime(begun), format_datetime(ended));
        let found = format!("it began at {begun} and ended before, at {ended}");
        findings.add(&kinds::DATETIME_ORDER, place, found);
    }
}

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
                let found = format!("{cell} is no date and time");
                findings.add(&kinds::DATETIME_UNREADABLE, place, found);
            } else if let Some(offset) = foreign_offset(text) {
                let found = format!("{cell} has the offset {offset}");
                findings.add(&kinds::DATETIME_OFFSET, place, found);
            }
            parsed
        }
        Cell::Int(_) | Cell::Real(_) => {
            findings.add(&kinds::DATETIME_TYPE, place, format!("the number {cell}"));
            None
        }
        Cell::BadText | Cell::Blob => {
            findings.add(&kinds::DATETIME_UNREADABLE, place, cell.to_string());
            None
        }
    }
}

/// An offset from UTC that is not zero.
fn foreign_offset(text: &str) -> Option<&str> {
    let (_, time) = text.trim().split_once([' ', 'T'])?;
    let offset = &time[time.find(['+', '-'])?..];
    offset.bytes().any(|byte| (b'1'..=b'9').contains(&byte)).then_some(offset)
}

/// Numbers 0 to n-1, each once, in the order of the ids.
pub(super) fn check_numbers(findings: &mut Findings, survey: &Survey) {
    for (study_id, study) in &survey.studies {
        let mut holders: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut last = None;
        let mut is_ordered = true;
        for id in &study.trials {
            if let Some(number) = survey.trials.get(id).and_then(|trial| trial.number) {
                holders.entry(number).or_default().push(*id);
                is_ordered &= last < Some(number);
                last = Some(number);
            }
        }
        let n_duplicates = check_duplicates(findings, survey, &holders);
        check_missing(findings, survey, &study.trials, &holders);
        let place = survey.study_key(*study_id, "number");
        if !is_ordered && n_duplicates == 0 {
            let found = "the numbers do not grow with the trials' ids";
            findings.add(&kinds::NUMBER_ORDER, place.clone(), found);
        }
        // A trial without a number stands for a number that is missing.
        let wanted = 0i64..study.trials.len() as i64;
        let outside: Vec<i64> =
            holders.keys().copied().filter(|number| !wanted.contains(number)).collect();
        if let Some(outside) = outside.first().filter(|_| n_duplicates == 0) {
            let n_trials = count(study.trials.len(), "trial");
            let found = format!("{n_trials}, and one has number {outside}");
            findings.add(&kinds::NUMBER_GAP, place, found);
        }
    }
}

fn check_duplicates(
    findings: &mut Findings,
    survey: &Survey,
    holders: &BTreeMap<i64, Vec<i64>>,
) -> usize {
    let duplicates = holders.iter().filter(|(_, ids)| ids.len() > 1);
    duplicates
        .map(|(number, ids)| {
            let others: Vec<String> = ids.iter().map(i64::to_string).collect();
            let found =
                format!("the trials with ids {} all have number {number}", others.join(", "));
            findings.add(&kinds::NUMBER_DUPLICATE, survey.trial_place(ids[0]), found);
        })
        .count()
}

/// `ids`: a study's trials, ascending; `holders`: the ids by number.
fn check_missing(
    findings: &mut Findings,
    survey: &Survey,
    ids: &[i64],
    holders: &BTreeMap<i64, Vec<i64>>,
) {
    for (trial_id, number) in ids.iter().copied().zip(0i64..) {
        if survey.trials.get(&trial_id).is_some_and(|trial| trial.has_null_number) {
            let fix = (!holders.contains_key(&number)).then_some(Fix::Number { trial_id, number });
            let found = format!("the number is NULL; counting gives {number}");
            findings.add_fixable(&kinds::NUMBER_NULL, survey.trial_place(trial_id), found, fix);
        }
    }
}

/// Signs that some rows were written in local time and others in UTC.
pub(super) fn check_times(findings: &mut Findings, survey: &Survey) {
    let version = survey.library_version.as_deref().unwrap_or_default();
    let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
    let is_old = major.is_some_and(|major| major < 5);
    if is_old && !survey.trials.is_empty() {
        let found = format!("Optuna {version} made the database");
        findings.add(&kinds::DATETIME_LOCAL, Place::default(), found);
    }
    for (study_id, study) in &survey.studies {
        let mut shifted: BTreeSet<i64> =
            study.trials.iter().copied().filter(|id| contradicts_heartbeat(survey, *id)).collect();
        if is_old {
            shifted.extend(jumps_back(survey, &study.trials));
        }
        if let Some(first) = shifted.first() {
            let number = survey.trials.get(first).and_then(|trial| trial.number).unwrap_or(-1);
            let found = format!(
                "{}, the first with number {number}, began or ended in another time zone than the rest, it seems",
                count(shifted.len(), "trial")
            );
            findings.add(&kinds::DATETIME_MIXED, survey.study_key(*study_id, "datetime"), found);
        }
    }
}

/// Heartbeats are UTC in every version, and lie between beginning and end.
fn contradicts_heartbeat(survey: &Survey, id: i64) -> bool {
    let Some(trial) = survey.trials.get(&id) else { return false };
    let Some(beat) = trial.beat else { return false };
    let after = |a: UtcDateTime, b: UtcDateTime| a.duration_since(b).as_secs() > ZONE_SECONDS;
    trial.start.is_some_and(|start| after(start, beat))
        || trial.complete.is_some_and(|complete| after(beat, complete))
}

/// Trials that began long before one with a smaller id did. Queued trials begin when they are taken.
fn jumps_back<'a>(survey: &'a Survey, ids: &'a [i64]) -> impl Iterator<Item = i64> + 'a {
    let mut latest: Option<UtcDateTime> = None;
    ids.iter().copied().filter(move |id| {
        let Some(trial) = survey.trials.get(id) else { return false };
        let was_queued = trial.fixed_params.is_some() || trial.retry_history.is_some();
        let Some(start) = trial.start.filter(|_| !was_queued) else { return false };
        let jumped =
            latest.is_some_and(|latest| latest.duration_since(start).as_secs() > ZONE_SECONDS);
        latest = latest.max(Some(start));
        jumped
    })
}
