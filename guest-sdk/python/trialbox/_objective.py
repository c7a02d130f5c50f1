"""An objective: a function that trialbox or a test calls with a trial."""

import functools
import os
import sys
import traceback
from typing import Any, Callable, Dict, Iterable, List, NoReturn, Optional, Sequence, Union

from trialbox._channel import Channel, OtherProcess, channel_of_environment
from trialbox._trial import FixedTrial, Trial, TrialPruned

Function = Callable[[Any], Union[float, Sequence[float]]]

# Frames of these folders are not the user's lines.
HIDDEN_FOLDERS: List[str] = [os.path.dirname(os.path.abspath(__file__))]

_OUTSIDE = "expected to run inside a trial; start it with: trialbox run -- python {file}"


class Objective:
    """A function of a trial. Call it with fixed parameters in a test, or ``run`` it in a trial."""

    def __init__(self, function: Function) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, **params: Any) -> Union[float, Sequence[float]]:
        """Calls the function with these parameters, without trialbox. Raises ``ValueError`` for one out of range."""
        return self._function(FixedTrial(params))

    def run(self) -> NoReturn:
        """Runs the trial in which this process was started, and exits: with 0 if it finished, with 1 if it failed.

        The first process of a program that calls it has the trial. Others say so and exit with 0.
        """
        channel = channel_of_environment()
        if channel is None:
            sys.exit(_OUTSIDE.format(file=sys.argv[0]))
        sys.exit(self.run_in(channel))

    def run_in(self, channel: Channel) -> int:
        """Runs the trial of a channel, sends its result and returns the exit status."""
        return run_trial(channel, lambda: self._function(Trial(channel)), TrialPruned)


def objective(function: Function) -> Objective:
    """Makes a function of a trial an :class:`Objective`. Use it as a decorator."""
    return Objective(function)


def run_trial(channel: Channel, evaluate: Callable[[], Any], pruned: Any) -> int:
    """Evaluates an objective, sends its result and returns the exit status. ``pruned`` is what ``except`` takes."""
    try:
        values = floats(evaluate())
    except OtherProcess as other:
        print(f"trialbox: {other}", file=sys.stderr)
        return 0
    except pruned:
        channel.finish("pruned")
        return 0
    except Exception as error:
        print_failure(error)
        send_failure(channel, error)
        return 1
    channel.finish("complete", values=values)
    return 0


def floats(values: Any) -> List[float]:
    """Returns the values of an objective as a list. Raises ``TypeError`` for what is not a number."""
    items = list(values) if isinstance(values, (tuple, list)) else [values]
    try:
        return [float(item) for item in items]
    except (TypeError, ValueError):
        text = f"expected a number, or a sequence of numbers, as the objective's value, found {values!r}"
        raise TypeError(text) from None


def print_failure(error: BaseException) -> None:
    """Prints an exception with the lines of the objective that were running, without those of this client."""
    shown: Optional[traceback.TracebackException] = traceback.TracebackException.from_exception(error)
    text, seen = shown, []
    while shown is not None and shown not in seen:
        seen.append(shown)
        shown.stack = traceback.StackSummary.from_list(_own_frames(shown.stack))
        shown = shown.__cause__ or shown.__context__
    print("".join(text.format()), end="", file=sys.stderr)


def _own_frames(frames: Iterable[traceback.FrameSummary]) -> List[traceback.FrameSummary]:
    return [frame for frame in frames if not frame.filename.startswith(tuple(HIDDEN_FOLDERS))]


def send_failure(channel: Channel, error: BaseException) -> None:
    """Sends an exception as the trial's failure."""
    channel.finish("fail", **failure_members(error))


def failure_members(error: BaseException) -> Dict[str, Any]:
    """Returns an exception as trialbox takes it, with the lines that were running, innermost first."""
    own = _own_frames(traceback.extract_tb(error.__traceback__))
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in reversed(own)]
    message = "".join(traceback.format_exception_only(type(error), error)).strip()
    return {"message": message, "traceback": lines}
