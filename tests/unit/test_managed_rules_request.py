"""SageMaker Debugger's part of CreateTrainingJob, where the spec says `rules_service: sagemaker`.

`run` checks the request against botocore's model, lengths and patterns too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_world import RULES_IMAGE, RUN_ID, World, make_spec, run

from contract import environment as variables
from infra import images
from ratchet import spec as specs
from ratchet.spec import managed_rules
from ratchet.spec.rules import table

TRAINING_CODE = Path(__file__).parents[2] / "training_code"
MANAGED = {"framework": {"name": "pytorch", "version": "2.6.0"}, "rules_service": "sagemaker"}
RULES = [
    {"rule": "LossNotDecreasing", "parameters": {"num_steps": 5, "use_losses_collection": True}},
    {"rule": "StalledTraining", "name": "stalled", "parameters": {"threshold": 600}, "action": "notify"},
    {
        "rule": "AllZero",
        "parameters": {"tensor_regex": ["conv.*weight", "fc.*"], "threshold": 99.5},
        "action": "record",
    },
    {"rule": "DeadRelu"},
]


def request(folder: Path, **changes: Any) -> dict[str, Any]:
    (found,) = run(make_spec(folder, **{**MANAGED, "rules": RULES, **changes}), World()).called("createTrainingJob")
    return dict(found)


def collections(job: dict[str, Any]) -> dict[str, dict[str, str]]:
    entries = job["DebugHookConfig"]["CollectionConfigurations"]
    return {entry["CollectionName"]: entry["CollectionParameters"] for entry in entries}


def test_rules_are_debuggers_own_with_their_parameters_as_text(tmp_path: Path) -> None:
    configurations = request(tmp_path)["DebugRuleConfigurations"]
    assert {entry["RuleEvaluatorImage"] for entry in configurations} == {RULES_IMAGE.uri}
    assert {entry["RuleConfigurationName"]: entry["RuleParameters"] for entry in configurations} == {
        "LossNotDecreasing": {
            "rule_to_invoke": "LossNotDecreasing",
            "num_steps": "5",
            "use_losses_collection": "True",
        },
        "stalled": {"rule_to_invoke": "StalledTrainingRule", "threshold": "600"},
        "AllZero": {"rule_to_invoke": "AllZero", "tensor_regex": "conv.*weight,fc.*", "threshold": "99.5"},
        "DeadRelu": {"rule_to_invoke": "DeadRelu"},
    }


def test_the_hook_saves_what_the_rules_need_into_the_runs_own_folder(tmp_path: Path) -> None:
    job = request(tmp_path)
    assert job["DebugHookConfig"]["S3OutputPath"] == f"s3://artifacts/runs/digits-forest/{RUN_ID}/train/debugger"
    assert collections(job) == {
        "losses": {"save_interval": "500"},
        "relu_output": {"save_interval": "500", "include_regex": ".*relu_output"},
    }


def test_what_the_spec_says_of_a_collection_goes_first(tmp_path: Path) -> None:
    said = {
        "losses": {"interval": 1},
        "optimizer_state": {"steps": [1, 10]},
        "mine": {"include": ["conv.*", "fc"], "start": 5, "end": 50, "reductions": ["mean", "norm", "histogram"]},
        "whole": {"include": ["x"], "reductions": ["min"], "values": True},
    }
    found = collections(request(tmp_path, rules=RULES[:1], probe={"collections": said}))
    assert found == {
        "losses": {"save_interval": "1"},
        "optimizer_variables": {"save_steps": "1,10"},
        "mine": {
            "include_regex": "conv.*,fc",
            "start_step": "5",
            "end_step": "50",
            "reductions": "mean,l2_norm",
            "save_raw_tensor": "False",
            "save_histogram": "True",
        },
        "whole": {"include_regex": "x", "reductions": "min", "save_raw_tensor": "True"},
    }


def test_the_open_rules_stay_out_and_the_stopper_knows_the_actions(tmp_path: Path) -> None:
    environment = request(tmp_path)["Environment"]
    assert not {"RATCHET_PROBE", "RATCHET_RULES"} & environment.keys()
    told = json.loads("".join(value for name, value in environment.items() if "MANAGED_RULES" in name))
    assert [(rule["name"], rule["action"]) for rule in told] == [
        ("LossNotDecreasing", "stop"),
        ("stalled", "notify"),
        ("AllZero", "record"),
        ("DeadRelu", "stop"),
    ]


def test_each_round_has_a_folder_of_its_own(tmp_path: Path) -> None:
    metrics = {"accuracy": "a=(.*)", "size": "s=(.*)"}
    rounds = {"max": 2, "metric": "accuracy", "tolerance": 0.1, "size": "size"}
    folder = request(tmp_path, train={"instance": "ml.m5.large", "metrics": metrics}, rounds=rounds, rules=RULES[:1])[
        "DebugHookConfig"
    ]["S3OutputPath"]
    assert folder.endswith("/train/debugger/round-1")


def test_the_recorder_reads_who_judges_from_the_jobs_environment(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path, **MANAGED, rules=RULES), World())
    assert variables.MANAGED_RULES in ran.recorded["training"]["environment"]
    assert [rule["name"] for rule in variables.rules(ran.recorded["training"]["environment"])] == [
        "LossNotDecreasing",
        "stalled",
        "AllZero",
        "DeadRelu",
    ]
    ran = run(make_spec(tmp_path, rules=RULES[:1]), World())
    assert variables.MANAGED_RULES not in ran.recorded["training"]["environment"]
    assert not {"rules", "rules_service"} & ran.recorded.keys()


def test_a_stop_by_a_managed_rule_is_an_outcome_as_well(tmp_path: Path) -> None:
    stopped = {"TrainingJobName": "x", "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
    found = [{"Item": {}}, {"Item": {"stopped_by": {"M": {"name": {"S": "DeadRelu"}}}}}]
    world = World(answers={"createTrainingJob": stopped, "getItem": found})
    ran = run(make_spec(tmp_path, **MANAGED, rules=RULES), world)
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("StoppedByRule", None)


def test_without_it_nothing_of_debugger_is_in_the_request(tmp_path: Path) -> None:
    assert not {"DebugHookConfig", "DebugRuleConfigurations"} & request(tmp_path, rules_service="open").keys()


def test_every_rule_that_debugger_has_is_understood_by_the_evaluator(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name that the state machine sends."""
    monkeypatch.syspath_prepend(str(TRAINING_CODE))
    from toolkit.rules.table import built_in  # noqa: PLC0415 - on the path in tests only

    for name in set(table()) - {"AccuracyDrop"}:
        assert built_in(managed_rules.RULE_NAMES.get(name, name)).__name__ == name


def test_the_probe_reads_debuggers_words_as_the_spec_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAINING_CODE))
    from toolkit.probe import debugger_hook  # noqa: PLC0415 - on the path in tests only

    assert {ours: theirs for theirs, ours in debugger_hook.NAMES.items()} == managed_rules._COLLECTION_NAMES
    for ours, theirs in managed_rules._REDUCTIONS.items():
        assert debugger_hook._REDUCTIONS[theirs] == ours
    needed = [how.get("include_regex") for rule in managed_rules._NEEDED.values() for how in rule.values()]
    parts = {part for regex in needed if regex for part in regex.split("|")}
    assert parts and parts <= debugger_hook.MEANINGS.keys()


@pytest.mark.fidelity(
    "Debugger",
    "The rules' image has an account of its own in each region.",
    "SageMaker DG, Debugger Docker images for built-in rules",
)
def test_the_image_is_the_regions_own(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, **MANAGED, rules=RULES)
    assert images.rules_image(spec, "eu-west-1").startswith("929884845733.dkr.ecr.eu-west-1.amazonaws.com/")
    assert images.rules_image(spec, "cn-north-1").startswith("618459771430.dkr.ecr.cn-north-1.amazonaws.com.cn/")
    assert images.rules_image(make_spec(tmp_path), "eu-west-1") is None


def test_a_region_without_debugger_is_refused(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, **MANAGED, rules=RULES)
    with pytest.raises(
        specs.SpecError, match=r"pipeline.yaml:\d+: rules_service: is sagemaker, but SageMaker Debugger "
    ):
        images.rules_image(spec, "mx-central-1")
