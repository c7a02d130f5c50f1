"""A study whose `optimize` runs one trial of trialbox and ends the script."""

import enum
import os
import sys
import threading

from optuna import _watch
from optuna._inert import Inert, missing, tell_once
from optuna.exceptions import TrialPruned
from optuna.trial import Trial, TrialState
from trialbox._channel import OtherProcess
from trialbox._objective import HIDDEN_FOLDERS, floats, run_trial
from trialbox import _trial

HIDDEN_FOLDERS.append(os.path.dirname(os.path.abspath(__file__)))

_ONE_TRIAL = (
    "expected the end of the trial before another `optimize` or `ask`: trialbox runs one trial in each start of the script"
)


class StudyDirection(enum.IntEnum):
    """The directions of an objective's value."""

    NOT_SET = 0
    MINIMIZE = 1
    MAXIMIZE = 2


class MaxTrialsCallback(Inert):
    """Inert: see `trialbox run --max-trials`."""


class StudySummary:
    """The description of a study. The stand-in lists no studies, so it never makes one."""


class Study:
    """A study of the script's. Its trials are in the database of `trialbox run --storage`."""

    def __init__(self, study_name, directions, sampler, is_created=True):
        self.study_name, self.is_created = study_name, is_created
        self.directions = [_direction(direction) for direction in directions]
        self.sampler, self.pruner = sampler or Inert(), Inert()
        self.user_attrs, self.system_attrs, self.metric_names = {}, {}, None

    @property
    def direction(self):
        return self.directions[0]

    def set_user_attr(self, key, value):
        self.user_attrs[key] = value

    def set_system_attr(self, key, value):
        self.system_attrs[key] = value

    def set_metric_names(self, names):
        self.metric_names = list(names)

    def enqueue_trial(self, params, *args, **kwargs):
        tell_once("`study.enqueue_trial` has no effect here; use `trialbox trial enqueue`")

    def add_trial(self, trial):
        tell_once("`study.add_trial` has no effect here; use `trialbox study import`")

    def add_trials(self, trials):
        self.add_trial(None)

    def stop(self):
        tell_once("`study.stop` has no effect here; use `trialbox study stop`")

    def optimize(self, func, n_trials=None, timeout=None, n_jobs=1, catch=(), callbacks=None, **_):
        """Runs the trial of trialbox, and ends the script."""
        if callbacks:
            tell_once("the callbacks of `study.optimize` are not called here")
        channel = self._take()
        _end(self.run_in(channel, func))

    def ask(self, fixed_distributions=None):
        """Returns the trial of trialbox. The script ends when its result is told."""
        channel = self._take()
        try:
            trial = Trial(channel, self)
            self._follow_directions(trial.directions)
        except OtherProcess as other:
            print(f"trialbox: {other}", file=sys.stderr)
            _end(0)
        for name, distribution in (fixed_distributions or {}).items():
            trial._suggest(name, distribution)
        return trial

    def tell(self, trial, values=None, state=None, skip_if_finished=False):
        """Sends the result of the trial, and ends the script."""
        channel = _watch.channel_of_trial()
        if state == TrialState.PRUNED:
            channel.finish("pruned")
        elif state == TrialState.FAIL or values is None:
            channel.finish("fail", message="the script told the state FAIL")
            _end(1)
        else:
            self._record_constraints(trial)
            channel.finish("complete", values=floats(values))
        _end(0)

    def _take(self):
        """Returns the channel of the trial, once in a process. A script that is asked for its study only ends here."""
        channel = _watch.channel_of_trial()
        if os.environ.get("TRIALBOX_ASKS") == "study":
            if self.is_created:
                channel.call("study", directions=self._own_directions(), metric_names=self.metric_names or [])
            _end(0)
        if not _watch.take():
            if not channel.has_result and _watch.is_asked():
                raise RuntimeError(_ONE_TRIAL)
            tell_once("the script's trial has run or runs already; a later `optimize` or `ask` has no effect")
            # In another thread it ends that thread alone.
            sys.exit(0)
        return channel

    def run_in(self, channel, func):
        """Runs the trial of a channel, sends its result and returns the exit status."""
        return run_trial(channel, lambda: self._evaluate(func, channel), (TrialPruned, _trial.TrialPruned))

    def _evaluate(self, func, channel):
        trial = Trial(channel, self)
        self._follow_directions(trial.directions)
        values = func(trial)
        self._record_constraints(trial)
        return values

    def _record_constraints(self, trial):
        constraints = vars(self.sampler).get("kwargs", {}).get("constraints_func")
        if constraints is not None:
            for index, value in enumerate(constraints(trial)):
                trial.set_constraint(str(index), value)

    def _own_directions(self):
        return [direction.name.lower() for direction in self.directions]

    def _follow_directions(self, of_trialbox):
        """Checks the directions of a study that the script creates; one that it loads has those of trialbox."""
        own = self._own_directions()
        if self.is_created and own != of_trialbox:
            flags = " ".join(f"--direction {direction}" for direction in own)
            raise ValueError(
                f"expected the directions {', '.join(own)} of the script's study, found {', '.join(of_trialbox)} in the "
                f"study of trialbox; start a new study with: trialbox run --as-optuna {flags}"
            )
        self.directions = [_direction(direction) for direction in of_trialbox]

    def __getattr__(self, name):
        raise missing("study", name, _INSTEAD.get(name))


# The commands that have what the stand-in does not.
_INSTEAD = {
    "trials": "trialbox study trials",
    "get_trials": "trialbox study trials",
    "trials_dataframe": "trialbox study export",
    "best_trial": "trialbox study best",
    "best_trials": "trialbox study best",
    "best_params": "trialbox study best",
    "best_value": "trialbox study best",
}


def create_study(
    *,
    storage=None,
    sampler=None,
    pruner=None,
    study_name=None,
    direction=None,
    load_if_exists=False,
    directions=None,
):
    """Returns a study. What decides in Optuna, storage, sampler and pruner, decides in `trialbox run` here."""
    _tell_of_inert(storage, sampler, pruner)
    return Study(study_name, directions or [direction or "minimize"], sampler)


def load_study(*, study_name=None, storage=None, sampler=None, pruner=None):
    """Returns a study, see `create_study`. Its directions are those of the study of trialbox."""
    _tell_of_inert(storage, sampler, pruner)
    return Study(study_name, ["minimize"], sampler, is_created=False)


def _tell_of_inert(*given):
    if any(item is not None for item in given):
        tell_once("the script's storage, sampler and pruner are not used; those of `trialbox run` are")


def get_all_study_names(storage=None):
    """Returns no names: a script then creates its study, which is that of trialbox."""
    tell_once("`optuna.get_all_study_names` finds no study here; `trialbox study list` shows them")
    return []


def get_all_study_summaries(storage=None, include_best_trial=True):
    """Returns no summaries, see `get_all_study_names`."""
    tell_once("`optuna.get_all_study_summaries` finds no study here; `trialbox study list` shows them")
    return []


def copy_study(**_):
    raise missing("optuna", "copy_study", "trialbox study copy")


def delete_study(**_):
    raise missing("optuna", "delete_study", "trialbox study delete")


def _end(status):
    """Ends the script. In another thread than the main one an exception would end that thread alone."""
    if threading.current_thread() is threading.main_thread():
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _direction(direction):
    if isinstance(direction, StudyDirection):
        return direction
    return StudyDirection[str(direction).upper()]


# `optuna-integration` imports the type of an objective from a module below this one.
ObjectiveFuncType = object
sys.modules[f"{__name__}.study"] = sys.modules[__name__]
