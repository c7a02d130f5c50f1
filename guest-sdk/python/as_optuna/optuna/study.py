"""A study whose `optimize` runs one trial of trialbox and ends the script."""

import atexit
import enum
import os
import sys

from optuna._inert import Inert, missing, tell_once
from optuna.exceptions import TrialPruned
from optuna.trial import Trial
from trialbox._channel import channel_of_environment
from trialbox._objective import HIDDEN_FOLDERS, run_trial, send_failure
from trialbox import _trial

HIDDEN_FOLDERS.append(os.path.dirname(os.path.abspath(__file__)))

_NOT_REACHED = "the script ended without a call of `study.optimize`"


class StudyDirection(enum.IntEnum):
    """The directions of an objective's value."""

    NOT_SET = 0
    MINIMIZE = 1
    MAXIMIZE = 2


class MaxTrialsCallback(Inert):
    """Inert: see `trialbox run --max-trials`."""


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

    @property
    def trials(self):
        return self.get_trials()

    def get_trials(self, deepcopy=True, states=None):
        tell_once("`study.trials` is empty here; read the study with Optuna, or with `trialbox study trials`")
        return []

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
        channel = _channel()
        _watch.has_optimized = True
        if os.environ.get("TRIALBOX_ASKS") == "study":
            if self.is_created:
                channel.call("study", directions=self._own_directions(), metric_names=self.metric_names or [])
            sys.exit()
        sys.exit(self.run_in(channel, func))

    def run_in(self, channel, func):
        """Runs the trial of a channel, sends its result and returns the exit status."""
        return run_trial(channel, lambda: self._evaluate(func, channel), (TrialPruned, _trial.TrialPruned))

    def _evaluate(self, func, channel):
        trial = Trial(channel, self)
        self._check_directions(trial.directions)
        values = func(trial)
        constraints = vars(self.sampler).get("kwargs", {}).get("constraints_func")
        if constraints is not None:
            for index, value in enumerate(constraints(trial)):
                trial.set_constraint(str(index), value)
        return values

    def _own_directions(self):
        return [direction.name.lower() for direction in self.directions]

    def _check_directions(self, of_trialbox):
        own = self._own_directions()
        if self.is_created and own != of_trialbox:
            flags = " ".join(f"--direction {direction}" for direction in own)
            raise ValueError(
                f"expected the directions {', '.join(own)} of the script's study, found {', '.join(of_trialbox)} in the "
                f"study of trialbox; start a new study with: trialbox run --as-optuna {flags}"
            )

    def __getattr__(self, name):
        raise missing("study", name)


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


def copy_study(**_):
    raise missing("optuna", "copy_study")


def delete_study(**_):
    raise missing("optuna", "delete_study")


def _direction(direction):
    if isinstance(direction, StudyDirection):
        return direction
    return StudyDirection[str(direction).upper()]


class _Watch:
    """Reports a script that fails or ends before it calls `optimize`."""

    def __init__(self):
        self.channel = channel_of_environment()
        self.has_optimized = False
        self.excepthook = sys.excepthook
        if self.channel is not None:
            sys.excepthook = self.failed
            atexit.register(self.ended)

    def failed(self, kind, error, trace):
        self.excepthook(kind, error, trace)
        if not self.channel.has_result and not issubclass(kind, KeyboardInterrupt):
            send_failure(self.channel, error.with_traceback(trace))

    def ended(self):
        if not self.channel.has_result and not self.has_optimized:
            self.channel.finish("fail", message=_NOT_REACHED)


_watch = _Watch()


def watch(channel):
    """Takes the channel of an interpreter that imported this module before there was one."""
    _watch.channel = channel


def _channel():
    if _watch.channel is None:
        raise RuntimeError("expected to run inside a trial; start it with: trialbox run --as-optuna -- python FILE")
    return _watch.channel
