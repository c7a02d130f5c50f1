//! `trialbox.lock`: which content each source of a project had when it was pulled.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use trialbox_files::Folder;

/// The name of the file.
pub const LOCK: &str = "trialbox.lock";

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// The times that a line is written again because another process has replaced the file.
const ATTEMPTS: usize = 20;

const HELP: &str = "remove the file and pull again";

/// The sources of a project.
#[derive(Debug, Clone)]
pub struct Lock {
    folder: PathBuf,
}

/// The content of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// The SHA-256 of the objective in hexadecimal.
    pub sha256: String,
    /// The digest of the image's manifest, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct File {
    /// The version of the format.
    version: u32,
    objectives: BTreeMap<String, Locked>,
}

impl Lock {
    /// Returns the lock of the project in a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Lock { folder: folder.into() }
    }

    /// Returns the content that a source had.
    ///
    /// # Errors
    /// Fails for a file that is not of this format, and for what is not a regular file.
    pub fn get(&self, source: &str) -> Result<Option<Locked>, ShareError> {
        Ok(self.read()?.objectives.remove(source))
    }

    /// Returns the contents of all sources.
    ///
    /// # Errors
    /// As [`Lock::get`].
    pub fn digests(&self) -> Result<BTreeSet<Digest>, ShareError> {
        Ok(self.read()?.objectives.values().filter_map(Locked::digest).collect())
    }

    /// Notes the content of a source.
    ///
    /// # Errors
    /// Fails if the file cannot be read or written.
    pub fn set(&self, source: &str, locked: &Locked) -> Result<(), ShareError> {
        for _ in 0..ATTEMPTS {
            let mut file = self.read()?;
            // Another process may have replaced the file meanwhile, without this line.
            if file.objectives.get(source) == Some(locked) {
                return Ok(());
            }
            file.version = 1;
            file.objectives.insert(source.to_owned(), locked.clone());
            let mut text = serde_json::to_string_pretty(&file).unwrap_or_default();
            text.push('\n');
            let folder = Folder::open_named(&self.folder);
            let written = folder.and_then(|folder| folder.write(OsStr::new(LOCK), text.as_bytes()));
            written.map_err(|error| ShareError {
                kind: ErrorKind::Files,
                ..ShareError::file(error, HELP)
            })?;
        }
        Ok(())
    }

    fn read(&self) -> Result<File, ShareError> {
        let folder =
            Folder::open_named(&self.folder).map_err(|error| ShareError::file(error, HELP))?;
        let bytes = match folder.read(OsStr::new(LOCK), MAX_FILE) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(File::default()),
            Err(error) => return Err(ShareError::file(error, HELP)),
        };
        match serde_json::from_slice::<File>(&bytes) {
            Ok(file) if file.version == 1 => Ok(file),
            _ => {
                let path = Path::new(&self.folder).join(LOCK);
                let problem =
                    format!("`{}`: expected a lock of version 1, found other text", path.display());
                Err(ShareError::new(ErrorKind::Content, problem, HELP))
            }
        }
    }
}

impl Locked {
    /// Returns the digest of the objective.
    pub fn digest(&self) -> Option<Digest> {
        Digest::from_hex(&self.sha256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_many_processes_are_all_kept() {
        let folder = std::env::temp_dir().join(format!("trialbox-lock-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let lock = Lock::new(&folder);
        assert_eq!(lock.get("a").expect("no file"), None);
        let locked = |n: usize| Locked { sha256: n.to_string(), manifest: None };
        std::thread::scope(|scope| {
            for n in 0..4 {
                let lock = &lock;
                scope.spawn(move || {
                    lock.set("same", &locked(7)).and_then(|()| lock.set(&n.to_string(), &locked(n)))
                });
            }
        });
        assert_eq!(lock.get("same").expect("a file"), Some(locked(7)));
        std::fs::write(folder.join(LOCK), "{}").expect("a file");
        assert_eq!(lock.get("a").expect_err("no version").kind, ErrorKind::Content);
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }
}
