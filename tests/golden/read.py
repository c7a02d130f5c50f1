"""What Optuna reads from a database, as JSON that another program can compare bit by bit.

    python read.py DATABASE

Floats are given as the sixteen hexadecimal digits of their bits, attributes, choices and distributions as
the text that `json.dumps` writes for them, times as Optuna hands them out. Runs under Optuna 2.10 to 5.0.
"""

import json
import sqlite3
import struct
import sys

import optuna


def bits(value):
    return struct.pack(">d", value).hex()


def when(at):
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S.%f")


def texts(attributes):
    return {key: json.dumps(value) for key, value in attributes.items()}


def read_param(rows, trial, name):
    return {
        # Optuna hands out external values only, from which an index cannot always be told: 1 == True.
        "internal": bits(rows[trial._trial_id, name]),
        "external": json.dumps(trial.params[name]),
        "distribution": optuna.distributions.distribution_to_json(trial.distributions[name]),
    }


def read_trial(rows, trial):
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": [bits(value) for value in trial.values or []],
        "datetime_start": when(trial.datetime_start),
        "datetime_complete": when(trial.datetime_complete),
        "params": {name: read_param(rows, trial, name) for name in trial.params},
        "user_attrs": texts(trial.user_attrs),
        "system_attrs": texts(trial.system_attrs),
        "intermediate_values": [
            [step, bits(value)] for step, value in sorted(trial.intermediate_values.items())
        ],
    }


def read_study(url, rows, name):
    study = optuna.load_study(storage=url, study_name=name)
    storage = study._storage
    return {
        "name": name,
        "directions": [direction.name for direction in study.directions],
        "user_attrs": texts(study.user_attrs),
        "system_attrs": texts(storage.get_study_system_attrs(study._study_id)),
        "trials": [read_trial(rows, trial) for trial in study.get_trials(deepcopy=False)],
    }


def read_database(path):
    url = f"sqlite:///{path}"
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT trial_id, param_name, param_value FROM trial_params")
        rows = {(trial, name): value for trial, name, value in found}
    connection.close()
    names = [summary.study_name for summary in optuna.get_all_study_summaries(storage=url)]
    return {
        "optuna": optuna.__version__,
        "studies": [read_study(url, rows, name) for name in sorted(names)],
    }


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    json.dump(read_database(sys.argv[1]), sys.stdout, indent=0, sort_keys=True)
    print()
