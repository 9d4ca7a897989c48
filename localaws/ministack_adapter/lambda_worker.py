"""The Python runtime of a Lambda function: runs one function in a process of its own, for one invocation at a time.

Started as `python -I -S lambda_worker.py ANSWERS FOLDER...`, or in a fork of one that was (see `lambda_forkserver`),
so that it sees the standard library and what it is given, and nothing of the server's environment. It reads JSON lines
from stdin (first its settings, then invocations) and answers on the file descriptor ANSWERS; what the function prints
goes to stderr, closed by a new line and a marker for each invocation. Its modules are looked for in the folders.
Uses the standard library only: it is no part of the package once it runs.
"""

from __future__ import annotations

import datetime
import importlib
import json
import logging
import os
import resource
import sys
import time
import traceback
from typing import Any, Callable, Sequence  # noqa: UP035 - any Python 3

Document = dict[str, Any]
Handler = Callable[[Any, Any], Any]

# The runtime's own memory, which AWS counts in and an address-space limit would count too high.
_RUNTIME_BYTES = 96 << 20
# Bytes of an answer ("Lambda quotas", Invocation payload).
_MOST_ANSWERED = 6_291_556


class Context:
    """The context object that AWS documents for Python ("Using the Lambda context object")."""

    identity = None
    client_context = None

    def __init__(self, settings: Document, invocation: Document) -> None:
        self.function_name = settings["function_name"]
        self.function_version = settings["version"]
        self.memory_limit_in_mb = str(settings["memory_mb"])
        self.invoked_function_arn = invocation["invoked_function_arn"]
        self.aws_request_id = invocation["request_id"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = time.monotonic() + settings["timeout_seconds"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


class LambdaFormatter(logging.Formatter):
    """The format of the logger that the runtime installs."""

    request_id = ""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc)  # noqa: UP017 - any Python 3
        stamp = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
        text = f"[{record.levelname}]\t{stamp}\t{self.request_id}\t{record.getMessage()}"
        return text + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")


def search_path(code: str, layers: Sequence[str], runtime: str) -> list[str]:
    """Where a function's modules are looked for, the standard library aside: its own, its layers', the runtime's."""
    packages = f"python/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    return [code, *(f"{layer}/{place}" for layer in reversed(layers) for place in (packages, "python")), runtime]


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    _detach_streams()
    settings = json.loads(requests.readline())
    formatter = _install_logger()
    handler, failure = _load(settings)
    _limit_memory(settings["memory_mb"])
    for line in requests:
        invocation = json.loads(line)
        formatter.request_id = invocation["request_id"]
        answer = failure if handler is None else _run(handler, settings, invocation)
        sys.stdout.flush()
        os.write(2, f"\n{settings['marker']}{invocation['request_id']}\n".encode())
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _detach_streams() -> None:
    """stdin is the requests': a function that reads it finds nothing. What it prints goes to the log."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)


def _install_logger() -> LambdaFormatter:
    formatter = LambdaFormatter()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.getLogger().addHandler(handler)
    return formatter


def _load(settings: Document) -> tuple[Handler | None, Document | None]:
    """The handler, or the error that every invocation answers."""
    *own, runtime = sys.argv[2:]
    sys.path[:0] = own
    sys.path.append(runtime)
    module_name, _, name = settings["handler"].rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        return None, _error("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}", error)
    except BaseException as error:  # noqa: BLE001 - whatever the function's module raises is its answer
        return None, _error(type(error).__name__, str(error), error)
    handler = getattr(module, name, None)
    if handler is None:
        return None, _error("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'", None)
    return handler, None


def _limit_memory(megabytes: int) -> None:
    limit = (megabytes << 20) + _RUNTIME_BYTES
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _run(handler: Handler, settings: Document, invocation: Document) -> Document:
    try:
        result = handler(invocation["event"], Context(settings, invocation))
    except MemoryError as error:
        message = f"RequestId: {invocation['request_id']} Error: more than the function's {settings['memory_mb']} MB"
        return _error("Runtime.OutOfMemory", message, error)
    except SystemExit as error:
        message = f"RequestId: {invocation['request_id']} Error: Runtime exited with error: exit status {error.code}"
        return _error("Runtime.ExitError", message, error)
    except BaseException as error:  # noqa: BLE001 - whatever the function raises is its answer
        return _error(type(error).__name__, str(error), error)
    try:
        return _bounded(json.dumps(result))
    except (TypeError, ValueError, RecursionError) as error:
        return _error("Runtime.MarshalError", f"Unable to marshal response: {error}", error)


def _bounded(result: str) -> Document:
    """A result, or the error of one that is too large."""
    if len(result) <= _MOST_ANSWERED:
        return {"result": result}
    message = f"Response payload size exceeded maximum allowed payload size ({_MOST_ANSWERED} bytes)."
    return {"error": {"errorMessage": message, "errorType": "Function.ResponseSizeTooLarge"}}


def _error(kind: str, message: str, error: BaseException | None) -> Document:
    stack = traceback.extract_tb(error.__traceback__)[1:] if error is not None else []
    document = {"errorMessage": message, "errorType": kind, "stackTrace": traceback.format_list(stack)}
    if error is not None:
        lines = ["[ERROR] " + kind + ": " + message, "Traceback (most recent call last):", *document["stackTrace"]]
        print("\n".join(line.rstrip("\n") for line in lines), file=sys.stdout)  # noqa: T201 - the function's log
    return {"error": document}


if __name__ == "__main__":
    main()
