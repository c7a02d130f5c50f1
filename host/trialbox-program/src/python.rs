//! The Python client, which travels in this binary and is written to the user's cache for `PYTHONPATH`.

use fnv::FnvHasher;
use std::ffi::OsStr;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, Folder};

/// The folder of the client below that of the fingerprint.
const CLIENT: &str = "client";
/// The folder of the stand-in for Optuna.
const AS_OPTUNA: &str = "as_optuna";

/// The file that is written last: with it, all others are there.
const COMPLETE: &str = "complete";

macro_rules! files {
    ($($folder:ident / $name:literal = $path:literal,)*) => {
        &[$(($folder, $name, include_str!(concat!("../../../guest-sdk/python/", $path))),)*]
    };
}

/// The files by folder and name, with their text.
const FILES: &[(&str, &str, &str)] = files! {
    CLIENT / "trialbox/__init__.py" = "trialbox/__init__.py",
    CLIENT / "trialbox/_channel.py" = "trialbox/_channel.py",
    CLIENT / "trialbox/_matplotlib.py" = "trialbox/_matplotlib.py",
    CLIENT / "trialbox/_objective.py" = "trialbox/_objective.py",
    CLIENT / "trialbox/_sandbox.py" = "trialbox/_sandbox.py",
    CLIENT / "trialbox/_study.py" = "trialbox/_study.py",
    CLIENT / "trialbox/_trial.py" = "trialbox/_trial.py",
    AS_OPTUNA / "optuna/__init__.py" = "as_optuna/optuna/__init__.py",
    AS_OPTUNA / "optuna/_deprecated.py" = "as_optuna/optuna/_deprecated.py",
    AS_OPTUNA / "optuna/_experimental.py" = "as_optuna/optuna/_experimental.py",
    AS_OPTUNA / "optuna/_imports.py" = "as_optuna/optuna/_imports.py",
    AS_OPTUNA / "optuna/_inert.py" = "as_optuna/optuna/_inert.py",
    AS_OPTUNA / "optuna/_watch.py" = "as_optuna/optuna/_watch.py",
    AS_OPTUNA / "optuna/artifacts.py" = "as_optuna/optuna/artifacts.py",
    AS_OPTUNA / "optuna/distributions.py" = "as_optuna/optuna/distributions.py",
    AS_OPTUNA / "optuna/exceptions.py" = "as_optuna/optuna/exceptions.py",
    AS_OPTUNA / "optuna/importance.py" = "as_optuna/optuna/importance.py",
    AS_OPTUNA / "optuna/integration/__init__.py" = "as_optuna/optuna/integration/__init__.py",
    AS_OPTUNA / "optuna/integration/_search.py" = "as_optuna/optuna/integration/_search.py",
    AS_OPTUNA / "optuna/integration/lightgbm.py" = "as_optuna/optuna/integration/lightgbm.py",
    AS_OPTUNA / "optuna/logging.py" = "as_optuna/optuna/logging.py",
    AS_OPTUNA / "optuna/pruners.py" = "as_optuna/optuna/pruners.py",
    AS_OPTUNA / "optuna/samplers.py" = "as_optuna/optuna/samplers.py",
    AS_OPTUNA / "optuna/search_space.py" = "as_optuna/optuna/search_space.py",
    AS_OPTUNA / "optuna/storages/__init__.py" = "as_optuna/optuna/storages/__init__.py",
    AS_OPTUNA / "optuna/storages/_cached_storage.py" = "as_optuna/optuna/storages/_cached_storage.py",
    AS_OPTUNA / "optuna/storages/_rdb/__init__.py" = "as_optuna/optuna/storages/_rdb/__init__.py",
    AS_OPTUNA / "optuna/storages/_rdb/storage.py" = "as_optuna/optuna/storages/_rdb/storage.py",
    AS_OPTUNA / "optuna/storages/journal.py" = "as_optuna/optuna/storages/journal.py",
    AS_OPTUNA / "optuna/study.py" = "as_optuna/optuna/study.py",
    AS_OPTUNA / "optuna/terminator/__init__.py" = "as_optuna/optuna/terminator/__init__.py",
    AS_OPTUNA / "optuna/terminator/callback.py" = "as_optuna/optuna/terminator/callback.py",
    AS_OPTUNA / "optuna/terminator/erroreval.py" = "as_optuna/optuna/terminator/erroreval.py",
    AS_OPTUNA / "optuna/trial.py" = "as_optuna/optuna/trial.py",
    AS_OPTUNA / "optuna/visualization/__init__.py" = "as_optuna/optuna/visualization/__init__.py",
    AS_OPTUNA / "optuna/visualization/matplotlib.py" = "as_optuna/optuna/visualization/matplotlib.py",
};

/// The client of this binary, on disk.
#[derive(Debug, Clone)]
pub struct PythonClient {
    root: PathBuf,
}

impl PythonClient {
    /// Writes the client below a directory of the user's own, unless it is there, and returns it. Processes may do that
    /// at the same time: each file is written aside and renamed, and the text is the same.
    ///
    /// # Errors
    /// Fails if the directory is not the user's alone, or cannot be written.
    pub fn install(cache: &Path) -> Result<Self, FileError> {
        let root = cache.join(format!("python-{:016x}", fingerprint()));
        let client = PythonClient { root: root.clone() };
        let folder = Folder::open_private(&root)?;
        if folder.open_file(OsStr::new(COMPLETE)).is_ok() {
            return Ok(client);
        }
        for (folder, name, text) in FILES {
            let path = root.join(folder).join(name);
            let parent = Folder::open_private(path.parent().unwrap_or(&root))?;
            parent.write(path.file_name().unwrap_or_default(), text.as_bytes())?;
        }
        folder.write(OsStr::new(COMPLETE), b"")?;
        Ok(client)
    }

    /// Returns the modules of the client and of the stand-in for Optuna, by their paths below a folder of Python's
    /// search path, with their texts.
    pub fn modules() -> impl Iterator<Item = (&'static str, &'static str)> {
        FILES.iter().map(|(_, path, text)| (*path, *text))
    }

    /// Returns the folder in which `import trialbox` finds the client.
    pub fn folder(&self) -> PathBuf {
        self.root.join(CLIENT)
    }

    /// Returns the folders for `PYTHONPATH`, those that come first in front. With the stand-in, `import optuna` finds
    /// trialbox's module in place of Optuna.
    pub(crate) fn search_path(&self, as_optuna: bool) -> Vec<PathBuf> {
        let mut folders = Vec::new();
        if as_optuna {
            folders.push(self.root.join(AS_OPTUNA));
        }
        folders.push(self.folder());
        folders
    }
}

/// Returns a number that differs for other files, from a hash of names and texts.
fn fingerprint() -> u64 {
    let mut hasher = FnvHasher::default();
    for part in FILES.iter().flat_map(|(folder, name, text)| [*folder, name, text]) {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_file_of_the_client_travels() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-sdk/python");
        let mut found = BTreeSet::new();
        for (top, folder) in [("trialbox", CLIENT), ("as_optuna", AS_OPTUNA)] {
            let base = if folder == CLIENT { root.clone() } else { root.join(top) };
            let mut left = vec![root.join(top)];
            while let Some(path) = left.pop() {
                if path.is_dir() {
                    let entries = std::fs::read_dir(&path).expect("a folder of the repository");
                    left.extend(entries.flatten().map(|entry| entry.path()));
                } else if path.extension().is_some_and(|extension| extension == "py") {
                    let name = path.strip_prefix(&base).expect("below its folder");
                    found.insert((folder, name.display().to_string()));
                }
            }
        }
        let listed = FILES.iter().map(|(folder, name, _)| (*folder, (*name).to_owned())).collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn a_client_is_written_once() {
        let cache = std::env::temp_dir().join(format!("trialbox-python-{}", std::process::id()));
        let client = PythonClient::install(&cache).expect("a new folder");
        let [stand_in, own] = &client.search_path(true)[..] else { panic!("two folders") };
        assert!(stand_in.join("optuna/study.py").is_file());
        let module = own.join("trialbox/__init__.py");
        assert!(module.is_file());
        std::fs::remove_file(&module).expect("our file");
        PythonClient::install(&cache).expect("the same folder");
        assert!(!module.exists(), "a complete client is not written again");
        std::fs::remove_dir_all(cache).expect("our folder");
    }
}
