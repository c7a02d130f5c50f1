"""Records what Optuna's NSGA-II and NSGA-III compute: `genetic.json`.

    python3 genetic.py

with Optuna 5.0.0. Where a method draws, its random numbers come from a tape that is recorded too, so that the other
side can draw the same.
"""

import json
import math
import pathlib
import random
import warnings

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.distributions import distribution_to_json
from optuna.samplers import nsgaii
from optuna.samplers._nsgaiii import _elite_population_selection_strategy as niche
from optuna.samplers.nsgaii import _elite_population_selection_strategy as elite
from optuna.samplers.nsgaii._child_generation_strategy import NSGAIIChildGenerationStrategy
from optuna.samplers.nsgaii._mutations._polynomial import PolynomialMutation
from optuna.trial import FrozenTrial, TrialState

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
SOURCE = random.Random(5)


class Tape:
    """Stands in for `numpy.random.RandomState`, one recorded number a draw."""

    def __init__(self):
        self.numbers = []
        self.rng = self

    def _draw(self, draw):
        self.numbers.append(draw())
        return self.numbers[-1]

    def rand(self, *shape):
        if not shape:
            return self._draw(SOURCE.random)
        return np.array([self._draw(SOURCE.random) for _ in range(math.prod(shape))]).reshape(shape)

    def normal(self, loc, scale, size=None):
        draws = [self._draw(lambda: SOURCE.gauss(0, 1)) for _ in range(size or 1)]
        return loc + scale * (np.array(draws) if size else draws[0])

    def choice(self, n):
        return int(self.rand() * n)

    def shuffle(self, items):
        for last in reversed(range(1, len(items))):
            other = int(self.rand() * (last + 1))
            items[last], items[other] = items[other], items[last]


def trial(number, values, params=None, distributions=None, constraints=()):
    return FrozenTrial(
        number=number, trial_id=number, state=TrialState.COMPLETE, value=None, values=values,
        datetime_start=None, datetime_complete=None, params=params or {},
        distributions=distributions or {}, user_attrs={},
        system_attrs={f"constraints:{i}": c for i, c in enumerate(constraints)},
        intermediate_values={},
    )


CROSSOVERS = {
    "uniform": nsgaii.UniformCrossover,
    "blxalpha": nsgaii.BLXAlphaCrossover,
    "spx": nsgaii.SPXCrossover,
    "sbx": nsgaii.SBXCrossover,
    "vsbx": nsgaii.VSBXCrossover,
    "undx": nsgaii.UNDXCrossover,
}
OPTIONS = {
    "uniform": [{}, {"swapping_prob": 0.2}],
    "blxalpha": [{}, {"alpha": 0.1}],
    "spx": [{}, {"epsilon": 1.5}],
    "sbx": [{}, {"eta": 5.0, "uniform_crossover_prob": 0.2, "use_child_gene_prob": 0.9}],
    "vsbx": [{}, {"eta": 1.0, "uniform_crossover_prob": 0.8, "use_child_gene_prob": 1.0}],
    "undx": [{}, {"sigma_xi": 0.3, "sigma_eta": 0.7}],
}


def crossovers():
    rows = []
    for name, create in CROSSOVERS.items():
        for options in OPTIONS[name]:
            for n_dims in [1, 2, 5]:
                for n_objectives in [1, 2]:
                    crossover = create(**options)
                    study = optuna.create_study(directions=["minimize"] * n_objectives)
                    bounds = np.array([[-1.0 - i, 2.0 + i] for i in range(n_dims)])
                    parents = np.array([
                        [SOURCE.uniform(low, high) for low, high in bounds]
                        for _ in range(crossover.n_parents)
                    ])
                    tape = Tape()
                    child = crossover.crossover(parents, tape, study, bounds)
                    rows.append({
                        "crossover": name, "options": options, "n_objectives": n_objectives,
                        "bounds": bounds.tolist(), "parents": parents.tolist(),
                        "tape": tape.numbers, "child": child.tolist(),
                    })
    return rows


def values_of(kind, n_objectives):
    if kind == "grid":
        return [float(SOURCE.randrange(4)) for _ in range(n_objectives)]
    if kind == "infinite":
        return [SOURCE.choice([-math.inf, math.inf, round(SOURCE.random(), 3)]) for _ in range(n_objectives)]
    return [round(SOURCE.random(), 3) for _ in range(n_objectives)]


def populations():
    for kind in ["random", "grid", "infinite"]:
        for n_objectives in [1, 2, 3]:
            for constrained in [False, True]:
                n = 24
                yield [
                    trial(i, values_of(kind, n_objectives),
                          constraints=[round(SOURCE.uniform(-2, 1), 2) for _ in range(2)] if constrained else ())
                    for i in range(n)
                ]


def described(population):
    return [
        {"values": t.values, "constraints": list(t.constraints.values())} for t in population
    ]


def elites():
    rows = []
    for population in populations():
        n_objectives = len(population[0].values)
        for directions in [["minimize"] * n_objectives, ["maximize"] * n_objectives]:
            study = optuna.create_study(directions=directions)
            constrained = any(t.constraints for t in population)
            fronts = elite._rank_population(population, study.directions, is_constrained=constrained)
            ranks = {t.number: rank for rank, front in enumerate(fronts) for t in front}
            distances = elite._calc_crowding_distance(list(population))
            chosen = []
            for size in [2, 9, 20]:
                strategy = elite.NSGAIIElitePopulationSelectionStrategy(population_size=size)
                chosen.append([t.number for t in strategy(study, list(population))])
            rows.append({
                "population": described(population), "directions": directions,
                "ranks": [ranks[i] for i in range(len(population))],
                "distances": [distances[i] for i in range(len(population))],
                "chosen": chosen,
            })
    return rows


def niches():
    rows = []
    for population in populations():
        n_objectives = len(population[0].values)
        if n_objectives == 1 and any(math.isinf(t.values[0]) for t in population):
            continue  # A front of infinities alone has only NaN as distances, which have no order.
        study = optuna.create_study(directions=["minimize"] * n_objectives)
        for size, dividing_parameter in [(5, 2), (12, 3), (20, 4)]:
            tape = Tape()
            strategy = niche.NSGAIIIElitePopulationSelectionStrategy(
                population_size=size, dividing_parameter=dividing_parameter, rng=tape
            )
            chosen = strategy(study, list(population))
            rows.append({
                "population": described(population), "size": size,
                "dividing_parameter": dividing_parameter,
                "points": strategy._reference_points.tolist() if strategy._reference_points is not None else None,
                "tape": tape.numbers, "chosen": [t.number for t in chosen],
            })
    return rows


def normalised():
    rows = []
    for population in populations():
        matrix = niche._filter_inf(population)
        clamped = matrix.tolist()
        points = niche._generate_default_reference_point(len(matrix[0]), 3)
        found = niche._normalize_objective_values(matrix)
        closest, distances = niche._associate_individuals_with_reference_points(found, points)
        rows.append({
            "values": [t.values for t in population], "clamped": clamped, "found": found.tolist(),
            "closest": closest.tolist(), "distances": distances.tolist(),
        })
    return rows


SPACE = {
    "a": FloatDistribution(-1.0, 3.0),
    "b": CategoricalDistribution(["p", "q", "r"]),
    "c": IntDistribution(1, 9, step=2),
    "d": FloatDistribution(1e-4, 1.0, log=True),
    "e": CategoricalDistribution([True, False]),
    "f": IntDistribution(1, 100, log=True),
    "g": FloatDistribution(0.0, 1.0, step=0.25),
}


def drawn(distribution):
    if isinstance(distribution, CategoricalDistribution):
        return SOURCE.choice(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return SOURCE.randrange(distribution.low, distribution.high + 1, distribution.step)
    if distribution.step:
        return distribution.low + distribution.step * SOURCE.randrange(5)
    return SOURCE.uniform(distribution.low, distribution.high)


def children():
    rows = []
    for name in CROSSOVERS:
        for polynomial in [False, True]:
            for crossover_prob, mutation_prob in [(1.0, None), (0.0, 0.5), (0.9, 0.3)]:
                parents = [
                    trial(i, [round(SOURCE.random(), 2), round(SOURCE.random(), 2)],
                          {k: drawn(d) for k, d in SPACE.items()}, SPACE,
                          [round(SOURCE.uniform(-2, 1), 2)])
                    for i in range(8)
                ]
                tape = Tape()
                strategy = NSGAIIChildGenerationStrategy(
                    mutation=PolynomialMutation() if polynomial else None,
                    mutation_prob=mutation_prob, crossover=CROSSOVERS[name](),
                    crossover_prob=crossover_prob, swapping_prob=0.5, rng=tape,
                )
                study = optuna.create_study(directions=["minimize", "maximize"])
                child = strategy(study, SPACE, parents)
                internal = lambda params: {k: SPACE[k].to_internal_repr(v) for k, v in params.items()}
                rows.append({
                    "crossover": name, "polynomial": polynomial,
                    "crossover_prob": crossover_prob, "mutation_prob": mutation_prob,
                    "parents": [
                        {"values": t.values, "constraints": list(t.constraints.values()),
                         "params": internal(t.params)} for t in parents
                    ],
                    "tape": tape.numbers, "child": internal(child),
                })
    return rows


def main():
    recorded = {
        "space": {name: distribution_to_json(d) for name, d in SPACE.items()},
        "crossovers": crossovers(), "elites": elites(), "niches": niches(),
        "normalised": normalised(), "children": children(),
    }
    lines = [f"{json.dumps(key)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
             if isinstance(rows, list) else f"{json.dumps(key)}: {json.dumps(rows)}"
             for key, rows in recorded.items()]
    (HERE / "genetic.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


optuna.logging.set_verbosity(optuna.logging.ERROR)
main()
