"""Decorators of `optuna-integration`, without their warnings."""


def deprecated_class(*_args, **_kwargs):
    return lambda decorated: decorated


def deprecated_func(*_args, **_kwargs):
    return lambda decorated: decorated
