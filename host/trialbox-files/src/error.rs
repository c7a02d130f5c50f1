//! Errors about files, each a sentence that names the path.

use crate::kind::FileKind;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// A file or folder that could not be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// Another kind of file stands under the name.
    #[error("`{}`: expected {expected}, found {found}", path.display())]
    WrongKind {
        /// The path of the file.
        path: PathBuf,
        /// The kind that was expected.
        expected: FileKind,
        /// The kind that stands there.
        found: FileKind,
    },
    /// The file is larger than the caller reads.
    #[error("`{}`: expected at most {limit} bytes, found more", path.display())]
    TooLarge {
        /// The path of the file.
        path: PathBuf,
        /// The most that the caller reads, in bytes.
        limit: u64,
    },
    /// A link or a path leads out of the folder below which it must stay.
    #[error("`{}`: expected a path that stays in its folder, found one that leads out", path.display())]
    LeadsOut {
        /// The path of the link, or the path itself.
        path: PathBuf,
        /// The target of the link.
        target: Option<PathBuf>,
    },
    /// Other users could change a file or folder that must be the user's alone.
    #[error(
        "`{}`: expected a {what} that only this user can change, found one {problem}",
        path.display()
    )]
    NotPrivate {
        /// The path of the file or folder.
        path: PathBuf,
        /// The word for it: `file` or `folder`.
        what: &'static str,
        /// The reason, as the end of a sentence.
        problem: String,
    },
    /// The system refused an operation.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Io {
        /// The operation, as an infinitive.
        operation: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl FileError {
    /// Returns the kind of the system's error, or `InvalidData` for what this crate refuses itself.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            FileError::Io { source, .. } => source.kind(),
            _ => io::ErrorKind::InvalidData,
        }
    }

    /// Returns the system's reason alone, for callers that name the file themselves.
    pub fn into_reason(self) -> io::Error {
        match self {
            FileError::Io { source, .. } => source,
            other => other.into(),
        }
    }

    /// True if the file or folder does not exist.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        io::Error::new(error.kind(), error)
    }
}
