//! The records of an objective's folder.

use serde::Serialize;
use trialbox_runtime::Stamp;

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

/// The source and the tools of a component, as its author's build has written them.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StampRecord {
    /// The name of the package.
    pub(crate) name: Option<String>,
    /// The version of the package.
    pub(crate) version: Option<String>,
    /// The licence, as an SPDX expression.
    pub(crate) license: Option<String>,
    /// The address of the source code.
    pub(crate) source: Option<String>,
    /// The commit of the source code.
    pub(crate) revision: Option<String>,
    /// The version of the contract.
    pub(crate) contract: Option<String>,
    /// The SDK and its version.
    pub(crate) sdk: Option<String>,
    /// The trialbox that built it.
    pub(crate) built_by: Option<String>,
}

impl From<&Stamp> for StampRecord {
    fn from(stamp: &Stamp) -> Self {
        let Stamp { name, version, license, source, revision, contract, sdk, built_by } =
            stamp.clone();
        StampRecord { name, version, license, source, revision, contract, sdk, built_by }
    }
}

/// A setting that holds.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SettingRecord {
    /// The flag, without its hyphens.
    pub(crate) key: String,
    /// The command that it is for; null for all commands that have the flag.
    pub(crate) command: Option<String>,
    /// The values; none for a flag without one.
    pub(crate) value: Vec<String>,
    /// The place that sets it.
    pub(crate) from: String,
}

/// The page of a code.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PageRecord {
    /// The code.
    pub(crate) code: String,
    /// The meaning.
    pub(crate) meaning: String,
    /// The usual causes.
    pub(crate) causes: String,
    /// The next step.
    pub(crate) help: String,
}
