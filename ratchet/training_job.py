"""A pipeline's training job by itself: the request of its state machine's Train, with the folder's code as it is now.

Image, instance, role, rules and output are those that are deployed; code, hyperparameters and metrics the folder's.
The channels are read by their prefixes, since no run has made manifests, and what it writes lies outside of the runs'
folders, which are open to runs only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from contract import files, manifests, states
from contract.candidates import CANDIDATE
from contract.files import PROGRAM
from ratchet.errors import UserError
from ratchet.spec import PipelineSpec
from ratchet.spec.candidates import Candidate
from ratchet.spec.champion_channels import MODEL_TYPE
from ratchet.spec.data import DISTRIBUTIONS, REPLICATED
from ratchet.spec.manifest_channels import manifest_channels
from ratchet.spec.train_hosts import launched_by

Document = dict[str, Any]

# The expressions of the request (JSONata): strings and variables, joined by &.
_EXPRESSION = re.compile(r"\{%(.*)%\}", re.DOTALL)
_TERM = re.compile(
    r"""\s*(?:'(?P<plain>[^']*)'|(?P<json>"(?:[^"\\]|\\.)*")|(?P<variable>\$run\.run_id|\$string\(\$round\)|\$own\.(?:candidate|number)))\s*(?:&|$)"""
)
_FIRST_ROUND = "1"
_METRICS = "MetricDefinitions"


def request(  # noqa: PLR0913 - all that a job outside of a run depends on
    definition: str,
    spec: PipelineSpec,
    *,
    run_id: str,
    bucket: str,
    code: str,
    tuned: Mapping[str, str] | None = None,
    champions: Mapping[str, str] | None = None,
    candidate: str | None = None,
) -> Document:
    """CreateTrainingJob.

    Args:
        definition: the deployed state machine's.
        run_id: stands for the run that there isn't.
        bucket: the data bucket.
        code: the S3 URI of sourcedir.tar.gz.
        tuned: the champion's hyperparameters, as far as pipeline.yaml has them tuned; else the script's own hold.
        champions: the S3 URIs of the models of other pipelines' champions, by their channels.
        candidate: which of them, where pipeline.yaml has several.

    Raises:
        UserError: the machine's request holds something that can't be known without a run.
    """
    asked, one = _request_of(definition), _candidate(spec, candidate)
    ours = {
        "InputDataConfig": [*_channels(asked, spec, bucket), *_models(champions or {})],
        "HyperParameters": _containers_own(asked, spec),
        "ResourceConfig": {**asked["ResourceConfig"], "InstanceType": _type(asked)},
    }
    number = str(spec.candidates.index(one) + 1) if one else ""
    variables = {"$run.run_id": run_id, "$string($round)": _FIRST_ROUND}
    of_one = {f"$own.{CANDIDATE}": one.name, "$own.number": number} if one else {}
    filled: Document = _filled({**asked, **ours}, {**variables, **of_one})
    found: Document = _moved(filled, files.runs_folder(spec.name), files.tries_folder(spec.name))
    own = {**found["HyperParameters"], **({} if spec.is_own_container else {"sagemaker_submit_directory": code})}
    found["HyperParameters"] = {**_set(spec, tuned or {}, one), **own, **({PROGRAM: one.entry} if one else {})}
    return _as_in_the_folder(found, spec)


def _set(spec: PipelineSpec, tuned: Mapping[str, str], one: Candidate | None) -> dict[str, str]:
    """The hyperparameters that a person has set or a tuning job has found: the pipeline's, over them what was tuned,
    over both the candidate's."""
    found = {name: value for name, value in tuned.items() if spec.tune and name in spec.tune.ranges}
    return {**spec.train.hyperparameters, **found, **(one.hyperparameters if one else {})}


def _as_in_the_folder(asked: Document, spec: PipelineSpec) -> Document:
    """The request with the metrics and manifests of the folder's pipeline.yaml, which may not be deployed yet."""
    metrics = [{"Name": name, "Regex": regex} for name, regex in spec.train.metrics.items()]
    algorithm = {name: value for name, value in asked["AlgorithmSpecification"].items() if name != _METRICS}
    # What the deployed job is told of manifests may be of other attributes than the folder's.
    told = {name: value for name, value in asked["Environment"].items() if not name.startswith(manifests.CHANNELS)}
    return {
        **asked,
        "AlgorithmSpecification": algorithm | ({_METRICS: metrics} if metrics else {}),
        "Environment": told | manifests.variables({name: each.settings for name, each in spec.manifests.items()}),
    }


def _request_of(definition: str) -> Document:
    """The machine's request; of candidates that which each of them fills in."""
    train = json.loads(definition)["States"][states.TRAIN]
    several = train.get("ItemProcessor")
    found: Document = (several["States"][states.TRAIN_CANDIDATE] if several else train)["Arguments"]
    return found


def _candidate(spec: PipelineSpec, name: str | None) -> Candidate | None:
    """The candidate of that name; None of a pipeline without them.

    Raises:
        UserError: there is none, or several of which none is named.
    """
    names = ", ".join(one.name for one in spec.candidates)
    if name is None and not spec.candidates:
        return None
    found = next((one for one in spec.candidates if one.name == name), None)
    if found is None:
        told = f"has no candidate {name!r}" if name else "has candidates, of which one is trained: --candidate NAME"
        raise UserError(f"{spec.name} {told}" + (f"; they are {names}" if names else "; leave --candidate out"))
    return found


def _containers_own(asked: Document, spec: PipelineSpec) -> dict[str, str]:
    """What a framework's container is told, and none of the user's own; where a pipeline tunes, the deployed are an
    expression over what runs know."""
    if spec.is_own_container:
        return {}
    launcher = launched_by(spec.train.distribution, _type(asked))
    return {PROGRAM: files.TRAINING_SCRIPT, "sagemaker_job_name": asked["TrainingJobName"], **launcher}


def _type(asked: Document) -> str:
    return first_type(asked["ResourceConfig"]["InstanceType"])


def first_type(told: str) -> str:
    """A request's instance type; of those that a run tries in their order, the first."""
    expression = _EXPRESSION.fullmatch(told)
    return str(expression[1].split("'")[1] if expression else told)


def _channels(asked: Document, spec: PipelineSpec, bucket: str) -> list[Document]:
    return [channel for name in spec.training_channels for channel in _channel(asked, spec, bucket, name)]


def _channel(asked: Document, spec: PipelineSpec, bucket: str, name: str) -> list[Document]:
    channel = spec.data[name]
    uri = f"s3://{bucket}/{channel}"
    if found := channel.manifest:
        own = f"s3://{bucket}/{found.key}"
        return manifest_channels(name, found, uri=own, objects=uri, data_type="S3Prefix")
    source = {
        "S3DataType": "S3Prefix",
        "S3DataDistributionType": DISTRIBUTIONS[channel.distribution],
        "S3Uri": uri,
    }
    mode = asked["AlgorithmSpecification"]["TrainingInputMode"]
    return [{"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}}]


def _models(champions: Mapping[str, str]) -> list[Document]:
    """The channels that hold a model."""
    return [
        {
            "ChannelName": name,
            "InputMode": "File",
            "ContentType": MODEL_TYPE,
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3DataDistributionType": DISTRIBUTIONS[REPLICATED],
                    "S3Uri": uri,
                }
            },
        }
        for name, uri in champions.items()
    ]


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    """A document with its expressions' values."""
    if isinstance(value, Mapping):
        return {name: _filled(entry, variables) for name, entry in value.items()}
    if isinstance(value, list):
        return [_filled(entry, variables) for entry in value]
    expression = _EXPRESSION.fullmatch(value) if isinstance(value, str) else None
    return _evaluated(expression[1].strip(), variables) if expression else value


def _moved(value: Any, folder: str, to: str) -> Any:
    """A document with another folder of the artifact bucket in its S3 URIs."""
    if isinstance(value, Mapping):
        return {name: _moved(entry, folder, to) for name, entry in value.items()}
    if isinstance(value, list):
        return [_moved(entry, folder, to) for entry in value]
    return re.sub(rf"(s3://[^/]+/){re.escape(folder)}", rf"\g<1>{to}", value) if isinstance(value, str) else value


def _evaluated(text: str, variables: Mapping[str, str]) -> str:
    parts, at = list[str](), 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None:
            raise UserError(f"this training job needs a run, which alone knows {text[at:]}; use `ratchet run`")
        said = term["json"]
        parts.append(variables[term["variable"]] if term["variable"] else json.loads(said) if said else term["plain"])
        at = term.end()
    return "".join(parts)
