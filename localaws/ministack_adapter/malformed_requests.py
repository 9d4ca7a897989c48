"""A request that its service can't make sense of is the client's error, never the server's.

MiniStack's handlers take a body as they find it: a list where an object belongs, a number where a text does, a
thousand brackets or an integer of five thousand digits end as InternalError with Python's words. Here a body nested too
deeply is refused before, and where a handler fails, the body is held against AWS's own model of the operation.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from localaws.ministack_adapter import wire_errors
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.request_bodies import BodyTooLargeError

logger = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], Any]

# DynamoDB takes 32 levels, the JSON readers of AWS's services some hundreds. What is deeper than this could be read
# here, but not always be written to the journal.
MAX_DEPTH = 256
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
}
_OUT_OF_RANGE = "The request holds a number that is out of range"
_ALWAYS_ITS_FAULT = (
    (RecursionError, "The request is nested too deeply"),
    (OverflowError, _OUT_OF_RANGE),
    (UnicodeError, "The request holds text that is no Unicode"),
)
_MAY_BE_ITS_FAULT = (AttributeError, TypeError, KeyError, IndexError, ValueError)


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack import app

    for service, handler in app.SERVICE_HANDLERS.items():
        app.SERVICE_HANDLERS[service] = _careful(service, handler)
    dispatch = app._dispatch_service_request

    @functools.wraps(dispatch)
    async def _dispatch_service_request(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any, request_id: str
    ) -> Response:
        # Who asks for what is read from the body before the handler sees it.
        try:
            answer: Response = await dispatch(method, path, headers, body, query_params, request_id)
        except BodyTooLargeError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again unless the request is to blame
            service = app.detect_service(method, path, headers, query_params)
            return _told(service, headers, body, error)
        return answer

    app._dispatch_service_request = _dispatch_service_request


def _careful(service: str, handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any) -> Response:
        if (service != "s3" or method == "POST") and is_too_deep(body):
            return _malformed(service, headers, f"The request is nested more than {MAX_DEPTH} levels deep")
        try:
            answer: Response = await handler(method, path, headers, body, query_params)
        except Exception as error:  # noqa: BLE001 - likewise
            return _told(service, headers, body, error)
        return answer

    return handle


def is_too_deep(body: bytes) -> bool:
    """Whether JSON is nested more deeply than MAX_DEPTH; False for everything else. Pure, and linear."""
    if not body[:64].lstrip().startswith((b"{", b"[")):
        return False
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _TEXTS.sub(b"", body).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH


def _told(service: str, headers: dict[str, str], body: bytes, error: Exception) -> Response:
    """The answer to a request that a handler failed on; raises what is no fault of the request's."""
    read = body if isinstance(body, bytes) else b""  # an object on its way to the disk is no document
    found = fault(service, headers.get("x-amz-target", "").rpartition(".")[2], read, error)
    if found is None:
        raise error
    logger.info("%s: a malformed request: %s", service, found)
    return _malformed(service, headers, found)


def fault(service: str, operation: str, body: bytes, error: Exception) -> str | None:
    """What is wrong with a request that ended in an error of Python's; None where nothing is known to be. Pure."""
    for kinds, told in _ALWAYS_ITS_FAULT:
        if isinstance(error, kinds):
            return told
    if "integer string conversion" in str(error):
        return _OUT_OF_RANGE
    return _wrong_document(service, operation, body) if isinstance(error, _MAY_BE_ITS_FAULT) else None


def _wrong_document(service: str, operation: str, body: bytes) -> str | None:
    """What is wrong with a body in JSON; operations that a path names are held against no model."""
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return "The request body is not JSON" if operation else None
    if not isinstance(document, dict):
        return "The request body is not a JSON object"
    shape = _input_shape(service, operation)
    return None if shape is None else wrong_type(shape, document, "")


def _input_shape(service: str, operation: str) -> Any:
    from ministack.core import responses

    model = responses._service_model(service)
    return model.operation_model(operation).input_shape if model and operation in model.operation_names else None


def wrong_type(shape: Any, value: Any, path: str) -> str | None:
    """The first member of a document that is of another type than AWS's model says, or is missing. Pure."""
    kind: str = shape.type_name
    types: Any = _TYPES.get(kind)
    if value is None or types is None:
        return None
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        return f"{path or 'The request'}: a {kind} belongs here, not {type(value).__name__}"
    if kind == "structure":
        missing = next((name for name in shape.required_members if value.get(name) is None), None)
        if missing is not None:
            return f"{_below(path, missing)}: is required"
    found = (wrong_type(*child) for child in _children(shape, value, path))
    return next(filter(None, found), None)


def _children(shape: Any, value: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield member, value.get(name), _below(path, name)
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield shape.member, item, f"{path}[{index}]"
    elif shape.type_name == "map":
        for name, item in value.items():
            yield shape.value, item, _below(path, name)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _malformed(service: str, headers: dict[str, str], why: str) -> Response:
    code = "MalformedXML" if service == "s3" else "SerializationException"
    return wire_errors.error(service, 400, code, f"{why}.", headers)
