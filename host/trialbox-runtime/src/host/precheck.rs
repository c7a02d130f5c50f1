//! Checks of an objective's file from outside, before anything is compiled.

use crate::host::python::{ArchiveError, is_archive, read_archive};
use crate::wire::contract::CONTRACT;
use crate::wire::digest::hex;
use sha2::{Digest as _, Sha256};
use std::path::Path;
use trialbox_core::session::door::{Rejection, RejectionCode};
use trialbox_core::study::artifact::{Artifact, ArtifactKind};
use trialbox_core::study::limits::{Limit, LimitHit, Limits};
use trialbox_files::read_named;
use wasmparser::{Encoding, Parser, Payload};

const PACKAGE: &str = "trialbox:objective/";
const TRIAL: &str = "trialbox:objective/trial";
const OBJECTIVE: &str = "trialbox:objective/objective";

const HOW_TO_BUILD: &str = "an objective is built with `cargo build --release --target wasm32-wasip2`; \
                            the file is target/wasm32-wasip2/release/NAME.wasm";

/// The modules and components inside a component. Toolchains make fewer than ten, and composed components a few dozen.
/// The compiler takes 200 KB for an empty one, which is twelve bytes of a file.
const MAX_PARTS: usize = 1_000;

/// The depth of components inside components.
const MAX_DEPTH: usize = 32;

/// The imports and exports of a component. The contract and WASI have forty interfaces.
const MAX_NAMES: usize = 1_000;

/// Reads an objective's file and checks it from outside: the format, the imports and exports, the version of the
/// contract. The code is neither compiled nor run.
///
/// # Errors
/// Fails if the file cannot be read, or is not an objective that can be run here.
pub fn read_artifact(path: &Path, limits: &Limits) -> Result<Artifact, Rejection> {
    let shown = path.display();
    let cannot_read = |error: std::io::Error| {
        let help = "give the path of a .wasm file";
        Rejection::new(RejectionCode::Read, format!("cannot read `{shown}`: {error}"), help)
    };
    let allowed = limits.get(Limit::ModuleSize).unwrap_or(u64::MAX);
    let length = std::fs::metadata(path).map_err(cannot_read)?.len();
    if length > allowed {
        let hit = LimitHit { limit: Limit::ModuleSize, allowed, used: Some(length) };
        return Err(Rejection::new(
            RejectionCode::ModuleSize,
            format!("`{shown}` has {hit}"),
            "keep data out of the module and grant its directory; large files take minutes to compile",
        )
        .with_limit(hit));
    }
    let bytes = read_named(path, allowed).map_err(|error| {
        Rejection::new(RejectionCode::Read, error.to_string(), "give the path of a .wasm file")
    })?;
    if is_archive(&bytes) {
        let archive = read_archive(&bytes).map_err(|error| not_ours(path, &error))?;
        return Ok(Artifact { archive: Some(archive), ..python_file(path, bytes) });
    }
    if path.extension().is_some_and(|extension| extension == "py") {
        return Ok(python_file(path, bytes));
    }
    check_artifact(path, bytes)
}

/// Checks the bytes of a shared objective, which is a component or an archive: a file of Python alone would lack the
/// folder in which it lies. `name` stands for its path.
///
/// # Errors
/// Fails if the bytes are not an objective that can be run here.
pub fn check_shared(name: &Path, bytes: Vec<u8>) -> Result<Artifact, Rejection> {
    if is_archive(&bytes) {
        let archive = read_archive(&bytes).map_err(|error| not_ours(name, &error))?;
        return Ok(Artifact { archive: Some(archive), ..python_file(name, bytes) });
    }
    check_artifact(name, bytes).map_err(|mut rejection| {
        if name.extension().is_some_and(|extension| extension == "py") {
            let file = name.display();
            rejection.help =
                Some(format!("make one file of it, to share it: trialbox build {file}"));
        }
        rejection
    })
}

/// Checks the bytes of an objective that were read from `path`, as [`read_artifact`] does.
///
/// # Errors
/// Fails if the bytes are not an objective that can be run here.
pub fn check_artifact(path: &Path, bytes: Vec<u8>) -> Result<Artifact, Rejection> {
    let checked = Outside::parse(&bytes).and_then(|outside| {
        let contract_version = outside.check()?;
        Ok((outside, contract_version))
    });
    match checked {
        Ok((Outside { imports, exports }, contract_version)) => Ok(Artifact {
            path: path.to_owned(),
            stored: None,
            kind: ArtifactKind::Component,
            sha256: hex(&Sha256::digest(&bytes)),
            bytes,
            contract_version,
            imports,
            exports,
            archive: None,
        }),
        Err(mut rejection) => {
            rejection.message = format!("`{}` {}", path.display(), rejection.message);
            Err(rejection)
        }
    }
}

fn not_ours(path: &Path, error: &ArchiveError) -> Rejection {
    Rejection::new(
        RejectionCode::Invalid,
        format!("`{}` is not an archive as `trialbox build` writes it: {error}", path.display()),
        "copy it again, or build it again: trialbox build objective.py",
    )
}

/// Returns a file of Python as an objective. Its interpreter checks it, in the sandbox.
fn python_file(path: &Path, bytes: Vec<u8>) -> Artifact {
    Artifact {
        path: path.to_owned(),
        stored: None,
        kind: ArtifactKind::Python,
        sha256: hex(&Sha256::digest(&bytes)),
        bytes,
        contract_version: String::new(),
        imports: vec![],
        exports: vec![],
        archive: None,
    }
}

/// The imports and exports of a component.
#[derive(Debug, Default)]
struct Outside {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Outside {
    fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        sniff(bytes)?;
        let mut outside = Outside::default();
        let (mut depth, mut parts) = (0, 0);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| damaged(&error))? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(core_module());
                }
                Payload::Version { .. } => {
                    (depth, parts) = (depth + 1, parts + 1);
                    at_most("modules and components", parts, MAX_PARTS)?;
                    at_most("levels of components in components", depth, MAX_DEPTH)?;
                }
                Payload::End(_) => depth -= 1,
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        let import = import.map_err(|error| damaged(&error))?;
                        at_most("imports", outside.imports.len() + 1, MAX_NAMES)?;
                        outside.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        let export = export.map_err(|error| damaged(&error))?;
                        at_most("exports", outside.exports.len() + 1, MAX_NAMES)?;
                        outside.exports.push(export.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(outside)
    }

    /// Returns the version of the contract that the component was built for.
    ///
    /// # Errors
    /// Fails if this host cannot run the component.
    fn check(&self) -> Result<String, Rejection> {
        let ours = CONTRACT.rsplit('@').next().unwrap_or_default();
        let both = self.imports.iter().chain(&self.exports);
        let versions: Vec<&str> = both
            .filter(|name| name.starts_with(PACKAGE))
            .filter_map(|name| name.rsplit_once('@'))
            .map(|(_, v)| v)
            .collect();
        if let Some(other) = versions.iter().find(|version| minor(version) != minor(ours)) {
            let newer = minor(other) > minor(ours);
            let message = format!(
                "is built for version {other} of the contract trialbox:objective; \
                 this trialbox has version {ours}"
            );
            let help = if newer {
                "use a newer trialbox, or build the objective with an older SDK"
            } else {
                "build the objective again with a newer SDK"
            };
            return Err(Rejection::new(RejectionCode::Abi, message, help));
        }
        let has = |interface: &str| {
            self.exports.iter().any(|name| name.split('@').next() == Some(interface))
        };
        if !has(OBJECTIVE) {
            let exports = if self.exports.is_empty() {
                "nothing".to_owned()
            } else {
                self.exports.join(", ")
            };
            let message = format!(
                "is a component but not an objective: expected the export {OBJECTIVE}@{ours}, found {exports}"
            );
            return Err(Rejection::new(
                RejectionCode::Abi,
                message,
                "mark a function with `#[trialbox_guest::objective]`",
            ));
        }
        if let Some(import) = self.imports.iter().find(|name| !is_offered(name)) {
            let wants = if import.starts_with("wasi:sockets/") || import.starts_with("wasi:http/") {
                "the network, which objectives never get"
            } else {
                "something that this trialbox does not offer"
            };
            let message = format!("imports `{import}`: {wants}");
            let help = "an objective may use trialbox:objective/trial and, of WASI 0.2, \
                        io, cli, clocks, random and filesystem";
            return Err(Rejection::new(RejectionCode::Capability, message, help));
        }
        Ok(versions.iter().max().map_or(ours, |version| *version).to_owned())
    }
}

/// Refuses a component with more of something than any toolchain makes: the compiler needs memory for each of them.
fn at_most(what: &str, found: usize, most: usize) -> Result<(), Rejection> {
    if found <= most {
        return Ok(());
    }
    let message = format!("has too many {what}: expected at most {most}, found more");
    Err(Rejection::new(RejectionCode::Invalid, message, "build it with fewer, or of fewer parts"))
}

fn is_offered(import: &str) -> bool {
    let (interface, version) = import.rsplit_once('@').unwrap_or((import, ""));
    let wasi = ["wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/"];
    interface == TRIAL
        || (version.starts_with("0.2.") && wasi.iter().any(|prefix| interface.starts_with(prefix)))
}

/// Returns the major and minor version; within 0.1 the contract only grows. A parser of numbers would also accept
/// `0.01` and `+0.1`, which are not versions.
fn minor(version: &str) -> Option<(u64, u64)> {
    let read = |part: &str| part.parse().ok().filter(|number: &u64| number.to_string() == part);
    let mut parts = version.split('.').map(read);
    Some((parts.next()??, parts.next()??))
}

fn damaged(error: &wasmparser::BinaryReaderError) -> Rejection {
    let message =
        format!("is truncated or damaged at byte {}: {}", error.offset(), error.message());
    Rejection::new(
        RejectionCode::Invalid,
        message,
        "build or copy it again, and compare the checksums",
    )
}

fn core_module() -> Rejection {
    Rejection::new(
        RejectionCode::NotComponent,
        "is a core wasm module; an objective is a component",
        HOW_TO_BUILD,
    )
}

/// Recognises files that are passed by mistake, by their first bytes.
fn sniff(bytes: &[u8]) -> Result<(), Rejection> {
    let invalid = |what: &str, help: &str| Err(Rejection::new(RejectionCode::Invalid, what, help));
    match bytes {
        [] => invalid("is empty", "build or copy it again"),
        [0, b'a', b's', b'm', ..] => Ok(()),
        [0x7f, b'E', b'L', b'F', ..] => {
            invalid("is a native program or library (ELF), not wasm", HOW_TO_BUILD)
        }
        [0x1f, 0x8b, ..] => invalid("is compressed (gzip), not wasm", "unpack it with `gunzip`"),
        [b'P', b'K', 3 | 5, ..] => invalid("is a zip archive, not wasm", "unpack it with `unzip`"),
        _ if bytes.starts_with(b"version https://git-lfs") => {
            invalid("is a Git LFS pointer, not the file itself", "fetch it with `git lfs pull`")
        }
        _ if bytes.trim_ascii_start().starts_with(b"(") => invalid(
            "is WebAssembly text; an objective is a binary component",
            "translate it with `wasm-tools parse`",
        ),
        _ if bytes.trim_ascii_start().starts_with(b"<") => {
            invalid("is an HTML or XML page, not wasm", "look at what was downloaded")
        }
        _ => invalid("is not wasm: expected `\\0asm` at its start", HOW_TO_BUILD),
    }
}
