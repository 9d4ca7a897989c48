"""Training in rounds: the real state machine, interpreted; each job's figures are scripted."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from run_world import MANIFESTS, RUN_ID, World, definition, make_spec, run

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from localaws.states.errors import StatesError
from ratchet.spec import PipelineSpec, SpecError

METRICS = {"validation:accuracy": "validation:accuracy=([0-9.]+)", "parameters": "parameters=([0-9.]+)"}
ROUNDS = {"max": 5, "metric": "validation:accuracy", "tolerance": 0.02, "size": "parameters"}
LOSS_RULE = [{"rule": "LossNotDecreasing"}]


def spec_with(folder: Path, *, metrics: dict[str, str] = METRICS, **changes: Any) -> PipelineSpec:
    train = {"instance": "ml.m5.large", "metrics": metrics}
    rounds = {**ROUNDS, **changes.pop("rounds", {})}
    return make_spec(folder, **{"train": train, "rounds": rounds, **changes})


@dataclass
class Rounds:
    """A training job a round: (accuracy, parameters) of each, or what else it answers."""

    figures: list[Any]
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, arguments: dict[str, Any]) -> Any:
        self.requests.append(arguments)
        figures = self.figures[len(self.requests) - 1]
        return figures(arguments) if callable(figures) else described(arguments, *figures)


def described(arguments: dict[str, Any], accuracy: float, parameters: int, **more: Any) -> dict[str, Any]:
    name = arguments["TrainingJobName"]
    values = {"validation:accuracy": accuracy, "parameters": parameters}
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": model_of(name)},
        "FinalMetricDataList": [
            {"MetricName": metric, "Value": value, "Timestamp": 1.0} for metric, value in values.items()
        ],
        "TrainingTimeInSeconds": 7,
        **more,
    }


def model_of(job: str) -> str:
    return f"s3://artifacts/runs/digits-forest/{RUN_ID}/train/{job}/output/model.tar.gz"


def job_of(number: int) -> str:
    return f"local-digits-forest-{RUN_ID}-train-{number}"


def judged(ran: Any) -> str:
    """The model that evaluation was given."""
    (request,) = ran.called("createProcessingJob")
    inputs = {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in request["ProcessingInputs"]}
    return str(inputs["challenger"])


# ------------------------------------------------------------------------------------------------------- what happens


def test_rounds_go_on_to_the_last_and_the_smallest_good_one_is_judged(tmp_path: Path) -> None:
    jobs = Rounds([(0.90, 1000), (0.91, 700), (0.90, 490), (0.89, 343), (0.885, 240)])
    ran = run(spec_with(tmp_path), World(answers={"createTrainingJob": jobs}))
    assert ran.recorded["outcome"] == "Promoted"
    assert [request["TrainingJobName"] for request in jobs.requests] == [job_of(n) for n in range(1, 6)]
    assert judged(ran) == model_of(job_of(5))
    assert ran.called("createModelPackage")[0]["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == model_of(
        job_of(5)
    )
    rounds = ran.recorded["rounds"]
    assert rounds["ended"] == "last" and rounds["chosen"] == 5
    assert rounds["rows"][1] == {
        "round": 2,
        "job": job_of(2),
        "status": "Completed",
        "model_data": model_of(job_of(2)),
        "metrics": {"validation:accuracy": 0.91, "parameters": 700},
        "seconds": 7,
        "stopped_by_rule": False,
    }


def test_the_folder_stays_open_from_round_to_round_and_is_closed_behind_the_last(tmp_path: Path) -> None:
    jobs = Rounds([(0.9, 100), (0.9, 80), (0.9, 60)])
    ran = run(spec_with(tmp_path, rounds={"max": 3}), World(answers={"createTrainingJob": jobs}))
    calls = [name for name, _ in ran.calls]
    of_training = [name for name in calls if name in ("tagRole", "createTrainingJob", "createProcessingJob")]
    rounds = ["createTrainingJob"] * calls.count("createTrainingJob")
    assert len(rounds) > 1
    assert of_training == ["tagRole", *rounds, "tagRole", "tagRole", "createProcessingJob"]


def test_each_round_finds_the_last_ones_model_and_the_first_none(tmp_path: Path) -> None:
    jobs = Rounds([(0.9, 3), (0.9, 2), (0.9, 1)])
    run(spec_with(tmp_path, rounds={"max": 3}), World(answers={"createTrainingJob": jobs}))
    channels = [
        {entry["ChannelName"]: entry["DataSource"]["S3DataSource"]["S3Uri"] for entry in request["InputDataConfig"]}
        for request in jobs.requests
    ]
    data = {name: MANIFESTS[name] for name in ("train", "extra-1")}
    assert channels == [
        data,
        {**data, "previous": model_of(job_of(1))},
        {**data, "previous": model_of(job_of(2))},
    ]
    assert [request["HyperParameters"]["sagemaker_job_name"] for request in jobs.requests] == [
        job_of(number) for number in (1, 2, 3)
    ]


def test_a_round_beyond_the_tolerance_ends_them_and_is_not_chosen(tmp_path: Path) -> None:
    jobs = Rounds([(0.90, 1000), (0.88, 700), (0.879, 490)])
    ran = run(spec_with(tmp_path), World(answers={"createTrainingJob": jobs}))
    assert len(jobs.requests) == 3
    assert judged(ran) == model_of(job_of(2)), "exactly at the tolerance is within it"
    rounds = ran.recorded["rounds"]
    assert rounds["ended"] == "tolerance" and rounds["chosen"] == 2
    assert rounds["reason"] == ("round 3: validation:accuracy is 0.879, more than 0.02 worse than the first round, 0.9")
    assert len(rounds["rows"]) == 3, "what the round came to is kept, with its model"


def test_less_may_be_better(tmp_path: Path) -> None:
    jobs = Rounds([(1.0, 1000), (0.5, 700), (1.1, 400)])
    ran = run(spec_with(tmp_path, rounds={"better": "less"}), World(answers={"createTrainingJob": jobs}))
    assert ran.recorded["rounds"]["chosen"] == 2
    assert ran.recorded["rounds"]["ended"] == "tolerance"


def test_the_smallest_need_not_be_the_latest(tmp_path: Path) -> None:
    jobs = Rounds([(0.9, 1000), (0.9, 400), (0.9, 700)])
    ran = run(spec_with(tmp_path, rounds={"max": 3}), World(answers={"createTrainingJob": jobs}))
    assert judged(ran) == model_of(job_of(2))


def test_a_round_that_gets_better_does_not_raise_the_bar(tmp_path: Path) -> None:
    jobs = Rounds([(0.90, 1000), (0.99, 700), (0.89, 490)])
    ran = run(spec_with(tmp_path, rounds={"max": 3}), World(answers={"createTrainingJob": jobs}))
    assert ran.recorded["rounds"]["chosen"] == 3


def test_each_round_has_tensors_and_checkpoints_of_its_own(tmp_path: Path) -> None:
    """A round that took up another's checkpoints would skip its training; its rules would judge two as one."""
    (tmp_path / "train.py").write_text("from toolkit import checkpoint\n")
    train = {"instance": "ml.m5.large", "max_runtime": "1h", "spot": {"max_wait": "2h"}, "metrics": METRICS}
    jobs = Rounds([(0.9, 3), (0.9, 2)])
    run(spec_with(tmp_path, train=train, rounds={"max": 2}), World(answers={"createTrainingJob": jobs}))
    folder = f"s3://artifacts/runs/digits-forest/{RUN_ID}/train"
    assert [request["CheckpointConfig"]["S3Uri"] for request in jobs.requests] == [
        f"{folder}/checkpoints/round-{number}" for number in (1, 2)
    ]
    assert [json.loads(request["Environment"]["RATCHET_PROBE"])["output"] for request in jobs.requests] == [
        f"{folder}/tensors/round-{number}/" for number in (1, 2)
    ]


# ----------------------------------------------------------------------------------------------- when one is stopped


def stopped(accuracy: float, parameters: int) -> Any:
    return lambda arguments: described(
        arguments, accuracy, parameters, TrainingJobStatus="Stopped", SecondaryStatus="Stopped"
    )


def as_an_error(accuracy: float, parameters: int) -> Any:
    def answer(arguments: dict[str, Any]) -> StatesError:
        document = stopped(accuracy, parameters)(arguments)
        return StatesError("States.TaskFailed", json.dumps({**document, "FinalMetricDataList": []}))

    return answer


BY_RULE = {"Item": {"stopped_by": {"M": {"rule": {"S": "LossNotDecreasing"}, "reason": {"S": "it rose"}}}}}
BY_NOBODY = {"Item": {"run_id": {"S": RUN_ID}}}


def a_world(jobs: Rounds, item: Any, **answers: Any) -> World:
    return World(answers={"createTrainingJob": jobs, "getItem": item, **answers})


def run_by_hand(spec: PipelineSpec, world: World) -> Any:
    return run(spec, world, kind="manual")


def test_a_round_that_a_rule_stops_ends_them_and_its_model_is_kept(tmp_path: Path) -> None:
    jobs = Rounds([(0.9, 1000), (0.9, 700), stopped(0.9, 10)])
    spec = spec_with(tmp_path, rules=LOSS_RULE, triggers={"data": False})
    ran = run_by_hand(spec, a_world(jobs, BY_RULE))
    assert ran.recorded["outcome"] == "Promoted" and ran.recorded["failure"] is None
    assert judged(ran) == model_of(job_of(2)), "a stopped round's model is smaller, but not chosen"
    rounds = ran.recorded["rounds"]
    assert (rounds["ended"], rounds["chosen"], rounds["reason"]) == ("rule", 2, "a rule stopped round 3")
    last = rounds["rows"][2]
    assert last["stopped_by_rule"] and last["model_data"] == model_of(job_of(3))


def test_a_stop_that_step_functions_takes_for_a_failure_ends_them_as_well(tmp_path: Path) -> None:
    jobs = Rounds([(0.9, 1000), as_an_error(0.9, 10)])
    spec = spec_with(tmp_path, rules=LOSS_RULE, triggers={"data": False})
    found = described({"TrainingJobName": job_of(2)}, 0.9, 10, TrainingJobStatus="Stopped", SecondaryStatus="Stopped")
    ran = run_by_hand(spec, a_world(jobs, BY_RULE, describeTrainingJob=found))
    assert ran.called("describeTrainingJob") == [{"TrainingJobName": job_of(2)}]
    assert ran.recorded["rounds"]["ended"] == "rule"
    assert judged(ran) == model_of(job_of(1))


def test_the_first_round_has_nothing_before_it_to_go_on_with(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, rules=LOSS_RULE, triggers={"data": False})
    ran = run_by_hand(spec, a_world(Rounds([stopped(0.9, 10)]), BY_RULE))
    assert ran.recorded["outcome"] == "StoppedByRule"
    assert not ran.called("createProcessingJob")


def test_a_round_that_a_person_stops_ends_the_run(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, rules=LOSS_RULE, triggers={"data": False})
    ran = run_by_hand(spec, a_world(Rounds([(0.9, 1000), stopped(0.9, 10)]), BY_NOBODY))
    assert ran.recorded["outcome"] is None
    assert json.loads(ran.recorded["failure"]["cause"])["TrainingJobName"] == job_of(2)
    assert len(ran.recorded["rounds"]["rows"]) == 1, "what was done before isn't forgotten"


def test_a_round_without_the_figures_it_is_judged_by_fails_with_a_sentence(tmp_path: Path) -> None:
    def silent(arguments: dict[str, Any]) -> dict[str, Any]:
        document = described(arguments, 0.9, 10)
        del document["FinalMetricDataList"]
        return document

    ran = run(spec_with(tmp_path), World(answers={"createTrainingJob": Rounds([(0.9, 1000), silent])}))
    assert ran.recorded["failure"]["error"] == "RoundNotMeasured"
    assert ran.recorded["failure"]["cause"] == (
        f"round 2 ({job_of(2)}) printed no figure that matches train.metrics validation:accuracy or parameters, "
        "by which rounds are judged"
    )


def test_the_judge_is_told_the_settings_the_rounds_before_and_the_training(tmp_path: Path) -> None:
    jobs = Rounds([(0.9, 3), (0.9, 2)])
    ran = run(spec_with(tmp_path, rounds={"max": 2}), World(answers={"createTrainingJob": jobs}))
    first, second = (call["Payload"] for call in ran.called("rounds"))
    settings = {**ROUNDS, "max": 2, "better": "greater"}
    kept = {name: value for name, value in settings.items() if name != "max"}
    assert first["settings"] == second["settings"] == settings
    assert (first["round"], first["rounds"]) == (1, {**kept, "rows": []})
    assert (second["round"], [row["job"] for row in second["rounds"]["rows"]]) == (2, [job_of(1)])
    assert second["training"]["description"]["TrainingJobName"] == job_of(2)


def test_rounds_that_cannot_be_judged_fail_by_their_own_state(tmp_path: Path) -> None:
    broken = StatesError("KeyError", '{"errorMessage": "rows"}')
    world = World(answers={"createTrainingJob": Rounds([(0.9, 3)]), "rounds": broken})
    ran = run(spec_with(tmp_path), world)
    assert ran.recorded["failure"] == {"state": "JudgeRound", "error": "KeyError", "cause": broken.cause}
    assert not ran.called("createProcessingJob")


# ---------------------------------------------------------------------------------------------------- the definition


def test_step_functions_takes_the_definition(tmp_path: Path) -> None:
    for rules in ([], LOSS_RULE):
        text = json.dumps(definition(spec_with(tmp_path, rules=rules)))
        assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


def test_metrics_of_any_name_are_found(tmp_path: Path) -> None:
    odd = 'it\'s "1" `x`'
    spec = spec_with(tmp_path, metrics={odd: "a=([0-9.]+)", "parameters": "b=([0-9.]+)"}, rounds={"metric": odd})

    def job(arguments: dict[str, Any]) -> dict[str, Any]:
        document = described(arguments, 0.9, 10)
        document["FinalMetricDataList"][0]["MetricName"] = odd
        return document

    ran = run(spec, World(answers={"createTrainingJob": job}))
    assert ran.recorded["rounds"]["ended"] == "last"


def test_without_rounds_nothing_of_them_is_there(tmp_path: Path) -> None:
    text = json.dumps(definition(make_spec(tmp_path)))
    assert "$round" not in text and "JudgeRound" not in text and "NextRound" not in text


REFUSED = [
    ({"metric": "accuracy"}, "rounds.metric: is 'accuracy', which isn't one of train.metrics"),
    ({"size": "bytes"}, "rounds.size: is 'bytes', which isn't one of train.metrics"),
    ({"size": "validation:accuracy"}, "rounds.size: is 'validation:accuracy', like metric"),
    ({"max": 1}, "rounds.max: is 1; it must be at least 2"),
    ({"max": 100}, "rounds.max: is 100; it must be at most 99"),
    ({"tolerance": -0.1}, "rounds.tolerance: is -0.1; it must be at least 0"),
    ({"tolerence": 1}, "rounds.tolerence: unknown key"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_rounds_that_cannot_be_judged_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        spec_with(tmp_path, rounds=changes)
    assert message in str(error.value)


def test_the_channel_of_the_last_model_cannot_be_data(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"data\.previous: is the channel in which a round finds"):
        spec_with(tmp_path, data={"train": "a/", "test": "b/", "previous": "c/"})
