//! Trials that are interrupted and go on from what they have kept.

use crate::kill::{study, trials};
use crate::process::{DATABASE, Ended, end};
use crate::scene::{Scene, digits_data, guest};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Child;

/// Flags of every run here. Nothing is pruned, and the values follow from the seed.
pub(crate) const FLAGS: [&str; 6] = ["--pruner", "nop", "--seed", "7", "--checkpoint-dir", "kept"];

/// `misfit`, which takes twelve steps and hangs after some of them.
pub(crate) fn counting<'a>(misfit: &'a str, steps: &'a str) -> Vec<&'a str> {
    let objective = ["run", misfit, "--env", "MISFIT=count", "--env", steps];
    [&objective[..], &FLAGS].concat()
}

/// The directory of an attempt at a trial of the scene's only study.
pub(crate) fn attempt(scene: &Scene, origin: u32, number: u32) -> Option<PathBuf> {
    let mut studies = fs::read_dir(scene.path("kept")).ok()?.map(|entry| entry.unwrap().path());
    // Another one is there for a moment, when it is tried whether there can be one.
    let study =
        studies.find(|path| !path.file_name().unwrap().as_encoded_bytes().starts_with(b"."))?;
    Some(study.join(origin.to_string()).join(number.to_string()))
}

/// Waits until an attempt has a file that is as wanted.
#[track_caller]
fn wait_for_file(
    scene: &Scene,
    child: &mut Child,
    (origin, number): (u32, u32),
    name: &str,
    is_as_wanted: impl Fn(&[u8]) -> bool,
) {
    loop {
        let file = attempt(scene, origin, number).map(|dir| fs::read(dir.join(name)));
        if let Some(Ok(content)) = file
            && is_as_wanted(&content)
        {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was interrupted");
        std::thread::yield_now();
    }
}

/// Waits until an attempt has taken so many steps.
#[track_caller]
fn wait_for_steps(scene: &Scene, child: &mut Child, attempt: (u32, u32), steps: usize) {
    wait_for_file(scene, child, attempt, "steps", |content| content.len() == 8 * steps);
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// The bits of a trial's value and of all that it reported, by step.
pub(crate) fn bits(trial: &Value) -> Vec<(Value, u64)> {
    let value = json!(["value", trial["values"][0]]);
    let reports = trial["intermediate_values"].as_array().unwrap().iter();
    let all = reports.chain([&value]);
    all.map(|pair| (pair[0].clone(), pair[1].as_f64().unwrap().to_bits())).collect()
}

pub(crate) fn states(trials: &[Value]) -> Vec<&str> {
    trials.iter().map(|trial| trial["state"].as_str().unwrap()).collect()
}

/// What is left below the directory of the study, besides its marker.
pub(crate) fn left(scene: &Scene) -> usize {
    let study = attempt(scene, 0, 0).unwrap();
    let entries = fs::read_dir(study.ancestors().nth(2).unwrap()).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name() != ".trialbox-study").count()
}

#[test]
fn a_guest_that_is_interrupted_three_times_ends_with_the_value_of_one_that_is_not_to_the_bit() {
    let misfit = guest("misfit");
    let whole = Scene::new("checkpoints-whole");
    let run = counting(&misfit, "STEPS=12");
    let without = &run[..run.len() - 2];
    assert_eq!(whole.finish("", without).code, Some(0));
    let wanted = &trials(&whole)[0];
    assert_eq!(wanted["user_attrs"]["checkpoint"], "unavailable");
    assert_eq!(bits(wanted).len(), 13);

    let scene = Scene::new("checkpoints-three");
    let run = counting(&misfit, "STEPS=3");
    // By the scheduler.
    let mut child = scene.start("", &run);
    wait_for_steps(&scene, &mut child, (0, 0), 3);
    signal(&child, Signal::TERM);
    assert_eq!(end(child).code, Some(75));
    // By a death that no process records.
    let mut child = scene.start("", &run);
    wait_for_steps(&scene, &mut child, (0, 1), 6);
    child.kill().unwrap();
    assert!(end(child).was_killed());
    // By the end of the job's time.
    let run = [&run[..], &["--job-time", "12s", "--reserve", "0s"]].concat();
    let ended = scene.finish("", &run);
    assert_eq!(ended.code, Some(75), "{ended:?}");
    assert_eq!(fs::read(attempt(&scene, 0, 2).unwrap().join("steps")).unwrap().len(), 9 * 8);

    let last = scene.finish("", &[&counting(&misfit, "STEPS=12")[..], &["-v"]].concat());
    assert_eq!(last.code, Some(0), "{last:?}");
    assert!(last.stderr.contains("resumes from the checkpoint of trial 2"), "{last:?}");
    let trials = trials(&scene);
    assert_eq!(states(&trials), ["FAIL", "FAIL", "FAIL", "COMPLETE"]);
    assert_eq!(bits(&trials[3]), bits(wanted));
    assert_eq!(trials[2]["system_attrs"]["trialbox:made_progress"], true);
    // The second had no time to write such things down.
    for (number, state, from) in
        [(0, "fresh", None), (2, "resumed", Some(1)), (3, "resumed", Some(2))]
    {
        let trial = &trials[number];
        assert_eq!(trial["user_attrs"]["checkpoint"], state);
        let provenance = &trial["system_attrs"]["trialbox:provenance"];
        assert_eq!(provenance["resumed_from"].as_u64(), from, "{provenance}");
    }
    assert_eq!(left(&scene), 0);

    // It can be replayed, which begins anew.
    let replay = ["trial", "replay", "3", &misfit, "--storage", DATABASE];
    let replayed = scene.trialbox(&[&replay[..], &["--env", "MISFIT=count"]].concat());
    assert!(replayed.stdout.contains("user attribute `checkpoint`"), "{replayed:?}");
    assert!(replayed.stdout.contains("it resumed from the checkpoint of trial 2"), "{replayed:?}");
}

#[test]
fn digits_goes_on_where_it_was_killed() {
    let (digits, data) = (guest("digits"), digits_data());
    let objective = ["run", &digits, "--dir", &data, "--fix", "depth=2", "--fix", "width=64"];
    let run = [&objective[..], &["--fix", "batch_size=16"], &FLAGS].concat();
    let whole = Scene::new("checkpoints-digits-whole");
    assert_eq!(whole.finish("", &run).code, Some(0));
    let wanted = trials(&whole);

    let scene = Scene::new("checkpoints-digits");
    for (number, by) in [(0, Signal::TERM), (1, Signal::KILL), (2, Signal::TERM)] {
        let mut child = scene.start("", &run);
        // The number of epochs follows the line that says whose they are.
        let has_more = |file: &[u8]| {
            let end = file.iter().position(|&byte| byte == b'\n').unwrap();
            u32::from(file[end + 1]) > number
        };
        wait_for_file(&scene, &mut child, (0, number), "training", has_more);
        signal(&child, by);
        end(child);
    }
    let last = scene.finish("", &run);
    assert_eq!(last.code, Some(0), "{last:?}");
    let trials = trials(&scene);
    assert_eq!(states(&trials), ["FAIL", "FAIL", "FAIL", "COMPLETE"]);
    assert_eq!(bits(&trials[3]), bits(&wanted[0]));
    assert_eq!(left(&scene), 0);
}

#[test]
fn a_deterministic_guest_has_checkpoints_too() {
    let (misfit, scene) = (guest("misfit"), Scene::new("checkpoints-deterministic"));
    let run = |steps| [&counting(&misfit, steps)[..], &["--deterministic"]].concat();
    let mut child = scene.start("", &run("STEPS=3"));
    wait_for_steps(&scene, &mut child, (0, 0), 3);
    signal(&child, Signal::TERM);
    assert_eq!(end(child).code, Some(75));
    assert_eq!(scene.finish("", &run("STEPS=12")).code, Some(0));
    let whole = Scene::new("checkpoints-deterministic-whole");
    assert_eq!(whole.finish("", &run("STEPS=12")).code, Some(0));
    let (resumed, whole) = (&trials(&scene)[1], &trials(&whole)[0]);
    assert_eq!(resumed["user_attrs"]["checkpoint"], "resumed");
    assert_eq!(bits(resumed), bits(whole));
}

#[test]
fn an_attempt_that_was_wrongly_taken_for_dead_writes_nothing_to_the_one_that_follows() {
    let scene = Scene::new("checkpoints-two");
    let misfit = guest("misfit");
    let scribbles = [&["run", &misfit, "--env", "MISFIT=scribble"][..], &FLAGS].concat();
    let mut old = scene.start("", &scribbles);
    wait_for_file(&scene, &mut old, (0, 0), "scribbled", |content| content.len() == 8);
    // Its guest goes on.
    signal(&old, Signal::STOP);
    assert_eq!(scene.finish("", &["reap", "--trial", "0"]).events[0]["retry"], 1);

    let mut new = scene.start("", &counting(&misfit, "STEPS=3"));
    wait_for_steps(&scene, &mut new, (0, 1), 3);
    let dir = attempt(&scene, 0, 1).unwrap();
    let scribbled = || fs::read(dir.join("scribbled")).unwrap();
    let copied = scribbled();
    assert_eq!(copied.len(), 8);
    assert!(!attempt(&scene, 0, 0).unwrap().exists());
    signal(&old, Signal::CONT);
    assert_eq!(end(old).code, Some(6));
    assert_eq!(scribbled(), copied);
    new.kill().unwrap();
    end(new);

    let last = scene.finish("", &counting(&misfit, "STEPS=12"));
    assert_eq!(last.code, Some(0), "{last:?}");
    assert_eq!(states(&trials(&scene)), ["FAIL", "FAIL", "COMPLETE"]);
    assert_eq!(left(&scene), 0);
}

#[test]
fn a_trial_sees_only_what_its_own_attempts_have_left() {
    let scene = Scene::new("checkpoints-own");
    let misfit = guest("misfit");
    assert_eq!(scene.finish("", &counting(&misfit, "STEPS=12")).code, Some(0));
    // Of a trial that was never retried, and of a later one of a database that is no more.
    for number in [0, 1, 2] {
        let stale = attempt(&scene, 1, number).unwrap();
        fs::create_dir_all(&stale).unwrap();
        fs::write(stale.join("steps"), [1; 8]).unwrap();
    }
    fs::write(scene.path("secret"), "a password").unwrap();
    let mut child = scene.start("", &counting(&misfit, "STEPS=3"));
    wait_for_steps(&scene, &mut child, (1, 1), 3);
    // Links out of the directory, as if the guest had made them.
    let dir = attempt(&scene, 1, 1).unwrap();
    std::os::unix::fs::symlink(scene.path("secret"), dir.join("leak")).unwrap();
    std::os::unix::fs::symlink(&scene.folder, dir.join("leaks")).unwrap();
    signal(&child, Signal::TERM);
    assert_eq!(end(child).code, Some(75));

    let mut child = scene.start("", &counting(&misfit, "STEPS=3"));
    wait_for_steps(&scene, &mut child, (1, 2), 6);
    let dir = attempt(&scene, 1, 2).unwrap();
    assert!(dir.join("leak").symlink_metadata().unwrap().is_symlink());
    assert!(dir.join("leaks").symlink_metadata().unwrap().is_symlink());
    signal(&child, Signal::TERM);
    assert_eq!(end(child).code, Some(75));

    assert_eq!(scene.finish("", &counting(&misfit, "STEPS=12")).code, Some(0));
    let trials = trials(&scene);
    let attrs = |name: &str| -> Vec<Value> {
        trials.iter().map(|trial| trial["user_attrs"][name].clone()).collect()
    };
    assert_eq!(attrs("checkpoint"), ["fresh", "fresh", "resumed", "resumed"]);
    assert_eq!(attrs("within_reach"), ["/checkpoint"; 4]);
    assert_eq!(fs::read(scene.path("secret")).unwrap(), b"a password");
    assert_eq!(left(&scene), 0);
}

#[test]
fn a_trial_that_gets_further_each_time_is_tried_until_it_does_not() {
    let scene = Scene::new("checkpoints-further");
    let misfit = guest("misfit");
    let run = |steps, number, taken| {
        let run = [&counting(&misfit, steps)[..], &["--max-retries", "1"]].concat();
        let mut child = scene.start("", &run);
        wait_for_steps(&scene, &mut child, (0, number), taken);
        signal(&child, Signal::TERM);
        end(child)
    };
    for number in 0..4 {
        let ended = run("STEPS=2", number, 2 * (number as usize + 1));
        assert_eq!(ended.events_of("trial").last().unwrap()["retry"], number + 1, "{ended:?}");
    }
    let found = trials(&scene);
    assert_eq!(states(&found), ["FAIL", "FAIL", "FAIL", "FAIL", "WAITING"]);
    for trial in &found[..4] {
        assert_eq!(trial["system_attrs"]["trialbox:made_progress"], true);
    }
    assert_eq!(found[4]["system_attrs"]["trialbox:resumes"], 4);
    assert_eq!(found[4]["system_attrs"]["trialbox:made_progress"], Value::Null);

    // Now it hangs at once: one such try is followed by another, and the second is the last.
    let ended = run("STEPS=0", 4, 8);
    assert_eq!(ended.events_of("trial").last().unwrap()["retry"], 5, "{ended:?}");
    let ended = run("STEPS=0", 5, 8);
    let found = trials(&scene);
    assert_eq!(states(&found), ["FAIL"; 6]);
    assert_eq!(found[5]["system_attrs"]["trialbox:made_progress"], Value::Null);
    assert_eq!(found[5]["system_attrs"]["trialbox:resumes"], 4);
    // It did not fail by itself, and what it kept is where it says.
    let kept = attempt(&scene, 0, 5).unwrap();
    assert_eq!(fs::read(kept.join("steps")).unwrap().len(), 8 * 8);
    assert!(ended.stderr.contains("its checkpoint stays"), "{ended:?}");
    assert!(ended.stderr.contains(kept.parent().unwrap().to_str().unwrap()), "{ended:?}");
}

#[test]
fn what_a_trial_keeps_goes_when_it_has_failed_for_good_and_stays_when_it_was_stopped() {
    let scene = Scene::new("checkpoints-failed");
    let misfit = guest("misfit");
    let run = [&counting(&misfit, "STEPS=3")[..], &["--max-retries", "0"]].concat();
    let ended = scene.finish("", &[&run[..], &["--trial-timeout", "1s"]].concat());
    assert_eq!(trials(&scene)[0]["system_attrs"]["trialbox:failure"]["code"], "E-TIME");
    assert!(!ended.stderr.contains("its checkpoint stays"), "{ended:?}");
    assert_eq!(left(&scene), 0);
    // By the user, who may want it.
    let mut child = scene.start("", &[&run[..], &["--trial-timeout", "1h", "--override"]].concat());
    wait_for_steps(&scene, &mut child, (1, 1), 3);
    signal(&child, Signal::INT);
    let ended = end(child);
    assert!(ended.stderr.contains("its checkpoint stays"), "{ended:?}");
    // By a death that others find.
    let mut child = scene.start("", &run);
    wait_for_steps(&scene, &mut child, (2, 2), 3);
    child.kill().unwrap();
    end(child);
    let last = scene.finish("", &counting(&misfit, "STEPS=12"));
    assert_eq!(last.code, Some(0), "{last:?}");
    assert!(last.stderr.contains("its checkpoint stays"), "{last:?}");
    assert_eq!(states(&trials(&scene)), ["FAIL", "FAIL", "FAIL", "COMPLETE"]);
    assert_eq!(left(&scene), 2);
    assert!(attempt(&scene, 1, 1).unwrap().join("steps").exists());
    assert!(attempt(&scene, 2, 2).unwrap().join("steps").exists());
}

#[test]
fn a_copy_of_a_study_has_checkpoints_of_its_own() {
    let scene = Scene::new("checkpoints-copy");
    let misfit = guest("misfit");
    assert_eq!(scene.finish("", &counting(&misfit, "STEPS=12")).code, Some(0));
    let name = study(&scene)["user_attrs"]["trialbox:checkpoint_dir"].clone();
    assert!(name.as_str().unwrap().starts_with("s-"), "{name}");
    let kept_by = |study: &str| {
        let shown = scene.json(&["study", "show", "--storage", DATABASE, "--study-name", study]);
        assert_eq!(shown[0]["user_attrs"]["trialbox:seed"], 7);
        shown[0]["user_attrs"]["trialbox:checkpoint_dir"].clone()
    };
    scene.json(&["study", "copy", "s", "--storage", DATABASE, "--to-study-name", "copied"]);
    assert_eq!(kept_by("copied"), Value::Null);
    let exported = scene.trialbox(&[
        "study",
        "export",
        "--storage",
        DATABASE,
        "--study-name",
        "s",
        "--format",
        "json",
    ]);
    fs::write(scene.path("s.jsonl"), exported.stdout).unwrap();
    let import = ["study", "import", "s.jsonl", "--storage", DATABASE, "--study-name", "imported"];
    scene.json(&import);
    assert_eq!(kept_by("imported"), Value::Null);
    assert_eq!(kept_by("s"), name);
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_before_any_trial() {
    let scene = Scene::new("checkpoints-usage");
    let misfit = guest("misfit");
    let run = |flags: &[&str]| -> Ended {
        scene.finish("", &[&["run", &misfit, "--env", "MISFIT=count"][..], flags].concat())
    };
    let refused = |flags: &[&str], message: &str| {
        let ended = run(flags);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(message), "{ended:?}");
        assert!(!scene.path(DATABASE).exists());
    };
    fs::write(scene.path("file"), "").unwrap();
    refused(&["--checkpoint-dir", "file"], "cannot make a directory in `file`");
    refused(&["--checkpoint-dir", "/proc"], "cannot make a directory in `/proc`");
    fs::create_dir(scene.path("mine")).unwrap();
    let both = ["--checkpoint-dir", "kept", "--dir", "mine::/checkpoint:rw"];
    refused(&both, "--dir and --checkpoint-dir both grant `/checkpoint`");
    // Without it the place is free.
    assert_eq!(run(&both[2..]).code, Some(0));
}

#[test]
fn a_trial_whose_files_cannot_be_copied_begins_anew_and_says_so() {
    let scene = Scene::new("checkpoints-copying");
    let misfit = guest("misfit");
    let mut child = scene.start("", &counting(&misfit, "STEPS=3"));
    wait_for_steps(&scene, &mut child, (0, 0), 3);
    let socket = attempt(&scene, 0, 0).unwrap().join("socket");
    // The path of a socket may be no longer than about a hundred bytes.
    let folder = std::env::temp_dir().join(format!("trialbox-{}", std::process::id()));
    std::os::unix::fs::symlink(socket.parent().unwrap(), &folder).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap());
    fs::remove_file(folder).unwrap();
    signal(&child, Signal::TERM);
    end(child);
    let last = scene.finish("", &counting(&misfit, "STEPS=12"));
    assert_eq!(last.code, Some(0), "{last:?}");
    assert!(last.stderr.contains("the trial has no checkpoint"), "{last:?}");
    assert!(last.stderr.contains("`socket` is neither a file nor a directory"), "{last:?}");
    assert_eq!(trials(&scene)[1]["user_attrs"]["checkpoint"], "unavailable");
    assert_eq!(left(&scene), 0);
}

#[test]
fn a_database_does_not_choose_which_directory_is_shown_or_removed() {
    let scene = Scene::new("checkpoints-forged");
    let misfit = guest("misfit");
    let run = counting(&misfit, "STEPS=12");
    let set = |value: &str| {
        let attr = format!("trialbox:checkpoint_dir={value}");
        scene.json(&["study", "set-attr", &attr, "--storage", DATABASE]);
    };
    assert_eq!(scene.finish("", &run).code, Some(0));
    let own = study(&scene)["user_attrs"]["trialbox:checkpoint_dir"].as_str().unwrap().to_owned();

    // Directories of the user's, of which the second has the shape of a study's.
    let plain = "thesis-data-0123456789abcdef";
    for victim in ["thesis-data", plain] {
        fs::create_dir_all(scene.path("kept").join(victim).join("1/1")).unwrap();
        fs::write(scene.path("kept").join(victim).join("1/1/weights"), "precious").unwrap();
    }
    // One of another study, and a link to it.
    let others = "others-0123456789abcdef";
    fs::create_dir_all(scene.path("kept").join(others).join("1/1")).unwrap();
    fs::write(scene.path("kept").join(others).join("1/1/weights"), "precious").unwrap();
    let marker = r#"{"study": 2, "name": "others", "database": "/nowhere/x.db", "inode": "7"}"#;
    fs::write(scene.path("kept").join(others).join(".trialbox-study"), marker).unwrap();
    let linked = "linked-0123456789abcdef";
    std::os::unix::fs::symlink(others, scene.path("kept").join(linked)).unwrap();

    for (value, piece) in [
        ("thesis-data", "expected an attribute `trialbox:checkpoint_dir` such as"),
        ("..", "expected an attribute"),
        ("7", "expected an attribute"),
        (plain, "with the file `.trialbox-study`, found one without it"),
        (others, "found those of study `others` of `/nowhere/x.db`"),
        (linked, "expected a directory, found a symbolic link"),
    ] {
        set(value);
        let ended = scene.finish("", &run);
        assert_eq!(ended.code, Some(2), "{value}: {ended:?}");
        for piece in [piece, "trialbox study set-attr trialbox:checkpoint_dir="] {
            assert!(ended.stderr.contains(piece), "{value}: {ended:?}");
        }
    }
    for victim in ["thesis-data", plain, others] {
        let weights = scene.path("kept").join(victim).join("1/1/weights");
        assert_eq!(fs::read_to_string(weights).unwrap(), "precious", "{victim}");
    }
    assert_eq!(trials(&scene).len(), 1);
    set(&own);
    assert_eq!(scene.finish("", &run).code, Some(0));
}

/// Runs the training loop of `examples/program`, and interrupts its host three times, each time after a further
/// checkpoint, as a scheduler does.
const INTERRUPTING: &str = r#"
import os, pathlib, signal, sys, time
sys.path.insert(0, os.environ["EXAMPLE"])
import checkpointed

done = pathlib.Path("interruptions")
save = checkpointed.save

def save_and_interrupt(path, state):
    save(path, state)
    stops = [int(epoch) for epoch in os.environ["STOPS"].split()]
    before = len(done.read_text()) if done.exists() else 0
    if stops[before:before + 1] == [state["epoch"]]:
        done.write_text("x" * (before + 1))
        os.kill(int(pathlib.Path("host.pid").read_text()), signal.SIGTERM)
        time.sleep(600)

checkpointed.save = save_and_interrupt
checkpointed.train.run()
"#;

/// Runs the loop once, and returns the exit code of the host.
fn train(scene: &Scene, study: &str, stops: &str) -> Option<i32> {
    std::fs::write(scene.path("interrupting.py"), INTERRUPTING).unwrap();
    let example = format!("EXAMPLE={}", crate::scene::root().join("examples/program").display());
    let stops = format!("STOPS={stops}");
    let flags = ["--study-name", study, "--env", &example, "--env", &stops];
    let program = ["--env", "PYTHONDONTWRITEBYTECODE=1", "--", "python3", "interrupting.py"];
    let run = scene.command(&[&["run"], &FLAGS[..], &flags, &program].concat());
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "echo $$ > host.pid; exec \"$@\"", "sh"]).arg(run.get_program());
    shell.args(run.get_args());
    scene.isolate(&mut shell);
    shell.output().unwrap().status.code()
}

#[test]
fn a_training_loop_that_is_interrupted_three_times_ends_like_one_that_is_not() {
    let scene = Scene::new("checkpoint-training");
    let codes: Vec<Option<i32>> = (0..4).map(|_| train(&scene, "s", "2 5 9")).collect();
    assert_eq!(codes, [Some(75), Some(75), Some(75), Some(0)]);
    let mut trials = scene.json(&["study", "trials", "--study-name", "s"]);
    trials.sort_by_key(|trial| trial["number"].as_u64());
    assert_eq!(states(&trials), ["FAIL", "FAIL", "FAIL", "COMPLETE"]);
    for (trial, earlier) in trials[1..].iter().zip(0..) {
        let provenance = &trial["system_attrs"]["trialbox:provenance"];
        assert_eq!(provenance["resumed_from"], json!(earlier), "{provenance}");
    }
    assert_eq!(train(&scene, "whole", ""), Some(0));
    let whole = scene.json(&["study", "trials", "--study-name", "whole"]).remove(0);
    assert_eq!(bits(&trials[3]).len(), 13, "twelve epochs and the value");
    assert_eq!(bits(&trials[3]), bits(&whole));
}
