"""Users' regular expressions and wildcards: what they match, what is refused, and that none takes long."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.patterns import PatternError, regex, wildcard
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs.training_metrics import LINE_SECONDS, MetricParser, SlowMetricsError, check_definitions

# Each takes Python's own engine longer than anybody waits.
EXPLOSIVE = [r"(a+)+$", r"(x+x+)+y", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"(.*,){20}P", r"(a|aa)+b"]
LONG = "a" * 40 + "x" * 40 + "!"


@pytest.mark.parametrize("pattern", EXPLOSIVE)
def test_an_explosive_expression_takes_no_longer_than_any_other(pattern: str) -> None:
    assert regex(pattern).search(LONG) is None


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"loss: ([0-9.]+)", "loss: 0.5", "0.5"),
        (r"(?P<f1>\d+)\Z", "f1 7", "7"),
        (r"caf\u00e9 (\w+)", "café noir", "noir"),
        (r"acc=(.*?);", "acc=0.1;acc=0.2;", "0.1"),
    ],
)
def test_expressions_as_their_writers_know_them(pattern: str, text: str, found: str) -> None:
    assert regex(pattern).search(text)[1] == found
    assert regex(pattern, of_bytes=True).search(text.encode())[1] == found.encode()


@pytest.mark.parametrize("pattern", [r"(?<=a)b", r"(a)\1", r"a++", r"(?>a)b", r"(?!x)y"])
def test_what_needs_backtracking_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"without lookaround, back-references"):
        regex(pattern)
    with pytest.raises(SageMakerError, match="Invalid metric definition regex for loss"):
        check_definitions([{"Name": "loss", "Regex": f"({pattern})"}])


def test_a_line_that_takes_too_long_ends_the_metrics_of_its_job() -> None:
    """A search is linear, but a line may hold as many as it has characters."""
    ticks = iter(range(100))
    parser = MetricParser([{"Name": "x", "Regex": "(x+x+)+y|x"}], clock=lambda: next(ticks) * LINE_SECONDS)
    with pytest.raises(SlowMetricsError, match=r"metric x took more than 1 s on a line of 8 bytes"):
        parser.parse("x" * 8, 1.0)


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("*", "", True),
        ("a*", "abc", True),
        ("a*c", "abcd", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*b*b", "abab", True),
        ("*b*b", "ab", False),
        ("arn:aws:s3:::bucket/*/model/*", "arn:aws:s3:::bucket/a/b/model/", True),
        ("*aab*", "aaab", True),
        ("s3:Get*", "s3:GetObject\n", True),
        ("s3:GetObject", "s3:GetObject\n", False),
        ("a.b", "axb", False),
        ("*?c", "abc", True),
        ("a**b", "ab", True),
    ],
)
def test_wildcards(pattern: str, value: str, fits: bool) -> None:
    assert wildcard(pattern, value) is fits


def test_wildcards_with_many_stars_are_linear_too() -> None:
    assert not wildcard("*a" * 30 + "b", "a" * 5000)
    assert not wildcard("a*" * 30 + "c", "a" * 5000, ignore_case=True)


def test_wildcards_where_only_the_star_is_one() -> None:
    assert not wildcard("a?c", "abc", one=False)
    assert wildcard("a?*", "a?c", one=False)


def test_expressions_of_jsonata_are_linear() -> None:
    pattern = jsonata.Regex.of("(a+)+$", SimpleNamespace(case_insensitive=True, multiline=False))
    assert pattern.search("A" * 40 + "!") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('$replace("ab12", /([a-z]+)(\\d+)/, "$2-$1")', "12-ab"),
        ('$replace("ab", /(a)/, "$12")', "a2b"),
        ('$match("a1b2", /[a-z](\\d)/).groups', ["1", "2"]),
        ('$split("a, b,c", /,\\s*/)', ["a", "b", "c"]),
        ('$contains("Übung", /übung/i)', True),
    ],
)
def test_functions_of_jsonata_with_expressions(text: str, value: object) -> None:
    assert jsonata.evaluate(text, {}) == value


def test_an_expression_of_jsonata_that_is_not_taken_is_refused_when_it_is_parsed() -> None:
    with pytest.raises(ValueError, match="lookaround"):
        jsonata.parse('$match("a", /(?=a)/)')
