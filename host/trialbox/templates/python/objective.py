"""An objective for trialbox, in the sandbox."""

import numpy as np
from trialbox import Trial, TrialPruned

X = np.linspace(-1, 1, 11)
Y = 0.3 + 0.7 * X


def objective(trial: Trial) -> float:
    """Fits a line to eleven points by gradient descent, and returns the mean squared error."""
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    momentum = trial.suggest_float("momentum", 0, 0.95)
    weights, speed = np.zeros(2), np.zeros(2)
    design = np.stack([np.ones_like(X), X], axis=1)
    loss = float("inf")
    for epoch in range(50):
        error = design @ weights - Y
        speed = momentum * speed - rate * 2 * design.T @ error / len(X)
        weights = weights + speed
        loss = float(np.mean((design @ weights - Y) ** 2))
        trial.report(loss, epoch)
        if trial.should_prune():
            raise TrialPruned
    return loss
