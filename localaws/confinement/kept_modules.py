"""A framework that has been imported and isn't seen until a program imports it.

While it is imported it is noted what that reads and changes: variables, warnings' filters. Then its modules are taken
out of `sys.modules`. The first import of any of them brings all back, with what their import changes, in the same
place of the program's course; but only where Python would have found the very same files now, and the same variables.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import warnings

from localaws.confinement import startup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import ModuleType
    from typing import Any

_HOW = 'A container that starts without a warm interpreter bears it: set {"warm": false} in this AWS\'s settings.json.'


class _Noting(dict[bytes, bytes]):
    """The variables, which notes those that are looked at."""

    def __init__(self, variables: dict[bytes, bytes]) -> None:
        super().__init__(variables)
        self.noted: set[bytes] = set()

    def __getitem__(self, name: bytes) -> bytes:
        self.noted.add(name)
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[bytes]:
        self.noted.update(self.keys())
        return super().__iter__()


class Recording:
    """From its making to its end it is noted what is imported, read and changed."""

    def __init__(self, known: frozenset[str], ours: frozenset[str]) -> None:
        self._known, self._ours = known, ours
        self._filters = list(warnings.filters)
        environment: Any = os.environ
        self._before: dict[bytes, bytes] = dict(environment._data)
        environment._data = _Noting(self._before)

    def end(self) -> Kept:
        environment: Any = os.environ
        noting = environment._data
        noted = frozenset(noting.noted)  # to copy it is to look at all
        environment._data = dict(noting)
        set_by_imports = {name: value for name, value in noting.items() if self._before.get(name) != value}
        for name in set_by_imports:
            del os.environ[os.fsdecode(name)]
        for name, value in self._before.items():
            if environment._data.get(name) != value:
                os.environ[os.fsdecode(name)] = os.fsdecode(value)
        read = {os.fsdecode(name): _text(self._before.get(name)) for name in noted}
        changed = {os.fsdecode(name): os.fsdecode(value) for name, value in set_by_imports.items()}
        kept = Kept(self._known, self._ours, read, changed)
        kept.filters = [entry for entry in warnings.filters if entry not in self._filters]
        _set_filters(self._filters)
        kept.hide()
        return kept


def _text(value: bytes | None) -> str | None:
    return None if value is None else os.fsdecode(value)


class Kept:
    """What has been imported. `read`: variables and their values; `changed`: variables that were set by it."""

    def __init__(
        self, known: frozenset[str], ours: frozenset[str], read: dict[str, str | None], changed: dict[str, str]
    ) -> None:
        self.read, self._changed = read, changed
        self.started_with = startup.of_start(os.environ)
        self.path = tuple(sys.path)
        self.filters: list[Any] = []
        self.ours = ours
        packages = f"{sys.prefix}/lib/"
        new = {name: module for name, module in sys.modules.items() if name not in known | ours}
        self.tops = {name.partition(".")[0] for name, module in new.items() if _file(module).startswith(packages)}
        self._modules = {name: module for name, module in new.items() if name.partition(".")[0] in self.tops}
        self._specs = {name: module.__spec__ for name, module in self._modules.items()}
        self.everything = frozenset(sys.modules)
        self.names = {name.partition(".")[0] for name in sys.modules.keys() - known} - {"localaws"}
        self._folder = next((path for path in sys.path if path.startswith(packages)), sys.prefix)
        self._changed_at = os.stat(self._folder).st_mtime_ns
        self._files = {_file(module) for module in self._modules.values()} - {""}
        self._stats = {path: _stat(path) for path in self._files}

    @property
    def document(self) -> dict[str, Any]:
        """What the server must know."""
        return {"read": self.read, "names": sorted(self.names), "tops": sorted(self.tops)}

    def hide(self) -> None:
        """Take the framework's modules out of sight; whoever imports one gets all."""
        for name in self._modules:
            del sys.modules[name]
        if self._modules:
            sys.meta_path.insert(0, self)

    def forget_ours(self) -> None:
        """Leave no module of this server for a program to import."""
        for name in [name for name in sys.modules if name.partition(".")[0] == "localaws"]:
            del sys.modules[name]

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The import system's question for a module that isn't there."""
        if name not in self._modules:
            return None
        self._check(name)
        sys.meta_path.remove(self)
        # The one that is asked for comes by its loader; were it there already, it would be loaded anew.
        sys.modules.update({other: module for other, module in self._modules.items() if other != name})
        _set_filters([*self.filters, *warnings.filters])
        for variable, value in self._changed.items():
            os.environ.setdefault(variable, value)
        _seed_anew()
        loader: Any = _Loader(self._modules[name], self._specs[name])
        return importlib.machinery.ModuleSpec(name, loader)

    def _check(self, name: str) -> None:
        other = [variable for variable, value in self.read.items() if os.environ.get(variable) != value]
        if other:
            raise ImportError(f"{name} was imported before {', '.join(other)} had the value that it has now. {_HOW}")
        for top in self.tops if self._may_be_hidden() else ():
            spec = importlib.machinery.PathFinder.find_spec(top, sys.path)
            kept, found = _file(self._modules.get(top)), spec and spec.origin
            # Some modules of libraries in C call themselves otherwise than they are found.
            if kept.startswith(f"{self._folder}/{top}") and found != kept:
                raise ImportError(f"{top} was imported from {kept}, where there is {found or 'none'} now. {_HOW}")
        if os.stat(self._folder).st_mtime_ns != self._changed_at:
            changed = next((path for path in self._files if _stat(path) != self._stats[path]), None)
            if changed:
                raise ImportError(f"{changed} has changed since it was imported. {_HOW}")

    def _may_be_hidden(self) -> bool:
        """Whether a folder of the import path before the packages' may have a module of one of their names."""
        if self._folder not in sys.path:
            return True
        before = sys.path[: sys.path.index(self._folder)]
        return any(self._may_hide(folder) for folder in before if not folder or folder not in self.path)

    def _may_hide(self, folder: str) -> bool:
        try:
            return any(entry.name.partition(".")[0] in self.tops for entry in os.scandir(folder or "."))
        except FileNotFoundError:
            return False
        except OSError:
            return True  # an archive


class _Loader:
    """Hands out a module that has been imported."""

    def __init__(self, module: ModuleType, spec: importlib.machinery.ModuleSpec | None) -> None:
        self._module, self._spec = module, spec

    def create_module(self, _spec: object) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def _file(module: object) -> str:
    return str(getattr(module, "__file__", None) or "")


def _stat(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _set_filters(wanted: Iterable[Any]) -> None:
    filters: Any = warnings.filters
    filters[:] = list(wanted)
    mutated: Any = warnings
    mutated._filters_mutated()


def _seed_anew() -> None:
    """Random numbers of its own for each process, as after an import."""
    for name in ("numpy.random", "multiprocessing.process"):
        module: Any = sys.modules.get(name)
        if module is not None and name == "numpy.random":
            module.seed()
