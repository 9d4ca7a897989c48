"""A model's answers as text: one a line, checked; whoever has asked for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contract import held_out_tables
from toolkit.errors import NoAnswersError
from toolkit.heldout import Example


@dataclass(frozen=True)
class Reader:
    """Reads what a model has answered to held-out examples.

    name: the model, `challenger` or `champion`.
    whose: what in a sentence stands for the code that answers: `output_fn`, or `its container`.
    labels: the held-out labels, of which an answer may be one whatever it looks like.
    several: an answer may be several fields, such as a probability for each class, or a document.
    """

    name: str
    whose: str
    labels: frozenset[str]
    several: bool

    def lines(self, answer: str, asked: int, of: str = "") -> list[str]:
        """One answer an example: a line each, or one line with commas, as XGBoost's container writes it.

        A label with a comma or a quotation mark may stand quoted, as CSV has it, or as it is; one with a line break
        quoted.

        Args:
            of: which examples these are, in words, where that is known.

        Raises:
            NoAnswersError: they are more or fewer, or have columns where there should be one.
        """
        lines = [line.strip() for line in answer.strip("\r\n").splitlines()]
        if len(lines) == 1 and asked > 1 and lines[0].count(",") == asked - 1:
            lines = [field.strip() for field in lines[0].split(",")]
        if len(lines) != asked:
            lines = held_out_tables.csv_lines(answer) or lines
        if len(lines) != asked:
            counts = f"{len(lines)} answers to {asked} example{'s' if asked > 1 else ''}{of}"
            must = f"{self.whose} must give one line an example, in their order"
            raise NoAnswersError(self.name, f"the {self.name} gave {counts}; {must}")
        if self.several:
            return lines
        return [line if line in self.labels else self._one_field(line) for line in lines]

    def check(self, texts: Sequence[str], examples: Sequence[Example]) -> None:
        """Raises NoAnswersError for an answer that is none."""
        for index, text in enumerate(texts):
            if text.lower() in ("", "nan", "inf", "-inf"):
                what = f"is {text}" if text else "is empty"
                raise NoAnswersError(
                    self.name,
                    f"the {self.name}'s answer to {examples[index].place} {what}; a label or a number is needed",
                )

    def _one_field(self, line: str) -> str:
        fields = held_out_tables.csv_fields(line)
        if len(fields) > 1:
            columns = f"{len(fields)} columns ({line[:60]})"
            raise NoAnswersError(
                self.name,
                f"the {self.name} answers {columns}; for text/csv {self.whose} must give one label or number a line",
            )
        return fields[0].strip() if fields else ""
