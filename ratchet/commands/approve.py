"""`approve` and `reject`: a person's word about a model, said in the model registry."""

from __future__ import annotations

import click

from contract.approvals import APPROVED, NOT_APPROVED
from ratchet.command import Answer, Context, command


@command("approve")
@click.argument("run")
@click.option("--reason", required=True, help="Why: it stands in the model registry and in the run's record.")
def approve(context: Context, run: str, reason: str) -> Answer:
    """Let the model of RUN serve: a run that waits for approval deploys it now.

    RUN is a run's id, or a pipeline's name for its newest run. The same as setting the model package's approval status
    to Approved in the console, or by `aws sagemaker update-model-package`.
    """
    return _decide(context, run, APPROVED, reason)


@command("reject")
@click.argument("run")
@click.option("--reason", required=True, help="Why: it stands in the model registry and in the run's record.")
def reject(context: Context, run: str, reason: str) -> Answer:
    """Keep the model of RUN from serving: a run that waits ends Rejected.

    Of the champion that serves it takes the approval back: the champion before it is rolled back to. RUN is a run's
    id, or a pipeline's name for its newest run.
    """
    return _decide(context, run, NOT_APPROVED, reason)


def _decide(context: Context, named: str, status: str, reason: str) -> Answer:
    from ratchet import approving
    from ratchet.runs import RunTable

    told = approving.checked_reason(reason)
    account = context.account
    found = RunTable(account).find(context.pipelines(), named)
    decided = approving.decision(account, found, status)
    approving.say(account, decided, told)
    document = {
        "pipeline": found.pipeline,
        "run_id": found.run_id,
        "model_package_arn": decided.package,
        "status": decided.status,
        "reason": told,
        "follows": decided.follows,
    }
    return Answer(document, f"{found.pipeline}  the model of run {found.run_id} is {decided.status}: {decided.follows}")
