"""Augmented manifests as text: what is written is read again, and what a job is told of them arrives, however long."""

from __future__ import annotations

import json

import pytest

from contract import environment, manifests
from contract.manifests import ManifestError


def test_what_is_written_is_read_again() -> None:
    records = [
        {"source-ref": "s3://b/1.png", "class": 1, manifests.metadata_of("class"): {"confidence": 0.9}},
        {"source": "zwei\u2028Zeilen", "class": "ü"},
    ]
    text = manifests.written(records)
    assert text.count("\n") == 2
    assert list(manifests.lines(text, "x")) == [(1, records[0]), (2, records[1])]
    assert list(manifests.lines(text + "\n \n", "x")) == list(manifests.lines(text.encode(), "x"))


@pytest.mark.parametrize("value", [None, 7, "", "x.png", "s3://", "s3://b", "s3://b/", "https://b/k"])
def test_what_is_no_objects_uri_is_refused(value: object) -> None:
    with pytest.raises(
        ManifestError, match=r"x, line 1: 'source-ref' is .*; write an object's URI, as s3://bucket/key"
    ):
        manifests.check({"source-ref": value}, ["source-ref"], "x, line 1")


def test_an_object_is_located() -> None:
    assert manifests.located("s3://b/a/b c.png", "x") == ("b", "a/b c.png")


def test_a_job_is_told_more_than_a_variable_holds() -> None:
    told = {f"channel-{n}": manifests.settings(["source-ref", "a" * 200], "digits/", n or None) for n in range(9)}
    variables = manifests.variables(told)
    assert len(variables) > 2
    assert all(len(value) <= environment.VALUE_LENGTH for value in variables.values())
    assert manifests.channels_of({"OTHER": "x", **variables}) == told
    assert "seed" not in told["channel-0"]
    assert manifests.variables({}) == manifests.channels_of({}) == {}


@pytest.mark.parametrize("text", ["{", "[]", json.dumps("x")])
def test_what_nobody_of_ratchets_has_written_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match=r"^RATCHET_MANIFESTS is"):
        manifests.channels_of({"RATCHET_MANIFESTS": text})
