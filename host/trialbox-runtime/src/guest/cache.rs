//! Compiled code on disk, so that only the first of a thousand jobs compiles.
//!
//! The code is native and runs unchecked, so an entry is used only if the user alone can have written it: the entry and
//! its directory belong to the user, are not writable by others, and are not symbolic links, and no other user can put
//! another directory in its place. The name of an entry holds a digest of everything that the code depends on, and the
//! entry starts with a digest of the code.
//!
//! Entries are written aside and renamed, so any number of processes may write one at a time. Of many processes that
//! start together one compiles and the others wait for it, as far as file locks reach: without locks across machines,
//! each machine compiles once. A damaged entry leads to a new compilation, and the cache never fails a trial.

use crate::wire::contract::CONTRACT;
use crate::wire::digest::hex;
use crate::wire::protocol::LoadRequest;
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use trialbox_files::{FileError, Folder};
use wasmtime::Engine;

const DIGEST_BYTES: usize = 32;

/// The largest entry that is read. Code is about ten times as large as the component, of which 256 MiB are the most.
const MAX_ENTRY_BYTES: u64 = 4 << 30;

/// The time to wait for another process's compiler, longer than nearly all compilations take. That process may have
/// been stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// The interval of attempts to take the lock grows from the first to the second value.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(5);
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The entries for the compiled code of one component, the preferred one first.
pub(crate) struct Cache {
    entries: Vec<CacheEntry>,
}

impl Cache {
    /// Returns the cache for the component of a request, compiled by this engine.
    pub(crate) fn new(request: &LoadRequest, engine: &Engine) -> Self {
        let entry = |directory: &PathBuf| CacheEntry::new(directory, request, engine);
        Cache { entries: request.cache_dirs.iter().map(entry).collect() }
    }

    /// Returns the compiled code, if there is an entry that can be trusted.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        self.entries.iter().find_map(CacheEntry::read)
    }

    /// Takes the right to compile for all processes, in the first directory that can be written. Waits a while for
    /// another process that has it. Returns `None` without a directory.
    ///
    /// # Errors
    /// Fails with the problem of the first directory if no directory can be written.
    pub(crate) fn reserve(&self) -> Result<Option<Reservation<'_>>, FileError> {
        let mut problem = None;
        for entry in &self.entries {
            match entry.reserve() {
                Ok(reservation) => return Ok(Some(reservation)),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        problem.map_or(Ok(None), Err)
    }
}

/// The right to compile for all processes that wait. Dropping it gives it back.
pub(crate) struct Reservation<'a> {
    entry: &'a CacheEntry,
    folder: Folder,
    /// The locked file. Without locks in the file system, the file is just open.
    _lock: File,
    /// True if another process still holds the lock after the timeout.
    is_held_by_other: bool,
}

impl Reservation<'_> {
    /// Returns the directory of the entry.
    pub(crate) fn directory(&self) -> &Path {
        &self.entry.directory
    }

    /// Writes the compiled code for other processes.
    ///
    /// # Errors
    /// Fails if the entry cannot be written.
    pub(crate) fn write(&self, code: &[u8]) -> Result<(), FileError> {
        self.entry.write_in(&self.folder, code)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // The waiting processes have the file open, and look for the entry next.
        if !self.is_held_by_other {
            let _ = self.folder.remove_file(&self.entry.lock_name());
        }
    }
}

/// The file for the compiled code of one component.
struct CacheEntry {
    directory: PathBuf,
    name: String,
}

impl CacheEntry {
    /// Returns the entry for the component of a request, compiled by this engine.
    fn new(directory: &Path, request: &LoadRequest, engine: &Engine) -> Self {
        let mut key = Sha256::new();
        key.update(&request.sha256);
        key.update(env!("CARGO_PKG_VERSION"));
        key.update(crate::WASMTIME_VERSION);
        key.update(CONTRACT);
        // wasmtime does not check this setting when it loads code.
        key.update([u8::from(request.engine.deterministic)]);
        // The hash covers the target, the CPU's features, most compiler settings and wasmtime's full version.
        engine.precompile_compatibility_hash().hash(&mut HashInto(&mut key));
        let name = format!("{}.cwasm", hex(&key.finalize()));
        CacheEntry { directory: directory.to_owned(), name }
    }

    /// Returns the compiled code, if there is an entry that can be trusted.
    fn read(&self) -> Option<Vec<u8>> {
        let folder = Folder::open_existing_private(&self.directory).ok()?;
        let mut bytes = folder.read_private(self.name.as_ref(), MAX_ENTRY_BYTES).ok()?;
        let (digest, _) = bytes.split_first_chunk::<DIGEST_BYTES>()?;
        let intact = Sha256::digest(&bytes[DIGEST_BYTES..])[..] == digest[..];
        intact.then(|| bytes.split_off(DIGEST_BYTES))
    }

    /// Creates the directory if necessary, and takes the lock for this entry in it.
    fn reserve(&self) -> Result<Reservation<'_>, FileError> {
        let folder = Folder::open_private(&self.directory)?;
        let lock = folder.open_lock_file(&self.lock_name())?;
        let started = Instant::now();
        let mut interval = MIN_POLL_INTERVAL;
        let mut is_held_by_other = false;
        // A file system without locks gives another error, and each process compiles.
        while let Err(TryLockError::WouldBlock) = lock.try_lock() {
            if started.elapsed() >= LOCK_TIMEOUT {
                is_held_by_other = true;
                break;
            }
            std::thread::sleep(interval);
            interval = (interval * 2).min(MAX_POLL_INTERVAL);
        }
        Ok(Reservation { entry: self, folder, _lock: lock, is_held_by_other })
    }

    fn lock_name(&self) -> OsString {
        Path::new(&self.name).with_extension("lock").into_os_string()
    }

    fn write_in(&self, folder: &Folder, code: &[u8]) -> Result<(), FileError> {
        let mut aside = folder.aside_private(self.name.as_ref())?;
        aside.write_bytes(&Sha256::digest(code))?;
        aside.write_bytes(code)?;
        aside.replace()
    }
}

/// A hasher that feeds SHA-256, because `DefaultHasher` may change with the compiler.
struct HashInto<'a>(&'a mut Sha256);

impl Hasher for HashInto<'_> {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("only the SHA-256 digest is used")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Returns an entry in a fresh directory, before it is written.
    fn entry(test: &str) -> CacheEntry {
        let directory =
            std::env::temp_dir().join(format!("trialbox-cache-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        let entry = CacheEntry { directory, name: "entry.cwasm".to_owned() };
        drop(entry.reserve().expect("a place for temporary files"));
        entry
    }

    fn file(entry: &CacheEntry) -> PathBuf {
        entry.directory.join(&entry.name)
    }

    fn write(entry: &CacheEntry, code: &[u8]) -> Result<(), FileError> {
        entry.write_in(&Folder::open_private(&entry.directory)?, code)
    }

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_not() {
        let entry = entry("tampered");
        assert_eq!(entry.read(), None);
        write(&entry, b"code").expect("a fresh directory");
        assert_eq!(entry.read().as_deref(), Some(&b"code"[..]));
        for damage in [&b""[..], b"short", &[0; 36]] {
            fs::write(file(&entry), damage).expect("our own file");
            assert_eq!(entry.read(), None);
        }
        let _ = fs::remove_dir_all(&entry.directory);
    }

    #[test]
    fn what_others_could_have_written_is_not_read() {
        let entry = entry("shared");
        write(&entry, b"code").expect("a fresh directory");
        let set_mode =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        set_mode(&file(&entry), 0o620).expect("our own file");
        assert_eq!(entry.read(), None);
        set_mode(&file(&entry), 0o600).expect("our own file");
        set_mode(&entry.directory, 0o777).expect("our own directory");
        assert_eq!(entry.read(), None);
        write(&entry, b"code").expect_err("others could replace it");
        let _ = fs::remove_dir_all(&entry.directory);
    }

    #[test]
    fn of_many_that_start_together_one_compiles() {
        let cache = Cache { entries: vec![entry("together")] };
        let compiled = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let reservation = cache.reserve().expect("our own directory").expect("a place");
                    if cache.read().is_none() {
                        compiled.fetch_add(1, Ordering::Relaxed);
                        reservation.write(b"code").expect("our own directory");
                    }
                });
            }
        });
        assert_eq!(compiled.into_inner(), 1);
        let directory = &cache.entries[0].directory;
        assert_eq!(fs::read_dir(directory).expect("the directory").count(), 1, "no lock is left");
        let _ = fs::remove_dir_all(directory);
    }

    #[test]
    fn where_the_first_place_cannot_be_written_the_next_one_is_taken() {
        let unusable = CacheEntry { directory: "/proc/none".into(), name: "e".to_owned() };
        let cache = Cache { entries: vec![unusable, entry("second")] };
        let reservation = cache.reserve().expect("the second").expect("a place");
        assert_eq!(reservation.directory(), cache.entries[1].directory);
        reservation.write(b"code").expect("our own directory");
        assert_eq!(cache.read().as_deref(), Some(&b"code"[..]));
        drop(reservation);
        let _ = fs::remove_dir_all(&cache.entries[1].directory);
        let unusable = CacheEntry { directory: "/proc/none".into(), name: "e".to_owned() };
        assert!(Cache { entries: vec![unusable] }.reserve().is_err());
        assert!(Cache { entries: vec![] }.reserve().expect("nothing is wrong").is_none());
    }

    #[test]
    fn many_writers_at_once_leave_one_whole_entry() {
        let entry = entry("herd");
        let code = vec![7; 1 << 16];
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| write(&entry, &code).expect("writers do not hinder each other"));
            }
        });
        assert_eq!(entry.read(), Some(code));
        assert_eq!(fs::read_dir(&entry.directory).expect("the directory").count(), 1);
        let _ = fs::remove_dir_all(&entry.directory);
    }
}
