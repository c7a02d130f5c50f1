//! Removes what outlives the daemons of a cluster: the processes of its jobs with their `slurmstepd`, which Slurm lets
//! survive on purpose, and their cgroups.

use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Kills all processes with this configuration in their environment and all in the cgroups of these nodes, until
/// neither processes nor cgroups are left.
///
/// Every process that a node starts has the configuration in its environment. A guest process has not, and dies with
/// its parent.
pub(super) fn end(conf: &Path, nodes: &[String]) {
    let started = Instant::now();
    // A process that cannot be killed must not block all other tests.
    while started.elapsed() < Duration::from_secs(60) {
        let processes = processes_of(conf);
        for pid in &processes {
            let _ = kill_process(*pid, Signal::KILL);
        }
        let cgroups = nodes.iter().map(|node| cgroup_of(node));
        if cgroups.filter(|cgroup| !remove_cgroup(cgroup)).count() == 0 && processes.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns the processes that have this configuration in their environment. A process that has ended has no
/// environment, even before its parent waits for it.
pub(crate) fn processes_of(conf: &Path) -> Vec<Pid> {
    let wanted = [b"SLURM_CONF=", conf.as_os_str().as_encoded_bytes()].concat();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let is_ours = environment.split(|byte| *byte == 0).any(|variable| variable == wanted);
        is_ours.then_some(Pid::from_raw(pid)?)
    });
    processes.collect()
}

/// Returns the cgroup of all jobs of a node.
pub(crate) fn cgroup_of(node: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup/freezer").join(format!("slurm_{node}"))
}

/// Removes a cgroup with its children, or kills the processes in it. Returns whether the cgroup is gone.
fn remove_cgroup(cgroup: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(cgroup) else { return true };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(&entry.path());
    }
    if std::fs::remove_dir(cgroup).is_ok() {
        return true;
    }
    // Slurm freezes processes before it kills them, and a frozen process does not die of KILL.
    let _ = std::fs::write(cgroup.join("freezer.state"), "THAWED");
    for pid in std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    false
}
