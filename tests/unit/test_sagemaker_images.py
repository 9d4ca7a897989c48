"""Which image is which environment, and that an environment is made once."""

import threading
from pathlib import Path

import pytest
from image_uris import SKLEARN, XGBOOST

from localaws.sagemaker.containers import image_table, images
from localaws.sagemaker.containers.image_table import Image, ImageNotFoundError, find
from localaws.sagemaker.containers.images import ImageBuildError, Images, Progress

PYTORCH = "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch-training:2.10.0-cpu-py313"


def test_a_framework_image_is_an_environment_with_its_pins() -> None:
    image = find(SKLEARN)
    assert "scikit-learn==1.9.0" in image.packages
    assert image.variables["SAGEMAKER_TRAINING_MODULE"] == "sagemaker_sklearn_container.training:main"
    assert "sagemaker-training==4.8.0" in image.from_source


@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_every_pin_is_exact_and_every_environment_has_boto3(python: tuple[int, int]) -> None:
    for lines in image_table._table()["environments"].values():
        packages = image_table.pins(lines, python)
        names = [package.partition("==")[0] for package in packages]
        assert all(package.count("==") == 1 and ";" not in package for package in packages)
        assert "boto3" in names
        assert len(names) == len(set(names))


def test_a_pin_is_the_image_s_wherever_a_python_can_have_it() -> None:
    lines = ["a==1; python_version < '3.14'", "a==2; python_version >= '3.14'", "b==3"]
    assert image_table.pins(lines, (3, 13)) == ("a==1", "b==3")
    assert image_table.pins(lines, (3, 14)) == ("a==2", "b==3")


@pytest.mark.fidelity(
    "Containers",
    "The scikit-learn image 1.9-0 holds pandas 2.2.3, numpy 2.5.1, pyarrow 25.0.0 and the SageMaker toolkits.",
    "aws/sagemaker-scikit-learn-container, requirements.txt; pull request 272",
)
def test_what_the_image_holds_is_here_or_is_said_to_differ() -> None:
    image = find(SKLEARN)
    here = dict(package.split("==") for package in [*image.packages, *image.from_source])
    held = {"pandas": "2.2.3", "numpy": "2.5.1", "scipy": "1.18.0", "pyarrow": "25.0.0", "boto3": "1.43.46"}
    held |= {"sagemaker-training": "4.8.0", "sagemaker-inference": "1.5.5", "Flask": "3.1.3", "psutil": "7.2.2"}
    differing = {name for name, version in held.items() if here[name] != version}
    assert differing <= {"pandas", "numpy", "scipy"}
    assert all(any(f" {name} {held[name]};" in note for note in image.notes) for name in differing)


def test_how_a_script_is_started_is_the_image_s() -> None:
    assert [find(uri).start for uri in (SKLEARN, XGBOOST, PYTORCH, PYTORCH.replace("2.10", "2.6"))] == [
        "direct", "module", "direct", "shell"
    ]  # fmt: skip


def test_where_versions_differ_a_sentence_says_so() -> None:
    notes = find(PYTORCH).notes
    assert "Image pytorch-training:2.10.0-cpu-py313 holds torch 2.10.0; here it is 2.13.0." in notes
    assert find(PYTORCH.replace("training", "inference")).environment == find(PYTORCH).environment


@pytest.mark.parametrize(
    "uri",
    [
        "sagemaker-scikit-learn:1.9-0-cpu-py3",
        SKLEARN.replace("1.9-0", "0.20-1"),
        SKLEARN.replace("sagemaker-scikit-learn", "my-own"),
        SKLEARN.partition(":")[0],
        SKLEARN.replace(":1.9", "@sha256:1.9"),
        "",
    ],
)
def test_any_other_image_cannot_be_pulled(uri: str) -> None:
    with pytest.raises(ImageNotFoundError):
        find(uri)


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Makes environments without pip; the list of those made."""
    made: list[Path] = []

    def install(root: Path, _image: Image, _progress: Progress) -> None:
        made.append(root)
        (root / "bin").mkdir(parents=True)
        (root / "bin" / "python").touch()

    monkeypatch.setattr(images, "_install_image", install)
    return made


def test_an_environment_is_made_once_whoever_asks(tmp_path: Path, installs: list[Path]) -> None:
    def ask() -> None:
        assert Images(tmp_path).environment(SKLEARN, lambda _line: None).python.exists()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(installs) == 1


def test_one_that_was_cut_off_is_made_again(tmp_path: Path, installs: list[Path]) -> None:
    environment = Images(tmp_path).environment(SKLEARN, lambda _line: None)
    (environment.root / ".complete").unlink()
    (environment.root / "half").touch()
    Images(tmp_path).environment(SKLEARN, lambda _line: None)
    assert len(installs) == 2
    assert not (environment.root / "half").exists()


def test_one_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(root: Path, _image: Image, _progress: Progress) -> None:
        root.mkdir()
        raise ImageBuildError("pip install ended with exit code 1: ERROR: no such version")

    monkeypatch.setattr(images, "_install_image", install)
    with pytest.raises(ImageBuildError, match="no such version"):
        Images(tmp_path).environment(SKLEARN, lambda _line: None)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []
