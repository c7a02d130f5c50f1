//! Compiled code on disk, so that only the first of a thousand jobs compiles.
//!
//! The code is native and runs unchecked, so an entry is used only if the user alone can have written it: the entry and
//! its directory belong to the user, are not writable by others, and are not symbolic links, and no other user can put
//! another directory in its place. That is not enough, because an objective may have a grant in which the directory
//! lies: an entry ends with a code that authenticates it, under a key that the host process has derived for this
//! component. The name of an entry holds a digest of everything that the code depends on.
//!
//! Entries are written aside and renamed, so any number of processes may write one at a time. Of many processes that
//! start together one compiles and the others wait for it, as far as file locks reach: without locks across machines,
//! each machine compiles once. A damaged entry leads to a new compilation, and the cache never fails a trial.

use crate::wire::contract::CONTRACT;
use crate::wire::digest::hex;
use crate::wire::entry_key::EntryKey;
use crate::wire::protocol::{CacheRequest, LoadRequest};
use sha2::{Digest as _, Sha256};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::{Duration, Instant};
use trialbox_files::{FileError, Folder};
use wasmtime::Engine;

/// The largest entry that is read. Code is about ten times as large as the component, whose limit is 96 MiB.
const MAX_ENTRY_BYTES: u64 = 4 << 30;

/// The time to wait for another process's compiler, longer than nearly all compilations take. That process may have
/// been stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(20);

/// The interval of attempts to take the lock grows from the first to the second value.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(5);
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The entries for the compiled code of one component, the preferred one first.
pub(crate) struct Cache<'a> {
    entries: Vec<CacheEntry<'a>>,
}

/// Compiled code that was looked for in the cache.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct CachedCode {
    /// The code of the first entry that can be trusted.
    pub(crate) code: Option<Vec<u8>>,
    /// The reason why an entry before it was not used.
    pub(crate) refused: Option<String>,
}

impl<'a> Cache<'a> {
    /// Returns the cache for the component of a request, compiled by this engine.
    pub(crate) fn new(request: &'a LoadRequest, engine: &Engine) -> Self {
        let Some(CacheRequest { dirs, key }) = &request.cache else {
            return Cache { entries: vec![] };
        };
        let name = entry_name(request, engine);
        let entries =
            dirs.iter().map(|directory| CacheEntry { directory, name: name.clone(), key });
        Cache { entries: entries.collect() }
    }

    /// Returns the compiled code, if there is an entry that can be trusted.
    pub(crate) fn read(&self) -> CachedCode {
        let mut refused = None;
        for entry in &self.entries {
            match entry.read() {
                Ok(None) => {}
                Ok(code) => return CachedCode { code, refused },
                Err(problem) => refused = refused.or(Some(problem)),
            }
        }
        CachedCode { code: None, refused }
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
    entry: &'a CacheEntry<'a>,
    folder: Folder,
    /// The locked file. Without locks in the file system, the file is just open.
    _lock: File,
    /// True if another process still holds the lock after the timeout.
    is_held_by_other: bool,
}

impl Reservation<'_> {
    /// Returns the directory of the entry.
    pub(crate) fn directory(&self) -> &Path {
        self.entry.directory
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

/// Returns the name of the entry for the component of a request, compiled by this engine.
fn entry_name(request: &LoadRequest, engine: &Engine) -> String {
    let mut key = Sha256::new();
    key.update(&request.sha256);
    key.update(env!("CARGO_PKG_VERSION"));
    key.update(crate::WASMTIME_VERSION);
    key.update(CONTRACT);
    // wasmtime does not check this setting when it loads code.
    key.update([u8::from(request.engine.deterministic)]);
    // The hash covers the target, the CPU's features, most compiler settings and wasmtime's full version.
    engine.precompile_compatibility_hash().hash(&mut HashInto(&mut key));
    format!("{}.cwasm", hex(&key.finalize()))
}

/// The file for the compiled code of one component: the code, and the bytes that authenticate it.
struct CacheEntry<'a> {
    directory: &'a Path,
    name: String,
    key: &'a EntryKey,
}

impl CacheEntry<'_> {
    /// Returns the compiled code, or `None` if there is no entry.
    ///
    /// # Errors
    /// Fails with the reason, for people, if there is an entry that cannot be trusted.
    fn read(&self) -> Result<Option<Vec<u8>>, String> {
        let read = Folder::open_existing_private(self.directory)
            .and_then(|folder| folder.read_private(self.name.as_ref(), MAX_ENTRY_BYTES));
        let mut bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        if let Some((code, found)) = bytes.split_last_chunk()
            && self.key.has_written(found, &self.name, code)
        {
            bytes.truncate(code.len());
            return Ok(Some(bytes));
        }
        let path = self.directory.join(&self.name);
        Err(format!("`{}` was not written with this user's key, or is damaged", path.display()))
    }

    /// Creates the directory if necessary, and takes the lock for this entry in it.
    fn reserve(&self) -> Result<Reservation<'_>, FileError> {
        let folder = Folder::open_private(self.directory)?;
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
        aside.write_bytes(code)?;
        aside.write_bytes(&self.key.authenticate(&self.name, code))?;
        aside.replace()
    }
}

/// A hasher that feeds SHA-256, because `DefaultHasher` may change with the compiler.
pub(crate) struct HashInto<'a>(pub(crate) &'a mut Sha256);

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
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// An entry in a fresh directory, before it is written.
    struct Scene {
        directory: PathBuf,
        key: EntryKey,
    }

    impl Scene {
        fn new(test: &str) -> Self {
            let directory =
                std::env::temp_dir().join(format!("trialbox-cache-{test}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&directory);
            let scene = Scene { directory, key: EntryKey::derive(&[7; 32], "") };
            drop(scene.entry().reserve().expect("a place for temporary files"));
            scene
        }

        fn entry(&self) -> CacheEntry<'_> {
            CacheEntry {
                directory: &self.directory,
                name: "entry.cwasm".to_owned(),
                key: &self.key,
            }
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }

    fn file(entry: &CacheEntry) -> PathBuf {
        entry.directory.join(&entry.name)
    }

    fn write(entry: &CacheEntry, code: &[u8]) -> Result<(), FileError> {
        entry.write_in(&Folder::open_private(entry.directory)?, code)
    }

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_not() {
        let scene = Scene::new("tampered");
        let entry = scene.entry();
        assert_eq!(entry.read(), Ok(None));
        write(&entry, b"code").expect("a fresh directory");
        assert_eq!(entry.read(), Ok(Some(b"code".to_vec())));
        for damage in [&b""[..], b"short", &[0; 36]] {
            fs::write(file(&entry), damage).expect("our own file");
            entry.read().expect_err("damaged");
        }
    }

    #[test]
    fn what_was_written_with_another_key_is_not_read() {
        let scene = Scene::new("foreign");
        write(&scene.entry(), b"code").expect("a fresh directory");
        let key = EntryKey::derive(&[8; 32], "");
        let problem = CacheEntry { key: &key, ..scene.entry() }.read().expect_err("another key");
        assert!(problem.contains("this user's key"), "{problem}");
    }

    #[test]
    fn what_others_could_have_written_is_not_read() {
        let scene = Scene::new("shared");
        let entry = scene.entry();
        write(&entry, b"code").expect("a fresh directory");
        let set_mode =
            |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
        set_mode(&file(&entry), 0o620).expect("our own file");
        entry.read().expect_err("others could change the file");
        set_mode(&file(&entry), 0o600).expect("our own file");
        set_mode(entry.directory, 0o777).expect("our own directory");
        entry.read().expect_err("others could replace the file");
        write(&entry, b"code").expect_err("others could replace it");
    }

    #[test]
    fn of_many_that_start_together_one_compiles() {
        let scene = Scene::new("together");
        let cache = Cache { entries: vec![scene.entry()] };
        let compiled = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    let reservation = cache.reserve().expect("our own directory").expect("a place");
                    if cache.read().code.is_none() {
                        compiled.fetch_add(1, Ordering::Relaxed);
                        reservation.write(b"code").expect("our own directory");
                    }
                });
            }
        });
        assert_eq!(compiled.into_inner(), 1);
        let entries = fs::read_dir(&scene.directory).expect("the directory");
        assert_eq!(entries.count(), 1, "no lock is left");
    }

    #[test]
    fn where_the_first_place_cannot_be_written_the_next_one_is_taken() {
        let scene = Scene::new("second");
        let unusable = || CacheEntry { directory: Path::new("/proc/none"), ..scene.entry() };
        let cache = Cache { entries: vec![unusable(), scene.entry()] };
        let reservation = cache.reserve().expect("the second").expect("a place");
        assert_eq!(reservation.directory(), scene.directory);
        reservation.write(b"code").expect("our own directory");
        assert_eq!(cache.read(), CachedCode { code: Some(b"code".to_vec()), refused: None });
        drop(reservation);
        assert!(Cache { entries: vec![unusable()] }.reserve().is_err());
        assert!(Cache { entries: vec![] }.reserve().expect("nothing is wrong").is_none());
    }

    #[test]
    fn many_writers_at_once_leave_one_whole_entry() {
        let scene = Scene::new("herd");
        let entry = scene.entry();
        let code = vec![7; 1 << 16];
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| write(&entry, &code).expect("writers do not hinder each other"));
            }
        });
        assert_eq!(entry.read(), Ok(Some(code)));
        assert_eq!(fs::read_dir(entry.directory).expect("the directory").count(), 1);
    }
}
