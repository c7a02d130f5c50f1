//! The archive of an objective in Python.

use super::Built;
use crate::args::archive::{description_json, runtime_identity};
use crate::args::objective::work_grant;
use crate::args::runtime::RuntimeArgs;
use crate::args::trusted::TrustedPlaces;
use crate::error::CommandError;
use crate::own_program::own_program;
use crate::view::record::BuiltRecord;
use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use trialbox_core::session::door::Loaded;
use trialbox_core::study::artifact::{Archive, ArchivedFile, Artifact};
use trialbox_core::study::limits::{Limit, Limits};
use trialbox_core::value::text::byte_size;
use trialbox_files::{Beneath, Folder};
use trialbox_runtime::{
    Cancellation, Grant, Isolation, MAX_FILES, SandboxConfig, WORK_PATH, open, read_artifact,
    write_archive,
};

/// Builds the archive of a file. The file is read in the sandbox and not run.
pub(super) fn build(
    source: &Path,
    runtime: &RuntimeArgs,
    target: &Path,
) -> Result<Built, CommandError> {
    let limits = Limits::default();
    let artifact = Arc::new(read_artifact(source, &limits)?);
    let grant = work_grant(&artifact)?;
    TrustedPlaces::default().with_caches(runtime.all_dirs()).check(std::slice::from_ref(&grant))?;
    let runtime = runtime.find()?;
    let identity = runtime_identity(&runtime);
    let config = SandboxConfig {
        program: own_program()?,
        isolation: Isolation::Process,
        cache: None,
        python: Some(runtime),
        grants: vec![grant.clone()],
        env: vec![],
        deterministic: false,
        limits,
        cancellation: Cancellation::default(),
    };
    let loaded = open(&artifact, config)?.describe()?;
    let archive = Archive {
        objective: artifact.file_name(),
        runtime: identity,
        description: description_json(&loaded),
        files: files(&artifact, &loaded, &grant)?,
    };
    let bytes = write_archive(&archive).map_err(|error| {
        CommandError::usage(
            format!("`{}` cannot be archived: {error}", source.display()),
            "rename the file, or import fewer files from its folder",
        )
    })?;
    let record = BuiltRecord {
        file: target.display().to_string(),
        sha256: Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        size_bytes: bytes.len(),
        runtime: Some(archive.runtime.name),
        files: archive.files.into_iter().map(|file| file.path).collect(),
        stamp: None,
    };
    Ok(Built { bytes, record })
}

/// Reads the objective's file, the modules beside it that it imports, and the data in its folder that it describes.
fn files(
    artifact: &Artifact,
    loaded: &Loaded,
    grant: &Grant,
) -> Result<Vec<ArchivedFile>, CommandError> {
    let described = loaded.description.iter().flat_map(|description| &description.data);
    let data = described.filter_map(|source| {
        let below = source.path.strip_prefix(WORK_PATH)?.strip_prefix('/')?;
        Some(below.to_owned())
    });
    let own = artifact.file_name();
    let mut paths: Vec<String> =
        loaded.imported.iter().cloned().chain(data).filter(|path| *path != own).collect();
    paths.sort();
    paths.dedup();
    let mut left = limit_of_size();
    let folder = Folder::open_named(&grant.host)
        .map_err(|error| CommandError::usage(error.to_string(), "give a path that is there"))?;
    let mut files = vec![ArchivedFile { path: own, bytes: artifact.bytes.clone() }];
    for path in paths.into_iter().take(MAX_FILES + 1) {
        let bytes = read(&folder, &path, left)?;
        left = left.saturating_sub(bytes.len() as u64);
        files.push(ArchivedFile { path, bytes });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The size of an archive that can be run without a flag.
fn limit_of_size() -> u64 {
    Limits::default().get(Limit::ModuleSize).unwrap_or(u64::MAX)
}

/// Reads a file as the objective sees it, from below its folder.
fn read(folder: &Folder, path: &str, left: u64) -> Result<Vec<u8>, CommandError> {
    let refused = |problem: String| {
        CommandError::usage(
            problem,
            format!(
                "an archive holds modules and described data of at most {}; grant larger data with --dir",
                byte_size(limit_of_size())
            ),
        )
    };
    let shown = folder.path().join(path);
    let file = match folder.open_beneath(Path::new(path)) {
        Ok(Beneath::File(file)) => file,
        Ok(Beneath::Folder) => {
            return Err(refused(format!(
                "expected a file, found the folder `{}`",
                shown.display()
            )));
        }
        Err(error) => {
            return Err(refused(format!("a file of the objective cannot be read: {error}")));
        }
    };
    let mut bytes = Vec::new();
    file.take(left.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > left {
        return Err(refused(format!("`{}` is too large for the archive", shown.display())));
    }
    Ok(bytes)
}
