"""Distributions of parameters."""


class BaseDistribution:
    """A range or a list of choices."""

    def __init__(self, **members):
        self.__dict__.update(members)

    def __eq__(self, other):
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(repr(self))

    def __repr__(self):
        members = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({members})"

    def single(self):
        """Returns whether there is one value only."""
        return getattr(self, "low", 0) == getattr(self, "high", 1)


class FloatDistribution(BaseDistribution):
    """Floats from `low` to `high`."""

    def __init__(self, low, high, log=False, step=None):
        super().__init__(low=float(low), high=float(high), log=log, step=step)


class IntDistribution(BaseDistribution):
    """Integers from `low` to `high`."""

    def __init__(self, low, high, log=False, step=1):
        super().__init__(low=int(low), high=int(high), log=log, step=int(step))


class CategoricalDistribution(BaseDistribution):
    """One of several choices."""

    def __init__(self, choices):
        super().__init__(choices=tuple(choices))

    def single(self):
        return len(self.choices) == 1


def UniformDistribution(low, high):
    return FloatDistribution(low, high)


def LogUniformDistribution(low, high):
    return FloatDistribution(low, high, log=True)


def DiscreteUniformDistribution(low, high, q):
    return FloatDistribution(low, high, step=q)


def IntUniformDistribution(low, high, step=1):
    return IntDistribution(low, high, step=step)


def IntLogUniformDistribution(low, high, step=1):
    return IntDistribution(low, high, log=True, step=step)


# The type of a choice, and the reader of distributions of Optuna 2, for `optuna-integration`.
CategoricalChoiceType = object


def _convert_old_distribution_to_new_distribution(distribution, suppress_warning=False):
    return distribution
