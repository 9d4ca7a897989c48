"""Checkpoints of processes that train together: one writes, all end after the same step, and each goes on as it was."""

import json
import tempfile
import unittest
from pathlib import Path

import peers_interrupted
import peers_kit

from toolkit.checkpoint import CheckpointError, Checkpoints


class Together(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.done = peers_kit.together(2, peers_interrupted.__file__, folder.name)
        for status, said in cls.done:
            if status:
                raise AssertionError(said)
        lines = [[json.loads(line) for line in said.splitlines() if line.startswith("{")] for _, said in cls.done]
        cls.whole, cls.cut, cls.rest, cls.refused = ([line[at] for line in lines] for at in range(4))

    def test_all_end_after_the_same_step_though_one_alone_is_told_to(self):
        self.assertEqual([one["end"] for one in self.cut], [143, 143])
        self.assertEqual(self.cut[0]["trained"], self.cut[1]["trained"])
        last = self.cut[0]["trained"][-1]
        self.assertTrue(peers_interrupted.TOLD_AT <= last < peers_interrupted.STEPS - 1, last)
        for _, said in self.done:
            self.assertIn(f"told to end; step {last + 1} of {peers_interrupted.STEPS} is saved", said)

    def test_they_go_on_together_to_the_undisturbed_model(self):
        """Dropout and the noise are each process's own, and have to come back to it."""
        self.assertEqual([one["end"] for one in self.rest], ["done", "done"])
        self.assertEqual(self.cut[0]["trained"] + self.rest[0]["trained"], list(range(peers_interrupted.STEPS)))
        for number in range(2):
            self.assertEqual(self.rest[number]["model"], self.whole[number]["model"])
            self.assertEqual(self.rest[number]["noise"], self.whole[number]["noise"])
        self.assertNotEqual(self.whole[0]["noise"], self.whole[1]["noise"])

    def test_the_first_alone_writes(self):
        written = sorted(path.name for path in (self.folder / "cut").iterdir())
        self.assertEqual(written, ["checkpoint-0.safetensors", "checkpoint-1.safetensors"])

    def test_hosts_that_have_found_different_checkpoints_are_refused(self):
        for refused in self.refused:
            self.assertRegex(refused["refused"], r"different checkpoints in .*process 0 number \d+, process 1 none")

    def test_another_number_of_processes_is_refused(self):
        parts = {"model": {}, "optimizer": {}, "noise": {}}
        with self.assertRaisesRegex(CheckpointError, "is of 2 processes that trained together, and now there are 1"):
            next(Checkpoints(every=1, folder=self.folder / "whole", **parts).steps(99))


if __name__ == "__main__":
    unittest.main()
