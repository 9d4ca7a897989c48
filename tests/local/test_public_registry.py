"""The login to public.ecr.aws, as a build makes it that begins with an image from there."""

from __future__ import annotations

import base64

import pytest
from refusals import refusal
from resources import allow, assumed, make_role
from running_aws import Aws

LOGIN = "ecr-public:GetAuthorizationToken"
BEARER = "sts:GetServiceBearerToken"


@pytest.mark.fidelity(
    "IAM",
    "A login to public.ecr.aws takes ecr-public:GetAuthorizationToken and sts:GetServiceBearerToken.",
    'Amazon ECR Public User Guide, "Registry authentication in Amazon ECR public"',
)
def test_a_login_takes_both_permissions(aws: Aws) -> None:
    account = aws.server.account
    for actions, lacking in (((LOGIN,), BEARER), ((BEARER,), LOGIN)):
        role = make_role(aws, account, allow(*actions))
        client = aws.client("ecr-public", assumed(aws, role))
        code, message = refusal(client.get_authorization_token)
        assert code == "AccessDeniedException"
        assert f"is not authorized to perform: {lacking} on resource: *" in message

    client = aws.client("ecr-public", assumed(aws, make_role(aws, account, allow(LOGIN, BEARER))))
    token = client.get_authorization_token()["authorizationData"]["authorizationToken"]
    assert base64.b64decode(token).startswith(b"AWS:")
    code, message = refusal(client.describe_repositories)
    assert "ecr-public:DescribeRepositories" in message


def test_its_other_operations_are_refused_by_name(aws: Aws) -> None:
    code, message = refusal(aws.client("ecr-public").describe_repositories)
    assert (code, message) == (
        "UnsupportedCommandException",
        "DescribeRepositories of Amazon ECR Public is not supported here",
    )
