"""The triggers of a pipeline: one queue that all of them reach, the event rules that send to it, and its consumer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct, IDependable

from contract import triggers
from contract.approvals import APPROVED, EVENT, NOT_APPROVED
from contract.awaiting import AT_REST, EVENTS
from contract.verdicts import SAGEMAKER_SOURCE
from infra.constructs import launcher
from infra.constructs.function import Function
from infra.constructs.queue import allow_event_rules, private_queue
from infra.constructs.state_machine import StateMachine
from infra.object_events import objects_created
from infra.workflow.surroundings import Surroundings

# "Using Lambda with Amazon SQS": a visibility timeout of six times the function's, at least five attempts.
VISIBILITY_FACTOR = 6
ATTEMPTS = 5
BATCH = 10
# Two at a time: all of them write one item of the run table.
CONCURRENCY = 2
RECONCILE_MINUTES = 5
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class TriggerQueue(Construct):
    """The queue of triggers; those that can't be read, or taken in five attempts, wait in `dead_letters`."""

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        self.dead_letters = private_queue(self, "DeadLetters")
        self.queue = private_queue(
            self,
            "Queue",
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * launcher.SECONDS),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=ATTEMPTS),
        )


class Triggers(Construct):
    """The event rules that send to the queue, and the mapping that hands its messages to the launcher.

    They come into being after `last`, and are gone before it goes: nothing starts a run of half a pipeline.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        at: Surroundings,
        queue: sqs.Queue,
        function: Function,
        machine: StateMachine,
        last: IDependable,
    ) -> None:
        super().__init__(scope, id_)
        self._queue = queue
        senders = [*self._always(machine), *self._as_the_spec_says(at)]
        allow_event_rules(queue, [sender.attr_arn for sender in senders])
        for part in (*senders, self._feed(function)):
            part.node.add_dependency(last)

    def _feed(self, function: Function) -> lambda_.CfnEventSourceMapping:
        return lambda_.CfnEventSourceMapping(
            self,
            "Feed",
            event_source_arn=self._queue.queue_arn,
            function_name=function.name,
            batch_size=BATCH,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(maximum_concurrency=CONCURRENCY),
        )

    def _always(self, machine: StateMachine) -> list[events.CfnRule]:
        every = f"rate({RECONCILE_MINUTES} minutes)"
        return [
            self._on_event("RunEnded", "A run has ended, however: what waited may start", run_ended(machine.arn)),
            self._at_times("Reconcile", "Repairs what a crash left", every, triggers.RECONCILE),
        ]

    def _as_the_spec_says(self, at: Surroundings) -> list[events.CfnRule]:
        asked, senders = at.spec.triggers, []
        if asked.data:
            pattern = objects_created(at.shared.data_bucket, at.prefixes)
            senders.append(self._on_event("DataArrived", "New objects under the pipeline's prefixes", pattern))
        if asked.schedule:
            senders.append(self._at_times("Scheduled", "The pipeline's schedule", asked.schedule, triggers.SCHEDULE))
        if at.has_endpoint:
            senders.append(self._on_event("EndpointAtRest", "What a run waits for", endpoint_at_rest(at.endpoint)))
        if at.spec.approval.manual:
            pattern = package_decided(at.model_package_group)
            senders.append(self._on_event("PackageDecided", "A person has approved or rejected a model", pattern))
        return senders

    def _on_event(self, id_: str, description: str, pattern: Mapping[str, Any]) -> events.CfnRule:
        target = events.CfnRule.TargetProperty(id="Queue", arn=self._queue.queue_arn)
        return events.CfnRule(self, id_, description=description, event_pattern=dict(pattern), targets=[target])

    def _at_times(self, id_: str, description: str, schedule: str, kind: str) -> events.CfnRule:
        message = json.dumps(triggers.message(kind))
        target = events.CfnRule.TargetProperty(id="Queue", arn=self._queue.queue_arn, input=message)
        return events.CfnRule(self, id_, description=description, schedule_expression=schedule, targets=[target])


def package_decided(group: str) -> dict[str, Any]:
    """A model package's approval ("Events that Amazon SageMaker AI sends to Amazon EventBridge")."""
    detail = {"ModelPackageGroupName": [group], "ModelApprovalStatus": [APPROVED, NOT_APPROVED]}
    return {"source": [SAGEMAKER_SOURCE], "detail-type": [EVENT], "detail": detail}


def endpoint_at_rest(endpoint: str) -> dict[str, Any]:
    """The end of an endpoint's change ("Events that Amazon SageMaker AI sends to Amazon EventBridge")."""
    detail = {"EndpointName": [endpoint], "EndpointStatus": list(AT_REST)}
    return {"source": [SAGEMAKER_SOURCE], "detail-type": list(EVENTS), "detail": detail}


def run_ended(state_machine_arn: str) -> dict[str, Any]:
    """The end of an execution (Step Functions, "Automating Step Functions event delivery with EventBridge")."""
    return {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [state_machine_arn], "status": list(ENDED)},
    }
