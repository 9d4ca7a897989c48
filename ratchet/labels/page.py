"""An audit of labels as one page that loads nothing: the suspects, what is right of them, and that as a file.

Whatever an example, a label or a file's name holds, nothing of it runs: texts are escaped, pictures stand in <img>.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contract import label_audits
from ratchet import pages
from ratchet.labels.audits import Audit
from ratchet.terminal import shown

SCRIPT = pages.TEMPLATES / "labels.js"
# Of pairs of labels, the most frequent.
_PAIRS = 12


@dataclass(frozen=True)
class Where:
    """Whose labels they are, and of which audit."""

    pipeline: str
    environment: str
    prefix: str
    audit: str
    at: datetime


def rendered(audit: Audit, where: Where) -> str:
    """The page."""
    script = pages.script_text(SCRIPT.read_text(encoding="utf-8"))
    return (
        pages.templates()
        .get_template("labels.html.j2")
        .render(
            audit=audit,
            where=where,
            pairs=audit.pairs[:_PAIRS],
            document=pages.script_json(_document(audit, where)),
            script=script,
            policy=pages.policy([script]),
        )
    )


def write(audit: Audit, where: Where, path: Path) -> None:
    """Writes the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rendered(audit, where), encoding="utf-8")


def _document(audit: Audit, where: Where) -> dict[str, Any]:
    """What the page's script needs: what the file of corrections says of itself, the classes, and the suspects."""
    return {
        "file": {
            "version": label_audits.VERSION,
            "pipeline": where.pipeline,
            "environment": where.environment,
            "channel": audit.channel,
            "audit": where.audit,
        },
        # As they are, and as a person may see them.
        "classes": [[name, shown(name)] for name in audit.classes],
        "suspects": [
            {"place": each.place, "given": each.given, "suggested": each.suggested} for each in audit.suspects
        ],
    }
