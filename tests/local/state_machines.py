"""Makes state machines for the tests of Step Functions, and waits for executions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from resources import make_role, unique
from waiting import until

Document = dict[str, Any]


@dataclass(frozen=True)
class StateMachine:
    """A machine in a running AWS."""

    sfn: Any
    arn: str
    role_arn: str

    def start(self, state_input: Any = None, name: str | None = None) -> str:
        given = {"name": name} if name else {}
        text = json.dumps({} if state_input is None else state_input)
        return str(self.sfn.start_execution(stateMachineArn=self.arn, input=text, **given)["executionArn"])

    def run(self, state_input: Any = None) -> Document:
        """Start an execution and describe it once it has ended; its output is parsed."""
        return self.ended(self.start(state_input))

    def ended(self, execution_arn: str) -> Document:
        def look() -> Document | None:
            document: Document = self.sfn.describe_execution(executionArn=execution_arn)
            return None if document["status"] == "RUNNING" else document

        document = until(look, f"the end of {execution_arn}") or {}
        return {**document, "output": json.loads(document["output"]) if document.get("output") else None}

    def history(self, execution_arn: str) -> list[Document]:
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=execution_arn)
        return [event for page in pages for event in page["events"]]


def machine(aws: Any, states: Document, *statements: Document, **top: Any) -> StateMachine:
    """A JSONata machine that starts at the first of `states`, whose role has these statements."""
    role_arn = top.pop("role_arn", None) or make_role(aws, "states.amazonaws.com", *statements)
    logging = top.pop("logging", None)
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states)), "States": states, **top}
    sfn = aws.client("stepfunctions")
    created = sfn.create_state_machine(
        name=unique("machine"),
        definition=json.dumps(definition),
        roleArn=role_arn,
        **({"loggingConfiguration": logging} if logging else {}),
    )
    return StateMachine(sfn, created["stateMachineArn"], role_arn)


def status_queue(aws: Any, machine_arn: str, *statuses: str) -> str:
    """The URL of a queue that gets a machine's status events of these statuses."""
    sqs, events = aws.client("sqs"), aws.client("events")
    url = str(sqs.create_queue(QueueName=unique("queue"))["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    rule = unique("rule")
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [machine_arn], "status": list(statuses)}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
    return url
