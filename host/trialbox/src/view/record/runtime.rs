//! The records of runtimes for objectives in Python.

use serde::Serialize;

/// A runtime and its files.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RuntimeRecord {
    /// The name and the version of the interpreter's distribution.
    pub(crate) runtime: String,
    /// The directory of runtimes.
    pub(crate) directory: String,
    /// The files; none if the runtime was not added.
    pub(crate) files: Vec<RuntimeFileRecord>,
}

/// A file of a runtime.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RuntimeFileRecord {
    /// The path.
    pub(crate) path: String,
    /// The SHA-256 when the file was added, in hexadecimal.
    pub(crate) sha256: String,
    /// The reason why the file cannot be used, if it has changed or is gone.
    pub(crate) problem: Option<String>,
}

/// The end of `runtime remove`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RuntimeRemoved {
    /// True if there was a runtime.
    pub(crate) removed: bool,
}

/// The folder of the Python client.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PythonPathRecord {
    /// The folder, for `PYTHONPATH`.
    pub(crate) path: String,
}
