"""The protocol with trialbox: one JSON object a line, each request answered before the next."""

import json
import os
import select
import stat
import sys
import threading
from typing import Any, Dict, Optional

try:
    import fcntl
except ImportError:
    pass  # The interpreter of the sandbox has neither it nor pipes.

PROTOCOL = 1

_REQUESTS = "TRIALBOX_REQUESTS"
_ANSWERS = "TRIALBOX_ANSWERS"

# The most packages that are told of, and the longest text of one.
_MAX_PACKAGES, _MAX_TEXT = 500, 100

_NO_PIPE = "expected a pipe of the trial at `{}` or at descriptor {}, found neither"


class TrialOver(BaseException):
    """The trial has ended, and trialbox gives no further answer.

    Not an ``Exception``: an objective that catches everything must not go on without a trial.
    """


class OtherProcess(Exception):
    """Another process of the program runs the trial already."""


class Channel:
    """The way to trialbox."""

    def __init__(self) -> None:
        self.has_result = False

    @property
    def process(self) -> Optional[int]:
        """The id of this process, by which trialbox knows who runs the trial; ``None`` where there is one only."""
        return None

    def call(self, call: str, **members: Any) -> Dict[str, Any]:
        """Makes a call and returns the answer. Raises ``TrialOver`` if trialbox has ended the trial."""
        raise NotImplementedError

    def finish(self, call: str, **members: Any) -> None:
        """Sends the trial's result. Nothing but log lines may follow."""
        if self.process is not None:
            self.call("packages", versions=imported_packages())
        self.call(call, **members)
        self.has_result = True


class Pipes(Channel):
    """The two pipes to trialbox. Threads, and processes that are forked, may share them."""

    def __init__(self) -> None:
        super().__init__()
        self._requests: Optional[int] = None
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    @property
    def process(self) -> Optional[int]:
        return os.getpid()

    def _forget(self) -> None:
        """Closes the pipes. The next call opens them anew: the lock on them belongs to an opening, not to a process."""
        if self._requests is not None:
            os.close(self._requests)
            os.close(self._answers)
        self._requests = None
        # A signal's handler may make a call while another is under way, so both go on.
        self._lock = threading.RLock()
        self._depth = 0
        self._n_calls = 0
        self._received = b""
        self._early: Dict[str, Dict[str, Any]] = {}

    def call(self, call: str, **members: Any) -> Dict[str, Any]:
        """Makes a call and returns the answer. Raises ``TrialOver`` if trialbox has ended the trial."""
        with self._lock:
            if self._requests is None:
                self._answers = _open(_ANSWERS, os.O_RDONLY | os.O_NONBLOCK)
                self._name = os.urandom(8).hex()
                self._requests = _open(_REQUESTS, os.O_WRONLY)
            try:
                self._depth += 1
                if self._depth == 1:
                    # Other processes of the trial wait until this one has its answer.
                    fcntl.flock(self._requests, fcntl.LOCK_EX)
                return self._exchange(call, members)
            except OSError as error:
                raise TrialOver(f"the trial is over: {error}") from None
            finally:
                self._depth -= 1
                if self._depth == 0:
                    fcntl.flock(self._requests, fcntl.LOCK_UN)

    def _exchange(self, call: str, members: Dict[str, Any]) -> Dict[str, Any]:
        self._n_calls += 1
        mark = f"{self._name}-{self._n_calls}"
        line = json.dumps({"call": call, "id": mark, **members}) + "\n"
        _write_all(self._requests, line.encode())
        while mark not in self._early:
            answer = self._read_answer(call)
            # One without a mark of ours was for a process that died before it read it.
            if isinstance(answer, dict) and str(answer.get("id")).startswith(self._name):
                self._early[answer["id"]] = answer
        return self._early.pop(mark)

    def _read_answer(self, call: str) -> Any:
        """Returns the next answer, or ``None`` if there is none yet.

        Never waits for long: the call of a signal's handler may have read the answer of the call that it interrupts.
        """
        if b"\n" not in self._received:
            poll = select.poll()
            poll.register(self._answers, select.POLLIN)
            poll.poll(100)
            try:
                received = os.read(self._answers, 1 << 16)
            except BlockingIOError:
                return None
            if not received:
                raise TrialOver(f"the trial is over: trialbox gave no answer to `{call}`")
            self._received += received
        line, separator, rest = self._received.partition(b"\n")
        if not separator:
            return None
        self._received = rest
        try:
            return json.loads(line)
        except ValueError:
            return None


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _open(name: str, flags: int) -> int:
    """Opens a pipe anew: the supervisor's end, else the inherited descriptor if it still is the pipe."""
    path, number = os.environ.get(name + "_PATH", ""), os.environ.get(name, "")
    for place in (path, "/proc/self/fd/" + number):
        try:
            found = os.stat(place)
            is_pipe = stat.S_ISFIFO(found.st_mode)
            if is_pipe and f"{found.st_dev}:{found.st_ino}" == os.environ.get(name + "_ID"):
                return os.open(place, flags | os.O_CLOEXEC)
        except OSError:
            pass
    raise RuntimeError(_NO_PIPE.format(path, number))


def imported_packages() -> Dict[str, str]:
    """Returns the versions of the imported packages, by module. Reads one list of names for each folder of packages."""
    listed: Dict[str, Dict[str, str]] = {}
    versions: Dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        members = getattr(module, "__dict__", {})
        folder, found, _ = str(members.get("__file__", "")).partition("-packages" + os.sep)
        if "." in name or not found:
            continue
        if folder not in listed:
            listed[folder] = _listed_versions(folder + found)
        version = listed[folder].get(name.lower()) or members.get("__version__")
        if isinstance(version, str) and len(name) <= _MAX_TEXT and len(versions) < _MAX_PACKAGES:
            versions[name] = version[:_MAX_TEXT]
    return versions


def _listed_versions(folder: str) -> Dict[str, str]:
    """Returns the versions in the names of a folder such as `numpy-1.26.4.dist-info`, by package."""
    try:
        entries = [entry[: -len(".dist-info")] for entry in os.listdir(folder) if entry.endswith(".dist-info")]
    except OSError:
        return {}
    parted = (entry.rpartition("-") for entry in entries)
    return {name.lower().replace("-", "_"): version for name, _, version in parted}


def pipe_identity() -> Optional[str]:
    """Returns a mark of the trial in which this process runs, or ``None`` outside a trial and in the sandbox."""
    return os.environ.get(_REQUESTS + "_ID")


_of_process: Optional[Channel] = None


def set_channel(channel: Channel) -> None:
    """Makes a channel that of this process. The sandbox has no pipes and calls it before the objective's file runs."""
    global _of_process
    _of_process = channel


def channel_of_environment() -> Optional[Channel]:
    """Returns the channel of the trial in which this process runs, or ``None`` outside a trial.

    Opens nothing: the first call does.
    """
    if _of_process is None and _REQUESTS in os.environ and _ANSWERS in os.environ:
        set_channel(Pipes())
    return _of_process
