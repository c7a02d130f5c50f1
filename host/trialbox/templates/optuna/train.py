"""A script that uses Optuna. With `trialbox run --as-optuna` it runs unchanged, one trial for each process."""

import argparse
import random

import optuna

POINTS = [(x / 5, 0.3 + 0.7 * x / 5) for x in range(-5, 6)]


def objective(trial):
    """Fits a line to eleven points by stochastic gradient descent, and returns the mean squared error."""
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    rng = random.Random(1)
    intercept, slope, loss = 0.0, 0.0, float("inf")
    for epoch in range(50):
        for x, y in rng.sample(POINTS, len(POINTS)):
            error = intercept + slope * x - y
            intercept -= rate * error
            slope -= rate * error * x
        loss = sum((intercept + slope * x - y) ** 2 for x, y in POINTS) / len(POINTS)
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--optuna-db", required=True)
    parser.add_argument("--optuna-study-name", required=True)
    args = parser.parse_args()
    study = optuna.create_study(
        study_name=args.optuna_study_name,
        storage=f"sqlite:///{args.optuna_db}",
        load_if_exists=True,
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=1)
