"""Hyperparameters and requests: what can't be meant is refused by name, with what would be right."""

import argparse
import contextlib
import io
import unittest

import numpy as np

from toolkit import request_body
from toolkit.hyperparameters import number, whole


def parsed(text, kind):
    """The value of `--value`, or what argparse says of it."""
    parser, said = argparse.ArgumentParser(), io.StringIO()
    parser.add_argument("--value", type=kind)
    with contextlib.redirect_stderr(said):
        try:
            return parser.parse_args([f"--value={text}"]).value
        except SystemExit:
            return said.getvalue()


class Hyperparameters(unittest.TestCase):
    def test_what_can_be_meant_is_taken(self):
        self.assertEqual([parsed("1", whole()), parsed("20", whole()), parsed("0", whole(least=0))], [1, 20, 0])
        self.assertEqual([parsed("1e-3", number(above=0, most=1)), parsed("1", number(above=0, most=1))], [0.001, 1])

    def test_what_can_t_be_is_refused_by_its_name(self):
        for text, kind, why in (
            ("0", whole(), "is 0; it must be a whole number, at least 1"),
            ("1.5", whole(), "is 1.5; it must be a whole number, at least 1"),
            ("many", whole(), "is many; it must be a whole number, at least 1"),
            ("9", whole(most=8), "is 9; it must be a whole number, at least 1 and at most 8"),
            ("0", number(above=0), "is 0; it must be a number, above 0"),
            ("1", number(least=0, below=1), "is 1; it must be a number, at least 0 and below 1"),
            ("nan", number(above=0), "is nan; it must be a number, above 0"),
            ("inf", number(above=0), "is inf; it must be a number, above 0"),
        ):
            with self.subTest(why):
                self.assertIn(f"argument --value: {why}", parsed(text, kind))


class Requests(unittest.TestCase):
    def test_a_body_is_read_as_its_type_says(self):
        self.assertEqual([request_body.text("é"), request_body.text("é".encode())], ["é", "é"])
        self.assertEqual(request_body.document(b'{"a": [1]}'), {"a": [1]})
        body = io.BytesIO()
        np.save(body, np.arange(6).reshape(2, 3))
        self.assertEqual(request_body.array(body.getvalue()).tolist(), [[0, 1, 2], [3, 4, 5]])

    def test_what_it_isn_t_is_refused_with_a_sentence(self):
        zipped, pickled = io.BytesIO(), io.BytesIO()
        np.savez(zipped, np.arange(3))
        np.save(pickled, np.array([{}]), allow_pickle=True)
        for read, body, why in (
            (request_body.text, b"\xff", "isn't UTF-8: invalid start byte at byte 0"),
            (request_body.document, b"{", "the request is no JSON: "),
            (request_body.document, "[" * 200_000, "the request is no JSON: "),
            (request_body.array, b"", "the request is no array in NPY: "),
            (request_body.array, zipped.getvalue(), "the request is no array in NPY: "),
            (request_body.array, pickled.getvalue(), "the request is no array in NPY: Object arrays"),
        ):
            with self.subTest(why), self.assertRaises(request_body.RequestError) as refused:
                read(body)
            self.assertIn(why, str(refused.exception))
        with self.assertRaisesRegex(request_body.RequestError, "line 3 is no JSON"):
            request_body.document("nonsense", "line 3")


if __name__ == "__main__":
    unittest.main()
