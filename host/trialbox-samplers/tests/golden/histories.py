"""Histories of every kind, on which Optuna's TPE and ours must draw alike.

Each is a function of a seeded generator; `ALL` lists them with the sampler's options. A trial is a dictionary
with `state`, `values`, `params` (name -> internal value), `distributions` (name -> distribution), and where it
has them `intermediate_values`, `constraints` and `relative_params` (name -> external value).
"""

import math
import random

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

X = FloatDistribution(-5.0, 10.0)
LR = FloatDistribution(1e-5, 1.0, log=True)
DROPOUT = FloatDistribution(0.0, 0.9, step=0.1)
LAYERS = IntDistribution(1, 8)
UNITS = IntDistribution(4, 512, log=True)
WIDTH = IntDistribution(16, 256, step=16)
BIG = IntDistribution(0, 1_000_000)
KIND = CategoricalDistribution(("relu", "tanh", None, 2.5))
FLAG = CategoricalDistribution((True, False))
MIXED = {"act": KIND, "drop": DROPOUT, "layers": LAYERS, "lr": LR, "units": UNITS, "x": X}


def draw(rng, distribution):
    """An internal value, evenly over the distribution."""
    if isinstance(distribution, CategoricalDistribution):
        return float(rng.randrange(len(distribution.choices)))
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        value = math.exp(rng.uniform(math.log(low), math.log(high)))
        return float(round(value)) if step else value
    if step:
        return float(low + rng.randint(0, round((high - low) / step)) * step)
    return rng.uniform(low, high)


def loss(params, distributions):
    """A smooth function of the parameters, with its optimum away from the ends."""
    total = 0.0
    for name, value in params.items():
        d = distributions[name]
        if isinstance(d, CategoricalDistribution):
            total += (0.3, 0.0, 0.5, 0.2)[int(value)]
        elif d.log:
            at = (math.log(value) - math.log(d.low)) / (math.log(d.high) - math.log(d.low))
            total += (at - 0.6) ** 2
        else:
            total += ((value - d.low) / (d.high - d.low) - 0.35) ** 2
    return total


def complete(rng, space, **more):
    params = {name: draw(rng, d) for name, d in space.items()}
    trial = {"state": "COMPLETE", "params": params, "distributions": dict(space)}
    trial["values"] = [loss(params, space) + 0.05 * rng.random()]
    return {**trial, **more}


def several(space, n):
    return lambda rng: [complete(rng, space) for _ in range(n)]


def objectives(space, n, m):
    def make(rng):
        trials = several(space, n)(rng)
        for t in trials:
            base = t["values"][0]
            t["values"] = [base, 1.0 - base + 0.5 * rng.random(), rng.random()][:m]
        return trials

    return make


def pruned(share):
    def make(rng):
        trials = several(MIXED, 60)(rng)
        for i, t in enumerate(trials):
            if rng.random() < share:
                steps = rng.randrange(4)
                t["state"], t["values"] = "PRUNED", None
                t["intermediate_values"] = {s: t["params"]["x"] + 0.1 * s for s in range(steps)}
                if i % 7 == 0 and steps:
                    t["intermediate_values"][steps - 1] = math.nan
        return trials

    return make


def conditional(rng):
    trials = []
    for _ in range(80):
        space = {"flag": FLAG, "lr": LR}
        branch = {"layers": LAYERS, "units": UNITS} if rng.random() < 0.5 else {"x": X}
        t = complete(rng, {**space, **branch})
        t["params"]["flag"] = 0.0 if "layers" in branch else 1.0
        trials.append(t)
    return trials


def dynamic(rng):
    trials = []
    for i in range(50):
        space = {"layers": IntDistribution(1, 4 + i % 5), "x": FloatDistribution(-5.0, 10.0 - i % 3)}
        trials.append(complete(rng, space))
    return trials


def constrained(space, n, slack, m=1):
    def make(rng):
        trials = objectives(space, n, m)(rng) if m > 1 else several(space, n)(rng)
        for t in trials:
            value = next(iter(t["params"].values()))
            t["constraints"] = {"a": rng.random() - slack, "b": 0.1 * value - slack}
        return trials

    return make


def running(n, n_running, how):
    def make(rng):
        trials = several(MIXED, n)(rng)
        for i in range(n_running):
            t = complete(rng, MIXED, state="RUNNING", values=None)
            if how == "relative" or (how == "both" and i % 2):
                t["relative_params"] = {
                    name: d.to_external_repr(t["params"][name]) for name, d in sorted(MIXED.items())
                }
                kept = ("x",) if i % 3 == 0 else ()
                t["params"] = {k: v for k, v in t["params"].items() if k in kept}
            elif how == "partial":
                t["params"] = {"x": t["params"]["x"]}
            t["distributions"] = {k: MIXED[k] for k in t["params"]}
            trials.append(t)
        rng.shuffle(trials)
        return trials

    return make


def infinite(rng):
    trials = several({"x": X, "act": KIND}, 30)(rng)
    for i, t in enumerate(trials):
        if i % 3 == 0:
            t["values"] = [math.inf if i % 2 else -math.inf]
    return trials


def constant(rng):
    return [dict(t, values=[1.0]) for t in several({"x": X, "lr": LR}, 30)(rng)]


def duplicates(rng):
    trials = several({"x": X, "layers": LAYERS, "act": KIND}, 40)(rng)
    for i, t in enumerate(trials):
        if i % 2:
            t["params"]["x"] = 2.0
    return trials


ALL = [
    # name, seed, options, directions, trials, the parameters asked for, in order
    ("uniform", {}, 1, several({"x": X, "y": X, "z": X}, 30), {"x": X, "y": X, "z": X}),
    ("log", {}, 1, several({"lr": LR, "wd": LR}, 60), {"lr": LR, "wd": LR}),
    ("step", {}, 1, several({"drop": DROPOUT, "more": DROPOUT}, 40), {"drop": DROPOUT, "more": DROPOUT}),
    ("int", {}, 1, several({"layers": LAYERS, "x": X}, 50), {"layers": LAYERS, "x": X}),
    ("int log", {}, 1, several({"units": UNITS, "more": UNITS}, 50), {"units": UNITS, "more": UNITS}),
    ("int step", {}, 1, several({"width": WIDTH, "x": X}, 40), {"width": WIDTH, "x": X}),
    ("int wide", {}, 1, several({"big": BIG, "lr": LR}, 40), {"big": BIG, "lr": LR}),
    ("categorical", {}, 1, several({"a": KIND, "b": KIND, "c": FLAG}, 60), {"a": KIND, "b": KIND, "c": FLAG}),
    ("mixed", {}, 1, several(MIXED, 100), MIXED),
    ("mixed, maximise", {}, -1, several(MIXED, 80), MIXED),
    ("mixed, many", {}, 1, several(MIXED, 300), MIXED),
    ("pruned", {}, 1, pruned(0.4), MIXED),
    ("pruned, nearly all", {}, -1, pruned(0.97), MIXED),
    ("conditional", {}, 1, conditional, {"flag": FLAG, "lr": LR, "layers": LAYERS, "units": UNITS}),
    ("conditional, group", {"group": True}, 1, conditional, {"flag": FLAG, "lr": LR, "layers": LAYERS, "units": UNITS, "x": X}),
    ("dynamic ranges", {}, 1, dynamic, {"layers": IntDistribution(1, 6), "x": FloatDistribution(-5.0, 9.0)}),
    ("constrained", {}, 1, constrained(MIXED, 60, 0.4), MIXED),
    ("constrained, none feasible", {}, 1, constrained({"x": X, "lr": LR}, 40, -0.1), {"x": X, "lr": LR}),
    ("running, relative", {}, 1, running(40, 8, "relative"), MIXED),
    ("running, partial", {}, 1, running(40, 8, "partial"), MIXED),
    ("running, more than finished", {}, 1, running(14, 24, "both"), MIXED),
    ("running, no liar", {"constant_liar": False}, 1, running(40, 12, "relative"), MIXED),
    ("two objectives", {}, (1, -1), objectives({"x": X, "lr": LR, "act": KIND}, 60, 2), {"x": X, "lr": LR, "act": KIND}),
    ("two objectives, joint", {"multivariate": True}, (1, 1), objectives(MIXED, 60, 2), MIXED),
    ("three objectives", {}, (1, 1, -1), objectives({"x": X, "layers": LAYERS}, 50, 3), {"x": X, "layers": LAYERS}),
    ("two objectives, constrained", {}, (1, 1), constrained({"x": X, "act": KIND}, 60, 0.5, 2), {"x": X, "act": KIND}),
    ("infinite", {}, 1, infinite, {"x": X, "act": KIND}),
    ("constant", {}, 1, constant, {"x": X, "lr": LR}),
    ("one point", {"n_startup_trials": 1}, 1, several({"x": X, "layers": LAYERS, "act": KIND}, 1), {"x": X, "layers": LAYERS, "act": KIND}),
    ("independent", {"multivariate": False}, 1, several({"x": X, "lr": LR, "units": UNITS}, 60), {"x": X, "lr": LR, "units": UNITS}),
    ("other options", {"n_ei_candidates": 5, "prior_weight": 2.0, "consider_magic_clip": False, "consider_endpoints": True}, 1, several(MIXED, 40), MIXED),
    ("start-up", {}, 1, several(MIXED, 5), MIXED),
    ("duplicates", {}, 1, duplicates, {"x": X, "layers": LAYERS, "act": KIND}),
]


def make():
    """(name, options, directions as +1 and -1, trials, asked) of every history."""
    for index, (name, options, directions, trials, asked) in enumerate(ALL):
        directions = directions if isinstance(directions, tuple) else (directions,)
        yield name, options, directions, trials(random.Random(index)), asked
