//! Whether files and folders are where tasks can use them.

use super::{Finding, Level};
use crate::commands::submit::script::{is_ours, study_of};
use rustix::fs::Access;
use std::io::Read as _;
use std::path::Path;
use trialbox_storage::LockMode;
use trialbox_storage::platform::mount::{Locks, Mount, mount_of};

/// Whether the database can be written, and seen by other nodes.
pub(in crate::commands::submit) fn check_storage(path: &Path, lock: LockMode) -> Finding {
    let error = |text: String| Finding::new(Level::Error, "storage", text);
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let shown = path.display();
    if !folder.is_dir() {
        return error(format!("the folder `{}` of the database is not there", folder.display()))
            .help("make it first, or say another --storage");
    }
    let is_writable = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    if !is_writable(folder) || (path.exists() && !is_writable(path)) {
        return error(format!("the database `{shown}` cannot be written, or not its folder"))
            .help("say another --storage");
    }
    match mount_of(path) {
        Ok(mount) => check_locks(&shown.to_string(), &mount, lock),
        Err(error) => Finding::new(Level::Warning, "storage", format!("`{shown}`: {error}")),
    }
}

/// Whether what keeps writers apart holds between nodes.
fn check_locks(path: &str, mount: &Mount, lock: LockMode) -> Finding {
    let (level, what, help) = match (mount.locks, lock) {
        (Locks::Local, _) => (Level::Note, ", which no other machine sees", None),
        (_, LockMode::Sqlite) => (
            Level::Warning,
            ", and --lock sqlite trusts its locks",
            Some("leave --lock out: a lock file is safe there"),
        ),
        (Locks::Unknown, LockMode::Auto) => (
            Level::Warning,
            ", whose locks are not known",
            Some("--lock file is safe wherever it is"),
        ),
        _ => (Level::Fine, ": a lock file keeps writers apart", None),
    };
    let finding =
        Finding::new(level, "storage", format!("`{path}` lies on {}{what}", mount.fs_type));
    Finding { help: help.map(str::to_owned), ..finding }
}

/// Whether other nodes can see what tasks need: each of these, what it is and where.
pub(in crate::commands::submit) fn check_seen(paths: &[(&str, &Path)]) -> Option<Finding> {
    let unseen = paths.iter().filter(|(_, path)| is_of_this_machine(path));
    let unseen: Vec<String> =
        unseen.map(|(what, path)| format!("{what} `{}`", path.display())).collect();
    let text =
        format!("other nodes do not see what lies in /tmp or in memory: {}", unseen.join(", "));
    let finding = Finding::new(Level::Warning, "files", text);
    let help = "put it where all nodes see it, such as your home or project folder";
    (!unseen.is_empty()).then(|| finding.help(help))
}

/// Whether a path lies in a folder for temporary files, or in memory.
fn is_of_this_machine(path: &Path) -> bool {
    let real = path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_default();
    let is_temporary =
        ["/tmp", "/var/tmp", "/dev/shm"].iter().any(|folder| real.starts_with(folder));
    mount_of(path).is_ok_and(|mount| {
        let is_memory = ["tmpfs", "ramfs"].contains(&mount.fs_type.as_str());
        is_memory || (is_temporary && mount.locks != Locks::Network)
    })
}

/// Whether a file can be written without losing somebody's work.
/// `of` says of which study it would be.
pub(in crate::commands::submit) fn check_file(
    path: &Path,
    flag: &str,
    of: &str,
) -> Option<Finding> {
    let shown = path.display();
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            let text = format!("`{shown}` cannot be read: {error}");
            return Some(
                Finding::new(Level::Error, "script", text).help(format!("choose another {flag}")),
            );
        }
    };
    let mut beginning = Vec::new();
    let _ = file.take(4096).read_to_end(&mut beginning);
    let beginning = String::from_utf8_lossy(&beginning);
    let text = match (is_ours(&beginning), study_of(&beginning)) {
        (true, None) => return None,
        (true, Some(other)) if other == of => return None,
        (true, Some(other)) => {
            let other = other.trim_start_matches("Of ");
            format!("`{shown}` is there, and is that of {other}")
        }
        (false, _) => format!("`{shown}` is there, and `trialbox submit` did not write it"),
    };
    Some(
        Finding::new(Level::Error, "script", text)
            .help(format!("choose another name with {flag}, or move it away")),
    )
}

/// Whether sbatch can name a log in this folder: it takes `%` and `\` in it for parts of a pattern.
pub(in crate::commands::submit) fn check_folder(folder: &Path) -> Option<Finding> {
    let text =
        folder.to_str().filter(|text| !text.chars().any(|c| c.is_control() || "%\\".contains(c)));
    if text.is_some() {
        return None;
    }
    let text = format!(
        "`{}` has a character in its name that sbatch takes for something else",
        folder.display()
    );
    Some(
        Finding::new(Level::Error, "folder", text)
            .help("submit from a folder without % and \\ in its path"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_memory_or_in_tmp_is_not_seen_by_other_nodes() {
        let paths =
            [("the database", Path::new("/tmp/a.db")), ("the objective", Path::new("/proc"))];
        let finding = check_seen(&paths).expect("no node sees it");
        assert_eq!(finding.level, Level::Warning);
        assert!(finding.text.ends_with("in memory: the database `/tmp/a.db`"), "{}", finding.text);
        assert_eq!(check_seen(&paths[1..]), None);
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
        for (locks, lock, level, text) in [
            (Locks::Local, LockMode::Auto, Level::Note, "which no other machine sees"),
            (Locks::Network, LockMode::Auto, Level::Fine, "a lock file keeps writers apart"),
            (Locks::Network, LockMode::File, Level::Fine, "a lock file keeps writers apart"),
            (Locks::Network, LockMode::Sqlite, Level::Warning, "--lock sqlite trusts its locks"),
            (Locks::Unknown, LockMode::Auto, Level::Warning, "whose locks are not known"),
        ] {
            let found = check_locks("a.db", &mount(locks), lock);
            assert_eq!((found.level, found.text.contains(text)), (level, true), "{}", found.text);
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
