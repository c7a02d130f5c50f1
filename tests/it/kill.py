"""Workers of Python's Optuna on a study of trialbox's whose processes die, each answer a line of JSON."""

import json
import sys

import optuna
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)


def say(**answer):
    print(json.dumps(answer), flush=True)


def open_study(path, name, grace_period):
    """A study whose trials beat each second, and are lost after so many seconds of silence."""
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{path}",
        heartbeat_interval=1,
        grace_period=grace_period,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3),
    )
    return optuna.load_study(storage=storage, study_name=name)


def objective(trial):
    return trial.suggest_float("x", 0, 1)


def value_at(params):
    """What our objectives return: that of `quadratic`, or `x` itself."""
    if "y" not in params:
        return params["x"]
    x, y = params["x"] - 2, params["y"] + 1
    return x * x + y * y


def reap(path, name):
    """Fails lost trials until none is RUNNING, as `optimize` does before each of its trials."""
    study = open_study(path, name, grace_period=2)
    while study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        optuna.storages.fail_stale_trials(study)


def hold(path, name):
    """Runs one trial that lasts until a line comes from standard input."""

    def lasting(trial):
        value = objective(trial)
        say(number=trial.number, x=value)
        sys.stdin.readline()
        return value

    study = open_study(path, name, grace_period=600)
    study.optimize(lasting, n_trials=1)


def check(path, name):
    """Reads a study in every way that people do, and goes on with it."""
    study = open_study(path, name, grace_period=600)
    frame = study.trials_dataframe()
    before = len(study.trials)
    best = study.best_trial
    trial = study.ask(best.distributions)
    study.tell(trial, value_at(trial.params))
    say(rows=len(frame), before=before, best=best.number, after=len(study.trials))


command, *arguments = sys.argv[1:]
{"reap": reap, "hold": hold, "check": check}[command](*arguments)
