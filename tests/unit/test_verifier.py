"""When an endpoint's answer is the evaluation's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from common.answers import same
from common.artifacts import ArtifactMissingError
from memory_aws import Aws, installed
from verifier import handler
from verifier.handler import wrong_endpoint

from contract import signatures


@pytest.mark.parametrize(
    ("answer", "expected", "equal"),
    [
        ("7\n", "7", True),
        ("7.0", "7", True),
        ('"setosa"\n', "setosa", True),
        ("0.33333334", "0.3333333333333333", True),
        ("8", "7", False),
        ("0.34", "0.3333", False),
        ("virginica", "setosa", False),
        ("", "7", False),
        ("7\n7", "7", False),
        ("7,8", "7", False),
        ('"Smith, ""Jo"""\n', 'Smith, "Jo"', True),
        ('Smith, "Jo"', 'Smith, "Jo"', True),
        ('"two\nlines"', "two\nlines", True),
        ('"Smith","Jo"', "Smith", False),
        ("nan", "nan", True),
        ("nan", "7", False),
        ("0.1,0.90000004", "0.1, 0.9", True),
        ("[0.1, 0.9]", "0.1,0.9", True),
        ("0.9,0.1", "0.1,0.9", False),
        ("0.1", "0.1,0.9", False),
        ("0.1,0.9,0", "0.1,0.9", False),
        ('[{"box": [1, 2.00001], "class": "cat"}]', '[{"class":"cat","box":[1,2]}]', True),
        ('[{"box": [1, 2.1], "class": "cat"}]', '[{"class":"cat","box":[1,2]}]', False),
        ('[{"box": [1, 2], "class": "dog"}]', '[{"class":"cat","box":[1,2]}]', False),
        ('{"box": [1]}', '{"box": [1, 2]}', False),
        ('{"box": [1]}', '{"bax": [1]}', False),
        ("[]", "[]", True),
        ("[[1]]", "[1]", False),
    ],
)
def test_answers_are_equal_as_text_or_as_numbers(answer: str, expected: str, equal: bool) -> None:
    assert same(answer, expected) is equal


def test_an_endpoint_must_be_in_service_on_the_new_config() -> None:
    endpoint = {"EndpointStatus": "InService", "EndpointConfigName": "new"}
    assert wrong_endpoint(endpoint, "new") is None
    assert wrong_endpoint({**endpoint, "EndpointConfigName": "old"}, "new") == "the endpoint is on old, not on new"
    assert wrong_endpoint({**endpoint, "EndpointStatus": "Failed"}, "new") == "the endpoint is Failed"


def test_an_endpoint_whose_instances_are_on_their_way_serves_as_it_did() -> None:
    """Scaling makes it Updating, too, and then no deployment is pending."""
    endpoint = {"EndpointStatus": "Updating", "EndpointConfigName": "new"}
    assert wrong_endpoint(endpoint, "new") is None
    assert wrong_endpoint(endpoint, "newer") == "the endpoint is on new, not on newer"
    pending = {**endpoint, "PendingDeploymentSummary": {"EndpointConfigName": "newer"}}
    assert wrong_endpoint(pending, "new") == "the endpoint is Updating"


@pytest.mark.parametrize(
    ("answer", "expected", "equal"),
    [
        ("1.00009", "1", True),
        ("1.00011", "1", False),
        ("0.0000009", "0", True),
        ("0.0000011", "0", False),
        ("9e400", "8e400", False),
        ("inf", "9e400", False),
        ("[9e400]", "[8e400]", False),
    ],
)
def test_numbers_may_differ_by_a_float32s_rounding(answer: str, expected: str, equal: bool) -> None:
    assert same(answer, expected) is equal


# ------------------------------------------------------------------------------------------------------ the function

EVALUATED_BY = {"pipeline": "digits", "run_id": "20261120-101112-abcd"}
EVALUATION = "runs/digits/20261120-101112-abcd/evaluation/evaluation.json"
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits"
EVENT = {
    "endpoint_name": "local-digits",
    "endpoint_config_name": "new",
    "model_package_arn": f"{PACKAGE}/3",
    "evaluated_by": EVALUATED_BY,
}
SAMPLES = [{"body": "1,2", "answer": "7"}, {"body": "3,4", "answer": "8"}]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(handler.ask, "__defaults__", (taken.append,))
    return taken


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Aws:
    """An endpoint on the new config, and an evaluation of two samples."""
    aws = installed(monkeypatch, ARTIFACT_BUCKET="artifacts")
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": "new"}]
    aws.s3.objects["artifacts", EVALUATION] = json.dumps({"samples": SAMPLES}).encode()
    return aws


def verify(aws: Aws, *answers: str) -> dict[str, Any]:
    aws.sagemaker_runtime.answers = list(answers)
    return handler.handle(EVENT, None)


def test_an_endpoint_that_answers_as_it_was_evaluated_is_verified(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    answer = verify(aws, "7\n", "8\n")
    reason = "2 held-out examples answered as they were evaluated"
    assert answer == {"verified": True, "reason": reason, "asked": 2, "named": False}
    assert aws.called("invoke_endpoint") == [
        {"EndpointName": "local-digits", "ContentType": "text/csv", "Accept": "text/csv", "Body": sample["body"]}
        for sample in SAMPLES
    ]
    line = json.loads(capsys.readouterr().out)
    assert (line["function"], line["event"], line["run_id"]) == ("verifier", "verified", EVALUATED_BY["run_id"])


def test_what_is_no_csv_is_asked_as_it_was_evaluated(aws: Aws) -> None:
    samples = [
        {"body": '{"x": 1}', "content_type": "application/jsonlines", "answer": "7"},
        {"body_base64": "iVBORw==", "content_type": "image/png", "answer": "8"},
    ]
    aws.s3.objects["artifacts", EVALUATION] = json.dumps({"samples": samples}).encode()
    assert verify(aws, "7", "8")["verified"]
    asked = [(request["ContentType"], request["Accept"], request["Body"]) for request in aws.called("invoke_endpoint")]
    assert asked == [("application/jsonlines", "text/csv", '{"x": 1}'), ("image/png", "text/csv", b"\x89PNG")]


def test_the_first_wrong_answer_ends_it(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    answer = verify(aws, "7", "9" * 100)
    assert answer == {
        "verified": False,
        "reason": f"example 2 of 2: answered '{'9' * 80}', not '8'",
        "asked": 1,
        "named": False,
    }
    assert json.loads(capsys.readouterr().out)["event"] == "not verified"
    assert verify(aws, "8")["asked"] == 0
    assert len(aws.called("invoke_endpoint")) == 3


def test_the_reason_is_short_however_long_the_answers_are(aws: Aws) -> None:
    """A state's output has at most 256 KiB, and nothing catches what goes beyond: nothing would be undone."""
    samples = [{"body": "1,2", "answer": "8" * 262_000}]
    aws.s3.objects["artifacts", EVALUATION] = json.dumps({"samples": samples}).encode()
    assert verify(aws, "9" * 262_000)["reason"] == f"example 1 of 1: answered '{'9' * 80}', not '{'8' * 80}'"


def test_an_endpoint_on_another_config_is_not_even_asked(aws: Aws) -> None:
    aws.sagemaker.endpoints["local-digits"][0]["EndpointConfigName"] = "old"
    reason = "the endpoint is on old, not on new"
    assert verify(aws) == {"verified": False, "reason": reason, "asked": 0, "named": False}
    assert not aws.called("invoke_endpoint") and not aws.called("get_object")


@pytest.mark.parametrize("error", ["ModelError", "ServiceUnavailable"])
def test_a_container_that_warms_up_is_asked_again(aws: Aws, pauses: list[float], error: str) -> None:
    assert verify(aws, error, error, "7", "8")["verified"]
    assert pauses == [1.0, 1.0]


def test_one_that_never_answers_is_given_three_tries(aws: Aws, pauses: list[float]) -> None:
    answer = verify(aws, "ModelError", "ModelError", "ModelError", "7")
    assert (answer["verified"], answer["asked"]) == (False, 0)
    assert answer["reason"].startswith("example 1 of 2: ") and "no answer to 1,2" in answer["reason"]
    assert len(aws.called("invoke_endpoint")) == 3
    assert pauses == [1.0, 1.0]


def test_other_errors_are_raised(aws: Aws) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        verify(aws, "ValidationError")


def test_a_serverless_endpoint_that_users_keep_busy_is_asked_again(aws: Aws, pauses: list[float]) -> None:
    """As many at once as it answers may be theirs: the challenger is none the worse."""
    assert verify(aws, "ThrottlingException", "ThrottlingException", "7", "8")["verified"]
    assert pauses == [1.0, 1.0]
    answer = verify(aws, *["ThrottlingException"] * 3)
    assert "ThrottlingException" in answer["reason"]


def test_without_samples_there_is_nothing_to_ask(aws: Aws) -> None:
    for document in ({}, {"samples": []}):
        aws.s3.objects["artifacts", EVALUATION] = json.dumps(document).encode()
        with pytest.raises(handler.NoSamplesError, match=f"s3://artifacts/{EVALUATION} has no samples, so there is"):
            verify(aws)
    aws.s3.objects.clear()
    with pytest.raises(ArtifactMissingError):
        verify(aws)


# ------------------------------------------------------------------------------------------------- who gave the answer


def signed_by(version: int, own: str = "") -> str:
    return signatures.signed(f"{PACKAGE}/{version}", own)


@pytest.mark.fidelity(
    "Endpoints",
    "What a container sets as X-Amzn-SageMaker-Custom-Attributes the caller gets as CustomAttributes.",
    "SageMaker Runtime API reference, InvokeEndpoint",
)
@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ([signed_by(3), signed_by(3)], True),
        ([signed_by(3, "trace=1"), signed_by(3, "a; b")], True),
        (["trace=1", signed_by(3)], False),
        (["trace=1", "x-ratchet-model-package=elsewhere"], False),
    ],
)
def test_answers_that_name_the_new_model_or_none_are_verified(aws: Aws, attributes: list[str], named: bool) -> None:
    """A model whose serve.py isn't signed, an older one for instance, is known by its answers and the config."""
    aws.sagemaker_runtime.attributes = list(attributes)
    answer = verify(aws, "7", "8")
    assert (answer["verified"], answer["named"]) == (True, named)


@pytest.mark.parametrize("attributes", [[signed_by(2), signed_by(3)], [signed_by(3), signed_by(2, "trace=1")]])
def test_an_answer_of_another_model_is_refused_however_right_it_is(aws: Aws, attributes: list[str]) -> None:
    """The old champion answers most examples alike: the config's name and right answers don't tell it apart."""
    number = [signed_by(3) in told for told in attributes].index(False) + 1
    aws.sagemaker_runtime.attributes = list(attributes)
    assert verify(aws, "7", "8") == {
        "verified": False,
        "reason": f"example {number} of 2: answered by {PACKAGE}/2, not by {PACKAGE}/3",
        "asked": number - 1,
        "named": False,
    }


def test_an_endpoint_that_changes_while_it_is_asked_is_not_verified(aws: Aws) -> None:
    looks = aws.sagemaker.endpoints["local-digits"]
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": "newer"}}
    looks.append({"EndpointStatus": "Updating", "EndpointConfigName": "new", **pending})
    answer = verify(aws, "7", "8")
    assert (answer["verified"], answer["reason"], answer["asked"]) == (False, "the endpoint is Updating", 2)
