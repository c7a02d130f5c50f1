"""What Python's Optuna sees of a database, as one line of JSON."""

import datetime
import json
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def bits(value):
    return struct.pack(">d", value).hex()


def utc(local):
    """Optuna hands out naive local time; the database holds UTC."""
    return local.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def url(database):
    """Returns the address of a file, or of a server as it is."""
    return database if "://" in database else f"sqlite:///{database}"


def load(path, name):
    return optuna.load_study(storage=url(path), study_name=name)


def read(path, name):
    study = load(path, name)
    return {
        "directions": [direction.name for direction in study.directions],
        "metric_names": study.metric_names,
        "best": study.best_trial.number,
        "dataframe_rows": len(study.trials_dataframe()),
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "values": [bits(value) for value in trial.values or []],
                "params": trial.params,
                "distributions": {
                    key: json.loads(optuna.distributions.distribution_to_json(distribution))
                    for key, distribution in trial.distributions.items()
                },
                "datetime_start": utc(trial.datetime_start),
                "datetime_complete": utc(trial.datetime_complete),
            }
            for trial in study.trials
        ],
    }


def go_on(path, name, n):
    """Continues with Optuna's own sampler on the distributions that are there."""
    study = load(path, name)
    distributions = study.trials[0].distributions
    for _ in range(int(n)):
        trial = study.ask(distributions)
        study.tell(trial, trial.params["width"] / 128)
    return {"n_trials": len(study.trials)}


def enqueue(path, name):
    study = optuna.create_study(storage=url(path), study_name=name)
    study.enqueue_trial({"x": 2.0, "y": -1})
    return {}


def work(path, name, n):
    """Runs trials as a worker among others."""
    study = optuna.create_study(storage=url(path), study_name=name, load_if_exists=True)
    study.optimize(quadratic, n_trials=int(n))
    return {}


def grid(path, name, n):
    """Up to `n` trials of a grid, which the study tells trialbox to search too."""
    space = {"y": [-1, 3], "x": [2.0, 0.5, -1.25]}
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=name,
        load_if_exists=True,
        sampler=optuna.samplers.GridSampler(space),
    )
    study.set_user_attr("trialbox:sampler", {"name": "grid", "options": {"search_space": space}})
    study.optimize(quadratic, n_trials=int(n))
    return {
        "n_trials": len(study.trials),
        "cells": [trial.system_attrs["grid_id"] for trial in study.trials],
        "points": [trial.params for trial in study.trials],
    }


def quadratic(trial):
    x = trial.suggest_float("x", -10.0, 10.0)
    y = trial.suggest_int("y", -10, 10)
    return (x - 2.0) ** 2 + (y + 1.0) ** 2


def wait_until_it_listens(server, port):
    """Its own "Listening on" comes before it does, so only a connection tells."""
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    sys.exit(f"the dashboard ended with {server.returncode}")


def dashboard(path):
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
        wait_until_it_listens(server, port)

        def get(url):
            return urllib.request.urlopen(f"http://127.0.0.1:{port}{url}", timeout=60)

        studies = json.load(get("/api/studies"))["study_summaries"]
        study = json.load(get(f"/api/studies/{studies[0]['study_id']}"))
        return {
            "studies": [study["study_name"] for study in studies],
            "states": [trial["state"] for trial in study["trials"]],
            "status": {
                "dashboard": get("/dashboard").status,
                "importances": get(f"/api/studies/{studies[0]['study_id']}/param_importances").status,
                "csv": get(f"/csv/{studies[0]['study_id']}").status,
            },
        }
    finally:
        server.terminate()
        server.wait()


command, *arguments = sys.argv[1:]
commands = {
    "read": read,
    "continue": go_on,
    "enqueue": enqueue,
    "work": work,
    "grid": grid,
    "dashboard": dashboard,
}
print(json.dumps(commands[command](*arguments)))
