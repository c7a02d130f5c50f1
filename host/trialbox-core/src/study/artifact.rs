//! The file of an objective, and the description that the objective gives of itself.

use crate::value::json::Json;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The file of an objective, read but not run.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// The path that it was read from, or the name of a shared one, which ends as a path does.
    pub path: PathBuf,
    /// The file that holds it, if `path` is a name.
    pub stored: Option<PathBuf>,
    /// The way to run it.
    pub kind: ArtifactKind,
    /// The content.
    pub bytes: Vec<u8>,
    /// The SHA-256 of the content in hexadecimal.
    pub sha256: String,
    /// The version of the contract that it was built for, such as `0.1.0`.
    pub contract_version: String,
    /// The interfaces that it imports.
    pub imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// The content, if the file is an archive of an objective in Python.
    pub archive: Option<Archive>,
}

/// An objective in Python with the files that it needs, as `trialbox build` writes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// The path of the objective's file among the files.
    pub objective: String,
    /// The runtime that it was built for.
    pub runtime: RuntimeIdentity,
    /// The objective's description as JSON, for readers without a runtime.
    pub description: Json,
    /// The files, in the order of their paths.
    pub files: Vec<ArchivedFile>,
}

/// A runtime for Python on which an archive depends. The snapshot is not a part: each trialbox makes its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeIdentity {
    /// The name and the version of the distribution.
    pub name: String,
    /// The SHA-256 of the interpreter's module in hexadecimal.
    pub interpreter: String,
    /// The SHA-256 of its library in hexadecimal.
    pub library: String,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedFile {
    /// The path below the folder that the objective sees, with `/` between names.
    pub path: String,
    /// The content.
    pub bytes: Vec<u8>,
}

impl Archive {
    /// Returns the content of a file.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        let found = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        Some(&self.files[found].bytes)
    }
}

impl Artifact {
    /// Returns the file that holds it.
    pub fn file(&self) -> &Path {
        self.stored.as_deref().unwrap_or(&self.path)
    }

    /// Returns the code that runs: the content, of an archive that of the objective's file.
    pub fn code(&self) -> &[u8] {
        match &self.archive {
            Some(archive) => archive.file(&archive.objective).unwrap_or_default(),
            None => &self.bytes,
        }
    }

    /// Returns the name of the file in its folder, of an archive that of the objective's file.
    pub fn file_name(&self) -> String {
        if let Some(archive) = &self.archive {
            return archive.objective.clone();
        }
        match self.path.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => "objective".to_owned(),
        }
    }

    /// Returns a name for an objective without a description: the file's, without its extension.
    pub fn name(&self) -> String {
        match self.path.file_stem() {
            Some(stem) => stem.to_string_lossy().into_owned(),
            None => "objective".to_owned(),
        }
    }
}

/// The ways to run an objective.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// A WebAssembly component, which a sandbox runs.
    Component,
    /// A file of Python or an archive of such files, which an interpreter in the sandbox runs.
    Python,
}

/// The description of an objective by its author, whose text is not trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The name, after which a study is named.
    pub name: String,
    /// The version.
    pub version: String,
    /// A summary in a sentence.
    pub summary: String,
    /// One metric for each value that the objective returns.
    pub metrics: Vec<Metric>,
    /// The files and directories that the objective reads.
    pub data: Vec<DataSource>,
    /// Further (key, JSON text) pairs.
    pub extra: Vec<(String, String)>,
}

/// One value of an objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The name for tables and plots.
    pub name: Option<String>,
    /// True if larger values are better.
    pub maximize: bool,
}

/// A file or directory that an objective reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSource {
    /// The path in the guest.
    pub path: String,
    /// The content and its source, in a sentence.
    pub summary: String,
    /// The expected SHA-256 in hexadecimal.
    pub sha256: Option<String>,
}
