"""The removal policy of everything stateful, decided in one place."""

from __future__ import annotations

from aws_cdk import RemovalPolicy

from ratchet.spec.environments import Environment


def removal_policy(environment: Environment) -> RemovalPolicy:
    """As the environment says. What is retained is so only once its stack has been there: a first deployment that fails
    leaves nothing behind that the next one would stumble over (RetainExceptOnCreate)."""
    if environment.removal == "destroy":
        return RemovalPolicy.DESTROY
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
