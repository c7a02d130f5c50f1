//! Text of others in the output of every command: names of studies, parameters, choices, attributes, objectives and
//! files that hold line breaks and what a terminal obeys.

use crate::scene::{Ran, Scene, guest};
use serde_json::json;

/// Forges a line, moves the cursor, recolours, turns the direction of writing, and hides a letter.
const HOSTILE: &str =
    "x\nerror: forged\r\u{1b}[31m\u{9b}2J\u{7f}\u{202e}\u{200f}\u{61c}\u{200b}\u{2028}y";

/// Checks that the output of a command obeys the law: no control character but the line break, and no line that the
/// text of others begins.
#[track_caller]
fn check(what: &[&str], ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let is_obeyed = |c: &char| {
            let is_mark =
                ('\u{200b}'..='\u{200f}').contains(c) || ('\u{2028}'..='\u{202e}').contains(c);
            (c.is_control() && *c != '\n') || is_mark || *c == '\u{61c}'
        };
        // The end of a line of CSV, as RFC 4180 has it.
        let text = text.replace("\r\n", "\n");
        assert_eq!(text.chars().find(is_obeyed), None, "{what:?}: {text:?}");
        let is_csv = what.contains(&"export");
        let is_forged = text.lines().any(|line| line.trim_start().starts_with("error: forged"));
        assert!(is_csv || !is_forged, "{what:?}: {text}");
    }
}

fn filled(test: &str) -> Scene {
    let scene = Scene::new(test);
    scene.json(&["study", "create", "--study-name", "other", "--metric-name", HOSTILE]);
    // Other programs write such names.
    let database = rusqlite::Connection::open(scene.path("trialbox.db")).unwrap();
    database.execute("UPDATE studies SET study_name = ?1", [HOSTILE]).unwrap();
    scene.json(&["study", "set-attr", &format!("{}={HOSTILE}", HOSTILE.replace('=', ""))]);
    let mut space = json!({ "n": { "type": "int", "low": 0, "high": 9 } });
    space[HOSTILE] = json!({ "type": "categorical", "choices": [HOSTILE, "b"] });
    for number in ["0", "1", "2"] {
        scene.json(&["trial", "ask", "--search-space", &space.to_string()]);
        let attr = format!("{HOSTILE}={HOSTILE}");
        let constraint = format!("{HOSTILE}=-1");
        let tell = ["trial", "tell", number, "--value", number, "--user-attr", &attr];
        scene.json(&[&tell[..], &["--constraint", &constraint]].concat());
    }
    scene.json(&["trial", "ask"]);
    scene.json(&["trial", "tell", "3", "--state", "fail", "--reason", HOSTILE]);
    scene
}

#[test]
fn no_command_shows_what_a_terminal_would_obey_or_a_line_that_others_wrote() {
    let scene = filled("text-commands");
    let quadratic = guest("quadratic");
    let commands: &[&[&str]] = &[
        &["study", "list"],
        &["study", "show"],
        &["study", "best"],
        &["study", "trials"],
        &["study", "trials", "--state", "fail"],
        &["study", "importance"],
        &["study", "importance", "--evaluator", "fanova"],
        &["study", "export"],
        &["study", "export", "--format", "json"],
        &["study", "stop"],
        &["study", "resume"],
        &["study", "sync"],
        &["study", "show", "--study-name", "missing"],
        &["study", "create", "--study-name", HOSTILE],
        &["study", "copy", HOSTILE, "--to", "copy.db"],
        &["study", "set-attr", "a=1"],
        &["trial", "show", "0"],
        &["trial", "show", "3"],
        &["trial", "show", "0", "-v"],
        &["trial", "show", "99"],
        &["trial", "enqueue", "--param", &format!("{HOSTILE}={HOSTILE}")],
        &["trial", "ask", "--search-space", &format!("{{\"{}\": {{\"type\": \"float\"}}}}", "q")],
        &["trial", "tell", "0", "--value", "1"],
        &["run", &quadratic, "-v", "-v", "--study-name", HOSTILE],
        &["run", &quadratic, "--study-name", HOSTILE, "--fix", &format!("{HOSTILE}=1")],
        &["run", HOSTILE],
        &["inspect", HOSTILE],
        &["eval", HOSTILE],
        &["submit", &quadratic, "--dry-run", "--study-name", HOSTILE],
        &["reap", "--dry-run"],
        &["doctor"],
        &["study", "list", "--storage", HOSTILE],
        // Errors of the parser, which quote what they do not know.
        &[HOSTILE],
        &["study", HOSTILE],
        &["study", "show", "--storage", "study.db", HOSTILE, HOSTILE],
        &["run", &quadratic, &format!("--{HOSTILE}")],
        &["run", &quadratic, "--max-trials", HOSTILE],
        &["run", &quadratic, &format!("--dir={HOSTILE}")],
        &["run", &quadratic, &format!("--limit={HOSTILE}")],
        &["run", &quadratic, &format!("--sampler={HOSTILE}")],
        &["study", "rename", HOSTILE, "plain"],
        &["study", "delete", "plain", "--force"],
    ];
    for command in commands {
        check(command, &scene.trialbox(command));
    }
    for name in ["STORAGE", "STUDY_NAME", "SPOOL_DIR", "CACHE_DIR", "CHECKPOINT_DIR"] {
        let name = format!("TRIALBOX_{name}");
        for arguments in [&["run", &quadratic][..], &["study", "show", "--no-such-flag"]] {
            let mut command = scene.command(arguments);
            // A path that exists nowhere, so that none is made of it.
            let ran = command.env(&name, format!("/missing/{HOSTILE}")).output().unwrap().into();
            check(&[&name, arguments[0]], &ran);
        }
    }
}

#[test]
fn json_has_every_character_and_nothing_that_a_terminal_obeys() {
    let scene = filled("text-json");
    let ran = scene.trialbox(&["study", "trials", "--format", "json"]);
    check(&["study", "trials", "--format", "json"], &ran);
    let trial = ran.json().remove(0);
    assert_eq!(trial["study"], HOSTILE);
    assert!(trial["params"][HOSTILE].is_string(), "{trial}");
    assert_eq!(trial["user_attrs"][HOSTILE], HOSTILE);
}
