//! The archive of the sources with those of all libraries: `cargo build --offline` builds it where no registry can be
//! reached, as many clusters and packagers want it.

use super::archive;
use super::build::{Commit, git};
use crate::shell::{cargo_command, root};
use anyhow::{Context as _, Result};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Copies the files that git knows to a folder.
pub(super) fn copy(folder: &Path) -> Result<()> {
    let names = git(&["ls-files", "-z"]).context("expected a clone, found no git")?;
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let (from, to) = (root().join(name), folder.join(name));
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match std::fs::read_link(&from) {
            Ok(target) => symlink(target, &to)?,
            // A file that is removed but not committed.
            Err(_) if !from.exists() => {}
            Err(_) => {
                std::fs::copy(&from, &to)
                    .with_context(|| format!("failed to copy {}", from.display()))?;
            }
        }
    }
    Ok(())
}

/// Packs the sources as `NAME.tar.gz` into a folder.
pub(super) fn pack(folder: &Path, name: &str) -> Result<()> {
    let staged = folder.join(name);
    copy(&staged)?;
    let output = cargo_command(["vendor", "--locked", "--quiet", "--versioned-dirs", "vendor"])
        .current_dir(&staged)
        .output()?;
    anyhow::ensure!(output.status.success(), "cargo vendor failed: {}", output.status);
    let mut config =
        std::fs::OpenOptions::new().append(true).open(staged.join(".cargo/config.toml"))?;
    if let Some(commit) = Commit::of_clone() {
        // In the table `[env]`, which is the last of the file.
        writeln!(config, "TRIALBOX_COMMIT = \"{}\"", commit.name)?;
        writeln!(config, "TRIALBOX_COMMIT_DATE = \"{}\"", commit.date)?;
    }
    writeln!(config)?;
    config.write_all(&output.stdout)?;
    archive(folder, name)?;
    std::fs::remove_dir_all(&staged)?;
    Ok(())
}
