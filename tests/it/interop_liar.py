"""A Python worker beside those of trialbox, which holds its trials while others ask.

`history PATH NAME` fills a study with finished trials. `worker PATH NAME SEED LIAR` reads commands, a line each, and
answers each with a line: `ask` prints a new trial, `fail NUMBER…` ends trials.
"""

import json
import random
import sys

import optuna
from optuna.trial import TrialState, create_trial

optuna.logging.set_verbosity(optuna.logging.ERROR)

N_TRIALS = 30
UNIT = optuna.distributions.FloatDistribution(0.0, 1.0)


def fill(study):
    stream = random.Random(1)
    for _ in range(N_TRIALS):
        x, y = stream.random(), stream.random()
        value = (x - 0.4) ** 2 + (y - 0.6) ** 2
        params, distributions = {"x": x, "y": y}, {"x": UNIT, "y": UNIT}
        study.add_trial(
            create_trial(params=params, distributions=distributions, value=value)
        )


def ask(study, is_liar):
    trial = study.ask()
    # The first parameter draws both; the other stays known from the joint draw alone.
    params = {"x": trial.suggest_float("x", 0.0, 1.0)}
    if not is_liar:
        params["y"] = trial.suggest_float("y", 0.0, 1.0)
    attrs = study._storage.get_trial_system_attrs(trial._trial_id)
    shared = attrs.get("tpe:relative_params:0")
    return {"number": trial.number, "params": params, "shared": shared}


def work(study, is_liar):
    for line in sys.stdin:
        verb, *numbers = line.split()
        for number in numbers:
            study.tell(int(number), state=TrialState.FAIL)
        answer = ask(study, is_liar) if verb == "ask" else None
        print(json.dumps(answer), flush=True)


role, path, name, *rest = sys.argv[1:]
# Told explicitly, though true is the default of Optuna 5.
is_liar = rest[1:] != ["false"]
sampler = optuna.samplers.TPESampler(
    seed=int(rest[0]) if rest else None, constant_liar=is_liar
)
study = optuna.load_study(
    storage=f"sqlite:///{path}", study_name=name, sampler=sampler
)
if role == "history":
    fill(study)
else:
    work(study, is_liar)
