"""A probe whose script ends in good order, by an error or by a signal, and one whose script forks processes."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

from toolkit.probe import Trial

# Steps of a number each, far faster than they are written.
LOOP = "for number in range({}): probe.scalar('x', number), probe.step()"


def records(content):
    """How many records an event file has: length, its checksum, the bytes, their checksum."""
    number, at = 0, 0
    while at < len(content):
        at += 16 + int.from_bytes(content[at : at + 8], "little")
        number += 1
    return number


class Scripts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "tensors"

    def script(self, *lines):
        self.folder = self.folder.with_name(f"{self.folder.name}-")
        head = "import os, signal, sys, threading, time\nfrom toolkit.probe import Probe, Trial\n"
        return subprocess.run(
            [sys.executable, "-c", "\n".join((head, "probe = Probe.from_environment()", *map(textwrap.dedent, lines)))],
            env={**os.environ, "RATCHET_TENSORS": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    def written(self):
        """Steps as they stand in the index, one after the other."""
        (index,) = (self.folder / "index").iterdir()
        return [json.loads(line)["step"] for line in index.read_text().splitlines()]

    def shown(self):
        """How many steps TensorBoard shows; its file begins with a version."""
        (events,) = (self.folder / "events").glob("*/train/*")
        return records(events.read_bytes()) - 1

    def test_nothing_is_lost_by_a_script_that_ends_in_any_order_of_its_own(self):
        endings = {
            "": 0,
            "sys.exit(3)": 3,
            "threading.Thread(target=time.sleep, args=(0.05,)).start()": 0,
            "signal.signal(15, lambda *_: sys.exit(143)); os.kill(os.getpid(), 15); time.sleep(60)": 143,
        }
        for ending, expected in endings.items():
            done = self.script(LOOP.format(100), ending)
            self.assertEqual((done.returncode, done.stderr), (expected, ""))
            self.assertEqual((self.written(), self.shown()), (list(range(100)), 100), ending)
            self.assertEqual(Trial(self.folder).status["status"], "finished")

    def test_nothing_is_lost_by_a_script_that_fails(self):
        self.assertEqual(self.script(LOOP.format(100), "1 / 0").returncode, 1)
        self.assertEqual((self.written(), self.shown()), (list(range(100)), 100))
        status = Trial(self.folder).status
        self.assertEqual((status["status"], status["error"]), ("failed", "ZeroDivisionError('division by zero')"))

    def test_the_last_moment_at_most_is_lost_by_a_script_that_is_killed_outright(self):
        for ending in ("os._exit(0)", "os.kill(os.getpid(), 15)", "os.kill(os.getpid(), 9)"):
            # It is written while the script goes on, with nothing that asks for it.
            follow = "Trial(probe.directory).wait_for_step(99, 60)"
            self.script(LOOP.format(100), follow, LOOP.format(100), ending)
            steps = self.written()
            self.assertEqual(steps, list(range(len(steps))), "in order, each once")
            self.assertGreaterEqual(len(steps), 100, f"{ending}: what was written before is there")
            self.assertFalse(Trial(self.folder).finished)

    def test_the_step_that_is_open_at_the_end_is_saved(self):
        self.assertEqual(self.script("probe.tensor('x', [1])").returncode, 0)
        self.assertEqual(Trial(self.folder).value("x", 0).tolist(), [1])
        self.assertEqual(self.shown(), 1, "as a histogram of one element")

    def test_a_forked_process_does_not_write(self):
        self.script("pid = os.fork(); probe.scalar('x', pid); probe.step(); pid and os.waitpid(pid, 0)")
        self.assertEqual(len(list((self.folder / "index").iterdir())), 1)
        self.assertEqual(Trial(self.folder).steps("x"), [0])

    def test_a_forked_process_that_ends_in_good_order_writes_nothing_of_its_parents(self):
        child = "probe.scalar('x', 9), probe.step(), probe.flush(), probe.mode('eval').__enter__(), sys.exit(0)"
        forks = f"pid = os.fork()\nif pid == 0: {child}\nstatus = os.waitpid(pid, 0)[1]"
        done = self.script(LOOP.format(5), forks, LOOP.format(5), "sys.exit(status)")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual((self.written(), self.shown()), (list(range(10)), 10))
        self.assertEqual(Trial(self.folder).status["steps"], {"TRAIN": 10, "EVAL": 0})


if __name__ == "__main__":
    unittest.main()
