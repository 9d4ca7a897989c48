"""What a run's batch came to, for people: its rows, those without an answer, who answered, where the answers lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contract.batches import BATCH
from contract.states import ANSWER
from ratchet.durations import duration

Document = Mapping[str, Any]

# Of so many files the first bad rows are named in a sentence, and of each so many.
NAMED_FILES, NAMED_ROWS = 3, 5


@dataclass(frozen=True)
class Batch:
    """A batch that was answered.

    answers: the folder of the answers in S3. model_of: the run that trained the model that answered. seconds: how long
    that took. bad_rows: by file the numbers of the first rows without an answer; `bad` counts all.
    """

    run_id: str
    job: str
    answers: str
    files: int
    rows: int
    bad: int
    bad_rows: Mapping[str, list[int]]
    model_of: str | None
    seconds: float | None

    @property
    def document(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def sentence(self) -> str:
        """`1001 rows of 1 file, by the model of run 20261120-101112-abcd, in 3.2 s`."""
        whose = f", by the model of run {self.model_of}" if self.model_of else ""
        took = f", in {duration(self.seconds)}" if self.seconds is not None else ""
        return f"{self.counts}{whose}{took}"

    @property
    def counts(self) -> str:
        """`1001 rows of 1 file`."""
        return f"{_counted(self.rows, 'row')} of {_counted(self.files, 'file')}"

    @property
    def numbered(self) -> int:
        """How many of the rows without an answer are known by their numbers."""
        return sum(map(len, self.bad_rows.values()))

    @property
    def without_answer(self) -> str:
        """`2 rows without an answer: 501 and 502 of monday.csv`; empty where all rows have one."""
        if not self.bad:
            return ""
        named = list(self._named())
        listed = f": {'; '.join(named)}" if named else ""
        return f"{_counted(self.bad, 'row')} without an answer{listed}"

    def _named(self) -> Iterator[str]:
        shown = 0
        for file, numbers in list(self.bad_rows.items())[:NAMED_FILES]:
            few = numbers[:NAMED_ROWS]
            shown += len(few)
            yield f"{_listed(few)} of {file}"
        if shown < self.bad:
            yield f"{self.bad - shown} more"


def of_run(record: Document) -> Batch | None:
    """The batch of a run's record; None where it answered none, or nobody could count the answers."""
    found = record.get(BATCH)
    if not isinstance(found, Mapping) or "rows" not in found:
        return None
    return Batch(
        run_id=str(record.get("run_id", "?")),
        job=str(found.get("job", "?")),
        answers=str(found.get("answers", "")),
        files=int(found.get("files", 0)),
        rows=int(found["rows"]),
        bad=int(found.get("bad", 0)),
        bad_rows={file: [int(number) for number in numbers] for file, numbers in found.get("bad_rows", {}).items()},
        model_of=_model_of(record),
        seconds=(record.get("timings") or {}).get(ANSWER),
    )


def _model_of(record: Document) -> str | None:
    """The champion when the batch was answered: the one that the run has made, else the one that there was."""
    champion = record.get("champion_after") or record.get("champion_before") or {}
    return champion.get("run_id")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _listed(numbers: list[int]) -> str:
    *some, last = map(str, numbers)
    return f"{', '.join(some)} and {last}" if some else last
