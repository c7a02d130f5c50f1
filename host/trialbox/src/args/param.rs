//! Flags of the form `NAME=VALUE`.

use crate::error::CommandError;
use std::fmt::Display;
use trialbox_core::Json;

/// Reads `NAME=VALUE`. Text that is not JSON is taken as a string.
pub(crate) fn parse_param(text: &str) -> Result<(String, Json), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("expected NAME=VALUE such as lr=0.1, found `{text}`"))?;
    let value = Json::parse(value).unwrap_or_else(|_| Json::from(value));
    Ok((name.to_owned(), value))
}

/// Checks that no name is given twice: one of the values would be lost.
pub(crate) fn check_unique<N: PartialEq + Display, V>(
    flag: &str,
    given: &[(N, V)],
) -> Result<(), CommandError> {
    let twice = given
        .iter()
        .enumerate()
        .find(|(index, (name, _))| given[..*index].iter().any(|(earlier, _)| earlier == name));
    match twice {
        Some((_, (name, _))) => {
            Err(CommandError::usage(format!("{flag} {name} was given twice"), "give it once"))
        }
        None => Ok(()),
    }
}
