//! The rows of final and intermediate values.

use super::cell::{Cell, each};
use super::survey::Survey;
use super::{Column, Findings, Fix, Place, count, kinds};
use rusqlite::Connection;
use trialbox_core::TrialState;

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
        // What has no result can do without the row; a result without its value is none. Only the last row can
        // go, for Optuna fails on an objective whose forerunners are missing.
        let has_no_result = matches!(trial.state, Some(TrialState::Fail | TrialState::Pruned));
        let place = survey.trial_key(trial_id, format!("objective {objective}"));
        if objective.int().is_none() {
            let found = format!("the objective is {objective}, where a whole number is wanted");
            findings.add(&kinds::WRONG_TYPE, place.clone(), found);
        }
        let delete =
            (has_no_result && objective == last).then_some(Fix::DeleteValue { value_id: id });
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
    let found = format!("the value is {value} and its type {kind}");
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
        ("NAN", _) => findings.add_fixable(&kinds::VALUE_NAN, place, found, delete),
        (other, _) => {
            let known = ["FINITE", "INF_POS", "INF_NEG"];
            let fix = upper_case(&VALUE_TYPE, row_id, other, &known);
            findings.add_fixable(&kinds::VALUE_TYPE_UNKNOWN, place, found, fix);
        }
    }
}

/// How many values each trial has, against its state and its study.
fn check_counts(findings: &mut Findings, survey: &Survey) {
    for (id, trial) in &survey.trials {
        let n_directions = survey.studies.get(&trial.study).map_or(0, |study| study.n_directions);
        let place = || survey.trial_key(*id, "values");
        let n = trial.n_values;
        // Optuna makes a list as long as there are rows, and puts each value at its objective's place.
        if let Some(last) = trial.last_objective.filter(|last| *last >= n as i64) {
            let found = format!("{}, and one is that of objective {last}", count(n, "value"));
            findings.add(&kinds::OBJECTIVE_GAP, place(), found);
        }
        let found = || {
            format!("{}, for a study of {}", count(n, "value"), count(n_directions, "objective"))
        };
        match trial.state {
            Some(TrialState::Complete) if n == 0 => {
                let found = "the trial is COMPLETE and has no value";
                findings.add(&kinds::COMPLETE_WITHOUT_VALUES, place(), found);
            }
            Some(TrialState::Complete) if n_directions > 0 && n != n_directions => {
                findings.add(&kinds::VALUE_COUNT, place(), found());
            }
            Some(TrialState::Fail) if n > 0 => {
                findings.add(
                    &kinds::FAIL_WITH_VALUES,
                    place(),
                    format!("FAIL with {}", count(n, "value")),
                );
            }
            Some(state @ (TrialState::Running | TrialState::Waiting)) if n > 0 => {
                let found = format!("{state} with {}", count(n, "value"));
                findings.add(&kinds::UNFINISHED_WITH_VALUES, place(), found);
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
    let sql = "SELECT trial_intermediate_value_id, trial_id, step, intermediate_value, intermediate_value_type FROM trial_intermediate_values ORDER BY trial_id, step";
    each(connection, sql, |row| {
        let [id, trial_id, step, value, kind] = row;
        let (Some(id), Some(trial_id)) = (id.int(), trial_id.int()) else { return };
        if !survey.trials.contains_key(&trial_id) {
            return;
        }
        let place = survey.trial_key(trial_id, format!("step {step}"));
        match step.int() {
            Some(0..) => {}
            Some(_) => findings.add(&kinds::STEP_NEGATIVE, place.clone(), format!("step {step}")),
            None => {
                let found = format!("the step is {step}, where a whole number is wanted");
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
    let found = format!("the value is {value} and its type {kind}");
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

/// The repair of a word that is right but for its case.
pub(super) fn upper_case(
    column: &'static Column,
    row_id: i64,
    found: &str,
    known: &[&str],
) -> Option<Fix> {
    let word = found.to_ascii_uppercase();
    (word != found && known.contains(&word.as_str())).then_some(Fix::UpperCase {
        column,
        row_id,
        word,
    })
}
