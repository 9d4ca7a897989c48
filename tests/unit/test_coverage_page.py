"""docs/coverage.md says what the embedded AWS has, no more and no less."""

from pathlib import Path

from localaws import coverage

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == coverage.page(), "run: python -m localaws.coverage > docs/coverage.md"


def test_every_operation_of_both_services_is_listed_once() -> None:
    lines = [line for line in coverage.page().splitlines() if line.startswith("- [")]
    listed = sorted(line[6:] for line in lines)
    assert listed == sorted(coverage.all_operations("sagemaker") + coverage.all_operations("sagemaker-runtime"))


def test_an_operation_is_ticked_only_when_it_has_a_handler() -> None:
    ticked = {line[6:] for line in coverage.page().splitlines() if line.startswith("- [x]")}
    assert ticked == coverage.implemented_operations() | coverage.RUNTIME_OPERATIONS
    assert "CreateEndpoint" in ticked
    assert "CreateFeatureGroup" not in ticked
