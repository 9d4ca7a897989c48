"""The benchmark of serving on a small size, without the peers: it gives the figures that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosting_kit import Hosting
from running_aws import Aws

from bench import serving, serving_servers
from bench.serving_models import tree
from bench.serving_servers import PEERS, NotHereError, running


def test_a_model_behind_our_servers(aws: Aws, tmp_path: Path) -> None:
    served, hosting = tree(tmp_path), Hosting(aws)
    quick = serving.alone(serving.SMALL, hosting, served)
    assert quick["figures"]["invoke_ms"] > 0 and len(quick["samples"]["invoke_ms"]) == serving.SMALL.requests
    found = serving.measured(serving.SMALL, hosting, served, lambda _text: None)
    assert set(found["figures"]) == {
        "bare_ms",
        *(f"{prefix}{name}" for prefix in ("", "invoke_") for name in ("overhead_ms", "throughput_ratio")),
    }
    assert min(found["figures"]["bare_ms"], found["figures"]["throughput_ratio"]) > 0
    assert [row["server"] for row in found["servers"]] == ["server", "endpoint"]


def test_a_server_that_cant_be_here_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serving_servers.shutil, "which", lambda _name: None)
    served = serving_servers.Served(tmp_path, tmp_path / "python", {})
    with (
        pytest.raises(NotHereError, match="it needs java, which isn't installed"),
        running(PEERS[-1], served, tmp_path),
    ):
        pytest.fail("it is here")
