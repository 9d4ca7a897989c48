"""The toolkit and the models are tested where they run: in an image's environment, with NumPy and without pytest."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from image_uris import PYTORCH, SKLEARN, XGBOOST

from localaws.sagemaker.containers.images import Images

CHECKOUT = Path(__file__).parents[2]
CHECKS = CHECKOUT / "tests" / "toolkit"
# Checks that need another framework than scikit-learn.
IMAGES = {
    "check_checkpoint_torch": PYTORCH,
    "check_probe_formats": PYTORCH,
    "check_probe_keras": PYTORCH,
    "check_probe_pytorch": PYTORCH,
    "check_probe_xgboost": XGBOOST,
    "check_prune": PYTORCH,
    "check_rules_pytorch": PYTORCH,
    "check_rules_xgboost": XGBOOST,
}
# Checks against packages that no image has.
MORE_PACKAGES = {"check_probe_formats": "requirements.txt", "check_probe_keras": "requirements.txt"}


@pytest.mark.parametrize("check", sorted(path.stem for path in CHECKS.glob("check_*.py")))
def test_in_the_image(check: str) -> None:
    image, images = IMAGES.get(check, SKLEARN), Images(CHECKOUT / ".ratchet" / "images")
    if check in MORE_PACKAGES:
        environment = images.with_requirements(image, CHECKS / MORE_PACKAGES[check], print)
    else:
        environment = images.environment(image, print)
    done = subprocess.run(
        [environment.python, "-m", "unittest", check],
        cwd=CHECKS,
        env={
            **os.environ,
            "PYTHONPATH": f"{CHECKOUT / 'training_code'}:{CHECKOUT}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",  # other tests run beside it, one a core
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
