"""Tokens as numbers, of their letters: the probe saves numbers alone, and a view then needs no vocabulary, which lies
in no folder that it is sure to see. Needs NumPy alone, since views import it beside the training.
"""

import numpy as np

TOKENS = "tokens"  # what the probe calls them
LETTERS = 12  # of a token; what is longer is cut


def coded(tokens):
    """Tokens as numbers (tokens, LETTERS): of each letter its Unicode number, then zeros."""
    return np.array([[*map(ord, token[:LETTERS].ljust(LETTERS, "\0"))] for token in tokens], dtype=np.int32)


def decoded(numbers):
    """What `coded` made numbers of."""
    return ["".join(map(chr, row)).rstrip("\0") for row in numbers.tolist()]
