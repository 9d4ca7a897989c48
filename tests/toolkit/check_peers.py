"""training_code/prune_cnn/peers.py: two processes that train together do what one does. Runs where torch is."""

import io
import json
import os
import runpy
import sys
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "prune_cnn"
sys.path.insert(0, str(FOLDER))

import peers  # noqa: E402
import peers_kit  # noqa: E402
import signs  # noqa: E402
import torch  # noqa: E402
import weights  # noqa: E402

from toolkit.probe import Trial  # noqa: E402

KNOBS = ["--network", "resnet18", "--width", "0.0625", "--first-epochs", "1", "--epochs", "1", "--batch", "32"]


class Sharing(unittest.TestCase):
    def test_the_shares_of_a_batch_are_the_batch(self):
        shares = [peers.Peers(number, 4).share(list(range(8))) for number in range(4)]
        self.assertEqual(shares, [[0, 4], [1, 5], [2, 6], [3, 7]])

    def test_a_batch_that_can_not_be_shared_evenly_is_refused(self):
        with self.assertRaisesRegex(peers.UnevenBatchError, "a batch of 64 can't be shared by 3; choose a multiple"):
            peers.Peers(0, 3).share([0] * 64)

    def test_alone_there_is_nothing_between_the_network_and_its_training(self):
        model = torch.nn.BatchNorm2d(2)
        with mock.patch.dict(os.environ), peers.joined() as alone:
            self.assertIs(alone.together(model), model)
            self.assertEqual((alone.number, alone.count, alone.is_first), (0, 1, True))

    def test_hosts_that_nothing_joins_are_refused(self):
        """Each would train the same network by itself."""
        with mock.patch.dict(os.environ, {"SM_HOSTS": json.dumps(["algo-1", "algo-2"])}):
            os.environ.pop("WORLD_SIZE", None)
            told = "there are 2 hosts.*write train.distribution: torchrun"
            with self.assertRaisesRegex(peers.AloneError, told), peers.joined():
                pass

    def test_why_one_fails_is_left_where_sagemaker_looks(self):
        """All that torchrun tells it is that a process has failed."""
        torchrun = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": peers_kit.free_port()}
        with tempfile.TemporaryDirectory() as output:
            told = mock.patch.dict(os.environ, {**torchrun, "SM_OUTPUT_DIR": output})
            with told, self.assertRaises(peers.UnevenBatchError), peers.joined() as joined:
                self.assertEqual((joined.number, joined.count), (0, 1))
                peers.Peers(0, 3).share([0] * 64)
            told = Path(output, "failure").read_text()
        self.assertEqual(told, "UnevenBatchError: a batch of 64 can't be shared by 3; choose a multiple")


class Together(unittest.TestCase):
    """train.py on two hosts and on one, over the same pictures."""

    def test_two_hosts_train_the_network_that_one_trains(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "train").mkdir()
            labels, drawn = signs.draw(96, seed=0, noise=5)
            (folder / "train" / "signs.csv").write_text(signs.csv_text(labels, drawn))
            self.alone(folder)
            first, second = self.train_two(folder)
            self.assertIn("pictures to learn from, 2 together", first)
            self.assertIn("validation:accuracy=", first)
            self.assertNotIn("validation:accuracy=", second, "metrics of a job are read from all its hosts' logs")
            self.same(weights.read(folder / "one" / "model.safetensors"), folder / "two" / "model.safetensors", 1e-4)
            self.same(weights.read(folder / "one" / "ranks.safetensors"), folder / "two" / "ranks.safetensors", 1e-3)
            self.assertEqual(list((folder / "two-second").iterdir()), [], "the first host saves")
            gradient = "stage1.block1.conv1/weight.gradient"
            one = Trial(folder / "one-tensors-0").value(gradient, 0)
            for number in range(2):
                theirs = Trial(folder / f"two-tensors-{number}").value(gradient, 0, worker=number)
                torch.testing.assert_close(torch.from_numpy(theirs), torch.from_numpy(one), rtol=1e-4, atol=1e-5)

    def alone(self, folder):
        """Without torchrun, in this process: to import the framework takes longer than the training."""
        arguments = [*KNOBS, "--train", str(folder / "train"), "--model-dir", str(folder / "one")]
        script, tensors = str(FOLDER / "train.py"), {"RATCHET_TENSORS": str(folder / "one-tensors-0")}
        told = mock.patch.object(sys, "argv", [script, *arguments]), mock.patch.dict(os.environ, tensors)
        with told[0], told[1], redirect_stdout(io.StringIO()):
            runpy.run_path(script, run_name="__main__")

    def train_two(self, folder):
        def variables(number):
            place = "two-second" if number else "two"
            return {"SM_MODEL_DIR": str(folder / place), "RATCHET_TENSORS": str(folder / f"two-tensors-{number}")}

        arguments = [*KNOBS, "--train", str(folder / "train")]
        done = peers_kit.together(2, FOLDER / "train.py", *arguments, variables=variables)
        for status, said in done:
            self.assertEqual(status, 0, said)
        return [said for _, said in done]

    def same(self, tensors, path, tolerance):
        theirs = weights.read(path)
        self.assertEqual(tensors.keys(), theirs.keys())
        for name, tensor in tensors.items():
            with self.subTest(name):
                torch.testing.assert_close(theirs[name], tensor, rtol=tolerance, atol=tolerance)


if __name__ == "__main__":
    unittest.main()
