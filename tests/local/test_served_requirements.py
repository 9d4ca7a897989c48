"""A served PyTorch model's requirements.txt: installed once for all containers that ask for the same, and else as AWS's
container does it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hosting_kit import ECHO, Hosting, archive
from image_uris import PYTORCH
from running_aws import IMAGES, Aws
from waiting import until
from wheels import forgotten_afterwards, wheel_name, wheel_of

from localaws.sagemaker.containers import container

# A name that no other run has used, since what was installed is kept.
THING = f"thing_{uuid.uuid4().hex[:8]}"
ONE = wheel_name(THING, "1.0")
WHEEL = wheel_of(THING, "1.0", "VALUE = 1")
# What the first container changes is its own affair.
SERVE = ECHO.replace(
    "    return {",
    f"    import pathlib, {THING}\n"
    f"    pathlib.Path({THING}.__file__).write_text('VALUE = 666')\n"
    f'    return {{"value": {THING}.VALUE, ',
)


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    """What this run's containers have installed, nobody needs again."""
    with forgotten_afterwards(THING):
        yield


def model(requirements: str) -> bytes:
    files = {"name.txt": "m", "code/serve.py": SERVE, "code/requirements.txt": requirements}
    return archive({**files, f"code/{ONE}": WHEEL})


@pytest.mark.fidelity(
    "Endpoints",
    "PyTorch's image installs the requirements.txt beside the model's code before it serves.",
    "aws/sagemaker-inference-toolkit, model_server.py (_install_requirements)",
)
def test_the_first_container_installs_and_the_next_finds_it(hosting: Hosting) -> None:
    if not container.can_lay_over(IMAGES):
        pytest.skip("this kernel lays no directory over another, so nothing is kept")
    said = []
    for name in ("first", "second"):
        endpoint = hosting.deploy(name, model(f"./{ONE}\n"), image=PYTORCH)
        assert hosting.ask(endpoint)["body"]["value"] == 1
        log = hosting.log_lines(endpoint)
        said.append(("Successfully installed" in log, "kept from an earlier container" in log))
    assert said == [(True, False), (False, True)]


def test_what_only_this_container_can_use_it_installs_itself(hosting: Hosting) -> None:
    endpoint = hosting.deploy("own", model(f"/opt/ml/model/code/{ONE}\n"), image=PYTORCH)
    assert hosting.ask(endpoint)["body"]["value"] == 1
    assert "Installing module with the following command" in hosting.log_lines(endpoint)
    assert "It is tried again" not in hosting.log_lines(endpoint)


def test_one_that_cannot_be_installed_is_told(hosting: Hosting) -> None:
    config = hosting.config("absent", {"ModelName": hosting.model("absent", model("./absent.whl\n"), image=PYTORCH)})
    hosting.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    assert hosting.settled(config)["EndpointStatus"] == "Failed"
    until(lambda: "The container can't start: `pip install -r" in hosting.log_lines(config), "the log says why")
    assert "absent.whl" in hosting.log_lines(config)
