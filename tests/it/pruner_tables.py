"""What Optuna's pruners decide on random histories, as lines of JSON: one for each history.

    python pruner_tables.py FILE PRUNER HISTORIES
"""

import json
import math
import random
import sys
import warnings

import optuna
from optuna.pruners import (
    HyperbandPruner,
    MedianPruner,
    PatientPruner,
    PercentilePruner,
    SuccessiveHalvingPruner,
    ThresholdPruner,
    WilcoxonPruner,
)
from optuna.trial import TrialState, create_trial

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
warnings.simplefilter("ignore")

INF, NAN = math.inf, math.nan
SPECIAL = [NAN, INF, -INF, 1e308, -1e308, 0.0, -0.0, 5e-324]


# Options, and the pruners that have them


def when(stream):
    options = {
        "n_startup_trials": stream.randint(0, 6),
        "n_warmup_steps": stream.choice([0, 0, 1, 3, 6]),
        "interval_steps": stream.choice([1, 1, 2, 3, 5]),
        "n_min_trials": stream.choice([1, 1, 2, 4]),
    }
    return {name: options[name] for name in options if stream.random() < 0.8}


def percentile(stream):
    found = stream.choice([0.0, 25.0, 50.0, 75, 100.0, stream.uniform(0, 100)])
    return {"percentile": found, **when(stream)}


def halving(stream):
    options = {
        "min_resource": stream.choice(["auto", 1, 1, 2, 3]),
        "reduction_factor": stream.randint(2, 4),
        "min_early_stopping_rate": stream.choice([0, 0, 1, 2]),
    }
    if options["min_resource"] != "auto":
        options["bootstrap_count"] = stream.choice([0, 0, 1, 3])
    return options


def hyperband(stream):
    factor = stream.randint(2, 4)
    around = factor ** stream.randint(0, 7) + stream.choice([-1, 0, 0, 1])
    options = {
        "min_resource": stream.choice([1, 1, 2, 3]),
        "max_resource": stream.choice(["auto", max(around, 1), stream.randint(1, 400)]),
        "reduction_factor": factor,
    }
    if options["max_resource"] != "auto":
        options["bootstrap_count"] = stream.choice([0, 0, 1, 3])
    return options


def threshold(stream):
    lower, upper = sorted([stream.uniform(-3, 1), stream.choice([0.5, 1.5, 2.0, INF])])
    options = {
        "lower": lower,
        "upper": upper,
        "n_warmup_steps": stream.choice([0, 1, 3]),
        "interval_steps": stream.choice([1, 2, 5]),
    }
    left_out = stream.choice(["lower", "upper", "interval_steps", "n_warmup_steps"])
    return {name: options[name] for name in options if name != left_out}


def patient(stream):
    inner = stream.choice([None, *(name for name in PRUNERS if name != "patient")])
    wrapped = inner and {"name": inner, "options": PRUNERS[inner][1](stream)}
    return {
        "wrapped_pruner": wrapped,
        "patience": stream.choice([0, 0, 1, 2, 4]),
        "min_delta": stream.choice([0.0, 0.0, 0.25, 1.0]),
    }


def wilcoxon(stream):
    return {
        "p_threshold": stream.choice([0.1, 0.05, 0.125, 0.25, 0.5, 0.0, 1.0, stream.random()]),
        "n_startup_steps": stream.choice([0, 2, 2, 4, 8]),
    }


PRUNERS = {
    "median": (MedianPruner, when),
    "percentile": (PercentilePruner, percentile),
    "successive-halving": (SuccessiveHalvingPruner, halving),
    "hyperband": (HyperbandPruner, hyperband),
    "threshold": (ThresholdPruner, threshold),
    "patient": (PatientPruner, patient),
    "wilcoxon": (WilcoxonPruner, wilcoxon),
}


def build(name, options):
    if name == "patient":
        wrapped = options["wrapped_pruner"]
        wrapped = wrapped and build(wrapped["name"], wrapped["options"])
        options = {**options, "wrapped_pruner": wrapped}
    return PRUNERS[name][0](**options)


# Histories


class Kind:
    """What the values and steps of one history are like."""

    def __init__(self, stream, is_long):
        self.stream = stream
        self.is_coarse = stream.random() < 0.5
        self.special = stream.choice([0, 0, 0, 0.03, 0.3])
        # How far apart steps are: a resource that is determined automatically is a hundredth of them.
        self.scale = stream.choice([1, 1, 1, 2, 40])
        self.is_long = is_long
        self.n_steps = stream.choice([3, 4, 5, 6, 8, 13, 14, 25, 50, 51]) if is_long else 8
        self.has_constraints = stream.random() < 0.1

    def value(self, shift=0.0):
        if self.stream.random() < self.special:
            return self.stream.choice(SPECIAL)
        # Few different values are often equal.
        value = self.stream.gauss(shift, 1)
        return round(value * 4) / 4 if self.is_coarse else value

    def steps(self):
        """Some are missing, and now and then they come in any order."""
        n, kept = self.stream.randint(0, self.n_steps), self.stream.choice([1.0, 0.7])
        if self.is_long and (self.is_coarse or self.stream.random() < 0.8):
            n, kept = self.n_steps, 1.0
        steps = [self.scale * step for step in range(n) if self.stream.random() < kept]
        if self.stream.random() < 0.1:
            self.stream.shuffle(steps)
        return steps

    def reports(self, shift=0.0):
        return {step: self.value(shift) for step in self.steps()}

    def rungs(self):
        """Consecutive rungs, but for a few gaps; a value may be an integer, as other programs write it."""
        rungs = {}
        for rung in range(self.stream.choice([0, 1, 2, 3, 4])):
            value = self.value()
            if not math.isnan(value) and self.stream.random() < 0.95:
                is_int = self.is_coarse and value == 1.0
                rungs[f"completed_rung_{rung}"] = int(value) if is_int else value
        return rungs

    def trial(self):
        states = [TrialState.COMPLETE] * 5 + [
            TrialState.PRUNED,
            TrialState.FAIL,
            TrialState.RUNNING,
            TrialState.WAITING,
        ]
        state = self.stream.choice(states)
        attrs = self.rungs()
        if self.has_constraints and self.stream.random() < 0.7:
            attrs["constraints:c"] = self.stream.choice([-1.0, 0.0, 0.5, INF])
        value = self.value()
        if math.isnan(value):
            value = 0.0
        return create_trial(
            state=state,
            value=value if state == TrialState.COMPLETE else None,
            intermediate_values=self.reports() if state != TrialState.WAITING else {},
            system_attrs=attrs,
        )


def add(study, kind, n):
    for _ in range(n):
        study.add_trial(kind.trial())


def begin(study, kind):
    """A trial that asks; some begin with what a lost one had reached."""
    trial = study.ask()
    if kind.stream.random() < 0.1:
        for key, value in kind.rungs().items():
            study._storage.set_trial_system_attr(trial._trial_id, key, value)
    return trial


def history(name, number, stream):
    options = PRUNERS[name][1](stream)
    is_long = name == "wilcoxon" or "wilcoxon" in json.dumps(options)
    kind = Kind(stream, is_long)
    study = optuna.create_study(
        study_name=stream.choice(["s", "häufig", f"study {number}"]),
        direction=stream.choice(["minimize", "maximize"]),
        pruner=build(name, options),
    )
    n_before = stream.choice([0, 2, 6, 10, 14])
    add(study, kind, n_before)
    while study.get_trials(deepcopy=False, states=[TrialState.WAITING]):
        # Otherwise it would be taken by the trial that asks.
        study.tell(study.ask(), state=TrialState.FAIL)
    trial = begin(study, kind)
    add(study, kind, stream.choice([0, 2, 5]))
    others = [other(found) for found in study.trials if found.number != trial.number]
    attrs = system_attrs(study, trial)
    return {
        "options": options,
        "study": study.study_name,
        "direction": study.direction.name,
        "others": others,
        "number": trial.number,
        "system_attrs": attrs,
        "reports": list(reports(study, trial, kind)),
    }


def reports(study, trial, kind):
    """Each report, whether the trial was pruned, if it asked, and what it then had left."""
    values = kind.reports(kind.stream.choice([-1.0, -0.5, 0.0, 0.5, 1.0]))
    asks = 4 / max(len(values), 1) if kind.is_long else 0.7
    # Before anything is reported, too.
    yield [None, None, bool(trial.should_prune()), system_attrs(study, trial)]
    for n, (step, value) in enumerate(values.items(), start=1):
        trial.report(value, step)
        # Equal differences in this number are tested over up to 8192 permutations, which takes SciPy seconds.
        is_slow = kind.is_long and kind.is_coarse and 6 < n < 14
        is_asked = not is_slow and kind.stream.random() < asks
        asked = bool(trial.should_prune()) if is_asked else None
        yield [step, value, asked, system_attrs(study, trial)]


def system_attrs(study, trial):
    return dict(study._storage.get_trial_system_attrs(trial._trial_id))


def other(trial):
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values or [],
        "intermediate_values": list(trial.intermediate_values.items()),
        "system_attrs": trial.system_attrs,
    }


path, name, n = sys.argv[1:]
stream = random.Random(f"{name} 1")
with open(path, "w", encoding="utf-8") as file:
    for number in range(int(n)):
        print(json.dumps(history(name, number, stream)), file=file)
