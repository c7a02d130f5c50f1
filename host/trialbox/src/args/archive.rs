//! Archives of objectives in Python: what they were built for, and what they hold.

use crate::error::CommandError;
use sha2::{Digest as _, Sha256};
use trialbox_core::Json;
use trialbox_core::session::door::{Loaded, Rejection, RejectionCode};
use trialbox_core::study::artifact::{Archive, Artifact, DataSource, Metric, RuntimeIdentity};
use trialbox_runtime::{PythonRuntime, WORK_PATH};

/// Returns the part of a runtime on which an archive depends.
pub(crate) fn runtime_identity(runtime: &PythonRuntime) -> RuntimeIdentity {
    let digest = |name: &str| {
        let found = runtime.digests().iter().find(|(key, _)| key == name);
        found.map(|(_, digest)| digest.clone()).unwrap_or_default()
    };
    RuntimeIdentity {
        name: runtime.label().to_owned(),
        interpreter: digest("interpreter"),
        library: digest("library"),
    }
}

/// Checks that an archive was built for the runtime that is here.
///
/// # Errors
/// Fails if it was built for another one.
pub(crate) fn check_runtime(artifact: &Artifact, runtime: &PythonRuntime) -> Result<(), Rejection> {
    let Some(archive) = &artifact.archive else { return Ok(()) };
    let found = runtime_identity(runtime);
    if archive.runtime == found {
        return Ok(());
    }
    let shown = |identity: &RuntimeIdentity| {
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        let (interpreter, library) = (short(&identity.interpreter), short(&identity.library));
        format!("{} (interpreter {interpreter}…, library {library}…)", identity.name)
    };
    Err(Rejection::new(
        RejectionCode::Runtime,
        format!(
            "`{}` was built for the runtime {}, found {}",
            artifact.path.display(),
            shown(&archive.runtime),
            shown(&found)
        ),
        "use the trialbox that built it, or build it again here: trialbox build objective.py",
    ))
}

/// Checks that an archive says of its objective what the objective says of itself.
///
/// # Errors
/// Fails if the two differ.
pub(crate) fn check_described(artifact: &Artifact, loaded: &Loaded) -> Result<(), Rejection> {
    match &artifact.archive {
        Some(archive) if archive.description != description_json(loaded) => Err(Rejection::new(
            RejectionCode::Invalid,
            format!("`{}` describes another objective than it holds", artifact.path.display()),
            "build it again: trialbox build objective.py",
        )),
        _ => Ok(()),
    }
}

/// Returns the description of an objective as JSON; null without one.
pub(crate) fn description_json(loaded: &Loaded) -> Json {
    let Some(description) = &loaded.description else { return Json::Null };
    let text = |text: &str| Json::from(text);
    let or_null = |text: &Option<String>| text.as_deref().map_or(Json::Null, Json::from);
    let metric = |metric: &Metric| {
        let direction = if metric.maximize { "maximize" } else { "minimize" };
        Json::object([("name", or_null(&metric.name)), ("direction", text(direction))])
    };
    let source = |source: &DataSource| {
        Json::object([
            ("path", text(&source.path)),
            ("summary", text(&source.summary)),
            ("sha256", or_null(&source.sha256)),
        ])
    };
    Json::object([
        ("name", text(&description.name)),
        ("version", text(&description.version)),
        ("summary", text(&description.summary)),
        ("metrics", Json::Array(description.metrics.iter().map(metric).collect())),
        ("data", Json::Array(description.data.iter().map(source).collect())),
    ])
}

/// Takes the data that an archive holds itself out of a list, and checks its digests.
///
/// # Errors
/// Fails if the archive lacks a file of its objective's folder, or holds another one than is described.
pub(crate) fn check_own_data(
    archive: &Archive,
    sources: &[DataSource],
) -> Result<Vec<DataSource>, CommandError> {
    let mut others = Vec::new();
    for source in sources {
        let below = source.path.strip_prefix(WORK_PATH).and_then(|rest| rest.strip_prefix('/'));
        let Some(below) = below else {
            others.push(source.clone());
            continue;
        };
        let problem = match (archive.file(below), &source.sha256) {
            (None, _) => "and the archive does not hold it",
            (Some(bytes), Some(wanted)) if !hex(bytes).eq_ignore_ascii_case(wanted) => {
                "and the archive holds another file under that name"
            }
            (Some(_), _) => continue,
        };
        return Err(CommandError::usage(
            format!("the objective reads `{}` ({}), {problem}", source.path, source.summary),
            "build the archive again, beside the file: trialbox build objective.py",
        ));
    }
    Ok(others)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
