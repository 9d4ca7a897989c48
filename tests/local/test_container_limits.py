"""What a container may use of this machine, held by the kernel's control groups or, where there are none, by looks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from image_uris import SKLEARN
from test_warm_containers import Bench, began_warm
from waiting import until

from localaws.sagemaker.containers import cgroups, container, limits
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.images import Images
from localaws.sagemaker.containers.limits import DISK, MEMORY, PROCESSES, Limits, SharedMemory

MIB = 1024 * 1024
ENOUGH = Limits(memory=1024 * MIB, disk=1024 * MIB)
TAKES_MEMORY = """
import time
held = []
for _ in range(600):
    held.append(bytearray(1024 * 1024))
    time.sleep(0.002)
time.sleep(3)
"""
FORKS = """
import os, sys, time
started = 0
try:
    while started < 400:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        started += 1
except OSError as error:
    print("refused", started, flush=True)
    sys.exit(1)
time.sleep(5)
"""
FILLS = """
import os, time
with open(os.environ["TMPDIR"] + "/big", "wb") as file:
    for _ in range(40):
        file.write(bytes(1024 * 1024))
        file.flush()
time.sleep(10)
"""


@pytest.fixture(params=["kernel", "looks"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test with control groups, where this process may make one, and without."""
    if request.param == "looks":
        monkeypatch.setattr(cgroups, "make", lambda *_: None)
    elif cgroups.usable_parents() is None:
        pytest.skip("this process may make no control groups")
    return str(request.param)


def spec_of(script: str, folder: Path, wanted: Limits) -> ContainerSpec:
    """A container that runs a script, its files in a folder."""
    (folder / "ml").mkdir(parents=True)
    (folder / "tmp").mkdir()
    return ContainerSpec(
        command=[sys.executable, "-c", script],
        environment={"PATH": os.defpath, "TMPDIR": str(container.tmp_view(folder / "tmp"))},
        base_dir=folder / "ml",
        tmp_dir=folder / "tmp",
        cwd=container.ml_dir(folder / "ml"),
        needs=[Path(sys.prefix)],
        limits=wanted,
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[[str, Limits], tuple[int, str, Container]]:
    """Runs a script in a container to its end; exit code, output and container."""

    def to_its_end(script: str, wanted: Limits) -> tuple[int, str, Container]:
        running = container.launch(spec_of(script, tmp_path, wanted))
        try:
            output = running.output.read().decode()
            return running.wait(10), output, running
        finally:
            running.kill()
            running.wait(10)

    return to_its_end


@pytest.mark.usefixtures("way")
def test_a_script_that_takes_more_memory_than_its_instance_has_is_killed(
    run: Callable[[str, Limits], tuple[int, str, Container]],
) -> None:
    exit_code, output, ended = run(TAKES_MEMORY, Limits(memory=100 * MIB, disk=ENOUGH.disk))
    assert (exit_code, ended.exceeded) == (137, MEMORY), output


@pytest.mark.usefixtures("way")
@pytest.mark.fidelity(
    "Containers",
    "The containers of an inference pipeline share the memory of their instance.",
    "SageMaker DG, Security with multi-container endpoints with direct invocation; Troubleshoot multi-container "
    "endpoints",
)
def test_containers_that_share_an_instance_have_its_memory_together(tmp_path: Path) -> None:
    wanted = Limits(memory=300 * MIB, disk=ENOUGH.disk, shared=SharedMemory())
    small, large = (TAKES_MEMORY.replace("600", size).replace("sleep(3)", "sleep(6)") for size in ("150", "250"))
    first = container.launch(spec_of(small, tmp_path / "first", wanted))
    second = container.launch(spec_of(large, tmp_path / "second", wanted))
    try:
        ended = [first.wait(60), second.wait(60)]
        assert sorted(ended) == [0, 137], "one has room when the other has gone"
        assert [each.exceeded for each in (first, second)] == [MEMORY if code else None for code in ended]
    finally:
        first.kill()
        second.kill()


def test_a_fork_bomb_stays_small(run: Callable[[str, Limits], tuple[int, str, Container]], way: str) -> None:
    exit_code, output, ended = run(FORKS, Limits(memory=ENOUGH.memory, disk=ENOUGH.disk, processes=60))
    if way == "kernel" or os.geteuid() != 0:
        assert exit_code == 1 and 10 < int(output.split()[1]) < 60
    else:
        assert (exit_code, ended.exceeded) == (137, PROCESSES)


def test_a_script_that_fills_its_volume_is_killed(run: Callable[[str, Limits], tuple[int, str, Container]]) -> None:
    exit_code, output, ended = run(FILLS, Limits(memory=ENOUGH.memory, disk=20 * MIB))
    assert (exit_code, ended.exceeded) == (137, DISK), output


@pytest.mark.usefixtures("way")
def test_what_stays_within_its_limits_ends_by_itself(run: Callable[[str, Limits], tuple[int, str, Container]]) -> None:
    exit_code, _, ended = run("import time; time.sleep(0.8)", ENOUGH)
    assert (exit_code, ended.exceeded) == (0, None)


@dataclass(frozen=True)
class Limiting:
    """Warm interpreters whose containers have limits."""

    interpreters: Any
    wanted: Limits

    def launch(self, spec: ContainerSpec) -> Container:
        started: Container = self.interpreters.launch(replace(spec, limits=self.wanted))
        return started


@pytest.fixture(scope="module")
def bench(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if container.isolation() != "processes and files":
        pytest.skip("this kernel allows no namespaces: all containers begin cold")
    made = Bench(tmp_path_factory.mktemp("warm"), Images(images).environment(SKLEARN, print))
    assert began_warm(made, "import joblib")
    yield made
    made.warm.close()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("script", "wanted", "exceeded"),
    [
        (TAKES_MEMORY, Limits(memory=300 * MIB, disk=ENOUGH.disk), MEMORY),
        (FILLS, Limits(memory=ENOUGH.memory, disk=20 * MIB), DISK),
        ("import time; time.sleep(0.3)", ENOUGH, None),
    ],
    ids=["memory", "disk", "within"],
)
def test_a_container_that_began_warm_is_kept_to_them_too(
    bench: Bench, tmp_path: Path, script: str, wanted: Limits, exceeded: str | None
) -> None:
    limited = replace(bench, folder=tmp_path, warm=Limiting(bench.warm, wanted))
    started, _ = limited.start(script, "program", is_warm=True)
    said = started.output.read().decode()
    assert (started.wait(20), started.exceeded) == (137 if exceeded else 0, exceeded), said


def test_a_container_s_groups_go_with_it(run: Callable[[str, Limits], tuple[int, str, Container]]) -> None:
    parents = cgroups.usable_parents()
    if parents is None:
        pytest.skip("this process may make no control groups")
    run(FORKS.replace("5", "0"), ENOUGH)
    ours = f"localaws-{os.getpid()}-*"
    until(lambda: [*parents.memory.glob(ours), *parents.pids.glob(ours)] == [], "the groups to go")


def test_what_a_server_left_that_is_gone_is_removed() -> None:
    parents = cgroups.usable_parents()
    if parents is None:
        pytest.skip("this process may make no control groups")
    with subprocess.Popen(["true"]) as gone:
        pass
    left = parents.memory / f"localaws-{gone.pid}-7"
    left.mkdir()
    cgroups.usable_parents.cache_clear()
    assert cgroups.usable_parents() == parents
    assert not left.exists()


def test_a_folder_s_size_counts_no_link_and_no_file_twice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(bytes(64 * 1024))
    (tmp_path / "a" / "same").hardlink_to(tmp_path / "a" / "one")
    (tmp_path / "a" / "out").symlink_to("/usr")
    with (tmp_path / "a" / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert 64 * 1024 <= limits.held([tmp_path / "a"]) < 128 * 1024
