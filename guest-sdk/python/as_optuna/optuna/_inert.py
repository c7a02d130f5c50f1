"""Objects that a script may make and pass on, and that do nothing."""

import sys

_told = set()

_WITHOUT = "run the script without --as-optuna, or use `from trialbox import objective` in it"


def missing(module, name, command=None):
    """Returns the error for a name that the stand-in does not offer. `command` is the one of trialbox that does."""
    instead = _WITHOUT if command is None else f"after the trials run `{command}`, or {_WITHOUT}"
    return AttributeError(f"`{module}.{name}` is not offered by trialbox's stand-in for Optuna; {instead}")


def tell_once(text):
    """Writes a note to standard error, once in a process."""
    if text not in _told:
        _told.add(text)
        print(f"trialbox: {text}", file=sys.stderr)


class Inert:
    """A sampler, pruner, storage or callback of the script: kept, and not used."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def __call__(self, *args, **kwargs):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert()


def inert_names(module):
    """Returns a module's `__getattr__` that makes an inert class of every name."""

    def make(name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Inert,), {"__module__": module})

    return make
