"""Python's genetic samplers on a study that trialbox continues.

`run PATH NAME SAMPLER N` runs trials, `check PATH NAME SAMPLER` says what is wrong with the generations of all.
"""

import sys

import optuna
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)
SAMPLERS = {
    "nsga2": optuna.samplers.NSGAIISampler,
    "nsga3": optuna.samplers.NSGAIIISampler,
}
SIZE = 4


def objective(trial):
    x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    return x, (1 + y) / (0.1 + x)


def check(study, sampler):
    """A trial has its place in the order of generations, and each of its values from a parent.

    NSGA-III chooses among equals at random, so a generation that no Python worker began may have had other parents.
    """
    for trial in study.get_trials(states=[TrialState.COMPLETE]):
        generation = trial.system_attrs.get(sampler._get_generation_key())
        if generation != trial.number // SIZE:
            print(f"trial {trial.number} is of generation {generation}")
        if isinstance(sampler, optuna.samplers.NSGAIIISampler):
            continue
        parents = sampler.get_parent_population(study, trial.number // SIZE)
        for name, value in trial.params.items():
            if parents and value not in [parent.params[name] for parent in parents]:
                print(f"trial {trial.number} has {name} of none of its parents")


role, path, name, word, *rest = sys.argv[1:]
sampler = SAMPLERS[word](population_size=SIZE, mutation_prob=0.0, seed=1)
study = optuna.load_study(
    storage=f"sqlite:///{path}", study_name=name, sampler=sampler
)
if role == "run":
    study.optimize(objective, n_trials=int(rest[0]))
else:
    check(study, sampler)
