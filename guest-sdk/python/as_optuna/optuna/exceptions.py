"""The exceptions that scripts raise or catch."""

from trialbox import TrialPruned as _TrialPruned


class OptunaError(Exception):
    """The base of the others."""


class TrialPruned(_TrialPruned, OptunaError):
    """Raise it to finish the trial as PRUNED."""


class CLIUsageError(OptunaError):
    """Never raised here."""


class StorageInternalError(OptunaError):
    """Never raised here."""


class DuplicatedStudyError(OptunaError):
    """Never raised here."""


class UpdateFinishedTrialError(OptunaError, RuntimeError):
    """Never raised here."""


class ExperimentalWarning(Warning):
    """Never given here."""


class OptunaWarning(UserWarning):
    """Never given here."""
