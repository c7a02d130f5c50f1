"""Calls of all kinds with values of all kinds, drawn from a seed: the same in every version of Python."""

import math

from trialbox import objective

CALLS = 3000
SPECIAL = [
    math.nan,
    math.inf,
    -math.inf,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    0.1 + 0.2,
    2**53 + 1,
    -(10**40),
    "",
    "naïve ☃ 😀",
    'quote " backslash \\ tab \t line \n',
    [1, [2.5, None, True], {"clé": math.nan, "": []}],
    None,
    False,
]

state = 20261130


def draw(limit):
    """Returns a number below a limit of at most 31 bits."""
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 33) % limit


def real():
    """Returns a float with up to 17 digits."""
    sign = "-" if draw(2) else ""
    return float(f"{sign}{draw(10**9)}.{draw(10**8):08}e{draw(40) - 20}")


def value():
    return real() if draw(3) else SPECIAL[draw(len(SPECIAL))]


def suggest(trial, name):
    low = real()
    high = low + abs(real())
    kind = draw(6)
    if kind == 0:
        return trial.suggest_float(name, low, high)
    if kind == 1:
        return trial.suggest_float(name, abs(low) + 1e-300, abs(low) + 1e-290 + abs(high), log=True)
    if kind == 2:
        return trial.suggest_float(name, draw(9) / 4, 3 + draw(99) / 8, step=0.125)
    if kind == 3:
        return trial.suggest_int(name, -draw(10**9), draw(10**9), step=1 + draw(7))
    if kind == 4:
        return trial.suggest_int(name, 1 + draw(9), 10 + draw(10**9), log=True)
    return trial.suggest_categorical(name, [None, True, draw(10**9), real(), f"wähl {draw(10**6)}", "x"])


@objective
def train(trial):
    total = 0.0
    for call in range(CALLS):
        kind = call % 3
        if kind == 0:
            found = suggest(trial, f"λ {call}")
            total += math.tanh(found) if isinstance(found, float) else len(str(found))
        elif kind == 1:
            found = value()
            trial.report(found if isinstance(found, (int, float)) else 0.5, call)
        elif call < 2900:
            trial.set_user_attr(f"attribut {call} 😀", value())
    return total


if __name__ == "__main__":
    train.run()
