"""The benchmark of serving on a small size, without the peers: it gives the figures that are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosting_kit import Hosting
from image_uris import SKLEARN
from running_aws import IMAGES, Aws

from bench import serving, serving_servers
from bench.serving_load import load
from bench.serving_models import tree
from bench.serving_servers import BATCHED, PEERS, NotHereError, Served, running
from localaws.sagemaker.containers.images import Images

ADDS = """
import json

def model_fn(folder):
    return 1

def input_fn(body, content_type):
    return json.loads(body)[0]

def predict_fn(numbers, model):
    return model * sum(numbers)

def output_fn(prediction, accept):
    return str(prediction), accept
"""


def test_a_model_behind_our_servers(aws: Aws, tmp_path: Path) -> None:
    (tmp_path / "adds" / "code").mkdir(parents=True)
    (tmp_path / "adds" / "code" / "serve.py").write_text(ADDS)
    image = Images(IMAGES).environment(SKLEARN, lambda _line: None)
    served = Served(tmp_path / "adds", image.python, {"[[1, 2]]": "3", "[[4, 5]]": "9"}, SKLEARN, image.variables)
    hosting = Hosting(aws)
    quick = serving.alone(serving.SMALL, hosting, served)
    assert quick["figures"]["invoke_ms"] > 0 and len(quick["samples"]["invoke_ms"]) == serving.SMALL.requests
    found = serving.measured(serving.SMALL, hosting, served, lambda _text: None)
    assert set(found["figures"]) == {
        "bare_ms",
        *(f"{prefix}{name}" for prefix in ("", "invoke_") for name in ("overhead_ms", "throughput_ratio")),
    }
    assert found["figures"]["invoke_overhead_ms"] > 0
    assert [row["server"] for row in found["servers"]] == ["server", "endpoint"]


def test_a_model_that_is_served_has_been_trained(tmp_path: Path) -> None:
    served = tree(tmp_path)
    assert len(served.answers) > 10
    assert set(served.answers.values()) == {'"setosa"', '"versicolor"', '"virginica"'}
    # Predicted together, each request has its own answer: any other is an error of the load's.
    (tmp_path / "batched").mkdir()
    with running(BATCHED, served, tmp_path / "batched") as target:
        assert len(load(target.port, target.requests(), 16, 320).latencies) == 320
        assert "MICRO_BATCHES" not in (tmp_path / "batched" / "log").read_text(), "nothing was predicted alone"


def test_a_server_that_cant_be_here_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(serving_servers.shutil, "which", lambda _name: None)
    served = Served(tmp_path, tmp_path / "python", {})
    with (
        pytest.raises(NotHereError, match="it needs java, which isn't installed"),
        running(PEERS[-1], served, tmp_path),
    ):
        pytest.fail("it is here")
