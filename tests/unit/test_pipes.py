"""Named pipes of a channel: an epoch after another, as fast as they are read, and gone at the end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import until

from localaws.sagemaker.containers.objects import TransferError
from localaws.sagemaker.containers.pipes import Pipes

FOLDER = "input/data"


class Channel:
    """The channel `train`, whose epochs are pieces that count what they are asked for."""

    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / FOLDER
        self.data.mkdir(parents=True)
        self.asked: list[tuple[int, int]] = []
        self.pieces, self.size = 3, 10
        self.broken_at: int | None = None
        self.failures: list[str] = []
        self.said: list[str] = []

    def epoch(self, number: int) -> Iterator[bytes]:
        for piece in range(self.pieces):
            if piece == self.broken_at:
                raise TransferError("there is no object", "NoSuchKey")
            self.asked.append((number, piece))
            yield f"{number}.{piece};".encode().ljust(self.size, b"-")

    def pipes(self) -> Pipes:
        return Pipes(self.root, FOLDER, "train", self.epoch, failed=self.failures.append, say=self.said.append)

    def path(self, epoch: int) -> Path:
        """An epoch's pipe, once it is there."""
        path = self.data / f"train_{epoch}"
        until(path.exists, f"{path.name} is made")
        return path


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    return Channel(tmp_path)


def is_pipe(path: Path) -> bool:
    return stat.S_ISFIFO(path.lstat().st_mode)


def pipes_held_open(root: Path) -> list[str]:
    """What this process has open below a folder."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return [link for link in links if link.startswith(str(root))]


@pytest.mark.fidelity(
    "Training jobs",
    "In Pipe mode each epoch of a channel is a named pipe, /opt/ml/input/data/<channel>_<epoch>, read to its end.",
    "SageMaker DG, How Amazon SageMaker AI Provides Training Information",
)
def test_one_epoch_after_another(channel: Channel) -> None:
    with channel.pipes():
        assert is_pipe(channel.path(0)), "it is there before the container starts"
        for epoch in range(3):
            assert channel.path(epoch).read_bytes() == b"".join(
                f"{epoch}.{n};".encode().ljust(10, b"-") for n in range(3)
            )
            # What has been read is gone, and the next one is there, by the time that the reader is at the end.
            assert not (channel.data / f"train_{epoch}").exists()
            assert is_pipe(channel.data / f"train_{epoch + 1}")
    assert list(channel.data.iterdir()) == []
    assert pipes_held_open(channel.root) == []


def test_a_slow_reader_is_waited_for(channel: Channel) -> None:
    channel.pieces, channel.size = 100, 1 << 16
    with channel.pipes(), channel.path(0).open("rb", buffering=0) as pipe:
        until(lambda: channel.asked, "the first piece")
        for number in range(100):
            # A pipe holds 64 KiB, and one piece more is on its way.
            assert len(channel.asked) <= number + 2
            assert len(pipe.read(1 << 15) + pipe.read(1 << 15)) == 1 << 16
        assert pipe.read() == b""
    assert len(channel.asked) == 100


@pytest.mark.fidelity(
    "Training jobs",
    "Who closes a channel's pipe early has the next epoch in the next one.",
    "SageMaker DG, How Amazon SageMaker AI Provides Training Information",
)
def test_who_closes_early_gets_the_next_epoch(channel: Channel) -> None:
    channel.pieces, channel.size = 100, 1 << 16
    with channel.pipes():
        for epoch in range(3):
            with channel.path(epoch).open("rb", buffering=0) as pipe:
                assert pipe.read(4) == f"{epoch}.0;".encode()
        channel.path(3)
    assert len(channel.asked) < 30, "the rest of an epoch isn't fetched for nobody"
    assert list(channel.data.iterdir()) == []


@pytest.mark.parametrize("begun", [False, True])
def test_who_never_reads_on_holds_nothing_up(channel: Channel, begun: bool) -> None:
    channel.pieces, channel.size = 100, 1 << 16
    with channel.pipes():
        pipe = os.open(channel.path(0), os.O_RDONLY) if begun else None
        until(lambda: channel.asked or not begun, "the first piece")
    assert list(channel.data.iterdir()) == []
    if pipe is not None:
        os.close(pipe)
    assert pipes_held_open(channel.root) == []


def test_what_cannot_be_streamed_is_told_and_looks_like_no_end(channel: Channel) -> None:
    channel.broken_at = 2
    with channel.pipes():
        pipe = os.open(channel.path(0), os.O_RDONLY)
        until(lambda: channel.failures, "the failure")
        os.set_blocking(pipe, False)
        assert len(os.read(pipe, 100)) == 20
        with pytest.raises(BlockingIOError):  # and not the empty answer of an epoch that is over
            os.read(pipe, 100)
    os.close(pipe)
    assert channel.failures == ["there is no object"]


def test_nothing_is_written_to_what_a_container_puts_in_a_pipes_place(channel: Channel, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("as it was")
    outside.chmod(0o600)
    pipes = channel.pipes()
    with pipes:
        channel.path(0).unlink()
        (channel.data / "train_0").symlink_to(outside)
        until(lambda: not pipes.is_streaming, "the end of the channel")
    assert outside.read_text() == "as it was"
    assert outside.stat().st_mode & 0o777 == 0o600
    (said,) = channel.said
    assert said.startswith("Channel train is streamed no further than epoch 0: its pipes were changed (")


def test_a_name_that_is_taken_ends_the_channel_and_is_said(channel: Channel) -> None:
    (channel.data / "train_1").write_text("a container's own")
    with channel.pipes():
        assert len(channel.path(0).read_bytes()) == 30
    assert channel.said == ["Channel train is streamed no further than epoch 0: its pipes were changed (File exists)."]
    assert (channel.data / "train_1").read_text() == "a container's own"
