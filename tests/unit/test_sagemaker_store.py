"""The store, lists over it, and being told of changes."""

import threading
from pathlib import Path

import pytest

from localaws.sagemaker.core import listing
from localaws.sagemaker.core.changes import Changes
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.sqlite")


def test_a_name_can_be_taken_once(store: Store) -> None:
    assert store.create("job", "a", {"x": 1})
    assert not store.create("job", "a", {"x": 2})
    assert store.create("model", "a", {"x": 3})
    assert store.get("job", "a") == {"x": 1}


def test_what_is_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    first = Store(tmp_path / "store.sqlite")
    first.create("job", "a", {"x": 1})
    first.add_tags("arn", {"k": "v"})
    second = Store(tmp_path / "store.sqlite")  # the first never closed: as after kill -9
    assert second.get("job", "a") == {"x": 1}
    assert second.tags("arn") == {"k": "v"}


def test_a_refused_change_changes_nothing(store: Store) -> None:
    store.create("job", "a", {"x": 1})

    def refuse(document: Document) -> Document:
        document["x"] = 2
        raise ValueError

    with pytest.raises(ValueError):
        store.update("job", "a", refuse)
    assert store.get("job", "a") == {"x": 1}
    assert store.update("job", "nothing", refuse) is None


def test_updates_from_many_threads_are_all_counted(store: Store) -> None:
    store.create("job", "a", {"x": 0})

    def count() -> None:
        for _ in range(50):
            store.update("job", "a", lambda document: {"x": document["x"] + 1})

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("job", "a") == {"x": 400}


def test_tags_are_by_arn(store: Store) -> None:
    store.add_tags("one", {"a": "1", "b": "2"})
    store.add_tags("one", {"a": "3"})
    store.delete_tags("one", ["b", "c"])
    assert store.tags("one") == {"a": "3"}
    store.delete_tags("one")
    assert store.tags("one") == {}


JOBS = [
    {"Name": f"job-{number}", "Status": "Failed" if number % 2 else "Completed", "CreationTime": 100.0 + number}
    for number in range(25)
]


def names(request: Document) -> list[str]:
    found, _ = listing.page({"MaxResults": 100, **request}, JOBS, name="Name", status="Status")
    return [job["Name"] for job in found]


@pytest.mark.fidelity(
    "Clients",
    "SageMaker's lists are newest first, ten to a page.",
    "SageMaker API, ListTrainingJobs: MaxResults, default 10",
)
def test_lists_are_newest_first_ten_at_a_time() -> None:
    seen: list[str] = []
    request: Document = {}
    while True:
        found, more = listing.page(request, JOBS, name="Name", status="Status")
        assert len(found) <= 10
        seen += [job["Name"] for job in found]
        if not more:
            break
        request = more
    assert seen == [f"job-{number}" for number in reversed(range(25))]


@pytest.mark.fidelity(
    "Clients",
    "Lists filter by NameContains, StatusEquals and times, and sort by SortBy.",
    "SageMaker API, ListTrainingJobs",
)
def test_lists_filter_and_sort() -> None:
    assert names({"NameContains": "JOB-2", "SortBy": "Name", "SortOrder": "Ascending"}) == [
        "job-2", "job-20", "job-21", "job-22", "job-23", "job-24"
    ]  # fmt: skip
    assert len(names({"StatusEquals": "Failed"})) == 12
    assert names({"CreationTimeAfter": 100.0, "CreationTimeBefore": 103.0}) == ["job-2", "job-1"]
    assert names({"CreationTimeAfter": "1970-01-01T00:02:03Z"}) == ["job-24"]


def test_a_token_that_is_not_ours_is_refused() -> None:
    with pytest.raises(SageMakerError, match="Invalid NextToken"):
        listing.page({"NextToken": "abc"}, JOBS, name="Name")


def test_a_waiter_wakes_on_the_change_and_gives_up_in_time() -> None:
    changes = Changes()
    status = ["InProgress"]
    heard: list[tuple[str, str]] = []
    changes.listen(lambda kind, name: heard.append((kind, name)))

    def change() -> None:
        status[0] = "Completed"
        changes.announce("job", "a")

    threading.Timer(0.05, change).start()
    assert changes.wait_until(lambda: status[0] == "Completed", 30)
    assert heard == [("job", "a")]
    assert not changes.wait_until(lambda: False, 0.01)
