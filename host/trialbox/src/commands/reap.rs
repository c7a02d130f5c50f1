//! `trialbox reap`: fails and requeues trials whose worker died.

use crate::args::quantity::{MIN_GRACE, parse_duration};
use crate::args::storage::StudyArgs;
use crate::cluster::liveness::Inquiry;
use crate::error::{CommandError, CommandResult};
use crate::exit_code::ExitCode;
use crate::study::recovery::{DEFAULT_GRACE, Reaping, reap_study, reaped_text};
use crate::study::settings::retry_policy;
use crate::view::output::Output;
use crate::view::record::{ReapSummary, Rendered, TrialLost};
use crate::view::trial::show_duration;
use std::collections::BTreeSet;
use std::time::Duration;
use trialbox_core::run::reap::{Loss, ReapReport, Reaped, Suspect};
use trialbox_core::seam::storage::RetryPolicy;
use trialbox_core::value::text::counted;
use trialbox_core::{Clock as _, Storage, StudyRecord, TrialNumber};

const EXAMPLES: &str = "\
Examples:
  trialbox reap --storage study.db
  trialbox reap --wait                      watch silent trials until they are decided
  trialbox reap --trial 17 --max-retries 0  fail trial 17 in any case, without a retry";

/// Fail and requeue trials whose worker died.
///
/// The process table of this machine and Slurm, for your jobs on this cluster, tell whether a worker lives. Where
/// neither can tell, a trial is lost when its heartbeat stands still for the whole grace, by this machine's clock.
/// Every `run` does the same when it starts, but asks Slurm only after a minute of silence.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReapArgs {
    #[command(flatten)]
    study: StudyArgs,

    /// Silence after which a trial counts as lost
    ///
    /// [default: 5m]
    #[arg(
        long,
        value_name = "TIME",
        default_value = DEFAULT_GRACE,
        hide_default_value = true,
        value_parser = parse_duration
    )]
    grace: Duration,

    /// Accept a --grace below 1m, which can fail trials that live
    #[arg(long)]
    force: bool,

    /// Watch silent trials until the grace is over
    #[arg(long)]
    wait: bool,

    /// Retries of a lost trial
    ///
    /// [default: as the study remembers, else 3]
    #[arg(long, value_name = "N")]
    max_retries: Option<u32>,

    /// Fail this RUNNING trial, even if its worker lives
    #[arg(long, value_name = "NUMBER", conflicts_with = "wait")]
    trial: Vec<u32>,
}

impl ReapArgs {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        if self.grace < MIN_GRACE && !self.force {
            return Err(CommandError::usage(
                format!("expected a --grace of at least 1m, found {}", show_duration(self.grace)),
                "a worker's heartbeat comes every 30 s: a shorter grace can fail trials that live; --force accepts it",
            ));
        }
        let (mut storage, name) = self.study.open()?;
        let study = storage.open_study(&name)?;
        if !self.trial.is_empty() {
            return self.end_by_hand(storage.as_mut(), &study, output);
        }
        let spool = self.study.storage.spool();
        let reaping = Reaping {
            grace: self.grace,
            // An explicit --grace holds for all workers.
            foreign_grace: self.grace,
            inquiry: Inquiry::Always,
            retry: self.retry(&study)?,
        };
        let mut watched: Option<BTreeSet<TrialNumber>> = None;
        loop {
            let report = reap_study(storage.as_mut(), spool.as_ref(), &study, &reaping)?;
            for reaped in &report.lost {
                print_lost(&study.name, reaped, output);
            }
            // A heart that has beaten since the first look is none to wait for: it makes a new suspect only
            // because its clock and ours disagree.
            let is_watched = |suspect: &&Suspect| {
                watched.as_ref().is_none_or(|watched| watched.contains(&suspect.number))
            };
            let left: Vec<&Suspect> = report.suspects.iter().filter(is_watched).collect();
            let time = left.iter().map(|suspect| self.grace.saturating_sub(suspect.watched)).max();
            match time {
                Some(time) if self.wait => {
                    output.note(&format!(
                        "watching {} for {}",
                        counted(left.len() as u64, "silent trial"),
                        show_duration(time)
                    ));
                    let is_first = watched.is_none();
                    let numbers = left.iter().map(|suspect| suspect.number);
                    watched = Some(if is_first { numbers.collect() } else { BTreeSet::new() });
                    std::thread::sleep(time);
                }
                _ => {
                    self.summarise(&study, &report, output);
                    return Ok(ExitCode::Done);
                }
            }
        }
    }

    fn retry(&self, study: &StudyRecord) -> Result<RetryPolicy, CommandError> {
        match self.max_retries {
            Some(max_retries) => Ok(RetryPolicy { max_retries }),
            None => retry_policy(study),
        }
    }

    fn summarise(&self, study: &StudyRecord, report: &ReapReport, output: &Output) {
        let n_running = report.n_running as u64;
        let are = if n_running == 1 { "is" } else { "are" };
        let mut text =
            format!("study `{}`: {} {are} RUNNING", study.name, counted(n_running, "trial"));
        if !report.suspects.is_empty() {
            let numbers: Vec<String> =
                report.suspects.iter().map(|suspect| suspect.number.to_string()).collect();
            text.push_str(&format!(
                ", of which {} {} silent ({}): run this again after {}, or with --wait",
                report.suspects.len(),
                if numbers.len() == 1 { "has been" } else { "have been" },
                numbers.join(", "),
                show_duration(self.grace)
            ));
        }
        let record = ReapSummary {
            study: study.name.clone(),
            n_lost: report.lost.len(),
            n_running: report.n_running,
            suspects: report.suspects.iter().map(|suspect| suspect.number.0).collect(),
        };
        output.print(&Rendered::new(text, record));
    }

    fn end_by_hand(
        &self,
        storage: &mut dyn Storage,
        study: &StudyRecord,
        output: &Output,
    ) -> CommandResult {
        let held = storage.running_trials(study.id)?;
        let loss = Loss::by_hand("ended by hand with `trialbox reap --trial`");
        let failure = loss.to_failure_json();
        let at = crate::clock::SystemClock::new().utc_now();
        for number in self.trial.iter().copied().map(TrialNumber) {
            // A number that does not exist is a usage error.
            storage.trial(study.id, number)?;
            let ended = match held.iter().find(|trial| trial.number == number) {
                Some(trial) => {
                    storage.fail_lost_trial(trial, &failure, Some(self.retry(study)?), at)?
                }
                None => None,
            };
            match ended {
                Some(trial) => {
                    let reaped = Reaped { trial, loss: loss.clone() };
                    print_lost(&study.name, &reaped, output);
                }
                None => {
                    output.note(&format!("trial {number} is not RUNNING and was left unchanged"))
                }
            }
        }
        Ok(ExitCode::Done)
    }
}

fn print_lost(study: &str, reaped: &Reaped, output: &Output) {
    output.print(&Rendered::new(reaped_text(reaped), TrialLost::of(study, reaped)));
}
