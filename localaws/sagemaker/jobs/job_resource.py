"""A kind of job as a resource of the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs.retention import NOTHING_KEPT, Retention
from localaws.sagemaker.jobs.spot_market import SpotMarket


def _no_limit(_document: Document) -> float | None:
    return None


def _all(document: Document) -> Document:
    return document


def _no_members(_document: Document, _market: SpotMarket) -> Document:
    return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class JobResource:
    """The names of a kind of job, and what its documents hold beyond other kinds'.

    resource_type: as in ARNs, in IAM and in the store. noun: as in event names. stem: of the members' names.
    max_wait: seconds from a document's creation within which the job must be done, waiting included; None: any time.
    at_end: members that a document gets when its job is over.
    detail: a document as its events tell it.
    retention: what becomes of its instances afterwards.
    """

    resource_type: str
    noun: str
    stem: str
    log_group: str = ""
    has_secondary_status: bool = False
    max_wait: Callable[[Document], float | None] = _no_limit
    at_end: Callable[[Document, SpotMarket], Document] = _no_members
    detail: Callable[[Document], Document] = _all
    retention: Retention = NOTHING_KEPT

    @property
    def name(self) -> str:
        """Member that holds the job's name."""
        return f"{self.stem}Name"

    @property
    def arn(self) -> str:
        """Member that holds the job's ARN."""
        return f"{self.stem}Arn"

    @property
    def status(self) -> str:
        """Member that holds the job's status."""
        return f"{self.stem}Status"

    @property
    def end_time(self) -> str:
        """Member that holds when it ended."""
        return f"{self.stem.removesuffix('Job')}EndTime"

    @property
    def words(self) -> str:
        """The kind inside a sentence: ``training job``."""
        return self.noun.lower()
