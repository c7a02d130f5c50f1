import logging
import random
import sys

import helper
from trialbox import TrialPruned, objective

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")


@objective
def train(trial):
    x = trial.suggest_float("x", -10, 10)
    logging.info("x is %s", x)
    print("printed")
    print("to standard error", file=sys.stderr)
    trial.set_user_attr("draw", random.random())
    trial.set_user_attr("ünï", [1, 10**30, float("inf"), "\ud83d\ude00", None])
    trial.set_constraint("positive", -x)
    if x > 9.5:
        raise TrialPruned
    return helper.parabola(x)


if __name__ == "__main__":
    train.run()
