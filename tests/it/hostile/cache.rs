//! Attacks on the cache of compiled code: an entry is used as it was written, or not at all.

use super::guests;
use crate::scene::Scene;
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

/// Writes an entry whose digest is right.
fn forge(entry: &Path, code: &[u8]) {
    fs::write(entry, [&Sha256::digest(code)[..], code].concat()).unwrap();
}

fn change(entry: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(entry).unwrap();
    change(&mut bytes);
    fs::write(entry, bytes).unwrap();
}

/// Where the digest ends and the code begins.
const CODE: usize = 32;

#[test]
fn an_entry_that_is_not_as_it_was_written_is_compiled_again() {
    let cached = Cached::new("hostile-cache");
    assert!(!cached.run().1, "the cache is not cold");
    let good = fs::read(cached.entry()).unwrap();
    let ways: [(&str, &Tampering); 8] = [
        ("one bit", &|entry| change(entry, |bytes| bytes[good.len() / 2] ^= 1)),
        ("the digest", &|entry| change(entry, |bytes| bytes[0] ^= 1)),
        ("the end", &|entry| change(entry, |bytes| bytes.truncate(good.len() - 1))),
        ("nearly all", &|entry| change(entry, |bytes| bytes.truncate(10))),
        ("all", &|entry| change(entry, Vec::clear)),
        // These have the right digest, as an entry of another version has.
        ("another program", &|entry| forge(entry, &guests::elf())),
        ("another engine", &|entry| forge(entry, &of_other_engine(&good[CODE..]))),
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
    change(&cached.entry(), |bytes| bytes[CODE] ^= 1);
    assert!(!cached.run().1);
    assert!(fs::read(cached.entry()).unwrap() != good, "it was written to");
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
