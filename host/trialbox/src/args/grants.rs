//! `--dir HOST::GUEST[:ro|rw]` and `--env NAME=VALUE`: what an objective may see beyond its parameters.

use crate::error::CommandError;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use trialbox_runtime::Grant;

/// A directory as the user named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirArg {
    host: PathBuf,
    /// Its path in a component; a program sees the path of the host.
    guest: Option<String>,
    writable: bool,
}

/// The forms of `--dir`.
const WANTED: &str = "write HOST::GUEST, HOST::GUEST:ro or HOST::GUEST:rw, such as ./data::/data; for a program HOST, \
                      HOST:ro or HOST:rw";

/// Reads `HOST::GUEST`, `HOST::GUEST:ro` or `HOST::GUEST:rw`, and for a program the same without `::GUEST`.
pub(crate) fn parse_dir(text: &str) -> Result<DirArg, String> {
    let wanted = WANTED;
    let Some((host, guest)) = text.split_once("::") else {
        let (host, writable) = match text.strip_suffix(":rw") {
            Some(host) => (host, true),
            None => (text.strip_suffix(":ro").unwrap_or(text), false),
        };
        if host.is_empty() || host.contains(':') {
            return Err(format!(
                "expected a path in the guest after `::`, found `{text}`; {wanted}"
            ));
        }
        return Ok(DirArg { host: PathBuf::from(host), guest: None, writable });
    };
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
    Ok(DirArg { host: PathBuf::from(host), guest: Some(guest.to_owned()), writable })
}

/// Reads `NAME=VALUE`.
pub(crate) fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("expected NAME=VALUE, found `{text}`")),
    }
}

impl DirArg {
    /// Returns the directory on this machine.
    pub(crate) fn host(&self) -> &Path {
        &self.host
    }

    /// The grant to a component, after a look at the directory.
    pub(crate) fn resolve(&self) -> Result<Grant, CommandError> {
        let Some(guest) = &self.guest else {
            let shown = self.host.display();
            return Err(CommandError::usage(
                format!("expected a path in the guest after `::`, found `{shown}`"),
                WANTED,
            ));
        };
        self.resolve_as(guest)
    }

    /// The grant to a program, which sees the host's paths.
    pub(crate) fn resolve_for_program(&self) -> Result<Grant, CommandError> {
        let shown = self.host.display().to_string();
        match &self.guest {
            None => self.resolve_as(&shown),
            Some(guest) => Err(CommandError::usage(
                format!("expected a directory for a program, found `{shown}::{guest}`"),
                format!(
                    "a program sees the paths of this machine: --dir {shown}, or --dir {shown}:rw"
                ),
            )),
        }
    }

    fn resolve_as(&self, guest: &str) -> Result<Grant, CommandError> {
        let shown = self.host.display();
        let missing = |problem: String| {
            let help = "--dir takes a directory of this machine before the `::`";
            CommandError::usage(format!("cannot grant `{shown}` as `{}`: {problem}", guest), help)
        };
        check_link(&self.host).map_err(|problem| {
            CommandError::usage(
                format!("cannot grant `{shown}` as `{}`: {problem}", guest),
                "give the directory itself, if it is the right one",
            )
        })?;
        let host = self.host.canonicalize().map_err(|error| missing(error.to_string()))?;
        if !host.is_dir() {
            return Err(missing("it is not a directory".to_owned()));
        }
        Grant::of(host, guest.to_owned(), self.writable).map_err(|error| missing(error.to_string()))
    }
}

/// Checks that a link at the end of a path, and every link that it leads to, is the user's own or root's: a link of
/// another user would let that user choose what is granted.
fn check_link(path: &Path) -> Result<(), String> {
    let mut path = path.components().as_path().to_owned();
    // More links are an error of the system's when the directory is opened.
    for _ in 0..40 {
        let Ok(found) = path.symlink_metadata() else { return Ok(()) };
        if !found.is_symlink() {
            return Ok(());
        }
        let target = std::fs::read_link(&path).map_err(|error| error.to_string())?;
        if ![0, rustix::process::geteuid().as_raw()].contains(&found.uid()) {
            return Err(format!(
                "`{}` is a link of the user with the id {}, to `{}`",
                path.display(),
                found.uid(),
                target.display()
            ));
        }
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_only_unless_said_otherwise() {
        let read = |text| parse_dir(text).map(|dir| (dir.host, dir.guest, dir.writable));
        let data = Some("/data".to_owned());
        assert_eq!(read("a/b::/data"), Ok((PathBuf::from("a/b"), data.clone(), false)));
        assert_eq!(read("a::/data:rw"), Ok((PathBuf::from("a"), data, true)));
        assert_eq!(read("a/b"), Ok((PathBuf::from("a/b"), None, false)));
        assert_eq!(read("a:rw"), Ok((PathBuf::from("a"), None, true)));
        for bad in ["a:/data", "a::data", "::/data", "a::/data:w"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
