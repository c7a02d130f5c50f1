"""matplotlib in the sandbox, whose library is one archive: the data of matplotlib must be files."""

import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import sys
import types
import zipfile
from typing import Any, Optional

_NAME = "matplotlib"
_ARCHIVE = os.path.join(_NAME, "mpl-data.zip")
_FOLDER = os.path.join("/tmp", "." + _NAME)


class Finder(importlib.abc.MetaPathFinder):
    """Finds matplotlib in the archive of the library, and gives it a loader that unpacks its data first."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        if name != _NAME:
            return None
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        # A package beside the objective is a folder, and has what it needs.
        if spec is not None and hasattr(spec.loader, "archive"):
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def exec_module(self, module: types.ModuleType) -> None:
        data = self._loader.get_data(os.path.join(self._loader.archive, _ARCHIVE))
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(os.path.join(_FOLDER, "mpl-data"))
        # matplotlib looks for its data beside this file.
        module.__file__ = os.path.join(_FOLDER, "__init__.py")
        exec(self._loader.get_code(_NAME), vars(module))
