"""Judging what models have answered over HTTP. Runs in an image's Python."""

import json
import unittest

from judging_kit import REPEATS, Judging

from contract import files

ROWS = "0,0,0\n1,1,1\n2,2,2\n0,0,0\n1,1,2\n2,2,1\n" * 30


class Answered(Judging):
    """A challenger and a champion whose answers lie where transform jobs write them."""

    def setUp(self):
        super().setUp()
        self.ask([row.partition(",")[2] for row in ROWS.splitlines()])

    def ask(self, rows, name="part-00000.csv"):
        self.write(files.ASKED, name, "".join(f"{row}\n" for row in rows))

    def write(self, folder, name, text):
        path = self.input / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def answers(self, texts, name="challenger", part="part-00000.csv"):
        text = texts if isinstance(texts, (str, bytes)) else "\n".join(texts) + "\n"
        self.write(name, f"{part}.out", text)

    def said(self, column):
        return [row.split(",")[column] for row in ROWS.splitlines()]

    def run_script(self, *arguments, metric="accuracy"):
        return super().run_script("--answered", *arguments, metric=metric)


class Figures(Answered):
    def test_are_those_of_models_that_answer_here(self):
        self.answers(self.said(1))
        self.answers(self.said(2), "champion")
        found = self.judged("--classes")
        # The same models in an image: one that repeats its first column, one its second.
        self.model()
        self.model("champion", REPEATS, column="1")
        Judging.run_script(self, "--classes")
        self.assertEqual(found, json.loads((self.output / files.EVALUATION_FILE).read_text()))
        self.assertEqual(found["difference"], 1 - 2 / 3)

    def test_without_a_champion(self):
        self.answers(self.said(1))
        found = self.judged()
        self.assertEqual((found["challenger"]["score"], found["champion"]), (1.0, None))

    def test_probabilities_for_each_class(self):
        self.answers(
            "".join(f"{','.join('1' if n == int(label) else '0' for n in range(3))}\n" for label in self.said(0))
        )
        self.assertAlmostEqual(self.judged(metric="neg_log_loss")["challenger"]["score"], 0.0)

    def test_lines_of_json(self):
        self.answers([json.dumps([1.0 if n == int(label) else 0.0 for n in range(3)]) for label in self.said(0)])
        self.assertAlmostEqual(self.judged(metric="neg_log_loss")["challenger"]["score"], 0.0)
        self.only("rows.csv", "one,1\ntwo,2\n" * 10)
        self.ask(["1", "2"] * 10)
        self.answers(['"one"', '"two"'] * 10)
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_numbers(self):
        self.answers([f"{float(label) + 0.5}" for label in self.said(0)])
        self.assertEqual(self.judged(metric="neg_mean_absolute_error")["challenger"]["score"], -0.5)

    def test_parts_follow_each_other(self):
        rows = [row.partition(",")[2] for row in ROWS.splitlines()]
        self.ask(rows[:100])
        self.ask(rows[100:], "part-00001.csv")
        self.answers(self.said(1)[:100])
        self.answers(self.said(1)[100:], part="part-00001.csv")
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_json_lines(self):
        documents = [{"n": n, "label": n % 2} for n in range(20)]
        self.only("rows.jsonl", "".join(json.dumps(each) + "\n" for each in documents))
        (self.input / files.ASKED / "part-00000.csv").unlink()
        self.ask([json.dumps({"n": each["n"]}) for each in documents], "part-00000.jsonl")
        self.answers([str(each["label"]) for each in documents], part="part-00000.jsonl")
        found = self.judged()
        self.assertEqual(found["challenger"]["score"], 1.0)
        self.assertEqual(
            found["samples"][0], {"body": '{"n": 0}', "content_type": "application/jsonlines", "answer": "0"}
        )

    def test_a_label_that_is_quoted_or_has_a_comma(self):
        self.only("rows.csv", '"a, b",1\n"c ""d""",2\n' * 10)
        self.ask(["1", "2"] * 10)
        self.answers(['"a, b"', 'c "d"'] * 10)
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_an_empty_line_behind_each_request_is_no_answer(self):
        # AssembleWith: Line adds a line break where an answer may have ended in one already.
        said = self.said(1)
        self.answers("\n".join([*said[:90], "", *said[90:], "", ""]))
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)


class Refusals(Answered):
    """What is no answer, each in a sentence with the row."""

    def bad(self, answers, *parts, **options):
        self.answers(answers)
        self.refused(*parts, **options)

    def test_too_few(self):
        self.bad(
            self.said(1)[:-1],
            "the challenger gave 179 answers to 180 examples (rows.csv:1 to rows.csv:180); its container must give one "
            "line an example, in their order",
        )

    def test_too_many(self):
        self.bad([*self.said(1), "0"], "gave 181 answers to 180 examples (rows.csv:1 to rows.csv:180)")

    def test_one_for_all(self):
        self.bad("7\n", "gave 1 answers to 180 examples")

    def test_none(self):
        self.bad("", "gave 0 answers to 180 examples")

    def test_no_file(self):
        self.write("challenger", "other.csv.out", "0\n")
        self.refused("the challenger gave no answers to 180 examples (rows.csv:1 to rows.csv:180)")

    def test_columns(self):
        self.bad(
            [f"{label},0.9" for label in self.said(1)],
            "the challenger answers 2 columns (0,0.9); for text/csv its container must give one label or number a line",
        )

    def test_an_empty_one(self):
        said = self.said(1)
        said[4] = ""
        self.bad(said, "the challenger's answer to rows.csv:5 is empty; a label or a number is needed")

    def test_nan(self):
        said = self.said(1)
        said[0] = "NaN"
        self.bad(said, "the challenger's answer to rows.csv:1 is NaN; a label or a number is needed")

    def test_bytes(self):
        self.bad(b"\xff\xfe0\n", "the challenger's answers (rows.csv:1 to rows.csv:180) are no text in UTF-8")

    def test_words_where_numbers_are_needed(self):
        self.bad(["seven"] * 180, "challenger", "seven", metric="neg_mean_absolute_error")

    def test_probabilities_of_too_few_classes(self):
        self.bad(["0.5,0.5"] * 180, "challenger", "2", "3", metric="neg_log_loss")

    def test_other_rows_than_were_asked(self):
        self.ask(["9,9", *(row.partition(",")[2] for row in ROWS.splitlines()[1:])])
        self.bad(self.said(1), "the held-out data have changed while the models answered: rows.csv:1 is another row")

    def test_fewer_rows_than_were_asked(self):
        self.ask([row.partition(",")[2] for row in ROWS.splitlines()][:-1])
        self.bad(self.said(1)[:-1], "have changed", "there are 180, of which 179 were asked; start another run")

    def test_no_challenger(self):
        self.refused("no answers to judge:", "challenger is missing")


class Champions(Answered):
    def setUp(self):
        super().setUp()
        self.answers(self.said(1))

    def cannot_answer(self):
        return self.judged()["champion"]["cannot_answer"]

    def test_that_its_job_has_failed_is_no_error_of_the_run(self):
        why = "the champion can't answer rows.csv:1: its container answered 500: odd"
        self.write("champion", files.NO_ANSWERS, json.dumps({"cannot_answer": why}))
        self.assertEqual(self.cannot_answer(), why)

    def test_nor_too_few_answers(self):
        self.answers(["0"], "champion")
        self.assertIn("the champion gave 1 answers to 180 examples", self.cannot_answer())

    def test_a_reason_that_nobody_has_written(self):
        self.write("champion", files.NO_ANSWERS, "odd")
        self.refused("no_answers.json can't be read")


if __name__ == "__main__":
    unittest.main()
