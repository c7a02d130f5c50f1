//! Checks whether tasks on other nodes can use the files, and whether `submit` may write its own.

use crate::commands::submit::script::{is_ours, study_of};
use crate::view::finding::Finding;
use rustix::fs::Access;
use std::io::Read as _;
use std::path::Path;
use trialbox_storage::platform::mount::{Locks, Mount, mount_of};
use trialbox_storage::{Location, LockMode};

/// Checks whether the database can be written, and whether its locks hold between nodes.
pub(in crate::commands::submit) fn check_storage(database: &Location, lock: LockMode) -> Finding {
    match database {
        Location::File(path) => check_database_file(path, lock),
        Location::Server(address) => {
            let found = format!("`{}` is a server", address.shown());
            Finding::ok("storage", found).meaning("it keeps writers apart")
        }
        Location::Memory => Finding::error("storage", "no task sees another's memory".to_owned()),
    }
}

/// Tells where the password of a server belongs, which no script gets.
pub(in crate::commands::submit) fn check_password(database: &Location) -> Option<Finding> {
    database.server().filter(|address| address.has_password())?;
    let found = "the address of the database has a password, which the script does not get";
    let finding = Finding::warning("storage", found.to_owned());
    Some(
        finding.advice("put it into ~/.pgpass, or into a file that PGPASSFILE names for the tasks"),
    )
}

fn check_database_file(path: &Path, lock: LockMode) -> Finding {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let shown = path.display();
    if !folder.is_dir() {
        let found = format!("cannot find the folder `{}` of the database", folder.display());
        return Finding::error("storage", found).advice("create it, or give another --storage");
    }
    let is_writable = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    if !is_writable(folder) || (path.exists() && !is_writable(path)) {
        let found = format!("cannot write the database `{shown}`, or its folder");
        return Finding::error("storage", found).advice("give another --storage");
    }
    match mount_of(path) {
        Ok(mount) => check_locks(&shown.to_string(), &mount, lock),
        Err(error) => Finding::warning("storage", format!("`{shown}`: {error}")),
    }
}

/// Checks whether the chosen kind of lock keeps writers on different nodes apart.
fn check_locks(path: &str, mount: &Mount, lock: LockMode) -> Finding {
    let found = format!("`{path}` lies on {}", mount.fs_type);
    match (mount.locks, lock) {
        (Locks::Local, _) => {
            Finding::note("storage", found).meaning("other nodes do not see this file system")
        }
        (_, LockMode::Sqlite) => Finding::warning("storage", found)
            .meaning("--lock sqlite relies on locks that may not hold between nodes")
            .advice("omit --lock: a lock file is safe there"),
        (Locks::Unknown, LockMode::Auto) => Finding::warning("storage", found)
            .meaning("the locks of this file system are not known")
            .advice("--lock file is safe everywhere"),
        _ => Finding::ok("storage", found).meaning("a lock file keeps writers apart"),
    }
}

/// Checks whether other nodes see the files that tasks need. Each path has the name of its role.
pub(in crate::commands::submit) fn check_visible(paths: &[(&str, &Path)]) -> Option<Finding> {
    let hidden = paths.iter().filter(|(_, path)| is_on_this_machine(path));
    let hidden: Vec<String> =
        hidden.map(|(role, path)| format!("{role} `{}`", path.display())).collect();
    if hidden.is_empty() {
        return None;
    }
    let found = format!("in /tmp or in memory: {}", hidden.join(", "));
    Some(
        Finding::warning("files", found)
            .meaning("other nodes do not see these files")
            .advice("move them to where all nodes see them, such as your home or project folder"),
    )
}

/// Returns whether a path lies in a folder for temporary files of this machine, or in memory.
fn is_on_this_machine(path: &Path) -> bool {
    let real = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_default();
    let is_temporary =
        ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|folder| real.starts_with(folder));
    mount_of(path).is_ok_and(|mount| {
        let is_memory = ["tmpfs", "ramfs"].contains(&mount.fs_type.as_str());
        is_memory || (is_temporary && mount.locks != Locks::Network)
    })
}

/// Checks whether a script or a report can be written without overwriting a file of another study or of the user.
/// `of` is the line that names the study.
pub(in crate::commands::submit) fn check_file(
    path: &Path,
    flag: &str,
    of: &str,
) -> Option<Finding> {
    let shown = path.display();
    let file = match trialbox_files::open_named(path) {
        Ok(file) => file,
        Err(error) if error.is_not_found() => return None,
        Err(error) => {
            let finding = Finding::error("script", error.to_string());
            return Some(finding.advice(format!("give another {flag}")));
        }
    };
    let start = start_of(file);
    let found = match (is_ours(&start), study_of(&start)) {
        (true, None) => return None,
        (true, Some(other)) if other == of => return None,
        (true, Some(other)) => {
            let other = other.trim_start_matches("For ");
            format!("`{shown}` exists and belongs to {other}")
        }
        (false, _) => format!("`{shown}` exists and was not written by `trialbox submit`"),
    };
    Some(
        Finding::error("script", found)
            .advice(format!("give another name with {flag}, or move the file away")),
    )
}

/// Returns whether `submit` wrote the file for another study than the one that `of` names.
pub(in crate::commands::submit) fn is_of_another_study(path: &Path, of: &str) -> bool {
    let Ok(file) = trialbox_files::open_named(path) else { return false };
    let start = start_of(file);
    is_ours(&start) && study_of(&start).is_some_and(|other| other != of)
}

/// Reads the lines in which a file of `submit` says what it is.
fn start_of(file: std::fs::File) -> String {
    let mut start = Vec::new();
    let _ = file.take(4096).read_to_end(&mut start);
    String::from_utf8_lossy(&start).into_owned()
}

/// Checks whether sbatch can write a log to this folder: it reads `%` and `\` in its path as parts of a pattern.
pub(in crate::commands::submit) fn check_folder(folder: &Path) -> Option<Finding> {
    let is_special = |c: char| c.is_control() || "%\\".contains(c);
    if folder.to_str().is_some_and(|text| !text.chars().any(is_special)) {
        return None;
    }
    let found = format!("sbatch reads a character of `{}` as part of a pattern", folder.display());
    Some(
        Finding::error("folder", found).advice("submit from a folder without % and \\ in its path"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::finding::Severity;

    #[test]
    fn a_file_in_memory_or_in_tmp_is_not_seen_by_other_nodes() {
        let paths =
            [("the database", Path::new("/tmp/a.db")), ("the objective", Path::new("/proc"))];
        let finding = check_visible(&paths).expect("no node sees it");
        assert_eq!(finding.severity, Severity::Warning);
        assert_eq!(finding.found, "in /tmp or in memory: the database `/tmp/a.db`");
        assert_eq!(check_visible(&paths[1..]), None);
    }

    #[test]
    fn on_a_network_a_lock_file_keeps_writers_apart_unless_that_is_switched_off() {
        let mount = |locks| Mount {
            fs_type: "x".to_owned(),
            mount_point: "/".into(),
            options: vec![],
            source: String::new(),
            locks,
        };
        for (locks, lock, severity, text) in [
            (Locks::Local, LockMode::Auto, Severity::Note, "other nodes do not see"),
            (Locks::Network, LockMode::Auto, Severity::Ok, "a lock file keeps writers apart"),
            (Locks::Network, LockMode::File, Severity::Ok, "a lock file keeps writers apart"),
            (Locks::Network, LockMode::Sqlite, Severity::Warning, "--lock sqlite relies on locks"),
            (Locks::Unknown, LockMode::Auto, Severity::Warning, "are not known"),
        ] {
            let found = check_locks("a.db", &mount(locks), lock);
            let is_right = (found.severity, found.meaning.contains(text));
            assert_eq!(is_right, (severity, true), "{}", found.to_text());
        }
    }

    #[test]
    fn sbatch_would_not_find_a_log_in_a_folder_with_a_pattern_in_its_name() {
        for name in ["/a/50%", "/a\\b", "/a\nb"] {
            assert!(check_folder(Path::new(name)).is_some(), "{name}");
        }
        assert_eq!(check_folder(Path::new("/home/my study #1")), None);
    }
}
