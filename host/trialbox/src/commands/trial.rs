//! `trialbox trial`: single trials, and trials whose objective runs outside the sandbox.

use super::replay::{self, ReplayArgs};
use crate::args::param::{check_unique, parse_param};
use crate::args::stopping::StoppingArgs;
use crate::args::storage::{StudyArgs, parse_duration};
use crate::clock::SystemClock;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::budget::stop_text;
use crate::study::owner::owner_of_ask;
use crate::study::recovery::{DEFAULT_GRACE, Reaping, recover, spool_result};
use crate::study::settings::{SettingFlags, constraint_format};
use crate::view;
use crate::view::finished::show_usage;
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{Rendered, TrialRecord};
use crate::view::trial::{show_constraint, show_duration, show_float, show_value};
use serde_json::json;
use std::time::Duration;
use trialbox_core::run::ask_tell::{Asked, Tell, TellError, Told, ask, tell};
use trialbox_core::seam::pruner::NopPruner;
use trialbox_core::seam::storage::{BeginTrial, EnqueueTrial, TrialBatch, check_name};
use trialbox_core::session::{OnDeadline, SessionLimits, TrialContext};
use trialbox_core::study::constraint::is_constraint_attr;
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::stopping::{StopReason, stop_reason};
use trialbox_core::study::trial::{CONSTRAINT_PREFIX, format_datetime};
use trialbox_core::study::usage::{USAGE_ATTR, Usage};
use trialbox_core::{
    Clock as _, Distribution, FrozenTrial, History, Json, StorageError, StudyRecord, TrialNumber,
    TrialState,
};

/// Enqueue, ask for, tell, show and replay single trials.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TrialCommand {
    /// Queue a trial with parameters of your choice, for the next job to run
    #[command(
        after_help = "Examples:\n  trialbox trial enqueue --param lr=0.1 --param depth=3\n  trialbox trial enqueue --param activation=tanh --skip-if-exists --user-attr why=baseline"
    )]
    Enqueue(EnqueueArgs),
    /// Take a trial whose objective runs outside the sandbox; prints its number and parameters as JSON, or nothing
    /// if the study has ended or is stopped
    #[command(after_help = ASK_EXAMPLES)]
    Ask(AskArgs),
    /// End a trial that was asked for
    #[command(
        after_help = "Examples:\n  trialbox trial tell 3 --values 0.92\n  trialbox trial tell 4 --state fail --reason 'out of memory'\n  trialbox trial tell 5 --state pruned --report 1=0.5 --report 2=0.4\n  trialbox trial tell 6 --values 0.92 1.4e6 --constraint seconds=-12.5"
    )]
    Tell(TellArgs),
    /// Run a recorded trial again, and say whether it comes out the same
    #[command(after_help = replay::EXAMPLES)]
    Replay(ReplayArgs),
    /// Show one trial
    #[command(
        after_help = "Examples:\n  trialbox trial show 3\n  trialbox trial show 3 --format json | jq .system_attrs"
    )]
    Show(ShowArgs),
}

const ASK_EXAMPLES: &str = "\
Examples:
  trialbox trial ask --search-space '{\"lr\": {\"type\": \"float\", \"low\": 1e-5, \"high\": 0.1, \"log\": true}}'

  In an array job, with any program that prints its result:
    asked=$(trialbox trial ask --max-trials 100 --owner-pid $$ --search-space \"$(cat space.json)\") || exit
    [ -n \"$asked\" ] || exit 0                                  # the study is complete
    value=$(python train.py --params \"$(jq -c .params <<< \"$asked\")\")
    trialbox trial tell \"$(jq .number <<< \"$asked\")\" --values \"$value\" --owner \"$(jq -r .owner <<< \"$asked\")\"";

#[derive(Debug, clap::Args)]
pub(crate) struct EnqueueArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// A parameter's value; text that is no JSON value is taken as a string. Others are sampled
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_param)]
    param: Vec<(String, Json)>,

    /// An attribute of the trial
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_param)]
    user_attr: Vec<(String, Json)>,

    /// Do nothing if the study has a trial with the same parameters
    #[arg(long)]
    skip_if_exists: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The parameters to suggest: a JSON object of distributions, as Optuna's command line takes it
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = parse_search_space)]
    search_space: SpaceArg,

    #[command(flatten)]
    stopping: StoppingArgs,

    /// Let --max-trials, --stop-when-value and --patience change a study that remembers others
    #[arg(long = "override")]
    overrule: bool,

    /// The process that will tell, in a shell script $$. When it is gone, the next job on the same machine ends
    /// the trial and queues it again; without, or from another machine, nobody can know: `trialbox reap --trial`
    #[arg(long, value_name = "PID")]
    owner_pid: Option<u32>,

    /// How long the heartbeat of another job's trial must stand still before the trial counts as lost
    #[arg(long, value_name = "TIME", default_value = DEFAULT_GRACE, value_parser = parse_duration, hide_short_help = true)]
    grace: Duration,
}

/// Parameters in the order given.
#[derive(Debug, Clone)]
struct SpaceArg(Vec<(String, Distribution)>);

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

    /// The result, one value for each objective; `nan` makes the trial FAIL, minus infinity is written `--values=-inf`
    #[arg(long, visible_alias = "value", value_name = "VALUE", num_args = 1.., allow_negative_numbers = true)]
    values: Vec<f64>,

    /// How it ended [default: complete if the values make a result, else fail]
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

    /// Why it failed
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,

    /// The token that `ask` printed: then only that attempt can tell
    #[arg(long, value_name = "TOKEN")]
    owner: Option<String>,

    /// Do nothing if the trial has ended already
    #[arg(long)]
    skip_if_finished: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: u32,
}

impl TrialCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            TrialCommand::Enqueue(args) => args.run(output),
            TrialCommand::Ask(args) => args.run(output),
            TrialCommand::Tell(args) => args.run(output),
            TrialCommand::Show(args) => args.run(output),
            TrialCommand::Replay(args) => args.run(output),
        }
    }
}

impl EnqueueArgs {
    fn run(self, output: &Output) -> CommandResult {
        check_unique("--param", &self.param)?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trial = EnqueueTrial {
            params: self.param,
            user_attrs: self.user_attr,
            skip_if_exists: self.skip_if_exists,
        };
        let number = storage.enqueue_trial(study.id, &trial)?;
        let text = match number {
            Some(number) => format!("trial {number} waits in study `{name}`"),
            None => format!("study `{name}` has a trial with these parameters; nothing was queued"),
        };
        output.result(&text, || {
            json!({ "event": "enqueued", "study": name, "number": number.map(|number| number.0) })
        });
        Ok(ExitCode::Done)
    }
}

impl AskArgs {
    fn run(self, output: &Output) -> CommandResult {
        // Before a trial is begun for it.
        for (name, _) in &self.search_space.0 {
            check_name("parameter name", name)?;
        }
        let owner = owner_of_ask(self.owner_pid)?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let flags = SettingFlags {
            stopping: self.stopping,
            overrule: self.overrule,
            ..SettingFlags::default()
        };
        let (study, settings) = flags.resolve(storage.as_mut(), study)?;
        let spool = self.study.storage.spool();
        recover(
            storage.as_mut(),
            spool.as_ref(),
            &study,
            &Reaping::at_start(&study, self.grace),
            output,
        )?;
        // What a script has to do is nothing, and nothing is printed.
        let nothing_to_do = |reason: StopReason| {
            output.note(&stop_text(&reason, &name));
            Ok(ExitCode::Done)
        };
        let reason = stop_reason(&settings.budgets.rules, || {
            let outcomes = storage.outcomes(study.id)?;
            Ok::<_, StorageError>(History::new(study.directions.clone(), outcomes))
        })?;
        if let Some(reason) = reason {
            return nothing_to_do(reason);
        }
        let sampler = settings.sampler.build();
        let clock = SystemClock::new();
        let context = TrialContext {
            study: &study,
            seed: settings.seed,
            sampler: sampler.as_ref(),
            pruner: &NopPruner,
            clock: &clock,
            limits: SessionLimits::default(),
            retry: None,
            on_deadline: OnDeadline::default(),
            provenance: &[],
        };
        let request = BeginTrial {
            owner,
            has_heartbeat: false,
            max_trials: settings.budgets.max_trials,
            at: clock.utc_now(),
        };
        match ask(&context, storage.as_mut(), &request, &self.search_space.0)? {
            Asked::Begun { claim, params } => {
                let asked = json!({
                    "number": claim.number.0,
                    "params": view::record::params(&params),
                    "owner": claim.owner.get("uuid").and_then(Json::as_str),
                });
                // JSON in either format, as Optuna's `ask` prints it: it is made for scripts.
                output.result(&asked.to_string(), || asked.clone());
                Ok(ExitCode::Done)
            }
            Asked::BudgetReached { n_trials } => {
                let max_trials = settings.budgets.max_trials.unwrap_or(n_trials);
                nothing_to_do(StopReason::BudgetReached { n_trials, max_trials })
            }
            Asked::Stopped(stop) => nothing_to_do(StopReason::Stopped(stop)),
            Asked::Refused { number, failure } => Err(CommandError::usage(
                format!("{}; trial {number} is FAIL", failure.message),
                "change --search-space, or choose another study",
            )),
        }
    }
}

impl TellArgs {
    fn run(self, output: &Output) -> CommandResult {
        let Some(number) = self.number.or(self.trial_number).map(TrialNumber) else {
            return Err(CommandError::usage(
                "no trial was named",
                "give its number: trialbox trial tell 3 --values 0.92",
            ));
        };
        check_unique("--user-attr", &self.user_attr)?;
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        if self.values.is_empty() && self.state.is_none() {
            return Err(CommandError::usage(
                format!("nothing is said of how trial {number} ended"),
                "give its result with --values, or --state pruned or --state fail",
            ));
        }
        let mut batch = TrialBatch {
            intermediate_values: self.report.clone(),
            user_attrs: self.user_attr.clone(),
            ..TrialBatch::default()
        };
        self.check_constraints()?;
        constraint_format(&study)?.write(&self.constraint, &mut batch);
        let told = Tell {
            values: self.values.clone(),
            state: self.state,
            owner: self.owner.clone(),
            batch,
            reason: self.reason.clone(),
            skip_if_finished: self.skip_if_finished,
        };
        let at = SystemClock::new().utc_now();
        let result = tell(storage.as_mut(), &study, number, &told, at);
        match result.map_err(|error| self.explain(error, &name))? {
            Told::Recorded { outcome, failure } => {
                let mut text = format!("trial {number} is {}", outcome.state());
                if !outcome.values().is_empty() {
                    text.push_str(&format!(": {}", show_values(&study, outcome.values())));
                }
                if let Some(failure) = &failure {
                    text.push_str(&format!(": {}", failure.message));
                }
                output.result(&text, || {
                    json!({
                        "event": "told",
                        "study": name,
                        "number": number.0,
                        "state": outcome.state().as_str(),
                        "values": view::record::floats(outcome.values()),
                    })
                });
            }
            Told::Skipped(state) => {
                let text = format!("trial {number} was {state} already, and stays so");
                output.result(&text, || {
                    json!({ "event": "skipped", "study": name, "number": number.0, "state": state.as_str() })
                });
            }
        }
        Ok(ExitCode::Done)
    }
}

impl TellArgs {
    fn check_constraints(&self) -> Result<(), CommandError> {
        for (index, (name, _)) in self.constraint.iter().enumerate() {
            check_name("constraint name with its prefix", &format!("{CONSTRAINT_PREFIX}{name}"))?;
            if self.constraint[..index].iter().any(|(earlier, _)| earlier == name) {
                let problem = format!("--constraint {name} was given twice");
                return Err(CommandError::usage(problem, "give it once"));
            }
        }
        Ok(())
    }

    /// What could not be recorded is kept in a file, as `run` does.
    fn explain(&self, error: TellError, study: &str) -> CommandError {
        let kept = match &error {
            TellError::NotRecorded { trial, .. } => {
                Some(spool_result(self.study.storage.spool().as_ref(), study, trial))
            }
            _ => None,
        };
        let mut error = CommandError::from(error);
        error.help = kept.or(error.help);
        error
    }
}

impl ShowArgs {
    fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trial = storage.trial(study.id, TrialNumber(self.number))?;
        let record = TrialRecord::of_stored(&study, &trial);
        output.print(&Rendered::new(show_text(&study, &trial), record));
        Ok(ExitCode::Done)
    }
}

fn show_text(study: &StudyRecord, trial: &FrozenTrial) -> String {
    let mut text = format!("trial {} of study `{}`: {}", trial.number, study.name, trial.state);
    if !trial.values.is_empty() {
        text.push_str(&format!("  {}", show_values(study, &trial.values)));
    }
    for (label, at) in [("begun", trial.datetime_start), ("ended", trial.datetime_complete)] {
        if let Some(at) = at {
            text.push_str(&format!("\n  {label} {} UTC", format_datetime(at)));
        }
    }
    if let Some(duration) = trial.duration() {
        text.push_str(&format!(", took {}", show_duration(duration)));
    }
    for (name, param) in &trial.params {
        let value = show_value(&param.external());
        text.push_str(&format!("\n  {name} = {value}   ({})", param.distribution));
    }
    for constraint in &trial.constraints_shown() {
        text.push_str(&format!("\n  constraint {}", show_constraint(constraint)));
    }
    for (step, value) in &trial.intermediate_values {
        text.push_str(&format!("\n  step {step}: {}", show_float(*value)));
    }
    for (key, value) in &trial.user_attrs {
        text.push_str(&format!("\n  user attribute {key}: {value}"));
    }
    if let Some(usage) = trial.system_attrs.get(USAGE_ATTR) {
        text.push_str(&format!("\n  used {}", show_usage(&Usage::from_json(usage))));
    }
    text.push_str(&show_failure(trial));
    let is_shown = |key: &str| is_constraint_attr(key) || [FAILURE_ATTR, USAGE_ATTR].contains(&key);
    for (key, value) in trial.system_attrs.iter().filter(|(key, _)| !is_shown(key)) {
        text.push_str(&format!("\n  system attribute {key}: {value}"));
    }
    text
}

/// Why a trial is FAIL: code and message, the functions that were running, the end of its log.
fn show_failure(trial: &FrozenTrial) -> String {
    let Some(failure) = trial.system_attrs.get(FAILURE_ATTR) else { return String::new() };
    let member = |name: &str| failure.get(name).and_then(Json::as_str).unwrap_or_default();
    let mut text = format!("\n  {}: {}", member("code"), member("message"));
    for (name, prefix) in [("backtrace", "at "), ("log", "| ")] {
        let Some(Json::Array(lines)) = failure.get(name) else { continue };
        for line in lines.iter().filter_map(Json::as_str) {
            text.push_str(&format!("\n    {prefix}{line}"));
        }
    }
    text
}

fn parse_search_space(text: &str) -> Result<SpaceArg, String> {
    let wanted =
        "write {\"lr\": {\"type\": \"float\", \"low\": 1e-5, \"high\": 0.1, \"log\": true}}";
    let json = Json::parse(text).map_err(|error| format!("{error}; {wanted}"))?;
    let Json::Object(members) = json else {
        return Err(format!("a search space is a JSON object; {wanted}"));
    };
    let read = |(name, distribution): (String, Json)| {
        Distribution::from_json_text(&distribution.to_string())
            .map(|distribution| (name.clone(), distribution))
            .map_err(|error| format!("parameter `{name}`: {error}"))
    };
    members.into_iter().map(read).collect::<Result<_, _>>().map(SpaceArg)
}

fn parse_told_state(text: &str) -> Result<TrialState, String> {
    match TrialState::parse(&text.to_uppercase()) {
        Some(state) if state.is_finished() => Ok(state),
        _ => Err(format!("`{text}` is no ending; choose complete, pruned or fail")),
    }
}

fn parse_constraint(text: &str) -> Result<(String, f64), String> {
    // A name may hold the sign, a number does not.
    let parsed = text.rsplit_once('=').and_then(|(name, value)| {
        let value = value.trim().parse().ok().filter(|value: &f64| !value.is_nan());
        Some((name.to_owned(), value?))
    });
    parsed.ok_or_else(|| format!("`{text}` is no NAME=VALUE with a number, such as size=-0.5"))
}

fn parse_report(text: &str) -> Result<(i64, f64), String> {
    let parsed = text
        .split_once('=')
        .and_then(|(step, value)| Some((step.trim().parse().ok()?, value.trim().parse().ok()?)));
    parsed.ok_or_else(|| format!("`{text}` is no STEP=VALUE, such as 10=0.5"))
}
