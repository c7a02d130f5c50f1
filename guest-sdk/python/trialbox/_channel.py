"""The protocol with trialbox: one JSON object a line, each request answered before the next."""

import json
import os
import threading
from typing import Any, Dict, Optional

PROTOCOL = 1

_REQUESTS = "TRIALBOX_REQUESTS"
_ANSWERS = "TRIALBOX_ANSWERS"


class TrialOver(BaseException):
    """The trial has ended, and trialbox gives no further answer.

    Not an ``Exception``: an objective that catches everything must not go on without a trial.
    """


class Channel:
    """The two pipes to trialbox. Threads may share it."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = requests
        self._answers = os.fdopen(answers, "rb", closefd=False)
        self._lock = threading.Lock()
        self.has_result = False

    def call(self, call: str, **members: Any) -> Dict[str, Any]:
        """Makes a call and returns the answer. Raises ``TrialOver`` if trialbox has ended the trial."""
        line = json.dumps({"call": call, **members}) + "\n"
        with self._lock:
            try:
                _write_all(self._requests, line.encode())
                answer = self._answers.readline()
            except OSError as error:
                raise TrialOver(f"the trial is over: {error}") from None
        if not answer.endswith(b"\n"):
            raise TrialOver(f"the trial is over: trialbox gave no answer to `{call}`")
        return json.loads(answer)

    def finish(self, call: str, **members: Any) -> None:
        """Sends the trial's result. Nothing but log lines may follow."""
        self.call(call, **members)
        self.has_result = True


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def channel_of_environment() -> Optional[Channel]:
    """Returns the channel of the trial in which this process runs, or ``None`` outside a trial."""
    requests, answers = os.environ.get(_REQUESTS), os.environ.get(_ANSWERS)
    if requests is None or answers is None:
        return None
    return Channel(int(requests), int(answers))
