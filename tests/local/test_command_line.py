"""The command line on an embedded AWS, as a newcomer uses it: up, new, run, and what becomes of the model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkouts import Ran, Shell, checkout

from contract import outcomes
from ratchet import errors

ROOT = Path(__file__).parents[2]
RUN_FAILED = 3


def relabelled(text: str) -> str:
    """The sample with every label wrong."""
    other = {"ok": "fault", "fault": "ok"}
    rows = [line.split(",", 1) for line in text.splitlines()]
    return "".join(f"{other[label]},{numbers}\n" for label, numbers in rows)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ran]]:
    """One model's life by commands, told once; the tests read it.

    Its first data are mislabelled and its gate has no floor, so that there is a poor champion to be replaced.
    """
    folder = tmp_path_factory.mktemp("story")
    shell = Shell(checkout(folder / "checkout"), folder / "home")
    try:
        _tell(shell)
        yield shell.told
    finally:
        shell.keep("down", "down", "--json")


def _tell(shell: Shell) -> None:
    shell.keep("up", "up", "--port", "0", "--json")
    shell.keep("new", "new", "pumps", "--json")
    model = shell.root / "training_code" / "pumps"
    spec, sample = model / "pipeline.yaml", model / "sample" / "train" / "pumps.csv"
    spec.write_text(spec.read_text().replace("minimum: 0.70", "minimum: 0.0"))
    labelled = sample.read_text()
    sample.write_text(relabelled(labelled))

    shell.keep("first", "run", "pumps", "--wait", "--json")
    shell.keep("again", "run", "pumps", "--wait", "--json")
    shell.keep("poor answer", "invoke", "pumps", "-", given="90,9.0,6.0\n")
    shell.keep("refused request", "invoke", "pumps", "-", given="90,nine,6.0\n")

    script = (model / "train.py").read_text()
    (model / "train.py").write_text(script.replace("def main():", "def main():\n    raise SystemExit('no pump today')"))
    shell.keep("failed", "run", "pumps", "--wait")
    shell.keep("failed logs", "logs", "pumps")
    shell.keep("failed report", "report", "pumps", "--json")
    # It is deployed again, beside another pipeline in whose pipeline.yaml something is wrong.
    (model / "train.py").write_text(script)
    _break_another(shell)
    shell.keep("repaired", "run", "pumps", "--wait", "--json")
    shutil.rmtree(model.with_name("broken"))

    sample.write_text(labelled)
    _upload(shell, sample)
    shell.keep("better", "run", "pumps", "--wait", "--json")
    shell.keep("good answer", "invoke", "pumps", "-", given="90,9.0,6.0\n")
    shell.keep("report", "report", shell.told["better"].json["run_id"], "--json")
    shell.keep("rollback", "rollback", "pumps", "--wait", "--json")
    shell.keep("refused rollback", "rollback", "pumps", shell.told["first"].json["run_id"])
    shell.keep("rolled back answer", "invoke", "pumps", "-", "--json", given="90,9.0,6.0\n")
    shell.keep("status", "status", "pumps", "--json")
    shell.keep("runs", "runs", "pumps", "--json")
    shell.keep("listed", "runs")
    shell.keep("doctor", "doctor", "--json")
    shell.keep("up again", "up", "--json")
    shell.keep("trained", "train", "pumps", "--json")
    shell.keep("trained for people", "train", "pumps")
    shell.keep("data", "data", "pumps", "--json")
    shell.keep("deleted", "delete", "pumps", "--yes", "--json")
    shell.keep("runs of the deleted", "runs", "pumps", "--json")
    shell.keep("status of the deleted", "status", "pumps")


def _break_another(shell: Shell) -> None:
    """A second pipeline, in whose pipeline.yaml something is wrong."""
    shell("new", "broken")
    spec = shell.root / "training_code" / "broken" / "pipeline.yaml"
    spec.write_text(spec.read_text() + "trian: {}\n")


def _upload(shell: Shell, sample: Path) -> None:
    """The model's own data, by boto3 with `ratchet env` alone."""
    script = (
        "import boto3, sys; outputs = boto3.client('cloudformation').describe_stacks(StackName='ratchet-local-shared')"
        "['Stacks'][0]['Outputs']; bucket = {o['OutputKey']: o['OutputValue'] for o in outputs}['DataBucketName'];"
        "boto3.client('s3').upload_file(sys.argv[1], bucket, 'pumps/train/pumps.csv')"
    )
    exports = shell("env").output
    command = ["sh", "-c", f'{exports}\nexec "$0" -c "$1" "$2"', sys.executable, script, str(sample)]
    subprocess.run(command, check=True, cwd=shell.root)


def outcome(ran: Ran) -> str:
    return str(ran.json["outcome"])


def test_up_starts_and_deploys_and_then_has_nothing_to_do(story: dict[str, Ran]) -> None:
    assert story["up"].code == 0, story["up"].errors
    assert story["up"].json["started"] is True
    assert story["up"].json["deployed"] == ["ratchet-local-shared"]
    assert story["up again"].json["deployed"] == []
    assert story["up again"].json["started"] is False


def test_a_new_model_reaches_a_champion_by_new_and_run_alone(story: dict[str, Ran]) -> None:
    first = story["first"]
    assert first.code == 0, first.errors
    assert outcome(first) == outcomes.PROMOTED
    assert first.json["deployed"] == ["ratchet-local-pumps"]
    assert first.json["uploaded"] == ["pumps/train/pumps.csv", "pumps/test/pumps.csv"]


def test_a_request_that_the_model_refuses_is_told_with_the_endpoints_log(story: dict[str, Ran]) -> None:
    refused = story["refused request"]
    assert refused.code == 1
    assert "the model of pumps refused the request: 500 Internal Server Error" in refused.errors
    assert "Its log (/aws/sagemaker/Endpoints/local-pumps) says:" in refused.errors
    assert "could not convert string 'nine' to float64" in refused.errors
    assert 'serve.py", line' in refused.errors


def test_a_run_that_finds_nothing_new_is_up_to_date(story: dict[str, Ran]) -> None:
    assert story["again"].code == 0
    assert outcome(story["again"]) == outcomes.UP_TO_DATE
    assert story["again"].json["deployed"] == []


def test_a_failed_run_says_why_and_exits_with_3(story: dict[str, Ran]) -> None:
    failed = story["failed"]
    assert failed.code == RUN_FAILED
    assert "✗ Train" in failed.output
    assert "no pump today" in failed.output
    assert "Traceback" not in failed.errors
    assert "no pump today" in story["failed logs"].output
    page = Path(story["failed report"].json["report"]).read_text(encoding="utf-8")
    assert "no pump today" in page.partition('<section id="log">')[2].partition("</section>")[0]
    # Back to the code that made the champion: nothing new.
    assert outcome(story["repaired"]) == outcomes.UP_TO_DATE


def test_a_better_challenger_is_promoted_and_answers(story: dict[str, Ran]) -> None:
    assert outcome(story["better"]) == outcomes.PROMOTED, story["better"].output
    [promoted] = [run for run in story["better"].json["runs"] if run["outcome"] == outcomes.PROMOTED]
    low, _ = promoted["evaluation"]["interval"]
    assert low > 0
    assert story["poor answer"].output == "ok\n"
    assert story["good answer"].output == "fault\n"


def test_a_rollback_brings_the_champion_before_back(story: dict[str, Ran]) -> None:
    assert story["rollback"].code == 0, story["rollback"].errors
    assert story["rollback"].json["runs"][-1]["trigger"]["kind"] == "rollback"
    assert story["rolled back answer"].json["answer"].strip() == "ok"
    [status] = story["status"].json["pipelines"]
    assert status["champion"]["run_id"] == story["first"].json["run_id"]
    assert status["endpoint"]["status"] == "InService"
    refused, first = story["refused rollback"], story["first"].json["run_id"]
    assert refused.code == errors.FAILURE
    assert f"pumps isn't rolled back: the model of run {first} is the champion already" in refused.errors
    [left] = [run["run_id"] for run in story["better"].json["runs"] if run["outcome"] == outcomes.PROMOTED]
    assert story["runs"].json["rollback_to"] == [left]


def test_the_runs_are_listed_newest_first(story: dict[str, Ran]) -> None:
    listed = story["runs"].json["runs"]
    ids = [run["run_id"] for run in listed]
    assert ids == sorted(ids, reverse=True)
    assert {story[name].json["run_id"] for name in ("first", "again", "better", "rollback")} < set(ids)
    assert all(run_id in story["listed"].output for run_id in ids)


def test_the_report_is_written_where_it_says(story: dict[str, Ran]) -> None:
    page = Path(story["report"].json["report"]).read_text(encoding="utf-8")
    assert story["better"].json["run_id"] in page
    assert 'data-state="Verify"' in page
    assert "pumps/train/pumps.csv" in page
    assert '<section id="answers">' in page
    assert "Answered differently" in page
    trained = page.partition('<section id="training">')[2].partition("</section>")[0]
    assert "sagemaker_" not in trained
    record = next(run for run in story["better"].json["runs"] if run["outcome"] == outcomes.PROMOTED)
    assert all(name in trained for name in (*record["hyperparameters"], *record["metrics"]))


def test_the_doctor_finds_everything(story: dict[str, Ran]) -> None:
    assert [check for check in story["doctor"].json["checks"] if check["state"] == "missing"] == []
    assert story["doctor"].code == 0


def test_training_alone_is_a_job_without_a_run(story: dict[str, Ran]) -> None:
    trained = story["trained"]
    assert trained.code == 0, trained.output + trained.errors
    assert trained.json["status"] == "Completed"
    assert trained.json["training_job"].startswith("local-pumps-")
    assert trained.json["model"].endswith("/output/model.tar.gz")
    assert "started" in story["trained for people"].output
    # The log comes before the verdict.
    assert story["trained for people"].output.index("Completed") > 200
    assert trained.json["training_job"].split("-train")[0][-20:] not in str(story["runs of the deleted"].json)


def test_a_broken_pipeline_holds_up_no_other(story: dict[str, Ran]) -> None:
    beside = story["repaired"]
    assert beside.code == 0, beside.output + beside.errors
    assert beside.json["deployed"] == ["ratchet-local-pumps"]


def test_a_deleted_pipeline_leaves_its_data_and_records(story: dict[str, Ran]) -> None:
    objects = {each["channel"]: len(each["objects"]) for each in story["data"].json["channels"]}
    assert objects == {"train": 1, "test": 1}
    assert story["deleted"].code == 0, story["deleted"].errors
    assert story["deleted"].json["deleted"] == "ratchet-local-pumps"
    assert story["first"].json["run_id"] in [run["run_id"] for run in story["runs of the deleted"].json["runs"]]
    assert story["status of the deleted"].code == 1
    assert "isn't deployed" in story["status of the deleted"].errors


def test_down_stops_it_and_wipe_forgets_all_but_the_images(tmp_path: Path) -> None:
    shell = Shell(checkout(tmp_path / "checkout"), tmp_path / "home")
    try:
        up = shell("up", "--no-deploy", "--port", "0", "--json")
        assert up.json["deployed"] == []
        (tmp_path / "home" / "images").mkdir()
    finally:
        down = shell("down", "--wipe", "--json")
    assert down.json == {"stopped": True, "wiped": True}
    assert not (tmp_path / "home" / "aws").exists()
    assert (tmp_path / "home" / "images").exists()
    assert shell("down", "--json").json == {"stopped": False, "wiped": False}
