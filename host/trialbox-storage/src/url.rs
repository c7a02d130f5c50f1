//! Which backend an address means.

use crate::{MemoryStorage, SqliteStorage};
use std::path::Path;
use std::time::Duration;
use trialbox_core::storage::{Storage, StorageError};

/// How to open a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long to wait for a database that others are writing.
    pub timeout: Duration,
    /// Whether to make a database that is not there.
    pub create: bool,
}

/// Opens the storage at an address: a path, `sqlite:///relative.db`, `sqlite:////absolute.db`, or `memory:`.
///
/// # Errors
/// [`StorageError::UnknownUrl`], or what the backend says.
pub fn open(url: &str, options: &Options) -> Result<Box<dyn Storage>, StorageError> {
    if matches!(url, "memory:" | "sqlite://" | "sqlite:///:memory:") {
        return Ok(Box::new(MemoryStorage::new()));
    }
    let path = match url.split_once("://") {
        // SQLAlchemy: three slashes before a relative path, four before an absolute one.
        Some(("sqlite", rest)) if rest.len() > 1 && rest.starts_with('/') => &rest[1..],
        Some(_) => return Err(StorageError::UnknownUrl { url: without_password(url) }),
        None if url.is_empty() => return Err(StorageError::UnknownUrl { url: String::new() }),
        None => url,
    };
    Ok(Box::new(SqliteStorage::open(Path::new(path), options)?))
}

/// The address as it may be shown: without a password, and without the query, which may hold one too.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let rest = rest.split('?').next().unwrap_or_default();
    // The last `@`: a password may hold others.
    match rest.rsplit_once('@') {
        Some((user, host)) => {
            format!("{scheme}://{}:***@{host}", user.split(':').next().unwrap_or_default())
        }
        None => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_address_is_shown_without_its_password() {
        let options = Options { timeout: Duration::ZERO, create: true };
        let error = open("postgresql://anna:secret@host/db", &options).err().expect("not yet");
        assert_eq!(
            error.to_string(),
            "`postgresql://anna:***@host/db` is no storage that trialbox can open"
        );
    }
}
