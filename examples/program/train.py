"""A script in the manner of Optuna's recipe for clusters: one trial for each task of an array job.

It fits a small neural network to a curve, with the standard library alone.
"""

import argparse
import math
import random

import optuna

POINTS = [(x / 10, math.sin(x / 10)) for x in range(-30, 31)]


def objective(trial):
    n_hidden = trial.suggest_int("n_hidden", 2, 12)
    lr = trial.suggest_float("lr", 1e-3, 0.3, log=True)
    activation = trial.suggest_categorical("activation", ["tanh", "relu"])
    network = Network(n_hidden, activation, random.Random(1))
    loss = math.inf
    for epoch in range(20):
        loss = network.train(POINTS, lr)
        trial.report(loss, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned()
    trial.set_user_attr("n_weights", 3 * n_hidden + 1)
    return loss


class Network:
    """One hidden layer, trained by stochastic gradient descent on the squared error."""

    def __init__(self, n_hidden, activation, rng):
        self.activation = activation
        self.hidden = [[rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 0.5)] for _ in range(n_hidden)]
        self.bias = 0.0

    def train(self, points, lr):
        """Runs one epoch and returns the mean squared error before it."""
        total = 0.0
        for x, y in points:
            units = [self._unit(weight * x + bias) for weight, bias, _ in self.hidden]
            error = sum(out * unit[0] for unit, (_, _, out) in zip(units, self.hidden)) + self.bias - y
            total += error**2
            step = max(-1.0, min(1.0, error)) * lr
            for neuron, (value, slope) in zip(self.hidden, units):
                back = step * neuron[2] * slope
                neuron[0] -= back * x
                neuron[1] -= back
                neuron[2] -= step * value
            self.bias -= step
        return total / len(points)

    def _unit(self, z):
        if self.activation == "tanh":
            value = math.tanh(z)
            return value, 1 - value**2
        return max(z, 0.0), float(z > 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--optuna-db", required=True)
    parser.add_argument("--optuna-study-name", required=True)
    args = parser.parse_args()
    study = optuna.create_study(
        study_name=args.optuna_study_name,
        storage=f"sqlite:///{args.optuna_db}",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=1)


if __name__ == "__main__":
    main()
