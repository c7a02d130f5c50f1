"""Inert, except that the scores of cross validation are kept with the trial."""

from optuna._inert import inert_names
from optuna.terminator import callback, erroreval

__all__ = ["callback", "erroreval", "report_cross_validation_scores"]


def report_cross_validation_scores(trial, scores):
    """Keeps the scores as a user attribute of the trial."""
    trial.set_user_attr("terminator:cv_scores", [float(score) for score in scores])


__getattr__ = inert_names(__name__)
