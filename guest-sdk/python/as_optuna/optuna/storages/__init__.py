"""Inert: the study is in the database of `trialbox run --storage`."""

from optuna._inert import Inert, inert_names
from optuna.storages import journal

__all__ = ["RetryFailedTrialCallback", "journal"]


class RetryFailedTrialCallback(Inert):
    """Inert: trialbox retries lost trials itself. What an earlier attempt has kept is in ``trial.checkpoint_dir``."""

    @staticmethod
    def retried_trial_number(trial):
        return None

    @staticmethod
    def retry_history(trial):
        return []


__getattr__ = inert_names(__name__)
