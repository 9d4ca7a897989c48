"""JSONPath's intrinsic functions, by name (Developer Guide, "Intrinsic functions for JSONPath states").

Each checks its arguments: what AWS refuses must not go on here with a guess.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST_TEXT = 10_000  # characters that Base64 and Hash take
_LONGEST_RANGE = 1000
_INT32 = 2**31
_DIGESTS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


class IntrinsicError(ValueError):
    """The arguments of a function aren't what it takes."""


def call(name: str, arguments: list[Any]) -> Any:
    """The value of a function. Raises IntrinsicError that names it."""
    if name not in FUNCTIONS:
        raise IntrinsicError(f"Unsupported intrinsic function: {name}")
    function, least, most = FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        raise IntrinsicError(f"Invalid number of arguments in {name}: {len(arguments)}")
    try:
        return function(*arguments)
    except (ValueError, TypeError) as exc:
        raise IntrinsicError(f"Invalid arguments in {name}: {exc}") from exc


def _format(template: Any, *values: Any) -> str:
    r"""`{}` stands for the next value; `\{`, `\}`, `\'` and `\\` for the character itself."""
    text, rest, pieces = _text(template), list(values), []
    index = 0
    while index < len(text):
        if text[index] == "\\" and index + 1 < len(text):
            pieces.append(text[index + 1])
            index += 2
        elif text.startswith("{}", index):
            if not rest:
                raise IntrinsicError("there are more {} than values")
            pieces.append(_shown(rest.pop(0)))
            index += 2
        else:
            pieces.append(text[index])
            index += 1
    if rest:
        raise IntrinsicError("there are more values than {}")
    return "".join(pieces)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _from_json(text: Any) -> Any:
    return json.loads(_text(text))


def _merged(left: Any, right: Any, deep: Any) -> dict[str, Any]:
    if deep is not False:
        raise IntrinsicError("only a shallow merge is supported: the third argument must be false")
    if not isinstance(left, dict) or not isinstance(right, dict):
        raise IntrinsicError("objects are merged")
    return {**left, **right}


def _partitioned(items: Any, size: Any) -> list[Any]:
    listed, by = _array(items), _integer(size)
    if by < 1:
        raise IntrinsicError("the chunk size must be positive")
    return [listed[start : start + by] for start in range(0, len(listed), by)]


def _range(first: Any, last: Any, step: Any) -> list[int]:
    start, end, by = _integer(first), _integer(last), _integer(step)
    if by == 0:
        raise IntrinsicError("the step must not be zero")
    found = range(start, end + (1 if by > 0 else -1), by)
    if len(found) > _LONGEST_RANGE:
        raise IntrinsicError(f"an array has at most {_LONGEST_RANGE} elements")
    return list(found)


def _item(items: Any, index: Any) -> Any:
    listed, at = _array(items), _integer(index)
    if not 0 <= at < len(listed):
        raise IntrinsicError(f"there is no element {at} of {len(listed)}")
    return listed[at]


def _contains(items: Any, wanted: Any) -> bool:
    return _key(wanted) in map(_key, _array(items))


def _unique(items: Any) -> list[Any]:
    first: dict[str, Any] = {}
    for item in _array(items):
        first.setdefault(_key(item), item)
    return list(first.values())


def _key(value: Any) -> str:
    """A value as a text that only its equals have: 1 is 1.0, and isn't true."""
    whole = isinstance(value, float) and value.is_integer()
    return json.dumps(int(value) if whole else value, sort_keys=True)


def _encoded(text: Any) -> str:
    return base64.b64encode(_short(text).encode()).decode()


def _decoded(text: Any) -> str:
    short = _short(text)
    try:
        return base64.b64decode(short + "=" * (-len(short) % 4), validate=True).decode("utf-8", "replace")
    except binascii.Error as exc:
        raise IntrinsicError(str(exc)) from exc


def _hash(data: Any, algorithm: Any) -> str:
    if algorithm not in _DIGESTS:
        raise IntrinsicError(f"the algorithm must be one of {', '.join(_DIGESTS)}")
    text = data if isinstance(data, str) else json_text(data)
    return hashlib.new(_DIGESTS[algorithm], _short(text).encode()).hexdigest()


def _split(text: Any, delimiters: Any) -> list[str]:
    """Each character is a delimiter, and a run of them makes no empty parts."""
    parts = [""]
    for character in _text(text):
        if character in _text(delimiters):
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part]


def _random(first: Any, last: Any, seed: Any = None) -> int:
    """From the first number up to, and without, the last."""
    chooser = random.Random(None if seed is None else _integer(seed))  # noqa: S311 - no secret is made of it
    return chooser.randrange(_integer(first), _integer(last))


def _sum(left: Any, right: Any) -> int:
    return _integer(left) + _integer(right)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise IntrinsicError(f"{json_text(value)} is no string")
    return value


def _short(value: Any) -> str:
    if len(_text(value)) > _LONGEST_TEXT:
        raise IntrinsicError(f"a string has at most {_LONGEST_TEXT} characters")
    return str(value)


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise IntrinsicError(f"{json_text(value)} is no array")
    return value


def _integer(value: Any) -> int:
    """A number that isn't whole is rounded, as AWS does."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_INT32 <= value < _INT32:
        raise IntrinsicError(f"{json_text(value)} is no integer of 32 bits")
    return math.floor(value + 0.5)


_MANY = 10_000
# By name: the function, and how many arguments it takes at least and at most.
FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "States.Array": (lambda *items: list(items), 0, _MANY),
    "States.ArrayPartition": (_partitioned, 2, 2),
    "States.ArrayContains": (_contains, 2, 2),
    "States.ArrayRange": (_range, 3, 3),
    "States.ArrayGetItem": (_item, 2, 2),
    "States.ArrayLength": (lambda items: len(_array(items)), 1, 1),
    "States.ArrayUnique": (_unique, 1, 1),
    "States.Base64Encode": (_encoded, 1, 1),
    "States.Base64Decode": (_decoded, 1, 1),
    "States.Hash": (_hash, 2, 2),
    "States.JsonMerge": (_merged, 3, 3),
    "States.StringToJson": (_from_json, 1, 1),
    "States.JsonToString": (json_text, 1, 1),
    "States.MathRandom": (_random, 2, 3),
    "States.MathAdd": (_sum, 2, 2),
    "States.StringSplit": (_split, 2, 2),
    "States.UUID": (lambda: str(uuid.uuid4()), 0, 0),
    "States.Format": (_format, 1, _MANY),
}
