"""What TensorFlow's training container makes of the hyperparameter `model_dir`, before train.py has it.

Source: aws/sagemaker-tensorflow-training-toolkit, training.py (`_model_dir_with_training_job`) and s3_utils.py.
"""

from __future__ import annotations

from ratchet.spec.errors import refusal
from ratchet.spec.train import Train

MODEL_DIR = "model_dir"


def check_model_dir(train: Train, *, tuned: bool) -> None:
    """Raises a refusal of a model_dir, or of none, with which the container would fail or mislead the script."""
    said = train.hyperparameters.get(MODEL_DIR)
    if said is None and tuned:
        message = (
            f"are without {MODEL_DIR}, of which TensorFlow's container then hands each trial's script a wrong one "
            f"(--{MODEL_DIR} None/<job>/model); write {MODEL_DIR}: /opt/ml/model, and let train.py take it"
        )
        raise refusal(message, "train", "hyperparameters")
    if said is not None and said.startswith("s3://"):
        message = (
            f"is {said!r}, of whose bucket TensorFlow's container asks the region, which the training job's role may "
            "not (s3:GetBucketLocation); leave it out: what train.py leaves in SM_MODEL_DIR is the model"
        )
        raise refusal(message, "train", "hyperparameters", MODEL_DIR)
