"""Refused: its tuners run several studies of their own. `optuna.integration.LightGBMPruningCallback` is offered."""

from optuna._inert import missing

raise ImportError(str(missing("optuna.integration", "lightgbm")))
