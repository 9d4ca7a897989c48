"""SageMaker Debugger's configurations, read by the probe and by the rule evaluator."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from toolkit import rule_evaluator
from toolkit.probe import Probe, debugger_hook
from toolkit.probe.errors import ProbeError
from toolkit.probe.layers import RELU_OUTPUT

PROGRAM = Path(rule_evaluator.__file__)


def collections(*configurations, **hook):
    document = {
        "CollectionConfigurations": [{"CollectionName": n, "CollectionParameters": p} for n, p in configurations]
    }
    found = debugger_hook.settings({**document, "HookParameters": hook})
    return {collection.name: collection for collection in found.collections}


class Settings(unittest.TestCase):
    def test_intervals_steps_and_expressions(self):
        found = collections(
            ("gradients", {"save_interval": "100"}),
            ("losses", {"train.save_interval": "5", "eval.save_interval": "1"}),
            ("mine", {"include_regex": "conv[1,2]/.*, fc", "start_step": "3", "end_step": "9"}),
            ("some", {"include_regex": "x", "save_steps": "1, 4"}),
        )
        self.assertEqual(found["gradients"].interval, {"TRAIN": 100, "EVAL": 100})
        self.assertEqual(found["losses"].interval, {"TRAIN": 5, "EVAL": 1})
        self.assertEqual(
            (found["mine"].include, found["mine"].start, found["mine"].end), (("conv[1,2]/.*", "fc"), 3, 9)
        )
        self.assertEqual(found["some"].steps, (1, 4))

    def test_what_the_hook_says_holds_for_collections_that_say_nothing(self):
        found = collections(("weights", {}), ("biases", {"save_interval": "7"}), save_interval="20")
        self.assertEqual((found["weights"].interval["TRAIN"], found["biases"].interval["TRAIN"]), (20, 7))

    def test_reductions(self):
        found = collections(("weights", {"reductions": "mean,l2_norm,abs_max", "save_histogram": "True"}))["weights"]
        self.assertEqual((found.reductions, found.values), (("mean", "norm", "abs_max", "histogram"), False))
        self.assertTrue(collections(("weights", {"reductions": "min", "save_raw_tensor": "True"}))["weights"].values)

    def test_debuggers_own_names(self):
        found = collections(
            ("relu_output", {"include_regex": ".*relu_output|.*ReLU_output"}), ("feature_importance", {})
        )
        self.assertTrue(found["relu_output"].holds("features/relu1/output", "output"))
        self.assertFalse(found["relu_output"].holds("features/conv1/output", "output"))
        self.assertIn("importances", found)
        self.assertTrue(collections(("all", {}))["all"].holds("anything", "tensor"))

    def test_nothing_said_is_the_usual(self):
        self.assertIn("gradients", collections())

    def test_what_cannot_be_used_is_said(self):
        for configuration, part in (
            (("mine", {}), "mine has no include_regex"),
            (("weights", {"save_interval": "often"}), "'often' is no number of steps"),
            (("weights", {"interval": "5"}), "weights: the probe has nothing for 'interval'"),
            (("weights", {"reductions": "prod"}), "'prod' is unknown"),
            (("mine", {"include_regex": "a("}), "no regular expression"),
        ):
            with self.subTest(configuration), self.assertRaises(ProbeError) as raised:
                collections(configuration)
            self.assertIn(part, str(raised.exception))


class InAJob(unittest.TestCase):
    """The probe as a training job has it, the evaluator as a processing job runs it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.tensors = self.root / "output" / "tensors"
        self.tensors.mkdir(parents=True)
        (self.root / "input" / "config").mkdir(parents=True)
        self.before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(self.before)))
        os.environ["SAGEMAKER_BASE_DIR"] = str(self.root)

    def configure(self, *configurations):
        document = {
            "S3OutputPath": "s3://bucket/x",
            "LocalPath": str(self.tensors),
            "CollectionConfigurations": [{"CollectionName": n, "CollectionParameters": p} for n, p in configurations],
        }
        (self.root / "input" / "config" / "debughookconfig.json").write_text(json.dumps(document))

    def train(self, losses):
        probe = Probe.from_environment()
        for loss in losses:
            probe.loss("loss", loss)
            probe.step()
        probe.close()
        return probe

    def evaluate(self, rule, end=True, **parameters):
        job = self.root / "rule"
        for part in ("config", "processing/input", "output"):
            (job / part).mkdir(parents=True, exist_ok=True)
        if not (job / "processing" / "input" / "tensors").exists():
            (job / "processing" / "input" / "tensors").symlink_to(self.tensors)
        configuration = {"Environment": {"rule_to_invoke": rule, **parameters}}
        (job / "config" / "processingjobconfig.json").write_text(json.dumps(configuration))
        if end:
            (self.tensors / rule_evaluator.END_MARKER).touch()
        variables = {**self.before, "SAGEMAKER_BASE_DIR": str(job)}
        variables.pop("PYTHONPATH", None)
        done = subprocess.run([sys.executable, PROGRAM], env=variables, capture_output=True, text=True, check=False)
        return done.returncode, (job / "output" / "message").read_text()

    def test_the_probe_saves_what_the_hook_configuration_says_where_it_says(self):
        self.configure(("losses", {"save_interval": "2"}))
        probe = self.train([3.0, 2.0, 1.0])
        self.assertEqual(probe.directory, self.tensors / debugger_hook.FOLDER)
        self.assertIsNone(probe.settings.output, "SageMaker copies the folder")
        self.assertEqual(rule_evaluator.Feed(probe.directory).steps("loss/loss"), [0, 2])

    def test_what_the_state_machine_says_goes_first(self):
        self.configure(("losses", {"save_interval": "2"}))
        os.environ["RATCHET_PROBE"] = "{}"
        os.environ["RATCHET_TENSORS"] = str(self.root / "other")
        self.assertEqual(self.train([1.0]).directory, self.root / "other")

    def test_issues_found(self):
        self.configure(("losses", {"save_interval": "1"}))
        self.train([1.0] * 30)
        code, message = self.evaluate("LossNotDecreasing", end=False, num_steps="5")
        self.assertEqual(code, 1)
        self.assertTrue(
            message.startswith(
                "RuleEvaluationConditionMet: Evaluation of the rule LossNotDecreasing at step 5 resulted in the "
                "condition being met: loss/loss is 1"
            ),
            message,
        )

    def test_no_issues_found(self):
        self.configure(("losses", {"save_interval": "1"}))
        self.train([1 / (step + 1) for step in range(30)])
        self.assertEqual(self.evaluate("LossNotDecreasing")[0], 0)

    def test_what_cannot_be_judged_is_said(self):
        self.configure(("losses", {"save_interval": "1"}))
        self.train([1.0, 0.5])
        for rule, parameters, part in (
            ("VanishingGradient", {}, "it needs the collection 'gradients', which was never saved"),
            ("DeadRelu", {"tensor_regex": ".*relu_output"}, "nothing was saved that matches"),
            ("NoSuchRule", {}, "there is no rule 'NoSuchRule'"),
            ("LossNotDecreasing", {"num_step": "3"}, "did you mean 'num_steps'?"),
        ):
            with self.subTest(rule):
                code, message = self.evaluate(rule, **parameters)
                self.assertEqual(code, 1)
                self.assertIn(part, message)

    def test_debuggers_own_names_in_a_rules_parameters(self):
        self.assertEqual(
            rule_evaluator.own(
                {"rule_to_invoke": "DeadRelu", "tensor_regex": ".*relu_output", "threshold_layer": "1,5"}
            ),
            {"tensor_regex": RELU_OUTPUT, "threshold_layer": "1,5"},
        )

    def test_a_broken_index_is_an_error(self):
        self.configure(("losses", {"save_interval": "1"}))
        (index,) = (self.train([1.0]).directory / "index").iterdir()
        index.write_text("not a record\n")
        code, message = self.evaluate("LossNotDecreasing")
        self.assertEqual(code, 1)
        self.assertIn("the tensors can't be read", message)


if __name__ == "__main__":
    unittest.main()
