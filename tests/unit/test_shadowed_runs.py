"""Runs whose challengers are a shadow first: what SageMaker is asked, in which order, and what becomes of an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from common.content_names import Needed
from common.log import Log
from common.state import State
from memory_aws import installed
from recorder.documents import run_record
from recorder.housekeeping import Housekeeper
from run_world import CHAMPION, ENDPOINT, PLAN, RUN_ID, World, definition, in_service, make_spec, refused, run

from contract import outcomes
from contract.states import VARIABLES
from infra.workflow.steps.plan import spec_hash
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from ratchet.spec import PipelineSpec

OLD = str(CHAMPION["endpoint_config_name"])
PLAIN: dict[str, Any] = {"instance": "ml.t2.medium", "instance_count": 4}
SHADOWED = {
    **PLAIN,
    "shift": {"shadow": "1h", "share": "50%", "agree": "95%", "then": {"canary": "10%", "bake": "5m"}},
    "rollback_on": {"errors": "1%", "p90_latency": "200ms"},
}
AGREES = {"agrees": True, "reason": "99 % of 200 answers are the champion's", "pairs": 200, "differ": 2}
DISAGREES = {"agrees": False, "reason": "60 % of its answers are the champion's", "pairs": 200, "differ": 80}


def shadowed_spec(folder: Path, **deploy: Any) -> PipelineSpec:
    return make_spec(folder, deploy={**SHADOWED, **deploy})


def world(verdict: Any, **answers: Any) -> World:
    compared = {} if verdict is None else {"comparer": {"Payload": verdict}}
    return World(plan={**PLAN, "champion": CHAMPION}, on=OLD, answers={**compared, **answers})


def test_a_shadow_that_agrees_is_followed_by_the_shift(tmp_path: Path) -> None:
    ran = run(shadowed_spec(tmp_path), world(AGREES))
    made, shadow = ran.called("createEndpointConfig")
    production, seen = shadow["ProductionVariants"][0], shadow["ShadowProductionVariants"][0]
    assert (production["VariantName"], production["ModelName"]) == ("AllTraffic", CHAMPION["model_name"])
    assert (seen["VariantName"], seen["InitialVariantWeight"]) == ("Shadow", 0.5)
    assert seen["ModelName"] == ran.recorded["deployment"]["model_name"] == made["ProductionVariants"][0]["ModelName"]
    assert {production["InstanceType"], seen["InstanceType"]} == {"ml.t2.medium"}
    capture = shadow["DataCaptureConfig"]
    assert capture["DestinationS3Uri"] == f"s3://artifacts/captures/digits-forest/{RUN_ID}"
    assert (capture["InitialSamplingPercentage"], len(capture["CaptureOptions"])) == (100, 2)
    updates = [
        (request["EndpointConfigName"], "DeploymentConfig" in request) for request in ran.called("updateEndpoint")
    ]
    new = ran.recorded["deployment"]["endpoint_config_name"]
    assert updates == [(shadow["EndpointConfigName"], False), (OLD, False), (new, True)]
    (asked,) = ran.called("comparer")
    payload = asked["Payload"]
    assert payload["limits"] == {"agree": 0.95, "errors": 0.01, "latencies": {"p90": 200}}
    assert payload["prefix"] == f"captures/digits-forest/{RUN_ID}" and payload["since"] <= payload["until"]
    assert (payload["endpoint_name"], payload["production"], payload["shadow"]) == (ENDPOINT, "AllTraffic", "Shadow")
    assert (ran.recorded["outcome"], ran.recorded["shadow"]) == ("Promoted", AGREES)


def test_a_shadow_that_disagrees_is_out_and_the_champion_is_back(tmp_path: Path) -> None:
    aws = world(DISAGREES)
    ran = run(shadowed_spec(tmp_path), aws)
    assert aws.on == OLD
    assert ran.recorded["outcome"] == "RolledBack"
    cause = f"as a shadow: {DISAGREES['reason']}"
    assert ran.recorded["failure"] == {"state": "Compare", "error": "ShadowDisagrees", "cause": cause}
    assert ran.recorded["shadow"] == DISAGREES
    assert not ran.called("putMetricAlarm") and not ran.called("verifier")


def stays(_arguments: Any) -> Any:
    """An update that SageMaker takes back: the shadow's container was never healthy."""
    return {"EndpointArn": "arn"}


MADE = {"EndpointConfigArn": "arn"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "the comparer fails": ({"comparer": refused("no", "Lambda.Unknown")}, "Compare"),
    "the config is refused": ({"createEndpointConfig": [{"EndpointConfigArn": "a"}, refused("no")]}, "CreateShadow"),
    "the update is refused": ({"updateEndpoint": lambda _: refused("no quota")}, "StartShadow"),
}


@pytest.mark.parametrize("case", WRONG)
def test_whatever_goes_wrong_with_a_shadow_the_champion_stays(tmp_path: Path, case: str) -> None:
    answers, state = WRONG[case]
    aws = world(AGREES, **answers)
    ran = run(shadowed_spec(tmp_path), aws)
    assert aws.on == OLD
    assert ran.recorded["failure"]["state"].startswith(state)
    assert ran.recorded["outcome"] in (None, "RolledBack")
    assert not ran.called("verifier")


def test_a_shadow_that_never_comes_up_is_out(tmp_path: Path) -> None:
    statuses = [in_service(OLD), in_service(OLD) | {"EndpointStatus": "Updating"}]
    back = [in_service(OLD, FailureReason="did not pass the ping health check")] * 3
    ran = run(shadowed_spec(tmp_path), world(AGREES, updateEndpoint=stays, describeEndpoint=[*statuses, *back]))
    assert (ran.recorded["outcome"], ran.recorded["failure"]["error"]) == ("RolledBack", "ShadowFailed")
    assert "did not pass the ping health check" in ran.recorded["failure"]["cause"]
    assert len(ran.called("updateEndpoint")) == 1, "SageMaker has put the champion back itself"


CHANGING = in_service(OLD) | {"EndpointStatus": "Updating"}
NO_INSTANCES = in_service(OLD, FailureReason="Unable to provision … due to InsufficientInstanceCapacity error.")


def test_a_shadow_for_which_there_is_no_capacity_waits_for_it(tmp_path: Path) -> None:
    """Of the challenger that says nothing."""
    aws = world(AGREES)
    looks = iter([in_service(OLD), CHANGING, NO_INSTANCES])
    aws.answers["describeEndpoint"] = lambda _: next(looks, None) or in_service(aws.on)
    aws.answers["updateEndpoint"] = [stays, *[aws._updateEndpoint] * 3]
    ran = run(shadowed_spec(tmp_path), aws)
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("Promoted", None)
    assert len(ran.called("updateEndpoint")) == 4 and ran.states.count("WaitForShadowCapacity") == 1


def test_a_shift_that_is_tried_again_has_no_other_shadow(tmp_path: Path) -> None:
    aws, looks = world(AGREES), list[Any]()

    def update(arguments: Any) -> Any:
        if [name for name, _ in aws.calls].count("updateEndpoint") == 3:
            looks.extend([CHANGING, NO_INSTANCES])
            return stays(arguments)
        return aws._updateEndpoint(arguments)

    aws.answers |= {"updateEndpoint": update, "describeEndpoint": lambda _: looks.pop(0) if looks else on(aws)}
    ran = run(shadowed_spec(tmp_path), aws)
    assert len(ran.called("updateEndpoint")) == 4 and "WaitForCapacity" in ran.states
    assert len(ran.called("comparer")) == 1, "an hour's shadow isn't repeated"
    assert ran.recorded["outcome"] == "Promoted"


def on(aws: World) -> dict[str, Any]:
    return in_service(aws.on)


def test_the_champions_own_model_and_a_chain_have_no_shadow(tmp_path: Path) -> None:
    """With another threshold the answers are others, and SageMaker has no shadows of several containers."""
    chain = [{"ContainerHostname": "first", "Image": "i", "Environment": {}}]
    same = {name: CHAMPION[name] for name in ("run_id", "model_package_arn", "model_data", "image_uri", "score")}
    candidate = {**same, "metric": "f1_macro", "fingerprint": "old", "threshold": "0.8"}
    decision = {"promote": True, "reason": "nothing is new but the threshold"}
    plans: dict[str, dict[str, Any]] = {
        "it is the champion's own model": {"outcome": "Rollback", "candidate": candidate, "decision": decision},
        "SageMaker has no shadows of models with several containers": {"champion": {**CHAMPION, "chain": chain}},
    }
    for reason, planned in plans.items():
        aws = World(plan={**PLAN, "champion": CHAMPION, **planned}, on=OLD)
        ran = run(shadowed_spec(tmp_path), aws)
        assert ran.recorded["outcome"] == "Promoted" and not ran.called("comparer")
        record = run_record(ran.recorded, begun={}, state=State(), evaluation=None, timings={}, at="now")
        assert record["shadow"] == {"skipped": reason}


@pytest.mark.parametrize(
    "refusal",
    [refused('Cannot create already existing endpoint configuration "arn".'), refused("Rate exceeded")],
)
def test_a_config_that_is_there_already_is_as_good_and_throttling_is_waited_out(tmp_path: Path, refusal: Any) -> None:
    ran = run(shadowed_spec(tmp_path), world(AGREES, createEndpointConfig=[MADE, refusal, MADE]))
    assert ran.recorded["outcome"] == "Promoted"


def test_without_a_champion_that_serves_or_on_the_way_back_there_is_no_shadow(tmp_path: Path) -> None:
    first = run(shadowed_spec(tmp_path), World())
    assert (first.recorded["outcome"], first.recorded["shadow"]) == ("Promoted", None)
    assert not first.called("comparer") and len(first.called("createEndpointConfig")) == 1


@pytest.mark.parametrize("then", [None, "all"])
def test_all_traffic_may_go_over_at_once_after_a_shadow(tmp_path: Path, then: str | None) -> None:
    shift = {"shadow": "5m", "agree": "95%", **({"then": then} if then else {})}
    ran = run(make_spec(tmp_path, deploy={**PLAIN, "shift": shift}), world(AGREES))
    assert ["DeploymentConfig" in request for request in ran.called("updateEndpoint")] == [False] * 3
    assert ran.recorded["outcome"] == "Promoted"
    assert ran.called("createEndpointConfig")[1]["ShadowProductionVariants"][0]["InitialVariantWeight"] == 1


@pytest.mark.fidelity(
    "Step Functions",
    "The optimized integration's createEndpointConfig takes EndpointConfigName, KmsKeyId, ProductionVariants and Tags: "
    "shadows and captures need the SDK integration.",
    "Step Functions Developer Guide, Create and manage Amazon SageMaker AI jobs; CDK SageMakerCreateEndpointConfig",
)
def test_a_shadow_makes_no_other_model_and_leaves_other_machines_as_they_are(tmp_path: Path) -> None:
    plain, watched = make_spec(tmp_path, deploy=PLAIN), shadowed_spec(tmp_path)
    assert spec_hash(plain) == spec_hash(watched)
    assert "Shadow" not in json.dumps(definition(plain)) and "comparer" not in json.dumps(definition(plain))
    made = definition(watched)["States"]["CreateShadowConfig"]["Resource"]
    assert made.endswith(":aws-sdk:sagemaker:createEndpointConfig")
    text = json.dumps(definition(watched))
    assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


# ------------------------------------------------------------------------------------------------------- what is told


def told(**event: Any) -> dict[str, Any]:
    """The record of a run that ended so."""
    known: dict[str, Any] = dict.fromkeys(VARIABLES)
    run_of = {"run_id": RUN_ID, "pipeline": "p", "trigger": {"kind": event.pop("kind", "data")}, "forced": False}
    whole = {**known, "run": run_of, "jobs": {}, "execution_arn": "arn", "outcome": "Promoted", **event}
    return run_record(whole, begun={}, state=State(), evaluation=None, timings={}, at="now")


DEPLOYED = {"deployment": {"endpoint_config_name": "c", "model_name": "m"}}


def test_the_record_says_what_the_shadow_came_to_or_why_there_was_none() -> None:
    assert told(shadow=AGREES, **DEPLOYED)["shadow"] == AGREES
    assert told(shadow=DISAGREES, outcome="RolledBack", **DEPLOYED)["shadow"] == DISAGREES
    assert told(shadow=None, **DEPLOYED)["shadow"]["skipped"].startswith("no champion served")
    assert told(shadow=None, kind="rollback", **DEPLOYED)["shadow"]["skipped"].startswith("a person went back")
    for nothing in ({"shadow": None, "outcome": "NotBetter"}, {**DEPLOYED}, {"shadow": None, "outcome": "UpToDate"}):
        assert "shadow" not in told(**nothing)


def test_the_runs_sentence_tells_of_its_shadow() -> None:
    record = {"pipeline": "p", "run_id": "r", "outcome": "Promoted", "decision": {"reason": "better"}}
    said = outcomes.sentence({**record, "shadow": AGREES})
    assert said.endswith("Run r. As a shadow before: 99 % of 200 answers are the champion's.")
    assert outcomes.sentence({**record, "shadow": {"skipped": "why"}}).endswith("Run r. It was no shadow before: why.")
    failed = {"state": "Compare", "cause": "as a shadow: 60 %"}
    rolled = {"pipeline": "p", "run_id": "r", "outcome": "RolledBack", "shadow": DISAGREES, "error": failed}
    assert outcomes.sentence(rolled).endswith("was rolled back (Compare: as a shadow: 60 %). Run r.")


def test_models_of_a_shadow_that_the_endpoint_still_has_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair comes after a run that was cut off; until then nothing that serves or is asked is deleted."""
    aws = installed(monkeypatch)
    names = {name: f"local-p-{digit * 12}" for name, digit in (("old", "a"), ("new", "b"), ("lost", "c"))}
    aws.sagemaker.models = set(names.values())
    aws.sagemaker.configs = {names["old"]: [names["old"], names["new"]], names["lost"]: [names["lost"]]}
    endpoint = {"EndpointStatus": "InService", "EndpointConfigName": names["old"]}
    keeper = Housekeeper(aws.client("sagemaker"), "local-p-", Log())
    needed = keeper._with_endpoint(Needed(), endpoint)
    assert needed == Needed(frozenset({names["old"], names["new"]}), frozenset({names["old"]}))
