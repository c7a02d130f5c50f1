"""A search over an estimator of scikit-learn, whose `fit` runs one trial of trialbox and ends the script."""

import math

from optuna._inert import missing
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.study import create_study


class OptunaSearchCV:
    """The cross-validation of an estimator of scikit-learn whose parameters are suggested."""

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        cv=None,
        enable_pruning=False,
        error_score=math.nan,
        scoring=None,
        study=None,
        subsample=1.0,
        **_,
    ):
        if enable_pruning:
            raise missing("OptunaSearchCV", "enable_pruning")
        if subsample != 1.0:
            raise missing("OptunaSearchCV", "subsample")
        self.estimator, self.param_distributions = estimator, param_distributions
        self.cv, self.scoring, self.error_score, self.study = cv, scoring, error_score, study

    def fit(self, X, y=None, groups=None, **fit_params):
        """Runs the trial of trialbox, and ends the script."""
        study = self.study or create_study(direction="maximize")
        study.optimize(lambda trial: self._score(trial, X, y, groups, fit_params))

    def _score(self, trial, X, y, groups, fit_params):
        from sklearn.base import clone
        from sklearn.model_selection import cross_validate

        params = {name: _suggest(trial, name, found) for name, found in self.param_distributions.items()}
        scores = cross_validate(
            clone(self.estimator).set_params(**params),
            X,
            y,
            groups=groups,
            cv=self.cv,
            scoring=self.scoring,
            error_score=self.error_score,
            params=fit_params or None,
        )["test_score"]
        trial.set_user_attr("mean_test_score", float(scores.mean()))
        trial.set_user_attr("std_test_score", float(scores.std()))
        return float(scores.mean())


def _suggest(trial, name, distribution):
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    low, high, step, log = distribution.low, distribution.high, distribution.step, distribution.log
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, low, high, step=step, log=log)
    return trial.suggest_float(name, low, high, step=step, log=log)
