//! `--space` of `run` and `--search-space` of `trial ask`: a parameter, a file, or JSON.

use crate::args::space::parse_param_range;
use crate::args::space_file::{SpaceParts, read_space_file, space_of_json};
use crate::error::CommandError;
use std::path::PathBuf;
use trialbox_core::Json;
use trialbox_core::seam::storage::check_name;
use trialbox_core::space::declared::{DeclaredParam, DeclaredSpace};

/// One value of the flag.
#[derive(Debug, Clone)]
pub(crate) enum SpaceArg {
    /// A parameter or several.
    Parts(SpaceParts),
    /// A file, which is read with the other values.
    File(PathBuf),
}

/// The form of JSON, for error messages.
const JSON_FORM: &str =
    "write {\"lr\": {\"type\": \"float\", \"low\": 1e-5, \"high\": 0.1, \"log\": true}}";

/// Reads `NAME=RANGE`, `@FILE` or a JSON object.
pub(crate) fn parse_space(text: &str) -> Result<SpaceArg, String> {
    if let Some(path) = text.strip_prefix('@') {
        return Ok(SpaceArg::File(path.into()));
    }
    if text.trim_start().starts_with(['{', '[', '"']) {
        let json = Json::parse(text).map_err(|error| format!("{error}; {JSON_FORM}"))?;
        return match space_of_json(&json) {
            Ok(parts) => Ok(SpaceArg::Parts(parts)),
            Err(problem) => Err(format!("{problem}; {JSON_FORM}")),
        };
    }
    let (name, distribution) = parse_param_range(text)?;
    let param = DeclaredParam { name, distribution, when: vec![] };
    Ok(SpaceArg::Parts(SpaceParts { params: vec![param], relations: vec![] }))
}

/// Returns the space of all values of a flag.
///
/// # Errors
/// Fails for a file that cannot be read, for a parameter that is given twice, and for ranges, conditions and
/// constraints that cannot be used.
pub(crate) fn declared_space(flag: &str, args: &[SpaceArg]) -> Result<DeclaredSpace, CommandError> {
    let mut all = SpaceParts::default();
    for arg in args {
        let parts = match arg {
            SpaceArg::Parts(parts) => parts.clone(),
            SpaceArg::File(path) => read_space_file(path).map_err(|problem| {
                CommandError::usage(
                    format!("cannot read the file of {flag}: {problem}"),
                    "a line such as: lr = \"log(1e-5, 0.1)\"",
                )
            })?,
        };
        all.params.extend(parts.params);
        all.relations.extend(parts.relations);
    }
    for (index, param) in all.params.iter().enumerate() {
        let name = &param.name;
        check_name("parameter name", name)?;
        if all.params[..index].iter().any(|earlier| earlier.name == *name) {
            return Err(CommandError::usage(
                format!("{flag} {name} was given twice"),
                "give it once",
            ));
        }
        if let Err(error) = param.distribution.require_suggestible() {
            return Err(CommandError::usage(
                format!("parameter `{name}` of {flag}: {error}"),
                "give a range from which a value can be drawn",
            ));
        }
    }
    DeclaredSpace::new(all.params, all.relations).map_err(|error| {
        CommandError::usage(
            format!("{flag}: {error}"),
            "a condition and a constraint name parameters of the space",
        )
    })
}
