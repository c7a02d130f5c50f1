//! Shared objectives on a registry of Debian's, with a password and without.

use crate::scene::{Ran, Scene, guest};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest time until the registry listens. It takes a third of a second.
const LONGEST: Duration = Duration::from_secs(60);

/// The password `s3cret` of the user `me`, as bcrypt has it.
const HTPASSWD: &str = "me:$2b$04$6t5be6qmEkM7e8ALH8rIFeK7MMa.RX4WzH8GSumahLpWrDr9MEZVq\n";

/// A registry that ends when it is dropped.
struct Registry {
    host: String,
    child: Child,
}

impl Registry {
    fn start(scene: &Scene, has_password: bool) -> Self {
        // Another process may take the port before the registry does.
        (0..5).find_map(|_| Self::try_start(scene, has_password)).unwrap()
    }

    fn try_start(scene: &Scene, has_password: bool) -> Option<Self> {
        let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let blobs = scene.path("registry").display().to_string();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {blobs}\n\
             http:\n  addr: {host}\n"
        );
        if has_password {
            let path = scene.path("htpasswd");
            fs::write(&path, HTPASSWD).unwrap();
            config += &format!("auth:\n  htpasswd:\n    realm: it\n    path: {}\n", path.display());
        }
        fs::write(scene.path("registry.yml"), config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(scene.path("registry.yml"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if TcpStream::connect(&host).is_ok() {
                return Some(Registry { host, child });
            }
            assert!(started.elapsed() < LONGEST, "the registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn trialbox(scene: &Scene, arguments: &[&str]) -> Ran {
    let mut command = scene.command(arguments);
    command.env("XDG_DATA_HOME", scene.path("data")).env("HOME", scene.path("home"));
    command.env("DOCKER_CONFIG", scene.path("docker")).output().unwrap().into()
}

#[test]
fn an_objective_is_published_pulled_and_run_without_a_network() {
    let scene = Scene::new("real-registry");
    let registry = Registry::start(&scene, false);
    let source = format!("{}/lab/digits:1.2", registry.host);
    let repository = format!("{}/lab/digits", registry.host);
    let pinned = |ran: Ran| {
        let manifest = ran.json().remove(0)["manifest"].as_str().unwrap().to_owned();
        format!("{repository}@{manifest}")
    };
    let pushed = trialbox(&scene, &["push", &guest("quadratic"), &source, "--format", "json"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let by_manifest = pinned(pushed);
    for arguments in [
        &["tag", &source, "latest"][..],
        &["pull", &source],
        &["pull", &by_manifest],
        &["pull", &format!("{repository}:latest")],
        &["push", &source, "oci:copy:1"],
        &["pull", "oci:copy:1"],
    ] {
        let ran = trialbox(&scene, arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    }
    assert_eq!(trialbox(&scene, &["tags", &repository]).stdout, "1.2\nlatest\n");
    let missing = trialbox(&scene, &["pull", &format!("{repository}:2")]);
    missing.assert_error(2, &["error[E-NOT-FOUND]", "status 404"]);
    drop(registry);
    let run = ["run", &source, "--offline", "--storage", "study.db"];
    assert_eq!(trialbox(&scene, &run).code, Some(0));
    trialbox(&scene, &["pull", &source]).assert_error(71, &["error[E-NETWORK]", "cannot reach"]);
}

#[test]
fn a_registry_with_a_password_takes_and_gives_to_its_user_alone() {
    let scene = Scene::new("real-registry-password");
    let registry = Registry::start(&scene, true);
    let source = format!("{}/lab/digits:1", registry.host);
    let push = ["push", &guest("quadratic"), &source];
    fs::create_dir_all(scene.path("docker")).unwrap();
    // `me` with `wrong`, then with `s3cret`.
    for (encoded, code) in [(None, 2), (Some("bWU6d3Jvbmc="), 2), (Some("bWU6czNjcmV0"), 0)] {
        if let Some(encoded) = encoded {
            let text = format!(r#"{{"auths": {{"{}": {{"auth": "{encoded}"}}}}}}"#, registry.host);
            fs::write(scene.path("docker/config.json"), text).unwrap();
        }
        for arguments in [&push[..], &["pull", &source]] {
            let ran = trialbox(&scene, arguments);
            assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
            assert_eq!(ran.stderr.contains("E-ACCESS"), code != 0, "{ran:?}");
            assert!(!ran.stderr.contains("s3cret") && !ran.stderr.contains("bWU6"), "{ran:?}");
        }
    }
}

#[test]
fn a_flipped_byte_in_the_registry_is_refused() {
    let scene = Scene::new("real-registry-flipped");
    let registry = Registry::start(&scene, false);
    let source = format!("{}/lab/digits:1", registry.host);
    assert_eq!(trialbox(&scene, &["push", &guest("quadratic"), &source]).code, Some(0));
    let mut pending = vec![scene.path("registry")];
    let mut flipped = 0;
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if fs::metadata(&path).unwrap().len() > 4096 {
                let mut bytes = fs::read(&path).unwrap();
                bytes[1000] ^= 1;
                fs::write(&path, bytes).unwrap();
                flipped += 1;
            }
        }
    }
    assert_eq!(flipped, 1);
    trialbox(&scene, &["pull", &source]).assert_error(4, &["error[E-DIGEST]", "nothing was kept"]);
}
