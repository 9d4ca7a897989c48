"""Several annotators' labels made one each: right, deterministic, and refused by line where they are no annotations."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.labels import simulated
from contract import held_out_lines
from contract.held_out import Reading
from ratchet import cli
from ratchet.errors import UserError
from ratchet.labels import annotations, ground_truth
from ratchet.labels.consolidation import Annotation, Consolidation, dawid_skene, majority


def of_rows(text: str) -> list[Annotation]:
    return [Annotation(*row.split()) for row in text.strip().splitlines()]


def labels(found: Consolidation) -> dict[str, str]:
    return {item.item: item.label for item in found.items}


# Five annotators of eight items: V is right, W to Y mostly, and Z always says the other class.
FIVE = of_rows(
    "\n".join(
        f"{item} {annotator} {label}"
        for item, said in {
            "1": "aaaab",
            "2": "bbbba",
            "3": "aabab",
            "4": "babba",
            "5": "aaaab",
            "6": "bbabb",
            "7": "aaabb",
            "8": "bbbaa",
        }.items()
        for annotator, label in zip("VWXYZ", said, strict=True)
    )
)


@pytest.mark.parametrize("seed", range(3))
def test_who_is_mostly_wrong_counts_for_less(seed: int) -> None:
    truth, said = simulated(seed)

    def right(found: Consolidation) -> float:
        return sum(truth[item] == label for item, label in labels(found).items()) / len(truth)

    found = dawid_skene(said)
    assert right(found) > right(majority(said)) + 0.01
    accuracies = [each.accuracy for each in found.annotators]
    assert accuracies == pytest.approx([0.75, 0.75, 0.75, 0.75, 0.2], abs=0.05)
    assert {each.annotations for each in found.annotators} == {1000}


def test_a_confidence_is_as_often_right_as_it_says() -> None:
    truth, said = simulated(7)
    found = dawid_skene(said)
    sure = [item for item in found.items if item.confidence > 0.95]
    unsure = [item for item in found.items if item.confidence < 0.7]
    assert sum(truth[item.item] == item.label for item in sure) / len(sure) > 0.93
    assert sum(truth[item.item] == item.label for item in unsure) / len(unsure) < 0.8


def test_whoever_says_the_opposite_is_understood() -> None:
    found = {each.name: each.accuracy for each in dawid_skene(FIVE).annotators}
    assert found["V"] > 0.9 and found["Z"] < 0.3
    assert labels(dawid_skene(FIVE)) == {str(n): "ab"[(n + 1) % 2] for n in range(1, 9)}


def test_the_order_of_lines_makes_no_difference() -> None:
    one, other = dawid_skene(FIVE), dawid_skene(list(reversed(FIVE)))
    assert labels(one) == labels(other)
    by_item = {item.item: item.confidence for item in other.items}
    assert all(item.confidence == pytest.approx(by_item[item.item]) for item in one.items)
    assert dawid_skene(FIVE) == one, "and twice the same is the same"


def test_a_tie_is_the_first_class_and_is_said() -> None:
    (item,) = majority(of_rows("x A 10\nx B 9")).items
    assert (item.label, item.confidence, item.tied, item.votes) == ("9", 0.5, True, 2), "numbers are ordered by size"
    (item,) = majority(of_rows("x A b\nx B a\nx C b")).items
    assert (item.label, item.tied) == ("b", False)
    assert item.confidence == pytest.approx(2 / 3)


def test_items_that_not_everybody_has_seen() -> None:
    some = [each for each in FIVE if (each.item, each.annotator) not in {("1", "V"), ("2", "X"), ("6", "Z")}]
    found = dawid_skene(some)
    assert labels(found) == labels(dawid_skene(FIVE))
    assert {item.item: item.votes for item in found.items}["1"] == 4
    assert all(0 < item.confidence <= 1 for item in found.items)


# --------------------------------------------------------------------------------------------------------------- files


def consolidate(path: Path, *options: str) -> Result:
    output = path.with_name("labels.manifest")
    return CliRunner().invoke(cli.main, ["labels", "--consolidate", str(path), "--output", str(output), *options])


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.with_name("labels.manifest").read_text().splitlines()]


def test_a_manifest_is_as_ground_truth_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "annotations.csv"
    rows = [
        (item, f"w{number}", "cat" if item.endswith("1.png") else "dog")
        for item in ("s3://b/1.png", "two, “words”")
        for number in range(3)
    ]
    file.write_text("annotator,item,label,note\n" + "".join(f'{who},"{item}",{label},x\n' for item, who, label in rows))
    result = consolidate(file, "--json", "--attribute", "animal")
    assert result.exit_code == 0, result.output
    one, two = written(file)
    assert (one["source-ref"], one["animal"]) == ("s3://b/1.png", 0)
    assert (two["source"], two["animal"]) == ("two, “words”", 1)
    told = two["animal-metadata"]
    assert {name: told[name] for name in ("class-name", "type", "human-annotated")} == {
        "class-name": "dog",
        "type": "groundtruth/text-classification",
        "human-annotated": "yes",
    }
    assert one["animal-metadata"]["type"] == "groundtruth/image-classification"
    assert 0.9 < told["confidence"] <= 1
    at = datetime.fromisoformat(told["creation-date"]).replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - at).total_seconds()) < 3600
    document = json.loads(result.stdout)
    assert (document["items"], document["classes"], document["ties"]) == (2, ["cat", "dog"], [])
    assert [each["annotator"] for each in document["annotators"]] == ["w0", "w1", "w2"]
    lines = file.with_name("labels.manifest").read_text().splitlines()
    entries = held_out_lines.read_manifest(lines, "labels.manifest", Reading())
    assert [entry.label for entry in entries] == ["0", "1"], "what reads held-out manifests reads it"


def test_json_lines_say_the_same_as_csv(tmp_path: Path) -> None:
    comma, lines = tmp_path / "a.csv", tmp_path / "b" / "a.jsonl"
    lines.parent.mkdir()
    comma.write_text(
        "item,annotator,label\r\n" + "".join(f"{each.item},{each.annotator},{each.label}\r\n" for each in FIVE)
    )
    lines.write_text("\n".join(json.dumps(vars(each)) for each in FIVE) + "\n\n")
    assert annotations.read(comma) == annotations.read(lines) == FIVE
    result = consolidate(comma, "--method", "majority")
    assert result.exit_code == 0 and "8 items of 2 classes" in result.output, result.output


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "item,worker,label\n1,A,x\n", "a.csv:1 has no column 'annotator', only item, worker, label"),
        ("a.csv", "item,annotater,label\n1,A,x\n", "is it 'annotater'? Call it annotator"),
        ("a.csv", "item,annotator,label\n1,A\n", "a.csv:2 has 2 columns, but the header has 3"),
        ("a.csv", 'item,annotator,label\n1,A,"x\n', "a.csv:2 is no CSV: unexpected end of data"),
        ("a.csv", "item,annotator,label\n1,A,x\n1,B,\n", "a.csv:3: label is empty; leave the line out where"),
        ("a.csv", "item,annotator,label\n1,A,x\n1,A,y\n", "a.csv:3: 'A' labels '1', as in "),
        ("a.csv", "item,annotator,label\n", "holds no annotation"),
        ("a.csv", "item,annotator,label\n1,A,x\n2,A,y\n", "all annotations of "),
        ("a.csv", "item,annotator,label\n1,A,x\n1,B,x\n", "are 'x': one class alone tells no annotators apart"),
        ("a.jsonl", '{"item": 1, "annotator": "A", "label": "x"}\n{"item": 2\n', "a.jsonl:2 is no JSON"),
        ("a.jsonl", '[1, "A", "x"]\n', "a.jsonl:1 is no JSON object; a line is {item, annotator, label}"),
        ("a.jsonl", '{"item": 1, "annotator": "A"}\n', "a.jsonl:1: label is missing"),
        ("a.jsonl", '{"item": 1, "annotator": "A", "label": ["x"]}\n', 'label is ["x"], no text and no number'),
        ("a.txt", "1 A x\n", "annotations are CSV (.csv) or JSON lines (.jsonl), with item, annotator, label"),
        ("a.csv", b"item,annotator,label\n1,A,\xff\n", "is no text in UTF-8"),
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path: Path, name: str, text: str | bytes, said: str) -> None:
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = consolidate(file)
    assert result.exit_code == 1 and said in result.stderr, result.stderr
    assert not file.with_name("labels.manifest").exists()


def test_nothing_is_overwritten_and_nothing_is_guessed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("item,annotator,label\n1,A,x\n1,B,y\n")
    (tmp_path / "labels.manifest").write_text("precious")
    assert "is there already; nothing is overwritten" in consolidate(file).stderr
    assert (tmp_path / "labels.manifest").read_text() == "precious"
    alone = CliRunner().invoke(cli.main, ["labels", "--consolidate", str(file)])
    assert "--output is the file that the labels are written to" in alone.stderr
    nobody = CliRunner().invoke(cli.main, ["labels"])
    assert "say whose labels" in nobody.stderr
    (tmp_path / "labels.manifest").unlink()
    absent = consolidate(tmp_path / "absent.csv")
    assert "absent.csv can't be read: No such file" in absent.stderr


@pytest.mark.parametrize("name", ["", "source", "class-metadata", "image-ref"])
def test_a_label_isnt_called_as_something_else_is(name: str) -> None:
    with pytest.raises(UserError, match="a label's attribute is called neither source nor"):
        ground_truth.check_attribute(name)
