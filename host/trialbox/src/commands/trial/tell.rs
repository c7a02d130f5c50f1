//! `trialbox trial tell`: records the end of a trial whose objective ran outside the sandbox.

use crate::args::param::{check_unique, parse_param};
use crate::args::storage::StudyArgs;
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::recovery::{spool_result, spool_told};
use crate::study::settings::constraint_format;
use crate::view::failure::failure_message;
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{self, Rendered, Skipped, floats};
use trialbox_core::run::ask_tell::{Tell, TellError, Told, tell};
use trialbox_core::seam::storage::{Outcome, TrialBatch, check_name};
use trialbox_core::study::failure::Failure;
use trialbox_core::study::trial::CONSTRAINT_PREFIX;
use trialbox_core::{Clock as _, Json, StudyRecord, TrialNumber, TrialState, UtcDateTime};
use trialbox_storage::spool::SpooledTell;

#[derive(Debug, clap::Args)]
pub(crate) struct TellArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: Option<u32>,

    /// The same, for scripts written for Optuna
    #[arg(long, value_name = "NUMBER", conflicts_with = "number", hide_short_help = true)]
    trial_number: Option<u32>,

    /// Result, one value for each objective
    ///
    /// `nan` makes the trial FAIL. Write minus infinity as `--values=-inf`.
    #[arg(long, visible_alias = "value", value_name = "VALUE", num_args = 1.., allow_negative_numbers = true)]
    values: Vec<f64>,

    /// Final state [default: complete if the values are a result, else fail]
    #[arg(long, value_name = "complete|pruned|fail", value_parser = parse_told_state)]
    state: Option<TrialState>,

    /// An intermediate value
    #[arg(long, value_name = "STEP=VALUE", value_parser = parse_report)]
    report: Vec<(i64, f64)>,

    /// An attribute of the trial
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_param)]
    user_attr: Vec<(String, Json)>,

    /// A constraint, satisfied when its value is <= 0; written in the form that the study remembers
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_constraint)]
    constraint: Vec<(String, f64)>,

    /// Reason of the failure
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// The token that `ask` printed: only the attempt with this token is told
    #[arg(long, value_name = "TOKEN")]
    owner: Option<String>,

    /// Do nothing if the trial has already finished
    #[arg(long)]
    skip_if_finished: bool,
}

impl TellArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        let number = self.check()?;
        let at = SystemClock::new().utc_now();
        match self.record(number, at, output) {
            Err(error) if error.may_pass() => Err(self.keep(number, at, error)),
            done => done,
        }
    }

    /// Records the result.
    fn record(&self, number: TrialNumber, at: UtcDateTime, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let told = self.told(&study)?;
        let result = tell(storage.as_mut(), &study, number, &told, at);
        match result.map_err(|error| self.explain(error, &name))? {
            Told::Recorded { outcome, failure } => {
                let record = record::Told {
                    study: name,
                    number: number.0,
                    state: outcome.state().as_str(),
                    values: floats(outcome.values()),
                };
                let text = told_text(&study, number, &outcome, failure.as_ref());
                output.print(&Rendered::new(text, record));
            }
            Told::Skipped(state) => {
                output.print(&Skipped { study: name, number: number.0, state: state.as_str() });
            }
        }
        Ok(ExitCode::Done)
    }

    /// Returns the trial's number, if the flags say a trial and its end.
    fn check(&self) -> Result<TrialNumber, CommandError> {
        let Some(number) = self.number.or(self.trial_number).map(TrialNumber) else {
            return Err(CommandError::usage(
                "expected the number of a trial",
                "give it first: trialbox trial tell 3 --values 0.92",
            ));
        };
        check_unique("--user-attr", &self.user_attr)?;
        if self.values.is_empty() && self.state.is_none() {
            return Err(CommandError::usage(
                format!("expected the result of trial {number}"),
                "give it with --values, or end the trial with --state pruned or --state fail",
            ));
        }
        for (index, (name, _)) in self.constraint.iter().enumerate() {
            check_name("constraint name with its prefix", &format!("{CONSTRAINT_PREFIX}{name}"))?;
            if self.constraint[..index].iter().any(|(earlier, _)| earlier == name) {
                let problem = format!("--constraint {name} was given twice");
                return Err(CommandError::usage(problem, "give it once"));
            }
        }
        Ok(number)
    }

    /// Returns the end of the trial as the storage takes it.
    fn told(&self, study: &StudyRecord) -> Result<Tell, CommandError> {
        let mut tell = self.tell();
        constraint_format(study)?.write(&self.constraint, &mut tell.batch);
        Ok(tell)
    }

    /// Returns the end of the trial without its constraints, whose form only the study knows.
    fn tell(&self) -> Tell {
        Tell {
            values: self.values.clone(),
            state: self.state,
            owner: self.owner.clone(),
            batch: TrialBatch {
                intermediate_values: self.report.clone(),
                user_attrs: self.user_attr.clone(),
                ..TrialBatch::default()
            },
            reason: self.reason.clone(),
            skip_if_finished: self.skip_if_finished,
        }
    }

    /// Saves a result whose trial could not be read in a file, and returns the error with its place.
    fn keep(&self, number: TrialNumber, at: UtcDateTime, error: CommandError) -> CommandError {
        let told = SpooledTell {
            study: self.study.study_name().map(str::to_owned),
            number,
            tell: self.tell(),
            constraints: self.constraint.clone(),
            at,
        };
        let place = spool_told(self.study.storage.spool().as_ref(), &told);
        let what = format!("the result of trial {number} could not be recorded");
        CommandError { error: error.error.context(what), help: Some(place), ..error }
    }

    /// Turns an error into the command's. A result that could not be recorded is saved in a file, as `run` does.
    fn explain(&self, error: TellError, study: &str) -> CommandError {
        let saved = match &error {
            TellError::NotRecorded { trial, .. } => {
                Some(spool_result(self.study.storage.spool().as_ref(), study, trial))
            }
            _ => None,
        };
        let mut error = CommandError::from(error);
        error.help = saved.or(error.help);
        error
    }
}

fn told_text(
    study: &StudyRecord,
    number: TrialNumber,
    outcome: &Outcome,
    failure: Option<&Failure>,
) -> String {
    let mut text = format!("trial {number} is {}", outcome.state());
    if !outcome.values().is_empty() {
        text.push_str(&format!(": {}", show_values(study, outcome.values())));
    }
    if let Some(failure) = failure {
        text.push_str(&format!(": {}", failure_message(failure)));
    }
    text
}

fn parse_told_state(text: &str) -> Result<TrialState, String> {
    match TrialState::parse(&text.to_uppercase()) {
        Some(state) if state.is_finished() => Ok(state),
        _ => Err(format!("expected complete, pruned or fail, found `{text}`")),
    }
}

fn parse_constraint(text: &str) -> Result<(String, f64), String> {
    // A name may hold the sign, a number does not.
    let parsed = text.rsplit_once('=').and_then(|(name, value)| {
        let value = value.trim().parse().ok().filter(|value: &f64| !value.is_nan());
        Some((name.to_owned(), value?))
    });
    parsed.ok_or_else(|| {
        format!("expected NAME=VALUE with a number, such as size=-0.5, found `{text}`")
    })
}

fn parse_report(text: &str) -> Result<(i64, f64), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(step, value)| Some((step.trim().parse().ok()?, value.trim().parse().ok()?)));
    parsed.ok_or_else(|| format!("expected STEP=VALUE, such as 10=0.5, found `{text}`"))
}
