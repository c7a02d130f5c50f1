//! Exit code 0 means that the answer was delivered: every command with a standard output that takes nothing.
//!
//! The commands are those that `--help` lists. A new one without a row here fails the test.

use crate::scene::{Ran, Scene, guest};
use crate::submit::ACCEPT;
use crate::submit::fake_slurm;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::process::{Command, Stdio};

/// Commands, and an invocation of each that succeeds in [`prepared`]. OBJECTIVE stands for the objective's file.
const INVOCATIONS: [(&str, &[&str]); 45] = [
    ("new", &["fresh", "--template", "program"]),
    ("run", &["OBJECTIVE", "--storage", "study.db"]),
    ("submit", &["OBJECTIVE", "--trials", "9", "--parallel", "2", "--storage", "study.db"]),
    ("eval", &["OBJECTIVE"]),
    ("inspect", &["OBJECTIVE"]),
    ("test", &["OBJECTIVE"]),
    ("explain", &["E-MEM"]),
    ("config", &[]),
    ("completions", &["bash"]),
    ("man", &["run"]),
    ("pull", &["OBJECTIVE", "--store", "store"]),
    ("verify", &["sampled.wasm"]),
    ("push", &["OBJECTIVE", "oci:layout:1"]),
    ("tags", &["oci:published"]),
    ("store list", &["--store", "full-store"]),
    ("store gc", &["--store", "store", "--older-than", "90d"]),
    ("study create", &["--study-name", "new", "--storage", "study.db"]),
    ("study list", &["--storage", "study.db"]),
    ("study show", &["--storage", "study.db"]),
    ("study best", &["--storage", "study.db"]),
    ("study trials", &["--storage", "study.db"]),
    ("study importance", &["--storage", "study.db"]),
    ("study report", &["--storage", "study.db"]),
    ("study plot", &["history", "--storage", "study.db"]),
    ("study watch", &["--storage", "study.db"]),
    ("study compare", &["quadratic", "quadratic", "--storage", "study.db"]),
    ("study export", &["--storage", "study.db"]),
    ("study import", &["trials.jsonl", "--study-name", "new", "--storage", "study.db"]),
    ("study copy", &["quadratic", "--to-study-name", "new", "--storage", "study.db"]),
    ("study stop", &["--storage", "study.db"]),
    ("study resume", &["--storage", "study.db"]),
    ("study rename", &["quadratic", "new", "--storage", "study.db"]),
    ("study delete", &["quadratic", "--force", "--storage", "study.db"]),
    ("study set-attr", &["a=1", "--storage", "study.db"]),
    ("study snapshot", &["copy.db", "--storage", "study.db"]),
    ("study sync", &["--storage", "study.db"]),
    ("trial enqueue", &["--param", "x=1", "--storage", "study.db"]),
    ("trial ask", &["--storage", "study.db"]),
    ("trial show", &["0", "--storage", "study.db"]),
    ("python-path", &[]),
    ("runtime list", &[]),
    ("runtime verify", &[]),
    ("runtime remove", &["python"]),
    ("reap", &["--storage", "study.db"]),
    ("doctor", &["--storage", "study.db"]),
];

/// Invocations of commands that need more words, as above.
const MORE_INVOCATIONS: [(&str, &[&str]); 5] = [
    ("trial cancel", &["5", "--storage", "study.db"]),
    ("trial retry", &["4", "--storage", "study.db"]),
    ("trial tell", &["3", "--values", "1", "--storage", "study.db"]),
    ("trial report", &["3", "0.5", "--step", "1", "--storage", "study.db"]),
    ("trial replay", &["0", "OBJECTIVE", "--storage", "study.db"]),
];

/// Invocations that print nothing on success.
const SILENT: [&str; 2] = ["study sync", "trial report"];

/// Returns all invocations, each after its words.
fn invocations() -> impl Iterator<Item = (&'static str, Vec<String>)> {
    INVOCATIONS.into_iter().chain(MORE_INVOCATIONS).map(|(words, arguments)| {
        let arguments = arguments.iter().map(|argument| match *argument {
            "OBJECTIVE" => guest("quadratic"),
            other => other.to_owned(),
        });
        (words, words.split(' ').map(str::to_owned).chain(arguments).collect())
    })
}

/// A folder with a study in `template.db` and its export: three COMPLETE trials, a RUNNING, a failed and a WAITING one.
fn prepared(test: &str) -> Scene {
    let scene = Scene::new(test);
    let database = ["--storage", "template.db"];
    let run = ["run", &guest("quadratic"), "-n", "3", "--seed", "1"];
    scene.json(&[&run[..], &database].concat());
    for command in [
        &["trial", "ask"][..],
        &["trial", "ask"],
        &["trial", "tell", "4", "--state", "fail"],
        &["trial", "enqueue"],
    ] {
        scene.json(&[command, &database].concat());
    }
    let ran = scene.trialbox(&[&["study", "export", "--format", "json"][..], &database].concat());
    std::fs::write(scene.path("trials.jsonl"), ran.stdout).unwrap();
    scene.json(&["pull", &guest("quadratic"), "--store", "full-store"]);
    scene.json(&["push", &guest("quadratic"), "oci:published:1"]);
    scene.json(&["eval", &guest("quadratic"), "--record", "sampled.wasm"]);
    fake_slurm(&scene, ACCEPT);
    scene
}

/// Returns a command on a fresh copy of the study.
fn on_a_copy(scene: &Scene, arguments: &[String]) -> Command {
    for file in ["copy.db", "quadratic.sbatch"] {
        let _ = std::fs::remove_file(scene.path(file));
    }
    let _ = std::fs::remove_dir_all(scene.path("fresh"));
    std::fs::copy(scene.path("template.db"), scene.path("study.db")).unwrap();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = scene.command(&arguments);
    command.env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
    command
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Returns a pipe that its reader has closed.
fn broken_pipe() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// Runs a command without a standard output.
fn run_with_stdout_closed(command: &Command) -> Ran {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >&-", "sh"]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.output().unwrap().into()
}

#[test]
fn a_command_whose_answer_is_not_delivered_does_not_exit_with_0() {
    let scene = prepared("delivery");
    for (words, arguments) in invocations() {
        for format in ["text", "json"] {
            let arguments = [&arguments[..], &["--format".to_owned(), format.to_owned()]].concat();
            let ran = Ran::from(on_a_copy(&scene, &arguments).output().unwrap());
            assert_eq!(ran.code, Some(0), "{words}: {ran:?}");
            assert_eq!(ran.stdout.is_empty(), SILENT.contains(&words), "{words}: {ran:?}");
            let (lost, broken) = if ran.stdout.is_empty() { (0, 0) } else { (74, 141) };

            let ran = Ran::from(on_a_copy(&scene, &arguments).stdout(full()).output().unwrap());
            assert_eq!(ran.code, Some(lost), "{words} > /dev/full: {ran:?}");
            let explained = ran.stderr.contains("standard output: No space left on device");
            assert_eq!(explained, lost != 0, "{words} > /dev/full: {ran:?}");

            let ran = run_with_stdout_closed(&on_a_copy(&scene, &arguments));
            assert_eq!(ran.code, Some(lost), "{words} >&-: {ran:?}");
            let explained = ran.stderr.contains("standard output: Bad file descriptor");
            assert_eq!(explained, lost != 0, "{words} >&-: {ran:?}");

            let ran =
                Ran::from(on_a_copy(&scene, &arguments).stdout(broken_pipe()).output().unwrap());
            assert_eq!(ran.code, Some(broken), "{words} into a closed pipe: {ran:?}");
            assert!(!ran.stderr.contains("standard output"), "{words} into a closed pipe: {ran:?}");
        }
    }
}

#[test]
fn help_that_is_not_delivered_does_not_exit_with_0() {
    let scene = Scene::new("delivery-help");
    for arguments in [&["--help"][..], &["--version"], &["run", "-h"], &["help", "study", "show"]] {
        let to = |stdout: Stdio| scene.command(arguments).stdout(stdout).status().unwrap().code();
        assert_eq!(to(Stdio::null()), Some(0), "{arguments:?}");
        assert_eq!(to(full()), Some(74), "{arguments:?}");
        assert_eq!(to(broken_pipe()), Some(141), "{arguments:?}");
        let closed = run_with_stdout_closed(&scene.command(arguments));
        assert_eq!(closed.code, Some(74), "{arguments:?}: {closed:?}");
    }
}

/// The commands that only a program in a trial can call. Those that print are walked by the next test.
const INSIDE_A_TRIAL: [&str; 4] = ["report", "result", "should-prune", "suggest"];

/// A command whose exit code is its answer: 1 is not a failure.
const ADVICE: &str = "trial should-prune";

#[test]
fn advice_that_is_not_delivered_is_none() {
    let scene = prepared("delivery-advice");
    let words = ["trial", "should-prune", "3", "--storage", "study.db"].map(str::to_owned);
    let advice = on_a_copy(&scene, &words).output().unwrap();
    assert_eq!(advice.status.code(), Some(1), "{advice:?}");
    let words = [&words[..], &["--format".to_owned(), "json".to_owned()]].concat();
    let lost = on_a_copy(&scene, &words).stdout(full()).output().unwrap();
    assert_eq!(lost.status.code(), Some(74), "{lost:?}");
}

/// The command that needs a registry. `sharing` walks it.
const WITH_A_REGISTRY: &str = "tag";

/// The commands that need the runtime for Python, 98 MB of the network and minutes. The tier `python` walks them.
const WITH_A_WHEEL: [&str; 2] = ["build", "runtime add"];

#[test]
fn a_program_learns_that_an_answer_of_its_trial_was_not_delivered() {
    let scene = Scene::new("delivery-program");
    let trialbox = env!("CARGO_BIN_EXE_trialbox");
    let script = format!(
        "{trialbox} suggest 'x=float(0, 1)' > /dev/full; echo $? > codes
         {trialbox} should-prune --format json > /dev/full; echo $? >> codes
         {trialbox} result 1"
    );
    assert_eq!(scene.trialbox(&["run", "--", "sh", "-c", &script]).code, Some(0));
    assert_eq!(std::fs::read_to_string(scene.path("codes")).unwrap(), "74\n74\n");
}

#[test]
fn every_command_has_an_invocation_here() {
    let scene = Scene::new("delivery-walk");
    let listed: BTreeSet<String> = leaves(&scene, &[]).into_iter().collect();
    let walked = invocations().map(|(words, _)| words.to_owned());
    let others = INSIDE_A_TRIAL
        .into_iter()
        .chain([ADVICE, WITH_A_REGISTRY])
        .chain(WITH_A_WHEEL)
        .map(str::to_owned);
    let known: BTreeSet<String> = walked.chain(others).collect();
    assert_eq!(listed, known);
}

/// Returns the commands without subcommands below the one of these words, from its `--help`.
fn leaves(scene: &Scene, words: &[&str]) -> Vec<String> {
    let help = scene.trialbox(&[words, &["-h"]].concat()).stdout;
    let Some((_, commands)) = help.split_once("Commands:\n") else { return vec![words.join(" ")] };
    let listed = commands.lines().take_while(|line| line.starts_with("  "));
    let names = listed.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .flat_map(|name| leaves(scene, &[words, &[name]].concat()))
        .collect()
}

#[test]
fn a_trial_whose_parameters_were_not_delivered_is_given_back() {
    let scene = Scene::new("delivery-ask");
    scene.json(&["study", "create", "--study-name", "s", "--storage", "study.db"]);
    let space = r#"{"x": {"type": "float", "low": 0, "high": 1}}"#;
    let ask = ["trial", "ask", "--storage", "study.db", "--search-space", space];
    let ran = Ran::from(scene.command(&ask).stdout(full()).output().unwrap());
    ran.assert_error(74, &["trial 0 was given back; it was requeued as trial 1"]);
    let trials = scene.json(&["study", "trials", "--storage", "study.db"]);
    let states: Vec<&Value> = trials.iter().map(|trial| &trial["state"]).collect();
    assert_eq!(states, [&json!("FAIL"), &json!("WAITING")]);
    let again = scene.json(&ask).remove(0);
    assert_eq!((&again["number"], &again["params"]), (&json!(1), &trials[0]["params"]));
}
