//! A name for a file that is whole, which must be free: on every file system, with hard links or without.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::time::{Duration, Instant};

/// The time after which a process that gives a file its name counts as dead.
const LONGEST_PLACING: Duration = Duration::from_secs(5);

/// A call that gives an entry another name, or a second one.
type Call<'a> = &'a dyn Fn(&OsStr, &OsStr) -> io::Result<()>;

/// Gives a file of a folder its name, and fails if the name is taken: by a rename that replaces nothing, by a hard link
/// on network file systems without such renames, or by [`place_alone`] on those without either. After a link the old
/// name still exists.
pub(crate) fn place(folder: BorrowedFd<'_>, from: &OsStr, to: &OsStr) -> io::Result<()> {
    place_by(
        folder,
        &|from, to| {
            let flags = RenameFlags::NOREPLACE;
            Ok(rustix::fs::renameat_with(folder, from, folder, to, flags)?)
        },
        &|from, to| Ok(rustix::fs::linkat(folder, from, folder, to, AtFlags::empty())?),
        from,
        to,
    )
}

fn place_by(
    folder: BorrowedFd<'_>,
    rename_new: Call,
    link: Call,
    from: &OsStr,
    to: &OsStr,
) -> io::Result<()> {
    use io::ErrorKind::{AlreadyExists, PermissionDenied, TooManyLinks, Unsupported};
    match rename_new(from, to) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == AlreadyExists => return Err(error),
        Err(_) => {}
    }
    match link(from, to) {
        // File systems without hard links answer so (link(2)).
        Err(error) if matches!(error.kind(), PermissionDenied | Unsupported | TooManyLinks) => {
            place_alone(folder, from, to)
        }
        linked => linked,
    }
}

/// Renames a file to a name that is free, while an exclusive file of another name keeps other processes from doing so.
fn place_alone(folder: BorrowedFd<'_>, from: &OsStr, to: &OsStr) -> io::Result<()> {
    let mut right = OsString::from(".");
    right.push(to);
    right.push(".creating.tmp");
    let started = Instant::now();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR.union(Mode::WUSR);
    while let Err(error) = rustix::fs::openat(folder, &right, flags, mode) {
        if error != Errno::EXIST {
            return Err(error.into());
        }
        // The other process needs two more calls, unless it died.
        if started.elapsed() >= LONGEST_PLACING {
            let _ = rustix::fs::unlinkat(folder, &right, AtFlags::empty());
        }
        std::thread::sleep(LONGEST_PLACING / 500);
    }
    let placed = match rustix::fs::statat(folder, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => rustix::fs::renameat(folder, from, folder, to).map_err(io::Error::from),
    };
    let _ = rustix::fs::unlinkat(folder, &right, AtFlags::empty());
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd as _;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn new_folder(test: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("trialbox-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn without_hard_links_and_renames_that_replace_nothing_one_of_many_is_first() {
        for errno in [Errno::PERM, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK] {
            let path = new_folder("linkless");
            let folder = fs::File::open(&path).expect("a folder");
            let first = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for n in 0..8 {
                    let (path, folder, first) = (&path, folder.as_fd(), &first);
                    scope.spawn(move || {
                        let from = OsString::from(n.to_string());
                        fs::write(path.join(&from), n.to_string()).expect("a file");
                        let no_rename = |_: &OsStr, _: &OsStr| Err(Errno::INVAL.into());
                        let no_link = |_: &OsStr, _: &OsStr| Err(errno.into());
                        let to = OsStr::new("s.db");
                        match place_by(folder, &no_rename, &no_link, &from, to) {
                            Ok(()) => _ = first.fetch_add(1, Ordering::Relaxed),
                            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AlreadyExists),
                        }
                    });
                }
            });
            assert_eq!(first.into_inner(), 1, "{errno}");
            assert_eq!(fs::read_dir(&path).expect("it is there").count(), 8);
            fs::remove_dir_all(&path).expect("our own folder");
        }
    }

    #[test]
    fn an_error_that_says_nothing_about_links_is_reported() {
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::NotFound] {
            let path = new_folder("full");
            let folder = fs::File::open(&path).expect("a folder");
            fs::write(path.join("aside"), "").expect("a file");
            let refused = |_: &OsStr, _: &OsStr| Err(kind.into());
            let (from, to) = (OsStr::new("aside"), OsStr::new("s.db"));
            let placed = place_by(folder.as_fd(), &refused, &refused, from, to);
            assert_eq!(placed.expect_err("no link").kind(), kind);
            assert!(!path.join("s.db").exists());
            fs::remove_dir_all(&path).expect("our own folder");
        }
    }
}
