"""A herd of Python workers: processes that run one trial of `examples/quadratic` each on one SQLite study.

They are forked after the imports and let go at once, so that the storage is measured and not the start of Python.
Prints, as JSON, the seconds until the last has ended, how many trials are COMPLETE and how many are left RUNNING
that were not there before, and how often which error ended a process.
"""

import collections
import json
import os
import sqlite3
import sys
import time

library, path, n_processes = sys.argv[1], sys.argv[2], int(sys.argv[3])


def objective(trial):
    x = trial.suggest_float("x", -10.0, 10.0)
    y = trial.suggest_int("y", -10, 10)
    return (x - 2.0) ** 2 + (y + 1.0) ** 2


if library == "optuna":
    import optuna
    import optuna.storages._rdb.storage  # what the first study would import lazily

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def open_storage():
        return f"sqlite:///{path}"
else:
    import rustuna as optuna

    def open_storage():
        return optuna.storages.SQLite3Storage(path)


def work():
    study = optuna.create_study(
        storage=open_storage(),
        study_name="quadratic",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )
    study.optimize(objective, n_trials=1)


def count(state):
    if not os.path.exists(path):
        return 0
    connection = sqlite3.connect(path, timeout=300)
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'trials'").fetchone()
    if not tables:
        return 0
    return connection.execute("SELECT count(*) FROM trials WHERE state = ?", (state,)).fetchone()[0]


def kind_of(error):
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]


def start(gate):
    answer, mouth = os.pipe()
    pid = os.fork()
    if pid:
        os.close(mouth)
        return pid, answer
    os.close(opener)
    os.read(gate, 1)
    try:
        work()
    except BaseException as error:
        os.write(mouth, kind_of(error).encode())
        os._exit(1)
    os._exit(0)


before = {state: count(state) for state in ("COMPLETE", "RUNNING")}
# A pipe is the gate: it opens for all at once when its last writer closes it.
gate, opener = os.pipe()
workers = [start(gate) for _ in range(n_processes)]
started = time.perf_counter()
os.close(opener)
errors = collections.Counter()
for pid, answer in workers:
    said = os.read(answer, 4096).decode()
    if os.waitpid(pid, 0)[1]:
        errors[said or "it died"] += 1
print(json.dumps({
    "wall_seconds": time.perf_counter() - started,
    "n_complete": count("COMPLETE") - before["COMPLETE"],
    "n_left_running": count("RUNNING") - before["RUNNING"],
    "errors": errors,
}))
