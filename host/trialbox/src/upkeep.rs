//! What a job does for the study besides its own trial: it writes results that others could not, and ends
//! trials whose processes are gone.

use crate::clock::SystemClock;
use crate::error::CommandError;
use crate::owner::{ProcessTable, observer};
use crate::settings::retry_policy;
use serde_json::{Value, json};
use std::time::Duration;
use trialbox_core::clock::Clock as _;
use trialbox_core::reap::{ReapReport, ReapRequest, Reaped, reap};
use trialbox_core::run::{LateRecord, record_later};
use trialbox_core::storage::{RetryPolicy, Storage, StorageError};
use trialbox_core::study::StudyRecord;
use trialbox_storage::spool::{Spool, SpoolEntry, SpooledResult};

/// How long a heart may be silent: ten times as long as ours ever are.
pub(crate) const DEFAULT_GRACE: &str = "5m";

/// Ends the lost trials of a study.
pub(crate) fn reap_study(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    grace: Duration,
    retry: Option<RetryPolicy>,
) -> Result<ReapReport, StorageError> {
    let request = ReapRequest {
        probe: &ProcessTable,
        observer: observer(),
        grace,
        retry: retry.or_else(|| Some(retry_policy(study))),
        at: SystemClock::new().utc_now(),
    };
    reap(storage, study.id, &request)
}

/// What to say of a trial that was found lost.
pub(crate) fn reaped_text(reaped: &Reaped) -> String {
    let retry = match reaped.trial.retry {
        Some(retry) => format!("it waits again as trial {retry}"),
        None => "it is not tried again".to_owned(),
    };
    format!("trial {} was lost ({}); {retry}", reaped.trial.number, reaped.reason)
}

/// The same for programs.
pub(crate) fn reaped_json(study: &str, reaped: &Reaped) -> Value {
    json!({
        "event": "trial_lost",
        "study": study,
        "number": reaped.trial.number.0,
        "reason": reaped.reason,
        "retry": reaped.trial.retry.map(|number| number.0),
    })
}

/// A spooled result, and what became of it.
pub(crate) struct Synced {
    pub(crate) entry: SpoolEntry,
    pub(crate) fate: Fate,
}

/// What became of a spooled result.
pub(crate) enum Fate {
    /// It is where it belongs, and its file is gone.
    Settled(SpooledResult, LateRecord),
    /// It has no trial or study any more; the file stays.
    Homeless(SpooledResult),
    /// The file makes no sense, and stays.
    Unreadable(String),
}

/// Writes the results that wait for this database, all or those of one study, each just once.
pub(crate) fn sync_spool(
    storage: &mut dyn Storage,
    spool: &Spool,
    study: Option<&str>,
) -> Result<Vec<Synced>, CommandError> {
    let mut synced = Vec::new();
    for entry in spool.entries() {
        let fate = match &entry.result {
            Err(problem) => Fate::Unreadable(problem.clone()),
            Ok(result) if study.is_some_and(|study| study != result.study) => continue,
            Ok(result) => settle(storage, spool, &entry, result)?,
        };
        synced.push(Synced { entry, fate });
    }
    Ok(synced)
}

fn settle(
    storage: &mut dyn Storage,
    spool: &Spool,
    entry: &SpoolEntry,
    result: &SpooledResult,
) -> Result<Fate, CommandError> {
    let study = match storage.open_study(&result.study) {
        Ok(study) => study,
        Err(StorageError::NoSuchStudy { .. }) => return Ok(Fate::Homeless(result.clone())),
        Err(error) => return Err(error.into()),
    };
    let record = record_later(storage, study.id, &result.trial)?;
    if record == LateRecord::Homeless {
        return Ok(Fate::Homeless(result.clone()));
    }
    match spool.remove(entry) {
        // Another job settled it at the same time.
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let path = entry.path.display();
            tracing::warn!(%error, "`{path}` was recorded, but its file could not be removed");
        }
        _ => {}
    }
    Ok(Fate::Settled(result.clone(), record))
}

/// What to say of a spooled result.
pub(crate) fn synced_text(synced: &Synced) -> String {
    let path = synced.entry.path.display();
    match &synced.fate {
        Fate::Settled(result, LateRecord::Recorded | LateRecord::RecordedBefore) => {
            let number = result.trial.claim.number;
            format!("trial {number} of study `{}` has its result now, from `{path}`", result.study)
        }
        Fate::Settled(result, LateRecord::TooLate { reason, kept_as }) => {
            let kept = kept_as.as_ref().map_or_else(
                || "it held no value".to_owned(),
                |key| format!("it is kept as the study's attribute `{key}`"),
            );
            let number = result.trial.claim.number;
            format!("the result of trial {number} from `{path}` came too late: {reason}; {kept}")
        }
        Fate::Settled(result, LateRecord::Homeless) | Fate::Homeless(result) => {
            let number = result.trial.claim.number;
            format!(
                "the result in `{path}` has no place: trial {number} of study `{}` is not there any more",
                result.study
            )
        }
        Fate::Unreadable(problem) => format!("`{path}` cannot be read: {problem}"),
    }
}

/// The same for programs.
pub(crate) fn synced_json(synced: &Synced) -> Value {
    let (fate, result) = match &synced.fate {
        Fate::Settled(result, LateRecord::Recorded) => ("recorded", Some(result)),
        Fate::Settled(result, LateRecord::RecordedBefore) => ("recorded_before", Some(result)),
        Fate::Settled(result, LateRecord::TooLate { .. }) => ("too_late", Some(result)),
        Fate::Settled(result, LateRecord::Homeless) | Fate::Homeless(result) => {
            ("homeless", Some(result))
        }
        Fate::Unreadable(_) => ("unreadable", None),
    };
    json!({
        "event": "spooled_result",
        "file": synced.entry.path.display().to_string(),
        "fate": fate,
        "study": result.map(|result| result.study.clone()),
        "number": result.map(|result| result.trial.claim.number.0),
        "message": synced_text(synced),
    })
}
