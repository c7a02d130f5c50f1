//! The thread that touches locks while they are held, so that strangers see that their holders live.
//!
//! A trial takes several locks, each for milliseconds, and a thread of its own costs more than a lock. So a database
//! has one thread, which sleeps nearly always.

use std::fs::File;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The keeper of the locks of one database. Its clones are the same keeper.
#[derive(Debug, Clone, Default)]
pub(super) struct Keeper {
    files: Arc<Mutex<Vec<(u64, File)>>>,
    /// The thread ends when this is dropped.
    thread: Arc<Mutex<Option<Sender<()>>>>,
}

/// A lock that is touched until this is dropped. Afterwards no touch is under way.
#[derive(Debug)]
pub(super) struct Kept {
    keeper: Keeper,
    id: u64,
}

impl Keeper {
    /// Touches a lock at this interval, which is that of the first lock.
    ///
    /// Where no thread can be started, as under a low `ulimit -u`, the lock is held without: a transaction is much
    /// shorter than the time after which others break a lock, and a commit looks first.
    pub(super) fn keep(&self, file: File, interval: Duration) -> Kept {
        let id = rand::random();
        self.files().push((id, file));
        self.start(interval);
        Kept { keeper: self.clone(), id }
    }

    fn start(&self, interval: Duration) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() {
            return;
        }
        let (stop, stopped) = channel();
        let files = Arc::clone(&self.files);
        match std::thread::Builder::new().spawn(move || touch(&files, interval, &stopped)) {
            Ok(_) => *thread = Some(stop),
            Err(error) => tracing::debug!(%error, "the lock is held without a thread"),
        }
    }

    fn files(&self) -> MutexGuard<'_, Vec<(u64, File)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.keeper.files().retain(|(id, _)| *id != self.id);
    }
}

/// Touches the locks until told to stop.
fn touch(files: &Mutex<Vec<(u64, File)>>, interval: Duration, stopped: &Receiver<()>) {
    while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        for (_, file) in files.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = file.set_modified(SystemTime::now());
        }
    }
}
