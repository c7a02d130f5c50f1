//! The cache of compiled code as the host process sees it: its directories, and the key that only the user has.
//!
//! Compiled code is native and runs unchecked. A directory that the user alone can write to is no proof that the user's
//! trialbox has written an entry: an objective may have a grant in which the directory lies. So an entry is
//! authenticated under a key, which the host process keeps. The guest process gets a key that is derived from it for
//! the one component that it loads, and wipes that before the component's code runs.

use crate::wire::entry_key::{EntryKey, KEY_BYTES};
use crate::wire::protocol::CacheRequest;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, Folder};

/// The name of the key's file.
const KEY_FILE: &str = "cache.key";

/// The cache of compiled code.
#[derive(Debug, Clone)]
pub struct CodeCache {
    /// The directories, the preferred one first.
    pub dirs: Vec<PathBuf>,
    /// The key of the entries.
    pub key: CacheKey,
}

impl CodeCache {
    /// Returns the part of it for one component.
    pub(crate) fn request(&self, sha256: &str) -> CacheRequest {
        CacheRequest { dirs: self.dirs.clone(), key: self.key.derive(sha256) }
    }
}

/// The user's key, under which compiled code is written and read.
#[derive(Clone)]
pub struct CacheKey([u8; KEY_BYTES]);

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheKeyError {
    /// The file or its directory cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not hold a key.
    #[error("`{}`: expected a key of {KEY_BYTES} bytes, found {found}", path.display())]
    Length {
        /// The path of the file.
        path: PathBuf,
        /// The length of the file, in bytes.
        found: usize,
    },
}

impl CacheKey {
    /// Derives the key for a purpose, or for the component with this SHA-256.
    pub(crate) fn derive(&self, purpose: &str) -> EntryKey {
        EntryKey::derive(&self.0, purpose)
    }

    /// Reads the key in a directory, and creates both if they do not exist.
    ///
    /// # Errors
    /// Fails if another user could change the directory or read the file, or if either cannot be created.
    pub fn open(directory: &Path) -> Result<Self, CacheKeyError> {
        let folder = Folder::open_private(directory)?;
        match Self::read(&folder) {
            Err(CacheKeyError::File(error)) if error.is_not_found() => {}
            read => return read,
        }
        let key: [u8; KEY_BYTES] = rand::random();
        let mut file = folder.aside_private(OsStr::new(KEY_FILE))?;
        file.write_bytes(&key)?;
        // Of processes that start together one creates the key, and all read that one.
        match file.publish() {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error)?,
            _ => Self::read(&folder),
        }
    }

    fn read(folder: &Folder) -> Result<Self, CacheKeyError> {
        let bytes = folder.read_secret(OsStr::new(KEY_FILE), KEY_BYTES as u64)?;
        match bytes.try_into() {
            Ok(key) => Ok(CacheKey(key)),
            Err(bytes) => Err(CacheKeyError::Length {
                path: folder.path().join(KEY_FILE),
                found: bytes.len(),
            }),
        }
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey")
    }
}
