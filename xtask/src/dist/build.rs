//! Builds the static binary.

use crate::demo::refuse_failpoints;
use crate::shell::{cargo_command, root, run};
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target: musl links statically. The code is for every x86-64, and vector instructions are chosen at run time.
pub(super) const TARGET: &str = "x86_64-unknown-linux-musl";

/// The state of the sources that a binary is built of.
#[derive(Debug)]
pub(super) struct Commit {
    pub(super) name: String,
    pub(super) date: String,
    /// The second of the commit since 1970, which stands for the time of the build.
    pub(super) second: String,
}

impl Commit {
    /// Returns the commit of the sources, if this is a clone.
    pub(super) fn of_clone() -> Option<Self> {
        let text = git(&["log", "-1", "--format=%H %cs %ct"])?;
        let mut words = text.split_whitespace().map(str::to_owned);
        let (name, date, second) = (words.next()?, words.next()?, words.next()?);
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        let name = if changes.is_empty() { name } else { format!("{name}-dirty") };
        Some(Commit { name, date, second })
    }
}

/// Returns what git prints about the clone, or `None` outside of one.
pub(super) fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Builds the static binary of the sources in a folder, and returns its path.
pub(super) fn build(sources: &Path, target: &Path) -> Result<PathBuf> {
    run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(sources))?;
    let words = ["build", "--profile", "dist", "--locked", "-p", "trialbox", "--target"];
    let mut command = cargo_command(words);
    command
        .arg(TARGET)
        .current_dir(sources)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(sources, target)?.join("\u{1f}"))
        .env("CC_x86_64_unknown_linux_musl", "musl-gcc");
    match Commit::of_clone() {
        Some(commit) => command
            .env("TRIALBOX_COMMIT", commit.name)
            .env("TRIALBOX_COMMIT_DATE", commit.date)
            .env("SOURCE_DATE_EPOCH", commit.second),
        None => command.env("SOURCE_DATE_EPOCH", "0"),
    };
    run(&mut command).context("the C compiler for musl is in Debian's package musl-tools")?;
    let binary = target.join(TARGET).join("dist/trialbox");
    refuse_failpoints(&binary)?;
    Ok(binary)
}

/// Returns the flags of rustc: names of folders are left out, equal functions are linked once, and addresses to be
/// adjusted at the start take 8 bytes for 63 rather than 24 for one. Rust's own linker can do this.
fn rust_flags(sources: &Path, target: &Path) -> Result<Vec<String>> {
    let registry = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let registry = registry.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let registry = registry.context("expected a home directory, found none")?;
    // The last that fits counts, and the target directory is in the sources as a rule.
    let places = [(registry.as_path(), "/cargo"), (sources, "/trialbox"), (target, "/target")];
    let mut flags: Vec<String> =
        ["linker=rust-lld", "link-arg=--icf=safe", "link-arg=-zpack-relative-relocs"]
            .map(|option| format!("-C{option}"))
            .to_vec();
    for (path, name) in places {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    Ok(flags)
}
