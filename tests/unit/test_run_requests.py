"""The requests that a run makes, each as a whole, and what its functions are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_world import (
    CHAMPION,
    DECISION,
    ENDPOINT,
    IMAGE,
    MANIFESTS,
    MODEL_DATA,
    PLAN,
    RUN_ID,
    SHARED,
    World,
    make_spec,
    refused,
    run,
)

from infra.workflow.first_process import passing_signals_on
from infra.workflow.steps.plan import spec_hash

RUN = f"s3://artifacts/runs/digits-forest/{RUN_ID}"
TAGS = [
    {"Key": "ratchet:environment", "Value": "local"},
    {"Key": "ratchet:pipeline", "Value": "digits-forest"},
    {"Key": "ratchet:run", "Value": RUN_ID},
]


@pytest.fixture
def ran(tmp_path: Path) -> Any:
    """A run in which a challenger replaces a champion."""
    return run(make_spec(tmp_path), World(plan={**PLAN, "champion": CHAMPION}, on=CHAMPION["endpoint_config_name"]))


def only(ran: Any, name: str) -> dict[str, Any]:
    (request,) = ran.called(name)
    return dict(request)


def channel(name: str) -> dict[str, Any]:
    source = {
        "S3DataType": "ManifestFile",
        "S3Uri": MANIFESTS[name],
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"ChannelName": name, "InputMode": "File", "DataSource": {"S3DataSource": source}}


# ----------------------------------------------------------------------------------------------------------- requests


def test_the_training_job(ran: Any) -> None:
    request = only(ran, "createTrainingJob")
    request["InputDataConfig"].sort(key=lambda entry: entry["ChannelName"])
    assert request == {
        "TrainingJobName": f"local-digits-forest-{RUN_ID}-train",
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE.uri,
            "TrainingInputMode": "File",
            **passing_signals_on(),
            "MetricDefinitions": [{"Name": "f1", "Regex": "f1: ([0-9.]+)"}],
        },
        "HyperParameters": {
            "n-estimators": "100",
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "s3://artifacts/code/digits-forest/c0de/sourcedir.tar.gz",
            "sagemaker_job_name": f"local-digits-forest-{RUN_ID}-train",
        },
        "InputDataConfig": [channel("extra-1"), channel("train")],
        "OutputDataConfig": {"S3OutputPath": f"{RUN}/train", "KmsKeyId": SHARED.key_arn},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "RoleArn": "arn:aws:iam::000000000000:role/Training",
        "Environment": {
            "RATCHET_ENVIRONMENT": "local",
            "RATCHET_PIPELINE": "digits-forest",
            "RATCHET_RUN_ID": RUN_ID,
            "RATCHET_PROBE": f'{{"output":"{RUN}/train/tensors/"}}',
        },
        "Tags": TAGS,
    }


def test_without_metrics_there_is_no_list_of_them(tmp_path: Path) -> None:
    """SageMaker takes no empty one."""
    spec = make_spec(tmp_path, train={"instance": "ml.m5.large"}, input_mode="FastFile")
    request = only(run(spec, World()), "createTrainingJob")
    algorithm = {"TrainingImage": IMAGE.uri, "TrainingInputMode": "FastFile", **passing_signals_on()}
    assert request["AlgorithmSpecification"] == algorithm


def test_fast_files_come_by_their_prefix(tmp_path: Path) -> None:
    """ "Channels that use FastFile mode must use a S3DataType of S3Prefix" (developer guide)."""
    request = only(run(make_spec(tmp_path, input_mode="FastFile"), World()), "createTrainingJob")
    sources = {each["ChannelName"]: each["DataSource"]["S3DataSource"] for each in request["InputDataConfig"]}
    assert {each["InputMode"] for each in request["InputDataConfig"]} == {"FastFile"}
    assert {each["S3DataType"] for each in sources.values()} == {"S3Prefix"}
    assert sources["train"]["S3Uri"] == "s3://data/digits/train/"


def test_an_instance_that_stays_for_the_next_job(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, train={"instance": "ml.m5.large", "volume": "5GiB", "keep_warm": "1h"})
    assert only(run(spec, World()), "createTrainingJob")["ResourceConfig"] == {
        "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5, "KeepAlivePeriodInSeconds": 3600,
    }  # fmt: skip


def test_the_evaluation_job(ran: Any) -> None:
    request = only(ran, "createProcessingJob")
    entrypoint = request["AppSpecification"].pop("ContainerEntrypoint")
    kept, entrypoint = entrypoint[: entrypoint.index("python3")], entrypoint[entrypoint.index("python3") :]
    assert kept[0] == "/usr/bin/env" and set(kept[1::2]) == {"-u"}
    assert {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_SECRET_ACCESS_KEY"} <= set(kept[2::2]), "it calls no AWS"
    assert entrypoint[1] == "-c" and len(entrypoint) == 3
    assert '+"/processing/input/code/";shutil.unpack_archive(' in entrypoint[2]
    assert entrypoint[2].endswith('"toolkit/evaluate.py";runpy.run_path(p,None,"__main__")')
    assert all(len(word) <= 256 and "${" not in word for word in [*kept, *entrypoint])
    assert request == {
        "ProcessingJobName": f"local-digits-forest-{RUN_ID}-evaluate",
        "AppSpecification": {
            "ImageUri": IMAGE.uri,
            "ContainerArguments": ["--metric", "f1_macro", "--label", "0", "--confidence", "0.95"],
        },
        "ProcessingInputs": [
            given("code", "s3://artifacts/code/digits-forest/c0de/sourcedir.tar.gz"),
            given("test", MANIFESTS["test"], "ManifestFile"),
            given("challenger", MODEL_DATA),
            given("champion", CHAMPION["model_data"]),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "evaluation",
                    "S3Output": {
                        "S3Uri": f"{RUN}/evaluation",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ],
            "KmsKeyId": SHARED.key_arn,
        },
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 30}
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "RoleArn": "arn:aws:iam::000000000000:role/Processing",
        "Tags": TAGS,
    }


def given(name: str, uri: str, kind: str = "S3Prefix") -> dict[str, Any]:
    path = f"/opt/ml/processing/input/{name}"
    return {
        "InputName": name,
        "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": kind, "S3InputMode": "File"},
    }


def test_the_model_package(ran: Any) -> None:
    types = ["text/csv", "application/json", "application/x-npy"]
    assert only(ran, "createModelPackage") == {
        "ModelPackageGroupName": "local-digits-forest",
        "ModelPackageDescription": DECISION["reason"],
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE.uri, "ModelDataUrl": MODEL_DATA}],
            "SupportedContentTypes": types,
            "SupportedResponseMIMETypes": types,
        },
        "ModelApprovalStatus": "Approved",
        "ModelMetrics": {
            "ModelQuality": {
                "Statistics": {"ContentType": "application/json", "S3Uri": f"{RUN}/evaluation/evaluation.json"}
            }
        },
        "CustomerMetadataProperties": {
            "run_id": RUN_ID,
            "fingerprint": "f1",
            "metric": "f1_macro",
            "score": "0.97",
        },
        "ClientToken": RUN_ID,
    }


def test_a_long_reason_is_cut_to_what_a_description_holds(tmp_path: Path) -> None:
    world = World(answers={"gate": {"Payload": {**DECISION, "reason": "x" * 2000}}})
    described = only(run(make_spec(tmp_path), world), "createModelPackage")["ModelPackageDescription"]
    assert described == "x" * 1024


def test_model_config_and_endpoint(ran: Any) -> None:
    deployed = ran.recorded["deployment"]
    assert only(ran, "createModel") == {
        "ModelName": deployed["model_name"],
        "PrimaryContainer": {
            "Image": IMAGE.uri,
            "ModelDataUrl": MODEL_DATA,
            "Environment": {
                "SAGEMAKER_PROGRAM": "serve.py",
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                "PIP_NO_BUILD_ISOLATION": "0",
                "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                "RATCHET_MODEL_PACKAGE": ran.recorded["package"],
            },
        },
        "ExecutionRoleArn": "arn:aws:iam::000000000000:role/Hosting",
        "Tags": TAGS,
    }
    assert only(ran, "createEndpointConfig") == {
        "EndpointConfigName": deployed["endpoint_config_name"],
        "ProductionVariants": [
            {
                "VariantName": "AllTraffic",
                "ModelName": deployed["model_name"],
                "InstanceType": "ml.t2.medium",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": 1,
            }
        ],
        "Tags": TAGS,
    }
    update = {"EndpointName": ENDPOINT, "EndpointConfigName": deployed["endpoint_config_name"]}
    assert only(ran, "updateEndpoint") == update


def test_a_first_endpoint_is_made_with_its_tags(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path), World())
    config = ran.recorded["deployment"]["endpoint_config_name"]
    assert only(ran, "createEndpoint") == {
        "EndpointName": ENDPOINT,
        "EndpointConfigName": config,
        "Tags": TAGS,
    }


def test_content_that_exists_is_asked_for_by_its_name(tmp_path: Path) -> None:
    exists = refused("Cannot create already existing model", "SageMaker.AmazonSageMakerException")
    ran = run(make_spec(tmp_path), World(answers={"createModel": exists, "createEndpointConfig": exists}))
    deployed = ran.recorded["deployment"]
    assert only(ran, "describeModel") == {"ModelName": deployed["model_name"]}
    assert only(ran, "describeEndpointConfig") == {"EndpointConfigName": deployed["endpoint_config_name"]}


# ------------------------------------------------------------------------------------------------------------ payloads

READING = {"label": 0, "header": None, "format": None, "segment": None, "any_label": False}


def test_the_planner_is_told_what_a_model_is_made_from(ran: Any, tmp_path: Path) -> None:
    payload = only(ran, "planner")["Payload"]
    assert payload.pop("run")["run_id"] == RUN_ID
    assert payload == {
        "channels": {"train": "digits/train/", "test": "digits/test/", "extra-1": "digits/extra/"},
        "data_starts_runs": True,
        "held_out": {**READING, "metric": "f1_macro", "needs": "classes"},
        "code_hash": "c0de",
        "spec_hash": spec_hash(make_spec(tmp_path)),
        "image_uri": IMAGE.uri,
        "hosting_image_uri": IMAGE.uri,
        "threshold": None,
    }


def test_how_the_held_out_data_are_read_is_told_to_plan_and_to_evaluation(tmp_path: Path) -> None:
    spec = make_spec(
        tmp_path,
        evaluate={"label": "price, in €", "header": True, "format": "tsv"},
        gate={"metric": "r2", "minimum": 0.5},
    )
    ran = run(spec, World())
    reading = {**READING, "label": "price, in €", "header": True, "format": "tsv", "any_label": True}
    assert only(ran, "planner")["Payload"]["held_out"] == {**reading, "metric": "r2", "needs": "numbers"}
    arguments = only(ran, "createProcessingJob")["AppSpecification"]["ContainerArguments"]
    assert arguments[2:6] == ["--label-name=price, in €", "--header", "true", "--format"]
    assert arguments[6:] == ["tsv", "--any-label", "--confidence", "0.95"]


def test_an_own_metric_and_parts_with_floors_are_told_to_plan_evaluation_and_gate(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def share(truths, answers): ...")
    gate = {"metric": "mine.share", "minimum": 0.5, "segments": {"column": "region", "minimum": 0.4}}
    ran = run(make_spec(tmp_path, gate=gate, evaluate={"max_runtime": "20m"}), World())
    reading = {**READING, "segment": "region", "any_label": True}
    assert only(ran, "planner")["Payload"]["held_out"] == {**reading, "metric": "mine.share", "needs": "any"}
    arguments = only(ran, "createProcessingJob")["AppSpecification"]["ContainerArguments"]
    assert arguments[:4] == ["--metric", "mine.share", "--label", "0"]
    assert arguments[4:8] == ["--segment-name=region", "--any-label", "--metric-seconds", "600"]
    told = only(ran, "gate")["Payload"]["gate"]
    assert (told["segments"], told["classes"]) == ({"column": "region", "minimum": 0.4, "examples": 10}, None)


def test_several_labels_are_told_to_plan_and_evaluation(tmp_path: Path) -> None:
    gate = {"metric": "r2", "minimum": 0.5}
    ran = run(make_spec(tmp_path, gate=gate, evaluate={"label": ["price", 2, "dauer, ä"]}), World())
    assert only(ran, "planner")["Payload"]["held_out"]["label"] == ["price", 2, "dauer, ä"]
    arguments = only(ran, "createProcessingJob")["AppSpecification"]["ContainerArguments"]
    assert arguments[2:4] == ['--labels=["price", 2, "dauer, ä"]', "--any-label"]


def test_classes_with_floors_are_asked_of_the_evaluation(tmp_path: Path) -> None:
    gate = {"metric": "accuracy", "minimum": 0.5, "classes": {"recall": 0.4, "examples": 3}}
    ran = run(make_spec(tmp_path, gate=gate), World())
    assert "--classes" in only(ran, "createProcessingJob")["AppSpecification"]["ContainerArguments"]
    told = only(ran, "gate")["Payload"]["gate"]["classes"]
    assert told == {"recall": 0.4, "precision": None, "f1": None, "examples": 3}


def test_what_serve_py_reads_itself_plan_does_not_look_into(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text("from sounds import heldout_fn\n")
    assert only(run(make_spec(tmp_path), World()), "planner")["Payload"]["held_out"] is None
    (tmp_path / "serve.py").write_text("# heldout_fn isn't here\n")
    assert only(run(make_spec(tmp_path), World()), "planner")["Payload"]["held_out"]


def test_other_triggers_make_no_other_model_but_other_settings_do(tmp_path: Path) -> None:
    plain = spec_hash(make_spec(tmp_path))
    assert spec_hash(make_spec(tmp_path, triggers={"data": False, "schedule": "rate(1 day)"})) == plain
    assert spec_hash(make_spec(tmp_path, train={"instance": "ml.m5.large", "keep_warm": "10m"})) == spec_hash(
        make_spec(tmp_path, train={"instance": "ml.m5.large"})
    )
    assert spec_hash(make_spec(tmp_path, gate={"metric": "f1_macro", "minimum": 0.8})) != plain
    assert len(plain) == 64


def test_gate_and_verifier_are_told_whom_to_judge(ran: Any) -> None:
    gate = only(ran, "gate")["Payload"]
    assert gate.pop("run")["run_id"] == RUN_ID
    rule = {
        "metric": "f1_macro",
        "minimum": 0.9,
        "beat_champion_by": 0.0,
        "confidence": 0.95,
        "when_champion_cannot_answer": "keep",
        "segments": None,
        "classes": None,
        "at_threshold": None,
    }
    assert gate == {"gate": rule, "champion": CHAMPION, "supersede": False}
    assert only(ran, "verifier")["Payload"] == {
        "endpoint_name": ENDPOINT,
        "endpoint_config_name": ran.recorded["deployment"]["endpoint_config_name"],
        "model_package_arn": ran.recorded["package"],
        "evaluated_by": {"pipeline": "digits-forest", "run_id": RUN_ID},
        "threshold": None,
    }


def test_the_recorder_is_told_everything(ran: Any) -> None:
    told = dict(ran.recorded)
    assert told.pop("run")["run_id"] == RUN_ID
    assert told.pop("plan")["fingerprint"] == "f1"
    training = told.pop("training")
    assert training.pop("environment")["RATCHET_RUN_ID"] == RUN_ID
    job = {
        "TrainingJobName": f"local-digits-forest-{RUN_ID}-train",
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
    }
    assert training == {"status": "Completed", "model_data": MODEL_DATA, "description": job}
    package = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest/2"
    evaluated = {"ProcessingJobName": f"local-digits-forest-{RUN_ID}-evaluate", "ProcessingJobStatus": "Completed"}
    assert told.pop("deployment").keys() == {"model_name", "endpoint_config_name"}
    assert told == {
        "evaluation": {"status": "Completed", "description": evaluated},
        "decision": DECISION,
        "package": package,
        "candidate": {
            "run_id": RUN_ID,
            "image_uri": IMAGE.uri,
            "model_data": MODEL_DATA,
            "model_package_arn": package,
            "score": 0.97,
            "metric": "f1_macro",
            "fingerprint": "f1",
        },
        "verification": {"verified": True, "reason": "5 examples", "asked": 5},
        "repaired": None,
        "failure": None,
        "outcome": "Promoted",
        "execution_arn": f"arn:aws:states:us-east-1:000000000000:execution:machine:{RUN_ID}",
        "endpoint_name": ENDPOINT,
        "content_prefix": "local-digits-forest-",
        "jobs": {"Train": f"local-digits-forest-{RUN_ID}-train", "Evaluate": f"local-digits-forest-{RUN_ID}-evaluate"},
    }


def test_what_a_job_measured_and_why_it_failed_is_kept(tmp_path: Path) -> None:
    job = {
        "TrainingJobName": "job",
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": "MaxRuntimeExceeded",
        "FailureReason": "too slow",
        "FinalMetricDataList": [{"MetricName": "f1", "Value": 0.5, "Timestamp": 1.0}],
        "HyperParameters": {"n-estimators": "100", "sagemaker_program": "train.py"},
        "TrainingTimeInSeconds": 9,
        "ModelArtifacts": {"S3ModelArtifacts": MODEL_DATA},
    }
    training = run(make_spec(tmp_path), World(answers={"createTrainingJob": job})).recorded["training"]
    description = {name: job[name] for name in list(job)[:4]}
    assert training == {
        "status": "Stopped",
        "model_data": MODEL_DATA,
        "metrics": {"f1": 0.5},
        "hyperparameters": job["HyperParameters"],
        "seconds": 9,
        "description": description,
    }


def test_why_an_evaluation_failed_is_kept(tmp_path: Path) -> None:
    job = {
        "ProcessingJobName": "job",
        "ProcessingJobStatus": "Stopped",
        "ExitMessage": "bad label",
        "FailureReason": "AlgorithmError",
    }
    ran = run(make_spec(tmp_path), World(answers={"createProcessingJob": job}))
    assert ran.recorded["evaluation"] == {"status": "Stopped", "description": job}
    assert ran.recorded["failure"]["error"] == "JobNotCompleted"
