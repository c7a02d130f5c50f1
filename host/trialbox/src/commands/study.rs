//! `trialbox study`: makes, lists and reads studies.

use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::objective_args::{DirectionArg, show_directions};
use crate::output::{Output, table};
use crate::settings::SettingFlags;
use crate::storage_args::{StorageArgs, StudyArgs};
use crate::trial_json::{
    self, object, show_duration, show_float, show_floats, show_params, show_value, to_value,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use trialbox_core::json::{Json, python_repr};
use trialbox_core::storage::StorageError;
use trialbox_core::study::{
    METRIC_NAMES, NewStudy, StudyDirection, StudyRecord, StudySummary, best_trial, pareto_front,
};
use trialbox_core::trial::{FrozenTrial, TrialState, format_datetime};
use trialbox_samplers::SamplerConfig;
use trialbox_storage::{Create, Stopping};

/// Make, list and read studies.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StudyCommand {
    /// Make a study
    #[command(
        after_help = "Examples:\n  trialbox study create --storage study.db --study-name digits --direction maximize\n  trialbox study create --study-name front --direction minimize maximize --metric-name loss speed --skip-if-exists"
    )]
    Create(CreateArgs),
    /// List the studies of a database
    #[command(
        after_help = "Examples:\n  trialbox study list\n  trialbox study list --storage study.db --format json"
    )]
    List(ListArgs),
    /// Show what a study is and how far it has come
    #[command(
        after_help = "Examples:\n  trialbox study show\n  trialbox study show --storage study.db --study-name digits"
    )]
    Show(StudyArgs),
    /// Show the best trial; of several objectives, the Pareto front
    #[command(
        after_help = "Examples:\n  trialbox study best\n  trialbox study best --storage study.db --format json | jq .params"
    )]
    Best(StudyArgs),
    /// List the trials
    #[command(
        after_help = "Examples:\n  trialbox study trials\n  trialbox study trials --state fail --format json"
    )]
    Trials(TrialsArgs),
    /// Write all trials as CSV, or with --format json as JSON lines
    #[command(
        after_help = "Examples:\n  trialbox study export > trials.csv\n  trialbox study export --output trials.jsonl --format json"
    )]
    Export(ExportArgs),
}

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

    /// What proposes parameters [default: random]
    #[arg(long, value_name = "NAME", value_parser = SamplerConfig::parse)]
    sampler: Option<SamplerConfig>,

    /// The seed, from which each trial's random numbers follow [default: a random one]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Do nothing if there is a study of that name
    #[arg(long)]
    skip_if_exists: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    storage: StorageArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TrialsArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// Only trials in this state
    #[arg(long, value_name = "complete|pruned|fail|running|waiting", value_parser = parse_state)]
    state: Option<TrialState>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl StudyCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            StudyCommand::Create(args) => args.run(output),
            StudyCommand::List(args) => args.run(output),
            StudyCommand::Show(args) => show(&args, output),
            StudyCommand::Best(args) => best(&args, output),
            StudyCommand::Trials(args) => args.run(output),
            StudyCommand::Export(args) => args.run(output),
        }
    }
}

impl CreateArgs {
    fn run(self, output: &Output) -> CommandResult {
        let mut directions: Vec<StudyDirection> =
            self.direction.iter().map(|direction| (*direction).into()).collect();
        if directions.is_empty() {
            directions.push(StudyDirection::Minimize);
        }
        if !self.metric_name.is_empty() && self.metric_name.len() != directions.len() {
            return Err(CommandError::usage(
                format!(
                    "{} names were given for {} objectives",
                    self.metric_name.len(),
                    directions.len()
                ),
                "give one --metric-name for each --direction, or none",
            ));
        }
        let settings =
            SettingFlags { seed: self.seed, sampler: self.sampler, ..SettingFlags::default() };
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
        let mut storage = self.storage.open_with(Create::MissingOrEmpty, Stopping::default())?;
        let created = match storage.create_study(&study) {
            Err(StorageError::DuplicateStudy { .. }) if self.skip_if_exists => {
                let found = storage.open_study(&self.study_name)?;
                if found.directions != directions {
                    return Err(CommandError::usage(
                        format!(
                            "there is already a study `{}`, and it is there to {} rather than to {}",
                            found.name,
                            show_directions(&found.directions),
                            show_directions(&directions)
                        ),
                        "choose another --study-name",
                    ));
                }
                false
            }
            other => other.map(|_| true)?,
        };
        output.result(
            &self.study_name,
            || json!({ "event": "study", "study": self.study_name, "created": created }),
        );
        if created {
            output.note(&format!("to watch it: optuna-dashboard {}", storage.url()));
        }
        Ok(ExitCode::Done)
    }
}

impl ListArgs {
    fn run(self, output: &Output) -> CommandResult {
        let studies = self.storage.open()?.list_studies()?;
        if output.is_json() {
            for summary in &studies {
                output.result("", || summary_json(summary));
            }
            return Ok(ExitCode::Done);
        }
        let rows = studies.iter().map(|summary| {
            vec![
                summary.study.name.clone(),
                show_directions(&summary.study.directions),
                summary.n_trials.values().sum::<u64>().to_string(),
                show_counts(summary),
                summary
                    .datetime_start
                    .map(|at| format!("{} UTC", at.strftime("%Y-%m-%d %H:%M")))
                    .unwrap_or_default(),
            ]
        });
        output.result(&table(&["study", "directions", "trials", "of them", "begun"], rows), || {
            Value::Null
        });
        Ok(ExitCode::Done)
    }
}

fn show(args: &StudyArgs, output: &Output) -> CommandResult {
    let (mut storage, name) = args.open()?;
    let study = storage.open_study(&name)?;
    let summaries = storage.list_studies()?;
    let trials = storage.trials(study.id)?;
    let Some(summary) = summaries.into_iter().find(|summary| summary.study.id == study.id) else {
        return Err(StorageError::NoSuchStudy { name, known: vec![] }.into());
    };
    let best = single_best(&study, &trials);
    let mut text = format!("{}: {}\n", study.name, show_directions(&study.directions));
    let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<12} {value}\n"));
    line("database", storage.url().to_owned());
    if let Some(names) = study.metric_names() {
        line("values", names.join(", "));
    }
    line("trials", format!("{} ({})", trials.len(), show_counts(&summary)));
    for (key, value) in &study.user_attrs {
        line(key.strip_prefix("trialbox:").unwrap_or(key), value.to_string());
    }
    if let Some(best) = best {
        line(
            "best",
            format!(
                "{} in trial {}: {}",
                show_floats(&best.values),
                best.number,
                show_params(&best.params)
            ),
        );
    }
    output.result(&text, || {
        let mut value = summary_json(&summary);
        value["best_trial"] = best.map_or(Value::Null, trial_json::trial);
        value
    });
    Ok(ExitCode::Done)
}

fn best(args: &StudyArgs, output: &Output) -> CommandResult {
    let (mut storage, name) = args.open()?;
    let study = storage.open_study(&name)?;
    let trials = storage.trials(study.id)?;
    let best: Vec<&FrozenTrial> = match study.directions[..] {
        [_] => single_best(&study, &trials).into_iter().collect(),
        _ => pareto_front(&trials, &study.directions),
    };
    if best.is_empty() {
        return Err(CommandError::usage(
            format!(
                "study `{name}` has no best trial: of its {} trials, none is COMPLETE and feasible",
                trials.len()
            ),
            "`trialbox study trials` shows how they ended",
        ));
    }
    for trial in best {
        output.result(&best_text(&study, trial), || trial_json::trial(trial));
    }
    Ok(ExitCode::Done)
}

fn best_text(study: &StudyRecord, trial: &FrozenTrial) -> String {
    let mut text = format!("trial {} of study `{}`\n", trial.number, study.name);
    let names = study.metric_names().unwrap_or_else(|| match study.directions.len() {
        1 => vec!["value".to_owned()],
        n => (0..n).map(|index| format!("value {index}")).collect(),
    });
    for ((name, value), direction) in names.iter().zip(&trial.values).zip(&study.directions) {
        text.push_str(&format!("  {name} ({direction}) = {}\n", show_float(*value)));
    }
    for (name, param) in &trial.params {
        text.push_str(&format!("  {name} = {}\n", show_value(&param.external())));
    }
    if let Some(duration) = trial.duration() {
        text.push_str(&format!("  took {}\n", show_duration(duration)));
    }
    text
}

impl TrialsArgs {
    fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trials = storage.trials(study.id)?;
        let trials =
            trials.iter().filter(|trial| self.state.is_none_or(|state| trial.state == state));
        if output.is_json() {
            trials.for_each(|trial| output.result("", || trial_json::trial(trial)));
            return Ok(ExitCode::Done);
        }
        let rows = trials.map(|trial| {
            let failure = trial.system_attrs.get(trialbox_core::objective::FAILURE_ATTR);
            let reason = failure.and_then(|failure| failure.get("message")?.as_str());
            vec![
                trial.number.to_string(),
                trial.state.to_string(),
                show_floats(&trial.values),
                trial.duration().map(show_duration).unwrap_or_default(),
                reason.map_or_else(|| show_params(&trial.params), ToOwned::to_owned),
            ]
        });
        output.result(
            &table(&["number", "state", "values", "took", "parameters, or why it failed"], rows),
            || Value::Null,
        );
        Ok(ExitCode::Done)
    }
}

impl ExportArgs {
    fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trials = storage.trials(study.id)?;
        let text = if output.is_json() {
            trials.iter().map(|trial| format!("{}\n", trial_json::trial(trial))).collect()
        } else {
            to_csv(&study, &trials)
        };
        match &self.output {
            Some(path) => {
                std::fs::write(path, text).map_err(|error| {
                    let problem = format!("cannot write `{}`: {error}", path.display());
                    CommandError::usage(problem, "choose another --output")
                })?;
                output.note(&format!("wrote {} trials to {}", trials.len(), path.display()));
            }
            None => {
                let _ = std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes());
            }
        }
        Ok(ExitCode::Done)
    }
}

/// The trials with the columns of Optuna's `trials_dataframe()`, nested ones sorted by name.
fn to_csv(study: &StudyRecord, trials: &[FrozenTrial]) -> String {
    let params: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.params.iter().map(|(name, _)| name)).collect();
    let user_attrs: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.user_attrs.keys()).collect();
    let system_attrs: BTreeSet<&String> =
        trials.iter().flat_map(|trial| trial.system_attrs.keys()).collect();
    let mut header = vec!["number".to_owned()];
    header.extend(value_columns(study));
    header.extend(["datetime_start", "datetime_complete", "duration"].map(str::to_owned));
    header.extend(params.iter().map(|name| format!("params_{name}")));
    header.extend(user_attrs.iter().map(|key| format!("user_attrs_{key}")));
    header.extend(system_attrs.iter().map(|key| format!("system_attrs_{key}")));
    header.push("state".to_owned());
    let mut csv = csv_line(&header);
    for trial in trials {
        let mut row = vec![trial.number.to_string()];
        row.extend(
            (0..study.directions.len())
                .map(|index| trial.values.get(index).copied().map(python_repr).unwrap_or_default()),
        );
        row.extend(
            [trial.datetime_start, trial.datetime_complete]
                .map(|at| at.map(format_datetime).unwrap_or_default()),
        );
        row.push(
            trial
                .duration()
                .map(|duration| python_repr(duration.as_secs_f64()))
                .unwrap_or_default(),
        );
        row.extend(params.iter().map(|name| {
            trial.param(name).map(|param| csv_value(&param.external())).unwrap_or_default()
        }));
        row.extend(
            user_attrs
                .iter()
                .map(|key| trial.user_attrs.get(*key).map(csv_value).unwrap_or_default()),
        );
        row.extend(
            system_attrs
                .iter()
                .map(|key| trial.system_attrs.get(*key).map(csv_value).unwrap_or_default()),
        );
        row.push(trial.state.to_string());
        csv.push_str(&csv_line(&row));
    }
    csv
}

fn value_columns(study: &StudyRecord) -> Vec<String> {
    match (study.metric_names(), study.directions.len()) {
        (Some(names), 1) => names.into_iter().map(|name| format!("value_{name}")).collect(),
        (Some(names), _) => names.into_iter().map(|name| format!("values_{name}")).collect(),
        (None, 1) => vec!["value".to_owned()],
        (None, n) => (0..n).map(|index| format!("values_{index}")).collect(),
    }
}

fn csv_value(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One line as RFC 4180 has it.
fn csv_line(fields: &[String]) -> String {
    let quoted: Vec<String> = fields
        .iter()
        .map(|field| {
            if field.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        })
        .collect();
    quoted.join(",") + "\r\n"
}

fn single_best<'a>(study: &StudyRecord, trials: &'a [FrozenTrial]) -> Option<&'a FrozenTrial> {
    let [direction] = study.directions[..] else { return None };
    best_trial(trials, direction)
}

fn show_counts(summary: &StudySummary) -> String {
    let counts = TrialState::ALL
        .into_iter()
        .filter_map(|state| Some((state, summary.n_trials.get(&state)?)));
    counts.map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

fn summary_json(summary: &StudySummary) -> Value {
    let counts = summary
        .n_trials
        .iter()
        .map(|(state, count)| (state.as_str().to_owned(), Value::from(*count)));
    json!({
        "event": "study",
        "study": summary.study.name,
        "directions": summary.study.directions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "metric_names": summary.study.metric_names(),
        "n_trials": summary.n_trials.values().sum::<u64>(),
        "states": counts.collect::<serde_json::Map<_, _>>(),
        "datetime_start": summary.datetime_start.map(|at| format!("{}Z", format_datetime(at).replace(' ', "T"))),
        "user_attrs": object(summary.study.user_attrs.iter().map(|(key, value)| (key, to_value(value)))),
    })
}

fn parse_state(text: &str) -> Result<TrialState, String> {
    TrialState::parse(&text.to_uppercase()).ok_or_else(|| {
        format!("`{text}` is no state; choose complete, pruned, fail, running or waiting")
    })
}
