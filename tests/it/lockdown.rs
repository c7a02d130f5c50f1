//! What the guest process has given up, seen from outside.

use crate::kill::wait_until_running;
use crate::process::{DATABASE, HANGS, STUDY, end, guest_pid};
use crate::scene::Scene;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs an objective that hangs, from a shell that has left `secret` open as descriptor 9.
fn start_with_descriptor_9(scene: &Scene) -> Child {
    std::fs::write(scene.path("secret"), "a password").unwrap();
    let hangs = scene.objective("hangs", HANGS);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec 9<secret; exec "$0" "$@""#, env!("CARGO_BIN_EXE_trialbox")]);
    shell.args(["run", &hangs, "--storage", DATABASE, "--study-name", STUDY, "--format", "json"]);
    scene.isolate(&mut shell);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a process's descriptors lead to.
fn descriptors(pid: impl std::fmt::Display) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect()
}

/// What comes before the colon in a target that is no file.
fn kind(target: &Path) -> &str {
    let target = target.to_str().unwrap();
    target.split_once(':').map_or(target, |(kind, _)| kind)
}

#[test]
fn a_guest_process_has_no_descriptor_of_its_parents_and_may_open_few() {
    let scene = Scene::new("lockdown-descriptors");
    let mut host = start_with_descriptor_9(&scene);
    wait_until_running(&scene, &mut host);
    let guest = guest_pid(&host).as_raw_nonzero();
    let secret = scene.path("secret").canonicalize().unwrap();
    assert!(descriptors(host.id()).contains(&secret), "the host was started without it");
    let mut found = descriptors(guest);
    // Input and output; the other end of standard error, the socket, and a memory of the guest's.
    found.retain(|target| target != Path::new("/dev/null"));
    let found: Vec<_> = found.iter().map(|target| kind(target)).collect();
    assert_eq!(found, ["pipe", "socket", "/memfd"]);
    let limits = std::fs::read_to_string(format!("/proc/{guest}/limits")).unwrap();
    for (limit, most) in [("open files", 512), ("core file size", 0), ("locked memory", 0)] {
        let name = format!("Max {limit}");
        let line = limits.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
        let soft_and_hard: Vec<u64> =
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(soft_and_hard, [most, most], "{limit}");
    }
    host.kill().unwrap();
    end(host);
}
