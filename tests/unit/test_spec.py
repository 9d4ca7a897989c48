"""pipeline.yaml: what it may say, and what it is told when it says something else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import botocore.session
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from contract import environment, held_out
from contract.files import SPEC_FILE
from ratchet import spec
from ratchet.spec import instances, metric_names, schedule, schema, units
from ratchet.spec.rules import Rule

ROOT = Path(__file__).parents[2]

WHOLE = """\
name: digits-forest
framework: {name: sklearn, version: "1.9-0"}
data:
  train: digits/train/
  test: digits/test/
triggers: {data: {quiet: 2s}, schedule: rate(7 days), code: true}
train:
  instance: ml.m5.large
  volume: 2TiB
  max_runtime: 1h30m
  hyperparameters: {n-estimators: 100, rate: 0.5, bootstrap: true, criterion: gini}
  metrics: {"validation:f1": 'f1: ([0-9.]+)'}
evaluate: {instance: ml.m5.xlarge, max_runtime: 15m, label: 3}
gate: {metric: f1_macro, minimum: 0.9, beat_champion_by: 0.01, confidence: 0.9}
deploy: {instance: ml.t2.medium, instance_count: 2, timeout: 10m}
"""

SHORT = """\
name: iris
framework: {name: sklearn, version: "1.9-0"}
data: {train: iris/train/, test: iris/test/}
train: {instance: ml.m5.large}
gate: {metric: accuracy, minimum: 0.8}
deploy: {instance: ml.t2.medium}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / SPEC_FILE
    path.write_text(text, encoding="utf-8")
    return path


def changed(**sections: Any) -> str:
    """SHORT with some top-level fields replaced (None leaves one out)."""
    document = {**yaml.safe_load(SHORT), **sections}
    return yaml.safe_dump({key: value for key, value in document.items() if value is not None}, sort_keys=False)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(spec.SpecError) as refused:
        spec.load(written(folder, text))
    return str(refused.value)


def test_units_are_gone_after_loading(tmp_path: Path) -> None:
    pipeline = spec.load(written(tmp_path, WHOLE))
    assert (pipeline.train.volume, pipeline.train.max_runtime) == (2048, 5400)
    assert (pipeline.evaluate.max_runtime, pipeline.deploy.timeout) == (900, 600)
    assert pipeline.triggers.data is not None
    assert pipeline.triggers.data.quiet == 2


def test_hyperparameters_become_the_strings_that_sagemaker_takes(tmp_path: Path) -> None:
    pipeline = spec.load(written(tmp_path, WHOLE))
    assert pipeline.train.hyperparameters == {
        "n-estimators": "100",
        "rate": "0.5",
        "bootstrap": "true",
        "criterion": "gini",
    }


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    pipeline = spec.load(written(tmp_path, SHORT))
    assert (pipeline.train.volume, pipeline.train.max_runtime, pipeline.input_mode) == (30, 3600, "File")
    assert (pipeline.gate.beat_champion_by, pipeline.gate.confidence) == (0.0, 0.95)
    assert pipeline.triggers.data is not None
    assert (pipeline.triggers.data.quiet, pipeline.triggers.schedule, pipeline.triggers.code) == (30, None, True)


@pytest.mark.parametrize(("longest", "quiet"), [(None, 300), (2, 2), (600, 300), (0, 0)])
def test_an_environment_may_shorten_the_quiet_period(tmp_path: Path, longest: int | None, quiet: int) -> None:
    triggers = spec.load(written(tmp_path, changed(triggers={"data": {"quiet": "5m"}, "code": False}))).triggers
    shortened = triggers.with_quiet_at_most(longest)
    assert shortened.data and (shortened.data.quiet, shortened.code) == (quiet, False)
    none = spec.load(written(tmp_path, changed(triggers={"data": False}))).triggers
    assert none.with_quiet_at_most(longest).data is None


@pytest.mark.parametrize(("value", "quiet"), [(True, 30), (False, None), ({"quiet": "5m"}, 300), ({}, 30)])
def test_the_data_trigger_is_a_word_or_a_quiet_period(tmp_path: Path, value: object, quiet: int | None) -> None:
    trigger = spec.load(written(tmp_path, changed(triggers={"data": value}))).triggers.data
    assert (trigger.quiet if trigger else None) == quiet


def test_the_held_out_set_is_no_training_channel(tmp_path: Path) -> None:
    text = changed(data={"train": "a/", "validation": "b/", "test": "c/"})
    assert spec.load(written(tmp_path, text)).training_channels == {"train": "a/", "validation": "b/"}


def test_a_spec_is_frozen_and_says_where_it_lies(tmp_path: Path) -> None:
    pipeline = spec.load(written(tmp_path, SHORT))
    assert pipeline.folder == tmp_path
    with pytest.raises(ValueError, match="frozen"):
        pipeline.name = "other"  # type: ignore[misc]


def test_the_dump_holds_no_path_so_that_its_hash_is_the_same_everywhere(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    dumps = [spec.load(written(folder, WHOLE)).model_dump_json() for folder in (tmp_path, other)]
    assert dumps[0] == dumps[1]
    assert str(tmp_path) not in dumps[0]


def test_a_later_reader_can_refuse_a_field_on_its_line(tmp_path: Path) -> None:
    pipeline = spec.load(written(tmp_path, WHOLE))
    error = pipeline.error("framework.version", "there is no image of 1.9-0")
    assert str(error) == f"{tmp_path / 'pipeline.yaml'}:2: framework.version: there is no image of 1.9-0"


TRAIN = {"instance": "ml.m5.large"}
GATE = {"metric": "accuracy", "minimum": 0.8}
DEPLOY = {"instance": "ml.t2.medium"}
MANAGED = {
    "framework": {"name": "pytorch", "version": "2.6.0"},
    "rules_service": "sagemaker",
    "rules": [{"rule": "LossNotDecreasing"}],
}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"trian": {}}, "trian: unknown key; did you mean train?"),
    "unknown key in a section": (
        {"train": {**TRAIN, "volum": "1GiB"}},
        "train.volum: unknown key; did you mean volume?",
    ),
    "unknown key in a trigger": (
        {"triggers": {"data": {"quite": "1s"}}},
        "triggers.data.quite: unknown key; did you mean quiet?",
    ),
    "key far from any": ({"gate": {**GATE, "zzz": 1}}, "gate.zzz: unknown key; known: metric, minimum"),
    "missing section": ({"deploy": None}, "deploy: is required; write deploy: {instance: ml.t2.medium}"),
    "missing field": ({"gate": {"metric": "r2"}}, "gate.minimum: is required; write minimum: 0.9"),
    "name with capitals": ({"name": "Digits_Forest"}, "name: is 'Digits_Forest'; use lower-case letters"),
    "name, what would be right": ({"name": "Digits_Forest"}, "as digits-forest"),
    "name too long": ({"name": "a" * 33}, "name: has 33 characters; at most 32, so that <environment>-<name>-<hash>"),
    "name of the shared stack": (
        {"name": "shared"},
        "name: is 'shared', the name of the stack that all pipelines share",
    ),
    "name that is a number": ({"name": 7}, "name: is 7; it must be a text"),
    "unknown framework": (
        {"framework": {"name": "sklern", "version": "1"}},
        "framework.name: is 'sklern'; it must be 'sklearn', 'xgboost', 'pytorch' or 'tensorflow'; did you mean",
    ),
    "framework without a serving container for scripts": (
        {"framework": {"name": "tensorflow", "version": "2.19"}},
        "framework.hosting: is required, and TensorFlow's serving container runs no serve.py: name a framework whose "
        'container reads what train.py saves, as hosting: {name: pytorch, version: "2.6.0"} for Keras 3',
    ),
    "version as a number": (
        {"framework": {"name": "pytorch", "version": 2.1}},
        'framework.version: is the number 2.1; quote it, as "2.1"',
    ),
    "version that is none": (
        {"framework": {"name": "pytorch", "version": "latest"}},
        "framework.version: is 'latest'; write the framework image's version",
    ),
    "hosting of a pickle by another version": (
        {"framework": {"name": "sklearn", "version": "1.9-0", "hosting": "1.4-2"}},
        "framework.hosting: is '1.4-2', but a model of sklearn is a pickle, which another version may not read",
    ),
    "no image at all": ({"framework": None}, "framework: is required (or image, or dockerfile)"),
    "two images": ({"image": "repo/x:1"}, "image: is given, and framework too; exactly one of them"),
    "image with spaces": ({"framework": None, "image": "my image"}, "image: is 'my image'; write a registry path"),
    "dockerfile outside": (
        {"framework": None, "dockerfile": "../Dockerfile"},
        "dockerfile: is '../Dockerfile'; write a path inside the model's folder",
    ),
    "dockerfile that isn't there": ({"framework": None, "dockerfile": "Dockerfile"}, "there is no file Dockerfile in"),
    "no training channel": ({"data": {"test": "t/"}}, "data.train: is required; write train: <prefix>/"),
    "no held-out channel": ({"data": {"train": "t/"}}, "data.test: is required, the held-out set that only evaluation"),
    "held-out inside training": (
        {"data": {"train": "d/", "test": "d/test/"}},
        "data.test: is 'd/test/', inside data.train ('d/'); give each channel a prefix of its own",
    ),
    "same prefix twice": ({"data": {"train": "d/", "test": "d/"}}, "data.train: is 'd/', inside data.test"),
    "prefix as a URI": (
        {"data": {"train": "s3://b/d/", "test": "t/"}},
        "data.train: is 's3://b/d/'; write only the prefix in the data bucket",
    ),
    "prefix without a slash": ({"data": {"train": "d", "test": "t/"}}, "data.train: is 'd'; end it with /, as d/"),
    "prefix with dots": ({"data": {"train": "a/../b/", "test": "t/"}}, "write a prefix without a leading /, // or .."),
    "prefix with odd characters": ({"data": {"train": "a b/", "test": "t/"}}, "S3's safe characters"),
    "channel name": ({"data": {"train": "a/", "test": "t/", "my channel": "c/"}}, "is the channel 'my channel'"),
    "too many channels": (
        {"data": {"train": "a/", "test": "t/", **{f"c{n}": f"c{n}/" for n in range(20)}}},
        "data: gives training 21 channels; SageMaker takes at most 20",
    ),
    "pipe mode": ({"input_mode": "Pipe"}, "input_mode: is 'Pipe'; it must be 'File' or 'FastFile'"),
    "instance without ml": (
        {"train": {"instance": "m5.large"}},
        "train.instance: is 'm5.large', which is no SageMaker instance type; did you mean ml.m5.large?",
    ),
    "instance that is none": (
        {"deploy": {"instance": "big"}},
        "deploy.instance: is 'big', which is no SageMaker instance",
    ),
    "volume without a unit": ({"train": {**TRAIN, "volume": 30}}, "train.volume: has no unit: write 30GiB"),
    "volume in GB": (
        {"train": {**TRAIN, "volume": "30GB"}},
        "train.volume: has the unit 'GB'; SageMaker's volumes are in",
    ),
    "volume too large": (
        {"train": {**TRAIN, "volume": "17TiB"}},
        "train.volume: is 17TiB; a training volume takes 1GiB to",
    ),
    "runtime without a unit": ({"train": {**TRAIN, "max_runtime": 60}}, "train.max_runtime: has no unit: write 60s"),
    "runtime in a wrong unit": ({"train": {**TRAIN, "max_runtime": "1 hour"}}, "is not a duration: '1 hour'"),
    "runtime too long": ({"train": {**TRAIN, "max_runtime": "29d"}}, "is 29d; a training job takes 1s to 28d"),
    "evaluation too long": ({"evaluate": {"max_runtime": "8d"}}, "is 8d; a processing job takes 1s to 7d"),
    "quiet too long": (
        {"triggers": {"data": {"quiet": "2h"}}},
        "triggers.data.quiet: is 2h; a quiet period takes 0s to 1h",
    ),
    "hyperparameter list": (
        {"train": {**TRAIN, "hyperparameters": {"layers": [1, 2]}}},
        "train.hyperparameters.layers: is a list; a hyperparameter is one text, number or boolean",
    ),
    "hyperparameters, too many": (
        {"train": {**TRAIN, "hyperparameters": {f"h{n}": n for n in range(101)}}},
        "train.hyperparameters: has 101 entries; SageMaker takes at most 100",
    ),
    "hyperparameter, long name": (
        {"train": {**TRAIN, "hyperparameters": {"h" * 257: 1}}},
        "has a name of 257 characters; it takes 1 to 256",
    ),
    "hyperparameter, long value": (
        {"train": {**TRAIN, "hyperparameters": {"h": "x" * 2501}}},
        "train.hyperparameters.h: has 2501 characters; at most 2500",
    ),
    "hyperparameter of SageMaker's": (
        {"train": {**TRAIN, "hyperparameters": {"sagemaker_program": "x.py"}}},
        "train.hyperparameters.sagemaker_program: is a name of SageMaker's own",
    ),
    "hyperparameter that is no number": (
        {"train": {**TRAIN, "hyperparameters": {"rate": float("nan")}}},
        "train.hyperparameters.rate: is nan; a hyperparameter's number is finite",
    ),
    "metrics, too many": (
        {"train": {**TRAIN, "metrics": {f"m{n}": "(x)" for n in range(41)}}},
        "train.metrics: has 41 entries; SageMaker takes at most 40",
    ),
    "metric without a group": (
        {"train": {**TRAIN, "metrics": {"loss": "loss: .*"}}},
        "train.metrics.loss: has no group",
    ),
    "metric, broken": (
        {"train": {**TRAIN, "metrics": {"loss": "loss: ("}}},
        "train.metrics.loss: is no regular expression",
    ),
    "metric, long": ({"train": {**TRAIN, "metrics": {"loss": f"({'x' * 500})"}}}, "has 502 characters; at most 500"),
    "schedule": ({"triggers": {"schedule": "daily"}}, "triggers.schedule: is 'daily'; write rate(7 days) or cron("),
    "schedule, plural": ({"triggers": {"schedule": "rate(1 days)"}}, "EventBridge wants rate(1 day)"),
    "schedule, unix cron": ({"triggers": {"schedule": "cron(0 3 * * *)"}}, "which has 5 fields; cron needs 6: minutes"),
    "gate by probabilities": (
        {"gate": {**GATE, "metric": "roc_auc_ovo"}},
        "gate.metric: is 'roc_auc_ovo', which is no metric of the gate; of probabilities there are roc_auc, ",
    ),
    "gate by a loss": ({"gate": {**GATE, "metric": "mean_squared_error"}}, "write neg_mean_squared_error (greater is"),
    "gate by an unknown metric": (
        {"gate": {**GATE, "metric": "acuracy"}},
        "no metric of the gate; did you mean accuracy?",
    ),
    "floor out of reach": (
        {"gate": {**GATE, "minimum": 90}},
        "gate.minimum: is 90, but accuracy is at most 1; no model",
    ),
    "floor of a negated loss": (
        {"gate": {"metric": "neg_mean_squared_error", "minimum": 3}},
        "gate.minimum: is 3, but neg_mean_squared_error is at most 0 (scikit-learn negates it",
    ),
    "floor as a text": ({"gate": {**GATE, "minimum": "0.9"}}, "gate.minimum: is '0.9'; it must be a number"),
    "floor that is no number": (
        {"gate": {**GATE, "minimum": float("nan")}},
        "gate.minimum: is nan; it must be a finite",
    ),
    "margin that every model keeps": (
        {"gate": {**GATE, "beat_champion_by": -1}},
        "gate.beat_champion_by: is -1, but two models' accuracy differ by at most 1; every model would pass. It is in "
        "the metric's unit: write -0.01 for -1 %",
    ),
    "margin that no model keeps": (
        {"gate": {**GATE, "beat_champion_by": 2}},
        "is 2, but two models' accuracy differ by at most 1; no model would pass. It is in the "
        "metric's unit: write 0.02 for 2 %",
    ),
    "margin of a correlation": (
        {"gate": {**GATE, "metric": "matthews_corrcoef", "beat_champion_by": 2}},
        "two models' matthews_corrcoef differ by at most 2",
    ),
    "a champion that can't answer": (
        {"gate": {**GATE, "when_champion_cannot_answer": "promote"}},
        "gate.when_champion_cannot_answer: is 'promote'; it must be 'keep' or 'floor'",
    ),
    "confidence of 1": ({"gate": {**GATE, "confidence": 1}}, "gate.confidence: is 1; it must be less than 1"),
    "confidence of 0": ({"gate": {**GATE, "confidence": 0.0}}, "gate.confidence: is 0.0; it must be greater than 0"),
    "a word for a boolean": ({"triggers": {"code": "yes"}}, "triggers.code: is 'yes'; it must be true or false"),
    "label column": ({"evaluate": {"label": -1}}, "evaluate.label: is -1; it must be at least 0"),
    "label as a boolean": (
        {"evaluate": {"label": True}},
        "evaluate.label: is True; write a column's name, in quotes, or",
    ),
    "label as a fraction": (
        {"evaluate": {"label": 1.5}},
        "evaluate.label: is 1.5; write a column's name, in quotes, or",
    ),
    "label without a name": ({"evaluate": {"label": " "}}, "evaluate.label: is ' '; a column's name has 1 to 200"),
    "label of another language": (
        {"evaluate": {"label": "${x}"}},
        "evaluate.label: is '${x}'; neither CloudFormation nor",
    ),
    "a hyperparameter in the language of the state machine": (
        {"train": {**TRAIN, "hyperparameters": {"depth": "{% $run.run_id %}"}}},
        "train.hyperparameters.depth: is '{% $run.run_id %}'; neither CloudFormation nor Step Functions would leave it",
    ),
    "a hyperparameter in the language of the template": (
        {"train": {**TRAIN, "hyperparameters": {"role": "a ${training_role_arn}"}}},
        "train.hyperparameters.role: is 'a ${training_role_arn}'; neither CloudFormation nor Step Functions would",
    ),
    "a hyperparameter's name in the language of the template": (
        {"train": {**TRAIN, "hyperparameters": {"${run_table}": 1}}},
        "train.hyperparameters.${run_table}: is '${run_table}'; neither CloudFormation nor",
    ),
    "a metric in the language of the template": (
        {"train": {**TRAIN, "metrics": {"loss": "${key_arn}(.*)"}}},
        "train.metrics.loss: is '${key_arn}(.*)'; neither CloudFormation nor",
    ),
    "label by a name without a header": (
        {"evaluate": {"label": "price", "header": False}},
        "evaluate.label: is 'price', a name, but header is false; write the column's position",
    ),
    "label of images": (
        {"evaluate": {"label": "class", "format": "images"}},
        "evaluate.label: is 'class', but an image's label is its folder's name; leave it out",
    ),
    "header of what has none": (
        {"evaluate": {"header": True, "format": "jsonlines"}},
        "evaluate.header: is said, but format is jsonlines, which has none; leave it out",
    ),
    "header as a word": ({"evaluate": {"header": "first"}}, "evaluate.header: is 'first'; it must be true or false"),
    "format": ({"evaluate": {"format": "xlsx"}}, "evaluate.format: is 'xlsx'; it must be 'csv', 'tsv', 'jsonlines',"),
    "several labels of classes": (
        {"evaluate": {"label": ["a", "b"]}},
        "evaluate.label: has 2 columns (a, b), but accuracy judges one label an example; name one, or",
    ),
    "several labels of probabilities": (
        {"evaluate": {"label": [0, 1]}, "gate": {"metric": "roc_auc", "minimum": 0.8}},
        "evaluate.label: has 2 columns (0, 1), but roc_auc judges one label an example",
    ),
    "several labels of a metric of one": (
        {"evaluate": {"label": ["a", 2]}, "gate": {"metric": "neg_max_error", "minimum": -3}},
        "evaluate.label: has 2 columns (a, 2), but neg_max_error judges one number an example; name",
    ),
    "several labels that are one": (
        {"evaluate": {"label": ["a"]}},
        "evaluate.label: is ['a']; write one column, or a list of different ones",
    ),
    "several labels of one name": (
        {"evaluate": {"label": ["a", "a"]}},
        "evaluate.label: is ['a', 'a']; write one column, or a list of different ones",
    ),
    "several labels, one of them none": (
        {"evaluate": {"label": ["a", 1.5]}},
        "evaluate.label: is 1.5; write a column's name, in quotes, or its position from 0",
    ),
    "several labels without end": (
        {"evaluate": {"label": [f"column {number}" for number in range(20)]}},
        "evaluate.label: has 20 columns, whose names are too long; together at most 200 letters",
    ),
    "several labels of npz": (
        {"evaluate": {"label": ["a", "b"], "format": "npz"}, "gate": {"metric": "r2", "minimum": 0.5}},
        "evaluate.label: is a list, but one array of npz holds all outputs; write its name",
    ),
    "several labels by names without a header": (
        {"evaluate": {"label": [0, "b"], "header": False}, "gate": {"metric": "r2", "minimum": 0.5}},
        "evaluate.label: is 'b', a name, but header is false; write the column's position",
    ),
    "segments by one of several labels": (
        {
            "evaluate": {"label": ["a", "b"]},
            "gate": {"metric": "r2", "minimum": 0.5, "segments": {"column": "b", "minimum": 0.1}},
        },
        "gate.segments.column: is 'b', the label; for a floor of each class write",
    ),
    "own metric without a module": (
        {"gate": {**GATE, "metric": ".map50"}},
        "gate.metric: is '.map50'; write a function of the model's folder as my_metrics.map50",
    ),
    "own metric of a long name": (
        {"gate": {**GATE, "metric": f"m.{'x' * 250}"}},
        "…, of 252 letters; at most 200",
    ),
    "own metric that isn't there": (
        {"gate": {**GATE, "metric": "my_metrics.map50"}},
        "gate.metric: is 'my_metrics.map50', but there is no my_metrics.py in",
    ),
    "own metric of Python's": (
        {"gate": {**GATE, "metric": "statistics.mean"}},
        "gate.metric: is 'statistics.mean', but statistics is a module of Python's own; give yours another name",
    ),
    "segments without a column": (
        {"gate": {**GATE, "segments": {"minimum": 0.8}}},
        "gate.segments.column: is required; write column: region",
    ),
    "segments without a floor": (
        {"gate": {**GATE, "segments": {"column": "region"}}},
        "gate.segments.minimum: is required; write minimum: 0.8",
    ),
    "segments of a floor out of reach": (
        {"gate": {**GATE, "segments": {"column": "region", "minimum": 80}}},
        "gate.segments.minimum: is 80, but accuracy is at most 1; no model would pass",
    ),
    "segments of no example": (
        {"gate": {**GATE, "segments": {"column": "region", "minimum": 0.8, "examples": 0}}},
        "gate.segments.examples: is 0; it must be at least 1",
    ),
    "segments of an odd column": (
        {"gate": {**GATE, "segments": {"column": 1.5, "minimum": 0.8}}},
        "gate.segments.column: is 1.5; write a column's name, in quotes, or its position from 0",
    ),
    "segments by the label": (
        {"gate": {**GATE, "segments": {"column": 0, "minimum": 0.8}}},
        "gate.segments.column: is 0, the label; for a floor of each class write gate.classes: {recall: 0.8}",
    ),
    "segments of images": (
        {"gate": {**GATE, "segments": {"column": "camera", "minimum": 0.8}}, "evaluate": {"format": "images"}},
        "gate.segments.column: is 'camera', but held-out files of images have no columns; leave segments out",
    ),
    "segments by a name without a header": (
        {"gate": {**GATE, "segments": {"column": "region", "minimum": 0.8}}, "evaluate": {"header": False}},
        "gate.segments.column: is 'region', a name, but evaluate.header is false; write the column's position",
    ),
    "classes without a floor": (
        {"gate": {**GATE, "classes": {}}},
        "gate.classes: has no floor; write recall: 0.8, precision or f1, or leave it out",
    ),
    "classes of a floor out of reach": (
        {"gate": {**GATE, "classes": {"recall": 80}}},
        "gate.classes.recall: is 80; it must be at most 1",
    ),
    "classes of numbers": (
        {"gate": {"metric": "r2", "minimum": 0.5, "classes": {"recall": 0.8}}},
        "gate.classes: is said, but r2 judges numbers, which have no classes; leave it out",
    ),
    "classes of an own metric": (
        {"gate": {**GATE, "metric": "my_metrics.map50", "classes": {"recall": 0.8}}},
        "gate.classes: is said, but the answers that my_metrics.map50 judges may be no classes; let it judge each",
    ),
    "empty section": ({"train": []}, "train: is []; it must be a mapping of names to values"),
    "unknown rule": (
        {"rules": [{"rule": "LossNotDecreesing"}]},
        "rules[0].rule: is 'LossNotDecreesing', which is no rule; did you mean LossNotDecreasing?",
    ),
    "unknown parameter of a rule": (
        {"rules": [{"rule": "LossNotDecreasing", "parameters": {"steps": 3}}]},
        "rules[0].parameters.steps: is no parameter of LossNotDecreasing",
    ),
    "wrong parameter of a rule": (
        {"rules": [{"rule": "LossNotDecreasing", "parameters": {"num_steps": "ten"}}]},
        "rules[0].parameters.num_steps: is 'ten'; it must be a whole number",
    ),
    "parameter of a rule out of bounds": (
        {"rules": [{"rule": "AccuracyDrop", "parameters": {"threshold": 3}}]},
        "rules[0].parameters.threshold: is 3; it must be at most 1",
    ),
    "a rule that isn't told what to inspect": (
        {"rules": [{"rule": "AllZero"}]},
        "rules[0].parameters: lacks collection_names or tensor_regex, to say what AllZero inspects",
    ),
    "unknown action": (
        {"rules": [{"rule": "Overfit", "action": "halt"}]},
        "rules[0].action: is 'halt'; it must be 'stop', 'notify' or 'record'",
    ),
    "two rules of one name": (
        {"rules": [{"rule": "Overfit"}, {"rule": "Overfit", "parameters": {"patience": 2}}]},
        "rules[1]: is the second called 'Overfit'; give it a name of its own",
    ),
    "too many rules": (
        {"rules": [{"rule": "Overfit", "name": f"overfit-{number}"} for number in range(21)]},
        "rules: has 21 entries; a training job takes at most 20",
    ),
    "a rule's module that isn't there": (
        {"rules": [{"rule": "my_rules.Mine"}]},
        "rules[0].rule: is 'my_rules.Mine', but there is no my_rules.py in",
    ),
    "a collection's broken regex": (
        {"probe": {"collections": {"mine": {"include": ["("]}}}},
        "probe.collections.mine.include[0]: is no regular expression",
    ),
    "a collection without a step": (
        {"probe": {"collections": {"mine": {"include": ["x"], "start": 5, "end": 5}}}},
        "probe.collections.mine.end: is 5, not after start (5)",
    ),
    "the managed service without rules": (
        {"rules_service": "sagemaker"},
        "rules_service: is sagemaker, but there are no rules, which it would evaluate",
    ),
    "the managed service's frameworks": (
        {"rules_service": "sagemaker", "rules": [{"rule": "LossNotDecreasing"}]},
        "framework.name: is sklearn, for which SageMaker Debugger saves no tensors; write rules_service: open",
    ),
    "the managed service's versions": (
        {**MANAGED, "framework": {"name": "xgboost", "version": "3.2-0"}},
        "framework.version: is 3.2-0, whose image has no hook of SageMaker Debugger's; those of 1.0-1, 1.2-1, 1.3-1",
    ),
    "a rule that only the open service has": (
        {**MANAGED, "rules": [{"rule": "AccuracyDrop"}]},
        "rules[0].rule: is AccuracyDrop, a rule of Ratchet's own, which SageMaker Debugger hasn't; write rules_service",
    ),
    "a class for the managed service": (
        {**MANAGED, "rules": [{"rule": "my_rules.Mine"}]},
        "rules[0].rule: is my_rules.Mine, a class for the open rules, which SageMaker Debugger can't run",
    ),
    "a managed rule that isn't XGBoost's": (
        {**MANAGED, "framework": {"name": "xgboost", "version": "1.3-1"}, "rules": [{"rule": "DeadRelu"}]},
        "rules[0].rule: is DeadRelu, which SageMaker Debugger doesn't have for XGBoost",
    ),
    "a managed rule that is XGBoost's alone": (
        {**MANAGED, "rules": [{"rule": "TreeDepth"}]},
        "rules[0].rule: is TreeDepth, which SageMaker Debugger has for XGBoost alone",
    ),
    "a parameter that only the open rule has": (
        {**MANAGED, "rules": [{"rule": "LossNotDecreasing", "parameters": {"smoothing": 3}}]},
        "rules[0].parameters.smoothing: is a parameter of the open rule alone; leave smoothing out",
    ),
    "a parameter too long for the managed service": (
        {**MANAGED, "rules": [{"rule": "AllZero", "parameters": {"tensor_regex": ["a" * 200, "b" * 100]}}]},
        "rules[0].parameters.tensor_regex: has 301 characters; at most 256",
    ),
    "a comma in a parameter for the managed service": (
        {**MANAGED, "rules": [{"rule": "AllZero", "parameters": {"tensor_regex": ["fc", "a{1,2}"]}}]},
        "rules[0].parameters.tensor_regex: holds a comma in one of ['fc', 'a{1,2}']; SageMaker Debugger takes a comma",
    ),
    "a collection that the managed service hasn't": (
        {**MANAGED, "probe": {"collections": {"outputs": {}}}},
        "probe.collections.outputs: is outputs, a collection that SageMaker Debugger hasn't; say with include",
    ),
    "a collection of one's own that says nothing": (
        {**MANAGED, "probe": {"collections": {"mine": {"interval": 5}}}},
        "probe.collections.mine: is mine, a collection of your own; say with include which tensors it holds",
    ),
    "modes for the managed service": (
        {**MANAGED, "probe": {"collections": {"losses": {"modes": ["eval"]}}}},
        "probe.collections.losses.modes: can't be told to SageMaker Debugger; leave modes out",
    ),
    "a comma for the managed service": (
        {**MANAGED, "probe": {"collections": {"mine": {"include": ["a{1,2}"]}}}},
        "probe.collections.mine.include: holds 'a{1,2}'; SageMaker Debugger takes a comma for the end of an expression",
    ),
    "a reduction that the managed service can't": (
        {**MANAGED, "probe": {"collections": {"weights": {"reductions": ["zeros"]}}}},
        "probe.collections.weights.reductions: holds zeros, which SageMaker Debugger can't compute",
    ),
    "too many collections for the managed service": (
        {**MANAGED, "probe": {"collections": {f"c{number}": {"include": ["x"]} for number in range(20)}}},
        "probe.collections: come to 21 with those of the rules; it takes 20",
    ),
    "spot without a script": (
        {"train": {**TRAIN, "spot": {"max_wait": "2h"}}},
        "train.spot: needs a script that checkpoints, but there is no train.py in",
    ),
    "spot that is given up before its time": (
        {"train": {**TRAIN, "max_runtime": "3h", "spot": {"max_wait": "2h"}}},
        "train.spot.max_wait: is 2h, less than max_runtime (3h)",
    ),
    "spot without max_wait": ({"train": {**TRAIN, "spot": {}}}, "train.spot.max_wait: is required"),
    "kept warm on spot": (
        {"train": {**TRAIN, "keep_warm": "10m", "spot": {"max_wait": "2h"}}},
        "train.keep_warm: is 10m, but SageMaker keeps no spot instances warm: leave this or spot out",
    ),
    "kept warm for too long": ({"train": {**TRAIN, "keep_warm": "2h"}}, "train.keep_warm: is 2h; a warm pool takes 1s"),
    "kept warm for no time": ({"train": {**TRAIN, "keep_warm": "0s"}}, "train.keep_warm: is 0s; a warm pool takes 1s"),
    "kept warm without a unit": ({"train": {**TRAIN, "keep_warm": 600}}, "train.keep_warm: "),
    "spot as a word": ({"train": {**TRAIN, "spot": True}}, "train.spot: is True; it must be a mapping"),
    "spot's unit": ({"train": {**TRAIN, "spot": {"max_wait": 7200}}}, "train.spot.max_wait: "),
    "spot's misspelt key": (
        {"train": {**TRAIN, "spot": {"max_wiat": "2h"}}},
        "train.spot.max_wiat",
    ),
    "approval by nobody": (
        {"approval": "maybe"},
        "approval: is 'maybe'; there are automatic, manual and {manual",
    ),
    "approval as yes": ({"approval": True}, "approval: is True; there are automatic, manual and {manual"),
    "approval that only expires": ({"approval": {"expires": "7d"}}, "approval: has no manual: true"),
    "approval not manual": ({"approval": {"manual": False, "expires": "7d"}}, "approval: has no manual: true"),
    "approval without a unit": ({"approval": {"manual": True, "expires": 7}}, "approval.expires: has no unit"),
    "approval for no time": ({"approval": {"manual": True, "expires": "0s"}}, "approval.expires: is 0s"),
    "approval for too long": ({"approval": {"manual": True, "expires": "91d"}}, "approval.expires: is 91d"),
    "approval misspelt": ({"approval": {"manual": True, "expire": "7d"}}, "approval.expire"),
    "not yet: drift": ({"triggers": {"drift": True}}, "triggers.drift: the drift trigger is not supported yet"),
}


# What of a spec stands in policies' resources, in conditions and in events' patterns.
IN_POLICIES: dict[str, Any] = {
    "data.train": lambda text: {"data": {"train": f"{text}/", "test": "t/"}},
    "data.test": lambda text: {"data": {"train": "a/", "test": f"t/{text}/"}},
    "data.extra": lambda text: {"data": {"train": "a/", "test": "t/", "extra": f"{text}t/u/"}},
    "name": lambda text: {"name": f"iris{text}"},
    "data": lambda text: {"data": {"train": "a/", "test": "t/", f"x{text}": "x/"}},
    "image": lambda text: {"framework": None, "image": f"123456789012.dkr.ecr.us-east-1.amazonaws.com/a{text}/b:1"},
}


@pytest.mark.fidelity(
    "IAM",
    "* and ? in a policy's resource stand for any characters, ${ begins a variable; a spec brings none of them there.",
    "IAM User Guide, IAM JSON policy elements: Resource; IAM policy elements: Variables and tags",
)
@pytest.mark.parametrize("text", ["*", "?", "${aws:username}", "${*}", "$"])
@pytest.mark.parametrize("field", IN_POLICIES)
def test_nothing_that_iam_reads_as_a_pattern_gets_from_a_spec_into_a_policy(
    tmp_path: Path, field: str, text: str
) -> None:
    with pytest.raises(spec.SpecError) as refused:
        spec.load(written(tmp_path, changed(**IN_POLICIES[field](text))))
    assert re.match(rf"\S*pipeline.yaml:\d+: {field}", str(refused.value))


def test_a_prefix_with_a_wildcard_is_refused_at_its_line(tmp_path: Path) -> None:
    text = SHORT.replace("data: {train: iris/train/, test: iris/test/}", "data:\n  train: iris/train/\n  test: '*/'")
    with pytest.raises(spec.SpecError) as refused:
        spec.load(written(tmp_path, text))
    assert str(refused.value) == (
        f"{tmp_path}/pipeline.yaml:5: data.test: is '*/', with *: IAM reads that as a pattern, which would open other "
        "folders to the pipeline; write the one folder, as digits/train/"
    )


@pytest.mark.parametrize(("sections", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_words(tmp_path: Path, sections: dict[str, Any], message: str) -> None:
    assert message in refusal(tmp_path, changed(**sections))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: is empty; a pipeline is a mapping"),
        ("- a\n- b\n", ":1: holds a list; a pipeline is a mapping"),
        ("name: a\nname: b\n", ":2: name: is given twice (first on line 1); keep one"),
        (SHORT.replace("minimum: 0.8", "metric: r2"), ":5: gate.metric: is given twice"),
        ("name: [\n", "isn't YAML: while parsing a flow"),
        ("name: a\n\tdata: b\n", ":2: isn't YAML"),
        ("name: !!python/object:os.system {}\n", "isn't YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, text)


SPOT = {"train": {"instance": "ml.m5.large", "spot": {"max_wait": "2h"}}}


@pytest.mark.parametrize(
    "script",
    [
        "from toolkit.checkpoint import Checkpoints",
        "import toolkit.checkpoint",
        "def main():\n    from toolkit import checkpoint",
        "import own_loop",
        "from package.loop import run",
    ],
)
def test_spot_is_for_scripts_that_checkpoint(tmp_path: Path, script: str) -> None:
    (tmp_path / "train.py").write_text(script)
    (tmp_path / "own_loop.py").write_text("import train, os\nfrom toolkit.checkpoint.loop import Checkpoints")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "loop.py").write_text("import toolkit.checkpoint as c")
    train = spec.load(written(tmp_path, changed(**SPOT))).train
    assert train.spot is not None
    assert train.spot.max_wait == 7200


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("import torch", "train.py doesn't import toolkit.checkpoint: an interruption would train all anew"),
        ("# from toolkit.checkpoint import Checkpoints", "doesn't import toolkit.checkpoint"),
        ("from toolkit.serving import save_serving_code", "doesn't import toolkit.checkpoint"),
        ("from .toolkit.checkpoint import x", "doesn't import toolkit.checkpoint"),
        ("import (", "train.py can't be read: "),
        ("\0", "train.py can't be read: "),
    ],
)
def test_spot_is_refused_for_others(tmp_path: Path, script: str, message: str) -> None:
    (tmp_path / "train.py").write_text(script)
    refused = refusal(tmp_path, changed(**SPOT))
    assert "train.spot: needs a script that checkpoints, " in refused
    assert message in refused


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(spec.SpecError, match=r"pipeline\.yaml:1: can't be read: No such file"):
        spec.load(tmp_path / "pipeline.yaml")
    (tmp_path / "pipeline.yaml").write_bytes(b"name: a\n\xff")
    with pytest.raises(spec.SpecError, match=r"pipeline\.yaml:2: isn't UTF-8"):
        spec.load(tmp_path / "pipeline.yaml")


def test_all_problems_come_at_once_each_on_its_line(tmp_path: Path) -> None:
    text = WHOLE.replace("ml.m5.large", "m5.large").replace("0.9}", "9}").replace("sklearn", "sklern") + "tune: {}\n"
    path = tmp_path / "pipeline.yaml"
    places = [line.split(": ")[:2] for line in refusal(tmp_path, text).splitlines()]
    assert places == [
        [f"{path}:2", "framework.name"],
        [f"{path}:8", "train.instance"],
        [f"{path}:14", "gate.confidence"],
        [f"{path}:16", "tune.objective"],
        [f"{path}:16", "tune.ranges"],
    ]


def test_the_published_schema_is_the_code_s() -> None:
    published = (ROOT / "docs" / "pipeline.schema.json").read_text(encoding="utf-8")
    assert published == schema.json_schema_text(), "run python -m ratchet.spec"


def test_the_schema_shows_units_and_refuses_unknown_keys() -> None:
    written = schema.json_schema()
    assert written["$defs"]["Train"]["properties"]["max_runtime"]["default"] == "1h"
    assert written["$defs"]["Train"]["properties"]["volume"]["default"] == "30GiB"
    assert written["additionalProperties"] is False
    json.dumps(written)


@pytest.mark.parametrize("shape", ["TrainingInstanceType", "ProcessingInstanceType", "ProductionVariantInstanceType"])
def test_every_instance_type_of_sagemaker_is_taken(shape: str) -> None:
    enum = botocore.session.get_session().get_service_model("sagemaker").shape_for(shape).enum
    assert len(enum) > 50
    refused = [name for name in enum if not instances._INSTANCE.fullmatch(name)]
    assert refused == []


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(1 day)",
        "cron(0 3 * * ? *)",
        "cron(0/15 8-17 ? * MON-FRI *)",
        "cron(0 0 L * ? 2027)",
        "cron(0 0 ? * 2#1 *)",
        "cron(0,30 * 1,15 JAN-MAR ? *)",
    ],
)
def test_schedules_that_eventbridge_takes(expression: str) -> None:
    assert schedule.check(expression) == expression


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("rate(0 days)", "at least 1"),
        ("rate(2 day)", r"rate\(2 days\)"),
        ("rate(7 weeks)", "minutes|hours|days"),
        ("cron(61 * * * ? *)", "'61' as minutes"),
        ("cron(0 3 * * * *)", "exactly one of day-of-month and day-of-week"),
        ("cron(0 3 ? * ? *)", "exactly one of day-of-month and day-of-week"),
        ("cron(0 3 * FOO ? *)", "'FOO' as month"),
        ("cron(0/0 3 * * ? *)", "'0/0' as minutes"),
    ],
)
def test_schedules_that_eventbridge_refuses(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule.check(expression)


@given(st.integers(0, 10**6), st.sampled_from("smhd"))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert units.seconds(f"{number}{unit}") == number * units.SECONDS[unit]


@given(st.integers(0, 10**7))
def test_a_duration_reads_back_as_written(seconds: int) -> None:
    assert units.seconds(units.duration_text(seconds)) == seconds


@given(st.text(max_size=20))
def test_no_text_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(spec.SpecError):
        spec.load(path)


def test_every_metric_name_is_taken_once() -> None:
    assert len(set(metric_names.METRICS)) == len(metric_names.METRICS)
    assert all(metric_names.check(name) == name for name in metric_names.METRICS)


def test_a_rule_s_actions_are_the_contract_s() -> None:
    assert get_args(Rule.model_fields["action"].annotation) == environment.ACTIONS


def pipeline_folder(root: Path, folder: str, text: str) -> Path:
    (root / folder).mkdir()
    return written(root / folder, text).parent


def test_pipelines_are_the_folders_with_a_pipeline_yaml_by_name(tmp_path: Path) -> None:
    pipeline_folder(tmp_path, "a", changed(name="zinnia"))
    pipeline_folder(tmp_path, "b", changed(name="aster"))
    (tmp_path / "toolkit").mkdir()
    assert [found.name for found in spec.find_pipelines(tmp_path)] == ["aster", "zinnia"]


def test_two_pipelines_of_one_name_are_refused(tmp_path: Path) -> None:
    first = pipeline_folder(tmp_path, "a", SHORT)
    pipeline_folder(tmp_path, "b", SHORT)
    with pytest.raises(spec.SpecError, match=rf"b/pipeline.yaml:1: name: is 'iris', which {first}/pipeline.yaml has"):
        spec.find_pipelines(tmp_path)


def test_a_folder_is_named_also_where_its_pipeline_yaml_cannot_be_used(tmp_path: Path) -> None:
    texts = {"good": SHORT, "half": "name: daisy\ntrian: 1\n", "not_yaml": "a: [", "no_name": "- 1"}
    folders = {folder: pipeline_folder(tmp_path, folder, text) for folder, text in texts.items()}
    assert spec.named_folders(tmp_path) == {
        "iris": folders["good"],
        "daisy": folders["half"],
        "not-yaml": folders["not_yaml"],
        "no-name": folders["no_name"],
    }


def test_only_the_chosen_pipelines_are_read(tmp_path: Path) -> None:
    pipeline_folder(tmp_path, "a", changed(name="zinnia"))
    pipeline_folder(tmp_path, "b", "name: aster\ntrian: 1\n")
    assert [found.name for found in spec.find_pipelines(tmp_path, only=["zinnia"])] == ["zinnia"]
    assert spec.find_pipelines(tmp_path, only=[]) == []
    with pytest.raises(spec.SpecError, match=r"b/pipeline.yaml:2: trian: unknown key; did you mean train\?"):
        spec.find_pipelines(tmp_path, only=["aster", "zinnia"])
    with pytest.raises(spec.ConfigurationError, match=r"there is no pipeline 'zinia' in .*; did you mean zinnia\?"):
        spec.find_pipelines(tmp_path, only=["zinia"])


def test_a_broken_pipeline_s_error_says_how_to_go_on_without_it(tmp_path: Path) -> None:
    pipeline_folder(tmp_path, "b", "name: aster\ntrian: 1\n")
    with pytest.raises(spec.SpecError) as alone:
        spec.find_pipelines(tmp_path)
    assert spec.without(tmp_path, alone.value) == ""
    for folder, name in (("a", "zinnia"), ("c", "daisy")):
        pipeline_folder(tmp_path, folder, changed(name=name))
    assert spec.without(tmp_path, alone.value) == "\n(without it: -c pipelines=daisy,zinnia)"


OWN = {"metric": "my_metrics.map50", "minimum": -3, "beat_champion_by": 40}
TAKES: dict[str, str] = {
    "def map50(truths, answers): ...": "",
    "def map50(*lists): ...": "",
    "def map50(truths, answers, limit=0.5, *, exact=False): ...": "",
    "from other import map50": "",
    "from other import *": "",
    "map50: Metric = made()": "",
    "try:\n    from fast import map50\nexcept ImportError:\n    def map50(truths, answers): ...": "",
    "@with_settings\ndef map50(truths, answers, settings): ...": "",
    "if FAST:\n    pass\nelse:\n    def map50(truths): ...": "my_metrics.py:4 takes truths; a metric is called",
    "import functools\nmap50 = functools.partial(print)": "",
    "def map50(truths): ...": "my_metrics.py:1 takes truths; a metric is called with two lists: the truths",
    "def map50(): ...": "my_metrics.py:1 takes nothing; a metric is called with two lists",
    "\ndef map50(a, b, c): ...": "my_metrics.py:2 takes a, b, c; a metric is called with two lists",
    "def map50(a, b, *, limit): ...": "my_metrics.py:1 needs limit=, which it isn't given; it is called with",
    "async def map50(a, b): ...": "my_metrics.py:1 is async; a metric is a plain function of truths and answers",
    "def map(a, b): ...": "my_metrics.py has no function map50; did you mean map?",
    "class map50: ...": "my_metrics.py has no function map50",
    "def map50(": "my_metrics.py can't be read: ",
}


@pytest.mark.parametrize("source", TAKES)
def test_an_own_metric_is_a_function_of_truths_and_answers(tmp_path: Path, source: str) -> None:
    (tmp_path / "my_metrics.py").write_text(source)
    text = changed(gate=OWN)
    if TAKES[source]:
        told = refusal(tmp_path, text)
        assert (
            f"pipeline.yaml:{1 + text[: text.index('metric:')].count(chr(10))}: gate.metric: is 'my_metrics.map50', but"
            in told
        )
        assert TAKES[source] in told
    else:
        assert spec.load(written(tmp_path, text)).gate.is_own


def test_segments_are_refused_where_serve_py_yields_the_examples(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text("def heldout_fn(folder): ...")
    told = refusal(tmp_path, changed(gate={**GATE, "segments": {"column": "region", "minimum": 0.8}}))
    assert "gate.segments: is said, but heldout_fn of serve.py yields examples, which have no columns" in told


def test_how_the_held_out_data_are_read_depends_on_the_gate(tmp_path: Path) -> None:
    (tmp_path / "my_metrics.py").write_text(next(iter(TAKES)))
    reading = spec.load(written(tmp_path, changed(gate={**OWN, "segments": {"column": 2, "minimum": 0}}))).reading
    assert reading == held_out.Reading(segment=2, any_label=True)


def test_several_labels_are_taken_by_regression_and_own_metrics(tmp_path: Path) -> None:
    (tmp_path / "my_metrics.py").write_text(next(iter(TAKES)))
    for gate in ({"metric": "r2", "minimum": 0.5}, OWN):
        reading = spec.load(written(tmp_path, changed(gate=gate, evaluate={"label": ["price", 3]}))).reading
        assert reading == held_out.Reading(label=("price", 3), any_label=True)
        assert reading.has_header


def test_every_format_can_be_said(tmp_path: Path) -> None:
    for format_ in held_out.FORMATS:
        assert spec.load(written(tmp_path, changed(evaluate={"format": format_}))).reading.format == format_


@pytest.mark.parametrize(
    ("metric", "labels"),
    [("f1", "two-classes"), ("f1_macro", "classes"), ("accuracy", "classes"), ("r2", "numbers"), ("mine.iou", "any")],
)
def test_a_metric_tells_the_labels_that_it_needs(metric: str, labels: str) -> None:
    assert metric_names.labels_needed(metric) == labels
