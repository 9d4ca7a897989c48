"""boto3's clients, made once: a warm function answers in milliseconds, and the services' models are large."""

from __future__ import annotations

from functools import cache
from typing import Any

import boto3


@cache
def client(service: str) -> Any:
    return boto3.client(service)
