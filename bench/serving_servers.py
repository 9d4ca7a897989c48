"""What serves a model in bench/serving.py: our model server on a port of its own, and what users would pick instead."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench import harness
from bench.answering import ONE_THREAD
from bench.environments import with_more
from bench.serving_load import Requests, WrongAnswerError, load, plain
from contract.micro_batches import MICRO_BATCHES, text
from localaws.sagemaker.hosting import model_server

HERE = Path(__file__).resolve().parent
JSON = "application/json"
_START_SECONDS, _STOP_SECONDS = 90.0, 10.0


class NotHereError(Exception):
    """A server can't run on this machine; the text says why."""


@dataclass(frozen=True)
class Served:
    """A model that is to be served: its folder as SageMaker unpacks it, its environment's Python, the answers to some
    bodies, which are lists of lists in JSON; its image, and the variables that this sets."""

    folder: Path
    python: Path
    answers: Mapping[str, str]
    image: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """A server that runs, and the requests that it understands."""

    name: str
    port: int
    requests: Callable[[], Requests]


@dataclass(frozen=True)
class Start:
    """How a server is started: its command, what it needs in its environment, and the folder that it runs in."""

    command: Sequence[str]
    variables: Mapping[str, str]
    folder: Path


@dataclass(frozen=True)
class Kind:
    """A server. start: of a served model with its own Python, on a port, with a folder for its files.
    body: how it wants a list of lists."""

    name: str
    requirements: str
    start: Callable[[Served, Path, int, Path], Start]
    body: Callable[[str], str] = str
    path: str = "/invocations"
    tool: str = ""


def _ours(served: Served, python: Path, port: int, folder: Path) -> Start:
    (folder / "model").symlink_to(served.folder)
    variables = {**served.variables, "SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_PROGRAM": "serve.py"}
    server = Path(model_server.__file__).parent / "__main__.py"
    return Start([str(python), str(server), "--port", str(port)], variables, folder)


_BATCHES = """
from toolkit.micro_batches import in_batches
predict_fn = in_batches(predict_fn)
"""


def _batched(served: Served, python: Path, port: int, folder: Path) -> Start:
    """Ours, whose model predicts requests together that come together."""
    if "pytorch" in served.image:
        raise NotHereError("PyTorch's container predicts one request after the other")
    source = shutil.copytree(served.folder, folder / "source")
    with (source / "code" / "serve.py").open("a") as script:
        script.write(_BATCHES)
    start = _ours(replace(served, folder=source), python, port, folder)
    return replace(start, variables={**start.variables, MICRO_BATCHES: text(32, 0.005)})


def _bentoml(served: Served, python: Path, port: int, folder: Path) -> Start:
    script = shutil.copy(HERE / "serving_bentoml.py", folder)
    variables = {"MODEL": str(served.folder), "BENTOML_HOME": str(folder), "BENTOML_DO_NOT_TRACK": "True"}
    service = f"{Path(script).stem}:Served"
    command = [str(python), "-m", "bentoml", "serve", service, "--host", "127.0.0.1", "--port", str(port)]
    return Start(command, variables, folder)


def _litserve(served: Served, python: Path, port: int, folder: Path) -> Start:
    script = HERE / "serving_litserve.py"
    return Start([str(python), "-P", str(script), str(served.folder), str(port)], {}, folder)


def _mlflow(served: Served, python: Path, port: int, folder: Path) -> Start:
    saved = folder / "saved"
    script = [str(python), "-P", str(HERE / "serving_mlflow.py"), str(served.folder), str(saved)]
    subprocess.run(script, check=True, capture_output=True, env={**os.environ, **ONE_THREAD})
    options = ["--host", "127.0.0.1", "--port", str(port), "--env-manager", "local", "--workers", "1"]
    command = [str(python), "-m", "mlflow", "models", "serve", "--model-uri", str(saved), *options]
    return Start(command, {"PATH": f"{python.parent}:{os.environ['PATH']}"}, folder)


def _mms(served: Served, python: Path, port: int, folder: Path) -> Start:
    source, store = folder / "source", folder / "store"
    shutil.copytree(served.folder, source)
    shutil.copy(HERE / "serving_mms.py", source)
    store.mkdir()
    variables = {"PATH": f"{python.parent}:{os.environ['PATH']}", "TEMP": str(folder)}
    tool = [str(python), "-m", "model_archiver.model_packaging", "--model-name", "served", "--handler"]
    archive = [*tool, "serving_mms:handle", "--model-path", str(source), "--export-path", str(store)]
    subprocess.run(archive, check=True, capture_output=True, env={**os.environ, **variables})
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{free_port()}",
        "default_workers_per_model": 1,
        "decode_input_request": "false",  # as in SageMaker's containers
    }
    (folder / "config.properties").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    options = ["--model-store", str(store), "--models", "served=served.mar", "--mms-config", "config.properties"]
    command = [str(python), "-m", "mms.model_server", "--start", "--foreground", *options]
    return Start(command, variables, folder)


def _inputs(body: str) -> str:
    return f'{{"inputs": {body}}}'


OURS, BATCHED = Kind("server", "", _ours), Kind("batched", "", _batched)
PEERS = (
    Kind("bentoml", "bentoml.txt", _bentoml, _inputs),
    Kind("litserve", "litserve.txt", _litserve, _inputs),
    Kind("mlflow", "mlflow.txt", _mlflow, _inputs),
    Kind("mms", "multi_model_server.txt", _mms, path="/predictions/served", tool="java"),
)


@contextmanager
def running(kind: Kind, served: Served, folder: Path) -> Iterator[Target]:
    """The server, once it has given a right answer. NotHereError."""
    python, port = _python(kind, served), free_port()
    bodies = {kind.body(body).encode(): told.encode() for body, told in served.answers.items()}
    target = Target(kind.name, port, lambda: plain(kind.path, JSON, bodies))
    try:
        start = kind.start(served, python, port, folder)
    except subprocess.CalledProcessError as error:
        raise NotHereError(f"{error}: {(error.stderr or b'').decode()[-2000:]}") from error
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            start.command,
            env={**os.environ, **ONE_THREAD, **start.variables},
            cwd=start.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(target, process, folder / "log")
        yield target
    finally:
        _end(process)


def _python(kind: Kind, served: Served) -> Path:
    if kind.tool and not shutil.which(kind.tool):
        raise NotHereError(f"it needs {kind.tool}, which isn't installed")
    if not kind.requirements:
        return served.python
    try:
        return with_more(served.python, harness.ROOT / "requirements" / kind.requirements, "--no-deps")
    except subprocess.CalledProcessError as error:
        raise NotHereError(f"it can't be installed here: {error}") from error


def _wait(target: Target, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline, why = time.monotonic() + _START_SECONDS, ""
    while time.monotonic() < deadline and process.poll() is None:
        try:
            load(target.port, target.requests(), 1, 1)
        except (OSError, WrongAnswerError) as error:
            why = str(error)
            time.sleep(0.1)
        else:
            return
    told = log.read_text(errors="replace")[-2000:]
    raise NotHereError(f"it doesn't answer as it should: {why}; it said\n{told}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment, and that multi-model-server takes: below 32768."""
    for port in random.sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise SystemExit("a hundred ports of 127.0.0.1 are taken")
