"""Measures CPU and wall time from start to the first suggestion: the recipe, trialbox with its client, trialbox --as-optuna."""
import json, os, resource, shutil, subprocess, sys, tempfile, time
trialbox, python = sys.argv[1:3]
COMMON = "import os\nfrom sklearn.svm import SVC\nfrom sklearn.linear_model import SGDClassifier\nfrom sklearn.datasets import load_digits\nfrom sklearn.model_selection import train_test_split\n"
BARE = "import os\n"
OPTUNA = "import optuna\ndef objective(trial):\n    trial.suggest_float('x', 0, 1)\n    os._exit(0)\noptuna.create_study(study_name='s', storage='sqlite:///own.db', load_if_exists=True).optimize(objective, n_trials=1)\n"
CLIENT = "from trialbox import objective\n@objective\ndef f(trial):\n    trial.suggest_float('x', 0, 1)\n    os._exit(0)\nf.run()\n"
folder = tempfile.mkdtemp()
ways = {}
for kind, head in [("scikit-learn", COMMON), ("bare", BARE)]:
    for name, text in [("optuna", OPTUNA), ("client", CLIENT)]:
        open(f"{folder}/{name}-{kind}.py", "w").write(head + text)
    ways[f"{kind}: recipe"] = [python, f"optuna-{kind}.py"]
    ways[f"{kind}: trialbox, client"] = [trialbox, "run", "--storage", "a.db", "--study-name", kind, "--", python, f"client-{kind}.py"]
    ways[f"{kind}: trialbox --as-optuna"] = [trialbox, "run", "--as-optuna", "--storage", "b.db", "--study-name", kind, "--", python, f"optuna-{kind}.py"]
result = {name: {"cpu_seconds": [], "wall_seconds": []} for name in ways}
for round_ in range(8):
    for name, words in ways.items():
        started = time.monotonic()
        child = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(child.pid, 0)
        if round_ > 0:
            result[name]["cpu_seconds"].append(round(usage.ru_utime + usage.ru_stime, 4))
            result[name]["wall_seconds"].append(round(time.monotonic() - started, 3))
shutil.rmtree(folder)
for name, taken in result.items():
    taken["median_cpu_seconds"] = sorted(taken["cpu_seconds"])[len(taken["cpu_seconds"]) // 2]
print(json.dumps(result))
