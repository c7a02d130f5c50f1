//! `trialbox trial show`: shows one trial.

use crate::args::storage::StudyArgs;
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::view::failure::stored_failure_message;
use crate::view::finished::show_usage;
use crate::view::objectives::show_values;
use crate::view::output::Output;
use crate::view::record::{Rendered, TrialRecord};
use crate::view::trial::{show_constraint, show_duration, show_float, show_value};
use trialbox_core::study::constraint::is_constraint_attr;
use trialbox_core::study::failure::FAILURE_ATTR;
use trialbox_core::study::provenance::was_sandboxed;
use trialbox_core::study::trial::{OWN_PREFIX, format_datetime};
use trialbox_core::study::usage::{USAGE_ATTR, Usage};
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, Json, StudyRecord, TrialNumber};

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// The trial's number
    #[arg(value_name = "NUMBER")]
    number: u32,
}

impl ShowArgs {
    pub(super) fn run(self, output: &Output) -> CommandResult {
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        let trial = storage.trial(study.id, TrialNumber(self.number))?;
        let record = TrialRecord::of_stored(&study, &trial);
        let text = show_text(&study, &trial, output.is_verbose());
        output.print(&Rendered::new(text, record));
        Ok(ExitCode::Done)
    }
}

/// Formats a trial. `is_complete` adds trialbox's records about its worker and its inputs.
fn show_text(study: &StudyRecord, trial: &FrozenTrial, is_complete: bool) -> String {
    let mut text = format!("trial {} of study `{}`: {}", trial.number, study.name, trial.state);
    if !trial.values.is_empty() {
        text.push_str(&format!("  {}", show_values(study, &trial.values)));
    }
    for (label, at) in [("started", trial.datetime_start), ("finished", trial.datetime_complete)] {
        if let Some(at) = at {
            text.push_str(&format!("\n  {label} {} UTC", format_datetime(at)));
        }
    }
    if let Some(duration) = trial.duration() {
        text.push_str(&format!(", took {}", show_duration(duration)));
    }
    if was_sandboxed(trial) == Some(false) {
        text.push_str("\n  not sandboxed: the objective was a program");
    }
    text.push_str(&show_failure(trial));
    for (name, param) in &trial.params {
        let value = show_value(&param.external());
        text.push_str(&format!("\n  {name} = {value}   ({})", param.distribution));
    }
    for constraint in &trial.constraints_shown() {
        text.push_str(&format!("\n  constraint {}", show_constraint(constraint)));
    }
    text.push_str(&show_reports(trial, is_complete));
    for (key, value) in &trial.user_attrs {
        text.push_str(&format!("\n  user attribute {key}: {value}"));
    }
    if let Some(usage) = trial.system_attrs.get(USAGE_ATTR) {
        text.push_str(&format!("\n  used {}", show_usage(&Usage::from_json(usage))));
    }
    let is_shown = |key: &str| is_constraint_attr(key) || [FAILURE_ATTR, USAGE_ATTR].contains(&key);
    let mut n_left_out = 0;
    for (key, value) in trial.system_attrs.iter().filter(|(key, _)| !is_shown(key)) {
        if is_complete || !key.starts_with(OWN_PREFIX) {
            text.push_str(&format!("\n  system attribute {key}: {value}"));
        } else {
            n_left_out += 1;
        }
    }
    if n_left_out > 0 {
        text.push_str(&format!("\n  {} more with -v", counted(n_left_out, "system attribute")));
    }
    text
}

/// The number of reports up to which all are shown.
const FEW_REPORTS: usize = 6;

/// Formats the reported values: all of a few or where all are asked for, else their number and the last.
fn show_reports(trial: &FrozenTrial, is_complete: bool) -> String {
    let reports = &trial.intermediate_values;
    match reports.last_key_value() {
        Some((step, last)) if reports.len() > FEW_REPORTS && !is_complete => format!(
            "\n  {} reports, the last {} at step {step}; -v shows all",
            reports.len(),
            show_float(*last)
        ),
        _ => {
            let lines = reports.iter();
            lines.map(|(step, value)| format!("\n  step {step}: {}", show_float(*value))).collect()
        }
    }
}

/// Formats the failure of a trial: code and message, the functions that were running, the end of its log.
fn show_failure(trial: &FrozenTrial) -> String {
    let Some(failure) = trial.system_attrs.get(FAILURE_ATTR) else { return String::new() };
    let code = failure.get("code").and_then(Json::as_str).unwrap_or_default();
    let message = stored_failure_message(failure).unwrap_or_default();
    let mut text = format!("\n  {code}: {message}");
    for (name, prefix) in [("backtrace", "at "), ("log", "| ")] {
        let Some(Json::Array(lines)) = failure.get(name) else { continue };
        for line in lines.iter().filter_map(Json::as_str) {
            text.push_str(&format!("\n    {prefix}{line}"));
        }
    }
    text
}
