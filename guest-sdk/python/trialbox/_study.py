"""A study whose loop the caller drives: ask for a trial, run it in any way, tell its result.

Every call runs the ``trialbox`` command, so a study is shared with all other workers on it.
"""

import json
import os
import subprocess
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

Space = Union[str, "os.PathLike[str]", Mapping[str, Union[str, Mapping[str, Any]]]]
Values = Union[float, Sequence[float]]

# Exit code of `trial should-prune` for "continue".
_CONTINUE = 1


class CommandError(RuntimeError):
    """A ``trialbox`` command failed. The message is its own; ``code`` is its exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class AskedTrial:
    """A trial that was asked for. It runs until its result is told."""

    def __init__(self, study: "Study", number: int, params: Dict[str, Any], owner: str) -> None:
        self._study = study
        self.number = number
        """The trial's number in its study."""
        self.params = params
        """The suggested parameters by name. A parameter whose condition is false is not there."""
        self.owner = owner
        """The token of this attempt: only it can report and tell."""

    def report(self, value: float, step: int) -> None:
        """Reports an intermediate value. Of several values for one step the first stays."""
        value, step = repr(float(value)), str(int(step))
        self._study._run("report", *self._words(), "--step", step, "--", value)

    def should_prune(self) -> bool:
        """Returns whether the pruner advises to stop, judged by the reported values."""
        return self._study._run("should-prune", *self._words(), may_say_no=True).returncode == 0

    def _words(self) -> List[str]:
        return [str(self.number), "--owner", self.owner]


class Study:
    """A study in a database. It must exist: ``trialbox study create`` makes one."""

    def __init__(
        self, name: Optional[str] = None, storage: Optional[str] = None, *, command: str = "trialbox"
    ) -> None:
        """Takes the name and the database as ``--study-name`` and ``--storage`` do; ``command`` is the binary."""
        self._command = command
        self._flags: List[str] = []
        if storage is not None:
            self._flags += ["--storage", os.fspath(storage)]
        if name is not None:
            self._flags += ["--study-name", name]

    def ask(
        self, space: Optional[Space] = None, *, max_trials: Optional[int] = None, owner_pid: Optional[int] = None
    ) -> Optional[AskedTrial]:
        """Starts a trial and suggests its parameters. Returns ``None`` if the study is complete or stopped.

        ``space`` is a file of a search space, or a mapping from names to ranges such as ``"log(1e-5, 0.1)"`` or to
        distributions in Optuna's JSON. If the process ``owner_pid``, by default this one, dies before the result is
        told, the trial is requeued.
        """
        words = ["--owner-pid", str(os.getpid() if owner_pid is None else owner_pid)]
        if max_trials is not None:
            words += ["--max-trials", str(max_trials)]
        for arg in _space_args(space):
            words += ["--search-space", arg]
        output = self._run("ask", *words).stdout.strip()
        if not output:
            return None
        asked = json.loads(output)
        return AskedTrial(self, asked["number"], asked["params"], asked["owner"])

    def tell(
        self,
        trial: AskedTrial,
        values: Optional[Values] = None,
        *,
        state: Optional[str] = None,
        reason: Optional[str] = None,
        user_attrs: Optional[Mapping[str, Any]] = None,
        constraints: Optional[Mapping[str, float]] = None,
    ) -> str:
        """Records the result and returns the trial's state: COMPLETE, PRUNED or FAIL.

        ``state`` is ``"complete"``, ``"pruned"`` or ``"fail"``; without it a trial with values is COMPLETE. A value
        that is not a number, NaN too, makes the trial FAIL. Raises ``CommandError`` with the code 6 if another worker
        has taken the trial.
        """
        words = trial._words()
        if values is not None:
            items = list(values) if isinstance(values, (tuple, list)) else [values]
            words += [f"--values={_number(item)}" for item in items] or ["--values="]
        if state is not None:
            words += ["--state", state]
        if reason is not None:
            words.append(f"--reason={reason}")
        for key, value in (user_attrs or {}).items():
            words.append(f"--user-attr={key}={json.dumps(value)}")
        for key, value in (constraints or {}).items():
            words.append(f"--constraint={key}={float(value)!r}")
        return json.loads(self._run("tell", *words).stdout)["state"]

    def _run(self, call: str, *words: str, may_say_no: bool = False) -> "subprocess.CompletedProcess[str]":
        command = [self._command, "trial", call, *self._flags, "--format", "json", *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True
        )
        is_fine = done.returncode == 0 or (may_say_no and done.returncode == _CONTINUE)
        if not is_fine:
            raise CommandError(done.stderr.strip() or done.stdout.strip(), done.returncode)
        return done


def _number(value: Any) -> str:
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)


def _space_args(space: Optional[Space]) -> List[str]:
    """Returns a search space as values of ``--search-space``."""
    if space is None:
        return []
    if not isinstance(space, Mapping):
        return [f"@{os.fspath(space)}"]
    args = []
    for name, distribution in space.items():
        if isinstance(distribution, str):
            args.append(f"{name}={distribution}")
        elif isinstance(distribution, Mapping):
            args.append(json.dumps({name: distribution}))
        else:
            text = "expected a range such as 'log(1e-5, 0.1)' or a mapping"
            raise TypeError(f"parameter {name!r}: {text}, found {distribution!r}")
    return args
