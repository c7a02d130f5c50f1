use super::*;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Two fresh directories of a test's own, `from` and `to`.
fn directories(test: &str) -> (PathBuf, PathBuf) {
    let folder = std::env::temp_dir().join(format!("trialbox-tree-{test}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let (from, to) = (folder.join("from"), folder.join("to"));
    fs::create_dir_all(&from).expect("a directory for temporary files");
    fs::create_dir(&to).expect("the same");
    (from, to)
}

fn remove(path: &Path, go_on: &mut dyn FnMut() -> io::Result<()>) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        panic!("{} has no parent", path.display())
    };
    match Folder::open(parent) {
        Ok(parent) => parent.remove_tree(name, go_on),
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn copy(from: &Path, to: &Path, go_on: &mut dyn FnMut() -> io::Result<()>) -> io::Result<u64> {
    Folder::open(from)?.copy_tree(&Folder::open(to)?, go_on)
}

fn remove_all(path: &Path) -> io::Result<()> {
    remove(path, &mut || Ok(()))
}

fn copy_all(from: &Path, to: &Path) -> io::Result<u64> {
    copy(from, to, &mut || Ok(()))
}

#[test]
fn files_and_directories_are_copied_and_removed() -> io::Result<()> {
    let (from, to) = directories("plain");
    fs::create_dir_all(from.join("a/b"))?;
    fs::write(from.join("a/b/weights"), b"one")?;
    fs::write(from.join("empty"), b"")?;
    assert_eq!(copy_all(&from, &to)?, 2);
    assert_eq!(fs::read(to.join("a/b/weights"))?, b"one");
    assert_eq!(fs::read(to.join("empty"))?, b"");
    remove_all(&from)?;
    assert!(!from.exists());
    remove_all(&from)?;
    remove_all(&from.join("a"))?;
    assert_eq!(fs::read(to.join("a/b/weights"))?, b"one");
    remove_all(to.parent().expect("the test's folder"))
}

#[test]
fn links_stay_links_and_what_they_lead_to_is_neither_read_nor_removed() -> io::Result<()> {
    let (from, to) = directories("links");
    let secret = from.with_file_name("secret");
    fs::create_dir(&secret)?;
    fs::write(secret.join("key"), b"private")?;
    std::os::unix::fs::symlink(secret.join("key"), from.join("file"))?;
    std::os::unix::fs::symlink(&secret, from.join("directory"))?;
    assert_eq!(copy_all(&from, &to)?, 0);
    for name in ["file", "directory"] {
        assert!(to.join(name).symlink_metadata()?.is_symlink(), "{name}");
    }
    remove_all(&from)?;
    remove_all(&to)?;
    assert_eq!(fs::read(secret.join("key"))?, b"private");
    // Nor if the directory itself has become one.
    fs::create_dir(&to)?;
    std::os::unix::fs::symlink(&secret, &from)?;
    copy_all(&from, &to).expect_err("it is a link");
    remove_all(&from)?;
    assert_eq!(fs::read(secret.join("key"))?, b"private");
    remove_all(to.parent().expect("the test's folder"))
}

#[test]
fn a_copy_takes_no_more_of_the_disk_than_what_it_is_a_copy_of() -> io::Result<()> {
    const SIZE: u64 = 64 << 20;
    let (from, to) = directories("sparse");
    let sparse = fs::File::create(from.join("sparse"))?;
    sparse.set_len(SIZE)?;
    for at in [12_345, 20 << 20, SIZE - 1] {
        sparse.write_all_at(b"data", at)?;
    }
    fs::File::create(from.join("hole"))?.set_len(SIZE)?;
    let zeros = fs::File::create(from.join("zeros"))?;
    zeros.set_len(SIZE)?;
    zeros.write_all_at(&vec![0; 8 << 20], 0)?;
    // Else it may not be known yet what they take.
    sparse.sync_all()?;
    zeros.sync_all()?;
    assert_eq!(copy_all(&from, &to)?, 3);
    for name in ["sparse", "hole", "zeros"] {
        let (original, copied) = (from.join(name).metadata()?, to.join(name).metadata()?);
        assert_eq!(copied.len(), original.len(), "{name}");
        assert!(copied.blocks() <= original.blocks(), "{name} takes {} blocks", copied.blocks());
        assert!(fs::read(from.join(name))? == fs::read(to.join(name))?, "{name} differs");
    }
    assert!(to.join("zeros").metadata()?.blocks() < 1 << 10, "what is zero is a hole as well");
    fs::remove_dir_all(from.parent().expect("the test's folder"))
}

#[test]
fn a_file_of_several_names_is_copied_once_with_those_names_that_are_in_the_directory()
-> io::Result<()> {
    let (from, to) = directories("names");
    fs::create_dir_all(from.join("a/b"))?;
    fs::create_dir(from.join("c"))?;
    fs::write(from.join("a/b/one"), b"weights")?;
    fs::hard_link(from.join("a/b/one"), from.join("c/two"))?;
    fs::hard_link(from.join("a/b/one"), from.join("three"))?;
    fs::write(from.with_file_name("outside"), b"shared")?;
    fs::hard_link(from.with_file_name("outside"), from.join("four"))?;
    assert_eq!(copy_all(&from, &to)?, 4);
    let first = to.join("a/b/one").metadata()?;
    assert_eq!(first.nlink(), 3);
    for name in ["c/two", "three"] {
        assert_eq!(to.join(name).metadata()?.ino(), first.ino(), "{name}");
    }
    assert_eq!(fs::read(to.join("three"))?, b"weights");
    assert_ne!(first.ino(), from.join("three").metadata()?.ino());
    assert_eq!(to.join("four").metadata()?.nlink(), 1);
    assert_eq!(fs::read(to.join("four"))?, b"shared");
    fs::remove_dir_all(from.parent().expect("the test's folder"))
}

#[test]
fn sockets_and_endless_nesting_are_not_copied() -> io::Result<()> {
    let (from, to) = directories("refused");
    let socket = std::os::unix::net::UnixListener::bind(from.join("socket"))?;
    let error = copy_all(&from, &to).expect_err("a socket").to_string();
    assert_eq!(error, "`socket` is neither a file nor a directory");
    drop(socket);
    remove_all(&from)?;
    fs::create_dir_all(from.join("d/".repeat(MAX_DEPTH)))?;
    copy_all(&from, &to)?;
    fs::create_dir_all(from.join("d/".repeat(MAX_DEPTH + 1)))?;
    fs::remove_dir_all(&to)?;
    fs::create_dir(&to)?;
    let error = copy_all(&from, &to).expect_err("too deep").to_string();
    assert_eq!(error, "directories are nested deeper than 64");
    fs::remove_dir_all(from.parent().expect("the test's folder"))
}

#[test]
fn a_removal_ends_when_it_may_not_go_on_and_leaves_the_rest() -> io::Result<()> {
    let (from, _) = directories("left");
    for name in ["one", "two", "three"] {
        fs::create_dir(from.join(name))?;
        fs::write(from.join(name).join("weights"), b"one")?;
    }
    // The directory, one in it, and the file in that.
    let mut n_left = 3;
    let mut go_on = || {
        n_left -= 1;
        if n_left < 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    };
    let error = remove(&from, &mut go_on);
    assert_eq!(error.map_err(|error| error.kind()), Err(io::ErrorKind::Interrupted));
    assert_eq!(fs::read_dir(&from)?.count(), 2);
    remove_all(from.parent().expect("the test's folder"))
}

#[test]
fn a_copy_ends_when_it_may_not_go_on() -> io::Result<()> {
    let (from, to) = directories("ended");
    fs::write(from.join("weights"), b"one")?;
    let error = copy(&from, &to, &mut || Err(io::ErrorKind::Interrupted.into()));
    assert_eq!(error.map_err(|error| error.kind()), Err(io::ErrorKind::Interrupted));
    assert_eq!(fs::read_dir(&to)?.count(), 0);
    remove_all(to.parent().expect("the test's folder"))
}

#[test]
fn endless_nesting_is_removed_with_few_descriptors() -> io::Result<()> {
    let (from, _) = directories("deep");
    // Deeper than a path can be long, with files and a second branch on the way.
    let mut folder = Folder::open(&from)?;
    for level in 0..3_000 {
        if level % 500 == 0 {
            folder.write(OsStr::new("file"), b"x")?;
            folder.create_folder(OsStr::new("branch"))?;
        }
        folder = folder.create_folder(OsStr::new("d"))?;
    }
    remove_all(&from)?;
    assert!(!from.exists());
    remove_all(from.parent().expect("the test's folder"))
}
