"""A trial, as an objective sees it."""

import json
import math
import pathlib
import warnings
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from trialbox._channel import PROTOCOL, Channel, OtherProcess

Choice = Union[None, bool, int, float, str]

_OTHER = "process {} of this program runs trial {} already; process {} has no trial of its own and ends here"


class TrialPruned(Exception):
    """Raise it to finish the trial as PRUNED, after ``should_prune`` advised to stop."""


class Trial:
    """A running trial. The methods have the names and the meanings of ``optuna.trial.Trial``."""

    def __init__(self, channel: Channel) -> None:
        """Takes the trial of a channel. Raises ``OtherProcess`` if another process of the program has taken it."""
        self._channel = channel
        facts = channel.call("trial", protocol=PROTOCOL, process=channel.process)
        if channel.process is not None and facts["process"] != channel.process:
            raise OtherProcess(_OTHER.format(facts["process"], facts["trial"], channel.process))
        self.number: int = facts["trial"]
        """The trial's number in its study."""
        self.seed: int = facts["seed"]
        """A seed for random numbers, from 0 to 2**64 - 1. A retry of a lost trial has the seed of that trial."""
        self.checkpoint_dir: Optional[pathlib.Path] = _path(facts["checkpoint"])
        """A directory that survives an interruption (``trialbox run --checkpoint-dir``), or ``None``."""
        self.directions: List[str] = facts["directions"]
        """The direction of each value: ``minimize`` or ``maximize``."""
        self.is_resumed: bool = facts["resumed"]
        """True if ``checkpoint_dir`` holds files of an earlier attempt at this trial."""
        self.params: Dict[str, Any] = {}
        """The suggested parameters by name."""
        self.user_attrs: Dict[str, Any] = {}
        """The attributes that were set, by key."""
        self._asked: Dict[str, Tuple[Any, ...]] = {}
        self._steps: Dict[int, float] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: Optional[float] = None, log: bool = False
    ) -> float:
        """Suggests a float from ``low`` to ``high``, both included."""
        if step is not None and log:
            raise ValueError("expected either `step` or `log=True`, found both")
        members = {"low": float(low), "high": float(high), "log": bool(log)}
        members["step"] = None if step is None else float(step)
        return float(self._ask("suggest_float", name, **members))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Suggests an integer from ``low`` to ``high``, both included."""
        members = {"low": int(low), "high": int(high), "log": bool(log), "step": int(step)}
        return int(self._ask("suggest_int", name, **members))

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Any:
        """Suggests one of the choices. One that is not a scalar is recorded by its ``repr``."""
        choices = list(choices)
        sent = [_scalar(choice) for choice in choices]
        index = self._ask("suggest_categorical", name, choices=sent)
        self.params[name] = choices[index]
        return choices[index]

    def _ask(self, call: str, name: str, **members: Any) -> Any:
        kind = self._asked.setdefault(name, (call,))
        if kind[0] != call:
            raise ValueError(f"parameter {name!r}: expected `{kind[0]}` as before in this trial, found `{call}`")
        value = self._channel.call(call, name=name, **members)["value"]
        self.params[name] = value
        return value

    def report(self, value: float, step: int) -> None:
        """Reports an intermediate value. Of several values for one step the first stays."""
        value, step = float(value), int(step)
        if step < 0:
            raise ValueError(f"expected a step of 0 or more, found {step}")
        if step in self._steps:
            warnings.warn(f"step {step} was already reported; the first value is kept", stacklevel=2)
            return
        self._steps[step] = value
        self._channel.call("report", value=value, step=step)

    def should_prune(self) -> bool:
        """Returns whether the pruner advises to stop, judged by the reported values."""
        return bool(self._channel.call("should_prune")["value"])

    def set_user_attr(self, key: str, value: Any) -> None:
        """Attaches a value to the trial: anything that ``json.dumps`` takes."""
        json.dumps(value)
        self.user_attrs[key] = value
        self._channel.call("set_user_attr", key=key, value=value)

    def set_constraint(self, name: str, value: float) -> None:
        """Records a constraint, satisfied when the value is 0 or less."""
        self._channel.call("set_constraint", name=name, value=float(value))

    @property
    def remaining_seconds(self) -> float:
        """The time until the trial's limit or the end of the job; infinity without either."""
        left = self._channel.call("remaining_seconds")["value"]
        return math.inf if left is None else left


class FixedTrial:
    """A trial with given parameters and without trialbox, for tests. It has the methods of :class:`Trial`."""

    def __init__(self, params: Dict[str, Any], number: int = 0) -> None:
        self.number, self.seed = number, 0
        self.checkpoint_dir: Optional[pathlib.Path] = None
        self.is_resumed = False
        self.params: Dict[str, Any] = {}
        self.user_attrs: Dict[str, Any] = {}
        self.reports: Dict[int, float] = {}
        self.constraints: Dict[str, float] = {}
        self.remaining_seconds = math.inf
        self._given = dict(params)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: Optional[float] = None, log: bool = False
    ) -> float:
        return self._take(name, low, high)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        return self._take(name, low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Choice]) -> Any:
        value = self._given_value(name)
        if value not in list(choices):
            raise ValueError(f"parameter {name!r}: expected one of {list(choices)!r}, found {value!r}")
        self.params[name] = value
        return value

    def _take(self, name: str, low: Any, high: Any) -> Any:
        value = self._given_value(name)
        if not low <= value <= high:
            raise ValueError(f"parameter {name!r}: expected a value from {low} to {high}, found {value!r}")
        self.params[name] = value
        return value

    def _given_value(self, name: str) -> Any:
        if name not in self._given:
            raise ValueError(f"parameter {name!r} was not given a value")
        return self._given[name]

    def report(self, value: float, step: int) -> None:
        self.reports.setdefault(int(step), float(value))

    def should_prune(self) -> bool:
        return False

    def set_user_attr(self, key: str, value: Any) -> None:
        self.user_attrs[key] = value

    def set_constraint(self, name: str, value: float) -> None:
        self.constraints[name] = float(value)


def _path(text: Optional[str]) -> Optional[pathlib.Path]:
    return None if text is None else pathlib.Path(text)


def _scalar(choice: Any) -> Choice:
    if choice is None or isinstance(choice, (bool, int, float, str)):
        return choice
    text = f"expected None, bool, int, float or str as a choice, found {choice!r}; its repr is recorded"
    warnings.warn(text, stacklevel=4)
    return repr(choice)
