//! Words for a user who has lost the way: which study this is, how to continue, and what would help.

use crate::faults::{await_state, end, signal, start};
use crate::scene::{Ran, Scene, guest};
use crate::scripted::{Call, Choice, Ending, component, endless, float};
use serde_json::json;

fn write(scene: &Scene, name: &str, calls: &[Call]) -> String {
    let file = format!("{name}.wasm");
    let values = Ending::Values(&[0.5]);
    std::fs::write(scene.path(&file), component(calls, &values)).unwrap();
    file
}

#[test]
fn a_run_says_which_study_it_opens_and_whether_it_is_new() {
    let (scene, quadratic) = (Scene::new("guidance-study"), guest("quadratic"));
    let first_line = |arguments: &[&str]| {
        let ran = scene.trialbox(&[&["run", &quadratic], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stderr.lines().next().unwrap_or_default().to_owned()
    };
    let of = ["--storage", "stduy.db"];
    let new = "new study `quadratic` in the new database `stduy.db`";
    assert_eq!(first_line(&of), new);
    assert_eq!(first_line(&of), "study `quadratic` in `stduy.db`");
    let other = [&of[..], &["--study-name", "b"]].concat();
    assert_eq!(first_line(&other), "new study `b` in `stduy.db`");
    assert_eq!(first_line(&[&of[..], &["--quiet"]].concat()), "");
}

#[test]
fn ctrl_c_says_how_to_continue() {
    let scene = Scene::new("guidance-ctrl-c");
    let mut child = start(&scene, &["run", endless(&scene), "-n", "30"], &[]);
    await_state(&scene, &mut child, "running");
    signal(&child, "INT");
    let ran = end(child);
    let want =
        "interrupted: 0 of 30 trials finished; the same command with `-n 30` continues the study";
    ran.assert_error(130, &[want]);
}

#[test]
fn a_limit_that_decides_says_that_the_study_remembers_it() {
    let scene = Scene::new("guidance-remembered");
    let objective = endless(&scene);
    let run = ["run", objective, "--catch"];
    let fresh = scene.trialbox(&[&run[..], &["--trial-timeout", "100ms"]].concat());
    assert!(fresh.stdout.contains("raise it with --trial-timeout"), "{fresh:?}");
    let later = scene.trialbox(&run);
    let want = "the study remembers this limit: change it with --trial-timeout TIME --override";
    assert!(later.stdout.contains(want), "{later:?}");
    let memory = Scene::new("guidance-remembered-attrs");
    let calls = [
        float("x", 0.0, 1.0),
        Call::Attr { key: "a", json: "1" },
        Call::Attr { key: "b", json: "2" },
    ];
    let objective = write(&memory, "attrs", &calls);
    memory.trialbox(&["run", &objective, "--limit", "user-attrs=1"]);
    let later = memory.trialbox(&["run", &objective]);
    let want = "the study remembers this limit: change it with --limit user-attrs=VALUE --override";
    assert!(later.stdout.contains(want), "{later:?}");
}

#[test]
fn a_module_with_other_choices_is_refused_before_a_trial_and_the_study_stays_with_its_own() {
    let scene = Scene::new("guidance-choices");
    let model = |choices| Call::Categorical { name: "model", choices };
    let two = [Choice::Text("knn"), Choice::Text("ridge")];
    let three = [Choice::Text("knn"), Choice::Text("ridge"), Choice::Text("boost")];
    let old = write(&scene, "old", &[model(&two), float("x", 0.0, 1.0)]);
    let new = write(&scene, "new", &[model(&three), float("x", 0.0, 1.0)]);
    let wider = write(&scene, "wider", &[model(&two), float("x", 0.0, 9.0)]);
    let run = |module: &str, more: &[&str]| {
        scene.trialbox(&[&["run", module, "--study-name", "s"], more].concat())
    };
    assert_eq!(run(&old, &["-n", "2"]).code, Some(0));
    run(&new, &[]).assert_error(2, &["was created by a different module", "trialbox study copy"]);
    run(&new, &["-n", "3", "--allow-module-change"])
        .assert_error(2, &["study `s` has parameter `model`", "--study-name NAME"]);
    assert_eq!(scene.json(&["study", "trials"]).len(), 2, "no trial has failed of it");
    assert_eq!(run(&old, &[]).code, Some(0), "the study is still its own");
    // Another range can be continued, here in a copy: a warm start.
    scene.json(&["study", "copy", "s", "--to-study-name", "warm"]);
    let warm = ["run", &wider, "--study-name", "warm", "--allow-module-change", "--format", "json"];
    let ran = scene.trialbox(&warm);
    assert_eq!((ran.code, &ran.json()[0]["number"]), (Some(0), &json!(3)), "{ran:?}");
}

#[test]
fn a_study_is_named_by_an_argument_or_by_a_flag_in_every_command_about_one() {
    let (scene, quadratic) = (Scene::new("guidance-names"), guest("quadratic"));
    let of = ["--storage", "study.db"];
    for study in ["a", "b"] {
        scene.json(&[&["run", &quadratic, "--study-name", study, "-n", "4"][..], &of].concat());
    }
    for command in ["show", "best", "trials", "importance", "export", "stop", "resume"] {
        let by = |name: &[&str]| {
            let ran = scene.trialbox(&[&["study", command], name, &of[..]].concat());
            assert_eq!(ran.code, Some(0), "{command} {name:?}: {ran:?}");
            ran.stdout
        };
        let (argument, flag) = (by(&["b"]), by(&["--study-name", "b"]));
        // A second stop or resume has another text.
        assert_eq!(argument == flag, !["stop", "resume"].contains(&command), "{command}");
        let both = ["study", command, "a", "--study-name", "b"];
        scene.trialbox(&[&both[..], &of].concat()).assert_error(2, &["name the study once"]);
        // The mistake of naming the database as if it were the study.
        scene
            .trialbox(&["study", command, "study.db"])
            .assert_error(2, &["found the database `study.db`", "--storage study.db"]);
    }
    let by_flag = |arguments: &[&str]| scene.json(&[arguments, &of].concat());
    by_flag(&["study", "rename", "--study-name", "b", "c"]);
    by_flag(&["study", "rename", "c", "d"]);
    by_flag(&["study", "copy", "--study-name", "d", "--to-study-name", "e"]);
    by_flag(&["study", "delete", "--study-name", "e"]);
    by_flag(&["study", "delete", "d"]);
    let taken = ["study", "copy", "a", "--to-study-name", "a"];
    scene
        .trialbox(&[&taken[..], &of].concat())
        .assert_error(2, &["there is already a study `a`", "change --to-study-name"]);
    scene
        .trialbox(&[&["study", "delete"][..], &of].concat())
        .assert_error(2, &["expected the name of a study", "--study-name"]);
    let names: Vec<_> = by_flag(&["study", "list"]).iter().map(|s| s["study"].clone()).collect();
    assert_eq!(names, ["a"]);
    let environment = scene.command(&["study", "show", "a", "--storage", "study.db"]);
    let mut environment = environment;
    environment.env("TRIALBOX_STUDY_NAME", "elsewhere");
    assert!(environment.output().unwrap().status.success(), "an argument wins over a variable");
}

#[test]
fn a_program_is_told_how_programs_take_part() {
    let scene = Scene::new("guidance-program");
    std::fs::write(scene.path("train.py"), "print(0.5)\n").unwrap();
    for command in ["run", "eval", "inspect"] {
        let ran = scene.trialbox(&[command, "train.py"]);
        ran.assert_error(
            4,
            &[
                "trialbox runtime add python",
                "or run it without the sandbox",
                "trialbox run -- python train.py",
            ],
        );
    }
    let submit = ["submit", "train.py", "--trials", "9", "--parallel", "3"];
    scene.trialbox(&submit).assert_error(4, &["trialbox submit … -- python train.py"]);
}

#[test]
fn several_directions_after_one_flag_are_taken_by_every_command_that_has_it() {
    let scene = Scene::new("guidance-directions");
    let program = ["--", "echo", "1 2"];
    let flags = ["--direction", "minimize", "maximize", "--value", "last-line"];
    for command in [&["run", "--study-name", "s"][..], &["eval"]] {
        let ran = scene.trialbox(&[command, &flags, &program].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let directions = &scene.json(&["study", "show"])[0]["directions"];
    assert_eq!(directions, &json!(["minimize", "maximize"]));
}

#[test]
fn a_grace_that_living_workers_cannot_keep_is_refused() {
    let (scene, quadratic) = (Scene::new("guidance-grace"), guest("quadratic"));
    scene.json(&["run", &quadratic]);
    for command in [&["run", &quadratic][..], &["trial", "ask"], &["reap"]] {
        let ran = scene.trialbox(&[command, &["--grace", "5s"]].concat());
        ran.assert_error(2, &["at least 1m", "heartbeat"]);
    }
    assert_eq!(scene.trialbox(&["reap", "--grace", "5s", "--force"]).code, Some(0));
}

#[test]
fn a_folder_that_cannot_keep_compiled_code_is_named_with_its_flag() {
    let scene = Scene::new("guidance-cache");
    std::fs::write(scene.path("file"), "").unwrap();
    let ran = scene.trialbox(&["eval", &guest("quadratic"), "--cache-dir", "file/cache"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let folder = format!("`{}`", scene.path("file/cache").display());
    for piece in [folder.as_str(), "warning: ", "every trial compiles anew", "--cache-dir"] {
        assert!(ran.stderr.contains(piece), "`{piece}` is missing in {ran:?}");
    }
}

#[test]
fn failed_trials_are_retried_and_waiting_ones_cancelled() {
    let scene = Scene::new("guidance-retry");
    scene.json(&["study", "create", "--study-name", "s"]);
    let space = r#"{"x": {"type": "float", "low": 0, "high": 1}}"#;
    let ask = ["trial", "ask", "--search-space", space];
    for number in ["0", "1", "2"] {
        scene.json(&ask);
        let values = if number == "2" { "1" } else { "None" };
        scene.json(&["trial", "tell", number, "--values", values]);
    }
    let dry = scene.json(&["trial", "retry", "--all", "--dry-run"]);
    assert_eq!(dry.iter().map(|it| it["number"].clone()).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(scene.json(&["study", "trials"]).len(), 3);
    scene.trialbox(&["trial", "retry", "2"]).assert_error(2, &["trial 2 is COMPLETE"]);
    scene.trialbox(&["trial", "retry", "9"]).assert_error(2, &["9"]);
    let one = scene.json(&["trial", "retry", "0"]);
    assert_eq!((&one[0]["number"], &one[0]["retry"]), (&json!(0), &json!(3)));
    let by_code = |code: &str| scene.json(&["trial", "retry", "--state", "fail", "--code", code]);
    assert_eq!(by_code("E-TIME").len(), 0);
    let none = scene.trialbox(&["trial", "retry", "--code", "PANIC"]);
    let there = "no failed trial has the code PANIC; there are E-VALUE (2)";
    none.assert_error(0, &[there]);
    scene.trialbox(&["trial", "retry"]).assert_error(2, &["--all", "--code CODE"]);
    // The first has its retry already.
    let rest = by_code("e-value");
    assert_eq!((rest.len(), &rest[0]["number"], &rest[0]["retry"]), (1, &json!(1), &json!(4)));
    let trials = scene.json(&["study", "trials"]);
    assert_eq!(trials[3]["system_attrs"]["retry_history"], json!([0]));
    let again = scene.json(&ask).remove(0);
    assert_eq!((&again["number"], &again["params"]), (&json!(3), &trials[0]["params"]));

    scene.trialbox(&["trial", "cancel", "3"]).assert_error(2, &["trial 3 is RUNNING"]);
    let cancelled = scene.json(&["trial", "cancel", "--all", "--reason", "too slow"]);
    assert_eq!((cancelled.len(), &cancelled[0]["number"]), (1, &json!(4)));
    let shown = scene.json(&["trial", "show", "4"]).remove(0);
    assert_eq!(shown["state"], "FAIL");
    assert_eq!(shown["system_attrs"]["trialbox:failure"]["code"], "E-CANCELLED");
    assert_eq!(shown["system_attrs"]["trialbox:failure"]["message"], "too slow");
    assert_eq!(scene.json(&["trial", "retry", "--all"]).len(), 0, "the user did not want it");
    assert_eq!(scene.json(&["trial", "retry", "4"])[0]["retry"], 5);
    assert_eq!(scene.trialbox(&["doctor"]).code, Some(0));
}

#[test]
fn a_new_study_has_a_name_of_one_line_in_every_command_that_makes_one() {
    let (scene, quadratic) = (Scene::new("guidance-new-names"), guest("quadratic"));
    scene.json(&["run", &quadratic, "--study-name", "s"]);
    let export = scene.trialbox(&["study", "export", "--format", "json"]).stdout;
    std::fs::write(scene.path("s.json"), export).unwrap();
    let submit =
        ["submit", &quadratic, "--trials", "2", "--parallel", "1", "--time", "9", "--dry-run"];
    let create = ["study", "create"];
    let (copy, rename) = (["study", "copy", "s"], ["study", "rename", "s"]);
    let import = ["study", "import", "s.json"];
    for (name, piece) in [("", "is a variable of the shell not set?"), ("a\nb", "of one line")] {
        for (command, flag) in [
            (&["run", &quadratic][..], Some("--study-name")),
            (&submit, Some("--study-name")),
            (&create, Some("--study-name")),
            (&import, Some("--study-name")),
            (&copy, Some("--to-study-name")),
            (&rename, None),
        ] {
            let given = [command, flag.as_slice(), &[name]].concat();
            scene.trialbox(&given).assert_error(2, &[piece]);
        }
    }
    assert_eq!(scene.json(&["study", "list"]).len(), 1);
    let mut unset = scene.command(&["run", &quadratic]);
    let ran = Ran::from(unset.env("TRIALBOX_STUDY_NAME", "").output().unwrap());
    ran.assert_error(2, &["is a variable of the shell not set?", "unset it"]);
}

#[test]
fn a_database_in_a_folder_named_by_a_tilde_is_refused_with_the_path_to_write() {
    let scene = Scene::new("guidance-tilde");
    for (arguments, path) in [
        (&["study", "list", "--storage=~/y.db"][..], "\"$HOME/y.db\""),
        (&["study", "list", "--storage=sqlite:///~/y.db"], "\"sqlite:///$HOME/y.db\""),
        (&["eval", "a.wasm", "--dir=~/data::/data"], "\"$HOME/data::/data\""),
    ] {
        scene.trialbox(arguments).assert_error(2, &["the shell did not expand `~`", path]);
    }
}

#[test]
fn the_direction_of_a_study_changes_while_no_trial_has_a_value_and_not_later() {
    let scene = Scene::new("guidance-direction");
    let run = |flags: &[&str], script: &str| {
        let run = ["run", "--study-name", "s", "--space", "x=float(0, 1)"];
        scene.trialbox(&[&run[..], flags, &["--", "sh", "-c", script]].concat())
    };
    assert_eq!(run(&[], "exit 1").code, Some(1));
    let changed = run(&["--direction", "maximize"], "echo 1");
    changed.assert_error(0, &["was minimize, and is maximize from now on"]);
    assert_eq!(scene.json(&["study", "show"])[0]["directions"], json!(["maximize"]));
    let refused = [
        "study `s` has 1 objective (maximize) and trials with values, found --direction minimize",
        "trialbox study delete s --storage trialbox.db",
    ];
    run(&["--direction", "minimize"], "echo 1").assert_error(2, &refused);
}

#[test]
fn a_space_and_fixed_values_that_the_study_cannot_take_are_refused_before_the_first_trial() {
    let scene = Scene::new("guidance-space");
    let run = |flags: &[&str]| {
        let run = ["run", "--study-name", "s"];
        scene.trialbox(&[&run[..], flags, &["--", "echo", "1"]].concat())
    };
    let old = ["--space", "opt=choice(adam, sgd)", "--space", "x=float(0, 1)"];
    assert_eq!(run(&old).code, Some(0));
    for (changed, pieces) in [
        ("opt=choice(adam, lion)", &["adam", "sgd", "lion", "--study-name NAME"][..]),
        ("opt=int(1, 2)", &["study `s` has parameter `opt` as", "--space has it as int 1 to 2"]),
        ("x=log(0.1, 1)", &["study `s` has parameter `x` as float 0.0 to 1.0"]),
    ] {
        run(&["--space", changed]).assert_error(2, pieces);
    }
    run(&[&old[..], &["--fix", "Opt=sgd"]].concat())
        .assert_error(2, &["has suggested `Opt`", "did you mean `opt`?"]);
    run(&[&old[..], &["--fix", "depth=2"]].concat())
        .assert_error(2, &["no trial of the study has suggested `depth`"]);
    run(&[&old[..], &["--fix", "x=2"]].concat()).assert_error(2, &["outside of float 0.0 to 1.0"]);
    assert_eq!(scene.json(&["study", "trials"]).len(), 1);
}
