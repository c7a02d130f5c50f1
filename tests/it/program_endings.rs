//! The ways in which a program ends: the table in docs/programs.md, row by row, and no process is left.

use crate::scene::{Scene, root};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Flags and a shell script for each row. `send` writes a line by the protocol.
const SCRIPTS: [(&str, &[&str], &str); 12] = [
    ("an exception in Python", &[], "exec python3 train.py"),
    ("a value that is NaN", &[], r#"send '{"call": "complete", "values": [NaN]}'"#),
    ("status 3 after a result", &[], r#"send '{"call": "complete", "values": [1]}'; exit 3"#),
    ("a signal such as SIGSEGV", &[], "kill -SEGV $$"),
    (
        "more memory than `--max-memory`",
        &["--max-memory", "50MiB"],
        "x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 600",
    ),
    ("no result", &[], "exit 0"),
    ("runs until `--trial-timeout`", &["--trial-timeout", "1s"], "while :; do sleep 600; done"),
    (
        "ignores SIGTERM",
        &["--trial-timeout", "1s", "--kill-after", "200ms"],
        "trap '' TERM; while :; do sleep 600; done",
    ),
    (
        "leaves a daemon behind",
        &[],
        r#"(setsid sleep 600 &); send '{"call": "complete", "values": [1]}'"#,
    ),
    (
        "floods standard output",
        &[],
        r#"yes | head -c 2000000; send '{"call": "complete", "values": [1]}'"#,
    ),
    (
        "closes its descriptors",
        &[],
        "eval \"exec $TRIALBOX_REQUESTS>&- $TRIALBOX_ANSWERS<&- >&- 2>&-\"; exit 0",
    ),
    ("sends a broken line", &[], "send 'loss: 0.5'; sleep 600"),
];

const SEND: &str = r#"send() { printf '%s\n' "$1" >&"$TRIALBOX_REQUESTS"; }; "#;

const EXCEPTION: &str = "from trialbox import objective\n@objective\ndef train(trial):\n    raise \
                         ValueError('no data')\ntrain.run()\n";

/// A row of the table: the ending, its state, its code, and the words between the first backticks of its message.
struct Row {
    ending: String,
    state: String,
    code: String,
    message: String,
}

fn rows() -> Vec<Row> {
    let page = std::fs::read_to_string(root().join("docs/programs.md")).unwrap();
    let (_, table) =
        page.split_once("| ending | state | code | message |\n|---|---|---|---|\n").unwrap();
    let lines = table.lines().take_while(|line| line.starts_with('|'));
    let quoted = |cell: &str| cell.split('`').nth(1).unwrap_or_default().to_owned();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [ending, state, code, message] = cells[..] else { panic!("four cells in {line}") };
            Row {
                ending: ending.to_owned(),
                state: state.to_owned(),
                code: quoted(code),
                message: quoted(message),
            }
        })
        .collect()
}

/// Returns the processes whose environment has this word.
fn processes_with(mark: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let has = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes.filter(has).map(|entry| entry.file_name().display().to_string()).collect()
}

#[test]
fn every_ending_has_the_state_the_code_and_the_message_of_the_page() {
    let rows = rows();
    let on_page: BTreeSet<&str> = rows.iter().map(|row| row.ending.as_str()).collect();
    assert_eq!(on_page, SCRIPTS.iter().map(|(ending, ..)| *ending).collect());
    for (index, (ending, flags, script)) in SCRIPTS.iter().enumerate() {
        let row = rows.iter().find(|row| row.ending == *ending).unwrap();
        let scene = Scene::new(&format!("program-ending-{index}"));
        std::fs::write(scene.path("train.py"), EXCEPTION).unwrap();
        let mark = format!("ENDING={}-{index}", std::process::id());
        let script = format!("{SEND}{script}");
        let run = ["run", "--study-name", "s", "--format", "json", "--env", &mark];
        let ran = scene.trialbox(&[&run[..], flags, &["--", "sh", "-c", &script]].concat());
        let trial = &ran.json()[0];
        assert_eq!(trial["state"], json!(row.state), "{ending}: {trial}");
        assert_eq!(processes_with(&mark), Vec::<String>::new(), "{ending}");
        let log: Vec<&str> = trial["log"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|line| line["text"].as_str())
            .collect();
        if row.code.is_empty() {
            assert_eq!(trial["failure"], Value::Null, "{ending}");
            let has = |text: &str| log.iter().any(|line| line.contains(text));
            assert!(has(&row.message), "{ending}: `{}` in {log:?}", row.message);
        } else {
            let (failure, message) = (&trial["failure"], &row.message);
            assert_eq!(failure["code"], json!(row.code), "{ending}: {trial}");
            let found = failure["message"].as_str().unwrap();
            assert!(found.starts_with(message), "{ending}: {found}");
        }
        let bytes: usize = log.iter().map(|line| line.len()).sum();
        assert!(bytes < 100_000, "{ending}: the log is bounded, not {bytes} bytes");
    }
}
