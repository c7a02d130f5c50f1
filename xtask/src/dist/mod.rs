//! `cargo xtask dist`: one static binary, and an archive of it with what belongs beside it, or a wheel of Python's.
//!
//! The same sources give the same bytes in every folder: the compilers are told to leave paths and times out, and
//! archives have neither times nor users. `--twice` checks it.

mod audit;
mod build;
mod packages;
mod parts;
mod sbom;
mod sources;

use self::build::{TARGET, build};
use crate::shell::{root, run};
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The most bytes of the binary.
const MAX_BINARY: u64 = 27_000_000;

/// The artefacts that are built, and their checks.
#[derive(clap::Args)]
pub(crate) struct DistArgs {
    /// Make a wheel too, for `pip install`
    #[arg(long)]
    wheel: bool,
    /// Check the binary in an empty root, which needs root's rights
    #[arg(long)]
    check: bool,
    /// Build a second time in another folder, and compare the bytes
    #[arg(long, conflicts_with = "binary")]
    twice: bool,
    /// Pack the sources too, with those of all libraries, so that they build without a network
    #[arg(long)]
    sources: bool,
    /// Sign SHA256SUMS with this secret key of minisign, which asks for the key's password
    #[arg(long, value_name = "FILE", env = "TRIALBOX_MINISIGN_KEY")]
    sign: Option<PathBuf>,
    /// Pack this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

impl DistArgs {
    pub(crate) fn run(&self) -> Result<()> {
        let binary = match &self.binary {
            Some(binary) => binary.canonicalize()?,
            None => build(&root(), &target_folder())?,
        };
        if self.twice {
            compare_with_second(&binary)?;
        }
        let binary = audit::with_packages(&binary, &target_folder())?;
        let size = std::fs::metadata(&binary)?.len();
        ensure!(size <= MAX_BINARY, "expected at most {MAX_BINARY} bytes, found {size}");
        let folder = root().join("target/dist");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder)?;
        if self.check {
            check_alone(&binary)?;
        }
        let version = version(&binary)?;
        let name = format!("trialbox-{version}-{}", TARGET);
        let staged = folder.join(&name);
        parts::stage(&binary, &staged)?;
        archive(&folder, &name)?;
        std::fs::remove_dir_all(&staged)?;
        if self.wheel {
            wheel(&binary, &version, &folder)?;
        }
        if self.sources {
            sources::pack(&folder, &format!("trialbox-{version}-sources"))?;
        }
        sums(&folder)?;
        if let Some(key) = &self.sign {
            sign(key, &folder)?;
        }
        for entry in std::fs::read_dir(&folder)?.flatten() {
            println!("{:>10} bytes  {}", entry.metadata()?.len(), entry.path().display());
        }
        Ok(())
    }
}

/// Returns the target directory: builds for a release share nothing with those of tests.
fn target_folder() -> PathBuf {
    let given = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    given.unwrap_or_else(|| root().join("target/dist-build"))
}

/// Builds the binary again from a copy of the sources, in a folder with a name of another length.
///
/// # Errors
/// Fails if the two differ.
fn compare_with_second(binary: &Path) -> Result<()> {
    let elsewhere = root().join("target/dist-again");
    let _ = std::fs::remove_dir_all(&elsewhere);
    let copy = elsewhere.join("a-copy-of-the-sources");
    sources::copy(&copy)?;
    let second = build(&copy, &elsewhere.join("build"))?;
    let (first, again) = (std::fs::read(binary)?, std::fs::read(&second)?);
    let difference = first.iter().zip(&again).position(|(one, other)| one != other);
    let difference = difference.or((first.len() != again.len()).then_some(first.len()));
    if let Some(place) = difference {
        bail!("expected equal bytes, found a difference at {place} of {}", second.display());
    }
    println!("dist: two builds in different folders have the same {} bytes", first.len());
    std::fs::remove_dir_all(&elsewhere)?;
    Ok(())
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
        // Nothing but what the objective uses counts.
        &["eval", "quadratic.wasm", "--max-memory", "64m"],
        &["run", "quadratic.wasm", "-n", "5", "--storage", "/study.db"],
        &["study", "best", "--storage", "/study.db"],
        &["doctor", "--storage", "/study.db"],
        &[
            "submit",
            "quadratic.wasm",
            "--trials",
            "50",
            "--parallel",
            "2",
            "--storage",
            "/study.db",
            "--dry-run",
        ],
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
    command.arg(binary).arg(version).arg("x86_64").arg(root()).arg(folder);
    run(&mut command)
}

/// Signs the list of sums, and with it all that it lists.
fn sign(key: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new("minisign");
    command.arg("-S").arg("-s").arg(key).arg("-m").arg(folder.join("SHA256SUMS"));
    run(&mut command).context("minisign is in Debian's package minisign")
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
