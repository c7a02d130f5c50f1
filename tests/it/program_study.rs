//! Programs as the objectives of studies: commands with mistakes, and studies that belong to a program.

use crate::scene::Scene;
use crate::submit::{ACCEPT, with_slurm};

const SPACE: [&str; 2] = ["--space", "lr=log(1e-5, 0.1)"];

/// Writes a script that prints its first argument.
fn write_script(scene: &Scene, name: &str) {
    std::fs::write(scene.path(name), "echo \"$1\"\n").unwrap();
}

/// The commands that take a program, with the flags that each needs.
const TAKE_PROGRAMS: [&[&str]; 4] = [
    &["run"],
    &["eval"],
    &["inspect"],
    &["submit", "--trials", "2", "--parallel", "1", "--time", "10m"],
];

#[test]
fn a_placeholder_without_a_parameter_is_refused_by_every_command_that_takes_programs() {
    let scene = Scene::new("program-study-placeholder");
    write_script(&scene, "train.sh");
    for command in TAKE_PROGRAMS {
        let with = |word: &str| {
            let arguments = [command, &SPACE, &["--", "sh", "train.sh", word]].concat();
            with_slurm(&scene, ACCEPT, &arguments)
        };
        let wants =
            ["the command has {Lr}, and --space has no parameter `Lr`", "did you mean {lr}?"];
        with("--lr={Lr}").assert_error(2, &wants);
        with("{momentum}").assert_error(2, &["its parameters are: lr", "{{momentum}}"]);
    }
    assert!(!scene.path("trialbox.db").exists(), "no study was created");
    let arguments = ["{{lr}} {print $1} {\"a\": {\"b\": 1}} ${HOME}", "{lr}"];
    let command = ["eval", "--param", "lr=0.1", "--", "sh", "-c", "echo \"$0\" >&2; echo $1"];
    let ran = scene.trialbox(&[&["-v"], &command[..3], &SPACE, &command[3..], &arguments].concat());
    let want = "{lr} {print $1} {\"a\": {\"b\": 1}} ${HOME}";
    assert!(ran.code == Some(0) && ran.stderr.contains(want), "{ran:?}");
}

#[test]
fn a_script_that_does_not_exist_is_refused_by_every_command_that_takes_programs() {
    let scene = Scene::new("program-study-missing");
    for command in TAKE_PROGRAMS {
        let ran = with_slurm(&scene, ACCEPT, &[command, &["--", "sh", "-e", "trian.sh"]].concat());
        ran.assert_error(2, &["expected a script for `sh`, found no file `trian.sh`"]);
    }
    assert!(!scene.path("trialbox.db").exists() && !scene.path("sbatch.log").exists());
}

#[test]
fn a_study_is_named_after_the_script_and_never_after_an_interpreter() {
    let scene = Scene::new("program-study-name");
    write_script(&scene, "train.sh");
    for (words, name) in [
        (&["sh", "train.sh", "{lr}"][..], "train"),
        (&["sh", "-c", "echo {lr}"], "program"),
        (&["echo", "{lr}"], "echo"),
    ] {
        let trial = &scene
            .trialbox(&[&["run", "--format", "json"], &SPACE[..], &["--"], words].concat())
            .json()[0];
        assert_eq!(trial["study"], name, "{words:?}");
    }
}

#[test]
fn a_study_is_continued_by_its_own_program_alone_unless_the_change_is_allowed() {
    let scene = Scene::new("program-study-other");
    write_script(&scene, "train.sh");
    write_script(&scene, "other.sh");
    let run = |flags: &[&str], words: &[&str]| {
        let run = ["run", "--study-name", "s"];
        with_slurm(&scene, ACCEPT, &[&run[..], &SPACE, flags, &["--"], words].concat())
    };
    let (own, other) = (["sh", "train.sh", "{lr}"], ["sh", "other.sh", "{lr}"]);
    assert_eq!(run(&[], &own).code, Some(0));
    let same = run(&[], &["/bin/sh", "./train.sh", "{lr}", "--epochs=9"]);
    assert!(same.code == Some(0) && !same.stderr.contains("changed"), "{same:?}");
    for words in [&other[..], &["echo", "{lr}"], &["sh", "-c", "echo {lr}"]] {
        run(&[], words).assert_error(
            2,
            &["was created by a different program (`sh train.sh`)", "--allow-module-change"],
        );
    }
    let submit =
        ["submit", "--trials", "9", "--parallel", "1", "--time", "10m", "--study-name", "s"];
    with_slurm(&scene, ACCEPT, &[&submit[..], &SPACE, &["--"], &other].concat())
        .assert_error(2, &["was created by a different program"]);
    assert_eq!(scene.json(&["study", "trials"]).len(), 2);
    assert_eq!(run(&["--allow-module-change"], &other).code, Some(0));
    run(&[], &own).assert_error(2, &["(`sh other.sh`), found `sh train.sh`"]);
}

#[test]
fn a_script_that_has_changed_is_named_once() {
    let scene = Scene::new("program-study-changed");
    write_script(&scene, "train.sh");
    let run = || {
        let ran =
            scene.trialbox(&[&["run"], &SPACE[..], &["--", "sh", "train.sh", "{lr}"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stderr
    };
    assert!(!run().contains("changed"));
    assert!(!run().contains("changed"));
    std::fs::write(scene.path("train.sh"), "echo 1\n").unwrap();
    let note = "note: train.sh has changed since trial 1";
    assert_eq!(run().matches(note).count(), 1);
    assert!(!run().contains("changed"), "the latest trial has it");
}
