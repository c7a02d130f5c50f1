//! `trialbox study list | show`: reads studies.

use crate::args::objective::show_directions;
use crate::args::storage::{NamedStudyArgs, StorageArgs};
use crate::commands::study::best::{best_trials, whole_trials};
use crate::error::CommandResult;
use crate::exit_code::ExitCode;
use crate::study::budget::show_stopped;
use crate::study::settings::{PRUNER, SAMPLER};
use crate::view::objectives::show_objectives;
use crate::view::output::{Output, table};
use crate::view::record::{Record, StudyOverview, TrialRecord, View, n_missing, stop_of};
use crate::view::trial::{show_duration, show_floats, show_params, show_value};
use std::fmt::Display;
use std::time::Duration;
use trialbox_core::study::record::StudySummary;
use trialbox_core::study::stopping::STOP_ATTR;
use trialbox_core::study::trial::OWN_PREFIX;
use trialbox_core::value::text::byte_size;
use trialbox_core::{FrozenTrial, Json, StorageError, StudyRecord, TrialState};
use trialbox_samplers::{ConfigError, PrunerConfig, SamplerConfig};

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    storage: StorageArgs,
}

impl ListArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        let studies = self.storage.open()?.list_studies()?;
        output.print(&StudyTable(studies));
        Ok(ExitCode::Done)
    }
}

/// The studies of a database: a row or a record for each.
struct StudyTable(Vec<StudySummary>);

impl View for StudyTable {
    fn text(&self) -> String {
        let rows = self.0.iter().map(|summary| {
            let begun = summary.datetime_start.map(|at| at.strftime("%Y-%m-%d %H:%M UTC"));
            vec![
                summary.study.name.clone(),
                show_directions(&summary.study.directions),
                summary.n_trials.values().sum::<u64>().to_string(),
                show_counts(summary),
                begun.map(|at| at.to_string()).unwrap_or_default(),
                stop_of(&summary.study).map(|stop| show_stopped(&stop)).unwrap_or_default(),
            ]
        });
        table(&["study", "directions", "trials", "of them", "started", "stopped"], rows)
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        Box::new(self.0.iter().map(|summary| StudyOverview::of(summary).into()))
    }
}

/// Shows a study and its progress.
pub(crate) fn show(args: &NamedStudyArgs, output: &Output) -> CommandResult {
    let (mut storage, name) = args.open()?;
    let study = storage.open_study(&name)?;
    let summaries = storage.list_studies()?;
    let outcomes = storage.outcomes(study.id)?;
    let Some(summary) = summaries.into_iter().find(|summary| summary.study.id == study.id) else {
        return Err(StorageError::NoSuchStudy { name, known: vec![] }.into());
    };
    let mut best: Vec<FrozenTrial> = best_trials(&study, &outcomes).into_iter().cloned().collect();
    // Of a front only the numbers are shown.
    if let ([outcome], [_]) = (&best[..], &study.directions[..]) {
        best = whole_trials(&mut *storage, &study, &[outcome])?;
    }
    let best = best.iter().collect();
    output.print(&StudyDetails { url: storage.url(), summary, best });
    Ok(ExitCode::Done)
}

/// A study with its progress and its best trials.
struct StudyDetails<'a> {
    url: &'a str,
    summary: StudySummary,
    best: Vec<&'a FrozenTrial>,
}

impl View for StudyDetails<'_> {
    fn text(&self) -> String {
        let (study, summary) = (&self.summary.study, &self.summary);
        let n_trials: u64 = summary.n_trials.values().sum();
        let mut text = format!("{}: {}\n", study.name, show_directions(&study.directions));
        let mut line =
            |label: &str, value: String| text.push_str(&format!("  {label:<12} {value}\n"));
        line("database", self.url.to_owned());
        line("objectives", show_objectives(study).join(", "));
        match n_trials {
            0 => line("trials", "none".to_owned()),
            n_trials => line("trials", format!("{n_trials} ({})", show_counts(summary))),
        }
        match n_missing(summary) {
            Some(0) => line("missing", "none".to_owned()),
            Some(n_missing) => line("missing", n_missing.to_string()),
            None => {}
        }
        line("sampler", show_sampler(study));
        line("pruner", show_pruner(study));
        if let Some(stop) = stop_of(study) {
            line("stopped", show_stopped(&stop));
        }
        let is_other = |key: &str| ![SAMPLER, PRUNER, STOP_ATTR].contains(&key);
        for (key, value) in study.user_attrs.iter().filter(|(key, _)| is_other(key)) {
            let (label, value) = show_attribute(key, value);
            line(&label, value);
        }
        line("best", show_best(study, &self.best));
        text
    }

    fn records(&self) -> Box<dyn Iterator<Item = Record> + '_> {
        let (study, overview) = (&self.summary.study, StudyOverview::of(&self.summary));
        let overview = if study.directions.len() == 1 {
            let best = self.best.first().map(|best| TrialRecord::of_stored(study, best));
            overview.with_best_trial(best)
        } else {
            overview.with_front(self.best.iter().map(|trial| trial.number.0).collect())
        };
        Box::new(std::iter::once(overview.into()))
    }
}

/// Formats an attribute of a study. trialbox's own are in words; a user's are as they were written.
fn show_attribute(key: &str, value: &Json) -> (String, String) {
    let Some(name) = key.strip_prefix(OWN_PREFIX) else {
        return (key.to_owned(), show_value(value));
    };
    let seconds = |value: &Json| Duration::try_from_secs_f64(value.as_f64()?).ok();
    match (name, value) {
        ("max_memory_bytes", value) if value.as_u64().is_some() => {
            ("max memory".to_owned(), byte_size(value.as_u64().unwrap_or_default()))
        }
        ("trial_timeout_secs", value) if seconds(value).is_some() => {
            ("trial timeout".to_owned(), show_duration(seconds(value).unwrap_or_default()))
        }
        ("module_changes", Json::Array(changes)) => {
            let last = changes.last().and_then(|change| change.get("at")?.as_str());
            let last = last.map(|at| format!(", the last at {at} UTC")).unwrap_or_default();
            ("module changes".to_owned(), format!("{}{last}", changes.len()))
        }
        (name, Json::Object(members)) => {
            let pairs = members.iter().map(|(key, value)| format!("{key}={}", show_value(value)));
            (name.replace('_', " "), pairs.collect::<Vec<_>>().join(", "))
        }
        (name, Json::Null) => (name.replace('_', " "), "none".to_owned()),
        (name, value) => (name.replace('_', " "), show_value(value)),
    }
}

/// Returns the best trial, or the numbers of the trials on the front.
fn show_best(study: &StudyRecord, best: &[&FrozenTrial]) -> String {
    match best {
        [] => "no trial is COMPLETE and feasible yet".to_owned(),
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

/// Returns the sampler that the study remembers, with the options that are not the default's.
fn show_sampler(study: &StudyRecord) -> String {
    show_choice(study, SAMPLER, SamplerConfig::from_json)
}

/// Returns the pruner that the study remembers, as [`show_sampler`].
fn show_pruner(study: &StudyRecord) -> String {
    show_choice(study, PRUNER, PrunerConfig::from_json)
}

fn show_choice<C: Default + Display>(
    study: &StudyRecord,
    key: &str,
    read: impl Fn(&Json) -> Result<C, ConfigError>,
) -> String {
    match study.user_attrs.get(key) {
        None => format!("not chosen yet; `trialbox run` uses {}", C::default()),
        Some(kept) => read(kept).map_or_else(|_| kept.to_string(), |it| it.to_string()),
    }
}

fn show_counts(summary: &StudySummary) -> String {
    let counts = TrialState::ALL
        .into_iter()
        .filter_map(|state| Some((state, summary.n_trials.get(&state)?)));
    counts.map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_of_a_study_are_shown_in_words() {
        let changes = Json::Array(vec![Json::object([("at", Json::from("2026-11-30 10:00:00"))])]);
        let limits = Json::object([("stack", Json::from(4_194_304u32)), ("fuel", 7u32.into())]);
        for (key, value, label, text) in [
            ("trialbox:max_retries", Json::from(3u32), "max retries", "3"),
            ("trialbox:constraint_format", "named".into(), "constraint format", "named"),
            ("trialbox:trial_timeout_secs", 90.0.into(), "trial timeout", "1 min 30 s"),
            ("trialbox:max_memory_bytes", (1u32 << 30).into(), "max memory", "1 GiB"),
            (
                "trialbox:module_changes",
                changes,
                "module changes",
                "1, the last at 2026-11-30 10:00:00 UTC",
            ),
            ("trialbox:limits", limits, "limits", "stack=4194304, fuel=7"),
            ("trialbox:max_trials", Json::Null, "max trials", "none"),
            ("my_note", "a b".into(), "my_note", "a b"),
        ] {
            assert_eq!(show_attribute(key, &value), (label.to_owned(), text.to_owned()), "{key}");
        }
    }
}
