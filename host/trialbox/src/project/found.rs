//! The project in a folder: a crate of Rust, or a file of Python.

use crate::error::CommandError;
use crate::view::output::Output;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The manifest of a crate.
const MANIFEST: &str = "Cargo.toml";
/// The objective of a project in Python.
const PYTHON: &str = "objective.py";

/// The largest manifest that is read, in bytes.
const MAX_MANIFEST: u64 = 1 << 20;
/// The most files below `src` whose times are compared.
const MAX_SOURCES: usize = 10_000;

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Project {
    /// A crate, with the name of its package.
    Crate { folder: PathBuf, name: String },
    /// A file of Python.
    Python { file: PathBuf },
}

impl Project {
    /// Finds the project in a folder; `None` if there is none.
    ///
    /// # Errors
    /// Fails if the manifest cannot be read.
    pub(crate) fn in_folder(folder: &Path) -> Result<Option<Self>, CommandError> {
        let manifest = folder.join(MANIFEST);
        if manifest.is_file() {
            let bytes = trialbox_files::read_named(&manifest, MAX_MANIFEST)?;
            let name = package_name(&String::from_utf8_lossy(&bytes)).map_err(|problem| {
                CommandError::usage(
                    format!("`{}`: {problem}", manifest.display()),
                    "go to the folder of the objective's package",
                )
            })?;
            return Ok(Some(Project::Crate { folder: folder.to_owned(), name }));
        }
        let file = folder.join(PYTHON);
        Ok(file.is_file().then_some(Project::Python { file }))
    }

    /// Returns the file of the objective: that which `trialbox build` writes, or the file of Python.
    pub(crate) fn objective(&self) -> PathBuf {
        match self {
            Project::Crate { folder, name } => folder.join(name).with_extension("wasm"),
            Project::Python { file } => file.clone(),
        }
    }

    /// Returns a source that has changed since the objective was built.
    fn newer_source(&self) -> Option<PathBuf> {
        let Project::Crate { folder, .. } = self else { return None };
        let built = modified(&self.objective())?;
        let mut left = MAX_SOURCES;
        let is_newer = |path: &Path| modified(path).is_some_and(|time| time > built);
        let manifest = folder.join(MANIFEST);
        if is_newer(&manifest) {
            return Some(manifest);
        }
        newer_below(&folder.join("src"), &is_newer, &mut left)
    }
}

/// Takes the objective of the project in the current folder, if none was given, and says so.
///
/// # Errors
/// Fails if the project's objective is not built.
pub(crate) fn or_in_folder(
    objective: &mut Option<PathBuf>,
    has_program: bool,
    output: &Output,
) -> Result<(), CommandError> {
    if objective.is_some() || has_program {
        return Ok(());
    }
    let Some(project) = Project::in_folder(Path::new(""))? else { return Ok(()) };
    let file = project.objective();
    if !file.is_file() {
        return Err(CommandError::usage(
            format!(
                "expected the objective `{}`, found a project that is not built",
                file.display()
            ),
            "build it: trialbox build",
        ));
    }
    output.note(&format!("the objective is `{}` of this folder", file.display()));
    if let Some(source) = project.newer_source() {
        let (source, file) = (source.display(), file.display());
        output.note(&format!("`{source}` is newer than `{file}`: trialbox build compiles it"));
    }
    *objective = Some(file);
    Ok(())
}

/// Returns the name of the package of a manifest.
fn package_name(manifest: &str) -> Result<String, String> {
    let manifest: toml::Table =
        manifest.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let package = manifest.get("package").and_then(|package| package.get("name"));
    match package.and_then(toml::Value::as_str) {
        // The name becomes a file's.
        Some(name) if !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.') => {
            Ok(name.to_owned())
        }
        Some(_) => Err("expected the name of a package".to_owned()),
        None => Err("expected a package, found a workspace without one".to_owned()),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// Returns a file below a folder that is newer. Links are not followed.
fn newer_below(
    folder: &Path,
    is_newer: &dyn Fn(&Path) -> bool,
    left: &mut usize,
) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        *left = left.checked_sub(1)?;
        let (path, kind) = (entry.path(), entry.file_type().ok()?);
        if kind.is_file() && is_newer(&path) {
            return Some(path);
        }
        if kind.is_dir()
            && let Some(found) = newer_below(&path, is_newer, left)
        {
            return Some(found);
        }
    }
    None
}

/// Returns the error for a folder without a project.
pub(crate) fn no_project(folder: &Path) -> CommandError {
    let folder = if folder == Path::new("") { Path::new(".") } else { folder };
    CommandError::usage(
        format!(
            "expected a project in `{}`, found neither {MANIFEST} nor {PYTHON}",
            folder.display()
        ),
        "create one: trialbox new my-objective",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_package_is_read_and_cannot_lead_elsewhere() {
        let name = |text: &str| package_name(&format!("[package]\nname = {text}\n"));
        assert_eq!(name("\"mine\""), Ok("mine".to_owned()));
        for hostile in ["\"../x\"", "\"/etc/x\"", "\"\"", "\"..\"", "\"a\\u0000\"", "3"] {
            assert!(name(hostile).is_err(), "{hostile}");
        }
        assert!(package_name("[workspace]").is_err());
        assert!(package_name("[package").is_err());
    }
}
