"""Rules beside a training process: what they see of it, what they tell, and what can go wrong. Runs in an image."""

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import types
import unittest
from pathlib import Path
from unittest import mock

from contract import names
from toolkit.beside_training import Stop, Trainer
from toolkit.probe import Probe, Trial
from toolkit.probe.settings import Settings
from toolkit.rules import __main__ as command
from toolkit.rules import messenger, runner, statuses
from toolkit.rules.feed import Feed
from toolkit.rules.judging import Status
from toolkit.rules.messenger import Messenger
from toolkit.rules.runner import Runner, judged_without
from toolkit.rules.statuses import Job

DEADLINE = 180 * float(os.environ.get("RATCHET_TEST_PATIENCE", "1"))
JOB = Job("digits-20261120-180000-ab12-train", "arn:aws:sagemaker:us-east-1:000000000000:training-job/digits", "digits")
# A training script: `losses` at the steps, then whatever the test adds.
SCRIPT = """
import os, sys, time
from toolkit.probe import Probe, Trial
probe = Probe.from_environment()
def written(step):
    Trial(probe.directory).wait_for_step(step, 60)
def train(losses, start=0):
    for step, loss in enumerate(losses, start):
        probe.loss("train", loss)
        probe.step()
"""


class AwsDouble:
    """EventBridge and CloudWatch as they answer; `failing` calls fail first."""

    def __init__(self, failing=0, refuse=0):
        self.sent, self.metrics, self.failing, self.refuse = [], [], failing, refuse
        self.events = types.SimpleNamespace(put_events=self._put_events)
        self.cloudwatch = types.SimpleNamespace(put_metric_data=self._put_metric_data)
        self.issues = threading.Event()

    def _put_events(self, Entries):  # noqa: N803 - AWS's name
        if self.failing > 0:
            self.failing -= 1
            raise OSError("Could not connect to the endpoint URL")
        if self.refuse > 0:
            self.refuse -= 1
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException", "ErrorMessage": "slower"}]}
        self.sent.append(Entries[0])
        if "IssuesFound" in Entries[0]["Detail"]:
            self.issues.set()
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}

    def _put_metric_data(self, Namespace, MetricData):  # noqa: N803
        self.metrics += [(Namespace, data) for data in MetricData]

    def words(self):
        """The statuses of each event, in order."""
        details = [json.loads(entry["Detail"]) for entry in self.sent]
        return [[s["RuleEvaluationStatus"] for s in detail["DebugRuleEvaluationStatuses"]] for detail in details]


class RunnerCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.tensors = self.folder / "tensors"
        logging.getLogger("ratchet.judging").setLevel(logging.ERROR)

    def status(self, name):
        return json.loads((self.tensors / "rules" / f"{name}.json").read_text())

    def script(self, code, rules, wait=True, **environment):
        """A training script with the probe, and its rules beside it."""
        path = self.folder / "train.py"
        path.write_text(SCRIPT + textwrap.dedent(code))
        variables = {
            **os.environ,
            "RATCHET_TENSORS": str(self.tensors),
            "RATCHET_RULES": json.dumps(rules),
            "PYTHONPATH": f"{self.folder}{os.pathsep}{os.environ['PYTHONPATH']}",
            **environment,
        }
        process = subprocess.Popen([sys.executable, str(path)], env=variables, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        if wait:
            _, self.said = process.communicate(timeout=DEADLINE)
        return process

    def poll(self, what, condition):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                if found := condition():
                    return found
            time.sleep(0.02)
        return self.fail(f"{what} didn't happen within {DEADLINE} s")

    def ended(self, name):
        """The rule's file once its status is final."""
        return self.poll(f"{name}'s end", lambda: (s := self.status(name))["status"] != "InProgress" and s)


class BesideTraining(RunnerCase):
    def test_judges_while_the_job_goes_on(self):
        process = self.script(
            """
            train([1 - i / 100 for i in range(20)])
            train([0.8] * 20, start=20)
            time.sleep(3600)
            """,
            [{"rule": "LossNotDecreasing", "name": "stuck"}, {"rule": "ExplodingTensor"}],
            wait=False,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        found = self.ended("stuck")
        self.assertEqual((found["status"], found["step"], found["value"]), ("IssuesFound", 40 - 10, 0.8))
        self.assertEqual((found["rule"], found["action"]), ("LossNotDecreasing", "stop"))
        self.assertEqual(self.status("ExplodingTensor")["status"], "InProgress")
        self.assertIsNone(process.poll())

    def test_an_evaluation_s_verdict_names_the_training_step_that_it_was_at(self):
        """Evaluation counts its own steps, which tell nobody where the training was."""
        code = """
            for step in range(6):
                train([1.0], step)
                if step % 2:
                    with probe.mode("eval"):
                        probe.scalar("accuracy", 0.9 if step < 5 else 0.1)
                        probe.loss("validation", 1.0 if step < 5 else 2.0)
                        probe.step()
            probe.close()
        """
        rules = [{"rule": "AccuracyDrop"}, {"rule": "Overfit", "parameters": {"ratio_threshold": 0.5}}]
        self.script(code, [{**rule, "action": "record"} for rule in rules])
        for name in ("AccuracyDrop", "Overfit"):
            found = self.status(name)
            self.assertEqual((name, found["status"], found["step"]), (name, "IssuesFound", 6))

    def test_a_job_that_ends_well(self):
        process = self.script(
            "train([1 - i / 100 for i in range(40)])",
            [{"rule": "LossNotDecreasing"}, {"rule": "Overfit"}, {"rule": "StalledTraining"}],
        )
        self.assertEqual(process.returncode, 0, self.said)
        self.assertEqual(self.status("LossNotDecreasing")["status"], "NoIssuesFound")
        self.assertEqual(self.status("StalledTraining")["status"], "NoIssuesFound")
        missing = self.status("Overfit")
        self.assertEqual(missing["status"], "Error")
        self.assertIn("a validation loss was never saved", missing["reason"])

    def test_a_job_that_is_killed(self):
        process = self.script(
            "train([1 - i / 100 for i in range(40)]); written(39); os.kill(os.getpid(), 9)",
            [{"rule": "LossNotDecreasing"}],
        )
        self.assertEqual(process.returncode, -signal.SIGKILL)
        found = self.ended("LossNotDecreasing")
        self.assertEqual(found["status"], "Error")
        self.assertIn("after step 39 without closing the probe", found["reason"])

    def test_a_job_that_stalls(self):
        process = self.script(
            "train([1.0, 0.9]); written(1); time.sleep(3600)",
            [{"rule": "StalledTraining", "parameters": {"threshold": 3}}, {"rule": "LossNotDecreasing"}],
            wait=False,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        found = self.ended("StalledTraining")
        self.assertEqual((found["status"], found["step"]), ("IssuesFound", 1))
        self.assertGreaterEqual(found["value"], 3)
        # As the stopper would: what else judges isn't an error then.
        process.kill()
        other = self.ended("LossNotDecreasing")
        self.assertEqual(other["status"], "Stopped")
        self.assertIn("another rule has stopped it", other["reason"])

    def test_rules_of_the_users_own(self):
        (self.folder / "my_rules.py").write_text(
            textwrap.dedent("""
            from toolkit.rules import Parameter, Rule, Selection, Verdict
            class TooHigh(Rule):
                parameters = (Parameter("limit", "number", 10.0, "the greatest loss that is fine"),)
                default = Selection(collections=("losses",))
                def evaluate(self, step):
                    for name in self.selected(step, "TRAIN"):
                        loss = self.number(name, step, "TRAIN")
                        self.judged(step, loss)
                        if loss > self.limit:
                            return Verdict(step, loss, f"{name} is {loss:g}")
            class Raises(Rule):
                def evaluate(self, step, mode):
                    return [][step]
            class Exits(Rule):
                def evaluate(self, step, mode):
                    raise SystemExit(3)
            class Reads(Rule):
                def evaluate(self, step, mode):
                    return bool(self.trial.value("weights/none", step, mode).sum())
            class Plain:
                pass
            """)
        )
        (self.folder / "broken.py").write_text("import not_installed_here\n")
        rules = [
            {"rule": "my_rules.TooHigh", "parameters": {"limit": 2}},
            {"rule": "my_rules.Raises"},
            {"rule": "my_rules.Exits"},
            {"rule": "my_rules.Reads"},
            {"rule": "my_rules.Plain"},
            {"rule": "my_rules.Absent"},
            {"rule": "broken.Rule", "name": "broken"},
            {"rule": "nowhere.Rule", "name": "nowhere"},
            {"rule": "LossNotDecreasin", "name": "typo"},
        ]
        self.script("train([1.0, 1.5, 3.0, 4.0])", rules)
        found = self.status("TooHigh")
        self.assertEqual((found["status"], found["step"], found["value"]), ("IssuesFound", 2, 3.0))
        for name, part in (
            ("Raises", "IndexError: list index out of range (my_rules.py:"),
            ("Exits", "SystemExit: 3"),
            ("Reads", "weights/none"),
            ("Plain", "is no rule"),
            ("Absent", "has no class Absent"),
            ("broken", "not_installed_here"),
            ("nowhere", "no module nowhere"),
            ("typo", "did you mean LossNotDecreasing?"),
        ):
            with self.subTest(name):
                self.assertEqual(self.status(name)["status"], "Error")
                self.assertIn(part, self.status(name)["reason"])

    def test_rules_that_cannot_be_read(self):
        for text, part in (
            ('[{"rule"', "is not JSON"),
            ('["LossNotDecreasing"]', "not 'LossNotDecreasing'"),
            ('[{"rule": "Overfit", "action": "halt"}]', "one of stop, notify, record"),
            ('[{"rule": "Overfit"}, {"rule": "Overfit"}]', "two rules are called Overfit"),
        ):
            with self.subTest(text):
                process = self.script("train([1.0])", [], RATCHET_RULES=text)
                self.assertEqual(process.returncode, 0)  # the training is not to blame
                self.assertEqual(self.status("RATCHET_RULES")["status"], "Error")
                self.assertIn(part, self.status("RATCHET_RULES")["reason"])


class Telling(RunnerCase):
    """The runner in this process, on a probe of this process, with doubles at its edges."""

    def run_rules(self, rules, aws, losses=(), close=True, trainer=None, stop=None, copied=False):
        probe = Probe(Settings.parse(None), directory=self.tensors)
        for loss in losses:
            probe.loss("train", loss)
            probe.step()
        if close:
            probe.close()
        else:
            self.addCleanup(probe.close)
            Trial(self.tensors).wait_for_step(len(losses) - 1, DEADLINE)
        tellers = []

        def teller(delivered):
            tellers.append(Messenger(JOB, delivered, connect=lambda: aws))
            return tellers[0]

        feed = Feed(self.tensors)
        judging = Runner(
            feed, command.read(json.dumps(rules)), self.tensors, teller,
            trainer=trainer or Trainer(None), stop=stop or Stop(), copied=copied,
        )  # fmt: skip
        code = judging.run()
        return code, tellers[0]

    def test_a_stop_waits_a_moment_for_what_led_to_it_to_be_copied(self):
        mark = self.tensors / "rules" / ".stuck.json.copied"
        rules = [{"rule": "LossNotDecreasing", "name": "stuck"}]
        for copies in (True, False):
            aws, marked = AwsDouble(), []
            put = aws.events.put_events
            aws.events.put_events = lambda Entries, put=put, marked=marked: (  # noqa: N803 - AWS's name
                marked.append(mark.exists()) if "IssuesFound" in Entries[0]["Detail"] else None, put(Entries)
            )[1]  # fmt: skip
            moment = mock.patch.object(runner, "COPY_SECONDS", DEADLINE if copies else 0.1)

            def copy(aws=aws):
                self.poll("the rule's file", lambda: self.status("stuck")["status"] == "IssuesFound")
                self.assertFalse(aws.issues.wait(0.3))
                mark.touch()

            if copies:
                copying = threading.Thread(target=copy)
                copying.start()
                self.addCleanup(copying.join)
            with moment:
                self.run_rules(rules, aws, [1.0] * 30, copied=True)
            self.assertEqual(marked[:1], [copies], "told all the same where nobody copies")
            mark.unlink(missing_ok=True)
            (self.tensors / "rules" / "stuck.json").unlink()

    def test_the_jobs_own_word_is_written_before_the_event(self):
        said, aws = [], AwsDouble()
        put = aws.events.put_events

        def put_object(Bucket, Key, Body, **_):  # noqa: N803 - AWS's names
            said.append(("word", Bucket, Key, json.loads(Body)))

        def put_events(Entries):  # noqa: N803 - AWS's name
            said.append(("event", json.loads(Entries[0]["Detail"])))
            return put(Entries)

        aws.s3, aws.events.put_events = types.SimpleNamespace(put_object=put_object), put_events
        job = dataclasses.replace(JOB, verdicts="s3://artifacts/runs/p/r/train/verdicts/job.json")
        teller = Messenger(job, lambda _: None, connect=lambda: aws)
        status = Status("stuck", "LossNotDecreasing", "stop", "IssuesFound", 10, 1.0, "r" * 230_000, 1.5)
        teller.send([status])
        self.assertTrue(teller.close(DEADLINE))
        (word, bucket, key, document), (event, detail) = said
        self.assertEqual((word, event), ("word", "event"))
        self.assertEqual((bucket, key), ("artifacts", "runs/p/r/train/verdicts/job.json"))
        self.assertEqual(document, detail)
        self.assertLess(len(json.dumps(document)), 2000)

    def test_an_event_without_the_jobs_word_is_not_sent(self):
        def refuse(**_):
            raise OSError("no such bucket")

        aws = AwsDouble()
        aws.s3 = types.SimpleNamespace(put_object=refuse)
        job = dataclasses.replace(JOB, verdicts="s3://artifacts/word.json")
        teller = Messenger(job, lambda _: None, connect=lambda: aws)
        teller.send([Status("stuck", "LossNotDecreasing", "stop", "IssuesFound", 10, 1.0, "r", 1.5)])
        self.assertFalse(teller.close(0.5))
        self.assertEqual(aws.sent, [])
        self.assertIn("no such bucket", teller.last_failure)

    def test_the_event(self):
        aws = AwsDouble()
        rules = [{"rule": "LossNotDecreasing", "name": "stuck"}, {"rule": "ExplodingTensor"}]
        code, _ = self.run_rules(rules, aws, [1.0] * 30)
        self.assertEqual(code, 0)
        self.assertEqual(aws.words()[-1], ["IssuesFound", "NoIssuesFound"])
        entry = next(entry for entry in aws.sent if "IssuesFound" in entry["Detail"])
        self.assertEqual((entry["Source"], entry["Resources"]), ("ratchet.rules", [JOB.arn]))
        self.assertEqual(entry["DetailType"], "SageMaker Training Job State Change")
        detail = json.loads(entry["Detail"])
        self.assertEqual((detail["TrainingJobName"], detail["TrainingJobStatus"]), (JOB.name, "InProgress"))
        status = detail["DebugRuleEvaluationStatuses"][0]
        self.assertEqual((status["RuleConfigurationName"], status["RuleEvaluationJobArn"]), ("stuck", JOB.arn))
        told = json.loads(status["StatusDetails"])
        self.assertEqual((told["rule"], told["step"], told["value"]), ("LossNotDecreasing", 10, 1.0))
        self.assertIn("it must decrease", told["reason"])
        self.assertTrue(self.status("stuck")["delivered"])

    def test_metrics(self):
        aws = AwsDouble()
        self.run_rules([{"rule": "LossNotDecreasing"}, {"rule": "Overfit"}], aws, [1.0] * 30)
        found = {(d["Dimensions"][1]["Value"], d["MetricName"]): d["Value"] for _, d in aws.metrics}
        self.assertEqual(
            found,
            {
                ("LossNotDecreasing", "IssuesFound"): 1.0,
                ("LossNotDecreasing", "Errors"): 0.0,
                ("Overfit", "IssuesFound"): 0.0,
                ("Overfit", "Errors"): 1.0,
            },
        )
        self.assertEqual({namespace for namespace, _ in aws.metrics}, {"Ratchet/Rules"})
        self.assertEqual(aws.metrics[0][1]["Dimensions"][0], {"Name": "Pipeline", "Value": "digits"})

    def test_eventbridge_fails_for_a_while(self):
        aws = AwsDouble(failing=2, refuse=2)
        code, teller = self.run_rules([{"rule": "LossNotDecreasing"}], aws, [1.0] * 30)
        self.assertEqual((code, teller.failures), (0, 4))
        self.assertEqual(aws.words()[-1], ["IssuesFound"])
        self.assertTrue(self.status("LossNotDecreasing")["delivered"])

    def test_eventbridge_never_answers(self):
        self.addCleanup(setattr, messenger, "LONGEST_WAIT", messenger.LONGEST_WAIT)
        messenger.LONGEST_WAIT = 0.1
        self.addCleanup(setattr, runner, "CLOSE_SECONDS", runner.CLOSE_SECONDS)
        runner.CLOSE_SECONDS = 0.5
        aws = AwsDouble(failing=10**6)
        code, teller = self.run_rules([{"rule": "LossNotDecreasing"}], aws, [1.0] * 30)
        self.assertEqual(code, 1)
        self.assertIn("Could not connect", teller.last_failure)
        found = self.status("LossNotDecreasing")
        self.assertEqual((found["status"], found["delivered"]), ("IssuesFound", False))
        aws.failing = 0  # so that the thread ends
        self.assertTrue(teller.close(DEADLINE))

    def test_full_disk(self):
        self.tensors.mkdir()
        (self.tensors / "rules").write_text("a file where the folder should be: nothing can be written there")
        aws = AwsDouble()
        code, _ = self.run_rules([{"rule": "LossNotDecreasing"}], aws, [1.0] * 30)
        self.assertEqual(code, 1)
        self.assertEqual(aws.words()[-1], ["IssuesFound"])

    def test_a_job_without_the_probe(self):
        self.tensors.mkdir()
        trainer = types.SimpleNamespace(gone=lambda: True)
        aws = AwsDouble()
        feed = Feed(self.tensors)
        judging = Runner(
            feed, command.read('[{"rule": "LossNotDecreasing"}]'), self.tensors,
            lambda delivered: Messenger(JOB, delivered, connect=lambda: aws), trainer=trainer, stop=Stop(),
        )  # fmt: skip
        judging.run()
        found = self.status("LossNotDecreasing")
        self.assertEqual(found["status"], "Error")
        self.assertIn("does train.py make a Probe", found["reason"])

    def test_an_index_that_is_broken(self):
        (self.tensors / "index").mkdir(parents=True)
        (self.tensors / "index" / "0-19700101T000000.0-1.jsonl").write_text("not a record\n")
        aws = AwsDouble()
        self.run_rules([{"rule": "LossNotDecreasing"}], aws, [1.0] * 30)
        self.assertEqual(self.status("LossNotDecreasing")["status"], "Error")
        self.assertIn("can't be read any more", self.status("LossNotDecreasing")["reason"])
        self.assertIn("line 1", self.status("LossNotDecreasing")["reason"])

    def test_a_trainer_that_dies_before_its_rules_look(self):
        """They are then the child of another process, from the first look on."""
        aws = AwsDouble()
        losses = [1 - i / 100 for i in range(30)]
        self.run_rules([{"rule": "LossNotDecreasing"}], aws, losses, close=False, trainer=Trainer(os.getpid()))
        self.assertIn("without closing the probe", self.status("LossNotDecreasing")["reason"])

    def test_a_job_that_is_stopped(self):
        stop = Stop()
        stop.asked = True
        aws = AwsDouble()
        self.run_rules([{"rule": "LossNotDecreasing"}], aws, [1 - i / 100 for i in range(30)], close=False, stop=stop)
        self.assertEqual(self.status("LossNotDecreasing")["status"], "Stopped")
        self.assertIn("stopped after step 29", self.status("LossNotDecreasing")["reason"])

    def test_tensors_of_several_workers_are_judged_once(self):
        other = Probe(Settings.parse(None), rank=1, directory=self.tensors)
        for _ in range(30):
            other.loss("train", float("nan"))
            other.step()
        other.close()
        aws = AwsDouble()
        self.run_rules([{"rule": "LossNotDecreasing"}], aws, [1 - i / 100 for i in range(30)])
        self.assertEqual(self.status("LossNotDecreasing")["status"], "NoIssuesFound")

    def test_a_trial_of_a_tuning_job_speaks_in_its_own_run_and_name(self):
        run_id = "20261120-101112-abcd"
        trial = names.tuning_job("local", "digits", run_id) + "-003-0a1b2c3d"
        told = {"RATCHET_VERDICTS": "s3://b/runs/digits/<run>/train/verdicts/<job>.json", "TRAINING_JOB_NAME": trial}
        self.assertEqual(Job.of(told).verdicts, f"s3://b/runs/digits/{run_id}/train/verdicts/{trial}.json")

    def test_long_reasons_fit_an_event(self):
        status = Status("n", "r", "stop", "Error", 1, 0.5, 'a "long" \\ réason ' * 200, 0.0)
        text = json.loads(statuses.said(JOB, [status]))["DebugRuleEvaluationStatuses"][0]["StatusDetails"]
        self.assertLessEqual(len(text), 1024)
        self.assertIn("long", json.loads(text)["reason"])

    def test_rules_that_cannot_be_read_are_told(self):
        aws = AwsDouble()
        code = judged_without(
            command.RuleError("RATCHET_RULES is not JSON"), self.tensors,
            lambda delivered: Messenger(JOB, delivered, connect=lambda: aws),
        )  # fmt: skip
        self.assertEqual((code, aws.words()), (2, [["Error"]]))


class Afterwards(RunnerCase):
    def test_a_finished_job_is_judged_by_the_command(self):
        probe = Probe(Settings.parse(None), directory=self.tensors)
        for _ in range(30):
            probe.loss("train", 1.0)
            probe.step()
        probe.close()
        rules = json.dumps([{"rule": "LossNotDecreasing"}])
        output = self.folder / "verdicts"
        done = subprocess.run(
            [sys.executable, "-m", "toolkit.rules", "--tensors", self.tensors, "--rules", rules, "--output", output],
            check=False, capture_output=True, text=True, timeout=DEADLINE,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads((output / "rules" / "LossNotDecreasing.json").read_text())
        self.assertEqual((found["status"], found["step"]), ("IssuesFound", 10))


if __name__ == "__main__":
    unittest.main()
