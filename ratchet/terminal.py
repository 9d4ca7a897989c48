"""Text from elsewhere (jobs' logs, events, objects' keys, errors) as a terminal may be given it.

A terminal obeys what it is sent: escape sequences rewrite lines, set the clipboard, answer as if the user had typed.
Bidirectional controls make a line read as another. Such characters are shown as Python writes them; tabs, newlines and
all other text stay as they are.
"""

from __future__ import annotations

import re

# Controls (C0 but tab and newline, DEL, C1), the bidirectional ones, separators of lines and paragraphs, halves of
# surrogate pairs, and what no text may hold.
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_LINE_ENDS = re.compile(r"\r+(?=\n|\Z)")


def shown(text: str) -> str:
    """The text with its control characters told instead of sent; a carriage return at a line's end is left out."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], _LINE_ENDS.sub("", text))


def shown_json(text: str) -> str:
    """A JSON text with its control characters as JSON escapes them: they stand in strings only."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
