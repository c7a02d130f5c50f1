# /// trialbox
# summary = "A ridge regression on a table beside the file."
# metrics = [{ name = "squared error", direction = "minimize" }]
# data = [{ path = "/work/table.csv", summary = "sixty rows of two inputs and an output" }]
# ///
import pathlib

import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

TABLE = pd.read_csv(pathlib.Path(__file__).with_name("table.csv"))


def objective(trial):
    alpha = trial.suggest_float("alpha", 1e-3, 1e3, log=True)
    train, test = TABLE[TABLE["part"] == "train"], TABLE[TABLE["part"] == "test"]
    model = Ridge(alpha=alpha).fit(train[["a", "b"]], train["y"])
    return mean_squared_error(test["y"], model.predict(test[["a", "b"]]))


if __name__ == "__main__":
    import optuna

    study = optuna.create_study()
    study.optimize(objective, n_trials=20)
    print(study.best_trial)
