"""Transform jobs: files split into requests, and what of records and answers is sent and written."""

from __future__ import annotations

import io
import struct
import threading
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs.transform_data import Processing, processing_of
from localaws.sagemaker.jobs.transform_instance import in_order
from localaws.sagemaker.jobs.transform_paths import PathError, parsed
from localaws.sagemaker.jobs.transform_records import MULTI, SINGLE, RecordsError, bodies

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"


def split(content: bytes, by: str, strategy: str = MULTI, limit: int = 100) -> list[bytes]:
    return list(bodies(io.BytesIO(content), by, strategy, limit))


def processing(kind: str, split_type: str = "Line", assembled: str = "Line", **asked: str) -> Processing:
    return processing_of({
        "TransformInput": {"ContentType": kind, "SplitType": split_type},
        "TransformOutput": {"Accept": kind, "AssembleWith": assembled},
        "DataProcessing": asked,
    })  # fmt: skip


@pytest.mark.fidelity(
    "Transform jobs",
    "SplitType None sends a whole object in one request; Line sends a line at a time, or with MultiRecord as many as "
    "MaxPayloadInMB lets fit.",
    "SageMaker API, TransformInput: SplitType, and CreateTransformJob: BatchStrategy",
)
def test_lines_are_sent_singly_or_as_many_as_fit() -> None:
    content = b"1,2\n3,4\n5,6\n7,8"
    assert split(content, "None") == [content]
    assert split(content, "Line", SINGLE) == [b"1,2\n", b"3,4\n", b"5,6\n", b"7,8"]
    assert split(content, "Line", limit=9) == [b"1,2\n3,4\n", b"5,6\n7,8"]
    assert split(content, "Line", limit=8) == [b"1,2\n3,4\n", b"5,6\n7,8"]
    assert [split(b"", by) for by in ("None", "Line", "RecordIO", "TFRecord")] == [[]] * 4


@pytest.mark.parametrize("length", range(1, 40))
def test_no_line_is_lost_or_cut_however_long_they_are(length: int) -> None:
    content = b"".join(b"%d" % number * (number % length + 1) + b"\n" for number in range(10, 60))
    found = split(content, "Line", limit=2 * length + 3)
    assert b"".join(found) == content
    assert all(body.endswith(b"\n") and len(body) <= 2 * length + 3 for body in found)


@pytest.mark.fidelity(
    "Transform jobs",
    "A record, or a file that isn't split, beyond MaxPayloadInMB is an error.",
    "SageMaker DG, Batch Transform Errors",
)
@pytest.mark.parametrize(("by", "strategy"), [("None", MULTI), ("Line", SINGLE), ("Line", MULTI)])
def test_a_record_beyond_the_payload_is_refused(by: str, strategy: str) -> None:
    with pytest.raises(RecordsError, match="larger than MaxPayloadInMB"):
        split(b"short\n" + b"x" * 101 + b"\n", by, strategy)


def recordio(*payloads: bytes) -> bytes:
    return b"".join(
        struct.pack("<II", 0xCED7230A, len(payload)) + payload + b"\0" * (-len(payload) % 4) for payload in payloads
    )


def tfrecord(*payloads: bytes) -> bytes:
    return b"".join(struct.pack("<QI", len(payload), 1) + payload + struct.pack("<I", 2) for payload in payloads)


@pytest.mark.fidelity(
    "Transform jobs",
    "RecordIO and TFRecord are split into records, whose padding goes with SingleRecord and stays with MultiRecord.",
    "SageMaker API, TransformInput: SplitType",
)
@pytest.mark.parametrize(("by", "pack"), [("RecordIO", recordio), ("TFRecord", tfrecord)])
def test_framed_records(by: str, pack: Any) -> None:
    content = pack(b"first", b"second", b"third!!")
    assert split(content, by, SINGLE) == [b"first", b"second", b"third!!"]
    assert split(content, by) == [content]
    assert split(content, by, limit=40) == [pack(b"first"), pack(b"second"), pack(b"third!!")] or by == "RecordIO"
    with pytest.raises(RecordsError, match="in the middle of a record"):
        split(content[:-1], by, SINGLE)
    with pytest.raises(RecordsError, match="larger than MaxPayloadInMB"):
        split(pack(b"x" * 200), by, SINGLE)


def test_what_is_no_recordio_is_said_to_be_none() -> None:
    with pytest.raises(RecordsError, match="isn't RecordIO: a record begins with 0x"):
        split(b"1,2,3,4\n5", "RecordIO")


# ---------------------------------------------------------------------------------------------------------- JSONPath


@pytest.mark.fidelity(
    "Transform jobs",
    "Filters know $, .name, *, ['name','name'], [1,3] with negative indices, and [1:5].",
    "SageMaker DG, Associate Prediction Results with Input Records: Supported JSONPath Operators",
)
@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("$", {"id": 7, "features": [1, 2, 3, 4], "in": {"a": 1, "b": 2}}),
        ("$.id", 7),
        ("$['id']", 7),
        ("$.features", [1, 2, 3, 4]),
        ("$['id','in']", {"id": 7, "in": {"a": 1, "b": 2}}),
        ("$.in.['a','b']", {"a": 1, "b": 2}),
        ("$.in.*", [1, 2]),
        ("$.features[*]", [1, 2, 3, 4]),
        ("$.features[1]", 2),
        ("$.features[-1]", 4),
        ("$.features[0,-1]", [1, 4]),
        ("$.features[1:3]", [2, 3]),
        ("$.features[2:]", [3, 4]),
        ("$.features[:-1]", [1, 2, 3]),
    ],
)
def test_a_path_finds(expression: str, found: Any) -> None:
    record = {"id": 7, "features": [1, 2, 3, 4], "in": {"a": 1, "b": 2}}
    assert parsed(expression, JSON, "InputFilter").select(record) == found


@pytest.mark.fidelity(
    "Transform jobs",
    'Another character in a filter is refused at creation: Unexpected "_" in JsonPath, with the operators there are.',
    "aws/aws-sdk#184",
)
def test_a_character_that_no_operator_has_is_refused_in_aws_words() -> None:
    with pytest.raises(PathError) as caught:
        parsed("$['account_id','SageMakerOutput']", LINES, "OutputFilter")
    assert str(caught.value) == (
        "Invalid OutputFilter: \"$['account_id','SageMakerOutput']\". Unexpected \"_\" in JsonPath. Supported "
        "operators for \"application/jsonlines\" are ['$', '[', ']', '*', '.', ' ', ',', ':', '-', ''']"
    )


@pytest.mark.fidelity(
    "Transform jobs",
    "A range beside an index, or two of them, isn't supported: only single range filters are.",
    "aws/sagemaker-python-sdk#1112",
)
def test_several_ranges_are_refused_in_aws_words() -> None:
    with pytest.raises(PathError) as caught:
        parsed("$[0:2,246:]", CSV, "OutputFilter")
    assert str(caught.value) == (
        "Invalid JsonPath: $[0:2,246:]: only single range filters of format (eg: [1:5]) are supported. Format "
        "[0:2,246:] is not supported"
    )


@pytest.mark.parametrize("expression", ["", "id", "$$", "$.", "$[", "$[1", "$..id", "$['a','b'].c", "$[1:2:3]", "$[a]"])
def test_what_is_no_path_is_refused(expression: str) -> None:
    with pytest.raises(PathError, match="InputFilter"):
        parsed(expression, JSON, "InputFilter")


@pytest.mark.parametrize("expression", ["$.id", "$['id']"])
def test_a_row_of_csv_has_no_names(expression: str) -> None:
    with pytest.raises(PathError, match='Supported operators for "text/csv"'):
        parsed(expression, CSV, "InputFilter")


# ----------------------------------------------------------------------------------------------------- DataProcessing


def test_without_any_processing_everything_stays_as_it_is() -> None:
    plain = processing_of({"TransformInput": {}, "TransformOutput": {}})
    assert (plain.seen(b"\xff"), plain.written(b"\xff", b"\xfe")) == (b"\xff", b"\xfe")


@pytest.mark.fidelity(
    "Transform jobs",
    "JoinSource Input appends the answer's columns to the row's; filters choose columns of what is sent and written.",
    "SageMaker DG, Associate Prediction Results with Input Records; API, DataProcessing",
)
def test_rows_of_csv_are_filtered_and_joined() -> None:
    asked = processing(CSV, InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    assert asked.seen(b"a,1,2\nb,3,4\n") == b"1,2\n3,4"
    assert asked.written(b"a,1,2\nb,3,4\n", b"x\ny\n") == b"a,x\nb,y"
    joined = processing(CSV, JoinSource="Input")
    assert joined.written(b"1,2\r\n3,4", b"x\ny") == b"1,2,x\n3,4,y"
    assert processing(CSV, OutputFilter="$[0]").written(b"", b"x,9\ny,8") == b"x\ny"


@pytest.mark.fidelity(
    "Transform jobs",
    "CSV follows RFC 4180: a quoted cell may hold a comma.",
    "SageMaker DG, Associate Prediction Results with Input Records: Supported JSONPath Operators",
)
def test_quoted_cells_are_one_column() -> None:
    asked = processing(CSV, InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    assert asked.seen(b'"Doe, J",1,"a ""b"""\n') == b'1,"a ""b"""'
    assert asked.written(b'"Doe, J",1,2\n', b"x\n") == b'"Doe, J",x'


@pytest.mark.parametrize(
    "expression",
    ["$", "$[*]", "$[0]", "$[-1]", "$[0,-1]", "$[2,0]", "$[-2,1,-1]",
     "$[1:]", "$[4:]", "$[:-1]", "$[:-4]", "$[1:3]", "$[:2]", "$[-2:]", "$[0:]", "$[:0]"],
)  # fmt: skip
def test_columns_are_the_same_however_they_are_found(expression: str) -> None:
    """A row with quotes is taken apart, one without isn't."""
    plain, quoted = b"a,b,c,d\ne,,,h\n", b'"a",b,c,d\ne,,,"h"\n'
    asked = processing(CSV, InputFilter=expression)
    assert asked.seen(plain).strip() == asked.seen(quoted).strip().replace(b'"', b"")
    joined = processing(CSV, JoinSource="Input", OutputFilter=expression)
    assert joined.written(plain, b"x\ny") == joined.written(quoted, b"x\ny").replace(b'"', b"")


@pytest.mark.parametrize("row", [b"a,b", b'"a",b'])
def test_a_column_that_is_not_there_is_said_so(row: bytes) -> None:
    for expression in ("$[2]", "$[0,2]", "$[-3]", "$[-1,-3]"):
        with pytest.raises(RecordsError, match=r"Invalid JsonPath: \$\[.*isn't within the 2"):
            processing(CSV, InputFilter=expression).seen(row)


@pytest.mark.fidelity(
    "Transform jobs",
    "Of JSON, the answer becomes the object's SageMakerOutput; what is no object becomes SageMakerInput beside it.",
    "SageMaker API, DataProcessing: JoinSource",
)
def test_json_is_filtered_and_joined() -> None:
    asked = processing(LINES, InputFilter="$.features", JoinSource="Input", OutputFilter="$['id','SageMakerOutput']")
    body = b'{"id": 1, "features": [1, 2]}\n{"id": 2, "features": [3, 4]}\n'
    assert asked.seen(body) == b"[1,2]\n[3,4]"
    assert asked.written(body, b'{"label": 1}\n{"label": 0}\n') == (
        b'{"id":1,"SageMakerOutput":{"label":1}}\n{"id":2,"SageMakerOutput":{"label":0}}'
    )
    whole = processing(JSON, "None", "None", JoinSource="Input")
    assert whole.written(b'{"key": 1}', b'{"label": 1}') == b'{"key":1,"SageMakerOutput":{"label":1}}'
    assert whole.written(b"[1, 2]", b"3\n") == b'{"SageMakerInput":[1,2],"SageMakerOutput":3}'


@pytest.mark.parametrize(
    ("kind", "asked", "body", "answer", "says"),
    [
        (CSV, {"JoinSource": "Input"}, b"1\n2\n", b"x\n", r"mismatched line count .* \(2\) and the output \(1\)"),
        (CSV, {"OutputFilter": "$[3]"}, b"1\n", b"x\n", r"Invalid JsonPath: \$\[3\]: index 3 isn't within the 1"),
        (LINES, {"OutputFilter": "$.label"}, b"{}\n", b'{"l": 1}\n', "there is no 'label' in the record"),
        (LINES, {"JoinSource": "Input"}, b"{}\n", b"<html>", "Failed to parse output from the algorithm as applic"),
        (LINES, {"OutputFilter": "$[1]"}, b"{}\n", b'{"l": 1}\n', "an index needs an array"),
    ],
)
def test_an_answer_that_does_not_fit_is_said_to_be_so(
    kind: str, asked: dict[str, str], body: bytes, answer: bytes, says: str
) -> None:
    with pytest.raises(RecordsError, match=says):
        processing(kind, **asked).written(body, answer)


@pytest.mark.parametrize(
    ("request_changes", "says"),
    [
        ({"ContentType": None}, "DataProcessing needs TransformInput.ContentType to be text/csv, .* not None"),
        ({"ContentType": "application/x-npy"}, "needs TransformInput.ContentType to be text/csv"),
        ({"Accept": None}, "needs TransformOutput.Accept to be text/csv"),
        ({"Accept": JSON}, "one format: TransformInput.ContentType is text/csv, TransformOutput.Accept is appl"),
        ({"SplitType": "None"}, "SplitType and TransformOutput.AssembleWith to be Line, not None and Line"),
        ({"AssembleWith": "None"}, "to be Line, not Line and None"),
        ({"ContentType": LINES, "Accept": LINES, "SplitType": "TFRecord"}, "to be None or Line, not TFRecord"),
    ],
)
def test_formats_that_can_not_be_joined_are_refused(request_changes: dict[str, str | None], says: str) -> None:
    members = {"ContentType": CSV, "SplitType": "Line", "Accept": CSV, "AssembleWith": "Line", **request_changes}
    given = {name: value for name, value in members.items() if value is not None}
    with pytest.raises(SageMakerError, match=says):
        processing_of({"TransformInput": given, "TransformOutput": given, "DataProcessing": {"JoinSource": "Input"}})


# -------------------------------------------------------------------------------------------------------------- order


def test_results_come_in_order_and_no_more_are_under_way_than_asked() -> None:
    running, most = 0, 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.003 if item % 3 else 0.001)
        with lock:
            running -= 1
        return item

    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(20):
            taken.append(item)
            yield item

    found = []
    for result in in_order(work, items(), 3):
        found.append(result)
        assert len(taken) - len(found) <= 4, "no more than one beyond those under way is held"
    assert found == list(range(20))
    assert most == 3


class Rows(io.RawIOBase):
    """A file of many rows that nobody holds."""

    def __init__(self, row: bytes, count: int) -> None:
        self._row, self._left = row, len(row) * count

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        size = min(len(into), self._left)
        at = -self._left % len(self._row)
        pattern = self._row[at:] + self._row * (size // len(self._row) + 1)
        into[:size] = pattern[:size]
        self._left -= size
        return size


def test_however_long_a_file_is_a_few_requests_are_held() -> None:
    row, count, limit = b"row," + b"1234567890," * 19 + b"0\n", 20_000, 1 << 16
    asked = processing(CSV, InputFilter="$[1:]", JoinSource="Input", OutputFilter="$[0,-1]")
    pairs = ((body, asked.seen(body)) for body in bodies(io.BufferedReader(Rows(row, count)), "Line", MULTI, limit))
    answers = in_order(lambda pair: (pair[0], b"9\n" * pair[0].count(b"\n")), pairs, 2)
    tracemalloc.start()
    try:
        lines = sum(asked.written(body, answer).count(b"row,9") for body, answer in answers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert lines == count
    assert peak < 24 * limit, f"{peak >> 10} KiB of a file of {len(row) * count >> 10} KiB"
