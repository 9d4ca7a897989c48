"""A Lambda function's execution environment: its process, its variables, its credentials and its code on disk.

"Lambda execution environment" and "Defined runtime environment variables" in the Lambda Developer Guide.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import shutil
import threading
import time
import uuid
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.lambda_processes import Files, Forkserver, FunctionProcess
from localaws.ministack_adapter.ministack_platform import assume_role

Document = dict[str, Any]

LAMBDA = "lambda.amazonaws.com"
SESSION_SECONDS = 12 * 3600
# Renewed well before its credentials end.
_ENVIRONMENT_SECONDS = 6 * 3600
_LOG_SECONDS = 1.0
_TMP_MEGABYTES = 512


class RuntimeEndedError(Exception):
    """The function's process ended, or ran out of time; the document is what the caller is answered."""

    def __init__(self, document: Document) -> None:
        super().__init__(document["errorMessage"])
        self.document = document


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
        self._aws = aws
        self._forkserver = forkserver
        self._proc: FunctionProcess | None = None
        self._lock = threading.Lock()
        self._started_at = 0.0
        self._marker = f"\x1e{uuid.uuid4().hex} "
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run(self, event: Any, request_id: str, invoked_function_arn: str) -> tuple[Document, str]:
        """The worker's answer (`result` or `error`) and what the function printed."""
        with self._lock:
            if not self._is_fresh():
                self._end()
                self._spawn()
            invocation = {"event": event, "request_id": request_id, "invoked_function_arn": invoked_function_arn}
            try:
                answer = self._exchange(invocation, request_id)
            except RuntimeEndedError as ended:
                self._end()
                answer = {"error": ended.document}
            return answer, self._printed(request_id)

    def kill(self) -> None:
        self._end()

    def _discard_tmpdir(self) -> None:
        """Called by MiniStack after it ended the process. The code's folder is shared, so there is nothing to do."""

    def _is_fresh(self) -> bool:
        running = self._proc is not None and self._proc.poll() is None
        return running and time.monotonic() - self._started_at < _ENVIRONMENT_SECONDS

    def _spawn(self) -> None:
        log_stream = f"{time.strftime('%Y/%m/%d')}/[{self.config.get('Version', '$LATEST')}]{uuid.uuid4().hex}"
        settings = self._settings()
        environment = runtime_environment(self.config, self._aws.endpoint_url, log_stream)
        environment.update(execution_credentials(self.config))
        self._lines, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        self._proc = self._forkserver.start(environment, self._made_of())
        _read_into(self._proc.log, self._lines, f"lambda-log-{self.func_name}")
        _read_into(self._proc.answers, self._answers, f"lambda-answers-{self.func_name}")
        self._started_at = time.monotonic()
        self._write(settings)

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
        return Files(
            code=extracted(root / "code", self.code_zip),
            layers=[extracted(root / "layers", layer) for layer in _layers(self.config)],
            tmp_megabytes=int((self.config.get("EphemeralStorage") or {}).get("Size") or _TMP_MEGABYTES),
        )

    def _exchange(self, invocation: Document, request_id: str) -> Document:
        seconds = _timeout(self.config)
        try:
            self._write(invocation)
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            message = f"RequestId: {request_id} Error: Task timed out after {seconds:.2f} seconds"
            raise RuntimeEndedError({"errorType": "Sandbox.Timedout", "errorMessage": message}) from None
        except OSError:
            line = None
        if line is None:
            raise RuntimeEndedError(self._how_it_ended(request_id))
        document: Document = json.loads(line)
        return document

    def _how_it_ended(self, request_id: str) -> Document:
        code = self._proc.wait(timeout=1) if self._proc is not None else 0
        how = f"signal: {-code}" if code < 0 else f"exit status {code}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        return {"errorType": "Runtime.ExitError", "errorMessage": message}

    def _write(self, document: Document) -> None:
        if self._proc is None:
            raise BrokenPipeError
        self._proc.requests.write(json.dumps(document).encode() + b"\n")
        self._proc.requests.flush()

    def _printed(self, request_id: str) -> str:
        """Everything up to the invocation's marker, or to the end of a process that ended."""
        lines = []
        try:
            while (line := self._lines.get(timeout=_LOG_SECONDS)) is not None:
                if line.startswith(self._marker) and line.endswith(request_id):
                    break
                lines.append(line)
        except queue.Empty:
            pass
        return "\n".join(lines)

    def _end(self) -> None:
        process, self._proc = self._proc, None
        if process is None:
            return
        process.kill()
        process.wait()
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
        "AWS_LAMBDA_LOG_GROUP_NAME": (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{name}",
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


def _read_into(stream: Any, lines: queue.SimpleQueue[str | None], name: str) -> None:
    """Put a stream's lines into a queue, and None at its end."""

    def read() -> None:
        with stream:
            for line in stream:
                lines.put(line.decode(errors="replace").rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, name=name, daemon=True).start()
