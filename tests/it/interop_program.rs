//! Programs in Python: the client, and scripts that use Optuna and run unchanged.

use crate::scene::{Ran, Scene};
use serde_json::{Value, json};

/// Runs trials of a Python script.
fn run_python(scene: &Scene, flags: &[&str], script: &str) -> Ran {
    std::fs::write(scene.path("train.py"), script).unwrap();
    let run = ["run", "--study-name", "s", "--format", "json"];
    scene.trialbox(&[&run[..], flags, &["--", "python3", "train.py"]].concat())
}

/// The recipe of a computing centre, but for what it trains.
const RECIPE: &str = r#"
import argparse
import optuna

parser = argparse.ArgumentParser()
parser.add_argument("--optuna-db", default="study.db")
parser.add_argument("--optuna-study-name", default="recipe")
args = parser.parse_args()

def objective(trial: optuna.Trial) -> float:
    kind = trial.suggest_categorical("classifier", ["SVC", "RandomForest"])
    if kind == "SVC":
        value = trial.suggest_float("svc_c", 1e-10, 1e10, log=True)
    else:
        value = float(trial.suggest_int("rf_max_depth", 2, 32, log=True))
    for step in range(3):
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    trial.set_user_attr("kind", kind)
    return value

study = optuna.create_study(
    study_name=args.optuna_study_name,
    storage=f"sqlite:///{args.optuna_db}",
    load_if_exists=True,
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=1),
    pruner=optuna.pruners.MedianPruner(),
)
study.optimize(objective, n_trials=1)
print("never reached:", study.best_value)
"#;

#[test]
fn a_script_that_uses_optuna_runs_unchanged() {
    let scene = Scene::new("interop-program-recipe");
    let ran = run_python(&scene, &["--as-optuna", "-n", "6"], RECIPE);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trials = ran.json();
    assert_eq!(trials.len(), 6);
    for trial in &trials {
        let kind = trial["params"]["classifier"].as_str().unwrap();
        let (has, has_not) = match kind {
            "SVC" => ("svc_c", "rf_max_depth"),
            _ => ("rf_max_depth", "svc_c"),
        };
        assert_eq!(trial["params"].get(has_not), None, "{trial}");
        if trial["state"] == json!("COMPLETE") {
            assert_eq!(trial["values"][0].as_f64(), trial["params"][has].as_f64());
            assert_eq!(trial["user_attrs"]["kind"], json!(kind));
        }
    }
    assert!(!ran.stdout.contains("never reached") && !ran.stderr.contains("never reached"));
    assert!(!scene.path("study.db").exists(), "the script's own storage is not used");
}

#[test]
fn a_new_study_has_the_directions_and_names_of_the_script() {
    let script = "
import optuna
def objective(trial):
    return trial.suggest_float('x', 0, 1), 2.0
study = optuna.create_study(directions=['maximize', 'minimize'])
study.set_metric_names(['accuracy', 'seconds'])
study.optimize(objective, n_trials=1)
";
    let scene = Scene::new("interop-program-directions-of-script");
    let ran = run_python(&scene, &["--as-optuna"], script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let study = &scene.json(&["study", "show", "--study-name", "s"])[0];
    assert_eq!(study["directions"], json!(["maximize", "minimize"]), "{study}");
    assert_eq!(study["metric_names"], json!(["accuracy", "seconds"]), "{study}");
    // The script runs to its study once more, and not in every task.
    let other = script.replace("'maximize', 'minimize'", "'minimize', 'minimize'");
    let trial = &run_python(&scene, &["--as-optuna"], &other).json()[0];
    let message = trial["failure"]["message"].as_str().unwrap();
    assert!(message.contains("found maximize, minimize"), "{message}");
}

#[test]
fn the_database_and_the_study_of_the_recipe_s_command_are_trialbox_s_too() {
    let scene = Scene::new("interop-program-recipe-flags");
    std::fs::write(scene.path("train.py"), RECIPE).unwrap();
    let recipe = ["--", "python3", "train.py", "--optuna-db", "own.db", "--optuna-study-name=own"];
    for (flags, database, study) in [
        (&["run", "--as-optuna"][..], "own.db", "own"),
        (&["run", "--as-optuna", "--storage", "a.db", "--study-name", "a"], "a.db", "a"),
        (&["run", "--as-optuna", "--storage", "b.db"], "b.db", "own"),
    ] {
        let ran = scene.trialbox(&[flags, &recipe].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let show = ["study", "show", "--storage", database, "--study-name", study];
        assert_eq!(scene.json(&show)[0]["directions"], json!(["maximize"]), "{flags:?}");
    }
}

#[test]
fn a_script_whose_directions_differ_from_the_study_s_is_told() {
    let scene = Scene::new("interop-program-directions");
    let flags = ["--as-optuna", "--direction", "minimize"];
    let trial = &run_python(&scene, &flags, RECIPE).json()[0];
    let message = trial["failure"]["message"].as_str().unwrap();
    let want = "ValueError: expected the directions maximize of the script's study, found minimize";
    assert!(message.starts_with(want), "{message}");
}

#[test]
fn what_the_stand_in_does_not_offer_has_a_sentence() {
    for (name, script, want) in [
        (
            "trials",
            "import optuna\nlen(optuna.create_study().trials)",
            "AttributeError: `study.trials` is not offered by trialbox's stand-in for Optuna; after the trials run \
             `trialbox study trials`",
        ),
        (
            "importance",
            "from optuna.importance import get_param_importances\nget_param_importances(None)",
            "AttributeError: `optuna.importance.get_param_importances` is not offered by trialbox's stand-in for \
             Optuna; after the trials run `trialbox study importance`",
        ),
        (
            "best",
            "import optuna\noptuna.create_study().best_value",
            "AttributeError: `study.best_value` is not offered",
        ),
        (
            "integration",
            "from optuna.integration import CatBoostPruningCallback",
            "ImportError: expected the package `optuna-integration` for `optuna.integration`, found none; install it",
        ),
        ("silent", "import optuna", "the script ended without a call of `study.optimize`"),
        ("early", "import optuna\nraise KeyError('x')", "KeyError: 'x'"),
    ] {
        let scene = Scene::new(&format!("interop-program-missing-{name}"));
        let trial = &run_python(&scene, &["--as-optuna"], script).json()[0];
        let message = trial["failure"]["message"].as_str().unwrap();
        assert!(message.starts_with(want), "{name}: {message}");
    }
}

/// Processes that import Optuna while the trial of another one runs.
const SEVERAL_PROCESSES: &str = r#"
import multiprocessing, subprocess, sys
import optuna

def square(x):
    return x * x

def objective(trial):
    x = trial.suggest_int("x", 3, 3)
    subprocess.run([sys.executable, "-c", "import optuna"], check=True)
    late = "import optuna; optuna.create_study().optimize(lambda trial: 9.0)"
    other = subprocess.run([sys.executable, "-c", late], stderr=subprocess.PIPE, text=True)
    trial.set_user_attr("other", [other.returncode, other.stderr])
    failed = subprocess.run([sys.executable, "-c", "import optuna; raise KeyError"], stderr=subprocess.DEVNULL)
    trial.set_user_attr("failed", failed.returncode)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(square, [x])[0] + trial.suggest_int("y", 1, 1)

if __name__ == "__main__":
    optuna.create_study().optimize(objective, n_trials=1)
"#;

#[test]
fn other_processes_that_import_optuna_leave_the_trial_to_the_first_that_asks() {
    let scene = Scene::new("interop-program-processes");
    let ran = run_python(&scene, &["--as-optuna", "--direction", "minimize"], SEVERAL_PROCESSES);
    let trial = &ran.json()[0];
    assert_eq!(trial["values"], json!([10.0]), "{ran:?}");
    assert_eq!(trial["params"], json!({"x": 3, "y": 1}));
    let other = &trial["user_attrs"]["other"];
    assert_eq!(other[0], json!(0), "{other}");
    let text = other[1].as_str().unwrap();
    let (start, end) = ("trialbox: process ", " has no trial of its own and ends here\n");
    assert!(text.starts_with(start) && text.ends_with(end) && text.lines().count() == 1, "{text}");
    assert_eq!(trial["user_attrs"]["failed"], json!(1));
}

#[test]
fn a_process_that_imports_optuna_may_leave_the_trial_to_one_that_it_starts() {
    let train =
        "import optuna\noptuna.create_study().optimize(lambda trial: trial.suggest_int('x', 3, 3))";
    for (name, launch) in [
        // Nothing of the first process follows the trial, not even a failure of its own.
        (
            "then-reads",
            "subprocess.run([sys.executable, '-c', train], check=True)\noptuna.create_study().best_value",
        ),
        ("then-ends", "subprocess.run([sys.executable, '-c', train], check=True)"),
        (
            "forks",
            "p = multiprocessing.Process(target=exec, args=(train, {}))\np.start()\np.join()",
        ),
        (
            "in-a-thread",
            "t = threading.Thread(target=exec, args=(train, {}))\nt.start()\nt.join()\nsys.exit(3)",
        ),
    ] {
        let script = format!(
            "import multiprocessing, optuna, subprocess, sys, threading\ntrain = {train:?}\n{launch}\n"
        );
        let scene = Scene::new(&format!("interop-program-launcher-{name}"));
        let ran = run_python(&scene, &["--as-optuna", "--direction", "minimize"], &script);
        assert_eq!(ran.json()[0]["values"], json!([3.0]), "{name}: {ran:?}");
    }
}

#[test]
fn a_script_that_asks_and_tells_runs_one_trial() {
    let script = "
import optuna
if 's' not in optuna.get_all_study_names(storage='sqlite:///a.db'):
    study = optuna.create_study(study_name='s', direction='maximize')
distributions = {'x': optuna.distributions.FloatDistribution(1e-3, 1, log=True)}
for _ in range(9):
    trial = study.ask(distributions)
    y = trial.suggest_int('y', 2, 2)
    try:
        study.ask()
    except RuntimeError as error:
        trial.set_user_attr('again', str(error))
    try:
        study.tell(trial, trial.params['x'] + y)
    except SystemExit:
        study.optimize(lambda trial: 9.0)
";
    let scene = Scene::new("interop-program-ask");
    let ran = run_python(&scene, &["--as-optuna"], script);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trial = &ran.json()[0];
    let x = trial["params"]["x"].as_f64().unwrap();
    assert_eq!(trial["values"], json!([x + 2.0]), "{trial}");
    let again = trial["user_attrs"]["again"].as_str().unwrap();
    assert!(again.starts_with("expected the end of the trial before another"), "{again}");
    let log = trial["log"].to_string();
    assert!(log.contains("a later `optimize` or `ask` has no effect"), "{log}");
}

#[test]
fn an_artifact_is_a_file_of_the_script_s_store() {
    let script = "
import optuna, os
from optuna.artifacts import FileSystemArtifactStore, download_artifact, upload_artifact
os.makedirs('kept', exist_ok=True)
store = FileSystemArtifactStore(base_path='kept')
def objective(trial):
    id = upload_artifact(artifact_store=store, file_path=__file__, study_or_trial=trial)
    download_artifact(artifact_store=store, file_path='copy', artifact_id=id)
    trial.set_user_attr('id', id)
    store_elsewhere = optuna.artifacts.Boto3ArtifactStore('b')
    other = upload_artifact(artifact_store=store_elsewhere, file_path='x', study_or_trial=trial)
    assert isinstance(other, str)
    return os.path.getsize('kept/' + id) - os.path.getsize('copy')
optuna.create_study().optimize(objective, callbacks=[optuna.study.MaxTrialsCallback(9)])
";
    let scene = Scene::new("interop-program-artifacts");
    let trial = &run_python(&scene, &["--as-optuna"], script).json()[0];
    assert_eq!(trial["values"], json!([0.0]), "{trial}");
    let id = trial["user_attrs"]["id"].as_str().unwrap();
    let facts = trial["user_attrs"][&format!("artifacts:{id}")].as_str().unwrap();
    assert!(facts.contains("\"filename\": \"train.py\""), "{facts}");
}

#[test]
fn constraints_of_a_sampler_are_recorded() {
    let script = "
import optuna
def objective(trial):
    x = trial.suggest_float('x', 0, 1)
    trial.set_user_attr('c', [x - 2, x + 1])
    return x
sampler = optuna.samplers.NSGAIISampler(constraints_func=lambda trial: trial.user_attrs['c'])
optuna.create_study(sampler=sampler).optimize(objective, n_trials=100)
";
    let scene = Scene::new("interop-program-constraints");
    let trial = &run_python(&scene, &["--as-optuna"], script).json()[0];
    let x = trial["params"]["x"].as_f64().unwrap();
    assert_eq!(trial["constraints"], json!({"0": x - 2.0, "1": x + 1.0}), "{trial}");
}

#[test]
fn a_sampler_class_of_the_script_s_own_is_inert() {
    let script = "
import optuna
class Sampler(optuna.samplers.BaseSampler):
    def __init__(self, temperature):
        self.temperature = temperature
sampler = Sampler(3)
optuna.create_study(sampler=sampler).optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=9)
";
    let scene = Scene::new("interop-program-own-sampler");
    let trial = &run_python(&scene, &["--as-optuna"], script).json()[0];
    assert_eq!(trial["state"], json!("COMPLETE"), "{trial}");
}

#[test]
fn names_that_scripts_and_optuna_s_integrations_take_are_there() {
    let script = "
import optuna
from optuna.storages import RDBStorage, RetryFailedTrialCallback
from optuna.storages._cached_storage import _CachedStorage
from optuna.storages._rdb.storage import RDBStorage as _
with optuna._imports.try_import() as imports:
    import no_such_package
assert not imports.is_successful()
def objective(trial):
    assert RetryFailedTrialCallback.retry_history(trial) == []
    assert RetryFailedTrialCallback.retried_trial_number(trial) is None
    return trial.suggest_float('x', 0, 1)
storage = RDBStorage('sqlite:///s.db', failed_trial_callback=RetryFailedTrialCallback())
optuna.create_study(storage=storage).optimize(objective, n_trials=9)
";
    let scene = Scene::new("interop-program-names");
    let trial = &run_python(&scene, &["--as-optuna"], script).json()[0];
    assert_eq!(trial["state"], json!("COMPLETE"), "{trial}");
}

#[test]
fn the_client_has_optuna_s_names() {
    let script = r#"
import math
from trialbox import Trial, TrialPruned, objective

@objective
def train(trial: Trial):
    a = trial.suggest_float("a", -1, 1, step=0.5)
    b = trial.suggest_int("b", 1, 64, log=True)
    c = trial.suggest_categorical("c", ["x", 3, 0.5, True, None])
    assert trial.suggest_int("b", 1, 64, log=True) == b == trial.params["b"]
    assert math.isinf(trial.remaining_seconds)
    assert trial.checkpoint_dir is None and not trial.is_resumed
    trial.report(0.25, 3)
    trial.report(0.5, 3)
    trial.set_user_attr("list", [1, {"k": "é"}])
    trial.set_constraint("size", -1)
    print("this is not a result: 9")
    return a, float(b)

if __name__ == "__main__":
    train.run()
"#;
    let scene = Scene::new("interop-program-client");
    let flags = ["--direction", "minimize", "--direction", "maximize"];
    let ran = run_python(&scene, &flags, script);
    let trial = &ran.json()[0];
    assert_eq!(trial["state"], json!("COMPLETE"), "{ran:?}");
    let (a, b) = (trial["params"]["a"].as_f64(), trial["params"]["b"].as_f64());
    assert_eq!(trial["values"], json!([a, b]));
    assert_eq!(trial["user_attrs"]["list"], json!([1, {"k": "é"}]));
    let kept: &Value = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    assert_eq!(kept["intermediate_values"], json!([[3, 0.25]]));
}

#[test]
fn forked_processes_and_threads_share_the_trial() {
    let script = r#"
import multiprocessing, os, signal, threading
from trialbox import objective

def work(i):
    return trial.suggest_int(f"x{i}", i, i) == i

@objective
def train(of_trial):
    global trial
    trial = of_trial
    threads = [threading.Thread(target=work, args=(i,)) for i in range(100, 140)]
    for thread in threads:
        thread.start()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        wrong = pool.map(work, range(40), chunksize=1).count(False)
    for thread in threads:
        thread.join()
    # A handler of a signal may call in the middle of a call.
    signal.signal(signal.SIGALRM, lambda *_: trial.report(0.5, len(trial._steps)))
    for i in range(200, 240):
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
        wrong += not work(i)
    signal.setitimer(signal.ITIMER_REAL, 0)
    # The script may use the numbers of the descriptors for files of its own.
    os.dup2(os.open("notes.txt", os.O_RDWR | os.O_CREAT), int(os.environ["TRIALBOX_REQUESTS"]))
    return wrong + (not work(500))

train.run()
"#;
    let scene = Scene::new("interop-program-forks");
    let ran = run_python(&scene, &[], script);
    let trial = &ran.json()[0];
    assert_eq!(trial["values"], json!([0.0]), "{ran:?}");
    assert_eq!(trial["params"].as_object().unwrap().len(), 40 + 40 + 40 + 1);
    assert_eq!(std::fs::read_to_string(scene.path("notes.txt")).unwrap(), "");
}

#[test]
fn an_exception_is_the_trial_s_failure_with_its_own_lines() {
    let script = "from trialbox import objective\n\ndef load():\n    raise ValueError('no data')\n
@objective\ndef train(trial):\n    load()\n\ntrain.run()\n";
    let scene = Scene::new("interop-program-exception");
    let ran = run_python(&scene, &[], script);
    assert_eq!(ran.code, Some(1));
    let failure = &ran.json()[0]["failure"];
    assert_eq!(
        (&failure["code"], &failure["message"]),
        (&json!("E-GUEST"), &json!("ValueError: no data"))
    );
    let lines: Vec<&str> = failure["backtrace"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, end) in lines.iter().zip(["train.py:4 in load", "train.py:8 in train"]) {
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn the_client_is_found_beside_a_python_path_of_the_user_s_and_tells_what_was_imported() {
    let scene = Scene::new("interop-program-path");
    let packages = scene.path("site-packages");
    std::fs::create_dir_all(packages.join("My_Package-1.2.3.dist-info")).unwrap();
    std::fs::write(packages.join("my_package.py"), "").unwrap();
    std::fs::write(packages.join("versioned.py"), "__version__ = '7'\n").unwrap();
    let path = packages.display().to_string();
    let script = "
import my_package, versioned
from trialbox import objective
@objective
def train(trial):
    return 1.0
train.run()
";
    let ran = run_python(&scene, &["--env", &format!("PYTHONPATH={path}")], script);
    assert_eq!(ran.json()[0]["state"], json!("COMPLETE"), "{ran:?}");
    let trial = &scene.json(&["trial", "show", "0", "--study-name", "s"])[0];
    let packages = &trial["system_attrs"]["trialbox:packages"];
    assert_eq!((&packages["my_package"], &packages["versioned"]), (&json!("1.2.3"), &json!("7")));

    let folder = scene.trialbox(&["python-path"]);
    let folder = folder.stdout.trim();
    assert_eq!(scene.json(&["python-path"])[0]["path"], json!(folder));
    let mut python = std::process::Command::new("python3");
    python.args(["-c", "import trialbox"]).env("PYTHONPATH", folder).current_dir("/");
    assert!(python.status().unwrap().success());
}

#[test]
fn a_value_that_is_not_a_number_and_a_script_outside_a_trial_say_so() {
    let scene = Scene::new("interop-program-value");
    let script = "from trialbox import objective\n@objective\ndef train(trial):\n    return None\ntrain.run()\n";
    let failure = &run_python(&scene, &[], script).json()[0]["failure"];
    let want = "TypeError: expected a number, or a sequence of numbers, as the objective's value, found None";
    assert_eq!(failure["message"], json!(want));

    let client = crate::scene::root().join("guest-sdk/python");
    let mut python = std::process::Command::new("python3");
    python.arg("train.py").env("PYTHONPATH", client).current_dir(&scene.folder);
    let ran = Ran::from(python.output().unwrap());
    ran.assert_error(
        1,
        &["expected to run inside a trial; start it with: trialbox run -- python train.py"],
    );
}

#[test]
fn an_objective_can_be_called_with_fixed_parameters() {
    let scene = Scene::new("interop-program-fixed");
    let script = "
from trialbox import objective
@objective
def train(trial):
    trial.report(1.0, 0)
    return trial.suggest_float('x', 0, 1) + (trial.suggest_categorical('k', ['a', 'b']) == 'b')
assert train(x=0.5, k='b') == 1.5
for wrong in ({'x': 2.0, 'k': 'a'}, {'x': 0.5, 'k': 'c'}, {'k': 'a'}):
    try:
        train(**wrong)
    except ValueError as error:
        print(error)
";
    std::fs::write(scene.path("train.py"), script).unwrap();
    let mut python = std::process::Command::new("python3");
    let client = crate::scene::root().join("guest-sdk/python");
    python.arg("train.py").env("PYTHONPATH", client).current_dir(&scene.folder);
    let ran = Ran::from(python.output().unwrap());
    let want = "parameter 'x': expected a value from 0 to 1, found 2.0\n\
                parameter 'k': expected one of ['a', 'b'], found 'c'\n\
                parameter 'x' was not given a value\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), want), "{ran:?}");
}

#[test]
fn the_example_of_a_script_runs_with_only_its_first_line_changed() {
    let scene = Scene::new("interop-program-example");
    let folder = crate::scene::root().join("examples/program");
    let script = folder.join("train.py").display().to_string();
    let words = ["--", "python3", &script, "--optuna-db", "x.db", "--optuna-study-name", "curve"];
    let flags = ["run", "--as-optuna", "-n", "8", "--format", "json"];
    let ran = scene.trialbox(&[&flags[..], &words].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let trials = ran.json();
    assert_eq!(trials.len(), 8);
    assert!(trials.iter().any(|trial| trial["user_attrs"]["n_weights"].is_u64()));
    let line = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (before, after) = (line("before.sbatch"), line("after.sbatch"));
    let (head, command) = before.split_once("python").unwrap();
    assert!(after.starts_with(head) && after.ends_with(command), "{after}");
}
