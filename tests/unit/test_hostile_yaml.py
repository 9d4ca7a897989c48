"""A pipeline.yaml that is small on disk and endless in memory is refused at once, on its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratchet.spec import SpecError, load, yaml_lines

# Each of a dozen lines is ten of the line before: a million million values.
LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 13))
# The same by merging mappings into mappings.
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 13))
EMPTY = "a0: &a0 []\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 13))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (LAUGHS, 1, "holds more than 10,000 values, aliases (*name) followed"),
        (MERGES, 1, "holds more than 10,000 values"),
        (EMPTY, 1, "holds more than 10,000 values"),
        ("name: x\nrules: &rules [*rules]\n", 2, "nests more than 50 levels deep; an alias in what it stands for"),
        ("name: x\ndata: &data {train: *data}\n", 2, "nests more than 50 levels deep"),
        ("name: x\ndata: " + "[" * 60 + "]" * 60, 2, "nests more than 50 levels deep"),
        ("[" * 100_000, 1, "nests more than 50 levels deep"),
        ("name: x\ndata: " + "{a: " * 50_000, 2, "nests more than 50 levels deep"),
        ("- " * 50_000, 1, "nests more than 50 levels deep"),
        ("name: x\nretain: " + "9" * 5_000, 2, "retain: is a number of 5,000 characters; at most 100"),
        # In base sixty, which takes a time that grows with the square of the length.
        ("name: x\nretain: 1" + ":1" * 100_000, 2, "is a number of 200,001 characters"),
        ("name: x\nretain: 0x" + "f" * 100_000, 2, "is a number of 100,002 characters"),
        ("name: " + "x" * 40_000, 1, "name: is a text of 40,000 characters; at most 32,768"),
        ("name: x\n? [a, b]\n: 1\n", 2, "has a key that is no name"),
        ("#" * 300_000, 1, "is larger than 256 KiB"),
    ],
)
def test_what_would_never_end_is_refused_at_once(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as refused:
        load(path)
    (problem,) = refused.value.problems
    assert said in (f"{problem.field}: " if problem.field else "") + problem.message
    assert problem.line >= line
    assert len(str(refused.value)) < 3000


def test_aliases_that_say_a_thing_once_are_taken() -> None:
    text = "a: &a {x: 1, y: [1, 2]}\nb: *a\nc: {<<: *a, x: 3}\n"
    document = yaml_lines.parse(text)
    assert document.data["c"] == {"x": 3, "y": [1, 2]}
    assert (document.lines[("b",)], document.lines[("c", "x")]) == (2, 3)


def test_of_ten_thousand_problems_a_person_reads_the_first(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text("name: x\n" + "".join(f"key{number}: 1\n" for number in range(4000)))
    with pytest.raises(SpecError) as refused:
        load(path)
    told = str(refused.value).splitlines()
    assert len(told) == 51
    assert told[-1].startswith("and ") and told[-1].endswith(" more")


def test_a_long_value_is_told_shortened(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text("name: x\ntrain: " + "y" * 30_000)
    with pytest.raises(SpecError) as refused:
        load(path)
    assert all(len(line) < 2100 for line in str(refused.value).splitlines())
