//! Trials that run, wait or were retried.

use super::cell::{Cell, each};
use super::studies::check_datetime;
use super::survey::{Survey, Trial};
use super::{Findings, Fix, Options, Place, kinds};
use crate::platform::process::{Life, ProcessId, boot_id, host_name};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::seam::storage::OWNER_TRIAL;
use trialbox_core::{Json, TrialState, UtcDateTime};

pub(super) fn check_heartbeats(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    each(connection, "SELECT trial_id, heartbeat FROM trial_heartbeats ORDER BY trial_id", |row| {
        let [trial_id, beat] = row;
        let Some(id) = trial_id.int().filter(|id| survey.trials.contains_key(id)) else { return };
        let place = survey.trial_key(id, "heartbeat");
        // Heartbeats are read by reapers only, so what is an error elsewhere is a warning here.
        let mut ours = Findings::default();
        let beat_at = check_datetime(&mut ours, place.clone(), beat);
        if !ours.list.is_empty() || *beat == Cell::Null {
            findings.add(&kinds::HEARTBEAT_UNREADABLE, place, format!("the heartbeat is {beat}"));
        }
        if let Some(trial) = survey.trials.get_mut(&id) {
            trial.beat = beat_at;
        }
    })
}

/// Running trials whose process is gone, or silent.
pub(super) fn check_lives(findings: &mut Findings, survey: &Survey, options: &Options) {
    for (id, trial) in &survey.trials {
        if trial.state == Some(TrialState::Running) {
            check_running(findings, survey.trial_place(*id), *id, trial, options);
        }
    }
}

fn check_running(
    findings: &mut Findings,
    place: Place,
    trial_id: i64,
    trial: &Trial,
    options: &Options,
) {
    let age = |at: UtcDateTime| options.now.duration_since(at);
    let is_old = |at| age(at) > options.grace.try_into().unwrap_or_default();
    let last = trial.beat.map_or_else(
        || "no heartbeat".to_owned(),
        |beat| format!("last heartbeat {} ago", show_age(Duration::try_from(age(beat)).ok())),
    );
    let owner = check_owner(findings, &place, trial);
    let process = owner.and_then(ProcessId::from_json);
    let who = show_owner(owner, process.as_ref());
    match process.as_ref().map(ProcessId::life) {
        Some(Life::Gone(because)) => {
            let found = format!("{because}; {last}");
            let fix = Some(Fix::EndTrial { trial_id, because });
            findings.add_fixable(&kinds::STUCK_RUNNING, place, found, fix);
        }
        // Two machines can have one name, so this is no proof; a fresh heartbeat shows the contrary.
        Some(Life::Unknown)
            if process.is_some_and(|process| is_of_earlier_boot(&process))
                && trial.beat.is_none_or(is_old) =>
        {
            let found = format!("this machine was started anew since it was begun{who}; {last}");
            findings.add(&kinds::STUCK_RUNNING, place, found);
        }
        _ if trial.beat.is_some_and(is_old) => {
            findings.add(&kinds::RUNNING_SILENT, place, format!("{last}{who}"));
        }
        _ if trial.beat.is_none() && trial.start.is_none_or(is_old) => {
            findings.add(&kinds::RUNNING_WITHOUT_HEARTBEAT, place, format!("{last}{who}"));
        }
        _ => {}
    }
}

/// The owner, if it is this trial's: one that Optuna has copied with the other attributes into a retry says
/// nothing about who runs the copy.
fn check_owner<'a>(findings: &mut Findings, place: &Place, trial: &'a Trial) -> Option<&'a Json> {
    let owner = trial.owner.as_ref()?;
    if owner.get("uuid").is_none() {
        let found = "the token has no uuid, which tells attempts apart";
        findings.add(&kinds::OWNER_UNREADABLE, place.clone(), found);
    }
    let owned = owner.get(OWNER_TRIAL).and_then(Json::as_i64);
    Some(owner).filter(|_| owned.is_some() && owned == trial.number)
}

/// `, by process 7 of job 12 on node3`, as far as it is known.
fn show_owner(owner: Option<&Json>, process: Option<&ProcessId>) -> String {
    let job = owner.and_then(|owner| owner.get("slurm_job_id")?.as_str());
    let job = job.map(|job| format!(" of job {job}")).unwrap_or_default();
    process.map_or_else(
        || if job.is_empty() { String::new() } else { format!(", by a process{job}") },
        |process| format!(", by process {}{job} on {}", process.pid, process.host),
    )
}

fn is_of_earlier_boot(process: &ProcessId) -> bool {
    let ours = boot_id();
    process.host == host_name()
        && process.boot_id.is_some()
        && ours.is_some()
        && process.boot_id != ours
}

/// Drops the findings about dead workers whose trials are not RUNNING any more: a worker that recorded its result and
/// exited after the rows were read is not dead.
pub(super) fn drop_finished(findings: &mut Findings, connection: &Connection) {
    findings.list.retain(|finding| {
        finding.kind != &kinds::STUCK_RUNNING || is_running(connection, &finding.place)
    });
}

/// Returns whether a trial is RUNNING at this moment.
fn is_running(connection: &Connection, place: &Place) -> bool {
    let sql = "SELECT state = 'RUNNING' FROM trials WHERE trial_id = ?1";
    connection.query_row(sql, [place.trial_id], |row| row.get(0)).unwrap_or_default()
}

/// Queued trials that the worker who takes them cannot run.
pub(super) fn check_waiting(findings: &mut Findings, survey: &Survey) {
    for (id, trial) in &survey.trials {
        let Some(fixed) = &trial.fixed_params else { continue };
        if trial.state != Some(TrialState::Waiting) {
            continue;
        }
        let Json::Object(members) = fixed else {
            let place = survey.trial_key(*id, "fixed_params");
            findings.add(&kinds::FIXED_PARAMS_UNUSABLE, place, format!("{fixed} is no object"));
            continue;
        };
        for (name, value) in members {
            check_fixed(findings, survey, *id, name, value);
        }
    }
}

/// A fixed value, against the distribution that the study's trials have under its name.
fn check_fixed(findings: &mut Findings, survey: &Survey, id: i64, name: &str, value: &Json) {
    let Some(trial) = survey.trials.get(&id) else { return };
    let study = survey.studies.get(&trial.study);
    let known = study.and_then(|study| study.params.get(name)).and_then(|known| known.last());
    let Some((distribution, _)) = known else { return };
    let place = survey.trial_key(id, name);
    match distribution.to_internal(value) {
        Err(error) => {
            findings.add(&kinds::FIXED_PARAMS_UNUSABLE, place, error.to_string());
        }
        Ok(internal) if !distribution.contains(internal) => {
            let found = format!("{value} is fixed, of {distribution}");
            findings.add(&kinds::FIXED_PARAM_OUT_OF_RANGE, place, found);
        }
        Ok(_) => {}
    }
}

/// Retries, as Optuna's `RetryHeartbeatStaleTrialCallback` records them: `failed_trial` is the first trial of
/// the chain, `retry_history` all before this one.
pub(super) fn check_retries(findings: &mut Findings, survey: &Survey) {
    for study in survey.studies.values() {
        let by_number: BTreeMap<i64, i64> = study
            .trials
            .iter()
            .filter_map(|id| Some((survey.trials.get(id)?.number?, *id)))
            .collect();
        let mut clones: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for id in &study.trials {
            let Some(trial) = survey.trials.get(id) else { continue };
            match check_retry(survey, trial, &by_number, study.trials.len()) {
                Ok(Some(parent)) => clones.entry(parent).or_default().push(*id),
                Ok(None) => {}
                Err(problem) => {
                    let place = survey.trial_key(*id, "retry_history");
                    findings.add(&kinds::RETRY_INCONSISTENT, place, problem);
                }
            }
        }
        for (parent, ids) in clones.iter().filter(|(_, ids)| ids.len() > 1) {
            let numbers = ids.iter().filter_map(|id| survey.trials.get(id)?.number);
            let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
            let found = format!("trial {parent} was retried as trials {}", numbers.join(", "));
            let place = survey.trial_key(ids[1], "retry_history");
            findings.add(&kinds::RETRY_DUPLICATE, place, found);
        }
    }
}

/// The number of the trial that this one retries directly, or what is wrong with its record.
fn check_retry(
    survey: &Survey,
    trial: &Trial,
    by_number: &BTreeMap<i64, i64>,
    n_trials: usize,
) -> Result<Option<i64>, String> {
    let Some(history) = &trial.retry_history else {
        return match &trial.failed_trial {
            Some(first) => Err(format!("`failed_trial` is {first}, and there is no history")),
            None => Ok(None),
        };
    };
    let no_history = || format!("{history} is no list of trial numbers");
    let Json::Array(items) = history else { return Err(no_history()) };
    let mut numbers = Vec::new();
    for item in items {
        let Json::Int(number) = item else { return Err(no_history()) };
        numbers.push(*number);
    }
    let (Some(first), Some(parent)) = (numbers.first(), numbers.last()) else {
        return Err(no_history());
    };
    for number in &numbers {
        let before = by_number.get(number).and_then(|id| survey.trials.get(id));
        match before.map(|before| before.state) {
            // It may be one whose own number is missing, which has its own finding.
            None if by_number.len() < n_trials => {}
            None => return Err(format!("{history} names trial {number}, which does not exist")),
            Some(Some(TrialState::Fail)) | Some(None) => {}
            Some(Some(state)) => {
                return Err(format!("{history} names trial {number}, which is {state}, not FAIL"));
            }
        }
    }
    if numbers.iter().any(|number| trial.number.is_some_and(|own| *number >= own)) {
        return Err(format!("{history} names a trial that is not older"));
    }
    match &trial.failed_trial {
        Some(Json::Int(failed)) if failed == first => Ok(Some(*parent)),
        Some(failed) => Err(format!("`failed_trial` is {failed}, but the history is {history}")),
        None => Err(format!("the history is {history}, and `failed_trial` is missing")),
    }
}

fn show_age(age: Option<Duration>) -> String {
    // A heartbeat of a clock that is ahead of ours.
    age.map_or_else(|| "less than no time".to_owned(), |age| show_seconds(age.as_secs()))
}

/// A time as people say it, in one unit.
pub(super) fn show_seconds(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_that_finishes_between_the_two_looks_is_not_reported() {
        let connection = Connection::open_in_memory().expect("a database");
        let sql = "CREATE TABLE trials (trial_id INTEGER PRIMARY KEY, state TEXT);
            INSERT INTO trials VALUES (1, 'RUNNING'), (2, 'RUNNING'), (3, 'COMPLETE');";
        connection.execute_batch(sql).expect("a table");
        let place = |id| Place { trial_id: Some(id), ..Place::default() };
        let mut findings = Findings::default();
        for id in [1, 2, 4] {
            findings.add(&kinds::STUCK_RUNNING, place(id), "its process is gone");
        }
        findings.add(&kinds::FAIL_WITH_VALUES, place(3), "another kind");
        let sql = "UPDATE trials SET state = 'COMPLETE' WHERE trial_id = 1";
        connection.execute_batch(sql).expect("it is there");
        drop_finished(&mut findings, &connection);
        let left: Vec<Option<i64>> =
            findings.list.iter().map(|finding| finding.place.trial_id).collect();
        assert_eq!(left, [Some(2), Some(3)], "trial 4 was deleted");
    }
}
