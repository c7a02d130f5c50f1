//! `trialbox study list | show | trials`: reads studies.

use crate::args::objective::show_directions;
use crate::args::storage::{StorageArgs, StudyArgs};
use crate::commands::study::best::best_trials;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::study::budget::{MAX_TRIALS, show_stopped, stop_json};
use crate::study::settings::{PRUNER, SAMPLER};
use crate::view::objectives::{objective_names, show_objectives};
use crate::view::output::{Output, table};
use crate::view::record::{Record, TrialRecord, View, object};
use crate::view::trial::{show_duration, show_float, show_floats, show_params, show_violated};
use serde_json::{Value, json};
use std::fmt::Display;
use trialbox_core::study::record::StudySummary;
use trialbox_core::study::stopping::{STOP_ATTR, StudyStop};
use trialbox_core::study::trial::format_rfc3339;
use trialbox_core::{FrozenTrial, Json, StorageError, StudyRecord, TrialState};
use trialbox_samplers::{ConfigError, PrunerConfig, SamplerConfig};

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

impl ListArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
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
                stop_of(&summary.study).map(|stop| show_stopped(&stop)).unwrap_or_default(),
            ]
        });
        let header = ["study", "directions", "trials", "of them", "begun", "stopped"];
        output.result(&table(&header, rows), || Value::Null);
        Ok(ExitCode::Done)
    }
}

pub(crate) fn show(args: &StudyArgs, output: &Output) -> CommandResult {
    let (mut storage, name) = args.open()?;
    let study = storage.open_study(&name)?;
    let summaries = storage.list_studies()?;
    let trials = storage.trials(study.id)?;
    let Some(summary) = summaries.into_iter().find(|summary| summary.study.id == study.id) else {
        return Err(StorageError::NoSuchStudy { name, known: vec![] }.into());
    };
    let best = best_trials(&study, &trials);
    let mut text = format!("{}: {}\n", study.name, show_directions(&study.directions));
    let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<12} {value}\n"));
    line("database", storage.url().to_owned());
    line("objectives", show_objectives(&study).join(", "));
    line("trials", format!("{} ({})", trials.len(), show_counts(&summary)));
    if let Some(n_missing) = n_missing(&summary) {
        // PRUNED counts, as it does for --max-trials.
        let text = if n_missing == 0 { "none".to_owned() } else { n_missing.to_string() };
        line("missing", text);
    }
    line("sampler", show_sampler(&study));
    line("pruner", show_pruner(&study));
    if let Some(stop) = stop_of(&study) {
        line("stopped", show_stopped(&stop));
    }
    let is_other = |key: &str| ![SAMPLER, PRUNER, STOP_ATTR].contains(&key);
    for (key, value) in study.user_attrs.iter().filter(|(key, _)| is_other(key)) {
        line(key.strip_prefix("trialbox:").unwrap_or(key), value.to_string());
    }
    line("best", show_best(&study, &best));
    output.result(&text, || {
        let mut value = summary_json(&summary);
        if study.directions.len() == 1 {
            value["best_trial"] = best
                .first()
                .map_or(Value::Null, |best| json!(TrialRecord::of_stored(&study, best)));
        } else {
            value["best_trials"] = best.iter().map(|trial| trial.number.0).collect();
        }
        value
    });
    Ok(ExitCode::Done)
}

fn stop_of(study: &StudyRecord) -> Option<StudyStop> {
    study.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json)
}

/// The best trial, or which trials the front has.
fn show_best(study: &StudyRecord, best: &[&FrozenTrial]) -> String {
    match best {
        [] => "none yet that is COMPLETE and feasible".to_owned(),
        [best] if study.directions.len() == 1 => format!(
            "{} in trial {}: {}",
            show_floats(&best.values),
            best.number,
            show_params(&best.params)
        ),
        front => {
            const SHOWN: usize = 20;
            let numbers: Vec<String> =
                front.iter().take(SHOWN).map(|trial| trial.number.to_string()).collect();
            let more = if front.len() > SHOWN { ", …" } else { "" };
            format!("a front of {}: trials {}{more}", front.len(), numbers.join(", "))
        }
    }
}

/// What samples the study: what it remembers, with the options that are not the default's.
fn show_sampler(study: &StudyRecord) -> String {
    show_choice(study, SAMPLER, SamplerConfig::from_json)
}

/// What prunes the study's trials, as [`show_sampler`].
fn show_pruner(study: &StudyRecord) -> String {
    show_choice(study, PRUNER, PrunerConfig::from_json)
}

fn show_choice<C: Default + Display>(
    study: &StudyRecord,
    key: &str,
    read: impl Fn(&Json) -> Result<C, ConfigError>,
) -> String {
    match study.user_attrs.get(key) {
        None => format!("not chosen yet; `trialbox run` takes {}", C::default()),
        Some(kept) => read(kept).map_or_else(|_| kept.to_string(), |it| it.to_string()),
    }
}

impl TrialsArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trials = storage.trials(study.id)?;
        let is_chosen = |trial: &FrozenTrial| self.state.is_none_or(|state| trial.state == state);
        let trials = trials.into_iter().filter(is_chosen).collect();
        output.print(&TrialTable { study, trials });
        Ok(ExitCode::Done)
    }
}

/// The trials of a study: a row or a record for each.
struct TrialTable {
    study: StudyRecord,
    trials: Vec<FrozenTrial>,
}

impl View for TrialTable {
    fn text(&self) -> String {
        let names = objective_names(&self.study);
        let mut header = vec!["number", "state"];
        header.extend(names.iter().map(String::as_str));
        header.extend(["took", "parameters, or why it failed"]);
        let rows = self.trials.iter().map(|trial| {
            let mut row = vec![trial.number.to_string(), trial.state.to_string()];
            let value = |index| trial.values.get(index).map(|value| show_float(*value));
            row.extend((0..names.len()).map(|index| value(index).unwrap_or_default()));
            row.push(trial.duration().map(show_duration).unwrap_or_default());
            row.push(show_params_or_problem(trial));
            row
        });
        table(&header, rows)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(self.trials.iter().map(|trial| TrialRecord::of_stored(&self.study, trial).into()))
    }
}

fn show_params_or_problem(trial: &FrozenTrial) -> String {
    let failure = trial.system_attrs.get(trialbox_core::study::failure::FAILURE_ATTR);
    let reason = failure.and_then(|failure| failure.get("message")?.as_str());
    let params = || show_params(&trial.params);
    let mut text = reason.map_or_else(params, ToOwned::to_owned);
    if let Some(violated) = show_violated(&trial.constraints_shown()) {
        text.push_str(&format!("; violates {violated}"));
    }
    text
}

/// How many trials are missing to those that the study may have; nothing without such a bound.
fn n_missing(summary: &StudySummary) -> Option<u64> {
    let most = summary.study.user_attrs.get(MAX_TRIALS)?.as_u64()?;
    let counted = [TrialState::Complete, TrialState::Pruned];
    let n_done: u64 = counted.iter().filter_map(|state| summary.n_trials.get(state)).sum();
    Some(most.saturating_sub(n_done))
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
        "n_missing": n_missing(summary),
        "states": counts.collect::<serde_json::Map<_, _>>(),
        "datetime_start": summary.datetime_start.map(format_rfc3339),
        "stopped": stop_of(&summary.study).as_ref().map(stop_json),
        "user_attrs": object(&summary.study.user_attrs),
    })
}

fn parse_state(text: &str) -> Result<TrialState, String> {
    TrialState::parse(&text.to_uppercase()).ok_or_else(|| {
        format!("`{text}` is no state; choose complete, pruned, fail, running or waiting")
    })
}
