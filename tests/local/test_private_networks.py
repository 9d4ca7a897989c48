"""Private networks, as root and as an ordinary user: who is in one meets nobody else, and it goes with who has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from job_kit import is_alive
from test_escapes import AS_ORDINARY_USER, ORDINARY, USERS
from waiting import until

from localaws.sagemaker.containers import container

ROOT = Path(__file__).parents[2]
# Two containers that share a network and one in another, each with a server on every address of port 8080.
LED = """
import json, os, socket, sys, time, urllib.request
from pathlib import Path
from localaws.confinement import linux
from localaws.confinement.network import ADDRESS
from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.networks import Networks

folder = Path(sys.argv[1])
SERVER = '''
import os, socket, sys, time
address, name = sys.argv[1:]
server = socket.create_server((address, 8080))
low = socket.create_server((address, 80))
seen = []
for other in ("127.0.0.2", "127.0.0.3", HOST):
    try:
        socket.create_connection(other, 1) if isinstance(other, tuple) else socket.create_connection((other, 9), 1)
    except OSError as error:
        seen.append(error.strerror)
print("up", name, [name for _, name in socket.if_nameindex()], seen, sorted(os.listdir("/proc/self/fd")), flush=True)
while True:
    connected, _ = server.accept()
    connected.sendall(name.encode())
    connected.close()
'''

def start(network, address, name):
    place = folder / name
    (place / "ml").mkdir(parents=True)
    (place / "tmp").mkdir()
    script = SERVER.replace("HOST", repr(outside.getsockname()))
    return container.launch(ContainerSpec(
        command=[sys.executable, "-c", script, address, name], environment={"PATH": os.defpath},
        base_dir=place / "ml", tmp_dir=place / "tmp", cwd=Path("/"), needs=[Path(sys.prefix)],
        network=network.descriptors,
    ))

def said(network, address):
    with network.connect(address, 8080, 5) as connected:
        return connected.recv(99).decode()

def refused(network, address, port):
    try:
        network.connect(address, port, 1).close()
    except OSError as error:
        return error.strerror

outside = socket.create_server(("127.0.0.1", 0))
networks = Networks()
networks.open().close()
before = time.perf_counter()
shared, alone = networks.open(), networks.open()
took = (time.perf_counter() - before) / 2
inside = shared.listen("127.0.0.1", 9)
containers = [start(shared, "127.0.0.2", "algo-1"), start(shared, "127.0.0.3", "algo-2"), start(alone, "", "model")]
up = [each.output.readline().decode().split(" ", 1)[1] for each in containers]
print(json.dumps({
    "took": took,
    "up": up,
    "said": [said(shared, "127.0.0.2"), said(shared, "127.0.0.3"), said(alone, "127.0.0.1"), said(alone, "127.9.9.9")],
    "low": refused(alone, "127.0.0.1", 80),
    "by its address": [said(alone, ADDRESS), refused(shared, ADDRESS, 8080)],
    "many": [said(alone, "127.0.0.1") for _ in range(20)] == ["model"] * 20,
    "refused": [refused(shared, "127.0.0.1", 8080), refused(alone, "127.0.0.1", 9),
                refused(alone, "127.0.0.1", outside.getsockname()[1])],
    "pids": [each.pid for each in containers],
}), flush=True)
shared.close()
print(refused(shared, "127.0.0.2", 8080), flush=True)
time.sleep(600)
"""


class Led:
    """A process that opens networks and has containers in them, and what it has said of them."""

    def __init__(self, user: str, folder: Path) -> None:
        command = ["-c", LED, str(folder)]
        if user != "root" and os.getuid() == 0:
            os.chown(folder, ORDINARY, ORDINARY)
            command = ["-c", AS_ORDINARY_USER, *command]
        environment = {"PYTHONPATH": str(ROOT), "PATH": os.defpath, "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        self.process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, env=environment, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.facts: dict[str, Any] = json.loads(line)
        self.after_closing = self.process.stdout.readline().strip()


@pytest.fixture(scope="module", params=USERS)
def led(request: pytest.FixtureRequest) -> Iterator[Led]:
    user = request.param
    if user == "root" and os.getuid():
        pytest.skip("not root here")
    if container.isolation() == "none":
        pytest.skip("this kernel allows no namespaces, as `ratchet doctor` says")
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    started = Led(user, folder)
    yield started
    started.process.kill()
    started.process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def test_who_shares_a_network_has_an_address_each_and_who_has_its_own_has_all_of_them(led: Led) -> None:
    assert led.facts["said"] == ["algo-1", "algo-2", "model", "model"]
    assert led.facts["many"], "connections beyond the sockets that are made beforehand"


def test_nothing_outside_a_network_is_reached_from_it_nor_it_from_another(led: Led) -> None:
    refused = ["Connection refused"] * 3
    assert led.facts["refused"] == refused
    for line in led.facts["up"]:
        assert "['lo']" in line
        assert str(refused) in line, "neither the others' loopback nor the machine's"


@pytest.mark.fidelity(
    "Endpoints",
    "A model container is reached by an address other than the loopback's: who listens on 127.0.0.1 alone isn't found.",
    "aws-samples/amazon-sagemaker-from-idea-to-production#25 (a container's log: host 169.254.180.2:8080)",
)
def test_who_listens_on_one_loopback_address_alone_isnt_reached_by_the_containers_own(led: Led) -> None:
    assert led.facts["by its address"] == ["model", "Connection refused"]


def test_a_program_without_capabilities_listens_on_low_ports(led: Led) -> None:
    assert led.facts["low"] is None, "as in Docker"


def test_a_program_inherits_nothing_of_the_network_that_it_is_in(led: Led) -> None:
    for line in led.facts["up"]:
        # Input, output, errors; its servers; the directory that it lists.
        assert line.strip().endswith("['0', '1', '2', '3', '4', '5']"), line


def test_a_network_is_opened_in_milliseconds(led: Led) -> None:
    assert led.facts["took"] < 0.1


def test_a_closed_network_makes_no_further_socket(led: Led) -> None:
    assert led.after_closing == "the private network is closed"


def test_a_network_goes_with_who_has_opened_it_by_kill_9_too(led: Led) -> None:
    started = [
        int(pid) for pid in Path(f"/proc/{led.process.pid}/task").glob("*/children") for pid in pid.read_text().split()
    ]
    assert set(led.facts["pids"]) < set(started), "the containers, and who makes the sockets"
    led.process.send_signal(signal.SIGKILL)
    led.process.wait()
    until(lambda: not any(is_alive(pid) for pid in started), "their end")
