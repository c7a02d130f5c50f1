"""A search of Optuna's over an estimator of scikit-learn."""

import optuna
from sklearn.datasets import load_iris
from sklearn.svm import SVC

if __name__ == "__main__":
    search = optuna.integration.OptunaSearchCV(
        SVC(gamma="auto"),
        {
            "C": optuna.distributions.FloatDistribution(1e-3, 1e3, log=True),
            "kernel": optuna.distributions.CategoricalDistribution(["rbf", "poly"]),
            "degree": optuna.distributions.IntDistribution(1, 5),
        },
        n_trials=20,
    )
    search.fit(*load_iris(return_X_y=True))
    print(search.best_params_)
