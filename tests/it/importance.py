"""Optuna's importances of a study, as one line of JSON: PED-ANOVA, for all objectives and for each."""

import json
import sys
import warnings

import optuna
from optuna.importance import get_param_importances

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def loss_of(study, objective):
    sign = 1.0 if study.directions[objective] == optuna.study.StudyDirection.MINIMIZE else -1.0
    return lambda trial: sign * trial.values[objective]


def importances(path, name, params):
    study = optuna.load_study(storage=f"sqlite:///{path}", study_name=name)
    params = params.split(",") if params else None
    n_objectives = len(study.directions)
    each = [
        get_param_importances(study, params=params, target=loss_of(study, objective))
        for objective in range(n_objectives)
    ]
    raw = get_param_importances(study, params=params, normalize=False)
    return {"all": get_param_importances(study, params=params), "raw": raw, "each": each}


print(json.dumps(importances(*sys.argv[1:])))
