"""The recipe that trialbox replaces: one process, one trial of `examples/quadratic`, on a shared SQLite study."""

import sys

library, path = sys.argv[1:]


def objective(trial):
    x = trial.suggest_float("x", -10.0, 10.0)
    y = trial.suggest_int("y", -10, 10)
    return (x - 2.0) ** 2 + (y + 1.0) ** 2


if library == "optuna":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=f"sqlite:///{path}",
        study_name="s",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )
    study.optimize(objective, n_trials=1)
else:
    import rustuna

    study = rustuna.create_study(
        storage=rustuna.storages.SQLite3Storage(path),
        study_name="s",
        load_if_exists=True,
        sampler=rustuna.samplers.RandomSampler(),
    )
    study.optimize(objective, n_trials=1)
