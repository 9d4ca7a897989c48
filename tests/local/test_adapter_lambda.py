"""A Lambda function sees what it would see in AWS, and fails as it would fail there."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, invoke, make_function, make_role
from stacks import resource, stack

from localaws.sagemaker.containers import cgroups, container

PROBE = """
import json, os, sys, time, logging

def handler(event, context):
    return globals()[event["do"]](event, context)

def environment(event, context): return dict(os.environ)
def path(event, context): return sys.path
def load(event, context):
    __import__(event["name"])
    return "loaded"
def home(event, context): return os.path.expanduser("~")
def buckets(event, context):
    import boto3
    return boto3.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"]
def whoami(event, context):
    import boto3
    return boto3.client("sts").get_caller_identity()["Arn"]
def own_error(event, context):
    class GateClosed(Exception): pass
    raise GateClosed("not today")
def sleep(event, context): time.sleep(60)
def eat(event, context): return len(bytearray(event["megabytes"] << 20))
def leave(event, context): os._exit(3)
def odd(event, context): return {1, 2}
def boast(event, context): return "x" * event["characters"]
def nest(event, context):
    nested = []
    for _ in range(100_000): nested = [nested]
    return nested
def answer_by_itself(event, context): os.write(3, event["answer"].encode() + b"\\n")
def fall_silent(event, context):
    os.close(3)
    time.sleep(60)
def multiply(event, context):
    started = []
    try:
        while len(started) < 5000: started.append(os.fork() or time.sleep(60))
    except OSError as error:
        return [len(started), error.errno]
    finally:
        for pid in started: os.kill(pid, 9)
def share(event, context):
    import mmap
    shared = mmap.mmap(-1, 1 << 30)
    for place in range(0, 1 << 30, 1 << 20): shared[place : place + (1 << 20)] = b"x" * (1 << 20)
def process(event, context):
    import signal, threading
    return {
        "files": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:-1],  # the last reads the folder
        "leads": os.getsid(0) == os.getpgrp() == os.getpid(),
        "folder": os.getcwd() == os.environ["LAMBDA_TASK_ROOT"],
        "threads": threading.active_count(),
        "child": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
        "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }
def say(event, context):
    print("printed")
    logging.getLogger().warning("logged")
    return [context.aws_request_id, context.get_remaining_time_in_millis() > 0, context.invoked_function_arn]
"""


@pytest.fixture(scope="module")
def probe(aws: Any) -> str:
    role = make_role(aws, "lambda.amazonaws.com", allow("dynamodb:*", "logs:*"), name="probe-role")
    variables = {"COLOUR": "green", "AUTH": "x"}
    make_function(aws, "probe", PROBE, role, MemorySize=128, Environment={"Variables": variables})
    return "probe"


@pytest.fixture
def limits(aws: Any, probe: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """The probe with other limits, for one test."""
    configure = aws.client("lambda").update_function_configuration
    configure(FunctionName=probe, **request.param)
    yield
    configure(FunctionName=probe, Timeout=60)


@pytest.mark.fidelity(
    "Lambda",
    "A function has its own variables and AWS_REGION, AWS_LAMBDA_FUNCTION_NAME, …_MEMORY_SIZE and the role's keys.",
    "Lambda DG, Defined runtime environment variables",
)
def test_environment_holds_the_functions_variables_and_lambdas_and_nothing_of_the_server(aws: Any, probe: str) -> None:
    environment, error = invoke(aws, probe, {"do": "environment"})
    assert error is None
    assert environment["COLOUR"] == "green"
    assert environment["AUTH"] == "x"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "probe"
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert aws.server.secret_access_key not in environment.values()
    foreign = set(environment) - {"COLOUR", "AUTH"} - {name for name in environment if name.startswith("AWS_")}
    assert foreign <= {"_HANDLER", "LAMBDA_TASK_ROOT", "LANG", "LC_CTYPE", "TZ", "PATH", "HOME"}


@pytest.mark.parametrize("name", ["localaws", "ratchet", "pydantic", "yaml", "ministack", "hypercorn", "pip"])
def test_packages_of_the_server_are_not_there(aws: Any, probe: str, name: str) -> None:
    answer, error = invoke(aws, probe, {"do": "load", "name": name})
    assert error == "Unhandled"
    assert answer["errorType"] == "ModuleNotFoundError"


@pytest.mark.fidelity("Lambda", "boto3 and the standard library are there.", "Lambda DG, Lambda runtimes: Python")
@pytest.mark.parametrize("name", ["boto3", "botocore", "json", "sqlite3", "urllib3"])
def test_boto3_and_the_standard_library_are_there(aws: Any, probe: str, name: str) -> None:
    assert invoke(aws, probe, {"do": "load", "name": name}) == ("loaded", None)


def test_the_users_home_is_not_the_functions(aws: Any, probe: str) -> None:
    home, _ = invoke(aws, probe, {"do": "home"})
    assert home != os.path.expanduser("~")  # noqa: PTH111 - as the function asks


@pytest.mark.usefixtures("probe")
def test_its_process_holds_nothing_of_another(aws: Any) -> None:
    make_function(aws, "new-probe", PROBE, "arn:aws:iam::000000000000:role/probe-role")
    answer, _ = invoke(aws, "new-probe", {"do": "process"})
    # Its streams, the one on which it answers, and the two by which the runtime is asked and a function reads nothing.
    of_the_runtime = [0, 1, 2, 3, 4, 5]
    assert answer.pop("files") == of_the_runtime
    assert answer == {"leads": True, "folder": True, "threads": 1, "child": True, "blocked": 0}


CONFINED = pytest.mark.skipif(
    container.isolation() != "processes and files", reason="this kernel allows no namespaces, as `ratchet doctor` says"
)
PLACES = """
import glob, os, shutil
def tried(path):
    try:
        with open(path, "a"):
            return "written"
    except OSError as error:
        return error.strerror
def handler(event, context):
    import multiprocessing, of_both
    try:
        multiprocessing.Lock()
        lock = "made"
    except OSError as error:
        lock = error.errno
    places = ("/var/task/index.py", "/opt/file", "/var/runtime/boto3/__init__.py", "/etc/passwd", "/tmp/file")
    return {
        "code": [__file__, os.environ["LAMBDA_TASK_ROOT"], os.getcwd()],
        "layers": [of_both.whose, of_both.__file__, sorted(os.listdir("/opt")), open("/opt/data").read()],
        "written": {path: tried(path) for path in places},
        "tmp": [shutil.disk_usage("/tmp").total >> 20, glob.glob("/tmp/*")],
        "lock": lock,
        "runtime": __import__("boto3").__file__,
    }
"""


def layer(aws: Any, name: str, files: dict[str, str]) -> str:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    made = aws.client("lambda").publish_layer_version(LayerName=name, Content={"ZipFile": content.getvalue()})
    return str(made["LayerVersionArn"])


@CONFINED
@pytest.mark.fidelity(
    "Lambda",
    "Code is at /var/task, layers at /opt, later ones over earlier; only /tmp is writable, with EphemeralStorage MB.",
    "Lambda DG, Lambda execution environment, and Working with layers for Python Lambda functions",
)
@pytest.mark.fidelity(
    "Lambda",
    "There is no /dev/shm, so that multiprocessing's locks, queues and pools fail.",
    "Stack Overflow 34005930; pypi.org/project/lambda-multiprocessing",
)
def test_a_function_finds_things_where_aws_puts_them(aws: Any) -> None:
    role = make_role(aws, "lambda.amazonaws.com", name="places-role")
    python = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    first = layer(aws, "first", {"python/of_both.py": "whose = 'first'", "data": "first", "bin/tool": ""})
    second = layer(aws, "second", {f"{python}/of_both.py": "whose = 'second'", "data": "second"})
    options = {"Layers": [first, second], "EphemeralStorage": {"Size": 600}}
    make_function(aws, "places", PLACES, role, **options)
    found, error = invoke(aws, "places")
    assert error is None, found
    assert found.pop("lock") in (errno.ENOSYS, errno.ENOENT), "by the version of this machine's C library"
    assert found == {
        "code": ["/var/task/index.py", "/var/task", "/var/task"],
        "layers": ["second", f"/opt/{python}/of_both.py", ["bin", "data", "python"], "second"],
        "written": {
            "/var/task/index.py": "Read-only file system",
            "/opt/file": "Read-only file system",
            "/var/runtime/boto3/__init__.py": "Read-only file system",
            "/etc/passwd": "Read-only file system",
            "/tmp/file": "written",
        },
        "tmp": [600, ["/tmp/file"]],
        "runtime": "/var/runtime/boto3/__init__.py",
    }


@pytest.mark.fidelity(
    "Lambda",
    "A module in a function's package comes before the runtime's of the same name.",
    "Lambda Developer Guide, Working with .zip file archives for Python Lambda functions, Dependency search path",
)
def test_a_module_of_its_own_comes_before_the_runtimes(aws: Any) -> None:
    role = make_role(aws, "lambda.amazonaws.com", name="own-modules-role")
    code = "import six\ndef handler(event, context): return six.whose"
    make_function(aws, "own-modules", code, role, {"six.py": "whose = 'the function'"})
    assert invoke(aws, "own-modules") == ("the function", None)


def test_variables_that_boto3_reads_when_it_is_imported_are_the_functions(aws: Any) -> None:
    role = make_role(aws, "lambda.amazonaws.com", name="retries-role")
    code = "from botocore import configprovider\ndef handler(event, context): return configprovider.NEW_RETRIES_ENABLED"
    for name, value in (("new", "true"), ("old", "false")):
        variables = {"AWS_NEW_RETRIES_2026": value}
        make_function(aws, f"{name}-retries", code, role, Environment={"Variables": variables})
    assert invoke(aws, "new-retries") == (True, None)
    assert invoke(aws, "old-retries") == (False, None)


@pytest.mark.fidelity("Lambda", "A function's session is called by the function's name.", "Lambda DG, Execution role")
def test_it_runs_as_its_role(aws: Any, probe: str) -> None:
    assert invoke(aws, probe, {"do": "whoami"})[0] == "arn:aws:sts::000000000000:assumed-role/probe-role/probe"


def test_a_missing_permission_names_action_role_and_resource(aws: Any, probe: str) -> None:
    answer, error = invoke(aws, probe, {"do": "buckets"})
    assert error == "Unhandled"
    assert "assumed-role/probe-role/probe is not authorized to perform: s3:ListAllMyBuckets" in answer["errorMessage"]
    assert "on resource: *" in answer["errorMessage"]


@pytest.mark.fidelity(
    "Lambda",
    "An exception is errorType, errorMessage and stackTrace, with FunctionError Unhandled.",
    "Lambda DG, Lambda function errors in Python",
)
def test_an_error_keeps_its_own_type(aws: Any, probe: str) -> None:
    answer, error = invoke(aws, probe, {"do": "own_error"})
    assert (answer["errorType"], answer["errorMessage"], error) == ("GateClosed", "not today", "Unhandled")
    assert any("own_error" in line for line in answer["stackTrace"])


@pytest.mark.fidelity(
    "Lambda",
    "Task timed out after … seconds; Runtime.OutOfMemory, Runtime.ExitError, Runtime.MarshalError.",
    "Lambda DG, Troubleshoot execution issues in Lambda",
)
@pytest.mark.parametrize(
    ("limits", "event", "kind", "message"),
    [
        ({"Timeout": 2}, {"do": "sleep"}, "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ({}, {"do": "eat", "megabytes": 400}, "Runtime.OutOfMemory", "128 MB"),
        ({}, {"do": "leave"}, "Runtime.ExitError", "exit status 3"),
        ({}, {"do": "odd"}, "Runtime.MarshalError", "set is not JSON serializable"),
        ({}, {"do": "nest"}, "Runtime.MarshalError", "maximum recursion depth"),
        ({}, {"do": "fall_silent"}, "Runtime.ExitError", "without providing a reason"),
        ({}, {"do": "answer_by_itself", "answer": "["}, "Runtime.ExitError", "without providing a reason"),
        ({}, {"do": "answer_by_itself", "answer": '{"error": 5}'}, "Runtime.ExitError", "without providing a reason"),
    ],
    indirect=["limits"],
)
@pytest.mark.usefixtures("limits")
def test_limits_and_ends(aws: Any, probe: str, event: dict[str, Any], kind: str, message: str) -> None:
    answer, error = invoke(aws, probe, event)
    assert (answer["errorType"], error) == (kind, "Unhandled")
    assert message in answer["errorMessage"]
    assert invoke(aws, probe, {"do": "load", "name": "json"}) == ("loaded", None)  # the next one is not hurt


@pytest.mark.fidelity(
    "Lambda",
    "An answer of more than 6,291,556 bytes is Function.ResponseSizeTooLarge.",
    "cube-js/cube #3175",
)
def test_an_answer_that_is_too_large(aws: Any, probe: str) -> None:
    answer, error = invoke(aws, probe, {"do": "boast", "characters": 6_291_555})
    assert (answer["errorType"], error) == ("Function.ResponseSizeTooLarge", "Unhandled")
    assert answer["errorMessage"].endswith("exceeded maximum allowed payload size (6291556 bytes).")


@pytest.mark.skipif(cgroups.usable_parents() is None, reason="this machine has no control groups to make")
def test_what_it_starts_and_shares_is_within_its_limits_too(aws: Any, probe: str) -> None:
    answer, error = invoke(aws, probe, {"do": "multiply"})  # each takes some memory too
    assert (
        answer["errorType"] == "Runtime.OutOfMemory"
        if error
        else (answer[0] <= 1024, answer[1]) == (True, errno.EAGAIN)
    )
    assert invoke(aws, probe, {"do": "share"})[0]["errorType"] == "Runtime.OutOfMemory"
    assert invoke(aws, probe, {"do": "load", "name": "json"}) == ("loaded", None)


def test_a_function_that_reads_nothing_is_out_of_time(aws: Any, probe: str) -> None:
    role = "arn:aws:iam::000000000000:role/probe-role"
    make_function(aws, "deaf", "import time\ntime.sleep(60)\ndef handler(event, context): pass", role, Timeout=1)
    answer, _ = invoke(aws, "deaf", "x" * 200_000)  # more than a pipe holds
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]


@pytest.mark.fidelity(
    "Lambda",
    "What is printed and logged is in /aws/lambda/<function>, the logger's lines with the request id.",
    "Lambda DG, Log and monitor Python Lambda functions",
)
def test_what_it_prints_and_logs_is_in_cloudwatch(aws: Any, probe: str) -> None:
    (request_id, has_time, arn), _ = invoke(aws, probe, {"do": "say"})
    assert has_time
    assert arn.endswith(":function:probe")
    found = aws.client("logs").filter_log_events(logGroupName="/aws/lambda/probe")["events"]
    text = "\n".join(event["message"] for event in found)
    assert "printed" in text
    assert f"\t{request_id}\tlogged" in text


@pytest.mark.fidelity(
    "Lambda",
    "Runtime.ImportModuleError: Unable to import module; Runtime.HandlerNotFound.",
    "aws/aws-lambda-python-runtime-interface-client, bootstrap.py",
)
@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        ("nowhere.handler", "Runtime.ImportModuleError", "Unable to import module 'nowhere'"),
        ("index.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'index'"),
    ],
)
def test_a_handler_that_is_not_there(aws: Any, probe: str, handler: str, kind: str, message: str) -> None:
    role = "arn:aws:iam::000000000000:role/probe-role"
    make_function(aws, f"lost-{handler.replace('.', '-')}", "x = 1", role, Handler=handler)
    answer, error = invoke(aws, f"lost-{handler.replace('.', '-')}")
    assert (answer["errorType"], error) == (kind, "Unhandled")
    assert message in answer["errorMessage"]


@pytest.mark.fidelity(
    "Lambda",
    "The role defined for the function cannot be assumed by Lambda.",
    "epam/aws-syndicate #63",
)
def test_a_role_that_lambda_cannot_assume_is_refused(aws: Any) -> None:
    role = make_role(aws, "states.amazonaws.com", name="not-for-lambda")
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        make_function(aws, "untrusted", "x = 1", role)


def test_an_event_of_any_json_type_reaches_the_handler(aws: Any) -> None:
    role = make_role(aws, "lambda.amazonaws.com", name="echo-role")
    make_function(aws, "echo", "def handler(event, context): return event", role)
    for event in (None, 1, "text", ["a", {"b": "ü"}]):
        assert invoke(aws, "echo", event) == (json.loads(json.dumps(event)), None)


def test_other_runtimes_are_refused_by_name(aws: Any, probe: str) -> None:
    role = "arn:aws:iam::000000000000:role/probe-role"
    with pytest.raises(ClientError, match=r"not supported here: Runtime nodejs22\.x"):
        make_function(aws, "in-node", "exports.handler = 1", role, Runtime="nodejs22.x")
    with pytest.raises(ClientError, match="not supported here: PackageType Image"):
        aws.client("lambda").create_function(
            FunctionName="in-an-image", Role=role, PackageType="Image", Code={"ImageUri": "example/image:1"}
        )
    with pytest.raises(ClientError, match=r"not supported here: Runtime nodejs22\.x"):
        aws.client("lambda").update_function_configuration(FunctionName=probe, Runtime="nodejs22.x")
    function = resource(
        "AWS::Lambda::Function",
        Code={"ZipFile": "exports.handler = 1"},
        Handler="index.handler",
        Role=role,
        Runtime="nodejs22.x",
    )
    made = stack(aws, {"Function": function})
    assert "not supported here: Runtime nodejs22.x" in made.reason("Function")
