#!/usr/bin/env python3
"""Makes the golden databases: what releases of Optuna wrote, and what each of them reads from it.

    python3 tests/golden/make.py [VERSION ...]

Each release is installed into a virtual environment of its own under target/golden; `write.py` runs there
and leaves `optuna-VERSION.db`, then `read.py` leaves `optuna-VERSION.json`. The databases are made once and
kept in the repository; this script says how. Two runs differ only in what the libraries beneath Optuna
change: SQLite's version in the file's header, and random numbers where NumPy's differ.
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENVS = HERE.parents[1] / "target" / "golden"
LARGEST_BYTES = 200_000

# What a release needs beside itself, where pip's own choice is too new for it.
REQUIREMENTS = {
    "2.10.1": ["sqlalchemy<2", "numpy<2", "scipy<1.12", "setuptools<70"],
    "3.1.1": ["sqlalchemy<2", "numpy<2", "scipy<1.12", "setuptools<70", "cmaes"],
    "3.2.0": ["sqlalchemy<2.1", "numpy<2", "scipy<1.12", "setuptools<70", "cmaes"],
    "3.6.2": ["sqlalchemy<2.1", "numpy<2", "scipy<1.15", "cmaes"],
    "4.0.0": ["sqlalchemy<2.1", "scipy<1.15", "cmaes"],
    "4.9.0": ["scipy<1.17", "cmaes"],
}


def python_with(version):
    """The interpreter of an environment that holds this release."""
    venv = VENVS / version
    python = venv / "bin" / "python"
    stamp = venv / "installed"
    wanted = "\n".join([f"optuna=={version}", *REQUIREMENTS[version]])
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted.split("\n")], check=True)
        stamp.write_text(wanted)
    return python


def make(version):
    python = python_with(version)
    database = HERE / f"optuna-{version}.db"
    database.unlink(missing_ok=True)
    # One seed for Python's sets and hashes, one time zone for the naive local times of Optuna before 5.
    environment = {**os.environ, "PYTHONHASHSEED": "0", "TZ": "UTC"}

    def run(script, *arguments, **more):
        command = [str(python), "-W", "ignore", str(HERE / script), *map(str, arguments)]
        subprocess.run(command, check=True, env=environment, **more)

    run("write.py", database)
    with open(HERE / f"optuna-{version}.json", "w") as out:
        run("read.py", database, stdout=out)
    size = database.stat().st_size
    print(f"{database.name}: {size} bytes")
    if size > LARGEST_BYTES:
        sys.exit(f"{database.name} is larger than {LARGEST_BYTES} bytes: write less into it")


if __name__ == "__main__":
    versions = sys.argv[1:] or list(REQUIREMENTS)
    unknown = [version for version in versions if version not in REQUIREMENTS]
    if unknown:
        sys.exit(f"unknown: {', '.join(unknown)}; known are {', '.join(REQUIREMENTS)}")
    for version in versions:
        make(version)
