"""The example of a chain: trained as a job trains it, and asked as its containers are. Runs in XGBoost's image."""

import contextlib
import csv
import importlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from toolkit.served import Served

MODEL = Path(__file__).resolve().parents[2] / "training_code" / "car_evaluation"
CHAIN = [
    {"name": "features", "entry": "features.py", "framework": "sklearn", "environment": {}},
    {"name": "booster", "entry": "booster.py", "framework": None, "environment": {}},
    {"name": "labels", "entry": "labels.py", "framework": None, "environment": {}},
]


class CarEvaluation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        sys.path.insert(0, str(MODEL))
        cls.cars, cls.train = importlib.import_module("cars"), importlib.import_module("train")
        cls.run_script(cls.cars, str(cls.folder))
        cls.printed = cls.train_on(cls.folder / "train")
        (cls.folder / "model" / "code" / "chain.json").write_text(json.dumps(CHAIN))
        cls.served = Served(cls.folder / "model")
        cls.served.load()

    @staticmethod
    def run_script(script, *arguments):
        command = mock.patch("sys.argv", [str(MODEL / "script.py"), *arguments])
        with command, contextlib.redirect_stdout(io.StringIO()) as printed:
            script.main()
        return printed.getvalue()

    @classmethod
    def train_on(cls, channel):
        model = str(cls.folder / "model")
        return cls.run_script(cls.train, "--train", str(channel), "--model-dir", model, "--rounds", "60")

    def held_out(self):
        with (self.folder / "test" / "cars.csv").open(newline="") as lines:
            _, *rows = csv.reader(lines)
        return ["\n".join(",".join(row[:-1]) for row in rows), [row[-1] for row in rows]]

    def test_it_learns_the_rule(self):
        body, classes = self.held_out()
        answers = self.served.answer(body).splitlines()
        self.assertEqual(len(answers), len(classes))
        right = sum(answer == classes[number] for number, answer in enumerate(answers))
        self.assertGreater(right / len(classes), 0.95)
        self.assertRegex(self.printed, r"training on 1200 cars of 4 classes\ntrain:mlogloss=0\.0\d+\n")

    def test_one_car_is_answered_as_among_many_and_json_as_csv(self):
        body, _ = self.held_out()
        lines = body.splitlines()[:20]
        many = self.served.answer("\n".join(lines)).splitlines()
        self.assertEqual([self.served.answer(line) for line in lines], many)
        rows = json.dumps([line.split(",") for line in lines])
        self.assertEqual(json.loads(self.served.answer(rows, "application/json", "application/json")), many)

    def test_what_it_doesnt_know_is_said_with_what_it_does(self):
        for row, said in {
            "fair,little,4,4,huge,good": "row 1: boot is 'huge'; known: big, medium, small",
            "fair,little,4,4,big,good\nfair,none,4,4,big,good": "row 2: upkeep is 'none'; known: little, modest, much",
            "fair,little,4": "row 1 has 3 words; 6 are needed: price, upkeep, doors, seats, boot, safety",
        }.items():
            with self.assertRaisesRegex(ValueError, said):
                self.served.answer(row)
        with self.assertRaisesRegex(ValueError, "content type text/plain: send text/csv or application/json"):
            self.served.answer("fair", "text/plain")

    def test_wrong_files_are_named(self):
        for text, said in {
            "": r"a.csv:1 names no column class, but nothing",
            "price,class\nfair\n": r"a.csv:2 has 1 words; its first line names 2",
        }.items():
            (self.folder / "wrong").mkdir(exist_ok=True)
            (self.folder / "wrong" / "a.csv").write_text(text)
            with self.assertRaisesRegex(SystemExit, said):
                self.train.load(self.folder / "wrong")
        (self.folder / "none").mkdir()
        with self.assertRaisesRegex(SystemExit, "no CSV file in"):
            self.train.load(self.folder / "none")

    def test_files_may_have_their_columns_in_any_order(self):
        folder = self.folder / "orders"
        folder.mkdir()
        (folder / "a.csv").write_text("price,class,boot\nfair,no,big\n")
        (folder / "b.csv").write_text("\ufeffboot,price,class\nsmall,dear,yes\n\n")
        columns, rows, names = self.train.load(folder)
        self.assertEqual(
            (columns, rows, names), (["price", "boot"], [["fair", "big"], ["dear", "small"]], ["no", "yes"])
        )
        (folder / "c.csv").write_text("price,class\nfair,no\n")
        with self.assertRaisesRegex(SystemExit, "a file has no column boot, but price, class"):
            self.train.load(folder)

    def test_the_made_cars_are_the_seeds(self):
        first, again, other = self.cars.cars(), self.cars.cars(), self.cars.cars(1)
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)
        self.assertEqual({tuple(car) for car in first}, {tuple(car) for car in other})
        counts = {name: sum(car[-1] == name for car in first) for name in self.cars.CLASSES}
        self.assertEqual(counts, {"no": 1176, "perhaps": 168, "yes": 336, "at-once": 48})
        with self.assertRaisesRegex(SystemExit, "there are 1728 different cars"):
            self.run_script(self.cars, str(self.folder / "more"), "--train", "1700")


if __name__ == "__main__":
    unittest.main()
