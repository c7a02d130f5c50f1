"""Inert, for `optuna-integration`, which asks for the storages by these modules."""

from optuna._inert import inert_names

__getattr__ = inert_names(__name__)
