//! Guest processes that break the protocol, as one does that hostile code has taken over: the host process obeys its
//! time limits and signals whatever the guest process reads or sends.

use crate::kill::trials;
use crate::process::{RETURNS_X, asking, end, wait_for_guest};
use crate::scene::Scene;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Child;
use std::time::{Duration, Instant};

/// The variable that makes a guest process an impostor, see `guest/impostor.rs` of the runtime.
const IMPOSTOR: &str = "TRIALBOX_IMPOSTOR";

/// The impostors that hold a trial, until its time is over.
const IN_TRIAL: [&str; 9] = [
    "never reads",
    "reads a byte a second",
    "talks without end",
    "reports without end",
    "sends a part of a message",
    "sends a byte at a time",
    "says nothing",
    "stops reading and asks",
    "stops writing",
];

/// The impostors among them that no signal or time limit has to end: the host process sees that they have gone.
const GONE: [&str; 2] = ["stops reading and asks", "stops writing"];

/// The impostors that hold the loading, with the error code of their end.
const IN_LOADING: [(&str, &str); 6] = [
    ("load: never reads", "E-COMPILE-LIMIT"),
    ("load: asks for the component without end", "E-COMPILE-LIMIT"),
    ("load: asks for the component twice", "E-DIED"),
    ("load: asks for the component and goes", "E-DIED"),
    ("load: says nothing", "E-COMPILE-LIMIT"),
    ("load: talks without end", "E-COMPILE-LIMIT"),
];

/// A time within which a command ends that holds to its limits, on the busiest of machines.
const SOON: Duration = Duration::from_secs(45);

fn start(scene: &Scene, impostor: &str, flags: &[&str]) -> Child {
    let objective = scene.objective("returns", RETURNS_X);
    let mut command = scene.on_study(&[&["run", &objective], flags].concat());
    command.env(IMPOSTOR, impostor).spawn().unwrap()
}

/// Starts a run of a component that is larger than what a socket holds, so that a guest process that does not read is
/// in the way.
fn start_large(scene: &Scene, impostor: &str, flags: &[&str]) -> Child {
    let mut bytes = asking(RETURNS_X);
    append_custom_section(&mut bytes, 8 << 20);
    std::fs::write(scene.path("large.wasm"), bytes).unwrap();
    let mut command = scene.on_study(&[&["run", "large.wasm", "--no-cache"], flags].concat());
    command.env(IMPOSTOR, impostor).spawn().unwrap()
}

#[test]
fn a_trial_s_time_ends_whatever_the_guest_process_reads_or_sends() {
    for impostor in IN_TRIAL {
        let scene = Scene::new("impostors-time");
        let started = Instant::now();
        let ended = end(start(&scene, impostor, &["--trial-timeout", "300ms"]));
        assert!(started.elapsed() < SOON, "{impostor}");
        assert_eq!(ended.code, Some(1), "{impostor}: {ended:?}");
        let code = if GONE.contains(&impostor) { "E-DIED" } else { "E-TIME" };
        assert_eq!(ended.events[0]["failure"]["code"], code, "{impostor}: {ended:?}");
    }
}

#[test]
fn signals_end_a_trial_whatever_the_guest_process_reads_or_sends() {
    for impostor in IN_TRIAL.into_iter().filter(|impostor| !GONE.contains(impostor)) {
        for (signal, code) in [(Signal::TERM, 75), (Signal::INT, 130)] {
            let scene = Scene::new("impostors-signals");
            let mut host = start(&scene, impostor, &["--max-retries", "0"]);
            while trials(&scene).is_empty() {
                assert!(host.try_wait().unwrap().is_none(), "{impostor}: it ended too early");
            }
            let started = Instant::now();
            let pid = Pid::from_child(&host);
            kill_process(pid, signal).unwrap();
            let ended = end(host);
            assert!(started.elapsed() < SOON, "{impostor}");
            assert_eq!(ended.code, Some(code), "{impostor}: {ended:?}");
            let found = trials(&scene);
            assert_eq!(found[0]["state"], "FAIL", "{impostor}: {found:?}");
        }
    }
}

#[test]
fn loading_ends_in_time_whatever_the_guest_process_reads_or_sends() {
    for (impostor, code) in IN_LOADING {
        let scene = Scene::new("impostors-loading");
        let started = Instant::now();
        let ended = end(start_large(&scene, impostor, &["--compile-timeout", "1s"]));
        assert!(started.elapsed() < SOON, "{impostor}");
        let exit = if code == "E-DIED" { 71 } else { 4 };
        assert_eq!(ended.code, Some(exit), "{impostor}: {ended:?}");
        assert!(ended.stderr.contains(code), "{impostor}: {ended:?}");
    }
}

#[test]
fn signals_end_loading_whatever_the_guest_process_reads_or_sends() {
    for (impostor, _) in IN_LOADING.into_iter().filter(|(_, code)| *code == "E-COMPILE-LIMIT") {
        let scene = Scene::new("impostors-loading-signals");
        let mut host = start_large(&scene, impostor, &[]);
        // The handlers of signals stand before the guest process starts.
        wait_for_guest(&mut host);
        kill_process(Pid::from_child(&host), Signal::TERM).unwrap();
        let started = Instant::now();
        let ended = end(host);
        assert!(started.elapsed() < SOON, "{impostor}");
        assert!(ended.code.is_some(), "{impostor}: {ended:?}");
    }
}

#[test]
fn a_process_that_keeps_the_standard_error_of_a_guest_process_holds_nothing_up() {
    let scene = Scene::new("impostors-stderr");
    let started = Instant::now();
    let ended = end(start(&scene, "leaves a process with its standard error", &[]));
    assert!(started.elapsed() < SOON, "{ended:?}");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.events[0]["failure"]["code"], "E-DIED", "{ended:?}");
}

/// Appends a custom section with this many bytes of content to a component.
fn append_custom_section(component: &mut Vec<u8>, length: u32) {
    let name = b"\x07padding";
    component.push(0);
    let mut rest = length + u32::try_from(name.len()).unwrap();
    while rest >= 0x80 {
        component.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    component.push(rest as u8);
    component.extend_from_slice(name);
    component.resize(component.len() + length as usize, 0);
}
