"""What pages are made with: templates, text within scripts, and which scripts may run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2

from ratchet.terminal import shown

TEMPLATES = Path(__file__).parent / "templates"


def templates() -> jinja2.Environment:
    """The templates. In any text its control characters are told: a bidirectional one would make a page read
    otherwise."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        finalize=_printable,
    )


def _printable(value: object) -> object:
    return shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def script_json(document: Any) -> str:
    """JSON that stands in a script element: nothing in it ends the element, or begins a comment. Raises ValueError for
    a number that JSON has not."""
    return json.dumps(document, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def script_text(source: str) -> str:
    """JavaScript that stands in a script element; the texts that would end it are in strings and expressions only."""
    return source.replace("</script", "<\\/script").replace("<!--", "\\x3c!--")


def policy(scripts: Sequence[str], *more: str) -> str:
    """A Content-Security-Policy under which these scripts run and no other, and nothing is loaded but what stands in
    the page (https://www.w3.org/TR/CSP3/). more: directives instead of that for images."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    sources = " ".join(f"'sha256-{digest}'" for digest in digests)
    own = ["default-src 'none'", "style-src 'unsafe-inline'", f"script-src {sources}", "base-uri 'none'"]
    return "; ".join([*own, "form-action 'none'", *(more or ["img-src data:"])])
