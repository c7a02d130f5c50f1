//! Grants that are refused before a trial: those that open what the host trusts, and links of others.

use crate::scene::{Ran, Scene, guest, root};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// A project folder `p` with a home beside it, in which all commands run.
fn project(test: &str) -> Scene {
    let scene = Scene::new(test);
    for folder in [
        "p/work",
        "p/study.db.spool",
        "p/link-target",
        "home/.ssh",
        "home/.config/fish",
        "home/data",
    ] {
        fs::create_dir_all(scene.path(folder)).unwrap();
    }
    symlink("work", scene.path("p/own-link")).unwrap();
    scene
}

/// Runs a command in the project, with the home beside it and a cache of its own.
fn run_in(scene: &Scene, arguments: &[&str]) -> Ran {
    let mut command = scene.command(arguments);
    command.current_dir(scene.path("p")).env("HOME", scene.path("home"));
    command.env("TRIALBOX_CACHE_DIR", scene.path("cache/code")).env("PATH", "/nowhere");
    command.output().unwrap().into()
}

/// A grant, and the decisive words of its refusal.
const REFUSED: [(&str, &[&str]); 12] = [
    (".::/w:rw", &["holds the database `study.db`", "--dir", "/p/work::/w:rw"]),
    ("..::/w:rw", &["holds the database `study.db`"]),
    ("/::/w:rw", &["holds the database `study.db`"]),
    ("work/..::/w:rw", &["holds the database `study.db`"]),
    ("study.db.spool::/w:rw", &["is the spool"]),
    ("../cache::/w:rw", &["holds compiled code"]),
    ("../home::/w:rw", &["your home directory"]),
    ("../home/.config/fish::/w:rw", &["lies in your `", "/.config`"]),
    ("../home/.ssh::/w", &["is your keys", "no objective may read"]),
    ("../home::/w", &["holds your keys"]),
    ("kept::/w:rw", &["is the checkpoints in `kept`"]),
    ("kept/s::/w:rw", &["lies in the checkpoints"]),
];

#[test]
fn a_grant_that_opens_what_the_host_trusts_is_refused_before_a_trial() {
    let scene = project("grants-trusted");
    fs::create_dir_all(scene.path("cache")).unwrap();
    fs::create_dir_all(scene.path("p/kept/s")).unwrap();
    let quadratic = guest("quadratic");
    let run = ["run", &quadratic, "--storage", "study.db", "--checkpoint-dir", "kept"];
    let submit = ["submit", &quadratic, "--storage", "study.db", "--checkpoint-dir", "kept"];
    let submit = [&submit[..], &["--trials", "2", "--parallel", "1", "--dry-run"]].concat();
    for (grant, pieces) in REFUSED {
        let flags = ["--dir", grant];
        run_in(&scene, &[&run[..], &flags].concat()).assert_error(2, pieces);
        run_in(&scene, &[&submit[..], &flags].concat())
            .assert_error(2, &["cannot grant", "no objective may"]);
    }
    assert!(!scene.path("p/study.db").exists());
    // Commands without a study know the user's places alone.
    for command in ["eval", "inspect"] {
        run_in(&scene, &[command, &quadratic, "--dir", "../cache::/w:rw"])
            .assert_error(2, &["compiled code"]);
    }
}

#[test]
fn folders_beside_the_database_and_links_of_the_users_own_are_granted() {
    let scene = project("grants-allowed");
    let quadratic = guest("quadratic");
    let run = ["run", &quadratic, "--storage", "study.db"];
    for grant in
        ["work::/w:rw", "own-link::/w:rw", ".::/w", "../home/data::/w:rw", "../home/.config::/w"]
    {
        let ran = run_in(&scene, &[&run[..], &["--dir", grant]].concat());
        assert_eq!(ran.code, Some(0), "{grant}: {ran:?}");
    }
    // The spool may lie elsewhere; what lies there is not beside the database.
    let ran =
        run_in(&scene, &[&run[..], &["--dir", "work::/w:rw", "--spool-dir", "work"]].concat());
    ran.assert_error(2, &["is the spool `work`"]);
}

#[test]
fn files_of_a_job_lie_in_no_folder_that_is_granted_for_writing() {
    let scene = project("grants-job");
    let quadratic = guest("quadratic");
    let submit = ["submit", &quadratic, "--trials", "2", "--parallel", "1", "--dry-run"];
    let submit = [&submit[..], &["--storage", "../home/data/study.db"]].concat();
    run_in(&scene, &[&submit[..], &["--dir", ".::/w:rw"]].concat())
        .assert_error(2, &["is the folder of the job's files"]);
    run_in(&scene, &[&submit[..], &["--dir", "work::/w:rw", "--script", "work/a.sbatch"]].concat())
        .assert_error(2, &["holds the job's file `work/a.sbatch`"]);
}

#[test]
fn a_data_link_that_leads_out_of_its_grant_is_refused_with_the_grant_that_helps() {
    let scene = project("grants-data");
    let digits = guest("digits");
    let store = root().join("examples/digits/data").canonicalize().unwrap();
    symlink(store.join("digits.csv"), scene.path("p/work/digits.csv")).unwrap();
    let run = |grant: &str| run_in(&scene, &["run", &digits, "--storage", "s.db", "--dir", grant]);
    let help = format!("--dir {}::/data", store.display());
    run("work::/data")
        .assert_error(2, &["/p/work/digits.csv` is a link to `", "outside the granted", &help]);
    assert!(!scene.path("p/s.db").exists());
    // What is inside may be a link too.
    fs::create_dir(scene.path("p/work/real")).unwrap();
    fs::copy(store.join("digits.csv"), scene.path("p/work/real/digits.csv")).unwrap();
    fs::remove_file(scene.path("p/work/digits.csv")).unwrap();
    symlink("real/digits.csv", scene.path("p/work/digits.csv")).unwrap();
    let ran = run("work::/data");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // A FIFO is not waited for.
    fs::remove_file(scene.path("p/work/digits.csv")).unwrap();
    make_fifo(&scene.path("p/work/digits.csv"));
    run("work::/data").assert_error(2, &["expected a regular file, found a named pipe"]);
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Runs a command in the project while one folder or file also stands at another path, or returns `None` where this
/// user may not mount.
fn run_mounted(scene: &Scene, from: &str, at: &str, arguments: &[&str]) -> Option<Ran> {
    let (from, at) = (scene.path(from), scene.path(at));
    let bind = ["mount --bind \"$1\" \"$2\" || exit 99; shift 2; exec \"$@\"", "sh"];
    let run = |words: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c"]).args(bind).args([&from, &at]);
        command.args(words);
        scene.isolate(&mut command);
        command.current_dir(scene.path("p")).env("HOME", scene.path("home"));
        command.env("TRIALBOX_CACHE_DIR", scene.path("cache/code")).output()
    };
    if !run(&["true"]).is_ok_and(|tried| tried.status.success()) {
        return None;
    }
    Some(run(&[&[env!("CARGO_BIN_EXE_trialbox")], arguments].concat()).unwrap().into())
}

#[test]
fn a_grant_opens_no_trusted_place_through_a_bind_mount() {
    let scene = project("grants-mounts");
    for folder in ["cache/code/sub", "p/work/inner", "p/alias"] {
        fs::create_dir_all(scene.path(folder)).unwrap();
    }
    for file in ["home/.bashrc", "p/work/file"] {
        fs::write(scene.path(file), "").unwrap();
    }
    let quadratic = guest("quadratic");
    scene.json(&["study", "create", "--study-name", "s", "--storage", "p/study.db"]);
    for (from, at, grant, refused) in [
        ("p", "p/work/inner", "work::/w:rw", "/p/work/inner` holds the database"),
        ("cache/code/sub", "p/work/inner", "work::/w:rw", "inner` lies in compiled code"),
        ("cache/code/sub", "p/alias", "alias::/w:rw", ": it lies in compiled code"),
        ("home/.bashrc", "p/work/file", "work::/w:rw", "/p/work/file` is your `"),
        ("home/.ssh", "p/work/inner", "work::/w", "/p/work/inner` is your keys in `"),
        ("home/data", "p/work/inner", "work::/w:rw", ""),
        ("p", "p/work/inner", "work::/w", ""),
    ] {
        let run = ["run", &quadratic, "--storage", "study.db", "--dir", grant];
        let Some(ran) = run_mounted(&scene, from, at, &run) else {
            let _ = std::io::stderr().write_all(b"skipped 1 test: this user may not mount\n");
            return;
        };
        if refused.is_empty() {
            assert_eq!(ran.code, Some(0), "{from} at {at}: {ran:?}");
        } else {
            ran.assert_error(2, &["cannot grant `", refused]);
        }
    }
}
