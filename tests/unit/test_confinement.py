"""What a container sees and may open, and what is said where the kernel allows less."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from localaws.confinement import landlock, view
from localaws.confinement.view import View
from localaws.sagemaker.containers import container, pip_settings
from ratchet import checks

ROOT = Path(__file__).parents[2]
# As in a container without namespaces: every privilege goes, and Landlock fences.
FENCED = """
import json, os, sys
sys.path.append(ROOT)
from localaws.confinement import landlock, privileges
from localaws.confinement.view import View
seen, mine, hidden = sys.argv[1:]
privileges.drop()
landlock.restrict(*View([(mine, mine)], [(seen, seen), (sys.base_prefix, sys.base_prefix)], [hidden]).as_it_lies())
def tried(way, path):
    try:
        with open(path, way) as file:
            return file.read() if way == "r" else "written"
    except OSError as error:
        return type(error).__name__
status = open("/proc/self/status").read()
print(json.dumps({
    "seen": tried("r", f"{seen}/file"), "written there": tried("w", f"{seen}/file"), "mine": tried("w", f"{mine}/file"),
    "hidden": tried("r", f"{hidden}/file"), "written hidden": tried("w", f"{hidden}/new"),
    "parent": tried("r", f"/proc/{os.getppid()}/environ"), "privileges": "NoNewPrivs:\\t1" in status,
    "capabilities": [line for line in status.splitlines() if line.startswith("Cap") and int(line.split()[1], 16)
                     and os.geteuid() == 0],
}))
""".replace("ROOT", repr(str(ROOT)))


# As the first process of an image's container, whose root is the image: what it looked up would be the image's code.
LEFT = """
import os, sys, time
sys.path.append(ROOT)
from localaws.confinement import linux, processes
linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
sys.meta_path.clear()
alive, held = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(30)
    os._exit(0)
os.close(held)
processes.end_descendants()
print(repr(os.read(alive, 1)))
""".replace("ROOT", repr(str(ROOT)))


# Each child asks its first process to end about when that begins to wait for it.
ASKED_TO_END = """
import os, sys, time
import _signal as signal
sys.path.append(ROOT)
from localaws.confinement import processes

def program():
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    time.sleep(30)
    return 0

ended = set()
for _ in range(300):
    first = os.fork()
    if first == 0:
        os._exit(processes.supervise(program))
    ended.add(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]))
print(ended)
""".replace("ROOT", repr(str(ROOT)))


def test_no_signal_is_missed_that_comes_just_before_the_wait_for_a_childs_end() -> None:
    command = [sys.executable, "-I", "-S", "-c", ASKED_TO_END]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("{143}\n", "")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_what_a_container_leaves_is_ended_without_importing_anything() -> None:
    command = [sys.executable, "-I", "-S", "-c", LEFT]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.stdout, ended.stderr) == ("b''\n", "")


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock")
def test_without_namespaces_landlock_keeps_a_process_to_its_files() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # not in /dev/shm, which is shared then
        for name in ("seen", "mine", "hidden"):
            Path(folder, name).mkdir()
            Path(folder, name, "file").write_text(name)
        command = [sys.executable, "-c", FENCED, *(f"{folder}/{name}" for name in ("seen", "mine", "hidden"))]
        found = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert found == {
        "seen": "seen", "written there": "PermissionError", "mine": "written", "hidden": "PermissionError",
        "written hidden": "PermissionError", "parent": "PermissionError", "privileges": True, "capabilities": [],
    }  # fmt: skip


def test_what_is_hidden_is_left_out_of_what_is_above_it(tmp_path: Path) -> None:
    for name in ("usr/lib", "usr/app/.state/jobs", "usr/app/code"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "usr" / "lib64").symlink_to("lib")
    links: dict[str, str] = {}
    found = list(view.without(str(tmp_path / "usr"), [str(tmp_path / "usr/app/.state")], links))
    assert found == [str(tmp_path / "usr/app/code"), str(tmp_path / "usr/lib")]
    assert links == {str(tmp_path / "usr/lib64"): "lib"}
    whole = str(tmp_path / "usr/lib")
    assert list(view.without(whole, [whole], {})) == [whole], "what is asked for by its own name is shown"


def test_an_image_below_a_home_that_is_hidden_is_seen_all_the_same(tmp_path: Path) -> None:
    home, image = tmp_path / "usr/app", tmp_path / "usr/app/images/sklearn"
    for path in (tmp_path / "usr/lib", image / "bin", home / ".ssh"):
        path.mkdir(parents=True)
    shown = [(str(path), str(path)) for path in (tmp_path / "usr", image, image / "bin")]
    readable, _ = View([], shown, [str(home)]).as_it_lies()
    assert [path for path in readable if path.startswith(str(tmp_path))] == [str(tmp_path / "usr/lib"), str(image)]


def test_links_lead_where_they_do_outside(tmp_path: Path) -> None:
    (tmp_path / "images" / "sklearn").mkdir(parents=True)
    (tmp_path / "checkout").mkdir()
    (tmp_path / "checkout" / "images").symlink_to("../images")
    shown = str(tmp_path / "checkout/images/sklearn")
    readable, _ = View([], [(shown, shown)]).as_it_lies()
    assert str(tmp_path / "images/sklearn") in readable
    assert not any(path.startswith(str(tmp_path / "checkout")) for path in readable)


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        View([], [(str(tmp_path / "a"), str(tmp_path / "a"))]).as_it_lies()


def test_what_pips_settings_name_is_seen(tmp_path: Path) -> None:
    for name in ("wheels", "more wheels"):
        (tmp_path / name).mkdir()
    (tmp_path / "ca.pem").touch()
    found = configparser.RawConfigParser()
    found.read_dict({
        "global": {"cert": str(tmp_path / "ca.pem"), "index-url": "https://example.com/simple"},
        "install": {"find-links": f"{tmp_path}/wheels /not/there file://{tmp_path}/more%20wheels relative"},
    })  # fmt: skip
    named = {str(path.relative_to(tmp_path)) for path in pip_settings.named_places(found)}
    assert named == {"ca.pem", "wheels", "more wheels"}


def test_what_the_pages_of_a_local_index_link_to_is_seen(tmp_path: Path) -> None:
    pages = {
        "web/simple/one": '<a href="../../packages/ab/cd/one-1.0.whl#sha256=0">one</a>',
        "web/simple/two": "<A class=x HREF='two-1.0.whl'>two</A><a href='https://example.com/files/two-2.0.whl'></a>",
        "web/simple/three": f'<a href="file://{tmp_path}/else%20where/three.whl">three</a><a href="../../gone/x.whl">',
    }
    for folder in ("web/packages/ab/cd", "else where/deep", *pages):
        (tmp_path / folder).mkdir(parents=True)
    for folder, page in pages.items():
        (tmp_path / folder / "index.html").write_text(page)
    found = configparser.RawConfigParser()
    found.read_dict({"global": {"extra-index-url": f"https://example.com/simple file://{tmp_path}/web/simple/"}})
    named = {str(path.relative_to(tmp_path)) for path in pip_settings.named_places(found)}
    assert named == {"web/simple", "web/packages", "else where"}
    found.read_dict({"global": {"extra-index-url": "", "find-links": f"{tmp_path}/web/simple/one/index.html"}})
    assert tmp_path / "web/packages/ab/cd" in set(pip_settings.named_places(found))


@pytest.mark.parametrize(
    ("kind", "has_landlock", "said"),
    [
        ("files", True, "sees this machine's processes"),
        ("none", True, "Landlock keeps it to its own files"),
        ("none", False, "isn't kept from anything that the user of this AWS may read or write"),
    ],
)
def test_a_job_s_log_says_what_isn_t_confined(kind: container.Isolation, has_landlock: bool, said: str) -> None:
    assert said in (container.describe(kind, has_landlock=has_landlock) or "")
    assert container.describe("processes and files", has_landlock=has_landlock) is None


@pytest.mark.parametrize(
    ("own_files", "own_processes", "version", "state", "said"),
    [
        (True, True, 7, "ok", "see their own files and processes alone"),
        (True, True, 0, "ok", "abstract Unix sockets of this machine can be reached"),
        (True, False, 7, "warning", "but this machine's processes; functions only open their own files"),
        (True, False, 0, "warning", "functions aren't confined"),
        (False, False, 3, "warning", "Landlock keeps all to their own files"),
        (False, False, 0, "warning", "may read and write whatever you may"),
    ],
)
def test_the_doctor_says_what_isn_t_confined(
    own_files: bool, own_processes: bool, version: int, state: str, said: str
) -> None:
    check = checks.containers(own_files=own_files, own_processes=own_processes, landlock=version)
    assert (check.name, check.state) == ("containers", state)
    assert said in check.found
    assert bool(check.todo) == (state != "ok")


def test_the_doctor_looks_at_this_kernel() -> None:
    found = checks._containers()
    assert (found.state == "ok") == (container.isolation() == "processes and files")
    assert checks._landlock() == landlock.version()
