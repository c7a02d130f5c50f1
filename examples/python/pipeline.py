"""A pipeline with parameters that depend on others."""

import optuna
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler


def objective(trial):
    x, y = load_breast_cancer(return_X_y=True)
    steps = [("scale", StandardScaler())]
    if trial.suggest_categorical("reduce", [True, False]):
        steps.append(("reduce", PCA(n_components=trial.suggest_int("components", 2, 10), random_state=0)))
    strength = trial.suggest_float("c", 1e-2, 1e2, log=True)
    steps.append(("classify", LogisticRegression(C=strength, max_iter=500)))
    return cross_val_score(Pipeline(steps), x, y, cv=3, scoring="roc_auc").mean()


if __name__ == "__main__":
    study = optuna.create_study(direction="maximize")
    study.optimize(objective, n_trials=20)
    print(study.best_trial)
