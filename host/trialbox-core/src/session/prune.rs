//! Pruning: the view of the other trials, and the pruner's judgement.

use crate::seam::guarded::guarded;
use crate::seam::pruner::RunningTrial;
use crate::seam::storage::StorageError;
use crate::session::TrialSession;
use crate::session::aborted::CallAborted;
use crate::session::event::Event;
use crate::study::history::History;
use crate::value::json::Json;
use std::collections::BTreeMap;

impl TrialSession<'_> {
    /// Returns whether the pruner would stop the trial now. Its view of the other trials is at most a second old, or,
    /// where reading a large study takes long, twenty times as old as that takes.
    ///
    /// With several objectives no pruner is asked, and the trial continues; Optuna fails it.
    ///
    /// # Errors
    /// Only when the study cannot be read.
    pub fn should_prune(&mut self) -> Result<bool, CallAborted> {
        if self.context.study.directions.len() > 1 {
            if !std::mem::replace(&mut self.has_explained_pruning, true) {
                self.host_note("a study with several objectives prunes no trials");
            }
            return Ok(false);
        }
        if self.context.pruner.uses_history() {
            self.refresh_peers()?;
        }
        let current = RunningTrial {
            study_name: &self.context.study.name,
            number: self.claim.number,
            intermediate_values: self.reports.values(),
            system_attrs: &self.system_attrs,
        };
        let (pruner, peers) = (self.context.pruner, self.peers.for_pruner());
        let judgement = guarded("pruner", || pruner.judge(peers, &current))?;
        let should_prune = judgement.should_prune;
        self.share(judgement.system_attrs);
        self.activity.answers.add(should_prune);
        (self.observer)(Event::Judged { should_prune });
        Ok(should_prune)
    }

    /// Reads the study's trials, once.
    pub(super) fn load_peers(&mut self) -> Result<(), CallAborted> {
        if self.peers.is_loaded() { Ok(()) } else { self.read_peers() }
    }

    /// Reads the study's trials, for sampler and pruner.
    pub(super) fn read_peers(&mut self) -> Result<(), CallAborted> {
        let started = self.elapsed();
        let known = self.peers.take_known();
        let mut history = self.read_history(known).map_err(|error| self.halt(error))?;
        if self.context.sampler.reads_study_attrs() {
            history = history.with_study_attrs(self.study_attrs()?);
        }
        if let Some(own) = self.peers.load(history) {
            self.system_attrs.extend(own.system_attrs.clone());
        }
        self.peers.was_read(started, self.context.clock.elapsed());
        Ok(())
    }

    /// Reads the study's system attributes, which other workers may have changed since the study was opened.
    fn study_attrs(&mut self) -> Result<BTreeMap<String, Json>, CallAborted> {
        let known = self.context.study;
        match self.storage.open_study(&known.name) {
            Ok(found) if found.id == known.id => Ok(found.system_attrs),
            // The study was renamed meanwhile.
            Ok(_) | Err(StorageError::NoSuchStudy { .. }) => Ok(known.system_attrs.clone()),
            Err(error) => Err(self.halt(error)),
        }
    }

    /// Reads the study's trials; where some are known, only those that can have changed.
    fn read_history(&mut self, known: Option<History>) -> Result<History, StorageError> {
        let study = self.context.study;
        if let Some(mut known) = known {
            match self.storage.changed_trials(study.id, known.trials()) {
                Ok(Some(changed)) => {
                    known.update(changed);
                    return Ok(known);
                }
                // The whole study is waited for as long as the user allows.
                Ok(None) | Err(StorageError::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(History::new(study.directions.clone(), self.storage.history(study.id)?))
    }

    /// Reads the trials that have changed, if the pruner's view is old.
    fn refresh_peers(&mut self) -> Result<(), CallAborted> {
        self.load_peers()?;
        let started = self.elapsed();
        if !self.peers.is_due(started) {
            return Ok(());
        }
        let known = self.peers.for_pruner().trials();
        match self.storage.changed_trials(self.context.study.id, known) {
            Ok(Some(changed)) => self.peers.update(changed),
            // The study was deleted, which the next write reports.
            Ok(None) => {}
            // An old view is better than a trial that fails because a file system was slow.
            Err(error) => {
                if self.peers.failed() {
                    let trial = self.claim.number.0;
                    tracing::warn!(trial, %error, "the pruner goes by what it knew before");
                }
            }
        }
        self.peers.was_read(started, self.context.clock.elapsed());
        Ok(())
    }
}
