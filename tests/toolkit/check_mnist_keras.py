"""mnist_keras, on PyTorch, where it is judged and served: what it answers, and what it says of bad input."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

os.environ["KERAS_BACKEND"] = "torch"
sys.path.insert(0, str(Path(__file__).parents[2] / "training_code" / "mnist_keras"))

import digits
import example_digits
import keras
import numpy as np
import serve
import train

ROWS = np.random.default_rng(0).integers(0, 256, (3, digits.PIXELS))
TEXT = "".join(",".join(map(str, row)) + "\n" for row in ROWS.tolist())


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def archive():
    """An npz file: many arrays, where one is asked for."""
    file = io.BytesIO()
    np.savez(file, x=ROWS)
    return file.getvalue()


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Answers(Folder):
    def setUp(self):
        super().setUp()
        keras.utils.set_random_seed(0)
        self.model = train.convnet(0.5)
        self.model.save(self.folder / train.MODEL)

    def test_the_same_digits_are_answered_alike_in_each_form(self):
        model = serve.model_fn(self.folder)
        self.assertEqual(model.count_params(), 34_826)
        expected = self.model.predict(ROWS.reshape(-1, 28, 28, 1) / 255, verbose=0)
        for body, kind in (
            (TEXT, "text/csv"),
            (TEXT.encode(), "text/csv; charset=utf-8"),
            (json.dumps(ROWS.tolist()), "application/json"),
            (json.dumps(ROWS.reshape(-1, 28, 28).tolist()), "application/json"),
            (saved(ROWS.astype(np.uint8)), "application/x-npy"),
            (saved(ROWS.reshape(-1, 28, 28).astype(np.float64)), "application/x-npy"),
        ):
            probabilities = serve.predict_fn(serve.input_fn(body, kind), model)
            np.testing.assert_allclose(probabilities, expected, atol=1e-6, err_msg=kind)
        labels, kind = serve.output_fn(probabilities, "text/csv")
        self.assertEqual((labels.split(), kind), ([str(label) for label in expected.argmax(1)], "text/csv"))
        told, kind = serve.output_fn(probabilities, "application/json")
        self.assertEqual([each["digit"] for each in json.loads(told)], expected.argmax(1).tolist())
        array, kind = serve.output_fn(probabilities, "application/x-npy")
        np.testing.assert_array_equal(np.load(io.BytesIO(array)), probabilities)

    def test_one_digit_as_a_list_is_one(self):
        for body in (ROWS[0].tolist(), ROWS[0].reshape(28, 28).tolist()):
            self.assertEqual(serve.input_fn(json.dumps(body), "application/json").shape, (1, 28, 28, 1))

    def test_what_is_no_request_is_told_so(self):
        for body, kind, message in (
            (TEXT, "text/plain", "content type text/plain: send text/csv, application/json or application/x-npy"),
            ("1,2,3\n", "text/csv", "the request has the shape (1, 3); digits are (n, 784) or (n, 28, 28)"),
            (TEXT.replace(",", ",x", 1), "text/csv", "the request can't be read: could not convert string"),
            (TEXT.replace(",", ",-1.", 1), "text/csv", "the request: pixel 1 of digit 1 is -1."),
            (
                "nan," + TEXT.splitlines()[0].partition(",")[2],
                "text/csv",
                "pixel 0 of digit 1 is nan; a pixel has 0 to",
            ),
            ("", "text/csv", "the request has no line"),
            (b"\xff1,2", "text/csv", "the request isn't UTF-8: invalid start byte at byte 0"),
            ("{", "application/json", "the request is no JSON: Expecting"),
            ('{"a": 1}', "application/json", "the request holds object where pixels are numbers from 0 to 255"),
            ("[[1, 2], [3]]", "application/json", "the request's rows must be equally long lists of numbers"),
            ("[]", "application/json", "the request has the shape (0,); digits are (n, 784) or (n, 28, 28)"),
            (json.dumps((ROWS / 255).tolist()), "application/json", "holds numbers from 0 to 1; a pixel has 0 to 255"),
            (b"no array", "application/x-npy", "the request is no array in NPY: "),
            (archive(), "application/x-npy", "the request is no array in NPY: "),
            (saved(np.array([print]), allow_pickle=True), "application/x-npy", "the request is no array in NPY: "),
            (saved(np.zeros((2, 32, 32))), "application/x-npy", "the request has the shape (2, 32, 32); digits are"),
            (saved(np.full((1, 784), "a")), "application/x-npy", "the request holds <U1 where pixels are numbers"),
            (saved(np.full((1, 784), np.inf)), "application/x-npy", "the request: pixel 0 of digit 1 is inf; a pixel"),
        ):
            with self.subTest(message), self.assertRaises((serve.RequestError, digits.DigitsError)) as refused:
                serve.input_fn(body, kind)
            self.assertIn(message, str(refused.exception))

    def test_a_model_whose_layers_are_code_is_not_loaded(self):
        code = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Lambda(lambda x: x)])
        code.save(self.folder / train.MODEL)
        with self.assertRaisesRegex(ValueError, "lambda"):
            serve.model_fn(self.folder)


class Data(Folder):
    def test_all_files_of_a_channel_are_read(self):
        pictures = ROWS.reshape(-1, 28, 28).astype(np.uint8)
        for name in ("a", "b"):
            (self.folder / f"{name}.csv").write_text("\ufeff" + digits.csv_text([7, 0, 9], pictures))
        read, labels = digits.load(self.folder)
        self.assertEqual(labels.tolist(), [7, 0, 9, 7, 0, 9])
        np.testing.assert_array_equal(np.round(read[3:, ..., 0] * 255), pictures)

    def test_files_that_hold_no_digits_are_told_so(self):
        row = TEXT.splitlines()[0]
        for text, message in (
            (None, "no CSV file in "),
            (f"{row}\n", "digits.csv has 784 columns; a label and 784 pixels are 785"),
            (f"10,{row}\n", "digits.csv: the label of digit 1 is 10.0; labels are 0 to 9"),
            (f"0.5,{row}\n", "digits.csv: the label of digit 1 is 0.5; labels are 0 to 9"),
            (f"label,{row}\n", "digits.csv can't be read: could not convert string"),
            (f"1,256,{row.partition(',')[2]}\n", "digits.csv: pixel 0 of digit 1 is 256; a pixel has 0 to 255"),
            ("", "digits.csv has no line"),
        ):
            if text is not None:
                (self.folder / "digits.csv").write_text(text)
            with self.subTest(message), self.assertRaises(digits.DigitsError) as refused:
                digits.load(self.folder)
            self.assertIn(message, str(refused.exception))

    def test_example_digits_keep_their_brightness(self):
        small = np.zeros((1, 8, 8))
        small[0, 3:5, 3:5] = 16
        (large,) = example_digits.scaled(small)
        self.assertEqual((large.shape, large[13, 13], large[0].max()), ((28, 28), 255, 0))
        self.assertEqual(example_digits.scaled(np.full((1, 8, 8), 16.0))[0, 4:24, 4:24].min(), 255)


class Arguments(Folder):
    def parsed(self, *words):
        said = io.StringIO()
        given = ["train.py", "--model-dir", str(self.folder), *words]
        with mock.patch.object(sys, "argv", given), contextlib.redirect_stderr(said):
            try:
                return train.parse_arguments(), ""
            except SystemExit:
                return None, said.getvalue()

    def test_a_trial_s_folder_comes_by_the_name_that_tensorflow_s_container_gives_it(self):
        found, _ = self.parsed("--model_dir", str(self.folder / "trial"))
        self.assertEqual(found.model_dir, self.folder / "trial")

    def test_hyperparameters_that_can_t_be_are_refused(self):
        for words, message in (
            (("--epochs", "0"), "argument --epochs: is 0; it must be a whole number, at least 1"),
            (("--epochs", "2.5"), "argument --epochs: is 2.5; it must be a whole number, at least 1"),
            (("--batch-size", "-1"), "argument --batch-size: is -1; it must be a whole number, at least 1"),
            (("--learning-rate", "0"), "argument --learning-rate: is 0; it must be a number, above 0"),
            (("--learning-rate", "nan"), "argument --learning-rate: is nan; it must be a number, above 0"),
            (("--dropout", "1"), "argument --dropout: is 1; it must be a number, at least 0 and below 1"),
            (("--epoch-size", "1"), "unrecognized arguments: --epoch-size 1"),
        ):
            with self.subTest(message):
                found, said = self.parsed(*words)
                self.assertIsNone(found)
                self.assertIn(message, said)

    def test_a_split_that_leaves_nothing_is_refused(self):
        (self.folder / "digits.csv").write_text("".join(f"1,{row}\n" for row in TEXT.splitlines()))
        for share, message in (("0.1", "leaves 3 to learn from and 0 to judge by"), ("0.9", "leaves 0 to learn from")):
            found, _ = self.parsed("--train", str(self.folder), "--validation", share)
            with self.assertRaisesRegex(SystemExit, message):
                train.load(found)


if __name__ == "__main__":
    unittest.main()
