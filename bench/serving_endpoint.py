"""An embedded AWS that serves a model, and the signed requests of a user who may ask it and nothing else."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hosting_kit import Hosting, archive
from running_aws import AwsFactory

from bench.serving_load import Signer, signed
from bench.serving_servers import JSON, Served, Target

NAME = "endpoint"


@contextmanager
def hosting() -> Iterator[Hosting]:
    """An embedded AWS, and a bucket and role for endpoints on it."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        factory = AwsFactory(Path(folder) / "aws")
        factory.state.mkdir()
        try:
            yield Hosting(factory.start())
        finally:
            factory.stop()


def deployed(at: Hosting, name: str, served: Served) -> Target:
    """The model, once it is in service."""
    files = {str(path.relative_to(served.folder)): path.read_bytes() for path in _files(served.folder)}
    endpoint = at.deploy(name, archive(files), image=served.image)
    server, path = at.aws.server, f"/endpoints/{endpoint}/invocations"
    signer, host = _user(at, endpoint), f"127.0.0.1:{server.port}"
    bodies = {body.encode(): told.encode() for body, told in served.answers.items()}
    return Target(NAME, server.port, lambda: signed(signer, host, path, JSON, bodies))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _user(at: Hosting, endpoint: str) -> Signer:
    iam, name, server = at.aws.client("iam"), at.name(f"asks-{endpoint}"), at.aws.server
    iam.create_user(UserName=name)
    resource = f"arn:aws:sagemaker:{server.region}:{server.account}:endpoint/{endpoint}"
    statement = {"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="ask", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Signer(key["AccessKeyId"], key["SecretAccessKey"], server.region)
