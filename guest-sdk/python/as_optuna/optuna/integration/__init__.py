"""The classes of the package `optuna-integration`, over the stand-in.

Callbacks that prune, `TorchDistributedTrial` and `OptunaSearchCV` report to the trial of trialbox. What runs trials of
its own is refused. Without the package there is an `OptunaSearchCV` of the stand-in's own.
"""

import importlib

from optuna._inert import Inert, missing
from optuna.integration._search import OptunaSearchCV as _OwnSearchCV

_PACKAGE = "optuna_integration"

_ABSENT = "expected the package `optuna-integration` for `optuna.integration`, found none; install it with: pip install optuna-integration"

_OWN_LOOPS = ("DaskStorage", "LightGBMTuner", "LightGBMTunerCV")

_INERT = ("BoTorchSampler", "CmaEsSampler", "PyCmaSampler", "SkoptSampler")

try:
    _package = importlib.import_module(_PACKAGE)
except ModuleNotFoundError as error:
    if error.name != _PACKAGE:
        raise
    _package = None
else:
    # `import optuna.integration.NAME` finds the modules of the package behind those that are refused here.
    __path__ += list(_package.__path__)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _INERT:
        return type(name, (Inert,), {"__module__": __name__})
    if name in _OWN_LOOPS:
        raise missing("optuna.integration", name)
    if _package is not None:
        return getattr(_package, name)
    if name == "OptunaSearchCV":
        return _OwnSearchCV
    # An AttributeError would lose its text where a script imports the name.
    raise ImportError(_ABSENT)
