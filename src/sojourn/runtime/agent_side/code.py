"""An agent's code: collected where it is launched, loaded where it runs.

It travels as source files, by relative path. Loading puts its modules under a private package whose name is
the digest of the files, so that two versions live in one process side by side; the code itself imports its
own modules by the names they have in its folder. What it imports and does not bring must be installed: that
is what its capabilities require.
"""

import ast
import builtins
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from sojourn.core.base.encoding import digest_of
from sojourn.core.base.errors import Misused
from sojourn.runtime.agent_side.agent import Agent

__all__ = [
    "SOURCE_BYTES_MAX",
    "SOURCE_FILES_MAX",
    "collect_source",
    "entry_of",
    "forget_loaded",
    "is_agents",
    "known_relative",
    "load_agent",
    "relative_of",
]

SOURCE_BYTES_MAX: Final = 1024 * 1024
SOURCE_FILES_MAX: Final = 256
_PREFIX: Final = "_sojourn_agent_"


def collect_source(entry: str, folder: Path) -> dict[str, bytes]:
    """Return the source files of the agent `entry` ("module:Class") in `folder`, by relative path.

    They are the entry's module and, following `import` statements, every module and package that is found in
    the folder; packages come with all their Python files. Modules that are imported by other means, and files
    that are no Python, are not. Raises `Misused` if there is no such module, if a file is no Python, and
    beyond `SOURCE_FILES_MAX` files or `SOURCE_BYTES_MAX` bytes.
    """
    module, _ = _parse_entry(entry)
    found: dict[str, bytes] = {}
    todo = [module.partition(".")[0]]
    while todo:
        name = todo.pop()
        for path in _files_of(name, folder):
            relative = path.relative_to(folder).as_posix()
            if relative not in found:
                found[relative] = path.read_bytes()
                _check_size(found)
                todo += _imported(found[relative], relative)
    if not any(relative in found for relative in _paths_of(module)):
        raise Misused(
            f"there is no module {module!r} in {folder}",
            remedy="Write entry as module:Class, with the module's file beside the settings file",
        )
    return dict(sorted(found.items()))


def _parse_entry(entry: str) -> tuple[str, str]:
    module, colon, name = entry.partition(":")
    parts = [*module.split("."), name]
    if not colon or not all(part.isidentifier() for part in parts):
        raise Misused(f"{entry!r} is no entry point", remedy='Write it as "module:Class"')
    return module, name


def _paths_of(module: str) -> tuple[str, str]:
    stem = module.replace(".", "/")
    return f"{stem}.py", f"{stem}/__init__.py"


def _files_of(name: str, folder: Path) -> list[Path]:
    """Return the files of a top-level module or package, none if the folder does not have it."""
    package = folder / name
    if (package / "__init__.py").is_file():
        return sorted(package.rglob("*.py"))
    module = folder / f"{name}.py"
    return [module] if module.is_file() else []


def _imported(source: bytes, path: str) -> Iterator[str]:
    """Yield the top-level names that a file imports."""
    try:
        tree = ast.parse(source, filename=path)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        # The last two: its parser has no room for what is nested too deeply.
        raise Misused(
            f"{path} is no Python: {str(error) or 'it is nested too deeply'}",
            remedy="Mend it, then try again",
        ) from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def _check_size(files: Mapping[str, bytes]) -> None:
    size = sum(map(len, files.values()))
    if len(files) > SOURCE_FILES_MAX or size > SOURCE_BYTES_MAX:
        raise Misused(
            f"the agent's code has {len(files)} files and {size} bytes, more than "
            f"{SOURCE_FILES_MAX} files or {SOURCE_BYTES_MAX} bytes",
            remedy="Put what is large into installed packages, or into memory",
        )


def load_agent(entry: str, source: Mapping[str, bytes]) -> type[Agent]:
    """Return the agent class `entry` ("module:Class") of these source files.

    The same files are loaded once in a process. Loading runs them: they are the agent's code, and are to be
    trusted as such. Raises `Misused` if they lack the module, a package they import, or the class, or if they
    fail.
    """
    module, _ = _parse_entry(entry)
    _check_size(source)
    package = _PREFIX + digest_of(dict(source)).hex()
    with _loading:
        _finder.add(package, source)
        loaded = _import(f"{package}.{module}", entry)
    return _agent_in(loaded, entry)


def _agent_in(loaded: ModuleType, entry: str) -> type[Agent]:
    module, name = _parse_entry(entry)
    found = getattr(loaded, name, None)
    if not isinstance(found, type) or not issubclass(found, Agent):
        what = "has no class" if found is None else "has another kind of thing under the name"
        raise Misused(
            f"module {module!r} {what} {name!r}",
            remedy="Write entry as module:Class, with a class derived from sojourn.Agent",
        )
    if not callable(getattr(found, "run", None)):
        raise Misused(f"{entry} has no run", remedy="Write: async def run(self, ctx): ...")
    return found


def entry_of(form: Any) -> str:
    """Return the entry ("module:Class") of a class in the agent's own code. Raises `Misused` for what is no agent."""
    if not isinstance(form, type) or not issubclass(form, Agent):
        problem = f"{form!r:.80} is no class of agents"
        raise Misused(problem, remedy='Give a subclass of Agent, or its entry: "module:Class"')
    package, _, module = form.__module__.partition(".")
    name = module if package.startswith(_PREFIX) else form.__module__
    return f"{name}:{form.__qualname__}"


def relative_of(form: type[Agent], named: Any) -> str:
    """Return the entry of another agent that the code of `form` names: by its class, or by its entry.

    Raises `Misused` for what is no agent, and for an entry that the agent's own code does not have. What a class
    that a test has at hand can name is known to the test alone.
    """
    entry = named if isinstance(named, str) else entry_of(named)
    package = form.__module__.partition(".")[0]
    try:
        if is_agents(package):
            module, _ = _parse_entry(entry)
            with _loading:
                loaded = _import(f"{package}.{module}", entry)
            _agent_in(loaded, entry)
        elif named is entry:
            _parse_entry(entry)
    except Misused as error:
        raise Misused(
            f"{entry!r:.80} is no agent of this agent's code: {error.problem}",
            remedy='Name a class of its own modules, by itself or as "module:Class"; modules that it imports '
            "are taken along at launch",
        ) from error
    return entry


def known_relative(form: type[Agent], entry: str) -> type[Agent] | None:
    """Return the class of an entry in the code of `form`, if that is loaded; None if nobody can tell."""
    module, _, name = entry.partition(":")
    package = form.__module__.partition(".")[0]
    loaded = sys.modules.get(f"{package}.{module}" if is_agents(package) else module)
    found = getattr(loaded, name, None)
    return found if isinstance(found, type) and issubclass(found, Agent) else None


def is_agents(module: str) -> bool:
    """Tell whether a module of this name is of some agent's own code."""
    return module.startswith(_PREFIX)


def forget_loaded() -> None:
    """Load all agents' code anew from now on; classes that were loaded before stay what they are."""
    with _loading:
        for name in [name for name in sys.modules if name.startswith(_PREFIX)]:
            del sys.modules[name]


def _import(name: str, entry: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        lacking = error.name or ""
        if lacking.startswith(_PREFIX):
            lacking = lacking.partition(".")[2]
        raise Misused(
            f"{entry} cannot be loaded: there is no module {lacking!r}",
            remedy="Install it here, or name its package in [capabilities.requires]",
        ) from error
    except (Exception, SystemExit) as error:
        raise Misused(
            f"{entry} cannot be loaded: {type(error).__qualname__}: {error}",
            remedy="Mend the agent's code",
        ) from error


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of agents' private packages."""

    def __init__(self) -> None:
        self._sources: dict[str, Mapping[str, bytes]] = {}

    def add(self, package: str, source: Mapping[str, bytes]) -> None:
        """Let a private package and its modules be found."""
        self._sources.setdefault(package, dict(source))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a private module, None for all others."""
        package, _, inner = fullname.partition(".")
        source = self._sources.get(package)
        if source is None:
            return None
        if not inner:
            loader = _Loader(package, b"", "", source)
            return importlib.machinery.ModuleSpec(package, loader, is_package=True)
        for relative in _paths_of(inner):
            if relative in source:
                loader = _Loader(package, source[relative], relative, source)
                is_package = relative.endswith("/__init__.py")
                return importlib.machinery.ModuleSpec(
                    fullname, loader, origin=loader.filename, is_package=is_package
                )
        return None


class _Loader(importlib.abc.InspectLoader):
    """Runs one source file, with `import` finding the agent's own modules first."""

    def __init__(
        self, package: str, data: bytes, relative: str, source: Mapping[str, bytes]
    ) -> None:
        self._package = package
        self._data = data
        self._own = {path.partition("/")[0].removesuffix(".py") for path in source}
        self.filename = f"<agent {package[len(_PREFIX) :][:8]}>/{relative}"

    def get_source(self, fullname: str) -> str:
        """Return the source, for tracebacks."""
        return importlib.util.decode_source(self._data)

    def is_package(self, fullname: str) -> bool:
        """Tell whether it is a package's own file."""
        return self.filename.endswith("/__init__.py")

    def exec_module(self, module: ModuleType) -> None:
        """Run the file in its module."""
        module.__dict__["__builtins__"] = {
            **vars(builtins),
            "__import__": _importer(self._package, self._own),
        }
        module.__file__ = self.filename
        exec(compile(self._data, self.filename, "exec", dont_inherit=True), module.__dict__)  # noqa: S102


def _importer(package: str, own: set[str]) -> Any:
    """Return an `__import__` under which the names in `own` are modules of the private package."""

    def import_(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 (the names that __import__ has)
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top not in own:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        leaf = importlib.import_module(f"{package}.{name}")
        if not fromlist:
            return sys.modules[f"{package}.{top}"]
        for inner in fromlist:
            if not hasattr(leaf, inner) and hasattr(leaf, "__path__") and inner != "*":
                importlib.import_module(f"{leaf.__name__}.{inner}")
        return leaf

    return import_


_loading: Final = threading.Lock()
_finder: Final = _Finder()
sys.meta_path.append(_finder)
