"""Who watches a training job while it runs: the probe that saves, the views that are drawn of it, and a judge: nobody,
the open rules beside the script, or SageMaker Debugger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from contract import environment as variables
from contract import files, verdicts
from infra.grants import NO_RESOURCE, Grant
from infra.workflow.expressions import composed, expression, quoted, sentence
from infra.workflow.job_role import PROCESSING_LOGS, pull, write_log
from infra.workflow.requests import Document
from infra.workflow.surroundings import Image, Surroundings
from infra.workflow.way import Way
from ratchet.spec import PipelineSpec, managed_rules, watching


@dataclass(frozen=True, kw_only=True)
class Judging:
    """Its part of the training job's request, and the grants that it needs of the job's role and of the recorder's.

    may_stop: a rule may stop the job.
    """

    environment: Document
    request: Document = field(default_factory=dict)
    may_stop: bool = False
    job_grants: Sequence[Grant] = ()
    recorder_grants: Sequence[Grant] = ()


def judging(at: Surroundings, way: Way) -> Judging:
    """As the spec says."""
    if at.rules_image:
        return _by_debugger(at, way, at.rules_image)
    if at.spec.is_own_container:
        return Judging(environment={})
    probe = _probe(at.spec, way.folder(at, files.TENSORS), drawn=way.draws)
    watched = {**probe, **(watching.views(at.spec) if way.draws else {})}
    if not at.spec.rules:
        return Judging(environment=watched)
    own_word = composed(way.uri(at, files.verdicts(way.job_name(at))))
    return Judging(
        environment={**watched, **watching.rules(at.spec, variables.RULES), variables.VERDICTS: own_word},
        may_stop=True,
        job_grants=_say_verdicts(at),
    )


def _by_debugger(at: Surroundings, way: Way, image: Image) -> Judging:
    """SageMaker evaluates the rules in processing jobs, with the training job's role; their verdicts are the training
    job's to tell. Its hook's configuration is the probe's, too."""
    return Judging(
        environment=dict(watching.rules(at.spec, variables.MANAGED_RULES)),
        request=_debugger(at.spec, image.uri, composed(way.folder(at, files.DEBUGGER))),
        may_stop=True,
        job_grants=[*pull(image), write_log(at, PROCESSING_LOGS)],
        recorder_grants=[Grant(actions=["sagemaker:DescribeTrainingJob"], resources=way.job_arns(at))],
    )


def _debugger(spec: PipelineSpec, image: str, folder: str) -> Document:
    """The tensors that the hook saves, and the rules that are evaluated.

    A rule without an InstanceType is one of Debugger's own, evaluated on instances of its own (developer guide,
    "Configure built-in rules using the low-level API").
    """
    collections = managed_rules.collections(spec.rules, spec.probe)
    return {
        "DebugHookConfig": {
            "S3OutputPath": folder,
            "CollectionConfigurations": [
                {"CollectionName": name, "CollectionParameters": how} for name, how in collections.items()
            ],
        },
        "DebugRuleConfigurations": [
            {
                "RuleConfigurationName": rule.configuration_name,
                "RuleEvaluatorImage": image,
                "RuleParameters": managed_rules.rule_parameters(rule),
            }
            for rule in spec.rules
        ],
    }


def _say_verdicts(at: Surroundings) -> list[Grant]:
    """The rules beside the training say that they have found something: events of their own source, metrics in their
    own namespace. What it is they write below the run's folder, as the training job that they are part of."""
    return [
        Grant(
            actions=["events:PutEvents"],
            resources=[at.account.arn("events", "event-bus/default")],
            conditions={"ForAllValues:StringEquals": {"events:source": [verdicts.SOURCE]}},
        ),
        Grant(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": verdicts.METRICS_NAMESPACE}},
            because=f"{NO_RESOURCE} The namespace is the rules' own.",
        ),
    ]


def rules_spoke() -> dict[str, Any]:
    """The pattern of events in which a rule has found issues in a training job that goes on, or couldn't judge it:
    the managed Debugger's and the open rules'.

    Sources: "Events that Amazon SageMaker AI sends to Amazon EventBridge" (Training job state change);
    DebugRuleEvaluationStatus, API reference. AWS's sample event doesn't show DebugRuleEvaluationStatuses, a list, whose
    elements EventBridge matches one by one ("Matching … arrays in Amazon EventBridge event patterns").
    """
    return {
        "source": [verdicts.SAGEMAKER_SOURCE, verdicts.SOURCE],
        "detail-type": [verdicts.DETAIL_TYPE],
        "detail": {
            "TrainingJobStatus": [verdicts.IN_PROGRESS],
            "DebugRuleEvaluationStatuses": {"RuleEvaluationStatus": [verdicts.ISSUES_FOUND, verdicts.ERROR]},
        },
    }


def _probe(spec: PipelineSpec, tensors: str, *, drawn: bool) -> Document:
    """`{"output": S3 URI, "collections"?}`, of which only the URI is the run's own."""
    pieces = watching.probe(spec, drawn=drawn)
    output = sentence(f'{{"output":"{tensors}/"')
    return {**pieces, variables.PROBE: expression(f"{output} & {quoted(pieces[variables.PROBE])}")}
