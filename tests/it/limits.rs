//! Limits: how they are moved, remembered and met, and what a trial says of what it used.

use crate::hostile;
use crate::scene::{Scene, guest};
use crate::scripted::{Call, Ending, component, float};
use serde_json::json;
use std::process::Command;

fn attrs(n: usize) -> Vec<u8> {
    let keys: Vec<String> = (0..n).map(|n| format!("key{n}")).collect();
    let calls: Vec<Call> = keys.iter().map(|key| Call::Attr { key, json: "1" }).collect();
    component(&calls, &Ending::Values(&[1.0]))
}

#[test]
fn a_limit_that_is_met_is_named_with_what_was_used_and_can_be_moved() {
    let scene = Scene::new("limits-named");
    std::fs::write(scene.path("attrs.wasm"), attrs(4)).unwrap();
    let run = |study: &str, limit: &str| {
        let run = ["run", "attrs.wasm", "--study-name", study, "--limit", limit];
        scene.trialbox(&[&run[..], &["--format", "json"]].concat())
    };
    let ran = run("three", "user-attrs=3");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let failure = &ran.json()[0]["failure"];
    assert_eq!(failure["code"], "E-BUDGET");
    let limit = json!({ "name": "user-attrs", "allowed": 3, "used": 4, "unit": "count", "flag": "--limit user-attrs" });
    assert_eq!(failure["limit"], limit);
    let trial = &scene.json(&["study", "trials", "--study-name", "three"])[0];
    assert_eq!(trial["failure"]["limit"], limit);
    let stored = json!({ "name": "user-attrs", "allowed": 3, "used": 4, "unit": "count" });
    assert_eq!(trial["system_attrs"]["trialbox:failure"]["limit"], stored);
    assert_eq!(run("four", "user-attrs=4").code, Some(0));
    scene
        .trialbox(&["run", "attrs.wasm", "--limit", "user-atrs=4"])
        .assert_error(2, &["there is no limit `user-atrs`", "user-attrs"]);
}

#[test]
fn a_study_remembers_the_limits_that_it_was_begun_with() {
    let scene = Scene::new("limits-remembered");
    std::fs::write(scene.path("attrs.wasm"), attrs(4)).unwrap();
    let run = |flags: &[&str]| {
        scene.trialbox(&[&["run", "attrs.wasm", "--study-name", "s"], flags].concat())
    };
    assert_eq!(run(&["--limit", "user-attrs=3", "--fuel", "5000000"]).code, Some(1));
    let shown = &scene.json(&["study", "show", "--study-name", "s"])[0];
    let remembered = json!({ "fuel": 5_000_000, "user-attrs": 3 });
    assert_eq!(shown["user_attrs"]["trialbox:limits"], remembered);
    assert_eq!(run(&[]).code, Some(1));
    run(&["--limit", "user-attrs=4"]).assert_error(2, &["--fuel and --limit", "--override"]);
    assert_eq!(run(&["--limit", "user-attrs=4", "--override"]).code, Some(0));
    let trials = scene.json(&["study", "trials", "--study-name", "s"]);
    assert_eq!(trials[1]["system_attrs"]["trialbox:provenance"]["limits"], remembered);
    let limits = &trials[2]["system_attrs"]["trialbox:provenance"]["limits"];
    assert_eq!(limits, &json!({ "fuel": 5_000_000, "user-attrs": 4 }));
}

#[test]
fn remembered_limits_are_changed_name_by_name_and_make_sense_or_are_refused() {
    let scene = Scene::new("limits-by-name");
    std::fs::write(scene.path("attrs.wasm"), attrs(1)).unwrap();
    let run = |flags: &[&str]| {
        scene.trialbox(&[&["run", "attrs.wasm", "--study-name", "s"], flags].concat())
    };
    let remembered = || {
        let shown = &scene.json(&["study", "show", "--study-name", "s"])[0];
        shown["user_attrs"]["trialbox:limits"].clone()
    };
    assert_eq!(run(&["--limit", "handles=7000", "--fuel", "5000000"]).code, Some(0));
    assert_eq!(run(&["--fuel", "5000000"]).code, Some(0));
    assert_eq!(run(&["--fuel", "6000000", "--override"]).code, Some(0));
    assert_eq!(remembered(), json!({ "fuel": 6_000_000, "handles": 7000 }));
    // Not a word that the study has: for this command alone, and with --override from now on.
    assert_eq!(run(&["--limit", "stack=2MiB"]).code, Some(0));
    assert_eq!(remembered(), json!({ "fuel": 6_000_000, "handles": 7000 }));
    assert_eq!(run(&["--limit", "stack=2MiB", "--override"]).code, Some(0));
    assert_eq!(remembered()["stack"], 2 << 20);
    for bad in [r#"{"stack":18446744073709551615}"#, r#"{"memory":0}"#, r#"{"nosuch":3}"#, "3"] {
        let attr = format!("trialbox:limits={bad}");
        assert_eq!(
            scene.trialbox(&["study", "set-attr", &attr, "--study-name", "s"]).code,
            Some(0)
        );
        run(&[]).assert_error(2, &["`trialbox:limits` of study `s` cannot be read"]);
    }
}

#[test]
fn fuel_is_the_same_in_every_run_and_ends_a_trial_that_needs_more() {
    let scene = Scene::new("limits-fuel");
    let quadratic = guest("quadratic");
    let run = |study: &str, fuel: &str| {
        let run = ["run", &quadratic, "--study-name", study, "--seed", "1", "--fuel", fuel];
        scene.trialbox(&[&run[..], &["--format", "json"]].concat())
    };
    let used = |study: &str| run(study, "1000000000").json()[0]["usage"]["fuel"].clone();
    let fuel = used("a");
    assert!(fuel.as_u64().unwrap() > 1000, "{fuel}");
    assert_eq!(used("b"), fuel);
    let enough = fuel.to_string();
    assert_eq!(run("enough", &enough).code, Some(0));
    // It is looked at now and then, in loops and calls.
    let scarce = (fuel.as_u64().unwrap() / 2).to_string();
    let ran = run("scarce", &scarce);
    assert_eq!(ran.code, Some(1));
    let failure = &ran.json()[0]["failure"];
    assert_eq!(failure["code"], "E-FUEL");
    assert!(
        failure["message"].as_str().unwrap().contains(&format!("limit `fuel` allows {scarce}"))
    );
}

#[test]
fn a_trial_says_what_it_used_also_when_it_is_killed() {
    let scene = Scene::new("limits-usage");
    let calls = [float("x", 0.0, 1.0), Call::Report(1.0, 0), Call::Report(2.0, 1)];
    std::fs::write(scene.path("calls.wasm"), component(&calls, &Ending::Values(&[1.0]))).unwrap();
    let ran = &scene.json(&["run", "calls.wasm", "--study-name", "s"])[0];
    let usage = &ran["usage"];
    assert_eq!((&usage["host_calls"], &usage["reports"]), (&json!(3), &json!(2)));
    assert_eq!(usage["peak_memory_bytes"], 65536);
    let trial = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    assert_eq!(&trial["system_attrs"]["trialbox:usage"], usage);
    let shown = scene.trialbox(&["eval", "calls.wasm"]).stdout;
    assert!(shown.contains("64 KiB of memory, 3 calls"), "{shown}");

    // 64 pages of 64 KiB more, and then a loop without end.
    let body = "(drop (memory.grow (i32.const 64))) (loop $l (br $l)) unreachable";
    std::fs::write(scene.path("loop.wasm"), hostile::component(body)).unwrap();
    // On a busy machine a guest gets little of each second: the time is doubled until a loop must have had its part.
    let mut cpu_seconds = 0.0;
    for seconds in [1, 2, 4, 8, 16, 32] {
        let (timeout, study) =
            (format!("--trial-timeout={seconds}s"), format!("--study-name={seconds}"));
        let killed = scene.trialbox(&["run", "loop.wasm", &timeout, &study, "--format", "json"]);
        let usage = &killed.json()[0]["usage"];
        assert_eq!(usage["peak_memory_bytes"], 65 * 65536, "{killed:?}");
        cpu_seconds = usage["cpu_seconds"].as_f64().unwrap();
        if cpu_seconds > 0.1 {
            break;
        }
    }
    assert!(cpu_seconds > 0.1, "a loop takes CPU time, not {cpu_seconds} s");
}

#[test]
fn a_trial_runs_where_addresses_and_files_are_scarce() {
    let scene = Scene::new("limits-ulimit");
    // What sites set for jobs: 1,000,000 KiB of addresses, files of no more than 100 blocks.
    let mut shell = Command::new("sh");
    let script = r#"ulimit -v 1000000; ulimit -f 2000; exec "$0" "$@""#;
    shell.args(["-c", script, env!("CARGO_BIN_EXE_trialbox")]);
    shell.args(["run", &guest("digits"), "--dir", &crate::scene::digits_data(), "-v"]);
    shell.args(["--fix", "width=8", "--no-cache", "--study-name", "scarce"]);
    scene.isolate(&mut shell);
    let ran: crate::scene::Ran = shell.output().unwrap().into();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("ulimit -v"), "{ran:?}");
    assert!(ran.stdout.contains("COMPLETE"), "{ran:?}");
}

#[test]
fn memory_that_the_system_refuses_is_told_as_memory() {
    let scene = Scene::new("limits-ulimit-data");
    let bodies = [
        ("memory", "", "(loop $more (drop (memory.grow (i32.const 64))) (br $more)) unreachable"),
        (
            "table",
            "(table $t 1 funcref)",
            "(loop $more (drop (table.grow $t (ref.null func) (i32.const 4096))) (br $more)) unreachable",
        ),
    ];
    for (study, table, body) in bodies {
        let text = String::from_utf8(hostile::text(body)).unwrap();
        let text = text.replacen("(core module $m", &format!("(core module $m {table}"), 1);
        std::fs::write(scene.path("grows.wasm"), wat::parse_str(text).unwrap()).unwrap();
        // The host process gets along with 200 MB of data, and the guest would have 4 GiB.
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"ulimit -d 200000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_trialbox")]);
        shell.args(["run", "grows.wasm", "--limit", "table-elements=1000000000"]);
        shell.args(["--study-name", study, "--format", "json", "--trial-timeout", "200s"]);
        scene.isolate(&mut shell);
        let ran: crate::scene::Ran = shell.output().unwrap().into();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let failure = &ran.json()[0]["failure"];
        assert_eq!(failure["code"], "E-MEM", "{failure}");
        assert_eq!(failure["limit"]["name"], "memory", "{failure}");
    }
}
