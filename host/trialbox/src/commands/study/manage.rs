//! `trialbox study copy | rename | delete | set-attr | snapshot | sync`: changes studies as a whole.

use crate::args::param::{check_unique, parse_param};
use crate::args::storage::{NamedStudyArgs, StorageArgs, StudyArgs};
use crate::args::study::check_new_name;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::recovery::{Synced, sync_spool, synced_record, synced_text};
use crate::view::exchange::as_copied;
use crate::view::output::Output;
use crate::view::record::{AttributesSet, Copied, Deleted, Renamed, Rendered, SnapshotRecord};
use crate::worker::checkpoint::CHECKPOINT_DIR_ATTR;
use std::path::PathBuf;
use trialbox_core::seam::storage::StudyAttrs;
use trialbox_core::study::record::NewStudy;
use trialbox_core::study::stopping::STOP_ATTR;
use trialbox_core::value::text::counted;
use trialbox_core::{Json, Storage, StorageError};
use trialbox_storage::{Create, WaitCancellation};

#[derive(Debug, clap::Args)]
pub(crate) struct CopyArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// The copy's name [default: the same, in another database]
    #[arg(long, value_name = "NAME")]
    to_study_name: Option<String>,

    /// The copy's database [default: the same]
    #[arg(long, value_name = "URL|PATH")]
    to_storage: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RenameArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The study and its new name; with --study-name, or of the only study, the new name alone
    #[arg(value_name = "NAME", num_args = 1..=2, required = true)]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    study: NamedStudyArgs,

    /// Delete it even if trials are RUNNING
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SetAttrArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// An attribute; text that is no JSON value is taken as a string
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = parse_param)]
    attrs: Vec<(String, Json)>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    storage: StorageArgs,

    /// The copy, a file that must not exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    storage: StorageArgs,
}

impl CopyArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        if self.to_study_name.is_none() && self.to_storage.is_none() {
            return Err(CommandError::usage(
                "the copy needs another name than its original",
                "give it another with --to-study-name, or another database with --to-storage",
            ));
        }
        if let Some(name) = &self.to_study_name {
            check_new_name(name)?;
        }
        let (mut source, name) = self.study.open()?;
        let study = source.open_study(&name)?;
        let trials: Vec<_> = source.trials(study.id)?.into_iter().map(as_copied).collect();
        let copy = NewStudy {
            name: self.to_study_name.unwrap_or_else(|| study.name.clone()),
            directions: study.directions,
            // The copy is to continue, and no attempt of its trials has a checkpoint yet.
            user_attrs: study
                .user_attrs
                .into_iter()
                .filter(|(key, _)| ![STOP_ATTR, CHECKPOINT_DIR_ATTR].contains(&key.as_str()))
                .collect(),
            system_attrs: study.system_attrs.into_iter().collect(),
        };
        let mut other = match &self.to_storage {
            Some(url) => {
                drop(source);
                self.study
                    .storage()
                    .at(url)
                    .open_with(Create::MissingOrEmpty, WaitCancellation::default())?
            }
            None => source,
        };
        other
            .import_study(&copy, &trials)
            .map_err(|error| name_is_taken(error, "--to-study-name"))?;
        output.print(&Copied {
            study: copy.name,
            storage: other.url().to_owned(),
            n_trials: trials.len(),
            source: study.name,
        });
        Ok(ExitCode::Done)
    }
}

impl RenameArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name, new_name) = match &self.names[..] {
            [name, new_name] => {
                let (storage, name) = self.study.clone().named(name).open()?;
                (storage, name, new_name.clone())
            }
            names => {
                let (storage, name) = self.study.open()?;
                (storage, name, names.concat())
            }
        };
        let study = storage.open_study(&name)?;
        check_new_name(&new_name)?;
        storage
            .rename_study(study.id, &new_name)
            .map_err(|error| name_is_taken(error, "the new name"))?;
        output.print(&Renamed { study: new_name, was: study.name });
        Ok(ExitCode::Done)
    }
}

impl DeleteArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open_named()?;
        let study = storage.open_study(&name)?;
        let n_running = storage.running_trials(study.id)?.len();
        if n_running > 0 && !self.force {
            return Err(CommandError::usage(
                format!(
                    "{} of study `{}` {} RUNNING",
                    counted(n_running as u64, "trial"),
                    study.name,
                    if n_running == 1 { "is" } else { "are" }
                ),
                "end their jobs first and run `trialbox reap`, or add --force",
            ));
        }
        storage.delete_study(study.id)?;
        output.print(&Deleted { study: study.name });
        Ok(ExitCode::Done)
    }
}

/// Turns the error of a name that is taken into one with advice for this command.
fn name_is_taken(error: StorageError, what: &str) -> CommandError {
    let is_taken = matches!(error, StorageError::DuplicateStudy { .. });
    let mut error = CommandError::from(error);
    if is_taken {
        error.help =
            Some(format!("change {what}; `trialbox study list` lists the names that are taken"));
    }
    error
}

impl SetAttrArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        check_unique("the attribute", &self.attrs)?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let attrs = StudyAttrs { user: self.attrs.clone(), ..StudyAttrs::default() };
        storage.set_study_attrs(study.id, &attrs)?;
        let shown: Vec<String> =
            self.attrs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let text = format!("study `{name}`: {}", shown.join(", "));
        let keys = self.attrs.into_iter().map(|(key, _)| key).collect();
        output.print(&Rendered::new(text, AttributesSet { study: name, keys }));
        Ok(ExitCode::Done)
    }
}

impl SnapshotArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        if self.file.exists() {
            return Err(CommandError::usage(
                format!("`{}` exists", self.file.display()),
                "choose another name: a snapshot does not overwrite files",
            ));
        }
        let mut storage = self.storage.open()?;
        storage.snapshot(&self.file)?;
        output.print(&SnapshotRecord {
            storage: storage.url().to_owned(),
            file: self.file.display().to_string(),
        });
        Ok(ExitCode::Done)
    }
}

impl SyncArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let Some(spool) = self.storage.spool() else {
            return Err(CommandError::usage(
                format!("no results wait for `{}`", self.storage.shown_url()),
                "name a database file or a server with --storage",
            ));
        };
        let mut storage: Box<dyn Storage> = self.storage.open()?;
        let synced = sync_spool(storage.as_mut(), &spool, None);
        for result in &synced {
            output.print(&Rendered::new(synced_text(result), synced_record(result)));
        }
        if synced.is_empty() {
            output.note("no results wait in files");
        }
        let is_left = synced.iter().any(Synced::is_left);
        Ok(if is_left { ExitCode::Storage } else { ExitCode::Done })
    }
}
