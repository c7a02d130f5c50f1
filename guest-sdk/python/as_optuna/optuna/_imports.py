"""Imports of optional packages, as `optuna-integration` makes them."""


class try_import:
    """Keeps the error of an import inside `with`, until the package is needed."""

    def __init__(self):
        self._error = None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, (ImportError, SyntaxError)):
            self._error = error
            return True
        return None

    def is_successful(self):
        return self._error is None

    def check(self):
        if self._error is not None:
            raise ImportError(f"expected a package that can be imported, found: {self._error}") from self._error
