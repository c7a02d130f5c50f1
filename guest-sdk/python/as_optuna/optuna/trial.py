"""Trials, with Optuna's names over those of trialbox."""

import datetime
import enum

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from trialbox import _trial


class TrialState(enum.IntEnum):
    """The states of a trial."""

    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    WAITING = 4

    def is_finished(self):
        return self not in (TrialState.RUNNING, TrialState.WAITING)


class _Common:
    """The members that Optuna's trials have besides those of trialbox's."""

    def _start(self, study):
        self.study = study
        self.distributions, self.system_attrs = {}, {}
        self.datetime_start = datetime.datetime.now()
        self._trial_id = self.number

    def suggest_float(self, name, low, high, *, step=None, log=False):
        value = super().suggest_float(name, low, high, step=step, log=log)
        self.distributions[name] = FloatDistribution(low, high, log, step)
        return value

    def suggest_int(self, name, low, high, *, step=1, log=False):
        value = super().suggest_int(name, low, high, step=step, log=log)
        self.distributions[name] = IntDistribution(low, high, log, step)
        return value

    def suggest_categorical(self, name, choices):
        value = super().suggest_categorical(name, choices)
        self.distributions[name] = CategoricalDistribution(choices)
        return value

    def _suggest(self, name, distribution):
        if isinstance(distribution, FloatDistribution):
            range_ = {"step": distribution.step, "log": distribution.log}
            return self.suggest_float(name, distribution.low, distribution.high, **range_)
        if isinstance(distribution, IntDistribution):
            range_ = {"step": distribution.step, "log": distribution.log}
            return self.suggest_int(name, distribution.low, distribution.high, **range_)
        return self.suggest_categorical(name, distribution.choices)

    def suggest_uniform(self, name, low, high):
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name, low, high):
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name, low, high, q):
        return self.suggest_float(name, low, high, step=q)

    def set_system_attr(self, key, value):
        self.system_attrs[key] = value

    @property
    def relative_params(self):
        return {}


class Trial(_Common, _trial.Trial):
    """The running trial."""

    def __init__(self, channel, study):
        super().__init__(channel)
        self._start(study)


class FixedTrial(_Common, _trial.FixedTrial):
    """A trial with given parameters."""

    def __init__(self, params, number=0):
        super().__init__(params, number)
        self._start(None)


BaseTrial = _Common


class FrozenTrial:
    """A finished trial, as far as scripts make them."""

    def __init__(self, **members):
        self.__dict__.update(members)


def create_trial(*, state=TrialState.COMPLETE, value=None, values=None, params=None, distributions=None, **members):
    """Returns a finished trial, which trialbox does not record."""
    values = [value] if values is None else list(values)
    return FrozenTrial(
        state=state, values=values, value=values[0], params=params or {}, distributions=distributions or {}, **members
    )
