"""Requests checked against botocore's own service model, refused in AWS's wording.

boto3 itself checks only required members, types and lower bounds before it sends; everything else (patterns, enums,
upper bounds) is the service's to check, and a state machine or CloudFormation sends unchecked documents anyway.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

_JAVA_CLASS = re.compile(r"\\p\{\w+\}")

Check = Callable[[Any, Any, str], Iterator[str]]

# Java's Unicode classes, which Python's `re` lacks, as near as its own classes come.
_JAVA_CLASSES = {
    r"\p{Alnum}": "a-zA-Z0-9",
    r"\p{L}": r"\w",
    r"\p{M}": r"\u0300-\u036f",
    r"\p{N}": r"\d",
    r"\p{Z}": r"\s",
    r"\p{S}": r"$+<=>^`|~",
    r"\p{P}": r"!\"#%&'()*,\-./:;?@\[\\\]_{}",
    r"\p{ASCII}": r"\x00-\x7f",
    r"\p{Print}": r"\x20-\x7e",
}


@lru_cache(maxsize=1)
def service_model() -> ServiceModel:
    """botocore's model of SageMaker; loading it takes 100 ms, so it is done once."""
    return ServiceModel(Loader().load_service_model("sagemaker", "service-2"), "sagemaker")


@lru_cache(maxsize=1)
def _runtime_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("sagemaker-runtime", "service-2"), "sagemaker-runtime")


@lru_cache(maxsize=1)
def operation_names() -> frozenset[str]:
    """Every operation that AWS's SageMaker has."""
    return frozenset(service_model().operation_names)


def check_request(operation: str, request: Document) -> None:
    """Raise what AWS raises when `request` doesn't fit the operation's input shape.

    ValidationException, "N validation error(s) detected: ...", for missing members, lengths, ranges, patterns and
    enums; SerializationException for a wrong JSON type; ValidationException for unknown members, which AWS drops
    silently and which here are always a mistake.
    """
    _refuse_misfit(service_model(), operation, request)


def check_runtime_request(operation: str, request: Document) -> None:
    """The same for an operation of SageMaker Runtime and its members, but for a body."""
    _refuse_misfit(_runtime_model(), operation, request)


def _refuse_misfit(model: ServiceModel, operation: str, request: Document) -> None:
    shape = model.operation_model(operation).input_shape
    if shape is None:
        return
    found = list(_check(shape, request, ""))
    if not found:
        return
    noun = "error" if len(found) == 1 else "errors"
    raise errors.validation(f"{len(found)} validation {noun} detected: {'; '.join(found)}")


def _check(shape: Shape, value: Any, path: str) -> Iterator[str]:
    checks: dict[str, Check] = {
        "structure": _check_structure,
        "list": _check_list,
        "map": _check_map,
        "string": _check_string,
        "integer": _check_number,
        "long": _check_number,
        "float": _check_number,
        "double": _check_number,
        "boolean": _check_boolean,
    }
    check = checks.get(shape.type_name)
    if check is not None:
        yield from check(shape, value, path)


def _check_structure(shape: StructureShape, value: Any, path: str) -> Iterator[str]:
    _expect(value, dict, path)
    unknown = sorted(set(value) - set(shape.members))
    if unknown:
        where = f" in '{path}'" if path else ""
        raise errors.validation(
            f"Unknown parameter{where}: '{unknown[0]}', must be one of: {', '.join(sorted(shape.members))}"
        )
    for name in shape.required_members:
        if value.get(name) is None:
            yield _failed("null", _join(path, name), "Member must not be null")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _check(member, value[name], _join(path, name))


def _check_list(shape: ListShape, value: Any, path: str) -> Iterator[str]:
    _expect(value, list, path)
    yield from _check_length(shape, value, path)
    for index, item in enumerate(value, start=1):
        yield from _check(shape.member, item, f"{path}.{index}.member")


def _check_map(shape: MapShape, value: Any, path: str) -> Iterator[str]:
    _expect(value, dict, path)
    yield from _check_length(shape, value, path)
    for key, item in value.items():
        yield from _check(shape.key, key, f"{path}.key")
        yield from _check(shape.value, item, f"{path}.{key}.member")


def _check_string(shape: Shape, value: Any, path: str) -> Iterator[str]:
    _expect(value, str, path)
    if shape.enum and value not in shape.enum:
        yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")
    yield from _check_length(shape, value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield _failed(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _check_number(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, bool):
        _refuse_type(value, "number", path)
    _expect(value, (int,) if shape.type_name in ("integer", "long") else (int, float), path)
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        yield _failed(value, path, f"Member must have value greater than or equal to {low}")
    if high is not None and value > high:
        yield _failed(value, path, f"Member must have value less than or equal to {high}")


def _check_boolean(_shape: Shape, value: Any, path: str) -> Iterator[str]:
    _expect(value, bool, path)
    yield from ()


def _check_length(shape: Shape, value: Any, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield _failed(_shown(value), path, f"Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        yield _failed(_shown(value), path, f"Member must have length less than or equal to {high}")


def _failed(value: object, path: str, constraint: str) -> str:
    shown = "null" if value == "null" else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _expect(value: Any, types: type | tuple[type, ...], path: str) -> None:
    if not isinstance(value, types):
        wanted = types if isinstance(types, tuple) else (types,)
        _refuse_type(value, " or ".join(_JSON_NAMES[kind] for kind in wanted), path)


_JSON_NAMES: dict[type, str] = {
    dict: "object", list: "list", str: "string", int: "integer", float: "number", bool: "boolean",
}  # fmt: skip


def _refuse_type(value: Any, wanted: str, path: str) -> None:
    raise errors.SageMakerError(
        "SerializationException",
        f"'{path or 'request'}' must be a JSON {wanted}, not {type(value).__name__}: {value!r}",
    )


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = _JAVA_CLASS.sub(_python_class, pattern)
    # Java's surrogate ranges: everything beyond the basic plane, which Python holds as single characters.
    pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    pattern = pattern.replace(r"\z", r"\Z")
    # CustomerMetadataKey's pattern ends in `${1,128}`, an end that may repeat: Python refuses it; lengths are checked.
    pattern = re.sub(r"\$\{\d+,\d+\}$", "$", pattern)
    return re.compile(pattern)


def _python_class(match: re.Match[str]) -> str:
    members = _JAVA_CLASSES[match.group()]
    before = match.string[: match.start()]
    inside_brackets = before.rfind("[") > before.rfind("]")
    return members if inside_brackets else f"[{members}]"
