//! `trialbox study create`: makes a study.

use crate::args::objective::count_directions;
use crate::args::storage::StorageArgs;
use crate::args::study::{StudyNameArg, StudySettingArgs, check_new_name};
use crate::commands::submit::shell_quote;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::settings::SettingFlags;
use crate::view::output::Output;
use crate::view::record::{Rendered, StudyOverview};
use trialbox_core::study::record::{METRIC_NAMES, NewStudy};
use trialbox_core::{Json, StorageError, StudyDirection};
use trialbox_storage::{Create, WaitCancellation};

#[derive(Debug, clap::Args)]
#[command(
    mut_arg("study_name", |arg| arg.required(true)),
    mut_arg("direction", |arg| arg.num_args(1..)),
)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    storage: StorageArgs,

    #[command(flatten)]
    name: StudyNameArg,

    /// Name of each objective, in the order of the directions
    #[arg(long, value_name = "NAME", num_args = 1..)]
    metric_name: Vec<String>,

    #[command(flatten)]
    settings: StudySettingArgs,

    /// Do nothing if the study exists
    #[arg(long)]
    skip_if_exists: bool,
}

impl CreateArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        // The parser requires it.
        let name = self.name.study_name.clone().unwrap_or_default();
        check_new_name(&name)?;
        let mut directions = self.settings.directions();
        if directions.is_empty() {
            directions.push(StudyDirection::Minimize);
        }
        if !self.metric_name.is_empty() && self.metric_name.len() != directions.len() {
            return Err(CommandError::usage(
                format!(
                    "{} given with --metric-name, and the study has {}",
                    match self.metric_name.len() {
                        1 => "1 name is".to_owned(),
                        n => format!("{n} names are"),
                    },
                    count_directions(&directions)
                ),
                "give one --metric-name for each --direction, or none",
            ));
        }
        let settings = SettingFlags::new(&self.settings.explicit(None)?);
        settings.check_rules(&directions)?;
        let names = Json::Array(self.metric_name.iter().cloned().map(Json::from).collect());
        let study = NewStudy {
            name: name.clone(),
            directions: directions.clone(),
            user_attrs: settings.attributes_of_new_study(),
            system_attrs: if self.metric_name.is_empty() {
                vec![]
            } else {
                vec![(METRIC_NAMES.to_owned(), names)]
            },
        };
        let mut storage =
            self.storage.open_with(Create::MissingOrEmpty, WaitCancellation::default())?;
        let created = match storage.create_study(&study) {
            Err(StorageError::DuplicateStudy { .. }) if self.skip_if_exists => {
                let found = storage.open_study(&name)?;
                if found.directions != directions {
                    return Err(CommandError::usage(
                        format!(
                            "study `{}` exists with {}, expected {}",
                            found.name,
                            count_directions(&found.directions),
                            count_directions(&directions)
                        ),
                        "choose another --study-name",
                    ));
                }
                false
            }
            other => other.map(|_| true)?,
        };
        let studies = storage.list_studies()?;
        if let Some(summary) = studies.iter().find(|found| found.study.name == name) {
            let record = StudyOverview::of(summary).with_created(created);
            output.print(&Rendered::new(&name, record));
        }
        if created {
            output.note(&format!("to watch it: optuna-dashboard {}", shell_quote(storage.url())));
        }
        Ok(ExitCode::Done)
    }
}
