//! What hostile guests say and report: what of it is kept, and what a terminal sees of it.

use super::guests::{self, Guest};
use super::list::{ODD_REPORTS, names_with_escapes};
use crate::scene::{Ran, Scene};
use crate::scripted::{Ending, component};
use serde_json::json;

/// Has commands shown in the way for people, all of which must be harmless to a terminal.
#[track_caller]
fn assert_harmless(ran: &Ran, codes: &[i32]) {
    assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{ran:?}");
    for text in [&ran.stdout, &ran.stderr] {
        let found = text.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(found, None, "{:?}", text.chars().take(4096).collect::<String>());
    }
}

#[test]
fn nothing_that_a_guest_says_moves_the_cursor_of_who_reads_it() {
    let scene = Scene::new("hostile-escapes");
    for (study, guest) in [
        ("log", Guest::Wat("log-flood")),
        ("error", Guest::Wat("error-text")),
        ("print", Guest::Misfit("print")),
        ("panic", Guest::Misfit("panic-at-length")),
        ("names", Guest::Made(names_with_escapes)),
    ] {
        std::fs::write(scene.path("x.wasm"), guest.bytes()).unwrap();
        let flags = guest.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let run = ["run", "x.wasm", "-v", "--study-name", study];
        for command in [&["eval", "x.wasm"][..], &run, &["inspect", "x.wasm"]] {
            assert_harmless(&scene.trialbox(&[command, &flags].concat()), &[0, 1]);
        }
        for command in [&["study", "trials"][..], &["study", "show"], &["trial", "show", "0"]] {
            let arguments = [command, &["--study-name", study]].concat();
            assert_harmless(&scene.trialbox(&arguments), &[0]);
        }
    }
}

#[test]
fn an_odd_report_is_stored_as_python_s_optuna_would_store_it() {
    let scene = Scene::new("hostile-reports");
    let bytes = component(&ODD_REPORTS, &Ending::Values(&[0.0]));
    std::fs::write(scene.path("x.wasm"), bytes).unwrap();
    assert_eq!(scene.json(&["run", "x.wasm"])[0]["state"], "COMPLETE");
    let trial = &scene.json(&["study", "trials"])[0];
    let want = json!([[0, "nan"], [1, 1.0], [4_294_967_295_u32, 3.0]]);
    assert_eq!(trial["intermediate_values"], want);
}

#[test]
fn sections_that_are_no_code_are_not_shown() {
    let scene = Scene::new("hostile-sections");
    std::fs::write(scene.path("x.wasm"), guests::custom_sections()).unwrap();
    assert_harmless(&scene.trialbox(&["inspect", "x.wasm"]), &[0]);
}
