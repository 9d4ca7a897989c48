"""Other pipelines' champions as channels of a training job: which one, Plan says when a run begins.

Source: "Use Incremental Training in Amazon SageMaker AI" (developer guide): a model is a channel of this content type,
in File mode, whatever the mode of the data; the container finds model.tar.gz in it.
"""

from __future__ import annotations

from contract import files, names
from contract.other_champions import OTHER_CHAMPIONS
from infra.grants import Grant, list_prefixes, use_items
from infra.workflow.expressions import expression
from infra.workflow.requests import Document, s3_channel
from infra.workflow.surroundings import Surroundings
from ratchet.spec.champion_channels import MODEL_TYPE

_JOBS_ARE_NAMED_LATER = "A run and its training job are named when they start; what is read there is the model alone."


def model_channels(at: Surroundings) -> list[Document]:
    """The channels that hold such a model, of the champion that the plan has found."""
    return [{**s3_channel(channel, _model(channel)), "ContentType": MODEL_TYPE} for channel in at.spec.data.champions]


def _model(channel: str) -> str:
    return expression(f'$lookup($plan.{OTHER_CHAMPIONS}, "{channel}").model_data')


def find_other_champions(at: Surroundings) -> list[Grant]:
    """Plan's look at what those pipelines' state says, and whether the model is still there; no right to read it."""
    pipelines = _pipelines(at)
    states = [use_items(at.shared.run_table_arn, pipeline, "GetItem") for pipeline in pipelines]
    return [*states, list_prefixes(at.shared.artifact_bucket_arn, _runs(pipelines))] if pipelines else []


def read_other_champions(at: Surroundings) -> list[Grant]:
    """Reading those pipelines' models, and nothing else that their runs have left."""
    pipelines, bucket = _pipelines(at), at.shared.artifact_bucket_arn
    if not pipelines:
        return []
    runs = [files.run_folder(pipeline, names.ANY_RUN_ID) for pipeline in pipelines]
    models = [f"{bucket}/{run}{files.TRAIN}/*/{files.MODEL_ARCHIVE}" for run in runs]
    return [
        Grant(actions=["s3:GetObject"], resources=models, because=_JOBS_ARE_NAMED_LATER),
        list_prefixes(bucket, _runs(pipelines)),
    ]


def _pipelines(at: Surroundings) -> list[str]:
    """Whose champions they are, each once."""
    return sorted(set(at.spec.data.champions.values()))


def _runs(pipelines: list[str]) -> list[str]:
    return [files.runs_folder(pipeline) for pipeline in pipelines]
