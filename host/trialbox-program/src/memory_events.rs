//! The kernel's count of processes that it killed for memory, in this process's cgroup.

use std::fs;
use std::path::Path;

/// Returns the number of processes of this cgroup that the kernel killed for lack of memory. `None` where no cgroup
/// counts them.
pub(crate) fn kills_for_memory() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().find_map(|line| kills_in(Path::new("/sys/fs/cgroup"), line))
}

/// Reads the count of one line of `/proc/self/cgroup`, whose form is `ID:CONTROLLERS:PATH` (cgroups(7)).
fn kills_in(root: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let path = path.trim_start_matches('/');
    let file = match controllers {
        "" => root.join(path).join("memory.events"),
        "memory" => root.join("memory").join(path).join("memory.oom_control"),
        _ => return None,
    };
    let text = fs::read_to_string(file).ok()?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_cgroups_count() {
        let root = std::env::temp_dir().join(format!("trialbox-events-{}", std::process::id()));
        fs::create_dir_all(root.join("job/step")).expect("a folder");
        fs::create_dir_all(root.join("memory/slurm")).expect("a folder");
        fs::write(root.join("job/step/memory.events"), "low 0\noom 3\noom_kill 2\n")
            .expect("a file");
        let old = "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n";
        fs::write(root.join("memory/slurm/memory.oom_control"), old).expect("a file");
        assert_eq!(kills_in(&root, "0::/job/step"), Some(2));
        assert_eq!(kills_in(&root, "9:memory:/slurm"), Some(5));
        assert_eq!(kills_in(&root, "9:cpu,cpuacct:/slurm"), None);
        assert_eq!(kills_in(&root, "0::/other"), None);
        fs::remove_dir_all(root).expect("the folder");
    }
}
