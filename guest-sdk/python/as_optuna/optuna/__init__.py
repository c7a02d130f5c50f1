"""A stand-in for Optuna, for scripts that `trialbox run --as-optuna` runs unchanged.

`create_study` and `load_study` return a study whose `optimize` runs the trial of trialbox and ends the script.
Samplers, pruners and storages of the script are inert: trialbox has its own. What this module does not offer is an
AttributeError that says so.
"""

import importlib

# Scripts and `optuna-integration` use these without importing them.
from optuna import _deprecated, _experimental, _imports  # noqa: F401
from optuna import artifacts, distributions, exceptions, importance, logging, pruners, samplers, search_space
from optuna import storages, study, terminator, trial, visualization
from optuna._inert import missing
from optuna.exceptions import TrialPruned
from optuna.study import Study, copy_study, create_study, delete_study, get_all_study_names, get_all_study_summaries
from optuna.study import load_study
from optuna.trial import Trial, create_trial

__version__ = "5.0.0"

__all__ = [
    "Study",
    "Trial",
    "TrialPruned",
    "artifacts",
    "copy_study",
    "create_study",
    "create_trial",
    "delete_study",
    "distributions",
    "exceptions",
    "get_all_study_names",
    "get_all_study_summaries",
    "importance",
    "load_study",
    "logging",
    "pruners",
    "samplers",
    "search_space",
    "storages",
    "study",
    "terminator",
    "trial",
    "visualization",
]


def __getattr__(name):
    if name == "integration":
        return importlib.import_module("optuna.integration")
    raise missing("optuna", name)
