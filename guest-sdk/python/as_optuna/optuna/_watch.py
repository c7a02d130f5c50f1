"""The process to which the trial belongs, and its script's end before `optimize`.

An import opens nothing and claims nothing: a program may import Optuna in many processes. The first that calls
`optimize` or `ask` has the trial.
"""

import atexit
import os
import sys
import threading

from trialbox._channel import TrialOver, channel_of_environment, pipe_identity
from trialbox._objective import failure_members

# The process that imported the stand-in first. Those that it starts find its mark and report no end of theirs.
_MARK = "TRIALBOX_IMPORTED_BY"

_NOT_REACHED = "the script ended without a call of `study.optimize`"

_OUTSIDE = "expected to run inside a trial; start it with: trialbox run --as-optuna -- python FILE"

_lock = threading.Lock()
_taken_by = None
_has_failed = False
_excepthook = sys.excepthook


def channel_of_trial():
    """Returns the channel of the trial."""
    channel = channel_of_environment()
    if channel is None:
        raise RuntimeError(_OUTSIDE)
    return channel


def take():
    """Returns true if the trial of this process has not been taken before, and takes it."""
    global _taken_by
    with _lock:
        is_free = _taken_by is None
        if is_free:
            _taken_by = os.getpid(), threading.get_ident()
        return is_free


def is_asked():
    """Returns whether this thread took the trial, and thus waits for itself in a second call."""
    return _taken_by == (os.getpid(), threading.get_ident())


def _watch():
    """Reports a script that fails or ends before it calls `optimize`, unless a process that started it does."""
    identity = pipe_identity()
    if identity is None:
        return
    own = f"{identity} {os.getpid()}"
    found = os.environ.get(_MARK, "")
    if found.startswith(identity + " ") and found != own:
        return
    os.environ[_MARK] = own
    sys.excepthook = _failed
    atexit.register(_ended, os.getpid())


def _failed(kind, error, trace):
    global _has_failed
    _has_failed = True
    _excepthook(kind, error, trace)
    if issubclass(kind, Exception) and _suggest_failure(**failure_members(error.with_traceback(trace))):
        # Nothing that follows `optimize` runs; another process or thread called it.
        print("trialbox: the trial has its result; the script ends here", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _ended(process):
    if process == os.getpid() and _taken_by is None and not _has_failed:
        _suggest_failure(message=_NOT_REACHED)


def _suggest_failure(**members):
    """Sends the reason that counts if the program ends without a result. Returns whether it has one."""
    channel = channel_of_environment()
    if channel is None or channel.has_result:
        return False
    try:
        return bool(channel.call("fail", provisional=True, **members)["value"])
    except (TrialOver, RuntimeError):
        return False


_watch()
