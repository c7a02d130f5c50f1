//! What goes wrong around a trial: signals, full disks, read-only places, damaged and locked databases. A
//! finished result is never lost, an error names the thing, and the next run finds a study that works.

use crate::hostile::component;
#[cfg(feature = "failpoints")]
use crate::process::HANGS;
use crate::scene::{Ran, Scene, guest};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// An objective that never returns.
fn endless(scene: &Scene) -> &'static str {
    std::fs::write(scene.path("endless.wasm"), component("(loop $l (br $l)) unreachable")).unwrap();
    "endless.wasm"
}

pub(crate) fn start(scene: &Scene, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
    start_with(scene, "--default-signal", arguments, variables)
}

/// The same, with a flag of env(1) that says what signals do: who runs the tests may have some ignored.
fn start_with(
    scene: &Scene,
    signals: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Child {
    let trialbox = scene.command(arguments);
    let mut command = Command::new("env");
    command.arg(signals).arg(trialbox.get_program()).args(trialbox.get_args());
    command.current_dir(&scene.folder);
    for (name, value) in trialbox.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

pub(crate) fn end(child: Child) -> Ran {
    child.wait_with_output().unwrap().into()
}

pub(crate) fn signal(child: &Child, name: &str) {
    signal_pid(child.id(), name);
}

fn signal_pid(pid: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits for something that another process does.
fn await_that(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::yield_now();
    }
}

/// Waits until a trial of the study is in this state; the process that is to bring it there must live.
pub(crate) fn await_state(scene: &Scene, child: &mut Child, state: &str) {
    await_that(|| {
        assert!(child.try_wait().unwrap().is_none(), "the process ended early");
        count(scene, state) > 0
    });
}

/// Whether a process has ended its guest process.
fn has_no_children(pid: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    children.is_ok_and(|children| children.trim().is_empty())
}

/// How many trials are in a state; none while the database is being made.
fn count(scene: &Scene, state: &str) -> usize {
    let ran = scene.trialbox(&["study", "trials", "--state", state, "--format", "json"]);
    if ran.code == Some(0) { ran.json().len() } else { 0 }
}

/// The state letter of a process: `T` is stopped.
#[cfg(feature = "failpoints")]
fn process_state(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

fn is_integral(database: &Path) -> bool {
    let connection = rusqlite::Connection::open(database).unwrap();
    let found: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    found == "ok"
}

fn trials(scene: &Scene) -> Vec<Value> {
    scene.json(&["study", "trials"])
}

#[test]
fn a_scheduler_that_ends_a_trial_leaves_it_recorded_and_queued_again() {
    for name in ["TERM", "HUP", "XCPU"] {
        let scene = Scene::new(&format!("faults-signal-{name}"));
        let mut child = start(&scene, &["run", endless(&scene), "--max-retries", "1"], &[]);
        await_state(&scene, &mut child, "running");
        signal(&child, name);
        let ran = end(child);
        assert_eq!(ran.code, Some(75), "{name}: {ran:?}");
        assert!(ran.stdout.contains("it was requeued as trial 1"), "{}", ran.stdout);
        let found = trials(&scene);
        assert_eq!(found[0]["system_attrs"]["trialbox:failure"]["code"], "E-INTERRUPTED");
        assert_eq!((&found[0]["state"], &found[1]["state"]), (&"FAIL".into(), &"WAITING".into()));
        assert_eq!(found[1]["system_attrs"]["retry_history"], serde_json::json!([0]));

        // The retry is interrupted too, and has had its try.
        let mut child = start(&scene, &["run", "endless.wasm"], &[]);
        await_state(&scene, &mut child, "running");
        signal(&child, name);
        assert_eq!(end(child).code, Some(75));
        assert_eq!(trials(&scene).len(), 2);
    }
}

#[test]
fn a_user_who_presses_ctrl_c_gets_130_and_no_retry() {
    let scene = Scene::new("faults-ctrl-c");
    let mut child = start(&scene, &["run", endless(&scene)], &[]);
    await_state(&scene, &mut child, "running");
    signal(&child, "INT");
    assert_eq!(end(child).code, Some(130));
    assert_eq!((count(&scene, "fail"), count(&scene, "waiting")), (1, 0));
}

/// A scheduler that has no patience: the trial cannot be recorded before the process is killed.
#[test]
fn a_job_that_is_killed_right_after_its_warning_leaves_a_trial_that_the_next_one_ends() {
    let scene = Scene::new("faults-term-kill");
    let mut child = start(&scene, &["run", endless(&scene)], &[]);
    await_state(&scene, &mut child, "running");
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    signal(&child, "TERM");
    await_that(|| has_no_children(child.id()));
    signal(&child, "KILL");
    assert_eq!(end(child).code, None);
    other.execute_batch("COMMIT").unwrap();
    assert!(is_integral(&scene.path("trialbox.db")));
    let reaped = scene.json(&["reap"]);
    assert_eq!((&reaped[0]["number"], &reaped[0]["retry"]), (&0.into(), &1.into()));
    assert_eq!((count(&scene, "fail"), count(&scene, "waiting")), (1, 1));
}

#[test]
fn a_signal_while_waiting_for_the_database_ends_with_75_and_begins_nothing() {
    let scene = Scene::new("faults-wait");
    scene.json(&["study", "create", "--study-name", "quadratic"]);
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut child = start(&scene, &["run", &guest("quadratic")], &[]);
    let descriptors = format!("/proc/{}/fd", child.id());
    await_that(|| {
        assert!(child.try_wait().unwrap().is_none(), "the process ended early");
        let opened = std::fs::read_dir(&descriptors)
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        opened.into_iter().any(|path| path.ends_with("trialbox.db"))
    });
    signal(&child, "TERM");
    let ran = end(child);
    assert_eq!(ran.code, Some(75), "{ran:?}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(trials(&scene).len(), 0);
}

#[test]
fn a_signal_while_compiling_ends_with_75_and_no_database() {
    let scene = Scene::new("faults-compile");
    // One function of a few hundred thousand instructions takes the compiler seconds.
    let body = "(drop (i64.mul (i64.const 3) (i64.const 5)))".repeat(300_000);
    std::fs::write(scene.path("slow.wasm"), component(&format!("{body} unreachable"))).unwrap();
    let cache = scene.path("cache").display().to_string();
    let mut child = start(&scene, &["run", "slow.wasm", "--cache-dir", &cache], &[]);
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    await_that(|| {
        assert!(child.try_wait().unwrap().is_none(), "the process ended early");
        std::fs::read_to_string(&children).is_ok_and(|children| !children.trim().is_empty())
    });
    signal(&child, "TERM");
    let ran = end(child);
    assert_eq!(ran.code, Some(75), "{ran:?}");
    assert!(!scene.path("trialbox.db").exists());
}

#[test]
fn a_reader_that_goes_away_costs_no_result() {
    let scene = Scene::new("faults-pipe");
    let mut child = start(&scene, &["run", &guest("quadratic"), "-n", "3"], &[]);
    drop(child.stdout.take());
    let ran = end(child);
    // Only the lines are lost, as with any Unix tool before `head`.
    assert_eq!(ran.code, Some(141), "{ran:?}");
    assert_eq!(count(&scene, "complete"), 3);
}

/// Runs with a limit on the size of files, in units of 1 KiB: writes beyond fail, as on a full disk.
fn run_with_file_limit(scene: &Scene, kib: u32, arguments: &[&str]) -> Ran {
    let trialbox = scene.command(arguments);
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("ulimit -f {kib}; exec \"$0\" \"$@\"")]);
    shell.arg(trialbox.get_program()).args(trialbox.get_args()).current_dir(&scene.folder);
    for (name, value) in trialbox.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap().into()
}

/// Whatever write is the first that does not fit: the process says so, nothing acknowledged is lost, and
/// once there is space a plain run goes on.
#[test]
fn a_full_disk_at_any_write_is_an_error_and_loses_nothing() {
    let scene = Scene::new("faults-full");
    let quadratic = guest("quadratic");
    let (mut refused, mut served) = (0, 0);
    let mut acknowledged = Vec::new();
    for kib in (4..=160).step_by(12) {
        let ran =
            run_with_file_limit(&scene, kib, &["run", &quadratic, "-n", "8", "--format", "json"]);
        let lines = ran.json();
        acknowledged.extend(lines.into_iter().filter(|line| line["event"] == "trial"));
        match ran.code {
            Some(0) => served += 1,
            Some(3) => {
                refused += 1;
                assert!(ran.stderr.contains("error[E-STORAGE]"), "{}", ran.stderr);
            }
            other => panic!("{other:?} with {kib} KiB: {ran:?}"),
        }
        if scene.path("trialbox.db").exists() {
            assert!(is_integral(&scene.path("trialbox.db")), "with {kib} KiB");
        }
    }
    assert!(refused > 0 && served > 0, "{refused} refused, {served} served");
    scene.json(&["run", &quadratic]);
    let found = trials(&scene);
    for line in acknowledged {
        let trial = &found[line["number"].as_u64().unwrap() as usize];
        assert_eq!((&trial["state"], &trial["values"]), (&line["state"], &line["values"]));
    }
    assert!(found.iter().all(|trial| trial["state"] != "RUNNING"), "the last run reaped them");
    let spool = scene.path("trialbox.db.spool");
    assert!(!spool.exists(), "what was spooled is recorded");
}

/// The C library's `pwrite` with a quota on the database: the n-th write of it and all later ones fail.
const QUOTA: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int over_quota(int fd) {
    static int left = -1;
    char link[64], path[4096];
    if (left < 0) left = atoi(getenv("QUOTA_WRITES"));
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "trialbox.db")) return 0;
    if (left == 0) return 1;
    left--;
    return 0;
}
ssize_t pwrite64(int fd, const void *buffer, size_t size, off64_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off64_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite64");
    if (over_quota(fd)) { errno = atoi(getenv("QUOTA_ERRNO")); return -1; }
    return next(fd, buffer, size, offset);
}
"#;

#[test]
fn a_write_that_fails_is_an_error_and_loses_nothing_whichever_it_is() {
    let scene = Scene::new("faults-quota");
    std::fs::write(scene.path("quota.c"), QUOTA).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "quota.so", "quota.c", "-ldl"])
        .current_dir(&scene.folder)
        .status();
    assert!(built.unwrap().success(), "the C compiler that builds SQLite builds this too");
    let library = scene.path("quota.so").display().to_string();
    scene.json(&["study", "create", "--study-name", "quadratic"]);
    // A quota, a full disk, a broken disk.
    for errno in [rustix::io::Errno::DQUOT, rustix::io::Errno::NOSPC, rustix::io::Errno::IO] {
        check_failing_writes(&scene, &library, &errno.raw_os_error().to_string());
    }
}

/// Lets the first write fail, then the second, and so on, until none is left that could.
fn check_failing_writes(scene: &Scene, library: &str, errno: &str) {
    let quadratic = guest("quadratic");
    let mut writes = 0;
    loop {
        let count = writes.to_string();
        let variables = [("LD_PRELOAD", library), ("QUOTA_WRITES", &count), ("QUOTA_ERRNO", errno)];
        let ran = end(start(scene, &["run", &quadratic, "--format", "json"], &variables));
        assert!(is_integral(&scene.path("trialbox.db")), "after {writes} writes");
        if ran.code == Some(0) {
            break;
        }
        assert_eq!(ran.code, Some(3), "errno {errno} after {writes} writes: {ran:?}");
        writes += 1;
    }
    assert!(writes >= 8, "only {writes} writes could fail");
    // Every spooled result is recorded, and no trial is left RUNNING.
    scene.json(&["run", &quadratic]);
    assert!(trials(scene).iter().all(|trial| trial["state"] != "RUNNING"));
    assert!(!scene.path("trialbox.db.spool").exists());
}

/// A user whom file permissions bind. Tests may run as root, whom they do not.
fn as_ordinary_user(scene: &Scene, arguments: &[&str]) -> Ran {
    let is_root = rustix::process::geteuid().is_root();
    let inner = scene.command(arguments);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
        command.arg(inner.get_program());
        command
    } else {
        Command::new(inner.get_program())
    };
    command.args(inner.get_args()).current_dir(&scene.folder).env("HOME", &scene.folder);
    command.arg("--no-cache").env_remove("TRIALBOX_CACHE_DIR").output().unwrap().into()
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_before_the_objective_runs() {
    let quadratic = guest("quadratic");
    let scene = Scene::new("faults-read-only");
    let copy = scene.path("quadratic.wasm");
    std::fs::copy(&quadratic, &copy).unwrap();
    scene.json(&["run", "quadratic.wasm"]);
    let database = scene.path("trialbox.db");
    for (file, folder) in [(0o444, 0o777), (0o666, 0o555)] {
        chmod(&database, file);
        chmod(&scene.folder, folder);
        let before = std::fs::read(&database).unwrap();
        let ran = as_ordinary_user(&scene, &["run", "quadratic.wasm", "-v"]);
        ran.assert_error(3, &["trialbox.db", "must be writable"]);
        assert_eq!(std::fs::read(&database).unwrap(), before);
    }
    // Reading needs no more than reading.
    chmod(&database, 0o444);
    let ran = scene.trialbox(&["study", "trials", "--format", "json"]);
    assert_eq!((ran.code, ran.json().len()), (Some(0), 1));
    chmod(&scene.folder, 0o755);
    // Where there is no database yet, the folder is what counts.
    let scene = Scene::new("faults-read-only-new");
    std::fs::copy(&quadratic, scene.path("quadratic.wasm")).unwrap();
    chmod(&scene.folder, 0o555);
    let ran = as_ordinary_user(&scene, &["run", "quadratic.wasm"]);
    ran.assert_error(3, &["failed to create the database `trialbox.db`", "cannot be written"]);
    chmod(&scene.folder, 0o755);
}

#[test]
fn a_long_lock_is_waited_for_with_a_line_that_names_its_holder() {
    let scene = Scene::new("faults-long-lock");
    scene.json(&["run", &guest("quadratic")]);
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut child = start(&scene, &["run", &guest("quadratic")], &[]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.next().expect("it says that it waits").unwrap();
    assert!(line.contains("trialbox.db` has been locked for 10 s"), "{line}");
    assert!(line.contains(&format!("by process {}", std::process::id())), "{line}");
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(end(child).code, Some(0));
    assert_eq!(count(&scene, "complete"), 2);
}

#[test]
fn a_reader_with_an_old_snapshot_holds_nobody_up_in_wal_mode() {
    let scene = Scene::new("faults-wal");
    scene.json(&["run", &guest("quadratic")]);
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    let mode: String = other.query_row("PRAGMA journal_mode = wal", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    other.execute_batch("BEGIN").unwrap();
    let seen = |sql: &str| other.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(seen("SELECT count(*) FROM trials"), 1);
    scene.json(&["run", &guest("quadratic"), "-n", "3", "--storage-timeout", "60s"]);
    assert_eq!(seen("SELECT count(*) FROM trials"), 1);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(seen("SELECT count(*) FROM trials"), 4);
    // The journal mode is left as it was found.
    let mode: String = other.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[cfg(feature = "failpoints")]
#[test]
fn a_hang_up_ends_a_job_but_not_one_under_nohup() {
    for (signals, code) in [("--default-signal=HUP", 75), ("--ignore-signal=HUP", 0)] {
        let scene = Scene::new(&format!("faults-nohup-{code}"));
        let child = stopped_before_the_end(&scene, signals);
        signal(&child, "HUP");
        signal(&child, "CONT");
        let ran = end(child);
        assert_eq!(ran.code, Some(code), "{signals}: {ran:?}");
        assert_eq!(count(&scene, "complete"), 1, "the trial had ended");
    }
}

/// Starts a run that stops itself when its trial has ended and is about to be recorded.
#[cfg(feature = "failpoints")]
pub(crate) fn stopped_before_the_end(scene: &Scene, signals: &str) -> Child {
    let arguments = ["run", &guest("quadratic"), "--storage-timeout", "1s"];
    let faults = [("TRIALBOX_FAILPOINTS", "finish.before_begin=stop@1")];
    let child = start_with(scene, signals, &arguments, &faults);
    await_that(|| process_state(child.id()) == "T");
    child
}

#[cfg(feature = "failpoints")]
#[test]
fn a_result_that_cannot_be_written_is_kept_and_recorded_once_by_sync_or_the_next_run() {
    for by_run in [false, true] {
        let scene = Scene::new(&format!("faults-spool-{by_run}"));
        let child = stopped_before_the_end(&scene, "--default-signal");
        let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
        other.execute_batch("BEGIN EXCLUSIVE").unwrap();
        signal(&child, "CONT");
        let ran = end(child);
        ran.assert_error(
            3,
            &[
                "trial 0 finished as COMPLETE, but its result could not be recorded",
                "s for the database's lock",
                "trialbox.db.spool/0-",
                "`trialbox study sync` records it",
            ],
        );
        other.execute_batch("COMMIT").unwrap();
        assert_eq!(count(&scene, "running"), 1);
        let spool = scene.path("trialbox.db.spool");
        let file = std::fs::read_dir(&spool).unwrap().next().unwrap().unwrap().path();
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        if by_run {
            // Merged before the reaper looks, whose business the dead process would be.
            let ran = scene.trialbox(&["run", &guest("quadratic")]);
            assert!(ran.stderr.contains("trial 0 of study `quadratic` has its result now"));
        } else {
            let synced = scene.json(&["study", "sync"]);
            assert_eq!(synced[0]["fate"], "recorded");
            assert_eq!(scene.json(&["study", "sync"]), Vec::<Value>::new());
        }
        assert!(!spool.exists());
        let trial = &trials(&scene)[0];
        assert_eq!((&trial["state"], &trial["values"]), (&"COMPLETE".into(), &kept["values"]));
        assert_eq!(trial["params"].as_object().unwrap().len(), 2);
    }
}

#[cfg(feature = "failpoints")]
#[test]
fn a_database_that_is_replaced_or_gone_keeps_the_result_in_a_file() {
    let scene = Scene::new("faults-gone");
    let child = stopped_before_the_end(&scene, "--default-signal");
    std::fs::rename(scene.path("trialbox.db"), scene.path("away.db")).unwrap();
    signal(&child, "CONT");
    let ran = end(child);
    ran.assert_error(3, &["its result could not be recorded", "trialbox.db.spool/0-"]);
    std::fs::rename(scene.path("away.db"), scene.path("trialbox.db")).unwrap();
    assert_eq!(scene.json(&["study", "sync"])[0]["fate"], "recorded");
    assert_eq!(count(&scene, "complete"), 1);
}

#[cfg(feature = "failpoints")]
#[test]
fn a_spooled_result_whose_trial_was_ended_meanwhile_is_kept_with_the_study() {
    let scene = Scene::new("faults-late");
    let child = stopped_before_the_end(&scene, "--default-signal");
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    signal(&child, "CONT");
    assert_eq!(end(child).code, Some(3));
    other.execute_batch("COMMIT").unwrap();
    // Its process is gone, but its result is known to wait: only a person ends it all the same.
    assert_eq!(scene.json(&["reap"])[0]["n_lost"], 0);
    let reaped = scene.json(&["reap", "--trial", "0"]);
    assert_eq!((&reaped[0]["number"], &reaped[0]["retry"]), (&0.into(), &1.into()));
    let synced = scene.json(&["study", "sync"]);
    assert_eq!(synced[0]["fate"], "too_late");
    let study = &scene.json(&["study", "show"])[0];
    let late: Vec<&String> = study["user_attrs"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.starts_with("trialbox:late_result:0:"))
        .collect();
    assert_eq!(late.len(), 1, "{study}");
    assert_eq!((count(&scene, "fail"), count(&scene, "waiting")), (1, 1));
}

/// The process of another machine: this one knows nothing of its life, and its clock may say anything.
#[cfg(feature = "failpoints")]
#[test]
fn a_silent_heart_is_only_a_suspect_until_it_was_watched_for_the_whole_grace() {
    let scene = Scene::new("faults-silent");
    let hangs = scene.objective("hangs", HANGS);
    // Stopped before its first write, or that write may come while the row is changed.
    let faults = [("TRIALBOX_FAILPOINTS", "record.before_begin=stop@1")];
    let child = start(&scene, &["run", &hangs], &faults);
    await_that(|| process_state(child.id()) == "T");
    let database = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    for skew in ["-1 hours", "+1 hours"] {
        database
            .execute_batch(&format!(
                "UPDATE trial_heartbeats SET heartbeat = datetime('now', '{skew}');
                 UPDATE trial_system_attributes SET value_json = json_set(value_json, '$.boot_id', 'elsewhere')
                 WHERE \"key\" = 'trialbox:owner'"
            ))
            .unwrap();
        let reaped = scene.json(&["reap", "--grace", "10m"]);
        assert_eq!(
            (&reaped[0]["n_lost"], &reaped[0]["suspects"]),
            (&0.into(), &serde_json::json!([0]))
        );
        assert_eq!(count(&scene, "running"), 1);
    }
    // A second look, and the grace is over by this machine's own clock: then it is lost, and tried again.
    let reaped = scene.json(&["reap", "--grace", "1ms", "--force", "--wait"]);
    assert_eq!((&reaped[0]["number"], &reaped[0]["retry"]), (&0.into(), &1.into()));
    // Its process finds out at its next write, stops, and touches nothing.
    signal(&child, "CONT");
    let ran = end(child);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(ran.stdout.contains("another worker finished it as FAIL"), "{}", ran.stdout);
    assert_eq!((count(&scene, "fail"), count(&scene, "waiting")), (1, 1));
}

#[test]
fn times_are_utc_whatever_the_time_zone_and_no_live_trial_is_reaped_across_zones() {
    let scene = Scene::new("faults-zones");
    let tokyo = [("TZ", "Asia/Tokyo")];
    let mut child = start(&scene, &["run", endless(&scene)], &tokyo);
    await_state(&scene, &mut child, "running");
    for zone in ["America/New_York", "Asia/Tokyo", "UTC"] {
        let ran = end(start(&scene, &["reap", "--format", "json"], &[("TZ", zone)]));
        assert_eq!(ran.json()[0]["n_running"], 1, "{zone}: {ran:?}");
        assert_eq!(ran.json()[0]["suspects"], serde_json::json!([]), "{zone}");
    }
    signal(&child, "TERM");
    end(child);
    let database = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    let minutes: f64 = database
        .query_row(
            "SELECT abs(julianday('now') - julianday(datetime_start)) * 1440 FROM trials WHERE number = 0",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(minutes < 60.0, "naive UTC, not local time: {minutes} minutes off");
}

#[test]
fn any_number_of_processes_fill_an_empty_cache_and_a_bad_entry_is_made_anew() {
    let scene = Scene::new("faults-cache");
    let cache = scene.path("cache");
    let arguments =
        ["run", &guest("quadratic"), "--cache-dir", cache.to_str().unwrap(), "--format", "json"];
    let children: Vec<Child> = (0..40).map(|_| start(&scene, &arguments, &[])).collect();
    for child in children {
        let ran = end(child);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(count(&scene, "complete"), 40);
    let entries = || -> Vec<_> {
        std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(entries().len(), 1, "one entry and nothing beside it: {:?}", entries());
    let whole = std::fs::read(&entries()[0]).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"", &[0; 5000]] {
        std::fs::write(&entries()[0], damaged).unwrap();
        assert_eq!(scene.trialbox(&arguments).code, Some(0));
        assert_eq!(std::fs::read(&entries()[0]).unwrap().len(), whole.len());
    }
    assert_eq!(count(&scene, "fail"), 0);
}

/// Code that others could have put there is not run, and code that cannot be kept is compiled anew.
#[test]
fn a_cache_that_is_not_private_or_cannot_be_written_costs_time_and_no_trial() {
    let scene = Scene::new("faults-cache-dir");
    let cache = scene.path("cache");
    std::fs::create_dir(&cache).unwrap();
    chmod(&cache, 0o777);
    std::fs::write(scene.path("file"), "").unwrap();
    for folder in ["cache", "file", "/proc/trialbox"] {
        let ran = scene.trialbox(&["run", &guest("quadratic"), "--cache-dir", folder]);
        assert_eq!(ran.code, Some(0), "{folder}: {ran:?}");
        assert!(ran.stderr.contains("compiled code could not be kept"), "{folder}: {}", ran.stderr);
    }
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 0);
    assert_eq!(count(&scene, "complete"), 3);
}

#[test]
fn a_trial_that_is_told_from_outside_ends_just_once() {
    let scene = Scene::new("faults-told");
    scene.json(&["study", "create", "--study-name", "s"]);
    let space = r#"{"x": {"type": "float", "low": 0, "high": 1}}"#;
    let asked = scene.json(&["trial", "ask", "--search-space", space]).remove(0);
    let owner = asked["owner"].as_str().unwrap();
    scene
        .trialbox(&["trial", "tell", "0", "--values", "1", "--owner", "another"])
        .assert_error(6, &["its token is another"]);
    let told = scene.json(&["trial", "tell", "0", "--values", "0.5", "--owner", owner]);
    assert_eq!(told[0]["state"], "COMPLETE");
    scene
        .trialbox(&["trial", "tell", "0", "--values", "1"])
        .assert_error(6, &["trial 0 is COMPLETE"]);
    let skipped = scene.json(&["trial", "tell", "0", "--values", "1", "--skip-if-finished"]);
    assert_eq!(skipped[0]["event"], "skipped");
    assert_eq!(trials(&scene)[0]["values"], serde_json::json!([0.5]));
}

#[test]
fn the_second_ctrl_c_ends_the_process_at_once() {
    let scene = Scene::new("faults-twice");
    scene.json(&["study", "create", "--study-name", "endless"]);
    let mut child = start(&scene, &["run", endless(&scene)], &[]);
    await_state(&scene, &mut child, "running");
    let other = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // The first makes it record the trial, for which it waits; the second ends the waiting.
    signal(&child, "INT");
    await_that(|| child.try_wait().unwrap().is_some() || has_no_children(child.id()));
    signal(&child, "INT");
    let mut output = String::new();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!(output, "");
    other.execute_batch("COMMIT").unwrap();
    assert!(is_integral(&scene.path("trialbox.db")));
}
