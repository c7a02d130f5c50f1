//! Results that are told or finished while the database cannot be used, and where they are found again.

use crate::scene::{Ran, Scene};
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::path::Path;

const TELL: [&str; 6] = ["trial", "tell", "0", "--values", "0.25", "--storage-timeout=50ms"];

const SPACE: &str = r#"{"x": {"type": "float", "low": 0, "high": 1}}"#;

/// A study with a trial that was asked for.
fn asked(test: &str) -> Scene {
    let scene = Scene::new(test);
    scene.json(&["study", "create", "--study-name", "s"]);
    scene.json(&["trial", "ask", "--search-space", SPACE]);
    scene
}

/// Checks that the result was kept, and that `sync` records it once.
#[track_caller]
fn assert_kept(scene: &Scene, told: &Ran) {
    told.assert_error(
        3,
        &["the result of trial 0 could not be recorded", "the result is kept in `", "study sync"],
    );
    assert_eq!(scene.json(&["reap"])[0]["n_lost"], 0);
    let synced = scene.json(&["study", "sync"]);
    assert_eq!((synced.len(), &synced[0]["fate"]), (1, &json!("recorded")), "{synced:?}");
    let trial = &scene.json(&["trial", "show", "0"])[0];
    assert_eq!((&trial["state"], &trial["values"]), (&json!("COMPLETE"), &json!([0.25])));
    assert_eq!(scene.json(&["study", "sync"]), Vec::<Value>::new());
}

#[test]
fn a_told_result_is_kept_while_another_process_locks_the_database() {
    let scene = asked("kept-locked");
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let told = scene.trialbox(&TELL);
    other.execute_batch("COMMIT").unwrap();
    assert_kept(&scene, &told);
}

#[test]
fn a_told_result_is_kept_while_the_lock_file_is_taken() {
    let scene = asked("kept-lock-file");
    scene.json(&["study", "list", "--lock", "file"]);
    let lock = scene.path("trialbox.db.lock");
    let released = std::fs::read_to_string(&lock).unwrap();
    // Its holder is a process that lives: this one.
    let pid = format!("\"pid\": {}", std::process::id());
    let theirs: Value = serde_json::from_str(released.lines().next().unwrap()).unwrap();
    let start = std::fs::read_to_string("/proc/self/stat").unwrap();
    let start = start.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    let held = released
        .replace(&format!("\"pid\": {}", theirs["pid"]), &pid)
        .replace(
            &format!("\"pid_start_ticks\": {}", theirs["pid_start_ticks"]),
            &format!("\"pid_start_ticks\": {start}"),
        )
        .replace("released \n", "held     \n");
    std::fs::write(&lock, held).unwrap();
    let told = scene.trialbox(&TELL);
    std::fs::write(&lock, released).unwrap();
    assert_kept(&scene, &told);
}

#[test]
fn a_told_result_is_kept_while_the_database_is_away() {
    let scene = asked("kept-away");
    std::fs::rename(scene.path("trialbox.db"), scene.path("away.db")).unwrap();
    let told = scene.trialbox(&TELL);
    std::fs::rename(scene.path("away.db"), scene.path("trialbox.db")).unwrap();
    assert_kept(&scene, &told);
}

#[test]
fn a_told_result_is_kept_where_files_may_not_grow() {
    let scene = asked("kept-limited");
    // The signal that the kernel sends then ends a process that does not expect it.
    let mut limited = std::process::Command::new("sh");
    scene.isolate(&mut limited);
    limited
        .args(["-c", "ulimit -f 8; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_trialbox")])
        .args(TELL);
    let told: Ran = limited.output().unwrap().into();
    assert_kept(&scene, &told);
}

#[test]
fn a_told_result_that_came_too_late_is_kept_with_the_study() {
    let scene = asked("kept-late");
    std::fs::rename(scene.path("trialbox.db"), scene.path("away.db")).unwrap();
    scene.trialbox(&TELL).assert_error(3, &["is kept in"]);
    std::fs::rename(scene.path("away.db"), scene.path("trialbox.db")).unwrap();
    scene.json(&["trial", "tell", "0", "--values", "0.5"]);
    assert_eq!(scene.json(&["study", "sync"])[0]["fate"], "too_late");
    let study = &scene.json(&["study", "show"])[0];
    assert_eq!(study["user_attrs"]["trialbox:late_result:0:told"]["values"], json!([0.25]));
}

/// On many clusters the home directory has a link to the scratch file system.
#[test]
fn a_result_that_was_kept_through_a_link_is_found_by_every_name_of_the_database() {
    for way in ["scratch/s.db", "link.db", "real/s.db"] {
        let scene = Scene::new("kept-link");
        std::fs::create_dir(scene.path("real")).unwrap();
        symlink("real", scene.path("scratch")).unwrap();
        symlink("scratch/s.db", scene.path("link.db")).unwrap();
        let storage = |path: &str| ["--storage".to_owned(), scene.path(path).display().to_string()];
        let [flag, real] = storage("real/s.db");
        scene.json(&["study", "create", "--study-name", "s", &flag, &real]);
        scene.json(&["trial", "ask", "--search-space", SPACE, &flag, &real]);
        // The file system is away, and the result goes to the user's own folder.
        std::fs::rename(scene.path("real"), scene.path("away")).unwrap();
        let own = scene.path("own").display().to_string();
        let [_, given] = storage(way);
        let told = scene.trialbox(&[&TELL[..], &["--spool-dir", &own, &flag, &given]].concat());
        told.assert_error(3, &[&own]);
        std::fs::rename(scene.path("away"), scene.path("real")).unwrap();
        assert!(!Path::new(&real).with_extension("db.spool").exists());
        let synced = scene.json(&["study", "sync", "--spool-dir", &own, &flag, &real]);
        assert_eq!(synced[0]["fate"], "recorded", "{way}: {synced:?}");
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_result_is_found_after_its_database_was_renamed() {
    use crate::process::{DATABASE, end, resume, wait_until_stopped};
    let scene = Scene::new("kept-renamed");
    let child = scene.start(
        "finish.before_begin=stop@1",
        &["run", &crate::scene::guest("quadratic"), "--storage-timeout", "50ms"],
    );
    wait_until_stopped(&child);
    let other = rusqlite::Connection::open(scene.path(DATABASE)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    resume(&child);
    assert_eq!(end(child).code, Some(3));
    drop(other);
    std::fs::rename(scene.path(DATABASE), scene.path("best.db")).unwrap();
    let best = scene.path("best.db").display().to_string();
    let storage = ["--storage", &best];
    let doctor = scene.trialbox(&[&["doctor", "--repair"][..], &storage].concat());
    assert!(doctor.stdout.contains("its result waits in `"), "{doctor:?}");
    assert!(doctor.stdout.contains("trialbox study sync --storage"), "{doctor:?}");
    let json = |arguments: &[&str]| scene.json(&[arguments, &storage[..]].concat());
    assert_eq!(json(&["reap"])[0]["n_lost"], 0);
    assert_eq!(json(&["study", "sync"])[0]["fate"], "recorded");
    assert_eq!(json(&["trial", "show", "0"])[0]["state"], "COMPLETE");
}
