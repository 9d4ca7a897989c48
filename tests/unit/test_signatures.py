"""Answers that name their model package: what `@signed` makes of a function in each container, and what is read."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contract import signatures
from localaws.sagemaker.hosting.model_server.context import Context
from localaws.sagemaker.hosting.model_server.flask_model import response_of

PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits/3"
SIGNED = f"ratchet-model-package={PACKAGE}"
FLASK, PYTORCH = "sagemaker_sklearn_container.serving:main", "sagemaker_pytorch_serving_container.serving:main"


@pytest.fixture(autouse=True)
def _toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolkit as a container has it: beside the script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "training_code"))


def signed(function: Callable[..., Any]) -> Callable[..., Any]:
    from toolkit import signature  # noqa: PLC0415 - on the path in tests only

    return signature.signed(function)


def deployed(monkeypatch: pytest.MonkeyPatch, serving: str) -> None:
    monkeypatch.setenv(signatures.MODEL_PACKAGE, PACKAGE)
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", serving)


@pytest.mark.parametrize(
    ("attributes", "signer"),
    [
        (None, None),
        ("", None),
        (SIGNED, PACKAGE),
        (f"trace=1, {SIGNED}", PACKAGE),
        (f"{SIGNED};trace=1", PACKAGE),
        (f"x-{SIGNED}", None),
        ("ratchet-model-package=", None),
    ],
)
def test_the_signer_of_an_answer(attributes: str | None, signer: str | None) -> None:
    assert signatures.signer(attributes) == signer
    if signer:
        assert signatures.signer(signatures.signed(signer, "mine")) == signer


@pytest.mark.parametrize("serving", [FLASK, PYTORCH])
def test_what_no_run_has_deployed_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, serving: str) -> None:
    """In an evaluation, in a test, by hand."""
    monkeypatch.delenv(signatures.MODEL_PACKAGE, raising=False)
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", serving)

    def output_fn(prediction: Any, accept: str) -> Any:
        return prediction, accept

    assert signed(output_fn) is output_fn


class Own:
    """A response of the function's own."""

    def __init__(self, **headers: str) -> None:
        self.headers: dict[str, str] = headers


@pytest.mark.parametrize(
    ("returned", "kind", "body"),
    [
        (("7", "text/csv"), "text/csv", b"7"),
        ((b"\xff", "image/png"), "image/png", b"\xff"),
        ("7", "text/html; charset=utf-8", b"7"),
    ],
)
def test_flask_gets_a_response_with_the_header(
    monkeypatch: pytest.MonkeyPatch, returned: Any, kind: str, body: bytes
) -> None:
    deployed(monkeypatch, FLASK)
    function = signed(lambda _prediction, _accept: returned)
    assert len(inspect.signature(function).parameters) == 2
    answer = response_of(function(1, "text/csv"))
    assert (answer.status, answer.content_type, answer.body) == (200, kind, body)
    assert answer.headers == {signatures.HEADER: SIGNED}


def test_a_response_as_wsgi_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, FLASK)
    told: list[Any] = []
    answer = signed(lambda _prediction, accept: ("7", accept))(1, "text/csv")
    assert (answer.status_code, answer.get_data()) == (200, b"7")
    assert b"".join(answer({}, lambda *begin: told.extend(begin))) == b"7"
    headers = [("Content-Type", "text/csv"), ("Content-Length", "1"), (signatures.HEADER, SIGNED)]
    assert told == ["200 OK", headers]


@pytest.mark.parametrize("returned", [{"a": 1}, [1], None, ("7", None), (["7"], "text/csv")])
def test_an_answer_of_an_unknown_kind_is_not_touched(monkeypatch: pytest.MonkeyPatch, returned: Any) -> None:
    deployed(monkeypatch, FLASK)
    assert signed(lambda _prediction, _accept: returned)(1, "text/csv") is returned


def test_what_the_models_own_code_says_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, FLASK)
    own = Own(**{signatures.HEADER: "trace=1"})
    assert signed(lambda _prediction, _accept: own)(1, "text/csv") is own
    assert own.headers[signatures.HEADER] == f"trace=1, {SIGNED}"


def test_in_pytorchs_container_the_header_is_set_on_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, PYTORCH)
    context = Context("/opt/ml/model")
    context.begin({})
    function = signed(lambda prediction, accept: (prediction, accept))
    assert len(inspect.signature(function).parameters) == 3, "the toolkit gives the context to what takes one more"
    assert function("7", "text/csv", context) == ("7", "text/csv")
    assert context.get_response_headers(0) == {signatures.HEADER.lower(): SIGNED}
    assert function("7", "text/csv") == ("7", "text/csv"), "an older toolkit has no context"


def test_a_function_that_takes_the_context_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, PYTORCH)
    context = Context("/opt/ml/model")
    context.begin({})

    def output_fn(prediction: str, accept: str, context: Any) -> Any:
        context.set_response_header(0, signatures.HEADER, "trace=1")
        return prediction, accept

    function = signed(output_fn)
    assert len(inspect.signature(function).parameters) == 3
    assert function("7", "text/csv", context) == ("7", "text/csv")
    assert context.get_response_headers(0)[signatures.HEADER.lower()] == f"trace=1, {SIGNED}"
