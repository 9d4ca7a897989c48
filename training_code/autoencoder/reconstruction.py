"""The gate's metric: how much less an autoencoder loses than principal components do."""

from __future__ import annotations

import numpy as np

# Each answer's error, with the answer: the gate asks for the same ones in hundreds of resamples.
_errors = {}


def gain_over_pca(truths, answers):
    """1 minus the mean squared error a pixel over that of the best 20 principal components; greater is better.

    0 is as good as they are, 0.5 half of what they lose, 1 nothing lost.

    Args:
        truths: {"digit": pixels from 0 to 255, "pca_error": what those components lose of it} (serve.py, heldout_fn).
        answers: reconstructions, pixels from 0 to 255.

    Raises:
        ValueError: an answer has not as many pixels as the digit.
    """
    errors = [_error(truth["digit"], answer) for truth, answer in zip(truths, answers, strict=True)]
    return 1 - sum(errors) / sum(truth["pca_error"] for truth in truths)


def _error(digit, answer):
    # By identity: while an answer is kept here, no other can have its id.
    known = _errors.get(id(answer))
    if known is None:
        known = _errors[id(answer)] = (answer, squared_error(digit, answer))
    return known[1]


def squared_error(digit, answer):
    """The mean squared error a pixel, where black is 0 and white is 1."""
    if np.shape(answer) != np.shape(digit):
        raise ValueError(f"a reconstruction has the shape {np.shape(answer)}, its digit {np.shape(digit)}")
    return float(np.mean(((np.asarray(digit, float) - np.asarray(answer, float)) / 255) ** 2))
