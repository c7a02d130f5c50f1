//! The recovery of what dead jobs left: results in the spool are recorded, and trials whose worker died are failed and
//! requeued.

use crate::clock::SystemClock;
use crate::cluster::liveness::{Inquiry, Liveness};
use crate::error::CommandError;
use crate::study::owner::observer;
use crate::study::settings::{constraint_format, retry_policy};
use crate::view::output::Output;
use crate::view::record::SpooledResultRecord;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;
use trialbox_core::run::ask_tell::tell_later;
use trialbox_core::run::reap::{ReapReport, ReapRequest, Reaped, reap};
use trialbox_core::run::{LateRecord, UnrecordedTrial, record_later};
use trialbox_core::seam::storage::{LeasedTrial, RetryPolicy};
use trialbox_core::{Clock as _, Storage, StorageError, StudyRecord, TrialNumber};
use trialbox_storage::spool::{Spool, SpoolEntry, Spooled, SpooledResult, SpooledTell};

/// The grace of trialbox's own workers: ten times their longest silence.
pub(crate) const DEFAULT_GRACE: &str = "5m";

/// The grace of Python's workers: their users choose the interval of heartbeats, and a few minutes are usual.
const FOREIGN_GRACE: Duration = Duration::from_secs(3600);

/// The terms of a look for lost trials.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reaping {
    /// The silence after which a trial of trialbox counts as lost.
    pub(crate) grace: Duration,
    /// The same for trials of other workers.
    pub(crate) foreign_grace: Duration,
    /// The occasions on which Slurm is asked.
    pub(crate) inquiry: Inquiry,
    /// The fate of lost trials.
    pub(crate) retry: RetryPolicy,
}

impl Reaping {
    /// Returns the terms of a job that starts.
    ///
    /// # Errors
    /// Fails if the study's number of retries cannot be read.
    pub(crate) fn at_start(study: &StudyRecord, grace: Duration) -> Result<Self, CommandError> {
        Ok(Reaping {
            grace,
            foreign_grace: grace.max(FOREIGN_GRACE),
            inquiry: Inquiry::IfSilent,
            retry: retry_policy(study)?,
        })
    }

    /// Returns the terms of a job that has nothing else left to do.
    ///
    /// # Errors
    /// Fails if the study's number of retries cannot be read.
    pub(crate) fn at_end(study: &StudyRecord, grace: Duration) -> Result<Self, CommandError> {
        Ok(Reaping { inquiry: Inquiry::Always, ..Reaping::at_start(study, grace)? })
    }
}

/// Records the results in the spool, then fails and requeues lost trials; returns the latter.
pub(crate) fn recover(
    storage: &mut dyn Storage,
    spool: Option<&Spool>,
    study: &StudyRecord,
    reaping: &Reaping,
    output: &Output,
) -> Result<Vec<Reaped>, CommandError> {
    if let Some(spool) = spool {
        let synced = sync_spool(storage, spool, Some(&study.name));
        synced.iter().filter(|synced| synced.is_news()).for_each(|synced| {
            output.note(&synced_text(synced));
        });
    }
    let report = reap_study(storage, spool, study, reaping)?;
    report.lost.iter().for_each(|reaped| output.note(&reaped_text(reaped)));
    Ok(report.lost)
}

/// Fails and requeues the lost trials of a study, except those whose results are in the spool.
pub(crate) fn reap_study(
    storage: &mut dyn Storage,
    spool: Option<&Spool>,
    study: &StudyRecord,
    reaping: &Reaping,
) -> Result<ReapReport, StorageError> {
    let has_result =
        |trial: &LeasedTrial| spool.is_some_and(|spool| has_result(spool, &study.name, trial));
    let request = ReapRequest {
        probe: &Liveness::new(reaping.inquiry),
        observer: observer(),
        grace: reaping.grace,
        foreign_grace: reaping.foreign_grace,
        has_result: &has_result,
        retry: Some(reaping.retry),
        at: SystemClock::new().utc_now(),
    };
    reap(storage, study.id, &request)
}

/// Returns whether the spool holds the trial's result. A spool that cannot be read may hold it.
fn has_result(spool: &Spool, study: &str, trial: &LeasedTrial) -> bool {
    let (number, owner) = (Some(trial.number.0.into()), trial.owner.as_ref());
    match spool.entries() {
        Ok(entries) => entries.iter().any(|entry| entry.is_of(study, trial.id, number, owner)),
        Err(error) => {
            tracing::warn!(%error, "no trial is failed while its result may be in the spool");
            true
        }
    }
}

/// Formats a lost trial.
pub(crate) fn reaped_text(reaped: &Reaped) -> String {
    let retry = match reaped.trial.retry {
        Some(retry) => format!("it was requeued as trial {retry}"),
        None => "it is not tried again".to_owned(),
    };
    format!("trial {} was lost ({}); {retry}", reaped.trial.number, reaped.loss.reason)
}

/// A spooled result and its outcome.
pub(crate) struct Synced {
    pub(crate) entry: SpoolEntry,
    pub(crate) fate: SpoolOutcome,
}

/// The outcome of recording a spooled result.
pub(crate) enum SpoolOutcome {
    /// It is recorded, or came too late. Its file is removed, where that is possible.
    Settled { record: LateRecord, file_stays: bool },
    /// It could not be recorded yet; the file stays.
    Waiting(CommandError),
    /// The file cannot be read, and stays.
    Unreadable(String),
}

impl Synced {
    /// Returns whether a job reports it: files that every job finds again are not news.
    fn is_news(&self) -> bool {
        matches!(
            self.fate,
            SpoolOutcome::Settled { record: LateRecord::Recorded | LateRecord::TooLate { .. }, .. }
        )
    }

    /// Returns whether the file belongs to a database that is not there, and has nothing to do with this one.
    fn is_of_another_database(&self) -> bool {
        let is_homeless =
            matches!(self.fate, SpoolOutcome::Settled { record: LateRecord::Homeless, .. });
        self.entry.is_stray && is_homeless
    }

    /// Returns whether a user has to act.
    pub(crate) fn is_left(&self) -> bool {
        !matches!(self.fate, SpoolOutcome::Settled { file_stays: false, .. })
    }
}

/// Records the spooled results of this database, all or those of one study, each exactly once. An error of one does not
/// keep the others back.
pub(crate) fn sync_spool(
    storage: &mut dyn Storage,
    spool: &Spool,
    study: Option<&str>,
) -> Vec<Synced> {
    let entries = spool.entries().unwrap_or_else(|error| {
        tracing::warn!(%error, "results may be in the spool");
        vec![]
    });
    let is_meant = |entry: &SpoolEntry| match &entry.result {
        Ok(Spooled::Finished(result)) => study.is_none_or(|study| study == result.study),
        Ok(Spooled::Told(told)) => {
            study.zip(told.study.as_deref()).is_none_or(|(study, told)| study == told)
        }
        Err(_) => true,
    };
    entries
        .into_iter()
        .filter(is_meant)
        .map(|entry| Synced { fate: resolve(storage, spool, &entry), entry })
        .filter(|synced| !synced.is_of_another_database())
        .collect()
}

fn resolve(storage: &mut dyn Storage, spool: &Spool, entry: &SpoolEntry) -> SpoolOutcome {
    let recorded = match &entry.result {
        Ok(Spooled::Finished(result)) => {
            record_later(storage, &result.study, &result.trial).map_err(CommandError::from)
        }
        Ok(Spooled::Told(told)) => record_told(storage, told),
        Err(problem) => return SpoolOutcome::Unreadable(problem.clone()),
    };
    let record = match recorded {
        Ok(record) => record,
        Err(error) => return SpoolOutcome::Waiting(error),
    };
    let file_stays = record == LateRecord::Homeless
        || spool.remove(entry).is_err_and(|error| error.kind() != ErrorKind::NotFound);
    SpoolOutcome::Settled { record, file_stays }
}

fn record_told(storage: &mut dyn Storage, told: &SpooledTell) -> Result<LateRecord, CommandError> {
    let study = match &told.study {
        Some(name) => storage.open_study(name),
        None => match &storage.list_studies()?[..] {
            [only] => storage.open_study(&only.study.name),
            _ => return Ok(LateRecord::Homeless),
        },
    };
    let study = match study {
        Err(StorageError::NoSuchStudy { .. }) => return Ok(LateRecord::Homeless),
        study => study?,
    };
    let mut tell = told.tell.clone();
    constraint_format(&study)?.write(&told.constraints, &mut tell.batch);
    Ok(tell_later(storage, &study, told.number, &tell, told.at)?)
}

/// Returns the study's name, if the result has one, and the trial's number.
fn name_of(spooled: &Spooled) -> (Option<&str>, TrialNumber) {
    match spooled {
        Spooled::Finished(result) => (Some(&result.study), result.trial.claim.number),
        Spooled::Told(told) => (told.study.as_deref(), told.number),
    }
}

/// Formats a spooled result.
pub(crate) fn synced_text(synced: &Synced) -> String {
    let path = synced.entry.path.display();
    let trial = match synced.entry.result.as_ref().map(name_of) {
        Ok((Some(study), number)) => format!("trial {number} of study `{study}`"),
        Ok((None, number)) => format!("trial {number}"),
        Err(_) => String::new(),
    };
    match &synced.fate {
        SpoolOutcome::Settled {
            record: LateRecord::Recorded | LateRecord::RecordedBefore,
            file_stays,
        } => {
            let stays = if *file_stays { "; the file may be removed" } else { "" };
            format!("{trial} has its result now, from `{path}`{stays}")
        }
        SpoolOutcome::Settled { record: LateRecord::TooLate { reason, kept_as }, .. } => {
            let kept = kept_as.as_ref().map_or_else(
                || "it held no value".to_owned(),
                |key| format!("it is kept as the study's attribute `{key}`"),
            );
            format!("the result of {trial} from `{path}` came too late: {reason}; {kept}")
        }
        SpoolOutcome::Settled { record: LateRecord::Homeless, .. } => {
            format!(
                "the result in `{path}` has no place here: {trial} is not there, or is another one"
            )
        }
        SpoolOutcome::Waiting(error) => {
            format!("the result of {trial} in `{path}` still waits: {:#}", error.error)
        }
        SpoolOutcome::Unreadable(problem) => format!("`{path}` cannot be read: {problem}"),
    }
}

/// Returns the record of a spooled result.
pub(crate) fn synced_record(synced: &Synced) -> SpooledResultRecord {
    let fate = match &synced.fate {
        SpoolOutcome::Settled { record: LateRecord::Recorded, .. } => "recorded",
        SpoolOutcome::Settled { record: LateRecord::RecordedBefore, .. } => "recorded_before",
        SpoolOutcome::Settled { record: LateRecord::TooLate { .. }, .. } => "too_late",
        SpoolOutcome::Settled { record: LateRecord::Homeless, .. } => "homeless",
        SpoolOutcome::Waiting(_) => "waiting",
        SpoolOutcome::Unreadable(_) => "unreadable",
    };
    let name = synced.entry.result.as_ref().ok().map(name_of);
    SpooledResultRecord {
        file: synced.entry.path.display().to_string(),
        fate,
        study: name.and_then(|(study, _)| study.map(str::to_owned)),
        number: name.map(|(_, number)| number.0),
        message: synced_text(synced),
    }
}

/// Writes a result that the database did not take to the spool. Returns its place, or as a last resort its values.
pub(crate) fn spool_result(spool: Option<&Spool>, study: &str, trial: &UnrecordedTrial) -> String {
    let result = SpooledResult { study: study.to_owned(), trial: trial.clone() };
    describe_kept(spool.map(|spool| spool.keep(&result)), trial.ending.outcome.values())
}

/// Writes a result that was told to the spool, as [`spool_result`] does.
pub(crate) fn spool_told(spool: Option<&Spool>, told: &SpooledTell) -> String {
    describe_kept(spool.map(|spool| spool.keep_told(told)), &told.tell.values)
}

/// The path of a spooled result, or the folders that were tried.
type Kept = Result<PathBuf, Vec<(PathBuf, std::io::Error)>>;

fn describe_kept(kept: Option<Kept>, values: &[f64]) -> String {
    match kept {
        Some(Ok(path)) => format!(
            "the result is kept in `{}`; the next `trialbox run` of the study or `trialbox study sync` records it",
            path.display()
        ),
        Some(Err(problems)) => {
            let tried: Vec<String> = problems
                .iter()
                .map(|(folder, error)| format!("`{}`: {error}", folder.display()))
                .collect();
            format!("the result {values:?} could not be kept anywhere ({})", tried.join("; "))
        }
        None => format!("the result was {values:?}"),
    }
}
