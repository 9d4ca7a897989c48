"""Models served from images of one's own: what their servers see, what their callers are told, and how they end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hosting_kit import Hosting, archive
from own_image_kit import PULL, needs_perl, own_image
from running_aws import Aws

pytestmark = needs_perl


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    kit = Hosting(aws)
    kit.role = kit.make_role("own", ["s3:GetObject", "s3:PutObject", "logs:CreateLog*", "logs:PutLogEvents", *PULL])
    return kit


@pytest.fixture(scope="module")
def endpoint(hosting: Hosting) -> Iterator[str]:
    image = own_image(hosting.aws, Env=["OF_IMAGE=image", "OVER=image"], Entrypoint=["serve"])
    yield hosting.deploy("own", archive({"weights.txt": "42"}), {"OVER": "request", "MORE": "yes"}, image)


def said(hosting: Hosting, endpoint: str, body: str, **more: Any) -> str:
    answer = hosting.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
    return str(answer["Body"].read().decode())


def test_it_answers(hosting: Hosting, endpoint: str) -> None:
    assert said(hosting, endpoint, "1,2") == "3\n"
    for what in ("headers", "variables", "list /opt/ml/* /*", "read /opt/ml/model/weights.txt", "read /etc/hosts", "chunked a b c", "endless all", "large 1000", f"reach 127.0.0.1 {hosting.aws.server.port}", "reach 127.0.0.1 22", "reach 1.1.1.1 80"):
        print(">>", what); print(said(hosting, endpoint, what)[:2000])
    print(hosting.describe(endpoint)); print(hosting.log_lines(endpoint))
    assert 0
