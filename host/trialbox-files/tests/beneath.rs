//! The files that a path below a folder may lead to, and the folders through which a path leads.
#![expect(clippy::unwrap_used, reason = "tests may panic")]

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use trialbox_files::{Beneath, FileError, FileKind, Folder, Identity, Way};

/// A folder `in` with a file, a folder and links, and a folder `out` beside it.
struct Ground(PathBuf);

impl Ground {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trialbox-files-beneath-{}-{n}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("in/a/b")).unwrap();
        fs::create_dir_all(folder.join("out")).unwrap();
        fs::write(folder.join("in/a/file"), "inside").unwrap();
        fs::write(folder.join("out/file"), "outside").unwrap();
        Ground(folder.canonicalize().unwrap())
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.0.join(name)).unwrap();
    }

    /// Returns the content of a file below `in`, `folder` for a folder, or the error.
    fn find(&self, path: &str) -> Result<String, FileError> {
        let folder = Folder::open(&self.0.join("in")).unwrap();
        Ok(match folder.open_beneath(Path::new(path))? {
            Beneath::Folder => "folder".to_owned(),
            Beneath::File(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_stays_below_the_folder_is_found() {
    let ground = Ground::new();
    ground.link("a/b/../file", "in/inner");
    ground.link("a", "in/folder");
    ground.link("../../in/a", "in/a/b/bounce");
    for (path, want) in [
        ("", "folder"),
        (".", "folder"),
        ("a/file", "inside"),
        ("./a/./file", "inside"),
        ("a/../a/file", "inside"),
        ("inner", "inside"),
        ("folder/file", "inside"),
        ("folder/b", "folder"),
    ] {
        assert_eq!(ground.find(path).unwrap(), want, "{path}");
    }
    assert!(ground.find("a/none").unwrap_err().is_not_found());
    assert_eq!(ground.find("a/file/x").unwrap_err().kind(), std::io::ErrorKind::NotADirectory);
}

#[test]
fn what_leads_out_is_refused_and_the_link_is_named() {
    let ground = Ground::new();
    let out = ground.0.join("out/file");
    ground.link(&out, "in/absolute");
    ground.link("../out/file", "in/relative");
    ground.link("../out", "in/folder");
    ground.link("relative", "in/chain");
    // It would come back, and a guest may not even look.
    ground.link("../in/a/file", "in/back");
    for (path, link, target) in [
        ("absolute", "in/absolute", Some(out.as_path())),
        ("relative", "in/relative", Some(Path::new("../out/file"))),
        ("folder/file", "in/folder", Some(Path::new("../out"))),
        ("chain", "in/relative", Some(Path::new("../out/file"))),
        ("back", "in/back", Some(Path::new("../in/a/file"))),
    ] {
        match ground.find(path).unwrap_err() {
            FileError::LeadsOut { path: found, target: to } => {
                assert_eq!((found, to.as_deref()), (ground.0.join(link), target), "{path}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    for path in ["../out/file", "a/../../out/file", "/etc/passwd"] {
        let error = ground.find(path).unwrap_err();
        assert!(matches!(error, FileError::LeadsOut { target: None, .. }), "{path}: {error:?}");
    }
}

#[test]
fn a_circle_and_a_fifo_are_errors_and_not_waits() {
    let ground = Ground::new();
    ground.link("circle", "in/circle");
    assert!(matches!(ground.find("circle").unwrap_err(), FileError::Io { .. }));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        ground.0.join("in/fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let error = ground.find("fifo").unwrap_err();
    assert!(matches!(error, FileError::WrongKind { found: FileKind::Fifo, .. }), "{error:?}");
}

#[test]
fn a_way_leads_through_the_folders_of_its_links_too() {
    let ground = Ground::new();
    ground.link("../out", "in/folder");
    let folder = |name: &str| Identity::of(&ground.0.join(name)).unwrap();
    let way = Way::of(&ground.0.join("in/folder/new/er")).unwrap();
    assert_eq!(way.end(), ground.0.join("out/new/er"));
    for (name, want) in [("in", true), ("out", true), ("", true), ("in/a", false)] {
        assert_eq!(way.leads_through(folder(name)), want, "{name}");
    }
    let around = Way::of(&ground.0.join("in/../out/file")).unwrap();
    assert!(!around.leads_through(folder("in")), "no name in it matters");
    assert!(around.leads_through(folder("out")));
    ground.link("circle", "circle");
    assert!(Way::of(&ground.0.join("circle")).is_err());
}
