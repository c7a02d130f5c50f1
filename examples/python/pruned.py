"""An objective that learns in steps, reports each and stops early if the pruner advises it."""

import numpy as np
import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split


def objective(trial):
    x, y = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(x, y, test_size=0.25, random_state=0)
    model = SGDClassifier(alpha=trial.suggest_float("alpha", 1e-5, 1e-1, log=True), random_state=0)
    for step in range(10):
        model.partial_fit(train_x, train_y, classes=np.unique(y))
        score = model.score(test_x, test_y)
        trial.report(score, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return score


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    study.optimize(objective, n_trials=20)
    print(study.best_trial)
