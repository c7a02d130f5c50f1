//! The machine and the file system that a database depends on.

use super::file::{Journal, folder_of};
use super::{Findings, Place, kinds};
use crate::platform::mount::{Locks, Mount};
use std::path::Path;

/// The free space below which a rollback journal and a few trials may not fit.
const LOW_SPACE: u64 = 16 << 20;

/// The library that reads the database, and the free space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The version of the built-in SQLite.
    pub sqlite_version: &'static str,
    /// The space beside the database that this user may fill, in bytes; `None` if it is unknown.
    pub free_bytes: Option<u64>,
}

impl Machine {
    pub(super) fn here(path: &Path) -> Self {
        let space = rustix::fs::statvfs(folder_of(path)).ok();
        let free_bytes = space.map(|space| space.f_bavail.saturating_mul(space.f_frsize));
        Machine { sqlite_version: rusqlite::version(), free_bytes }
    }
}

pub(super) fn check(
    findings: &mut Findings,
    path: &Path,
    machine: &Machine,
    mount: Option<&Mount>,
    journal: Option<Journal>,
) {
    let place = Place { file: Some(folder_of(path).to_owned()), ..Place::default() };
    if let Some(mount) = mount {
        check_mount(findings, mount, journal, &place);
    }
    if let Some(free) = machine.free_bytes
        && free < LOW_SPACE
    {
        let found = format!("expected at least {LOW_SPACE} bytes of free space, found {free}");
        findings.add(&kinds::DISK_FULL, place, found);
    }
}

fn check_mount(findings: &mut Findings, mount: &Mount, journal: Option<Journal>, place: &Place) {
    let what = format!("`{}` is {} ({})", mount.mount_point.display(), mount.fs_type, mount.source);
    match mount.locks {
        Locks::Local => {}
        Locks::Network => {
            let found = match mount.lock_option_problem() {
                Some(problem) => format!("{what}: {problem}"),
                None => what.clone(),
            };
            findings.add(&kinds::NETWORK_LOCKS, place.clone(), found);
            if journal.is_some_and(Journal::is_wal) {
                let found = format!("the journal mode is WAL, and {what}");
                findings.add(&kinds::WAL_ON_NETWORK, place.clone(), found);
            }
        }
        Locks::Unknown => findings.add(&kinds::MOUNT_UNKNOWN, place.clone(), what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_codes(fs_type: &str, locks: Locks, journal: Journal, free: u64, want: &[&str]) {
        let mount = Mount {
            fs_type: fs_type.to_owned(),
            mount_point: "/home".into(),
            options: vec!["rw".to_owned()],
            source: "filer:/home".to_owned(),
            locks,
        };
        let machine = Machine { sqlite_version: "3", free_bytes: Some(free) };
        let mut findings = Findings::default();
        let path = Path::new("/home/study.db");
        check(&mut findings, path, &machine, Some(&mount), Some(journal));
        let codes: Vec<&str> = findings.list.iter().map(|finding| finding.kind.code).collect();
        assert_eq!(codes, want);
    }

    #[test]
    fn a_log_on_a_network_and_a_full_disk_are_found() {
        check_codes("ext4", Locks::Local, Journal::WalInUse, u64::MAX, &[]);
        check_codes("nfs4", Locks::Network, Journal::Rollback, u64::MAX, &["network-locks"]);
        let both = ["network-locks", "wal-on-network"];
        check_codes("nfs4", Locks::Network, Journal::WalAtRest, u64::MAX, &both);
        check_codes("newfs", Locks::Unknown, Journal::Rollback, u64::MAX, &["mount-unknown"]);
        check_codes("ext4", Locks::Local, Journal::Rollback, 1000, &["disk-full"]);
    }
}
