"""What people get wrong in `gate` and `evaluate` of pipeline.yaml, and on the command line; what they are told.

What they get wrong in the held-out data is in test_bad_held_out_text.py and test_bad_held_out_files.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands_world import BUCKET, World, world_in

from contract import outcomes
from contract.files import SPEC_FILE
from ratchet import errors, spec

SPEC = """\
name: pets
framework: {name: sklearn, version: "1.9-0"}
data: {train: pets/train/, test: pets/test/}
train: {instance: ml.m5.large}
deploy: {instance: ml.t2.medium}
gate: GATE
evaluate: EVALUATE
"""
GATE = "{metric: accuracy, minimum: 0.8}"

# The value of `gate` (on line 6) -> what is said of it.
GATES = {
    "": "6: gate: is empty; it must be a mapping of names to values",
    "accuracy": "6: gate: is 'accuracy'; it must be a mapping of names to values",
    "{metric: accuracy}": "6: gate.minimum: is required; write minimum: 0.9",
    "{minimum: 0.8}": "6: gate.metric: is required; write metric: f1_macro",
    "{metric: [accuracy, f1], minimum: 0.8}": "6: gate.metric: is ['accuracy', 'f1']; it must be a text",
    "{metric: Accuracy, minimum: 0.8}": "6: gate.metric: is 'Accuracy', which is no metric of the gate; did you mean",
    "{metric: rmse, minimum: -3}": "6: gate.metric: is 'rmse', which is no metric of the gate; write neg_root_mean_squ",
    "{metric: MAPE, minimum: -3}": "6: gate.metric: is 'MAPE', which is no metric of the gate; write neg_mean_absolute",
    "{metric: f1-score, minimum: 0.8}": "6: gate.metric: is 'f1-score', which is no metric of the gate; write f1, or "
    "f1_macro for more than two classes",
    "{metric: auc, minimum: 0.8}": "6: gate.metric: is 'auc', which is no metric of the gate; write roc_auc, or roc",
    "{metric: ece, minimum: -0.1}": "6: gate.metric: is 'ece', which is no metric of the gate; write neg_expected_c",
    "{metric: mcc, minimum: 0.1}": "6: gate.metric: is 'mcc', which is no metric of the gate; write matthews_corrcoef",
    "{metric: log_loss, minimum: 0.1}": "6: gate.metric: is 'log_loss', which is smaller for better models; write n",
    "{metric: neg_expected_calibration_error, minimum: 0.05}": "6: gate.minimum: is 0.05, but neg_expected_calibration_"
    "error is at most 0 (scikit-learn negates it",
    "{metric: accuracy, minimum: 80%}": "6: gate.minimum: is '80%'; it must be a number: write 0.8",
    "{metric: accuracy, minimum: true}": "6: gate.minimum: is True; it must be a number",
    "{metric: accuracy, minimum: .inf}": "6: gate.minimum: is inf; it must be a finite number",
    "{metric: accuracy, minimum: 0.8, beat_champion_by: 2%}": "6: gate.beat_champion_by: is '2%'; it must be a number: "
    "write 0.02",
    "{metric: accuracy, minimum: 0.8, beat_champion_by: -5}": "6: gate.beat_champion_by: is -5, but two models' acc",
    "{metric: accuracy, minimum: 0.8, confidence: 95}": "6: gate.confidence: is 95; it must be less than 1",
    "{metric: accuracy, minimum: 0.8, confidence: 95 %}": "6: gate.confidence: is '95 %'; it must be a number: write",
    "{metric: accuracy, minimum: 0.8, when_champion_cannot_answer: yes}": "6: gate.when_champion_cannot_answer: is ",
    "{metric: accuracy, minimum: 0.8, beat_champoin_by: 0}": "6: gate.beat_champoin_by: unknown key; did you mean b",
    "{metric: accuracy, minimum: 0.8, maximum: 0.9}": "6: gate.maximum: unknown key; did you mean minimum?",
}
# The value of `evaluate` (on line 7) -> what is said of it.
EVALUATES = {
    "csv": "7: evaluate: is 'csv'; it must be a mapping of names to values",
    "{label: [a, b]}": "7: evaluate.label: has 2 columns (a, b), but accuracy judges one label an example; name",
    "{label: [a, 1.5]}": "7: evaluate.label: is 1.5; write a column's name, in quotes, or its position from 0",
    "{label: yes}": "7: evaluate.label: is True; write a column's name, in quotes, or its position from 0",
    '{label: ""}': "7: evaluate.label: is ''; a column's name has 1 to 200 printable characters",
    '{label: "a\\nb"}': "7: evaluate.label: is 'a\\nb'; a column's name has 1 to 200 printable characters",
    '{label: "0", header: false}': "7: evaluate.label: is '0', a name, but header is false; write the column's posi",
    "{target: y}": "7: evaluate.target: unknown key; known: instance, max_runtime, label, header, format",
    "{labels: y}": "7: evaluate.labels: unknown key; did you mean label?",
    "{header: 1}": "7: evaluate.header: is 1; it must be true or false",
    "{header: [a, b]}": "7: evaluate.header: is ['a', 'b']; it must be true or false",
    "{format: json}": "7: evaluate.format: is 'json'; it must be 'csv', 'tsv', 'jsonlines', 'parquet', 'npz', 'images' "
    "or 'manifest'; did you mean jsonlines?",
    "{format: .csv}": "7: evaluate.format: is '.csv'; it must be 'csv',",
    "{format: parquet, header: false}": "7: evaluate.header: is said, but format is parquet, which has none; leave it",
    "{format: npz, label: 1}": "7: evaluate.label: is 1, a position, but format is npz; write an array's name",
    "{format: manifest, label: 2}": "7: evaluate.label: is 2, a position, but format is manifest; write an attribute's",
    "{format: images, label: 1}": "7: evaluate.label: is 1, but an image's label is its folder's name; leave it out",
    "{instance: m5.large}": "7: evaluate.instance: is 'm5.large', which is no SageMaker instance type; did you mean ",
    "{max_runtime: 60}": "7: evaluate.max_runtime: has no unit: write 60s for seconds, or 60m, 60h, 60d",
}


def refusal(folder: Path, gate: str, evaluate: str) -> str:
    path = folder / SPEC_FILE
    path.write_text(SPEC.replace("GATE", gate).replace("EVALUATE", evaluate))
    with pytest.raises(spec.SpecError) as refused:
        spec.load(path)
    return str(refused.value).removeprefix(f"{path}:")


@pytest.mark.parametrize("value", GATES)
def test_a_gate_that_decides_nothing(tmp_path: Path, value: str) -> None:
    assert refusal(tmp_path, value, "{}").startswith(GATES[value])


@pytest.mark.parametrize("value", EVALUATES)
def test_held_out_data_that_cannot_be_so(tmp_path: Path, value: str) -> None:
    assert refusal(tmp_path, GATE, value).startswith(EVALUATES[value])


# ---------------------------------------------------------------------------------------------------- the command line

TREE = "iris-tree"
UNKNOWN = "there is no pipeline 'nope', neither here nor deployed; known: broken, iris-tree"
RUN = "20261120-101112-abcd"
A_RUN = f"'{RUN}' is a run's id, where a pipeline's name is wanted"
NO_RUN = "see `ratchet runs` (a pipeline's name stands for its newest run)"
PUT = f"ratchet data {TREE} put FILE… CHANNEL"

# The command -> its exit code, and what it says.
COMMANDS: dict[str, tuple[int, str]] = {
    "data": (errors.USAGE, "Missing argument 'PIPELINE'"),
    "data nope": (errors.FAILURE, UNKNOWN),
    f"data {RUN}": (errors.FAILURE, A_RUN),
    f"data {TREE} puts jan.csv train": (errors.USAGE, "'puts' is not one of 'put', 'rm'"),
    f"data {TREE} put train": (errors.FAILURE, f"say what goes where: {PUT}"),
    f"data {TREE} put train jan.csv": (
        errors.FAILURE,
        "iris-tree has no channel 'jan.csv'; the channel is the last word: put FILE… CHANNEL",
    ),
    f"data {TREE} put jan.csv Train": (errors.FAILURE, "iris-tree has no channel 'Train'; did you mean train?"),
    f"data {TREE} put *.csv train": (errors.FAILURE, "*.csv: is no file, and no folder; nothing was put"),
    f"data {TREE} put s3://else/jan.csv train": (
        errors.FAILURE,
        f"s3://else/jan.csv: is in S3 already; `aws s3 cp s3://else/jan.csv s3://{BUCKET}/iris/train/` copies it. "
        "Nothing was put",
    ),
    f"data {TREE} put notes.md jan.csv test": (
        errors.FAILURE,
        "notes.md: held-out files of an unknown kind; known are",
    ),
    f"data {TREE} put jan.xlsx test": (
        errors.FAILURE,
        "jan.xlsx: held-out files of an unknown kind (save a workbook as",
    ),
    f"data {TREE} put cat.png test": (
        errors.FAILURE,
        "cat.png lies in no folder; an image's label is its folder's name",
    ),
    f"data {TREE} rm train/*": (
        errors.FAILURE,
        "nothing was removed: there is no object 'train/*'; did you",
    ),
    f"data {TREE} rm train/odl.csv": (
        errors.FAILURE,
        "nothing was removed: there is no object 'train/odl.csv'; did you mean train/old.csv?",
    ),
    "train": (errors.USAGE, "Missing argument 'PIPELINE'"),
    "train nope": (errors.FAILURE, UNKNOWN),
    f"train {TREE} --wait": (errors.USAGE, "No such option '--wait'"),
    f"train {RUN}": (errors.FAILURE, A_RUN),
    "delete": (errors.USAGE, "Missing argument 'PIPELINE'"),
    "delete nope --yes": (errors.FAILURE, UNKNOWN),
    "delete * --yes": (errors.FAILURE, "there is no pipeline '*', neither here nor deployed; known: broken, iris-tree"),
    "delete shared --yes": (errors.FAILURE, "there is no pipeline 'shared'"),
    f"delete {TREE} other": (errors.USAGE, "unexpected extra argument (other)"),
    "runs nope": (errors.FAILURE, UNKNOWN),
    f"runs {RUN}": (errors.FAILURE, A_RUN),
    f"runs {TREE} --limit 0": (errors.USAGE, "0 is not in the range 1<=x<=1000"),
    f"runs {TREE} --limit all": (errors.USAGE, "'all' is not a valid integer range"),
    f"runs {TREE} {RUN}": (errors.USAGE, f"unexpected extra argument ({RUN})"),
    "run": (errors.USAGE, "Missing argument 'PIPELINE'"),
    "run nope": (errors.FAILURE, UNKNOWN),
    f"run {RUN}": (errors.FAILURE, A_RUN),
    f"run {TREE} --foce": (errors.USAGE, "No such option '--foce'. Did you mean '--force'?"),
    f"run {TREE} --supersede=yes": (errors.USAGE, "'--supersede' does not take a value"),
    "rollback nope": (errors.FAILURE, UNKNOWN),
    f"rollback {RUN}": (errors.FAILURE, A_RUN),
    f"rollback {TREE}": (errors.FAILURE, "iris-tree has no champion before the present one to go back to"),
    "status nope": (errors.FAILURE, UNKNOWN),
    "report nope": (errors.FAILURE, f"there is no run 'nope'; {NO_RUN}"),
    "report 20261120-101112-abce": (errors.FAILURE, f"there is no run '20261120-101112-abce'; {NO_RUN}"),
    "logs 20261120": (errors.FAILURE, f"there is no run '20261120'; {NO_RUN}"),
    "logs broken": (errors.FAILURE, "the pipeline broken has no run yet; start one with `ratchet run broken`"),
    f"invoke {TREE} none.csv": (errors.FAILURE, "none.csv: can't be read: No such file or directory"),
    f"invoke {TREE} empty.csv": (errors.FAILURE, "empty.csv: is empty; send at least one row"),
    "run broken": (errors.FAILURE, f"{SPEC_FILE}:6: gate.minimum: is required; write minimum: 0.9"),
    "train broken": (errors.FAILURE, f"{SPEC_FILE}:6: gate.minimum: is required; write minimum: 0.9"),
    "data broken put jan.csv train": (errors.FAILURE, f"{SPEC_FILE}:6: gate.minimum: is required; write minimum: 0.9"),
    "dtaa": (errors.USAGE, "there is no command 'dtaa'; did you mean data?"),
}


@pytest.fixture(name="world", scope="module")
def _world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """iris-tree is deployed, has had a run and has data; another pipeline's file is broken."""
    with pytest.MonkeyPatch.context() as patch:
        world = world_in(tmp_path_factory.mktemp("world") / "checkout", patch)
        world.deploy(TREE)
        world.dynamodb.add_run(TREE, RUN, outcomes.PROMOTED)
        for channel in ("train", "test"):
            world.s3.put_object(Bucket=BUCKET, Key=f"iris/{channel}/old.csv", Body=b"0,1\n")
        for name in ("jan.csv", "notes.md", "jan.xlsx", "cat.png"):
            (world.root / name).write_text("0,1\n")
        (world.root / "empty.csv").touch()
        broken = world.root / "training_code" / "broken"
        broken.mkdir()
        text = SPEC.replace("pets", "broken").replace("GATE", "{metric: accuracy}").replace("EVALUATE", "{}")
        (broken / SPEC_FILE).write_text(text)
        yield world


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_be_done(world: World, command: str) -> None:
    code, sentence = COMMANDS[command]
    before = dict(world.s3.objects)
    told = world.call(*command.split())
    assert told.exit_code == code, told.output
    assert sentence in re.sub(r"\s+", " ", told.stderr)
    assert "Traceback" not in told.stderr
    assert "--debug shows where" not in told.stderr
    assert (world.s3.objects, world.called("delete_stack")) == (before, [])
