//! Errors about shared objectives: a sentence, a way out, and a kind from which the caller makes an exit code.

use std::path::Path;
use trialbox_files::FileError;

/// The kinds of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The name of a source cannot be read, or a part of it is missing.
    Name,
    /// The source has no such content.
    NotFound,
    /// The network must not be used, and the content is not in the store.
    Offline,
    /// The source refuses this user.
    Access,
    /// The source cannot be reached, is too slow, or fails.
    Network,
    /// The content differs from its digest.
    Digest,
    /// The source holds something else than it should.
    Content,
    /// A file or folder of this machine cannot be used.
    Files,
}

/// A shared objective that could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ShareError {
    /// The kind.
    pub kind: ErrorKind,
    /// The thing, and what was expected and found.
    pub message: String,
    /// The next step for the user.
    pub help: String,
}

impl ShareError {
    /// Returns an error.
    pub fn new(kind: ErrorKind, message: impl Into<String>, help: impl Into<String>) -> Self {
        ShareError { kind, message: message.into(), help: help.into() }
    }

    /// Returns the error for content of `what` that breaks a rule of its format.
    pub(crate) fn content(what: &str, problem: &str) -> Self {
        let help = "ask its author to publish it again, or take it from another source";
        ShareError::new(ErrorKind::Content, format!("{what}: {problem}"), help)
    }

    /// Returns the error for content that has another digest than it should have.
    pub(crate) fn digest(what: &str, expected: &str, found: &str) -> Self {
        ShareError::new(
            ErrorKind::Digest,
            format!("{what}: expected {expected}, found {found}; nothing was kept"),
            "the bytes were changed or replaced on their way: compare the digest with its author's",
        )
    }

    /// Returns the error for a file that cannot be used.
    pub(crate) fn file(error: FileError, help: &str) -> Self {
        let kind = match error {
            _ if error.is_not_found() => ErrorKind::NotFound,
            FileError::WrongKind { .. }
            | FileError::TooLarge { .. }
            | FileError::LeadsOut { .. } => ErrorKind::Content,
            FileError::NotPrivate { .. } | FileError::Io { .. } => ErrorKind::Files,
        };
        ShareError::new(kind, error.to_string(), help)
    }
}

/// Returns a path for messages.
pub(crate) fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
