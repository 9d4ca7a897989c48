"""Candidates of a run: the real state machine, interpreted, and what pipeline.yaml may say of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from run_world import CHAMPION, DECISION, MANIFESTS, PLAN, RUN_ID, World, definition, make_spec, run, surroundings

from infra.workflow.machine import run_machine
from infra.workflow.steps.plan import spec_hash
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems
from localaws.states.errors import StatesError
from ratchet.spec import PipelineSpec, SpecError

SHALLOW = {"name": "shallow", "hyperparameters": {"max-depth": 3, "n-estimators": 50}}
DEEP = {"name": "deep", "entry": "deep.py"}
WIDE = {"name": "wide", "hyperparameters": {"n-estimators": 500}}


def spec_with(folder: Path, *candidates: dict[str, Any], **changes: Any) -> PipelineSpec:
    (folder / "train.py").write_text("from toolkit import checkpoint\n")
    (folder / "deep.py").write_text("from toolkit import checkpoint\n")
    return make_spec(folder, candidates=list(candidates) or [SHALLOW, DEEP], **changes)


def job_of(number: int) -> str:
    return f"local-digits-forest-{RUN_ID}-train-{number}"


def model_of(number: int) -> str:
    return f"s3://artifacts/runs/digits-forest/{RUN_ID}/train/{job_of(number)}/output/model.tar.gz"


def described(arguments: dict[str, Any], status: str = "Completed", **more: Any) -> dict[str, Any]:
    name = arguments["TrainingJobName"]
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "ModelArtifacts": {"S3ModelArtifacts": model_of(int(name[-1]))},
        "HyperParameters": arguments["HyperParameters"],
        "Environment": arguments["Environment"],
        "TrainingTimeInSeconds": 7,
        **more,
    }


def world(*, gate: str = "deep", plan: dict[str, Any] | None = None, **of_jobs: Any) -> World:
    """of_jobs: what the job of a candidate answers, by its name: a status, or an error."""

    def train(arguments: dict[str, Any]) -> Any:
        answer = of_jobs.get(arguments["Environment"]["RATCHET_CANDIDATE"], "Completed")
        if isinstance(answer, list):
            answer = answer.pop(0)
        return described(arguments, answer) if isinstance(answer, str) else answer

    decision = {"Payload": {**DECISION, "candidate": gate}}
    return World(answers={"createTrainingJob": train, "gate": decision}, **({"plan": plan} if plan else {}))


def failed(number: int, reason: str = "AlgorithmError: ValueError: no row") -> StatesError:
    job = {"TrainingJobName": job_of(number), "TrainingJobStatus": "Failed", "FailureReason": reason}
    return StatesError("States.TaskFailed", json.dumps(job))


def inputs(ran: Any) -> dict[str, str]:
    """The evaluation job's inputs, by their names."""
    (request,) = ran.called("createProcessingJob")
    for entry in request["ProcessingInputs"]:
        assert entry["S3Input"]["LocalPath"] == f"/opt/ml/processing/input/{entry['InputName']}"
    return {entry["InputName"]: entry["S3Input"]["S3Uri"] for entry in request["ProcessingInputs"]}


# ------------------------------------------------------------------------------------------------------- what happens


def test_each_is_trained_with_its_own_script_and_hyperparameters_over_the_common_ones(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world())
    requests = {request["TrainingJobName"]: request for request in ran.called("createTrainingJob")}
    assert sorted(requests) == [job_of(1), job_of(2)]
    first, second = (requests[job_of(number)]["HyperParameters"] for number in (1, 2))
    own = ("n-estimators", "max-depth", "sagemaker_program", "sagemaker_job_name")
    assert {name: first.get(name) for name in own} == {
        "n-estimators": "50",
        "max-depth": "3",
        "sagemaker_program": "train.py",
        "sagemaker_job_name": job_of(1),
    }
    assert {name: second.get(name) for name in own} == {
        "n-estimators": "100",
        "max-depth": None,
        "sagemaker_program": "deep.py",
        "sagemaker_job_name": job_of(2),
    }
    channels = [entry["DataSource"]["S3DataSource"]["S3Uri"] for entry in requests[job_of(2)]["InputDataConfig"]]
    assert sorted(channels) == [MANIFESTS["extra-1"], MANIFESTS["train"]]


def test_one_job_judges_all_and_the_best_is_registered_and_serves(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world())
    assert ran.recorded["outcome"] == "Promoted"
    judged = inputs(ran)
    assert {name: uri for name, uri in judged.items() if name.startswith("candidate-")} == {
        "candidate-shallow": model_of(1),
        "candidate-deep": model_of(2),
    }
    assert "challenger" not in judged and "champion" not in judged
    (request,) = ran.called("createProcessingJob")
    words = request["AppSpecification"]["ContainerArguments"]
    assert [words[place + 1] for place, word in enumerate(words) if word == "--candidate"] == ["shallow", "deep"]
    (told,) = ran.called("gate")
    assert told["Payload"]["candidates"] == ["shallow", "deep"]
    container = ran.called("createModelPackage")[0]["InferenceSpecification"]["Containers"][0]
    assert container["ModelDataUrl"] == model_of(2)
    assert ran.recorded["training"]["description"]["TrainingJobName"] == job_of(2)
    assert ran.recorded["jobs"]["Train"] == job_of(2)
    assert [(each["candidate"], each["job"], each["wrong"]) for each in ran.recorded["candidates"]] == [
        ("shallow", job_of(1), None),
        ("deep", job_of(2), None),
    ]


def test_the_champion_answers_the_same_examples(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world(plan={**PLAN, "champion": CHAMPION}))
    assert inputs(ran)["champion"] == CHAMPION["model_data"]
    assert sum(name.startswith("candidate-") for name in inputs(ran)) == 2


def test_five_fit_beside_a_champion_into_one_evaluation_job(tmp_path: Path) -> None:
    five = [{"name": f"n{number}", "hyperparameters": {"n-estimators": number}} for number in range(1, 6)]
    ran = run(spec_with(tmp_path, *five), world(gate="n5", plan={**PLAN, "champion": CHAMPION}))
    assert ran.recorded["outcome"] == "Promoted"
    assert len(inputs(ran)) == 8, "of at most ten (CreateProcessingJob, ProcessingInputs)"


def test_one_that_fails_leaves_the_other_to_be_judged(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world(shallow=failed(1)))
    assert ran.recorded["outcome"] == "Promoted" and ran.recorded["failure"] is None
    assert [name for name in inputs(ran) if name.startswith("candidate-")] == ["candidate-deep"]
    first, second = ran.recorded["candidates"]
    assert first["training"] is None and "no row" in first["wrong"]["cause"]
    assert second["wrong"] is None


@pytest.mark.parametrize("as_an_error", [False, True])
def test_one_that_is_stopped_is_out_and_its_model_is_not_judged(tmp_path: Path, as_an_error: bool) -> None:
    document = {"TrainingJobName": job_of(2), "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
    stop: Any = StatesError("States.TaskFailed", json.dumps(document)) if as_an_error else "Stopped"
    spec = spec_with(tmp_path, rules=[{"rule": "LossNotDecreasing"}])
    ran = run(spec, world(gate="shallow", deep=stop))
    assert ran.recorded["outcome"] == "Promoted"
    assert [name for name in inputs(ran) if name.startswith("candidate-")] == ["candidate-shallow"]
    assert json.loads(ran.recorded["candidates"][1]["wrong"]["cause"])["TrainingJobStatus"] == "Stopped"


def test_all_that_fail_fail_the_run_as_the_first_that_failed(tmp_path: Path) -> None:
    stopped = StatesError("States.TaskFailed", '{"TrainingJobName": "x", "TrainingJobStatus": "Stopped"}')
    ran = run(spec_with(tmp_path), world(shallow=stopped, deep=failed(2)))
    assert not ran.called("createProcessingJob")
    assert ran.recorded["failure"]["state"] == "Train" and "no row" in ran.recorded["failure"]["cause"]
    assert ran.recorded["jobs"]["Train"] == job_of(1)
    assert len(ran.recorded["candidates"]) == 2


def test_all_that_are_stopped_stop_the_run(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world(shallow="Stopped", deep="Stopped"))
    assert json.loads(ran.recorded["failure"]["cause"])["TrainingJobStatus"] == "Stopped"


def test_a_run_without_work_is_recorded_with_none_of_them(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world(plan={**PLAN, "outcome": "UpToDate"}))
    assert not ran.called("createTrainingJob")
    assert (ran.recorded["candidates"], ran.recorded["jobs"]["Train"]) == (None, "")
    assert ran.recorded["outcome"] == "UpToDate"


def test_the_folder_is_open_to_all_of_them_and_closed_before_they_are_judged(tmp_path: Path) -> None:
    ran = run(spec_with(tmp_path), world())
    calls = [name for name, _ in ran.calls if name in ("tagRole", "createTrainingJob", "createProcessingJob")]
    assert calls == ["tagRole", "createTrainingJob", "createTrainingJob", "tagRole", "tagRole", "createProcessingJob"]


def test_each_has_tensors_checkpoints_and_verdicts_of_its_own(tmp_path: Path) -> None:
    train = {"instance": "ml.m5.large", "max_runtime": "1h", "spot": {"max_wait": "2h"}}
    ran = run(spec_with(tmp_path, train=train, rules=[{"rule": "LossNotDecreasing"}]), world())
    folder = f"s3://artifacts/runs/digits-forest/{RUN_ID}/train"
    for request in ran.called("createTrainingJob"):
        name = request["Environment"]["RATCHET_CANDIDATE"]
        assert request["CheckpointConfig"]["S3Uri"] == f"{folder}/checkpoints/{name}"
        assert json.loads(request["Environment"]["RATCHET_PROBE"])["output"] == f"{folder}/tensors/{name}/"
        assert request["Environment"]["RATCHET_VERDICTS"] == f"{folder}/verdicts/{request['TrainingJobName']}.json"


def test_instances_that_are_not_to_be_had_for_now_are_asked_for_again(tmp_path: Path) -> None:
    limit = StatesError("SageMaker.ResourceLimitExceededException", "the account-level service limit is in use")
    ran = run(spec_with(tmp_path), world(deep=[limit, "Completed"]))
    assert ran.recorded["outcome"] == "Promoted"
    assert "CandidateWaits" in ran.states and len(ran.called("createTrainingJob")) == 3


def test_a_job_for_which_there_was_no_capacity_is_made_again_under_its_name(tmp_path: Path) -> None:
    none = failed(2, "CapacityError: Unable to provision requested ML compute capacity")
    scripted = world(deep=[none, "Completed"])
    scripted.answers["deleteTrainingJob"] = {}
    ran = run(spec_with(tmp_path), scripted)
    assert ran.called("deleteTrainingJob") == [{"TrainingJobName": job_of(2)}]
    assert ran.recorded["outcome"] == "Promoted" and ran.recorded["candidates"][1]["wrong"] is None


def test_without_patience_the_other_goes_on_alone(tmp_path: Path) -> None:
    limit = StatesError("SageMaker.ResourceLimitExceededException", "the account-level service limit is in use")
    train = {"instance": "ml.m5.large", "wait_for_instance": "0s"}
    ran = run(spec_with(tmp_path, train=train), world(gate="shallow", deep=limit))
    assert ran.recorded["outcome"] == "Promoted"
    assert ran.recorded["candidates"][1]["wrong"]["error"] == "SageMaker.ResourceLimitExceededException"


# ---------------------------------------------------------------------------------------------------- the definition


def test_step_functions_takes_the_definition(tmp_path: Path) -> None:
    for rules in ([], [{"rule": "LossNotDecreasing"}]):
        text = json.dumps(definition(spec_with(tmp_path, rules=rules)))
        assert problems(text, Checks(parse=jsonata.parse, resource=lambda _arn: None)) == []


def test_the_machine_may_make_their_jobs_and_no_others(tmp_path: Path) -> None:
    grants = run_machine(surroundings(spec_with(tmp_path))).grants
    jobs = {arn for grant in grants if "sagemaker:CreateTrainingJob" in grant.actions for arn in grant.resources}
    any_run = "????????-??????-????"
    assert jobs == {f"arn:aws:sagemaker:us-east-1:000000000000:training-job/local-digits-forest-{any_run}-train-?"}


def test_without_candidates_nothing_of_them_is_there(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    assert "andidates" not in json.dumps(definition(spec))
    assert spec_hash(spec) == spec_hash(make_spec(tmp_path, candidates=[])), "models that are there stay as they are"
    assert spec_hash(spec_with(tmp_path)) != spec_hash(spec_with(tmp_path, DEEP, WIDE))


# ------------------------------------------------------------------------------------------------- what is refused

METRICS = {"loss": "loss=([0-9.]+)", "size": "size=([0-9.]+)"}
WITH_METRICS = {"train": {"instance": "ml.m5.large", "metrics": METRICS}}
TUNE = {"objective": {"minimize": "loss"}, "ranges": {"depth": {"integer": [1, 9]}}, "max_jobs": 2}
ROUNDS = {"max": 2, "metric": "loss", "tolerance": 0.1, "size": "size"}

REFUSED: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
    ([DEEP], {}, "candidates: has 1 entry; write 2 to 5"),
    ([{"name": f"n{n}", "hyperparameters": {"n": n}} for n in range(6)], {}, "candidates: has 6 entries"),
    ([SHALLOW, {**DEEP, "name": "shallow"}], {}, "candidates[1].name: is 'shallow', as of candidate 1"),
    ([SHALLOW, {"name": "Deep Tree"}], {}, "candidates[1].name: is 'Deep Tree'; a candidate's name has lower-case"),
    ([SHALLOW, {"name": "d" * 33}], {}, "at most 32"),
    ([SHALLOW, {**SHALLOW, "name": "twin"}], {}, "candidates[1]: trains train.py with the same hyperparameters"),
    ([SHALLOW, {"name": "plain", "hyperparameters": {"n-estimators": 100}}, {"name": "same"}], {}, "candidates[2]"),
    ([SHALLOW, {"name": "x", "entry": "deeper.py"}], {}, "candidates[1].entry: there is no file deeper.py"),
    ([SHALLOW, {"name": "x", "entry": "deeper.py"}], {}, "did you mean deep.py?"),
    ([SHALLOW, {"name": "x", "entry": "serve.py"}], {}, "candidates[1].entry: is 'serve.py', which serves"),
    ([SHALLOW, {"name": "x", "entry": "code/x.py"}], {}, "candidates[1].entry: is 'code/x.py'; write a file"),
    ([SHALLOW, {"name": "x", "hyperparameters": {"n": [1]}}], {}, "candidates[1].hyperparameters.n: is a list"),
    ([SHALLOW, {"name": "x", "hyperparameters": {"sagemaker_x": 1}}], {}, "is a name of SageMaker's own"),
    ([SHALLOW, {"name": "x", "hyperparameter": {"n": 1}}], {}, "candidates[1].hyperparameter: unknown key"),
    ([SHALLOW, {"entry": "deep.py"}], {}, "candidates[1].name: is required; write"),
    (
        [SHALLOW, {"name": "x", "hyperparameters": {f"p{n}": n for n in range(99)}}],
        {},
        "candidates: make 103 with train.hyperparameters and SageMaker's own",
    ),
    ([SHALLOW, DEEP], {**WITH_METRICS, "tune": TUNE}, "candidates: is said, and tune too"),
    ([SHALLOW, DEEP], {**WITH_METRICS, "rounds": ROUNDS}, "candidates: is said, and rounds too"),
    ([SHALLOW, DEEP], {"views": [{"view": "losses"}]}, "views: is said, and candidates too"),
    ([SHALLOW, DEEP], {"rules_then": "evaluate"}, "rules_then: is evaluate, but of candidates one"),
    (
        [SHALLOW, DEEP],
        {"deploy": {"instance": "ml.m5.large", "compile": {"target": "onnx"}}},
        "deploy.compile: is said, and candidates too",
    ),
    (
        [SHALLOW, DEEP],
        {"train": {"instance": ["ml.m5.large", "ml.m5.xlarge"]}},
        "train.instance: is a list, and candidates are said",
    ),
    (
        [SHALLOW, DEEP],
        {
            "framework": {"name": "pytorch", "version": "2.10.0", "hosting": "2.6.0"},
            "rules_service": "sagemaker",
        },
        "rules_service: is sagemaker",
    ),
]


@pytest.mark.parametrize(("candidates", "changes", "message"), REFUSED)
def test_what_cannot_be_is_refused(
    tmp_path: Path, candidates: list[dict[str, Any]], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as error:
        spec_with(tmp_path, *candidates, **changes)
    assert message in str(error.value)


def test_on_spot_every_script_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("print('trained')\n")
    train = {"instance": "ml.m5.large", "max_runtime": "1h", "spot": {"max_wait": "2h"}}
    with pytest.raises(SpecError, match=r"train\.spot: needs a script that checkpoints, and plain\.py doesn't import"):
        spec_with(tmp_path, SHALLOW, {"name": "plain", "entry": "plain.py"}, train=train)


def test_train_py_is_not_needed_where_none_of_them_is_trained_by_it(tmp_path: Path) -> None:
    spec = spec_with(tmp_path, DEEP, {**DEEP, "name": "deeper", "hyperparameters": {"max-depth": 30}})
    assert spec.training_scripts == ["deep.py"]
