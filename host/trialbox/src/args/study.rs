//! The flags that name a study, and those that it remembers.

use crate::args::limit::to_remember;
use crate::args::objective::{DirectionArg, ObjectiveArgs};
use crate::args::pruner::PrunerArgs;
use crate::args::sampler::SamplerArgs;
use crate::args::stopping::StoppingArgs;
use crate::error::CommandError;
use crate::study::explicit::{ExplicitSandbox, ExplicitSettings};
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

const EMPTY_NAME: &str = "expected the name of a study, found an empty one";
const EMPTY_NAME_HELP: &str =
    "is a variable of the shell not set? TRIALBOX_STUDY_NAME= is an empty name too; unset it";

/// Checks the name of a study that is to be created. Studies of other programs keep the names that they have.
///
/// # Errors
/// An empty name, and one with a line break or another control character, which tables, logs and scripts cannot hold.
pub(crate) fn check_new_name(name: &str) -> Result<(), CommandError> {
    if name.trim().is_empty() {
        return Err(CommandError::usage(EMPTY_NAME, EMPTY_NAME_HELP));
    }
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    match name.contains(breaks) {
        true => Err(CommandError::usage(
            format!("expected a name of one line for a new study, found `{name}`"),
            "leave out line breaks and other control characters",
        )),
        false => Ok(()),
    }
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
    /// Returns the explicit values of the flags, with those about the sandbox if the command has them.
    ///
    /// # Errors
    /// Fails if the options of the sampler or of the pruner do not fit it.
    pub(crate) fn explicit(
        &self,
        sandbox: Option<&ObjectiveArgs>,
    ) -> Result<ExplicitSettings, CommandError> {
        let sandbox = match sandbox {
            Some(sandbox) => ExplicitSandbox {
                max_memory_bytes: sandbox.max_memory,
                trial_timeout: sandbox.trial_timeout,
                limits: to_remember(&sandbox.limit, sandbox.fuel),
                deterministic: sandbox.deterministic,
            },
            None => ExplicitSandbox::default(),
        };
        Ok(ExplicitSettings {
            seed: self.seed,
            sampler: self.sampler.config()?,
            pruner: self.pruner.config()?,
            max_retries: self.max_retries,
            constraint_format: self.constraint_format,
            max_trials: self.stopping.max_trials.clone(),
            stop_when_value: self.stopping.stop_when_value.clone(),
            patience: self.stopping.patience.clone(),
            sandbox,
        })
    }

    /// Returns the directions that the flags name.
    pub(crate) fn directions(&self) -> Vec<StudyDirection> {
        self.direction.iter().copied().map(StudyDirection::from).collect()
    }
}

/// Reads a format of constraints on the command line.
fn parse_constraint_format(text: &str) -> Result<ConstraintFormat, String> {
    ConstraintFormat::parse(text).ok_or_else(|| format!("expected named or legacy, found `{text}`"))
}
