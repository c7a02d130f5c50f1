"""Decorators of `optuna-integration`, without their warnings."""


def experimental_class(*_args, **_kwargs):
    return lambda decorated: decorated


def experimental_func(*_args, **_kwargs):
    return lambda decorated: decorated
