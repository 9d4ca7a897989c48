"""The program `train` in a framework image's container: runs the script as AWS's toolkit does (train_command.py).

Like the toolkit (sagemaker-training, process.py) it waits for the script and passes no signal on to it. It stands in
front of every job, so it imports little; where it is a container's own program, the container's first process runs it
(first_process.py), as it is process 1 in AWS.

Where there is a socket `scripts` beside it, the script is forked from a warm interpreter (confinement/warm_scripts.py).
That is no child of this program's, so one stands for it: hands signals on to it, and ends as it does.
"""

# pathlib would take as long to import as the rest, and so would what few jobs need:
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from typing import NoReturn
else:
    import _signal as signal  # `signal` makes enums of these numbers, which takes as long as everything else here

KILLED = 137  # the status that a shell gives for what SIGKILL ended
HERE = os.path.dirname(os.path.realpath(__file__))
ANSWER_SECONDS = 10.0
SAME = ("Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "CapEff:")
HANDED_ON = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH", "SIGCONT")


def main(here: str = HERE, runs: Callable[[list[str], str, dict[str, str]], int] | None = None) -> int:
    """Run the script, by `runs` where it is given; 0, or the toolkit's exit code for whatever went wrong."""
    with open(os.path.join(here, "train.json"), encoding="utf-8") as file:
        plan = json.load(file)
    if plan["failure"]:
        print(plan["failure"], file=sys.stderr)  # noqa: T201 - the job's log
        return 1
    if plan["install"] and (reason := install(plan["cwd"], **plan["install"])):
        return failed(reason, plan["reason_file"])
    status = (runs or run)(plan["command"], plan["cwd"], {**os.environ, **plan["variables"]})
    if status == 0:
        return 0
    extra = '\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' if status == KILLED else ""
    return failed(described("ExecuteUserScriptError", status, "", plan["told"], extra), plan["reason_file"])


def run(command: list[str], cwd: str, variables: dict[str, str]) -> int:
    """Run the script to its end; its exit code, below 0 where a signal ended it."""
    child = os.fork()
    if child == 0:
        start(command, cwd, variables, os.path.join(HERE, "scripts"))
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def start(command: list[str], cwd: str, variables: dict[str, str], place: str = "") -> NoReturn:
    """Become the script, or what stands for it where there is a socket at `place`."""
    try:
        os.chdir(cwd)
        if place and os.path.exists(place):
            stand_for_script(place, command, variables)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores, and a new program would
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        os.execvpe(command[0], command, variables)  # noqa: S606 - no shell is the point
    except OSError as error:
        print(f"cannot start {command[0]!r}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(127)


def stand_for_script(place: str, command: list[str], variables: dict[str, str]) -> None:
    """Have the script forked, and end as it does; returns where it must be started instead."""
    import _socket  # `socket` would take longer

    came: list[int] = []
    runs: list[int] = []

    def hand_on(number: int, _frame: object) -> None:
        if runs:
            os.kill(runs[0], number)
        else:
            came.append(number)

    ignored = [number for number in range(1, 32) if signal.getsignal(number) == signal.SIG_IGN]
    handed = [number for name in HANDED_ON if (number := getattr(signal, name)) not in ignored]
    before = [signal.signal(number, hand_on) for number in handed]
    asked = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        asked.settimeout(ANSWER_SECONDS)
        asked.connect(place)
        message = json.dumps(handed_on(command, variables, ignored)).encode() + b"\n"
        streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
        sent = asked.sendmsg([message], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        asked.sendall(message[sent:])
        answer = asked.recv(16)
    except OSError:
        answer = b""
    if answer[:-1].isdigit():
        runs.append(int(answer))
    for number in came:
        hand_on(number, None)
    if runs:
        asked.settimeout(None)
        end_as(asked.recv(16))
    asked.close()
    for number, handler in zip(handed, before, strict=True):
        signal.signal(number, handler)
    for number in came:
        os.kill(os.getpid(), number)


def end_as(status: bytes) -> None:
    """End as a script did, of which this is the wait status."""
    import resource

    ended = int(status or signal.SIGKILL)
    if os.WIFSIGNALED(ended):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if os.WTERMSIG(ended) != signal.SIGKILL:
            signal.signal(os.WTERMSIG(ended), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(ended))
    os._exit(os.WEXITSTATUS(ended))


def handed_on(command: list[str], variables: dict[str, str], ignored: list[int]) -> dict[str, object]:
    """The script, and what a process hands on to one that it starts."""
    import resource

    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        status = [line for line in file if line.startswith(SAME)]
    limits = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    umask = os.umask(0o77)
    os.umask(umask)
    return {
        "words": command,
        "environment": variables,
        "cwd": os.getcwd(),
        "umask": umask,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "limits": [(limit, resource.getrlimit(limit)) for limit in sorted(set(limits))],
        "ignored": ignored,
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "status": status,
    }


def install(cwd: str, command: list[str], error: str) -> str:
    """Run pip; why it failed, nothing where it did not."""
    import subprocess

    running = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE)
    said = []
    for line in running.stderr or ():
        os.write(2, line)
        if line.startswith((b"ERROR", b"error")):
            said.append(line.decode("utf-8", "replace").strip())
    status = running.wait()
    if status == 0:
        return ""
    return described(error, status, "\n".join(said), " ".join(command))


def described(error: str, status: int, message: str, command: str, extra: str = "") -> str:
    """A failure in the toolkit's words (errors.py); a script that a signal ended has a status below 0."""
    return f'{error}:\nExitCode {status}\nErrorMessage "{message}"{extra}\nCommand "{command}"'


def failed(reason: str, file: str) -> int:
    """Leave a reason in its file, unless the script has left its own; the toolkit's exit code for every failure."""
    if not os.path.exists(file):
        with open(file, "w", encoding="utf-8") as written:
            written.write(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
