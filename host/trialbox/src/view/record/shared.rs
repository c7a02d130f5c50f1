//! The records of shared objectives.

use super::Float;
use serde::Serialize;

/// A shared objective that is in the store.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PulledRecord {
    /// The source, as it was given.
    pub(crate) source: String,
    /// The SHA-256 in hexadecimal, by which studies recognize the objective.
    pub(crate) sha256: String,
    /// The size.
    pub(crate) size_bytes: usize,
    /// The file in the store.
    pub(crate) file: String,
    /// The digest of the image's manifest, if the source is a registry or a layout.
    pub(crate) manifest: Option<String>,
    /// True if the store had the objective already, so that nothing was read from the source.
    pub(crate) from_store: bool,
}

/// An objective in the store.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StoredRecord {
    /// The SHA-256 in hexadecimal, which is the file's name.
    pub(crate) sha256: String,
    /// The file.
    pub(crate) file: String,
    /// The size; `null` if the file cannot be used.
    pub(crate) size_bytes: Option<usize>,
    /// The name and the version of the package that it was built from, if it says so.
    pub(crate) built_from: Option<String>,
    /// The reason why the file cannot be used, if it cannot.
    pub(crate) problem: Option<String>,
}

/// The end of `store gc`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CollectedRecord {
    /// The SHA-256 of each objective that was removed.
    pub(crate) removed: Vec<String>,
    /// The number of half-written files of dead processes that were removed.
    pub(crate) remainders: u64,
    /// The number of objectives that stay.
    pub(crate) kept: usize,
    /// True if nothing was removed, because of `--dry-run`.
    pub(crate) dry_run: bool,
}

/// An objective that was published.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct PushedRecord {
    /// The destination, as it was given.
    pub(crate) destination: String,
    /// The SHA-256 of the objective in hexadecimal.
    pub(crate) sha256: String,
    /// The digest of the manifest, by which the image can be named.
    pub(crate) manifest: String,
    /// The media type of the layer.
    pub(crate) layer_type: String,
    /// The media type of the configuration.
    pub(crate) config_type: String,
    /// True if the registry refused the usual media types.
    pub(crate) fallback: bool,
}

/// An image that got another tag.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TaggedRecord {
    /// The image, as it was given.
    pub(crate) image: String,
    /// The new tag.
    pub(crate) tag: String,
    /// The digest of the manifest.
    pub(crate) manifest: String,
}

/// A tag.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct TagRecord {
    /// The tag.
    pub(crate) tag: String,
}

/// The sample trial of an objective that was run again.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct VerifiedRecord {
    /// The objective, by its path or its name.
    pub(crate) objective: String,
    /// The SHA-256 in hexadecimal.
    pub(crate) sha256: String,
    /// True if the result is the recorded one, to the bit.
    pub(crate) equal: bool,
    /// The first difference, if there is one.
    pub(crate) difference: Option<String>,
    /// The kind of machine and the versions with which the sample was recorded.
    pub(crate) recorded_on: String,
    /// The kind of machine and the versions here.
    pub(crate) run_on: String,
    /// The time that the recorded trial ran, in seconds.
    pub(crate) recorded_seconds: Float,
    /// The time that the trial ran here, in seconds.
    pub(crate) seconds: f64,
}
