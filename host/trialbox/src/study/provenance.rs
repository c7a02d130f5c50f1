//! The provenance of a trial: what its values depend on besides its parameters. It is stored with each trial: module,
//! versions, limits, grants and machine. The job and the process are in the owner's token.

use crate::args::objective::ObjectivePlan;
use crate::args::space_file::space_to_json;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use trialbox_core::Json;
use trialbox_core::session::door::Loaded;
use trialbox_core::study::artifact::Artifact;
use trialbox_core::study::limits::Limits;
use trialbox_core::study::provenance::{PROGRAM, RESUMED_FROM};
use trialbox_files::Folder;
use trialbox_program::{CommandLine, Confined, ProgramConfig, Share};
use trialbox_runtime::{Grant, PythonRuntime, WASMTIME_VERSION};

/// Returns a component's digest as it is stored.
pub(crate) fn module_digest(artifact: &Artifact) -> String {
    format!("sha256:{}", artifact.sha256)
}

/// Returns the digest by which a study recognises its objective, of a program its name and its script's.
pub(crate) fn objective_digest(objective: &ObjectivePlan) -> String {
    match objective {
        ObjectivePlan::Component(component) => module_digest(&component.artifact),
        // The digests of its files stand in the provenance: programs change all the time.
        ObjectivePlan::Program(config) => format!("{PROGRAM} {}", config.command.identity()),
    }
}

/// Returns the members of the provenance that all trials of this process share.
pub(crate) fn provenance<'a>(
    objective: &ObjectivePlan,
    loaded: &Loaded,
    env_names: impl Iterator<Item = &'a str>,
    limits: &Limits,
    deterministic: bool,
) -> Vec<(String, Json)> {
    match objective {
        ObjectivePlan::Component(component) => {
            let runtime = component.runtime().map(runtime_digests);
            let members = of_component(
                &component.artifact,
                loaded,
                objective.grants(),
                env_names,
                limits,
                deterministic,
            );
            let runtime = runtime.map(|runtime| ("runtime".to_owned(), runtime));
            members.into_iter().chain(runtime).collect()
        }
        ObjectivePlan::Program(config) => of_program(config, env_names, limits),
    }
}

/// Returns the members of the provenance of a program's trials.
fn of_program<'a>(
    config: &ProgramConfig,
    env_names: impl Iterator<Item = &'a str>,
    limits: &Limits,
) -> Vec<(String, Json)> {
    let command = &config.command;
    let members = [
        ("module", Json::from(PROGRAM)),
        ("command", Json::Array(command.words_text().into_iter().map(Json::from).collect())),
        ("space", space_to_json(command.space())),
        ("value", Json::from(config.value_source.text())),
        ("as_optuna", Json::Bool(config.as_optuna)),
        ("files", Json::Array(program_files(command).into_iter().map(file_json).collect())),
        (
            "directory",
            std::env::current_dir().map_or(Json::Null, |dir| Json::from(dir.display().to_string())),
        ),
        ("git", git_revision().unwrap_or(Json::Null)),
        ("confined", config.confined.as_ref().map_or(Json::Null, confined_json)),
        ("trialbox", Json::from(env!("CARGO_PKG_VERSION"))),
        ("limits", limits.to_json()),
        // Values may be secrets.
        ("env", Json::Array(env_names.map(Json::from).collect())),
        ("machine", machine()),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Returns the rights that a confined program keeps, and what the kernel enforces.
fn confined_json(confined: &Confined) -> Json {
    let paths = |paths: &[PathBuf]| {
        Json::Array(paths.iter().map(|path| Json::from(path.display().to_string())).collect())
    };
    Json::object([
        ("read", paths(&confined.rights.read)),
        ("write", paths(&confined.rights.write)),
        ("network", Json::Bool(confined.rights.network)),
        ("landlock_abi", Json::from(confined.enforced.landlock_abi)),
        ("seccomp", Json::Bool(confined.enforced.seccomp)),
    ])
}

/// Returns the members of the provenance that name a program's part of the node.
pub(crate) fn share_provenance(share: &Share) -> Vec<(String, Json)> {
    let list = |(variable, ids): (&&str, &Vec<String>)| {
        (
            (*variable).to_owned(),
            Json::Array(ids.iter().map(|id| Json::from(id.as_str())).collect()),
        )
    };
    let mut members = Vec::new();
    if !share.devices.is_empty() {
        let devices = Json::Object(share.devices.iter().map(list).collect());
        members.push(("devices".to_owned(), devices));
    }
    if !share.cpus.is_empty() {
        let cpus = share.cpus.iter().map(|cpu| Json::from(*cpu as u64)).collect();
        members.push(("cpus".to_owned(), Json::Array(cpus)));
    }
    members
}

/// The largest file of a command that is hashed. A larger one is data.
const MAX_HASHED_BYTES: u64 = 16 << 20;

/// A file that a command names.
#[derive(Debug, Clone)]
pub(crate) struct ProgramFile {
    pub(crate) path: String,
    /// The SHA-256 in hexadecimal; `None` for a file that is too large or cannot be read.
    pub(crate) sha256: Option<String>,
}

/// Returns the files that a command names, with their digests.
pub(crate) fn program_files(command: &CommandLine) -> Vec<ProgramFile> {
    let files = command.files();
    let file =
        |path: &PathBuf| ProgramFile { path: path.display().to_string(), sha256: sha256_of(path) };
    files.iter().map(file).collect()
}

fn file_json(file: ProgramFile) -> Json {
    let sha256 = file.sha256.map_or(Json::Null, Json::from);
    Json::object([("path", Json::from(file.path)), ("sha256", sha256)])
}

fn sha256_of(path: &Path) -> Option<String> {
    let folder = Folder::open_named(
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    )
    .ok()?;
    let bytes = folder.read(path.file_name()?, MAX_HASHED_BYTES).ok()?;
    Some(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns the revision of the current folder, and whether files differ from it, if git is there and it is a work tree.
///
/// Every task of an array asks: one process answers both, and takes no lock in the user's repository.
pub(crate) fn git_revision() -> Option<Json> {
    git_revision_in(Path::new("."))
}

/// Returns the same of another folder.
pub(crate) fn git_revision_in(folder: &Path) -> Option<Json> {
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    let arguments =
        ["--no-optional-locks", "status", "--porcelain=v2", "--branch", "--untracked-files=no"];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    revision_in(&String::from_utf8_lossy(&output.stdout))
}

/// Reads the output of git-status(1) in its second format: headers start with `#`, and each other line is a file that
/// differs. A repository without a commit has no revision.
fn revision_in(status: &str) -> Option<Json> {
    let revision = status.lines().find_map(|line| line.strip_prefix("# branch.oid "))?;
    if revision == "(initial)" {
        return None;
    }
    let is_dirty = status.lines().any(|line| !line.starts_with('#'));
    Some(Json::object([("revision", Json::from(revision)), ("dirty", Json::Bool(is_dirty))]))
}

/// Returns the members of the provenance of a component's trials.
fn of_component<'a>(
    artifact: &Artifact,
    loaded: &Loaded,
    grants: &[Grant],
    env_names: impl Iterator<Item = &'a str>,
    limits: &Limits,
    deterministic: bool,
) -> Vec<(String, Json)> {
    let members = [
        ("module", Json::from(module_digest(artifact))),
        ("contract", contract_version(artifact).map_or(Json::Null, Json::from)),
        ("sdk", sdk(loaded).unwrap_or(Json::Null)),
        ("trialbox", Json::from(env!("CARGO_PKG_VERSION"))),
        ("wasmtime", Json::from(WASMTIME_VERSION)),
        ("deterministic", Json::from(deterministic)),
        ("limits", limits.to_json()),
        ("grants", Json::Array(grants.iter().map(grant).collect())),
        // Values may be secrets.
        ("env", Json::Array(env_names.map(Json::from).collect())),
        ("machine", machine()),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Returns the version of the contract that a component was built for. A file of Python has no contract.
pub(crate) fn contract_version(artifact: &Artifact) -> Option<&str> {
    Some(artifact.contract_version.as_str()).filter(|version| !version.is_empty())
}

/// Returns the runtime of a file of Python, with the digests of its files.
fn runtime_digests(runtime: &PythonRuntime) -> Json {
    let digests = runtime.digests().iter();
    let digests = digests.map(|(name, sha256)| (name.clone(), format!("sha256:{sha256}").into()));
    let name = ("name".to_owned(), Json::from(runtime.label()));
    Json::Object(std::iter::once(name).chain(digests).collect())
}

/// The things that a replay of a program leaves open.
pub(crate) const PROGRAM_PROMISE: &str = "not sandboxed: random numbers, libraries, devices, files, the clock and the \
                                          network may differ from run to run, so a replay that is equal does not \
                                          promise that the next one is";

/// Lists the differences from the time when a trial was recorded, which may explain other values.
pub(crate) fn provenance_differences(recorded: &Json, now: &[(String, Json)]) -> Vec<String> {
    let mut notes = Vec::new();
    let now_of = |name: &str| now.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let is_now = now_of("deterministic") == Some(&Json::Bool(true));
    match recorded.get("deterministic") {
        Some(Json::Bool(true)) => {}
        _ if now_of("module") == Some(&Json::from(PROGRAM)) => {
            notes.push(PROGRAM_PROMISE.to_owned());
        }
        _ if is_now => {
            notes.push("it was not run with --deterministic, and this replay was".to_owned());
        }
        _ => notes.push(
            "it was not run with --deterministic: clocks and the order of directories may differ"
                .to_owned(),
        ),
    }
    if let Some(earlier) = recorded.get(RESUMED_FROM) {
        notes.push(format!(
            "it resumed from the checkpoint of trial {earlier}: a replay starts from scratch, \
             and asks the pruner more often"
        ));
    }
    for (key, is) in now.iter().filter(|(key, _)| key != "deterministic") {
        match recorded.get(key) {
            Some(was) if was != is => notes.push(format!("{key} was {was}, and is {is}")),
            _ => {}
        }
    }
    notes
}

/// Returns the SDK that the module declares.
fn sdk(loaded: &Loaded) -> Option<Json> {
    let extra = &loaded.description.as_ref()?.extra;
    let (_, text) = extra.iter().find(|(key, _)| key == "sdk")?;
    Json::parse(text).ok().filter(|sdk| sdk.as_str().is_some_and(|sdk| sdk.len() <= 100))
}

fn grant(grant: &Grant) -> Json {
    Json::object([
        ("host", Json::from(grant.host.display().to_string())),
        ("guest", Json::from(grant.guest.as_str())),
        ("mode", Json::from(if grant.writable { "rw" } else { "ro" })),
    ])
}

/// Returns the machine, on which compiled code may depend, such as
/// `{"arch": "x86_64", "cpu": "AMD EPYC 7763 64-Core Processor"}`.
fn machine() -> Json {
    Json::object([
        ("arch", Json::from(std::env::consts::ARCH)),
        ("cpu", cpu_model().map_or(Json::Null, Json::from)),
    ])
}

/// Returns the name of this machine's CPU, where the kernel tells it.
pub(crate) fn cpu_model() -> Option<String> {
    // Reads only the beginning: the kernel writes a page for each of a node's hundreds of CPUs while it is read.
    let info = File::open("/proc/cpuinfo").ok().map(BufReader::new);
    let mut lines = info.into_iter().flat_map(|info| info.lines().map_while(Result::ok));
    lines.find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_and_its_differences_are_read_from_one_output() {
        let clean = "# branch.oid 5a9ee19\n# branch.head main\n# branch.ab +0 -0\n";
        let changed = format!("{clean}1 .M N... 100644 100644 100644 5a9 5a9 train.py\n");
        for (status, is_dirty) in [(clean, false), (changed.as_str(), true)] {
            let want = [("revision", Json::from("5a9ee19")), ("dirty", Json::Bool(is_dirty))];
            assert_eq!(revision_in(status), Some(Json::object(want)));
        }
        assert_eq!(revision_in("# branch.oid (initial)\n# branch.head main\n"), None);
        assert_eq!(revision_in(""), None);
    }
}
