"""A training loop in the manner of PyTorch, which continues where an interruption stopped it.

``trialbox run --checkpoint-dir checkpoints -- python3 checkpointed.py`` runs a trial. A job that ends, is preempted or
is requeued interrupts it; the next one restores model, optimizer and epoch, and trains on. It needs the standard
library alone: with PyTorch, ``torch.save`` and ``torch.load`` take the place of ``pickle``.
"""

import math
import os
import pickle
import random

from trialbox import Trial, TrialPruned, objective

EPOCHS = 12
DATA = [(x / 10, math.sin(x / 10)) for x in range(-30, 31)]


class Model:
    """A polynomial, whose weights are its parameters."""

    def __init__(self, degree, rng):
        self.weights = [rng.gauss(0, 0.1) for _ in range(degree + 1)]

    def __call__(self, x):
        return sum(weight * (x / 3) ** power for power, weight in enumerate(self.weights))

    def state_dict(self):
        return {"weights": self.weights}

    def load_state_dict(self, state):
        self.weights = state["weights"]


class SGD:
    """Stochastic gradient descent with momentum."""

    def __init__(self, model, lr, momentum):
        self.model, self.lr, self.momentum = model, lr, momentum
        self.velocity = [0.0] * len(model.weights)

    def step(self, x, error):
        for power in range(len(self.velocity)):
            gradient = 2 * error * (x / 3) ** power
            self.velocity[power] = self.momentum * self.velocity[power] - self.lr * gradient
            self.model.weights[power] += self.velocity[power]

    def state_dict(self):
        return {"velocity": self.velocity}

    def load_state_dict(self, state):
        self.velocity = state["velocity"]


def train_one_epoch(model, optimizer, rng):
    """Visits the data in random order, and returns the mean squared error."""
    total = 0.0
    for x, y in rng.sample(DATA, len(DATA)):
        error = model(x) - y
        total += error**2
        optimizer.step(x, error)
    return total / len(DATA)


def save(path, state):
    """Writes aside and renames: an interruption leaves the old checkpoint or the new one, whole."""
    aside = path.with_suffix(".new")
    with open(aside, "wb") as file:
        pickle.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


@objective
def train(trial: Trial) -> float:
    rng = random.Random(trial.seed)
    model = Model(trial.suggest_int("degree", 1, 7), rng)
    lr = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    optimizer = SGD(model, lr, trial.suggest_float("momentum", 0.0, 0.9))
    start, losses = 0, []
    checkpoint = trial.checkpoint_dir and trial.checkpoint_dir / "checkpoint.pickle"
    if checkpoint and checkpoint.exists():
        with open(checkpoint, "rb") as file:
            state = pickle.load(file)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        rng.setstate(state["rng"])
        start, losses = state["epoch"] + 1, state["losses"]
        print(f"continues after epoch {state['epoch']}", flush=True)
    # A retry starts without the reports of the attempt before it.
    for epoch, loss in enumerate(losses):
        trial.report(loss, epoch)
    for epoch in range(start, EPOCHS):
        losses.append(train_one_epoch(model, optimizer, rng))
        trial.report(losses[-1], epoch)
        if checkpoint:
            state = {"epoch": epoch, "losses": losses, "rng": rng.getstate()}
            save(checkpoint, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **state})
        print(f"epoch {epoch}: {losses[-1]:.4f}", flush=True)
        if trial.should_prune():
            raise TrialPruned
    return losses[-1]


if __name__ == "__main__":
    train.run()
