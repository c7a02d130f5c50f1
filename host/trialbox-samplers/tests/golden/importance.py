"""Records the importances that Optuna computes for the histories of `histories.py`: `importance.json`.

    python3 importance.py

with Optuna 5.0.0 and scikit-learn; some minutes. PED-ANOVA is a function of the history, so its numbers are
exact, before they are normalised. fANOVA and MDI depend on a forest's seed, so what is recorded is the mean and
the standard deviation over 20 seeds, normalised.
"""

import json
import math
import pathlib
import statistics
import warnings

import optuna
from optuna import importance

import histories
from record import study_of

HERE = pathlib.Path(__file__).parent
N_SEEDS = 20
FORESTS = [
    # history, objective
    ("log", 0),
    ("int", 0),
    ("categorical", 0),
    ("mixed", 0),
    ("conditional", 0),
    ("two objectives", 1),
]


def loss_of(study, objective):
    sign = 1.0 if study.directions[objective] == optuna.study.StudyDirection.MINIMIZE else -1.0
    return lambda trial: sign * trial.values[objective]


def ped_anova(index, study):
    """For all objectives together, and for each."""
    n_objectives = len(study.directions)
    for objective in [None, *(range(n_objectives) if n_objectives > 1 else [])]:
        target = None if objective is None else loss_of(study, objective)
        raw = importance.get_param_importances(study, target=target, normalize=False)
        yield {"history": index, "objective": objective, "importances": raw}


def forest(index, study, objective, evaluator):
    runs = [
        importance.get_param_importances(
            study, evaluator=evaluator(seed=seed), target=loss_of(study, objective)
        )
        for seed in range(N_SEEDS)
    ]
    columns = {name: [run[name] for run in runs] for name in sorted(runs[0])}
    return {
        "history": index,
        "objective": objective,
        "mean": {name: statistics.mean(column) for name, column in columns.items()},
        "sd": {name: statistics.stdev(column) for name, column in columns.items()},
    }


def n_assessable(study):
    complete = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    return sum(all(math.isfinite(value) for value in trial.values) for trial in complete)


def main():
    golden = {"n_seeds": N_SEEDS, "ped_anova": [], "fanova": [], "mdi": []}
    for index, (name, _, directions, trials, _) in enumerate(histories.make()):
        study = study_of(directions, trials)
        if n_assessable(study) >= 2:
            golden["ped_anova"].extend(ped_anova(index, study))
        for _, objective in filter(lambda it: it[0] == name, FORESTS):
            fanova = importance.FanovaImportanceEvaluator
            mdi = importance.MeanDecreaseImpurityImportanceEvaluator
            golden["fanova"].append(forest(index, study, objective, fanova))
            golden["mdi"].append(forest(index, study, objective, mdi))
    lines = [f"{json.dumps(key)}: {lines_of(value)}" for key, value in golden.items()]
    (HERE / "importance.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def lines_of(value):
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n]"


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    main()
