"""A gate's metric of the user's own: what it is called with, its bootstrap, what goes wrong. Runs in an image."""

import itertools
import os
import tempfile
import textwrap
import types
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from toolkit import bootstrap, judgement, metrics, own_metric, own_values
from toolkit.errors import NoAnswersError, ToolkitError

ACCURACY = """
    def score(truths, answers):
        return sum(a == b for a, b in zip(truths, answers)) / len(truths)
"""
LABELS = ["0", "1"] * 100
GOOD = ["0", "1"] * 90 + ["1", "0"] * 10
BAD = ["0", "1"] * 70 + ["1", "0"] * 30


class Values(unittest.TestCase):
    def test_numbers_where_all_are_else_texts(self):
        self.assertEqual(own_values.truths(["1", "2.0", "3"]), [1, 2, 3])
        self.assertEqual(own_values.truths(["1.5", "2"]), [1.5, 2.0])
        self.assertEqual(own_values.truths(["1", "b"]), ["1", "b"])
        self.assertIs(type(own_values.truths(["1"])[0]), int)

    def test_documents(self):
        self.assertEqual(own_values.truths(['[{"box": [1, 2]}]', "[]"]), [[{"box": [1, 2]}], []])
        self.assertEqual(own_values.answers(['{"a": 1}', "7"], []), [{"a": 1}, 7])
        self.assertEqual(own_values.truths(["[1", "{x}"]), ["[1", "{x}"])

    def test_several_fields_are_a_list(self):
        self.assertEqual(own_values.answers(["0.1,0.9", "0.5, 0.5"], ["a"]), [[0.1, 0.9], [0.5, 0.5]])
        self.assertEqual(own_values.answers(["cat,0.9", '"a, b",0.5'], []), [["cat", "0.9"], ["a, b", "0.5"]])

    def test_a_label_with_a_comma_is_one_text(self):
        self.assertEqual(own_values.answers(["b, c", '"b, c"', "d"], ["b, c", "d"]), ["b, c", "b, c", "d"])


class Kit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def judge(self, source, labels=LABELS, segments=None, seconds=60.0, resamples=200, **answers):
        path = self.folder / "mine.py"
        path.write_text(textwrap.dedent(source))
        own = own_metric.OwnMetric("mine.score", self.folder, seconds)
        how = bootstrap.Resampling(resamples=resamples)
        question = judgement.Question("mine.score", labels, how, segments, own=own)
        return judgement.judge(question, answers or {"challenger": GOOD})

    def refused(self, source, *parts, error=ToolkitError, **options):
        with self.assertRaises(error) as caught:
            self.judge(source, **options)
        for part in parts:
            self.assertIn(part, str(caught.exception))
        return caught.exception


class Judged(Kit):
    def test_it_is_judged_as_scikit_learn_s_are(self):
        """The same resamples of the same examples: the interval of scikit-learn's accuracy, drawn by examples."""
        found = self.judge(ACCURACY, challenger=GOOD, champion=BAD)
        self.assertEqual((found["challenger"]["score"], found["champion"]["score"]), (0.9, 0.7))
        truth, given = metrics.numbers(LABELS), [metrics.numbers(GOOD), metrics.numbers(BAD)]
        how = bootstrap.Resampling(resamples=200)
        random = np.random.default_rng(how.seed)
        rows = list(bootstrap._by_scikit_learn("accuracy", truth, given)(200, random))
        values = np.concatenate(rows, axis=1)
        self.assertEqual(found["interval"], bootstrap.interval(values[0] - values[1], 0.95))
        self.assertEqual(found["resamples"], 200)
        self.assertTrue(0 < found["interval"][0] < 0.2 < found["interval"][1] < 0.4)

    def test_the_same_answers_give_the_same_figures(self):
        self.assertEqual(
            self.judge(ACCURACY, champion=BAD, challenger=GOOD), self.judge(ACCURACY, champion=BAD, challenger=GOOD)
        )

    def test_documents_reach_it(self):
        source = """
            def score(truths, answers):
                return sum(len(t["boxes"]) == len(a) for t, a in zip(truths, answers)) / len(truths)
        """
        labels = ['{"boxes": [[1, 2]]}', '{"boxes": []}'] * 20
        found = self.judge(source, labels, challenger=['[{"box": [1]}]', "[]"] * 20, champion=["[]", "[]"] * 20)
        self.assertEqual((found["challenger"]["score"], found["champion"]["score"]), (1.0, 0.5))

    def test_numpy_s_numbers_are_numbers(self):
        source = """
            import numpy
            def score(truths, answers):
                return numpy.float32(numpy.mean(numpy.equal(truths, answers)))
        """
        self.assertAlmostEqual(self.judge(source)["challenger"]["score"], 0.9, places=6)

    def test_it_may_sort_what_it_gets_and_import_what_lies_beside_it(self):
        (self.folder / "code").mkdir()
        (self.folder / "beside.py").write_text("LIMIT = 1")
        source = """
            from beside import LIMIT
            def score(truths, answers):
                found = LIMIT * sum(a == b for a, b in zip(truths, answers)) / len(truths)
                truths.sort()
                answers.clear()
                return found
        """
        found = self.judge(source)
        self.assertEqual(found["challenger"]["score"], 0.9)
        self.assertLess(found["challenger"]["interval"][0], 0.9)

    def test_segments_are_judged_by_it(self):
        segments = {"first": range(180), "last": range(180, 200)}
        found = self.judge(ACCURACY, segments=segments, challenger=GOOD, champion=BAD)
        self.assertEqual(
            [(part["segment"], part["score"]) for part in found["segments"]], [("first", 1.0), ("last", 0.0)]
        )

    def test_a_segment_that_it_cannot_judge_is_told_of(self):
        source = ACCURACY + "    \n"
        source = source.replace("return sum", "assert len(truths) > 9, 'too few'\n        return sum")
        found = self.judge(source, segments={"few": [0, 1], "many": range(50)})
        few, many = found["segments"]
        self.assertEqual((few["score"], many["score"], many["unjudged"]), (None, 1.0, None))
        self.assertEqual(few["unjudged"], "mine.py:3: AssertionError: too few")


class Wrong(Kit):
    def test_it_raises(self):
        error = self.refused(
            "def score(truths, answers):\n    return truths[0]['box']",
            "metric mine.score can't judge the challenger's answers: mine.py:2: TypeError",
            error=NoAnswersError,
        )
        self.assertEqual(error.model, "challenger")

    def test_of_the_champion_s_answers_alone_it_raises(self):
        source = "def score(truths, answers):\n    return sum(map(float, answers))"
        error = self.refused(
            source, "the champion's answers: mine.py:2", error=NoAnswersError, challenger=GOOD, champion=["x"] * 200
        )
        self.assertEqual(error.model, "champion")

    def test_what_is_no_score(self):
        for returned, said in {
            "None": "it returned None, a NoneType; it must return a number",
            "'0.5'": "it returned '0.5', a str; it must return a number",
            "[0.5]": "it returned [0.5], a list; it must return a number",
            "True": "it returned True, a bool; it must return a number",
            "float('nan')": "it returned nan, which is no score",
            "-float('inf')": "it returned -inf, which is no score",
        }.items():
            with self.subTest(returned):
                self.refused(f"def score(truths, answers):\n    return {returned}", said)

    def test_what_is_not_there(self):
        self.refused("def other(truths, answers): ...", "mine.py has no function score")
        self.refused("score = 3", "mine.py has no function score")
        self.refused("import no_such_library", "mine.py:1: ModuleNotFoundError: No module named 'no_such_library'")
        (self.folder / "mine.py").unlink()
        own = own_metric.OwnMetric("mine.score", self.folder, 9)
        with self.assertRaisesRegex(ToolkitError, "the model's folder had no mine.py when the pipeline was deployed"):
            own_metric.judge(own, [1], {"challenger": [1]}, [], bootstrap.Resampling())

    def test_it_ends_the_process_or_the_memory(self):
        self.refused(
            "import os\n\ndef score(truths, answers):\n    os._exit(7)", "mine.score ended its process with exit code 7"
        )
        self.refused("def score(truths, answers):\n    raise MemoryError", "memory didn't suffice")

    def test_resamples_that_it_cannot_judge_are_left_out_if_they_are_few(self):
        fails = """
            def score(truths, answers):
                missing = {} - len(set(truths))
                return sum(a == b for a, b in zip(truths, answers)) / len(truths) / (missing == 0)
        """
        # Of the champion's answers alone: it can't answer, and the challenger is judged alone.
        error = self.refused(
            fails.replace("set(truths)", "set(answers)").format(2),
            "metric mine.score fails on the champion's answers to",
            error=NoAnswersError,
            challenger=GOOD,
            champion=["0"] * 199 + ["1"],
        )
        self.assertEqual(error.model, "champion")
        few = ["0"] * 95 + ["1"] * 5
        found = self.judge(fails.format(2), few, challenger=few[::-1], champion=few)
        self.assertEqual(found["champion"]["interval"], (1.0, 1.0))
        rare = ["0"] * 99 + ["1"]
        self.refused(
            fails.format(2),
            "of 200 resamples of the held-out examples, for instance: mine.py:4: ZeroDivision",
            "drawn twice or not at all",
            labels=rare,
            challenger=rare,
        )

    def takes(self, seconds):
        """Each resample takes so long, by the clock that the function's own process has inherited."""
        clock = types.SimpleNamespace(monotonic=itertools.count(0, seconds).__next__)
        patch = mock.patch.object(own_metric, "time", clock)
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_slow_one_is_judged_by_fewer_resamples(self):
        self.takes(0.004)
        found = self.judge(ACCURACY, seconds=3, resamples=2000)
        self.assertEqual((found["resamples"], found["challenger"]["score"]), (500, 0.9))

    def test_one_that_is_too_slow_is_refused_before_the_time_is_over(self):
        self.takes(0.2)
        self.refused(
            ACCURACY,
            "takes 0.1 s a call, too long for 200 resamples of both models in half",
            "(9 s)",
            seconds=9,
            resamples=2000,
            challenger=GOOD,
            champion=BAD,
        )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    unittest.main()
