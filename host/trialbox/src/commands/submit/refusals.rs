//! The reasons for which nothing is submitted: no trial is missing, or a check has found an error.

use super::plan::Plan;
use super::submission::Submission;
use super::{StudyPreview, full_path};
use crate::error::CommandError;
use crate::exit_code::ExitCode;
use crate::study::budget::stop_text;
use crate::view::finding::{Finding, Severity};
use crate::view::record::{BudgetReached, Rendered, stop_record};
use std::path::PathBuf;
use trialbox_core::run::next::is_exhausted;
use trialbox_core::study::stopping::{STOP_ATTR, StopReason, StudyStop, stop_reason};
use trialbox_core::value::text::counted;
use trialbox_core::{FrozenTrial, History, StorageError, TrialState};

/// Checks whether two of the files are the same one, which would overwrite the other or the database.
pub(super) fn check_collisions(preview: &StudyPreview, submission: &Submission) -> Option<Finding> {
    let database = preview.database.file().map(|path| ("the database", path.to_owned()));
    let mut files: Vec<(&str, PathBuf)> = database.into_iter().collect();
    files.push(("the script", submission.script.clone()));
    if let Some(report) = &submission.report {
        files.push(("the closing job's script", submission.closing_path()));
        files.push(("the report", PathBuf::from(report)));
    }
    // With a pattern in its name, the log is a file of each job.
    if !submission.log.contains('%') {
        files.push(("the log", PathBuf::from(&submission.log)));
    }
    let mut known: Vec<(&str, PathBuf)> = Vec::new();
    for (role, path) in files {
        let path = full_path(&path);
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == path) {
            let found = format!("{other} and {role} are the same file, `{}`", path.display());
            return Some(
                Finding::error("files", found)
                    .advice("give other names with --script and --report"),
            );
        }
        known.push((role, path));
    }
    None
}

/// Returns the reason for which nothing is submitted, if there is one.
pub(super) fn nothing_to_submit(
    preview: &StudyPreview,
    plan: &Plan,
) -> Result<Option<Rendered>, CommandError> {
    let Some(study) = &preview.study else { return Ok(None) };
    if plan.n_missing() == 0 {
        let (name, n_trials) = (&study.name, plan.n_present);
        let is_running = |trial: &&FrozenTrial| trial.state == TrialState::Running;
        let n_running = preview.trials.iter().filter(is_running).count();
        let running = match n_running {
            0 => String::new(),
            1 => "; 1 of them is still RUNNING".to_owned(),
            n => format!("; {n} of them are still RUNNING"),
        };
        let text = format!(
            "study `{name}` has {}: no trial is missing, and no job was submitted{running}",
            counted(n_trials, "trial")
        );
        let record = BudgetReached { study: name.clone(), n_trials, n_running: Some(n_running) };
        return Ok(Some(Rendered::new(text, record)));
    }
    let stop = study.user_attrs.get(STOP_ATTR).and_then(StudyStop::from_json);
    let history = || History::new(study.directions.clone(), preview.trials.clone());
    let needless =
        stop_reason(&preview.settings.budgets.rules, || Ok::<_, StorageError>(history()))?;
    let sampler = preview.settings.sampler.build();
    let is_exhausted = is_exhausted(sampler.as_ref(), || Ok::<_, CommandError>(history()))?;
    let reason = stop
        .map(StopReason::Stopped)
        .or(needless)
        .or(is_exhausted.then_some(StopReason::SearchExhausted));
    Ok(reason.map(|reason| {
        Rendered::new(stop_text(&reason, &study.name), stop_record(&reason, &study.name))
    }))
}

/// Returns the error of a submission that findings forbid, with all of their messages.
pub(super) fn refusal(findings: &[Finding]) -> Option<CommandError> {
    let errors: Vec<&Finding> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    // Several findings often have one remedy, such as another name for the script.
    let mut help: Vec<&str> = Vec::new();
    for part in errors.iter().flat_map(|finding| finding.advice.split("; ")) {
        if !part.is_empty() && !help.contains(&part) {
            help.push(part);
        }
    }
    let causes = errors.iter().rev().map(|finding| finding.found.clone());
    let cause = causes.map(anyhow::Error::msg).reduce(|error, text| error.context(text))?;
    Some(CommandError {
        exit: ExitCode::Usage,
        code: None,
        error: cause.context("no job was submitted"),
        help: Some(help.join("; ")).filter(|help| !help.is_empty()),
    })
}
