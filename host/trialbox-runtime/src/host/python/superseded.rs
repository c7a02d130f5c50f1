//! Snapshots of other versions of trialbox: which are used, and which can go.
//!
//! Each version has a recipe of its own, so a directory would grow by a hundred megabytes with each. A process that
//! uses a snapshot says so by a mark beside it: a lock for as long as it lives, and a time for the jobs that are
//! queued.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::time::{Duration, SystemTime};
use trialbox_files::Folder;

/// The name of a snapshot, before the fingerprint of its recipe.
pub(super) const SNAPSHOT: &str = "snapshot-";

/// The folder of a recipe's files, before the fingerprint.
pub(super) const RECIPE: &str = "recipe-";

/// The mark of a snapshot, before the fingerprint.
const MARK: &str = "used-";

/// The time for which an unused snapshot is kept: jobs wait in a queue, and two versions may be in use.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The age at which a mark gets a new time. A thousand jobs that start together leave it alone.
const RENEWED: Duration = Duration::from_secs(24 * 60 * 60);

/// Marks a snapshot as used until the result is dropped. A directory that cannot be written gets no mark.
pub(super) fn mark_used(folder: &Folder, snapshot: &str) -> Option<File> {
    let mark = folder.open_lock_file(mark_of(snapshot).as_ref()).ok()?;
    // Where there are no locks, the time alone keeps the snapshot.
    let _ = mark.try_lock_shared();
    if age(&mark).is_none_or(|age| age > RENEWED) {
        let _ = mark.set_modified(SystemTime::now());
    }
    Some(mark)
}

/// Returns whether a process uses a snapshot of the folder, as far as its file system has locks.
pub(super) fn is_in_use(folder: &Folder) -> bool {
    let names = folder.names().unwrap_or_default();
    let mut marks =
        names.iter().filter(|name| name.as_encoded_bytes().starts_with(MARK.as_bytes()));
    marks.any(|mark| match folder.open_lock_file(mark) {
        Ok(mark) => matches!(mark.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    })
}

/// Removes the snapshots that no process has used for [`KEPT`], but for the one given, and returns their names. A
/// process that has opened one keeps it.
pub(super) fn remove_superseded(folder: &Folder, current: &str) -> Vec<String> {
    let names = folder.names().unwrap_or_default();
    let names = names.iter().filter_map(|name| name.to_str());
    let others = names.filter(|name| name.starts_with(SNAPSHOT) && *name != current);
    others.filter(|name| remove_unused(folder, name)).map(str::to_owned).collect()
}

/// Removes a snapshot with its mark and its recipe, unless it is in use. Returns whether it is gone.
fn remove_unused(folder: &Folder, snapshot: &str) -> bool {
    let mark_name = mark_of(snapshot);
    // A snapshot without a mark gets one, whose time starts now.
    let Ok(mark) = folder.open_lock_file(mark_name.as_ref()) else { return false };
    if mark.try_lock().is_err() || age(&mark).is_none_or(|age| age < KEPT) {
        return false;
    }
    let recipe = snapshot.replacen(SNAPSHOT, RECIPE, 1);
    let _ = folder.remove_tree(OsStr::new(&recipe), &mut || Ok(()));
    let _ = folder.remove_file(mark_name.as_ref());
    folder.remove_file(snapshot.as_ref()).is_ok()
}

fn mark_of(snapshot: &str) -> String {
    snapshot.replacen(SNAPSHOT, MARK, 1)
}

/// Returns the time since a file was changed; none for a time in the future.
fn age(file: &File) -> Option<Duration> {
    SystemTime::now().duration_since(file.metadata().ok()?.modified().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_goes_when_no_process_has_used_it_for_long() {
        let folder = Folder::temporary("trialbox-superseded").expect("a place for temporary files");
        let path = folder.path().to_owned();
        for name in ["current", "used", "queued", "unmarked", "old"] {
            std::fs::write(path.join(format!("{SNAPSHOT}{name}")), name).expect("our folder");
            std::fs::create_dir(path.join(format!("{RECIPE}{name}"))).expect("our folder");
        }
        let marked = ["current", "used", "queued", "old"]
            .map(|name| mark_used(&folder, &format!("{SNAPSHOT}{name}")).expect("our folder"));
        let long_ago = SystemTime::now() - 2 * KEPT;
        for mark in [&marked[0], &marked[1], &marked[3]] {
            mark.set_modified(long_ago).expect("our file");
        }
        let [_current, _used, queued, old] = marked;
        drop((queued, old));
        assert_eq!(remove_superseded(&folder, "snapshot-current"), ["snapshot-old"]);
        let left = |name: &str| path.join(name).exists();
        for name in ["current", "used", "queued", "unmarked"] {
            assert!(left(&format!("{SNAPSHOT}{name}")) && left(&format!("{RECIPE}{name}")));
        }
        assert!(!left("recipe-old") && !left("used-old"));
        let _again = mark_used(&folder, "snapshot-used").expect("our folder");
        let renewed = path.join("used-used").metadata().expect("our file").modified();
        assert!(renewed.expect("a time") > SystemTime::now() - RENEWED);
        trialbox_files::remove_named_tree(&path).expect("our folder");
    }
}
