"""The toolkit in processes that train together.

Of checkpoints one writes, all end after the same step, and each goes on as it was. The probe saves what each has, and a
rule beside the first sees what goes wrong with another.
"""

import json
import tempfile
import unittest
from pathlib import Path

import peers_kit
import peers_training

from toolkit.checkpoint import CheckpointError, Checkpoints
from toolkit.probe import Trial


class Together(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.done = peers_kit.together(2, peers_training.__file__, folder.name)
        for status, said in cls.done:
            if status:
                raise AssertionError(said)
        lines = [[json.loads(line) for line in said.splitlines() if line.startswith("{")] for _, said in cls.done]
        cls.whole, cls.cut, cls.rest, cls.refused = ([line[at] for line in lines] for at in range(4))

    def test_all_end_after_the_same_step_though_one_alone_is_told_to(self):
        self.assertEqual([one["end"] for one in self.cut], [143, 143])
        self.assertEqual(self.cut[0]["trained"], self.cut[1]["trained"])
        last = self.cut[0]["trained"][-1]
        self.assertTrue(peers_training.TOLD_AT <= last < peers_training.STEPS - 1, last)
        for _, said in self.done:
            self.assertIn(f"told to end; step {last + 1} of {peers_training.STEPS} is saved", said)

    def test_they_go_on_together_to_the_undisturbed_model(self):
        """Dropout and the noise are each process's own, and have to come back to it."""
        self.assertEqual([one["end"] for one in self.rest], ["done", "done"])
        self.assertEqual(self.cut[0]["trained"] + self.rest[0]["trained"], list(range(peers_training.STEPS)))
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

    def test_each_saves_its_own_losses_and_the_gradients_of_all(self):
        trials = [Trial(self.folder / f"tensors-{number}") for number in range(2)]
        losses = [trial.value("loss/MSELoss", 0, worker=number) for number, trial in enumerate(trials)]
        self.assertGreater(losses[1], 1.5 * losses[0])
        for step in range(peers_training.BROKEN_AT):
            first, second = (
                trial.value("model/weight.gradient", step, worker=number) for number, trial in enumerate(trials)
            )
            self.assertEqual(first.tolist(), second.tolist(), step)
        for number, trial in enumerate(trials):
            self.assertEqual((trial.workers("loss/MSELoss", 0), trial.finished), ([number], True))

    def test_a_rule_beside_the_first_sees_what_is_wrong_with_the_second_s_share(self):
        """After the next all-reduce it is in everybody's gradient."""
        verdict = json.loads((self.folder / "tensors-0" / "rules" / "exploding.json").read_text())
        self.assertEqual((verdict["status"], verdict["step"]), ("IssuesFound", peers_training.BROKEN_AT), verdict)
        self.assertIn("gradient", verdict["reason"])
        self.assertFalse((self.folder / "tensors-1" / "rules").exists(), "one judges")

    def test_another_number_of_processes_is_refused(self):
        parts = {"model": {}, "optimizer": {}, "noise": {}}
        with self.assertRaisesRegex(CheckpointError, "is of 2 processes that trained together, and now there are 1"):
            next(Checkpoints(every=1, folder=self.folder / "whole", **parts).steps(99))


if __name__ == "__main__":
    unittest.main()
