//! Checks running, waiting and requeued trials.

use super::cell::{Cell, each};
use super::studies::check_datetime;
use super::survey::{Survey, Trial};
use super::{Findings, Fix, Options, Place, kinds};
use crate::platform::process::{Life, ProcessId, boot_id, host_name};
use crate::spool::{Spool, SpoolEntry};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::time::Duration;
use trialbox_core::seam::storage::OWNER_TRIAL;
use trialbox_core::study::trial::TrialId;
use trialbox_core::{Json, TrialState, UtcDateTime};

pub(super) fn check_heartbeats(
    findings: &mut Findings,
    survey: &mut Survey,
    connection: &Connection,
) -> rusqlite::Result<()> {
    each(connection, "SELECT trial_id, heartbeat FROM trial_heartbeats ORDER BY trial_id", |row| {
        let [trial_id, beat] = row;
        let Some(id) = survey.known_trial(trial_id) else { return };
        let place = survey.trial_key(id, "heartbeat");
        // Only reapers read heartbeats, so an error in any other time is a warning here.
        let mut ours = Findings::default();
        let beat_at = check_datetime(&mut ours, place.clone(), beat);
        if !ours.list.is_empty() || *beat == Cell::Null {
            let found = format!("expected a date and time in UTC, found {beat}");
            findings.add(&kinds::HEARTBEAT_UNREADABLE, place, found);
        }
        if let Some(trial) = survey.trials.get_mut(&id) {
            trial.beat = beat_at;
        }
    })
}

/// Finds running trials whose worker died or has no recent heartbeat.
pub(super) fn check_lives(findings: &mut Findings, survey: &Survey, options: &Options) {
    let waiting = Waiting::of(options);
    for (id, trial) in &survey.trials {
        if trial.state != Some(TrialState::Running) {
            continue;
        }
        let study = survey.trial_place(*id).study.unwrap_or_default();
        match waiting.about(&study, *id, trial) {
            Some(found) => findings.add(&kinds::SPOOL_ENTRIES, survey.trial_place(*id), found),
            None => check_running(findings, survey.trial_place(*id), *id, trial, options),
        }
    }
}

/// The results that wait in the spool: their trials have finished, whatever became of the workers.
enum Waiting {
    Entries(Vec<SpoolEntry>),
    /// The spool cannot be read, and may hold the result of any trial.
    Unreadable(String),
}

impl Waiting {
    fn of(options: &Options) -> Self {
        match options.spool.as_ref().map(Spool::entries) {
            Some(Ok(entries)) => Waiting::Entries(entries),
            Some(Err(error)) => Waiting::Unreadable(format!("cannot read {error}")),
            None => Waiting::Entries(vec![]),
        }
    }

    /// Returns what the spool says about a running trial.
    fn about(&self, study: &str, trial_id: i64, trial: &Trial) -> Option<String> {
        match self {
            Waiting::Entries(entries) => {
                let (id, owner) = (TrialId(trial_id), trial.owner.as_ref());
                let entry =
                    entries.iter().find(|entry| entry.is_of(study, id, trial.number, owner))?;
                Some(format!("its result waits in `{}`", entry.path.display()))
            }
            Waiting::Unreadable(problem) => Some(problem.clone()),
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
    let last = match trial.beat.map(|beat| options.age(beat)) {
        Some(Some(age)) => format!("last heartbeat {} ago", show_seconds(age.as_secs())),
        Some(None) => "last heartbeat ahead of the clock of this machine".to_owned(),
        None => "no heartbeat".to_owned(),
    };
    let owner = check_owner(findings, &place, trial);
    let process = owner.and_then(ProcessId::from_json);
    let by = show_owner(owner, process.as_ref());
    match process.as_ref().map(ProcessId::life) {
        Some(Life::Gone(because)) => {
            let found = format!("{because}; {last}");
            let fix = Some(Fix::EndTrial { trial_id, because });
            findings.add_fixable(&kinds::STUCK_RUNNING, place, found, fix);
        }
        // Two machines can have one name, so this is no proof. A recent heartbeat shows that the worker lives.
        Some(Life::Unknown)
            if process.is_some_and(|process| is_of_earlier_boot(&process))
                && trial.beat.is_none_or(|beat| options.is_over_grace(beat)) =>
        {
            let found =
                format!("this machine was rebooted after the trial was started{by}; {last}");
            findings.add(&kinds::STUCK_RUNNING, place, found);
        }
        _ if trial.beat.is_some_and(|beat| options.is_over_grace(beat)) => {
            findings.add(&kinds::RUNNING_SILENT, place, format!("{last}{by}"));
        }
        _ if trial.beat.is_none() && trial.start.is_none_or(|at| options.is_over_grace(at)) => {
            findings.add(&kinds::RUNNING_WITHOUT_HEARTBEAT, place, format!("{last}{by}"));
        }
        _ => {}
    }
}

impl Options {
    /// Returns the time since `at`, or `None` if `at` is in the future.
    fn age(&self, at: UtcDateTime) -> Option<Duration> {
        Duration::try_from(self.now.duration_since(at)).ok()
    }

    fn is_over_grace(&self, at: UtcDateTime) -> bool {
        self.age(at).is_some_and(|age| age > self.grace)
    }
}

/// Returns the owner, if it is the owner of this trial.
///
/// Optuna copies the owner with the other attributes into a requeued trial, which has another worker.
fn check_owner<'a>(findings: &mut Findings, place: &Place, trial: &'a Trial) -> Option<&'a Json> {
    let owner = trial.owner.as_ref()?;
    if owner.get("uuid").is_none() {
        let found = "expected a `uuid` in the owner, found none";
        findings.add(&kinds::OWNER_UNREADABLE, place.clone(), found);
    }
    let owned = owner.get(OWNER_TRIAL)?.as_i64()?;
    if trial.number == Some(owned) { Some(owner) } else { None }
}

/// Returns the known members of an owner, such as `, by process 7 of job 12 on node3`.
fn show_owner(owner: Option<&Json>, process: Option<&ProcessId>) -> String {
    let job = match owner.and_then(|owner| owner.get("slurm_job_id")?.as_str()) {
        Some(job) => format!(" of job {job}"),
        None => String::new(),
    };
    match process {
        Some(process) => format!(", by process {}{job} on {}", process.pid, process.host),
        None if job.is_empty() => job,
        None => format!(", by a process{job}"),
    }
}

fn is_of_earlier_boot(process: &ProcessId) -> bool {
    let ours = boot_id();
    process.host == host_name()
        && process.boot_id.is_some()
        && ours.is_some()
        && process.boot_id != ours
}

/// Drops the findings about dead workers whose trials are no longer RUNNING.
///
/// A worker may record its result and exit after the rows were read.
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

/// Finds enqueued trials whose fixed parameters no worker can use.
pub(super) fn check_waiting(findings: &mut Findings, survey: &Survey) {
    for (id, trial) in &survey.trials {
        let Some(fixed) = &trial.fixed_params else { continue };
        if trial.state != Some(TrialState::Waiting) {
            continue;
        }
        let Json::Object(members) = fixed else {
            let place = survey.trial_key(*id, "fixed_params");
            let found = format!("expected a JSON object, found {fixed}");
            findings.add(&kinds::FIXED_PARAMS_UNUSABLE, place, found);
            continue;
        };
        for (name, value) in members {
            check_fixed(findings, survey, *id, name, value);
        }
    }
}

/// Compares a fixed value with the distribution that the study's trials have under its name.
fn check_fixed(findings: &mut Findings, survey: &Survey, id: i64, name: &str, value: &Json) {
    let Some(trial) = survey.trials.get(&id) else { return };
    let Some(study) = survey.studies.get(&trial.study) else { return };
    let Some([.., (distribution, _)]) = study.params.get(name).map(Vec::as_slice) else { return };
    let place = survey.trial_key(id, name);
    match distribution.to_internal(value) {
        Err(error) => {
            findings.add(&kinds::FIXED_PARAMS_UNUSABLE, place, error.to_string());
        }
        Ok(internal) if !distribution.contains(internal) => {
            let found = format!("expected a value of {distribution}, found {value}");
            findings.add(&kinds::FIXED_PARAM_OUT_OF_RANGE, place, found);
        }
        Ok(_) => {}
    }
}

/// Checks the attributes of requeued trials.
///
/// Optuna's `RetryHeartbeatStaleTrialCallback` writes the first trial of the chain to `failed_trial`, and all trials
/// before this one to `retry_history`.
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
            let numbers = numbers.join(", ");
            let found = format!("expected one retry of trial {parent}, found trials {numbers}");
            let place = survey.trial_key(ids[1], "retry_history");
            findings.add(&kinds::RETRY_DUPLICATE, place, found);
        }
    }
}

/// Returns the number of the trial that this one retries directly.
///
/// # Errors
/// Returns the contradiction in the trial's attributes.
fn check_retry(
    survey: &Survey,
    trial: &Trial,
    by_number: &BTreeMap<i64, i64>,
    n_trials: usize,
) -> Result<Option<i64>, String> {
    let Some(history) = &trial.retry_history else {
        return match &trial.failed_trial {
            Some(first) => Err(format!("expected a history of `failed_trial` {first}, found none")),
            None => Ok(None),
        };
    };
    let Some(numbers) = trial_numbers(history) else {
        return Err(format!("expected a list of trial numbers, found {history}"));
    };
    let (Some(first), Some(parent)) = (numbers.first(), numbers.last()) else {
        return Err(format!("expected a list of trial numbers, found {history}"));
    };
    for number in &numbers {
        let before = by_number.get(number).and_then(|id| survey.trials.get(id));
        match before.map(|before| before.state) {
            // The trial may be one whose own number is missing, which has its own finding.
            None if by_number.len() < n_trials => {}
            None => {
                return Err(format!("expected trial {number} of {history}, found no such trial"));
            }
            Some(Some(TrialState::Fail)) | Some(None) => {}
            Some(Some(state)) => {
                return Err(format!(
                    "expected the state FAIL of trial {number} in {history}, found {state}"
                ));
            }
        }
    }
    if let Some(own) = trial.number
        && let Some(younger) = numbers.iter().find(|number| **number >= own)
    {
        return Err(format!("expected trials below {own} in {history}, found {younger}"));
    }
    match &trial.failed_trial {
        Some(Json::Int(failed)) if failed == first => Ok(Some(*parent)),
        Some(failed) => {
            Err(format!("expected {first} of {history} as `failed_trial`, found {failed}"))
        }
        None => Err(format!("expected {first} of {history} as `failed_trial`, found none")),
    }
}

/// Returns the trial numbers of a history, or `None` if it holds anything else.
fn trial_numbers(history: &Json) -> Option<Vec<i64>> {
    let Json::Array(items) = history else { return None };
    let mut numbers = Vec::new();
    for item in items {
        let Json::Int(number) = item else { return None };
        numbers.push(*number);
    }
    Some(numbers)
}

/// Returns a duration in one unit.
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
