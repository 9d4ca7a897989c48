"""The chain's first container, in scikit-learn's image: cars in words in, numbers out.

train.py encodes what it learns from by the same functions, so what is learned from is what is asked.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.preprocessing import OrdinalEncoder

FILE = "features.json"


@dataclass(frozen=True)
class Features:
    """The columns' names, and the encoder that knows each column's words."""

    columns: list
    encoder: OrdinalEncoder

    def numbers(self, rows):
        """Rows of words -> numbers (n, columns): a word's place among those of its column."""
        for number, row in enumerate(rows, start=1):
            self._check(number, row)
        return self.encoder.transform(np.array(rows, dtype=object))

    def _check(self, number, row):
        if len(row) != len(self.columns):
            raise ValueError(f"row {number} has {len(row)} words; {len(self.columns)} are needed: {self._named()}")
        for place, known in enumerate(self.encoder.categories_):
            if row[place] not in known:
                what = f"{self.columns[place]} is {row[place]!r}; known: {', '.join(known)}"
                raise ValueError(f"row {number}: {what}")

    def _named(self):
        return ", ".join(self.columns)

    def save(self, model_dir):
        """As JSON: the image that serves has another scikit-learn than the one that trains, and might not read its
        pickles."""
        words = [known.tolist() for known in self.encoder.categories_]
        Path(model_dir, FILE).write_text(json.dumps({"columns": self.columns, "words": words}, indent=2))


def fitted(columns, rows):
    """The features of a table: each column's words, in their alphabet's order."""
    return Features(list(columns), OrdinalEncoder().fit(np.array(rows, dtype=object)))


def model_fn(model_dir):
    """The features that train.py has saved."""
    saved = json.loads(Path(model_dir, FILE).read_text())
    words = [np.array(known, dtype=object) for known in saved["words"]]
    # With its words given, the encoder learns nothing from the one row that it is shown.
    encoder = OrdinalEncoder(categories=words).fit(np.array([[known[0] for known in words]], dtype=object))
    return Features(saved["columns"], encoder)


def input_fn(body, content_type):
    """A request -> rows of words: a car a line (text/csv), or a list of lists (application/json)."""
    if content_type == "text/csv":
        return [row for row in csv.reader(body.lstrip("\ufeff").splitlines()) if row]
    if content_type == "application/json":
        return json.loads(body)
    raise ValueError(f"content type {content_type}: send text/csv or application/json")


def predict_fn(rows, features):
    """Rows of words -> numbers."""
    return features.numbers(rows)


def output_fn(numbers, _accept):
    """Numbers -> JSON. The next container reads it exactly; of text/csv its type would arrive with a charset."""
    return json.dumps(numbers.tolist()), "application/json"
