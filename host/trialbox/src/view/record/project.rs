//! The records of an objective's folder.

use serde::Serialize;

/// A project that was created.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CreatedRecord {
    /// The name of the objective.
    pub(crate) name: String,
    /// The template.
    pub(crate) template: String,
    /// The folder.
    pub(crate) directory: String,
    /// The files, by their paths in the folder.
    pub(crate) files: Vec<String>,
    /// The commands that come next.
    pub(crate) next: Vec<String>,
}
