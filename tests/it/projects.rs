//! `trialbox new`: projects from templates, which are never written over anything.

use crate::scene::Scene;

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
