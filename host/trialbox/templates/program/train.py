"""An objective for trialbox that is a program: it runs without the sandbox, with all packages of this Python."""

import random

from trialbox import Trial, TrialPruned, objective

POINTS = [(x / 5, 0.3 + 0.7 * x / 5) for x in range(-5, 6)]


@objective
def train(trial: Trial) -> float:
    """Fits a line to eleven points by stochastic gradient descent, and returns the mean squared error."""
    rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
    rng = random.Random(trial.seed)
    intercept, slope, loss = 0.0, 0.0, float("inf")
    for epoch in range(50):
        for x, y in rng.sample(POINTS, len(POINTS)):
            error = intercept + slope * x - y
            intercept -= rate * error
            slope -= rate * error * x
        loss = sum((intercept + slope * x - y) ** 2 for x, y in POINTS) / len(POINTS)
        trial.report(loss, epoch)
        if trial.should_prune():
            raise TrialPruned
    return loss


if __name__ == "__main__":
    train.run()
