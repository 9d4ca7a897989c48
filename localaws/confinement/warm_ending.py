"""How a program of Python ends in a forked process: as in one of its own (pythonrun.c, pylifecycle.c), but sooner.

Python takes everything apart at its end, the framework's hundred thousand objects among it, for whose pages a forked
process would have to be given copies first. What a program can notice of it is done: threads are waited for, what is
registered with atexit is called, its own modules' objects are given up, streams are flushed, in C as well. Libraries in
C take themselves apart, too (exit(3)): those that the program has loaded do, the framework's don't.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
import threading
import traceback
import weakref
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Collection
    from types import TracebackType
    from typing import Any, NoReturn
else:
    import _signal as signal

_OF_PYTHON = 120  # the status where streams can't be flushed
_C = ctypes.PyDLL(None)


def begin() -> None:
    """Have this process end before what was registered with the C library up to now is called, after what will be."""
    on_exit, at_exit = getattr(_C, "on_exit", None), getattr(_C, "__cxa_atexit", None)
    if on_exit is not None and at_exit is not None:
        on_exit(_C._exit, None)
        at_exit(_C.fflush, None, None)


def end(raised: BaseException | None, known: Collection[str]) -> NoReturn:
    """End this process. `known`: modules that were there before the program."""
    is_interrupted = isinstance(raised, KeyboardInterrupt)
    status = 0 if raised is None else _told(raised)
    raised = None
    threads: Any = threading
    threads._shutdown()
    atexit._run_exitfuncs()
    is_flushed = _flush()
    _give_up(known)
    if not (_flush() and is_flushed):
        status = _OF_PYTHON
    if is_interrupted:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    _C.exit(status)
    raise AssertionError


def _told(error: BaseException) -> int:
    """Tell an error; the exit status."""
    if isinstance(error, SystemExit):
        return _status(error)
    trace = error.__traceback__ and error.__traceback__.tb_next
    if isinstance(error, SyntaxError) and _is_of_compiling(trace):
        trace = None
    return _hook(error, trace)


def _is_of_compiling(trace: TracebackType | None) -> bool:
    """Whether it was raised while the program was read, which is no frame of the program's."""
    return trace is None or trace.tb_frame.f_globals.get("__name__", "").startswith("localaws.")


def _status(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return 0 if error.code is None else int(error.code)
    _flush()
    print(error.code, file=sys.stderr)  # noqa: T201 - as Python says it
    return 1


def _hook(error: BaseException, trace: TracebackType | None) -> int:
    """Tell an error by the program's hook; where that raises, as Python does it (PyErr_PrintEx)."""
    error.__traceback__ = trace
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    broken = None
    try:
        sys.excepthook(type(error), error, trace)
    except SystemExit as ended:
        return _status(ended)
    except BaseException as raised:  # noqa: BLE001 - whatever the program's hook raises
        broken = raised
    if broken is not None:
        print("Error in sys.excepthook:", file=sys.stderr)  # noqa: T201 - as Python says it
        broken.__traceback__ = broken.__traceback__ and broken.__traceback__.tb_next
        sys.__excepthook__(type(broken), broken, broken.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)  # noqa: T201
        sys.__excepthook__(type(error), error, trace)
    return 1


def _flush() -> bool:
    """Flush the standard streams; whether they could be."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except (OSError, ValueError, AttributeError):
            return False
    return True


def _give_up(known: Collection[str]) -> None:
    """Give up what the program's modules hold, in the order in which Python does (finalize_modules, pylifecycle.c)."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            setattr(sys, name, None)
    names = [name for name in sys.modules if name not in known or name == "__main__"]
    taken = [sys.modules.pop(name) for name in names]
    # There may be others, and such as only say that they are one (cffi's libraries: their `__class__`).
    given_up = [weakref.ref(module) for module in taken if issubclass(type(module), ModuleType)]
    del taken
    gc.collect()
    for reference in reversed(given_up):
        module = reference()
        if module is not None:
            _clear(module)
    gc.collect()


def _clear(module: ModuleType) -> None:
    """Names with an underscore before the others, as PyModule_ClearDict does."""
    space = module.__dict__
    for is_first in (True, False):
        for name in list(space):
            if name != "__builtins__" and is_first == (name.startswith("_") and not name.startswith("__")):
                try:
                    space[name] = None
                except Exception:  # noqa: BLE001 - a finalizer's, which Python tells and goes on
                    traceback.print_exc()
