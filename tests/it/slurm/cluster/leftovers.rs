//! What outlives the daemons of a cluster: the processes of its jobs and their keepers (`slurmstepd`), which Slurm
//! means to survive, and the cgroups that they were kept in.

use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Kills every process that has this configuration in its environment, as all have that a node starts, and every
/// one in the cgroups of these nodes, until there is neither process nor cgroup. A process that is in none and
/// has no such environment dies with its parent, as a guest of ours does.
pub(super) fn end(conf: &Path, nodes: &[String]) {
    let started = Instant::now();
    // What cannot be killed must not keep all other tests from going on.
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

/// The processes that have this configuration in their environment. One that has ended has no environment, even
/// if nobody has asked for its end yet.
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

/// The cgroup of all jobs of a node.
pub(crate) fn cgroup_of(node: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup/freezer").join(format!("slurm_{node}"))
}

/// Removes a cgroup and those in it, or kills what is in the way; whether it is gone.
fn remove_cgroup(cgroup: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(cgroup) else { return true };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(&entry.path());
    }
    if std::fs::remove_dir(cgroup).is_ok() {
        return true;
    }
    // Slurm freezes processes to kill them, and frozen ones do not even die of KILL.
    let _ = std::fs::write(cgroup.join("freezer.state"), "THAWED");
    for pid in std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default().lines() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    false
}
