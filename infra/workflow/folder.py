"""Whose folder a job's role may write: that of the run which its tag names, and after training nobody's any more.

A pipeline's roles are the same for all of its runs, of which there is one at a time. A run that trains writes its id on
the training role, and takes it off when training has ended: then nothing writes there again, and what is judged is what
is registered and deployed. Where IAM doesn't know a new tag yet, a write is refused.

Sources: "IAM policy elements: Variables and tags" and "Controlling access to and for IAM users and roles using tags"
(IAM User Guide): a role's tags are the tags of whoever has assumed it.
"""

from __future__ import annotations

from collections.abc import Sequence

from contract import files, names
from infra.grants import Grant, write_objects
from infra.workflow.expressions import expression
from infra.workflow.job_role import JobRole
from infra.workflow.language import States, retry, task
from infra.workflow.surroundings import Surroundings, placeholder

OWN_RUN = f"${{aws:PrincipalTag/{names.FOLDER_TAG}}}"

_RETRIES = (
    retry(
        ["Iam.IamException", "Iam.ConcurrentModificationException", "Iam.ServiceFailureException"],
        interval=1,
        attempts=3,
    ),
)


def opened(name: str, role: JobRole, *, then: str, of: str = "$run.run_id") -> States:
    """A state that opens to the role the folder of the run that the JSONata text names: this one, unless told."""
    return _tagged(name, role, expression(of), then)


def closed(name: str, role: JobRole, *, then: str) -> States:
    """A state that closes every run's folder to the role."""
    return _tagged(name, role, names.NO_RUN, then)


def _tagged(name: str, role: JobRole, run: str, then: str) -> States:
    request = {"RoleName": placeholder(role.own_name), "Tags": [{"Key": names.FOLDER_TAG, "Value": run}]}
    return task(name, "aws-sdk:iam:tagRole", request, then=then, retries=_RETRIES)


def write_own_run(at: Surroundings, below: str) -> Grant:
    """Writing a folder of the run that the role's tag names."""
    folder = files.run_folder(at.pipeline, OWN_RUN)
    because = "What a job writes has names of its own; the folder is that of the one run which the role's tag names."
    return write_objects(at.shared.artifact_bucket_arn, [f"{folder}{below}/*"], because)


def write_tags(role_arns: Sequence[str]) -> Grant:
    """Writing that tag, and no other, on these roles."""
    return Grant(
        actions=["iam:TagRole"],
        resources=list(role_arns),
        conditions={"ForAllValues:StringEquals": {"aws:TagKeys": [names.FOLDER_TAG]}},
    )
