//! The store: each content is a file named by its digest, and every use computes the digest again.
//!
//! A store may belong to a group or lie on a network file system. A file gets its name when it is whole, so that
//! processes that bring the same content leave one copy. What stands under a name proves nothing: its digest does.

use crate::digest::Digest;
use crate::error::{ErrorKind, ShareError, shown};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use trialbox_files::{FileError, Folder, create_folders};

/// The folder of the entries.
const ENTRIES: &str = "sha256";

/// The permissions of a new store, as far as the umask allows them.
const MODE: u32 = 0o777;

const HELP: &str = "choose another store with a folder that you can write";

/// The age after which a file that a process was writing is the remainder of a dead one.
const LONGEST_WRITE: Duration = Duration::from_secs(24 * 3600);

/// A folder of contents under their digests.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// A content of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The digest that its name is.
    pub digest: Digest,
    /// The time of the file's last change.
    pub modified: Option<SystemTime>,
}

impl Store {
    /// Returns the store in a folder, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Store { root: root.into() }
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of a content, be it there or not.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.root.join(ENTRIES).join(digest.hex())
    }

    /// Reads a content of at most `limit` bytes; `None` if it is not in the store.
    ///
    /// # Errors
    /// [`ErrorKind::Digest`] if other bytes stand under the digest; [`ErrorKind::Content`] for a link, a pipe, a folder
    /// or a file that is too large.
    pub fn read(&self, digest: Digest, limit: u64) -> Result<Option<Vec<u8>>, ShareError> {
        let read = self.open().and_then(|folder| folder.read(&name(digest), limit));
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => {
                let path = self.path(digest);
                return Err(ShareError::file(error, &remove(&path)));
            }
        };
        match Digest::of(&bytes) {
            found if found == digest => Ok(Some(bytes)),
            found => Err(ShareError::new(
                ErrorKind::Digest,
                format!(
                    "the store's file {}: expected {digest}, found {found}",
                    shown(&self.path(digest))
                ),
                remove(&self.path(digest)),
            )),
        }
    }

    /// Adds a content. What stood under its digest is replaced.
    ///
    /// # Errors
    /// Fails if the store cannot be written; an earlier entry is untouched then.
    pub fn add(&self, bytes: &[u8]) -> Result<Digest, ShareError> {
        let digest = Digest::of(bytes);
        let write = || {
            create_folders(&self.root, MODE)?;
            let root = Folder::open_named(&self.root)?;
            root.open_or_create_folder(OsStr::new(ENTRIES))?.write(&name(digest), bytes)
        };
        write().map_err(|error| ShareError {
            kind: ErrorKind::Files,
            ..ShareError::file(error, HELP)
        })?;
        Ok(digest)
    }

    /// Returns the entries, in the order of their digests. Other names are passed over.
    ///
    /// # Errors
    /// Fails if the store cannot be read; one that does not exist has no entries.
    pub fn entries(&self) -> Result<Vec<Entry>, ShareError> {
        let folder = match self.open() {
            Ok(folder) => folder,
            Err(error) if error.is_not_found() => return Ok(vec![]),
            Err(error) => return Err(ShareError::file(error, HELP)),
        };
        let names = folder.names().map_err(|error| ShareError::file(error, HELP))?;
        let digests = names.iter().filter_map(|name| Digest::from_hex(name.to_str()?));
        let entry = |digest| Entry { digest, modified: folder.modified(&name(digest)).ok() };
        Ok(digests.map(entry).collect())
    }

    /// Removes a content. A missing one is as good.
    ///
    /// # Errors
    /// Fails if the file cannot be removed.
    pub fn remove(&self, digest: Digest) -> Result<(), ShareError> {
        match self.open().and_then(|folder| folder.remove_file(&name(digest))) {
            Err(error) if !error.is_not_found() => Err(ShareError::file(error, HELP)),
            _ => Ok(()),
        }
    }

    /// Removes what processes that died have left half-written, and returns how many files that were.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub fn remove_remainders(&self) -> Result<u64, ShareError> {
        let Ok(folder) = self.open() else { return Ok(0) };
        let mut removed = 0;
        for file in folder.names().map_err(|error| ShareError::file(error, HELP))? {
            let is_aside =
                file.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp"));
            let age = folder.modified(&file).ok().and_then(|time| time.elapsed().ok());
            if is_aside
                && age.is_some_and(|age| age > LONGEST_WRITE)
                && folder.remove_file(&file).is_ok()
            {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn open(&self) -> Result<Folder, FileError> {
        Folder::open_named(&self.root)?.open_folder(OsStr::new(ENTRIES))
    }
}

fn name(digest: Digest) -> OsString {
    digest.hex().into()
}

fn remove(path: &Path) -> String {
    format!("remove {} and pull again", shown(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn new_store(test: &str) -> Store {
        let root = std::env::temp_dir().join(format!("trialbox-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        Store::new(root)
    }

    #[test]
    fn a_content_is_found_under_its_digest_and_nothing_else_is() {
        let store = new_store("store");
        let digest = Digest::of(b"content");
        assert!(store.read(digest, 99).expect("no store").is_none());
        assert_eq!(store.entries().expect("no store"), []);
        assert_eq!(store.add(b"content").expect("a new store"), digest);
        assert_eq!(store.add(b"content").expect("again"), digest);
        assert_eq!(store.read(digest, 99).expect("it was added").as_deref(), Some(&b"content"[..]));
        let entries: Vec<Digest> =
            store.entries().expect("a store").iter().map(|entry| entry.digest).collect();
        assert_eq!(entries, [digest]);
        let error = store.read(digest, 6).expect_err("too large");
        assert_eq!(error.kind, ErrorKind::Content, "{error}");

        fs::write(store.path(digest), "c0ntent").expect("a flipped bit");
        let error = store.read(digest, 99).expect_err("another content");
        assert_eq!(error.kind, ErrorKind::Digest, "{error}");
        fs::remove_file(store.path(digest)).expect("it is there");
        fs::write(store.root().join("file"), "content").expect("a file");
        symlink("../file", store.path(digest)).expect("a link");
        let error = store.read(digest, 99).expect_err("a link");
        assert!(error.message.contains("found a symbolic link"), "{error}");

        store.add(b"content").expect("a link is replaced");
        assert!(store.read(digest, 99).expect("a file").is_some());
        assert_eq!(store.remove_remainders().expect("a store"), 0);
        store.remove(digest).expect("it is there");
        store.remove(digest).expect("as good");
        assert_eq!(store.entries().expect("a store"), []);
        fs::remove_dir_all(store.root()).expect("our own folder");
    }
}
