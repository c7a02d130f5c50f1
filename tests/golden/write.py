"""Writes a database with what a reader of Optuna's databases has to cope with.

    python write.py DATABASE

Runs under Optuna 2.10 to 5.0, and leaves out what a release does not have. Only Optuna writes; but for the
heartbeats, whose clock is the database's and which are set to a fixed time at the end.
"""

import datetime
import math
import random
import sqlite3
import sys
import types

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

VERSION = tuple(int(part) for part in optuna.__version__.split(".")[:2])
INF, NAN = math.inf, math.nan

MIXED_CHOICES = [None, True, 1, 2.5, "\u00e9", "1"]
VALUES_OF_EVERY_TYPE = {
    "null": None,
    "true": True,
    "false": False,
    "int": 1,
    "int of 64 bits": 2**63 - 1,
    "least int of 64 bits": -(2**63),
    "int of 65 bits": 2**63,
    "big int": -(10**40),
    "float that is whole": 1.0,
    "float": 0.1 + 0.2,
    "negative zero": -0.0,
    "tiny": 5e-324,
    "huge": 1.7976931348623157e308,
    "exponent": 1e16,
    "small": 1e-05,
    "nan": NAN,
    "infinity": INF,
    "minus infinity": -INF,
    "text": "plain",
    "empty text": "",
    "unicode": "\u00e9\u4e16\U0001f423",
    "control": "\x00\x01\x1f\x7f\x80\u2028\n\r\t\b\f\"\\/",
    "lone surrogate": "\ud800",
    "surrogates the wrong way round": "a\udc23\ud83db",
    "long text": "0123456789" * 30,
    "list": [],
    "object": {},
    "nested": {"a": [1, {"b": [None, [NAN, {"": -INF}]]}], "1": 1.0},
    "deep": [[[[[[[[[[[[[[[[[[[[["bottom"]]]]]]]]]]]]]]]]]]]]],
}
ODD_NAMES = [
    "",
    " ",
    "two\nlines",
    "tab\tand\rreturn",
    "quotes \"double\" 'single' `back`",
    "emoji \U0001f423\u200d\U0001f3fd",
    "e\u0301 is not \u00e9",
    "../x",
    "/etc/passwd",
    "C:\\dir",
    "100%s %d {} {0} ${HOME} $(id)",
    "'; DROP TABLE studies; --",
    "nul\x00inside",
    "-n",
    "n" * 512,
]


class AnyDatetime(type):
    def __instancecheck__(cls, found):
        return isinstance(found, REAL_DATETIME)


REAL_DATETIME = datetime.datetime


class SteadyClock(REAL_DATETIME, metaclass=AnyDatetime):
    """Moves on by the same time whenever somebody looks at it."""

    looks = 0

    @classmethod
    def now(cls, tz=None):
        cls.looks += 1
        start = REAL_DATETIME(2024, 2, 28, 23, 59, 58, 999_000)
        return start + cls.looks * datetime.timedelta(seconds=1, microseconds=250_001)


def stop_the_clocks():
    """Gives Optuna's modules the steady clock, under whichever name they know it."""
    module = types.SimpleNamespace(**vars(datetime))
    module.datetime = SteadyClock
    for name, loaded in list(sys.modules.items()):
        if name.startswith("optuna") and getattr(loaded, "datetime", None) is REAL_DATETIME:
            loaded.datetime = SteadyClock
        elif name.startswith("optuna") and getattr(loaded, "datetime", None) is datetime:
            loaded.datetime = module


def new_study(url, name, directions=("minimize",), **more):
    more.setdefault("sampler", optuna.samplers.RandomSampler(seed=1))
    return optuna.create_study(storage=url, study_name=name, directions=list(directions), **more)


def set_system_attr(study, trial, key, value):
    study._storage.set_trial_system_attr(trial._trial_id, key, value)


def plain(url):
    """Every kind of distribution, reports that are no numbers, and a trial of each parameter fixed."""
    study = new_study(url, "plain", ["maximize"])
    study.set_user_attr("purpose", "parameters of every kind")

    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        trial.suggest_float("momentum", 0.0, 1.0, step=0.3)
        trial.suggest_int("depth", 1, 10)
        trial.suggest_int("width", 1, 1024, log=True)
        trial.suggest_int("every third", 0, 10, step=3)
        trial.suggest_categorical("mixed", MIXED_CHOICES)
        trial.suggest_categorical("only", ["one"])
        trial.suggest_float("fixed", 0.5, 0.5)
        trial.report(x, 0)
        trial.report(INF, 1)
        trial.report(-INF, 7)
        # Before Optuna 3.0 the column could not hold it.
        trial.report(NAN if VERSION >= (3, 0) else 0.25, 2**31)
        trial.set_user_attr("x", x)
        return x

    study.optimize(objective, n_trials=4)
    study.enqueue_trial({"x": 0.25, "mixed": 2.5, "depth": 10, "lr": 0.1})
    study.optimize(objective, n_trials=1)
    if VERSION >= (3, 2):
        study.set_metric_names(["accuracy \u00e9"])


def every_state(url):
    study = new_study(url, "states")
    one = {"x": optuna.distributions.FloatDistribution(0, 1)} if VERSION >= (3, 0) else {}
    one = one or {"x": optuna.distributions.UniformDistribution(0, 1)}
    study.tell(study.ask(one), 1.5)
    pruned = study.ask(one)
    pruned.report(0.75, 3)
    pruned.report(0.5, 10)
    study.tell(pruned, state=TrialState.PRUNED)
    study.tell(study.ask(one), state=TrialState.PRUNED)
    study.tell(study.ask(one), state=TrialState.FAIL)
    failed = study.ask(one)
    failed.report(1.0, 1)
    set_system_attr(study, failed, "fail_reason", "it broke")
    study.tell(failed, state=TrialState.FAIL)
    running = study.ask(one)
    running.report(0.125, 0)
    study.ask()
    study.enqueue_trial({"x": 0.5, "c": None, "text": "\u00e9\ud800", "nan": NAN, "big": 2**70})
    study.enqueue_trial({})
    if VERSION >= (3, 1):
        study.enqueue_trial({"x": 1}, user_attrs={"why": ["queued", 1]})
    ended = {"params": {"x": 0.5}, "distributions": one}
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=2.0, **ended))
    study.add_trial(create_trial(state=TrialState.WAITING, **ended))


def hostile_values(url):
    study = new_study(url, "values", ["maximize"])
    for value in (INF, -INF, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -0.0, 2.65e-205, 2**53 + 2):
        study.tell(study.ask(), value)
    study.tell(study.ask(), NAN, state=None) if VERSION >= (3, 0) else None
    for value in (INF, -INF):
        pruned = study.ask()
        pruned.report(value, 5)
        study.tell(pruned, state=TrialState.PRUNED)


def every_attribute(url):
    study = new_study(url, "attributes")
    trial = study.ask()
    for key, value in VALUES_OF_EVERY_TYPE.items():
        study.set_user_attr(key, value)
        trial.set_user_attr(key, value)
        set_system_attr(study, trial, key, value)
    for key in ODD_NAMES:
        trial.set_user_attr(key, key)
    # A key longer than a name is what a chunked attribute has in place of a long value.
    for chunk in range(3):
        set_system_attr(study, trial, f"tpe:relative_params:{chunk}", "\u00e9" * 300)
    study._storage.set_study_system_attr(study._study_id, "nested", VALUES_OF_EVERY_TYPE["nested"])
    study.tell(trial, 0.0)


def odd_distributions(url):
    study = new_study(url, "distributions")
    choices = {
        "duplicates": [1, 1.0, True, "1", 0, False],
        "not numbers": [NAN, INF, -INF, None],
        "texts": ["", "\x00", "\ud800", "\U0001f423", "\"quoted\\", "x" * 1000],
        "not scalars": [[1, [2]], {"a": 1}, []],
        "big": [2**63, -(10**30), 1e300],
    }
    for index in range(3):
        trial = study.ask()
        for name, list_of in choices.items():
            distribution = CategoricalDistribution(list_of)
            study._storage.set_trial_param(
                trial._trial_id, name, (index + 1) % len(list_of), distribution
            )
        for name in ODD_NAMES:
            trial.suggest_int(name, 0, 3)
        study.tell(trial, index)
    outside_of_the_range(study)
    wide_integers(study)
    if VERSION < (5, 0):
        legacy_distributions(url)


def outside_of_the_range(study):
    """What a user enqueued is stored as it is, and a study may change its ranges."""
    study.enqueue_trial({"narrow": 99.0, "whole": 2.7})
    for _ in range(2):
        trial = study.ask()
        trial.suggest_float("narrow", 0, 1 + trial.number)
        trial.suggest_int("whole", 0, 4 + trial.number, step=2)
        study.tell(trial, 0)


def wide_integers(study):
    trial = study.ask()
    for name, high in (("seed", 2**32 - 1), ("exact", 2**53), ("wide", 2**62)):
        trial.suggest_int(name, 0, high)
    study.tell(trial, 0)


def legacy_distributions(url):
    """As releases before 3.0 write them; later ones still do for who hands them to the storage."""
    study = new_study(url, "legacy")
    d = optuna.distributions
    rows = {
        "uniform": (0.5, d.UniformDistribution(-1.0, 1.0)),
        "loguniform": (0.001, d.LogUniformDistribution(1e-5, 1.0)),
        "discrete": (0.6, d.DiscreteUniformDistribution(0.0, 1.0, 0.3)),
        "int": (3.0, d.IntUniformDistribution(1, 9, 2)),
        "intlog": (8.0, d.IntLogUniformDistribution(1, 64)),
        "categorical": (1.0, CategoricalDistribution(["a", "b"])),
    }
    for _ in range(2):
        trial = study.ask()
        for name, (internal, distribution) in rows.items():
            study._storage.set_trial_param(trial._trial_id, name, internal, distribution)
        study.tell(trial, 1.0)


def several_objectives(url):
    study = new_study(url, "objectives", ["minimize", "maximize", "minimize"])
    for values in ((0, 1, 2), (0.5, -0.5, 1e-300), (INF, -INF, 0), (0, 1, 2)):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study.tell(trial, values)
    study.tell(study.ask(), state=TrialState.PRUNED)
    study.tell(study.ask(), state=TrialState.FAIL)
    study.ask()
    if VERSION >= (3, 2):
        study.set_metric_names(["loss", "speed", ""])


def constraints(url):
    """The list that samplers with a `constraints_func` write, and the generations of a genetic one."""
    sampler = optuna.samplers.NSGAIISampler(
        population_size=3, seed=1, constraints_func=lambda trial: (trial.params["x"] - 0.5, -1)
    )
    study = new_study(url, "constraints", ["minimize", "minimize"], sampler=sampler)

    def objective(trial):
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_int("y", 0, 5)
        return x, y - x

    study.optimize(objective, n_trials=8)
    # Where the function failed, the sampler wrote null.
    system_attrs = {"constraints": None}
    study.add_trial(
        create_trial(state=TrialState.COMPLETE, values=[0, 0], system_attrs=system_attrs)
    )


def samplers(url):
    """What samplers and pruners leave in system attributes."""

    def objective(trial):
        x, y = trial.suggest_float("x", -1, 1), trial.suggest_float("y", -1, 1)
        for step in range(1, 10):
            trial.report(x * x + y * y + 1 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned()
        return x * x + y * y

    # Before 3.0 it has no seed, and draws from Python's own generator.
    seed = {"seed": 1} if VERSION >= (3, 0) else {}
    random.seed(1)
    grid = optuna.samplers.GridSampler({"x": [-1, 0.5], "y": [0, 1]}, **seed)
    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    study = new_study(url, "grid", sampler=grid, pruner=halving)
    study.optimize(objective, n_trials=6)
    tpe = optuna.samplers.TPESampler(
        seed=1, n_startup_trials=2, multivariate=True, constant_liar=True
    )
    hyperband = optuna.pruners.HyperbandPruner(max_resource=9)
    study = new_study(url, "tpe", sampler=tpe, pruner=hyperband)
    study.optimize(objective, n_trials=4)
    if VERSION >= (3, 0):
        qmc = optuna.samplers.QMCSampler(seed=1, scramble=True)
        study = new_study(url, "qmc", sampler=qmc)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    study = new_study(url, "cma", sampler=optuna.samplers.CmaEsSampler(seed=1))
    study.optimize(objective, n_trials=3)


def retries(path, url):
    """Trials whose process died, failed by another one that ran them again."""
    callback = optuna.storages.RetryFailedTrialCallback(max_retry=2)
    storage = optuna.storages.RDBStorage(
        url, heartbeat_interval=60, failed_trial_callback=callback
    )
    study = new_study(storage, "retries")
    for index in range(3):
        lost = study.ask()
        lost.suggest_float("x", 0, 1)
        lost.suggest_categorical("c", ["a", "b"])
        lost.set_user_attr("index", index)
        lost.report(index, 0)
        study._storage.record_heartbeat(lost._trial_id)
    set_heartbeats(path)

    def objective(trial):
        return trial.suggest_float("x", 0, 1) + len(trial.suggest_categorical("c", ["a", "b"]))

    # It fails the three, and runs the first again; two go on waiting.
    study.optimize(objective, n_trials=1)


def copies(url):
    optuna.copy_study(
        from_study_name="states",
        from_storage=url,
        to_storage=url,
        to_study_name="states, copied",
    )
    optuna.delete_study(storage=url, study_name="gone")


def odd_studies(url):
    for name in ODD_NAMES:
        study = new_study(url, name)
        study.tell(study.ask(), len(name))


def set_heartbeats(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE trial_heartbeats SET heartbeat = '2024-02-29 00:00:00'")
    connection.close()


def write(path):
    url = f"sqlite:///{path}"
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    stop_the_clocks()
    new_study(url, "empty", ["maximize"])
    study = new_study(url, "gone")
    study.tell(study.ask(), 1.0)
    plain(url)
    every_state(url)
    hostile_values(url)
    every_attribute(url)
    odd_distributions(url)
    several_objectives(url)
    constraints(url)
    samplers(url)
    retries(path, url)
    copies(url)
    odd_studies(url)
    set_heartbeats(path)


if __name__ == "__main__":
    write(sys.argv[1])
