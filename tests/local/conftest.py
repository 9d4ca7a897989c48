"""A running embedded AWS for tests: own state and port, shared image cache, nothing left at the end.

How a module gets its server, from cheap to dear:

aws                 one for a whole test process, which costs a module nothing. Its tests use names of their own
                    (`resources.unique`, `job_kit.Jobs`, `hosting_kit.Hosting`) and look at no list as a whole.
deployed            a pipeline of the module's PIPELINES, on another one for a whole test process: a second to deploy,
                    two for each run that trains. Pipelines of one name are the same one, whichever module asks.
alone               the same on a server of the module's own, for settings that others mustn't have: a second more.
fresh_aws           for who kills, fills or configures it: a second to start, and again after each kill; the first job
fresh_deployed_aws  and the first function cost another. What shall outlive a kill is written for all tests of a module,
                    and then it is killed once (test_adapter_durability).

A job costs a tenth of a second, or as much as its script imports; a module's tests share those that they only read.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import base_images
import pytest
from deployed import Alone, Model, Pipeline, deploy, opened
from image_uris import SKLEARN, SKLEARN_1_4
from running_aws import IMAGES, Aws, AwsFactory, copy_state

from localaws.sagemaker.containers.images import Images


@pytest.fixture(scope="session")
def images() -> Path:
    """The image cache, with what tests run jobs in: made here, so that no test's deadline is spent on it."""
    for image in (SKLEARN, SKLEARN_1_4):
        Images(IMAGES).environment(image, print)
    return IMAGES


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Aws]:
    """One embedded AWS for a whole test process. Tests that share it must use names of their own."""
    factory = AwsFactory(tmp_path_factory.mktemp("aws"))
    yield factory.start()
    factory.stop()


@pytest.fixture
def fresh_aws(tmp_path: Path, images: Path) -> Iterator[AwsFactory]:
    """An embedded AWS of the test's own, to be started, killed and restarted."""
    factory = AwsFactory(tmp_path / "aws")
    yield factory
    factory.stop()


# ------------------------------------------------------------------------------------------------ deployed pipelines


@pytest.fixture(scope="session")
def models(request: pytest.FixtureRequest) -> dict[str, Model]:
    """What this session's test modules have deployed: the PIPELINES of each. A name that two have is of one model."""
    here = [item for item in request.session.items if item.path.is_relative_to(Path(__file__).parent)]
    modules = {item.module for item in here if isinstance(item, pytest.Function)}
    named = [pipeline for module in modules for pipeline in getattr(module, "PIPELINES", {}).items()]
    found = dict(sorted(named, key=lambda pipeline: pipeline[0]))
    others = [name for name, model in named if model != found[name]]
    assert not others, f"two modules have pipelines of the same name: {others}"
    return found


@pytest.fixture(scope="session")
def deployed_state(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, images: Path, models: dict[str, Model]
) -> Path:
    """The state of an AWS that has been stopped, in which the real cdk command has deployed all pipelines at once.

    Test processes share it; the first one that needs it makes it. It is for copying.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if hasattr(request.config, "workerinput") else own) / "deployed"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            factory = AwsFactory(folder / "aws")
            # For the test that compares what roles may with what they are asked for.
            factory.state.mkdir(parents=True)
            (factory.state / "settings.json").write_text('{"authorization_log": true}')
            try:
                with base_images.mirror(models.values()) as registries, pytest.MonkeyPatch.context() as patch:
                    patch.setenv("CONTAINERS_REGISTRIES_CONF", str(registries))
                    deploy(factory.start(), folder / "app", models)
            finally:
                factory.stop()
            (folder / "complete").touch()
    return folder / "aws"


@pytest.fixture(scope="session")
def deployed_aws(deployed_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """One AWS with all pipelines deployed for a whole test process."""
    factory = AwsFactory(tmp_path_factory.mktemp("deployed") / "aws")
    copy_state(deployed_state, factory.state)
    yield factory.start()
    factory.stop()


@pytest.fixture(scope="session")
def deployed(deployed_aws: Aws, models: dict[str, Model]) -> Callable[[str], Pipeline]:
    """A deployed pipeline by its name."""
    return cache(lambda name: opened(deployed_aws, name, models[name]))


@pytest.fixture(scope="session")
def alone(deployed_state: Path, models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """A deployed pipeline by its name, on a server of its own with the settings that are named besides."""

    @contextmanager
    def started(name: str, **settings: object) -> Iterator[Pipeline]:
        factory = AwsFactory(tmp_path_factory.mktemp(name) / "aws")
        copy_state(deployed_state, factory.state)
        (factory.state / "settings.json").write_text(json.dumps(settings))
        try:
            yield opened(factory.start(), name, models[name])
        finally:
            factory.stop()

    return started


@pytest.fixture
def fresh_deployed_aws(tmp_path: Path, deployed_state: Path) -> Iterator[AwsFactory]:
    """An AWS of the test's own with all pipelines deployed, to be started, killed and restarted."""
    factory = AwsFactory(tmp_path / "aws")
    copy_state(deployed_state, factory.state)
    yield factory
    factory.stop()
