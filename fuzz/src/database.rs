//! A database with bytes that neither Optuna nor trialbox has written, and readers that return all the same.

use std::path::{Path, PathBuf};
use std::time::Duration;
use trialbox_core::{Storage, UtcDateTime};
use trialbox_storage::doctor::{self, examine};
use trialbox_storage::{LockMode, Options, SqlStorage};

/// A database that Optuna has written, with trials in all states.
const ORIGINAL: &[u8] = include_bytes!("../../tests/golden/optuna-4.9.0.db");

/// Checks that every reader of a damaged database returns a value or an error.
///
/// The bytes are pairs of a place and what stands there instead: an offset in three bytes, a length, so many bytes.
pub fn database(bytes: &[u8]) {
    let path = file();
    let mut content = ORIGINAL.to_vec();
    damage(&mut content, bytes);
    std::fs::write(&path, &content).expect("a place for temporary files");
    let options = Options {
        timeout: Duration::from_millis(50),
        lock: LockMode::Sqlite,
        guard: false,
        ..Options::default()
    };
    if let Ok(mut storage) = SqlStorage::open_file(&path, &options) {
        read(&mut storage);
    }
    let _ = examine(
        &path,
        &doctor::Options {
            storage: options,
            spool: None,
            grace: Duration::from_secs(60),
            now: UtcDateTime::ZERO,
        },
    );
}

/// Reads everything that there is a reader for.
fn read(storage: &mut dyn Storage) {
    let Ok(studies) = storage.list_studies() else { return };
    for summary in studies {
        let Ok(study) = storage.open_study(&summary.study.name) else { continue };
        let _ = storage.history(study.id);
        let _ = storage.outcomes(study.id);
        let _ = storage.running_trials(study.id);
        let Ok(trials) = storage.trials(study.id) else { continue };
        for trial in trials {
            let _ = storage.trial(study.id, trial.number);
            for (name, _) in &trial.params {
                let _ = storage.recorded_distribution(study.id, trial.id, name);
            }
        }
    }
}

fn damage(content: &mut [u8], mut bytes: &[u8]) {
    while let [a, b, c, length, rest @ ..] = bytes {
        let offset = u32::from_le_bytes([*a, *b, *c, 0]) as usize % content.len();
        let (patch, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        for (place, byte) in content[offset..].iter_mut().zip(patch) {
            *place = *byte;
        }
        bytes = rest;
    }
}

/// Returns the file of this thread, in memory where the system has files there.
fn file() -> PathBuf {
    let folder = Path::new("/dev/shm");
    let folder = if folder.is_dir() { folder.to_owned() } else { std::env::temp_dir() };
    let thread = format!("{:?}", std::thread::current().id());
    let thread: String = thread.chars().filter(char::is_ascii_digit).collect();
    folder.join(format!("trialbox-fuzzed-{}-{thread}.db", std::process::id()))
}
