"""Containers and the engine that leads jobs through them, with a platform of the test's own and real processes."""

# The platform's methods take what they must take, used or not.
# ruff: noqa: ARG002

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

import pytest
from job_kit import is_alive, until_dead
from waiting import PATIENCE, WAIT_SECONDS, until

from localaws.confinement import landlock
from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import ContainerSpec, Shown
from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.aws_platform import Credentials, Telemetry
from localaws.sagemaker.core.registry_images import ImageNotInRegistryError, RegistryImage
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import job_documents, job_records, supervision
from localaws.sagemaker.jobs.engine import JobEngine
from localaws.sagemaker.jobs.job import Job, Role
from localaws.sagemaker.jobs.job_documents import Ending
from localaws.sagemaker.jobs.outcomes import Outcome, StopRequestedError
from localaws.sagemaker.jobs.training import TRAINING

PATIENT_SECONDS = WAIT_SECONDS * PATIENCE
IGNORES_SIGTERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
LEAVES_CHILDREN = """
import subprocess, sys
for session in (False, True):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "MARK"], start_new_session=session)
    print("started", flush=True)
"""


class Platform:
    """An AWS around SageMaker that remembers what it was told."""

    clock_scale = 1.0
    account, region, endpoint_url = "000000000000", "us-east-1", "http://127.0.0.1:1"

    def __init__(self, root: Path) -> None:
        self.state_dir, self.image_dir = root / "state", root / "images"
        self.private_dirs = [self.state_dir]
        self.events: list[tuple[str, Document]] = []
        self.lines: list[str] = []

    def answer_on(self, listener: socket) -> Callable[[], None]:
        return listener.close

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        self.events.append((detail_type, detail))

    def telemetry_of(self, role_arn: str) -> Telemetry:
        return self

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        self.lines += [line for _, line in events]

    def put_metric_data(self, namespace: str, data: list[Document]) -> None:
        raise NotImplementedError

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        return Credentials("id", "secret", "token", datetime.now(UTC))

    def alarm_states(self, role_arn: str, names: Sequence[str], since: float) -> dict[str, str]:
        return dict.fromkeys(names, "OK")

    def registry_image(self, uri: str, role_arn: str) -> RegistryImage:
        raise ImageNotInRegistryError(uri)

    def publish(self, role_arn: str, topic_arn: str, message: str) -> None:
        raise NotImplementedError

    def scalable_variants(self, endpoint: str) -> Sequence[str]:
        return ()

    def deregister_variants(self, caller: Caller, endpoint: str) -> None:
        """Nothing is scaled."""

    def authorize(self, caller: Caller, action: str, resource: str) -> None:
        """Everybody may do everything."""


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


@pytest.fixture
def context(platform: Platform) -> Iterator[Context]:
    context = Context.open(platform)
    yield context
    context.lifecycle.close()


@pytest.fixture
def engine(context: Context) -> JobEngine:
    engine = JobEngine(context)
    context.lifecycle.on_close.append(engine.close)
    return engine


def submit(engine: JobEngine, name: str, script: str, max_runtime: float = 60) -> list[Outcome]:
    """A job that runs a Python script; where its outcome will be."""
    context = engine.context
    begun = {"TrainingJobName": name, "TrainingJobArn": f"arn:{name}", "RoleArn": "arn:role"}
    document = job_documents.created(TRAINING, begun, "Starting", "Starting", 100.0)
    context.store.create(TRAINING.resource_type, name, document)
    outcomes: list[Outcome] = []

    def work(job: Job, _engine: JobEngine) -> Ending:
        (job.directory / "ml").mkdir(parents=True)
        (job.directory / "tmp").mkdir()
        outcomes.append(job.run(spec(job.directory, script), max_runtime))
        return job_documents.completed()

    engine.submit(Job(TRAINING, document, role(context), context), work)
    return outcomes


def role(context: Context) -> Role:
    credentials = context.platform.assume_role("arn:role", "x", "arn:job")
    return Role(credentials, Objects(context.wire.s3(credentials), "arn:role"))


def spec(directory: Path, script: str, **more: Any) -> ContainerSpec:
    return ContainerSpec(
        command=[sys.executable, "-c", script],
        environment={"PATH": os.defpath},
        base_dir=directory / "ml",
        tmp_dir=directory / "tmp",
        cwd=container.ml_dir(directory / "ml"),
        needs=[Path(sys.prefix)],
        **more,
    )


def status(context: Context, name: str) -> str:
    document = context.store.get(TRAINING.resource_type, name)
    assert document is not None
    return str(document["TrainingJobStatus"])


def test_a_job_that_ignores_sigterm_is_killed(
    context: Context, engine: JobEngine, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervision, "STOP_GRACE", 0.3)
    outcomes = submit(engine, "stubborn", IGNORES_SIGTERM)
    until(lambda: "ready" in platform.lines, "ready")
    job_records.update(context, TRAINING, "stubborn", lambda before: job_documents.stopping(TRAINING, before, 101.0))
    engine.stop(TRAINING, "stubborn")
    assert context.changes.wait_until(lambda: status(context, "stubborn") == "Stopped", PATIENT_SECONDS)
    assert outcomes == [Outcome(exit_code=137, cause="stop")]


def test_a_job_over_its_time_is_terminated(context: Context, engine: JobEngine, platform: Platform) -> None:
    outcomes = submit(engine, "slow", "import time; time.sleep(600)", max_runtime=0.2)
    assert context.changes.wait_until(lambda: status(context, "slow") == "Completed", PATIENT_SECONDS)
    assert outcomes == [Outcome(exit_code=143, cause="max runtime")]


def test_waiters_and_the_event_bus_learn_of_every_end(context: Context, engine: JobEngine, platform: Platform) -> None:
    heard = threading.Event()
    context.changes.listen(lambda kind, name: heard.set() if (kind, name) == ("training-job", "quick") else None)
    submit(engine, "quick", "print('hello')")
    assert heard.wait(PATIENT_SECONDS)
    assert status(context, "quick") == "Completed"
    until(lambda: platform.events, "the event")
    noun, detail = platform.events[-1]
    assert noun == "SageMaker Training Job State Change"
    assert (detail["TrainingJobStatus"], detail["CreationTime"]) == ("Completed", 100_000)
    assert platform.lines == ["hello"]


def test_closing_ends_the_jobs_and_leaves_them_to_recovery(
    context: Context, engine: JobEngine, platform: Platform
) -> None:
    submit(engine, "cut", IGNORES_SIGTERM)
    until(lambda: "ready" in platform.lines, "ready")
    engine.close()
    assert status(context, "cut") == "InProgress"
    job_records.recover(context, TRAINING)
    document = context.store.get(TRAINING.resource_type, "cut")
    assert document is not None
    assert document["FailureReason"].startswith("InternalServerError: the job was cut off")
    assert platform.events[-1][1]["TrainingJobStatus"] == "Failed"


def test_a_fault_of_the_platforms_own_fails_the_job_and_frees_its_slot(context: Context, engine: JobEngine) -> None:
    document = job_documents.created(
        TRAINING, {"TrainingJobName": "odd", "TrainingJobArn": "arn:odd", "RoleArn": "r"}, "Starting", "", 100.0
    )
    context.store.create(TRAINING.resource_type, "odd", document)

    def work(_job: Job, _engine: JobEngine) -> Ending:
        raise RuntimeError("a bug")

    engine.submit(Job(TRAINING, document, role(context), context), work)
    assert context.changes.wait_until(lambda: status(context, "odd") == "Failed", PATIENT_SECONDS)
    until(lambda: engine.has_free_slot, "the slot")


def a_job(context: Context, name: str) -> Job:
    begun = {"TrainingJobName": name, "TrainingJobArn": f"arn:{name}", "RoleArn": "arn:role"}
    document = job_documents.created(TRAINING, begun, "Starting", "Starting", 100.0)
    context.store.create(TRAINING.resource_type, name, document)
    return Job(TRAINING, document, role(context), context)


def test_a_job_that_is_over_leaves_its_slot_and_keeps_its_files(context: Context) -> None:
    engine, may_go = JobEngine(context, slots=1), threading.Event()
    first, second = a_job(context, "first"), a_job(context, "second")
    first.directory.mkdir(parents=True)
    first.afterwards = lambda: may_go.wait(PATIENT_SECONDS) and None
    engine.submit(first, lambda _job, _engine: job_documents.completed())
    engine.submit(second, lambda _job, _engine: job_documents.completed())
    assert second.done.wait(PATIENT_SECONDS)
    assert status(context, "first") == "Completed"
    assert first.directory.exists()
    may_go.set()
    assert first.done.wait(PATIENT_SECONDS)
    assert not first.directory.exists()


def test_a_job_of_the_services_own_takes_no_slot_and_can_be_stopped(context: Context) -> None:
    engine, may_go = JobEngine(context, slots=1), threading.Event()
    first, beside = a_job(context, "first"), a_job(context, "beside")

    def until_stopped(job: Job, _engine: JobEngine) -> Ending:
        job.without_instance(PATIENT_SECONDS)
        return job_documents.completed()

    def waits(_job: Job, _engine: JobEngine) -> Ending:
        may_go.wait(PATIENT_SECONDS)
        return job_documents.completed()

    engine.submit(first, waits)
    engine.start_now(beside, until_stopped)
    engine.stop(TRAINING, "beside")
    assert beside.done.wait(PATIENT_SECONDS)
    assert status(context, "beside") == "Stopped"
    assert not engine.has_free_slot
    may_go.set()
    assert first.done.wait(PATIENT_SECONDS)


def test_a_stop_before_the_first_step_stops_the_job(context: Context) -> None:
    document = job_documents.created(
        TRAINING, {"TrainingJobName": "early", "TrainingJobArn": "arn:early", "RoleArn": "r"}, "Starting", "", 100.0
    )
    context.store.create(TRAINING.resource_type, "early", job_documents.stopping(TRAINING, document, 101.0))
    job = Job(TRAINING, document, role(context), context)
    with pytest.raises(StopRequestedError):
        job.move("Downloading", "Downloading input data")
    job.release()


@pytest.fixture(params=["as this machine allows", "files", "none"])
def isolation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "files" and container.isolation() == "none":
        pytest.skip("the kernel allows no mount namespaces")
    if request.param in ("files", "none"):
        monkeypatch.setattr(container, "isolation", lambda: request.param)
    return container.isolation()


def test_what_a_container_starts_ends_with_it(tmp_path: Path, isolation: str) -> None:
    for name in ("ml", "tmp"):
        (tmp_path / name).mkdir()
    running = container.launch(spec(tmp_path, LEAVES_CHILDREN.replace("MARK", str(tmp_path))))
    assert running.output.read() == b"started\nstarted\n"
    assert running.wait(PATIENT_SECONDS) == 0
    running.output.close()
    until_dead(_marked(str(tmp_path)))


def test_killing_a_container_ends_everything_in_it(tmp_path: Path, isolation: str) -> None:
    for name in ("ml", "tmp"):
        (tmp_path / name).mkdir()
    script = LEAVES_CHILDREN.replace("MARK", str(tmp_path)) + "import time; time.sleep(600)"
    running = container.launch(spec(tmp_path, script))
    running.output.readline()
    running.output.readline()
    assert len(_marked(str(tmp_path))) >= 3  # the program and both that it started
    running.kill()
    running.wait(PATIENT_SECONDS)
    running.output.close()
    until_dead(_marked(str(tmp_path)))


def test_a_container_that_is_told_to_end_while_it_begins_ends(tmp_path: Path, isolation: str) -> None:
    for name in ("ml", "tmp"):
        (tmp_path / name).mkdir()
    for moment in range(20):
        running = container.launch(spec(tmp_path, "import time; time.sleep(600)"))
        time.sleep(0.003 * moment)
        running.stop()
        assert running.wait(PATIENT_SECONDS) == 143
        running.output.close()


def test_a_program_that_is_not_there_says_so(tmp_path: Path, isolation: str) -> None:
    for name in ("ml", "tmp"):
        (tmp_path / name).mkdir()
    lacking = spec(tmp_path, "")
    running = container.launch(ContainerSpec(**{**vars(lacking), "command": ["no-such-program"]}))
    assert b"cannot start 'no-such-program'" in running.output.read()
    assert running.wait(PATIENT_SECONDS) == 127
    running.output.close()


def test_opt_ml_is_literal_where_the_kernel_allows_it_and_said_where_not(tmp_path: Path, isolation: str) -> None:
    for name in ("ml", "tmp"):
        (tmp_path / name).mkdir()
    running = container.launch(spec(tmp_path, "import os; print(os.getcwd()); open('here.txt', 'w').write('x')"))
    seen = running.output.read().decode().strip()
    assert running.wait(PATIENT_SECONDS) == 0
    running.output.close()
    assert (tmp_path / "ml" / "here.txt").read_text() == "x"
    if isolation == "none":
        assert seen == str(tmp_path / "ml")
        assert "no mount namespaces" in (container.describe_isolation() or "")
    else:
        assert seen == "/opt/ml"
        assert "no process namespaces" in (container.describe_isolation() or "") or isolation != "files"
        assert container.describe_isolation() is None or isolation == "files"


def test_a_directory_that_is_shown_is_seen_live_below_opt_ml(tmp_path: Path, isolation: str) -> None:
    for name in ("ml", "tmp", "server", "server/shown"):
        (tmp_path / name).mkdir()
    script = (
        "import os, pathlib, time; ml = os.getcwd(); seen = pathlib.Path(ml, 'processing/input/tensors')\n"
        "print('ready', sorted(path.name for path in seen.iterdir()), flush=True)\n"
        "while not (seen / 'later').exists(): time.sleep(0.01)\n"
        f"others = pathlib.Path({str(tmp_path / 'server')!r})\n"
        "print([path.name for path in others.glob('*')], flush=True)\n"
        "(seen / 'mine').touch()"
    )
    (tmp_path / "server" / "shown" / "before").touch()
    given = spec(tmp_path, script, hide=[tmp_path / "server"])
    status = (tmp_path / "server" / "shown").stat()
    shown = Shown(tmp_path / "server" / "shown", f"{status.st_dev}:{status.st_ino}")
    shows = {"processing/input/tensors": shown}
    running = container.launch(dataclasses.replace(given, shows=shows))
    assert running.output.readline() == b"ready ['before']\n"
    (tmp_path / "server" / "shown" / "later").touch()
    said = running.output.read().decode()
    running.wait(PATIENT_SECONDS)
    running.output.close()
    if isolation == "none" and not landlock.version():  # nothing is out of reach then, as the job's log says
        assert said == "['shown']\n"
    else:
        assert said.startswith("[]\n")
        assert ("Permission denied" if isolation == "none" else "Read-only file system") in said


@pytest.mark.skipif(container.isolation() == "none", reason="the kernel allows no mount namespaces")
def test_a_container_has_a_tmp_of_its_own_also_where_its_image_lies_in_the_machines(tmp_path: Path) -> None:
    machines = Path(tempfile.mkdtemp(dir="/tmp"))
    script = (
        "import pathlib, tempfile; open(tempfile.mkstemp()[1], 'w').write('x'); image = pathlib.Path('IMAGE')\n"
        "others = [path.name for path in pathlib.Path('/tmp').glob('tmp*/secret')]\n"
        "print((image / 'file').read_text(), others, flush=True)\n"
        "(image / 'new').touch()"
    )
    for name in ("ml", "tmp", "image"):
        (machines / name).mkdir()
    (machines / "image" / "file").write_text("seen")
    (machines / "secret").touch()
    try:
        given = spec(machines, script.replace("IMAGE", str(machines / "image")))
        running = container.launch(dataclasses.replace(given, needs=[*given.needs, machines / "image"]))
        said = running.output.read().decode()
        running.wait(PATIENT_SECONDS)
        running.output.close()
        assert said.splitlines()[0] == "seen []", said
        assert "Read-only file system" in said.splitlines()[-1]
        assert len([path for path in (machines / "tmp").iterdir() if path.is_file()]) == 1
    finally:
        shutil.rmtree(machines)


def _marked(mark: str) -> list[int]:
    """Processes alive that have `mark` on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in path.read_text(errors="replace") and is_alive(int(path.parent.name)):
                found.append(int(path.parent.name))
        except OSError:
            pass  # it ended meanwhile
    return found
