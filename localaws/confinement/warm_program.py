"""A program of Python that a forked process becomes, as if it had been started: `python script.py …`, `python -c …`.

What Python itself does with a command line and variables (pythonrun.c, pylifecycle.c, site.py) is done here again:
arguments, `sys.path`, standard streams, `__main__`. What can't be, isn't: `found` then finds no program, and the
command is started.
"""

from __future__ import annotations

import io
import os
import sys
import time
import types
from importlib.machinery import BuiltinImporter, SourceFileLoader

from localaws.confinement import startup, warm_ending

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from localaws.confinement.kept_modules import Kept
else:
    import _signal as signal

_STRING, _NO_ENCODING = "<string>", "unknown encoding: "
_PYTHONS = ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}")


class BecomesError(BaseException):
    """Not an error: leads a process out of all that began it, to what it is to become."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program


class Program:
    """What a process is to become. `path`: the script, None for a text that is on the command line."""

    def __init__(  # noqa: PLR0913 - by keyword
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        kept: Kept,
        *,
        python: str,
        path: str | None = None,
        text: str = "",
    ) -> None:
        self.python, self.words, self.environment, self.path, self._text = python, words, environment, path, text
        self._kept = kept
        self.space: dict[str, Any] = {}

    def begin(self) -> types.CodeType:
        """Make this process the program's; what is to be run in `space`."""
        warm_ending.begin()
        _take_on_variables(self.environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.executable = self.python
        sys.orig_argv[:] = [*self.words]
        given = self.words[2 if self.path is not None else 3 :]
        sys.argv[:] = [self.words[1], *given]
        _set_path(self.path, self.environment, self._kept.path)
        _open_streams(self.environment)
        self._kept.forget_ours()
        _forget_secrets()
        main = self._main()
        sys.modules["__main__"] = main
        self.space = main.__dict__
        return self._compiled()

    def end(self, raised: BaseException | None) -> None:
        """Tell what the program has raised, if anything, and end this process, as Python does both."""
        self.space = {}  # its module alone holds it from now on
        warm_ending.end(raised, self._kept.everything)

    def _main(self) -> types.ModuleType:
        main = types.ModuleType("__main__")
        space = main.__dict__
        space["__annotations__"] = {}
        space["__builtins__"] = sys.modules["builtins"]
        if self.path is None:
            space["__loader__"] = BuiltinImporter
        else:
            space["__loader__"] = SourceFileLoader("__main__", self.path)
            space["__file__"] = self.path
            space["__cached__"] = None
        return main

    def _compiled(self) -> types.CodeType:
        source = self._text.encode()
        if self.path is not None:
            with open(self.path, "rb") as file:
                source = file.read()
        try:
            return compile(source, self.path or _STRING, "exec", dont_inherit=True)
        except SyntaxError as error:
            if error.msg.startswith(_NO_ENCODING):
                raise SyntaxError(f"encoding problem: {error.msg.removeprefix(_NO_ENCODING)}") from None  # of a file
            raise


def found(words: Sequence[str], variables: Mapping[str, str], cwd: str, kept: Kept) -> Program | None:
    """The program that a command starts; None where it isn't one that a forked process can become."""
    words, environment = startup.without_env(list(words), dict(variables))
    python = _python(words[0], environment) if len(words) > 1 else None
    if python is None or startup.only_cold(environment) or startup.of_start(environment) != kept.started_with:
        return None
    if startup.differing(environment, kept.read) or not _has_known_encoding(environment):
        return None
    if words[1] == "-c" and len(words) > 2:
        return Program(words, environment, kept, python=python, text=words[2])
    path = os.path.join(cwd, words[1])
    if words[1].startswith("-") or not os.path.isfile(path):
        return None
    if _hides_what_is_kept([os.path.dirname(path), *_given_path(environment)], kept):
        return None
    return Program(words, environment, kept, python=python, path=os.path.abspath(path))


def _python(word: str, environment: Mapping[str, str]) -> str | None:
    """The image's Python, where a word starts that, by the path by which it is started."""
    folder = os.path.dirname(sys.executable)
    if "/" in word:
        return word if os.path.dirname(word) == folder and os.path.basename(word) in _PYTHONS else None
    if word not in _PYTHONS:
        return None
    for place in environment.get("PATH", os.defpath).split(":"):
        if os.access(f"{place}/{word}", os.X_OK):
            return f"{place}/{word}" if place == folder else None
    return None


def _given_path(environment: Mapping[str, str]) -> list[str]:
    given = environment.get("PYTHONPATH")
    return [os.path.abspath(entry) for entry in given.split(":")] if given else []


def _hides_what_is_kept(folders: Iterable[str], kept: Kept) -> bool:
    """Whether a module in these folders has the name of one that has been imported: then that is the program's."""
    others = [folder for folder in folders if folder not in kept.path and os.path.isdir(folder)]
    return any(_is_kept(entry, kept) for folder in others for entry in os.scandir(folder))


def _is_kept(entry: os.DirEntry[str], kept: Kept) -> bool:
    name, _, ending = entry.name.partition(".")
    return name in kept.names and (ending.endswith(("py", "so", "pyc")) or (not ending and entry.is_dir()))


def _take_on_variables(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _set_path(path: str | None, environment: Mapping[str, str], base: Sequence[str]) -> None:
    """`base` is the path of a Python that was started with -c."""
    first = "" if path is None else os.path.dirname(os.path.realpath(path))
    entries = [*_given_path(environment), *base[1:]]
    sys.path[:] = [first, *dict.fromkeys(entries)]
    sys.path_importer_cache.clear()


def _has_known_encoding(environment: Mapping[str, str]) -> bool:
    return environment.get("PYTHONIOENCODING", "utf-8").lower() in ("utf-8", "utf8", "")


def _open_streams(environment: Mapping[str, str]) -> None:
    """Standard streams as Python opens them (create_stdio, pylifecycle.c)."""
    is_unbuffered = bool(environment.get("PYTHONUNBUFFERED"))
    told = environment.get("PYTHONIOENCODING")
    errors = "strict" if told else "surrogateescape"
    streams: Any = sys
    for descriptor, (name, its) in enumerate({"stdin": errors, "stdout": errors, "stderr": "backslashreplace"}.items()):
        opened = _stream(descriptor, f"<{name}>", its, is_unbuffered=is_unbuffered)
        setattr(streams, name, opened)
        setattr(streams, f"__{name}__", opened)


def _stream(descriptor: int, name: str, errors: str, *, is_unbuffered: bool) -> io.TextIOWrapper:
    is_input = descriptor == 0
    is_raw = is_unbuffered and not is_input
    how = "rb" if is_input else "wb"
    bytes_of_it: Any = open(descriptor, how, 0 if is_raw else -1, closefd=False)  # noqa: SIM115 - stays open
    raw = bytes_of_it if is_raw else bytes_of_it.raw
    raw.name = name
    lines = not is_unbuffered and (raw.isatty() or name == "<stderr>")
    text: Any = io.TextIOWrapper(bytes_of_it, "utf-8", errors, "\n", line_buffering=lines, write_through=is_unbuffered)
    text.mode = "r" if is_input else "w"
    return text  # type: ignore[no-any-return]


def _forget_secrets() -> None:
    """A key of its own for each process, where one was made while importing."""
    module: Any = sys.modules.get("multiprocessing.process")
    if module is not None:
        module.current_process().authkey = os.urandom(32)
