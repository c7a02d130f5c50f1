//! The file of this program, which the guest process and the supervisor are started from.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the absolute path of this program's file.
///
/// Linux has it in `/proc`. In a root without one, as in a minimal container, it is the name by which the program was
/// started, looked up as a shell does.
///
/// # Errors
/// Fails if neither leads to a file.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let unknown = match std::env::current_exe() {
        Ok(program) => return Ok(program),
        Err(unknown) => unknown,
    };
    let name = std::env::args_os().next().unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    started_as(Path::new(&name), &path).ok_or(unknown)
}

/// Returns the file that a name stands for: a path as it is, a bare name in the folders of `PATH`.
fn started_as(name: &Path, path: &OsStr) -> Option<PathBuf> {
    let candidates: Vec<PathBuf> = if name.components().count() > 1 {
        vec![name.to_owned()]
    } else {
        std::env::split_paths(path).map(|folder| folder.join(name)).collect()
    };
    let found = candidates.into_iter().find(|candidate| candidate.is_file())?;
    std::path::absolute(found).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_it_is_and_a_name_is_searched() {
        let path = OsStr::new("/nowhere:/bin");
        assert_eq!(started_as(Path::new("sh"), path), Some(PathBuf::from("/bin/sh")));
        assert_eq!(started_as(Path::new("/bin/sh"), path), Some(PathBuf::from("/bin/sh")));
        assert_eq!(started_as(Path::new("/nowhere/sh"), path), None);
        assert_eq!(started_as(Path::new("no-such-program"), path), None);
        assert_eq!(started_as(Path::new(""), path), None);
    }
}
