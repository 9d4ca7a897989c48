"""Which images the embedded AWS keeps warm, as this machine's processes tell it."""

from __future__ import annotations

from pathlib import Path

from ratchet.warm_images import WarmImage, warm_images

SERVER = 100
BOOTSTRAP = "import sys\nfrom localaws.confinement.warm_interpreter import main\nmain()"

WARM = ("-c", BOOTSTRAP, "/app", "7", "numpy,sklearn.tree", "--show", "/opt")


def process(
    proc: Path, number: int, program: str, *words: str, own: str = "pid:[1]", pss: int | None = 204_800
) -> None:
    """A process as /proc shows it; `pss` in kB, None where it may not be looked at."""
    folder = proc / str(number)
    folder.mkdir(exist_ok=True)
    (folder / "cmdline").write_bytes("\0".join([program, *words, ""]).encode())
    (folder / "ns").mkdir()
    (folder / "ns" / "pid").symlink_to(own)
    (folder / "ns" / "pid_for_children").symlink_to(own)
    if pss is not None:
        (folder / "smaps_rollup").write_text(f"55d0-7ffe ---p 00000000 [rollup]\nRss: 9 kB\nPss:     {pss} kB\n")


def children(proc: Path, **of_threads: str) -> None:
    for thread, numbers in of_threads.items():
        folder = proc / str(SERVER) / "task" / thread.strip("_")
        folder.mkdir(parents=True)
        (folder / "children").write_text(numbers)


def test_the_interpreters_are_told_by_their_images_and_what_they_hold(tmp_path: Path) -> None:
    process(tmp_path, SERVER, "/usr/bin/python3", "-m", "localaws.server")
    children(tmp_path, _100="1 2 3 4 ", _101="5 6 7 ", _102="")
    process(tmp_path, 1, "/images/xgboost-3.2.0-df847414f7ab/bin/python", *WARM, pss=1024)
    process(tmp_path, 2, "/usr/bin/python3", "-m", "localaws.functions")
    process(tmp_path, 3, "/images/scikit-learn-1.9.0-7dcb262efc64/bin/python", *WARM, own="pid:[2]")
    process(tmp_path, 4, "/images/tuner-445b0929f469/bin/python", "-c", "import tuner")
    process(tmp_path, 5, "/images/scikit-learn-1.9.0-7dcb262efc64+8291e92262b9/bin/python", *WARM)
    process(tmp_path, 6, "/images/my-own/bin/python", *WARM, pss=None)
    process(tmp_path, 7, "/images/torch-2.13.0-df82e22d82b1/bin/python", "-c", BOOTSTRAP, "/app", "7", "", pss=9216)
    assert warm_images(SERVER, tmp_path) == [
        WarmImage("scikit-learn-1.9.0", 200),
        WarmImage("torch-2.13.0, Python alone", 9),
        WarmImage("xgboost-3.2.0", 1),
    ]


def test_without_processes_there_are_none(tmp_path: Path) -> None:
    assert warm_images(SERVER, tmp_path) == []
