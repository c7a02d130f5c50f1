//! Attacks on the cache of compiled code: an entry is used as it was written, or not at all.

use super::guests;
use crate::scene::{Ran, Scene};
use sha2::{Digest as _, Sha256};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A scene with a cache of its own, and the honest objective.
struct Cached {
    scene: Scene,
}

impl Cached {
    fn new(test: &str) -> Self {
        let scene = Scene::new(test);
        fs::write(scene.path("x.wasm"), guests::honest()).unwrap();
        Cached { scene }
    }

    fn folder(&self) -> PathBuf {
        self.scene.path("cache")
    }

    /// The value of a call, and whether the code was compiled before.
    #[track_caller]
    fn run(&self) -> (serde_json::Value, bool) {
        let call = |arguments: &[&str]| {
            let cache = ["--cache-dir", "cache", "--format", "json"];
            let ran = self.scene.trialbox(&[arguments, &cache].concat());
            assert_eq!(ran.code, Some(0), "{ran:?}");
            ran.json().remove(0)
        };
        let from_cache = call(&["inspect", "x.wasm", "--no-probe"])["from_cache"].as_bool();
        (call(&["eval", "x.wasm"])["values"].clone(), from_cache.unwrap())
    }

    /// The entry of the only component.
    #[track_caller]
    fn entry(&self) -> PathBuf {
        let found: Vec<PathBuf> =
            fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [entry] = &found[..] else { panic!("one entry was expected, not {found:?}") };
        entry.clone()
    }
}

/// What is done to an entry.
type Tampering<'a> = dyn Fn(&Path) + 'a;

/// Writes an entry with a digest that is right, as it could be made without the user's key.
fn forge(entry: &Path, code: &[u8]) {
    fs::write(entry, [code, &Sha256::digest(code)[..]].concat()).unwrap();
}

fn change(entry: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(entry).unwrap();
    change(&mut bytes);
    fs::write(entry, bytes).unwrap();
}

/// What authenticates the code, at the end of an entry.
const AUTHENTICATION_BYTES: usize = 32;

fn code_of(entry: &[u8]) -> &[u8] {
    &entry[..entry.len() - AUTHENTICATION_BYTES]
}

#[test]
fn an_entry_that_is_not_as_it_was_written_is_compiled_again() {
    let cached = Cached::new("hostile-cache");
    assert!(!cached.run().1, "the cache is not cold");
    let good = fs::read(cached.entry()).unwrap();
    let ways: [(&str, &Tampering); 9] = [
        ("one bit", &|entry| change(entry, |bytes| bytes[good.len() / 2] ^= 1)),
        ("the authentication", &|entry| change(entry, |bytes| bytes[good.len() - 1] ^= 1)),
        ("the end", &|entry| change(entry, |bytes| bytes.truncate(good.len() - 1))),
        ("nearly all", &|entry| change(entry, |bytes| bytes.truncate(10))),
        ("all", &|entry| change(entry, Vec::clear)),
        // These have the right digest, and code that would run.
        ("another program", &|entry| forge(entry, &guests::elf())),
        ("another engine", &|entry| forge(entry, &of_other_engine(code_of(&good)))),
        ("the same code", &|entry| forge(entry, code_of(&good))),
        ("others' rights", &|entry| {
            fs::set_permissions(entry, Permissions::from_mode(0o666)).unwrap()
        }),
    ];
    for (what, tamper) in ways {
        tamper(&cached.entry());
        assert_eq!(cached.run(), (serde_json::json!([0.0]), false), "{what}");
        assert_eq!(cached.run(), (serde_json::json!([0.0]), true), "{what}, afterwards");
        assert!(fs::read(cached.entry()).unwrap() == good, "{what}");
    }
}

/// Code that says that another version of the engine has compiled it: the version stands after its length.
fn of_other_engine(code: &[u8]) -> Vec<u8> {
    let mut code = code.to_vec();
    let at = code.windows(3).position(|found| found == b"\x0248").unwrap();
    code[at..at + 3].copy_from_slice(b"\x0247");
    code
}

#[test]
fn an_entry_that_is_a_link_is_replaced_and_what_it_leads_to_is_left_alone() {
    let cached = Cached::new("hostile-cache-link");
    cached.run();
    let entry = cached.entry();
    let elsewhere = cached.scene.path("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    let good = fs::read(&elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    assert!(!cached.run().1, "the link was followed");
    assert!(cached.entry().symlink_metadata().unwrap().is_file());
    assert!(fs::read(&elsewhere).unwrap() == good);
    assert!(cached.run().1);
}

#[test]
fn a_directory_that_others_can_write_is_neither_read_nor_written() {
    let cached = Cached::new("hostile-cache-directory");
    cached.run();
    fs::set_permissions(cached.folder(), Permissions::from_mode(0o777)).unwrap();
    assert!(!cached.run().1, "an entry was trusted that every user may write");
    let good = fs::read(cached.entry()).unwrap();
    change(&cached.entry(), |bytes| bytes[0] ^= 1);
    assert!(!cached.run().1);
    assert!(fs::read(cached.entry()).unwrap() != good, "it was written to");
}

/// The folder of the user's key.
fn key_folder(cached: &Cached, user: &str) -> PathBuf {
    cached.scene.path(&format!("{user}/trialbox"))
}

/// Runs a trial with a user's key. Returns its standard error, and whether the code was compiled before.
#[track_caller]
fn run_as(cached: &Cached, user: &str, cache: &str) -> (String, bool) {
    let call = |arguments: &[&str]| {
        let mut command = cached.scene.command(arguments);
        command.args(["--cache-dir", cache]).env("XDG_STATE_HOME", cached.scene.path(user));
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    };
    let inspected = call(&["inspect", "x.wasm", "--no-probe", "--format", "json"]);
    let from_cache = inspected.json()[0]["from_cache"].as_bool().unwrap();
    assert!(inspected.stderr.lines().count() <= 1, "{}", inspected.stderr);
    assert!(call(&["eval", "x.wasm"]).stdout.contains('0'));
    (inspected.stderr, from_cache)
}

#[test]
fn code_that_was_compiled_under_another_key_is_compiled_again_and_said_once() {
    let cached = Cached::new("hostile-cache-keys");
    assert_eq!(run_as(&cached, "user", "cache"), (String::new(), false));
    assert_eq!(run_as(&cached, "user", "cache"), (String::new(), true));
    // Another user's folder with other code takes the place of the cache.
    assert_eq!(run_as(&cached, "other", "others"), (String::new(), false));
    fs::rename(cached.folder(), cached.scene.path("away")).unwrap();
    fs::rename(cached.scene.path("others"), cached.folder()).unwrap();
    let (said, from_cache) = run_as(&cached, "user", "cache");
    assert!(said.contains("was not written with this user's key") && !from_cache, "{said}");
    assert_eq!(run_as(&cached, "user", "cache"), (String::new(), true));
}

#[test]
fn a_key_that_is_not_the_users_secret_is_not_used_and_neither_is_the_cache() {
    let cached = Cached::new("hostile-cache-key-file");
    let (folder, key) =
        (key_folder(&cached, "user"), key_folder(&cached, "user").join("cache.key"));
    run_as(&cached, "user", "cache");
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&key).unwrap().len(), 32);
    let good = fs::read(&key).unwrap();
    let renew = || {
        mode(&folder, 0o700);
        let _ = fs::remove_file(&key);
        let _ = fs::remove_dir(&key);
        fs::write(&key, &good).unwrap();
        mode(&key, 0o600);
    };
    let ways: [(&str, &dyn Fn()); 7] = [
        ("others may read it", &|| mode(&key, 0o640)),
        ("others may write it", &|| mode(&key, 0o602)),
        ("others may replace it", &|| mode(&folder, 0o770)),
        ("too short", &|| fs::write(&key, b"short").unwrap()),
        ("too long", &|| fs::write(&key, [7; 33]).unwrap()),
        ("a link", &|| {
            fs::rename(&key, cached.scene.path("elsewhere")).unwrap();
            symlink(cached.scene.path("elsewhere"), &key).unwrap();
        }),
        ("a directory", &|| {
            fs::remove_file(&key).unwrap();
            fs::create_dir(&key).unwrap();
        }),
    ];
    for (what, change) in ways {
        renew();
        assert_eq!(run_as(&cached, "user", "cache"), (String::new(), true), "{what}, before");
        change();
        let (said, from_cache) = run_as(&cached, "user", "cache");
        assert!(said.contains("the cache of compiled code is not used"), "{what}: {said}");
        assert!(!from_cache, "{what}");
    }
}

#[test]
fn a_directory_of_another_user_is_not_used() {
    let cached = Cached::new("hostile-cache-owner");
    let is_root = rustix::process::geteuid().is_root();
    let foreign = if is_root {
        run_as(&cached, "user", "cache");
        std::os::unix::fs::chown(cached.folder(), Some(12_345), None).unwrap();
        cached.folder().display().to_string()
    } else {
        "/usr/share".to_owned()
    };
    let (said, from_cache) = run_as(&cached, "user", &foreign);
    assert!(said.contains("of the user with the id") && !from_cache, "{said}");
}

#[test]
fn two_hundred_processes_with_a_cold_cache_leave_one_whole_entry() {
    const PROCESSES: usize = 200;
    const AT_ONCE: usize = 20;
    let cached = Cached::new("hostile-cache-herd");
    let start = || {
        let mut command = cached.scene.command(&["eval", "x.wasm", "--cache-dir", "cache"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for _ in 0..PROCESSES / AT_ONCE {
        // Each wave finds a cold cache, so that all of it writes the same entry.
        let _ = fs::remove_dir_all(cached.folder());
        let herd: Vec<_> = std::iter::repeat_with(start).take(AT_ONCE).collect();
        for mut process in herd {
            assert_eq!(process.wait().unwrap().code(), Some(0));
        }
        cached.entry();
    }
    assert_eq!(cached.run(), (serde_json::json!([0.0]), true));
}
