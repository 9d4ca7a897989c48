"""docs/fidelity.md lists the behaviours of AWS that the tests hold: all of them, each with a source, and no others."""

from __future__ import annotations

from pathlib import Path

import fidelity
import pytest
from deviations import DEVIATIONS, Deviation

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"
MARK = "import pytest\n\n@pytest.mark.fidelity({})\ndef test_it(): ...\n"
GOOD = MARK.format('"S3", "A bucket | is " "kept.", "S3 API, DeleteBucket"')


def test_the_committed_page_is_current() -> None:
    made = fidelity.page(fidelity.collected(), DEVIATIONS)
    assert PAGE.read_text(encoding="utf-8") == made, "run: python -m tests.fidelity > docs/fidelity.md"


def test_no_behaviour_is_told_twice_by_one_test_and_no_deviation_twice() -> None:
    found = fidelity.collected()
    assert len({(each.sentence, each.test) for each in found}) == len(found)
    assert len({each.aws for each in DEVIATIONS}) == len(DEVIATIONS)


def test_a_row_has_sentence_source_and_test() -> None:
    [found] = fidelity.marked(GOOD, "tests/unit/test_x.py")
    assert found == fidelity.Behaviour(
        "S3", "A bucket | is kept.", "S3 API, DeleteBucket", "tests/unit/test_x.py::test_it"
    )
    row = "| A bucket \\| is kept. | S3 API, DeleteBucket | [unit/test_x.py::test_it](../tests/unit/test_x.py) |"
    assert row in fidelity.page([found], []).splitlines()


def test_several_behaviours_of_one_test_and_other_decorators() -> None:
    source = (
        'import pytest\n\n@pytest.mark.fidelity("B", "Two.", "s")\n@pytest.mark.parametrize("a", [1])\n'
        '@pytest.mark.fidelity("A", "One.", "s")\ndef test_it(a): ...\n'
    )
    found = fidelity.marked(source, "tests/unit/test_x.py")
    assert [each.sentence for each in found] == ["Two.", "One."]
    page = fidelity.page(found, [Deviation("A", "x", "y", "z")])
    assert page.index("## A\n") < page.index("## B\n") < page.index("## Deviations, argued")
    assert "| A | x | y | z |" in page


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (MARK.format('"S3", "It is kept.", ""'), "'' must be a literal text of one line that isn't empty"),
        (MARK.format('"S3", SENTENCE, "S3 API"'), "SENTENCE must be a literal text"),
        (MARK.format('"S3", f"{1}.", "S3 API"'), "must be a literal text"),
        (MARK.format('"S3", "It is kept.", 3'), "3 must be a literal text"),
        (MARK.format('"S3", "It is kept."'), "it takes three arguments: area, behaviour, source"),
        (MARK.format('"S3", "It is kept.", source="S3 API"'), "it takes three arguments"),
        (MARK.format('"S3", "It is kept", "S3 API"'), "ends in a full stop"),
        ("import pytest\n\n@pytest.mark.fidelity\ndef test_it(): ...\n", "it must decorate a test function"),
        (GOOD.replace("test_it", "helper"), "it must decorate a test function"),
        (
            'import pytest\npytestmark = pytest.mark.fidelity("S3", "It is kept.", "S3 API")\n',
            "it must decorate a test",
        ),
    ],
)
def test_a_marker_that_cannot_be_listed_is_refused_with_its_place(source: str, said: str) -> None:
    with pytest.raises(fidelity.FidelityMarkerError) as caught:
        fidelity.marked(source, "tests/unit/test_x.py")
    assert str(caught.value).startswith(
        f"tests/unit/test_x.py:{2 if 'pytestmark' in source else 3}: pytest.mark.fidelity: "
    )
    assert said in str(caught.value)
