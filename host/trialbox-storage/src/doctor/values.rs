//! The rows of final and intermediate values.

use super::cell::{Cell, each};
use super::survey::Survey;
use super::{Column, Findings, Fix, Place, kinds};
use rusqlite::Connection;
use trialbox_core::TrialState;
use trialbox_core::value::text::counted;

const VALUE: Column = Column { table: "trial_values", id: "trial_value_id", name: "value" };
const VALUE_TYPE: Column =
    Column { table: "trial_values", id: "trial_value_id", name: "value_type" };
const INTERMEDIATE: Column = Column {
    table: "trial_intermediate_values",
    id: "trial_intermediate_value_id",
    name: "intermediate_value",
};
const INTERMEDIATE_TYPE: Column = Column { name: "intermediate_value_type", ..INTERMEDIATE };

pub(super) fn check_values(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT trial_value_id, trial_id, objective, value, value_type,
            (SELECT max(objective) FROM trial_values AS others WHERE others.trial_id = trial_values.trial_id)
        FROM trial_values ORDER BY trial_id, objective";
    each(connection, sql, |row| {
        let [id, trial_id, objective, value, kind, last] = row;
        let (Some(id), Some(trial_id)) = (id.int(), trial_id.int()) else { return };
        let Some(trial) = survey.trials.get_mut(&trial_id) else { return };
        trial.n_values += 1;
        trial.last_objective = trial.last_objective.max(objective.int());
        // A failed or pruned trial does not need the row; a COMPLETE trial without its value has no result. Only the
        // last row may be deleted, because Optuna fails on an objective whose predecessors are missing.
        let has_no_result = matches!(trial.state, Some(TrialState::Fail | TrialState::Pruned));
        let place = survey.trial_key(trial_id, format!("objective {objective}"));
        if objective.int().is_none() {
            let found = format!("expected a whole number as the objective, found {objective}");
            findings.add(&kinds::WRONG_TYPE, place.clone(), found);
        }
        if objective.int().is_some_and(i64::is_negative) {
            let found = format!("expected an objective of at least 0, found {objective}");
            findings.add(&kinds::OBJECTIVE_NEGATIVE, place.clone(), found);
        }
        let delete = if has_no_result && objective == last {
            Some(Fix::DeleteValue { value_id: id })
        } else {
            None
        };
        check_value(findings, place, id, (value, kind), delete);
    })?;
    check_counts(findings, survey);
    Ok(())
}

fn check_value(
    findings: &mut Findings,
    place: Place,
    row_id: i64,
    (value, kind): (&Cell, &Cell),
    delete: Option<Fix>,
) {
    let found = describe(value, kind);
    match (kind.text().unwrap_or_default(), value) {
        ("FINITE", Cell::Int(_) | Cell::Real(_)) => {}
        ("INF_POS" | "INF_NEG", Cell::Null) => {}
        ("FINITE", Cell::Null) => {
            findings.add_fixable(&kinds::FINITE_NULL, place, found, delete);
        }
        ("FINITE", _) => findings.add(&kinds::VALUE_TEXT, place, found),
        ("INF_POS" | "INF_NEG", _) => {
            let fix = Fix::ClearNumber { column: &VALUE, row_id };
            findings.add_fixable(&kinds::INFINITE_WITH_VALUE, place, found, Some(fix));
        }
        // Optuna never writes NaN as a final value: a trial that returns it fails.
        ("NAN", _) => {
            let found = "expected a value other than NaN, found the type NAN";
            findings.add_fixable(&kinds::VALUE_NAN, place, found, delete);
        }
        (other, _) => {
            let known = ["FINITE", "INF_POS", "INF_NEG"];
            let fix = upper_case(&VALUE_TYPE, row_id, other, &known);
            findings.add_fixable(&kinds::VALUE_TYPE_UNKNOWN, place, found, fix);
        }
    }
}

/// Returns the contradiction between a value and its type, or the unknown type.
fn describe(value: &Cell, kind: &Cell) -> String {
    match kind.text().unwrap_or_default() {
        "FINITE" => format!("expected a number for the type FINITE, found {value}"),
        word @ ("INF_POS" | "INF_NEG" | "NAN") => {
            format!("expected NULL for the type {word}, found {value}")
        }
        _ => format!("expected a type of value, found {kind}"),
    }
}

/// Compares the number of values of each trial with its state and its study.
fn check_counts(findings: &mut Findings, survey: &Survey) {
    for (id, trial) in &survey.trials {
        let n_directions = match survey.studies.get(&trial.study) {
            Some(study) => study.n_directions,
            None => 0,
        };
        let place = survey.trial_key(*id, "values");
        let n = trial.n_values;
        let n_values = counted(n as u64, "value");
        // Optuna makes a list as long as there are rows, and puts each value at the index of its objective.
        if let Some(last) = trial.last_objective
            && last >= n as i64
        {
            let found = format!("found {n_values}, and one is that of objective {last}");
            findings.add(&kinds::OBJECTIVE_GAP, place.clone(), found);
        }
        match trial.state {
            Some(TrialState::Complete) if n == 0 => {
                let found = "expected a value for the state COMPLETE, found none";
                findings.add(&kinds::COMPLETE_WITHOUT_VALUES, place, found);
            }
            Some(TrialState::Complete) if n_directions > 0 && n != n_directions => {
                let n_objectives = counted(n_directions as u64, "objective");
                let found =
                    format!("expected one value for each of {n_objectives}, found {n_values}");
                findings.add(&kinds::VALUE_COUNT, place, found);
            }
            Some(TrialState::Fail) if n > 0 => {
                let found = format!("expected no value for the state FAIL, found {n_values}");
                findings.add(&kinds::FAIL_WITH_VALUES, place, found);
            }
            Some(state @ (TrialState::Running | TrialState::Waiting)) if n > 0 => {
                let found = format!("expected no value for the state {state}, found {n_values}");
                findings.add(&kinds::UNFINISHED_WITH_VALUES, place, found);
            }
            _ => {}
        }
    }
}

pub(super) fn check_intermediate_values(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    let sql = "SELECT trial_intermediate_value_id, trial_id, step, intermediate_value, intermediate_value_type
        FROM trial_intermediate_values ORDER BY trial_id, step";
    each(connection, sql, |row| {
        let [id, trial_id, step, value, kind] = row;
        let (Some(id), Some(trial_id)) = (id.int(), survey.known_trial(trial_id)) else { return };
        let place = survey.trial_key(trial_id, format!("step {step}"));
        match step.int() {
            Some(0..) => {}
            Some(_) => {
                let found = format!("expected a step of at least 0, found {step}");
                findings.add(&kinds::STEP_NEGATIVE, place.clone(), found);
            }
            None => {
                let found = format!("expected a whole number as the step, found {step}");
                findings.add(&kinds::WRONG_TYPE, place.clone(), found);
            }
        }
        check_intermediate_value(findings, place, id, value, kind);
    })
}

fn check_intermediate_value(
    findings: &mut Findings,
    place: Place,
    row_id: i64,
    value: &Cell,
    kind: &Cell,
) {
    let found = describe(value, kind);
    match (kind.text().unwrap_or_default(), value) {
        ("FINITE", Cell::Int(_) | Cell::Real(_)) => {}
        ("INF_POS" | "INF_NEG" | "NAN", Cell::Null) => {}
        ("FINITE", Cell::Null) => {
            findings.add(&kinds::INTERMEDIATE_FINITE_NULL, place, found);
        }
        ("FINITE", _) => findings.add(&kinds::VALUE_TEXT, place, found),
        ("INF_POS" | "INF_NEG", _) => {
            let fix = Fix::ClearNumber { column: &INTERMEDIATE, row_id };
            let kind = &kinds::INTERMEDIATE_INFINITE_WITH_VALUE;
            findings.add_fixable(kind, place, found, Some(fix));
        }
        ("NAN", _) => findings.add(&kinds::INTERMEDIATE_NAN_WITH_VALUE, place, found),
        (other, _) => {
            let known = ["FINITE", "INF_POS", "INF_NEG", "NAN"];
            let fix = upper_case(&INTERMEDIATE_TYPE, row_id, other, &known);
            findings.add_fixable(&kinds::INTERMEDIATE_TYPE_UNKNOWN, place, found, fix);
        }
    }
}

/// Returns the repair of a word that is known except for its case.
pub(super) fn upper_case(
    column: &'static Column,
    row_id: i64,
    found: &str,
    known: &[&str],
) -> Option<Fix> {
    let word = found.to_ascii_uppercase();
    if word != found && known.contains(&word.as_str()) {
        Some(Fix::UpperCase { column, row_id, word })
    } else {
        None
    }
}
