//! `cargo xtask dist`: one static binary, and an archive of it with what belongs beside it, or a wheel of Python's.
//!
//! The same sources give the same bytes in every folder: the compilers are told to leave paths out, and archives have
//! neither times nor users.

mod parts;
mod sbom;

use crate::demo::refuse_failpoints;
use crate::shell::{cargo_command, root, run};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The target: musl links statically. The code is for every x86-64, and vector instructions are chosen at run time.
const TARGET: &str = "x86_64-unknown-linux-musl";

/// The most bytes of the binary.
const MAX_BINARY: u64 = 32_000_000;

/// The artefacts that are built, and their checks.
#[derive(clap::Args)]
pub(crate) struct DistArgs {
    /// Make a wheel too, for `pip install`
    #[arg(long)]
    wheel: bool,
    /// Check the binary in an empty root, which needs root's rights
    #[arg(long)]
    check: bool,
    /// Pack this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl DistArgs {
    pub(crate) fn run(&self) -> Result<()> {
        let binary = match &self.binary {
            Some(binary) => binary.canonicalize()?,
            None => build()?,
        };
        let folder = root().join("target/dist");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        if self.check {
            check_alone(&binary)?;
        }
        let version = version(&binary)?;
        let name = format!("trialbox-{version}-{TARGET}");
        let staged = folder.join(&name);
        parts::stage(&binary, &staged, TARGET)?;
        archive(&folder, &name)?;
        std::fs::remove_dir_all(&staged)?;
        if self.wheel {
            wheel(&binary, &version, &folder)?;
        }
        sums(&folder)?;
        for entry in std::fs::read_dir(&folder)?.flatten() {
            println!("{:>10} bytes  {}", entry.metadata()?.len(), entry.path().display());
        }
        Ok(())
    }
}

/// Builds the static binary and returns its path.
fn build() -> Result<PathBuf> {
    run(Command::new("rustup").args(["target", "add", TARGET]).current_dir(root()))?;
    let target = target_folder();
    let sources = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let sources = sources.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let sources = sources.context("expected a home directory, found none")?;
    let places = [(target.clone(), "/target"), (root(), "/trialbox"), (sources, "/cargo")];
    let of_rust =
        places.iter().map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()));
    let of_c =
        places.iter().map(|(path, name)| format!("-ffile-prefix-map={}={name}", path.display()));
    let (of_rust, of_c): (Vec<_>, Vec<_>) = (of_rust.collect(), of_c.collect());
    let mut command =
        cargo_command(["build", "--release", "--locked", "-p", "trialbox", "--target", TARGET]);
    command
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", of_rust.join("\u{1f}"))
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols")
        .env("CC_x86_64_unknown_linux_musl", "musl-gcc")
        .env("CFLAGS_x86_64_unknown_linux_musl", of_c.join(" "));
    if let Some((commit, date)) = commit() {
        command.env("TRIALBOX_COMMIT", commit).env("TRIALBOX_COMMIT_DATE", date);
    }
    run(&mut command).context("the C compiler for musl is in Debian's package musl-tools")?;
    let binary = target.join(TARGET).join("release/trialbox");
    refuse_failpoints(&binary)?;
    let size = std::fs::metadata(&binary)?.len();
    ensure!(size <= MAX_BINARY, "expected a binary of at most {MAX_BINARY} bytes, found {size}");
    Ok(binary)
}

/// Returns the target directory: builds for a release share nothing with those of tests.
fn target_folder() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    given.unwrap_or_else(|| root().join("target/dist-build"))
}

/// Returns the commit of the sources and its date, if this is a clone.
fn commit() -> Option<(String, String)> {
    let text = git(&["log", "-1", "--format=%H %cs"])?;
    let (commit, date) = text.trim().split_once(' ')?;
    let is_dirty =
        git(&["status", "--porcelain", "--untracked-files=no"])?.lines().next().is_some();
    Some((format!("{commit}{}", if is_dirty { "-dirty" } else { "" }), date.to_owned()))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(root()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the version that a binary prints.
fn version(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("-V").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(1).context("expected a version, found none")?;
    Ok(version.to_owned())
}

/// Runs the binary in a root that holds nothing else but an objective.
fn check_alone(binary: &Path) -> Result<()> {
    let empty = root().join("target/dist-root");
    let _ = std::fs::remove_dir_all(&empty);
    std::fs::create_dir_all(&empty)?;
    std::fs::copy(binary, empty.join("trialbox"))?;
    let guest = crate::guests::built().join("quadratic.wasm");
    std::fs::copy(&guest, empty.join("quadratic.wasm"))
        .context("`cargo xtask build-guests` builds the objective")?;
    for words in [
        &["inspect", "quadratic.wasm"][..],
        &["eval", "quadratic.wasm"],
        &["run", "quadratic.wasm", "-n", "5", "--storage", "/study.db"],
        &["study", "best", "--storage", "/study.db"],
        &["doctor", "--storage", "/study.db"],
    ] {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(&empty).arg("/trialbox").args(words).env_clear().env("HOME", "/");
        run(&mut command)?;
    }
    std::fs::remove_dir_all(&empty)?;
    Ok(())
}

/// Packs a folder, without times and users.
fn archive(folder: &Path, name: &str) -> Result<()> {
    let file = format!("{name}.tar.gz");
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"]);
    command.args(["--mode=u+rw,go+r-w", "--use-compress-program=gzip -n -9", "-cf", &file, name]);
    run(command.current_dir(folder))
}

/// Makes the wheel, with Python's own writer of zip files.
fn wheel(binary: &Path, version: &str, folder: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command.arg(root().join("xtask/src/dist/wheel.py"));
    command.arg(binary).arg(version).arg(root()).arg(folder);
    run(&mut command)
}

/// Writes the SHA-256 of every file, as sha256sum(1) reads them.
fn sums(folder: &Path) -> Result<()> {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let output = Command::new("sha256sum").args(&names).current_dir(folder).output()?;
    ensure!(output.status.success(), "sha256sum failed: {}", output.status);
    std::fs::write(folder.join("SHA256SUMS"), output.stdout)?;
    Ok(())
}
