//! An error on its way to the user: message, causes, help and exit code.

use crate::commands::submit::quote::shell_quote;
use crate::exit_code::ExitCode;
use crate::view::failure::with_flag;
use std::io::ErrorKind;
use trialbox_core::StorageError;
use trialbox_core::run::RunError;
use trialbox_core::run::ask_tell::TellError;
use trialbox_core::run::next::NextError;
use trialbox_core::seam::guarded::HostPanic;
use trialbox_core::seam::storage::Remedy;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_core::study::failure::FailureCode;
use trialbox_core::value::text::mark_lines;
use trialbox_files::FileError;

/// A command that could not do its work.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code of the process.
    pub(crate) exit: ExitCode,
    /// The stable code of its kind, if it has one.
    pub(crate) code: Option<&'static str>,
    /// The message and its causes.
    pub(crate) error: anyhow::Error,
    /// The advice to the user.
    pub(crate) help: Option<String>,
}

/// The result of a command.
pub(crate) type CommandResult = Result<ExitCode, CommandError>;

impl CommandError {
    /// Creates a usage error.
    pub(crate) fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        CommandError {
            exit: ExitCode::Usage,
            code: None,
            error: anyhow::anyhow!(message.into()),
            help: Some(help.into()),
        }
    }
}

impl CommandError {
    /// Returns whether a signal may be the cause, by ending a wait for the database or for the compiler.
    pub(crate) fn is_cut_short(&self) -> bool {
        let is_busy = |error: &StorageError| {
            matches!(
                error,
                StorageError::Busy { .. }
                    | StorageError::Away { .. }
                    | StorageError::Unfinished { .. }
            )
        };
        let waited_for_database = match self.error.downcast_ref() {
            Some(
                RunError::Begin(source)
                | RunError::Halted { source, .. }
                | RunError::NotRecorded { source, .. },
            ) => is_busy(source),
            Some(RunError::NotStarted { .. }) => false,
            None => self.error.downcast_ref().is_some_and(is_busy),
        };
        waited_for_database || self.error.downcast_ref::<Rejection>().is_some()
    }

    /// Returns whether a server has none of Optuna's tables yet.
    pub(crate) fn lacks_tables(&self) -> bool {
        matches!(
            self.error.downcast_ref(),
            Some(StorageError::WrongDatabase { help: Remedy::CreateDatabase, .. })
        )
    }

    /// Returns whether the database could not be used for a reason that may pass: it is locked, full or away.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self.error.downcast_ref(),
            Some(
                StorageError::Busy { .. }
                    | StorageError::Away { .. }
                    | StorageError::InDoubt
                    | StorageError::Backend { .. }
                    | StorageError::WrongDatabase { help: Remedy::CreateDatabase, .. }
            )
        )
    }

    /// Formats the error with its causes and its help.
    pub(crate) fn to_text(&self) -> String {
        let code = self.code.map(|code| format!("[{code}]")).unwrap_or_default();
        // Names in it can hold line breaks, and so can what other programs said.
        let mut text = format!("error{code}: {}\n", mark_lines(&self.error.to_string()));
        for cause in self.error.chain().skip(1) {
            text.push_str(&format!("  caused by: {}\n", mark_lines(&cause.to_string())));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  help: {}\n", mark_lines(help)));
        }
        text
    }
}

impl From<StorageError> for CommandError {
    fn from(error: StorageError) -> Self {
        let (exit, help) = match &error {
            StorageError::NoSuchStudy { known, .. } if known.is_empty() => {
                let help = "the database holds no studies; create one with `trialbox run` or \
                            `trialbox study create`";
                (ExitCode::Usage, Some(help.to_owned()))
            }
            StorageError::NoSuchStudy { known, .. } => {
                (ExitCode::Usage, Some(format!("the database holds: {}", known.join(", "))))
            }
            StorageError::DuplicateStudy { .. } => {
                let help = "choose another name, or take the existing study with \
                            `study create --skip-if-exists`";
                (ExitCode::Usage, Some(help.to_owned()))
            }
            StorageError::NameTooLong { .. } | StorageError::UnstorableParam { .. } => {
                (ExitCode::Usage, None)
            }
            StorageError::UnknownUrl { .. } => (
                ExitCode::Usage,
                Some(
                    "give a path such as `study.db`, or the address of a PostgreSQL server"
                        .to_owned(),
                ),
            ),
            StorageError::UnknownUrlOption { .. } => (
                ExitCode::Usage,
                Some("leave the option out; trialbox waits by --storage-timeout".to_owned()),
            ),
            StorageError::WrongDatabase { .. }
            | StorageError::Backend { .. }
            | StorageError::Busy { .. }
            | StorageError::Away { .. }
            | StorageError::InDoubt
            | StorageError::Unfinished { .. } => (ExitCode::Storage, storage_help(&error)),
            StorageError::NoSuchTrial { .. } => {
                (ExitCode::Usage, Some("`trialbox study trials` lists them".to_owned()))
            }
            StorageError::Unsupported { .. } => (ExitCode::Usage, None),
            StorageError::ClaimLost { .. } => (ExitCode::ClaimLost, None),
            StorageError::UnreadableRow { .. } => (ExitCode::Storage, storage_help(&error)),
            StorageError::NanValue => (ExitCode::Storage, None),
        };
        CommandError {
            exit,
            code: Some("E-STORAGE").filter(|_| exit == ExitCode::Storage),
            error: error.into(),
            help,
        }
    }
}

impl From<RunError> for CommandError {
    fn from(error: RunError) -> Self {
        let source = match &error {
            RunError::Begin(source)
            | RunError::Halted { source, .. }
            | RunError::NotRecorded { source, .. } => source,
            RunError::NotStarted { rejection, .. } => {
                let rejection = CommandError::from(rejection.clone());
                return CommandError { error: error.into(), ..rejection };
            }
        };
        let help = storage_help(source);
        CommandError { exit: ExitCode::Storage, code: Some("E-STORAGE"), error: error.into(), help }
    }
}

impl From<NextError> for CommandError {
    fn from(error: NextError) -> Self {
        match error {
            NextError::Storage(error) => error.into(),
            NextError::Run(error) => error.into(),
            NextError::Host(panic) => panic.into(),
        }
    }
}

impl From<HostPanic> for CommandError {
    fn from(panic: HostPanic) -> Self {
        CommandError {
            exit: ExitCode::Internal,
            code: Some(FailureCode::Host.as_str()),
            error: panic.into(),
            help: Some(
                "please report this, with the command and a copy of the database".to_owned(),
            ),
        }
    }
}

/// Returns the help for a storage that failed. The storage's remedy is data, because only this binary knows its flags.
fn storage_help(error: &StorageError) -> Option<String> {
    match error {
        StorageError::WrongDatabase { help, .. } => Some(remedy_text(help)),
        StorageError::Backend { help, .. } => help.as_ref().map(remedy_text),
        StorageError::UnreadableRow { .. } => Some(
            "`trialbox doctor` lists all such rows of the database, and what mends them".to_owned(),
        ),
        StorageError::Away { .. } => Some(
            "wait longer with --storage-timeout; the address, PGHOST and PGPORT say where the server is"
                .to_owned(),
        ),
        StorageError::InDoubt => {
            Some("look at the study before you repeat the command".to_owned())
        }
        StorageError::Unfinished { .. } => {
            Some("allow more time with --storage-timeout, or look at `trialbox doctor`".to_owned())
        }
        StorageError::Busy { holder: Some(holder), .. } => {
            Some(format!("wait longer with --storage-timeout; the lock is held by {holder}"))
        }
        StorageError::Busy { holder: None, .. } => Some(
            "wait longer with --storage-timeout; `fuser` shows which process holds the lock"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Returns the path of a database's address, as a shell reads it.
pub(crate) fn file_of(url: &str) -> String {
    shell_quote(url.strip_prefix("sqlite:///").unwrap_or(url))
}

fn remedy_text(remedy: &Remedy) -> String {
    match remedy {
        Remedy::Advice(text) => text.clone(),
        Remedy::CreateDatabase => {
            "`trialbox run` and `trialbox study create` create one; --storage says where it is"
                .to_owned()
        }
        Remedy::CreateFolder(folder) => {
            format!("create the folder `{}` first, or choose another --storage", folder.display())
        }
        Remedy::LeaveFolder(folder) => {
            format!("the folder `{}` cannot be written: choose another --storage", folder.display())
        }
        Remedy::OtherPlace => "choose another --storage".to_owned(),
        Remedy::OtherFile => "choose another --storage; this file was not touched".to_owned(),
        Remedy::WritableFolder(folder) => format!(
            "the folder `{}` must be writable; where all jobs run on one machine, --lock sqlite \
             works without a lock file",
            folder.display()
        ),
        Remedy::RunSql { url, sql } => {
            format!("if no program needs it: sqlite3 {} '{sql}'", file_of(url))
        }
        Remedy::Examine { url } => {
            format!("trialbox doctor --storage {} shows it", file_of(url))
        }
        Remedy::KeepLockFile(database) => format!(
            "omit --lock sqlite; or, if all jobs run on one machine now: trialbox doctor --storage {} \
             --lock sqlite --repair",
            database.display()
        ),
        Remedy::UpgradeSchema { url } => {
            format!("make a copy, then upgrade it: optuna storage upgrade --storage {url}")
        }
        Remedy::IdentifySchema { url } => {
            format!("let Optuna find out: optuna storage upgrade --storage {url}")
        }
    }
}

impl From<TellError> for CommandError {
    fn from(error: TellError) -> Self {
        let (exit, help) = match error {
            TellError::Storage(error) => return error.into(),
            TellError::Panic(panic) => return panic.into(),
            TellError::NotRecorded { .. } => (ExitCode::Storage, "tell it again"),
            TellError::NotRunning { state, .. } if state.is_finished() => (
                ExitCode::ClaimLost,
                "a finished trial is never changed; --skip-if-finished ignores this",
            ),
            TellError::NotRunning { .. } => {
                (ExitCode::Usage, "take it first with `trialbox trial ask`")
            }
            TellError::OtherOwner { .. } => (
                ExitCode::ClaimLost,
                "another worker has taken the trial; this result came too late",
            ),
            TellError::Contradiction { .. } => {
                (ExitCode::Usage, "give values for a complete trial, and none for the others")
            }
        };
        let code = Some("E-STORAGE").filter(|_| exit == ExitCode::Storage);
        CommandError { exit, code, error: error.into(), help: Some(help.to_owned()) }
    }
}

impl From<Rejection> for CommandError {
    fn from(rejection: Rejection) -> Self {
        let help = rejection.help.clone();
        let message = with_flag(&rejection.message, rejection.limit);
        let rejection = Rejection { message, ..rejection };
        CommandError {
            exit: match rejection.code {
                // It says nothing about the objective.
                RejectionCode::Died | RejectionCode::System => ExitCode::System,
                _ => ExitCode::Rejected,
            },
            code: Some(rejection.code.as_str()),
            error: rejection.into(),
            help,
        }
    }
}

impl From<FileError> for CommandError {
    fn from(error: FileError) -> Self {
        std::io::Error::from(error).into()
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        CommandError {
            exit: exit_code_of(error.kind()),
            code: None,
            error: error.into(),
            help: None,
        }
    }
}

/// Returns the exit code of an error of the system: a file that the user named is wrong, or a resource is missing.
fn exit_code_of(kind: ErrorKind) -> ExitCode {
    match kind {
        ErrorKind::NotFound
        | ErrorKind::PermissionDenied
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::DirectoryNotEmpty
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidData
        | ErrorKind::UnexpectedEof => ExitCode::Usage,
        _ => ExitCode::System,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn busy(holder: Option<&str>) -> CommandError {
        let action = "start a trial".to_owned();
        let waited = Duration::from_secs(7);
        StorageError::Busy { action, waited, holder: holder.map(str::to_owned) }.into()
    }

    #[test]
    fn the_help_for_a_locked_database_names_the_flag_and_the_holder() {
        assert_eq!(
            busy(Some("process 7")).to_text(),
            "error[E-STORAGE]: failed to start a trial: waited 7 s for the database's lock\n  \
             help: wait longer with --storage-timeout; the lock is held by process 7\n"
        );
        assert!(busy(None).to_text().contains("wait longer with --storage-timeout; `fuser` shows"));
    }

    #[test]
    fn a_guest_process_that_dies_before_its_trial_says_nothing_about_the_objective() {
        for (code, exit) in [
            (RejectionCode::Died, ExitCode::System),
            (RejectionCode::Invalid, ExitCode::Rejected),
            (RejectionCode::CompileLimit, ExitCode::Rejected),
        ] {
            let error = CommandError::from(Rejection::new(code, "it failed", "try again"));
            assert_eq!(error.exit, exit, "{}", error.to_text());
        }
    }

    #[test]
    fn an_error_of_the_system_is_a_usage_error_only_if_the_user_named_a_wrong_file() {
        for (error, exit) in [
            (rustix::io::Errno::NOENT, ExitCode::Usage),
            (rustix::io::Errno::ACCESS, ExitCode::Usage),
            (rustix::io::Errno::ISDIR, ExitCode::Usage),
            (rustix::io::Errno::MFILE, ExitCode::System),
            (rustix::io::Errno::NFILE, ExitCode::System),
            (rustix::io::Errno::NOMEM, ExitCode::System),
            (rustix::io::Errno::AGAIN, ExitCode::System),
            (rustix::io::Errno::NOSPC, ExitCode::System),
            (rustix::io::Errno::IO, ExitCode::System),
        ] {
            let error = CommandError::from(std::io::Error::from(error));
            assert_eq!(error.exit, exit, "{}", error.to_text());
        }
    }

    #[test]
    fn a_remedy_becomes_help_that_names_the_flag() {
        for (remedy, help) in [
            (Remedy::Advice("free some space".to_owned()), "free some space"),
            (Remedy::CreateDatabase, "--storage says where it is"),
            (Remedy::CreateFolder("data".into()), "create the folder `data` first, or choose"),
            (Remedy::LeaveFolder("data".into()), "the folder `data` cannot be written: choose"),
            (Remedy::OtherPlace, "choose another --storage"),
            (Remedy::OtherFile, "choose another --storage; this file was not touched"),
            (Remedy::WritableFolder("data".into()), "--lock sqlite works without a lock file"),
            (
                Remedy::RunSql {
                    url: "sqlite:///my s.db".to_owned(),
                    sql: "DROP VIEW v".to_owned(),
                },
                "if no program needs it: sqlite3 \"my s.db\" 'DROP VIEW v'",
            ),
            (
                Remedy::Examine { url: "sqlite:////data/s.db".to_owned() },
                "trialbox doctor --storage /data/s.db",
            ),
            (
                Remedy::KeepLockFile("s.db".into()),
                "trialbox doctor --storage s.db --lock sqlite --repair",
            ),
            (
                Remedy::UpgradeSchema { url: "sqlite:///s.db".to_owned() },
                "make a copy, then upgrade it: optuna storage upgrade --storage sqlite:///s.db",
            ),
            (
                Remedy::IdentifySchema { url: "sqlite:///s.db".to_owned() },
                "let Optuna find out: optuna storage upgrade --storage sqlite:///s.db",
            ),
        ] {
            let text = remedy_text(&remedy);
            assert!(text.contains(help), "{text}");
        }
    }
}
