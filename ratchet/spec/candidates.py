"""`candidates` of pipeline.yaml: scripts or hyperparameters that a run trains side by side; the best goes to the gate.

What can't go together is refused here, pair by pair: a run that tunes or goes on in rounds trains several times by
itself; views are drawn of a run's one training job; SageMaker Debugger's verdicts are one job's. An image of one's own
has no script that another could take the place of, and is asked over HTTP, one challenger at a time (own_container).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from contract import files
from contract.candidates import LEAST, MOST
from ratchet.spec.errors import checked, nearest, refusal
from ratchet.spec.instances import InstanceTypes, check_one
from ratchet.spec.model import Example, Model
from ratchet.spec.train import Hyperparameter, limit_hyperparameters

# It stands in S3 keys, in the evaluation job's folders, and in what people read.
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
NAME_LENGTH = 32
_SCRIPT = re.compile(r"[A-Za-z_]\w*\.py", re.ASCII)


def _name(value: str) -> str:
    if len(value) > NAME_LENGTH or not _NAME.fullmatch(value):
        right = f"lower-case letters, digits and single hyphens, a letter first, at most {NAME_LENGTH}, as tf-idf"
        raise ValueError(f"is {value[:80]!r}; a candidate's name has {right}")
    return value


def _script(value: str) -> str:
    if not _SCRIPT.fullmatch(value):
        raise ValueError(f"is {value!r}; write a file of the model's folder that Python can import, as embedding.py")
    if value == files.SERVING_SCRIPT:
        raise ValueError(f"is {value!r}, which serves; name a script that trains")
    return value


class Candidate(Model):
    """One of them: a script, hyperparameters over the common ones, or both."""

    name: Annotated[str, AfterValidator(checked(_name)), Example("name: tf-idf")]
    entry: Annotated[
        str, AfterValidator(checked(_script)), Field(description="The file of the model's folder that trains it")
    ] = files.TRAINING_SCRIPT
    hyperparameters: Annotated[
        Mapping[str, Hyperparameter], Field(description="Over those of train.hyperparameters, which it has besides")
    ] = {}


def check_candidates(candidates: Sequence[Candidate], common: Mapping[str, str], types: InstanceTypes) -> None:
    """Raises a refusal of too few, too many, or two that are the same."""
    if not candidates:
        return
    if not LEAST <= len(candidates) <= MOST:
        count = f"{len(candidates)} entr{'y' if len(candidates) == 1 else 'ies'}"
        raise refusal(f"has {count}; write {LEAST} to {MOST}, or leave it out to train train.py alone", "candidates")
    check_one(types, "candidates are said, whose jobs are started at the same time", "train")
    seen: dict[str, int] = {}
    for index, candidate in enumerate(candidates):
        if candidate.name in seen:
            message = f"is {candidate.name!r}, as of candidate {seen[candidate.name] + 1}; give each its own"
            raise refusal(message, "candidates", index, "name")
        seen[candidate.name] = index
        limit_hyperparameters(candidate.hyperparameters, "candidates", index)
    _check_different(candidates, common)


def _check_different(candidates: Sequence[Candidate], common: Mapping[str, str]) -> None:
    """Raises a refusal of two that would train the same model."""
    seen: dict[str, str] = {}
    for index, candidate in enumerate(candidates):
        same = json.dumps([candidate.entry, sorted({**common, **candidate.hyperparameters}.items())])
        if same in seen:
            message = (
                f"trains {candidate.entry} with the same hyperparameters as {seen[same]}; give it another entry, or "
                "other hyperparameters"
            )
            raise refusal(message, "candidates", index)
        seen[same] = candidate.name


def check_beside(  # noqa: PLR0913 - all that they don't go with
    candidates: Sequence[Candidate],
    *,
    tune: bool,
    rounds: bool,
    views: bool,
    managed_rules: bool,
    rules_then: str,
    compiled: bool,
) -> None:
    """Raises a refusal of what doesn't go with candidates."""
    if not candidates:
        return
    if tune or rounds:
        other = "tune" if tune else "rounds"
        raise refusal(f"is said, and {other} too; a run trains by one of them: leave one out", "candidates")
    if views:
        message = "is said, and candidates too; views are drawn of a run's one training job: leave one out"
        raise refusal(message, "views")
    if managed_rules:
        message = "is sagemaker, whose verdicts are of a run's one training job; with candidates write open"
        raise refusal(message, "rules_service")
    if rules_then == "evaluate":
        message = "is evaluate, but of candidates one that a rule stops is out, and the others go on; leave it out"
        raise refusal(message, "rules_then")
    if compiled:
        message = "is said, and candidates too; one model is compiled before it is judged, not each: leave one out"
        raise refusal(message, "deploy", "compile")


def check_scripts(candidates: Sequence[Candidate], folder: Path) -> Iterator[tuple[str, str]]:
    """The field, and the end of a sentence, about each script that the folder lacks."""
    for index, candidate in enumerate(candidates):
        if not (folder / candidate.entry).is_file():
            there = sorted(path.name for path in folder.glob("*.py") if path.name != files.SERVING_SCRIPT)
            known = nearest(candidate.entry, there) if there else ""
            yield f"candidates.{index}.entry", f"there is no file {candidate.entry} in {folder}{known}"


def most_hyperparameters(candidates: Sequence[Candidate], common: Mapping[str, str]) -> int:
    """How many of the user's hyperparameters a training job has at most."""
    return max((len({**common, **candidate.hyperparameters}) for candidate in candidates), default=len(common))
