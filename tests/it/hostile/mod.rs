//! Guests that misbehave: each ends as the list says, and nothing else happens.

mod cache;
#[cfg(feature = "failpoints")]
mod died;
mod floods;
mod ground;
pub(crate) mod guests;
mod list;
pub(crate) mod places;

use crate::scene::{Scene, guest};
use crate::scripted::objective_text;
use ground::Ground;
use list::{BREAKS, COMPILE_BOMBS, ELSEWHERE, ENDS, Entry, MANY, MEMORY, REFUSED, TOO_MUCH};
use std::collections::BTreeSet;

/// The text of an objective whose `evaluate` has this body, and which describes nothing.
pub(crate) fn text(body: &str) -> Vec<u8> {
    objective_text(&format!(
        r#"(core module $m
    (memory (export "memory") 1)
    (func (export "evaluate") (result i32) {body})
    (data (i32.const 36) "\30\00\00\00\01"))
  (core instance $i (instantiate $m))"#
    ))
    .into_bytes()
}

/// A body for [`text`].
pub(crate) const RETURNS_ZERO: &str = "(i32.const 32)";

/// The component of [`text`].
pub(crate) fn component(body: &str) -> Vec<u8> {
    wat::parse_bytes(&text(body)).unwrap().into_owned()
}

#[test]
fn a_guest_that_takes_too_much_is_stopped_by_the_limit_that_it_meets() {
    Ground::new("hostile-too-much").play(TOO_MUCH);
}

#[test]
fn tables_directories_and_texts_count_as_memory_or_are_bounded() {
    let ground = Ground::new("hostile-memory");
    ground.fill("many", MANY);
    ground.play(MEMORY);
}

#[test]
fn a_guest_that_breaks_is_a_failed_trial_with_its_code() {
    Ground::new("hostile-breaks").play(BREAKS);
}

#[test]
fn a_guest_that_ends_in_an_odd_way_harms_at_most_its_trial() {
    Ground::new("hostile-ends").play(ENDS);
}

#[test]
fn what_is_no_objective_is_refused_with_its_code() {
    Ground::new("hostile-refused").play(REFUSED);
}

#[test]
fn a_component_that_is_made_to_keep_the_compiler_busy_is_refused() {
    Ground::new("hostile-compile").play(COMPILE_BOMBS);
}

#[test]
fn what_is_refused_leaves_no_database() {
    let scene = Scene::new("hostile-absent");
    for entry in REFUSED.iter().filter(|entry| matches!(entry.end, list::End::Refused(..))) {
        std::fs::write(scene.path("x.wasm"), entry.guest.bytes()).unwrap();
        let flags = entry.flags.split_whitespace();
        let arguments: Vec<&str> = ["run", "x.wasm"].into_iter().chain(flags).collect();
        assert_eq!(scene.trialbox(&arguments).code, Some(4), "{}", entry.name);
        let found: Vec<_> = std::fs::read_dir(&scene.folder).unwrap().collect();
        assert_eq!(found.len(), 1, "{}: {found:?}", entry.name);
    }
}

#[test]
fn every_threat_is_in_the_list_or_tested_elsewhere() {
    let listed = lists().map(|entry| entry.id).chain(ELSEWHERE.iter().map(|(id, _)| *id));
    let want: BTreeSet<String> = (1..=42).map(|n| format!("H{n:02}")).collect();
    assert_eq!(listed.map(str::to_owned).collect::<BTreeSet<_>>(), want);
    let names: BTreeSet<&str> = lists().map(|entry| entry.name).collect();
    assert_eq!(names.len(), lists().count(), "two guests have one name");
}

fn lists() -> impl Iterator<Item = &'static Entry> {
    [TOO_MUCH, MEMORY, BREAKS, ENDS, REFUSED, COMPILE_BOMBS].into_iter().flatten()
}

#[test]
fn a_process_goes_on_after_a_guest_that_had_to_be_killed() {
    let scene = Scene::new("hostile-respawn");
    std::fs::write(scene.path("loop.wasm"), component("(loop $l (br $l)) unreachable")).unwrap();
    let ran =
        scene.trialbox(&["run", "loop.wasm", "--trial-timeout", "100ms", "-n", "3", "--catch"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(scene.json(&["study", "trials", "--state", "fail"]).len(), 3);
}

#[test]
fn the_order_of_hashes_follows_the_seed_and_the_time_of_day_does_not() {
    let scene = Scene::new("hostile-repeats");
    let misfit = guest("misfit");
    let value = |how: &str, seed: &str| {
        let env = format!("MISFIT={how}");
        scene.json(&["eval", &misfit, "--env", &env, "--seed", seed])[0]["values"].clone()
    };
    assert_eq!(value("hash", "1"), value("hash", "1"));
    assert_ne!(value("hash", "1"), value("hash", "2"));
    assert_ne!(value("clock", "1"), value("clock", "1"));
}
