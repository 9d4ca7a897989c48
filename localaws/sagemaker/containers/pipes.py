"""Named pipes of a channel in Pipe mode, one an epoch, in a folder that the container may change at any time.

"Open training_0 in read mode and read it to end-of-file or, if you are done with the first epoch, close the pipe file
early. After closing the first pipe file, look for training_1" (developer guide, "How Amazon SageMaker AI Provides
Training Information"). Nothing is read ahead of a reader but what a pipe holds.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from localaws.sagemaker.containers.beneath import open_beneath

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITING = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK_MILLISECONDS = 10  # between looks whether somebody reads; a pipe tells of a reader only who waits in open(2)


class _ClosedError(Exception):
    """Nobody will read any more."""


class Pipes:
    """The pipes of one channel on one host, written in a thread; use as a context manager around its container.

    root, folder: where they are made, `folder` below `root`, which only the server can replace.
    epochs: an epoch's content, in pieces.
    failed: told, once, why an epoch can't be streamed to its end; its pipe stays open then, so that nobody takes what
    has come for the whole.
    say: told, in the end, what the container has done to its pipes.
    """

    def __init__(  # noqa: PLR0913 - where, what, and who is told
        self,
        root: Path,
        folder: str,
        channel: str,
        epochs: Callable[[int], Iterator[bytes]],
        *,
        failed: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._root, self._folder, self._channel = root, folder, channel
        self._epochs, self._failed, self._say = epochs, failed, say
        self._made: set[int] = set()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"pipes of {channel}", daemon=True)

    def __enter__(self) -> None:
        root = os.open(self._root, _DIRECTORY)
        try:
            self._directory = open_beneath(root, self._folder, _DIRECTORY)
        finally:
            os.close(root)
        self._closing, self._close = os.pipe()
        self._make(0)
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        os.close(self._close)
        self._thread.join()
        os.close(self._closing)
        os.close(self._directory)
        if self._lost:
            self._say(self._lost)

    @property
    def is_streaming(self) -> bool:
        """Whether anything more comes, or may come."""
        return self._thread.is_alive()

    def _run(self) -> None:
        number = 0
        try:
            for number in itertools.count():
                self._stream(number)
        except _ClosedError:
            pass
        except OSError as error:
            changed = f"its pipes were changed ({error.strerror or error})"
            self._lost = f"Channel {self._channel} is streamed no further than epoch {number}: {changed}."
        finally:
            for each in sorted(self._made):
                self._remove(each)

    def _stream(self, number: int) -> None:
        """An epoch, once somebody reads it, to its end or until its reader has enough."""
        pipe = self._opened(number)
        try:
            self._fill(number, pipe)
            # The next one is there, and this one gone, before its reader comes to its end.
            self._make(number + 1)
            self._remove(number)
        finally:
            os.close(pipe)

    def _fill(self, number: int, pipe: int) -> None:
        try:
            for piece in self._epochs(number):
                self._write(pipe, piece)
        except BrokenPipeError:
            pass
        except _ClosedError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the epoch must not look complete
            self._failed(str(error))
            self._wait(None)

    def _opened(self, number: int) -> int:
        """An epoch's pipe, once it has a reader; what has come in its place is an OSError."""
        while True:
            try:
                pipe = open_beneath(self._directory, self._name(number), _WRITING)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads
                    raise
                self._wait(None, _LOOK_MILLISECONDS)
                continue
            try:
                _refuse_other(pipe)
            except OSError:
                os.close(pipe)
                raise
            return pipe

    def _write(self, pipe: int, piece: bytes) -> None:
        """Write a piece, as fast as it is read. Raises BrokenPipeError."""
        left = memoryview(piece)
        while left:
            try:
                left = left[os.write(pipe, left) :]
            except BlockingIOError:
                self._wait(pipe)

    def _wait(self, pipe: int | None, milliseconds: int | None = None) -> None:
        """Wait until a pipe takes more, or for a while. Raises _ClosedError."""
        ready = select.poll()
        ready.register(self._closing, select.POLLIN)
        if pipe is not None:
            ready.register(pipe, select.POLLOUT)
        if any(descriptor == self._closing for descriptor, _ in ready.poll(milliseconds)):
            raise _ClosedError

    def _make(self, number: int) -> None:
        os.mkfifo(self._name(number), dir_fd=self._directory)
        self._made.add(number)
        # Whoever the image's program runs as may read, and what has come in the pipe's place by now is left alone.
        made = open_beneath(self._directory, self._name(number), os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _refuse_other(made)
            Path(f"/proc/self/fd/{made}").chmod(0o644)
        finally:
            os.close(made)

    def _remove(self, number: int) -> None:
        self._made.discard(number)
        with contextlib.suppress(OSError):  # the container has
            os.unlink(self._name(number), dir_fd=self._directory)

    def _name(self, number: int) -> str:
        return f"{self._channel}_{number}"


def _refuse_other(opened: int) -> None:
    """Raise OSError for what is no pipe."""
    if not stat.S_ISFIFO(os.fstat(opened).st_mode):
        raise OSError(errno.EINVAL, "it is something else")
