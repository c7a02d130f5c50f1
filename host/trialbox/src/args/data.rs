//! The data that an objective says it reads, found with the eyes of the guest.

use crate::error::CommandError;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};
use trialbox_core::study::artifact::DataSource;
use trialbox_files::{Beneath, FileError, Folder};
use trialbox_runtime::Grant;

/// The most bytes that are hashed before the trials of a process.
const MAX_HASHED_BYTES: u64 = 256 << 20;

/// Checks that the data that an objective says it reads is granted and can be read, before a trial starts in vain.
///
/// # Errors
/// Fails with the first file that the guest could not read, or that is not the file of its digest.
pub(crate) fn check_data(sources: &[DataSource], grants: &[Grant]) -> Result<(), CommandError> {
    let mut left = MAX_HASHED_BYTES;
    sources.iter().try_for_each(|source| check_source(source, grants, &mut left))
}

fn check_source(source: &DataSource, grants: &[Grant], left: &mut u64) -> Result<(), CommandError> {
    let reads = format!("the objective reads `{}` ({})", source.path, source.summary);
    let path = Path::new(&source.path);
    if path.components().any(|component| component == Component::ParentDir) {
        return Err(CommandError::usage(
            format!("{reads}, expected a path without `..`"),
            "name the file by its plain path in the objective's `describe`",
        ));
    }
    let Some((grant, rest)) = locate(path, grants) else {
        let directory = path.parent().filter(|parent| *parent != Path::new("/")).unwrap_or(path);
        return Err(CommandError::usage(
            format!("{reads}, and no --dir grants it"),
            format!("grant the directory that holds it: --dir HOST::{}", directory.display()),
        ));
    };
    let found = grant.host.join(&rest);
    let help = "check the directory before the `::` of --dir";
    match Folder::open_named(&grant.host).and_then(|folder| folder.open_beneath(&rest)) {
        Ok(Beneath::Folder) => Ok(()),
        Ok(Beneath::File(file)) => match &source.sha256 {
            Some(wanted) => check_digest(source, wanted, &found, file, left),
            None => Ok(()),
        },
        Err(FileError::LeadsOut { path: link, target: Some(target) }) => Err(CommandError::usage(
            format!(
                "{reads}, but `{}` is a link to `{}`, outside the granted directory `{}`",
                link.display(),
                target.display(),
                grant.host.display()
            ),
            help_with_link(&link, &target, grant),
        )),
        Err(error) if error.is_not_found() => Err(CommandError::usage(
            format!("{reads}, but `{}` does not exist", found.display()),
            help,
        )),
        Err(error) => Err(CommandError::usage(format!("{reads}, but {error}"), help)),
    }
}

/// Returns the grant that a guest uses for a path, the longest, and the rest of the path below it.
fn locate<'a>(path: &Path, grants: &'a [Grant]) -> Option<(&'a Grant, PathBuf)> {
    let holding = grants.iter().filter_map(|grant| {
        let rest = path.strip_prefix(&grant.guest).ok()?;
        Some((grant, rest.to_owned()))
    });
    holding.max_by_key(|(grant, _)| Path::new(&grant.guest).components().count())
}

/// Returns what makes the target of a link readable: a grant of its own, or a copy.
fn help_with_link(link: &Path, target: &Path, grant: &Grant) -> String {
    let target = link.parent().unwrap_or(Path::new("/")).join(target);
    let guest = Path::new(&grant.guest).join(link.strip_prefix(&grant.host).unwrap_or(link));
    if target.is_dir() {
        return format!("grant its target too: --dir {}::{}", target.display(), guest.display());
    }
    match (target.parent(), guest.parent()) {
        (Some(from), Some(to)) if target.file_name() == guest.file_name() => {
            format!("grant the directory of its target: --dir {}::{}", from.display(), to.display())
        }
        _ => format!("replace the link with a copy of `{}`", target.display()),
    }
}

fn check_digest(
    source: &DataSource,
    wanted: &str,
    path: &Path,
    file: File,
    left: &mut u64,
) -> Result<(), CommandError> {
    let size = file.metadata()?.len();
    if size > *left {
        return Ok(());
    }
    *left -= size;
    let found = digest_of(file.take(size))?;
    if found.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(CommandError::usage(
        format!(
            "`{}` is not the file that the objective wants as `{}`: its SHA-256 is {found}, wanted is {wanted}",
            path.display(),
            source.path
        ),
        source.summary.clone(),
    ))
}

/// Returns the SHA-256 of a file in hexadecimal digits.
fn digest_of(mut file: impl io::Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            n_read => digest.update(&chunk[..n_read]),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_path_is_found_in_the_longest_grant_that_holds_it() {
        let grant = |host: &str, guest: &str| Grant {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            writable: false,
            directory: (0, 0),
        };
        let grants = [grant("/h", "/data"), grant("/images", "/data/images")];
        let found = |path: &str| {
            locate(Path::new(path), &grants).map(|(grant, rest)| grant.host.join(rest))
        };
        assert_eq!(found("/data/x.csv"), Some(PathBuf::from("/h/x.csv")));
        assert_eq!(found("/data/images/1.png"), Some(PathBuf::from("/images/1.png")));
        assert_eq!(found("/data"), Some(PathBuf::from("/h/")));
        assert_eq!(found("/database"), None);
    }

    fn source(path: &str, sha256: Option<&str>) -> DataSource {
        DataSource {
            path: path.to_owned(),
            summary: "the data".to_owned(),
            sha256: sha256.map(str::to_owned),
        }
    }

    #[test]
    fn data_is_looked_for_below_its_grant_alone() {
        let folder = std::env::temp_dir().join(format!("trialbox-data-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a place for temporary files");
        std::fs::write(folder.join("x.csv"), "1,2").expect("our own folder");
        let grants =
            [Grant::of(folder.clone(), "/data".to_owned(), false).expect("our own folder")];
        let check = |source: DataSource| match check_data(&[source], &grants) {
            Ok(()) => String::new(),
            Err(error) => error.error.to_string(),
        };
        let digest = digest_of(&b"1,2"[..]).expect("it is in memory");
        assert_eq!(check(source("/data", None)), "");
        assert_eq!(check(source("/data/x.csv", Some(&digest))), "");
        for (path, sha256, want) in [
            ("/data/../../etc/passwd", Some("0"), "expected a path without `..`"),
            ("/data/x.csv/..", None, "expected a path without `..`"),
            ("/data/none.csv", None, "does not exist"),
            ("/etc/passwd", Some("0"), "no --dir grants it"),
            ("/data/x.csv", Some("0"), "is not the file that the objective wants"),
        ] {
            let found = check(source(path, sha256));
            assert!(found.contains(want), "{path}: {found}");
        }
        std::fs::remove_dir_all(&folder).expect("our own folder");
    }

    #[test]
    fn no_more_than_the_limit_is_hashed_for_all_data_together() {
        let mut left = 5;
        let path = std::env::temp_dir().join(format!("trialbox-hash-{}", std::process::id()));
        std::fs::write(&path, "123").expect("a place for temporary files");
        let source = source("/data/x", None);
        let mut hash = || {
            let file = File::open(&path).expect("it is there");
            check_digest(&source, "0", &path, file, &mut left)
        };
        assert!(hash().is_err(), "the digest differs");
        assert!(hash().is_ok(), "two bytes are left");
        std::fs::remove_file(&path).expect("our own file");
    }
}
