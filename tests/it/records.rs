//! The events of `--format json`: each is printed here, or has a reason why another test prints it.
//!
//! `schema` checks every line of JSON that any test reads.

use crate::scene::{Scene, guest};
use crate::schema::event_names;
use crate::submit::{ACCEPT, with_slurm};
use serde_json::Value;
use std::collections::BTreeSet;

/// Events that these tests do not print.
const ELSEWHERE: [(&str, &str); 3] = [
    ("tagged", "takes a registry; see `sharing`"),
    ("built", "takes the runtime for Python; see `sandboxed_python::archives`"),
    ("claim_lost", "takes a process that stands still; see `kill`"),
];

/// The events that were printed.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn note(&mut self, lines: &[Value]) {
        self.0.extend(lines.iter().map(|line| line["event"].as_str().unwrap().to_owned()));
    }

    /// Runs commands, which must exit with 0.
    #[track_caller]
    fn run(&mut self, scene: &Scene, commands: &[&[&str]]) {
        for command in commands {
            self.note(&scene.json(command));
        }
    }

    /// Runs a command that exits with another code.
    #[track_caller]
    fn run_to(&mut self, code: i32, scene: &Scene, command: &[&str]) {
        let ran = scene.trialbox(&[command, &["--format", "json"]].concat());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        self.note(&ran.json());
    }
}

#[test]
fn every_event_of_the_schema_is_printed() {
    let mut seen = Seen::default();
    print_objective(&mut seen);
    print_stopping(&mut seen);
    print_trials(&mut seen);
    print_studies(&mut seen);
    print_recovery(&mut seen);
    print_submission(&mut seen);
    print_program(&mut seen);
    print_runtime(&mut seen);
    let elsewhere = ELSEWHERE.map(|(event, _)| event);
    let missing: Vec<&str> = event_names()
        .into_iter()
        .filter(|event| !seen.0.contains(*event) && !elsewhere.contains(event))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    for event in elsewhere {
        assert!(event_names().contains(event), "the schema has no event `{event}`");
    }
}

/// The commands that a program calls inside its trial print for the program.
fn print_program(seen: &mut Seen) {
    let scene = Scene::new("records-program");
    let trialbox = env!("CARGO_BIN_EXE_trialbox");
    let script = format!(
        "{trialbox} suggest 'x=float(0, 1)' --format json > lines; {trialbox} report 1 --step 0
         {trialbox} should-prune --format json >> lines; {trialbox} result 1"
    );
    seen.note(&scene.trialbox(&["run", "--format", "json", "--", "sh", "-c", &script]).json());
    let lines = std::fs::read_to_string(scene.path("lines")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    crate::schema::assert_documented(&lines);
    seen.note(&lines);
}

fn print_runtime(seen: &mut Seen) {
    let scene = Scene::new("records-runtime");
    seen.run(&scene, &[&["runtime", "list"], &["runtime", "remove", "python"], &["python-path"]]);
}

fn print_objective(seen: &mut Seen) {
    let (scene, quadratic) = (Scene::new("records-objective"), guest("quadratic"));
    let commands: [&[&str]; 9] = [
        &["new", "mine"],
        &["explain", "E-MEM"],
        &["config"],
        &["inspect", &quadratic],
        &["eval", &quadratic, "--param", "x=1"],
        &["eval", &quadratic, "--check"],
        &["run", &quadratic, "-n", "2", "--max-trials", "2"],
        &["run", &quadratic],
        &["trial", "replay", "0", &quadratic],
    ];
    seen.run(&scene, &commands);
    seen.note(&scene.trialbox(&["inspect", "--format", "json", "--", "true"]).json());
    seen.run_to(4, &scene, &["inspect", "missing.wasm"]);
    let store = ["--store", "store"];
    seen.run(&scene, &[&[&["pull", &quadratic][..], &store].concat()]);
    let layout = "oci:layout:1";
    seen.run(&scene, &[&["eval", &quadratic, "--record", "s.wasm"], &["verify", "s.wasm"]]);
    seen.run(&scene, &[&["push", &quadratic, layout], &["tags", "oci:layout"]]);
    seen.run(&scene, &[&[&["store", "list"][..], &store].concat()]);
    seen.run(&scene, &[&[&["store", "gc", "--older-than", "90d"][..], &store].concat()]);
}

/// Prints the reasons for which no further trial starts.
fn print_stopping(seen: &mut Seen) {
    let (scene, quadratic, misfit) =
        (Scene::new("records-stopping"), guest("quadratic"), guest("misfit"));
    let run = |study: &'static str, flags: &[&'static str]| {
        [&["run", &quadratic, "--study-name", study, "--n-trials", "90"], flags].concat()
    };
    let grid = r#"search_space={"x": [0.5], "y": [1]}"#;
    let runs = [
        run("value", &["--stop-when-value", "1000"]),
        run("patience", &["--patience", "1"]),
        run("grid", &["--sampler", "grid", "--sampler-opt", grid]),
        run("until", &["--until", "2020-01-01T00:00"]),
        run("timeout", &["--timeout", "0"]),
        run("job", &["--job-time", "1h", "--min-time", "2h"]),
    ];
    runs.iter().for_each(|command| seen.run(&scene, &[command]));
    seen.run(&scene, &[&["study", "stop", "--study-name", "job", "--reason", "a test"]]);
    seen.run(&scene, &[&run("job", &[])]);
    seen.run(&scene, &[&["study", "resume", "--study-name", "job"]]);
    let failing = ["run", &misfit, "--study-name", "failing", "-n", "2", "--max-failures", "1"];
    seen.run_to(1, &scene, &failing);
}

fn print_trials(seen: &mut Seen) {
    let scene = Scene::new("records-trials");
    let space = r#"{"x": {"type": "float", "low": -1, "high": 1}}"#;
    let space = ["trial", "ask", "--search-space", space];
    let commands: [&[&str]; 11] = [
        &["study", "create", "--study-name", "s", "--direction", "minimize", "minimize"],
        &["trial", "enqueue", "--param", "x=0"],
        &space,
        &["trial", "tell", "0", "--values", "0.5", "2", "--constraint", "c=-1", "--report", "0=1"],
        &["trial", "tell", "0", "--values", "0.5", "2", "--skip-if-finished"],
        &["trial", "show", "0"],
        &["study", "best", "--reference-point", "3,3"],
        &["study", "trials"],
        &["trial", "enqueue"],
        &["trial", "cancel", "--all"],
        &["trial", "retry", "1"],
    ];
    seen.run(&scene, &commands);
}

fn print_studies(seen: &mut Seen) {
    let (scene, quadratic) = (Scene::new("records-studies"), guest("quadratic"));
    let commands: [&[&str]; 11] = [
        &["run", &quadratic, "--study-name", "s", "-n", "3"],
        &["study", "set-attr", "a=1"],
        &["study", "show"],
        &["study", "best"],
        &["study", "importance"],
        &["study", "report"],
        &["study", "compare", "s", "s"],
        &["study", "copy", "s", "--to-study-name", "t"],
        &["study", "rename", "t", "u"],
        &["study", "list"],
        &["study", "snapshot", "copy.db"],
    ];
    seen.run(&scene, &commands);
    let exported = scene.trialbox(&["study", "export", "--study-name", "s", "--format", "json"]);
    assert_eq!(exported.json().len(), 4, "a study and three trials");
    std::fs::write(scene.path("s.jsonl"), exported.stdout).unwrap();
    let import = ["study", "import", "s.jsonl", "--study-name", "imported"];
    seen.run(&scene, &[&import, &["study", "delete", "u"]]);
}

fn print_recovery(seen: &mut Seen) {
    let scene = Scene::new("records-recovery");
    seen.run(&scene, &[&["study", "create", "--study-name", "s"], &["trial", "ask"]]);
    seen.run(&scene, &[&["reap"], &["reap", "--trial", "0"]]);
    std::fs::create_dir(scene.path("trialbox.db.spool")).unwrap();
    std::fs::write(scene.path("trialbox.db.spool/0-a.json"), "not JSON").unwrap();
    seen.run_to(3, &scene, &["study", "sync"]);
    seen.run(&scene, &[&["doctor", "--no-guard"]]);
}

fn print_submission(seen: &mut Seen) {
    let (scene, quadratic) = (Scene::new("records-submission"), guest("quadratic"));
    let submit = ["submit", &quadratic, "--trials", "4", "--parallel", "2", "--format", "json"];
    for more in [&["--dry-run"][..], &[]] {
        let ran = with_slurm(&scene, ACCEPT, &[&submit[..], more].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        seen.note(&ran.json());
    }
}
