//! The record of a runtime's files: what this user's trialbox has checked, authenticated under the user's key.
//!
//! Hashing hundreds of megabytes at each start would take longer than a trial. The digest of a file is computed when it
//! is added; later a stamp says that it is still that file, and only another stamp leads to another digest.

use crate::host::code_cache::CacheKey;
use crate::wire::digest::hex;
use crate::wire::python::{Stamp, StampedFile};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, Folder};

/// The name of the record's file.
const NAME: &str = "vouched";

/// The largest record that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The purpose of the key, from which it is derived.
const PURPOSE: &str = "runtime of Python";

/// A record that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum VouchedError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("`{}` was not written with this user's key, or is damaged", path.display())]
    Forged { path: PathBuf },
}

/// The files of a runtime that were checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vouched {
    files: Vec<VouchedFile>,
}

/// A file that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VouchedFile {
    /// The name of its folder below the runtime's, or nothing.
    pub(super) folder: String,
    pub(super) name: String,
    pub(super) sha256: String,
    stamp: Stamp,
}

/// The state of a file that was checked earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The stamp is the same.
    Same(StampedFile),
    /// The stamp has changed, and the content has not.
    Touched(StampedFile),
    /// The content has changed.
    Changed { sha256: String },
    /// The file cannot be read.
    Missing { problem: String },
}

impl Vouched {
    /// Reads the record of a runtime.
    pub(super) fn read(folder: &Folder, key: &CacheKey) -> Result<Self, VouchedError> {
        let bytes = folder.read_private(NAME.as_ref(), MAX_BYTES)?;
        let forged = || VouchedError::Forged { path: folder.path().join(NAME) };
        let (content, found) = bytes.split_last_chunk().ok_or_else(forged)?;
        if !key.derive(PURPOSE).has_written(found, NAME, content) {
            return Err(forged());
        }
        postcard::from_bytes(content).map_err(|_| forged())
    }

    /// Writes the record.
    pub(super) fn write(&self, folder: &Folder, key: &CacheKey) -> Result<(), FileError> {
        // A vector can be written, so that this gives bytes in any case.
        let content = postcard::to_allocvec(self).unwrap_or_default();
        let mut aside = folder.aside_private(NAME.as_ref())?;
        aside.write_bytes(&content)?;
        aside.write_bytes(&key.derive(PURPOSE).authenticate(NAME, &content))?;
        aside.replace()
    }

    /// Returns the entries.
    pub(super) fn files(&self) -> &[VouchedFile] {
        &self.files
    }

    /// Returns the entry of a file.
    pub(super) fn get(&self, folder: &str, name: &str) -> Option<&VouchedFile> {
        self.files.iter().find(|file| file.folder == folder && file.name == name)
    }

    /// Computes the digest of a file and adds it, in place of an earlier entry.
    pub(super) fn add(&mut self, root: &Path, folder: &str, name: &str) -> Result<(), FileError> {
        let (stamp, sha256) = examine(&root.join(folder), name)?;
        self.remove(folder, name);
        self.files.push(VouchedFile {
            folder: folder.to_owned(),
            name: name.to_owned(),
            sha256,
            stamp,
        });
        Ok(())
    }

    /// Removes the entry of a file.
    pub(super) fn remove(&mut self, folder: &str, name: &str) {
        self.files.retain(|file| file.folder != folder || file.name != name);
    }
}

impl VouchedFile {
    /// Looks at the file, by its stamp if that is enough.
    pub(super) fn look(&self, root: &Path, wants_digest: bool) -> Found {
        let folder = root.join(&self.folder);
        let stamped =
            |stamp| StampedFile { folder: folder.clone(), name: self.name.clone(), stamp };
        let known = stamped(self.stamp);
        if !wants_digest && known.open().is_ok() {
            return Found::Same(known);
        }
        match examine(&folder, &self.name) {
            Ok((_, sha256)) if sha256 != self.sha256 => Found::Changed { sha256 },
            Ok((stamp, _)) if stamp == self.stamp => Found::Same(known),
            Ok((stamp, _)) => Found::Touched(stamped(stamp)),
            Err(error) => Found::Missing { problem: error.to_string() },
        }
    }
}

/// Returns the stamp and the digest of a file.
fn examine(folder: &Path, name: &str) -> Result<(Stamp, String), FileError> {
    let folder = Folder::open(folder)?;
    let mut file = folder.open_file(name.as_ref())?;
    let unreadable =
        |source| FileError::Io { operation: "read", path: folder.path().join(name), source };
    let before = Stamp::of(&file).map_err(unreadable)?;
    let digest = sha256_of(&mut file).map_err(unreadable)?;
    Ok((before, digest))
}

/// Returns the SHA-256 of all that a reader gives, in hexadecimal.
pub(super) fn sha256_of(from: &mut impl Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(hex(&digest.finalize())),
            length => digest.update(&buffer[..length]),
        }
    }
}
