//! The judgement on a trial whose program has ended: which of its endings counts.

use crate::supervisor::Exit;
use trialbox_core::session::door::Rejection;
use trialbox_core::session::objective::{Evaluation, Interruption};
use trialbox_core::study::failure::{Failure, FailureCode};
use trialbox_core::study::limits::{Limit, LimitHit};

/// The result that a program sent by the protocol.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ProgramResult {
    Complete(Vec<f64>),
    Pruned,
    Failed { message: String, traceback: Vec<String> },
}

/// The reason for which the host process ended a program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EndedBy {
    /// The program broke a rule of the protocol, or reached a limit.
    Failure(Failure),
    /// The trial cannot continue.
    Halt,
    /// The scheduler, the user or the end of the job.
    Interruption(Interruption),
    /// The program did not exit soon enough after its result.
    NoExit,
}

/// Everything that is known of a program that has ended.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// The reason why the host process ended it, if it did.
    pub(crate) ended_by: Option<EndedBy>,
    /// The reason why it could not be started.
    pub(crate) not_started: Option<Rejection>,
    /// Its result.
    pub(crate) result: Option<ProgramResult>,
    /// The failure that counts if it ends without a result.
    pub(crate) provisional: Option<ProgramResult>,
    /// Its exit, if it was seen.
    pub(crate) exit: Option<Exit>,
    /// True if the kernel killed a process of this job for memory meanwhile.
    pub(crate) is_out_of_memory: bool,
}

const SIGKILL: i32 = 9;

/// The status with which a shell reports that SIGKILL ended its command.
const STATUS_OF_SIGKILL: i32 = 128 + SIGKILL;

impl Ending {
    /// Decides how the trial ended. `values` looks for the values of a program that exited with 0 and sent no result;
    /// `help` is the advice where there are none.
    pub(crate) fn judge(
        self,
        values: impl FnOnce() -> Result<Vec<f64>, String>,
        help: &str,
    ) -> Evaluation {
        let is_fine = self.exit == Some(Exit::Status(0));
        match (self.ended_by, self.result) {
            (Some(EndedBy::Failure(failure)), _) => return Evaluation::Fail(failure),
            (Some(EndedBy::Halt), _) => return Evaluation::Halted,
            // A program that finished in the time between the signal and its kill is not asked to run again.
            (Some(EndedBy::Interruption(interruption)), result) => {
                let is_killed = self.exit == Some(Exit::Signal(SIGKILL));
                return match result {
                    Some(result) if is_fine => evaluation_of(result),
                    Some(ProgramResult::Failed { .. }) | None => {
                        Evaluation::Interrupted(interruption)
                    }
                    Some(result) if is_killed && !self.is_out_of_memory => evaluation_of(result),
                    _ => Evaluation::Interrupted(interruption),
                };
            }
            (Some(EndedBy::NoExit), Some(result)) => return evaluation_of(result),
            (_, Some(failed @ ProgramResult::Failed { .. })) => return evaluation_of(failed),
            (_, Some(result)) if is_fine => return evaluation_of(result),
            (_, Some(_)) => {
                return Evaluation::Fail(failure_of_exit(
                    self.exit,
                    self.is_out_of_memory,
                    AFTER_RESULT,
                ));
            }
            (_, None) => {}
        }
        if let Some(rejection) = self.not_started {
            return Evaluation::NotStarted(rejection);
        }
        if !is_fine {
            return match self.provisional {
                Some(failed) if !self.is_out_of_memory => evaluation_of(failed),
                _ => Evaluation::Fail(failure_of_exit(self.exit, self.is_out_of_memory, "")),
            };
        }
        match (values(), self.provisional) {
            (Ok(values), _) => Evaluation::Complete(values),
            (Err(_), Some(failed)) => evaluation_of(failed),
            (Err(problem), None) => {
                Evaluation::Fail(Failure::new(FailureCode::Value, problem).with_help(help))
            }
        }
    }
}

const AFTER_RESULT: &str = " after it had reported its result";

/// Returns the failure of a trial that reached the time limit.
pub(crate) fn timed_out(allowed: u64) -> Failure {
    let hit = LimitHit { limit: Limit::TrialTime, allowed, used: None };
    Failure::of_limit(FailureCode::Time, "the trial's time is over:", hit)
        .with_help("raise the limit, or ask for the remaining time in the program and finish early")
}

/// Returns the failure of a program that took more memory than its limit.
pub(crate) fn too_much_memory(allowed: u64, used: u64) -> Failure {
    let hit = LimitHit { limit: Limit::Memory, allowed, used: Some(used) };
    Failure::of_limit(FailureCode::Memory, "the program and what it started took", hit)
        .with_help("load less, or raise the limit on memory")
}

fn evaluation_of(result: ProgramResult) -> Evaluation {
    match result {
        ProgramResult::Complete(values) => Evaluation::Complete(values),
        ProgramResult::Pruned => Evaluation::Pruned,
        ProgramResult::Failed { message, traceback } => {
            Evaluation::Fail(Failure::new(FailureCode::Guest, message).with_backtrace(&traceback))
        }
    }
}

fn failure_of_exit(exit: Option<Exit>, is_out_of_memory: bool, when: &str) -> Failure {
    let is_killed = matches!(exit, Some(Exit::Signal(SIGKILL) | Exit::Status(STATUS_OF_SIGKILL)));
    if is_killed && is_out_of_memory {
        return Failure::new(
            FailureCode::Memory,
            "the kernel killed the program for lack of memory",
        )
        .with_help("load less, or ask the batch system for more memory");
    }
    match exit {
        Some(Exit::Status(status)) => Failure::new(
            FailureCode::Exit,
            format!("the program exited with status {status}{when}"),
        ),
        Some(Exit::Signal(signal)) => {
            let name = signal_name(signal);
            Failure::new(FailureCode::Died, format!("the program was killed by {name}{when}"))
        }
        None => {
            Failure::new(FailureCode::Died, format!("the program's supervisor was killed{when}"))
        }
    }
}

/// Returns the reason of a failure from the exit status of a program, as a shell or Python's `subprocess` has it.
pub fn failure_of_status(status: i32) -> String {
    let exited = format!("the program exited with status {status}");
    match status {
        ..0 => format!("the program was killed by {}", signal_name(-status)),
        126 => format!("{exited}: it cannot be executed"),
        127 => format!("{exited}: it was not found"),
        129..=192 => format!("{exited}, as a shell reports {}", signal_name(status - 128)),
        _ => exited,
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialbox_core::session::door::RejectionCode;

    fn no_values() -> Result<Vec<f64>, String> {
        Err("no value".to_owned())
    }

    #[track_caller]
    fn check(ending: Ending, want: &str) {
        let shown = match ending.judge(no_values, "") {
            Evaluation::Fail(failure) => format!("{}: {}", failure.code, failure.message),
            other => format!("{other:?}"),
        };
        assert_eq!(shown, want);
    }

    fn exited(exit: Exit) -> Ending {
        Ending { exit: Some(exit), ..Ending::default() }
    }

    fn with_result(ending: Ending, result: ProgramResult) -> Ending {
        Ending { result: Some(result), ..ending }
    }

    #[test]
    fn a_status_names_its_signal() {
        for (status, want) in [
            (1, "the program exited with status 1"),
            (127, "the program exited with status 127: it was not found"),
            (137, "the program exited with status 137, as a shell reports SIGKILL"),
            (-11, "the program was killed by SIGSEGV"),
            (255, "the program exited with status 255"),
        ] {
            assert_eq!(failure_of_status(status), want);
        }
    }

    #[test]
    fn a_result_counts_if_the_program_exits_with_0() {
        let half = || ProgramResult::Complete(vec![0.5]);
        check(with_result(exited(Exit::Status(0)), half()), "Complete([0.5])");
        check(with_result(exited(Exit::Status(0)), ProgramResult::Pruned), "Pruned");
        let late = "E-EXIT: the program exited with status 3 after it had reported its result";
        check(with_result(exited(Exit::Status(3)), half()), late);
        let crash = "E-DIED: the program was killed by SIGSEGV after it had reported its result";
        check(with_result(exited(Exit::Signal(11)), half()), crash);
        let killed = Ending { ended_by: Some(EndedBy::NoExit), ..exited(Exit::Signal(9)) };
        check(with_result(killed, half()), "Complete([0.5])");
    }

    #[test]
    fn a_failure_that_the_program_reported_says_more_than_its_exit() {
        let failed =
            ProgramResult::Failed { message: "ValueError: no".to_owned(), traceback: vec![] };
        check(with_result(exited(Exit::Status(1)), failed), "E-GUEST: ValueError: no");
    }

    #[test]
    fn without_a_result_the_exit_decides() {
        check(exited(Exit::Status(0)), "E-VALUE: no value");
        check(exited(Exit::Status(1)), "E-EXIT: the program exited with status 1");
        check(exited(Exit::Signal(9)), "E-DIED: the program was killed by SIGKILL");
        check(exited(Exit::Signal(34)), "E-DIED: the program was killed by signal 34");
        for exit in [Exit::Signal(9), Exit::Status(137)] {
            let ending = Ending { is_out_of_memory: true, ..exited(exit) };
            check(ending, "E-MEM: the kernel killed the program for lack of memory");
        }
        let other = Ending { is_out_of_memory: true, ..exited(Exit::Status(1)) };
        check(other, "E-EXIT: the program exited with status 1");
        let rejection = Rejection::new(RejectionCode::System, "no more processes", "wait");
        let missing = Ending { not_started: Some(rejection.clone()), ..Ending::default() };
        assert_eq!(missing.judge(no_values, ""), Evaluation::NotStarted(rejection));
        check(Ending::default(), "E-DIED: the program's supervisor was killed");
    }

    #[test]
    fn a_provisional_failure_counts_without_a_result_only() {
        let failed =
            || ProgramResult::Failed { message: "not reached".to_owned(), traceback: vec![] };
        let with = |ending| Ending { provisional: Some(failed()), ..ending };
        check(with(exited(Exit::Status(0))), "E-GUEST: not reached");
        check(with(exited(Exit::Status(1))), "E-GUEST: not reached");
        let half = ProgramResult::Complete(vec![0.5]);
        check(with(with_result(exited(Exit::Status(0)), half)), "Complete([0.5])");
        let printed = with(exited(Exit::Status(0))).judge(|| Ok(vec![2.0]), "");
        assert_eq!(printed, Evaluation::Complete(vec![2.0]));
        let killed = Ending { is_out_of_memory: true, ..with(exited(Exit::Signal(9))) };
        check(killed, "E-MEM: the kernel killed the program for lack of memory");
    }

    #[test]
    fn an_interrupted_program_that_still_finishes_is_not_interrupted() {
        let interrupted = |exit| Ending {
            ended_by: Some(EndedBy::Interruption(Interruption::Deadline)),
            ..exited(exit)
        };
        check(interrupted(Exit::Signal(15)), "Interrupted(Deadline)");
        check(interrupted(Exit::Status(0)), "Interrupted(Deadline)");
        let done = with_result(interrupted(Exit::Status(0)), ProgramResult::Complete(vec![1.0]));
        check(done, "Complete([1.0])");
        let killed = with_result(interrupted(Exit::Signal(9)), ProgramResult::Complete(vec![1.0]));
        check(killed, "Complete([1.0])");
        let crashed = with_result(interrupted(Exit::Status(1)), ProgramResult::Complete(vec![1.0]));
        check(crashed, "Interrupted(Deadline)");
    }
}
