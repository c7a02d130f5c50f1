//! A folder for each test, in which the binary runs.

use crate::schema::assert_documented;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Returns the root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Returns a folder below the target directory that no other running test program has, so that two runs of the tests
/// do not disturb each other. The folder stays after the run, and a later run takes it over.
pub(crate) fn own_folder() -> &'static Path {
    static OWN: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (folder, _) = OWN.get_or_init(|| {
        let free = (0..).find_map(|n| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("run-{n}"));
            std::fs::create_dir_all(&folder).unwrap();
            let lock = File::create(folder.join("lock")).unwrap();
            // The lock ends with the process, however that ends.
            lock.try_lock().is_ok().then_some((folder, lock))
        });
        free.unwrap()
    });
    folder
}

/// Returns the path of an example's component.
pub(crate) fn guest(name: &str) -> String {
    let path = root().join(format!("target/guests/wasm32-wasip2/release/{name}.wasm"));
    assert!(path.exists(), "{} is missing: run `cargo xtask build-guests`", path.display());
    path.canonicalize().unwrap().display().to_string()
}

/// Returns the value of `--dir` for the data of `digits`.
pub(crate) fn digits_data() -> String {
    format!("{}::/data", root().join("examples/digits/data").display())
}

/// A test's folder, empty at the start.
pub(crate) struct Scene {
    pub(crate) folder: PathBuf,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scene {
    pub(crate) fn new(test: &str) -> Self {
        let folder = own_folder().join(test);
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Scene { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns a command of the binary, isolated from the environment of the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialbox"));
        command.args(arguments);
        self.isolate(&mut command);
        command
    }

    /// Returns a command of a Python script with Optuna, isolated too. The variable `BINARY` holds the binary's path.
    pub(crate) fn python(&self, script: &str, arguments: &[&str]) -> Command {
        let interpreter = root().join("target/venv/bin/python");
        assert!(
            interpreter.exists(),
            "{} is missing: run `cargo xtask test`",
            interpreter.display()
        );
        let mut command = Command::new(interpreter);
        command.arg(root().join("tests/it").join(script)).args(arguments);
        self.isolate(&mut command);
        command.env("BINARY", env!("CARGO_BIN_EXE_trialbox"));
        command
    }

    /// Makes a command run in this folder, without variables of the tests' environment that change its behaviour.
    pub(crate) fn isolate(&self, command: &mut Command) {
        command.current_dir(&self.folder);
        for (name, _) in std::env::vars() {
            if name.starts_with("TRIALBOX_")
                || name.starts_with("OPTUNA_")
                || name.starts_with("SLURM_")
            {
                command.env_remove(name);
            }
        }
        // All tests share the cache, as a user's commands do: few tests are about compilation.
        let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
        command.env("TRIALBOX_CACHE_DIR", shared.join("cache"));
        command.env("XDG_STATE_HOME", shared.join("state"));
        command.env("XDG_DATA_HOME", shared.join("data"));
        command.env("XDG_CONFIG_HOME", shared.join("config"));
    }

    pub(crate) fn trialbox(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs the binary, which must exit with 0, and returns the JSON lines of its output.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.trialbox(&[arguments, &["--format", "json"]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.json()
    }
}

impl Ran {
    /// Returns the lines of the output, those of trialbox checked against the documentation.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<Value> {
        let lines: Vec<Value> =
            self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_documented(&lines);
        lines
    }

    /// Checks the exit code, and that the standard error contains these pieces.
    #[track_caller]
    pub(crate) fn assert_error(&self, code: i32, pieces: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for piece in pieces {
            assert!(self.stderr.contains(piece), "`{piece}` is missing in: {}", self.stderr);
        }
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
