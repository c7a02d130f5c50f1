def objective(trial):
    x = trial.suggest_float("x", -10, 10, step=0.25)
    n = trial.suggest_int("n", 1, 8, step=2)
    kind = trial.suggest_categorical("kind", ["a", None, True, 2**70, 0.5])
    return sum((x - k) ** 2 for k in range(n)) + (kind == "a")
