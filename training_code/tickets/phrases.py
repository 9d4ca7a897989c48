"""The phrases of a text: words, pairs of words, and which words it begins with."""

import re
from itertools import pairwise

WORD = re.compile(r"\w+")
FIRST = 3  # words of which it is told that the text begins with them: there a ticket says what it is about


def phrases(text):
    """Words, neighbours (a b), words with another between them (a _ b), and the first ones again (^a)."""
    words = WORD.findall(text.lower())
    around = (f"{one} _ {other}" for one, other in zip(words, words[2:], strict=False))
    return [*words, *map(" ".join, pairwise(words)), *around, *(f"^{word}" for word in words[:FIRST])]
