"""The evaluation job's script with several candidates: which of them is the challenger, and what is told of all."""

import unittest

from judging_kit import REPEATS, Judging

FAILS = "def model_fn(model_dir):\n    raise OSError('no vectors here')\n"
# The rows of judging_kit: the first column is always right, the second four times of six.
BOTH = ("--candidate", "plain", "--candidate", "tree")


class Candidates(Judging):
    def candidate(self, name, serve=REPEATS, column="0"):
        self.model(f"candidate-{name}", serve, column)

    def each(self, found):
        return {each["candidate"]: each for each in found["candidates"]}

    def test_the_best_is_the_challenger_and_all_are_told(self):
        self.candidate("plain", column="1")
        self.candidate("tree")
        found = self.judged(*BOTH)
        self.assertEqual((found["candidate"], found["challenger"]["score"]), ("tree", 1.0))
        self.assertEqual([each["candidate"] for each in found["candidates"]], ["plain", "tree"])
        self.assertAlmostEqual(self.each(found)["plain"]["score"], 2 / 3)
        self.assertNotIn("difference", self.each(found)["plain"])
        self.assertEqual({sample["answer"] for sample in found["samples"]} - set("012"), set())
        told = "candidate plain: accuracy=0.6667\ncandidate tree: accuracy=1.0000 (the challenger)\n"
        self.assertIn(told, self.printed)

    def test_of_equals_the_first(self):
        self.candidate("tree")
        self.candidate("plain")
        self.assertEqual(self.judged(*BOTH)["candidate"], "plain")

    def test_each_is_compared_with_the_champion_and_the_intervals_allow_for_the_choice(self):
        self.model("champion", column="1")
        self.model("challenger")
        alone = self.judged("--confidence", "0.95")
        self.candidate("plain", column="1")
        self.candidate("tree")
        found = self.judged(*BOTH, "--confidence", "0.9")
        self.assertAlmostEqual(found["confidence"], 0.95)
        self.assertEqual(found["interval"], alone["interval"], "two at 0.9 are as one at 0.95")
        self.assertEqual(self.each(found)["tree"]["difference_interval"], alone["interval"])
        self.assertEqual(self.each(found)["plain"]["difference"], 0)

    def test_one_that_has_left_no_model_is_not_there_and_counts_still(self):
        self.candidate("tree")
        found = self.judged(*BOTH, "--confidence", "0.9")
        self.assertEqual([each["candidate"] for each in found["candidates"]], ["tree"])
        self.assertAlmostEqual(found["confidence"], 0.95)

    def test_five_and_a_champion_are_judged_in_one_job(self):
        names = [f"n{number}" for number in range(5)]
        for name in names:
            self.candidate(name, column="0" if name == "n3" else "1")
        self.model("champion", column="1")
        found = self.judged(*(word for name in names for word in ("--candidate", name)))
        self.assertEqual((found["candidate"], len(found["candidates"])), ("n3", 5))
        self.assertAlmostEqual(found["confidence"], 0.99)
        self.assertGreater(found["interval"][0], 0.1)

    def test_one_that_cannot_answer_says_why_and_the_other_goes_on(self):
        self.candidate("plain", serve=FAILS)
        self.candidate("tree", column="1")
        found = self.judged(*BOTH)
        self.assertEqual(found["candidate"], "tree")
        self.assertIn("candidate-plain can't answer: serve.py", self.each(found)["plain"]["cannot_answer"])
        self.assertIn("no vectors here", self.each(found)["plain"]["cannot_answer"])

    def test_a_champion_that_cannot_answer_is_a_fact_of_each(self):
        self.model("champion", serve=FAILS)
        self.candidate("plain", column="1")
        self.candidate("tree")
        found = self.judged(*BOTH)
        self.assertIn("no vectors here", found["champion"]["cannot_answer"])
        self.assertNotIn("difference", self.each(found)["tree"])

    def test_none_that_can_answer_is_an_error_with_the_first_ones_reason(self):
        self.candidate("plain", serve=FAILS)
        self.candidate("tree", serve=FAILS)
        self.assertEqual(self.run_script(*BOTH), 1)
        self.assertIn("the candidate-plain can't answer: serve.py", self.said)

    def test_no_model_at_all_is_told(self):
        self.assertEqual(self.run_script(*BOTH), 1)
        self.assertIn("no model to judge: none of the candidates plain, tree has left one", self.said)


if __name__ == "__main__":
    unittest.main()
