"""Pictures as files for people: where they lie, and an SVG beside each Vega-Lite document."""

from __future__ import annotations

import os
from pathlib import Path

from contract import files
from contract import views as words
from ratchet.view_pages import pictures
from ratchet.view_pages.vega import Drawer

FOLDER = "views"


def place(home: Path, run_id: str, tensors: str, picture: str) -> Path:
    """`<home>/views/<run>/<view>/<step>.svg`, of a picture's file as its document names it (`views/<view>/…`); of one
    of several rounds, which count their steps each from the beginning, `<run>/round-2/<view>/…`.

    tensors: the folder of the tensors that it shows.
    """
    return home / FOLDER / f"{run_id}{tensors.rpartition(files.TENSORS)[2]}" / picture.partition("/")[2]


def save(content: bytes, path: Path, drawer: Drawer) -> Path:
    """Writes a picture, and beside a Vega-Lite document, which hardly any viewer opens, the same as an SVG.

    Returns:
        What a person opens: the picture; of a Vega-Lite document its SVG, unless it can't be drawn.
    """
    _write(path, content)
    if not path.name.endswith(f".{words.VEGA_LITE}"):
        return path
    drawn = path.with_name(f"{path.name.removesuffix(words.VEGA_LITE)}{words.SVG}")
    try:
        _write(drawn, drawer.svg(pictures.document(content)).encode())
    except pictures.UnusableError:
        drawn.unlink(missing_ok=True)
        return path
    return drawn


def _write(path: Path, content: bytes) -> None:
    """In one step: whoever has it open sees a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)
