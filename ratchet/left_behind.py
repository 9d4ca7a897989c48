"""Pipelines that are deployed, though no folder of the checkout is theirs.

The CDK app makes a stack a folder, so it knows nothing of theirs: `cdk destroy --all` leaves them, with endpoints that
cost, and then fails at the shared stack, whose exports they import.
"""

from __future__ import annotations

from ratchet.account import Account
from ratchet.project import Project


def without_folder(project: Project, account: Account) -> list[str]:
    """The deployed pipelines that no folder of the checkout has any more."""
    return [name for name in account.deployed_pipelines() if name not in project.pipelines]


def told(account: Account, name: str) -> str:
    """What it is about, and what to do."""
    return (
        f"{name} is deployed and goes on, but no folder in training_code/ is its (removed, or another checkout's): "
        f"bring the folder back, or take the pipeline down with `{account.command(f'delete {name}')}`; its stack, "
        f"{account.stack(name)}, also holds up `cdk destroy --all`"
    )
