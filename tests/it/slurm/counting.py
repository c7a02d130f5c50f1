"""Takes twelve steps, and hangs after as many as its argument says. It continues where an interruption stopped it."""

import random
import struct
import sys
import time

from trialbox import Trial, objective

STEPS = 12


@objective
def count(trial: Trial) -> float:
    file = trial.checkpoint_dir / "steps"
    taken = list(struct.iter_unpack("<d", file.read_bytes())) if file.exists() else []
    for step, (value,) in enumerate(taken):
        trial.report(value, step)
    for step in range(len(taken), STEPS):
        if step - len(taken) == int(sys.argv[1]):
            time.sleep(1000)
        value = random.Random(trial.seed + step).random()
        trial.report(value, step)
        with open(file, "ab") as opened:
            opened.write(struct.pack("<d", value))
    return value


if __name__ == "__main__":
    count.run()
