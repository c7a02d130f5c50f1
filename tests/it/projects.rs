//! The folder of an objective: `new`, `build`, `test`, `run` without an argument, settings in files and completions.

use crate::scene::{Ran, Scene, guest, root};
use serde_json::json;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

const TEMPLATES: [&str; 5] = ["rust", "rust-pruning", "python", "program", "optuna"];

#[test]
fn a_project_has_the_files_that_new_lists_and_stays_as_it_is() {
    let scene = Scene::new("projects-new");
    for template in TEMPLATES {
        let name = format!("my-{template}");
        let created = scene.json(&["new", &name, "--template", template]);
        let files = created[0]["files"].as_array().unwrap();
        for file in files {
            assert!(scene.path(&name).join(file.as_str().unwrap()).is_file(), "{template}: {file}");
        }
        std::fs::write(scene.path(&name).join("README.md"), "mine").unwrap();
        let ran = scene.trialbox(&["new", &name, "--template", template]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains("expected a name that is free"), "{ran:?}");
        assert_eq!(std::fs::read_to_string(scene.path(&name).join("README.md")).unwrap(), "mine");
    }
}

#[test]
fn no_project_takes_the_place_of_a_file_or_a_link() {
    let scene = Scene::new("projects-taken");
    std::fs::write(scene.path("file"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", scene.path("link")).unwrap();
    for name in ["file", "link"] {
        let ran = scene.trialbox(&["new", name]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
    assert_eq!(std::fs::read_to_string(scene.path("file")).unwrap(), "mine");
    assert!(!scene.path("nowhere").exists());
}

#[test]
fn the_programs_of_the_templates_run() {
    let scene = Scene::new("projects-programs");
    for (name, template) in [("p", "program"), ("o", "optuna")] {
        scene.json(&["new", name, "--template", template]);
        let script = std::fs::read_to_string(scene.path(name).join("job.sbatch")).unwrap();
        assert!(!script.contains("NAME"), "{script}");
        let flags: &[&str] = match template {
            "program" => &["run", "--", "python3", "train.py"],
            _ => &["run", "--as-optuna", "--", "python3", "train.py", "--optuna-db", "study.db"],
        };
        let more: &[&str] = match template {
            "program" => &[],
            _ => &["--optuna-study-name", "s"],
        };
        let mut command = scene.command(&[flags, more].concat());
        let ran = command.current_dir(scene.path(name)).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }
}

/// Returns a command in a project's folder, for which cargo shares the folder of the other guests and asks no network.
fn in_project(scene: &Scene, project: &str, arguments: &[&str]) -> Command {
    let mut command = scene.command(arguments);
    command.current_dir(scene.path(project));
    command.env("CARGO_TARGET_DIR", root().join("target/guests")).env("CARGO_NET_OFFLINE", "true");
    command
}

#[track_caller]
fn succeeds(mut command: Command) -> Ran {
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

#[test]
fn a_project_is_built_tested_and_run_without_naming_its_objective() {
    let scene = Scene::new("projects-built");
    scene.json(&["new", "mine", "--template", "rust-pruning"]);
    let ran = Ran::from(in_project(&scene, "mine", &["run"]).output().unwrap());
    ran.assert_error(2, &["not built", "trialbox build"]);

    let built = succeeds(in_project(&scene, "mine", &["build", "--format", "json"])).json();
    let built = built.iter().find(|line| line["event"] == "built").unwrap();
    assert_eq!(built["file"], "mine.wasm");
    let bytes = std::fs::read(scene.path("mine/mine.wasm")).unwrap();
    assert_eq!(built["size_bytes"], bytes.len());
    let inspected = succeeds(in_project(&scene, "mine", &["inspect", "--format", "json"])).json();
    assert_eq!(inspected[0]["sha256"], built["sha256"]);
    assert_eq!(inspected[0]["stamp"], built["stamp"]);
    for (key, value) in [
        ("name", "mine"),
        ("version", "0.1.0"),
        ("contract", "0.1.0"),
        ("sdk", "trialbox-guest 0.1.0"),
        ("built_by", concat!("trialbox ", env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(inspected[0]["stamp"][key], value, "{key}");
    }

    let tested = succeeds(in_project(&scene, "mine", &["test", "--format", "json"]));
    assert!(tested.stderr.contains("test result: ok"), "{tested:?}");
    let checks = tested.json();
    assert_eq!(checks.iter().filter(|line| line["event"] == "check").count(), 3);
    assert!(checks.iter().all(|line| line["deterministic"] == true));
    assert_eq!(std::fs::read(scene.path("mine/mine.wasm")).unwrap(), bytes);

    let ran = succeeds(in_project(&scene, "mine", &["run", "-n", "2"]));
    assert!(ran.stderr.contains("the objective is `mine.wasm` of this folder"), "{ran:?}");
    std::fs::write(scene.path("mine/src/new.rs"), "").unwrap();
    let ran = succeeds(in_project(&scene, "mine", &["run"]));
    assert!(ran.stderr.contains("`src/new.rs` is newer than `mine.wasm`"), "{ran:?}");
}

#[test]
fn a_missing_tool_is_named_with_the_command_that_installs_it() {
    let scene = Scene::new("projects-tools");
    scene.json(&["new", "mine"]);
    let build = |path: &str| {
        Ran::from(in_project(&scene, "mine", &["build"]).env("PATH", path).output().unwrap())
    };
    build("/nowhere").assert_error(2, &["`rustc`", "https://sh.rustup.rs"]);
    let bin = scene.path("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, script) in [("rustc", "#!/bin/sh\necho /nowhere/lib\n"), ("rustup", "#!/bin/sh\n")] {
        std::fs::write(bin.join(name), script).unwrap();
        std::fs::set_permissions(bin.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let wanted = ["wasm32-wasip2", "rustup target add wasm32-wasip2"];
    build(&bin.display().to_string()).assert_error(2, &wanted);
    let nowhere = Ran::from(in_project(&scene, ".", &["build"]).output().unwrap());
    nowhere.assert_error(2, &["neither Cargo.toml nor objective.py", "trialbox new"]);
}

#[test]
fn a_file_of_the_project_sets_flags_and_says_so() {
    let scene = Scene::new("projects-config");
    let quadratic = guest("quadratic");
    std::fs::create_dir_all(scene.path("data")).unwrap();
    let settings = "storage = \"mine.db\"\ndir = [\"data::/data\"]\n[run]\nn-trials = 3\n";
    std::fs::write(scene.path("trialbox.toml"), settings).unwrap();
    let trials = scene.json(&["run", &quadratic]);
    assert_eq!(trials.iter().filter(|line| line["event"] == "trial").count(), 3);
    assert!(scene.path("mine.db").is_file());
    let trials = scene.json(&["run", &quadratic, "-n", "1", "--storage", "other.db"]);
    assert_eq!(trials.iter().filter(|line| line["event"] == "trial").count(), 1);
    assert!(scene.path("other.db").is_file());
    let held = scene.json(&["config"]);
    let storage = held.iter().find(|line| line["key"] == "storage").unwrap();
    assert_eq!(
        (&storage["value"][0], &storage["from"]),
        (&json!("mine.db"), &json!("`trialbox.toml`"))
    );
    let ran = Ran::from(
        scene.command(&["study", "list"]).env("TRIALBOX_STORAGE", "third.db").output().unwrap(),
    );
    ran.assert_error(3, &["third.db"]);
}

#[test]
fn a_file_that_another_user_may_write_or_that_grants_more_than_its_folder_is_refused() {
    let scene = Scene::new("projects-hostile");
    let quadratic = guest("quadratic");
    let file = scene.path("trialbox.toml");
    let run = |settings: &str, mode: u32| {
        std::fs::write(&file, settings).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        scene.trialbox(&["run", &quadratic])
    };
    run("n-trials = 2\n", 0o666).assert_error(2, &["trialbox.toml", "TRIALBOX_NO_CONFIG=1"]);
    run("n-trials = 2\n", 0o664).assert_error(2, &["trialbox.toml"]);
    run("dir = [\"/etc::/etc\"]\n", 0o644)
        .assert_error(2, &["not below the project's folder", "--dir /etc::/etc"]);
    std::os::unix::fs::symlink("/etc", scene.path("data")).unwrap();
    run("dir = [\"data::/data\"]\n", 0o644).assert_error(2, &["not below the project's folder"]);
    run("cache-dir = \"cache\"\n", 0o644).assert_error(2, &["the user's own file"]);
    run("storge = \"a.db\"\n", 0o644).assert_error(2, &["did you mean `storage`?"]);
    run("max-memory = \"lots\"\n", 0o644)
        .assert_error(2, &["set by files: --max-memory of `trialbox.toml`"]);
    assert!(!scene.path("trialbox.db").exists());
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("elsewhere.toml", &file).unwrap();
    std::fs::write(scene.path("elsewhere.toml"), "n-trials = 2\n").unwrap();
    scene.trialbox(&["run", &quadratic]).assert_error(2, &["trialbox.toml"]);
    let mut command = scene.command(&["run", &quadratic]);
    succeeds_with(command.env("TRIALBOX_NO_CONFIG", "1"));
}

#[track_caller]
fn succeeds_with(command: &mut Command) {
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn a_shell_learns_the_studies_of_the_database_and_their_parameters() {
    let scene = Scene::new("projects-completion");
    scene.json(&["run", &guest("quadratic"), "--study-name", "curve", "--storage", "s.db"]);
    let complete = |words: &[&str]| {
        let mut command = scene.command(&[&["--", "trialbox"], words].concat());
        let index = words.len().to_string();
        command.env("TRIALBOX_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index);
        command.env("_CLAP_IFS", "\n").env("_CLAP_COMPLETE_COMP_TYPE", "9");
        succeeds(command).stdout
    };
    let studies = complete(&["study", "show", "--storage", "s.db", "--study-name", "cu"]);
    assert!(studies.contains("curve"), "{studies}");
    let params = complete(&["run", "--storage", "s.db", "--fix", ""]);
    assert!(params.contains("x=") && params.contains("y="), "{params}");
    let commands = complete(&["st"]);
    assert!(commands.contains("study"), "{commands}");
    let script = scene.trialbox(&["completions", "bash"]).stdout;
    assert!(script.contains("TRIALBOX_COMPLETE"), "{script}");
}

#[test]
fn manual_pages_are_written_for_every_command_that_help_lists() {
    let scene = Scene::new("projects-man");
    assert_eq!(scene.trialbox(&["man", "--all", "man1"]).code, Some(0));
    for page in ["trialbox.1", "trialbox-run.1", "trialbox-study-best.1"] {
        let text = std::fs::read_to_string(scene.path("man1").join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    let long = scene.trialbox(&["--version"]).stdout;
    for part in ["target", "wasmtime", "contract  trialbox:objective@", "sdk       trialbox-guest"]
    {
        assert!(long.contains(part), "{long}");
    }
}
