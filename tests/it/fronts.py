"""What Python's Optuna and its dashboard make of objectives and constraints; each prints one line of JSON.

    python fronts.py CASE ARGUMENT ...
"""

import json
import math
import sys

import numpy as np
import optuna
from interop_cases import create, dashboard, load, strict
from optuna._hypervolume import compute_hypervolume
from optuna.study import StudyDirection

INF = math.inf


def losses(study, values):
    return [
        -value if direction == StudyDirection.MAXIMIZE else value
        for value, direction in zip(values, study.directions)
    ]


def hypervolume(study, reference):
    """Between the reference point and the trials of the front that reach it."""
    limits = np.array(losses(study, reference))
    points = np.array([losses(study, trial.values) for trial in study.best_trials])
    points = points.reshape(-1, len(limits))
    return float(compute_hypervolume(points[np.all(points <= limits, axis=1)], limits))


def seen(study, reference=None):
    several = len(study.directions) > 1
    return {
        "best": [t.number for t in study.best_trials] if several else [study.best_trial.number],
        "metric_names": study.metric_names,
        "constraints": [strict(trial.constraints) for trial in study.trials],
        "feasible": [all(v <= 0.0 for v in t.constraints.values()) for t in study.trials],
        "attributes": [
            sorted(key for key in trial.system_attrs if key.startswith("constraints"))
            for trial in study.trials
        ],
        "columns": [
            "_".join(filter(None, column)) if isinstance(column, tuple) else column
            for column in study.trials_dataframe(
                attrs=(
                    "number",
                    "value",
                    "datetime_start",
                    "datetime_complete",
                    "duration",
                    "params",
                    "user_attrs",
                    "system_attrs",
                    "state",
                )
            ).columns
        ],
        "hypervolume": strict(hypervolume(study, reference)) if reference else None,
    }


def read(path, name, *reference):
    return seen(load(path, name), [float(value) for value in reference])


def on_dashboard(path):
    """The first study of a database as the dashboard's page gets it."""
    with dashboard(path) as send:
        status, studies = send("GET", "/api/studies")
        assert status == 200, studies
        study_id = json.loads(studies)["study_summaries"][0]["study_id"]
        status, study = send("GET", f"/api/studies/{study_id}")
        assert status == 200, study
        study = json.loads(study)
        return {
            "best": [trial["number"] for trial in study["best_trials"]],
            "objective_names": study.get("objective_names"),
            "constraints": [trial["constraints"] for trial in study["trials"]],
            "values": [trial.get("values") for trial in study["trials"]],
        }


# What Optuna writes


def write(path):
    """A study of each kind; gives what Optuna makes of each."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for n, directions in ((2, ["minimize", "maximize"]), (3, ["maximize", "minimize", "maximize"])):
        write_ties(create(path, f"ties {n}", directions))
        write_cloud(create(path, f"cloud {n}", directions), n)
    write_sampled(path, "named", named=True)
    write_sampled(path, "list", named=False)
    studies = {}
    for summary in optuna.get_all_study_summaries(storage=f"sqlite:///{path}"):
        study = load(path, summary.study_name)
        studies[summary.study_name] = seen(study, REFERENCES.get(summary.study_name))
    return studies


REFERENCES = {
    "cloud 2": [0.75, 0.25],
    "cloud 3": [0.0, 1.0, 0.25],
    "ties 2": [9.0, -9.0],
    "named": [20.0, 20.0],
    "list": [20.0, 20.0],
}


def write_ties(study):
    """Equal points, the infinities, and trials that do not count."""
    n = len(study.directions)
    grid = [-INF, 0.0, -0.0, 1.0, 2.0, INF]
    rng = np.random.RandomState(n)
    for _ in range(40):
        study.add_trial(optuna.create_trial(values=[grid[i] for i in rng.randint(1, 5, n)]))
    study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.PRUNED))
    # The worst and, in one objective, the best value that there is; infeasible, what beats everything.
    best = [INF if d == StudyDirection.MAXIMIZE else -INF for d in study.directions]
    study.add_trial(optuna.create_trial(values=[best[0], *(-value for value in best[1:])]))
    study.add_trial(
        optuna.create_trial(values=best, system_attrs={"constraints": [0.0, 1e-300]})
    )
    study.add_trial(
        optuna.create_trial(values=[0.5] * n, system_attrs={"constraints:size": -0.0})
    )


def write_cloud(study, n):
    rng = np.random.RandomState(n)
    for values in rng.rand(300, n):
        study.add_trial(optuna.create_trial(values=list(values)))


def write_sampled(path, name, named):
    """TPE with constraints, in the form of 5.0 or through the deprecated function."""

    def constraints_func(trial):
        return [trial.params["x"] - 2.0, 0.5 - trial.params["y"]]

    sampler = optuna.samplers.TPESampler(
        seed=1, n_startup_trials=5, **({} if named else {"constraints_func": constraints_func})
    )
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name=name,
        directions=["minimize", "minimize"],
        sampler=sampler,
    )
    study.set_metric_names(["distance", "cost"])

    def objective(trial):
        x = trial.suggest_float("x", 0.0, 5.0)
        y = trial.suggest_float("y", 0.0, 3.0)
        if named:
            trial.set_constraint("x", x - 2.0)
            trial.set_constraint("y", 0.5 - y)
        return 4 * x**2 + 4 * y**2, (x - 5) ** 2 + (y - 5) ** 2

    study.optimize(objective, n_trials=25)


if __name__ == "__main__":
    case, *arguments = sys.argv[1:]
    print(json.dumps(globals()[case](*arguments)))
