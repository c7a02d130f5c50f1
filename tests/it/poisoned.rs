//! A walk of poisoned databases through every command that reads one: each row of the doctor's list, and each attribute
//! of ours with a value of another shape. A command shows the row or names it; none panics, hangs or loses a row.

use crate::hostile::places::end_in_time;
use crate::scene::{Ran, Scene, guest};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex;

const CREATE: &str = include_str!("../../host/trialbox-storage/src/create.sql");
const BASE: &str = include_str!("../../host/trialbox-storage/tests/doctor/base.sql");
const CASES: &str = include_str!("../../host/trialbox-storage/tests/doctor/cases.sql");

/// The commands that only read, of which all but two are about a study.
const READING: [&[&str]; 9] = [
    &["study", "show"],
    &["study", "best"],
    &["study", "trials"],
    &["study", "export", "--format", "json"],
    &["study", "export"],
    &["study", "importance"],
    &["trial", "show", "0"],
    &["study", "list"],
    &["doctor"],
];

/// The commands that also write. Each gets a copy of the database.
const WRITING: [&[&str]; 3] = [&["run", "{wasm}"], &["trial", "ask"], &["reap"]];

/// The attributes that trialbox reads again, of a study and of a trial.
const STUDY_ATTRS: [&str; 16] = [
    "trialbox:max_trials",
    "trialbox:max_retries",
    "trialbox:module_changes",
    "trialbox:seed",
    "trialbox:sampler",
    "trialbox:pruner",
    "trialbox:stop",
    "trialbox:stop_when_value",
    "trialbox:patience",
    "trialbox:limits",
    "trialbox:max_memory_bytes",
    "trialbox:trial_timeout_secs",
    "trialbox:module",
    "trialbox:checkpoint_dir",
    "trialbox:deterministic",
    "trialbox:constraint_format",
];
const TRIAL_ATTRS: [&str; 11] = [
    "trialbox:failure",
    "trialbox:usage",
    "trialbox:provenance",
    "trialbox:owner",
    "trialbox:watch",
    "trialbox:made_progress",
    "trialbox:constraint_names",
    "trialbox:prune_answers",
    "constraints",
    "fixed_params",
    "retry_history",
];

/// Values of every shape, few of which any attribute has.
const VALUES: [&str; 8] =
    ["null", "-1", "1e999", "\"x\"", "[]", "{}", "[[1]]", "{\"trial\": -1, \"code\": 3}"];

/// A database goes through every third command, and the next one through others: the doctor's list has several
/// databases for most faults, and all commands read trials in one place.
const SHARES: usize = 3;

/// A database to walk through the commands.
struct Poison {
    name: String,
    sql: String,
}

fn poisons() -> Vec<Poison> {
    let mut poisons = Vec::new();
    for block in CASES.split("\n--- ").skip(1) {
        let (head, sql) = block.split_once('\n').unwrap();
        let name = head.split(' ').next().unwrap().to_owned();
        poisons.push(Poison { name, sql: sql.to_owned() });
    }
    assert!(poisons.len() > 100, "{}", poisons.len());
    for value in VALUES {
        let mut all_of_trials = String::new();
        for attr in TRIAL_ATTRS {
            for trial in [1, 3, 4, 7] {
                all_of_trials.push_str(&format!(
                    "INSERT INTO trial_system_attributes (trial_id, key, value_json) \
                     VALUES ({trial}, '{attr}', '{value}') ON CONFLICT DO UPDATE SET value_json = '{value}';"
                ));
            }
        }
        poisons.push(Poison { name: format!("trials with {value}"), sql: all_of_trials });
    }
    for (index, attr) in STUDY_ATTRS.into_iter().enumerate() {
        // Each attribute has half of the values: a wrong shape is refused in one place for all.
        for value in VALUES.into_iter().skip(index % 2).step_by(2) {
            let sql = format!(
                "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, '{attr}', '{value}')"
            );
            poisons.push(Poison { name: format!("{attr} = {value}"), sql });
        }
    }
    poisons
}

/// Creates a poisoned database.
fn create(path: &Path, sql: &str) {
    let _ = std::fs::remove_file(path);
    let connection = Connection::open(path).unwrap();
    let pragmas = "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF;";
    connection.execute_batch(&[pragmas, CREATE, BASE, sql].concat()).unwrap();
}

/// Returns the rows of finished trials, each as its table and its cells.
fn finished_rows(path: &Path) -> BTreeSet<String> {
    let connection = Connection::open(path).unwrap();
    let mut rows = BTreeSet::new();
    for table in [
        "trials",
        "trial_params",
        "trial_values",
        "trial_intermediate_values",
        "trial_user_attributes",
        "trial_system_attributes",
    ] {
        let sql = format!(
            "SELECT * FROM {table} WHERE trial_id IN \
             (SELECT trial_id FROM trials WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL'))"
        );
        // A case may drop the table.
        let Ok(mut statement) = connection.prepare(&sql) else { continue };
        let n_columns = statement.column_count();
        let mut found = statement.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells: Vec<ValueRef> = (0..n_columns).map(|at| row.get_ref(at).unwrap()).collect();
            rows.insert(format!("{table} {cells:?}"));
        }
    }
    rows
}

/// Runs a command on a database.
fn run(scene: &Scene, database: &Path, command: &[&str], what: &str) -> Ran {
    let (wasm, storage) = (guest("quadratic"), database.display().to_string());
    let mut words: Vec<&str> =
        command.iter().map(|word| if *word == "{wasm}" { &wasm } else { *word }).collect();
    words.extend(["--storage", &storage]);
    if !matches!(command, ["study", "list"] | ["doctor"]) {
        words.extend(["--study-name", "s"]);
    }
    let mut command = scene.command(&words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    end_in_time(command.spawn().unwrap(), what)
}

/// Returns what is wrong with the end of a command, or nothing.
fn judge(ran: &Ran) -> Option<&'static str> {
    if !matches!(ran.code, Some(0..=3)) || ran.stderr.contains("panicked") {
        return Some("it crashed");
    }
    let said = format!("{}{}", ran.stdout, ran.stderr);
    // A trial of `run` may fail, and says so on standard output.
    if ran.code != Some(0) && !(said.contains("error") || said.contains("FAIL")) {
        return Some("it failed without a word");
    }
    // The row, or where the whole database is refused what is wrong with it; and what helps.
    let names_row = said
        .split("trial ")
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        || ["trial with id ", "study `", "of study ", "`trial_", "in `", "database `", "`sqlite:"]
            .iter()
            .any(|word| said.contains(word));
    if ran.code == Some(3) && !(names_row && said.contains("help")) {
        return Some("it names no row, or nothing that helps");
    }
    None
}

/// Walks one database through all commands, and returns what is wrong.
fn walk(scene: &Scene, index: usize, poison: &Poison) -> Vec<String> {
    let path = scene.path(&format!("{index}.db"));
    create(&path, &poison.sql);
    let before = finished_rows(&path);
    let mut problems = Vec::new();
    let mut check = |command: &[&str], database: &Path| {
        let what = format!("{}: {}", poison.name, command.join(" "));
        let ran = run(scene, database, command, &what);
        if let Some(problem) = judge(&ran) {
            problems.push(format!("{what}: {problem}: {ran:?}"));
        }
        let lost: Vec<_> = before.difference(&finished_rows(database)).cloned().collect();
        if !lost.is_empty() {
            problems.push(format!("{what}: it lost {lost:?}"));
        }
    };
    let copy = path.with_extension("copy");
    for (turn, command) in READING.into_iter().chain(WRITING).enumerate() {
        if turn % SHARES != index % SHARES {
            continue;
        }
        let database = if turn < READING.len() { &path } else { &copy };
        if database == &copy {
            std::fs::copy(&path, &copy).unwrap();
        }
        check(command, database);
    }
    problems
}

#[test]
fn every_command_shows_or_names_every_poisoned_row_and_none_loses_one() {
    let scene = Scene::new("poisoned");
    let poisons = poisons();
    // So that the walk need not compile.
    scene.json(&["run", &guest("quadratic"), "--storage", "memory:"]);
    let left = Mutex::new(poisons.iter().enumerate());
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((index, poison)) = next else { return };
                    let found = walk(&scene, index, poison);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
