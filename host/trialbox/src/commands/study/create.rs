//! `trialbox study create`: makes a study.

use crate::args::objective::{DirectionArg, count_directions};
use crate::args::pruner::PrunerArgs;
use crate::args::sampler::SamplerArgs;
use crate::args::stopping::StoppingArgs;
use crate::args::storage::StorageArgs;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::settings::{SettingFlags, parse_constraint_format};
use crate::view::output::Output;
use crate::view::record::{Rendered, StudyOverview};
use trialbox_core::study::constraint::ConstraintFormat;
use trialbox_core::study::record::{METRIC_NAMES, NewStudy};
use trialbox_core::{Json, StorageError, StudyDirection};
use trialbox_storage::{Create, WaitCancellation};

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    storage: StorageArgs,

    /// The study's name
    #[arg(
        long,
        visible_alias = "optuna-study-name",
        value_name = "NAME",
        env = "TRIALBOX_STUDY_NAME",
        hide_env_values = true
    )]
    study_name: String,

    /// Whether small or large values are good, once for each objective [default: minimize]
    #[arg(long, visible_alias = "directions", value_name = "minimize|maximize", value_enum, hide_possible_values = true, num_args = 1..)]
    direction: Vec<DirectionArg>,

    /// The objectives' names, one for each direction
    #[arg(long, value_name = "NAME", num_args = 1..)]
    metric_name: Vec<String>,

    #[command(flatten)]
    sampler: SamplerArgs,

    #[command(flatten)]
    pruner: PrunerArgs,

    /// The seed, from which each trial's random numbers follow [default: a random one]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// How often a trial is tried again that was interrupted by the scheduler or whose job is gone [default: 3]
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,

    /// How constraints are written: `named` as by Optuna 5, or `legacy`, the list that Optuna up to 4.9 and the
    /// dashboard read [default: named]
    #[arg(long, value_name = "named|legacy", value_parser = parse_constraint_format)]
    constraint_format: Option<ConstraintFormat>,

    #[command(flatten)]
    stopping: StoppingArgs,

    /// Do nothing if there is a study of that name
    #[arg(long)]
    skip_if_exists: bool,
}

impl CreateArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let mut directions: Vec<StudyDirection> =
            self.direction.iter().map(|direction| (*direction).into()).collect();
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
        self.stopping.check(&directions)?;
        let settings = SettingFlags {
            seed: self.seed,
            sampler: self.sampler.config()?,
            pruner: self.pruner.config()?,
            max_retries: self.max_retries,
            stopping: self.stopping.clone(),
            constraint_format: self.constraint_format,
            ..SettingFlags::default()
        };
        let names = Json::Array(self.metric_name.iter().cloned().map(Json::from).collect());
        let study = NewStudy {
            name: self.study_name.clone(),
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
                let found = storage.open_study(&self.study_name)?;
                if found.directions != directions {
                    return Err(CommandError::usage(
                        format!(
                            "there is already a study `{}`, and it has {} rather than {}",
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
        if let Some(summary) = studies.iter().find(|found| found.study.name == self.study_name) {
            let record = StudyOverview::of(summary).with_created(created);
            output.print(&Rendered::new(&self.study_name, record));
        }
        if created {
            output.note(&format!("to watch it: optuna-dashboard {}", storage.url()));
        }
        Ok(ExitCode::Done)
    }
}
