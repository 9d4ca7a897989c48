"""Labels as lines of a manifest, as SageMaker Ground Truth writes its own.

Developer guide, "Labeling job output data", Classification job output: the label is the class's index, its metadata
has the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contract import manifests
from contract.held_out_lines import REFERENCE, SOURCE
from ratchet.errors import UserError
from ratchet.labels.consolidation import Consolidation

ATTRIBUTE = "class"
# The job-name of what no labeling job has made.
CONSOLIDATION = "ratchet-labels/consolidation"
_TYPES = {REFERENCE: "groundtruth/image-classification", SOURCE: "groundtruth/text-classification"}


def entry(source: str, value: int, metadata: Mapping[str, Any], attribute: str = ATTRIBUTE) -> dict[str, Any]:
    """A line: an S3 URI is referred to, any other text stands in it."""
    kind = REFERENCE if source.startswith("s3://") else SOURCE
    return {kind: source, attribute: value, manifests.metadata_of(attribute): {**metadata, "type": _TYPES[kind]}}


def metadata(name: str, *, confidence: float, job: str, human: bool, at: datetime) -> dict[str, Any]:
    """What is said of a label beside its index."""
    return {
        "class-name": name,
        "confidence": round(confidence, 4),
        "job-name": job,
        "human-annotated": "yes" if human else "no",
        "creation-date": at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds"),
    }


def check_attribute(name: str) -> None:
    """Raises UserError for a name that no label's attribute may have."""
    if not name or name == SOURCE or name.endswith((manifests.METADATA, manifests.REFERENCE)):
        message = f"--attribute is {name!r}; a label's attribute is called neither {SOURCE} nor …-metadata or …-ref"
        raise UserError(f"{message}, as {ATTRIBUTE}")


def consolidated(found: Consolidation, attribute: str = ATTRIBUTE) -> str:
    """A manifest of consolidated labels, as of this moment."""
    at, places = datetime.now(UTC), {label: index for index, label in enumerate(found.classes)}
    return manifests.written(
        entry(
            item.item,
            places[item.label],
            metadata(item.label, confidence=item.confidence, job=CONSOLIDATION, human=True, at=at),
            attribute,
        )
        for item in found.items
    )
