//! The parameters that `--fix` holds, against those that trials suggest: a misspelt name must not go unnoticed.

use crate::error::CommandError;
use crate::study::known_params::KnownParams;
use std::sync::{Mutex, MutexGuard, PoisonError};
use trialbox_core::run::FinishedTrial;
use trialbox_core::study::failure::FailureCode;
use trialbox_core::{Json, TrialState};

const FLAG: &str = "--fix";

/// The parameters of `--fix` and those that are known, which the workers of one process share.
pub(crate) struct Held {
    fixed: Vec<(String, Json)>,
    known: Mutex<KnownParams>,
}

impl Held {
    /// Creates the list, with the parameters that earlier trials of the study suggested.
    ///
    /// # Errors
    /// A misspelt name. Any other unknown name may be that of a parameter that no trial has suggested yet.
    pub(crate) fn new(
        fixed: Vec<(String, Json)>,
        known: KnownParams,
    ) -> Result<Self, CommandError> {
        let held = Held { fixed, known: Mutex::new(known) };
        held.check_names(&held.known())?;
        Ok(held)
    }

    /// Takes note of a trial that has finished.
    ///
    /// # Errors
    /// A value that the trial's parameter cannot have, or a misspelt name: all further trials would have it too.
    pub(super) fn note(&self, trial: &FinishedTrial) -> Result<(), CommandError> {
        if self.fixed.is_empty() {
            return Ok(());
        }
        let mut known = self.known();
        known.add(&trial.params);
        match &trial.failure {
            Some(failure) if failure.code == FailureCode::FixedParam => Err(CommandError::usage(
                failure.message.clone(),
                "change --fix, or use the value as Optuna does with --lenient",
            )),
            None if trial.state != TrialState::Fail => self.check_names(&known),
            _ => Ok(()),
        }
    }

    /// Checks, after the last trial, that every name was suggested.
    ///
    /// # Errors
    /// A name that no trial of the study has suggested.
    pub(crate) fn check_end(&self) -> Result<(), CommandError> {
        let known = self.known();
        match self.fixed.iter().find(|(name, _)| !known.has(name)) {
            Some((name, _)) => Err(known.unknown(FLAG, name)),
            None => Ok(()),
        }
    }

    fn check_names(&self, known: &KnownParams) -> Result<(), CommandError> {
        let is_misspelt = |name: &str| !known.has(name) && known.meant(name).is_some();
        match self.fixed.iter().find(|(name, _)| is_misspelt(name)) {
            Some((name, _)) => Err(known.unknown(FLAG, name)),
            None => Ok(()),
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownParams> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
