//! Programs that cannot be started: by their user's fault no trial starts, by the machine's none is lost.

use crate::scene::{Ran, Scene};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// Writes a file with these permissions.
fn write(scene: &Scene, name: &str, text: &[u8], mode: u32) {
    let path = scene.path(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn trials(scene: &Scene) -> Vec<Value> {
    scene.json(&["study", "trials", "--study-name", "s"])
}

#[test]
fn what_the_user_can_mend_is_said_before_a_trial_starts() {
    let scene = Scene::new("program-start-user");
    std::fs::create_dir(scene.path("folder")).unwrap();
    write(&scene, "plain.sh", b"#!/bin/sh\n", 0o644);
    write(&scene, "windows.sh", b"#!/bin/sh\r\necho 1\r\n", 0o755);
    write(&scene, "interpreter.py", b"#!/opt/none/python\n", 0o755);
    write(&scene, "env.py", b"#!/usr/bin/env pyton3\n", 0o755);
    for (program, found, help) in [
        ("no-such-program", "`no-such-program`, which no folder of PATH has", "./train.sh"),
        ("./none.sh", "`./none.sh`, which does not exist", "check the path"),
        ("./folder", "`./folder`, which is a folder", "give the file in it"),
        ("./plain.sh", "`./plain.sh`, which may not be executed", "chmod +x ./plain.sh"),
        (
            "./windows.sh",
            "`./windows.sh`, whose line ends are those of Windows, so that `/bin/sh` is not found",
            "sed -i 's/\\r$//' ./windows.sh",
        ),
        (
            "./interpreter.py",
            "`./interpreter.py`, whose interpreter `/opt/none/python` does not exist",
            "mend its first line",
        ),
        (
            "./env.py",
            "`./env.py`, whose interpreter `pyton3` no folder of PATH has",
            "mend its first",
        ),
    ] {
        let found = format!("expected a program that can be executed, found {found}");
        for command in [&["run"][..], &["eval"], &["inspect"]] {
            let ran = scene.trialbox(&[command, &["--", program]].concat());
            ran.assert_error(4, &[&found, help]);
        }
    }
    assert!(!scene.path("trialbox.db").exists(), "no trial was started");
}

/// Runs trials on a machine that refuses to start programs with this error.
fn run_with_error(scene: &Scene, errno: i32) -> Ran {
    let arguments =
        ["run", "-n", "3", "--study-name", "s", "--value", "last-line", "--", "echo", "1"];
    let mut command = scene.command(&arguments);
    Ran::from(command.env("TRIALBOX_START_ERROR", errno.to_string()).output().unwrap())
}

#[test]
fn a_machine_that_is_short_of_something_costs_no_trial_and_no_retry() {
    let scene = Scene::new("program-start-machine");
    // EAGAIN, EMFILE, ENFILE, ENOMEM and EAGAIN again: more than there are retries.
    for (number, errno) in [11, 24, 23, 12, 11].into_iter().enumerate() {
        let ran = run_with_error(&scene, errno);
        let (failed, next) = (
            format!("trial {number} could not start"),
            format!("requeued as trial {}", number + 1),
        );
        let cause = "the machine cannot start the program `echo` now";
        ran.assert_error(71, &["E-SYSTEM", &failed, &next, cause, "ulimit -a"]);
        let states: Vec<Value> =
            trials(&scene).iter().map(|trial| trial["state"].clone()).collect();
        assert_eq!(states.len(), number + 2, "one trial was tried: {ran:?}");
        assert_eq!(states.last(), Some(&json!("WAITING")));
    }
    let first = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    assert_eq!(first["failure"]["code"], json!("E-LOST"), "{first}");
    let run = ["run", "--study-name", "s", "--value", "last-line", "--", "echo", "1"];
    assert_eq!(scene.trialbox(&run).code, Some(0));
    let trial = trials(&scene).pop().unwrap();
    assert_eq!((&trial["number"], &trial["values"]), (&json!(5), &json!([1.0])), "{trial}");
}

#[test]
fn a_program_of_another_machine_costs_no_trial() {
    let scene = Scene::new("program-start-foreign");
    // The header of a program for the machine with the number 0xfeed.
    let mut header = std::fs::read("/proc/self/exe").unwrap();
    header.truncate(4096);
    header[18..20].copy_from_slice(&0xfeed_u16.to_le_bytes());
    write(&scene, "solver", &header, 0o755);
    let ran = scene.trialbox(&["run", "--study-name", "s", "--", "./solver"]);
    let pieces = ["found `./solver`, which was built for another machine", "build it for this one"];
    ran.assert_error(4, &pieces);
    assert!(!scene.path("trialbox.db").exists(), "no trial was started");
}
