"""The answers in detail: classes, confusion, residuals and differing examples, always bounded. Runs in an image."""

import json
import unittest

from sklearn.metrics import classification_report, confusion_matrix

from toolkit import answers, selective


def examples(count):
    return [(f"rows.csv:{number + 1}", f"row {number}") for number in range(count)]


def detail(labels, metric="accuracy", **given):
    found = answers.detail(metric, labels, given, examples(len(labels)))
    json.dumps(found, allow_nan=False)
    return found


class Labels(unittest.TestCase):
    def test_every_class_has_its_figures_and_the_matrix_says_what_was_taken_for_what(self):
        found = detail(["a", "a", "a", "b"], challenger=["a", "a", "b", "b"])
        self.assertEqual(found["confusion"], {"labels": ["a", "b"], "challenger": [[2, 1], [0, 1]]})
        first, second = found["classes"]
        self.assertEqual((first["label"], first["examples"]), ("a", 3))
        self.assertAlmostEqual(first["challenger"]["recall"], 2 / 3)
        self.assertEqual(second["challenger"], {"precision": 0.5, "recall": 1.0, "f1": 2 / 3})
        self.assertNotIn("differing", found)

    def test_they_are_those_of_scikit_learn(self):
        labels = [str(n % 7) for n in range(200)]
        given = [str((n * n) % 7) for n in range(200)]
        found = detail(labels, challenger=given)
        report = classification_report(labels, given, output_dict=True, zero_division=0)
        for entry in found["classes"]:
            expected = report[entry["label"]]
            for name, key in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
                self.assertAlmostEqual(entry["challenger"][name], expected[key])
        matrix = confusion_matrix(labels, given, labels=found["confusion"]["labels"])
        self.assertEqual(found["confusion"]["challenger"], matrix.tolist())

    def test_an_answer_that_no_example_has_is_a_column(self):
        found = detail(["a", "b"], challenger=["a", "c"])
        self.assertEqual(found["confusion"]["labels"], ["a", "b", "c"])
        self.assertEqual(found["confusion"]["challenger"], [[1, 0, 0], [0, 0, 1], [0, 0, 0]])
        self.assertEqual(found["classes"][2]["challenger"], {"precision": 0.0, "recall": 0.0, "f1": 0.0})

    def test_whole_numbers_are_one_label_however_they_are_written(self):
        found = detail(["3", "4"], challenger=["3.0", "4"])
        self.assertEqual(found["confusion"], {"labels": ["3", "4"], "challenger": [[1, 0], [0, 1]]})

    def test_many_classes_are_bounded_and_no_example_is_lost(self):
        labels = [f"class {n % 100} " + "x" * 500 for n in range(1000)]
        found = detail(labels, challenger=labels)
        self.assertEqual(len(found["classes"]), answers.CLASSES)
        self.assertEqual(found["confusion"]["labels"][-1], answers.OTHERS)
        self.assertEqual(sum(map(sum, found["confusion"]["challenger"])), 1000)
        self.assertLess(len(json.dumps(found)), 30_000)


class Differing(unittest.TestCase):
    def test_what_was_lost_comes_first(self):
        found = detail(["a", "a", "b", "b"], challenger=["a", "b", "b", "c"], champion=["b", "a", "b", "a"])
        differing = found["differing"]
        self.assertEqual((differing["count"], differing["better"], differing["worse"]), (3, 1, 1))
        self.assertEqual(
            differing["examples"][0],
            {"example": "rows.csv:2", "asked": "row 1", "label": "a", "challenger": "b", "champion": "a"},
        )
        self.assertEqual([entry["example"] for entry in differing["examples"]][1:], ["rows.csv:4", "rows.csv:1"])
        self.assertEqual(set(found["confusion"]), {"labels", "challenger", "champion"})

    def test_of_many_both_ends_are_shown(self):
        labels = ["a"] * 200
        found = detail(labels, challenger=["a", "b"] * 100, champion=["b", "a"] * 100)
        told = [(entry["challenger"], entry["champion"]) for entry in found["differing"]["examples"]]
        self.assertEqual(told, [("b", "a")] * 10 + [("a", "b")] * 10)
        self.assertEqual(found["differing"]["count"], 200)

    def test_models_that_agree_differ_nowhere(self):
        found = detail(["a", "b"], challenger=["a", "a"], champion=["a", "a"])
        self.assertEqual(found["differing"], {"count": 0, "better": 0, "worse": 0, "examples": []})


class Numbers(unittest.TestCase):
    def test_errors_are_shown_against_the_truth(self):
        found = detail(["1.5", "2"], metric="r2", challenger=["1.4", "2"], champion=["9", "2.5"])
        self.assertEqual(found["residuals"], {"truth": [1.5, 2.0], "challenger": [1.4, 2.0], "champion": [9.0, 2.5]})
        self.assertEqual((found["differing"]["better"], found["differing"]["worse"]), (2, 0))

    def test_a_plot_has_so_many_points_from_the_first_to_the_last(self):
        labels = [str(n + 0.5) for n in range(10_000)]
        truth = detail(labels, metric="neg_mean_absolute_error", challenger=labels)["residuals"]["truth"]
        self.assertEqual((len(truth), truth[0], truth[-1]), (answers.POINTS, 0.5, 9999.5))

    def test_what_is_no_number_has_no_plot(self):
        self.assertEqual(detail(["1.5", "2"], metric="r2", challenger=["a", "b"]), {})


class Threshold(unittest.TestCase):
    """What a threshold makes of the answers."""

    def judged(self, text, champion=None, champion_sure=None):
        labels, texts = ["7", "7", "3", "3"], {"challenger": ["7", "7.0", "7", "3"]}
        sure = {"challenger": [0.99, 0.9, 0.8, 0.5]}
        texts.update({"champion": champion} if champion else {})
        sure.update({"champion": champion_sure} if champion_sure else {})
        return selective.judged(text, labels, texts, sure, 0.95)

    def test_coverage_is_what_is_answered_and_precision_what_of_it_is_right(self):
        for text, answered, right in [("0.8", 3, 2), ("0.81", 2, 2), ("0.1", 4, 3), ('{"7":0.95}', 2, 2), ("1", 0, 0)]:
            at = self.judged(text)[0]["challenger"]
            self.assertEqual((at["examples"], at["answered"], at["coverage"]), (4, answered, answered / 4))
            self.assertEqual(at["precision"], right / answered if answered else None)
            self.assertEqual(at["precision_interval"] is None, not answered)

    def test_the_interval_is_wilson_s(self):
        # Brown, Cai and DasGupta (2001): by hand, of 8 of 10, and of 10 of 10.
        for found, right in [((8, 10), (0.4902, 0.9433)), ((10, 10), (0.7225, 1.0)), ((0, 10), (0.0, 0.2775))]:
            low, high = selective.wilson(*found, 0.95)
            self.assertAlmostEqual(low, right[0], places=4)
            self.assertAlmostEqual(high, right[1], places=4)

    def test_the_curve_is_the_same_at_many_thresholds(self):
        curve = self.judged("0.8")[1]["challenger"]
        self.assertEqual([curve[0]["threshold"], curve[-1]["threshold"]], [0.0, 1.0])
        self.assertEqual((curve[0]["coverage"], curve[0]["precision"]), (1.0, 0.75))
        self.assertEqual((curve[-1]["coverage"], curve[-1]["precision"]), (0, None))
        coverages = [point["coverage"] for point in curve]
        self.assertEqual(coverages, sorted(coverages, reverse=True))

    def test_a_champion_that_says_no_confidence_is_judged_without(self):
        at, curves = self.judged("0.8", ["7", "7", "3", "3"])
        self.assertEqual((at["champion"], set(curves)), (None, {"challenger"}))
        at, curves = self.judged("0.8", ["7", "7", "3", "3"], [1.0] * 4)
        self.assertEqual((at["champion"]["precision"], set(curves)), (1.0, {"challenger", "champion"}))


if __name__ == "__main__":
    unittest.main()
