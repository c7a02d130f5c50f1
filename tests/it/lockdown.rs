//! What the guest process has given up, seen from outside.

use crate::kill::wait_until_running;
use crate::process::{DATABASE, HANGS, RETURNS_X, STUDY, end, guest_pid};
use crate::scene::Scene;
use crate::scripted::objective_of;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs an objective that hangs, from a shell that has left `secret` open as descriptor 9.
fn start_with_descriptor_9(scene: &Scene, flags: &[&str]) -> Child {
    std::fs::write(scene.path("secret"), "a password").unwrap();
    let hangs = scene.objective("hangs", HANGS);
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"exec 9<secret; exec "$0" "$@""#, env!("CARGO_BIN_EXE_trialbox")]);
    shell.args(["run", &hangs, "--storage", DATABASE, "--study-name", STUDY, "--format", "json"]);
    shell.args(flags);
    scene.isolate(&mut shell);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What a process's descriptors lead to.
fn descriptors(pid: impl std::fmt::Display) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect()
}

/// What a process says of filters of its system calls.
fn filter_of(pid: impl std::fmt::Display) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    line.map_or("0", str::trim).to_owned()
}

/// What comes before the colon in a target that is no file.
fn kind(target: &Path) -> &str {
    let target = target.to_str().unwrap();
    target.split_once(':').map_or(target, |(kind, _)| kind)
}

#[test]
fn a_guest_process_has_no_descriptor_of_its_parents_and_may_open_few() {
    let scene = Scene::new("lockdown-descriptors");
    let mut host = start_with_descriptor_9(&scene, &[]);
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

#[test]
fn a_guest_process_runs_behind_a_filter_of_system_calls_where_inspect_says_so() {
    let scene = Scene::new("lockdown-filter");
    let mut host = start_with_descriptor_9(&scene, &[]);
    wait_until_running(&scene, &mut host);
    let inspected = scene.json(&["inspect", &scene.objective("returns", RETURNS_X)]);
    // 2 is a filter (proc_pid_status(5)).
    let mode = if inspected[0]["seccomp"] == true { "2" } else { "0" };
    assert_eq!(filter_of(guest_pid(&host).as_raw_nonzero()), mode);
    assert_eq!(filter_of(host.id()), filter_of("self"));
    host.kill().unwrap();
    end(host);
}

#[test]
fn a_host_process_that_has_the_guest_on_a_thread_gives_up_nothing() {
    let scene = Scene::new("lockdown-thread");
    let mut host = start_with_descriptor_9(&scene, &["--isolation", "thread"]);
    wait_until_running(&scene, &mut host);
    let limits = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(descriptors(host.id()).contains(&scene.path("secret").canonicalize().unwrap()));
    assert_eq!(filter_of(host.id()), filter_of("self"));
    assert_eq!(limits(&host.id().to_string()), limits("self"));
    let returns = scene.objective("returns", RETURNS_X);
    let inspected = scene.json(&["inspect", &returns, "--isolation", "thread"]);
    assert_eq!(
        (&inspected[0]["landlock_abi"], &inspected[0]["seccomp"]),
        (&0.into(), &false.into())
    );
    host.kill().unwrap();
    end(host);
}

/// The errors of `wasi:filesystem/types`, in the order of their numbers.
const ERRORS: &str = "access would-block already bad-descriptor busy deadlock quota exist \
    file-too-large illegal-byte-sequence in-progress interrupted invalid io is-directory loop \
    too-many-links message-size name-too-long no-device no-entry no-lock insufficient-memory \
    insufficient-space not-directory not-empty not-recoverable unsupported no-tty no-such-device \
    overflow not-permitted pipe read-only invalid-seek text-file-busy cross-device";

/// An objective that makes the directory `made` in its first granted directory. Its value is 0 if that went
/// well, otherwise 1 more than the error's number.
fn making_a_directory() -> Vec<u8> {
    let errors: String = ERRORS.split_whitespace().map(|name| format!("\"{name}\" ")).collect();
    objective_of(&format!(
        r#"(import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $errors (enum {errors}))
    (export "error-code" (type $error (eq $errors)))
    (export "[method]descriptor.create-directory-at" (func (param "self" (borrow $descriptor))
      (param "path" string) (result (result (error $error)))))))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (core module $memory (memory (export "memory") 1) (data (i32.const 16) "made")
    (global $next (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (global.get $next))
      (global.set $next (i32.and (i32.const -8)
        (i32.add (i32.const 7) (i32.add (local.get $at) (local.get 3)))))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $directories (canon lower (func $preopens "get-directories")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $make (canon lower (func $types "[method]descriptor.create-directory-at")
    (memory $memory "memory")))
  (core module $m
    (import "memory" "memory" (memory 1))
    (import "wasi" "directories" (func $directories (param i32)))
    (import "wasi" "make" (func $make (param i32 i32 i32 i32)))
    (export "memory" (memory 0))
    (func (export "evaluate") (result i32)
      (call $directories (i32.const 64))
      (call $make (i32.load (i32.load (i32.const 64))) (i32.const 16) (i32.const 4) (i32.const 72))
      (if (i32.load8_u (i32.const 72))
        (then (f64.store (i32.const 48)
          (f64.convert_i32_u (i32.add (i32.const 1) (i32.load8_u (i32.const 73)))))))
      (i32.store8 (i32.const 32) (i32.const 0)) (i32.store (i32.const 36) (i32.const 48))
      (i32.store (i32.const 40) (i32.const 1)) (i32.const 32)))
  (core instance $i (instantiate $m (with "memory" (instance $memory))
    (with "wasi" (instance (export "directories" (func $directories)) (export "make" (func $make))))))"#
    ))
}

#[test]
fn an_objective_writes_to_what_is_granted_for_writing_and_to_nothing_else() {
    let scene = Scene::new("lockdown-grants");
    std::fs::write(scene.path("makes.wasm"), making_a_directory()).unwrap();
    std::fs::create_dir(scene.path("data")).unwrap();
    let value = |rights: &str| {
        let dir = format!("data::/data{rights}");
        scene.json(&["run", "makes.wasm", "--dir", &dir])[0]["values"][0].as_f64().unwrap()
    };
    let error = |name: &str| 1 + ERRORS.split_whitespace().position(|found| found == name).unwrap();
    assert_eq!(value(""), error("not-permitted") as f64);
    assert!(!scene.path("data/made").exists());
    assert_eq!(value(":rw"), 0.0);
    assert!(scene.path("data/made").is_dir());
    assert_eq!(value(":rw"), error("exist") as f64);
}

#[test]
fn a_guest_process_has_a_limit_of_memory_and_is_killed_before_its_host() {
    let scene = Scene::new("lockdown-memory");
    let hangs = scene.objective("hangs", HANGS);
    let mut host = scene.on_study(&["run", &hangs, "--max-memory", "64MiB"]).spawn().unwrap();
    wait_until_running(&scene, &mut host);
    let read =
        |file: &str, pid: u32| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let guest = guest_pid(&host).as_raw_nonzero().get().unsigned_abs();
    let score = |pid| read("oom_score_adj", pid).trim().parse::<i32>().unwrap();
    assert!(score(guest) >= score(host.id()).max(500), "{} {}", score(guest), score(host.id()));
    let limits = read("limits", guest);
    let line = limits.lines().find_map(|line| line.strip_prefix("Max data size")).unwrap();
    let both: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [soft, hard] = both[..] else { panic!("expected two limits, found {line}") };
    // The guest's memory, what its calls may pass, and what the process has for itself.
    assert!((64 << 20..192 << 20).contains(&soft), "{soft}");
    // What the compiler and `describe` may have; no process without rights gets back what was given up.
    assert!((512 << 20..640 << 20).contains(&hard), "{hard}");
    host.kill().unwrap();
    end(host);
}
