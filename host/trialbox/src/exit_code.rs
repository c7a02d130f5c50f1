//! What the process tells its caller when it ends. These numbers are stable.

use trialbox_core::session::objective::Interruption;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All trials ended COMPLETE or PRUNED, or there was nothing to do.
    Done = 0,
    /// A trial ended as FAIL.
    TrialFailed = 1,
    /// The command line, or something it names, makes no sense.
    Usage = 2,
    /// The database could not be read or written.
    Storage = 3,
    /// The file is no objective that can run here.
    Rejected = 4,
    /// Somebody else ended or took the trial while it ran.
    ClaimLost = 6,
    /// The scheduler, or the end of the job's time, interrupted a trial, which is recorded: the job may be started
    /// again.
    Requeue = 75,
    /// The user interrupted a trial.
    Interrupted = 130,
}

impl ExitCode {
    /// Of a command that somebody cut short.
    pub(crate) fn of(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Scheduler | Interruption::Deadline => ExitCode::Requeue,
            Interruption::User => ExitCode::Interrupted,
        }
    }

    /// Of several endings, the one to report: the one that asks for the most attention.
    pub(crate) fn worst(self, other: Self) -> Self {
        let rank = |code| match code {
            ExitCode::Done => 0,
            ExitCode::TrialFailed => 1,
            ExitCode::ClaimLost => 2,
            ExitCode::Usage => 3,
            ExitCode::Rejected => 4,
            ExitCode::Storage => 5,
            ExitCode::Requeue => 6,
            ExitCode::Interrupted => 7,
        };
        if rank(other) > rank(self) { other } else { self }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        std::process::ExitCode::from(code as u8)
    }
}

/// For the end of `--help`.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
  0    every trial ended COMPLETE or PRUNED, or there was nothing left to do
  1    a trial ended as FAIL
  2    the command line, or something it names, makes no sense
  3    the database could not be read or written
  4    the file is no objective that can run here
  6    somebody else ended or took the trial while it ran
  75   interrupted by the scheduler, or by the end of the job's time, and recorded; may be started again
  130  interrupted by the user";
