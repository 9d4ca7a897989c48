"""Endpoints on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import pytest
from conftest import Aws
from hosting_kit import Hosting, echo_archive


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


def test_an_endpoint_answers_with_its_model(hosting: Hosting) -> None:
    endpoint = hosting.deploy("answers", echo_archive("first"))
    assert hosting.ask(endpoint, "4,5") == {"variant": "AllTraffic", "body": {"model": "first", "data": "4,5"}}
