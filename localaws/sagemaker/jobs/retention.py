"""What a kind of jobs does with the instances of a job that is over: nothing, unless the kind says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localaws.sagemaker.core.quotas import Quotas
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.store import Store


def _claim_none(_store: Store, document: Document, _now: float) -> Document:
    return document


def _keep_none(_store: Store, _quotas: Quotas, document: Document) -> Document:
    return document


def _as_it_is(document: Document, _now: float) -> Document:
    return document


def _none(_store: Store, _asking: Document, _now: float) -> list[Document]:
    return []


@dataclass(frozen=True)
class Retention:
    """All that a kind's operations ask about instances that stay when their job is over.

    claim: a new job's document, once it has taken kept instances, if there are any that fit; in the transaction that
    writes it down.
    settle: the document of a job that has just ended, once it is known whether its instances are kept.
    seen: a document as it is told at a time.
    kept: the jobs whose instances are kept at a time, but the one whose instances a job that asks would take.
    """

    claim: Callable[[Store, Document, float], Document] = _claim_none
    settle: Callable[[Store, Quotas, Document], Document] = _keep_none
    seen: Callable[[Document, float], Document] = _as_it_is
    kept: Callable[[Store, Document, float], list[Document]] = _none


NOTHING_KEPT = Retention()
