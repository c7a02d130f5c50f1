//! The provenance of a trial: what its values depend on besides its parameters. It is stored with each trial: module,
//! versions, limits, grants and machine. The job and the process are in the owner's token.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use trialbox_core::Json;
use trialbox_core::session::door::Loaded;
use trialbox_core::study::artifact::Artifact;
use trialbox_core::study::limits::Limits;
use trialbox_core::study::provenance::RESUMED_FROM;
use trialbox_runtime::{Grant, WASMTIME_VERSION};

/// Returns a component's digest as it is stored.
pub(crate) fn module_digest(artifact: &Artifact) -> String {
    format!("sha256:{}", artifact.sha256)
}

/// Returns the members of the provenance that all trials of this process share.
pub(crate) fn provenance<'a>(
    artifact: &Artifact,
    loaded: &Loaded,
    grants: &[Grant],
    env_names: impl Iterator<Item = &'a str>,
    limits: &Limits,
    deterministic: bool,
) -> Vec<(String, Json)> {
    let members = [
        ("module", Json::from(module_digest(artifact))),
        ("contract", Json::from(artifact.contract_version.as_str())),
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

/// Lists the differences from the time when a trial was recorded, which may explain other values.
pub(crate) fn provenance_differences(recorded: &Json, now: &[(String, Json)]) -> Vec<String> {
    let mut notes = Vec::new();
    let is_now = now.iter().any(|(key, is)| key == "deterministic" && *is == Json::Bool(true));
    match (recorded.get("deterministic") == Some(&Json::Bool(true)), is_now) {
        (true, _) => {}
        (false, true) => {
            notes.push("it was not run with --deterministic, and this replay was".to_owned());
        }
        (false, false) => notes.push(
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
