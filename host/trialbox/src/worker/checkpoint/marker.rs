//! The marker in a study's directory of checkpoints, which says whose they are.
//!
//! A database can give a study the name of any directory. The marker says which database and which study made the
//! directory, so that neither a forged database nor another study reaches it.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use trialbox_core::{Json, StudyRecord};
use trialbox_files::{FileError, Folder};

/// The name of the marker in the directory.
pub(super) const MARKER: &str = ".trialbox-study";

/// The most that is read of a marker, in bytes.
const MAX_BYTES: u64 = 64 << 10;

/// The study that owns a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// The file of the database; `None` for one in memory.
    database: Option<DatabaseFile>,
    study: i64,
    name: String,
}

/// A database's file. The path differs between machines that mount it elsewhere, and the inode after a restore.
#[derive(Debug, Clone, PartialEq, Eq)]
struct DatabaseFile {
    path: PathBuf,
    inode: u64,
}

impl Owner {
    /// Returns the owner for a study in a database file.
    pub(super) fn of(database: Option<&Path>, study: &StudyRecord) -> Self {
        let database = database.map(|path| DatabaseFile {
            path: path.canonicalize().unwrap_or_else(|_| path.to_owned()),
            inode: path.metadata().map_or(0, |found| found.ino()),
        });
        Owner { database, study: study.id.0, name: study.name.clone() }
    }

    /// Returns whether a marker with this owner lets a study in. A database that was moved is recognised, a copy is
    /// not.
    fn admits(&self, study: &Owner) -> bool {
        let is_same_file = match (&self.database, &study.database) {
            (None, None) => true,
            (Some(marked), Some(found)) => match (marked.path.metadata(), found.path.metadata()) {
                (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
                _ => marked.inode == found.inode,
            },
            _ => false,
        };
        is_same_file && self.study == study.study
    }

    fn to_text(&self) -> String {
        let mut members =
            vec![("study", Json::from(self.study)), ("name", Json::from(self.name.clone()))];
        if let Some(DatabaseFile { path, inode }) = &self.database {
            members.push(("database", Json::from(path.display().to_string())));
            members.push(("inode", Json::from(inode.to_string())));
        }
        format!("{}\n", Json::object(members))
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let json = Json::parse(std::str::from_utf8(text).ok()?).ok()?;
        let text = |key| json.get(key).and_then(Json::as_str);
        let database = match text("database") {
            Some(path) => Some(DatabaseFile {
                path: PathBuf::from(path),
                inode: text("inode")?.parse().ok()?,
            }),
            None => None,
        };
        let study = json.get("study").and_then(Json::as_u64)?.try_into().ok()?;
        Some(Owner { database, study, name: text("name")?.to_owned() })
    }

    fn show(&self) -> String {
        match &self.database {
            Some(database) => format!("study `{}` of `{}`", self.name, database.path.display()),
            None => format!("study `{}` of a database in memory", self.name),
        }
    }
}

/// Opens a study's directory below the root if its marker names the study, and creates it if it does not exist.
///
/// # Errors
/// Fails with a sentence if the directory is another study's or not one of trialbox's, or cannot be used.
pub(super) fn open_or_create(root: &Path, name: &str, owner: &Owner) -> Result<Folder, String> {
    let root = Folder::open_named(root).map_err(|error| error.to_string())?;
    let folder = match root.open_folder(OsStr::new(name)) {
        Err(error) if error.is_not_found() => {
            create(&root, name, owner).map_err(|error| error.to_string())?
        }
        opened => opened.map_err(|error| error.to_string())?,
    };
    let path = folder.path().display();
    let marker = match folder.read(OsStr::new(MARKER), MAX_BYTES) {
        Err(error) if error.is_not_found() => {
            return Err(format!(
                "`{path}`: expected a directory of checkpoints with the file `{MARKER}`, found one without it"
            ));
        }
        marker => marker.map_err(|error| error.to_string())?,
    };
    match Owner::parse(&marker) {
        Some(found) if found.admits(owner) => Ok(folder),
        Some(found) => Err(format!(
            "`{path}`: expected the checkpoints of {}, found those of {}",
            owner.show(),
            found.show()
        )),
        None => Err(format!("`{path}/{MARKER}`: expected the name of a study, found other text")),
    }
}

/// Creates a directory with its marker, whole or not at all. Of processes that do so together one succeeds.
fn create(root: &Folder, name: &str, owner: &Owner) -> Result<Folder, FileError> {
    let aside = format!(".{name}.{:016x}", rand::random::<u64>());
    let (name, aside) = (OsStr::new(name), OsStr::new(&aside));
    let folder = root.create_folder(aside)?;
    let created = folder
        .write(OsStr::new(MARKER), owner.to_text().as_bytes())
        // A directory takes the place of an empty one at most.
        .and_then(|()| root.rename(aside, name));
    if created.is_err() {
        let _ = root.remove_tree(aside, &mut || Ok(()));
    }
    match root.open_folder(name) {
        Ok(folder) => Ok(folder),
        Err(error) => Err(created.err().unwrap_or(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use trialbox_core::StudyId;

    fn study(id: i64) -> StudyRecord {
        StudyRecord {
            id: StudyId(id),
            name: "digits".to_owned(),
            directions: vec![],
            user_attrs: Default::default(),
            system_attrs: Default::default(),
        }
    }

    fn fresh(test: &str) -> PathBuf {
        let name = format!("trialbox-marker-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a place for temporary files");
        folder.canonicalize().expect("it is there")
    }

    #[test]
    fn a_directory_is_opened_for_the_study_that_made_it_alone() {
        let root = fresh("owner");
        let (database, copy) = (root.join("s.db"), root.join("copy.db"));
        fs::write(&database, "").expect("our own folder");
        let open = |database: Option<&Path>, id| {
            open_or_create(&root, "digits-0123456789abcdef", &Owner::of(database, &study(id)))
        };
        open(Some(&database), 1).expect("it is new");
        open(Some(&database), 1).expect("it is its own");
        fs::copy(&database, &copy).expect("our own folder");
        for (database, id) in [(Some(&*database), 2), (Some(&*copy), 1), (None, 1)] {
            let error = open(database, id).expect_err("it is another's");
            assert!(error.contains("found those of study `digits`"), "{error}");
        }
        // A database that was moved is the same one.
        fs::rename(&database, root.join("moved.db")).expect("our own folder");
        open(Some(&root.join("moved.db")), 1).expect("it is its own");
        open(Some(&copy), 1).expect_err("it is a copy");
        fs::remove_dir_all(&root).expect("our own folder");
    }

    #[test]
    fn a_directory_without_a_marker_is_left_alone() {
        let root = fresh("none");
        let owner = Owner::of(None, &study(1));
        let open = |name: &str| open_or_create(&root, name, &owner).map(drop);
        fs::create_dir(root.join("thesis")).expect("our own folder");
        fs::write(root.join("thesis/data"), "precious").expect("our own folder");
        let error = open("thesis").expect_err("it has no marker");
        assert!(error.contains("expected a directory of checkpoints"), "{error}");
        std::os::unix::fs::symlink(root.join("thesis"), root.join("link")).expect("our own folder");
        let error = open("link").expect_err("it is a link");
        assert!(error.ends_with("expected a directory, found a symbolic link"), "{error}");
        std::os::unix::fs::symlink("/dev/zero", root.join("thesis").join(MARKER)).expect("our own");
        open("thesis").expect_err("the marker is a link");
        assert_eq!(fs::read_dir(&root).expect("it is there").count(), 2, "nothing is left over");
        fs::remove_dir_all(&root).expect("our own folder");
    }

    #[test]
    fn of_processes_that_start_together_all_have_the_directory() {
        let root = fresh("herd");
        let owner = Owner::of(None, &study(1));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| open_or_create(&root, "a-0123456789abcdef", &owner).expect("ours"));
            }
        });
        assert_eq!(fs::read_dir(&root).expect("it is there").count(), 1, "nothing is left over");
        fs::remove_dir_all(&root).expect("our own folder");
    }
}
