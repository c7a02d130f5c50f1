"""The objective's file in the sandbox: its description, and one trial of it.

The host process calls ``describe`` and ``evaluate`` in an interpreter that was restored from a snapshot. ``_host`` is
the interpreter's only way out.
"""

import ast
import importlib.util
import json
import os
import sys
import tomllib
import types
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import _host
from optuna import study as _study
from trialbox import _channel, _matplotlib, _objective

_HOME = "/work"
_OBJECTIVE = "objective"
_MAX_HELPERS = 1001  # One more than an archive may have.


class _SandboxChannel(_channel.Channel):
    """The function of the host that takes requests."""

    def call(self, call: str, **members: Any) -> Dict[str, Any]:
        return json.loads(_host.call(json.dumps({"call": call, **members}).encode()))


class _Source(NamedTuple):
    path: str
    text: str


def evaluate() -> None:
    """Runs one trial of the objective's file and sends its result."""
    channel, source = _enter()
    try:
        module = _run(source)
        if not channel.has_result:
            _call_function(module, channel, source)
    except SystemExit as error:
        if not channel.has_result:
            message = f"`{source.path}` exited with {error.code!r} before its objective was called"
            channel.finish("fail", message=message)
    except BaseException as error:
        _objective.print_failure(error)
        if not channel.has_result:
            _objective.send_failure(channel, error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def describe() -> None:
    """Sends what the objective's file says of itself, and the modules that it imports and that are not there."""
    channel, source = _enter()
    try:
        tree = ast.parse(source.text, source.path)
        compile(tree, source.path, "exec", dont_inherit=True)
        described = _read_description(source, tree)
    except (SyntaxError, ValueError, TypeError, KeyError) as error:
        channel.call("described", problem=_problem(error, source))
        return
    missing, imported = _examine(tree)
    channel.call("described", missing=missing, imported=imported, **described)


def _enter() -> Any:
    channel = _SandboxChannel()
    _channel.set_channel(channel)
    source = _Source(**channel.call("source"))
    sys.argv = [source.path]
    os.chdir(_HOME)
    os.environ.setdefault("HOME", "/tmp")
    sys.path.insert(0, _HOME)
    sys.meta_path.insert(0, _matplotlib.Finder())
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    return channel, source


def _run(source: _Source) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__file__ = source.path
    module.__builtins__ = __builtins__
    sys.modules["__main__"] = module
    exec(compile(source.text, source.path, "exec", dont_inherit=True), module.__dict__)
    return module


def _call_function(module: types.ModuleType, channel: _channel.Channel, source: _Source) -> None:
    """Calls the function of a file that did not call ``study.optimize`` or ``run`` itself."""
    found = getattr(module, _OBJECTIVE, None)
    if found is None:
        own = [value for value in vars(module).values() if isinstance(value, _objective.Objective)]
        found = own[0] if len(own) == 1 else None
    if not callable(found):
        message = f"`{source.path}` defines no function `{_OBJECTIVE}`, and ended without a call of `study.optimize`"
        channel.finish("fail", message=message)
    elif isinstance(found, _objective.Objective):
        found.run_in(channel)
    else:
        study = _study.Study(None, ["minimize"], None, is_created=False)
        study.run_in(channel, found)


def _problem(error: Exception, source: _Source) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    return str(error)


_START, _END = "# /// trialbox", "# ///"


def _read_description(source: _Source, tree: ast.Module) -> Dict[str, Any]:
    block = _block(source.text)
    described = dict(block)
    if "metrics" not in described:
        directions = described.pop("directions", None) or _directions(tree)
        names = described.pop("metric_names", None) or [None] * len(directions or [])
        described["metrics"] = [
            {"name": name, "direction": direction} for name, direction in zip(names, directions or [])
        ]
    known = {"name", "version", "summary", "metrics", "data"}
    for key in described:
        if key not in known:
            raise ValueError(f"the block `{_START}`: expected {', '.join(sorted(known))} or directions, found `{key}`")
    return described


def _block(text: str) -> Dict[str, Any]:
    """Returns the content of the comment block that describes the file, in the manner of PEP 723."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.rstrip() != _START:
            continue
        inside: List[str] = []
        for inner in lines:
            if inner.rstrip() == _END:
                return tomllib.loads("\n".join(inside))
            if not inner.startswith("#"):
                break
            inside.append(inner[2:] if inner.startswith("# ") else inner[1:])
        raise ValueError(f"expected `{_END}` after the block `{_START}`, found none")
    return {}


def _directions(tree: ast.Module) -> Optional[List[str]]:
    """Returns the directions of the file's ``create_study``, if they are written in its one call."""
    all_calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [call for call in all_calls if _name(call.func) == "create_study"]
    if len(calls) != 1:
        # The study that a search makes itself maximizes the score.
        is_search = not calls and any(_name(call.func) == "OptunaSearchCV" for call in all_calls)
        return ["maximize"] if is_search else None
    for keyword in calls[0].keywords:
        if keyword.arg in ("direction", "directions"):
            try:
                value = ast.literal_eval(keyword.value)
            except ValueError:
                return None
            found = [value] if isinstance(value, str) else list(value or [])
            return found if all(item in ("minimize", "maximize") for item in found) else None
    return None


def _name(function: ast.expr) -> Optional[str]:
    return getattr(function, "attr", None) or getattr(function, "id", None)


def _examine(tree: ast.Module) -> Tuple[List[str], List[str]]:
    """Returns the imported modules that are nowhere, and the files in the objective's folder that it imports."""
    missing: Set[str] = set()
    imported: Set[str] = set()
    seen: Set[str] = set()
    left = [tree]
    while left:
        for name in _imports(left.pop()):
            if name in seen or name in sys.modules or name in sys.builtin_module_names:
                continue
            seen.add(name)
            own = _own_files(name)
            if not own and importlib.util.find_spec(name) is None:
                missing.add(name)
            for path in own:
                if path in imported or len(imported) == _MAX_HELPERS:
                    continue
                imported.add(path)
                try:
                    with open(path, encoding="utf-8") as file:
                        left.append(ast.parse(file.read(), path))
                except (OSError, SyntaxError, ValueError):
                    pass  # The import itself reports it better.
    return sorted(missing), sorted(imported)


def _own_files(name: str) -> List[str]:
    """Returns the files of a module in the objective's folder, as Python finds it: a package, else a module."""
    if os.path.isfile(os.path.join(name, "__init__.py")):
        return _package_files(name)
    if os.path.isfile(name + ".py"):
        return [name + ".py"]
    spec = importlib.util.find_spec(name) if os.path.isdir(name) else None
    return _package_files(name) if spec is not None and spec.origin is None else []


def _package_files(folder: str) -> List[str]:
    files: List[str] = []
    for path, folders, names in os.walk(folder):
        folders.sort()
        files += [os.path.join(path, name) for name in sorted(names) if name.endswith(".py")]
        if len(files) >= _MAX_HELPERS:
            break
    return files


def _imports(node: ast.AST) -> Iterator[str]:
    """Yields the top-level modules of imports, without those whose absence the code handles."""
    if isinstance(node, ast.Try) and any(_catches_import_error(handler) for handler in node.handlers):
        inside = [*node.handlers, *node.orelse, *node.finalbody]
    elif isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
        inside = node.orelse
    else:
        inside = ast.iter_child_nodes(node)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name.split(".")[0]
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield node.module.split(".")[0]
    for child in inside:
        yield from _imports(child)


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(_name(kind) in ("ImportError", "ModuleNotFoundError", "Exception", "BaseException") for kind in kinds)
