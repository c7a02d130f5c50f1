//! Paths without symbolic links, also of files that are not there.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The most links that are followed, as many as Linux follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Returns the path that a file has without symbolic links. A file has the same one before it is created and while its
/// file system is away, as long as the links are there: results that wait for a database are found by it.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut left: VecDeque<OsString> = names(&absolute).collect();
    let mut resolved = PathBuf::from("/");
    let mut n_links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let here = resolved.join(&name);
        match fs::read_link(&here) {
            Ok(target) if n_links < MAX_LINKS => {
                n_links += 1;
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                for name in names(&target).rev() {
                    left.push_front(name);
                }
            }
            _ => resolved = here,
        }
    }
    resolved
}

fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_path_is_the_same_before_its_file_is_there_and_after() {
        let folder = std::env::temp_dir().join(format!("trialbox-path-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("real/deep")).expect("a folder");
        let folder = folder.canonicalize().expect("it is there");
        symlink("real", folder.join("link")).expect("a link");
        symlink("../link/deep/s.db", folder.join("real/s.db")).expect("a link");
        symlink(folder.join("real"), folder.join("absolute")).expect("a link");
        symlink("loop", folder.join("loop")).expect("a link");
        let wanted = folder.join("real/deep/s.db");
        let ways = ["real/deep/s.db", "link/deep/s.db", "link/s.db", "absolute/deep/../s.db"];
        for is_there in [false, true] {
            if is_there {
                fs::write(&wanted, "").expect("a file");
            }
            for way in ways {
                assert_eq!(resolve(&folder.join(way)), wanted, "{way}");
            }
        }
        fs::remove_dir_all(folder.join("real/deep")).expect("it is there");
        for way in ways {
            assert_eq!(resolve(&folder.join(way)), wanted, "{way} while its folder is away");
        }
        assert!(resolve(&folder.join("loop/s.db")).ends_with("s.db"));
    }
}
