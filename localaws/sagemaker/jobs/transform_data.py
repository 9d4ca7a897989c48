"""DataProcessing of a transform job: what of a record the model sees, and what of record and answer is written.

"Associate Prediction Results with Input Records" (Developer Guide) and DataProcessing (API reference).
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.jobs import transform_columns, transform_paths
from localaws.sagemaker.jobs.transform_paths import ALL, Path, PathError
from localaws.sagemaker.jobs.transform_records import RecordsError

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
_QUOTE, _ROW = b'"', b"%b,%b".__mod__
_INPUT, _OUTPUT = "SageMakerInput", "SageMakerOutput"


@dataclass(frozen=True)
class Processing:
    """What is done to the bodies of requests and answers.

    input_type, output_type: the types of the records before and after the model.
    by_line: whether a body has a record a line, else it is one record.
    """

    input_filter: Path = ALL
    output_filter: Path = ALL
    joins: bool = False
    input_type: str = ""
    output_type: str = ""
    by_line: bool = False

    def seen(self, body: bytes) -> bytes:
        """What the model is sent of a body. RecordsError."""
        if self.input_filter.is_all:
            return body
        if self.input_type == CSV and _QUOTE not in body:
            return _cut(self.input_filter, _lines(body))
        return self._written([self._kept(self.input_filter, record) for record in self._records(body)], self.input_type)

    def written(self, body: bytes, answer: bytes) -> bytes:
        """What is written for a body and the model's answer to what it saw of it. RecordsError."""
        if not self.joins and self.output_filter.is_all:
            return answer
        if self.output_type == CSV and (self.output_filter.is_all or (_QUOTE not in body and _QUOTE not in answer)):
            rows = _lines(answer)
            return _cut(self.output_filter, list(map(_ROW, _pairs(_lines(body), rows))) if self.joins else rows)
        records = self._records(answer, self.output_type)
        if self.joins:
            join = list.__add__ if self.output_type == CSV else _joined
            records = [join(*pair) for pair in _pairs(self._records(body), records)]
        return self._written([self._kept(self.output_filter, record) for record in records], self.output_type)

    def _kept(self, path: Path, record: Any) -> Any:
        try:
            return path.columns(record) if self.output_type == CSV else path.select(record)
        except PathError as error:
            raise RecordsError(f"Invalid JsonPath: {path.expression}: {error}") from error

    def _records(self, body: bytes, kind: str = "") -> list[Any]:
        try:
            if (kind or self.input_type) == CSV:
                return _rows(body)
            return [json.loads(text) for text in (_lines(body) if self.by_line else [body])]
        except (ValueError, csv.Error) as error:
            whose = "output from the algorithm" if kind else "input"
            raise RecordsError(f"Failed to parse {whose} as {kind or self.input_type}: {error}") from error

    def _written(self, records: list[Any], kind: str) -> bytes:
        if kind == CSV:
            return _text_of(records).encode()
        return "\n".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in records).encode()


def processing_of(request: Document) -> Processing:
    """The processing that a request or a job's document asks for. ValidationException."""
    asked = request.get("DataProcessing", {})
    content_type, accept = request["TransformInput"].get("ContentType"), request["TransformOutput"].get("Accept")
    joins = asked.get("JoinSource", "None") == "Input"
    try:
        seen = transform_paths.parsed(asked.get("InputFilter", "$"), content_type, "InputFilter")
        kept = transform_paths.parsed(asked.get("OutputFilter", "$"), accept, "OutputFilter")
    except PathError as error:
        raise errors.validation(str(error)) from error
    if seen.is_all and kept.is_all and not joins:
        return Processing()
    _check_types(request, content_type, accept)
    by_line = content_type == JSON_LINES or request["TransformInput"].get("SplitType", "None") == "Line"
    return Processing(seen, kept, joins, str(content_type), str(accept), by_line)


def _check_types(request: Document, content_type: str | None, accept: str | None) -> None:
    """ "You must set both the Content Type and Accept parameters to one of the following values", and the delimiters
    consistently."""
    for member, value in (("TransformInput.ContentType", content_type), ("TransformOutput.Accept", accept)):
        if value not in (CSV, JSON, JSON_LINES):
            raise errors.validation(f"DataProcessing needs {member} to be {CSV}, {JSON} or {JSON_LINES}, not {value}.")
    if (content_type == CSV) != (accept == CSV):
        raise errors.validation(
            f"DataProcessing needs one format: TransformInput.ContentType is {content_type}, TransformOutput.Accept is "
            f"{accept}."
        )
    split = request["TransformInput"].get("SplitType", "None")
    assembled = request["TransformOutput"].get("AssembleWith", "None")
    if content_type == CSV and (split, assembled) != ("Line", "Line"):
        raise errors.validation(
            f"DataProcessing of {CSV} needs TransformInput.SplitType and TransformOutput.AssembleWith to be Line, not "
            f"{split} and {assembled}."
        )
    if split not in ("None", "Line"):
        raise errors.validation(f"DataProcessing needs TransformInput.SplitType to be None or Line, not {split}.")


def _cut(path: Path, rows: list[bytes]) -> bytes:
    try:
        return b"\n".join(map(transform_columns.cut(path), rows))
    except PathError as error:
        raise RecordsError(f"Invalid JsonPath: {path.expression}: {error}") from error


def _joined(record: Any, answer: Any) -> Any:
    if isinstance(record, dict):
        return {**record, _OUTPUT: answer}
    return {_INPUT: record, _OUTPUT: answer}


def _pairs(records: list[Any], answers: list[Any]) -> list[tuple[Any, Any]]:
    if len(records) != len(answers):
        raise RecordsError(
            f"Fail to join data: mismatched line count between the input ({len(records)}) and the output "
            f"({len(answers)})"
        )
    return list(zip(records, answers, strict=True))


def _lines(body: bytes) -> list[bytes]:
    lines = body.replace(b"\r\n", b"\n").split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _rows(body: bytes) -> list[list[str]]:
    lines = [line.decode() for line in _lines(body)]
    return list(csv.reader(lines, strict=True)) if _QUOTE in body else [line.split(",") for line in lines]


def _text_of(rows: list[list[str]]) -> str:
    """Rows as RFC 4180 has them, without a last line's end."""
    if not any('"' in cell or "," in cell for row in rows for cell in row):
        return "\n".join(map(",".join, rows))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().removesuffix("\n")
