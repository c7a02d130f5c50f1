//! Random studies and kept databases: `differential.py` and `databases.py`.

use crate::scene::{Ran, Scene, root};
use serde_json::json;

/// `cargo xtask differential` tries thousands, with older releases too.
#[test]
fn random_studies_are_the_same_to_optuna_and_to_trialbox() {
    let scene = Scene::new("kept-random");
    let interpreter = format!("5.0.0={}", root().join("target/venv/bin/python").display());
    let binary = env!("CARGO_BIN_EXE_trialbox");
    let drive = ["drive", "--binary", binary, "--studies", "40", "--folder", ".", &interpreter];
    let ran = Ran::from(scene.python("differential.py", &drive).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.starts_with("40 studies with "), "{}", ran.stdout);
}

#[test]
fn databases_like_those_that_people_have_are_read_as_optuna_reads_them_and_continued() {
    let scene = Scene::new("kept-databases");
    let ran = Ran::from(scene.python("databases.py", &["check", "."]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let counts: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(counts["databases"], json!(33));
}
