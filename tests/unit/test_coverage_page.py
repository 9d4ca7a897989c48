"""docs/coverage.md says what the embedded AWS has, no more and no less."""

from pathlib import Path

from localaws import coverage
from localaws.autoscaling import service

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == coverage.page(), "run: python -m localaws.coverage > docs/coverage.md"


def test_every_operation_of_each_service_is_listed_once() -> None:
    lines = [line for line in coverage.page().splitlines() if line.startswith("- [")]
    listed = sorted(line[6:] for line in lines)
    services = ("sagemaker", "sagemaker-runtime", "application-autoscaling")
    assert listed == sorted(name for service in services for name in coverage.all_operations(service))


def test_an_operation_is_ticked_only_when_it_has_a_handler() -> None:
    ticked = {line[6:] for line in coverage.page().splitlines() if line.startswith("- [x]")}
    assert ticked == coverage.implemented_operations() | coverage.RUNTIME_OPERATIONS | service.OPERATIONS
    assert "CreateEndpoint" in ticked
    assert "CreateFeatureGroup" not in ticked
