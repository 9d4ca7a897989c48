"""Containers of one's own that don't come to serve: each has one end, with AWS's reason, in no more than its time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from own_image_kit import contents, needs_perl
from registry_kit import layer
from test_escapes import AS_ORDINARY_USER, ORDINARY
from test_job_engine import Platform
from waiting import PATIENCE

from localaws.sagemaker.containers import container
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.registry_images import RegistryImage
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import FleetError, VariantPlan
from localaws.sagemaker.hosting.model_container import ContainerStarter

pytestmark = [
    needs_perl,
    pytest.mark.skipif(container.isolation() == "none", reason="this kernel allows no namespaces"),
]
# Who goes on without ever being well has as long as the first of these; the second is never waited for.
SECONDS, LONG_SECONDS = 3.0 * PATIENCE, 120.0 * PATIENCE
URI = "000000000000.dkr.ecr.us-east-1.amazonaws.com/own"
ILL = (
    "The primary container for production variant A did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
CANNOT_START = (
    "CannotStartContainerError. Please ensure the model container for variant A starts correctly when invoked with "
    "'docker run <image> serve'"
)
# Of an image's configuration or files, or of the server's MODE: what becomes of it, and what its log says.
Cases = Mapping[str, tuple[dict[str, Any], str, str]]
GOES_ON: Cases = {
    "listens on 127.0.0.1 alone": ({"MODE": "loopback"}, ILL, "serving as loopback"),
    "listens on ::1 alone": ({"MODE": "v6"}, ILL, "serving as v6"),
    "listens on another port": ({"PORT": "9090"}, ILL, "serving as ok on 9090"),
    "listens on none": ({"MODE": "silent"}, ILL, "serving as silent"),
    "answers nothing": ({"MODE": "mute"}, ILL, "serving as mute"),
    "answers what isn't HTTP": ({"MODE": "nonsense"}, ILL, "serving as nonsense"),
    "says that it isn't well": ({"MODE": "ill"}, ILL, "serving as ill"),
}
ENDS: Cases = {
    "ends": ({"MODE": "crash"}, ILL, "the model is broken"),
    "ends well": ({"Entrypoint": ["true"], "files": {"bin/true": "#!/bin/sh\nexit 0\n"}}, ILL, ""),
    "has no serve": ({"files": {}}, CANNOT_START, 'exec: "serve": executable file not found in $PATH'),
    "has an entry point that isn't there": (
        {"Entrypoint": ["/opt/gone"]}, CANNOT_START, 'exec: "/opt/gone": stat /opt/gone: no such file or directory',
    ),
    "is made for another machine": (
        {"files": {"bin/serve": b"\x7fELF\2\1\1" + bytes(57)}}, CANNOT_START, "exec /bin/serve: exec format error",
    ),
    "has a user that isn't there": (
        {"User": "nobody-here"}, "CannotStartContainerError: image", "unable to find user nobody-here",
    ),
}  # fmt: skip
CASES = {**GOES_ON, **ENDS}


class Registry(Platform):
    """An AWS around SageMaker with images that lie in a folder."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.known: dict[str, RegistryImage] = {}

    def put(self, uri: str, config: dict[str, Any], *layers: bytes) -> None:
        paths = [self.state_dir.parent / hashlib.sha256(each).hexdigest() for each in layers]
        for path, content in zip(paths, layers, strict=True):
            if not path.exists():
                path.write_bytes(content)
        names = "".join(path.name for path in paths) + repr(sorted(config.items()))
        digest = hashlib.sha256(names.encode()).hexdigest()
        self.known[uri] = RegistryImage(f"sha256:{digest}", {"config": config}, paths)

    def registry_image(self, uri: str, _role: str) -> RegistryImage:
        return self.known[uri]


def source_of(uri: str, variables: dict[str, str]) -> dict[str, Any]:
    """What a variant of a model without model data is started from."""
    return {
        "RoleArn": "arn:role", "InstanceType": "ml.m5.large", "Image": uri, "Environment": variables,
        "ModelDataUri": None, "DownloadSeconds": 60.0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[str, float, list[str]]]]:
    """Of each case the reason, the seconds and the log. All of them at once."""
    registry = Registry(tmp_path_factory.mktemp("started"))
    registry.state_dir.mkdir()
    context = Context.open(registry)
    starter, uris = ContainerStarter(context), {}
    for number, (name, (wanted, _, _)) in enumerate(CASES.items()):
        uris[name] = f"{URI}-{number}"
        config = {key: value for key, value in wanted.items() if key[0].isupper() and not key.isupper()}
        registry.put(uris[name], config, *contents(wanted.get("files")))

    def start(name: str, wanted: dict[str, Any]) -> tuple[str, float]:
        uri, variables = uris[name], {key: value for key, value in wanted.items() if key.isupper()}
        seconds = SECONDS if name in GOES_ON else LONG_SECONDS
        plan = VariantPlan("A", 1.0, 1, source_of(uri, variables), startup_seconds=seconds)
        folder = registry.state_dir / uri.rpartition("/")[2]
        deployment = Deployment([plan], lambda plan, instance: starter.start(name, folder, plan, instance))
        began = time.monotonic()
        try:
            deployment.start()
        except FleetError as error:
            return str(error), time.monotonic() - began
        deployment.stop(0.0)
        return "it serves", time.monotonic() - began

    with ThreadPoolExecutor(len(CASES)) as pool:
        reasons = dict(zip(CASES, pool.map(start, CASES, (case[0] for case in CASES.values())), strict=True))
    yield {name: (reason, took, registry.lines) for name, (reason, took) in reasons.items()}
    context.lifecycle.close()


@pytest.mark.fidelity(
    "Endpoints",
    "A container of one's own that answers /ping with something else than 200, in more than 2 s, at another address or "
    "port, or not at all, fails its endpoint with the ping health check's sentence; one that can't be started with "
    "CannotStartContainerError.",
    "SageMaker DG, Custom Inference Code with Hosting Services: Health Check (Ping) Requests; "
    "aws-samples/comfyui-on-amazon-sagemaker#2; aws/amazon-sagemaker-examples#210",
)
@pytest.mark.parametrize("name", CASES)
def test_a_container_that_doesnt_come_to_serve(ended: dict[str, tuple[str, float, list[str]]], name: str) -> None:
    reason, took, log = ended[name]
    _, wanted, logged = CASES[name]
    assert reason.startswith(wanted), reason
    assert any(logged in line for line in log), log
    assert took < (SECONDS + 30 * PATIENCE if name in GOES_ON else LONG_SECONDS), "with all the others at once"


# Serves one model as the ordinary user, and says what its own container says.
AS_ORDINARY = """
import json, sys
from pathlib import Path
import test_own_containers_started as here
from localaws.sagemaker.containers.beneath import remove
registry = here.Registry(Path(sys.argv[1]))
registry.state_dir.mkdir()
registry.put(here.URI, {"Entrypoint": ["perl", "/usr/local/bin/serve"], "User": "app"}, *here.contents())
context = here.Context.open(registry)
plan = here.VariantPlan("A", 1.0, 1, here.source_of(here.URI, {}))
worker = here.ContainerStarter(context).start("e", registry.state_dir / "e", plan, "i-1")
try:
    worker.wait_until_healthy(10.0)
    asks = ("1,2", "read /proc/self/uid_map", "reach 127.0.0.1 22")
    said = [worker.ask("POST", "/invocations", {}, ask.encode(), 10.0).body.decode() for ask in asks]
finally:
    worker.stop(1.0)
    context.lifecycle.close()
remove(registry.state_dir / "e")
print(json.dumps({"said": said, "left": (registry.state_dir / "e").exists(), "log": registry.lines}))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="the tests above are an ordinary user's already")
def test_an_ordinary_user_serves_it_too() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chown(folder, ORDINARY, ORDINARY)
        done = subprocess.run(
            [sys.executable, "-c", AS_ORDINARY_USER, "-c", AS_ORDINARY, folder],
            env={"PYTHONPATH": ":".join(sys.path), "PATH": os.defpath, "HOME": folder, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    facts = json.loads(done.stdout)
    assert facts["said"][0] == "3\n"
    assert facts["said"][1].split()[1:] == ["0", "1"], "one user, who is this machine's"
    assert facts["said"][2] == "no: Connection refused"
    assert not facts["left"]
    assert any("This AWS isn't run by root" in line for line in facts["log"])


def test_a_layer_is_the_same_whoever_packs_it() -> None:
    assert layer({"a": "1"}) == layer({"a": "1"}), "so that images are unpacked once for all runs"
