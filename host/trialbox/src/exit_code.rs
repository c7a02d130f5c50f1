//! The exit codes. These numbers are stable.

use trialbox_core::session::objective::Interruption;

/// The result of a command, for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All trials finished COMPLETE or PRUNED, or none had to start.
    Done = 0,
    /// A trial failed.
    TrialFailed = 1,
    /// A usage error: a bad flag, or a file or study that does not exist.
    Usage = 2,
    /// The database could not be read or written.
    Storage = 3,
    /// The file is not an objective that can run here.
    Rejected = 4,
    /// Another worker finished or took the trial while it ran.
    ClaimLost = 6,
    /// The scheduler or the end of the job's time interrupted a trial, which is recorded: the job may be requeued.
    Requeue = 75,
    /// The user interrupted a trial.
    Interrupted = 130,
}

impl ExitCode {
    /// Returns the exit code of an interrupted command.
    pub(crate) fn of(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Scheduler | Interruption::Deadline => ExitCode::Requeue,
            Interruption::User => ExitCode::Interrupted,
        }
    }

    /// Returns the one of two exit codes that asks for more attention.
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

/// The end of `--help`.
pub(crate) const EXIT_CODES_HELP: &str = "\
Exit codes:
  0    every trial finished COMPLETE or PRUNED, or none had to start
  1    a trial failed
  2    usage error: a bad flag, or a file or study that does not exist
  3    the database could not be read or written
  4    the file is not an objective that can run here
  6    another worker finished or took the trial while it ran
  75   interrupted by the scheduler or by the end of the job's time, and recorded; may be requeued
  130  interrupted by the user";
