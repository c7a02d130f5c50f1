//! The processes below this one, as `/proc` shows them.

use rustix::process::Pid;
use std::collections::BTreeMap;
use std::fs;

/// Returns the descendants of a process, parents before their children.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = children(root);
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let below = children(*process);
        found.extend(below);
        next += 1;
    }
    found
}

/// Returns the resident memory of all these processes, in bytes. Pages that they share count in each.
pub(crate) fn resident_bytes(processes: &[u32]) -> u64 {
    let page = rustix::param::page_size() as u64;
    processes.iter().filter_map(|process| resident_pages(*process)).sum::<u64>() * page
}

/// Returns the resident memory of all these processes, in bytes, with a part of each page for each process that shares
/// it (Pss in proc_pid_smaps(5)). `None` where the kernel does not tell. Takes longer than [`resident_bytes`]: the
/// kernel walks all pages.
pub(crate) fn proportional_bytes(processes: &[u32]) -> Option<u64> {
    processes
        .iter()
        .map(|process| proportional_kib(*process))
        .sum::<Option<u64>>()
        .map(|kib| kib << 10)
}

fn proportional_kib(process: u32) -> Option<u64> {
    // A process that has ended has no memory.
    let Ok(rollup) = fs::read_to_string(format!("/proc/{process}/smaps_rollup")) else {
        return (!fs::exists(format!("/proc/{process}")).ok()?).then_some(0);
    };
    if rollup.is_empty() {
        return Some(0);
    }
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Returns the CPU time in milliseconds of the children of this process that have ended and were waited for, and of
/// those that these have waited for.
pub(crate) fn cpu_millis_of_children() -> Option<u64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 16 and 17 of proc_pid_stat(5), counted from the third, which follows the name in parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (user, system) =
        (fields.get(13)?.parse::<u64>().ok()?, fields.get(14)?.parse::<u64>().ok()?);
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    Some((user + system) * 1000 / ticks)
}

/// Returns a process id as the kernel's calls take it.
pub(crate) fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}

fn children(process: u32) -> Vec<u32> {
    // Each thread has a list of its own; a process may have started children from any.
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return vec![] };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => {
                found.extend(list.split_whitespace().filter_map(|id| id.parse::<u32>().ok()))
            }
            // A kernel without CONFIG_PROC_CHILDREN.
            Err(_) => return children_by_parent().remove(&process).unwrap_or_default(),
        }
    }
    found
}

/// Returns the children of every process, from the list of all processes.
fn children_by_parent() -> BTreeMap<u32, Vec<u32>> {
    let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if let Some(parent) = parent_of(process) {
            found.entry(parent).or_default().push(process);
        }
    }
    found
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn resident_pages(process: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_grandchild_is_found_by_both_ways_and_has_memory() {
        let script = "sleep 60 & echo started; wait";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut first = [0; 8];
        let stdout = shell.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(stdout, &mut first).expect("the shell says that it started");
        let me = std::process::id();
        let found = descendants(shell.id());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(descendants(me).contains(&found[0]));
        assert_eq!(children_by_parent().get(&shell.id()), Some(&found));
        assert_eq!(parent_of(found[0]), Some(shell.id()));
        let resident = resident_bytes(&found);
        assert!(resident > 0);
        let proportional = proportional_bytes(&found).expect("this kernel tells");
        assert!(proportional > 0 && proportional <= resident, "{proportional} of {resident}");
        for process in [found[0], shell.id()] {
            let process = pid(process).expect("a process id");
            rustix::process::kill_process(process, rustix::process::Signal::KILL)
                .expect("our child");
        }
        shell.wait().expect("our child");
        assert!(cpu_millis_of_children().is_some());
    }
}
