"""Runs of a container of one's own, in Perl: what it answers over HTTP is judged, and what it does wrong is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from deployed import Pipeline, Scripted
from image_kit import shell_layer
from own_image_kit import ACCOUNT, REGION, needs_perl, perl_layer
from registry_kit import layer, push
from waiting import until

pytestmark = needs_perl
REPOSITORY = "own/judged"
TRAIN = """#!/bin/sh
cat /opt/ml/input/data/train/orders.json > /opt/ml/model/orders.json
"""
# Answers a row `n` with n modulo 2, as often right as it is ordered, or does wrong what it is ordered to.
SERVE = r"""#!/usr/bin/perl
use strict; use warnings; use IO::Socket::INET; use POSIX ();
$| = 1; $SIG{CHLD} = 'IGNORE';
open(my $file, '<', '/opt/ml/model/orders.json') or die $!;
my $orders = <$file>;
my ($right) = $orders =~ /"accuracy": ([\d.]+)/;
my $wrong = $orders =~ /"wrong": "(\w+)"/ ? $1 : '';
my $columns = $orders =~ /"columns": (\d+)/ ? $1 : 1;
if ($wrong eq 'ends') { print "no licence was found\n"; exit 5; }
my $server = IO::Socket::INET->new(Listen => 64, LocalAddr => '0.0.0.0', LocalPort => 8080, ReuseAddr => 1) or die $!;
while (1) {
    accept(my $client, $server) or next;
    if (fork()) { close $client; next; }
    close $server; $client->autoflush(1);
    while (defined(my $line = <$client>)) {
        my ($length, $body) = (0, '');
        while ((my $header = <$client> // "\n") =~ /\S/) { $length = $1 if $header =~ /^content-length: (\d+)/i; }
        read($client, $body, $length) if $length;
        my ($status, $text) = $line =~ m{/invocations} ? answer($body) : $line =~ m{/ping} ? (200, '') : (404, '');
        print $client "HTTP/1.1 $status X\r\nContent-Length: ", length($text), "\r\n\r\n$text";
    }
    POSIX::_exit(0);
}
sub answer {
    my @rows = split /\n/, $_[0];
    return (500, 'out of luck') if $wrong eq 'fails';
    sleep 600 if $wrong eq 'hangs';
    return (400, "a row has $columns columns") if grep { (my @fields = split /,/) != $columns } @rows;
    my @answers = map { my ($n) = split /,/; $n % 100 < $right * 100 ? $n % 2 : 1 - $n % 2 } @rows;
    pop @answers if $wrong eq 'short';
    @answers = map { "$_,0.9" } @answers if $wrong eq 'columns';
    $answers[2] = 'nan' if $wrong eq 'nan';
    return (200, join('', map { "$_\n" } @answers));
}
"""
UNHEALTHY = (
    "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)
SPEC = {
    "framework": None,
    "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{REPOSITORY}:latest",
    "deploy": {"instance": "ml.m5.large"},
}
PIPELINES = {"judged-own": Scripted(SPEC)}


@pytest.fixture(scope="module")
def pipeline(deployed: Callable[[str], Pipeline]) -> Pipeline:
    found = deployed("judged-own")
    ecr = found.aws.client("ecr")
    ecr.create_repository(repositoryName=REPOSITORY)
    programs = {"usr/local/bin/train": TRAIN, "usr/local/bin/serve": SERVE}
    push(ecr, REPOSITORY, {}, shell_layer(), perl_layer(), layer(programs))
    found.order(accuracy=0.8)
    first = found.run()
    assert first["outcome"] == "Promoted", first.get("error")
    return found


def test_the_better_of_two_answers_behind_the_endpoint(pipeline: Pipeline) -> None:
    pipeline.order(accuracy=0.9)
    found = pipeline.run()
    assert found["outcome"] == "Promoted", found.get("error")
    assert (float(found["decision"]["score"]), pipeline.ask(7)) == (pytest.approx(0.9), "1")
    assert {"AskModels", "ModelsAnswer", "Evaluate"} <= set(pipeline.states(found["run_id"]))
    assert found["jobs"]["askchampion"] == f"local-judged-own-{found['run_id']}-champion"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("fails", " held_out.csv:1 to held_out.csv:200 (200 rows): its container answered 500: out of luck"),
        ("ends", f": {UNHEALTHY}; its log says: no licence was found"),
    ],
    ids=["fails", "ends"],
)
def test_a_container_that_does_not_answer(pipeline: Pipeline, wrong: str, sentence: str) -> None:
    pipeline.order(accuracy=1.0, wrong=wrong)
    found = pipeline.run()
    error, (blamed,) = found["error"], [one for one in pipeline.execution(found["run_id"]).visits if one.failed]
    assert (error["state"], error["error"], blamed.name) == ("Evaluate", "NoAnswers", "AskChallenger")
    assert error["cause"] == f"the challenger can't answer{sentence}"


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            "short",
            "the challenger gave 199 answers to 200 examples (held_out.csv:1 to held_out.csv:200); its container must",
        ),
        ("columns", "the challenger answers 2 columns (0,0.9); for text/csv its container must give one label"),
        ("nan", "the challenger's answer to held_out.csv:3 is nan; a label or a number is needed"),
    ],
    ids=["short", "columns", "nan"],
)
def test_answers_that_are_none(pipeline: Pipeline, wrong: str, sentence: str) -> None:
    pipeline.order(accuracy=1.0, wrong=wrong)
    error = pipeline.run()["error"]
    assert error["state"] == "Evaluate" and sentence in error["cause"], error


def test_a_run_that_is_stopped_leaves_neither_job_nor_model(pipeline: Pipeline) -> None:
    sagemaker, models = pipeline.aws.client("sagemaker"), pipeline.deployed()["models"]
    pipeline.order(accuracy=1.0, wrong="hangs")
    pipeline.idle()
    run_id = pipeline.trigger()["run_id"]
    jobs = [f"local-judged-own-{run_id}-{step}" for step in ("newcomer", "champion")]
    until(
        lambda: (
            set(jobs) <= {job["TransformJobName"] for job in sagemaker.list_transform_jobs()["TransformJobSummaries"]}
        )
    )
    assert len(pipeline.deployed()["models"] - models) == 2
    arn = pipeline.item(f"run#{run_id}")["execution_arn"]
    pipeline.aws.client("stepfunctions").stop_execution(executionArn=arn)
    until(lambda: sagemaker.describe_transform_job(TransformJobName=jobs[0])["TransformJobStatus"] == "Stopped")
    pipeline.order(accuracy=0.5)
    assert pipeline.run()["outcome"] == "NotBetter"
    assert pipeline.deployed()["models"] == models, "the next run clears away"


def test_a_champion_that_cannot_answer_stays(pipeline: Pipeline) -> None:
    pipeline.order(accuracy=1.0, columns=2)
    pipeline.put("test/held_out.csv", "".join(f"{row % 2},{row},0\n" for row in range(200)))
    found = pipeline.run()
    assert found["outcome"] == "NotBetter", found.get("error")
    told = found["decision"]["champion_cannot_answer"]
    assert told.startswith("the champion can't answer held_out.csv:1 to held_out.csv:200 (200 rows)"), told
    assert told.endswith("its container answered 400: a row has 1 columns")
