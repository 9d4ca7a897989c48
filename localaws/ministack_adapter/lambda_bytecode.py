"""The bytecode of functions' modules: a function can't write any, so each of its processes would compile all again.

The server has a process of its own compile a package of many modules, once, when the first of its functions begins;
those that begin later find the bytecode beside what they see (`sys.pycache_prefix`). That process runs this file as
`lambda_bytecode.py SOURCE TARGET PLACE`, with the standard library alone: compiling runs no byte of what is compiled.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import py_compile
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

FEWEST, MOST = 8, 500  # modules that are worth it
_LARGEST_BYTES = 1 << 20
_SECONDS, _MEMORY_BYTES = 30, 1 << 30

_begun: set[Path] = set()
_beginning = threading.Lock()


def of(code: Path, place: str) -> Path | None:
    """The folder with the bytecode of what lies in `code` and is seen at `place`; None while there is none."""
    folder = code.parents[1] / "bytecode" / code.name
    if folder.exists():
        return folder
    with _beginning:
        is_new = folder not in _begun
        _begun.add(folder)
    if is_new and sum(1 for _ in itertools.islice(modules(code), FEWEST)) == FEWEST:
        threading.Thread(target=_compile, args=(code, folder, place), daemon=True).start()
    return None


def modules(code: Path) -> Iterator[Path]:
    """The modules in a folder, as far as they are worth it."""
    found = (path for path in code.rglob("*.py") if path.is_file() and path.stat().st_size <= _LARGEST_BYTES)
    return itertools.islice(found, MOST)


def _compile(code: Path, folder: Path, place: str) -> None:
    from localaws.priority import yield_to_us

    folder.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-S", __file__, str(code), str(folder), place]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={}, cwd="/") as process:
        yield_to_us(process.pid)


def main() -> None:
    source, target, place = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    new = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        for path in modules(source):
            seen = f"{place}/{path.relative_to(source)}"
            within = path.relative_to(source).with_name(f"{path.stem}.{sys.implementation.cache_tag}.pyc")
            with contextlib.suppress(py_compile.PyCompileError, OSError, ValueError, RecursionError, MemoryError):
                py_compile.compile(str(path), str(new / place.lstrip("/") / within), seen, doraise=True)
        new.rename(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)


if __name__ == "__main__":
    main()
