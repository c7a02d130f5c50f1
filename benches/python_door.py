"""One trial of scikit-learn as a whole process: in the sandbox, in Python under Optuna, and as the recipe does it.

Prints the CPU and wall time of whole processes, the wall time to the first suggestion, the CPU time of training in
each, and the training time from which on the sandbox takes more CPU time than the others.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HEAD = """
import os
import time
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC


def objective(trial):
    x, y = load_iris(return_X_y=True)
    c = trial.suggest_float("c", 1e-3, 1e3, log=True)
    print("suggested at", time.time(), flush=True)
    {end}
    for _ in range({repeats}):
        score = cross_val_score(SVC(C=c, gamma="auto"), x, y, cv=3).mean()
    return score
"""
# No second process: the sandbox has one thread.
OPTUNA = """

import optuna

optuna.logging.set_verbosity(optuna.logging.WARNING)
optuna.create_study(direction="maximize"{storage}).optimize(objective, n_trials=1)
"""
STORAGE = ', storage="sqlite:///recipe.db", study_name="s", load_if_exists=True'
REPEATS = 40
ROUNDS = 7


def main(trialbox, python, runtime, state):
    folder = tempfile.mkdtemp(dir=os.environ.get("TMPDIR"))
    environment = {**os.environ, "TRIALBOX_RUNTIME_DIR": runtime, "XDG_STATE_HOME": state, "OMP_NUM_THREADS": "1"}
    ways = {}
    for kind, repeats, end in [("whole", 1, ""), ("first", 1, "os._exit(0)"), ("trained", REPEATS, "")]:
        head = HEAD.format(repeats=repeats, end=end)
        for name, tail in [("sandbox", ""), ("native", OPTUNA.format(storage="")), ("recipe", OPTUNA.format(storage=STORAGE))]:
            os.makedirs(f"{folder}/{name}-{kind}")
            path = f"{folder}/{name}-{kind}/objective.py"
            with open(path, "w") as file:
                file.write(head + tail)
            run = [trialbox, "run", path, "--storage", "sandbox.db", "--study-name", f"{kind}", "--direction", "maximize", "-v"]
            ways[name, kind] = run if name == "sandbox" else [python, path]
    taken = {way: {"cpu_seconds": [], "wall_seconds": [], "seconds_to_first_suggestion": []} for way in ways}
    for round_ in range(ROUNDS + 1):
        for way, words in ways.items():
            found = measure(words, folder, environment)
            # The first round fills the page cache and writes byte code.
            for key in found if round_ > 0 else ():
                taken[way][key].append(found[key])
    shutil.rmtree(folder)
    print(json.dumps(results(taken)))


def measure(words, folder, environment):
    started, clock = time.time(), time.perf_counter()
    child = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = child.stdout.read()
    _, _, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - clock
    said = [line for line in text.splitlines() if "suggested at" in line]
    if not said:
        sys.exit(f"{words} suggested nothing:\n{text}")
    return {
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 4),
        "wall_seconds": round(wall, 4),
        "seconds_to_first_suggestion": round(float(said[-1].split()[-1]) - started, 4),
    }


def median(values):
    return sorted(values)[len(values) // 2]


def results(taken):
    cpu = {way: median(found["cpu_seconds"]) for way, found in taken.items()}
    names = ["sandbox", "native", "recipe"]
    training = {name: (cpu[name, "trained"] - cpu[name, "whole"]) / (REPEATS - 1) for name in names}
    slowdown = training["sandbox"] / training["native"]
    ratios = {}
    for name in names[1:]:
        saved = cpu[name, "whole"] - cpu["sandbox", "whole"]
        ratios[name] = {
            "CPU of a whole trial / sandbox": round(cpu[name, "whole"] / cpu["sandbox", "whole"], 1),
            "CPU to the first suggestion / sandbox": round(cpu[name, "first"] / cpu["sandbox", "first"], 1),
            "native training seconds at which both take the same CPU": round(saved / (slowdown - 1), 2) if slowdown > 1 else None,
        }
    return {
        "what": f"SVC on iris, cv 3, a process each, {ROUNDS} rounds in turn; medians of CPU seconds",
        "load": os.getloadavg(),
        "cpu_seconds": {f"{name}: {kind}": cpu[name, kind] for name, kind in cpu},
        "sandbox: milliseconds to the first suggestion (wall)": {
            "least": round(1000 * min(taken["sandbox", "whole"]["seconds_to_first_suggestion"]), 1),
            "median": round(1000 * median(taken["sandbox", "whole"]["seconds_to_first_suggestion"]), 1),
        },
        "training in the sandbox / natively (CPU)": round(slowdown, 2),
        "ratios": ratios,
        "raw": {f"{name}: {kind}": found for (name, kind), found in taken.items()},
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
