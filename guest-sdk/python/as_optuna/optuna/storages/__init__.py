"""Inert: the study is in the database of `trialbox run --storage`."""

from optuna._inert import inert_names
from optuna.storages import journal

__all__ = ["journal"]

__getattr__ = inert_names(__name__)
