"""The first process of a container: gives it its own view of the machine, starts its program, leaves nothing behind.

Run by the server with the container's environment and the arguments of options.py. It imports little, since it stands
in front of every job.

What the kernel lets root, or an ordinary user through a user namespace, do without Docker (mount_namespaces(7),
pid_namespaces(7), user_namespaces(7)). Once the view is made, every privilege goes (privileges.py, landlock.py).

With processes of its own, it is process 1 of the container, and what a framework's image has as that: its `train`. The
program of an image's own file system is process 1 itself, as under Docker, and nothing of ours is left beside it.

Exit status: the program's, 128 + the signal that ended it, 127 when it isn't there, 126 when it can't be run, 125 when
the container couldn't be set up (Docker's).
"""

from __future__ import annotations

import os
import sys

from localaws.confinement import landlock, linux, network, privileges, seccomp, train_program, view
from localaws.confinement.linux import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG
from localaws.confinement.options import Options
from localaws.confinement.processes import end_descendants, is_closed, kill, reaped, supervise

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping

    Become = Callable[[Options], int]
    Start = Callable[[list[str], str, dict[str, str]], object]
else:
    import _signal as signal  # see processes.py

SETUP_FAILED = 125
CANNOT_RUN = 126
NOT_FOUND = 127


class Starts:
    """How a container's processes begin.

    become: makes a process its program. script: makes one the script that `train` runs. beside: starts another process
    of it before its program; only where it has processes of its own.
    """

    def __init__(
        self, become: Become | None = None, script: Start | None = None, beside: Callable[[], None] | None = None
    ) -> None:
        self.become, self.script = become or execute, script or train_program.start
        self.beside = beside or (lambda: None)


def main(arguments: list[str]) -> int:
    """Run the container; its exit status."""
    options, starts = Options(arguments), Starts()
    os.setsid()
    ends_by_kill = options.has_own_processes and options.image_root is None
    linux.prctl(PR_SET_PDEATHSIG, signal.SIGKILL if ends_by_kill else signal.SIGUSR1)
    if os.getppid() != options.parent:
        return SETUP_FAILED  # the server went before the line above
    try:
        _enter_namespaces(options)
        if options.image_root is not None:
            _import_the_last()
        if options.has_own_processes:
            return _run_as_first_process(options, starts)
        settings = _enter_files(options)
    except OSError as error:
        return _setup_failed(error)
    linux.prctl(PR_SET_CHILD_SUBREAPER, 1)
    as_process_1 = "--process-1" in options.flags
    status = supervise(lambda: _confined(options, settings, starts), as_process_1=as_process_1, at_usr1=_server_is_gone)
    end_descendants()
    return status


def lead(options: Options, may_begin: Callable[[], bool], starts: Starts) -> int:
    """Run the container in a child of the server's that is the first of its processes already; its exit status.

    may_begin: waits until the program may begin; False where the server has gone.
    """
    os.setsid()
    try:
        _enter_namespaces(options, with_processes=False)
    except OSError as error:
        return _setup_failed(error)
    return _as_first_process(options, may_begin, starts)


def _run_as_first_process(options: Options, starts: Starts) -> int:
    """Fork into the new process namespace; the child is its process 1, with which all others end."""
    alive_end, held_end = os.pipe()

    def first_process() -> int:
        os.close(held_end)
        os.set_blocking(alive_end, False)
        return _as_first_process(options, lambda: not is_closed(alive_end), starts)

    # An image's program is process 1 itself, hears what the kernel lets one hear, and can't outlive this process.
    is_program = options.image_root is not None
    return supervise(first_process, as_process_1=is_program, at_usr1=kill if is_program else None)


def _as_first_process(options: Options, may_begin: Callable[[], bool], starts: Starts) -> int:
    try:
        settings = _enter_files(options)
        _confine(options, settings)
    except OSError as error:
        return _setup_failed(error)
    linux.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if not may_begin():
        return SETUP_FAILED
    if "--train" in options.flags:
        return _train(options, starts)
    if options.image_root is not None:
        return starts.become(options)
    starts.beside()
    return supervise(lambda: starts.become(options), as_process_1="--process-1" in options.flags)


def _import_the_last() -> None:
    """Import what only the container of an image pays for, and nothing ever after.

    Once the image is the root, also of the process that looks after it, a module that is looked up would be the image's
    own code, with this process's privileges.
    """
    from localaws.confinement import image_program, image_view  # noqa: F401, PLC0415

    sys.meta_path.clear()


def _enter_files(options: Options) -> int | None:
    """Be in the container's file system, if it has its own; its /proc/sys, see `view.enter`."""
    if options.image_root is not None:
        from localaws.confinement import image_view  # noqa: PLC0415 - it is there already, see `_import_the_last`

        root, own_processes = options.image_root, options.has_own_processes
        return image_view.enter(root, options.view, options.cwd, own_processes=own_processes)
    return view.enter(options.view, own_processes=options.has_own_processes) if options.has_own_files else None


def _train(options: Options, starts: Starts) -> int:
    """Be the image's `train` (train_program.py), which no signal ends: it handles none, and is process 1."""

    def run(command: list[str], cwd: str, variables: dict[str, str]) -> int:
        child = os.fork()
        if child == 0:
            starts.script(command, cwd, variables)
        return reaped(child)

    try:
        begin(options)
    except OSError as error:
        return _cannot_start(options, error)
    status = train_program.main(os.path.dirname(options.program[-1]), run)
    sys.stdout.flush()
    return status


def _confined(options: Options, settings: int | None, starts: Starts) -> int:
    """Take this process's privileges, and become the program."""
    try:
        _confine(options, settings)
    except OSError as error:
        return _setup_failed(error)
    return starts.become(options)


def _confine(options: Options, settings: int | None) -> None:
    """Nothing of the container can be undone after this, by any program in it."""
    if "--trusted" in options.flags:
        return
    if settings is not None:
        privileges.lock_mounts(settings, options.identity)
        os.close(settings)
    privileges.drop(options.identity)
    seccomp.restrict()
    if options.has_own_files:
        landlock.restrict(["/"], options.writable)
    else:
        landlock.restrict(*options.view.as_it_lies())


def begin(options: Options) -> None:
    """Be in this process as its program finds it when it starts. Raises OSError."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    linux.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGUSR1})
    if options.image_root is None:  # where it is already, see `image_view.enter`
        os.chdir(options.cwd)


def execute(options: Options, environment: Mapping[str, str] | None = None) -> int:
    """Start the program in this process, with these variables if any are given; the exit status where it can't be."""
    if options.image_root is not None:
        return _execute_in_image(options)
    try:
        begin(options)
        os.execvpe(options.program[0], options.program, os.environ if environment is None else environment)  # noqa: S606 - no shell is the point
    except OSError as error:
        return _cannot_start(options, error)


def _execute_in_image(options: Options) -> int:
    from localaws.confinement import image_program  # noqa: PLC0415 - it is there already, see `_import_the_last`

    try:
        # Python ignores some, and whoever started the server may have ignored others (nohup); a program is to find all
        # of them as its image's developer does.
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        begin(options)
        image_program.start(options.program, options.variables)
    except image_program.CannotStartError as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201
        return error.status
    except OSError as error:
        return _cannot_start(options, error)
    return SETUP_FAILED


def _cannot_start(options: Options, error: OSError) -> int:
    print(f"cannot start {options.program[0]!r}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
    return NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN


def _enter_namespaces(options: Options, *, with_processes: bool = True) -> None:
    kinds = {
        "--mount": linux.CLONE_NEWNS,
        "--pid": linux.CLONE_NEWIPC | (linux.CLONE_NEWPID if with_processes else 0),
        "--isolate-network": linux.CLONE_NEWNET,
    }
    wanted = sum(bits for flag, bits in kinds.items() if flag in options.flags)
    wanted |= linux.CLONE_NEWUTS if options.hostname else 0
    if options.network:
        network.join(*options.network)
    if not wanted:
        return
    if os.geteuid() == 0:
        linux.unshare(wanted)
    else:
        privileges.enter_user_namespace(wanted)
    if options.hostname:
        linux.set_hostname(options.hostname)
    if "--isolate-network" in options.flags:
        network.raise_loopback()


def _server_is_gone(_child: int) -> None:
    end_descendants()
    os._exit(128 + signal.SIGKILL)


def _setup_failed(error: OSError) -> int:
    print(f"container: {error}", file=sys.stderr, flush=True)  # noqa: T201
    return SETUP_FAILED
