"""A Lambda function's execution environment: its process, its variables, its credentials and its code on disk.

"Lambda execution environment" and "Defined runtime environment variables" in the Lambda Developer Guide.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from localaws.confinement.functions import TASK
from localaws.ministack_adapter import authorization, lambda_bytecode
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.lambda_processes import Files, Forkserver, FunctionProcess
from localaws.ministack_adapter.lambda_streams import AnswerError, Answers, Printed, send
from localaws.ministack_adapter.ministack_platform import assume_role, put_log_events
from localaws.ministack_adapter.role_telemetry import log_group, may_log
from localaws.sagemaker.containers import limits

Document = dict[str, Any]

LAMBDA = "lambda.amazonaws.com"
SESSION_SECONDS = 12 * 3600
# Renewed well before its credentials end.
_ENVIRONMENT_SECONDS = 6 * 3600
_LOG_SECONDS = 1.0
_TMP_MEGABYTES = 512
_PROCESSES = 1024  # and threads ("Lambda quotas", Execution processes/threads)
# The runtime's own memory, which AWS counts in, while here much of it is shared by all functions.
_RUNTIME_MEGABYTES = 96


class RuntimeEndedError(Exception):
    """The function's process ended, or ran out of time; the document is what the caller is answered."""

    def __init__(self, document: Document) -> None:
        super().__init__(document["errorMessage"])
        self.document = document


@dataclass(frozen=True)
class _Running:
    """A process that has begun, as its watch sees it."""

    pid: int
    kill: Callable[[], None]


class ExecutionEnvironment:
    """One process that runs one function's code, one invocation at a time. Has the shape of MiniStack's `Worker`."""

    def __init__(
        self, func_name: str, config: Document, code_zip: bytes, *, aws: EmbeddedAws, forkserver: Forkserver
    ) -> None:
        self.func_name = func_name
        self.config = config
        self.code_zip = code_zip
        self.in_use = False
        self.last_used = time.time()
        self.is_given_up = False
        self._aws = aws
        self._forkserver = forkserver
        self._proc: FunctionProcess | None = None
        self._lock = threading.Lock()
        self._started_at = 0.0
        self._log_stream = ""
        self._marker = f"\x1e{uuid.uuid4().hex} "
        self._printed: Printed | None = None
        self._answers: Answers | None = None
        self._watch: limits.Watch | None = None

    def run(self, event: Any, request_id: str, invoked_function_arn: str) -> tuple[Document, str]:
        """The function's answer (`result`, as it is, or `error`) and what it printed."""
        with self._lock:
            if not self._is_fresh():
                self._end()
                self._spawn()
            invocation = {"event": event, "request_id": request_id, "invoked_function_arn": invoked_function_arn}
            printed = self._printed
            try:
                answer = self._exchange(invocation, request_id)
            except RuntimeEndedError as ended:
                self._end()
                answer = {"error": ended.document}
            return answer, printed.up_to(self._marker + request_id, _LOG_SECONDS) if printed else ""

    def kill(self) -> None:
        """End its process, without waiting for that: `retire` does."""
        if (process := self._proc) is not None:
            process.kill()

    def retire(self) -> None:
        """End it for good; what its code printed after its last answer is in its log."""
        with self._lock:
            printed = self._printed if self._proc is not None else None
            self._end()
            left = printed.up_to(self._marker, _LOG_SECONDS) if printed is not None else ""
        group = log_group(self.config)
        if left.strip() and may_log(self.config.get("Role", ""), self.func_name, group, self._log_stream):
            at = int(1000 * time.time())
            put_log_events(self._aws, group, self._log_stream, [(at, line) for line in left.splitlines() if line])

    def _is_fresh(self) -> bool:
        running = self._proc is not None and self._proc.poll() is None
        return running and time.monotonic() - self._started_at < _ENVIRONMENT_SECONDS

    def _spawn(self) -> None:
        version = self.config.get("Version", "$LATEST")
        self._log_stream = f"{time.strftime('%Y/%m/%d')}/[{version}]{uuid.uuid4().hex}"
        settings = self._settings()
        environment = runtime_environment(self.config, self._aws.endpoint_url, self._log_stream)
        environment.update(execution_credentials(self.config))
        files = self._made_of()
        self._proc = self._forkserver.start(environment, files)
        self._watch = _watched(self._proc, settings["memory_mb"], files)
        self._printed = Printed(self._proc.log, self._marker, f"lambda-log-{self.func_name}")
        self._answers = Answers(self._proc.answers, f"lambda-answers-{self.func_name}")
        self._started_at = time.monotonic()
        send(self._proc.requests, settings, self._started_at + settings["timeout_seconds"])

    def _settings(self) -> Document:
        config = self.config
        return {
            "function_name": self.func_name,
            "version": config.get("Version", "$LATEST"),
            "handler": config.get("Handler", "index.handler"),
            "memory_mb": int(config.get("MemorySize") or 128),
            "timeout_seconds": _timeout(config),
            "marker": self._marker,
        }

    def _made_of(self) -> Files:
        root = self._aws.state_dir / "lambda"
        code = extracted(root / "code", self.code_zip)
        return Files(
            code=code,
            bytecode=lambda_bytecode.of(code, TASK),
            layers=[extracted(root / "layers", layer) for layer in _layers(self.config)],
            tmp_megabytes=int((self.config.get("EphemeralStorage") or {}).get("Size") or _TMP_MEGABYTES),
        )

    def _exchange(self, invocation: Document, request_id: str) -> Document:
        seconds, told = _timeout(self.config), f"RequestId: {request_id} Error:"
        deadline, answer = time.monotonic() + seconds, None
        try:
            if self._proc is not None and self._answers is not None:
                send(self._proc.requests, invocation, deadline)
                answer = self._answers.next(deadline - time.monotonic())
        except TimeoutError:
            message = f"{told} Task timed out after {seconds:.2f} seconds"
            raise RuntimeEndedError({"errorType": "Sandbox.Timedout", "errorMessage": message}) from None
        except AnswerError as error:
            raise RuntimeEndedError(error.document or self._how_it_ended(told)) from None
        except OSError:
            pass
        if answer is None:
            raise RuntimeEndedError(self._how_it_ended(told))
        return answer

    def _how_it_ended(self, told: str) -> Document:
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._proc.wait(timeout=1) if self._proc is not None else 0
        if self._watch is not None and self._watch.exceeded() == limits.MEMORY:
            message = f"{told} Runtime exited with error: signal: killed"
            return {"errorType": "Runtime.OutOfMemory", "errorMessage": message}
        if code is None:  # it runs still, and will answer no more
            message = f"{told} Runtime exited without providing a reason"
        else:
            message = f"{told} Runtime exited with error: {f'signal: {-code}' if code < 0 else f'exit status {code}'}"
        return {"errorType": "Runtime.ExitError", "errorMessage": message}

    def _end(self) -> None:
        process, self._proc = self._proc, None
        if process is None:
            return
        process.kill()
        status = process.wait()
        if self._watch is not None:
            self._watch.over(status)
        with contextlib.suppress(OSError):  # something unsent is nobody's any more
            process.requests.close()


def runtime_dir(state_dir: Path) -> Path:
    """The folder of the packages that every function finds."""
    return state_dir / "lambda" / "runtime"


def runtime_environment(config: Document, endpoint_url: str, log_stream: str) -> dict[str, str]:
    """The environment variables of a function, without its credentials and where its code is. Pure."""
    name = config.get("FunctionName", "")
    version = config.get("Version", "$LATEST")
    own = {key: str(value) for key, value in (config.get("Environment") or {}).get("Variables", {}).items()}
    region = config["FunctionArn"].split(":")[3]
    return {
        # Not of AWS's set: how every SDK is told where this AWS is. A function may set its own.
        "AWS_ENDPOINT_URL": endpoint_url,
        **own,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.get('Runtime', 'python3.12')}",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize") or 128),
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group(config),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
        "_HANDLER": config.get("Handler", ""),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


def execution_credentials(config: Document) -> dict[str, str]:
    """The credentials of a function's role. Raises RuntimeEndedError where Lambda can't assume it."""
    role = config.get("Role", "")
    if not authorization.role_trusts(role, LAMBDA, str(config.get("FunctionArn", ""))):
        message = f"The role defined for the function cannot be assumed by Lambda: {role}"
        raise RuntimeEndedError({"errorType": "AccessDeniedException", "errorMessage": message})
    credentials = assume_role(role, config.get("FunctionName", "lambda"), SESSION_SECONDS)
    return {
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
    }


def extracted(cache: Path, archive: bytes) -> Path:
    """A folder with the archive's files, made once for the same content."""
    folder = cache / hashlib.sha256(archive).hexdigest()[:32]
    if folder.exists():
        return folder
    new = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    with zipfile.ZipFile(BytesIO(archive)) as package:
        package.extractall(new)  # leaves out "..", drives and leading slashes
    try:
        new.rename(folder)
    except OSError:  # another environment was faster
        shutil.rmtree(new)
    return folder


def _timeout(config: Document) -> float:
    return float(config.get("Timeout") or 3)


def _layers(config: Document) -> list[bytes]:
    from ministack.services.lambda_svc import _resolve_layer_zip

    return [archive for layer in config.get("Layers", []) if (archive := _resolve_layer_zip(layer))]


def _watched(process: FunctionProcess, megabytes: int, files: Files) -> limits.Watch | None:
    """Keep it, and all that it starts, to its memory (in which its /tmp lies here) and a number of processes."""
    if process.pid is None:
        return None
    memory = (megabytes + _RUNTIME_MEGABYTES + files.tmp_megabytes) << 20
    running = _Running(process.pid, process.kill)
    return limits.Watch(running, limits.Limits(memory, disk=0, processes=_PROCESSES), [])
