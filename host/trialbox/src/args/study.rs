//! The flags that name a study, and those that it remembers.

use crate::args::objective::DirectionArg;
use crate::args::pruner::PrunerArgs;
use crate::args::sampler::SamplerArgs;
use crate::args::stopping::StoppingArgs;
use crate::study::settings::parse_constraint_format;
use trialbox_core::StudyDirection;
use trialbox_core::study::constraint::ConstraintFormat;

/// The name of a study.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Study")]
pub(crate) struct StudyNameArg {
    /// Name of the study
    ///
    /// [default: `run` and `submit` take the objective's name, other commands the only study of the database]
    /// [env: TRIALBOX_STUDY_NAME]
    #[arg(
        long,
        visible_alias = "optuna-study-name",
        value_name = "NAME",
        env = "TRIALBOX_STUDY_NAME",
        hide_env = true
    )]
    pub(crate) study_name: Option<String>,
}

/// The flags that a study remembers. `run` and `study create` share them.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Study")]
pub(crate) struct StudySettingArgs {
    /// Direction of each objective
    ///
    /// Give it once for each objective. [default: as the objective says, else minimize]
    #[arg(
        long,
        visible_alias = "directions",
        value_name = "minimize|maximize",
        value_enum,
        hide_possible_values = true,
        value_delimiter = ','
    )]
    pub(crate) direction: Vec<DirectionArg>,

    /// Seed of all random numbers of the study
    ///
    /// Remembered by the study. [default: a random one]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Retries of a trial that was interrupted or whose job died
    ///
    /// Attempts that made progress with --checkpoint-dir do not count. Remembered by the study. [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) max_retries: Option<u32>,

    /// Storage format of constraints
    ///
    /// `named` is the format of Optuna 5; Optuna up to 4.9 and the dashboard read `legacy`. Remembered by the study.
    /// [default: named]
    #[arg(long, value_name = "named|legacy", value_parser = parse_constraint_format)]
    pub(crate) constraint_format: Option<ConstraintFormat>,

    #[command(flatten)]
    pub(crate) stopping: StoppingArgs,

    #[command(flatten)]
    pub(crate) sampler: SamplerArgs,

    #[command(flatten)]
    pub(crate) pruner: PrunerArgs,
}

impl StudySettingArgs {
    /// Returns the directions that the flags name.
    pub(crate) fn directions(&self) -> Vec<StudyDirection> {
        self.direction.iter().copied().map(StudyDirection::from).collect()
    }
}
