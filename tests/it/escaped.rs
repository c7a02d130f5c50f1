//! What code that has broken out of WebAssembly could still do, by system calls that the guest process makes where an
//! objective's code would run. The results are the table in docs/sandbox.md.

use crate::process::{RETURNS_X, asking};
use crate::scene::{Scene, root};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

/// The variables that make a guest process try the calls and leave out precautions, see `wire/protocol.rs`.
const ESCAPED: &str = "TRIALBOX_ESCAPED";
const WITHOUT: &str = "TRIALBOX_WITHOUT";

/// The grants of each measurement, and a name for them.
const GRANTS: [(&str, &[&str]); 3] = [
    ("none", &[]),
    ("read", &["--dir", "granted::/granted"]),
    ("write", &["--dir", "granted::/granted:rw"]),
];

/// The precautions that a kernel may lack, with the sentence of the table's columns.
const KERNELS: [(&str, &str); 2] = [("", "all precautions"), ("landlock,root", "seccomp alone")];

/// The lines around the table in the page.
const BEGIN: &str =
    "<!-- The table is generated: `UPDATE_DOCS=1 cargo xtask test end-to-end` writes it. -->\n";
const END: &str = "<!-- The end of the generated table. -->\n";

/// Returns the attempts in order, each with whether it passed.
fn measure(test: &str, without: &str, flags: &[&str]) -> Vec<(String, bool)> {
    let scene = Scene::new(test);
    fs::write(scene.path("x.wasm"), asking(RETURNS_X)).unwrap();
    fs::create_dir_all(scene.path("granted/dir")).unwrap();
    fs::create_dir(scene.path("outside")).unwrap();
    fs::write(scene.path("outside/secret"), "outside/secret").unwrap();
    symlink("secret", scene.path("outside/link")).unwrap();
    // Compiled code from a cache is confined in other steps; the first of the two runs fills the cache.
    let found: Vec<_> = (0..2).map(|_| attempts(&scene, without, flags)).collect();
    assert_eq!(found[0], found[1], "without compiled code and with it");
    found.into_iter().next().unwrap()
}

/// Makes the attempts in one guest process.
fn attempts(scene: &Scene, without: &str, flags: &[&str]) -> Vec<(String, bool)> {
    for made in ["granted/made", "granted/made-too", "granted/soft", "granted/hard", "outside/new"]
    {
        let made = scene.path(made);
        let _ = fs::remove_dir(&made).or_else(|_| fs::remove_file(&made));
    }
    for file in ["granted/data", "granted/removed", "outside/removed", "outside/moved"] {
        fs::write(scene.path(file), file).unwrap();
    }
    let mut command = scene.command(&["inspect", "x.wasm", "--cache-dir", "cache"]);
    command
        .args(["--format", "json"])
        .args(flags)
        .env(ESCAPED, scene.path("outside").canonicalize().unwrap());
    let output = command.env(WITHOUT, without).output().unwrap();
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = error["message"].as_str().unwrap();
    assert_eq!(fs::read(scene.path("outside/secret")).unwrap(), b"outside/secret", "{found}");
    let lines = found.lines().filter_map(|line| {
        let (passed, what) = line.split_once(": ")?;
        Some((what.to_owned(), passed == "yes"))
    });
    lines.collect()
}

/// Returns the attempts that passed.
fn passed(test: &str, without: &str, flags: &[&str]) -> BTreeSet<String> {
    let all = measure(test, without, flags);
    assert!(all.len() > 50, "{all:?}");
    all.into_iter().filter_map(|(what, passed)| passed.then_some(what)).collect()
}

/// True if this kernel has every precaution of the table.
fn has_all_precautions(test: &str) -> bool {
    let scene = Scene::new(test);
    fs::write(scene.path("x.wasm"), asking(RETURNS_X)).unwrap();
    let found = &scene.json(&["inspect", "x.wasm"])[0];
    let has = |precaution: &str| found[precaution] == true;
    let has_all = found["landlock_abi"].as_u64().unwrap() >= 3
        && has("seccomp")
        && has("second_filter")
        && has("empty_root");
    if !has_all {
        let skipped = format!("skipped 1 test: this kernel lacks a precaution: {found}\n");
        std::io::stderr().write_all(skipped.as_bytes()).unwrap();
    }
    has_all
}

/// What passes with a grant alone, whatever else the kernel offers.
const WITH_A_GRANT: [&str; 10] = [
    "processes: start a thread",
    "a granted directory: read a file",
    "a granted directory: set the times of an open file",
    "a granted directory: write to a file",
    "a granted directory: write to a file by `openat2`",
    "a granted directory: make a file",
    "a granted directory: make a directory",
    "a granted directory: make a symbolic link",
    "a granted directory: link its own file once more",
    "a granted directory: remove a file",
];

#[test]
fn code_that_has_broken_out_uses_its_grants_and_nothing_else() {
    if !has_all_precautions("escaped-grants") {
        return;
    }
    // One of Landlock and the empty root is enough for the files; seccomp is there for the rest.
    for without in ["", "landlock", "root"] {
        for (name, flags) in GRANTS {
            let mut found = passed("escaped-grants", without, flags);
            let allowed: &[&str] = match name {
                "none" => &[],
                "read" => &WITH_A_GRANT[..2],
                _ => &WITH_A_GRANT,
            };
            // Landlock has no right to names, so without the empty root what can be named can be seen.
            let is_seen = |what: &str| {
                without == "root"
                    && name != "none"
                    && what.starts_with("a user's file: ")
                    && (what.contains("see ") || what.contains("read a link"))
            };
            found.retain(|what| !allowed.contains(&what.as_str()) && !is_seen(what));
            assert_eq!(found, BTreeSet::new(), "without `{without}`, with the grants `{name}`");
        }
    }
}

#[test]
fn without_grants_no_call_takes_a_path_even_where_the_kernel_has_seccomp_alone() {
    if !has_all_precautions("escaped-alone") {
        return;
    }
    let found = passed("escaped-alone", "landlock,root", &[]);
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn the_page_on_the_sandbox_has_the_calls_that_pass() {
    if !has_all_precautions("escaped-page") {
        return;
    }
    let columns: Vec<Vec<(String, bool)>> = KERNELS
        .iter()
        .flat_map(|(without, _)| {
            GRANTS.iter().map(|(_, flags)| measure("escaped-page", without, flags))
        })
        .collect();
    let mut table = String::from("\n| attempt |");
    for (_, kernel) in KERNELS {
        for (grants, _) in GRANTS {
            write!(table, " {kernel}, {grants} |").unwrap();
        }
    }
    table.push_str("\n|---|---|---|---|---|---|---|\n");
    for (row, (what, _)) in columns[0].iter().enumerate() {
        write!(table, "| {what} |").unwrap();
        for column in &columns {
            table.push_str(if column[row].1 { " **yes** |" } else { " no |" });
        }
        table.push('\n');
    }
    table.push('\n');
    let path = root().join("docs/sandbox.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the page has the table's first line");
    let (found, after) = rest.split_once(END).expect("the page has the table's last line");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, [before, BEGIN, &table, END, after].concat()).unwrap();
        return;
    }
    assert_eq!(found, table, "the table in docs/sandbox.md is stale");
}
