"""Optuna's side of `cargo xtask bench samplers`, `bench suggest` and `bench pruning`.

Reads requests from standard input, one JSON object a line, and answers each with one line. The problems live
on the other side of the pipe, so both sides meet the same ones.
"""

import json
import sys
import time
import warnings

import optuna
from optuna.distributions import json_to_distribution

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

SAMPLERS = {
    "tpe": optuna.samplers.TPESampler,
    "random": optuna.samplers.RandomSampler,
    "qmc": lambda **options: optuna.samplers.QMCSampler(
        warn_independent_sampling=False, warn_asynchronous_seeding=False, **options
    ),
    "cmaes": lambda **options: optuna.samplers.CmaEsSampler(
        warn_independent_sampling=False, **options
    ),
    "nsga2": optuna.samplers.NSGAIISampler,
    "nsga3": optuna.samplers.NSGAIIISampler,
}

PRUNERS = {
    "nop": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "asha": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
}


class Side:
    """One study at a time, in memory."""

    def begin(self, request):
        name = request["begin"]
        if name not in SAMPLERS:
            sys.exit(f"unknown sampler optuna-{name}: expected one of {', '.join(SAMPLERS)}")
        self.study = optuna.create_study(
            directions=[request.get("direction", "minimize")] * request["n_objectives"],
            pruner=PRUNERS[request.get("pruner", "nop")](),
            sampler=SAMPLERS[name](seed=request["seed"], **request.get("options", {})),
        )
        self.params = [
            (param["name"], json_to_distribution(param["distribution"]), param["condition"])
            for param in request["params"]
        ]
        self.running = {}
        return None

    def ask(self):
        trial = self.study.ask()
        found = {}
        for name, distribution, condition in self.params:
            if condition is None or found.get(condition["parent"]) in condition["values"]:
                found[name] = trial._suggest(name, distribution)
        self.running[trial.number] = trial
        return found

    def tell(self, request):
        trial = self.running.pop(request["tell"])
        for index, value in enumerate(request["constraints"]):
            trial.set_constraint(str(index), value)
        if "prune" in request:
            self.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            self.study.tell(trial, request["values"])
        return None

    def report(self, request):
        trial = self.running[request["report"]]
        trial.report(request["value"], request["step"])
        return bool(trial.should_prune())

    def add(self, request):
        distributions = {name: distribution for name, distribution, _ in self.params}
        self.study.add_trials([
            optuna.trial.create_trial(params=params, distributions=distributions, value=value)
            for params, value in request["add"]
        ])
        return None

    def time(self, request):
        """CPU seconds of each of some suggestions; the trials that asked end as FAIL."""
        taken = []
        for _ in range(request["time"]):
            started = time.process_time()
            self.ask()
            taken.append(time.process_time() - started)
            for trial in self.running.values():
                self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            self.running.clear()
        return taken


def main():
    side = Side()
    for line in sys.stdin:
        request = json.loads(line)
        if "begin" in request:
            answer = side.begin(request)
        elif "ask" in request:
            answer = side.ask()
        elif "report" in request:
            answer = side.report(request)
        elif "tell" in request:
            answer = side.tell(request)
        elif "add" in request:
            answer = side.add(request)
        elif "time" in request:
            answer = side.time(request)
        print(json.dumps(answer), flush=True)


main()
