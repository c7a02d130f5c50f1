//! `trialbox study import`: adds the trials of an export to a study, each once.

mod compare;
mod foreign;

use crate::args::storage::StorageArgs;
use crate::args::study::check_new_name;
use crate::commands::study::import::compare::{SpaceDifferences, new_trials};
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::exchange::{self, ImportedStudy, as_copied};
use crate::view::output::Output;
use crate::view::record::Imported;
use crate::worker::checkpoint::CHECKPOINT_DIR_ATTR;
use std::cell::Cell;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use trialbox_core::study::record::NewStudy;
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, Storage, StorageError, StudyDirection, StudyRecord};
use trialbox_files::read_named;
use trialbox_storage::{Create, WaitCancellation};

/// The largest file that is imported.
const MAX_IMPORTED_BYTES: u64 = 4 << 30;

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    storage: StorageArgs,

    /// A file that `study export --format json` wrote; `-` for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The study to add to, created if it does not exist [default: as in the file]
    #[arg(
        long,
        visible_alias = "optuna-study-name",
        value_name = "NAME",
        env = "TRIALBOX_STUDY_NAME",
        hide_env_values = true
    )]
    study_name: Option<String>,
}

impl ImportArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let imported = self.read_file()?;
        let Some(name) = self.study_name.clone().or_else(|| imported.name.clone()) else {
            return Err(CommandError::usage(
                format!("`{}` does not name its study", self.file.display()),
                "name it with --study-name",
            ));
        };
        let mut storage =
            self.storage.open_with(Create::MissingOrEmpty, WaitCancellation::default())?;
        let created = match storage.open_study(&name) {
            Err(StorageError::NoSuchStudy { .. }) => {
                if self.study_name.is_some() {
                    check_new_name(&name)?;
                }
                create(&mut *storage, &name, &imported, output)?
            }
            found => {
                found?;
                None
            }
        };
        let record = match created {
            Some(record) => record,
            None => {
                let study = storage.open_study(&name)?;
                add(&mut *storage, &study, imported, output)?
            }
        };
        output.print(&record);
        Ok(ExitCode::Done)
    }

    fn read_file(&self) -> Result<ImportedStudy, CommandError> {
        let bytes = read_bytes(&self.file)?;
        let cannot = |problem: String, help: &str| {
            let file = self.file.display();
            CommandError::usage(format!("`{file}` cannot be imported: {problem}"), help)
        };
        let text = foreign::to_export(bytes).map_err(|it| cannot(it.found.to_owned(), it.help))?;
        exchange::decode(&text).map_err(|problem| {
            cannot(problem, "give what `trialbox study export --format json` wrote")
        })
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, CommandError> {
    let bad =
        |problem: String| CommandError::usage(problem, "give a file, or - for standard input");
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().read_to_end(&mut bytes);
        return read.map(|_| bytes).map_err(|error| bad(format!("cannot read `-`: {error}")));
    }
    read_named(path, MAX_IMPORTED_BYTES).map_err(|error| bad(error.to_string()))
}

/// Creates the study of the file with all trials of the file, in whatever state an export finds them. Returns `None` if
/// another process has created the study meanwhile.
fn create(
    storage: &mut dyn Storage,
    name: &str,
    imported: &ImportedStudy,
    output: &Output,
) -> Result<Option<Imported>, CommandError> {
    let study = new_study(name, imported)?;
    if let Some((trial, n_values)) = other_n_values(&imported.trials, study.directions.len()) {
        output.note(&format!(
            "trial {trial} has {n_values}, but the study has {}: `trialbox doctor` lists such trials",
            counted(study.directions.len() as u64, "objective")
        ));
    }
    let trials: Vec<FrozenTrial> = imported.trials.iter().cloned().map(as_copied).collect();
    match storage.import_study(&study, &trials) {
        Err(StorageError::DuplicateStudy { .. }) => return Ok(None),
        imported => imported?,
    };
    let study = name.to_owned();
    Ok(Some(Imported { study, created: true, n_trials: trials.len(), n_present: 0 }))
}

/// Adds the trials of the file that the study does not have yet.
fn add(
    storage: &mut dyn Storage,
    study: &StudyRecord,
    imported: ImportedStudy,
    output: &Output,
) -> Result<Imported, CommandError> {
    check_directions(study, imported.directions.as_deref())?;
    if let Some((trial, n_values)) = other_n_values(&imported.trials, study.directions.len()) {
        return Err(CommandError::usage(
            format!(
                "trial {trial} of the file has {n_values}, but study `{}` has {}",
                study.name,
                counted(study.directions.len() as u64, "objective")
            ),
            "choose another --study-name",
        ));
    }
    let file = imported.trials;
    let compared = Cell::new(SpaceDifferences::default());
    let n_trials = storage.add_chosen_trials(study.id, &|present| {
        let new = new_trials(&file, present);
        let differences = SpaceDifferences::between(&new, present);
        let chosen = if differences.refused.is_empty() { new } else { Vec::new() };
        compared.set(differences);
        chosen
    })?;
    let differences = compared.into_inner();
    if !differences.refused.is_empty() {
        return Err(CommandError::usage(
            format!(
                "the file and study `{}` have other distributions for the same parameters:\n{}",
                study.name,
                differences.refused.join("\n")
            ),
            "import into a study of its own with another --study-name",
        ));
    }
    for range in differences.ranges {
        output.note(&range);
    }
    let n_present = file.len() - n_trials;
    Ok(Imported { study: study.name.clone(), created: false, n_trials, n_present })
}

/// Checks that the file's study searches in the same directions; a file without the study's line says nothing of them.
fn check_directions(
    study: &StudyRecord,
    in_file: Option<&[StudyDirection]>,
) -> Result<(), CommandError> {
    let Some(in_file) = in_file.filter(|in_file| *in_file != study.directions) else {
        return Ok(());
    };
    let show =
        |all: &[StudyDirection]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(CommandError::usage(
        format!(
            "expected the directions of study `{}` ({}), found {} in the file",
            study.name,
            show(&study.directions),
            show(in_file)
        ),
        "import into a study of its own with another --study-name",
    ))
}

/// Returns the first trial that has values, but not one for each objective, and their number.
fn other_n_values(
    trials: &[FrozenTrial],
    n_objectives: usize,
) -> Option<(trialbox_core::TrialNumber, String)> {
    let is_other =
        |trial: &&FrozenTrial| !trial.values.is_empty() && trial.values.len() != n_objectives;
    let found = trials.iter().find(is_other)?;
    Some((found.number, counted(found.values.len() as u64, "value")))
}

fn new_study(name: &str, imported: &ImportedStudy) -> Result<NewStudy, CommandError> {
    let Some(directions) = imported.directions.clone() else {
        return Err(CommandError::usage(
            format!("study `{name}` does not exist, and the file does not say its directions"),
            "create the study first with `trialbox study create`",
        ));
    };
    Ok(NewStudy {
        name: name.to_owned(),
        directions,
        // No attempt of the new trials has a checkpoint yet.
        user_attrs: imported
            .user_attrs
            .iter()
            .filter(|(key, _)| key != CHECKPOINT_DIR_ATTR)
            .cloned()
            .collect(),
        system_attrs: imported.system_attrs.clone(),
    })
}
