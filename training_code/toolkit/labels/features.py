"""Columns as the built-in learners take them: numbers as they are, few words as columns of 0 and 1, texts by TF-IDF.

It sees no label, so that what is told of an example's label comes from the other examples alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolkit.errors import ToolkitError
from toolkit.heldout.example import Example
from toolkit.labels.columns import columns, number, numbers

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# A column of at most so many different values, none longer, is one of words, not of texts.
MOST_WORDS, WORD_LENGTH = 50, 60
# TF-IDF: a word that stands once in all says nothing of other examples; the most frequent ones of more.
LEAST_TEXTS, MOST_TERMS = 2, 50_000


@dataclass(frozen=True)
class Features:
    """(n, m) numbers, dense, or sparse where there is text; and what they are, in words."""

    matrix: Any
    has_text: bool
    told: str


def features(examples: Sequence[Example]) -> Features:
    """
    Raises:
        ToolkitError: the examples are of a kind, or have values, that no built-in learner takes.
    """
    whole = numbers(examples)
    if whole is not None:
        return Features(whole, has_text=False, told=f"{whole.shape[1]} numbers")
    found = columns(examples)
    parts = {name: _part(name, values) for name, values in found.items()}
    used = {name: part for name, part in parts.items() if part is not None}
    if not used:
        raise ToolkitError("each column has the same value in all examples: there is nothing to tell them apart by")
    return _joined(used)


def _part(name: str, values: Sequence[Any]) -> tuple[str, Any] | None:
    """A column's kind and its features; None where all values are the same."""
    texts = ["" if value is None else str(value).strip() for value in values]
    different = set(texts)
    if len(different) < 2:
        return None
    found = [None if text == "" else number(value) for text, value in zip(texts, values)]
    if all(each is not None or text == "" for each, text in zip(found, texts)):
        return "number", _filled(found)
    if len(different) <= MOST_WORDS and max(map(len, different)) <= WORD_LENGTH:
        return "word", _of_words(texts, sorted(different))
    terms = _of_texts(texts)
    if terms is None:
        told = f"no word of column {name!r} stands in {LEAST_TEXTS} examples"
        raise ToolkitError(f"{told}: leave the column out of the data, or write probabilities() in label_audit.py")
    return "text", terms


def _filled(found: Sequence[float | None]) -> Array:
    """(n, 1), or (n, 2) where values are absent: these become the median, and a column of their own says which."""
    import numpy as np

    array = np.array([np.nan if each is None else each for each in found], dtype=np.float64)
    absent = np.isnan(array)
    filled = np.where(absent, np.nanmedian(array), array)
    return np.column_stack([filled, absent]) if absent.any() else filled[:, None]


def _of_words(texts: Sequence[str], different: Sequence[str]) -> Array:
    import numpy as np

    places = {text: index for index, text in enumerate(different)}
    return np.eye(len(different), dtype=np.float32)[[places[text] for text in texts]]


def _of_texts(texts: Sequence[str]) -> Any | None:
    """Single words; None where none is shared."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    terms = TfidfVectorizer(min_df=LEAST_TEXTS, max_features=MOST_TERMS, sublinear_tf=True)
    try:
        return terms.fit_transform(texts)
    except ValueError:  # scikit-learn's word for an empty vocabulary
        return None


def _joined(parts: dict[str, tuple[str, Any]]) -> Features:
    import numpy as np

    kinds = [kind for kind, _ in parts.values()]
    told = ", ".join(
        f"{count} column{'s' * (count > 1)} of {kind}s"
        for kind in ("number", "word", "text")
        if (count := kinds.count(kind))
    )
    if "text" not in kinds:
        dense = np.concatenate([part for _, part in parts.values()], axis=1)
        return Features(dense.astype(np.float32), has_text=False, told=told)
    from scipy import sparse

    scaled = [_scaled(part) if kind == "number" else part for kind, part in parts.values()]
    return Features(sparse.hstack([sparse.csr_matrix(part) for part in scaled], format="csr"), has_text=True, told=told)


def _scaled(part: Array) -> Array:
    """Each column with mean 0 and deviation 1, as a linear model wants them."""
    deviation = part.std(axis=0)
    deviation[deviation == 0] = 1
    scaled: Array = (part - part.mean(axis=0)) / deviation
    return scaled
