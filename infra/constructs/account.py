"""The account and region of a stack, for ARNs."""

from __future__ import annotations

from aws_cdk import Stack

from infra.grants import Account


def account_of(stack: Stack) -> Account:
    """The stack's partition, region and account, as pseudo parameters where its environment doesn't pin them."""
    return Account(partition=stack.partition, region=stack.region, account=stack.account, url_suffix=stack.url_suffix)
