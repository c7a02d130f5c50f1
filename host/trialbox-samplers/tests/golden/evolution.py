"""Records what the package `cmaes` computes: `evolution.json`.

    python3 evolution.py

with cmaes 0.13.1, NumPy and SciPy. Each sequence has the points that an optimiser was told, and what it was after each.
"""

import json
import math
import pathlib
import warnings

import cmaes
import numpy as np
from cmaes._warm_start import get_warm_start_mgd

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent


def loss(x, kind):
    x = np.asarray(x, dtype=float)
    if kind == "ellipsoid":
        return float(sum(100 ** (i / max(1, len(x) - 1)) * (v - 0.3) ** 2 for i, v in enumerate(x)))
    if kind == "valley":
        return float(sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (0.4 - x[i]) ** 2 for i in range(len(x) - 1)))
    return float(np.sum(np.round((x - 0.6) * 4)))  # with ties


def recorded(states):
    """Every fifth state and the last."""
    return [s for i, s in enumerate(states) if i % 5 == 4 or i + 1 == len(states)]


def sequences():
    rows = []
    for variant in ["full", "lr_adapt", "separable"]:
        for n, kind, popsize, generations in [
            (1, "ellipsoid", None, 12), (2, "valley", None, 20), (3, "steps", 5, 12), (6, "ellipsoid", 12, 25),
        ]:
            if variant == "separable" and n == 1:
                continue
            bounds = np.array([[0.0, 1.0]] * n)
            args = dict(mean=np.full(n, 0.5), sigma=1 / 6, bounds=bounds, seed=n, population_size=popsize)
            if variant == "separable":
                opt = cmaes.SepCMA(**args)
            else:
                opt = cmaes.CMA(**args, lr_adapt=variant == "lr_adapt")
            told, states = [], []
            for _ in range(generations):
                points = [opt.ask() for _ in range(opt.population_size)]
                solutions = [(x, loss(x, kind)) for x in points]
                told.append([[x.tolist(), v] for x, v in solutions])
                opt.tell(solutions)
                states.append({"mean": opt._mean.tolist(), "sigma": float(opt._sigma),
                               "c": opt._C.ravel().tolist()})
            rows.append({"variant": variant, "n": n, "told": told, "states": recorded(states)})
    return rows


def margins():
    rows = []
    for steps, popsize, generations in [([0.0, 0.25, 1.0], None, 20), ([0.1, 0.1], 8, 20), ([1.0], 4, 10)]:
        n = len(steps)
        opt = cmaes.CMAwM(mean=np.full(n, 0.5), sigma=1 / 6, bounds=np.array([[0.0, 1.0]] * n),
                          steps=np.array(steps), seed=3, population_size=popsize)
        told, states = [], []
        for _ in range(generations):
            asked = [opt.ask() for _ in range(opt.population_size)]
            told.append([[x.tolist(), raw.tolist(), loss(x, "ellipsoid")] for x, raw in asked])
            opt.tell([(raw, loss(x, "ellipsoid")) for x, raw in asked])
            states.append({"mean": opt._cma._mean.tolist(), "sigma": float(opt._cma._sigma),
                           "stretch": opt._A.tolist()})
        rows.append({"steps": steps, "popsize": opt.population_size, "told": told, "states": states})
    return rows


def mixed():
    rows = []
    for n_continuous, grids, choices, popsize, generations in [
        (2, [5, 3], [3, 4], None, 25), (3, [], [2], None, 20), (0, [6, 9], [3], 9, 20), (0, [], [4, 2, 3], None, 20),
        (1, [4], [], 6, 15), (2, [5], [5], 20, 12),
    ]:
        opt = cmaes.CatCMAwM(
            x_space=[[0.0, 1.0]] * n_continuous if n_continuous else None,
            z_space=[[i / (n - 1) for i in range(n)] for n in grids] if grids else None,
            c_space=choices or None, seed=5, population_size=popsize,
        )
        told, states = [], []
        for _ in range(generations):
            population = []
            for _ in range(opt.population_size):
                s = opt.ask()
                x = ([] if s.x is None else s.x.tolist()) + ([] if s.z is None else s.z.tolist())
                c = [] if s.c is None else [int(row.argmax()) for row in s.c]
                # The optimum lies on the edge, so that points leave the range.
                value = loss([v + 0.25 for v in x], "ellipsoid") + sum(0.3 * v for v in c) if x else float(sum(c))
                population.append((s, value))
            told.append([[[] if s._v_raw is None else s._v_raw.tolist(),
                          [] if s.c is None else [int(row.argmax()) for row in s.c], v] for s, v in population])
            opt.tell(population)
            states.append({
                "mean": opt._mean.tolist() if opt._use_gaussian else [],
                "sigma": float(opt._sigma) if opt._use_gaussian else 1.0,
                "stretch": opt._A.tolist() if opt._use_gaussian else [],
                "q": [opt._q[i, :k].tolist() for i, k in enumerate(choices)] if choices else [],
            })
        rows.append({"n_continuous": n_continuous, "grids": grids, "choices": choices,
                     "popsize": opt.population_size, "told": told, "states": recorded(states)})
    return rows


def warm_starts():
    rows = []
    rng = np.random.RandomState(1)
    for n, dim in [(10, 1), (57, 3)]:
        solutions = [(rng.rand(dim), float(i)) for i in range(n)]
        mean, sigma, cov = get_warm_start_mgd(solutions)
        rows.append({"points": [x.tolist() for x, _ in solutions], "mean": mean.tolist(), "sigma": float(sigma),
                     "c": cov.ravel().tolist()})
    return rows


def main():
    recorded = {"sequences": sequences(), "margins": margins(), "mixed": mixed(), "warm_starts": warm_starts()}
    lines = [f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
             for key, rows in recorded.items()]
    (HERE / "evolution.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
