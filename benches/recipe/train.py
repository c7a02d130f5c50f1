"""The training script of the recipe for array jobs: scikit-learn, with pruning. One trial for each task."""

import argparse

import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC


def objective(trial):
    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(x, y, random_state=0)
    if trial.suggest_categorical("classifier", ["SVC", "SGD"]) == "SVC":
        model = SVC(C=trial.suggest_float("svc_c", 1e-3, 1e3, log=True), gamma="scale")
        return model.fit(x_train, y_train).score(x_valid, y_valid)
    alpha = trial.suggest_float("alpha", 1e-5, 1e-1, log=True)
    model = SGDClassifier(alpha=alpha, random_state=0)
    for step in range(30):
        model.partial_fit(x_train, y_train, classes=range(10))
        trial.report(model.score(x_valid, y_valid), step)
        if trial.should_prune():
            raise optuna.TrialPruned()
    return model.score(x_valid, y_valid)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--optuna-db", required=True)
    parser.add_argument("--optuna-study-name", required=True)
    args = parser.parse_args()
    study = optuna.create_study(
        study_name=args.optuna_study_name,
        storage=f"sqlite:///{args.optuna_db}",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=1)


if __name__ == "__main__":
    main()
