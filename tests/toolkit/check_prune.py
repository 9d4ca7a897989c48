"""training_code/prune_cnn: what pruning keeps, how units are ranked, and a round after another. Runs where torch is."""

import io
import os
import re
import runpy
import sys
import tarfile
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "prune_cnn"
sys.path.insert(0, str(FOLDER))

import learning  # noqa: E402
import network  # noqa: E402
import pictures  # noqa: E402
import prune  # noqa: E402
import ranks  # noqa: E402
import signs  # noqa: E402
import weights  # noqa: E402

from toolkit.probe import Trial  # noqa: E402

NETWORKS = ("alexnet", "resnet18")


def tiny(name, width=1 / 16):
    torch.manual_seed(0)
    arch = network.architecture(name, 12, width=width)
    return network.build(arch).eval(), arch


def answers(model, size=32):
    with torch.no_grad():
        return model(torch.linspace(-2, 2, 2 * 3 * size * size).reshape(2, 3, size, size))


class Networks(unittest.TestCase):
    def test_the_papers_sizes(self):
        for name, count in {"alexnet": 57_161_579, "resnet18": 11_190_891}.items():
            with torch.device("meta"):
                model = network.NETWORKS[name](network.architecture(name, 43))
            self.assertEqual(network.parameters(model), count)

    def test_both_take_pictures_of_both_sizes(self):
        for name in NETWORKS:
            for size in network.SIZES:
                arch = network.architecture(name, 5, size=size, width=1 / 32)
                self.assertEqual(answers(network.build(arch).eval(), size).shape, (2, 5))

    def test_every_group_names_layers_that_are_there(self):
        for name in NETWORKS:
            model, arch = tiny(name)
            modules = dict(model.named_modules())
            for group in network.groups(arch):
                width = arch.widths[group.name]
                self.assertLessEqual({*group.watched, *group.norms}, modules.keys())
                for producer in group.producers:
                    self.assertEqual(modules[producer].weight.shape[0], width)
                for consumer, columns in group.consumers:
                    self.assertEqual(modules[consumer].weight.shape[1], width * columns)

    def test_a_wrong_architecture_is_refused_by_what_is_wrong(self):
        arch = tiny("alexnet")[1]
        for change, message in {
            '"alexnet"': "there are alexnet, resnet18",
            '"size": 32': "32 or 64",
            '"conv1": 4': "no unit left",
        }.items():
            wrong = {'"alexnet"': '"vgg"', '"size": 32': '"size": 31', '"conv1": 4': '"conv1": 0'}[change]
            with self.assertRaisesRegex(network.ArchitectureError, message):
                network.Architecture.from_json(arch.to_json().replace(change, wrong, 1))


class Pruning(unittest.TestCase):
    def test_units_that_contribute_nothing_can_go_without_a_difference(self):
        """Filters and dense units alike, in every group, through flattening, shortcuts and BatchNorms."""
        for name in NETWORKS:
            model, arch = tiny(name)
            state = {key: value.clone() for key, value in model.state_dict().items()}
            dead = {}
            for group in network.groups(arch):
                dead[group.name] = set(range(0, arch.widths[group.name], 2))
                for layer in (*group.producers, *group.norms):
                    for part in ("weight", "bias"):
                        if f"{layer}.{part}" in state:
                            state[f"{layer}.{part}"][list(dead[group.name])] = 0
            model.load_state_dict(state)
            before = answers(model)
            kept = {g: [u for u in range(width) if u not in dead[g]] for g, width in arch.widths.items()}
            pruned, smaller = prune.prune(state, arch, kept)
            after = network.build(smaller)
            after.load_state_dict(pruned)
            self.assertLess(network.parameters(after), network.parameters(model) / 2)
            torch.testing.assert_close(answers(after.eval()), before, rtol=1e-4, atol=1e-4)

    def test_units_that_contribute_are_missed(self):
        """The test above could not fail if the answers didn't depend on the units."""
        for name in NETWORKS:
            model, arch = tiny(name)
            kept = {g: list(range(width // 2, width)) for g, width in arch.widths.items()}
            pruned, smaller = prune.prune(model.state_dict(), arch, kept)
            after = network.build(smaller)
            after.load_state_dict(pruned)
            self.assertFalse(torch.allclose(answers(after.eval()), answers(model), atol=1e-3))

    def test_the_lowest_go_over_all_layers_together(self):
        arch = tiny("alexnet")[1]
        scores = {name: [10.0 + unit for unit in range(width)] for name, width in arch.widths.items()}
        scores["fc2"][3] = scores["conv2"][5] = 0.0
        kept = prune.select(scores, arch, fraction=2 / sum(arch.widths.values()), floor=0.1)
        gone = {name: set(range(arch.widths[name])) - set(units) for name, units in kept.items()}
        self.assertEqual({name: units for name, units in gone.items() if units}, {"fc2": {3}, "conv2": {5}})

    def test_no_layer_falls_below_its_floor_and_others_give_instead(self):
        arch = tiny("alexnet")[1]
        scores = {name: [1.0] * width for name, width in arch.widths.items()}
        scores["conv3"] = [0.0] * arch.widths["conv3"]
        kept = prune.select(scores, arch, fraction=0.5, floor=0.25)
        self.assertEqual(len(kept["conv3"]), 6)  # a quarter of 24
        total = sum(arch.widths.values())
        self.assertEqual(sum(map(len, kept.values())), total - round(total / 2))

    def test_the_floor_is_of_the_first_widths_however_many_rounds(self):
        arch = tiny("alexnet")[1]
        for _ in range(12):
            scores = {name: [1.0] * width for name, width in arch.widths.items()}
            arch = arch.pruned_to(
                {name: len(units) for name, units in prune.select(scores, arch, fraction=0.5, floor=0.25).items()}
            )
        self.assertEqual(arch.widths["fc1"], arch.first_widths["fc1"] // 4)
        self.assertEqual(prune.floors(arch, 0.25), dict(arch.widths))

    def test_fractions_that_make_no_sense_are_refused(self):
        arch = tiny("alexnet")[1]
        with self.assertRaisesRegex(ValueError, "fraction is 1.5"):
            prune.select({}, arch, fraction=1.5, floor=0.1)
        with self.assertRaisesRegex(ValueError, "floor is 0"):
            prune.select({}, arch, fraction=0.5, floor=0)


class Ranks(unittest.TestCase):
    def test_contributions_that_cancel(self):
        """Two examples that pull in opposite directions: nothing to the original's rank, much to Taylor's."""
        activation = torch.ones(2, 1, 2, 2)
        gradient = torch.stack([torch.full((1, 2, 2), 3.0), torch.full((1, 2, 2), -3.0)])
        found = ranks.contributions(activation, gradient)
        self.assertEqual(found["signed"].item(), 0)
        self.assertEqual(found["taylor"].item(), 3)

    def test_the_hooks_see_the_gradient_of_the_loss_at_the_activation(self):
        """activation * gradient of a unit = what the loss's derivative by a factor on that unit is."""
        model, arch = tiny("resnet18")
        seen = {}
        watcher = ranks.Watcher(model, arch, seen.__setitem__)
        watcher.watching = True
        batch, labels = torch.randn(4, 3, 32, 32), torch.arange(4)
        torch.nn.functional.cross_entropy(model(batch), labels).backward()
        watcher.close()
        block = model.stage2.block1
        factor = torch.ones(arch.widths["stage2.block1"], requires_grad=True)
        block.relu1.register_forward_hook(lambda _module, _inputs, output: output * factor[:, None, None])
        torch.nn.functional.cross_entropy(model(batch), labels).backward()
        # factor's gradient sums over examples and positions; `signed` is their mean.
        positions = 4 * 8 * 8
        torch.testing.assert_close(seen["stage2.block1.relu1/signed"] * positions, factor.grad, rtol=1e-3, atol=1e-6)

    def test_nothing_is_seen_unless_watching_nor_after_it_is_closed(self):
        model, arch = tiny("alexnet")
        seen = {}
        watcher = ranks.Watcher(model, arch, seen.__setitem__)
        model(torch.randn(1, 3, 32, 32)).sum().backward()
        watcher.watching = True
        watcher.close()
        model(torch.randn(1, 3, 32, 32)).sum().backward()
        self.assertEqual(seen, {})

    def test_every_criterion_scores_every_unit_and_says_what_it_lacks(self):
        for name in NETWORKS:
            model, arch = tiny(name)
            seen = {}
            watcher = ranks.Watcher(model, arch, lambda key, vector, seen=seen: seen.setdefault(key, []).append(vector))
            watcher.watching = True
            for _ in range(2):
                model(torch.randn(2, 3, 32, 32)).logsumexp(1).sum().backward()
            for criterion in ranks.CRITERIA:
                if (name, criterion) == ("alexnet", "bn-gamma"):
                    with self.assertRaisesRegex(ranks.RankError, "alexnet has none after conv1"):
                        ranks.scores(criterion, arch, model.state_dict(), seen)
                    continue
                scores = ranks.scores(criterion, arch, model.state_dict(), seen)
                self.assertEqual({group: len(score) for group, score in scores.items()}, dict(arch.widths))
                self.assertTrue(all(abs(float(score.norm()) - 1) < 1e-4 for score in scores.values()), criterion)
        with self.assertRaisesRegex(ranks.RankError, "never seen"):
            ranks.scores("taylor", arch, model.state_dict(), {})
        with self.assertRaisesRegex(ranks.RankError, "there are taylor, original"):
            ranks.scores("magic", arch, model.state_dict(), {})


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_a_network_comes_back_as_it_was(self):
        for name in NETWORKS:
            model, arch = tiny(name)
            weights.save(self.folder, arch, model.state_dict())
            again, same = weights.load(self.folder)
            self.assertEqual(same, arch)
            torch.testing.assert_close(answers(again), answers(model), rtol=0, atol=0)

    def test_broken_files_are_refused_with_a_sentence(self):
        model, arch = tiny("alexnet")
        with self.assertRaisesRegex(weights.WeightsError, "can't be read"):
            weights.load(self.folder)
        weights.save(self.folder, arch.pruned_to({**arch.widths, "fc1": 3}), model.state_dict())
        with self.assertRaisesRegex(weights.WeightsError, "size mismatch"):
            weights.load(self.folder)
        (self.folder / weights.STATE).write_bytes(b"\x80\x04pickle")
        with self.assertRaisesRegex(weights.WeightsError, "no safetensors file"):
            weights.load(self.folder)


class Pictures(unittest.TestCase):
    def test_drawn_signs_are_the_same_for_the_same_seed_and_go_through_csv(self):
        labels, drawn = signs.draw(24, seed=3)
        again = signs.draw(24, seed=3)[1]
        np.testing.assert_array_equal(drawn, again)
        self.assertFalse(np.array_equal(drawn, signs.draw(24, seed=4)[1]))
        self.assertEqual(np.bincount(labels).tolist(), [2] * signs.CLASSES)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "a.csv").write_text(signs.csv_text(labels, drawn))
            read_labels, read = pictures.load(folder, signs.SIZE)
        np.testing.assert_array_equal(read_labels, labels)
        np.testing.assert_array_equal(read, drawn)

    def test_files_of_a_spreadsheet(self):
        """A byte order mark, the line ends of Windows, and blank lines at the end."""
        labels, drawn = signs.draw(3, seed=0)
        lines = signs.csv_text(labels, drawn).replace("\n", "\r\n") + "\r\n\r\n"
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "saved.csv").write_bytes(("\ufeff" + lines).encode())
            read_labels, read = pictures.load(folder, signs.SIZE)
        self.assertEqual((read_labels.tolist(), read.tolist()), (labels.tolist(), drawn.tolist()))
        unlabelled = "".join(line.partition(",")[2] for line in lines.splitlines(keepends=True))
        self.assertEqual(pictures.parse("\ufeff" + unlabelled, signs.SIZE).tolist(), drawn.tolist())

    def test_wrong_pictures_are_named(self):
        with self.assertRaisesRegex(pictures.PicturesError, "2 columns; 3072"):
            pictures.parse("1,2", 32)
        with self.assertRaisesRegex(pictures.PicturesError, "0 to 255"):
            pictures.shaped(np.full((1, 3072), 300.0), 32)
        with tempfile.TemporaryDirectory() as folder, self.assertRaisesRegex(pictures.PicturesError, "no CSV file"):
            pictures.load(folder, 32)

    def test_every_class_is_in_both_parts_and_none_in_both(self):
        labels = np.arange(120) % 12
        learned, judged = pictures.split(labels, validation=0.2, seed=0)
        self.assertEqual(sorted([*learned, *judged]), list(range(120)))
        self.assertEqual(np.bincount(labels[judged]).tolist(), [2] * 12)


class Rounds(unittest.TestCase):
    """train.py as the job runs it: a fresh network, then a round from what the first handed over."""

    def test_a_round_takes_over_prunes_and_serves(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "train").mkdir()
            labels, drawn = signs.draw(240, seed=0, noise=5)
            (folder / "train" / "signs.csv").write_text(signs.csv_text(labels, drawn))
            knobs = ["--network", "resnet18", "--width", "0.0625", "--first-epochs", "3", "--epochs", "1"]
            first = self.train(folder, "first", *knobs)
            (folder / "previous").mkdir()
            with tarfile.open(folder / "previous" / "model.tar.gz", "w:gz") as archive:
                archive.add(folder / "first", ".")
            second = self.train(folder, "second", *knobs, "--previous", str(folder / "previous"))
            self.assertLess(second["parameters"], first["parameters"])
            self.assertLess(second["bytes"], first["bytes"])
            self.assertEqual(second["units:stage1"], weights.load(folder / "second")[1].widths["stage1"])
            self.assertFalse(
                [path for path in (folder / "second").rglob("*") if path.suffix in (".pt", ".pth", ".pkl")]
            )
            saved = Trial(folder / "second-tensors")
            self.assertTrue(saved.finished)
            self.assertEqual(saved.names(r"^stage1.block1.relu1/taylor$"), ["stage1.block1.relu1/taylor"])
            self.assertEqual(len(saved.steps(mode="eval")), 1)
            self.assertEqual(len(self.answer(folder / "second", drawn[:3]).splitlines()), 3)

    def train(self, folder, name, *knobs):
        """The figures that a round prints."""
        script = str(FOLDER / "train.py")
        arguments = [script, *knobs, "--train", str(folder / "train"), "--model-dir", str(folder / name)]
        printed = io.StringIO()
        with mock.patch.object(sys, "argv", arguments), mock.patch.dict(os.environ), redirect_stdout(printed):
            os.environ.pop("SM_CHANNEL_PREVIOUS", None)
            os.environ["RATCHET_TENSORS"] = str(folder / f"{name}-tensors")
            runpy.run_path(script, run_name="__main__")
        return {name: float(value) for name, value in re.findall(r"^([\w:.]+)=([\d.]+)$", printed.getvalue(), re.M)}

    def answer(self, model_dir, images):
        serve = runpy.run_path(str(FOLDER / "serve.py"))
        body = "\n".join(",".join(map(str, picture.ravel())) for picture in images)
        model = serve["model_fn"](str(model_dir))
        answer, _ = serve["output_fn"](serve["predict_fn"](serve["input_fn"](body, "text/csv"), model), "text/csv")
        return answer


class Learning(unittest.TestCase):
    def test_it_learns_drawn_signs(self):
        """Chance is 1/12; a small network on clean signs is far above."""
        labels, drawn = signs.draw(360, seed=0, noise=5)
        model = tiny("resnet18", width=1 / 8)[0]
        recipe = learning.Recipe(epochs=6, learning_rate=5e-3, batch=32)
        self.assertEqual(list(learning.Training(model, recipe).epochs((drawn, labels))), [1, 2, 3, 4, 5, 6])
        self.assertGreater(learning.accuracy(model, drawn, labels), 0.5)
        self.assertGreater(learning.latency(model, 32, repeats=3), 0)

    def test_weights_stay_whole_in_each_precision(self):
        """A step is enough: where a processor has no bfloat16, many take long."""
        labels, drawn = signs.draw(32, seed=0, noise=5)
        for precision in learning.PRECISIONS:
            with self.subTest(precision):
                model = tiny("resnet18", width=1 / 8)[0]
                recipe = learning.Recipe(epochs=1, learning_rate=5e-3, batch=32, precision=precision)
                self.assertEqual(list(learning.Training(model, recipe).epochs((drawn, labels))), [1])
                self.assertEqual({tensor.dtype for tensor in model.parameters()}, {torch.float32})


if __name__ == "__main__":
    unittest.main()
