//! Why nothing is submitted: nothing is missing, or a check has found an error.

use super::checks::{Finding, Level};
use super::plan::Plan;
use super::submission::Submission;
use super::{Outlook, full_path};
use crate::error::CommandError;
use crate::exit_code::ExitCode;
use crate::study::budget::{stop_reason_json, stop_text};
use crate::view::trial::count;
use serde_json::{Value, json};
use std::path::PathBuf;
use trialbox_core::run::next::is_exhausted;
use trialbox_core::study::stopping::{STOP_ATTR, StopReason, StudyStop, stop_reason};
use trialbox_core::{FrozenTrial, History, StorageError, TrialState};

/// Whether the files have places of their own: one in the place of another, or of the database, would be its end.
pub(super) fn check_places(outlook: &Outlook, submission: &Submission) -> Option<Finding> {
    let closing = submission.report.as_ref().map(|_| submission.closing_path());
    let places = [
        ("the database", Some(outlook.database.clone())),
        ("the script", Some(submission.script.clone())),
        ("the closing job's script", closing),
        ("the report", submission.report.as_ref().map(PathBuf::from)),
        ("the log", Some(&submission.log).filter(|log| !log.contains('%')).map(PathBuf::from)),
    ];
    let places: Vec<(&str, PathBuf)> =
        places.into_iter().filter_map(|(what, path)| Some((what, full_path(&path?)))).collect();
    let (index, (what, path)) = places
        .iter()
        .enumerate()
        .find(|(index, (_, path))| places[..*index].iter().any(|(_, other)| other == path))?;
    let (other, _) = places[..index].iter().find(|(_, other)| other == path)?;
    let text = format!("{other} and {what} are the same file, `{}`", path.display());
    let finding = Finding::new(Level::Error, "files", text);
    Some(Finding { help: Some("choose others with --script and --report".to_owned()), ..finding })
}

/// Why nothing is to be submitted, for people and for programs.
pub(super) fn nothing_to_submit(
    outlook: &Outlook,
    plan: &Plan,
) -> Result<Option<(String, Value)>, CommandError> {
    let Some(study) = &outlook.study else { return Ok(None) };
    if plan.n_missing() == 0 {
        let (name, n_trials) = (&study.name, plan.n_present);
        let is_running = |trial: &&FrozenTrial| trial.state == TrialState::Running;
        let n_running = outlook.trials.iter().filter(is_running).count();
        let running = match n_running {
            0 => String::new(),
            1 => "; 1 of them is still RUNNING".to_owned(),
            n => format!("; {n} of them are still RUNNING"),
        };
        let text = format!(
            "study `{name}` has {}: nothing is missing, and nothing is submitted{running}",
            count(n_trials, "trial")
        );
        let json = json!({
            "event": "budget_reached",
            "study": name,
            "n_trials": n_trials,
            "n_running": n_running,
        });
        return Ok(Some((text, json)));
    }
    let stop = study.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json);
    let history = || History::new(study.directions.clone(), outlook.trials.clone());
    let needless =
        stop_reason(&outlook.settings.budgets.rules, || Ok::<_, StorageError>(history()))?;
    let sampler = outlook.settings.sampler.build();
    let is_exhausted = is_exhausted(sampler.as_ref(), || Ok::<_, StorageError>(history()))?;
    let reason = stop
        .map(StopReason::Stopped)
        .or(needless)
        .or(is_exhausted.then_some(StopReason::SearchExhausted));
    Ok(reason
        .map(|reason| (stop_text(&reason, &study.name), stop_reason_json(&reason, &study.name))))
}

/// The error of the checks that say that nothing can be submitted; all of them, if there are several.
pub(super) fn refusal(findings: &[Finding]) -> Option<CommandError> {
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.level == Level::Error).collect();
    let help: Vec<&str> = errors.iter().filter_map(|finding| finding.help.as_deref()).collect();
    let causes = errors.iter().rev().map(|finding| finding.text.clone());
    let cause = causes.map(anyhow::Error::msg).reduce(|error, text| error.context(text))?;
    Some(CommandError {
        exit: ExitCode::Usage,
        code: None,
        error: cause.context("nothing is submitted"),
        help: Some(help.join("; ")).filter(|help| !help.is_empty()),
    })
}
