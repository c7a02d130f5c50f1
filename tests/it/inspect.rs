//! `trialbox inspect`, and files that are no objectives.

use crate::hostile::guests::elf;
use crate::scene::{Scene, digits_data, guest};

#[test]
fn a_good_module_shows_what_it_is_and_asks_for() {
    let scene = Scene::new("inspect-good");
    let object = &scene.json(&["inspect", &guest("digits"), "--dir", &digits_data()])[0];
    assert_eq!(object["description"]["name"], "digits");
    assert_eq!(object["description"]["metrics"][0]["direction"], "maximize");
    assert_eq!(object["contract_version"], "0.1.0");
    assert_eq!(object["rights"][0], "read /data");
    assert_eq!(object["sample_recorded_on"], serde_json::Value::Null);
    let text = scene.trialbox(&["inspect", &guest("quadratic"), "--no-probe"]).stdout;
    for piece in ["no other files, no network, no other programs", "its description alone"] {
        assert!(text.contains(piece), "{text}");
    }
    assert!(object["landlock_abi"].is_u64(), "{object}");
    assert!(object["seccomp"].is_boolean(), "{object}");
    let names: Vec<&str> = object["params"]
        .as_array()
        .unwrap()
        .iter()
        .map(|param| param["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["depth", "width", "activation", "learning_rate", "momentum", "l2", "batch_size"]
    );
    assert_eq!(object["probe_problem"], serde_json::Value::Null);
}

#[test]
fn a_file_that_is_no_objective_is_refused_in_a_sentence_and_no_database_is_touched() {
    let scene = Scene::new("inspect-bad");
    let good = std::fs::read(guest("quadratic")).unwrap();
    let core = wat::parse_str("(module (func (export \"f\")))").unwrap();
    let other = String::from_utf8_lossy(&crate::hostile::text("unreachable"))
        .replace("objective@0.1.0", "objective@0.2.0");
    let files: [(&str, &[u8], &str); 10] = [
        ("core.wasm", &core, "is a core wasm module; an objective is a component"),
        ("elf", &elf(), "is a native program or library (ELF), not wasm"),
        ("truncated.wasm", &good[..good.len() / 2], "is truncated or damaged at byte"),
        ("empty.wasm", b"", "is empty"),
        (
            "newer.wasm",
            &wat::parse_str(&other).unwrap(),
            "is built for version 0.2.0 of the contract trialbox:objective; this trialbox has version 0.1.0",
        ),
        ("gzip.wasm", b"\x1f\x8b\x08\0\0", "is compressed (gzip), not wasm"),
        ("page.wasm", b"<!doctype html>", "is an HTML or XML page, not wasm"),
        ("lfs.wasm", b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("text.wasm", b"(component)", "is WebAssembly text"),
        (
            "nothing.wasm",
            &wat::parse_str("(component)").unwrap(),
            "is a component but not an objective: \
             expected the export trialbox:objective/objective@0.1.0, found nothing",
        ),
    ];
    for (name, bytes, message) in files {
        std::fs::write(scene.path(name), bytes).unwrap();
        for command in ["inspect", "run", "eval"] {
            scene.trialbox(&[command, name]).assert_error(4, &[&format!("`{name}` {message}")]);
        }
    }
    scene.trialbox(&["run", "absent.wasm"]).assert_error(4, &["cannot read `absent.wasm`"]);
    assert!(!scene.path("trialbox.db").exists());
}

#[test]
fn an_import_that_is_not_offered_is_named() {
    let scene = Scene::new("inspect-imports");
    for (import, message) in [
        ("wasi:sockets/tcp@0.2.6", "imports `wasi:sockets/tcp@0.2.6`: the network"),
        (
            "acme:gpu/device@1.0.0",
            "imports `acme:gpu/device@1.0.0`: something that this trialbox does not offer",
        ),
    ] {
        let text = String::from_utf8(crate::hostile::text("unreachable")).unwrap();
        let text =
            text.replacen("(component", &format!("(component (import \"{import}\" (instance))"), 1);
        std::fs::write(scene.path("x.wasm"), wat::parse_str(&text).unwrap()).unwrap();
        scene.trialbox(&["inspect", "x.wasm"]).assert_error(4, &["E-CAPABILITY", message]);
    }
}
