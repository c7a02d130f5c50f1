//! The files of a program that have changed since the study's latest trial: its values may no longer compare.

use crate::args::objective::ObjectivePlan;
use crate::error::CommandError;
use crate::study::provenance::{ProgramFile, program_files};
use std::path::Path;
use trialbox_core::study::provenance::PROVENANCE_ATTR;
use trialbox_core::{FrozenTrial, Json, Storage, StudyRecord, TrialNumber};

/// The trials that are looked at, from the latest: those that run have no provenance yet.
const MAX_LOOKED_AT: u64 = 64;

/// Returns a note about the files that the command names and that have changed since the latest trial.
///
/// # Errors
/// Fails if the database cannot be read.
pub(crate) fn changed_files(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    objective: &ObjectivePlan,
) -> Result<Option<String>, CommandError> {
    let ObjectivePlan::Program(config) = objective else { return Ok(None) };
    let files = program_files(&config.command);
    if files.is_empty() {
        return Ok(None);
    }
    let studies = storage.list_studies()?;
    let summary = studies.iter().find(|summary| summary.study.id == study.id);
    let n_trials: u64 = summary.map_or(0, |summary| summary.n_trials.values().sum());
    for number in (n_trials.saturating_sub(MAX_LOOKED_AT)..n_trials).rev() {
        let Ok(number) = u32::try_from(number) else { continue };
        let trial = storage.trial(study.id, TrialNumber(number))?;
        if let Some(recorded) = recorded_files(&trial) {
            return Ok(note(&trial, &recorded, &files));
        }
    }
    Ok(None)
}

/// Returns the files in a trial's provenance that have a digest, by their names.
fn recorded_files(trial: &FrozenTrial) -> Option<Vec<(String, String)>> {
    let files = trial.system_attrs.get(PROVENANCE_ATTR)?.get("files")?.as_array()?;
    let file =
        |file: &Json| Some((name_of(file.get_str("path")?), file.get_str("sha256")?.to_owned()));
    Some(files.iter().filter_map(file).collect())
}

fn note(trial: &FrozenTrial, recorded: &[(String, String)], now: &[ProgramFile]) -> Option<String> {
    let mut changed: Vec<String> = Vec::new();
    for file in now {
        let name = name_of(&file.path);
        let was = recorded.iter().find(|(recorded, _)| *recorded == name);
        let (Some((_, was)), Some(is)) = (was, &file.sha256) else { continue };
        if was != is {
            changed.push(name);
        }
    }
    let has = match &changed[..] {
        [] => return None,
        [_] => "has",
        _ => "have",
    };
    let (names, number) = (changed.join(", "), trial.number);
    Some(format!(
        "note: {names} {has} changed since trial {number}; values of different code may not compare"
    ))
}

fn name_of(path: &str) -> String {
    let name = Path::new(path).file_name();
    name.map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}
