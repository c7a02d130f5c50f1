"""The client for objectives written in Python that trialbox runs as programs.

A file such as this one is an objective; ``trialbox run -- python train.py`` runs a trial of it::

    from trialbox import Trial, TrialPruned, objective

    @objective
    def train(trial: Trial) -> float:
        lr = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
        for epoch in range(10):
            loss = ...
            trial.report(loss, epoch)
            if trial.should_prune():
                raise TrialPruned
        return loss

    if __name__ == "__main__":
        train.run()

``train(lr=0.01)`` calls it with fixed parameters and without trialbox, for tests.
A program that drives the loop itself uses :class:`Study`: ``study.ask(space)``, then ``study.tell(trial, value)``.
The methods have Optuna's names and meanings. The client needs Python 3.8 and nothing else.
"""

from trialbox._objective import Objective, objective
from trialbox._study import AskedTrial, CommandError, Study
from trialbox._trial import Trial, TrialPruned

__all__ = ["AskedTrial", "CommandError", "Objective", "Study", "Trial", "TrialPruned", "objective"]
