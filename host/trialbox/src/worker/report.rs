//! The output of a worker: each trial as it finishes, and the reason for which no further one starts.

use super::job::Job;
use crate::exit_code::ExitCode;
use crate::study::budget::stop_text;
use crate::view::failure::{failure_help, failure_message_in_study, file_help};
use crate::view::finished::{
    count_reports, last_lines, show_backtrace, show_reports, show_usage, source_prefix,
};
use crate::view::objectives::show_values;
use crate::view::record::{ClaimLost, Rendered, TrialRecord, floats, stop_record};
use crate::view::trial::{show_duration, show_params, show_violated};
use trialbox_core::run::FinishedTrial;
use trialbox_core::run::next::LostClaim;
use trialbox_core::run::retry::MAX_ATTEMPTS;
use trialbox_core::session::OnDeadline;
use trialbox_core::session::event::Event;
use trialbox_core::session::objective::Interruption;
use trialbox_core::study::stopping::StopReason;
use trialbox_core::{TrialNumber, TrialState};

impl Job<'_> {
    /// Keeps all workers from starting trials; the first call prints the reason.
    pub(super) fn end(&self, reason: &StopReason) {
        if let StopReason::JobEnds(_) = reason {
            self.counters.note_out_of_time();
        }
        if self.counters.stop() {
            let study = &self.study.name;
            let line = Rendered::new(stop_text(reason, study), stop_record(reason, study));
            self.progress.print(self.output, &line);
        }
    }

    /// Prints what the objective logs, with `-v`. A failed trial shows its last lines in any case.
    pub(super) fn observe(&self, number: &mut Option<TrialNumber>, event: &Event) {
        match event {
            Event::Begun(begun) => *number = Some(*begun),
            Event::Logged(line) if self.output.is_verbose() => {
                let trial = match number {
                    Some(number) if self.plan.names_trials => format!("trial {number} "),
                    _ => String::new(),
                };
                let text = format!("  {trial}{}{}", source_prefix(line.source), line.text);
                self.progress.note(self.output, &text);
            }
            _ => {}
        }
    }

    /// Prints a trial that was recorded; returns how it counts for the process.
    pub(super) fn report(&self, trial: &FinishedTrial) -> ExitCode {
        self.report_finished(trial);
        self.counters.note_duration(trial.duration);
        self.exit_code(trial)
    }

    /// Prints a trial that another worker took.
    pub(super) fn report_lost(&self, claim: &LostClaim) -> ExitCode {
        let LostClaim { number, reason, values, kept_as } = claim;
        let shown = show_values(self.study, values);
        let result = match kept_as {
            Some(key) => format!("its result, {shown}, is kept as the study's attribute `{key}`"),
            None if values.is_empty() => "there is no result".to_owned(),
            None => format!("its result, {shown}, could not be kept"),
        };
        let text = format!("trial {number:<4} CLAIM LOST  {reason}; {result}");
        let record = ClaimLost {
            study: self.study.name.clone(),
            number: number.0,
            reason: reason.to_string(),
            values: floats(values),
            kept_as: kept_as.clone(),
        };
        self.progress.print(self.output, &Rendered::new(text, record));
        ExitCode::ClaimLost
    }

    /// Formats the retry of an interrupted trial.
    fn show_retry(&self, trial: &FinishedTrial) -> String {
        if let Some(retry) = trial.retry {
            return format!("\n  it was requeued as trial {retry}");
        }
        let is_given_up = match trial.interruption {
            Some(Interruption::Scheduler) => true,
            Some(Interruption::Deadline) => self.plan.on_deadline == OnDeadline::Retry,
            Some(Interruption::User) | None => false,
        };
        let tries = self.tries(trial);
        match (is_given_up, trial.interruption) {
            (true, Some(Interruption::Deadline)) => format!(
                "\n  it has been tried {tries} and is not tried again\
                 \n  help: give its job more time, or let it continue where it was with --checkpoint-dir"
            ),
            (true, _) => format!("\n  it has been tried {tries} and is not tried again"),
            (false, Some(Interruption::User)) => {
                format!("\n  help: `trialbox trial retry {}` runs it again", trial.number)
            }
            (false, _) => String::new(),
        }
    }

    /// Formats the number of attempts at a trial that is not tried again.
    fn tries(&self, trial: &FinishedTrial) -> String {
        let counted = self.plan.retry.max_retries + 1;
        match self.checkpoints {
            Some(_) if trial.made_progress => format!("{MAX_ATTEMPTS} times"),
            Some(_) => format!("{counted} times without progress"),
            None => format!("{counted} times"),
        }
    }

    fn exit_code(&self, trial: &FinishedTrial) -> ExitCode {
        if trial.state.is_evaluated() || trial.made_progress {
            self.counters.note_progress();
        }
        if trial.interruption.is_none() {
            self.counters.note_finished();
        }
        match (trial.interruption, trial.state) {
            (Some(Interruption::Deadline), _) if trial.retry.is_some() => {
                self.counters.note_out_of_time();
                ExitCode::Requeue
            }
            (Some(interruption), _) if interruption != Interruption::Deadline => {
                ExitCode::of(interruption)
            }
            (interruption, TrialState::Fail) => {
                if interruption.is_none() {
                    self.counters.note_failure();
                }
                ExitCode::TrialFailed
            }
            _ => ExitCode::Done,
        }
    }

    fn report_finished(&self, trial: &FinishedTrial) {
        let mut text = format!("trial {:<4} {:<8} ", trial.number.0, trial.state);
        if !trial.values.is_empty() {
            text.push_str(&format!("{}  ", show_values(self.study, &trial.values)));
        }
        if trial.state == TrialState::Pruned {
            text.push_str(&format!("after {}  ", count_reports(trial)));
        }
        text.push_str(&format!(
            "in {}  {}",
            show_duration(trial.duration),
            show_params(&trial.params)
        ));
        if let Some(violated) = show_violated(&trial.constraints) {
            text.push_str(&format!("; violates {violated}"));
        }
        if let (Some(reports), true) =
            (show_reports(trial), trial.n_reports != trial.n_reports_stored as u64)
        {
            text.push_str(&format!("\n  {reports}"));
        }
        if self.output.is_verbose() {
            text.push_str(&format!("\n  used {}", show_usage(&trial.usage)));
        }
        if let Some(failure) = &trial.failure {
            let message = failure_message_in_study(failure, &self.plan.remembered);
            text.push_str(&format!("\n  {}: {message}", failure.code));
            text.push_str(&show_backtrace(failure));
            let grants = self.plan.objective.grants();
            let mut help = failure_help(failure);
            if help.is_none() && self.plan.objective.is_sandboxed() {
                help = file_help(failure, grants);
            }
            if let Some(help) = help {
                text.push_str(&format!("\n  help: {help}"));
            }
            text.push_str(&self.show_retry(trial));
            if !self.output.is_verbose() {
                text.push_str(&last_lines(trial));
            }
        }
        let is_sandboxed = self.plan.objective.is_sandboxed();
        let record = TrialRecord::of_finished(self.study, trial, is_sandboxed);
        self.progress.print(self.output, &Rendered::new(text, record));
        self.progress.advance(trial, &self.study.directions);
    }
}
