"""MiniStack's uses of users' regular expressions and wildcards, matched in linear time.

It compiles them with Python's `re`, on its event loop: one `AllowedPattern` of a template, one query of CloudWatch Logs
Insights or one policy with a few stars would keep every request waiting for years.
"""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported
from localaws.patterns import PatternError, regex, wildcard, wildcard_regex

# What else compiles users' expressions, and is too heavy to import at start.
_COMPILING = ("ministack.services.cloudformation.engine", "ministack.services.glue")


class LinearRe:
    """Stands in for the module `re` where what is compiled is a user's; the rest of it is the module's own."""

    error = re.error

    def __getattr__(self, name: str) -> Any:
        return getattr(re, name)

    @staticmethod
    def compile(pattern: str, flags: int = 0) -> Any:
        """As `re.compile`, with what RE2 takes; `re.error` for the rest."""
        try:
            return regex(pattern, ignore_case=bool(flags & re.IGNORECASE))
        except PatternError as error:
            raise re.error(str(error)) from error


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.core import iam_evaluator
    from ministack.services import cloudwatch_logs, sns

    iam_evaluator._fnmatch_compile = wildcard_regex
    sns._wildcard_matches = _topic_wildcard
    cloudwatch_logs.re = LinearRe()
    for name in _COMPILING:
        when_imported(name, _compile_in_linear_time)


def _compile_in_linear_time(module: ModuleType) -> None:
    module.__dict__["re"] = LinearRe()


def _topic_wildcard(value: str, pattern: str) -> bool:
    """A subscription's filter knows `*` only ("String value matching", Amazon SNS Developer Guide)."""
    return wildcard(pattern, value, one=False)
