"""`deploy.chain`: what it comes to, and what is refused, on its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contract.files import SPEC_FILE
from infra.images import chain_images
from infra.workflow.steps.plan import spec_hash
from ratchet import spec
from ratchet.spec.instances import InstanceTypes

SPEC = """\
name: cars
framework: {name: xgboost, version: "3.2-0"}
data: {train: cars/train/, test: cars/test/}
train: {instance: ml.m5.large}
gate: {metric: accuracy, minimum: 0.8}
deploy:
  instance: ml.m5.large
"""
TWO = """\
  chain:
    - {entry: features.py, framework: {name: sklearn, version: "1.9-0"}}
    - {entry: my_labels.py, environment: {LOUD: "1"}}
"""
ENTRY = "    - {entry: features.py, name: NAME}\n"


def loaded(folder: Path, lines: str, deploy: str = "") -> spec.PipelineSpec:
    for name in ("features.py", "my_labels.py", "train.py"):
        (folder / name).write_text("", encoding="utf-8")
    (folder / SPEC_FILE).write_text(SPEC + deploy + lines, encoding="utf-8")
    return spec.load(folder / SPEC_FILE)


def many(count: int) -> str:
    return "  chain:\n" + "".join(ENTRY.replace("NAME", f"c{number}") for number in range(count))


def second(fields: str) -> str:
    """A chain whose second container has these fields."""
    return f"  chain:\n    - {{entry: features.py}}\n    - {{{fields}}}\n"


def test_each_container_has_a_name_an_entry_an_image_and_variables(tmp_path: Path) -> None:
    first, last = (found := loaded(tmp_path, TWO)).deploy.chain
    assert (first.hostname, first.entry, first.image) == ("features", "features.py", None)
    assert (last.hostname, last.framework, dict(last.environment)) == ("my-labels", None, {"LOUD": "1"})
    assert found.serving_scripts == ["features.py", "my_labels.py"]
    images = chain_images(found, "eu-west-1")
    assert images == ("141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3", None)


@pytest.mark.parametrize("count", [2, 15])
def test_two_to_fifteen_containers(tmp_path: Path, count: int) -> None:
    assert len(loaded(tmp_path, many(count)).deploy.chain) == count


def test_a_chain_makes_another_model_and_none_leaves_the_hash_as_it_was(tmp_path: Path) -> None:
    alone, chained = loaded(tmp_path, ""), loaded(tmp_path, TWO)
    assert spec_hash(alone) == "d489c2f8bacea995bd16da55916d34503145e25df772528e08b5760072a1f1d0"
    newer = loaded(tmp_path, TWO.replace("1.9-0", "1.4-2-py312"))
    assert len({spec_hash(each) for each in (alone, chained, newer)}) == 3


def test_batches_have_chains_too(tmp_path: Path) -> None:
    batch = loaded(tmp_path, TWO, "  kind: batch\n  input: cars/batch/\n")
    assert batch.deploy.is_batch and len(batch.deploy.chain) == 2


def test_the_first_container_may_read_the_held_out_data(tmp_path: Path) -> None:
    assert not loaded(tmp_path, TWO).reads_held_out_data
    (tmp_path / "features.py").write_text("def heldout_fn(folder):\n    yield\n")
    assert spec.load(tmp_path / SPEC_FILE).reads_held_out_data


URI = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
REFUSED: dict[str, tuple[str, str]] = {
    many(16): ("8: deploy.chain: ", "has 16 containers; SageMaker chains 2 to 15"),
    many(1): ("8: deploy.chain: ", "has 1 container; SageMaker chains 2 to 15; one container is serve.py's, without"),
    "  chain: []\n": ("8: deploy.chain: ", "has 0 containers; SageMaker chains 2 to 15"),
    "  chain: features.py\n": ("8: deploy.chain: ", "features.py"),
    second("entry: features.py"): ("10: deploy.chain[1].entry: ", "gives the name 'features', which container 1 has"),
    second("entry: my_labels.py, name: features"): ("10: deploy.chain[1].name: ", "which container 1 has already"),
    second("name: last"): ("10: deploy.chain[1].entry: ", "is required; write entry: features.py"),
    second("entry: my_labls.py"): ("10: deploy.chain[1].entry: ", "there is no file my_labls.py in"),
    second("entry: code/labels.py"): ("10: deploy.chain[1].entry: ", "write a file of the model's folder"),
    second("entry: my-labels.py"): ("10: deploy.chain[1].entry: ", "that Python can import, as features.py"),
    second("entry: train.py"): ("10: deploy.chain[1].entry: ", "the training script; name the file with"),
    second("entry: xgboost.py"): ("10: deploy.chain[1].entry: ", "a container imports a module of that name itself"),
    second("entry: json.py"): ("10: deploy.chain[1].entry: ", "a container imports a module of that name itself"),
    second("entry: my_labels.py, name: my_labels"): ("10: deploy.chain[1].name: ", "letters, digits and hyphens"),
    second("entry: __.py"): ("10: deploy.chain[1].entry: ", "write a name beside it"),
    second("entry: my_labels.py, serve: x"): ("10: deploy.chain[1].serve: ", "unknown key"),
    second("entry: my_labels.py, framework: {name: tensorflow, version: '2.1'}"): (
        "10: deploy.chain[1].framework.name: ",
        "whose serving container runs no serve.py",
    ),
    second("entry: my_labels.py, framework: {name: sklearn}"): (
        "10: deploy.chain[1].framework.version: ",
        "is required",
    ),
    second(f"entry: my_labels.py, image: {URI}/pytorch-training:2.8"): (
        "10: deploy.chain[1].image: ",
        "an image that trains and doesn't serve; name its twin for inference",
    ),
    second("entry: my_labels.py, image: nothing"): ("10: deploy.chain[1].image: ", "write a registry path"),
    second(f"entry: my_labels.py, image: {URI}/own:1, framework: {{name: sklearn, version: '1.9-0'}}"): (
        "10: deploy.chain[1].image: ",
        "is given, and framework too",
    ),
    second("entry: my_labels.py, environment: {SAGEMAKER_PROGRAM: other.py}"): (
        "10: deploy.chain[1].environment.SAGEMAKER_PROGRAM: ",
        "is set by Ratchet; leave it out",
    ),
    second("entry: my_labels.py, environment: {RATCHET_MODEL_PACKAGE: mine}"): (
        "10: deploy.chain[1].environment.RATCHET_MODEL_PACKAGE: ",
        "is set by Ratchet",
    ),
    second("entry: my_labels.py, environment: {1ST: x}"): ("10: deploy.chain[1].environment.1ST: ", "no variable's"),
    second("entry: my_labels.py, environment: {LOUD: 1}"): (
        "10: deploy.chain[1].environment.LOUD: ",
        "it must be a text",
    ),
    second(f"entry: my_labels.py, environment: {{LONG: {'x' * 1025}}}"): (
        "10: deploy.chain[1].environment.LONG: ",
        "has 1025 characters; a container's variable takes at most 1024",
    ),
    second(f"entry: my_labels.py, environment: {{{', '.join(f'V{number}: x' for number in range(91))}}}"): (
        "10: deploy.chain[1].environment: ",
        "has 91 entries; a container takes at most 90 beside Ratchet's own",
    ),
}


@pytest.mark.parametrize("lines", REFUSED)
@pytest.mark.fidelity(
    "Models",
    "An inference pipeline has two to fifteen containers, each with a name of its own.",
    "developer guide, Inference pipelines in Amazon SageMaker AI; ContainerDefinition, API reference",
)
def test_a_chain_that_cant_be_is_refused_on_its_line(tmp_path: Path, lines: str) -> None:
    where, what = REFUSED[lines]
    with pytest.raises(spec.SpecError) as refused:
        loaded(tmp_path, lines)
    said = str(refused.value).replace(f"{tmp_path / SPEC_FILE}:", "")
    assert said.startswith(where), said
    assert what in said


NOT_HOSTED: dict[str, tuple[str, Any]] = {
    "a version that only trains": ('{name: pytorch, version: "2.10.0"}', "version: pytorch 2.10.0 has no image that"),
    "a version that isn't": ('{name: sklearn, version: "7.0-0"}', "version: sklearn 7.0-0 has no image that serves;"),
    "the one of those that only trains": ('{name: sklearn, version: "1.4-2"}', "versions with one are 1.0-1, 1.2-1, 1"),
}


@pytest.mark.parametrize("case", NOT_HOSTED)
def test_an_image_that_cant_serve_is_refused_on_its_line(tmp_path: Path, case: str) -> None:
    framework, what = NOT_HOSTED[case]
    found = loaded(tmp_path, second(f"entry: my_labels.py, framework: {framework}"))
    with pytest.raises(spec.SpecError, match=r"yaml:10: deploy\.chain\[1\]\.framework\.") as refused:
        chain_images(found, "us-east-1")
    assert what in str(refused.value)


def test_an_instance_that_cant_run_a_containers_image_is_refused(tmp_path: Path) -> None:
    found = loaded(tmp_path, TWO.replace("\n", "\n", 1))
    for types in (InstanceTypes("ml.m7g.large"), InstanceTypes("ml.m5.large", "ml.m7g.large")):
        arm = found.model_copy(update={"deploy": found.deploy.model_copy(update={"instance": types})})
        what = r"deploy\.chain\[0\]\.framework: ml\.m7g\.large is a machine for arm64 images; sklearn's are for cpu"
        with pytest.raises(spec.SpecError, match=what):
            chain_images(arm, "us-east-1")
    with pytest.raises(spec.SpecError, match=r"sklearn 1\.9-0 has no image in mars-1; only in"):
        chain_images(found, "mars-1")


@pytest.mark.parametrize(
    ("image", "framework"),
    [
        ("sagemaker-scikit-learn:1.9-0-cpu-py3", "sklearn"),
        ("sagemaker-xgboost@sha256:" + 64 * "0", "xgboost"),
        ("pytorch-inference:2.6.0-cpu-py312", "pytorch"),
        ("team/own:1", None),
    ],
)
def test_an_evaluation_knows_whose_functions_hold_for_what_a_script_leaves_out(
    tmp_path: Path, image: str, framework: str | None
) -> None:
    chain = loaded(tmp_path, second(f"entry: my_labels.py, image: '{URI}/{image}'")).deploy.chain
    assert [each.said["framework"] for each in chain] == [None, framework]


def test_what_sagemaker_has_for_one_container_alone_is_refused(tmp_path: Path) -> None:
    shadow = "  shift: {shadow: 1h, then: {canary: 50%}}\n  rollback_on: {errors: 1%}\n  instance_count: 2\n"
    serverless = SPEC.rpartition("  instance")[0] + "  kind: serverless\n" + TWO
    (tmp_path / SPEC_FILE).write_text(serverless, encoding="utf-8")
    with pytest.raises(spec.SpecError, match=r"deploy\.chain: is said, but kind is serverless, which has .* one cont"):
        spec.load(tmp_path / SPEC_FILE)
    with pytest.raises(spec.SpecError, match=r"deploy\.shift\.shadow: is said beside deploy\.chain: SageMaker has no"):
        loaded(tmp_path, TWO, shadow)
