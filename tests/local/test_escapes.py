"""Nothing that a user's code tries gets it out of its container: every attempt from every place, as root and as an
ordinary user. `escape_probe` is what is tried; it runs once in each place."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import escape_probe
import pytest
from hosting_kit import Hosting, archive
from image_kit import OwnImages
from job_kit import Jobs
from resources import invoke, make_function, make_role
from running_aws import IMAGES, Aws
from waiting import until

from localaws import server_file, supervisor
from localaws.confinement import landlock
from localaws.sagemaker.containers import container

Document = dict[str, Any]
USERS = ("root", "an ordinary user")
PLACES = ("training job", "processing job", "debugger rule", "model", "requirements of a model", "function",
          "requirements of a training job", "warm training job", "host of two", "image of its own",
          "user of an image's own")  # fmt: skip
# Who a program is there, and which is the least number of processes: an image's own is process 1 itself.
OF_AN_IMAGE = {"image of its own": 0, "user of an image's own": 1234}
ATTEMPTS = [attempt.__name__ for attempt in escape_probe.ATTEMPTS]
ORDINARY = 65534
PROBE = Path(escape_probe.__file__).read_text()
RULES_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
RULES_GROUP = "/aws/sagemaker/ProcessingJobs"
# Runs a command as the ordinary user, who may not be let through to this Python: in a mount namespace of its own.
AS_ORDINARY_USER = """
import os, sys
from localaws.confinement import linux
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
python = os.open(sys.base_prefix, os.O_PATH)
above = "/" + sys.base_prefix.split("/")[1]
if not os.stat(above).st_mode & 1:
    linux.mount("tmpfs", above, "tmpfs", 0, "mode=755")
    os.makedirs(sys.base_prefix)
    linux.mount(f"/proc/self/fd/{python}", sys.base_prefix, None, linux.MS_BIND | linux.MS_REC)
os.setgroups([])
os.setgid(USER)
os.setuid(USER)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
""".replace("USER", str(ORDINARY))
START = """
import sys
from pathlib import Path
from localaws import supervisor
state, images, evaluator = map(Path, sys.argv[1:])
supervisor.start(state, port=0, images=images, rule_evaluator=(evaluator, evaluator.parent))
"""
pytestmark = pytest.mark.skipif(
    container.isolation() != "processes and files", reason="this kernel allows no namespaces, as `ratchet doctor` says"
)


@dataclass(frozen=True)
class Try:
    """An embedded AWS of one user's, and what is to be looked for in the containers of it."""

    aws: Aws
    folder: Path
    evaluator: Path
    abstract: str

    @property
    def is_root(self) -> bool:
        return self.folder.stat().st_uid == 0

    @property
    def targets(self) -> Document:
        server, state = self.aws.server, str(self.aws.state)
        return {
            "state": state,
            "endpoint": server.endpoint_url,
            "home": str(self.folder / "home"),
            "shared": str(self.folder),
            "canary": "canary.txt",
            "secret": "# not for containers",
            "keys": [server.access_key_id, server.secret_access_key],
            "servers": sorted(set(of_server(state))),
            # Folders come and go meanwhile; os.walk passes over one that has gone.
            "jobs": [f"{at}/ml" for at, folders, _ in os.walk(Path(state, "sagemaker")) if "ml" in folders],
            "code": [str(path) for path in Path(state, "lambda", "code").glob("*")],
            "abstract": self.abstract,
            "system": ["/usr/lib/written", "/etc/hosts", "/etc/ld.so.preload", "/usr/bin/env"],
        }

    @property
    def script(self) -> str:
        return self.script_on(self.targets)

    @staticmethod
    def script_on(targets: Document) -> str:
        return f"{PROBE}\nprint('FACTS', json.dumps(facts({targets!r})), flush=True)\n"


def of_server(state: str) -> Iterator[int]:
    """The processes of a server, its supervisor's and its functions' parents."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if state in path.read_text(errors="replace"):
                yield int(path.parent.name)
        except OSError:
            pass  # it ended meanwhile


@pytest.fixture(scope="module")
def tries(images: Path) -> Iterator[Any]:
    """A server of each user's, started when it is asked for."""
    folders: list[Path] = []
    listening = socket.socket(socket.AF_UNIX)
    abstract = f"escapes-{uuid.uuid4().hex}"
    listening.bind("\0" + abstract)
    listening.listen()

    @cache
    def of(user: str) -> Try:
        folder, toolkit = (Path(tempfile.mkdtemp(prefix=name)) for name in ("escapes-", "evaluator-"))
        folders.extend([folder, toolkit])
        evaluator = toolkit / "rule_evaluator.py"
        return Try(started(folder, evaluator, user), folder, evaluator, abstract)

    yield of
    listening.close()
    for folder in folders:
        if (folder / "aws").exists():
            supervisor.stop(folder / "aws")
        shutil.rmtree(folder)


def started(folder: Path, evaluator: Path, user: str) -> Aws:
    for name in ("home/.aws", "aws"):
        (folder / name).mkdir(parents=True)
    for name in ("canary.txt", "home/.aws/credentials", "home/canary.txt"):
        (folder / name).write_text("# not for containers")
    evaluator.write_text("")  # what it is to try is known once the server runs
    command = ["-c", START, str(folder / "aws"), str(IMAGES), str(evaluator)]
    if user != "root" and os.geteuid() == 0:
        for path in [folder, *folder.rglob("*"), evaluator.parent, evaluator]:
            os.chown(path, ORDINARY, ORDINARY)
        command = ["-c", AS_ORDINARY_USER, *command]
    environment = {**os.environ, "HOME": str(folder / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, *command], check=True, env=environment, cwd="/")
    server = server_file.read_server(folder / "aws")
    assert server is not None
    return Aws(server, folder / "aws")


@pytest.fixture(scope="module")
def facts(tries: Any) -> Any:
    """What the attempts got in each place, as each user."""
    found: dict[str, dict[str, Document]] = {}
    failed: dict[str, Exception] = {}

    def of(user: str) -> dict[str, Document]:
        if user == "root" and os.geteuid() != 0:
            pytest.skip("only root can try it as root")
        if user in failed:
            pytest.fail(f"nothing could be tried as {user}: {failed[user]}")
        if user not in found:
            try:
                found[user] = of_all_places(tries(user))
            except Exception as error:
                failed[user] = error
                raise
        return found[user]

    return of


def of_all_places(one: Try) -> dict[str, Document]:
    jobs, hosting = Jobs(one.aws), Hosting(one.aws)
    in_function = of_function(one)
    endpoint = hosting.name("probe")
    hosting.config("probe", {"ModelName": hosting.model("probe", model_archive(one), ELSEWHERE)})
    hosting.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    training, processing = watched(one, jobs), jobs.processing_request(one.script)
    jobs.sagemaker.create_processing_job(**processing)
    jobs.processed(processing["ProcessingJobName"])
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService", hosting.log_lines(endpoint)
    in_model = hosting.ask(endpoint)["body"]
    warm = until(lambda: of_a_warm_interpreter(one, jobs), "an interpreter that is warm")
    rule = jobs.ended(training)["DebugRuleEvaluationStatuses"][0]["RuleEvaluationJobArn"].rpartition("/")[2]
    return {
        "training job": said(jobs, training),
        "requirements of a training job": said(jobs, training, marker="REQUIREMENTS "),
        "processing job": said(jobs, processing["ProcessingJobName"], RULES_GROUP),
        "debugger rule": said(jobs, rule, RULES_GROUP),
        "model": in_model["model"],
        "requirements of a model": in_model["requirements"],
        "function": in_function,
        "warm training job": said(jobs, warm),
        "host of two": said(jobs, of_hosts(one, jobs)),
        **of_own_images(one, jobs),
    }


def of_a_warm_interpreter(one: Try, jobs: Jobs) -> str:
    """A job that is forked from an interpreter outside of all containers; "" while that is still being started."""
    job = jobs.train(f"import joblib\n{one.script}\nprint('WARM', {FORKED})")["TrainingJobName"]
    return str(job) if "WARM True" in jobs.log_lines(job) else ""


def of_hosts(one: Try, jobs: Jobs) -> str:
    """A job of two hosts that try to get out, and know each other by name; as whoever runs the server."""
    names = "import socket\nprint('NAMES', socket.gethostname(), *map(socket.gethostbyname, ('algo-1', 'algo-2')))\n"
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    job = jobs.train(one.script + names, ResourceConfig=resources)
    lines = jobs.log_lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", lines
    assert {f"NAMES algo-{number} 127.0.0.2 127.0.0.3" for number in (1, 2)} <= set(lines)
    return str(job["TrainingJobName"])


def of_own_images(one: Try, jobs: Jobs) -> dict[str, Document]:
    """What an image's own program gets hold of, as root and as the image's USER."""
    images, found = OwnImages(jobs), {}
    # What is the system's elsewhere is its own there: a copy that no other container sees.
    train = f"#!/usr/local/bin/python3\n{one.script_on({**one.targets, 'system': []})}"
    for place, user in OF_AN_IMAGE.items():
        image = images.push(f"probe-{user}", {"bin/train": train}, python=True, User=str(user or ""))
        job, lines = images.train(image)
        assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
        found[place] = said(jobs, job["TrainingJobName"])
    images.forget()
    return found


FORKED = "b'warm_interpreter' in open('/proc/self/cmdline', 'rb').read()"
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}
# Installed elsewhere than in the image's environment, which isn't the ordinary user's here.
ELSEWHERE = {**NO_INDEX, "PIP_TARGET": "/tmp/packages"}
OF_REQUIREMENTS = "import sys\nsys.path.append('/tmp/packages')\nfrom probe_facts import FACTS\n"


def of_function(one: Try) -> Document:
    role = make_role(one.aws, "lambda.amazonaws.com", name="probe-role")
    make_function(one.aws, "other", "def handler(event, context): return 'other'", role)
    assert invoke(one.aws, "other") == ("other", None)
    make_function(one.aws, "probe", f"{PROBE}\ndef handler(event, context): return facts(event)", role)
    found, error = invoke(one.aws, "probe", one.targets)
    assert error is None, found
    return dict(found)


def model_archive(one: Try) -> bytes:
    """A model whose code and whose requirements try to get out."""
    serve = (
        f"{PROBE}\n{OF_REQUIREMENTS}"
        f"def model_fn(folder): return {{'requirements': FACTS, 'model': facts({one.targets!r})}}\n"
        "def input_fn(body, kind): return body\ndef predict_fn(data, model): return model\n"
        "def output_fn(found, accept): return json.dumps(found), 'application/json'\n"
    )
    setup = setup_of_requirements(one)
    return archive({"code/serve.py": serve, "code/requirements.txt": "./probe\n", "code/probe/setup.py": setup})


def setup_of_requirements(one: Try) -> str:
    """A setup.py that installs what it has found as the module `probe_facts`."""
    return (
        f"{PROBE}\nwith open('probe_facts.py', 'w') as file: file.write('FACTS = ' + repr(facts({one.targets!r})))\n"
        "from setuptools import setup\nsetup(name='probe', version='1', py_modules=['probe_facts'])\n"
    )


def watched(one: Try, jobs: Jobs) -> str:
    """A training job that tries to get out, and a rule beside it that does."""
    one.evaluator.write_text(one.script)
    rule = {"RuleConfigurationName": "probe", "RuleEvaluatorImage": RULES_IMAGE, "RuleParameters": {}}
    script = f"{one.script}\n{OF_REQUIREMENTS}print('REQUIREMENTS', json.dumps(FACTS), flush=True)\n"
    more = {"requirements_txt": "./probe\n", "probe/setup_py": setup_of_requirements(one)}
    request = jobs.training_request(
        "",
        source=jobs.source(script, **more),
        Environment=NO_INDEX if one.is_root else ELSEWHERE,
        DebugHookConfig={"S3OutputPath": f"s3://{jobs.bucket}/debug"},
        DebugRuleConfigurations=[rule],
    )
    jobs.sagemaker.create_training_job(**request)
    return str(request["TrainingJobName"])


def said(jobs: Jobs, name: str, group: str = "/aws/sagemaker/TrainingJobs", marker: str = "FACTS ") -> Document:
    def told() -> list[str]:
        return [line for line in jobs.log_lines(name, group) if line.startswith(marker)]

    return dict(json.loads(until(told, f"facts of {name}")[0].removeprefix(marker)))


@pytest.mark.fidelity(
    "Containers",
    "A container sees its own files and processes alone, and its code can't change that.",
    "AWS Well-Architected and SageMaker DG, Infrastructure security: jobs run in isolated instances",
)
@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("user", USERS)
def test_no_attempt_gets_anything(facts: Any, user: str, place: str, attempt: str) -> None:
    if attempt == "reaches_abstract_sockets" and landlock.version() < landlock.HAS_SCOPES:
        pytest.skip("only Landlock keeps abstract sockets apart, from its version 6")
    assert facts(user)[place][attempt] is None


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("user", USERS)
def test_a_container_does_its_work_all_the_same(facts: Any, user: str, place: str) -> None:
    """It is its own root or the image's USER, has a /tmp, and reaches this AWS; of processes it sees its own."""
    may = facts(user)[place]["may"]
    assert may["user"] == OF_AN_IMAGE.get(place, 0)
    assert (1 if place in OF_AN_IMAGE else 2) <= may["processes"] <= 12
