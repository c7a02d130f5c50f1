"""Many processes of trialbox at the same time, which share one runtime for Python: wall time, failures and memory each.

Run with a page cache that holds the runtime, and with one that does not. The memory is the proportional set size of
host and guest process together, while the objective sleeps.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

OBJECTIVE = """
import time
from sklearn.datasets import load_iris
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC


def objective(trial):
    x, y = load_iris(return_X_y=True)
    score = cross_val_score(SVC(C=trial.suggest_float("c", 1e-3, 1e3, log=True)), x, y, cv=3).mean()
    trial.report(score, 0)
    while not trial.should_prune():
        time.sleep(0.5)
    return score
"""


def main(trialbox, number, runtime, state):
    number = int(number)
    environment = {**os.environ, "TRIALBOX_RUNTIME_DIR": runtime, "XDG_STATE_HOME": state}
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "objective.py").write_text(OBJECTIVE)
        found = {}
        for cache in ("cold", "warm"):
            dropped = drop(runtime) if cache == "cold" else 0
            found[cache] = {"files_dropped_from_the_page_cache": dropped, **herd(trialbox, number, folder, environment, cache)}
    print(json.dumps(found))


def drop(runtime):
    """Drops the pages of the runtime's files from the page cache, as far as no process maps them."""
    paths = [path for path in pathlib.Path(runtime).rglob("*") if path.is_file()]
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return len(paths)


def herd(trialbox, number, folder, environment, name):
    words = [trialbox, "run", "objective.py", "--storage", f"{name}.db", "--study-name", "s", "--direction", "maximize"]
    words += ["--trial-timeout", "600s", "--storage-timeout", "300s"]
    started = time.monotonic()
    logs = [open(os.path.join(folder, f"{name}-{index}"), "w+") for index in range(number)]
    children = [subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log) for log in logs]
    pss = sampled(trialbox, folder, name, environment, number, started)
    subprocess.run([trialbox, "study", "stop", "--storage", f"{name}.db"], cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    for child in children:
        # The objective would wait for ever: the workers end it, and record what was reported.
        child.terminate()
    codes = [child.wait() for child in children]
    return {**pss, "exit_codes": {str(code): codes.count(code) for code in sorted(set(codes))}}


def sampled(trialbox, folder, name, environment, number, started):
    """Waits until all processes have trained, and returns the time and the memory of each."""
    trained = 0
    while trained < number and time.monotonic() - started < 600:
        time.sleep(1)
        listed = [trialbox, "study", "trials", "--storage", f"{name}.db", "--format", "json"]
        text = subprocess.run(listed, cwd=folder, env=environment, capture_output=True, text=True).stdout
        rows = [json.loads(line) for line in text.splitlines()]
        trained = sum(1 for row in rows if row.get("state") == "RUNNING" and row.get("intermediate_values"))
    wall = time.monotonic() - started
    memory = [kib for kib in map(pss_of, pids_of(trialbox)) if kib]
    total = sum(memory) / 1024
    return {
        "processes": number,
        "trained": trained,
        "seconds_until_all_have_trained": round(wall, 1),
        "pss_mib_each": round(total / number, 1),
        "summary": f"{name} page cache: {trained} of {number} at a time have trained after {wall:.1f} s, {total / number:.1f} MiB (PSS) each",
    }


def pids_of(trialbox):
    own = os.stat(trialbox)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found = os.stat(f"/proc/{pid}/exe")
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
            yield pid


def pss_of(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except OSError:
        return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
