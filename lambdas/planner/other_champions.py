"""The champions of other pipelines with which a run's training begins: each as its pipeline's state has it now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from common.artifacts import is_there
from common.rollbacks import is_gone
from common.run_table import RunTable

from contract.compiled import trained_model

Document = dict[str, Any]


class NoChampionError(ValueError):
    """Another pipeline has no model to begin with; the message says what to do."""


def found(asked: Mapping[str, str], table_of: Callable[[str], RunTable], s3: Any) -> dict[str, Document]:
    """By channel: whose champion it is, of which run, and where its model.tar.gz lies (contract.other_champions).

    Args:
        asked: channel → pipeline.
        table_of: a pipeline's part of the run table.

    Raises:
        NoChampionError: one of the pipelines has none, or its archive is gone.
    """
    return {channel: _champion(channel, pipeline, table_of(pipeline), s3) for channel, pipeline in asked.items()}


def _champion(channel: str, pipeline: str, table: RunTable, s3: Any) -> Document:
    champion = table.read_state().champion
    told = f"data.{channel} is the champion of {pipeline}"
    if champion is None:
        raise NoChampionError(
            f"{told}, which has none yet: let it have one first (`ratchet run {pipeline} --wait`), then start this run "
            "again"
        )
    model = trained_model(champion)
    if not is_there(s3, model):
        raise NoChampionError(f"{told}, but {is_gone(champion)}")
    return {"pipeline": pipeline, "run_id": champion["run_id"], "model_data": model}


def identity(champions: Mapping[str, Mapping[str, Any]]) -> Document:
    """What of them makes another model, as a part of what a fingerprint is made of; nothing where there are none."""
    models = {channel: champion["model_data"] for channel, champion in sorted(champions.items())}
    return {"champions": models} if models else {}
