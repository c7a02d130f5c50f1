"""Inert, as `optuna.storages` is."""

from optuna._inert import inert_names

__getattr__ = inert_names(__name__)
