//! `run --checkpoint-dir DIR`: a directory for each trial, in which it finds after an interruption what it has left.
//!
//! `DIR/<study>-<random>/<first attempt>/<this attempt>`, the latter two by their trials' numbers. No two attempts
//! share a directory, because the one that was taken for lost may still be writing to its own: a retry starts from a
//! copy. The random part is the study's, so that no study meets the files of another one of its name.
//!
//! A database is foreign data, and its study names the directory. So the name has one shape, and the directory holds a
//! marker that names the study (`marker`): without both nothing in it is read, shown to a guest or removed.

mod marker;

#[cfg(test)]
mod tests;

use crate::error::CommandError;
use crate::worker::checkpoint::marker::{Owner, open_or_create};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use trialbox_core::run::FinishedTrial;
use trialbox_core::run::reap::Reaped;
use trialbox_core::run::retry::origin;
use trialbox_core::session::door::{CheckpointDir, Door, Rejection};
use trialbox_core::session::objective::{Evaluation, Objective};
use trialbox_core::session::{CallAborted, TrialSession};
use trialbox_core::{Json, Storage, StudyRecord, TrialNumber, TrialState};
use trialbox_files::Folder;
use trialbox_runtime::Cancellation;

/// The user attribute of a study that names its directory below `--checkpoint-dir`. A copy of the study has another.
pub(crate) const CHECKPOINT_DIR_ATTR: &str = "trialbox:checkpoint_dir";

/// The extension of an attempt's directory until it is complete.
const UNFINISHED: &str = ".unfinished";

/// The time for removing the files of a finished trial after this process was told to stop. A scheduler gives it little
/// more than that.
const REMOVAL: Duration = Duration::from_secs(2);

/// The part of a study's name that is in its directory's.
const MAX_NAME: usize = 64;

/// The directory below which there is one for each study.
#[derive(Debug)]
pub(crate) struct CheckpointRoot(pub(crate) PathBuf);

impl CheckpointRoot {
    /// Returns the study's directory below it, which is created if it does not exist. Warns of the checkpoints of lost
    /// trials that are not requeued. `database` is the study's file, if it has one.
    ///
    /// # Errors
    /// Those of the storage. Fails if the study's attribute does not name its own directory.
    pub(crate) fn of_study(
        self,
        storage: &mut dyn Storage,
        study: &StudyRecord,
        database: Option<&Path>,
        lost: &[Reaped],
    ) -> Result<Checkpoints, CommandError> {
        let name = name_of(storage, study)?;
        let owner = Owner::of(database, study);
        let folder = open_or_create(&self.0, &name, &owner)
            .map_err(|problem| CommandError::usage(problem, help_with_name(study)))?;
        let checkpoints = Checkpoints { folder };
        for reaped in lost.iter().filter(|reaped| reaped.trial.retry.is_none()) {
            let trial = storage.trial(study.id, reaped.trial.number)?;
            checkpoints.warn_of_rest(origin(trial.number, &trial.system_attrs), trial.number);
        }
        Ok(checkpoints)
    }
}

/// Returns the name of the study's directory; the first job decides it.
fn name_of(storage: &mut dyn Storage, study: &StudyRecord) -> Result<String, CommandError> {
    let name = match study.user_attrs.get(CHECKPOINT_DIR_ATTR) {
        Some(name) => Some(name.clone()),
        None => {
            let defaults = [(CHECKPOINT_DIR_ATTR.to_owned(), Json::from(new_name(&study.name)))];
            let mut study = storage.set_study_defaults(study.id, &defaults)?;
            study.user_attrs.remove(CHECKPOINT_DIR_ATTR)
        }
    };
    // Another user of the database must not choose where this process removes files.
    match name.as_ref().and_then(Json::as_str) {
        Some(name) if has_shape(name) => Ok(name.to_owned()),
        _ => Err(CommandError::usage(
            format!(
                "study `{}`: expected an attribute `{CHECKPOINT_DIR_ATTR}` such as `{}`, found another value",
                study.name,
                new_name(&study.name)
            ),
            help_with_name(study),
        )),
    }
}

/// Returns the command that gives a study a directory of its own.
fn help_with_name(study: &StudyRecord) -> String {
    format!(
        "give the study a directory of its own, which starts empty: trialbox study set-attr {CHECKPOINT_DIR_ATTR}={}",
        new_name(&study.name)
    )
}

/// Returns a name from which the study is recognised, and that no other study has.
fn new_name(study: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = study.chars().map(plain).take(MAX_NAME).collect();
    format!("{name}-{:016x}", rand::random::<u64>())
}

/// Returns whether a name is one of [`new_name`]'s.
fn has_shape(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let Some((study, digits)) = name.rsplit_once('-') else { return false };
    study.len() <= MAX_NAME
        && study.chars().all(is_plain)
        && digits.len() == 16
        && digits.chars().all(is_digit)
}

/// The directories of a study's trials.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// The study's directory, whose marker was checked.
    folder: Folder,
}

/// The directory of an attempt at a trial.
#[derive(Debug)]
struct Attempt {
    dir: PathBuf,
    folder: Folder,
    /// The attempt whose files are in it, if there were any.
    resumed_from: Option<TrialNumber>,
    /// The time at which the attempt started, by the clock of the file system.
    begun: Time,
}

/// A time by the clock of a file system, in seconds and nanoseconds.
type Time = (i64, i64);

impl Checkpoints {
    /// Creates the directory of an attempt. A retry gets the files that the last attempt left. `go_on` is called while
    /// files are copied and removed, and its error ends that.
    fn begin(
        &self,
        origin: TrialNumber,
        number: TrialNumber,
        go_on: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<Attempt> {
        let name = origin.to_string();
        if origin == number {
            // What lies there is another trial's, of a database that was lost and created anew.
            discard(&self.folder, &name, go_on)?;
        }
        let attempts = self.folder.open_or_create_folder(OsStr::new(&name))?;
        let (name, unfinished) = (number.to_string(), format!("{number}{UNFINISHED}"));
        let (name, unfinished) = (OsStr::new(&name), OsStr::new(&unfinished));
        attempts.remove_tree(name, go_on)?;
        attempts.remove_tree(unfinished, go_on)?;
        let folder = attempts.create_folder(unfinished)?;
        let earlier = earlier_attempts(&attempts, number)?;
        let last = earlier.iter().filter(|it| !it.is_unfinished).max_by_key(|it| it.number);
        let mut resumed_from = None;
        if let Some(last) = last {
            let n_files = attempts.open_folder(&last.name)?.copy_tree(&folder, go_on)?;
            resumed_from = (n_files > 0).then_some(last.number);
        }
        attempts.rename(unfinished, name)?;
        if resumed_from.is_some() {
            // Before what it is a copy of is removed; not every file system can.
            let _ = attempts.sync();
        }
        // What stays of them if that is ended is older than this one, and the next attempt removes it.
        earlier.iter().for_each(|attempt| remove(&attempts, &attempt.name, go_on));
        let renamed = rustix::fs::fstat(&attempts)?;
        let begun = (renamed.st_mtime, renamed.st_mtime_nsec as i64);
        Ok(Attempt { dir: attempts.path().join(name), folder, resumed_from, begun })
    }

    /// Warns of the files that an interrupted trial left. They stay: days of work are not removed because too many jobs
    /// have ended.
    fn warn_of_rest(&self, origin: TrialNumber, trial: TrialNumber) {
        let name = origin.to_string();
        let rest = match self.folder.open_folder(OsStr::new(&name)) {
            Err(error) if error.is_not_found() => return,
            opened => opened.map_err(io::Error::from),
        };
        match rest.and_then(|rest| rest.any_file(&mut |_| true, &mut || Ok(()))) {
            Ok(false) => remove(&self.folder, OsStr::new(&name), &mut || Ok(())),
            _ => {
                tracing::warn!(
                    trial = trial.0,
                    path = %self.folder.path().join(name).display(),
                    "the trial is not tried again, and its checkpoint stays"
                );
            }
        }
    }

    /// Removes the files that the attempts at a trial left.
    fn remove(&self, origin: TrialNumber, go_on: &mut dyn FnMut() -> io::Result<()>) {
        remove(&self.folder, OsStr::new(&origin.to_string()), go_on);
    }
}

impl Attempt {
    /// Returns whether a file has changed since the attempt started. The time of the last change of status counts,
    /// because no guest can set it.
    fn has_changed(&self, go_on: &mut dyn FnMut() -> io::Result<()>) -> io::Result<bool> {
        let mut is_later = |stat: &rustix::fs::Stat| {
            let changed: Time = (stat.st_ctime, stat.st_ctime_nsec as i64);
            changed > self.begun
        };
        self.folder.any_file(&mut is_later, go_on)
    }
}

/// Removes a directory, or warns that it stays.
fn remove(parent: &Folder, name: &OsStr, go_on: &mut dyn FnMut() -> io::Result<()>) {
    let path = parent.path().join(name);
    match parent.remove_tree(name, go_on) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            tracing::warn!(path = %path.display(), "the rest of a checkpoint stays: there was no time to remove it");
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a checkpoint could not be removed");
        }
    }
}

/// Removes a directory that another one is about to replace. Files that cannot be removed stay under another name.
fn discard(
    parent: &Folder,
    name: &str,
    go_on: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let aside = format!("{name}.discarded-{:016x}", rand::random::<u64>());
    match parent.rename(OsStr::new(name), OsStr::new(&aside)) {
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) => {
            remove(parent, OsStr::new(&aside), go_on);
            Ok(())
        }
    }
}

struct EarlierAttempt {
    number: TrialNumber,
    is_unfinished: bool,
    name: OsString,
}

/// Returns the directories of attempts before this one.
fn earlier_attempts(attempts: &Folder, number: TrialNumber) -> io::Result<Vec<EarlierAttempt>> {
    let mut earlier = Vec::new();
    for name in attempts.names()? {
        let Some(text) = name.to_str() else { continue };
        let (text, is_unfinished) = match text.strip_suffix(UNFINISHED) {
            Some(text) => (text, true),
            None => (text, false),
        };
        let found = text.parse().map(TrialNumber).ok().filter(|found| *found < number);
        earlier.extend(found.map(|number| EarlierAttempt { number, is_unfinished, name }));
    }
    Ok(earlier)
}

/// An objective whose trials have directories for checkpoints, if the run has any.
pub(crate) struct Checkpointed<'a> {
    door: &'a mut dyn Door,
    checkpoints: Option<&'a Checkpoints>,
    stops: &'a Cancellation,
    /// The first attempt at the trial that was evaluated last.
    origin: Option<TrialNumber>,
}

impl<'a> Checkpointed<'a> {
    pub(crate) fn new(
        door: &'a mut dyn Door,
        checkpoints: Option<&'a Checkpoints>,
        stops: &'a Cancellation,
    ) -> Self {
        Checkpointed { door, checkpoints, stops, origin: None }
    }

    /// Prepares the objective, see [`Door::prepare`].
    pub(crate) fn prepare(&mut self) -> Result<(), Rejection> {
        self.door.prepare()
    }

    /// Removes the checkpoints of the trial that was evaluated last, unless a retry or the user may need them.
    pub(crate) fn resolve(&mut self, trial: &FinishedTrial) {
        let (Some(checkpoints), Some(origin)) = (self.checkpoints, self.origin.take()) else {
            return;
        };
        if trial.retry.is_some() {
            return;
        }
        if trial.interruption.is_some() && trial.state == TrialState::Fail {
            checkpoints.warn_of_rest(origin, trial.number);
        } else {
            checkpoints.remove(origin, &mut for_a_moment_after(self.stops));
        }
    }

    /// Returns the trial's directory. Without one the trial starts from scratch, and a warning gives the reason.
    ///
    /// # Errors
    /// Fails if the trial cannot continue.
    fn directory(
        &self,
        checkpoints: &Checkpoints,
        session: &mut TrialSession,
    ) -> Result<Option<Attempt>, CallAborted> {
        let (origin, number) = (session.origin(), session.number());
        let mut stop = None;
        let attempt = checkpoints.begin(origin, number, &mut || {
            stop = stop.take().or_else(|| session.tick().err());
            let is_over = stop.is_some() || self.stops.pending().is_some();
            if is_over { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        });
        match (stop, attempt) {
            (Some(stop), _) => Err(stop),
            (None, Ok(attempt)) => {
                attempt.resumed_from.into_iter().for_each(|earlier| session.resumes_from(earlier));
                Ok(Some(attempt))
            }
            (None, Err(error)) => {
                if self.stops.pending().is_none() {
                    let path = checkpoints.folder.path().join(origin.to_string());
                    tracing::warn!(
                        trial = number.0,
                        path = %path.display(),
                        %error,
                        "the trial has no checkpoint"
                    );
                }
                Ok(None)
            }
        }
    }
}

impl Objective for Checkpointed<'_> {
    fn evaluate(&mut self, session: &mut TrialSession) -> Evaluation {
        let Some(checkpoints) = self.checkpoints else { return self.door.evaluate(session) };
        self.origin = Some(session.origin());
        let attempt = match self.directory(checkpoints, session) {
            Ok(attempt) => attempt,
            Err(CallAborted::Halt) => return Evaluation::Halted,
            Err(CallAborted::Fail(failure)) => return Evaluation::Fail(failure),
        };
        self.door.set_checkpoint(attempt.as_ref().map(|attempt| CheckpointDir {
            host: attempt.dir.clone(),
            resumed: attempt.resumed_from.is_some(),
        }));
        let evaluation = self.door.evaluate(session);
        // A guest that still works there would keep the directory from being removed.
        self.door.set_checkpoint(None);
        match attempt {
            Some(attempt) if evaluation.interruption().is_some() => {
                note_progress(&attempt, session);
                evaluation
            }
            _ => evaluation,
        }
    }
}

/// Allows work until this process is to stop, and then for as long as a small directory takes.
fn for_a_moment_after(stops: &Cancellation) -> impl FnMut() -> io::Result<()> {
    let mut stopped_at = None;
    move || {
        if stops.pending().is_none() {
            return Ok(());
        }
        let stopped_at: &mut Instant = stopped_at.get_or_insert_with(Instant::now);
        if stopped_at.elapsed() < REMOVAL { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    }
}

/// Tells the session whether an interrupted attempt changed its checkpoint.
fn note_progress(attempt: &Attempt, session: &mut TrialSession) {
    // An error of `tick` is dropped: a trial that others have finished meanwhile finds that out when it is recorded.
    let started = Instant::now();
    let mut tick = || match session.tick() {
        // A trial that waits to be recorded has no time for a directory of thousands of files.
        Ok(()) if started.elapsed() < REMOVAL => Ok(()),
        _ => Err(io::ErrorKind::Interrupted.into()),
    };
    match attempt.has_changed(&mut tick) {
        Ok(true) => session.made_progress(),
        Ok(false) => {}
        Err(error) => {
            let path = attempt.dir.display();
            tracing::warn!(%path, %error, "whether the trial got further cannot be told");
        }
    }
}
