"""A Python worker beside those of trialbox: runs trials of a study with `study.optimize`; prints their numbers."""

import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def objective(trial):
    x = trial.suggest_float("x", -10.0, 10.0)
    # Not by a power, whose last bit is another than a product's now and then.
    value = (x - 2.0) * (x - 2.0)
    for step in range(3):
        trial.report(value + step, step)
    trial.set_user_attr("by", "python")
    return value


path, name, n_trials = sys.argv[1:]
# Python's default of five seconds is too little where twelve processes write.
storage = optuna.storages.RDBStorage(
    f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 300}}
)
study = optuna.load_study(
    storage=storage, study_name=name, sampler=optuna.samplers.RandomSampler()
)
study.optimize(
    objective,
    n_trials=int(n_trials),
    callbacks=[lambda study, trial: print(trial.number)],
)
