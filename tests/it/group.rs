//! A study that a group shares: a folder with the set-group-ID bit, and users with the umask 002.

use crate::scene::{Ran, Scene, guest};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// A group without a name, and two users without one in it.
const GROUP: u32 = 61_234;
const USERS: [u32; 2] = [61_001, 61_002];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a command with the umask 002, as a user of the group where the test may choose one.
fn run_as(scene: &Scene, user: u32, arguments: &[&str]) -> Ran {
    let trialbox = scene.command(arguments);
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 002; exec \"$0\" \"$@\""]).arg(trialbox.get_program());
    shell.args(trialbox.get_args()).current_dir(&scene.folder).env("HOME", &scene.folder);
    if is_root() {
        shell.uid(user).gid(GROUP);
    }
    shell.output().unwrap().into()
}

fn mode(scene: &Scene, name: &str) -> u32 {
    scene.path(name).metadata().unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_one_user_of_a_group_creates_another_can_use() {
    let scene = Scene::new("group");
    if is_root() {
        std::os::unix::fs::chown(&scene.folder, None, Some(GROUP)).unwrap();
    }
    std::fs::set_permissions(&scene.folder, std::fs::Permissions::from_mode(0o2775)).unwrap();
    for lock in ["sqlite", "file"] {
        let database = format!("{lock}.db");
        for (n_before, user) in USERS.into_iter().enumerate() {
            let run =
                ["run", &guest("quadratic"), "--storage", &database, "--lock", lock, "--no-cache"];
            let ran = run_as(&scene, user, &run);
            assert_eq!(ran.code, Some(0), "{lock}, user {user}: {ran:?}");
            assert!(ran.stdout.starts_with(&format!("trial {n_before} ")), "{ran:?}");
        }
        assert_eq!(mode(&scene, &database), 0o664, "{lock}");
    }
    // A result that one user's job had to keep in a file, another user's job records.
    let held = rusqlite::Connection::open(scene.path("sqlite.db")).unwrap();
    held.execute_batch("PRAGMA journal_mode = DELETE").unwrap();
    let ask =
        run_as(&scene, USERS[0], &["trial", "ask", "--storage", "sqlite.db", "--format", "json"]);
    let number = ask.json()[0]["number"].to_string();
    held.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let tell = ["trial", "tell", &number, "--values", "1", "--storage", "sqlite.db"];
    let told = run_as(&scene, USERS[0], &[&tell[..], &["--storage-timeout", "1s"]].concat());
    assert_eq!(told.code, Some(3), "{told:?}");
    held.execute_batch("COMMIT").unwrap();
    drop(held);
    if scene.path("sqlite.db.spool").exists() {
        assert_eq!(mode(&scene, "sqlite.db.spool") & 0o775, 0o775);
        assert_eq!(scene.path("sqlite.db.spool").metadata().unwrap().gid(), gid_of(&scene));
        let synced = run_as(&scene, USERS[1], &["study", "sync", "--storage", "sqlite.db"]);
        assert_eq!(synced.code, Some(0), "{synced:?}");
    }
}

fn gid_of(scene: &Scene) -> u32 {
    scene.folder.metadata().unwrap().gid()
}
