"""Optuna's logger, without its messages: trialbox reports the trials."""

from logging import CRITICAL, DEBUG, ERROR, FATAL, INFO, WARN, WARNING, getLogger


def get_logger(name):
    return getLogger(name)


def get_verbosity():
    return getLogger("optuna").getEffectiveLevel()


def set_verbosity(verbosity):
    getLogger("optuna").setLevel(verbosity)


def disable_default_handler():
    pass


def enable_default_handler():
    pass


def disable_propagation():
    getLogger("optuna").propagate = False


def enable_propagation():
    getLogger("optuna").propagate = True


__all__ = ["CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "WARN", "WARNING"]
