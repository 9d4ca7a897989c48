"""What a request says that policies' conditions ask for."""

from __future__ import annotations

import json

import pytest

from localaws.ministack_adapter.condition_keys import event_sources, metric_namespace


@pytest.mark.fidelity(
    "IAM",
    "events:source holds every entry's source.",
    "EventBridge User Guide, Using IAM policy conditions: events:source",
)
def test_put_events_has_every_entrys_source() -> None:
    body = json.dumps({"Entries": [{"Source": "a"}, {"Source": "b"}, {}]}).encode()
    assert event_sources(body, {}) == {"events:source": ["a", "b", ""]}


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"{}"])
def test_without_entries_there_is_no_source(body: bytes) -> None:
    assert event_sources(body, {}) == {}


@pytest.mark.fidelity(
    "IAM",
    "cloudwatch:namespace limits PutMetricData.",
    "CloudWatch User Guide, Using condition keys to limit access to CloudWatch namespaces",
)
@pytest.mark.parametrize(
    ("body", "namespace"),
    [
        (b'{"Namespace": "Ratchet/Rules", "MetricData": []}', "Ratchet/Rules"),
        (b"Action=PutMetricData&Namespace=Ratchet%2FRules", "Ratchet/Rules"),
        (b"Action=PutMetricData", None),
        (b"", None),
    ],
)
def test_metric_data_have_their_namespace(body: bytes, namespace: str | None) -> None:
    assert metric_namespace(body, {}).get("cloudwatch:namespace") == namespace
