"""Random studies, written by several releases of Optuna and by trialbox, read by both: every difference is printed.

    differential.py drive --binary TRIALBOX --studies N --seed S --folder DIR VERSION=PYTHON...
    differential.py write DATABASE SEED N          N random studies, with this interpreter's Optuna
    differential.py read DATABASE                  all studies, as lines of JSON

The studies hold what real ones do and what hands have added to them: NaN and infinities, huge integers, text of all
kinds, ranges that move, rows that no release writes. What Optuna cannot read, trialbox must refuse too.
"""

import argparse
import datetime
import json
import math
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

# Optuna 4.9 and older store local times, 5.0 stores UTC.
UTC = {**{key: os.environ[key] for key in os.environ if not key.startswith("TRIALBOX_")}, "TZ": "UTC"}
TEXTS = ["", "a", "é€𝄞", "line\nbreak", 'quote"\\', "\u0000", "\u2028\ufeff", "$json", "x" * 300, "1", "nan"]
STATES = ["COMPLETE"] * 5 + ["PRUNED", "FAIL", "RUNNING", "WAITING"]
# The answer for a study that cannot be read.
UNREADABLE = "unreadable"


# Values as both sides show them.


def canonical(value):
    """The value with its type, so that 1, 1.0, True and "1" differ, and NaN equals itself."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return f"int {value}"
    if isinstance(value, float):
        # SQLite does not keep the sign of a zero in a column; in JSON text it stays.
        return "float nan" if math.isnan(value) else f"float {value.hex()}"
    if isinstance(value, str):
        return f"text {value!a}"
    if isinstance(value, (list, tuple)):
        return [canonical(item) for item in value]
    return {f"text {key!a}": canonical(item) for key, item in sorted(value.items())}


def column(value):
    """A value of a REAL column."""
    return canonical(float(value) + 0.0)


def moment(time):
    """A time of the database. An offset in its text means nothing: some releases keep it and some do not."""
    return None if time is None else time.replace(tzinfo=None).isoformat(timespec="microseconds")


# What Optuna writes.


def write(path, seed, n):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    rng = random.Random(int(seed))
    names = []
    for index in range(int(n)):
        # No argument of a command holds a NUL.
        name = f"{seed}-{index}{rng.choice(TEXTS)}".replace("\0", "")
        names.append(name)
        write_study(optuna, storage, rng, name)
    storage.engine.dispose()
    database = sqlite3.connect(path)
    for name in names:
        if rng.random() < 0.5:
            by_hand(database, rng, name)
    database.commit()
    return names


def write_study(optuna, storage, rng, name):
    from optuna.trial import FrozenTrial, TrialState

    direction = optuna.study.StudyDirection
    directions = [
        rng.choice([direction.MINIMIZE, direction.MAXIMIZE]) for _ in range(rng.choice([1, 1, 1, 2, 3]))
    ]
    study = storage.create_new_study(directions, name)
    for _ in range(rng.randrange(3)):
        storage.set_study_user_attr(study, rng.choice(TEXTS), any_json(rng))
    if rng.random() < 0.3:
        names = [f"m{index}{rng.choice(TEXTS)}" for index in range(len(directions))]
        storage.set_study_system_attr(study, "study:metric_names", names)
    space = {rng.choice(TEXTS) + str(index): any_kind(rng) for index in range(rng.randrange(5))}
    start = datetime.datetime(2026, 1, 1) + datetime.timedelta(microseconds=rng.randrange(10**15))
    for _ in range(rng.choice([0, 1, 3, 8, 20])):
        state = rng.choice(STATES)
        is_finished = state in ("COMPLETE", "PRUNED", "FAIL")
        values = [any_float(rng, nan=False) for _ in directions] if state == "COMPLETE" else None
        if state == "PRUNED" and len(directions) == 1 and rng.random() < 0.5:
            values = [any_float(rng, nan=False)]
        params, distributions = {}, {}
        for param, kind in space.items():
            if state == "WAITING" or rng.random() < 0.1:
                continue
            distributions[param], params[param] = suggest(optuna, rng, kind)
        system_attrs = {}
        if state == "WAITING":
            system_attrs["fixed_params"] = {param: any_json(rng, 0) for param in space}
        if rng.random() < 0.2:
            system_attrs["constraints"] = [any_float(rng, nan=False) for _ in range(rng.randrange(3))]
        if rng.random() < 0.2:
            system_attrs[rng.choice(TEXTS)] = any_json(rng)
        trial = FrozenTrial(
            number=-1,
            trial_id=-1,
            state=TrialState[state],
            value=None,
            values=values,
            datetime_start=None if state == "WAITING" else start,
            datetime_complete=start + datetime.timedelta(seconds=rng.random()) if is_finished else None,
            params=params,
            distributions=distributions,
            user_attrs={rng.choice(TEXTS): any_json(rng) for _ in range(rng.randrange(3))},
            system_attrs=system_attrs,
            intermediate_values={
                rng.choice([0, 1, 2, 7, 2**40]): any_float(rng) for _ in range(rng.randrange(4))
            },
        )
        storage.create_new_trial(study, trial)


def any_float(rng, nan=True):
    odd = [0.0, -0.0, 1.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, -2.65e-205, 1e16, math.inf, -math.inf]
    return rng.choice(odd + [math.nan] * nan + [rng.uniform(-9, 9)] * 5)


def any_int(rng):
    return rng.choice([0, -1, 7, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**40])


def any_json(rng, depth=2):
    kinds = [
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: any_int(rng),
        lambda: any_float(rng),
        lambda: rng.choice(TEXTS + ["\ud800 alone"]),
    ]
    if depth > 0:
        kinds.append(lambda: [any_json(rng, depth - 1) for _ in range(rng.randrange(4))])
        kinds.append(lambda: {rng.choice(TEXTS): any_json(rng, depth - 1) for _ in range(rng.randrange(4))})
    return rng.choice(kinds)()


def any_kind(rng):
    """A parameter's kind, whose ranges may move from trial to trial."""
    kind = rng.choice(["float", "log", "step", "int", "int log", "int step", "huge", "choice"])
    choices = [any_json(rng, 0) for _ in range(rng.randrange(1, 5))]
    return kind, rng.random() < 0.3, choices


def suggest(optuna, rng, kind):
    """A distribution of a kind and a value of it."""
    kind, moves, choices = kind
    low = rng.choice([-3, 0, 2]) if moves else 0
    d = optuna.distributions
    if kind == "float":
        width = rng.choice([1.0, 1e308, 1e-310])
        return d.FloatDistribution(low, low + width), low + width * rng.random()
    if kind == "log":
        return d.FloatDistribution(1e-5, 10.0 ** (low + 3), log=True), 10.0 ** rng.uniform(-5, 0)
    if kind == "step":
        step = rng.choice([0.1, 0.3, 0.25])
        return d.FloatDistribution(low, low + 1.05, step=step), low + step * rng.randrange(3)
    if kind == "int":
        return d.IntDistribution(low, low + 9), low + rng.randrange(10)
    if kind == "int log":
        return d.IntDistribution(1, 10 ** (low + 4), log=True), rng.randrange(1, 10)
    if kind == "int step":
        return d.IntDistribution(low, low + 10, step=3), low + 3 * rng.randrange(3)
    if kind == "huge":
        high = rng.choice([2**53, 2**63 - 1, 2**64 - 1, 10**30])
        return d.IntDistribution(0, high), rng.choice([0, high, rng.randrange(high)])
    index = rng.randrange(len(choices))
    return d.CategoricalDistribution(choices), choices[index]


# What hands have done to the rows.

TRIALS = "trial_id IN (SELECT trial_id FROM trials t JOIN studies s USING (study_id) WHERE s.study_name = :name)"
ONE = "(SELECT trial_id FROM trials t JOIN studies s USING (study_id) WHERE s.study_name = :name LIMIT 1 OFFSET :n)"
HANDS = [
    f"UPDATE trial_intermediate_values SET step = -step - 1 WHERE {TRIALS}",
    f"UPDATE trials SET state = 'FAIL' WHERE trial_id = {ONE}",
    f"UPDATE trials SET state = 'COMPLETE' WHERE trial_id = {ONE}",
    f"DELETE FROM trial_values WHERE trial_id = {ONE}",
    f"UPDATE trials SET datetime_start = NULL WHERE trial_id = {ONE}",
    f"UPDATE trials SET datetime_complete = NULL WHERE {TRIALS}",
    f"UPDATE trials SET datetime_start = substr(datetime_start, 1, 19) WHERE {TRIALS}",
    f"UPDATE trials SET datetime_start = replace(datetime_start, ' ', 'T') WHERE {TRIALS}",
    f"UPDATE trials SET datetime_start = datetime_start || 'Z' WHERE trial_id = {ONE}",
    f"UPDATE trial_params SET param_value = 77 WHERE trial_id = {ONE} AND distribution_json LIKE '%Float%'",
    f"UPDATE trial_values SET value = 9e999 WHERE value_type = 'FINITE' AND trial_id = {ONE}",
    f"""UPDATE trial_params SET distribution_json = '{{"type": "float", "low": -9, "high": 99}}'
        WHERE distribution_json LIKE '%"FloatDistribution"%"log": false%' AND {TRIALS}""",
    f"""UPDATE trial_params
        SET distribution_json = '{{"name": "UniformDistribution", "attributes": {{"low": 0, "high": 9}}}}'
        WHERE distribution_json LIKE '%"FloatDistribution"%"log": false%' AND {TRIALS}""",
    f"""UPDATE trial_params SET distribution_json =
        ' {{ "attributes":{{"high":9,"low":0.0}} , "extra": [], "name":"IntDistribution"}} '
        WHERE distribution_json LIKE '%"IntDistribution"%"log": false%' AND {TRIALS}""",
    f"UPDATE trial_user_attributes SET value_json = ' [ 1 ,\t2.0, \"é\" ] ' WHERE trial_id = {ONE}",
    f"UPDATE trial_user_attributes SET value_json = '{{\"a\": 1, \"a\": -0.0}}' WHERE trial_id = {ONE}",
    f"UPDATE trial_system_attributes SET value_json = '-Infinity' WHERE trial_id = {ONE}",
    f"DELETE FROM trials WHERE trial_id = {ONE}",
    # What no reader can make sense of.
    f"UPDATE trial_user_attributes SET value_json = 'no JSON' WHERE trial_id = {ONE}",
    f"UPDATE trials SET state = 'complete' WHERE trial_id = {ONE}",
    f"UPDATE trial_values SET value = NULL WHERE value_type = 'FINITE' AND trial_id = {ONE}",
    f"UPDATE trial_params SET param_value = 9 WHERE trial_id = {ONE} AND distribution_json LIKE '%choices%'",
]


def by_hand(database, rng, name):
    for _ in range(rng.randrange(1, 4)):
        database.execute(rng.choice(HANDS), {"name": name, "n": rng.randrange(5)})


# What Optuna reads.


def read(path):
    import warnings

    import optuna

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    for name in [study.study_name for study in storage.get_all_studies()]:
        try:
            answer = read_study(optuna, storage, name)
        except Exception as error:  # noqa: BLE001 - whatever Optuna fails with, the study is unreadable to it
            answer = {UNREADABLE: f"{type(error).__name__}: {error}"}
        print(json.dumps([name, answer]))


def read_study(optuna, storage, name):
    study = storage.get_study_id_from_name(name)
    return {
        "directions": [direction.name.lower() for direction in storage.get_study_directions(study)],
        "user_attrs": canonical(storage.get_study_user_attrs(study)),
        "system_attrs": canonical(storage.get_study_system_attrs(study)),
        "best": best(optuna, storage, name),
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.name,
                "values": [column(value) for value in trial.values or []],
                "datetime_start": moment(trial.datetime_start),
                "datetime_complete": moment(trial.datetime_complete),
                "params": [[param, canonical(value)] for param, value in trial.params.items()],
                "distributions": {
                    param: canonical(attributes(optuna, distribution))
                    for param, distribution in trial.distributions.items()
                },
                "intermediate_values": sorted(
                    [step, column(value)] for step, value in trial.intermediate_values.items()
                ),
                "user_attrs": canonical(trial.user_attrs),
                "system_attrs": canonical(trial.system_attrs),
            }
            for trial in storage.get_all_trials(study)
        ],
    }


def attributes(optuna, distribution):
    """A distribution as an object. The classes of old releases are those that replaced them."""
    module = optuna.distributions
    new = module._convert_old_distribution_to_new_distribution(distribution, suppress_warning=True)
    return json.loads(module.distribution_to_json(new))


def best(optuna, storage, name):
    study = optuna.load_study(study_name=name, storage=storage)
    try:
        if len(study.directions) > 1:
            return sorted(trial.number for trial in study.best_trials)
        return [study.best_trial.number]
    except (ValueError, KeyError):
        return []
    except TypeError:
        # Of constraints that are no list, or of no values, Optuna can read the trials but not choose the best.
        return None


# What trialbox reads.


def plain(value):
    """A value of an export: `{"$json": TEXT}` stands for what strict JSON cannot hold."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        if list(value) == ["$json"] and isinstance(value["$json"], str):
            return json.loads(value["$json"])
        return {key: plain(item) for key, item in value.items()}
    return value


def attrs(attrs):
    """Attributes of an export. One may be called `$json`."""
    return canonical({key: plain(value) for key, value in attrs.items()})


def exported_float(value):
    return column(float(value) if isinstance(value, str) else value)


def exported_time(text):
    # Python shows a naive time; exports name UTC.
    return None if text is None else moment(datetime.datetime.fromisoformat(text.rstrip("Z")))


def from_export(text, best_numbers):
    study, *trials = (json.loads(line) for line in text.split("\n") if line)
    return {
        "directions": study["directions"],
        "user_attrs": attrs(study["user_attrs"]),
        "system_attrs": attrs(study["system_attrs"]),
        "best": best_numbers,
        "trials": [
            {
                "number": trial["number"],
                "state": trial["state"],
                "values": [exported_float(value) for value in trial["values"]],
                "datetime_start": exported_time(trial["datetime_start"]),
                "datetime_complete": exported_time(trial["datetime_complete"]),
                "params": [[name, canonical(plain(trial["params"][name]))] for name in trial["params_order"]],
                "distributions": {
                    name: canonical(plain(distribution))
                    for name, distribution in trial["distributions"].items()
                },
                "intermediate_values": sorted(
                    [step, exported_float(value)] for step, value in trial["intermediate_values"]
                ),
                "user_attrs": attrs(trial["user_attrs"]),
                "system_attrs": attrs(trial["system_attrs"]),
            }
            for trial in trials
        ],
    }


class Trialbox:
    def __init__(self, binary):
        self.binary = binary

    def run(self, *arguments, stdin=None):
        command = [self.binary, *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, env=UTC, encoding="utf-8")

    def export(self, path, name):
        return self.run("study", "export", "--format", "json", "--storage", path, f"--study-name={name}")

    def best(self, path, name):
        ran = self.run("study", "best", "--format", "json", "--storage", path, f"--study-name={name}")
        lines = (json.loads(line) for line in ran.stdout.split("\n") if line)
        return sorted(line["number"] for line in lines if line["event"] == "trial")

    def read(self, path, name):
        """The study, and the text of its export."""
        ran = self.export(path, name)
        if ran.returncode != 0:
            return {UNREADABLE: ran.stderr.strip()}, None
        return from_export(ran.stdout, self.best(path, name)), ran.stdout


# The comparison.


def difference(left, right, place=""):
    """The first place at which two answers differ, and both, or None."""
    if UNREADABLE in left or UNREADABLE in right:
        both = UNREADABLE in left and UNREADABLE in right
        return None if both else f"{left.get(UNREADABLE, 'readable')} | {right.get(UNREADABLE, 'readable')}"
    return differing(left, right, place)


def differing(left, right, place):
    if left == right:
        return None
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return next(filter(None, (differing(left[key], right[key], f"{place}.{key}") for key in left)), None)
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        pairs = enumerate(zip(left, right))
        return next(filter(None, (differing(a, b, f"{place}[{index}]") for index, (a, b) in pairs)), None)
    return f"{place}: {shorten(left)} | {shorten(right)}"


def shorten(value):
    text = json.dumps(value)
    return text if len(text) < 300 else text[:300] + "…"


def python(interpreter, *arguments):
    command = [interpreter, __file__, *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, env=UTC, encoding="utf-8")
    if ran.returncode != 0:
        sys.exit(f"{' '.join(command)}: {ran.stderr}")
    return ran.stdout


def python_reads(interpreter, path):
    return dict(json.loads(line) for line in python(interpreter, "read", path).split("\n") if line)


class Drive:
    def __init__(self, arguments):
        self.trialbox = Trialbox(arguments.binary)
        self.interpreters = dict(version.split("=", 1) for version in arguments.versions)
        self.newest = list(self.interpreters)[-1]
        self.n = self.n_unreadable = self.n_trials = 0
        self.differences = []

    def differ(self, who, name, found):
        if found:
            self.differences.append(found)
            print(f"{who}, study {name!a}: {found}", flush=True)

    def batch(self, folder, writer, seed, n):
        """`n` studies that one release writes, and their copies that trialbox writes."""
        path, copy = folder / "theirs.db", folder / "ours.db"
        path.unlink(missing_ok=True)
        copy.unlink(missing_ok=True)
        python(self.interpreters[writer], "write", path, seed, n)
        theirs = {
            version: python_reads(interpreter, path)
            for version, interpreter in self.interpreters.items()
            if version in (writer, self.newest)
        }
        copied = {}
        for name, wanted in theirs[self.newest].items():
            ours, export = self.trialbox.read(path, name)
            self.n += 1
            self.n_unreadable += UNREADABLE in wanted
            self.n_trials += len(wanted.get("trials", []))
            for version, answers in theirs.items():
                answer = dict(answers[name])
                if "best" in ours and (version != self.newest or answer.get("best", ...) is None):
                    # Constraints count since 4.2, and in another way since 5.0.
                    answer["best"] = ours["best"]
                who = f"written by {writer}, read by {version} | trialbox"
                self.differ(who, name, difference(*self.comparable(version, answer, ours)))
            if export is not None:
                self.import_into(copy, name, export, copied)
        if copied:
            for version in (self.newest, writer):
                answers = python_reads(self.interpreters[version], copy)
                for name, ours in copied.items():
                    answer = answers.get(name, {UNREADABLE: "it is missing"})
                    if "best" in answer:
                        answer["best"] = ours["best"]
                    who = f"written by trialbox, read by {version} | trialbox"
                    self.differ(who, name, difference(*self.comparable(version, answer, ours)))

    def comparable(self, version, theirs, ours):
        """Both answers. Old releases read parameters in no order, and fail on rows that 5.0 reads."""
        if version == self.newest:
            return theirs, ours
        if UNREADABLE in theirs:
            return theirs, theirs
        unordered = lambda trial: {**trial, "params": sorted(trial["params"], key=str)}  # noqa: E731
        sort = lambda answer: {**answer, "trials": [unordered(trial) for trial in answer.get("trials", [])]}  # noqa: E731
        return sort(theirs), sort(ours)

    def import_into(self, copy, name, export, copied):
        imported = self.trialbox.run("study", "import", "-", "--storage", copy, stdin=export)
        if imported.returncode != 0:
            self.differ("import of an export", name, imported.stderr.strip())
            return
        copied[name], again = self.trialbox.read(copy, name)
        lines = zip(export.split("\n"), (again or "").split("\n"))
        changed = [f"{first} | {second}" for first, second in lines if first and not is_same_line(first, second)]
        self.differ("export → import → export", name, changed[0] if changed else None)


def is_same_line(first, second):
    """A RUNNING trial is FAIL in a copy, and the numbers of a copy have no gaps."""
    first, second = json.loads(first), json.loads(second)
    if first.get("state") == "RUNNING":
        return second["state"] == "FAIL"
    for line in (first, second):
        line.pop("number", None)
    return json.dumps(first) == json.dumps(second)


def drive(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--studies", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("versions", nargs="+", help="VERSION=PYTHON, the newest last")
    arguments = parser.parse_args(words)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    drive, seed = Drive(arguments), arguments.seed
    while drive.n < arguments.studies:
        writer = list(drive.interpreters)[seed % len(drive.interpreters)]
        drive.batch(arguments.folder, writer, seed, min(50, arguments.studies - drive.n))
        seed += 1
    print(
        f"{drive.n} studies with {drive.n_trials} trials, written by Optuna {', '.join(drive.interpreters)} and by "
        f"trialbox, read by both: {len(drive.differences)} differences; "
        f"{drive.n_unreadable} of the studies are unreadable to both"
    )
    sys.exit(1 if drive.differences else 0)


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    {"write": write, "read": read, "drive": lambda *words: drive(words)}[command](*words)
