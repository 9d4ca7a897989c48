"""One server on a state folder, nothing left behind, and back again with everything."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from resources import invoke, make_function, make_role
from running_aws import Aws, AwsFactory
from waiting import PATIENCE, WAIT_SECONDS, until

from localaws import supervisor
from localaws.server_file import EXIT_PORT_TAKEN, EXIT_STATE_IN_USE, Server, server_file, write_server

SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(event or 0)\n    return 'awake'"


def processes_of(state: Path) -> list[int]:
    """Every process that works in this state folder or was started for it."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes() + os.fsencode((folder / "cwd").readlink())
                running = (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            except OSError:
                continue
            if running and os.fsencode(state) in words:
                found.append(int(folder.name))
    return found


def with_busy_function(factory: Any) -> Any:
    """A running AWS in which a function is in the middle of a long invocation."""
    aws = factory.start()
    make_function(aws, "sleeper", SLEEPER, make_role(aws, "lambda.amazonaws.com", name="r"), Timeout=300)
    assert invoke(aws, "sleeper") == ("awake", None)
    client = aws.client("lambda", read_timeout=300)

    def sleep() -> None:
        with contextlib.suppress(BotoCoreError, ClientError):  # cut off when the server ends
            client.invoke(FunctionName="sleeper", Payload="200")

    threading.Thread(target=sleep, daemon=True).start()
    until(lambda: len(processes_of(aws.state)) >= 3)
    return aws


def test_starting_twice_gives_the_same_server(aws: Aws) -> None:
    assert AwsFactory(aws.state).start().server == aws.server


def test_a_second_server_on_the_same_state_is_refused(aws: Aws) -> None:
    command = [sys.executable, "-m", "localaws.server", "--state", str(aws.state), "--port", "0"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_SECONDS * PATIENCE, check=False)
    assert second.returncode == EXIT_STATE_IN_USE
    assert "another embedded AWS is running" in second.stderr
    assert aws.client("sts").get_caller_identity()["Account"] == "000000000000"


def test_a_taken_port_is_told_or_gone_round(aws: Aws, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(supervisor.StartError, match=f"ended with code {EXIT_PORT_TAKEN}"):
            supervisor.start(tmp_path / "aws", port=port)
    again = supervisor.start(tmp_path / "other", port=0)
    try:
        assert again.port != aws.server.port
    finally:
        supervisor.stop(tmp_path / "other")


def test_a_rule_evaluator_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(supervisor.StartError, match=r"there is no .*/rules\.py"):
        supervisor.start(tmp_path / "aws", port=0, rule_evaluator=[tmp_path / "rules.py"])


def test_it_listens_on_loopback_only(aws: Aws) -> None:
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = {line.split()[1] for line in listening if line.split()[3] == "0A"}
    assert {a for a in addresses if int(a.split(":")[1], 16) == aws.server.port} == {
        f"0100007F:{aws.server.port:04X}",
    }


def test_stop_ends_everything_even_what_is_busy(fresh_aws: Any) -> None:
    aws = with_busy_function(fresh_aws)
    assert supervisor.stop(aws.state)
    assert supervisor.status(aws.state) is None
    until(lambda: not processes_of(aws.state))
    assert not supervisor.stop(aws.state)


def test_kill_9_leaves_no_orphan(fresh_aws: Any) -> None:
    aws = with_busy_function(fresh_aws)
    os.kill(aws.server.pid, signal.SIGKILL)
    until(lambda: not processes_of(aws.state))
    assert supervisor.status(aws.state) is None


def above(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def with_a_process_of_its_own(factory: Any) -> tuple[Any, int]:
    """A running AWS whose busy function has started a process in a session of its own; its pid."""
    aws = factory.start()
    code = (
        "import subprocess, time\n"
        "def handler(event, context):\n"
        "    subprocess.Popen(['sleep', event], start_new_session=True)\n"
        "    time.sleep(40)\n"
    )
    make_function(aws, "starts", code, make_role(aws, "lambda.amazonaws.com"), Timeout=50)
    seconds = f"{5_000 + os.getpid()}.{os.urandom(2).hex().translate(str.maketrans('abcdef', '012345'))}"
    aws.client("lambda").invoke(FunctionName="starts", InvocationType="Event", Payload=f'"{seconds}"')
    command = b"sleep\0" + seconds.encode() + b"\0"
    return aws, until(lambda: with_command(command), "the function's process")


def with_command(command: bytes) -> int | None:
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and (folder / "cmdline").read_bytes() == command:
                return int(folder.name)
    return None


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_is_left_of_a_server_that_is_killed_with_what_is_above_it(fresh_aws: Any) -> None:
    aws, started = with_a_process_of_its_own(fresh_aws)
    for pid in (above(aws.server.pid), aws.server.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(started) and not processes_of(aws.state), seconds=20)


@pytest.mark.parametrize("next_one", ["start", "stop"])
def test_whoever_comes_next_ends_what_is_left_when_all_were_killed(fresh_aws: Any, next_one: str) -> None:
    aws, started = with_a_process_of_its_own(fresh_aws)
    innocent = subprocess.Popen(["sleep", "60"], cwd=aws.state, env={"LAMBDA_TASK_ROOT": f"{aws.state}-other/x"})
    below = above(aws.server.pid)
    for pid in (above(below), below, aws.server.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        until(lambda: not supervisor.is_locked(aws.state))
        getattr(fresh_aws, next_one)()
        # A function's process is ended by the kernel, with its namespace, as soon as the server is gone.
        until(lambda: not is_running(started), "the end of what a function started")
        fresh_aws.stop()
        assert processes_of(aws.state) == [innocent.pid]
    finally:
        innocent.kill()
        innocent.wait()


def test_a_server_that_hangs_is_stopped(fresh_aws: Any) -> None:
    aws = fresh_aws.start()
    os.kill(aws.server.pid, signal.SIGSTOP)
    assert supervisor.stop(aws.state)
    until(lambda: not processes_of(aws.state))


def test_a_stale_server_file_is_no_server(fresh_aws: Any) -> None:
    aws = fresh_aws.start()
    os.kill(aws.server.pid, signal.SIGKILL)
    until(lambda: not supervisor.is_locked(aws.state))
    assert (aws.state / "server.json").exists()
    assert supervisor.status(aws.state) is None
    again = fresh_aws.start()
    assert again.server.pid != aws.server.pid
    # The key and the port are the state's own, so that exported settings stay right.
    assert (again.server.access_key_id, again.server.port) == (aws.server.access_key_id, aws.server.port)


def test_a_file_that_is_replaced_while_the_server_is_asked_tells_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed server's file is read, and then the one that follows it answers at the same port."""
    killed = Server(1, 4566, "http://127.0.0.1:4566", "us-east-1", "000000000000", "id", "secret", "", "", "")
    write_server(tmp_path, killed)

    def answers(_server: Server) -> bool:
        server_file(tmp_path).unlink()
        return True

    monkeypatch.setattr(supervisor, "_answers", answers)
    with (tmp_path / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert supervisor.status(tmp_path) is None


def test_secrets_are_for_the_owner_only(aws: Aws) -> None:
    for name in ("server.json", "root_key.json"):
        assert (aws.state / name).stat().st_mode & 0o077 == 0


def test_two_at_once_start_one_server(fresh_aws: Any) -> None:
    with ThreadPoolExecutor(4) as threads:
        servers = list(threads.map(lambda _: supervisor.start(fresh_aws.state, port=0), range(4)))
    running = [server for server in servers if server == supervisor.status(fresh_aws.state)]
    assert len(running) == 4
