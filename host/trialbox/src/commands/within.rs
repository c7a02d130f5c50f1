//! `trialbox suggest`, `report`, `should-prune` and `result`: the calls of a trial, for programs that are scripts.

use crate::args::param::parse_param;
use crate::args::space::parse_param_range;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::view::output::Output;
use crate::view::record::{Advice, Rendered, Suggested, to_value};
use clap::error::ErrorKind;
use trialbox_core::{Distribution, Json};
use trialbox_program::{Client, ClientError};

/// The names of these commands.
const CALLS: [&str; 4] = ["suggest", "report", "should-prune", "result"];

const SUGGEST_EXAMPLES: &str = "\
Examples, in a script that `trialbox run -- ./train.sh` starts:
  lr=$(trialbox suggest 'lr=log(1e-5, 0.1)')
  optimizer=$(trialbox suggest 'optimizer=choice(adam, sgd)')";

/// Suggest a parameter, inside a trial
///
/// Prints the value. A parameter that the trial already has keeps its value.
#[derive(Debug, clap::Args)]
#[command(after_help = SUGGEST_EXAMPLES)]
pub(crate) struct SuggestArgs {
    /// The parameter and its range, as in `trialbox run --space`
    #[arg(value_name = "NAME=RANGE", value_parser = parse_param_range)]
    parameter: (String, Distribution),
}

const REPORT_EXAMPLES: &str = "\
Examples, in a script that `trialbox run -- ./train.sh` starts:
  trialbox report \"$loss\" --step \"$epoch\"
  if trialbox should-prune; then trialbox result --pruned; exit; fi";

/// Report an intermediate value, inside a trial
#[derive(Debug, clap::Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct ReportArgs {
    /// The value
    #[arg(allow_hyphen_values = true)]
    value: f64,

    /// The step, such as the epoch
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    step: i64,
}

/// Ask whether the trial should stop early, inside a trial
///
/// Exits with 0 if it should, and with 1 if not.
#[derive(Debug, clap::Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub(crate) struct ShouldPruneArgs {}

const RESULT_EXAMPLES: &str = "\
Examples, in a script that `trialbox run -- ./train.sh` starts:
  trialbox result 0.25
  trialbox result 0.25 120 --attr epochs=7        two objectives, and a user attribute
  trialbox result --pruned";

/// Finish the trial with its values, inside a trial
#[derive(Debug, clap::Args)]
#[command(after_help = RESULT_EXAMPLES)]
pub(crate) struct ResultArgs {
    /// One value for each objective
    #[arg(allow_negative_numbers = true, required_unless_present_any = ["pruned", "fail"])]
    values: Vec<f64>,

    /// Finish as PRUNED
    #[arg(long, conflicts_with_all = ["values", "fail"])]
    pruned: bool,

    /// Fail the trial with this message
    #[arg(long, value_name = "MESSAGE", conflicts_with = "values")]
    fail: Option<String>,

    /// Attach a user attribute first
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_param)]
    attr: Vec<(String, Json)>,
}

impl SuggestArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (name, distribution) = &self.parameter;
        let answer = client()?.call(call_of(distribution), members_of(name, distribution));
        let value = value_of(answer?)?;
        let value = match distribution {
            Distribution::Categorical(categorical) => {
                let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
                index.and_then(|index| categorical.choices().get(index).cloned()).unwrap_or(value)
            }
            _ => value,
        };
        let record = Suggested { name: name.clone(), value: to_value(&value) };
        let text = match value {
            Json::String(text) => text,
            other => other.to_string(),
        };
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

impl ReportArgs {
    pub(crate) fn run(self) -> CommandResult {
        let members = vec![("value", Json::Float(self.value)), ("step", Json::Int(self.step))];
        client()?.call("report", members)?;
        Ok(ExitCode::Done)
    }
}

impl ShouldPruneArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let prune = value_of(client()?.call("should_prune", vec![])?)? == Json::Bool(true);
        if output.is_json() {
            output.print(&Rendered::new("", Advice { prune }));
        }
        Ok(if prune { ExitCode::Done } else { ExitCode::TrialFailed })
    }
}

impl ResultArgs {
    pub(crate) fn run(self) -> CommandResult {
        let mut client = client()?;
        for (key, value) in self.attr {
            client.call("set_user_attr", vec![("key", Json::String(key)), ("value", value)])?;
        }
        if self.pruned {
            client.call("pruned", vec![])?;
        } else if let Some(message) = self.fail {
            client.call("fail", vec![("message", Json::String(message))])?;
        } else {
            let values = self.values.into_iter().map(Json::Float).collect();
            client.call("complete", vec![("values", Json::Array(values))])?;
        }
        Ok(ExitCode::Done)
    }
}

/// Fails the trial whose script misuses one of these commands. Without it, a script that does not look at exit codes
/// would go on without the parameter or the answer that it asked for, and finish as COMPLETE.
pub(crate) fn fail_trial_of_misuse(usage: &clap::Error) {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let is_call = words.first().is_some_and(|word| CALLS.contains(&word.as_str()));
    if !usage.use_stderr() || !(is_call || usage.kind() == ErrorKind::InvalidSubcommand) {
        return;
    }
    let Ok(mut client) = client() else { return };
    let shown = usage.to_string();
    let problem = shown.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let message = format!("wrong call `trialbox {}`: {problem}", words.join(" "));
    // The exit code and standard error say it too.
    let _ = client.call("fail", vec![("message", Json::String(message))]);
}

fn client() -> Result<Client, CommandError> {
    Ok(Client::of_environment()?)
}

fn call_of(distribution: &Distribution) -> &'static str {
    match distribution {
        Distribution::Float(_) => "suggest_float",
        Distribution::Int(_) => "suggest_int",
        Distribution::Categorical(_) => "suggest_categorical",
    }
}

fn members_of<'a>(name: &str, distribution: &Distribution) -> Vec<(&'a str, Json)> {
    let name = ("name", Json::from(name));
    match distribution {
        Distribution::Float(float) => vec![
            name,
            ("low", Json::Float(float.low())),
            ("high", Json::Float(float.high())),
            ("log", Json::Bool(float.log())),
            ("step", float.step().map_or(Json::Null, Json::Float)),
        ],
        Distribution::Int(int) => vec![
            name,
            ("low", Json::Int(int.low())),
            ("high", Json::Int(int.high())),
            ("log", Json::Bool(int.log())),
            ("step", Json::Int(int.step())),
        ],
        Distribution::Categorical(categorical) => {
            vec![name, ("choices", Json::Array(categorical.choices().to_vec()))]
        }
    }
}

fn value_of(answer: Json) -> Result<Json, CommandError> {
    match answer.get("value") {
        Some(value) => Ok(value.clone()),
        None => Err(CommandError::usage(
            format!("expected an answer with a value, found `{answer}`"),
            "use the `trialbox` that runs the trial",
        )),
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let help = match error {
            ClientError::NotInTrial { .. } => "start the script with `trialbox run -- SCRIPT`",
            ClientError::NoPipe { .. } => {
                "call it on the machine of the trial; in a container, share the process ids or keep the descriptors"
            }
            ClientError::Over { .. } => {
                "`trialbox trial show` tells the reason, once the trial is recorded"
            }
        };
        CommandError::usage(error.to_string(), help)
    }
}
