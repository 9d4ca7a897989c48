"""A JSONata expression is parsed once, however often it is evaluated.

A machine evaluates the same expressions in every execution, and parsing them takes longer than the rest. Evaluation
leaves the tree as it is, so threads may share it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

MOST, LONGEST = 512, 2_000  # trees that are kept, and characters of an expression whose tree is


@functools.cache
def install() -> None:
    """Have the engine's parser remember trees. Once."""
    from ministack.services import stepfunctions

    engine = stepfunctions.jsonata
    engine.parser.Parser.parse = _remembering(engine.parser.Parser.parse, engine.Jsonata.get_parser)


def _remembering(parse: Callable[..., Any], of_this_thread: Callable[[], Any]) -> Callable[..., Any]:
    @functools.lru_cache(MOST)
    def remembered(text: str, *regex_engine: Any) -> Any:
        return parse(of_this_thread(), text, *regex_engine)

    @functools.wraps(parse)
    def parsed(parser: Any, text: str | None, *regex_engine: Any) -> Any:
        if text is None or len(text) > LONGEST:
            return parse(parser, text, *regex_engine)
        return remembered(text, *regex_engine)

    return parsed
