//! Ways out of the sandbox, tried by a guest in Rust with what its standard library has. None leads anywhere.

use crate::scene::{Ran, Scene, guest};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What is tried on files, and which of it is granted. The kernel alone gives the same answers, by the test beside
/// `lockdown.rs`.
const FILES: &str = include_str!("../guests/prober/files.txt");

/// What Landlock lets a process see, and WASI does not.
const UNSEEN: [&str; 16] = [
    "stat /etc/passwd",
    "stat outside",
    "stat rw/..",
    "stat rw/../outside/secret",
    "stat rw/link",
    "stat rw/link/",
    "stat rw/dirlink",
    "stat rw/dirlink/",
    "stat rw/dirlink/secret",
    "read rw/link/",
    "rename rw/dirlink/ rw/k",
    "link rw/link/ rw/k",
    "read /proc/self/fd/0",
    "read /dev/fd/0",
    "list /dev",
    "list .",
];

const SECRET: &str = "a secret of others'";

/// A scene with a directory for reading, one for writing with links out of it, and one of others'.
fn new_scene(test: &str) -> Scene {
    let scene = Scene::new(test);
    for dir in ["ro", "rw/dir", "outside"] {
        fs::create_dir_all(scene.path(dir)).unwrap();
    }
    fs::write(scene.path("ro/data"), "ours").unwrap();
    fs::write(scene.path("rw/data"), "ours").unwrap();
    fs::write(scene.path("outside/secret"), SECRET).unwrap();
    let outside = scene.path("outside").canonicalize().unwrap();
    symlink("../outside/secret", scene.path("rw/link")).unwrap();
    symlink(outside.join("secret"), scene.path("rw/abslink")).unwrap();
    symlink("../outside", scene.path("rw/dirlink")).unwrap();
    symlink(outside, scene.path("rw/absdirlink")).unwrap();
    scene
}

/// One trial that makes these attempts, from a shell with limits of its own that has left the secret open as
/// descriptor 9 and as standard input. Gives what came of each.
#[track_caller]
fn try_all(scene: &Scene, limits: &str, attempts: &[&str]) -> Value {
    let mut shell = Command::new("sh");
    let script = format!(r#"{limits} exec "$0" "$@" 9<outside/secret <outside/secret"#);
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_trialbox"), "run", &guest("prober")]);
    shell.args(["--dir", "ro::/ro", "--dir", "rw::/rw:rw", "--format", "json"]);
    shell.args(["--env", "SEEN=yes", "--env", &format!("ATTEMPT={}", attempts.join("\n"))]);
    scene.isolate(&mut shell);
    // Nothing of the user's comes through.
    shell.env("PASSWORD", SECRET);
    let ran = Ran::from(shell.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trial = ran.json().swap_remove(0);
    assert_eq!(trial["values"][0], attempts.len() as f64, "{trial}");
    trial["user_attrs"].clone()
}

/// Others' directory and the one for reading are as they were.
#[track_caller]
fn assert_untouched(scene: &Scene) {
    let names = |dir: &str| {
        let entries = fs::read_dir(scene.path(dir)).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names("outside"), ["secret"]);
    assert_eq!(names("ro"), ["data"]);
    assert_eq!(fs::read_to_string(scene.path("outside/secret")).unwrap(), SECRET);
    assert_eq!(fs::read_to_string(scene.path("ro/data")).unwrap(), "ours");
}

#[test]
fn a_guest_that_looks_for_files_beyond_its_grants_finds_and_changes_none() {
    let scene = new_scene("escapes-files");
    let expected = FILES.lines().map(|line| line.split_once(": ").unwrap());
    let expected: Vec<_> = expected.chain(UNSEEN.map(|attempt| ("refused", attempt))).collect();
    let attempts: Vec<&str> = expected.iter().map(|(_, attempt)| *attempt).collect();
    let came = try_all(&scene, "", &attempts);
    let wrong = expected.into_iter().filter_map(|(want, attempt)| {
        let came = came[attempt].as_str().unwrap_or("nothing came of it");
        (!came.starts_with(want)).then(|| format!("{attempt}: {came}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
    assert_untouched(&scene);
}

#[test]
fn a_guest_makes_no_link_to_a_path_of_the_machines() {
    let scene = new_scene("escapes-absolute");
    let target = scene.path("outside/secret").canonicalize().unwrap();
    let attempts = ["rw/a", "rw/dir/a"]
        .map(|link| format!("symlink {} {link}; read {link}", target.display()));
    let came = try_all(&scene, "", &attempts.each_ref().map(String::as_str));
    for attempt in &attempts {
        assert!(came[attempt].as_str().unwrap().starts_with("refused: "), "{came}");
    }
    assert!(!scene.path("rw/a").is_symlink(), "it was made");
}

#[test]
fn a_guest_sees_no_environment_and_no_descriptor_but_what_it_was_given() {
    let scene = new_scene("escapes-environment");
    let came = try_all(&scene, "", &["environment", "descriptors"]);
    assert_eq!(came["environment"], "got SEEN=yes");
    assert_eq!(came["descriptors"], "got ");
}

#[test]
fn an_objective_that_wants_the_network_is_not_run() {
    let scene = Scene::new("escapes-network");
    let ran = scene.trialbox(&["run", &guest("dialer"), "--storage", "study.db"]);
    ran.assert_error(4, &["E-CAPABILITY", "the network"]);
    assert!(!scene.path("study.db").exists(), "a database was made");
}

#[test]
fn a_guest_that_opens_files_without_end_has_few_and_leaves_the_next_trial_all() {
    let scene = new_scene("escapes-descriptors");
    let opened = |came: &Value| -> u32 {
        let came = came["open-many ro/data"].as_str().unwrap();
        came.strip_prefix("got ").unwrap().parse().unwrap()
    };
    // 512 is what the guest process may have, of which some are its own.
    let first = opened(&try_all(&scene, "", &["open-many ro/data"]));
    assert!((400..512).contains(&first), "{first}");
    let second = try_all(&scene, "", &["open-many ro/data", "read ro/data"]);
    assert_eq!(opened(&second), first);
    assert_eq!(second["read ro/data"], "got ours");
}

#[test]
fn a_guest_fills_no_more_of_a_disk_than_the_jobs_limit_on_files() {
    let scene = new_scene("escapes-disk");
    let came = try_all(&scene, "ulimit -f 2048;", &["fill ro/data", "fill ro/new", "fill rw/big"]);
    assert_eq!(came["fill ro/data"], "got 0 KiB");
    assert_eq!(came["fill ro/new"], "got 0 KiB");
    // The units of `ulimit -f` are 512 bytes by POSIX, and 1024 in other shells.
    let size = fs::metadata(scene.path("rw/big")).unwrap().len();
    assert!([1 << 20, 2 << 20].contains(&size), "{size}");
    assert_eq!(came["fill rw/big"], format!("got {} KiB", size >> 10));
    assert_untouched(&scene);
    assert!(is_healthy(&scene.path("trialbox.db")));
}

/// Whether the database of a run exists and can be read.
fn is_healthy(database: &Path) -> bool {
    let count = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'";
    rusqlite::Connection::open(database)
        .and_then(|database| database.query_one(count, [], |row| row.get::<_, i64>(0)))
        .is_ok_and(|count| count == 1)
}
