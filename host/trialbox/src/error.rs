//! An error on its way to the user: message, causes, help and exit code.

use crate::exit_code::ExitCode;
use trialbox_core::StorageError;
use trialbox_core::run::RunError;
use trialbox_core::run::ask_tell::TellError;
use trialbox_core::session::door::Rejection;

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
        let is_busy = |error: &StorageError| matches!(error, StorageError::Busy { .. });
        let waited_for_database = match self.error.downcast_ref() {
            Some(
                RunError::Begin(source)
                | RunError::Halted { source, .. }
                | RunError::NotRecorded { source, .. },
            ) => is_busy(source),
            None => self.error.downcast_ref().is_some_and(is_busy),
        };
        waited_for_database || self.error.downcast_ref::<Rejection>().is_some()
    }

    /// Formats the error with its causes and its help.
    pub(crate) fn to_text(&self) -> String {
        let code = self.code.map(|code| format!("[{code}]")).unwrap_or_default();
        let mut text = format!("error{code}: {}\n", self.error);
        for cause in self.error.chain().skip(1) {
            text.push_str(&format!("  caused by: {cause}\n"));
        }
        if let Some(help) = &self.help {
            text.push_str(&format!("  help: {help}\n"));
        }
        text
    }
}

impl From<StorageError> for CommandError {
    fn from(error: StorageError) -> Self {
        let (exit, help) = match &error {
            StorageError::NoSuchStudy { known, .. } if known.is_empty() => {
                (ExitCode::Usage, Some("the database holds no studies; create one with `trialbox run` or `trialbox study create`".to_owned()))
            }
            StorageError::NoSuchStudy { known, .. } => {
                (ExitCode::Usage, Some(format!("the database holds: {}", known.join(", "))))
            }
            StorageError::DuplicateStudy { .. } => {
                (ExitCode::Usage, Some("choose another name, or take the existing study with `study create --skip-if-exists`".to_owned()))
            }
            StorageError::NameTooLong { .. } => (ExitCode::Usage, None),
            StorageError::UnknownUrl { .. } => (
                ExitCode::Usage,
                Some("give a path such as `study.db`, or `sqlite:///study.db`".to_owned()),
            ),
            StorageError::WrongDatabase { help, .. } => (ExitCode::Storage, Some(help.clone())),
            StorageError::Backend { help, .. } => (ExitCode::Storage, help.clone()),
            StorageError::Busy { help, .. } => (ExitCode::Storage, Some(help.clone())),
            StorageError::NoSuchTrial { .. } => {
                (ExitCode::Usage, Some("`trialbox study trials` lists them".to_owned()))
            }
            StorageError::Unsupported { .. } => (ExitCode::Usage, None),
            StorageError::ClaimLost { .. } => (ExitCode::ClaimLost, None),
            StorageError::UnreadableRow { .. } | StorageError::NanValue => (ExitCode::Storage, None),
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
        };
        let help = match source {
            StorageError::Backend { help, .. } => help.clone(),
            StorageError::WrongDatabase { help, .. } | StorageError::Busy { help, .. } => {
                Some(help.clone())
            }
            _ => None,
        };
        CommandError { exit: ExitCode::Storage, code: Some("E-STORAGE"), error: error.into(), help }
    }
}

impl From<TellError> for CommandError {
    fn from(error: TellError) -> Self {
        let (exit, help) = match error {
            TellError::Storage(error) => return error.into(),
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
        CommandError {
            exit: ExitCode::Rejected,
            code: Some(rejection.code.as_str()),
            error: rejection.into(),
            help,
        }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        CommandError { exit: ExitCode::Usage, code: None, error: error.into(), help: None }
    }
}
