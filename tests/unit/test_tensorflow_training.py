"""TensorFlow's training container on the embedded AWS: its image, what it tells its script, how it starts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from image_uris import TENSORFLOW
from test_sagemaker_script_mode import job

from localaws.sagemaker.containers import script_mode, tensorflow_training
from localaws.sagemaker.containers.image_table import ImageNotFoundError, find
from localaws.sagemaker.containers.script_mode import ScriptJob

MODULE = "sagemaker_tensorflow_container.training:main"


def trial(**hyperparameters: str) -> ScriptJob:
    return replace(job(hyperparameters), framework_module=MODULE, start="shell")


@pytest.mark.fidelity(
    "Containers",
    "The TensorFlow image 2.21 holds Keras 3.15.1, NumPy 2.4.6, h5py 3.14.0 and protobuf 6.33.6.",
    "aws/deep-learning-containers, docker/tensorflow/2.21/cpu/uv.lock",
)
def test_its_image_is_here_or_is_said_to_differ() -> None:
    image = find(TENSORFLOW)
    here = dict(package.split("==") for package in image.packages)
    assert (here["keras"], here["numpy"], here["h5py"], here["protobuf"]) == ("3.15.1", "2.4.6", "3.14.0", "6.33.6")
    assert all("tensorflow_cpu" not in note for note in image.notes)
    older = find(TENSORFLOW.replace("2.21.0", "2.19.0"))
    assert "Image tensorflow-training:2.19.0-cpu-py312 holds tensorflow_cpu 2.19.0; here it is 2.21.0." in older.notes
    assert older.environment == image.environment


def test_its_serving_image_is_nobody_s() -> None:
    with pytest.raises(ImageNotFoundError):
        find(TENSORFLOW.replace("training", "inference"))


@pytest.mark.fidelity(
    "Training jobs",
    "TensorFlow's images start the script by a shell, which takes the arguments apart once more.",
    "aws/sagemaker-tensorflow-training-toolkit, training.py (capture_error); sagemaker-training 5.1.1 in the images",
)
def test_a_shell_starts_the_script(tmp_path: Path) -> None:
    assert find(TENSORFLOW).start == "shell"
    command = script_mode.command(trial(sagemaker_program='"train.py"', epochs="3"), tmp_path)
    assert command == ["/bin/sh", "-c", "python train.py --epochs 3"]
    assert trial(sagemaker_toolkit_native_launcher_enabled="true").starts_by_shell, "a hyperparameter of PyTorch's"


@pytest.mark.fidelity(
    "Training jobs",
    "TensorFlow's container makes a trial's model_dir its own, and one that isn't said None/<job>/model.",
    "aws/sagemaker-tensorflow-training-toolkit, training.py (_model_dir_with_training_job)",
)
@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "None/digits-1/model"),
        ("/opt/ml/model", "/opt/ml/model"),
        ("s3://bucket/models", "s3://bucket/models/digits-1/model"),
    ],
)
def test_the_model_dir_of_a_trial(said: str | None, told: str) -> None:
    given = {"lr": "0.1", **({"model_dir": f'"{said}"'} if said else {})}
    tuned = trial(_tuning_objective_metric='"f1"', **given)
    assert script_mode.user_args(tuned.for_script) == ["--lr", "0.1", "--model_dir", told]
    assert script_mode.variables(tuned)["SM_HP_MODEL_DIR"] == told
    assert trial(**given).for_script == {"lr": 0.1, **({"model_dir": said} if said else {})}, "of a job by itself"
    pytorch = replace(tuned, framework_module="sagemaker_pytorch_container.training:main")
    assert pytorch.for_script == {"lr": 0.1, **({"model_dir": said} if said else {})}


@pytest.mark.fidelity(
    "Containers",
    "TensorFlow's container sets S3_REGION, S3_USE_HTTPS and TF_CPP_MIN_LOG_LEVEL for its script.",
    "aws/sagemaker-tensorflow-training-toolkit, s3_utils.py (configure)",
)
def test_what_it_sets_for_the_script() -> None:
    assert tensorflow_training.variables("eu-west-1") == {
        "S3_REGION": "eu-west-1", "S3_USE_HTTPS": "1", "TF_CPP_MIN_LOG_LEVEL": "1"
    }  # fmt: skip
    assert tensorflow_training.is_tensorflow(MODULE)
    assert not tensorflow_training.is_tensorflow(None)
