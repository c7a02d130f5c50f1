//! The record of an objective that was built.

use super::StampRecord;
use serde::Serialize;

/// The file of an objective.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BuiltRecord {
    /// The path.
    pub(crate) file: String,
    /// The SHA-256 in hexadecimal, by which studies recognize the objective.
    pub(crate) sha256: String,
    /// The size.
    pub(crate) size_bytes: usize,
    /// The name and the version of the runtime that an objective in Python needs.
    pub(crate) runtime: Option<String>,
    /// The files in an archive.
    pub(crate) files: Vec<String>,
    /// The source of a component.
    pub(crate) stamp: Option<StampRecord>,
}
