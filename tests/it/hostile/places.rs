//! What others leave lying about: in the place of every file that trialbox touches stands a FIFO, a link, a directory,
//! a device or a socket. Every command ends, and what a link leads to stays as it was.

use crate::scene::{Ran, Scene, guest};
use crate::submit::{ACCEPT, with_slurm};
use crate::watched::{has_ended, watch};
use rustix::process::Pid;
use std::fmt;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The longest time that a command may take. A hang would be endless; a busy machine takes seconds.
const LONGEST: Duration = Duration::from_secs(120);

/// What stands in the place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    Fifo,
    Link,
    DanglingLink,
    Directory,
    Device,
    Socket,
}

const PLANTS: [Plant; 6] =
    [Plant::Fifo, Plant::Link, Plant::DanglingLink, Plant::Directory, Plant::Device, Plant::Socket];

/// A place, and the commands that touch it.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    /// The path below the scene, where `ENTRY` stands for the name of the cache's only entry, without its extension.
    pub(crate) path: &'static str,
    /// The commands, of which `{wasm}` is the objective.
    pub(crate) commands: &'static [&'static str],
    /// True if the command must do its work all the same: it needs nothing from there, or replaces it.
    succeeds: bool,
}

const fn place(
    name: &'static str,
    path: &'static str,
    commands: &'static [&'static str],
    succeeds: bool,
) -> Place {
    Place { name, path, commands, succeeds }
}

const RUN: &str = "run {wasm} --storage study.db --seed 7";

pub(crate) const PLACES: &[Place] = &[
    place("the objective", "x.wasm", &["run x.wasm", "inspect x.wasm --no-probe"], false),
    place(
        "the database",
        "other.db",
        &["run {wasm} --storage other.db", "doctor --storage other.db"],
        false,
    ),
    place("SQLite's journal", "study.db-journal", &[RUN, "study show --storage study.db"], false),
    place("SQLite's log", "study.db-wal", &[RUN, "doctor --storage study.db"], false),
    place(
        "the lock",
        "study.db.lock",
        &["run {wasm} --storage study.db --lock file --storage-timeout 2s"],
        false,
    ),
    place("the spool", "study.db.spool", &[RUN, "study sync --storage study.db"], true),
    place("a result in the spool", "study.db.spool/0-a.json", &[RUN], true),
    place(
        "a result that is asked for",
        "study.db.spool/0-b.json",
        &["study sync --storage study.db"],
        false,
    ),
    place(
        "the user's spool",
        "state/1-b.json",
        &["study sync --storage study.db --spool-dir state"],
        true,
    ),
    place(
        "the file of passwords",
        "pgpass",
        &["study list --storage postgresql://127.0.0.1:1/x?passfile=pgpass --storage-timeout 1s"],
        false,
    ),
    place("the cache", "cache", &["inspect {wasm} --no-probe --cache-dir cache"], true),
    place(
        "an entry of the cache",
        "cache/ENTRY.cwasm",
        &["inspect {wasm} --no-probe --cache-dir cache"],
        true,
    ),
    place(
        "the lock of an entry",
        "cache/ENTRY.lock",
        &["inspect {wasm} --no-probe --cache-dir cache"],
        true,
    ),
    place(
        "the checkpoints",
        "kept",
        &["run {wasm} --storage study.db --checkpoint-dir kept"],
        false,
    ),
    place(
        "the study's checkpoints",
        "ckpt/s-0123456789abcdef",
        &["run {wasm} --storage study.db --study-name s --checkpoint-dir ckpt"],
        false,
    ),
    place(
        "a trial's checkpoints",
        "ckpt-1/own/1",
        &["run {wasm} --storage one.db --study-name s --checkpoint-dir ckpt-1"],
        true,
    ),
    place(
        "the script",
        "quadratic.sbatch",
        &["submit {wasm} --trials 9 --parallel 1 --storage study.db"],
        false,
    ),
    place(
        "the closing job's script",
        "quadratic-close.sbatch",
        &["submit {wasm} --trials 9 --parallel 1 --storage study.db"],
        false,
    ),
    place(
        "the report",
        "quadratic-report.txt",
        &["submit {wasm} --trials 9 --parallel 1 --storage study.db"],
        false,
    ),
    place(
        "an export",
        "out.json",
        &["study export --storage study.db --study-name s --format json -o out.json"],
        false,
    ),
    place(
        "an import",
        "in.json",
        &["study import in.json --storage study.db --study-name t"],
        false,
    ),
    place("the project's lock", "trialbox.lock", &["pull {wasm} --store store"], false),
    place(
        "the store",
        "store/sha256",
        &["pull {wasm} --store store", "store list --store store"],
        false,
    ),
    place("a snapshot", "copy.db", &["study snapshot copy.db --storage study.db"], false),
];

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (`{}`)", self.name, self.path)
    }
}

/// A folder with a study, a cache and checkpoints, in which each place is there as trialbox leaves it.
fn prepared(test: &str) -> Scene {
    let scene = Scene::new(test);
    let quadratic = guest("quadratic");
    for storage in ["study.db", "one.db"] {
        let run =
            ["run", &quadratic, "--storage", storage, "--study-name", "s", "--cache-dir", "cache"];
        scene.json(&run);
    }
    let attr = "trialbox:checkpoint_dir=s-0123456789abcdef";
    scene.json(&["study", "set-attr", attr, "--storage", "study.db", "--study-name", "s"]);
    let run = [
        "run",
        &quadratic,
        "--storage",
        "one.db",
        "--study-name",
        "s",
        "--checkpoint-dir",
        "ckpt-1",
    ];
    scene.json(&run);
    let own = fs::read_dir(scene.path("ckpt-1")).unwrap().next().unwrap().unwrap().file_name();
    let study = scene.json(&["study", "show", "--storage", "one.db"]).remove(0);
    assert_eq!(study["user_attrs"]["trialbox:checkpoint_dir"], own.to_str().unwrap());
    symlink(own, scene.path("ckpt-1/own")).unwrap();
    fs::write(scene.path("victim"), "precious").unwrap();
    scene
}

/// Puts something in a place, and returns what must live as long as it.
fn plant(scene: &Scene, path: &Path, what: Plant) -> Option<UnixListener> {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    remove(path);
    match what {
        Plant::Fifo => {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }
        Plant::Link => symlink(scene.path("victim"), path).unwrap(),
        Plant::DanglingLink => symlink(scene.path("nothing"), path).unwrap(),
        Plant::Directory => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "precious").unwrap();
        }
        // Reads without end; a link to it needs no rights of root's.
        Plant::Device => symlink("/dev/zero", path).unwrap(),
        Plant::Socket => {
            // A socket's path has at most 107 bytes.
            let near = std::env::temp_dir().join(format!("s-{}", std::process::id()));
            remove(&near);
            let socket = UnixListener::bind(&near).unwrap();
            fs::rename(&near, path).unwrap();
            return Some(socket);
        }
    }
    None
}

fn remove(path: &Path) {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Waits for a command, which must end by itself.
#[track_caller]
pub(crate) fn end_in_time(mut child: Child, what: &str) -> Ran {
    let stdout = read_aside(child.stdout.take().unwrap());
    let stderr = read_aside(child.stderr.take().unwrap());
    if !has_ended(&watch(Pid::from_child(&child)), LONGEST) {
        child.kill().unwrap();
        panic!("{what}: it hangs");
    }
    let code = child.wait().unwrap().code();
    Ran { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn read_aside(mut stream: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

/// Runs a command of a place.
fn run(scene: &Scene, command: &str, what: &str) -> Ran {
    let quadratic = guest("quadratic");
    let words: Vec<&str> =
        command.split(' ').map(|word| if word == "{wasm}" { &quadratic } else { word }).collect();
    if words[0] == "submit" {
        return with_slurm(scene, ACCEPT, &words);
    }
    let child = scene
        .command(&words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    end_in_time(child.unwrap(), what)
}

/// Returns the path of a place, which names the only entry of the cache.
fn resolve(scene: &Scene, place: &Place) -> PathBuf {
    let entry =
        fs::read_dir(scene.path("cache")).into_iter().flatten().flatten().find_map(|entry| {
            entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned())
        });
    scene.path(&place.path.replace("ENTRY", entry.as_deref().unwrap_or("none")))
}

/// The links that stand for the user's own word, so that their target is used.
fn is_the_users_word(place: &Place, what: Plant) -> bool {
    let named = ["the database", "the checkpoints"].contains(&place.name);
    named && what == Plant::DanglingLink
}

/// Returns what is wrong with the end of a command, or nothing.
fn judge(
    scene: &Scene,
    place: &Place,
    what: Plant,
    ran: &Ran,
    path: &Path,
) -> Option<&'static str> {
    let is_word = ["error: ", "error["].iter().any(|start| ran.stderr.contains(start));
    // `doctor` and `sync` print what they find.
    let is_finding = ran.stdout.contains("study.db") || ran.stdout.contains("other.db");
    if ran.code.is_none_or(|code| code == 101) {
        return Some("it crashed");
    }
    if place.succeeds && ran.code != Some(0) {
        return Some("it failed");
    }
    if ran.code != Some(0) && !is_word && !is_finding {
        return Some("it failed without a sentence");
    }
    if fs::read_to_string(scene.path("victim")).unwrap() != "precious" {
        return Some("the target of a link was written");
    }
    if scene.path("nothing").symlink_metadata().is_ok() && !is_the_users_word(place, what) {
        return Some("the target of a dangling link was created");
    }
    let is_folder = what == Plant::Directory && path.is_dir();
    if is_folder && !place.name.contains("checkpoints") && !path.join("file").exists() {
        return Some("a file in a directory was removed");
    }
    None
}

#[test]
fn what_stands_in_the_place_of_a_file_is_neither_waited_for_nor_written_through() {
    let mut problems = Vec::new();
    let mut n_cases = 0;
    for place in PLACES {
        let mut scene = prepared("hostile-places");
        for what in PLANTS {
            if place.name == "a trial's checkpoints" {
                // Each run takes another number.
                scene = prepared("hostile-places");
            }
            let path = resolve(&scene, place);
            for command in place.commands {
                let _socket = plant(&scene, &path, what);
                let case = format!("{place}, {what:?}, {command}");
                let ran = run(&scene, command, &case);
                n_cases += 1;
                if let Some(problem) = judge(&scene, place, what, &ran, &path) {
                    problems.push(format!("{case}: {problem}: {ran:?}"));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} of {n_cases}:\n{}", problems.len(), problems.join("\n"));
}
