"""Not computed here: a script sees one trial of its study."""

from optuna._inert import Inert, missing

_COMMAND = "trialbox study importance"


def get_param_importances(study=None, **_):
    raise missing("optuna.importance", "get_param_importances", _COMMAND)


class FanovaImportanceEvaluator(Inert):
    """Inert: see `trialbox study importance --evaluator fanova`."""


class MeanDecreaseImpurityImportanceEvaluator(Inert):
    """Inert: see `trialbox study importance --evaluator mdi`."""


class PedAnovaImportanceEvaluator(Inert):
    """Inert: see `trialbox study importance`."""


def __getattr__(name):
    raise missing("optuna.importance", name, _COMMAND)
