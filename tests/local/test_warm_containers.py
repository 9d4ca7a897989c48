"""Warm containers are as cold ones: what a program finds out about itself, how it ends, what SIGTERM does to it.

Containers are launched here without any SageMaker: as a container's own program, and as a script that `train` starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from image_uris import PYTORCH, SKLEARN, XGBOOST
from waiting import until

from infra.workflow.first_process import passing_signals_on
from localaws.sagemaker.containers import container, layers, script_reading, train_command, warm_start
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.images import ImageEnvironment, Images
from localaws.sagemaker.containers.train_command import Plan
from localaws.sagemaker.containers.warm import WarmInterpreters
from localaws.sagemaker.containers.warm_start import Warm
from ratchet.warm_images import warm_images

Document = dict[str, Any]
WAYS = ("program", "train", "scripts")
pytestmark = pytest.mark.skipif(
    container.isolation() != "processes and files", reason="this kernel allows no namespaces: all containers begin cold"
)

# ruff: noqa: E501 - programs, a line a fact
# Everything about itself that a process can find out at its first line.
FACTS = """
import sys
FIRST_MODULES = [name for name in sys.modules if name.partition(".")[0] in ("numpy", "sklearn", "localaws", "pandas")]
MAIN = {name: repr(value)[:60].split(" at 0x")[0] for name, value in dict(globals()).items() if name not in ("MAIN",)}
import ctypes, gc, io, json, locale, os, resource, signal, threading, warnings
FILTERS = [str(entry) for entry in warnings.filters]
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
def stream(one):
    return [one.name, one.mode, one.encoding, one.errors, one.line_buffering, one.write_through, type(one.buffer).__name__,
            one.fileno(), one.newlines, one.buffer.mode, one.isatty()]
def limits():
    return {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT")}
def status():
    keys = ("Uid", "Gid", "Groups", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
            "NoNewPrivs", "Seccomp", "Seccomp_filters", "Umask", "Threads", "Cpus_allowed_list", "ShdPnd", "SigPnd")
    lines = [line.split(":") for line in open("/proc/self/status")]
    found = {name: value.strip() for name, value in lines if name in keys}
    # The C library handles signals of its own, 32 and 33, once there has been a thread.
    return {**found, "SigCgt": hex(int(found["SigCgt"], 16) & ~(3 << 31))}
facts = {
    "argv": sys.argv, "orig_argv": sys.orig_argv, "executable": sys.executable, "base": sys._base_executable,
    "prefix": [sys.prefix, sys.base_prefix, sys.exec_prefix], "path": sys.path, "flags": str(sys.flags),
    "warnoptions": sys.warnoptions, "xoptions": sys._xoptions, "main": MAIN, "filters": FILTERS,
    "first modules": FIRST_MODULES, "environment": dict(os.environ), "names": list(os.environ),
    "in C": {name: (getenv(name.encode()) or b"").decode() for name in os.environ},
    "cwd": os.getcwd(), "umask": os.umask(0o22), "limits": limits(), "status": status(),
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:-1], "null": os.readlink("/proc/self/fd/0"),
    "pipes": [os.readlink(f"/proc/self/fd/{n}").split(":")[0] for n in (1, 2)],
    "streams": [stream(one) for one in (sys.stdin, sys.stdout, sys.stderr)],
    "same streams": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "signals": {n: str(signal.getsignal(n)) for n in range(1, 65) if n not in (32, 33)},
    "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())), "locale": locale.setlocale(locale.LC_ALL),
    "preferred": locale.getpreferredencoding(), "gc": [gc.isenabled(), gc.get_threshold()],
    "recursion": sys.getrecursionlimit(), "switch": sys.getswitchinterval(), "hooks": str(sys.excepthook),
    "displayhook": str(sys.displayhook), "hash": sys.hash_info.algorithm, "dont_write": sys.dont_write_bytecode,
    "threads": [each.name for each in threading.enumerate()], "exe": os.readlink("/proc/self/exe"),
    "builtins": sorted(dir(__builtins__)), "implementation": sys.version, "nice": os.nice(0),
    "tracing": [sys.gettrace(), sys.getprofile()], "files": sorted(os.listdir("/opt/ml")) + sorted(os.listdir("/")),
    "tmp": sorted(name for name in os.listdir("/tmp") if not name.startswith("tmp")), "affinity": sorted(os.sched_getaffinity(0)),
    "namespaces": len({os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "pid", "ipc", "user")}),
    "session leads": os.getsid(0) == os.getpid(), "processes below 10": os.getpid() < 10, "spec": str(__spec__),
    "file": __file__, "package": str(__package__), "loader": type(__loader__).__name__, "docs": __doc__,
}
"""
# What comes of importing a framework, and of ending.
AFTER = """
def square(x):
    return x * x
if __name__ == "__main__":
    import numpy, sklearn, sklearn.ensemble, subprocess, multiprocessing, random
    facts["filters after"] = [str(entry) for entry in warnings.filters]
    facts["set by imports"] = {name: value for name, value in os.environ.items() if name.startswith(("KMP", "OMP"))}
    facts["spec of numpy"] = [numpy.__spec__.origin, numpy.__spec__.name, type(numpy.__spec__.loader).__name__, numpy.__file__]
    facts["meta path"] = [str(getattr(finder, "__name__", type(finder).__name__)) for finder in sys.meta_path]
    rows = numpy.random.default_rng(0).normal(size=(200, 6))
    forest = sklearn.ensemble.RandomForestClassifier(20, random_state=0, n_jobs=-1).fit(rows, rows[:, 0] > 0)
    facts["fitted"] = [forest.predict_proba(rows[:5]).tolist(), float((rows @ rows.T).sum())]
    answers = {}
    for way in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(way).Pool(2) as pool:
            answers[way] = pool.map(square, [1, 2, 3])
    facts["multiprocessing"] = answers
    ran = subprocess.run([sys.executable, "-c", "import sys; print(sys.argv, sys.flags, sys.path)"], capture_output=True, text=True)
    facts["subprocess"] = [ran.returncode, ran.stdout, ran.stderr]
    import threadpoolctl
    facts["pools"] = sorted((one["internal_api"], one["num_threads"]) for one in threadpoolctl.threadpool_info())
    print("FACTS", json.dumps(facts, default=str))
    print("RANDOM", random.random(), numpy.random.random(), multiprocessing.current_process().authkey.hex()[:16])
"""


@dataclass
class Bench:
    """A folder for containers of one image, and the interpreters that are kept warm."""

    folder: Path
    image: ImageEnvironment
    warm: WarmInterpreters = field(default_factory=WarmInterpreters)
    count: int = 0

    def start(
        self, text: str, way: str, *, is_warm: bool, environment: dict[str, str] | None = None,
        files: dict[str, str] | None = None, first: list[str] | None = None, arguments: tuple[str, ...] = ("--depth", "3"),
    ) -> tuple[Container, Path]:  # fmt: skip
        """Start a script in a container of its own; the container, and its /opt/ml."""
        self.count += 1
        own = self.folder / str(self.count)
        ml, tmp, tools = own / "ml", own / "tmp", own / "tools"
        for path in (ml / "code", ml / "output", tmp):
            path.mkdir(parents=True)
        for name, content in {"train.py": text, **(files or {})}.items():
            (ml / "code" / name).parent.mkdir(parents=True, exist_ok=True)
            (ml / "code" / name).write_text(content)
        command, variables = ["python", "train.py", *arguments], self._variables(environment or {})
        if way != "program":
            told, failure = "python train.py", "/opt/ml/output/failure"
            plan = Plan(command=command, told=told, reason_file=failure, cwd="/opt/ml/code", variables={"SM_HPS": "{}"})
            train_command.install(tools, plan, self.image.python)
            shell = ["/bin/sh", "-c", "train; exit $?"] if way == "scripts" else None
            command = first or shell or [str(self.image.python), "-I", "-S", "/opt/image-tools/train"]
        else:
            tools.mkdir()
            variables["SM_HPS"] = "{}"
        installed = layers.writable(self.image, own / "layer", tmp)
        reading = script_reading.of_file(ml / "code/train.py", [ml / "code"], warm_start.framework(self.image.imports))
        warm = Warm(self.image.python, self.image.imports, {**variables, "SM_HPS": "{}"}, reading, way)
        spec = ContainerSpec(
            command,
            variables,
            ml,
            tmp,
            Path("/opt/ml/code"),
            tools=tools,
            as_process_1=True,
            is_train=way == "train",
            warm=warm,
        )
        return (self.warm.launch if is_warm else container.launch)(installed.given_to(spec)), ml

    def _variables(self, more: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": f"/opt/image-tools:{self.image.python.parent}:/usr/bin:/bin", "HOME": "/tmp", "TMPDIR": "/tmp",
            "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **more,
        }  # fmt: skip

    def ran(self, text: str, way: str = "program", *, is_warm: bool = True, **more: Any) -> tuple[int, str]:
        """Run a script to its end: exit status, and all that it said; of a script's failure what `train` tells."""
        started, ml = self.start(text, way, is_warm=is_warm, **more)
        said = started.output.read().decode()
        status = started.wait(60)
        started.output.close()
        failure = ml / "output" / "failure"
        told = failure.read_text() if failure.exists() else ""
        shutil.rmtree(ml.parent)
        return status, said + told

    def facts(self, text: str, way: str, *, is_warm: bool, **more: Any) -> Document:
        status, said = self.ran(text, way, is_warm=is_warm, **more)
        found = [line for line in said.splitlines() if line.startswith("FACTS ")]
        assert status == 0 and found, said
        return dict(json.loads(found[0].removeprefix("FACTS ")))


@pytest.fixture(scope="module")
def bench(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("warm"), Images(images).environment(SKLEARN, print))
    assert began_warm(made, FRAMEWORK)
    yield made
    made.warm.close()


def began_warm(bench: Bench, text: str, **more: Any) -> bool:
    """Whether a script's process was forked: its command line is the interpreter's."""
    says = "print('FORKED' if b'warm_interpreter' in open('/proc/self/cmdline', 'rb').read() else 'STARTED')"
    status, said = bench.ran(f"{text}\n{says}", **more)
    assert status == 0, said
    return "FORKED" in said


# ------------------------------------------------------------------------------------------- what it finds of itself


@pytest.mark.parametrize("way", WAYS)
def test_a_program_finds_itself_as_in_a_container_that_began_cold(bench: Bench, way: str) -> None:
    more = {"environment": {"MINE": "a b", "PYTHONPATH": "/opt/ml/mine:relative", "PYTHONIOENCODING": "UTF-8"}}
    cold = bench.facts(FACTS + AFTER, way, is_warm=False, **more)
    warm = bench.facts(FACTS + AFTER, way, is_warm=True, **more)
    assert warm.keys() == cold.keys()
    differing = {fact: (warm[fact], cold[fact]) for fact in cold if warm[fact] != cold[fact]}
    assert not differing
    assert began_warm(bench, FACTS + AFTER, way=way, **more)


def test_scripts_without_a_framework_are_forked_from_the_second_one_on(images: Path, tmp_path: Path) -> None:
    """From an interpreter that has imported nothing; they find themselves as in a container that began cold."""
    one = Bench(tmp_path, Images(images).environment(SKLEARN, print))
    text = (
        FACTS
        + "print('FACTS', json.dumps({**facts, 'meta path': [str(getattr(each, '__name__', type(each))) for each in sys.meta_path]}, default=str))\n"
    )
    for way in WAYS:
        cold = one.facts(text, way, is_warm=False)
        began = [began_warm(one, "x = 1", way=way), began_warm(one, "x = 1", way=way)]
        assert began == [way != WAYS[0], True], "nothing is started for a script that may be the only one"
        assert one.facts(text, way, is_warm=True) == cold
    (interpreter,) = one.warm.running
    assert interpreter.imports == ()
    assert began_warm(one, FRAMEWORK), "what needs a framework gets an interpreter that has it"
    assert len(one.warm.running) == 2
    one.warm.close()


def test_two_of_one_interpreter_share_no_randomness(bench: Bench) -> None:
    one, other = (bench.ran(FACTS + AFTER)[1].rpartition("RANDOM ")[2].split() for _ in range(2))
    assert len(one) == len(other) == 3 and not set(one) & set(other)


# ------------------------------------------------------------------------------------------------------- how it ends

ENDINGS = {
    "an error": "def f(): raise ValueError('no pump today')\nf()",
    "an error from an error": "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error",
    "a number": "import sys; sys.exit(7)", "a large number": "import sys; sys.exit(300)", "nothing": "raise SystemExit",
    "a text": "import sys; sys.exit('the reason')", "at once": "import os; print('x', end=''); os._exit(4)",
    "an interrupt": "raise KeyboardInterrupt", "a hook": "import sys; sys.excepthook = lambda *a: print('HOOK', a[1])\n1/0",
    "a broken hook": "import sys\ndef hook(*_): raise OSError('hook')\nsys.excepthook = hook\n1/0",
    "no syntax": "x = = 1", "no encoding": "# -*- coding: nonesuch -*-\nx = 1",
    "SIGKILL": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "SIGTERM": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "SIGINT": "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
    "SIGSEGV": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "abort": "import os; os.abort()",
    "a thread that goes on": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()",
    "what is registered": "import atexit\natexit.register(print, 'one')\natexit.register(print, 'two')\nprint('end')",
    "what has a finalizer": "class A:\n    def __del__(self): print('gone')\na = A()",
    "a warning": "import warnings\nwarnings.warn('careful')\nwarnings.warn('old', DeprecationWarning)",
    "a group": "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
    "an end in C": "import ctypes\nc = ctypes.CDLL(None)\nc.strdup.restype = ctypes.c_void_p\n"
    "c.__cxa_atexit(c.puts, ctypes.c_void_p(c.strdup(b'at the end of C')), None)\nprint('before')",
    "text of C": "import ctypes; ctypes.CDLL(None).printf(b'from C')",
    "a module of its own": "import sys, types\nclass A:\n    def __del__(self): print('gone')\nm = types.ModuleType('m'); m.a = A(); sys.modules['m'] = m",
    "what is no module": "import sys, typing\nclass A: x = 1\nsys.modules['a'] = A\nsys.modules['b'] = 5",
    "what says that it is a module": "import sys, types\nclass A:\n    __slots__ = ()\n    __class__ = types.ModuleType\nsys.modules['a'] = A()",
    "recursion": "def f(): f()\nf()",
}  # fmt: skip


# By the one that stands for a script, and by `train`.
HOW_IT_IS_TOLD = ("a number", "a large number", "at once", "SIGKILL", "SIGTERM")


@pytest.mark.parametrize("way", WAYS)
def test_a_program_ends_as_in_a_container_that_began_cold(bench: Bench, way: str) -> None:
    differing: dict[str, Any] = {}
    for name, text in ENDINGS.items():
        if way != "program" and name not in HOW_IT_IS_TOLD:
            continue
        cold, warm = (bench.ran(text, way, is_warm=is_warm) for is_warm in (False, True))
        # One frame of the interpreter's own is below the program's.
        if name == "recursion":
            cold, warm = ((status, re.sub(r"repeated \d+ more", "repeated", said)) for status, said in (cold, warm))
        if cold != warm:
            differing[name] = (cold, warm)
    assert not differing


def test_what_isn_t_flushed_comes_in_the_end(bench: Bench) -> None:
    text = "print('buffered', end='')\nimport sys; print(sys.stdout.write_through, end='')"
    assert bench.ran(text, environment={"PYTHONUNBUFFERED": ""}) == (0, "bufferedFalse")


LISTENS = """
import os, signal, sys, time, numpy
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
print("ready", os.getpid(), flush=True)
end = time.monotonic() + 3
while not told and time.monotonic() < end:
    time.sleep(0.02)
sys.exit(9 if told else 0)
"""


@pytest.mark.parametrize("is_warm", [False, True])
def test_sigterm_comes_to_a_script_behind_a_first_process_that_passes_it_on(bench: Bench, is_warm: bool) -> None:
    first = [word for words in passing_signals_on().values() for word in words]
    started, ml = bench.start(LISTENS, "scripts", is_warm=is_warm, first=first)
    assert b"ready" in started.output.readline()
    started.stop()
    assert started.wait(10) == 1
    assert "ExitCode 9" in (ml / "output/failure").read_text()


@pytest.mark.parametrize("is_warm", [False, True])
def test_sigterm_comes_to_a_program_that_listens(bench: Bench, is_warm: bool) -> None:
    started, _ = bench.start(LISTENS, "program", is_warm=is_warm)
    assert b"ready" in started.output.readline()
    started.stop()
    assert started.wait(10) == 9
    deaf, _ = bench.start(
        LISTENS.replace("signal.signal(signal.SIGTERM, lambda *_: told.append(1))", ""), "program", is_warm=is_warm
    )
    assert b"ready" in deaf.output.readline()
    deaf.stop()
    assert deaf.wait(10) == 0, "the process 1 of a container doesn't end by a signal that it has no handler for"


@pytest.mark.parametrize("way", WAYS)
def test_a_container_that_is_killed_leaves_nothing(bench: Bench, way: str) -> None:
    started, _ = bench.start(LISTENS + "time.sleep(60)", way, is_warm=True)
    assert b"ready" in started.output.readline()
    started.kill()
    assert started.wait(10) == 137
    assert started.output.read() == b"", "its last process has closed it"


IS_KILLED = """
import sys, time
sys.path[:0] = {paths!r}
import test_warm_containers as tests
from pathlib import Path
one = tests.Bench(Path(sys.argv[1]), tests.Images(Path(sys.argv[2])).environment(tests.SKLEARN, print))
started, _ = one.start("import numpy, subprocess, time; subprocess.Popen(['sleep', '98']); print('ready'); time.sleep(99)",
                       "train", is_warm=True)
started.output.readline()
(interpreter,) = one.warm.running
print("PIDS", started.pid, interpreter.pid, interpreter.fork()[0], flush=True)
time.sleep(99)
"""


def test_who_kills_the_server_ends_its_containers(images: Path, tmp_path: Path) -> None:
    """By kill -9, also one that has just been forked and knows nothing yet."""
    here = Path(__file__).parent
    text = IS_KILLED.replace("{paths!r}", repr([str(here), str(here.parent)]))
    server = subprocess.Popen([sys.executable, "-c", text, str(tmp_path), str(images)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    told = next(line for line in server.stdout if line.startswith(b"PIDS")).split()[1:]
    below = [pid for pid in map(int, told) for pid in (pid, *_children(pid))]
    assert len(below) >= 5, "the container's first process, its script, what that has started, and the two others"
    server.kill()
    server.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), "the end of all")
    server.stdout.close()


def _children(pid: int) -> list[int]:
    found = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return [*found, *(below for child in found for below in _children(child))]


# --------------------------------------------------------------------------------------------------- what begins cold

FRAMEWORK = "import joblib"


def test_what_can_t_be_right_begins_cold(bench: Bench) -> None:
    assert began_warm(bench, FRAMEWORK)
    for name, value in {"PYTHONHASHSEED": "0", "PYTHONOPTIMIZE": "1", "LD_BIND_NOW": "1", "TZ": "UTC",
                        "PYTHONIOENCODING": "latin-1"}.items():  # fmt: skip
        assert not began_warm(bench, FRAMEWORK, environment={name: value}), name
    own = {"joblib.py": "VALUE = 'own'"}
    assert not began_warm(bench, "import joblib; assert joblib.VALUE == 'own'; import sys", files=own)
    assert not began_warm(bench, f"import os; os.environ['OMP_NUM_THREADS'] = '1'\n{FRAMEWORK}")
    assert not began_warm(bench, f"pip = 1\n{FRAMEWORK}", way="train")


def test_threads_are_those_that_the_job_asks_for(bench: Bench) -> None:
    text = (
        "import numpy, threadpoolctl\nprint('POOLS', {one['num_threads'] for one in threadpoolctl.threadpool_info()})"
    )
    assert "POOLS {1}" in bench.ran(text, environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})[1]
    assert began_warm(bench, text, environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})


def test_a_change_that_nobody_foresaw_is_no_silent_mistake(bench: Bench) -> None:
    """Where a program hides from a reader what it does to its packages, it is told so, with the way out."""
    hidden = (
        "import os, pathlib, sysconfig\npackages = pathlib.Path(sysconfig.get_path('purelib'))\n"
        "(packages / 'new').mkdir()\n(packages / 'joblib/__init__.py').write_text('VALUE = 2')\n"
        "try:\n    import sklearn\nexcept ImportError as error:\n    print('TOLD', error)\n"
    )
    status, said = bench.ran(hidden)
    assert status == 0 and "joblib/__init__.py has changed since it was imported" in said, said
    assert '{"warm": false}' in said
    unrelated = hidden.replace("joblib/__init__.py", "new/__init__.py").replace("import sklearn", "import sklearn, new")
    assert bench.ran(unrelated) == (0, "")


# --------------------------------------------------------------------------------------------------- other frameworks

TRAINS_XGBOOST = """
import numpy, xgboost
rows = numpy.random.default_rng(0).normal(size=(300, 4))
model = xgboost.train({"nthread": 2, "max_depth": 2}, xgboost.DMatrix(rows, label=rows[:, 0] > 0), 5)
print("RIGHT", float(numpy.mean((model.predict(xgboost.DMatrix(rows)) > 0.5) == (rows[:, 0] > 0))) > 0.9)
"""
TRAINS_TORCH = """
import torch
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
model, rows = torch.nn.Linear(4, 1), torch.randn(300, 4)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    for (batch,) in DataLoader(TensorDataset(rows), batch_size=100, num_workers=1):
        optimizer.zero_grad()
        (model(batch) - batch[:, :1]).square().mean().backward()
        optimizer.step()
large = torch.ones(500, 500)
print("RIGHT", float((large @ large).sum()) == 500.0**3 and torch.get_num_threads() > 0)
"""


@pytest.mark.parametrize(
    ("image", "script"), [(XGBOOST, TRAINS_XGBOOST), (PYTORCH, TRAINS_TORCH)], ids=["xgboost", "torch"]
)
def test_other_frameworks_begin_warm_and_train(images: Path, tmp_path: Path, image: str, script: str) -> None:
    """Importing them starts no thread, which a fork would lose."""
    one = Bench(tmp_path, Images(images).environment(image, print))
    try:
        status, said = one.ran(
            f"{script}\nprint('FORKED' if b'warm_interpreter' in open('/proc/self/cmdline', 'rb').read() else '')"
        )
        assert (status, "RIGHT True" in said, "FORKED" in said) == (0, True, True), said
        (interpreter,) = one.warm.running
        assert "Threads:\t1\n" in Path(f"/proc/{interpreter.pid}/status").read_text()
        assert [
            0 < found.mebibytes < 600 for found in warm_images(os.getpid()) if found.name in one.image.root.name
        ] == [True]
    finally:
        one.warm.close()


# -------------------------------------------------------------------------------------------------- what is kept apart


def test_no_job_finds_anything_of_another(bench: Bench) -> None:
    """Neither in memory, nor in what is open, nor in what is imported."""
    marks = {"SECRET": "c0ffee-" + os.urandom(8).hex()}
    changes = f"import numpy, sklearn, builtins, sys\nnumpy.mine = sklearn.mine = builtins.mine = 1\n{FRAMEWORK}"
    assert bench.ran(changes, environment=marks)[0] == 0
    looks = (
        "import os, re, builtins, sys\nimport numpy, sklearn\n"
        "assert not hasattr(numpy, 'mine') and not hasattr(builtins, 'mine') and 'SECRET' not in os.environ\n"
        "mark, found = b'c0ffee' + b'-', 0\n"
        "for line in open('/proc/self/maps'):\n"
        "    start, end = (int(part, 16) for part in line.split()[0].split('-'))\n"
        "    if 'rw' in line and end - start < 1 << 28:\n"
        "        with open('/proc/self/mem', 'rb', 0) as memory:\n"
        "            memory.seek(start)\n"
        "            found += len(re.findall(mark + b'[0-9a-f]{16}', memory.read(end - start)))\n"
        "print('FOUND', found, sorted(os.listdir('/proc/self/fd')), len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
    )
    status, said = bench.ran(looks)
    assert status == 0 and "FOUND 0 ['0', '1', '2', '3'] 2" in said, said


def test_an_interpreter_is_seen_with_what_it_holds(bench: Bench) -> None:
    started, _ = bench.start(LISTENS, "program", is_warm=True)
    assert b"ready" in started.output.readline()
    found = warm_images(os.getpid())
    started.kill()
    started.wait(10)
    assert len(found) == len(bench.warm.running), "not its containers"
    assert all(image.name.startswith("scikit-learn-1.9.0") and 1 < image.mebibytes < 400 for image in found), found


def test_an_interpreter_is_ended_with_the_others(images: Path, tmp_path: Path) -> None:
    one = Bench(tmp_path, Images(images).environment(SKLEARN, print))
    assert began_warm(one, FRAMEWORK)
    (interpreter,) = one.warm.running
    started, _ = one.start(LISTENS, "program", is_warm=True)
    assert b"ready" in started.output.readline()
    one.warm.close()
    until(lambda: not Path(f"/proc/{interpreter.pid}").exists(), "its end")
    assert started.poll() is None, "its containers go on"
    started.kill()
    started.wait(10)
