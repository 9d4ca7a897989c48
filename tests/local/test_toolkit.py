"""The toolkit and the models are tested where they run: in an image's environment, with NumPy and without pytest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from image_uris import PYTORCH, SKLEARN, XGBOOST

from bench.environments import with_more
from localaws.sagemaker.containers.images import PACKAGES, Images

CHECKOUT = Path(__file__).parents[2]
CHECKS = CHECKOUT / "tests" / "toolkit"
# Checks that need another framework than scikit-learn, or packages that no image has.
CHECKS_OF = {
    "pytorch": (
        PYTORCH,
        (
            "check_autoencoder",
            "check_checkpoint_torch",
            "check_peers",
            "check_probe_pytorch",
            "check_prune",
            "check_rules_pytorch",
            "check_serving_pytorch",
            "check_subsets",
            "check_toolkit_peers",
        ),
    ),
    "compiled": (SKLEARN, ("check_compiled",)),
    "pytorch-traffic-signs": (PYTORCH, ("check_traffic_signs",)),
    "pytorch-detector": (PYTORCH, ("check_detector",)),
    "pytorch-cifar-subset": (PYTORCH, ("check_cifar_subset", "check_compiled_pytorch")),
    "pytorch-and-more": (PYTORCH, ("check_mnist_keras", "check_probe_formats", "check_probe_keras")),
    "bert-qa": (PYTORCH, ("check_bert_qa",)),
    "xgboost": (
        XGBOOST,
        (
            "check_car_evaluation",
            "check_compiled_xgboost",
            "check_probe_xgboost",
            "check_rules_xgboost",
            "check_serving_xgboost",
        ),
    ),
}
MORE_PACKAGES = {
    "compiled": CHECKOUT / "training_code" / "toolkit" / "compiled" / "requirements.txt",
    "pytorch-and-more": CHECKS / "requirements.txt",
    "pytorch-traffic-signs": CHECKOUT / "training_code" / "traffic_signs" / "requirements.txt",
    "pytorch-detector": CHECKOUT / "training_code" / "detector" / "requirements.txt",
    "pytorch-cifar-subset": CHECKOUT / "training_code" / "cifar_subset" / "requirements.txt",
    "bert-qa": CHECKOUT / "training_code" / "bert_qa" / "requirements.txt",
}


def of_scikit_learn() -> tuple[str, tuple[str, ...]]:
    elsewhere = {check for _, checks in CHECKS_OF.values() for check in checks}
    return SKLEARN, tuple(sorted({path.stem for path in CHECKS.glob("check_*.py")} - elsewhere))


def converters() -> str:
    """Where the packages lie that make ONNX of models; they are the same for all images."""
    image = Images(CHECKOUT / ".ratchet" / "images").environment(SKLEARN, print)
    python = with_more(Path(image.python), MORE_PACKAGES["compiled"], "--no-deps")
    return str(python.parents[1] / PACKAGES)


@pytest.mark.parametrize("name", ["scikit-learn", *CHECKS_OF])
def test_in_the_image(name: str) -> None:
    """All checks of an image in one process: to import a framework takes longer than most of them."""
    image, checks = CHECKS_OF.get(name) or of_scikit_learn()
    python = Path(Images(CHECKOUT / ".ratchet" / "images").environment(image, print).python)
    if name in MORE_PACKAGES:
        python = with_more(python, MORE_PACKAGES[name], *(["--no-deps"] if name == "compiled" else []))
    done = subprocess.run(
        [python, "-m", "unittest", *checks],
        cwd=CHECKS,
        env={
            **os.environ,
            "PYTHONPATH": f"{CHECKOUT / 'training_code'}:{CHECKOUT}",
            **({"CONVERTERS": converters()} if name in ("pytorch-cifar-subset", "xgboost") else {}),
            "PYTHONDONTWRITEBYTECODE": "1",  # checks rewrite modules within a second
            "OMP_NUM_THREADS": "1",  # other tests run beside it, one a core
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
