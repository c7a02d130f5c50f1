//! Shared objectives: every source, what is refused from each, and a reference in the place of a file.

mod server;

use crate::scene::{Ran, Scene, guest};
use crate::submit::{ACCEPT, with_slurm};
use serde_json::{Value, json};
use server::{Reply, Server};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Returns the SHA-256 of bytes in hexadecimal.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn objective() -> Vec<u8> {
    fs::read(guest("quadratic")).unwrap()
}

/// Returns a scene whose store is its own.
fn scene(test: &str) -> Scene {
    Scene::new(&format!("sharing-{test}"))
}

/// Runs the binary with the scene's own store.
fn trialbox(scene: &Scene, arguments: &[&str]) -> Ran {
    let mut command = scene.command(arguments);
    command.env("XDG_DATA_HOME", scene.path("data")).env("HOME", scene.path("home"));
    command.output().unwrap().into()
}

#[track_caller]
fn json_of(scene: &Scene, arguments: &[&str]) -> Value {
    let ran = trialbox(scene, &[arguments, &["--format", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json().remove(0)
}

/// Returns the names in the scene's store, half-written files among them.
fn stored(scene: &Scene) -> Vec<String> {
    let Ok(entries) = fs::read_dir(scene.path("data/trialbox/store/sha256")) else { return vec![] };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Checks that a pull fails with these words, and that nothing of it is left.
#[track_caller]
fn refused(scene: &Scene, arguments: &[&str], code: i32, pieces: &[&str]) {
    let ran = trialbox(scene, &[&["pull"], arguments].concat());
    ran.assert_error(code, pieces);
    assert_eq!(ran.stderr.lines().filter(|line| line.starts_with("error")).count(), 1, "{ran:?}");
    assert_eq!(stored(scene), Vec::<String>::new(), "{arguments:?}");
    assert!(!scene.path("trialbox.lock").exists(), "{arguments:?}");
}

/// Writes an OCI layout with one image, and returns its folder.
fn layout(scene: &Scene, tag: &str, blob: &[u8]) -> PathBuf {
    let folder = scene.path("layout");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    let write = |bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(folder.join("blobs/sha256").join(&digest), bytes).unwrap();
        json!({"digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let mut layer = write(blob);
    layer["mediaType"] = "application/wasm".into();
    let mut manifest = write(json!({"schemaVersion": 2, "layers": [layer]}).to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion": "1.0.0"}"#).unwrap();
    fs::write(folder.join("index.json"), json!({"manifests": [manifest]}).to_string()).unwrap();
    folder
}

/// Replaces a byte in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn each_source_gives_the_same_objective_and_every_command_takes_it_in_the_place_of_a_file() {
    let scene = scene("sources");
    let bytes = objective();
    let digest = sha256(&bytes);
    fs::write(scene.path("digits.wasm"), &bytes).unwrap();
    layout(&scene, "1.2", &bytes);
    fs::create_dir_all(scene.path("other/sha256")).unwrap();
    fs::write(scene.path("other/sha256").join(&digest), &bytes).unwrap();
    let server = Server::registry("lab/digits", "1.2", &bytes, None);
    let (web, registry) = (
        format!("{}/file.wasm#sha256={digest}", server.url()),
        format!("{}/lab/digits:1.2", server.host()),
    );
    let other = format!("store:other#sha256={digest}");
    for source in ["digits.wasm", "oci:layout:1.2", "oci:layout", &other, &web, &registry] {
        let _ = fs::remove_dir_all(scene.path("data"));
        let pulled = json_of(&scene, &["pull", source]);
        assert_eq!(
            (&pulled["event"], &pulled["sha256"]),
            (&json!("pulled"), &json!(digest)),
            "{source}"
        );
        assert_eq!(pulled["from_store"], false, "{source}");
        assert_eq!(stored(&scene), std::slice::from_ref(&digest), "{source}");
    }
    drop(server);
    let own = format!("sha256:{digest}");
    for source in ["oci:layout:1.2", &other, &web, &registry, &own] {
        // The server is gone, and the network would not be used.
        let eval = json_of(&scene, &["eval", source, "--offline", "--param", "x=1"]);
        assert_eq!(eval["state"], "COMPLETE", "{source}");
        let inspected = json_of(&scene, &["inspect", source, "--offline", "--no-probe"]);
        assert_eq!(inspected["sha256"], json!(digest), "{source}");
    }
    let study = ["--storage", "study.db", "--seed", "1"];
    json_of(&scene, &[&["run", &registry, "--offline"][..], &study].concat());
    json_of(&scene, &[&["run", "digits.wasm"][..], &study].concat());
    json_of(&scene, &["trial", "replay", "0", &registry, "--storage", "study.db"]);
    let tested = trialbox(&scene, &["test", &registry, "--offline"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
}

#[test]
fn a_job_gets_the_digest_and_no_network() {
    let scene = scene("submit");
    let bytes = objective();
    layout(&scene, "1", &bytes);
    let submit = ["submit", "oci:layout:1", "--trials", "2", "--parallel", "1", "--dry-run"];
    let ran = with_slurm(&scene, ACCEPT, &[&submit[..], &["--store", "store"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let digest = sha256(&bytes);
    for piece in [&format!("oci:layout:1#sha256={digest}"), "--offline", "--store store"] {
        assert!(ran.stdout.contains(piece), "{piece}: {ran:?}");
    }
}

#[test]
fn a_source_that_is_not_pulled_is_pulled_once_and_later_commands_find_it_by_the_lock() {
    let scene = scene("lock");
    let bytes = objective();
    let server = Server::registry("lab/digits", "1", &bytes, None);
    let source = format!("{}/lab/digits:1", server.host());
    let offline = trialbox(&scene, &["eval", &source, "--offline"]);
    offline.assert_error(
        2,
        &["error[E-OFFLINE]", "is not in the store", &format!("trialbox pull '{source}'")],
    );
    assert_eq!(server.n_requests(), 0);
    json_of(&scene, &["eval", &source]);
    let lock: Value =
        serde_json::from_slice(&fs::read(scene.path("trialbox.lock")).unwrap()).unwrap();
    assert_eq!(lock["objectives"][&source]["sha256"], json!(sha256(&bytes)));
    let n_requests = server.n_requests();
    json_of(&scene, &["eval", &source]);
    assert_eq!(server.n_requests(), n_requests);
    // The tag moves: the lock holds, until the source is pulled again.
    server.set_tag("lab/digits", "1", &fs::read(guest("digits")).unwrap());
    fs::remove_dir_all(scene.path("data")).unwrap();
    assert_eq!(
        json_of(&scene, &["inspect", &source, "--no-probe"])["sha256"],
        json!(sha256(&bytes))
    );
    let pulled = json_of(&scene, &["pull", &source]);
    assert_ne!(pulled["sha256"], json!(sha256(&bytes)));
    assert_eq!(json_of(&scene, &["inspect", &source, "--no-probe"])["sha256"], pulled["sha256"]);
}

#[test]
fn what_is_not_what_its_digest_or_its_name_says_is_refused_and_leaves_nothing() {
    let scene = scene("refused");
    let bytes = objective();
    let digest = sha256(&bytes);
    let wrong = sha256(b"something else");
    fs::write(scene.path("digits.wasm"), &bytes).unwrap();
    fs::write(scene.path("text.wasm"), "no objective").unwrap();
    fs::write(scene.path("objective.py"), "def objective(trial): return 1").unwrap();
    refused(
        &scene,
        &[&format!("digits.wasm#sha256={wrong}")],
        4,
        &["error[E-DIGEST]", &wrong, &digest],
    );
    refused(&scene, &["digits.wasm#sha256=12"], 2, &["expected 64 hexadecimal digits"]);
    refused(&scene, &["text.wasm"], 4, &["error[E-INVALID]"]);
    refused(&scene, &["objective.py"], 4, &["trialbox build objective.py"]);
    refused(&scene, &["missing.wasm"], 2, &["error[E-NOT-FOUND]"]);
    refused(&scene, &["ghcr.io/../../etc/passwd:1"], 2, &["expected a repository"]);
    refused(&scene, &["oci:missing:1"], 2, &["error[E-NOT-FOUND]"]);
    refused(
        &scene,
        &[&format!("sha256:{digest}")],
        2,
        &["error[E-NOT-FOUND]", "trialbox store list"],
    );
    refused(&scene, &[&format!("store:missing#sha256={digest}")], 2, &["error[E-NOT-FOUND]"]);
    refused(&scene, &["store:missing"], 2, &["expected the digest"]);

    let other = scene.path("other/sha256");
    fs::create_dir_all(&other).unwrap();
    let from_store = format!("store:other#sha256={digest}");
    fs::write(other.join(&digest), &bytes).unwrap();
    flip(&other.join(&digest));
    refused(&scene, &[&from_store], 4, &["error[E-DIGEST]"]);
    fs::remove_file(other.join(&digest)).unwrap();
    symlink(scene.path("digits.wasm"), other.join(&digest)).unwrap();
    refused(&scene, &[&from_store], 4, &["error[E-SOURCE]", "found a symbolic link"]);

    let folder = layout(&scene, "1", &bytes);
    let blob = folder.join("blobs/sha256").join(&digest);
    refused(&scene, &["oci:layout:2"], 2, &["the tag `2`", "the tags are: 1"]);
    flip(&blob);
    refused(&scene, &["oci:layout:1"], 4, &["error[E-DIGEST]"]);
    fs::remove_file(&blob).unwrap();
    symlink(scene.path("digits.wasm"), &blob).unwrap();
    refused(&scene, &["oci:layout:1"], 4, &["error[E-SOURCE]", "found a symbolic link"]);
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, &bytes).unwrap();
    let index = fs::read_to_string(folder.join("index.json")).unwrap();
    let escaping = index.replace("\"sha256:", "\"../../");
    fs::write(folder.join("index.json"), escaping).unwrap();
    refused(&scene, &["oci:layout:1"], 4, &["error[E-SOURCE]", "expected digests of SHA-256"]);
}

#[test]
fn a_server_that_refuses_fails_lies_or_hangs_gets_one_sentence_and_leaves_nothing() {
    let scene = scene("servers");
    let bytes = objective();
    let digest = sha256(&bytes);
    let server = Server::new(move |request, _| match request.path.as_str() {
        "/401" => Reply::status(401),
        "/404" => Reply::status(404),
        "/429" => Reply::status(429).with("Retry-After", "7"),
        "/500" => Reply::status(500),
        "/loop" => Reply::status(302).with("Location", "/loop"),
        "/lost" => Reply::status(302),
        "/flipped" => {
            let mut flipped = bytes.clone();
            flipped[100] ^= 1;
            Reply::ok(&flipped)
        }
        "/short" => Reply::ok(&bytes[..100]).announcing(bytes.len()),
        "/huge" => Reply::ok(b"").announcing(1 << 40),
        "/html" => Reply::ok(b"<html>"),
        _ => Reply::hang(),
    });
    let pinned = |path: &str, digest: &str| format!("{}/{path}#sha256={digest}", server.url());
    for (path, code, pieces) in [
        ("401", 2, &["error[E-ACCESS]", "status 401", "docker login"][..]),
        ("404", 2, &["error[E-NOT-FOUND]", "status 404"]),
        ("429", 71, &["error[E-NETWORK]", "status 429", "try again in 7 s"]),
        ("500", 71, &["error[E-NETWORK]", "status 500"]),
        ("loop", 4, &["error[E-SOURCE]", "at most 5 redirections"]),
        ("lost", 4, &["error[E-SOURCE]", "expected an address to go to"]),
        ("flipped", 4, &["error[E-DIGEST]", &digest]),
        ("short", 71, &["error[E-NETWORK]", "broke off"]),
        ("huge", 4, &["error[E-SOURCE]", "found more"]),
        ("html", 4, &["error[E-DIGEST]"]),
    ] {
        refused(&scene, &[&pinned(path, &digest)], code, pieces);
    }
    let hanging = pinned("hang", &digest);
    refused(&scene, &[&hanging, "--timeout", "1s"], 71, &["error[E-NETWORK]", "within 1 s"]);
    refused(&scene, &[&format!("{}/html", server.url())], 2, &["expected the digest"]);
    refused(&scene, &[&pinned("html", &sha256(b"<html>"))], 4, &["error[E-INVALID]"]);
    let elsewhere = format!("http://192.0.2.1/x#sha256={digest}");
    refused(&scene, &[&elsewhere], 2, &["error[E-ACCESS]", "expected `https://`"]);
    let (host, gone) = (server.host(), format!("http://{}/x#sha256={digest}", server.host()));
    drop(server);
    refused(&scene, &[&gone], 71, &["error[E-NETWORK]", "cannot reach", &host]);
}

#[test]
fn a_registry_that_flips_a_byte_or_has_something_else_is_refused() {
    let scene = scene("registry");
    let bytes = objective();
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    let server = Server::registry("lab/digits", "1", &bytes, None);
    let source = format!("{}/lab/digits:1", server.host());
    server.replace_blob(&sha256(&bytes), &flipped);
    refused(&scene, &[&source], 4, &["error[E-DIGEST]", &sha256(&bytes)]);
    let manifest = server.manifest("lab/digits", "1");
    server.replace_manifest("lab/digits", &manifest, b"{\"layers\": []}");
    refused(
        &scene,
        &[&format!("{}/lab/digits@sha256:{manifest}", server.host())],
        4,
        &["error[E-DIGEST]"],
    );
    server.replace_manifest("lab/digits", "1", b"{\"layers\": []}");
    refused(&scene, &[&source], 4, &["error[E-SOURCE]", "expected one layer, found 0"]);
    server.replace_manifest("lab/digits", "1", b"<html>");
    refused(&scene, &[&source], 4, &["error[E-SOURCE]", "expected a manifest"]);
    refused(&scene, &[&format!("{}/lab/digits:2", server.host())], 2, &["error[E-NOT-FOUND]"]);
}

#[test]
fn credentials_go_to_their_registry_and_appear_nowhere_else() {
    let scene = scene("credentials");
    let bytes = objective();
    let storage = Server::new({
        let bytes = bytes.clone();
        move |_, _| Reply::ok(&bytes)
    });
    let server = Server::registry("lab/digits", "1", &bytes, Some(&storage.url()));
    let source = format!("{}/lab/digits:1", server.host());
    // The registry wants a token, which its own server gives to the user of this password.
    let auth = format!(r#"{{"auths": {{"{}": {{"auth": "bWU6czNjcmV0"}}}}}}"#, server.host());
    for (text, code) in [("{}", 2), (auth.replace("czNj", "d3Jv").as_str(), 2), (&auth, 0)] {
        fs::create_dir_all(scene.path("docker")).unwrap();
        fs::write(scene.path("docker/config.json"), text).unwrap();
        let mut command = scene.command(&["pull", &source, "--verbose"]);
        command.env("XDG_DATA_HOME", scene.path("data")).env("HOME", scene.path("home"));
        let ran = Ran::from(command.env("DOCKER_CONFIG", scene.path("docker")).output().unwrap());
        assert_eq!(ran.code, Some(code), "{ran:?}");
        for secret in ["s3cret", "bWU6", "t0ken"] {
            assert!(!ran.stderr.contains(secret) && !ran.stdout.contains(secret), "{ran:?}");
        }
    }
    // The blob lies on another server, which sees no token.
    let seen = storage.requests();
    assert!(
        !seen.is_empty() && seen.iter().all(|request| request.authorization.is_none()),
        "{seen:?}"
    );

    fs::remove_dir_all(scene.path("data")).unwrap();
    let variable = server.host().to_uppercase().replace(['.', ':'], "_");
    let mut command = scene.command(&["pull", &source]);
    command.env("XDG_DATA_HOME", scene.path("data")).env("HOME", scene.path("home"));
    let ran =
        Ran::from(command.env(format!("TRIALBOX_TOKEN_{variable}"), "t0ken").output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn many_pulls_at_the_same_time_leave_one_copy_and_one_line() {
    let scene = scene("many");
    let bytes = objective();
    let server = Server::registry("lab/digits", "1", &bytes, None);
    let source = format!("{}/lab/digits:1", server.host());
    let start = |_| -> Child {
        let mut command = scene.command(&["pull", &source, "--store", "shared/store"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<Child> = (0..16).map(start).collect();
    for child in children {
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let names: Vec<_> = fs::read_dir(scene.path("shared/store/sha256")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let lock: Value =
        serde_json::from_slice(&fs::read(scene.path("trialbox.lock")).unwrap()).unwrap();
    assert_eq!(lock["objectives"].as_object().unwrap().len(), 1, "{lock}");
}

#[test]
fn a_damaged_entry_of_the_store_is_never_used_and_a_new_copy_takes_its_place() {
    let scene = scene("damaged");
    let bytes = objective();
    let digest = sha256(&bytes);
    let server = Server::registry("lab/digits", "1", &bytes, None);
    let source = format!("{}/lab/digits:1", server.host());
    json_of(&scene, &["pull", &source]);
    let entry = scene.path("data/trialbox/store/sha256").join(&digest);
    flip(&entry);
    let listed = trialbox(&scene, &["store", "list"]);
    assert_eq!(listed.code, Some(4), "{listed:?}");
    assert!(listed.stdout.contains("damaged"), "{listed:?}");
    trialbox(&scene, &["eval", &source, "--offline"])
        .assert_error(4, &["error[E-DIGEST]", "pull again"]);
    json_of(&scene, &["eval", &source]);
    assert_eq!(fs::read(&entry).unwrap(), bytes);
    let listed = json_of(&scene, &["store", "list"]);
    assert_eq!((&listed["sha256"], &listed["problem"]), (&json!(digest), &Value::Null));
}

#[test]
fn old_objectives_are_removed_unless_a_lock_names_them() {
    let scene = scene("gc");
    fs::create_dir(scene.path("project")).unwrap();
    for (name, folder) in [("quadratic", "."), ("digits", "project")] {
        let mut command = scene.command(&["pull", &guest(name), "--store", "../store"]);
        if folder == "." {
            command = scene.command(&["pull", &guest(name), "--store", "store"]);
        }
        assert!(command.current_dir(scene.path(folder)).output().unwrap().status.success());
    }
    let gc = |more: &[&str]| {
        let arguments = [&["store", "gc", "--store", "store", "--older-than", "0s"], more].concat();
        scene.json(&arguments).remove(0)
    };
    let n_removed = |found: &Value| found["removed"].as_array().unwrap().len();
    assert_eq!(n_removed(&gc(&["--keep", "project"])), 0);
    assert_eq!(n_removed(&gc(&["--dry-run"])), 1);
    let found = gc(&[]);
    assert_eq!((n_removed(&found), &found["kept"]), (1, &json!(1)));
    assert_eq!(fs::read_dir(scene.path("store/sha256")).unwrap().count(), 1);
}

#[test]
fn what_is_pushed_is_pulled_from_a_registry_and_from_a_layout() {
    let scene = scene("push");
    let (quadratic, digest) = (guest("quadratic"), sha256(&objective()));
    let server = Server::registry("lab/other", "1", b"other", None);
    let source = format!("{}/lab/digits:1.2", server.host());
    for destination in [&source, "oci:layout:1.2"] {
        let pushed = json_of(&scene, &["push", &quadratic, destination]);
        assert_eq!((&pushed["sha256"], &pushed["fallback"]), (&json!(digest), &json!(false)));
        assert_eq!(pushed["config_type"], "application/vnd.wasm.config.v0+json");
        // The same objective has the same image.
        assert_eq!(
            json_of(&scene, &["push", &quadratic, destination])["manifest"],
            pushed["manifest"]
        );
        let pulled = json_of(&scene, &["pull", destination]);
        assert_eq!((&pulled["sha256"], &pulled["manifest"]), (&json!(digest), &pushed["manifest"]));
    }
    // Another image of the layout stays.
    json_of(&scene, &["push", &guest("digits"), "oci:layout:2"]);
    let tags = scene.json(&["tags", "oci:layout"]);
    assert_eq!(tags.iter().map(|line| &line["tag"]).collect::<Vec<_>>(), ["1.2", "2"]);
    assert_eq!(json_of(&scene, &["pull", "oci:layout:1.2"])["sha256"], json!(digest));

    let tagged = json_of(&scene, &["tag", &source, "latest"]);
    let latest = format!("{}/lab/digits:latest", server.host());
    assert_eq!(json_of(&scene, &["pull", &latest])["manifest"], tagged["manifest"]);
    server.put("/v2/lab/digits/tags/list?n=1000", br#"{"tags": ["1.2", "latest"]}"#);
    let tags = scene.json(&["tags", &format!("{}/lab/digits", server.host())]);
    assert_eq!(tags.len(), 2);

    for destination in ["digits", "store:x", "oci:layout", &format!("{source}#sha256={digest}")] {
        let ran = trialbox(&scene, &["push", &quadratic, destination]);
        ran.assert_error(2, &["expected a destination with a tag"]);
    }
    trialbox(&scene, &["tag", &source, "../x"]).assert_error(2, &["expected a tag of"]);
    fs::write(scene.path("objective.py"), "def objective(trial): return 1").unwrap();
    trialbox(&scene, &["push", "objective.py", "oci:layout:3"])
        .assert_error(4, &["trialbox build"]);
}

#[test]
fn a_registry_that_refuses_the_usual_media_types_gets_older_ones_and_that_is_said() {
    let scene = scene("fallback");
    let server = Server::registry("lab/other", "1", b"other", None);
    server.refuse("application/vnd.wasm.config.v0+json");
    let source = format!("{}/lab/digits:1", server.host());
    let ran = trialbox(&scene, &["push", &guest("quadratic"), &source, "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("the registry refused the usual media types"), "{ran:?}");
    let pushed = ran.json().remove(0);
    assert_eq!(pushed["layer_type"], "application/vnd.wasm.content.layer.v1+wasm");
    assert_eq!(json_of(&scene, &["pull", &source])["sha256"], pushed["sha256"]);
    server.refuse("schemaVersion");
    let ran = trialbox(&scene, &["push", &guest("quadratic"), &source]);
    ran.assert_error(4, &["refuses all media types", "status 400"]);
}

#[test]
fn a_sample_trial_shows_that_an_objective_works_here_or_what_differs() {
    let scene = scene("verify");
    let quadratic = guest("quadratic");
    let record = ["eval", &quadratic, "--param", "x=1.25", "--seed", "7", "--deterministic"];
    let trial = json_of(&scene, &[&record[..], &["--record", "sampled.wasm"]].concat());
    json_of(&scene, &["push", "sampled.wasm", "oci:layout:1"]);
    let verified = json_of(&scene, &["verify", "oci:layout:1"]);
    assert_eq!((&verified["equal"], &verified["difference"]), (&json!(true), &Value::Null));
    let sampled = fs::read(scene.path("sampled.wasm")).unwrap();
    assert_eq!(verified["sha256"], json!(sha256(&sampled)));

    let inspected = json_of(&scene, &["inspect", "sampled.wasm", "--no-probe"]);
    assert_eq!(inspected["sample_recorded_on"], verified["recorded_on"]);

    // A module that another value was recorded for: the bytes are the same but for a digit.
    let value = trial["values"][0].to_string();
    let at = sampled.windows(value.len()).rposition(|window| window == value.as_bytes()).unwrap();
    let mut changed = sampled.clone();
    changed[at] = if changed[at] == b'9' { b'8' } else { b'9' };
    fs::write(scene.path("changed.wasm"), &changed).unwrap();
    let ran = trialbox(&scene, &["verify", "changed.wasm"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("its sample trial differs: a value was 9"), "{ran:?}");
    trialbox(&scene, &["verify", &quadratic]).assert_error(4, &["expected a sample trial"]);
    let broken = sampled.len() - 20;
    changed[broken..].fill(b'}');
    fs::write(scene.path("broken.wasm"), &changed).unwrap();
    trialbox(&scene, &["verify", "broken.wasm"])
        .assert_error(4, &["expected a sample trial of version 1"]);
}
