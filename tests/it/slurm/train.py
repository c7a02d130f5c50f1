"""One trial of `examples/quadratic`, as the recipe for array jobs with Optuna runs it."""

import argparse

import optuna

parser = argparse.ArgumentParser()
parser.add_argument("--optuna-db", required=True)
parser.add_argument("--optuna-study-name", required=True)
arguments = parser.parse_args()


def objective(trial):
    x = trial.suggest_float("x", -10.0, 10.0)
    y = trial.suggest_int("y", -10, 10)
    return (x - 2.0) ** 2 + (y + 1.0) ** 2


study = optuna.create_study(
    storage=f"sqlite:///{arguments.optuna_db}",
    study_name=arguments.optuna_study_name,
    load_if_exists=True,
)
study.optimize(objective, n_trials=1)
