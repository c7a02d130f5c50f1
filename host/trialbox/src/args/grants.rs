//! `--dir HOST::GUEST[:ro|rw]` and `--env NAME=VALUE`: what an objective may see beyond its parameters.

use crate::error::CommandError;
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use trialbox_core::study::artifact::DataSource;
use trialbox_runtime::Grant;

/// Files larger than this are not hashed before every trial.
const MAX_HASHED_BYTES: u64 = 256 << 20;

/// A directory as the user named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirArg {
    host: PathBuf,
    guest: String,
    writable: bool,
}

/// Reads `HOST::GUEST`, `HOST::GUEST:ro` or `HOST::GUEST:rw`.
pub(crate) fn parse_dir(text: &str) -> Result<DirArg, String> {
    let wanted = "write HOST::GUEST, HOST::GUEST:ro or HOST::GUEST:rw, such as ./data::/data";
    let (host, guest) = text.split_once("::").ok_or_else(|| {
        format!("expected a path in the guest after `::`, found `{text}`; {wanted}")
    })?;
    let (guest, writable) = match guest.rsplit_once(':') {
        Some((guest, "ro")) => (guest, false),
        Some((guest, "rw")) => (guest, true),
        Some((_, mode)) => return Err(format!("expected `ro` or `rw`, found `{mode}`; {wanted}")),
        None => (guest, false),
    };
    if host.is_empty() || !guest.starts_with('/') {
        return Err(format!(
            "expected a guest's path that starts with `/`, found `{guest}`; {wanted}"
        ));
    }
    Ok(DirArg { host: PathBuf::from(host), guest: guest.to_owned(), writable })
}

/// Reads `NAME=VALUE`.
pub(crate) fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, found `{text}`")),
    }
}

impl DirArg {
    /// The grant, after a look at the directory.
    pub(crate) fn resolve(&self) -> Result<Grant, CommandError> {
        let shown = self.host.display();
        let missing = |problem: String| {
            let help = "--dir takes a directory of this machine before the `::`";
            CommandError::usage(
                format!("cannot grant `{shown}` as `{}`: {problem}", self.guest),
                help,
            )
        };
        let host = self.host.canonicalize().map_err(|error| missing(error.to_string()))?;
        if !host.is_dir() {
            return Err(missing("it is not a directory".to_owned()));
        }
        Ok(Grant { host, guest: self.guest.clone(), writable: self.writable })
    }
}

/// Checks that the data that an objective says it reads exists, before a trial starts in vain.
pub(crate) fn check_data(sources: &[DataSource], grants: &[Grant]) -> Result<(), CommandError> {
    for source in sources {
        let Some(found) = locate(&source.path, grants) else {
            let directory =
                Path::new(&source.path).parent().filter(|parent| *parent != Path::new("/"));
            let directory = directory.unwrap_or(Path::new(&source.path)).display().to_string();
            return Err(CommandError::usage(
                format!(
                    "the objective reads `{}` ({}), and no --dir grants it",
                    source.path, source.summary
                ),
                format!("grant the directory that holds it: --dir HOST::{directory}"),
            ));
        };
        if !found.exists() {
            return Err(CommandError::usage(
                format!(
                    "the objective reads `{}` ({}), but `{}` does not exist",
                    source.path,
                    source.summary,
                    found.display()
                ),
                "check the directory before the `::` of --dir",
            ));
        }
        if let Some(wanted) = &source.sha256 {
            check_digest(source, wanted, &found)?;
        }
    }
    Ok(())
}

/// The file of this machine behind a path of the guest's.
fn locate(guest_path: &str, grants: &[Grant]) -> Option<PathBuf> {
    grants.iter().find_map(|grant| {
        let rest = Path::new(guest_path).strip_prefix(&grant.guest).ok()?;
        Some(if rest == Path::new("") { grant.host.clone() } else { grant.host.join(rest) })
    })
}

fn check_digest(source: &DataSource, wanted: &str, file: &Path) -> Result<(), CommandError> {
    if !file.is_file() || file.metadata()?.len() > MAX_HASHED_BYTES {
        return Ok(());
    }
    let digest = Sha256::digest(std::fs::read(file)?);
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "`{}` is not the file that the objective wants as `{}`: its SHA-256 is {found}, wanted is {wanted}",
            file.display(),
            source.path
        ),
        source.summary.clone(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_only_unless_said_otherwise() {
        let read = |text| parse_dir(text).map(|dir| (dir.host, dir.guest, dir.writable));
        assert_eq!(read("a/b::/data"), Ok((PathBuf::from("a/b"), "/data".to_owned(), false)));
        assert_eq!(read("a::/data:rw"), Ok((PathBuf::from("a"), "/data".to_owned(), true)));
        for bad in ["a:/data", "a::data", "::/data", "a::/data:w"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_guest_path_is_found_in_the_grant_that_holds_it() {
        let grants =
            [Grant { host: PathBuf::from("/h"), guest: "/data".to_owned(), writable: false }];
        assert_eq!(locate("/data/x.csv", &grants), Some(PathBuf::from("/h/x.csv")));
        assert_eq!(locate("/data", &grants), Some(PathBuf::from("/h")));
        assert_eq!(locate("/database", &grants), None);
    }
}
