"""A checkpoint's parts come back as they were, and training goes on to the very same model. In an image's Python."""

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from contract import names
from toolkit.checkpoint import Batches, CheckpointError, Checkpoints
from toolkit.checkpoint.files import read, write

EXAMPLES = 40


def quiet():
    return contextlib.redirect_stdout(io.StringIO())


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Files(Folder):
    def back(self, tree):
        write(self.folder / "c", tree)
        return read(self.folder / "c")

    def test_plain_values_come_back_as_they_were(self):
        tree = {"a": [1, 2.5, None, True, "ü"], "b": (1, (2, [])), 3: {"x": -0.1}, (1, 2): "pair", "$array": "name"}
        self.assertEqual(self.back(tree), tree)
        self.assertIsInstance(self.back({"t": (1, 2)})["t"], tuple)
        self.assertEqual(self.back(2**200), 2**200)
        self.assertEqual(self.back(float("inf")), float("inf"))

    def test_arrays_come_back_to_the_bit(self):
        for dtype in ("float64", "float32", "float16", "int8", "int64", "uint64", "bool", "complex64"):
            array = np.random.default_rng(0).normal(size=(3, 4)).astype(dtype)
            found = self.back({"x": array})["x"]
            self.assertEqual((found.dtype, found.shape), (array.dtype, array.shape))
            self.assertEqual(found.tobytes(), array.tobytes())
            found[0] = 0  # it may be trained on

    def test_arrays_of_any_shape_and_order(self):
        for array in (np.zeros((0, 3)), np.float64(1.5), np.arange(6).reshape(2, 3).T, np.array(7)):
            found = self.back([array])[0]
            np.testing.assert_array_equal(found, array)
        self.assertEqual(self.back(np.array([["a", "bc"]])).tolist(), [["a", "bc"]])

    def test_it_is_a_safetensors_file(self):
        write(self.folder / "c", {"weights": np.ones(3, "float32")})
        content = (self.folder / "c").read_bytes()
        length = int.from_bytes(content[:8], "little")
        self.assertIn(b'"weights":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}', content[8 : 8 + length])
        self.assertEqual(content[8 + length :], np.ones(3, "<f4").tobytes())

    def test_what_cannot_be_held_is_named(self):
        for value, says in ((object(), "deep.x is a builtins.object"), (np.array([None]), "deep.x is an array of obj")):
            with self.assertRaisesRegex(CheckpointError, says):
                self.back({"deep": {"x": value}})
        with self.assertRaisesRegex(CheckpointError, r"deep\.1 is a builtins\.set"):
            self.back({"deep": [0, {1}]})

    def test_a_file_that_is_not_whole_is_refused(self):
        path = self.folder / "c"
        write(path, {"x": np.arange(100), "y": "text"})
        whole = path.read_bytes()
        for broken in (b"", whole[:4], whole[:50], whole[:-1], whole[:-1] + b"\xff", b"\xff" * 8 + whole[8:]):
            path.write_bytes(broken)
            with self.assertRaisesRegex(CheckpointError, "is no whole checkpoint"):
                read(path)
        path.write_bytes(whole.replace(b"text", b"t3xt"))
        with self.assertRaisesRegex(CheckpointError, "checksum"):
            read(path)

    def test_a_folder_that_cannot_be_written_is_named(self):
        with self.assertRaisesRegex(CheckpointError, "can't be written: No such file or directory"):
            write(self.folder / "none" / "c", 1)

    def test_nothing_is_left_of_a_write_that_failed(self):
        (self.folder / "c").mkdir()
        with self.assertRaises(CheckpointError):
            write(self.folder / "c", 1)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["c"])


class Training:
    """A small training of which every part matters: arrays, order, and all three sources of randomness."""

    def __init__(self, folder, every=3, seed=0):
        random.seed(seed)
        np.random.seed(seed)
        self.weights = np.zeros(4)
        self.batches = Batches(EXAMPLES, size=7, seed=seed)
        self.own = np.random.default_rng(seed)
        self.history = []
        self.checkpoints = Checkpoints(
            every=every,
            folder=folder,
            weights=self.weights,
            batches=self.batches,
            own=self.own,
            history=self.history,
        )
        self.trained = []

    def run(self, total, stop_after=None, told_at=None):
        """Trains; abandoned after so many steps of its own, or told to end in one of them."""
        for step in self.checkpoints.steps(total):
            self.trained.append(step)
            batch = self.batches.next()
            noise = random.random() + np.random.normal() + self.own.normal()  # noqa: S311
            self.weights += batch.sum() * 0.01 + noise
            self.history.append(float(self.weights.sum()))
            if told_at == step:
                os.kill(os.getpid(), signal.SIGTERM)
            if stop_after is not None and len(self.trained) == stop_after:
                return self
        return self


class Loop(Folder):
    def test_the_model_is_the_undisturbed_one_whenever_it_is_cut_off(self):
        with quiet():
            whole = Training(self.folder / "whole").run(30)
            for cut in range(4, 12):
                folder, done = self.folder / str(cut), 0
                while True:
                    part = Training(folder).run(30, stop_after=cut)
                    self.assertLessEqual(done - part.trained[0], 3)
                    done = part.trained[-1] + 1
                    if len(part.trained) < cut:
                        break  # it came to the end
                self.assertEqual(done, 30)
                self.assertEqual(part.weights.tobytes(), whole.weights.tobytes())
                self.assertEqual(part.history, whole.history)

    def test_a_job_that_is_told_to_end_saves_the_step_and_exits(self):
        with quiet() as said:
            training = Training(self.folder)
            with self.assertRaises(SystemExit) as ended:
                training.run(30, told_at=4)
            self.assertEqual(ended.exception.code, 143)
            self.assertEqual(Training(self.folder).run(30).trained[0], 5)
        self.assertIn("told to end; step 5 of 30 is saved", said.getvalue())
        self.assertIn("goes on after step 5", said.getvalue())

    def test_or_lets_the_script_finish(self):
        with quiet():
            training = Training(self.folder)
            training.checkpoints.finish = True
            self.assertEqual(training.run(30, told_at=4).trained, [0, 1, 2, 3, 4])
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def killed_at(self, minute, **when):
        """The step from which a job goes on whose host was lost at a minute; its steps take a minute each."""
        clock = iter(range(10_000))
        folder = self.folder / f"{minute}"
        with quiet(), mock.patch("toolkit.checkpoint.loop.time.monotonic", side_effect=lambda: 60.0 * next(clock)):
            for step in Checkpoints(folder=folder, part=[], **when).steps(1000):
                if step == minute:
                    break
        again = Checkpoints(folder=folder, part=[], every=1)
        with quiet():
            again.restore()
        return again.step

    def test_a_script_that_is_never_told_loses_minutes(self):
        saved = {minute: self.killed_at(minute, every=1_000_000) for minute in range(10, 40, 3)}
        for minute, step in saved.items():
            self.assertLessEqual(minute - step, 5 + 1, "five minutes unless the script says otherwise, and the step")
        self.assertLess(len(set(saved.values())), 8, "and not after every step")
        self.assertGreaterEqual(self.killed_at(40), 34, "by time alone")
        self.assertLessEqual(50 - self.killed_at(50, seconds=120), 3)
        self.assertEqual(self.killed_at(60, every=70, seconds=None), 0)
        self.assertEqual(self.killed_at(61, every=7, seconds=3600), 56)

    def test_what_is_done_is_not_done_again(self):
        with quiet():
            Training(self.folder).run(10)
            self.assertEqual(Training(self.folder).run(10).trained, [])

    def test_a_broken_checkpoint_is_left_out_for_the_one_before(self):
        with quiet():
            Training(self.folder).run(30, stop_after=8)  # saved after 3 and 6
        (self.folder / "checkpoint-1.safetensors").write_bytes(b"broken")
        with quiet(), contextlib.redirect_stderr(io.StringIO()) as errors:
            self.assertEqual(Training(self.folder).run(30).trained[0], 3)
        self.assertIn("checkpoint-1.safetensors is no whole checkpoint", errors.getvalue())
        self.assertIn("it is left out", errors.getvalue())

    def test_files_take_turns(self):
        with quiet():
            Training(self.folder, every=1).run(9)
        self.assertEqual(
            sorted(path.name for path in self.folder.iterdir()),
            ["checkpoint-0.safetensors", "checkpoint-1.safetensors"],
        )

    def test_another_scripts_checkpoint_is_refused(self):
        with quiet():
            Training(self.folder).run(3)
        with self.assertRaisesRegex(
            CheckpointError, "holds the parts batches, history, own, weights, but .* has model"
        ):
            list(Checkpoints(every=1, folder=self.folder, model=np.zeros(4)).steps(9))

    def test_another_shape_or_order_is_refused(self):
        with quiet():
            list(Checkpoints(every=1, folder=self.folder, part=np.zeros(4)).steps(3))
        with self.assertRaisesRegex(CheckpointError, r"part is an array of float64 in the shape \(5,\)"):
            list(Checkpoints(every=1, folder=self.folder, part=np.zeros(5)).steps(9))
        with self.assertRaisesRegex(CheckpointError, "its part doesn't fit the script's"):
            list(Checkpoints(every=1, folder=self.folder, part=Batches(4, size=2)).steps(9))
        with quiet():
            folder = self.folder / "order"
            list(Checkpoints(every=1, folder=folder, part=Batches(4, size=2)).steps(3))
        with self.assertRaisesRegex(CheckpointError, r"\[4, 2, 0, True\], the script's of \[5, 2, 0, True\]"):
            list(Checkpoints(every=1, folder=folder, part=Batches(5, size=2)).steps(9))

    def test_wrong_arguments(self):
        for every in (0, -1, 2.5, "10"):
            with self.assertRaisesRegex(CheckpointError, "every is .*; it must be a number of steps"):
                Checkpoints(every=every)
        for seconds in (0, -1, "10"):
            with self.assertRaisesRegex(CheckpointError, "seconds is .*; it must be a number above 0"):
                Checkpoints(every=1, seconds=seconds)
        with self.assertRaisesRegex(CheckpointError, "nothing says when to save; give every=100"):
            Checkpoints(seconds=None)
        with self.assertRaisesRegex(CheckpointError, "'random' is the name of the random state"):
            Checkpoints(every=1, random=[])
        with self.assertRaisesRegex(CheckpointError, "model is a builtins.object, which a checkpoint can't take up"):
            Checkpoints(every=1, model=object())
        with self.assertRaisesRegex(CheckpointError, "at least 1"):
            Batches(0, size=3)

    def test_outside_of_a_job_it_trains_without_checkpoints(self):
        code = "from toolkit.checkpoint import Checkpoints\nprint(list(Checkpoints(every=1, history=[]).steps(3)))"
        for outside in (
            {"SAGEMAKER_BASE_DIR": str(self.folder)},
            {"SAGEMAKER_BASE_DIR": str(self.folder / "none"), "TRAINING_JOB_NAME": "one"},
        ):
            with self.subTest(outside):
                variables = {**os.environ, **outside}
                command = [sys.executable, "-c", code]
                done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
                self.assertEqual(done.stdout, "[0, 1, 2]\n")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_the_jobs_of_a_tuning_job_share_a_folder_and_take_up_their_own(self):
        code = "from toolkit.checkpoint import Checkpoints\nprint(Checkpoints(every=1, history=[]).folder)"
        trial = names.tuning_job("local", "digits", "20261120-101112-abcd") + "-003-0a1b2c3d"
        own = {"local-digits-20261120-101112-abcd-train": "checkpoints", trial: "checkpoints/" + trial}
        for job, folder in own.items():
            environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(self.folder), "TRAINING_JOB_NAME": job}
            done = subprocess.run(
                [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
            )
            self.assertEqual(done.stdout.strip(), str(self.folder / folder))

    def test_hosts_that_do_not_train_together_take_up_each_its_own(self):
        """SageMaker copies all hosts' folders to one place, and from there to all: of two of a name one would win."""
        hosts = {
            "SAGEMAKER_BASE_DIR": str(self.folder),
            "TRAINING_JOB_NAME": "one",
            "SM_HOSTS": '["algo-1","algo-2"]',
            "SM_CURRENT_HOST": "algo-2",
        }
        for several, folder in ((hosts, "checkpoints/algo-2"), ({**hosts, "SM_HOSTS": '["algo-2"]'}, "checkpoints")):
            with mock.patch.dict(os.environ, several):
                self.assertEqual(Checkpoints(every=1, history=[]).folder, self.folder / folder)

    def test_a_script_without_numpy_needs_none(self):
        code = (
            "import sys; sys.modules['numpy'] = None\n"
            "from toolkit.checkpoint import Checkpoints\n"
            f"done = []\nfor step in Checkpoints(every=1, folder={str(self.folder)!r}, done=done).steps(2):\n"
            "    done.append(step)\nprint(done)"
        )
        for _ in range(2):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            self.assertTrue(done.stdout.endswith("[0, 1]\n"), done.stdout)


class Order(unittest.TestCase):
    def test_an_epoch_has_every_example_once_and_each_is_another(self):
        batches = Batches(10, size=4, seed=1)
        self.assertEqual(len(batches), 3)
        epochs = [np.concatenate([batches.next() for _ in range(3)]).tolist() for _ in range(2)]
        self.assertEqual([sorted(epoch) for epoch in epochs], [list(range(10))] * 2)
        self.assertNotEqual(*epochs)
        self.assertEqual(Batches(3, size=9, shuffle=False).next().tolist(), [0, 1, 2])


class Estimators(Folder):
    def setUp(self):
        super().setUp()
        draw = np.random.default_rng(0)
        self.features = draw.normal(size=(EXAMPLES, 3))
        self.labels = np.where(self.features[:, 0] > 0, "yes", "no")

    def trained(self, estimator, folder, total, stop_after=None):
        batches = Batches(EXAMPLES, size=8)
        with quiet():
            loop = Checkpoints(every=2, folder=folder, model=estimator, batches=batches).steps(total)
            for count, _ in enumerate(loop, start=1):
                batch = batches.next()
                estimator.partial_fit(self.features[batch], self.labels[batch], classes=["no", "yes"])
                if count == stop_after:
                    break
        return estimator

    def test_one_that_learns_by_partial_fit(self):
        for average in (False, True):
            make = lambda: SGDClassifier(loss="log_loss", random_state=0, average=average)  # noqa: B023, E731
            whole = self.trained(make(), self.folder / f"whole-{average}", 20)
            folder = self.folder / f"cut-{average}"
            for _ in range(9):
                self.trained(make(), folder, 20, stop_after=5)
            end = self.trained(make(), folder, 20)
            self.assertEqual(end.coef_.tobytes(), whole.coef_.tobytes())
            self.assertEqual(end.predict(self.features).tolist(), whole.predict(self.features).tolist())

    def test_one_that_holds_more_than_numbers_is_refused_by_name(self):
        with self.assertRaisesRegex(CheckpointError, r"parts\.model\.held\._\w+ is a "):
            self.trained(MLPClassifier(hidden_layer_sizes=(2,)), self.folder, 4)
        with self.assertRaisesRegex(CheckpointError, "model is a sklearn.ensemble"):
            Checkpoints(every=1, model=RandomForestClassifier())


if __name__ == "__main__":
    unittest.main()
