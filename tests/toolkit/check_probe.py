"""The probe without a framework: what is saved and when, what a reader finds, what goes wrong. Runs in an image."""

import contextlib
import io
import json
import logging
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from toolkit.probe import NotSavedError, Probe, ProbeError, Trial, layout, reductions, sync, tensor_files, writer
from toolkit.probe.companion import rank
from toolkit.probe.settings import REDUCTIONS, Settings
from toolkit.probe.tensor_files import Stored


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "tensors"
        self.log = io.StringIO()
        handler = logging.StreamHandler(self.log)
        logging.getLogger("ratchet.probe").addHandler(handler)
        self.addCleanup(logging.getLogger("ratchet.probe").removeHandler, handler)

    def probe(self, rank=0, **document):
        made = Probe(Settings.of(document), self.folder, rank)
        self.addCleanup(made.close)
        return made

    def not_saved(self, *arguments, **options):
        with self.assertRaises(NotSavedError) as raised:
            Trial(self.folder).value(*arguments, **options)
        return str(raised.exception)


class ByHand(Case):
    def test_what_is_saved_is_read_back(self):
        probe = self.probe()
        tensors = [
            np.arange(6.0).reshape(2, 3),
            np.float32([1, np.nan]),
            np.int64(7),
            np.array([True, False]),
            np.zeros((0, 2)),
        ]
        for step, tensor in enumerate(tensors):
            probe.tensor("x", tensor)
            probe.scalar("speed", step / 2)
            probe.step()
        probe.close()
        trial = Trial(self.folder)
        for step, tensor in enumerate(tensors):
            np.testing.assert_array_equal(trial.value("x", step), tensor)
            self.assertEqual(trial.value("x", step).dtype, np.asarray(tensor).dtype)
            self.assertEqual(trial.value("speed", step), step / 2)
        self.assertEqual((trial.names(), trial.steps("x")), (["speed", "x"], [0, 1, 2, 3, 4]))
        self.assertTrue(trial.finished)
        self.assertEqual(trial.status["status"], "finished")

    def test_a_copy_is_saved_not_what_the_array_becomes(self):
        probe, array = self.probe(), np.ones(4)
        probe.tensor("x", array)
        array[:] = 9
        probe.step()
        probe.close()
        self.assertEqual(Trial(self.folder).value("x", 0).tolist(), [1, 1, 1, 1])

    def test_numbers_that_are_none_keep_the_index_valid_json(self):
        probe = self.probe()
        for value in (float("nan"), float("inf"), -float("inf")):
            probe.scalar("loss", value)
            probe.step()
        probe.close()
        lines = next((self.folder / "index").iterdir()).read_text().splitlines()
        for line in lines:
            json.loads(line, parse_constant=self.fail)
        read = [float(Trial(self.folder).value("loss", step)) for step in range(3)]
        self.assertEqual(str(read), "[nan, inf, -inf]")

    def test_evaluation_has_steps_of_its_own_and_knows_when_it_was(self):
        probe = self.probe()
        for _ in range(3):
            probe.step()
        with probe.mode("eval"):
            for value in (0.5, 0.7):
                probe.scalar("accuracy", value)
                probe.step()
        probe.scalar("accuracy", 0.9)
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual((trial.steps("accuracy", "eval"), trial.steps("accuracy")), ([0, 1], [3]))
        self.assertEqual(trial.record("accuracy", 1, "EVAL").train_step, 3)

    def test_labels_and_predictions(self):
        probe = self.probe()
        probe.labels([1, 0])
        probe.predictions(np.eye(2))
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual(trial.value("label/labels", 0).tolist(), [1, 0])
        self.assertEqual(trial.kind("prediction/predictions"), "prediction")

    def test_counting_goes_on_from_a_checkpoint(self):
        first = self.probe()
        first.step()
        first.step()
        second = self.probe()
        second.load_state_dict(first.state_dict())
        second.scalar("x", 1)
        second.close()
        self.assertEqual(Trial(self.folder).steps("x"), [2])


class What(Case):
    """Collections, intervals, ranges, modes, reductions."""

    def saved(self, steps=10, mode="train", **collections):
        probe = self.probe(collections=collections)
        with probe.mode(mode):
            for _ in range(steps):
                probe.tensor("conv/x", np.arange(4.0))
                probe.step()
        probe.close()
        return Trial(self.folder)

    def test_interval_range_and_steps(self):
        cases = [
            ({"interval": 4}, [0, 4, 8]),
            ({"interval": 3, "start": 3, "end": 9}, [3, 6]),
            ({"steps": [2, 7]}, [2, 7]),
        ]
        for settings, steps in cases:
            with self.subTest(settings):
                self.setUp()
                self.assertEqual(self.saved(tensors=settings).steps("conv/x"), steps)

    def test_modes_and_an_interval_each(self):
        self.assertEqual(self.saved(tensors={"modes": "train"}, mode="eval").steps(mode="eval"), [])
        self.setUp()
        trial = self.saved(tensors={"interval": {"train": 9, "eval": 5}}, mode="eval")
        self.assertEqual(trial.steps("conv/x", "eval"), [0, 5])

    def test_reductions_alone_or_with_the_whole(self):
        trial = self.saved(1, tensors={"reductions": ["mean", "histogram"]})
        self.assertEqual(trial.reduction("conv/x", 0, "mean"), 1.5)
        self.assertEqual(sum(trial.reduction("conv/x", 0, "histogram")["counts"]), 4)
        self.assertEqual(trial.reductions("conv/x"), ["histogram", "mean"])
        self.assertIn("only numbers of it are saved (histogram, mean)", self.not_saved("conv/x", 0))
        self.assertFalse(list((self.folder / "tensors").rglob("*.safetensors")))
        self.setUp()
        trial = self.saved(1, tensors={"reductions": ["mean"], "values": True})
        self.assertEqual(trial.reduction("conv/x", 0, "max"), 3)  # computed, since the whole is there

    def test_a_collection_by_expression(self):
        trial = self.saved(5, tensors=False, mine={"include": ["^conv"], "interval": 2})
        self.assertEqual((trial.steps("conv/x"), trial.names(collection="mine")), ([0, 2, 4], ["conv/x"]))

    def test_a_further_collection_of_the_same_tensors_has_its_own_steps_and_numbers(self):
        trial = self.saved(7, **{"tensors": {"interval": 3}, "tensors:norms": {"interval": 2, "reductions": ["norm"]}})
        saved = {step: trial.record("conv/x", step).collections for step in trial.steps("conv/x")}
        both = ("tensors", "tensors:norms")
        self.assertEqual(saved, {0: both, 2: both[1:], 3: both[:1], 4: both[1:], 6: both})
        self.assertEqual(trial.steps("conv/x", whole=True), [0, 3, 6])
        self.assertEqual((trial.reductions("conv/x"), trial.names(collection="tensors")), (["norm"], ["conv/x"]))
        self.assertIn("only numbers of it are saved (norm)", self.not_saved("conv/x", 2))
        self.setUp()
        self.assertEqual(self.saved(tensors=False, **{"tensors:mine": {}}).names(collection="tensors"), ["conv/x"])

    def test_every_mistake_in_a_configuration_is_named(self):
        mistakes = {
            "{": "not JSON",
            '{"colections": {}}': "'colections' is unknown; there are collections",
            '{"collections": {"acts": {}}}': "acts: include is missing",
            '{"collections": {"acts": {"include": "("}}}': "'(' is no regular expression",
            '{"collections": {"losses": {"interval": 0}}}': "losses: interval: 0",
            '{"collections": {"losses": {"modes": ["predict"]}}}': "mode 'predict': there are train and eval",
            '{"collections": {"losses": {"reductions": ["median"]}}}': "'median' is unknown; there are mean",
            '{"collections": {"losses": {"start": 5, "end": 5}}}': "end 5 isn't after start 5",
            '{"collections": {"losses": {"intervall": 5}}}': "'intervall' is unknown",
            '{"output": "/tmp"}': "no s3:// prefix",
            '{"max_pending_bytes": -1}': "max_pending_bytes: -1 is no positive number",
        }
        for text, said in mistakes.items():
            with self.subTest(text), self.assertRaisesRegex(ProbeError, "(?i)probe") as raised:
                Settings.parse(text)
            self.assertIn(said, str(raised.exception))

    def test_defaults_are_debuggers(self):
        every = {c.name: c.interval["TRAIN"] for c in Settings.parse(None).collections}
        self.assertEqual([every[name] for name in ("losses", "weights", "gradients", "biases")], [1, 500, 500, 500])
        chosen = {c.name for c in Settings.of({"collections": {"outputs": {}}}).collections}
        self.assertTrue({"losses", "outputs"} <= chosen and not {"weights", "gradients"} & chosen)
        kept = {c.name for c in Settings.of({"collections": {"losses": {"interval": 5}}}).collections}
        self.assertIn("weights", kept)

    def test_an_expression_that_matches_nothing_is_said(self):
        probe = self.probe(collections={"acts": {"include": ["rellu"]}})
        probe.watch(DecisionTreeClassifier().fit([[0], [1]], [0, 1]))
        self.assertIn("collection acts: 'rellu' matches no tensor; there are importance/features", self.log.getvalue())


class Why(Case):
    """A tensor that isn't there."""

    def test_reasons(self):
        probe = self.probe(collections={"tensors": {"interval": 4, "start": 4, "end": 9, "modes": ["train"]}})
        for _ in range(10):
            probe.tensor("x", [1.0])
            probe.step()
        probe._tell_collections()
        with contextlib.suppress(TimeoutError):
            Trial(self.folder).wait_for_step(8, 5)
        for step, mode, reason in [
            (2, "train", "its collection tensors starts at step 4"),
            (5, "train", "is saved every 4 steps"),
            (12, "train", "ends before step 9"),
            (4, "eval", "is saved in mode TRAIN only"),
        ]:
            self.assertIn(reason, self.not_saved("x", step, mode))
        self.assertIn("no tensor of that name; there are 1, such as x", self.not_saved("xx", 4))
        probe.close()

    def test_not_yet_and_never(self):
        probe = self.probe()
        probe.scalar("x", 1)
        probe.step()
        Trial(self.folder).wait_for_step(0, 10)
        self.assertIn("not yet, the last step saved is 0", self.not_saved("x", 5))
        probe.close()
        self.assertIn("the job has ended, and the last step saved is 0", self.not_saved("x", 5))

    def test_without_a_probe(self):
        self.assertIn("either no probe runs, or it hasn't started yet", self.not_saved("x", 0))


class Live(Case):
    def test_a_reader_follows(self):
        probe, trial = self.probe(), Trial(self.folder)

        def train():
            for step in range(50):
                probe.tensor("x", np.full(1000, step))
                probe.step()
            probe.close()

        thread = threading.Thread(target=train)
        thread.start()
        self.addCleanup(thread.join)
        for step in (0, 10, 49):
            trial.wait_for_step(step, 30)
            self.assertEqual(trial.value("x", step)[0], step)
        with self.assertRaisesRegex(NotSavedError, "the job ended at step 49"):
            trial.wait_for_step(50, 30)

    def test_a_job_that_is_slow_is_waited_for_no_longer_than_said(self):
        self.probe()
        with self.assertRaisesRegex(TimeoutError, "no TRAIN step 3 after 0.05 s; the last is None"):
            Trial(self.folder).wait_for_step(3, 0.05)

    def test_half_a_line_is_not_read(self):
        probe = self.probe()
        probe.scalar("x", 1)
        probe.close()
        index = next((self.folder / "index").iterdir())
        whole = index.read_text()
        index.write_text(whole + whole[: len(whole) // 2])
        trial = Trial(self.folder)
        self.assertEqual(trial.steps("x"), [0])
        index.write_text(whole + whole.replace('"step":0', '"step":1'))
        self.assertEqual(trial.steps("x"), [0, 1])

    def test_a_broken_line_is_named(self):
        self.probe().close()
        next((self.folder / "index").iterdir()).write_text("{}\n")
        with self.assertRaisesRegex(ProbeError, "jsonl: line 1"):
            Trial(self.folder).names()


class Copies(Case):
    """To a bucket in memory; the job that is stopped makes no last copy."""

    def setUp(self):
        super().setUp()
        self.bucket, self.copied = {}, threading.Event()
        double = mock.Mock(put_object=self.put)
        patch = mock.patch.object(sync.Sync, "_connected", lambda _: double)
        patch.start()
        self.addCleanup(patch.stop)

    def put(self, Bucket, Key, Body):  # noqa: ARG002, N803 - AWS's names
        self.bucket[Key] = Body if isinstance(Body, bytes) else Body.read()
        if "/index/" in Key:
            self.copied.set()

    def eventually(self, condition):
        deadline = time.monotonic() + 60
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertTrue(condition())

    def rule(self, status):
        layout.write_atomically(self.folder / "rules" / "a.json", json.dumps({"status": status}).encode())

    def test_at_once_when_a_rule_has_found_issues(self):
        probe = self.probe(output="s3://b/run", sync_seconds=600)
        for step in range(3):
            probe.loss("train", step)
            probe.step()
        probe.flush()
        self.rule("InProgress")
        self.assertFalse(self.copied.wait(5 * sync.LOOK_SECONDS), "in its time, which isn't come")
        self.rule("IssuesFound")
        self.assertTrue(self.copied.wait(60))
        mark = layout.mark_of_copy(self.folder / "rules" / "a.json")
        self.eventually(mark.exists)
        (index,) = [content for key, content in self.bucket.items() if key.startswith("run/index/")]
        self.assertEqual(len(index.splitlines()), 3)
        self.assertEqual(json.loads(self.bucket["run/rules/a.json"]), {"status": "IssuesFound"})
        self.assertNotIn("copied", " ".join(self.bucket))
        self.copied.clear()
        probe.loss("train", 3)
        probe.step()
        probe.flush()
        self.assertFalse(self.copied.wait(5 * sync.LOOK_SECONDS), "once for each rule")


class Workers(Case):
    def test_they_do_not_collide(self):
        probes = [self.probe(rank) for rank in range(3)]
        for number, probe in enumerate(probes):
            probe.tensor("x", [number])
            probe.close()
            if number < 2:
                self.assertFalse(Trial(self.folder).finished)
        trial = Trial(self.folder)
        self.assertEqual(trial.workers("x", 0), [0, 1, 2])
        self.assertEqual([trial.value("x", 0, worker=rank).item() for rank in range(3)], [0, 1, 2])
        self.assertEqual(trial.value("x", 0).item(), 0)
        self.assertTrue(trial.finished)

    def test_a_job_that_was_cut_off_and_repeated_a_step(self):
        cut_off = self.probe()
        cut_off.tensor("x", [1])
        cut_off.step()
        Trial(self.folder).wait_for_step(0, 10)
        again = self.probe()
        again.tensor("x", [2])
        again.close()
        trial = Trial(self.folder)
        self.assertEqual((trial.value("x", 0).item(), trial.finished), (2, True))

    def test_rank(self):
        self.assertEqual([rank({"RANK": "3"}), rank({"SM_CURRENT_HOST": "algo-2"}), rank({})], [3, 1, 0])


class Trouble(Case):
    """Training goes on, whatever happens; what happened is said once and counted."""

    def test_what_is_no_tensor(self):
        probe = self.probe()
        for _ in range(3):
            probe.tensor("x", ["words"])
            probe.scalar("y", "many")
            probe.watch("a model")
            probe.step()
        probe.close()
        self.assertEqual(self.log.getvalue().count("saving a tensor failed, and training goes on"), 1)
        self.assertIn("builtins.str is none of what the probe watches", self.log.getvalue())
        problems = Trial(self.folder).status["problems"]
        self.assertEqual(
            [problems[key] for key in ("saving a tensor", "saving a scalar", "watching the model")], [3, 3, 3]
        )

    def test_a_full_disk(self):
        probe = self.probe()
        real = tensor_files.write

        def full(path, tensors):
            if "000000000001" in path.name:
                raise OSError(28, "No space left on device")
            real(path, tensors)

        with mock.patch.object(writer.tensor_files, "write", full):
            for step in range(3):
                probe.tensor("x", [step])
                probe.scalar("y", step)
                probe.step()
            probe.close()
        trial = Trial(self.folder)
        self.assertEqual((trial.steps("x"), trial.steps("y")), ([0, 2], [0, 1, 2]))
        self.assertIn(
            "it was dropped, because it couldn't be written: [Errno 28] No space left", self.not_saved("x", 1)
        )
        self.assertEqual(trial.status["dropped"], 1)
        self.assertIn("No space left on device", self.log.getvalue())

    def test_a_folder_that_cannot_be_made(self):
        self.folder.parent.joinpath("file").write_text("")
        probe = Probe(directory=self.folder.parent / "file" / "tensors")
        probe.scalar("x", 1)
        probe.step()
        probe.close()
        self.assertIn("is off, since", self.log.getvalue())

    def test_training_waits_for_a_slow_disk_and_hears_of_it(self):
        probe = self.probe(max_pending_bytes=1000)
        gate, real, room_for = threading.Event(), tensor_files.write, writer.Writer._room_for

        def slow(path, tensors):
            gate.wait(60)
            real(path, tensors)

        def waiting(its, nbytes):
            """The disk gets on once training waits: the writer isn't told of it before."""
            if its._bytes:
                gate.set()
            return room_for(its, nbytes)

        with (
            mock.patch.object(writer.tensor_files, "write", slow),
            mock.patch.object(writer.Writer, "_room_for", waiting),
        ):
            probe.tensor("x", np.zeros(100))
            probe.step()
            self.assertFalse(gate.is_set())
            probe.tensor("x", np.zeros(100))
            probe.step()
            self.assertTrue(gate.is_set())  # the second step was kept until there was room
            probe.close()
        self.assertEqual(Trial(self.folder).steps("x"), [0, 1])
        self.assertIn("training waits for the probe", self.log.getvalue())
        self.assertGreater(Trial(self.folder).status["waited_seconds"], 0)

    def test_a_disk_that_stands_still_costs_tensors_not_the_training(self):
        probe, gate = self.probe(max_pending_bytes=1000), threading.Event()
        real = tensor_files.write
        blocked = lambda path, tensors: (gate.wait(30), real(path, tensors))  # noqa: E731
        with (
            mock.patch.object(writer.tensor_files, "write", blocked),
            mock.patch.object(writer, "PATIENCE_SECONDS", 0.05),
        ):
            for _ in range(3):
                probe.tensor("x", np.zeros(100))
                probe.scalar("y", 1)
                probe.step()
            gate.set()
            probe.close()
        trial = Trial(self.folder)
        self.assertEqual((trial.steps("x"), trial.steps("y")), ([0], [0, 1, 2]))
        self.assertIn("dropped, because the disk was still busy", self.not_saved("x", 2))


class Formulas(unittest.TestCase):
    def test_reductions_are_numpys(self):
        x = np.random.default_rng(0).normal(size=(7, 5)).astype("float32")
        x[0] = 0
        expected = {
            "mean": x.mean(), "std": x.std(), "variance": x.var(), "min": x.min(), "max": x.max(), "sum": x.sum(),
            "norm": np.linalg.norm(x), "l1": abs(x).sum(), "zeros": 5 / 35, "nonfinite": 0, "abs_mean": abs(x).mean(),
            "abs_std": abs(x).std(), "abs_variance": abs(x).var(), "abs_min": 0, "abs_max": abs(x).max(),
        }  # fmt: skip
        self.assertEqual({*expected, "histogram"}, set(REDUCTIONS))
        for name, value in expected.items():
            self.assertAlmostEqual(reductions.of(x, name), float(value), places=4, msg=name)

    def test_histograms_leave_out_what_is_not_finite(self):
        found = reductions.histogram(np.array([np.nan, np.inf, 1.0, 2.0]))
        self.assertEqual((sum(found["counts"]), found["edges"][0], found["edges"][-1]), (2, 1, 2))

    def test_histograms_of_elements_that_hardly_differ(self):
        for low in (0.0, 1.0, -1e30, 1e-40):
            found = reductions.histogram(np.array([low, np.nextafter(np.float32(low), np.float32(1e38))], "float32"))
            self.assertEqual((sum(found["counts"]), len(set(found["edges"]))), (2, 65))

    def test_of_nothing(self):
        self.assertEqual(reductions.of([], "sum"), 0)
        self.assertTrue(np.isnan(reductions.of([], "mean")))

    def test_bfloat16(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "x.safetensors")
            tensor_files.write(path, {"x": Stored.of_bits(np.array([0x3FC0, 0xC000], "<u2"))})
            content = path.read_bytes()
        read = tensor_files.read(lambda start, n: content[start : start + n], "x", "x")
        self.assertEqual((read.tolist(), read.dtype), ([1.5, -2.0], np.float32))

    def test_a_file_that_is_none(self):
        with self.assertRaisesRegex(ProbeError, "here: can't read tensor x"):
            tensor_files.read(lambda start, n: b"12345678"[start : start + n], "x", "here")

    def test_where_the_folder_is(self):
        self.assertEqual(str(layout.directory({})), "/opt/ml/output/tensors")
        self.assertEqual(str(layout.directory({"SM_OUTPUT_DIR": "/j/output"})), "/j/output/tensors")


if __name__ == "__main__":
    unittest.main()
