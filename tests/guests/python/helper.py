"""A module beside an objective."""


def parabola(x):
    return (x - 2) ** 2
