"""Whether two models have given one request the same answer; pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from common.answers import same

from contract import threshold_answers
from contract.thresholds import FIELDS

_PREDICTION, _, _ANSWER = FIELDS


def agree(answer: str, served: str) -> bool:
    """Two models' answers to one request. Where they say how sure they are, what they answer counts, not how sure.

    Where only one of them says it, a threshold has come or gone: then what they predict counts.
    """
    ours, theirs = _sure(answer), _sure(served)
    if ours and theirs:
        return _alike([line[_ANSWER] for line in ours], [line[_ANSWER] for line in theirs])
    if ours or theirs:
        return _alike(*(_predicted(text, lines) for text, lines in ((answer, ours), (served, theirs))))
    return same(answer, served)


def _sure(text: str) -> list[dict[str, Any]]:
    """The predictions and answers of a text of any kind that toolkit.threshold writes; empty where it is of none."""
    lines = [threshold_answers.parsed(line) for line in text.splitlines()]
    if lines and None not in lines:
        return [{_PREDICTION: line.prediction, _ANSWER: line.answer} for line in lines if line]
    documents = _documents(text)
    of_fields = all(isinstance(one, dict) and one.keys() == set(FIELDS) for one in documents)
    return documents if of_fields else []


def _predicted(text: str, sure: list[dict[str, Any]]) -> list[Any]:
    """What is predicted for each example."""
    return [line[_PREDICTION] for line in sure] or _documents(text) or text.splitlines()


def _documents(text: str) -> list[Any]:
    """The examples of a JSON list, or of lines of JSON objects; empty where a text is neither."""
    try:
        found = json.loads(text)
        return found if isinstance(found, list) else [found]
    except ValueError:
        return list(_of_lines(text))
    except RecursionError:
        return []


def _of_lines(text: str) -> Iterator[Any]:
    try:
        yield from [json.loads(line) for line in text.splitlines()]
    except (ValueError, RecursionError):
        return


def _alike(ours: list[Any], theirs: list[Any]) -> bool:
    return len(ours) == len(theirs) and all(same(str(one), str(other)) for one, other in zip(ours, theirs, strict=True))
