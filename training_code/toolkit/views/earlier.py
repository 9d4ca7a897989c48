"""The views' documents of a job that was interrupted and goes on: beside the tensors, else where they were copied."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contract import environment, views
from toolkit.probe.settings import Settings
from toolkit.views.configuration import Configuration
from toolkit.views.documents import earlier

# Pictures don't wait for a network.
CONNECT_SECONDS, READ_SECONDS = 3, 5


def earlier_documents(directory: Path, configurations: Sequence[Configuration]) -> dict[str, Mapping[str, Any]]:
    """The documents that are there, by the view's name."""
    texts = {found.name: _local(directory / views.document(found.name)) for found in configurations}
    output = Settings.parse(environment.of_this_job(environment.PROBE, os.environ)).output
    if output is not None and not any(texts.values()):
        texts = _copied(output, list(texts))
    read = {found.name: earlier(texts.get(found.name), found) for found in configurations}
    return {name: document for name, document in read.items() if document is not None}


def _local(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _copied(output: str, names: Sequence[str]) -> dict[str, bytes | None]:
    """What the interrupted job has copied; nothing where that can't be read, as at a job's first start."""
    place = urlsplit(output)
    found: dict[str, bytes | None] = {}
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError

        retries = {"max_attempts": 1}
        config = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)
        client = boto3.client("s3", config=config)
        for name in names:
            key = f"{place.path.strip('/')}/{views.document(name)}".lstrip("/")
            try:
                found[name] = client.get_object(Bucket=place.netloc, Key=key)["Body"].read()
            except ClientError:
                continue
    except Exception:  # noqa: BLE001 - no boto3, no network, no region: the views begin anew
        return found
    return found
