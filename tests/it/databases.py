"""Databases that resemble what people have: made by releases of Optuna, and held against trialbox.

    databases.py make VERSION=PYTHON...            all databases, into tests/golden/databases, with what Optuna 5.0 reads
    databases.py write NAME DATABASE               one of them, with this interpreter's Optuna
    databases.py check FOLDER                      opens, lists, exports, copies and continues each with `$BINARY`
"""

import datetime
import hashlib
import json
import lzma
import math
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from differential import UTC, Trialbox, python_reads

GOLDEN = Path(__file__).parent.parent / "golden"
KEPT = GOLDEN / "databases"
# Of a database with many studies so many are copied and continued.
N_CONTINUED = 3


def optimize(optuna, path, n, objective, name="study", **options):
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name=name, **options)
    study.optimize(objective, n_trials=n, catch=(RuntimeError,))
    return study


def quadratic(trial):
    x = trial.suggest_float("x", -10, 10)
    y = trial.suggest_int("y", -5, 5)
    return (x - 2) ** 2 + (y + 1) ** 2


def two_objectives(trial):
    x = trial.suggest_float("x", 0, 5)
    kind = trial.suggest_categorical("kind", ["a", "b", None])
    return x**2, (x - 2) ** 2 + (kind == "a")


def learning_curve(trial, optuna, n_steps=30):
    rate = trial.suggest_float("rate", 1e-5, 1e-1, log=True)
    for step in range(n_steps):
        trial.report(1 - math.exp(-rate * 30 * step), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return 1 - math.exp(-rate * 30 * n_steps)


def sql(path, *statements):
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def attrs(study, attrs):
    for key, value in attrs.items():
        study._storage.set_study_system_attr(study._study_id, key, value)


def plain(optuna, path):
    optimize(optuna, path, 12, quadratic)


def pruned(optuna, path):
    pruner = optuna.pruners.MedianPruner(n_startup_trials=2)
    optimize(optuna, path, 20, lambda trial: learning_curve(trial, optuna), pruner=pruner, direction="maximize")


def front(optuna, path):
    optimize(optuna, path, 25, two_objectives, directions=["minimize", "minimize"])


def many_studies(optuna, path):
    for index in range(60):
        optimize(optuna, path, index % 4, quadratic, f"sweep-{index:03}/seed={index % 7}")


def notes(optuna, path):
    study = optimize(optuna, path, 6, quadratic)
    attrs(study, {"dashboard:note_ver": 3, "dashboard:note_str:0": "# Notes\n\nIt **diverges** for `x > 5` – see 図 1."})
    attrs(study, {f"dashboard:{n}:note_ver": 1 for n in (1, 2)} | {"dashboard:2:note_str:0": "x" * 3000})
    attrs(study, {"dashboard:plotly_graph_objects:0": json.dumps({"data": [], "layout": {}})})


def artifacts(optuna, path):
    def objective(trial):
        value = quadratic(trial)
        meta = {"artifact_id": f"{trial.number:032x}", "filename": "weights é.pt", "mimetype": "application/zip"}
        storage = trial.study._storage
        storage.set_trial_system_attr(trial._trial_id, f"artifacts:{meta['artifact_id']}", json.dumps(meta))
        return value

    attrs(optimize(optuna, path, 8, objective), {"artifacts:0": json.dumps({"artifact_id": "0"})})


def failed_with_values(optuna, path):
    def objective(trial):
        if trial.number % 3 == 1:
            raise RuntimeError("CUDA out of memory")
        return quadratic(trial)

    optimize(optuna, path, 15, objective)
    sql(path, "UPDATE trials SET state = 'FAIL' WHERE number % 5 = 0")


def long_names(optuna, path):
    def objective(trial):
        trial.set_user_attr("config." * 70, {"depth": [1, 2]})
        return trial.suggest_float("encoder.layers.0.attention.dropout." * 14, 0, 1)

    optimize(optuna, path, 5, objective, "experiment " * 46)


def constraints(optuna, path):
    def objective(trial):
        values = two_objectives(trial)
        trial.set_user_attr("constraint", (values[0] - 9, -1.0))
        return values

    sampler = optuna.samplers.NSGAIISampler(
        population_size=6, seed=1, constraints_func=lambda trial: trial.user_attrs["constraint"]
    )
    optimize(optuna, path, 24, objective, directions=["minimize", "maximize"], sampler=sampler)


def named_constraints(optuna, path):
    def objective(trial):
        value = quadratic(trial)
        trial.set_constraint("memory", value - 20)
        trial.set_constraint("time", -1.0)
        return value

    optimize(optuna, path, 15, objective)


def ten_thousand(optuna, path):
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="long")
    x = optuna.distributions.IntDistribution(0, 9)
    at = datetime.datetime(2026, 3, 1)
    make = lambda n: optuna.trial.FrozenTrial(  # noqa: E731 - short
        n, optuna.trial.TrialState.COMPLETE, float(n % 97), at, at, {"x": n % 10}, {"x": x}, {}, {}, {}, n
    )
    study.add_trials([make(n) for n in range(200)])
    # A transaction for each trial would take minutes.
    sql(
        path,
        """WITH RECURSIVE n(n) AS (SELECT 200 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
           INSERT INTO trials SELECT n + 1, n, 1, 'COMPLETE', '2026-03-01 00:00:00.000000',
           '2026-03-01 00:00:00.000000' FROM n""",
        "INSERT INTO trial_values SELECT trial_id, trial_id, 0, number % 97, 'FINITE' FROM trials WHERE number >= 200",
        """INSERT INTO trial_params SELECT trial_id, trial_id, 'x', number % 10,
           (SELECT distribution_json FROM trial_params LIMIT 1) FROM trials WHERE number >= 200""",
    )


def zombies(optuna, path):
    study = optimize(optuna, path, 4, quadratic)
    for _ in range(3):
        study.ask().suggest_float("x", -10, 10)
    sql(path, "INSERT INTO trial_heartbeats SELECT trial_id, trial_id, '2026-03-01 00:00:00' FROM trials WHERE number > 2")


def retries(optuna, path):
    study = optimize(optuna, path, 3, quadratic)
    for history in ([1], [1, 3]):
        state = optuna.trial.TrialState.WAITING
        system_attrs = {"failed_trial": 1, "retry_history": history, "fixed_params": {"x": 1.0}}
        study.add_trial(optuna.trial.create_trial(state=state, system_attrs=system_attrs))
    study.optimize(quadratic, n_trials=1)


def grid(optuna, path):
    space = {"x": [-1.0, 0.5, 2.0], "y": [0, 3]}
    optimize(optuna, path, 6, quadratic, sampler=optuna.samplers.GridSampler(space))


def generations(optuna, path):
    sampler = optuna.samplers.NSGAIISampler(population_size=5, seed=1)
    optimize(optuna, path, 30, two_objectives, directions=["minimize", "maximize"], sampler=sampler)


def rungs(optuna, path):
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=30, reduction_factor=3)
    optimize(optuna, path, 25, lambda trial: learning_curve(trial, optuna), pruner=pruner, direction="maximize")


def liar(optuna, path):
    sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, n_startup_trials=5, seed=1)
    optimize(optuna, path, 20, quadratic, sampler=sampler)


def choices(optuna, path):
    def objective(trial):
        odd = trial.suggest_categorical("odd", [None, True, 1, 2.5, "1", "é", float("inf")])
        return float(len(str(odd))) + trial.suggest_categorical("one", [7])

    optimize(optuna, path, 12, objective)


def enqueued(optuna, path):
    study = optimize(optuna, path, 2, quadratic)
    study.enqueue_trial({"x": 2.0, "y": -1}, user_attrs={"why": "a guess"})
    study.enqueue_trial({"x": 99.0})
    study.optimize(quadratic, n_trials=1)


def moved_ranges(optuna, path):
    optimize(optuna, path, 15, lambda trial: trial.suggest_float("x", -trial.number, trial.number + 1) ** 2)


def curves(optuna, path):
    optimize(optuna, path, 5, lambda trial: learning_curve(trial, optuna, 400), pruner=optuna.pruners.NopPruner())


def infinities(optuna, path):
    def objective(trial):
        x = trial.suggest_float("x", -1, 1)
        trial.report(float("nan"), 0)
        trial.report(-float("inf"), 7)
        return [float("inf"), -float("inf"), x, 5e-324][trial.number % 4]

    optimize(optuna, path, 8, objective)


def unicode(optuna, path):
    for name in ("学習 🚀", "a\nb", "../x", " ", "quote\"'\\"):
        optimize(optuna, path, 3, lambda trial: trial.suggest_float("λ ", 0, 1), name)


def preferential(optuna, path):
    study = optuna.create_study(storage=f"sqlite:///{path}", study_name="preferential")
    attrs(study, {"preference:is_preferential": True, "preference:values:1f": [[0, 1]], "preference:n_generate": 4})
    for _ in range(4):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        study._storage.set_trial_system_attr(trial._trial_id, "preference:preferential_trial", True)


def deleted(optuna, path):
    for name in ("first", "second", "third"):
        optimize(optuna, path, 4, quadratic, name)
    optuna.delete_study(study_name="third", storage=f"sqlite:///{path}")
    sql(path, "INSERT INTO trial_params VALUES (9999, 9999, 'orphan', 1.0, 'no JSON')")
    optimize(optuna, path, 2, quadratic, "again")


def metric_names(optuna, path):
    study = optimize(optuna, path, 5, two_objectives, directions=["minimize", "maximize"])
    study.set_metric_names(["loss", "accuracy"])
    url = f"sqlite:///{path}"
    optuna.copy_study(from_study_name="study", from_storage=url, to_storage=url, to_study_name="copy")


def upgraded(optuna, path):
    shutil.copy(GOLDEN / "optuna-2.10.1.db", path)
    optuna.storages.RDBStorage(f"sqlite:///{path}", skip_compatibility_check=True).upgrade()


def large_attributes(optuna, path):
    def objective(trial):
        trial.set_user_attr("log", "step 1: loss 0.5\n" * 6000)
        return quadratic(trial)

    study = optimize(optuna, path, 4, objective)
    study.set_user_attr("git diff", "+ a line\n" * 9000)


def write_ahead(optuna, path):
    optimize(optuna, path, 5, quadratic)
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").close()


def conditional(optuna, path):
    def objective(trial):
        n_layers = trial.suggest_int("n_layers", 1, 8)
        widths = [trial.suggest_int(f"layer{n}.width", 4, 512, log=True) for n in range(n_layers)]
        rates = [trial.suggest_float(f"layer{n}.dropout", 0, 0.5, step=0.1) for n in range(n_layers)]
        return sum(widths) + sum(rates)

    optimize(optuna, path, 30, objective)


def evolution(optuna, path):
    """What CmaEsSampler leaves behind: a pickle in pieces."""
    study = optimize(optuna, path, 4, quadratic)
    for trial in study.trials:
        pieces = {f"cma:optimizer:{n}": "80049a" * 340 for n in range(3)} | {"cma:generation": trial.number}
        rows = [(trial._trial_id, key, json.dumps(value)) for key, value in pieces.items()]
        database = sqlite3.connect(path)
        insert = "INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES (?, ?, ?)"
        database.executemany(insert, rows)
        database.commit()
        database.close()


# The release and the function of each.
DATABASES = {
    "plain-3.1": ("3.1.1", plain),
    "front-3.1": ("3.1.1", front),
    "pruned-3.1": ("3.1.1", pruned),
    "plain-3.2": ("3.2.0", plain),
    "failed-with-values": ("3.2.0", failed_with_values),
    "generations": ("3.2.0", generations),
    "unicode": ("3.2.0", unicode),
    "many-studies": ("3.6.2", many_studies),
    "zombies": ("3.6.2", zombies),
    "grid": ("3.6.2", grid),
    "choices": ("3.6.2", choices),
    "curves": ("3.6.2", curves),
    "deleted": ("3.6.2", deleted),
    "evolution": ("3.6.2", evolution),
    "notes": ("4.9.0", notes),
    "artifacts": ("4.9.0", artifacts),
    "constraints": ("4.9.0", constraints),
    "ten-thousand": ("4.9.0", ten_thousand),
    "retries": ("4.9.0", retries),
    "rungs": ("4.9.0", rungs),
    "enqueued": ("4.9.0", enqueued),
    "infinities": ("4.9.0", infinities),
    "preferential": ("4.9.0", preferential),
    "metric-names": ("4.9.0", metric_names),
    "large-attributes": ("4.9.0", large_attributes),
    "write-ahead": ("4.9.0", write_ahead),
    "pruned-5.0": ("5.0.0", pruned),
    "long-names": ("5.0.0", long_names),
    "named-constraints": ("5.0.0", named_constraints),
    "liar": ("5.0.0", liar),
    "moved-ranges": ("5.0.0", moved_ranges),
    "conditional": ("5.0.0", conditional),
    "upgraded": ("5.0.0", upgraded),
}


def write(name, path):
    import warnings

    import numpy
    import optuna

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    random.seed(name)
    numpy.random.seed(1)
    DATABASES[name][1](optuna, path)


def upgrade(path):
    import optuna

    optuna.storages.RDBStorage(f"sqlite:///{path}", skip_compatibility_check=True).upgrade()


def facts(studies):
    """What is kept of a reading: enough to see at a glance what changed, and a digest of the rest."""
    return {
        name: {
            "n_trials": len(study["trials"]),
            "states": sorted({trial["state"] for trial in study["trials"]}),
            "best": study["best"][:9],
            "sha256": hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest(),
        }
        for name, study in studies.items()
    }


def make(*versions):
    interpreters = dict(version.split("=", 1) for version in versions)
    KEPT.mkdir(exist_ok=True)
    all_facts = {}
    for name, (version, _) in DATABASES.items():
        path = KEPT / f"{name}.db"
        path.unlink(missing_ok=True)
        run(interpreters[version], "write", name, path)
        (KEPT / f"{name}.db.xz").write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        if version == "3.1.1":
            run(interpreters["5.0.0"], "upgrade", path)
        all_facts[name] = facts(python_reads(interpreters["5.0.0"], path))
        path.unlink()
        print(name, (KEPT / f"{name}.db.xz").stat().st_size)
    text = json.dumps(all_facts, indent=1, ensure_ascii=True)
    (KEPT / "facts.json").write_text(text + "\n")


def run(interpreter, *arguments):
    ran = subprocess.run([interpreter, __file__, *map(str, arguments)], capture_output=True, env=UTC, text=True)
    if ran.returncode != 0:
        sys.exit(f"{arguments}: {ran.stderr}")


def check(folder):
    trialbox = Trialbox(os.environ["BINARY"])
    wanted = json.loads((KEPT / "facts.json").read_text())
    assert wanted.keys() == DATABASES.keys(), "run `databases.py make`"
    for name, (version, _) in DATABASES.items():
        path = Path(folder) / f"{name}.db"
        path.write_bytes(lzma.decompress((KEPT / f"{name}.db.xz").read_bytes()))
        if version == "3.1.1":
            refused = trialbox.run("study", "list", "--storage", path)
            assert refused.returncode == 3 and "optuna storage upgrade" in refused.stderr, refused
            upgrade(path)
        names = listed(trialbox, path)
        assert set(names) == wanted[name].keys(), f"{name}: {names}"
        # No argument of a process can hold the character 0.
        studies = {study: trialbox.read(path, study)[0] for study in names if "\0" not in study}
        found = facts(studies)
        for study, fact in wanted[name].items():
            if "\0" in study:
                continue
            assert found.get(study) == fact, f"{name}, study {study!a}: expected {fact}, found {found.get(study)}"
        for study in list(studies)[:N_CONTINUED]:
            go_on(trialbox, path, name, study, studies[study])
    print(json.dumps({"databases": len(DATABASES), "studies": sum(map(len, wanted.values()))}))


def listed(trialbox, path):
    ran = trialbox.run("study", "list", "--format", "json", "--storage", path)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line)["study"] for line in ran.stdout.split("\n") if line]


def go_on(trialbox, path, name, study, before):
    """Shows the study, copies it, and continues the copy with a trial of its own last distributions."""

    def succeed(*arguments):
        ran = trialbox.run(*arguments[:2], "--storage", path, *arguments[2:])
        assert ran.returncode == 0, f"{name}, study {study!a}: {arguments}: {ran.stderr}"
        return ran.stdout

    succeed("study", "show", f"--study-name={study}")
    succeed("study", "trials", f"--study-name={study}")
    succeed("study", "copy", "--to-study-name=copied", "--", study)
    copy = "--study-name=copied"
    exported = [json.loads(line) for line in succeed("study", "export", "--format=json", copy).split("\n") if line]
    assert len(exported) == 1 + len(before["trials"])
    space = next((line["distributions"] for line in reversed(exported[1:]) if line["distributions"]), {})
    if space and "$json" not in json.dumps(space):
        asked = json.loads(succeed("trial", "ask", "--lenient", "--format=json", f"--search-space={json.dumps(space)}", copy))
        values = ["0.5"] * len(before["directions"])
        succeed("trial", "tell", copy, str(asked["number"]), "--values", *values)
    succeed("study", "delete", "--force", "copied")


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    {"make": make, "write": write, "upgrade": upgrade, "check": check}[command](*words)
