"""Inert: plot the study with Optuna itself, or its dashboard, which read trialbox's database."""

from optuna._inert import inert_names
from optuna.visualization import matplotlib

__all__ = ["matplotlib"]

__getattr__ = inert_names(__name__)
