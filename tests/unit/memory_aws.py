"""An AWS in memory for the functions' unit tests: requests are checked by botocore's models, effects are kept.

A test may put something between two calls (`Aws.step`): another delivery, a person, or a crash.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.errorfactory import ClientExceptionsFactory
from botocore.validate import ParamValidator
from common import clients
from memory_services import SERVICES

# Small, so that whoever forgets a page is found out.
PAGE = 2


class Crash(BaseException):
    """The function is gone, between two of its calls."""


class Aws:
    """boto3 clients by service, and their services' memory as attributes of that name (`aws.sagemaker.models`)."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.step: Callable[[str], None] = lambda _operation: None
        self._services = {name: service() for name, service in SERVICES.items()}
        self._clients = {name: Client(self, name, service) for name, service in self._services.items()}

    def __getattr__(self, service: str) -> Any:
        return self._services[service.replace("_", "-")]

    def client(self, service: str) -> Client:
        return self._clients[service]

    def called(self, operation: str) -> list[dict[str, Any]]:
        """The requests of an operation, in boto3's spelling."""
        return [request for name, request in self.calls if name == operation]

    def refuse(self, operation: str, code: str, message: str = "no") -> None:
        """From now on an operation is answered with an error."""
        service = next(client for client in self._clients.values() if operation in client.operations)
        service.refusals[operation] = (code, message)

    def crash_at(self, number: int) -> None:
        """The function is gone at its `number`th call, from 1: before odd ones are done, after even ones."""
        counter = itertools.count(1)

        def step(_operation: str) -> None:
            if next(counter) == number:
                raise Crash

        self.step = step

    def undisturbed(self) -> None:
        self.step = lambda _operation: None


class Client:
    """A boto3 client of one service."""

    def __init__(self, aws: Aws, service: str, memory: Any) -> None:
        self._aws, self._memory, self._service = aws, memory, service
        self._model = service_model(service)
        self.exceptions = ClientExceptionsFactory().create_client_exceptions(self._model)
        self.operations = {xform_name(name): name for name in self._model.operation_names}
        self.refusals: dict[str, tuple[str, str]] = {}
        memory.error = self.error

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if operation not in self.operations:
            raise AttributeError(f"{self._service} has no operation {operation}")
        return lambda **request: self._call(operation, request)

    def _call(self, operation: str, request: dict[str, Any]) -> Any:
        shape = self._model.operation_model(self.operations[operation]).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        self._aws.step(operation)
        self._aws.calls.append((operation, request))
        if operation in self.refusals:
            raise self.error(operation, *self.refusals[operation])
        answer = getattr(self._memory, operation)(**request)
        self._aws.step(operation)
        return answer if answer is not None else {}

    def error(self, operation: str, code: str, message: str) -> Exception:
        """The exception that boto3 raises for an error of AWS's: the modelled one where there is one."""
        answer: Any = {"Error": {"Code": code, "Message": message}}
        raised: Exception = self.exceptions.from_code(code)(answer, self.operations[operation])
        return raised

    def get_paginator(self, operation: str) -> Paginator:
        return Paginator(self, operation, paginators(self._service)[self.operations[operation]]["result_key"])


class Paginator:
    """Answers an operation's lists in pages of PAGE entries; a first page without any is a page, too."""

    def __init__(self, client: Client, operation: str, keys: str | list[str]) -> None:
        self._client, self._operation = client, operation
        self._keys = [keys] if isinstance(keys, str) else keys

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        answer = getattr(self._client, self._operation)(**request)
        yield {key: answer[key][:PAGE] for key in self._keys if key in answer}
        longest = max(len(answer.get(key, ())) for key in self._keys)
        for start in range(PAGE, longest, PAGE):
            yield {key: answer[key][start : start + PAGE] for key in self._keys if key in answer}


@cache
def service_model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def paginators(service: str) -> Any:
    return (
        botocore.session.get_session()
        .get_component("data_loader")
        .load_service_model(service, "paginators-1")["pagination"]
    )


def installed(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Aws:
    """An AWS that the functions' clients reach, and their environment variables."""
    aws = Aws()
    monkeypatch.setattr(boto3, "client", aws.client)
    clients.client.cache_clear()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return aws
