//! Folders in which another user, or a guest, has planted things under the names that trialbox is about to use.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use rustix::fs::{CWD, FileType, Mode};
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use trialbox_files::{FileError, FileKind, Folder, write_named};

/// A fresh folder, removed with all that a test leaves in it.
struct Ground(PathBuf);

impl Ground {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("files-{:016x}", rand::random::<u64>()));
        fs::create_dir(&path).unwrap();
        Ground(path)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn open(&self) -> Folder {
        Folder::open(&self.0).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let names = self.open().names().unwrap();
        names.iter().map(|name| name.to_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

/// Puts something of each kind under `file`, and returns its word.
fn plant(at: &Path, kind: FileKind) {
    match kind {
        FileKind::Directory => fs::create_dir(at).unwrap(),
        FileKind::Link => symlink("/etc/passwd", at).unwrap(),
        FileKind::Fifo => {
            rustix::fs::mknodat(CWD, at, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        }
        FileKind::Socket => drop(UnixListener::bind(at).unwrap()),
        FileKind::Regular | FileKind::Device | FileKind::Other => unreachable!("not planted"),
    }
}

const PLANTED: [FileKind; 4] =
    [FileKind::Directory, FileKind::Link, FileKind::Fifo, FileKind::Socket];

#[test]
fn only_regular_files_are_read_and_none_is_waited_for() {
    for kind in PLANTED {
        let ground = Ground::new();
        plant(&ground.at("file"), kind);
        match ground.open().read(name("file"), 100) {
            Err(FileError::WrongKind { found, expected: FileKind::Regular, path }) => {
                assert_eq!((found, path), (kind, ground.at("file")));
            }
            other => panic!("{kind}: {other:?}"),
        }
    }
}

#[test]
fn a_device_is_not_read() {
    let error = Folder::open(Path::new("/dev")).unwrap().read(name("zero"), 100).unwrap_err();
    assert_eq!(error.to_string(), "`/dev/zero`: expected a regular file, found a device");
}

#[test]
fn a_planted_link_is_replaced_and_never_followed() {
    let ground = Ground::new();
    fs::write(ground.at("victim"), "precious").unwrap();
    symlink(ground.at("victim"), ground.at("file")).unwrap();
    ground.open().write(name("file"), b"new").unwrap();
    assert_eq!(fs::read_to_string(ground.at("victim")).unwrap(), "precious");
    assert!(fs::symlink_metadata(ground.at("file")).unwrap().is_file());
    assert_eq!(ground.open().read(name("file"), 3).unwrap(), b"new");
    assert_eq!(ground.names(), ["file", "victim"]);
}

#[test]
fn a_dangling_link_does_not_say_where_to_create_a_file() {
    let ground = Ground::new();
    symlink(ground.at("elsewhere"), ground.at("file")).unwrap();
    let folder = ground.open();
    for error in [
        folder.create_new(name("file")).unwrap_err(),
        folder.write_new(name("file"), b"x").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    }
    assert_eq!(ground.names(), ["file"]);
}

#[test]
fn a_directory_in_the_place_of_a_file_is_an_error_and_leaves_nothing() {
    let ground = Ground::new();
    fs::create_dir(ground.at("file")).unwrap();
    let error = ground.open().write(name("file"), b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::IsADirectory, "{error}");
    assert_eq!(ground.names(), ["file"]);
}

#[test]
fn a_folder_is_opened_through_no_link_and_no_fifo() {
    let ground = Ground::new();
    fs::create_dir(ground.at("real")).unwrap();
    symlink(ground.at("real"), ground.at("link")).unwrap();
    plant(&ground.at("fifo"), FileKind::Fifo);
    let found = |name: &str| match Folder::open_or_create(&ground.at(name)) {
        Err(FileError::WrongKind { expected: FileKind::Directory, found, .. }) => found,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!((found("link"), found("fifo")), (FileKind::Link, FileKind::Fifo));
    // The user's own word is another matter.
    Folder::open_named(&ground.at("link")).unwrap().write(name("file"), b"x").unwrap();
    assert_eq!(fs::read(ground.at("real/file")).unwrap(), b"x");
}

#[test]
fn a_folder_that_is_renamed_and_replaced_is_still_the_one_that_was_opened() {
    let ground = Ground::new();
    fs::create_dir(ground.at("spool")).unwrap();
    fs::create_dir(ground.at("trap")).unwrap();
    let spool = Folder::open(&ground.at("spool")).unwrap();
    fs::rename(ground.at("spool"), ground.at("moved")).unwrap();
    symlink(ground.at("trap"), ground.at("spool")).unwrap();
    spool.write(name("file"), b"x").unwrap();
    assert_eq!(fs::read(ground.at("moved/file")).unwrap(), b"x");
    assert_eq!(fs::read_dir(ground.at("trap")).unwrap().count(), 0);
}

#[test]
fn a_file_is_read_up_to_its_limit_and_not_beyond() {
    let ground = Ground::new();
    fs::write(ground.at("file"), "12345").unwrap();
    assert_eq!(ground.open().read(name("file"), 5).unwrap(), b"12345");
    let error = ground.open().read(name("file"), 4).unwrap_err();
    let path = ground.at("file").display().to_string();
    assert_eq!(error.to_string(), format!("`{path}`: expected at most 4 bytes, found more"));
}

#[test]
fn what_is_abandoned_leaves_no_file() {
    let ground = Ground::new();
    let folder = ground.open();
    let mut aside = folder.aside(name("file")).unwrap();
    aside.write_all(b"half").unwrap();
    assert_eq!(ground.names().len(), 1);
    assert!(ground.names()[0].starts_with(".file."), "{:?}", ground.names());
    drop(aside);
    assert_eq!(ground.names(), [""; 0]);
}

#[test]
fn a_new_file_does_not_replace_an_old_one() {
    let ground = Ground::new();
    fs::write(ground.at("file"), "old").unwrap();
    let error = ground.open().write_new(name("file"), b"new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(ground.at("file")).unwrap(), b"old");
    ground.open().write(name("file"), b"new").unwrap();
    assert_eq!(fs::read(ground.at("file")).unwrap(), b"new");
    assert_eq!(ground.names(), ["file"]);
}

#[test]
fn files_have_the_permissions_of_the_umask_so_that_groups_share_them() {
    let ground = Ground::new();
    fs::write(ground.at("plain"), "").unwrap();
    ground.open().write(name("ours"), b"").unwrap();
    let mode = |name| fs::metadata(ground.at(name)).unwrap().permissions().mode();
    assert_eq!(mode("ours"), mode("plain"));
}

#[test]
fn a_private_folder_is_created_for_this_user_alone() {
    let ground = Ground::new();
    let folder = Folder::open_private(&ground.at("cache/deep")).unwrap();
    folder.write(name("entry"), b"x").unwrap();
    for path in ["cache", "cache/deep"] {
        assert_eq!(fs::metadata(ground.at(path)).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_folder_that_others_can_change_is_not_private_nor_is_what_lies_in_it() {
    let ground = Ground::new();
    let open = ground.at("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o770)).unwrap();
    for path in [open.clone(), open.join("own")] {
        let error = Folder::open_private(&path).unwrap_err();
        let wanted = format!(
            "`{}`: expected a folder that only this user can change, found one with the mode 770",
            open.display()
        );
        assert_eq!(error.to_string(), wanted);
    }
    // In a sticky folder others cannot replace an entry.
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    Folder::open_private(&open.join("own")).unwrap();
}

#[test]
fn a_link_on_the_way_to_a_private_folder_is_looked_through() {
    let ground = Ground::new();
    let open = ground.at("open");
    fs::create_dir_all(open.join("own")).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    symlink(&open, ground.at("home")).unwrap();
    let error = Folder::open_private(&ground.at("home/own")).unwrap_err();
    assert!(
        matches!(error, FileError::NotPrivate { path, .. } if path == fs::canonicalize(&open).unwrap())
    );
}

#[test]
fn a_named_file_has_its_mode_and_replaces_a_planted_link() {
    let ground = Ground::new();
    fs::write(ground.at("victim"), "precious").unwrap();
    symlink(ground.at("victim"), ground.at("script")).unwrap();
    write_named(&ground.at("script"), b"secret", Some(0o600)).unwrap();
    assert_eq!(fs::read_to_string(ground.at("victim")).unwrap(), "precious");
    let script = fs::symlink_metadata(ground.at("script")).unwrap();
    assert!(script.is_file());
    assert_eq!(script.permissions().mode() & 0o777, 0o600);
    assert_eq!(ground.names(), ["script", "victim"]);
    assert!(write_named(&ground.at("no/such/folder"), b"", None).unwrap_err().is_not_found());
    assert!(write_named(&ground.at(".."), b"", None).is_err());
}
