//! The exit codes. These numbers are stable.

use trialbox_core::session::objective::Interruption;

/// The result of a command, for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All trials finished COMPLETE or PRUNED, or none had to start.
    Done = 0,
    /// A trial failed, or the build or a test of a project.
    TrialFailed = 1,
    /// A usage error: a bad flag, or a file or study that does not exist.
    Usage = 2,
    /// The database could not be read or written.
    Storage = 3,
    /// The file is not an objective that can run here.
    Rejected = 4,
    /// Another worker finished or took the trial while it ran.
    ClaimLost = 6,
    /// A bug of trialbox's own, outside a trial. sysexits.h calls this number `EX_SOFTWARE`.
    Internal = 70,
    /// The system refused a resource, or ended the guest process before its trial. sysexits.h calls this number
    /// `EX_OSERR`.
    System = 71,
    /// The result could not be written to standard output. sysexits.h calls this number `EX_IOERR`.
    Output = 74,
    /// The scheduler or the end of the job's time interrupted a trial, which is recorded: the job may be requeued.
    Requeue = 75,
    /// The user interrupted a trial.
    Interrupted = 130,
    /// The reader of standard output has closed it: the exit code of a Unix tool that SIGPIPE ends.
    BrokenPipe = 141,
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
            ExitCode::BrokenPipe => 1,
            ExitCode::TrialFailed => 2,
            ExitCode::Output => 3,
            ExitCode::ClaimLost => 4,
            ExitCode::Usage => 5,
            ExitCode::Rejected => 6,
            ExitCode::System => 7,
            ExitCode::Internal => 8,
            ExitCode::Storage => 9,
            ExitCode::Requeue => 10,
            ExitCode::Interrupted => 11,
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
  1    a trial failed, or the build or a test of a project
  2    usage error: a bad flag, or a file or study that does not exist
  3    the database could not be read or written
  4    the file is not an objective that can run here
  6    another worker finished or took the trial while it ran
  70   a bug of trialbox: its sampler or an evaluator panicked (E-HOST)
  71   the system refused a resource or the network did not answer; the same command may work later
  74   the result could not be written to standard output
  75   interrupted by the scheduler or by the end of the job's time, and recorded; may be requeued
  130  interrupted by the user
  141  the reader of standard output closed it (a broken pipe), as in `| head`";
