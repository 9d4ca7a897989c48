"""The example of a chain as it is shipped, deployed by the real cdk command: data arrive, labels are answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from deployed import AsShipped, Pipeline
from running_aws import ROOT
from waiting import until

from bench import car_evaluation

PIPELINES = {"car-evaluation": AsShipped(ROOT / "training_code" / "car_evaluation", {"rounds": 20})}
CONTAINERS = ["features", "booster", "labels"]
LEARNED_FROM = 1200


@pytest.fixture(scope="module")
def table() -> car_evaluation.Table:
    return car_evaluation.read(None)


@pytest.fixture(scope="module")
def champion(deployed: Callable[[str], Pipeline], table: car_evaluation.Table) -> Pipeline:
    """The pipeline, once the data that arrived have made a champion."""
    pipeline = deployed("car-evaluation")
    parts = {"test": table.rows[LEARNED_FROM:], "train": table.rows[:LEARNED_FROM]}
    for channel, rows in parts.items():
        pipeline.aws.client("s3").put_object(
            Bucket=pipeline.shared["DataBucketName"], Key=f"cars/{channel}/cars.csv", Body=table.text(rows).encode()
        )
    until(lambda: pipeline.state.get("champion"), "a champion")
    return pipeline


def test_data_that_arrive_end_as_labels_behind_three_containers(
    champion: Pipeline, table: car_evaluation.Table
) -> None:
    record = champion.record(champion.state["champion"]["run_id"])
    assert (record["outcome"], record["trigger"]["kind"]) == ("Promoted", "data")
    assert float(record["decision"]["score"]) > 0.95  # of the whole chain: features and booster alone answer no label
    assert record["verification"]["asked"] == 5 and record["verification"]["named"]
    sagemaker = champion.aws.client("sagemaker")
    model = sagemaker.describe_model(ModelName=record["deployment"]["model_name"])
    package = sagemaker.describe_model_package(ModelPackageName=record["model_package_arn"])
    for containers in (model["Containers"], package["InferenceSpecification"]["Containers"]):
        assert [each["ContainerHostname"] for each in containers] == CONTAINERS
        assert {each["ModelDataUrl"] for each in containers} == {record["candidate"]["model_data"]}
    questions, classes = table.questions()[LEARNED_FROM:], table.classes()[LEARNED_FROM:]
    answers = champion.ask("\n".join(questions)).splitlines()
    assert sum(map(str.__eq__, answers, classes)) / len(classes) == pytest.approx(float(record["decision"]["score"]))


def test_a_word_that_nobody_has_learned_from_is_refused_by_the_first_container(champion: Pipeline) -> None:
    with pytest.raises(ClientError, match="from features with message") as refused:
        champion.ask("fair,little,4,4,enormous,good")
    assert refused.value.response["OriginalStatusCode"] == 500  # type: ignore[typeddict-item]
    said = "ValueError: row 1: boot is 'enormous'; known: big, medium, small"
    logs = champion.aws.client("logs")
    group = f"/aws/sagemaker/Endpoints/{champion.own['EndpointName']}"

    def lines() -> list[str]:
        return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]

    until(lambda: any(said in line for line in lines()), "the container's own words")


def test_the_benchmark_finds_served_answers_as_offline(champion: Pipeline, table: car_evaluation.Table) -> None:
    found = car_evaluation.compared(champion.aws.client, table, small=True, say=lambda _text: None)
    assert set(found["figures"]) == {"accuracy", "folds", "identical", "rows"}
    assert found["figures"]["identical"] == 1.0
    assert found["figures"]["accuracy"] > 0.6  # of a hundred cars there isn't much to learn
    assert (found["figures"]["folds"], found["figures"]["rows"]) == (1, 120)
