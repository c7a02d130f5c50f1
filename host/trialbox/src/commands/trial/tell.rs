//! `trialbox trial tell`: records the end of a trial whose objective ran outside the sandbox.

use crate::args::param::parse_param;
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
use std::ffi::OsString;
use trialbox_core::run::ask_tell::{Tell, TellError, Told, tell};
use trialbox_core::seam::storage::{Outcome, TrialBatch, check_name};
use trialbox_core::study::failure::Failure;
use trialbox_core::study::trial::CONSTRAINT_PREFIX;
use trialbox_core::{Clock as _, Json, StudyRecord, TrialNumber, TrialState, UtcDateTime};
use trialbox_program::failure_of_status;
use trialbox_storage::spool::SpooledTell;

#[derive(Debug, clap::Args)]
pub(crate) struct TellArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: Option<u32>,

    /// Same as NUMBER, for scripts written for Optuna's command line
    #[arg(long, value_name = "NUMBER", conflicts_with = "number", hide_short_help = true)]
    trial_number: Option<u32>,

    /// Result, one value for each objective
    ///
    /// `nan`, and any text that is not a number, makes the trial FAIL with that text as its reason.
    #[arg(long, visible_alias = "value", value_name = "VALUE", num_args = 0.., allow_negative_numbers = true)]
    values: Option<Vec<String>>,

    /// Final state [default: complete if the values are a result, else fail]
    #[arg(long, value_name = "complete|pruned|fail", value_parser = parse_told_state)]
    state: Option<TrialState>,

    /// Exit status of the program: with 0 the values count, any other makes the trial FAIL
    ///
    /// In a shell script $?, in Python `returncode`. The reason of the failure names the status, or the signal.
    #[arg(long, value_name = "STATUS", conflicts_with = "state")]
    from_exit: Option<i32>,

    /// An intermediate value
    #[arg(long, value_name = "STEP=VALUE")]
    report: Vec<String>,

    /// An attribute of the trial
    #[arg(long, value_name = "KEY=VALUE")]
    user_attr: Vec<String>,

    /// A constraint, satisfied when its value is <= 0; written in the form that the study remembers
    #[arg(long, value_name = "NAME=VALUE")]
    constraint: Vec<String>,

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

/// The things that are told beside the result, as far as they can be read.
#[derive(Debug, Default)]
struct Beside {
    reports: Vec<(i64, f64)>,
    user_attrs: Vec<(String, Json)>,
    constraints: Vec<(String, f64)>,
    /// The others, each as its flag and the problem.
    faults: Vec<String>,
}

impl Beside {
    /// Reads the flags. A program may have computed them, so a fault in one must not lose the result.
    fn of(args: &TellArgs) -> Self {
        let mut beside = Beside::default();
        let faults = &mut beside.faults;
        beside.reports = readable("--report", &args.report, parse_report, faults);
        beside.user_attrs = readable("--user-attr", &args.user_attr, parse_attr, faults);
        beside.constraints = readable("--constraint", &args.constraint, parse_constraint, faults);
        keep_first("--user-attr", &mut beside.user_attrs, faults);
        keep_first("--constraint", &mut beside.constraints, faults);
        beside
    }

    fn fault(&self, what: &str) -> Result<(), CommandError> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let problem = format!("{what}: {}", self.faults.join("; "));
        Err(CommandError::usage(problem, "write --report STEP=VALUE, --constraint NAME=VALUE"))
    }
}

fn readable<T>(
    flag: &str,
    texts: &[String],
    parse: fn(&str) -> Result<T, String>,
    faults: &mut Vec<String>,
) -> Vec<T> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        match parse(text) {
            Ok(value) => values.push(value),
            Err(problem) => faults.push(format!("{flag}: {problem}")),
        }
    }
    values
}

fn keep_first<T>(flag: &str, values: &mut Vec<(String, T)>, faults: &mut Vec<String>) {
    let mut names: Vec<String> = Vec::with_capacity(values.len());
    values.retain(|(name, _)| {
        let is_new = !names.contains(name);
        match is_new {
            true => names.push(name.clone()),
            false => faults.push(format!("{flag} {name} was given twice")),
        }
        is_new
    });
}

impl TellArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        let number = self.check()?;
        let beside = Beside::of(&self);
        if self.values.is_none() {
            // There is no result to lose, and the values beside it may decide over one.
            beside.fault(&format!("trial {number} is not told"))?;
        }
        let at = SystemClock::new().utc_now();
        match self.record(number, &beside, at, output) {
            Err(error) if error.may_pass() => Err(self.keep(number, &beside, at, error)),
            Err(error) => Err(error),
            Ok(exit) => {
                beside.fault(&format!("trial {number} is told without what cannot be read"))?;
                Ok(exit)
            }
        }
    }

    /// Records the result.
    fn record(
        &self,
        number: TrialNumber,
        beside: &Beside,
        at: UtcDateTime,
        output: &Output,
    ) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let told = self.told(&study, beside)?;
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
                if self.reason.is_some() && failure.is_none() {
                    let state = outcome.state();
                    output.note(&format!("the reason is not recorded: the trial is {state}"));
                }
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
        if self.values.is_none() && self.state.is_none() && self.from_exit.is_none() {
            return Err(CommandError::usage(
                format!("expected the result of trial {number}"),
                "give it with --values, or end the trial with --state pruned or --state fail",
            ));
        }
        Ok(number)
    }

    /// Returns the end of the trial as the storage takes it.
    fn told(&self, study: &StudyRecord, beside: &Beside) -> Result<Tell, CommandError> {
        let mut tell = self.tell(beside);
        constraint_format(study)?.write(&beside.constraints, &mut tell.batch);
        Ok(tell)
    }

    /// Returns the end of the trial without its constraints, whose form only the study knows.
    fn tell(&self, beside: &Beside) -> Tell {
        let failed = self.from_exit.filter(|status| *status != 0);
        let (values, no_value) = match self.values.as_deref().map(parse_values) {
            // A program that fails has no result, whatever it printed.
            _ if failed.is_some() => (vec![], None),
            Some(Ok(values)) => (values, None),
            Some(Err(text)) => (vec![], Some(text)),
            None if self.from_exit.is_some() => (vec![], Some(String::new())),
            None => (vec![], None),
        };
        Tell {
            values,
            no_value,
            state: self.state.or(failed.map(|_| TrialState::Fail)),
            owner: self.owner.clone(),
            batch: TrialBatch {
                intermediate_values: beside.reports.clone(),
                user_attrs: beside.user_attrs.clone(),
                ..TrialBatch::default()
            },
            reason: self.reason.clone().or_else(|| failed.map(failure_of_status)),
            skip_if_finished: self.skip_if_finished,
        }
    }

    /// Saves a result whose trial could not be read in a file, and returns the error with its place.
    fn keep(
        &self,
        number: TrialNumber,
        beside: &Beside,
        at: UtcDateTime,
        error: CommandError,
    ) -> CommandError {
        let told = SpooledTell {
            study: self.study.study_name().map(str::to_owned),
            number,
            tell: self.tell(beside),
            constraints: beside.constraints.clone(),
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

/// Reads the result of a program, as its standard output has it: blanks separate values and surround them. Returns the
/// text if it is not a list of numbers. The text is the program's and not the user's, so it is not a usage error, after
/// which the trial would stay RUNNING.
fn parse_values(texts: &[String]) -> Result<Vec<f64>, String> {
    let words = texts.iter().flat_map(|text| text.split_whitespace());
    let values: Option<Vec<f64>> = words.map(|word| word.parse().ok()).collect();
    values.filter(|values| !values.is_empty()).ok_or_else(|| texts.join(" "))
}

/// Joins the value of `--values` with its flag where the parser would take it for a flag: `-inf`, or a line that starts
/// with a hyphen.
pub(crate) fn join_values(arguments: Vec<OsString>) -> Vec<OsString> {
    if !arguments.iter().any(|argument| argument == "tell") {
        return arguments;
    }
    let mut joined: Vec<OsString> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let flag = joined.last().and_then(|last| last.to_str());
        let flag = flag.filter(|flag| ["--values", "--value"].contains(flag)).map(str::to_owned);
        match (flag, argument.to_str()) {
            (Some(flag), Some(value)) if value.starts_with('-') && !is_flag(value) => {
                joined.pop();
                joined.push(format!("{flag}={value}").into());
            }
            // A further value of the same flag.
            (None, Some(value)) if is_negative_word(value) => {
                joined.push(format!("--values={value}").into());
            }
            _ => joined.push(argument),
        }
    }
    joined
}

/// Returns whether the text looks like a flag: `-q`, `--owner` or `--owner=TOKEN`.
fn is_flag(text: &str) -> bool {
    let name = text.split_once('=').map_or(text, |(name, _)| name);
    let is_long = name.strip_prefix("--").is_some_and(|name| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    });
    is_long || ["-q", "-v", "-h"].contains(&text)
}

/// Returns whether the text is a number such as `-inf` or `-nan`, which the parser takes for a flag.
fn is_negative_word(text: &str) -> bool {
    text.starts_with('-') && text.parse::<f64>().is_ok_and(|value| !value.is_finite())
}

fn parse_told_state(text: &str) -> Result<TrialState, String> {
    match TrialState::parse(&text.to_uppercase()) {
        Some(state) if state.is_finished() => Ok(state),
        _ => Err(format!("expected complete, pruned or fail, found `{text}`")),
    }
}

fn parse_attr(text: &str) -> Result<(String, Json), String> {
    let (key, value) = parse_param(text)?;
    check_name("user attribute key", &key).map_err(|error| error.to_string())?;
    Ok((key, value))
}

fn parse_constraint(text: &str) -> Result<(String, f64), String> {
    // A name may hold the sign, a number does not.
    let parsed = text.rsplit_once('=').and_then(|(name, value)| {
        let value = value.trim().parse().ok().filter(|value: &f64| !value.is_nan());
        Some((name.to_owned(), value?))
    });
    if let Some((name, _)) = &parsed {
        let stored = format!("{CONSTRAINT_PREFIX}{name}");
        check_name("constraint name with its prefix", &stored)
            .map_err(|error| error.to_string())?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_is_its_values_or_the_reason_of_a_failure() {
        let values = |texts: &[&str]| {
            parse_values(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
        };
        for (text, want) in [
            ("0.5", 0.5),
            ("0.5\r", 0.5),
            (" -2.5e-1\n", -0.25),
            ("-inf", f64::NEG_INFINITY),
            ("+1", 1.0),
        ] {
            assert_eq!(values(&[text]), Ok(vec![want]), "{text:?}");
        }
        assert_eq!(values(&["0.5 0.6"]), Ok(vec![0.5, 0.6]));
        assert_eq!(values(&["0.5", "0.6"]), Ok(vec![0.5, 0.6]));
        assert!(values(&["nan"]).is_ok_and(|values| values[0].is_nan()));
        for text in
            ["None", "", " ", "0,92", "epoch 1: loss 0.5", "loading data\n0.5", "tensor(0.5)"]
        {
            assert_eq!(values(&[text]), Err(text.to_owned()));
        }
        assert_eq!(values(&[]), Err(String::new()));
    }

    #[test]
    fn a_value_with_a_hyphen_belongs_to_its_flag() {
        for (given, want) in [
            (vec!["tell", "3", "--values", "-inf"], vec!["tell", "3", "--values=-inf"]),
            (
                vec!["tell", "--values", "0.5", "-inf"],
                vec!["tell", "--values", "0.5", "--values=-inf"],
            ),
            (vec!["tell", "--value", "- epoch 1"], vec!["tell", "--value=- epoch 1"]),
            (vec!["tell", "--values", "--- done"], vec!["tell", "--values=--- done"]),
            (vec!["tell", "--values", "--owner", "t"], vec!["tell", "--values", "--owner", "t"]),
            (vec!["tell", "--values", "1", "-q"], vec!["tell", "--values", "1", "-q"]),
            (vec!["run", "--values", "-inf"], vec!["run", "--values", "-inf"]),
        ] {
            let given = given.into_iter().map(OsString::from).collect();
            assert_eq!(join_values(given), want);
        }
    }
}
