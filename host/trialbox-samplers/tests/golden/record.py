"""Records what Optuna's TPE computes and draws: `tpe.json`, `histories.json` and `draws.bin`.

    python3 record.py numbers     golden numbers: densities, splits, truncated normals, subset selection
    python3 record.py draws       5,000 suggestions on each history of histories.py; a few minutes

with Optuna 5.0.0. The draws are numbers in 0..65535, little-endian, row after row in the order of
`histories.json`: a choice's index, a grid point's index, or the place in the (log) range in 65,535ths.
"""

import functools
import json
import math
import multiprocessing
import pathlib
import sys
import warnings

import numpy as np
import optuna
from optuna._hypervolume.hssp import _solve_hssp
from optuna._hypervolume.wfg import compute_hypervolume
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.distributions import distribution_to_json
from optuna.samplers._tpe import _truncnorm
from optuna.samplers._tpe import sampler as tpe
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.study import StudyDirection
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState

import histories

HERE = pathlib.Path(__file__).parent
N_DRAWS = 5000
STATES = {state.name: state for state in TrialState}


def study_of(directions, trials):
    """A study in memory with these trials, RUNNING ones included."""
    words = [StudyDirection.MINIMIZE if d > 0 else StudyDirection.MAXIMIZE for d in directions]
    study = optuna.create_study(directions=words)
    for number, t in enumerate(trials):
        attrs = {f"constraints:{k}": v for k, v in t.get("constraints", {}).items()}
        if "relative_params" in t:
            attrs["tpe:relative_params:0"] = json.dumps(t["relative_params"])
        state = STATES[t["state"]]
        template = FrozenTrial(
            number=number,
            trial_id=number,
            state=state,
            value=None,
            values=t["values"],
            datetime_start=None,
            datetime_complete=None,
            params={k: t["distributions"][k].to_external_repr(v) for k, v in t["params"].items()},
            distributions=t["distributions"],
            user_attrs={},
            system_attrs=attrs,
            intermediate_values=t.get("intermediate_values", {}),
        )
        study._storage.create_new_trial(study._study_id, template_trial=template)
    return study


class BatchedTPESampler(optuna.samplers.TPESampler):
    """Optuna's sampler, for many suggestions on one history: the estimators, which are the same every time,
    are built once, and the candidates of 500 suggestions are drawn and compared in one go."""

    BATCH = 500

    def __init__(self, **options):
        super().__init__(**options)
        self._batches = {}

    def _sample(self, study, trial, search_space):
        batch = self._batches.setdefault(tuple(search_space), [])
        if not batch:
            batch.extend(self._sample_batch(study, trial, search_space))
        return batch.pop()

    def _sample_batch(self, study, trial, search_space):
        built = []
        original = self._build_parzen_estimator
        if (key := ("built", *search_space)) not in self._batches:
            # The one call through Optuna's own `_sample` builds the estimators as it does.
            self._build_parzen_estimator = lambda *args, **more: built.append(original(*args, **more)) or built[-1]
            super()._sample(study, trial, search_space)
            self._build_parzen_estimator = original
            self._batches[key] = built
        below, above = self._batches[key]
        n = self._n_ei_candidates
        samples = below.sample(self._rng.rng, self.BATCH * n)
        gains = self._compute_acquisition_func(samples, below, above)
        for i in range(self.BATCH):
            part = slice(i * n, (i + 1) * n)
            best = self._compare({k: v[part] for k, v in samples.items()}, gains[part])
            yield {k: search_space[k].to_external_repr(v) for k, v in best.items()}


def suggest(sampler, study, trial, asked):
    """Internal values, as `Trial.suggest_*` finds them for a trial that has nothing yet."""
    space = sampler.infer_relative_search_space(study, trial)
    relative = sampler.sample_relative(study, trial, space)
    values = []
    for name, distribution in asked.items():
        if name in relative:
            internal = distribution.to_internal_repr(relative[name])
            if distribution._contains(internal):
                values.append(internal)
                continue
        value = sampler.sample_independent(study, trial, name, distribution)
        values.append(distribution.to_internal_repr(value))
    return values


def quantise(value, distribution):
    if isinstance(distribution, CategoricalDistribution):
        return int(value)
    low, high, step = distribution.low, distribution.high, distribution.step
    if step and (high - low) / step <= 1000:
        return round((value - low) / step)
    if distribution.log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return round((value - low) / (high - low) * 65535)


def record_draws():
    recorded = [history_json(*history) for history in histories.make()]
    lines = ",\n".join(json.dumps(history) for history in recorded)
    (HERE / "histories.json").write_text(f"[\n{lines}\n]\n")
    with multiprocessing.Pool(3, initializer=set_up) as pool:
        draws = []
        for index, drawn in enumerate(pool.imap(draws_of, range(len(recorded)))):
            draws.append(drawn)
            print(f"{index + 1} of {len(recorded)}: {recorded[index]['name']}", file=sys.stderr, flush=True)
    (HERE / "draws.bin").write_bytes(b"".join(draws))


def draws_of(index):
    """The draws on one history, as bytes."""
    _, options, directions, trials, asked = list(histories.make())[index]
    study = study_of(directions, trials)
    current = study._storage.get_trial(study._storage.create_new_trial(study._study_id))
    sampler = BatchedTPESampler(seed=1000 + index, **options)
    rows = (suggest(sampler, study, current, asked) for _ in range(N_DRAWS))
    numbers = [quantise(v, d) for row in rows for v, d in zip(row, asked.values())]
    return np.array(numbers, dtype="<u2").tobytes()


def set_up():
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    np.seterr(all="ignore")
    # Of trials with equal values, which one is the left neighbour, and so has which width, NumPy's default
    # sort leaves open: it depends on the processor. To us it is the older one.
    np.argsort = functools.partial(np.argsort, kind="stable")


def history_json(name, options, directions, trials, asked):
    texts = []

    def index_of(distribution):
        text = distribution_to_json(distribution)
        if text not in texts:
            texts.append(text)
        return texts.index(text)

    rows = []
    for t in trials:
        row = {"state": t["state"], "values": t["values"] or []}
        row["params"] = [[k, index_of(t["distributions"][k]), v] for k, v in t["params"].items()]
        if "intermediate_values" in t:
            row["intermediate_values"] = list(t["intermediate_values"].items())
        if "constraints" in t:
            row["constraints"] = t["constraints"]
        if "relative_params" in t:
            row["relative_params"] = json.dumps(t["relative_params"])
        rows.append(row)
    asked = [[k, index_of(d)] for k, d in asked.items()]
    return {
        "name": name,
        "options": options,
        "directions": list(directions),
        "asked": asked,
        "distributions": texts,
        "trials": rows,
    }


def density(space, observations, weights=None, queries=None, **options):
    parameters = _ParzenEstimatorParameters(
        prior_weight=options.get("prior_weight", 1.0),
        consider_magic_clip=options.get("consider_magic_clip", True),
        consider_endpoints=options.get("consider_endpoints", False),
        weights=tpe.default_weights,
        multivariate=True,
    )
    arrays = {k: np.array(v, dtype=float) for k, v in observations.items()}
    estimator = _ParzenEstimator(arrays, space, parameters, weights)
    mixture = estimator._mixture_distribution
    kernels = []
    for d in mixture.distributions:
        if hasattr(d, "mu"):
            kernels.append({"mu": d.mu.tolist(), "sigma": d.sigma.tolist()})
        else:
            kernels.append({"weights": d.weights.tolist()})
    queries = {k: np.array(v, dtype=float) for k, v in queries.items()}
    return {
        "distributions": [[k, distribution_to_json(d)] for k, d in space.items()],
        "options": options,
        "observations": observations,
        "even_weights": weights is not None,
        "weights": mixture.weights.tolist(),
        "kernels": kernels,
        "queries": {k: v.tolist() for k, v in queries.items()},
        "log_pdf": estimator.log_pdf(queries).tolist(),
    }


def densities():
    rng = np.random.RandomState(0)
    unit = {"x": FloatDistribution(0.0, 1.0)}
    query = [0.0, 0.2, 0.43, 0.9, 1.0]
    yield density(unit, {"x": [0.1, 0.45, 0.4]}, queries={"x": query})
    yield density(unit, {"x": [0.3]}, queries={"x": query})
    yield density(unit, {"x": []}, queries={"x": query})
    yield density(unit, {"x": [0.5, 0.5, 0.5]}, queries={"x": query})
    yield density(unit, {"x": [0.1, 0.4]}, np.ones(2), queries={"x": query})
    yield density(unit, {"x": [-3.0, 0.5, 7.0]}, queries={"x": query})
    yield density({"x": FloatDistribution(1e-5, 0.1, log=True)}, {"x": [1e-4, 1e-2]}, queries={"x": [1e-5, 1e-3, 0.1]})
    yield density({"x": FloatDistribution(0.0, 1.0, step=0.2)}, {"x": [0.2, 0.8]}, queries={"x": [0.0, 0.4, 0.8]})
    yield density({"x": IntDistribution(1, 10)}, {"x": [2, 2, 7]}, queries={"x": [1, 2, 10]})
    yield density({"x": IntDistribution(1, 100, log=True)}, {"x": [2, 64]}, queries={"x": [1, 2, 100]})
    yield density({"x": IntDistribution(0, 1_000_000)}, {"x": [2, 2, 7, 900_000]}, queries={"x": [0, 2, 5, 1000, 999_999]})
    kind = CategoricalDistribution(("a", "b", "c"))
    yield density({"x": kind}, {"x": [0, 2, 2]}, queries={"x": [0, 1, 2]})
    yield density({"x": kind}, {"x": []}, queries={"x": [0, 1, 2]})
    yield density({"x": FloatDistribution(0.0, 1.0), "c": kind}, {"x": [0.1, 0.7], "c": [1, 0]}, queries={"x": [0.2, 0.2], "c": [0, 1]})
    for n, options in [(40, {}), (40, {"prior_weight": 0.5, "consider_endpoints": True}), (300, {}), (150, {"consider_magic_clip": False})]:
        space = histories.MIXED
        values = lambda n: {k: [histories.draw(R(rng), d) for _ in range(n)] for k, d in space.items()}
        yield density(space, values(n), queries=values(20), **options)


class R:
    """NumPy's generator with the methods of Python's that `histories.draw` calls."""

    def __init__(self, rng):
        self.randrange = lambda n: int(rng.randint(n))
        self.randint = lambda a, b: int(rng.randint(a, b + 1))
        self.uniform = lambda a, b: float(rng.uniform(a, b))


def splits():
    for index, (name, _, directions, trials, _) in enumerate(histories.make()):
        study = study_of(directions, trials)
        n_finished = sum(t["state"] != "RUNNING" for t in trials)
        for n_below in sorted({0, 1, 2, 5, n_finished // 3, n_finished - 1, n_finished}):
            below, above = tpe._split_trials(study, study.trials, n_below)
            yield {
                "history": index,
                "n_below": n_below,
                "below": [t.number for t in below],
                "above": [t.number for t in above],
            }


def selections():
    # Points of which none dominates another, as the points of one rank are: on a sphere.
    rng = np.random.RandomState(1)
    for n, m, k in [(12, 2, 5), (12, 2, 1), (30, 2, 12), (12, 3, 5), (25, 3, 10), (12, 4, 5), (15, 5, 6), (8, 2, 8)]:
        for kind in ("even", "duplicates", "negative", "infinite", "minus infinite"):
            points = rng.rand(n, m)
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            if kind == "duplicates":
                points[n // 2 :] = points[: n - n // 2]
            elif kind == "negative":
                points -= 2.0
            elif kind == "infinite":
                points[0] = [np.inf] + [0.0] * (m - 1)
            elif kind == "minus infinite":
                points[0] = [-np.inf] + [1.0] * (m - 1)
            reference = tpe._get_reference_point(points)
            chosen = _solve_hssp(points, np.arange(n), k, reference)
            yield {
                "points": points.tolist(),
                "k": k,
                "reference": reference.tolist(),
                "chosen": [int(i) for i in chosen],
            }


def volumes():
    rng = np.random.RandomState(2)
    for n, m in [(1, 2), (2, 3), (10, 2), (10, 3), (10, 4), (8, 5), (20, 3)]:
        points, reference = rng.rand(n, m), np.full(m, 1.1)
        yield {
            "points": points.tolist(),
            "reference": reference.tolist(),
            "volume": float(compute_hypervolume(points, reference)),
        }


def ranks():
    rng = np.random.RandomState(3)
    for n, m, n_below in [(20, 2, 20), (20, 2, 5), (30, 3, 10), (20, 4, 20), (20, 2, 1)]:
        for rounded in (False, True):
            points = rng.rand(n, m)
            points = np.round(points * 3) if rounded else points
            found = _fast_non_domination_rank(points, n_below=n_below)
            yield {"points": points.tolist(), "n_below": n_below, "ranks": found.tolist()}


def transforms():
    ranges = [
        FloatDistribution(0, 1, step=0.25),
        IntDistribution(0, 9, step=3),
        IntDistribution(1, 8, log=True),
        FloatDistribution(1e-3, 1, log=True),
        FloatDistribution(-5, 10),
    ]
    for distribution in ranges:
        transform = _SearchSpaceTransform({"x": distribution})
        (low, high), = transform.bounds.tolist()
        for share in np.linspace(0, 1, 41):
            x = low + share * (high - low)
            value = transform.untransform(np.array([x]))["x"]
            yield {"distribution": distribution_to_json(distribution), "bounds": [low, high], "x": x, "value": value}


def record_numbers():
    quantiles = [0.0, 1e-12, 1e-3, 0.1, 0.5, 0.9, 0.999, 1.0]
    intervals = [(-1, 2), (0.5, 3), (-8, -5), (5, 9), (-30, -29), (-40, -39), (29, 30), (0, 0.1), (-1e-3, 1e-3), (-0.3, 40), (-100, 0.2), (-12, 12)]
    ends = np.array(intervals, dtype=float)
    ppf = [[a, b, q, float(_truncnorm.ppf(np.array([q]), np.array([a]), np.array([b]))[0])] for a, b in ends for q in quantiles]
    mass = [[a, b, float(_truncnorm._log_gauss_mass(np.array([a]), np.array([b]))[0])] for a, b in ends]
    golden = {
        "truncnorm_ppf": ppf,
        "log_gauss_mass": mass,
        "default_weights": {str(n): tpe.default_weights(n).tolist() for n in (0, 1, 24, 25, 26, 30, 60)},
        "gamma": {str(n): [tpe.default_gamma(n), tpe.default_gamma_multiobjective(n)] for n in (0, 1, 9, 10, 11, 30, 70, 100, 250, 251, 300, 1000)},
        "transforms": list(transforms()),
        "densities": list(densities()),
        "splits": list(splits()),
        "selections": list(selections()),
        "volumes": list(volumes()),
        "ranks": list(ranks()),
    }
    lines = []
    for key, value in golden.items():
        rows = value if isinstance(value, list) else [value]
        rows = ",\n".join(json.dumps(row) for row in rows)
        lines.append(f"{json.dumps(key)}: [\n{rows}\n]")
    (HERE / "tpe.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    set_up()
    {"numbers": record_numbers, "draws": record_draws}[sys.argv[1]]()
