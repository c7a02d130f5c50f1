//! A connection that is lost after the server has committed and before it says so: nothing is written twice.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[allow(dead_code, reason = "the folder is for tests of files")]
mod common;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trialbox_core::seam::storage::{
    BeginTrial, Ending, EnqueueTrial, Outcome, TrialBatch, TrialStart,
};
use trialbox_core::study::record::NewStudy;
use trialbox_core::{Json, StorageError, StudyDirection, TrialState, UtcDateTime};
use trialbox_storage::{Create, Location, Options};

/// The server's word that a transaction is committed, as the protocol has it.
const COMMITTED: &[u8] = b"COMMIT\0";

/// A way to a server that can lose the word.
struct Proxy {
    port: u16,
    loses_next: Arc<AtomicBool>,
}

impl Proxy {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let loses_next = Arc::new(AtomicBool::new(false));
        let loses = Arc::clone(&loses_next);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (from_client, to_client) = (client.try_clone().unwrap(), client);
                let (from_server, to_server) = (server.try_clone().unwrap(), server);
                let never = Arc::new(AtomicBool::new(false));
                std::thread::spawn(move || pass(from_client, to_server, &never));
                let loses = Arc::clone(&loses);
                std::thread::spawn(move || pass(from_server, to_client, &loses));
            }
        });
        Proxy { port, loses_next }
    }

    fn lose_next(&self) {
        self.loses_next.store(true, Ordering::SeqCst);
    }

    /// Checks that a word was lost since it was asked for.
    fn assert_lost(&self) {
        assert!(!self.loses_next.load(Ordering::SeqCst), "no commit was lost");
    }
}

/// Passes bytes on until one side closes, or until a commit is to be lost.
fn pass(mut from: TcpStream, mut to: TcpStream, loses: &AtomicBool) {
    let mut bytes = [0; 8192];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        let is_committed = bytes[..n].windows(COMMITTED.len()).any(|part| part == COMMITTED);
        if is_committed && loses.swap(false, Ordering::SeqCst) {
            break;
        }
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[test]
fn a_transaction_whose_commit_is_lost_counts_once() {
    let Some(server) = common::postgres::shared() else { return };
    let url = server.new_database("lost_commits");
    let port = url.split([':', '/']).find_map(|part| part.parse().ok()).unwrap();
    let proxy = Proxy::to(port);
    let url = url.replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let options = Options { create: Create::Missing, ..Options::default() };
    let mut storage = Location::parse(&url).unwrap().open(&options).unwrap();
    let study = NewStudy {
        name: "s".to_owned(),
        directions: vec![StudyDirection::Minimize],
        user_attrs: vec![],
        system_attrs: vec![],
    };
    let study = storage.create_study(&study).unwrap().id;
    let at = UtcDateTime::constant(2026, 12, 1, 0, 0, 0, 0);

    proxy.lose_next();
    let request =
        BeginTrial { owner: Json::from("me"), has_heartbeat: true, max_trials: Some(1), at };
    let TrialStart::Begun(begun) = storage.begin_trial(study, &request).unwrap() else {
        panic!("the trial that was started is found again, although the budget is reached");
    };
    proxy.assert_lost();
    assert_eq!(storage.trials(study).unwrap().len(), 1);

    proxy.lose_next();
    let batch = TrialBatch {
        user_attrs: vec![("note".to_owned(), Json::from(1u32))],
        intermediate_values: vec![(1, 0.5)],
        ..TrialBatch::default()
    };
    storage.record(&begun.claim, &batch).unwrap();
    proxy.assert_lost();

    proxy.lose_next();
    let ending = Ending::new(Outcome::Complete(vec![0.25]), at);
    storage.finish_trial(&begun.claim, &TrialBatch::default(), &ending).unwrap();
    proxy.assert_lost();
    let trials = storage.trials(study).unwrap();
    assert_eq!((trials[0].state, &trials[0].values[..]), (TrialState::Complete, &[0.25][..]));
    // Without a loss the claim has ended.
    let again = storage.finish_trial(&begun.claim, &TrialBatch::default(), &ending);
    assert!(matches!(again, Err(StorageError::ClaimLost { .. })), "{again:?}");

    proxy.lose_next();
    let enqueued = storage.enqueue_trial(study, &EnqueueTrial::default());
    proxy.assert_lost();
    assert!(matches!(enqueued, Err(StorageError::InDoubt)), "{enqueued:?}");
    assert_eq!(storage.trials(study).unwrap().len(), 2);
}
