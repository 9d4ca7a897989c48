"""The benchmark of scale on a small size, past its deployments: it gives the figures that are asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deployed import AsShipped, Pipeline
from running_aws import ROOT, Aws

from bench import scale
from bench.scale_checkout import SOAK
from contract import names
from ratchet import account, project

PIPELINES = {SOAK: AsShipped(ROOT / "bench" / "scale_model")}


def test_triggers_runs_and_records_are_measured(
    deployed: Callable[[str], Pipeline], deployed_aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(SOAK)
    monkeypatch.setenv("RATCHET_HOME", str(deployed_aws.state.parent))
    monkeypatch.setattr(scale, "COMMANDS", 1)
    found = account.connect(project.find(ROOT), names.LOCAL)
    said: list[str] = []
    parts = [
        scale.triggered(found, 5, said.append),
        scale.in_a_row(found, deployed_aws.state, 2, said.append),
        scale.recorded(found, 30, said.append),
    ]
    figures = scale.merged(parts)["figures"]
    assert 1 <= figures["trigger_runs"] <= 3
    assert figures["run_seconds"] > 0 and figures["seconds_drift"] > 0
    # After two runs the folding of the journal's log outweighs what they add.
    assert isinstance(figures["state_growth_kb"], float)
    assert min(figures["runs_seconds"], figures["status_seconds"]) > 0
    assert len(said) == len(parts)
    # A run in a row is a whole one: it trains, and is judged against the champion.
    newest = scale.following.RunTable(found).runs(SOAK, limit=1)[0]
    assert (newest.outcome, newest.challenger_score, newest.champion_score) == ("NotBetter", 1.0, 1.0)
