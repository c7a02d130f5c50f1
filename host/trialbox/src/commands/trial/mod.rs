//! `trialbox trial`: single trials, and trials whose objective runs outside the sandbox.

mod ask;
mod cancel;
mod enqueue;
mod retry;
mod show;
mod steer;
mod tell;

use super::replay::{self, ReplayArgs};
use crate::error::CommandResult;
use crate::exit_code::EXIT_CODES_HELP;
use crate::view::output::Output;
use ask::AskArgs;
use cancel::CancelArgs;
use enqueue::EnqueueArgs;
use retry::RetryArgs;
use show::ShowArgs;
use steer::{ReportArgs, ShouldPruneArgs};
use tell::TellArgs;
pub(crate) use tell::join_values;

/// Enqueue, cancel, retry, ask, tell, show and replay single trials.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum TrialCommand {
    /// Enqueue a trial with the given parameters
    #[command(after_help = ENQUEUE_EXAMPLES)]
    Enqueue(EnqueueArgs),
    /// Drop a WAITING trial: it is recorded as FAIL, since Optuna cannot remove one
    #[command(after_help = CANCEL_EXAMPLES)]
    Cancel(CancelArgs),
    /// Run failed trials again, with the same parameters
    #[command(after_help = RETRY_EXAMPLES)]
    Retry(RetryArgs),
    /// Start a trial whose objective runs outside the sandbox
    ///
    /// Prints its number and parameters as JSON. Prints nothing if the study is complete or stopped, or if no untried
    /// point of a finite search is left.
    #[command(after_help = ASK_EXAMPLES, after_long_help = format!("{ASK_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
    Ask(AskArgs),
    /// Report an intermediate value of a trial that `ask` started
    #[command(after_help = STEER_EXAMPLES)]
    Report(ReportArgs),
    /// Ask whether a trial that `ask` started should stop early
    ///
    /// Exits with 0 if it should, and with 1 if not.
    #[command(after_help = STEER_EXAMPLES)]
    ShouldPrune(ShouldPruneArgs),
    /// Record the result of a trial that `ask` started
    #[command(after_help = TELL_EXAMPLES, after_long_help = format!("{TELL_EXAMPLES}\n\n{EXIT_CODES_HELP}"))]
    Tell(TellArgs),
    /// Run a recorded trial again and compare the results
    #[command(after_help = replay::EXAMPLES)]
    Replay(Box<ReplayArgs>),
    /// Show one trial
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
}

const EXAMPLES: &str = "\
Examples:
  trialbox trial show 3 --study-name digits                      a trial, with the reason of its failure
  trialbox trial enqueue --param lr=0.1                          parameters for the next trial
  trialbox trial retry --all                                     failed trials again, with their parameters
  trialbox trial cancel --all                                    drop the trials that wait";

const ENQUEUE_EXAMPLES: &str = "\
Examples:
  trialbox trial enqueue --param lr=0.1 --param depth=3
  trialbox trial enqueue --param activation=tanh --skip-if-exists --user-attr why=baseline";

const CANCEL_EXAMPLES: &str = "\
Examples:
  trialbox trial cancel 17
  trialbox trial cancel --all --reason 'the range was wrong'

The trial becomes FAIL with the code E-CANCELLED. It does not count towards --max-trials and is not retried.";

const RETRY_EXAMPLES: &str = "\
Examples:
  trialbox trial retry 3 17
  trialbox trial retry --state fail --code E-TIME
  trialbox trial retry --all --dry-run";

const ASK_EXAMPLES: &str = "\
Examples:
  trialbox trial ask --search-space 'lr=log(1e-5, 0.1)' --search-space 'layers=int(1, 4)'
  trialbox trial ask --search-space @space.toml

  In an array job, with any program that prints its result:
    asked=$(trialbox trial ask --shell --max-trials 100 --owner-pid $$ \\
        --search-space @space.toml) || exit
    eval \"$asked\"
    [ -n \"$TRIALBOX_TRIAL\" ] || exit 0      # the study is complete
    value=$(python train.py --lr \"$TRIALBOX_PARAM_LR\")
    trialbox trial tell \"$TRIALBOX_TRIAL\" --owner \"$TRIALBOX_OWNER\" \\
        --from-exit $? --values \"$value\"";

const STEER_EXAMPLES: &str = "\
Examples:
  trialbox trial report 3 0.42 --step 1 --owner \"$TRIALBOX_OWNER\"
  if trialbox trial should-prune 3 --owner \"$TRIALBOX_OWNER\"
  then trialbox trial tell 3 --owner \"$TRIALBOX_OWNER\" --state pruned
  fi";

const TELL_EXAMPLES: &str = "\
Examples:
  trialbox trial tell 3 --values 0.92
  trialbox trial tell 4 --state fail --reason 'out of memory'
  trialbox trial tell 5 --state pruned --report 1=0.5 --report 2=0.4
  trialbox trial tell 6 --values 0.92 1.4e6 --constraint seconds=-12.5
  value=$(python train.py); trialbox trial tell 7 --from-exit $? --values \"$value\"";

const SHOW_EXAMPLES: &str = "\
Examples:
  trialbox trial show 3
  trialbox trial show 3 --format json | jq .system_attrs";

impl TrialCommand {
    pub(crate) fn run(self, output: &Output) -> CommandResult {
        match self {
            TrialCommand::Enqueue(args) => args.run(output),
            TrialCommand::Cancel(args) => args.run(output),
            TrialCommand::Retry(args) => args.run(output),
            TrialCommand::Ask(args) => args.run(output),
            TrialCommand::Report(args) => args.run(output),
            TrialCommand::ShouldPrune(args) => args.run(output),
            TrialCommand::Tell(args) => args.run(output),
            TrialCommand::Show(args) => args.run(output),
            TrialCommand::Replay(args) => args.run(output),
        }
    }
}
