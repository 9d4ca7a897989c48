"""Lambda functions in Python see what they would see in AWS; functions of other runtimes are refused.

That is: their own package, boto3 and the standard library; the environment variables that the runtime defines and
their own; credentials of their role, so that IAM applies; memory and time limits. Nothing of the server. MiniStack's
own runtime gives a function the server's environment and everything that is installed in it, and answers every error
as `Runtime.HandlerError`.
"""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.lambda_environment import (
    ExecutionEnvironment,
    RuntimeEndedError,
    execution_credentials,
    runtime_dir,
)
from localaws.ministack_adapter.lambda_idle import IdleEnvironments
from localaws.ministack_adapter.lambda_processes import Forkserver
from localaws.server_file import ACCOUNT, REGION
from localaws.settings import FILE_NAME, Settings

Document = dict[str, Any]

LATEST = "$LATEST"
# boto3 and what it imports.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")


def install(aws: EmbeddedAws) -> None:
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    link_runtime_packages(runtime_dir(aws.state_dir))
    forkserver = Forkserver(runtime_dir(aws.state_dir))
    aws.when_closing(forkserver.close)
    environment = partial(ExecutionEnvironment, aws=aws, forkserver=forkserver)
    idle = IdleEnvironments(Settings.read(aws.state_dir / FILE_NAME).idle_functions, _provisioned)
    class_for, execute_warm = lambda_runtime._worker_class_for, lambda_svc._execute_function_warm

    def _worker_class_for(config: Document) -> Any:
        return environment if _is_python(config) else class_for(config)

    def _execute_function_warm(func: Document, event: Any, request_id: str) -> Any:
        if _is_python(func.get("config") or func) and func.get("code_zip"):
            return _execute(func, event, request_id, idle)
        return execute_warm(func, event, request_id)

    lambda_runtime._worker_class_for = _worker_class_for
    # MiniStack's own can be guessed from a function's name.
    lambda_runtime.execution_credentials = execution_credentials
    lambda_runtime.kill_workers = idle.give_up
    lambda_runtime.release_worker = lambda_svc.release_worker = idle.release
    lambda_svc._ensure_reaper_thread = lambda: None  # it would keep each function's first environment for ever
    lambda_svc._execute_function_warm = _execute_function_warm
    _refuse_other_runtimes()
    aws.when_closing(idle.close)


def unsupported(config: Document) -> str | None:
    """Why a function of this configuration is refused, or None. Pure.

    MiniStack would run it in a process with the server's environment and the machine's own interpreter.
    """
    if config.get("PackageType", "Zip") != "Zip":
        return f"not supported here: PackageType {config['PackageType']}; functions are .zip packages in Python"
    runtime = str(config.get("Runtime") or "python")
    return None if runtime.startswith("python") else f"not supported here: Runtime {runtime}; only Python's are"


def _refuse_other_runtimes() -> None:
    from ministack.core.responses import error_response_json
    from ministack.services import lambda_svc

    create, update = lambda_svc._create_function, lambda_svc._update_config

    def _create_function(data: Document) -> Any:
        package = {"PackageType": "Image"} if "ImageUri" in data.get("Code", {}) else {}
        reason = unsupported({**data, **package})
        return error_response_json("InvalidParameterValueException", reason, 400) if reason else create(data)

    def _update_config(name: str, data: Document) -> Any:
        reason = unsupported(data)
        return error_response_json("InvalidParameterValueException", reason, 400) if reason else update(name, data)

    lambda_svc._create_function = _create_function
    lambda_svc._update_config = _update_config


def _provisioned(name: str) -> int:
    """A function's provisioned concurrency, of all its versions and aliases together."""
    from ministack.core.responses import request_scope
    from ministack.services import lambda_svc

    with request_scope(ACCOUNT, REGION):
        configs = (lambda_svc._functions.get(name) or {}).get("provisioned_concurrency") or {}
    return sum(int(config["RequestedProvisionedConcurrentExecutions"]) for config in list(configs.values()))


def code_of(func: Document, config: Document) -> bytes:
    """The package that an invocation runs: of what is no version the one of now.

    An event that is tried again may be from before an update; an environment with that code would be kept, and answer
    whoever comes next.
    """
    from ministack.core.responses import request_scope
    from ministack.services import lambda_svc

    newest: Document | None = None
    if config.get("Version", LATEST) == LATEST:
        with request_scope(ACCOUNT, REGION):
            newest = lambda_svc._functions.get(config["FunctionName"])
    code: bytes = (newest or {}).get("code_zip") or func["code_zip"]
    return code


def _execute(func: Document, event: Any, request_id: str, idle: IdleEnvironments) -> Document:
    """One invocation, in the shape that MiniStack's callers expect."""
    from ministack.core import lambda_runtime

    config = func.get("config") or func
    environment, _ = lambda_runtime.acquire_worker(
        config["FunctionName"], config, code_of(func, config), qualifier=config.get("Version", LATEST)
    )
    try:
        answer, printed = environment.run(event, request_id, config.get("FunctionArn", ""))
    except RuntimeEndedError as ended:
        answer, printed = {"error": ended.document}, ended.document["errorMessage"]
    finally:
        idle.release(environment)
    if "error" in answer:
        return {"body": {**answer["error"], "requestId": request_id}, "error": True, "log": printed}
    return {"body": answer["result"], "log": printed}


def _is_python(config: Document) -> bool:
    return str(config.get("Runtime", "")).startswith("python") and config.get("PackageType", "Zip") == "Zip"


def link_runtime_packages(folder: Path) -> None:
    """A folder in which a function finds boto3 and what it needs, and no other package of the server."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        target = origin.parent if origin.name == "__init__.py" else origin
        link = folder / target.name
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
