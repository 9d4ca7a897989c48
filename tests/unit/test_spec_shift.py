"""`deploy.shift`, `deploy.rollback_on` and what goes with them: what they come to, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract.files import SPEC_FILE
from ratchet import spec
from ratchet.spec.deploy import Deploy

SPEC = """\
name: iris
framework: {name: sklearn, version: "1.9-0"}
data: {train: iris/train/, test: iris/test/}
train: {instance: ml.m5.large}
gate: {metric: accuracy, minimum: 0.8}
deploy:
  instance: INSTANCE
  instance_count: COUNT
"""
ALARMS = "  rollback_on: {errors: 1%}\n"


def loaded(folder: Path, lines: str, *, instance: str = "ml.m5.large", count: int = 4) -> Deploy:
    text = SPEC.replace("INSTANCE", instance).replace("COUNT", str(count)) + lines
    (folder / SPEC_FILE).write_text(text, encoding="utf-8")
    return spec.load(folder / SPEC_FILE).deploy


def refusal(folder: Path, lines: str, **more: Any) -> str:
    with pytest.raises(spec.SpecError) as refused:
        loaded(folder, lines, **more)
    return str(refused.value).replace(f"{folder / SPEC_FILE}:", "")


# --------------------------------------------------------------------------------------------------------- what is said

SHIFTS: dict[str, tuple[str, str, int, int]] = {
    "{canary: 10%}": ("canary", "10%", 300, 1),
    "{canary: 50 %, bake: 1h}": ("canary", "50%", 3600, 1),
    "{canary: 2, bake: 90s}": ("canary", "2", 90, 1),
    "{linear: 25%, every: 10m}": ("linear", "25%", 600, 4),
    "{linear: 33%}": ("linear", "33%", 300, 4),
    "{linear: 1}": ("linear", "1", 300, 4),
    "{rolling: 5%, every: 1m}": ("rolling", "5%", 60, 20),
    "{rolling: 2}": ("rolling", "2", 300, 2),
}


@pytest.mark.parametrize("said", SHIFTS)
def test_a_shift_has_a_size_a_wait_and_steps(tmp_path: Path, said: str) -> None:
    shift = loaded(tmp_path, f"  shift: {said}\n{ALARMS}").shift
    assert shift is not None
    assert (shift.kind, str(shift.size), shift.wait, shift.steps(4)) == SHIFTS[said]


@pytest.mark.parametrize("lines", ["", "  shift: all\n"])
def test_by_itself_everything_goes_over_at_once_and_sagemaker_is_told_nothing(tmp_path: Path, lines: str) -> None:
    deploy = loaded(tmp_path, lines)
    assert (deploy.shift, deploy.is_guarded, deploy.waits, deploy.keep_champions) == (None, False, 0, 3)


@pytest.mark.parametrize(
    ("lines", "waits", "longest"),
    [
        ("  shift: {canary: 10%, bake: 10m}\n  keep_old: 5m\n", 900, 2700),
        ("  shift: {linear: 25%, every: 10m}\n  max_time: 1h\n", 2400, 3600),
        ("  shift: {rolling: 25%, every: 1h}\n  timeout: 4h\n", 4 * 3600, 28_800),
        ("  shift: {linear: 14%, every: 1h}\n  timeout: 4h\n", 7.5 * 3600 + 1800, 28_800),
        ("  keep_old: 1m\n  timeout: 1m\n", 60, 600),
    ],
)
def test_sagemaker_has_time_for_all_waits_and_for_the_instances_to_start(
    tmp_path: Path, lines: str, waits: int, longest: int
) -> None:
    """Unless said the waits and `timeout`, between SageMaker's 10 minutes and 8 hours."""
    if "14%" in lines:
        assert "waits 8h in all" in refusal(tmp_path, lines + ALARMS)
        return
    deploy = loaded(tmp_path, lines + ALARMS)
    assert (deploy.waits, deploy.longest) == (waits, longest)


def test_what_brings_the_old_fleet_back(tmp_path: Path) -> None:
    said = "{errors: 0.5%, p99_latency: 500ms, p50_latency: 2s, alarms: [revenue drops, x]}"
    alarms = loaded(tmp_path, f"  shift: {{canary: 10%}}\n  rollback_on: {said}\n").rollback_on
    assert alarms is not None
    assert (alarms.errors, alarms.latencies, alarms.own) == (0.005, {"p50": 2000, "p99": 500}, 3)
    assert list(alarms.alarms) == ["revenue drops", "x"]
    assert loaded(tmp_path, "  keep_old: 5m\n  rollback_on: {errors: 0%}\n").rollback_on.errors == 0  # type: ignore[union-attr]


# ------------------------------------------------------------------------------------------------------ what is refused

WAYS = "write one of all, {canary: 10%, bake: 5m}"
# What `deploy` has beside its instances -> what is said of it.
REFUSED: dict[str, str] = {
    "shift: {canary: 60%}": "shift.canary: is 60%; SageMaker takes at most 50 % of the instances for a canary",
    "shift: {canary: 3}": "shift.canary: is 3 of 4 instances, 75 %; SageMaker takes at most 50 %",
    "shift: {canary: 0%}": "shift.canary: is 0%; SageMaker takes",
    "shift: {canary: 0}": "shift.canary: is 0; write whole percent of the instances, as 10%, or how many",
    "shift: {canary: 0.1}": "shift.canary: is 0.1; write whole percent",
    "shift: {canary: 12.5%}": "shift.canary: is '12.5%'; write whole percent",
    "shift: {canary: true}": "shift.canary: is True; write whole percent",
    "shift: {linear: 5%}": "shift.linear: is 5%; SageMaker takes 10 to 50 % of the instances for a linear step",
    "shift: {linear: 75%}": "shift.linear: is 75%; SageMaker takes 10 to 50 %",
    "shift: {rolling: 4%}": "shift.rolling: is 4%; SageMaker takes 5 to 50 % of the instances for a rolling",
    "shift: {rolling: 100%}": "shift.rolling: is 100%; SageMaker takes 5 to 50 %",
    "shift: canary": f"shift: is 'canary'; {WAYS}",
    "shift: 10%": f"shift: is '10%'; {WAYS}",
    "shift: {}": f"shift: says no way; {WAYS}",
    "shift: {bake: 5m}": f"shift: says no way; {WAYS}",
    "shift: {canary: 10%, linear: 10%}": f"shift: says canary and linear; {WAYS}",
    "shift: {canary: 10%, every: 5m}": "shift.every: is said, but canary has bake; write bake: 5m",
    "shift: {linear: 10%, bake: 5m}": "shift.bake: is said, but linear has every; write every: 5m",
    "shift: {canary: 10%, bake: 2h}": "shift.bake: is 2h; baking, in which metrics come once a minute "
    "(SageMaker's WaitIntervalInSeconds), takes 1m to 1h",
    "shift: {canary: 10%, bake: 30s}": "shift.bake: is 30s; baking, in which metrics come once a minute",
    "shift: {canary: 10%, bake: 300}": "shift.bake: has no unit: write 300s",
    "shift: {canery: 10%}": "shift.canery: unknown key; did you mean canary?",
    "shift: {linear: 10%, every: 1h}": "shift: waits 10h in all, and SageMaker ends a deployment after 8h",
    "shift: {canary: 10%, bake: 10m}, max_time: 10m": "max_time: is 10m, but the waits alone are 10m; SageMaker",
    "shift: {canary: 10%}, max_time: 5m": "max_time: is 5m; SageMaker's MaximumExecutionTimeoutInSeconds takes",
    "shift: {canary: 10%}, max_time: 9h": "max_time: is 9h; SageMaker's MaximumExecutionTimeoutInSeconds takes",
    "shift: {canary: 10%}, keep_old: 2h": "keep_old: is 2h; SageMaker's TerminationWaitInSeconds takes 0s to 1h",
    "shift: {rolling: 25%}, keep_old: 5m": "keep_old: is said, but a rolling shift replaces the old instances",
    "keep_champions: 0": "keep_champions: is 0; it must be at least 1",
    "rollback_on: {errors: 1}": "rollback_on.errors: is 1; write how many percent",
    "rollback_on: {errors: 0.01}": "rollback_on.errors: is 0.01; write how many percent of the requests",
    "rollback_on: {errors: 100%}": "rollback_on.errors: is 100%; no more than all requests end in an error",
    "rollback_on: {p99_latency: 500}": "rollback_on.p99_latency: is 500; write a whole number and ms or s",
    "rollback_on: {p99_latency: 2m}": "rollback_on.p99_latency: is '2m'; write a whole number and ms or s",
    "rollback_on: {p90_latency: 90s}": "rollback_on.p90_latency: is 90s; SageMaker waits 60s for an answer",
    "rollback_on: {p95_latency: 1s}": "rollback_on.p95_latency: unknown key; did you mean p",
    "rollback_on: {}": "rollback_on: names nothing; write errors: 1%, p99_latency: 500ms or alarms: [an-alarm]",
    "rollback_on: {alarms: []}": "rollback_on: names nothing",
    "rollback_on: {alarms: [a, a]}": "rollback_on.alarms[1]: is 'a' again; name each alarm once",
    "rollback_on: {alarms: ['a*']}": "rollback_on.alarms[0]: is 'a*', with one of * ? $: IAM reads that as a",
    "rollback_on: {alarms: [' ']}": "rollback_on.alarms[0]: is ' '; an alarm's name has 1 to 255 printable",
    "rollback_on: {alarms: ['arn:aws:cloudwatch:us-east-1:1:alarm:x']}": "rollback_on.alarms[0]: is 'arn:aws",
    "rollback_on: {errors: 1%, alarms: [a, b, c, d, e, f, g, h, i, j]}": "rollback_on.alarms: has 10 names, "
    "and a run makes 1 more alarms; SageMaker takes at most 10 in all",
}


@pytest.mark.fidelity(
    "Endpoints",
    "A canary has at most 50 % of the instances, a linear step 10 to 50 %, a rolling one 5 to 50 %; waits have at most "
    "an hour, a deployment 10 minutes to 8 hours, and more than all its waits; there are 1 to 10 alarms.",
    "SageMaker API reference, TrafficRoutingConfig, RollingUpdatePolicy, BlueGreenUpdatePolicy, AutoRollbackConfig",
)
@pytest.mark.parametrize("said", REFUSED)
def test_what_sagemaker_would_refuse_is_refused_on_its_line(tmp_path: Path, said: str) -> None:
    more = "" if "rollback_on" in said else ", rollback_on: {errors: 1%}"
    deploy = f"deploy: {{instance: ml.m5.large, instance_count: 4, {said}{more}}}\n"
    (tmp_path / SPEC_FILE).write_text(SPEC.partition("deploy:")[0] + deploy, encoding="utf-8")
    with pytest.raises(spec.SpecError) as refused:
        spec.load(tmp_path / SPEC_FILE)
    assert str(refused.value).startswith(f"{tmp_path / SPEC_FILE}:6: deploy.{REFUSED[said]}")


SHADOWED: dict[str, tuple[Any, ...]] = {
    "shift: {shadow: 1h, agree: 95%}": (3600, None, 0.95, None),
    "shift: {shadow: 30d, share: 50%, agree: 100 %, then: all}": (30 * 86_400, 0.5, 1.0, None),
    "shift: {shadow: 5m, then: {canary: 10%, bake: 5m}}, rollback_on: {errors: 1%}": (300, None, None, "canary"),
    "shift: {shadow: 5m}, rollback_on: {p90_latency: 1s}": (300, None, None, None),
}


@pytest.mark.parametrize("said", SHADOWED)
def test_a_shadow_comes_before_the_steps(tmp_path: Path, said: str) -> None:
    deploy = shadowed(tmp_path, said)
    assert deploy.has_shadow and deploy.shift
    kind = deploy.steps.kind if deploy.steps else None
    assert (deploy.shift.shadow, deploy.shift.share, deploy.shift.agree, kind) == SHADOWED[said]
    assert deploy.waits == (300 if kind else 0), "SageMaker's time for a deployment is without the shadow's"


def shadowed(folder: Path, said: str) -> Deploy:
    instance = "" if " instance:" in said else "instance: ml.m5.large, "
    deploy = f"deploy: {{{instance}instance_count: 4, {said}}}\n"
    (folder / SPEC_FILE).write_text(SPEC.partition("deploy:")[0] + deploy, encoding="utf-8")
    return spec.load(folder / SPEC_FILE).deploy


WRONG_SHADOWS: dict[str, str] = {
    "shift: {shadow: 0s, agree: 95%}": "shift.shadow: is 0s; a shadow, whose metrics and answers come in minutes, "
    "takes 5m to 30d",
    "shift: {shadow: 31d, agree: 95%}": "shift.shadow: is 31d; a shadow",
    "shift: {shadow: 60, agree: 95%}": "shift.shadow: has no unit: write 60s",
    "shift: {shadow: 1h, agree: 0.95}": "shift.agree: is 0.95; write 1% to 100%, in whole percent",
    "shift: {shadow: 1h, share: 0%, agree: 95%}": "shift.share: is '0%'; write 1% to 100%",
    "shift: {shadow: 1h, share: 101%, agree: 95%}": "shift.share: is '101%'; write 1% to 100%",
    "shift: {shadow: 1h}": "shift.shadow: is said, but nothing says what it is judged by; write agree: 95%",
    "shift: {shadow: 1h}, keep_old: 5m, rollback_on: {alarms: [a]}": "shift.shadow: is said, but nothing says what",
    "shift: {shadow: 1h, canary: 10%}, rollback_on: {errors: 1%}": "shift.canary: is said beside shadow; what comes "
    "after the shadow is then's: write {shadow: 1h, then: {canary: 10%}}",
    "shift: {shadow: 1h, agree: 95%, bake: 5m}": "shift.bake: is said beside shadow",
    "shift: {share: 50%, canary: 10%}, rollback_on: {errors: 1%}": "shift.share: is said, but there is no shadow",
    "shift: {then: all}": "shift.then: is said, but there is no shadow",
    "shift: {shadow: 1h, agree: 95%, then: {shadow: 1h}}": "shift.then: is said again: there is one shadow",
    "shift: {shadow: 1h, agree: 95%, then: canary}": "shift.then: is 'canary'; write one of all",
    "shift: {shadow: 1h, agree: 95%, then: {canary: 60%}}, rollback_on: {errors: 1%}": "shift.then.canary: is 60%; ",
    "shift: {shadow: 1h, agree: 95%, then: {canary: 10%}}": "shift.then: is canary, but there is no alarm to roll back",
    "shift: {shadow: 1h, agree: 95%}, instance: ml.inf1.xlarge": "shift.shadow: is said, but the instance is ml.inf1",
    "shift: {shadow: 1h, agree: 95%}, instance: [ml.m5.large, ml.inf1.xlarge]": "shift.shadow: is said, but the inst",
    "shift: {shadow: 1h, agree: 95%}, rollback_on: {alarms: [mine]}": "rollback_on.alarms: are said, but no alarm "
    "judges a shadow, and after it all traffic goes over at once",
    "shift: {shadow: 1h, then: {canary: 1}}, rollback_on: {errors: 1%}, "
    "autoscale: {max: 5, invocations_per_instance: 9}": "shift.then.canary: is 1, a number of instances, and autoscale",
    "shift: {shadow: 1h, agree: 95%}, kind: async, queue: {input: q/, output: a/}": "shift.shadow: is said, "
    "but kind is async: SageMaker has shadows of real-time endpoints alone",
    "shift: {shadow: 1h, agree: 95%}, kind: batch, input: b/": "shift: is an endpoint's, and kind is batch",
}


@pytest.mark.fidelity(
    "Endpoints",
    "A shadow test takes at most 30 days; Inf1 and other than real-time endpoints have no shadow.",
    "SageMaker Developer Guide, Create a shadow test; Shadow tests, Exclusions",
)
@pytest.mark.parametrize("said", WRONG_SHADOWS)
def test_a_shadow_that_cannot_be_is_refused_on_its_line(tmp_path: Path, said: str) -> None:
    with pytest.raises(spec.SpecError) as refused:
        shadowed(tmp_path, said)
    assert f"{tmp_path / SPEC_FILE}:6: deploy.{WRONG_SHADOWS[said]}" in str(refused.value)


TOGETHER: dict[str, tuple[str, dict[str, Any], str]] = {
    "a shift that nothing watches": (
        "  shift: {canary: 10%}\n",
        {},
        "9: deploy.shift: is canary, but there is no alarm to roll back on: SageMaker watches nothing while it bakes",
    ),
    "alarms without a time to watch": (
        ALARMS,
        {},
        "9: deploy.rollback_on: is said, but all traffic goes over at once and the old fleet with it",
    ),
    "alarms and a moment": (ALARMS + "  keep_old: 10s\n", {}, "9: deploy.rollback_on: is said, but all traffic"),
    "one instance as a canary of one": (
        "  shift: {canary: 1}\n" + ALARMS,
        {"count": 1},
        "9: deploy.shift.canary: is 1 of 1 instance, 100 %; SageMaker takes at most 50 % of the instances for a "
        "canary: write 50%",
    ),
    "few instances in steps of one": (
        "  shift: {rolling: 1}\n" + ALARMS,
        {"count": 30},
        "9: deploy.shift.rolling: is 1 of 30 instances, 3.33 %; SageMaker takes 5 to 50 %",
    ),
    "Inf1": (
        "  shift: {canary: 10%}\n" + ALARMS,
        {"instance": "ml.inf1.xlarge"},
        "9: deploy.shift: is said, but the instance is ml.inf1.xlarge: SageMaker updates Inf1 endpoints all at once",
    ),
    "Inf1 without steps": (
        ALARMS + "  keep_old: 5m\n",
        {"instance": "[ml.m5.large, ml.inf1.xlarge]"},
        "9: deploy.rollback_on: is said, but the instance is ml.inf1.xlarge: SageMaker updates Inf1 endpoints all at",
    ),
}


@pytest.mark.fidelity(
    "Endpoints",
    "Alarms are a prerequisite for baking; Inf1 endpoints are updated all at once whatever is said.",
    "SageMaker Developer Guide, Auto-Rollback Configuration and Monitoring; Deployment guardrails, Exclusions",
)
@pytest.mark.parametrize("case", TOGETHER)
def test_what_does_not_go_together_is_refused(tmp_path: Path, case: str) -> None:
    lines, more, expected = TOGETHER[case]
    assert refusal(tmp_path, lines, **more).startswith(expected)
