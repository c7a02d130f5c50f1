"""What Python's Optuna does to a database, and sees of it, case by case; each prints one line of JSON.

    python interop_cases.py CASE ARGUMENT ...

Where a case needs trialbox beside it, the environment variable BINARY names it.
"""

import contextlib
import datetime
import json
import math
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")

INF, NAN = math.inf, math.nan


# Reading


def load(path, name="s"):
    return optuna.load_study(storage=f"sqlite:///{path}", study_name=name)


def create(path, name="s", directions=("minimize",)):
    url = f"sqlite:///{path}"
    return optuna.create_study(storage=url, study_name=name, directions=list(directions))


def bits(value):
    return struct.pack(">d", value).hex()


def strict(value):
    """A value as `trialbox --format json` prints it: what strict JSON lacks becomes a string."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, dict):
        return {strict(key): strict(item) for key, item in value.items()}
    return value


def utc(local):
    """Optuna hands out naive local time; the database holds UTC."""
    return local and local.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def modern(distribution):
    """Distributions of before 3.0 have classes of their own, which trialbox does not."""
    new = optuna.distributions._convert_old_distribution_to_new_distribution(distribution)
    return strict(json.loads(distribution_to_json(new)))


def as_printed(trial):
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": strict(trial.values or []),
        "params": strict(trial.params),
        "constraints": strict({key: float(value) for key, value in trial.constraints.items()}),
        "feasible": all(value <= 0.0 for value in trial.constraints.values()),
        "distributions": {name: modern(found) for name, found in trial.distributions.items()},
        "datetime_start": utc(trial.datetime_start),
        "datetime_complete": utc(trial.datetime_complete),
        "intermediate_values": strict([[s, v] for s, v in sorted(trial.intermediate_values.items())]),
        "user_attrs": strict(trial.user_attrs),
        "system_attrs": strict(trial.system_attrs),
    }


def studies(path):
    """Every study of a database, its trials as `trialbox study trials --format json` prints them."""
    url = f"sqlite:///{path}"
    return {
        summary.study_name: [as_printed(trial) for trial in load(path, summary.study_name).trials]
        for summary in optuna.get_all_study_summaries(storage=url)
    }


def exactly(path):
    """Every study with nothing lost but the order of keys: attributes as the text that Python writes."""
    url = f"sqlite:///{path}"

    def texts(attributes):
        return {key: json.dumps(value, sort_keys=True) for key, value in attributes.items()}

    found = {}
    for summary in optuna.get_all_study_summaries(storage=url):
        study = load(path, summary.study_name)
        found[summary.study_name] = {
            "study": {
                "directions": [direction.name for direction in study.directions],
                "user_attrs": texts(study.user_attrs),
                "system_attrs": texts(study._storage.get_study_system_attrs(study._study_id)),
            },
            "trials": [
                {
                    **as_printed(trial),
                    "values": [bits(value) for value in trial.values or []],
                    "params": [[name, json.dumps(value)] for name, value in trial.params.items()],
                    "user_attrs": texts(trial.user_attrs),
                    "system_attrs": texts(trial.system_attrs),
                    "intermediate_values": sorted(
                        [step, bits(value)] for step, value in trial.intermediate_values.items()
                    ),
                }
                for trial in study.trials
            ],
        }
    return found


def query(path, sql, *values):
    # Not to be made if it is missing, as SQLite would.
    connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True)
    with contextlib.closing(connection), connection:
        return connection.execute(sql, values).fetchall()


def rows(path, sql):
    return query(path, sql)


def error_of(action):
    """What an action raises, by its type and message."""
    try:
        action()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


# Running trialbox


def trialbox(*arguments):
    return [os.environ["BINARY"], *arguments]


def start_worker(path, component, name="s"):
    """A worker whose trial goes on until somebody takes it away; returns it once the trial runs."""
    command = ["run", component, "--storage", path, "--study-name", name, "--format", "json"]
    # The limit only ends a test that would otherwise never end.
    worker = subprocess.Popen(
        trialbox(*command, "--trial-timeout", "5m"), stdout=subprocess.PIPE, text=True
    )
    alive = (
        "SELECT t.trial_id FROM trials t JOIN trial_user_attributes a USING (trial_id)"
        " JOIN studies s USING (study_id)"
        " WHERE t.state = 'RUNNING' AND a.key = 'alive' AND s.study_name = ?"
    )
    while worker.poll() is None:
        with contextlib.suppress(sqlite3.OperationalError):
            if found := query(path, alive, name):
                return worker, found[0][0]
        time.sleep(0.02)
    sys.exit(f"the worker ended with {worker.returncode}: {worker.stdout.read()}")


def end_of(worker):
    out, _ = worker.communicate()
    return {"code": worker.returncode, "lines": [json.loads(line) for line in out.splitlines()]}


# 2: values that are no ordinary numbers


def write_hostile_values(path):
    study = create(path)

    def tell(values, reports=(), state=None):
        trial = study.ask()
        for step, value in enumerate(reports):
            trial.report(value, step)
        study.tell(trial, values, state=state)

    tell(INF, [NAN, INF, -INF, 5e-324, 1e308, -0.0])
    for value in (-INF, 5e-324, 0.1 + 0.2, 1.7976931348623157e308, -2.65e-205, -0.0, NAN):
        tell(value)
    tell(None, [1.0, NAN], TrialState.PRUNED)
    tell(None, [1.0, INF], TrialState.PRUNED)
    tell(None, [], TrialState.PRUNED)
    return {}


# 6: choices of mixed types


def enqueue_choices(path, name):
    """Enqueues each choice that a first trial recorded; the index that Optuna would store for each."""
    study = load(path)
    distribution = study.trials[0].distributions[name]
    for choice in distribution.choices:
        study.enqueue_trial({name: choice})
    return [float(distribution.to_internal_repr(choice)) for choice in distribution.choices]


def suggest_again(path, trials):
    """Optuna's own sampler on every distribution that the first trial recorded."""
    study = load(path)
    distributions = study.trials[0].distributions
    for _ in range(int(trials)):
        study.tell(study.ask(distributions), 0.0)
    return {}


# 7: distributions


def suggest_grids(path):
    """The table of `high` on a grid that is not divisible."""
    study = load(path)
    trial = study.ask()
    for low, high, step in json.loads(sys.stdin.read()):
        trial.suggest_float(f"{low} {high} {step}", low, high, step=step)
    trial.suggest_int("int", 0, 10, step=3)
    study.tell(trial, 0.0)
    return {}


def contradict(path, name):
    """Optuna's answers to other distributions under a name that the study has as a plain float."""
    study = load(path)

    def ask(suggest):
        trial = study.ask()
        error = error_of(lambda: suggest(trial))
        study.tell(trial, state=TrialState.FAIL)
        return error

    return {
        "int": ask(lambda trial: trial.suggest_int(name, 0, 1)),
        "log": ask(lambda trial: trial.suggest_float(name, 0.1, 1, log=True)),
        "categorical": ask(lambda trial: trial.suggest_categorical(name, ["a"])),
        "drift": ask(lambda trial: trial.suggest_float(name, -5, 9)),
    }


def write_odd_distributions(path):
    """Rows that Optuna reads although it does not write them so today."""
    study = create(path)
    trial = study.ask()
    d = optuna.distributions
    for name, internal, distribution in (
        ("uniform", 0.5, d.UniformDistribution(0.0, 1.0)),
        ("loguniform", 0.5, d.LogUniformDistribution(0.1, 1.0)),
        ("discrete", 0.6, d.DiscreteUniformDistribution(0.0, 1.0, 0.3)),
        ("int", 3.0, d.IntUniformDistribution(1, 9, 2)),
        ("intlog", 8.0, d.IntLogUniformDistribution(1, 64)),
    ):
        study._storage.set_trial_param(trial._trial_id, name, internal, distribution)
    for name, text in (
        ("short", '{"type": "float", "low": 0, "high": 1}'),
        ("short int", '{"type":"int","low":1.0,"high":9.9,"step":2}'),
        ("short choices", '{"type": "categorical", "choices": ["a", 1]}'),
        (
            "other order",
            '{"version": 7, "attributes": {"high": 1, "low": 0}, "name": "FloatDistribution"}',
        ),
    ):
        sql = "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, 1.0, ?)"
        query(path, sql, trial._trial_id, name, text)
    study.tell(trial, 0.0)
    return {}


# 8: time zones


def run_here(path, component):
    """trialbox runs a trial in this process's time zone; what Optuna makes of its times here."""
    before = datetime.datetime.now(datetime.timezone.utc)
    command = trialbox("run", component, "--storage", path, "--study-name", "s", "--quiet")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = datetime.datetime.now(datetime.timezone.utc)
    trial = load(path).trials[-1]
    stored = query(path, "SELECT datetime_start FROM trials ORDER BY trial_id DESC LIMIT 1")[0][0]
    offset = trial.datetime_start - datetime.datetime.fromisoformat(stored)
    return {
        "in order": before <= trial.datetime_start.astimezone() <= trial.datetime_complete.astimezone() <= after,
        "offset": offset.total_seconds(),
        "offset of this zone": trial.datetime_start.astimezone().utcoffset().total_seconds(),
    }


# 9: retries


def retry_of(path, max_retry):
    callback = optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=max_retry)
    return optuna.storages.RDBStorage(
        f"sqlite:///{path}", heartbeat_interval=60, heartbeat_stale_trial_callback=callback
    )


def reap(path, name="s", max_retry=3):
    """Every heart stopped long ago: Optuna fails the running trials and enqueues them again."""
    query(path, "UPDATE trial_heartbeats SET heartbeat = '2024-01-01 00:00:00'")
    study = optuna.load_study(storage=retry_of(path, int(max_retry)), study_name=name)
    optuna.storages.fail_stale_trials(study)
    return [trial.state.name for trial in study.trials]


def lose_a_trial(path):
    """A trial of `quadratic` whose Python process died after its first report."""
    storage = retry_of(path, 3)
    study = optuna.create_study(storage=storage, study_name="s")
    trial = study.ask()
    trial.suggest_float("x", -10.0, 10.0)
    trial.suggest_int("y", -10, 10)
    trial.set_user_attr("host", "node7")
    trial.report(1.0, 0)
    storage.record_heartbeat(trial._trial_id)
    return reap(path)


# 10: several objectives


def enqueue_floats(path, *points):
    study = load(path)
    for point in points:
        study.enqueue_trial({f"x{index}": float(x) for index, x in enumerate(point.split(","))})
    return {}


def front(path):
    url = f"sqlite:///{path}"
    (summary,) = optuna.get_all_study_summaries(storage=url)
    study = load(path)
    return {
        "summary": [direction.name.lower() for direction in summary.directions],
        "study": [direction.name.lower() for direction in study.directions],
        "best": [trial.number for trial in study.best_trials],
    }


# 11: constraints


def add_constrained(path):
    """Trials that other samplers constrained with a list, with both forms, and with null."""
    study = load(path)
    for value, system_attrs in (
        (0.1, {"constraints": [0.5, -1.0]}),
        (0.2, {"constraints": [-0.5, 0.0]}),
        (0.3, {"constraints": None}),
        (0.05, {"constraints": [1.0], "constraints:0": -1.0}),
        (0.04, {"constraints": [-1.0], "constraints:size": 2.0}),
        (0.15, {"constraints:size": INF}),
    ):
        study.add_trial(optuna.create_trial(value=value, system_attrs=system_attrs))
    return {}


def constraints(path):
    study = load(path)
    found = [strict(trial.constraints) for trial in study.trials]
    return {"constraints": found, "best": study.best_trial.number}


def split_by_tpe(path):
    """Which trials TPE takes for good ones, which it does by constraints too."""
    study = load(path)
    from optuna.samplers._tpe.sampler import _split_trials

    below, above = _split_trials(study, study.trials, 2)
    return {"below": [t.number for t in below], "above": [t.number for t in above]}


# 12: the dashboard


@contextlib.contextmanager
def dashboard(path):
    """A dashboard that listens; gives a function that sends it a request."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("optuna-dashboard")
    server = subprocess.Popen(
        [program, "--host", "127.0.0.1", "--port", str(port), f"sqlite:///{path}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin:/bin"},
    )
    try:
        while server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
        else:
            sys.exit(f"the dashboard ended with {server.returncode}")

        def send(method, url, body=None):
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}{url}",
                data,
                {"Content-Type": "application/json"},
                method=method,
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()

        yield send
    finally:
        server.terminate()
        server.wait()


def served(path):
    """Each page that reads a study, and what it says of trials with values that JSON lacks."""
    with dashboard(path) as send:
        study_id = json.loads(send("GET", "/api/studies")[1])["study_summaries"][0]["study_id"]
        pages = ("", "/param_importances")
        status = [send("GET", f"/api/studies/{study_id}{page}")[0] for page in pages]
        status.append(send("GET", f"/csv/{study_id}")[0])
        study = json.loads(send("GET", f"/api/studies/{study_id}")[1])
        note = {"body": "noted", "version": 1}
        status.append(send("PUT", f"/api/studies/{study_id}/note", note)[0])
        return {
            "status": status,
            "trials": [
                {
                    "number": trial["number"],
                    "state": trial["state"],
                    "values": trial.get("values"),
                    "intermediate_values": [
                        [found["step"], found["value"]] for found in trial["intermediate_values"]
                    ],
                    "params": {p["name"]: p["param_external_value"] for p in trial["params"]},
                }
                for trial in study["trials"]
            ],
        }


def tell_under_a_worker(path, component):
    """The dashboard's user ends a trial that a worker is running."""
    worker, trial_id = start_worker(path, component)
    with dashboard(path) as send:
        body = {"state": "Complete", "values": [0.5]}
        status, _ = send("POST", f"/api/trials/{trial_id}/tell", body)
        end = end_of(worker)
    return {"status": status, "end": end, "trials": [as_printed(t) for t in load(path).trials]}


def rename_under_a_worker(path, component):
    """The dashboard's user renames the study of a worker, which copies it and deletes the old one."""
    worker, _ = start_worker(path, component)
    with dashboard(path) as send:
        study_id = query(path, "SELECT study_id FROM studies")[0][0]
        status, _ = send("POST", f"/api/studies/{study_id}/rename", {"study_name": "t"})
        end = end_of(worker)
    return {"status": status, "end": end, "studies": studies(path)}


# 13: versions


def upgrade(path):
    program = Path(sys.executable).with_name("optuna")
    subprocess.run(
        [program, "storage", "upgrade", "--storage", f"sqlite:///{path}"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return {}


# 14: a database that Optuna is just making


def create_beside(path, processes):
    """Optuna makes the database, one table and one commit at a time, while trialbox opens it again and again.

    Gives the exit codes and messages of trialbox that are no success, and those of Optuna's processes.
    """
    script = (
        "import optuna; optuna.logging.set_verbosity(optuna.logging.ERROR);"
        f"optuna.create_study(storage='sqlite:///{path}', study_name='s', load_if_exists=True)"
    )
    python = [sys.executable, "-W", "ignore", "-c", script]
    makers = [
        subprocess.Popen(python, stderr=subprocess.PIPE, text=True) for _ in range(int(processes))
    ]
    while not os.path.exists(path) and any(maker.poll() is None for maker in makers):
        pass
    create = ["study", "create", "--study-name", "t", "--skip-if-exists", "--storage", path]
    problems, tries = [], 0
    while any(maker.poll() is None for maker in makers):
        tries += 1
        ended = subprocess.run(trialbox(*create), capture_output=True, text=True)
        if ended.returncode != 0:
            problems.append([ended.returncode, ended.stderr])
    theirs = [maker.communicate()[1].splitlines()[-1:] for maker in makers]
    versions = [query(path, f"SELECT count(*) FROM {t}")[0][0] for t in ("version_info", "alembic_version")]
    return {"tries": tries, "problems": problems, "optuna": theirs, "versions": versions}


# 15: who ends a trial


def end_under_a_worker(path, component, how):
    """Another Python process ends a worker's trial; what the worker does, and what stays."""
    worker, trial_id = start_worker(path, component)
    study = load(path)
    if how == "reap":
        # A beat of the worker's between the two steps would save it, as it should: try again.
        while reap(path)[0] != "FAIL":
            pass
    elif how == "complete":
        study.tell(0, 0.5)
    else:
        study.tell(0, state=TrialState[how.upper()])
    return {"end": end_of(worker), "trials": [as_printed(t) for t in load(path).trials]}


def tell_again(path, number):
    """What Optuna says to a second tell, with and without `skip_if_finished`."""
    study = load(path)
    refused = error_of(lambda: study.tell(int(number), 9.0))
    study.tell(int(number), 9.0, skip_if_finished=True)
    return {"refused": refused, "values": strict(study.trials[int(number)].values)}


# 16: what a live process sees


def watch(path, component, trials):
    """A Python process that reads the study all the while trialbox writes, against one that reads after.

    It keeps every finished trial that it has seen for good, so nothing may be written later.
    """
    study = create(path)
    command = ["run", component, "--storage", path, "--study-name", "s", "-n", trials, "--quiet"]
    worker = subprocess.Popen(trialbox(*command), stdout=subprocess.DEVNULL)
    first_seen = {}
    while worker.poll() is None:
        for trial in study.get_trials(deepcopy=True):
            if trial.state.is_finished():
                first_seen.setdefault(trial.number, as_printed(trial))
    live = [as_printed(trial) for trial in study.trials]
    seen_first = [first_seen.get(trial["number"], trial) for trial in live]
    fresh = [as_printed(trial) for trial in load(path).trials]
    return {
        "code": worker.returncode,
        "finished while watched": len(first_seen),
        "fresh": fresh,
        "live is fresh": live == fresh,
        "first seen is fresh": seen_first == fresh,
    }


# 17: limits


def long_names(path):
    """Lengths of the names that trialbox wrote, as Optuna reads them."""
    study = load(path, "s" * 512)
    trial = study.trials[0]
    return {
        "params": [len(name) for name in trial.params],
        "user_attrs": {str(len(key)): len(value) for key, value in trial.user_attrs.items()},
        "constraints": [len(name) for name in trial.constraints],
    }


# 21: a database that somebody locks for long


def lock_for(path, component, seconds):
    """Somebody holds the database exclusively while trialbox and Optuna want a trial to be recorded."""
    study = load(path)
    trial = study.ask()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        since = time.monotonic()
        command = ["run", component, "--storage", path, "--study-name", "s", "--quiet"]
        worker = subprocess.Popen(trialbox(*command), stdout=subprocess.DEVNULL)
        error = error_of(lambda: trial.report(1.0, 0))
        # How long the lock is held is what this case is about.
        time.sleep(max(0.0, float(seconds) - (time.monotonic() - since)))
        still_waiting = worker.poll() is None
        holder.execute("COMMIT")
    code = worker.wait()
    return {
        "optuna": error.split(":")[0],
        "waited": still_waiting,
        "code": code,
        "states": [found.state.name for found in load(path).trials],
    }


# 24: rows that make no sense


def poison(path):
    """Makes a copy of a database for each change by hand; what Optuna says when it reads the study there."""
    errors = {}
    for name, sql in json.loads(sys.stdin.read()).items():
        copy = f"{name}.db"
        shutil.copy(path, copy)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            # The guard would refuse some of these changes, as it should.
            connection.execute("DROP TRIGGER IF EXISTS trialbox_guard_state")
            connection.executescript(sql)
        errors[name] = error_of(lambda: load(copy).trials)
    return errors


# 25: odd names, and ids that come again


def create_studies(path):
    for name in json.loads(sys.stdin.read()):
        study = create(path, name, ["maximize"])
        study.tell(study.ask(), 1.0)
    return {}


def replace_under_a_worker(path, component):
    """A study is deleted under a worker, and another gets its ids: the study's, and the trial's."""
    worker, trial_id = start_worker(path, component)
    optuna.delete_study(storage=f"sqlite:///{path}", study_name="s")
    study = create(path, "other")
    trial = study.ask()
    end = end_of(worker)
    return {"same id": trial._trial_id == trial_id, "end": end, "studies": studies(path)}


# Single commands


def ask(path):
    trial = load(path).ask({"x": FloatDistribution(1e-5, 0.1, log=True), "n": IntDistribution(1, 9)})
    return {"number": trial.number, "params": trial.params}


def tell(path, number, value):
    return {"error": error_of(lambda: load(path).tell(int(number), float(value)))}


def would_skip(path):
    """Whether Optuna's `skip_if_exists` leaves each of these parameters out."""
    study = load(path)
    return [study._should_skip_enqueue(json.loads(text)) for text in json.loads(sys.stdin.read())]


def flags():
    """Parameters, as JSON in Python's dialect, as flags of trialbox."""
    params = json.loads(json.loads(sys.stdin.read()))
    return [f"--param={name}={json.dumps(value)}" for name, value in params.items()]


def run_and_lose(path):
    """A Python process that takes the study's next trial, works on it, and dies."""
    storage = retry_of(path, 3)
    study = optuna.create_study(storage=storage, study_name="s", load_if_exists=True)
    trial = study.ask()
    trial.suggest_float("x", 0.0, 1.0)
    trial.suggest_categorical("c", ["a", None])
    trial.set_user_attr("host", "node7")
    trial.report(1.0, 0)
    storage.set_trial_system_attr(trial._trial_id, "completed_rung_0", 1.0)
    storage.record_heartbeat(trial._trial_id)
    return {}


def orphans(path):
    """How many rows of each table belong to a study or trial that is not there; only where there are any."""
    tables = {
        "trials": "study",
        "study_directions": "study",
        "study_user_attributes": "study",
        "study_system_attributes": "study",
        "trial_params": "trial",
        "trial_values": "trial",
        "trial_intermediate_values": "trial",
        "trial_user_attributes": "trial",
        "trial_system_attributes": "trial",
        "trial_heartbeats": "trial",
    }
    parents = {"study": "studies", "trial": "trials"}
    found = {}
    for table, parent in tables.items():
        key = f"{parent}_id"
        sql = f"SELECT count(*) FROM {table} WHERE {key} NOT IN (SELECT {key} FROM {parents[parent]})"
        if count := query(path, sql)[0][0]:
            found[table] = count
    return found


if __name__ == "__main__":
    case, *arguments = sys.argv[1:]
    print(json.dumps(globals()[case](*arguments)))
