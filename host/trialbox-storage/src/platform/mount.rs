//! The file system that a path lies on, and whether SQLite's locks can be trusted there.
//!
//! SQLite needs byte-range locks that hold between all processes that have the file open. Every local file system has
//! them between the processes of one machine. Between machines they depend on the server, the client and the mount
//! options, and missing locks show only as lost rows.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The mount on which a path lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The type as the kernel names it: `ext4`, `nfs4`, `lustre`, `fuse.sshfs`; `unknown` if it has no name.
    pub fs_type: String,
    /// The folder on which the file system is mounted.
    pub mount_point: PathBuf,
    /// The options of the mount and of the file system: `rw`, `nolock`, `local_lock=all`, `localflock`.
    pub options: Vec<String>,
    /// The source of the mount: a device, a server's export, or a word.
    pub source: String,
    /// The reach of its locks.
    pub locks: Locks,
}

/// The reach of a lock on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// Only processes of this machine can open the file, and locks hold between them.
    Local,
    /// Other machines may have the file open, and a lock may not reach them.
    Network,
    /// A file system that trialbox does not know.
    Unknown,
}

/// Looks up the mount of a path. A path that does not exist yet lies where its nearest existing folder lies. Without
/// `/proc`, the mount has no source.
///
/// # Errors
/// The system's error for the path.
pub fn mount_of(path: &Path) -> io::Result<Mount> {
    let real = nearest_existing(path)?;
    let magic = rustix::fs::statfs(&real)?.f_type as u32;
    let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
    Ok(choose(&real, magic, &String::from_utf8_lossy(&mountinfo)))
}

impl Mount {
    /// Returns the known effect of a mount option, or of a missing one, on locks between machines. The sources are
    /// Linux's nfs(5) and the Lustre manual on `flock`.
    pub fn lock_option_problem(&self) -> Option<&'static str> {
        let keeps_nfs_locks = ["nolock", "local_lock=all", "local_lock=posix"];
        if self.fs_type.starts_with("nfs") && keeps_nfs_locks.iter().any(|name| self.has(name)) {
            return Some("its mount options keep locks on this machine");
        }
        match self.fs_type.as_str() {
            "lustre" if self.has("localflock") => Some("`localflock` keeps locks on this machine"),
            "lustre" if !self.has("flock") => {
                Some("without the mount option `flock` it has no locks")
            }
            _ => None,
        }
    }

    /// Returns whether the file system is mounted read-only.
    pub fn is_read_only(&self) -> bool {
        self.has("ro")
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|found| found == option)
    }
}

/// File systems whose files other machines may have open: the kernel's name, and the magic number if there is one. The
/// numbers are from `linux/magic.h`, those of Lustre, GPFS, BeeGFS, PanFS, StorNext and OpenAFS from GNU coreutils,
/// whose `stat -f` shows them.
const NETWORK: &[(&str, u32)] = &[
    ("nfs", 0x6969),
    ("nfs4", 0x6969),
    ("lustre", 0x0BD0_0BD0),
    ("gpfs", 0x4750_4653),
    ("cifs", 0xFF53_4D42),
    ("smb3", 0xFE53_4D42),
    ("smbfs", 0x517B),
    ("beegfs", 0x1983_0326),
    ("ceph", 0x00C3_6400),
    ("afs", 0x5346_414F),
    ("kafs", 0x6B41_4653),
    ("coda", 0x7375_7245),
    ("9p", 0x0102_1997),
    ("ocfs2", 0x7461_636F),
    ("gfs2", 0x0116_1970),
    ("orangefs", 0x2003_0528),
    ("panfs", 0xAAD7_AAEA),
    ("snfs", 0xBEEF_DEAD),
    ("vboxsf", 0x786F_4256),
    ("fuse", FUSE_MAGIC),
    ("pvfs2", NO_MAGIC),
    ("wekafs", NO_MAGIC),
    ("glusterfs", NO_MAGIC),
];

/// File systems that only this machine can have open.
const LOCAL: &[(&str, u32)] = &[
    ("ext4", 0xEF53),
    ("ext3", 0xEF53),
    ("ext2", 0xEF53),
    ("xfs", 0x5846_5342),
    ("btrfs", 0x9123_683E),
    ("tmpfs", 0x0102_1994),
    ("ramfs", 0x8584_58F6),
    ("overlay", 0x794C_7630),
    ("zfs", 0x2FC1_2FC1),
    ("f2fs", 0xF2F5_2010),
    ("bcachefs", 0xCA45_1A4E),
    ("jfs", 0x3153_464A),
    ("reiserfs", 0x5265_4973),
    ("exfat", 0x2011_BAB0),
    ("vfat", 0x4D44),
    ("ntfs3", 0x7366_746E),
    ("squashfs", 0x7371_7368),
];

/// FUSE file systems on a disk of this machine. FUSE itself does not tell what lies behind it.
const LOCAL_FUSE: &[&str] =
    &["fuseblk", "fuse.ntfs-3g", "fuse.exfat", "fuse.fuse-overlayfs", "fuse.squashfuse"];

const FUSE_MAGIC: u32 = 0x6573_5546;
const NO_MAGIC: u32 = 0;

/// Returns the path without symbolic links, or its nearest folder that exists.
fn nearest_existing(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut last = Err(io::ErrorKind::NotFound.into());
    for ancestor in absolute.ancestors() {
        last = fs::canonicalize(ancestor);
        match &last {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    last
}

/// Chooses the mount of a real path, from the kernel's table and the file system's magic number.
fn choose(path: &Path, magic: u32, mountinfo: &str) -> Mount {
    let mut mount = Mount {
        fs_type: name_of(magic).to_owned(),
        mount_point: PathBuf::from("/"),
        options: Vec::new(),
        source: String::new(),
        locks: Locks::Unknown,
    };
    let mut depth = 0;
    for found in mountinfo.lines().filter_map(parse_line) {
        let found_depth = found.mount_point.components().count();
        // Of several mounts on one folder, the last covers the others.
        if path.starts_with(&found.mount_point) && found_depth >= depth {
            (mount, depth) = (found, found_depth);
        }
    }
    mount.locks = judge(&mount.fs_type, magic);
    mount
}

/// Returns the reach of a file system's locks. The name decides, and the number where the name is unknown.
fn judge(fs_type: &str, magic: u32) -> Locks {
    if LOCAL_FUSE.contains(&fs_type) {
        Locks::Local
    } else if has_name(NETWORK, fs_type) || fs_type.starts_with("fuse") {
        Locks::Network
    } else if has_name(LOCAL, fs_type) {
        Locks::Local
    } else if has_magic(NETWORK, magic) {
        Locks::Network
    } else if has_magic(LOCAL, magic) {
        Locks::Local
    } else {
        Locks::Unknown
    }
}

fn has_name(list: &[(&str, u32)], fs_type: &str) -> bool {
    list.iter().any(|(name, _)| *name == fs_type)
}

fn has_magic(list: &[(&str, u32)], magic: u32) -> bool {
    magic != NO_MAGIC && list.iter().any(|(_, known)| *known == magic)
}

fn name_of(magic: u32) -> &'static str {
    for (name, known) in NETWORK.iter().chain(LOCAL) {
        if *known == magic && magic != NO_MAGIC {
            return name;
        }
    }
    "unknown"
}

/// Parses a line of `/proc/self/mountinfo` (proc(5)): six fields, any number of optional ones, a dash, three more.
fn parse_line(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut before = before.split(' ').skip(4);
    let (mount_point, mount_options) = (before.next()?, before.next()?);
    let mut after = after.split(' ');
    let (fs_type, source) = (after.next()?, after.next()?);
    let mut options: Vec<String> = Vec::new();
    for option in mount_options.split(',').chain(after.next().unwrap_or_default().split(',')) {
        if !option.is_empty() && !options.iter().any(|known| known == option) {
            options.push(option.to_owned());
        }
    }
    Some(Mount {
        fs_type: fs_type.to_owned(),
        mount_point: PathBuf::from(unescape(mount_point)),
        options,
        source: unescape(source),
        locks: Locks::Unknown,
    })
}

/// Decodes a field of the table, in which space, tab, line feed and backslash are three octal digits after a backslash.
fn unescape(text: &str) -> String {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    codes.iter().fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
31 27 0:27 / /dev/shm rw,nosuid shared:5 master:2 - tmpfs tmpfs rw,size=24684096k
40 27 0:44 / /home rw,nosuid,relatime shared:9 - nfs4 filer:/export/home rw,vers=4.2,hard,proto=tcp,local_lock=none
41 27 0:45 / /old rw,relatime - nfs filer:/old rw,vers=3,nolock,local_lock=all
42 27 0:46 / /lustre/project rw - lustre 10.0.0.1@o2ib:/project rw,flock,lazystatfs
43 27 0:47 / /lustre/scratch rw - lustre 10.0.0.1@o2ib:/scratch rw,localflock
44 27 0:48 / /lustre/none rw - lustre 10.0.0.1@o2ib:/none rw,lazystatfs
45 27 0:49 / /gpfs rw,relatime - gpfs gpfs0 rw,dev=gpfs0
46 27 0:50 / /mnt/my\\040share rw - cifs //nas/my\\040share rw,vers=3.0
47 27 0:51 / /home/anna/remote rw - fuse.sshfs anna@host:/ rw,user_id=1000
48 27 8:17 / /mnt/stick rw - fuseblk /dev/sdb1 rw
49 27 0:52 / /node1 rw - fuse.bindfs /data rw
50 27 0:53 / /odd rw - newfs thing rw
51 27 0:54 / /home/anna/remote/inner rw - ext4 /dev/loop0 rw
52 40 0:55 / /home ro - nfs4 spare:/export/home ro,vers=4.2
53 27 0:56 / /sif rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b
";

    #[track_caller]
    fn check(path: &str, magic: u32, fs_type: &str, source: &str, locks: Locks) {
        let mount = choose(Path::new(path), magic, CLUSTER);
        let found = (mount.fs_type.as_str(), mount.source.as_str(), mount.locks);
        assert_eq!(found, (fs_type, source, locks), "{path}");
    }

    #[test]
    fn each_file_system_is_told_by_its_name() {
        check("/data/study.db", 0xEF53, "ext4", "/dev/vda1", Locks::Local);
        check("/dev/shm/study.db", 0x0102_1994, "tmpfs", "tmpfs", Locks::Local);
        check("/sif/study.db", 0x794C_7630, "overlay", "overlay", Locks::Local);
        check("/old/study.db", 0x6969, "nfs", "filer:/old", Locks::Network);
        check("/lustre/project/a", 0x0BD0_0BD0, "lustre", "10.0.0.1@o2ib:/project", Locks::Network);
        check("/gpfs/a", 0x4750_4653, "gpfs", "gpfs0", Locks::Network);
        check("/mnt/my share/a", 0xFF53_4D42, "cifs", "//nas/my share", Locks::Network);
    }

    #[test]
    fn fuse_is_a_network_unless_it_is_known_to_lie_on_a_disk() {
        check("/home/anna/remote/a", FUSE_MAGIC, "fuse.sshfs", "anna@host:/", Locks::Network);
        check("/node1/a", FUSE_MAGIC, "fuse.bindfs", "/data", Locks::Network);
        check("/mnt/stick/a", FUSE_MAGIC, "fuseblk", "/dev/sdb1", Locks::Local);
    }

    #[test]
    fn the_deepest_mount_holds_a_path_and_the_last_on_one_folder() {
        check("/home/anna/remote/inner/a", 0xEF53, "ext4", "/dev/loop0", Locks::Local);
        check("/home/bob/study.db", 0x6969, "nfs4", "spare:/export/home", Locks::Network);
        check("/homework/a", 0xEF53, "ext4", "/dev/vda1", Locks::Local);
        assert!(choose(Path::new("/home"), 0x6969, CLUSTER).is_read_only());
        assert!(!choose(Path::new("/old"), 0x6969, CLUSTER).is_read_only());
    }

    #[test]
    fn an_unknown_name_is_judged_by_its_number() {
        check("/odd/a", 0x1234_5678, "newfs", "thing", Locks::Unknown);
        check("/odd/a", 0x0BD0_0BD0, "newfs", "thing", Locks::Network);
        check("/odd/a", 0xEF53, "newfs", "thing", Locks::Local);
    }

    #[test]
    fn without_the_table_the_number_decides() {
        for (magic, fs_type, locks) in [
            (0x6969, "nfs", Locks::Network),
            (0xFE53_4D42, "smb3", Locks::Network),
            (0x1983_0326, "beegfs", Locks::Network),
            (0x00C3_6400, "ceph", Locks::Network),
            (FUSE_MAGIC, "fuse", Locks::Network),
            (0xEF53, "ext4", Locks::Local),
            (0x1234, "unknown", Locks::Unknown),
            (NO_MAGIC, "unknown", Locks::Unknown),
        ] {
            let mount = choose(Path::new("/a"), magic, "not a table\n");
            assert_eq!((mount.fs_type.as_str(), mount.locks), (fs_type, locks));
        }
    }

    #[test]
    fn mount_options_that_break_locks_between_machines_are_named() {
        for (path, problem) in [
            ("/home/a", None),
            ("/old/a", Some("its mount options keep locks on this machine")),
            ("/lustre/project/a", None),
            ("/lustre/scratch/a", Some("`localflock` keeps locks on this machine")),
            ("/lustre/none/a", Some("without the mount option `flock` it has no locks")),
            ("/gpfs/a", None),
        ] {
            let mount = choose(Path::new(path), 0, CLUSTER);
            assert_eq!(mount.lock_option_problem(), problem, "{path}");
        }
    }

    #[test]
    fn a_path_that_does_not_exist_lies_where_its_folder_lies() {
        let folder = mount_of(Path::new("/proc")).expect("/proc is there");
        assert_eq!(folder.fs_type, "proc");
        let here = std::env::current_dir().expect("a folder");
        let there = here.join("not/there/yet.db");
        assert_eq!(mount_of(&there).ok(), mount_of(&here).ok());
        assert_eq!(mount_of(Path::new("not-there.db")).ok(), mount_of(&here).ok());
    }
}
