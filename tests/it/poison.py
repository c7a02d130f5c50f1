"""Which databases Python's Optuna can read, and what stops it.

`build` makes a database from each case of `cases.sql`; `read` loads every study of each database.
"""

import json
import sqlite3
import sys
from pathlib import Path

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)


def cases(text):
    for block in text.split("\n--- ")[1:]:
        head, sql = block.split("\n", 1)
        name, python, ours, repair, *_ = head.split()
        yield {"name": name, "python": python, "ours": ours, "repair": repair, "sql": sql}


def build(folder, create, base, cases_file, host, boot_id, pids):
    built = []
    for case in cases(Path(cases_file).read_text()):
        file = case["name"].replace("/", "_") + ".db"
        connection = sqlite3.connect(Path(folder, file))
        # A test's database need not outlive a power cut.
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(Path(create).read_text() + Path(base).read_text())
        connection.executescript(case["sql"].replace("HOST", host).replace("BOOT", boot_id).replace("PIDS", pids))
        connection.close()
        built.append({"file": file, **case})
    return built


def problem(path):
    try:
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
        for name in optuna.get_all_study_names(storage):
            study = optuna.load_study(storage=storage, study_name=name)
            study.directions, study.user_attrs, study.trials
        # As `optuna studies` and the dashboard list them.
        optuna.get_all_study_summaries(storage)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def read(folder):
    return {path.name: problem(path) for path in sorted(Path(folder).glob("*.db"))}


command, *arguments = sys.argv[1:]
print(json.dumps({"build": build, "read": read}[command](*arguments)))
