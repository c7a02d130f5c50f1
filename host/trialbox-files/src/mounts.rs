//! The mounts of this process, by which one folder has several paths.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// A part of a file system that stands at a path.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The kernel's number of the file system.
    device: String,
    /// The folder of the file system that stands there, or the file.
    root: PathBuf,
    point: PathBuf,
}

/// The mounts of this process, as the kernel lists them (proc_pid_mountinfo(5)).
///
/// A folder that another file system shows under another number, as FUSE file systems and overlays do, is another
/// folder for the kernel and for this list.
#[derive(Debug, Default)]
pub struct Mounts(Vec<Mount>);

impl Mounts {
    /// Returns the mounts; none where `/proc` is missing.
    pub fn of_this_process() -> Self {
        Mounts::parse(&std::fs::read("/proc/self/mountinfo").unwrap_or_default())
    }

    fn parse(list: &[u8]) -> Self {
        Mounts(list.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
    }

    /// Returns the places below a folder at which something is mounted. The path has no links.
    pub fn below(&self, folder: &Path) -> Vec<&Path> {
        let is_below = |point: &&Path| *point != folder && point.starts_with(folder);
        self.0.iter().map(|mount| mount.point.as_path()).filter(is_below).collect()
    }

    /// Returns the paths at which a file or folder stands, itself included. The path has no links. Another mount may
    /// hide what is at one of them.
    pub fn names_of(&self, path: &Path) -> Vec<PathBuf> {
        let mut names = vec![path.to_owned()];
        // Of several mounts at one place, the last hides the others.
        let holding = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        let Some(mount) = holding.max_by_key(|mount| mount.point.components().count()) else {
            return names;
        };
        let Ok(rest) = path.strip_prefix(&mount.point) else { return names };
        let in_file_system = mount.root.join(rest);
        for other in self.0.iter().filter(|other| other.device == mount.device) {
            if let Ok(rest) = in_file_system.strip_prefix(&other.root) {
                // Joining nothing would add a slash.
                let name = if rest == Path::new("") {
                    other.point.clone()
                } else {
                    other.point.join(rest)
                };
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let device = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
    Some(Mount { device, root, point })
}

/// Decodes a field, in which space, tab, line feed and backslash are three octal digits after a backslash.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let code = match rest {
            [b'\\', digits @ ..] if digits.len() >= 3 => std::str::from_utf8(&digits[..3]).ok(),
            _ => None,
        };
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"\
21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 21 0:45 / /home rw shared:1 - nfs4 filer:/home rw
31 21 0:45 /u/project /mnt/pro\\040ject rw - nfs4 filer:/home rw
32 21 8:1 /var/tmp/f /home/u/grant/file rw - ext4 /dev/sda1 rw
33 21 0:50 / /home/u/grant/scratch rw - tmpfs tmpfs rw
";

    #[test]
    fn a_folder_has_a_name_by_every_mount_that_shows_it() {
        let mounts = Mounts::parse(LIST);
        let names = |path: &str| mounts.names_of(Path::new(path));
        let both = ["/home/u/project/a", "/mnt/pro ject/a"].map(PathBuf::from);
        assert_eq!(names("/home/u/project/a"), both);
        assert_eq!(names("/mnt/pro ject"), ["/mnt/pro ject", "/home/u/project"].map(PathBuf::from));
        assert_eq!(names("/home/u/other"), ["/home/u/other"].map(PathBuf::from));
        let files = ["/home/u/grant/file", "/var/tmp/f"].map(PathBuf::from);
        assert_eq!(names("/home/u/grant/file"), files);
        assert_eq!(Mounts::default().names_of(Path::new("/a")), ["/a"].map(PathBuf::from));
    }

    #[test]
    fn what_is_mounted_in_a_folder_is_found() {
        let mounts = Mounts::parse(LIST);
        let found = mounts.below(Path::new("/home/u/grant"));
        assert_eq!(found, ["/home/u/grant/file", "/home/u/grant/scratch"].map(Path::new));
        assert!(mounts.below(Path::new("/home/u/gran")).is_empty());
    }
}
