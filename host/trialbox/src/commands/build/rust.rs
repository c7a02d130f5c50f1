//! The component of a crate of Rust, with a stamp.

use super::Built;
use crate::error::CommandError;
use crate::project::cargo;
use crate::study::provenance::git_revision_in;
use crate::view::record::BuiltRecord;
use std::path::Path;
use trialbox_core::Json;
use trialbox_files::read_named;
use trialbox_runtime::{Stamp, check_artifact};

/// The largest component that is read, in bytes. Whether it can be run is a question of limits.
const MAX_COMPONENT: u64 = 1 << 30;

/// Builds the component of the package `name` in a folder, and stamps it.
pub(super) fn build(
    folder: &Path,
    name: &str,
    flags: &[String],
    target: &Path,
) -> Result<Built, CommandError> {
    let compiled = cargo::build(folder, flags)?;
    let bytes = read_named(&compiled.file, MAX_COMPONENT).map_err(std::io::Error::from)?;
    let artifact = check_artifact(&compiled.file, bytes)?;
    let stamp = Stamp {
        name: Some(name.to_owned()),
        version: compiled.version,
        license: compiled.license,
        source: compiled.repository,
        revision: git_revision_in(folder).as_ref().and_then(revision_text),
        contract: Some(artifact.contract_version.clone()),
        sdk: compiled.sdk.map(|version| format!("trialbox-guest {version}")),
        built_by: Some(format!("trialbox {}", env!("CARGO_PKG_VERSION"))),
    };
    let stamped = stamp.write(&artifact.bytes).map_err(|problem| {
        CommandError::usage(
            format!("`{}` cannot be stamped: {problem}", compiled.file.display()),
            "build it again",
        )
    })?;
    let artifact = check_artifact(target, stamped)?;
    let record = BuiltRecord {
        file: target.display().to_string(),
        sha256: artifact.sha256,
        size_bytes: artifact.bytes.len(),
        runtime: None,
        files: vec![],
        stamp: Some((&stamp).into()),
    };
    Ok(Built { bytes: artifact.bytes, record })
}

/// Formats a revision of git as git-describe(1) does.
fn revision_text(git: &Json) -> Option<String> {
    let revision = git.get_str("revision")?;
    let is_dirty = git.get("dirty") == Some(&Json::Bool(true));
    Some(format!("{revision}{}", if is_dirty { "-dirty" } else { "" }))
}
