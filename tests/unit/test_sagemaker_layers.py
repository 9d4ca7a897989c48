"""What containers add to an image's environment: pip's settings, and layers that are kept for others."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from localaws.sagemaker.containers import container, image_toolkits, kept_layers, layers, pip_settings
from localaws.sagemaker.containers.container import Layer
from localaws.sagemaker.containers.images import PACKAGES, ImageEnvironment
from localaws.sagemaker.containers.kept_layers import Shared

REQUIREMENTS = ["python", "-m", "pip", "install", "-r", "requirements.txt"]
PACKAGE = ["python", "-m", "pip", "install", "."]


def place(code: Path, command: list[str] = REQUIREMENTS, network: str = "host", **variables: str) -> Path | None:
    found = shared(code, command, network, **variables)
    return found and found.place


def shared(code: Path, command: list[str] = REQUIREMENTS, network: str = "host", **variables: str) -> Shared | None:
    return kept_layers.shared(Path("/images/sklearn"), command, code, variables, network)


def test_a_layer_s_name_tells_everything_that_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("nltk\n")
    (tmp_path / "train.py").write_text("1")
    first = place(tmp_path)
    assert first is not None and first.parent == Path("/images") and first.name.startswith("sklearn+installed-")
    assert place(tmp_path, RUN_ID="7") == first
    others = [place(tmp_path, PIP_INDEX_URL="x"), place(tmp_path, https_proxy="x"), place(tmp_path, network="none")]
    (tmp_path / "train.py").write_text("2")
    assert place(tmp_path) == first
    others.append(place(tmp_path, PACKAGE))
    (tmp_path / "train.py").write_text("3")
    others += [place(tmp_path, PACKAGE), place(tmp_path, PACKAGE, RUN_ID="7")]
    (tmp_path / "requirements.txt").write_bytes("ünltk\n".encode("latin-1"))
    others.append(place(tmp_path))
    assert len({first, *others}) == 1 + len(others)


@pytest.mark.parametrize("line", ["./more.whl", "-r more.whl", "thing @ file:more.whl", "-f more.whl"])
def test_files_that_requirements_refer_to_count(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"nltk\n{line}\n")
    before = place(tmp_path)
    (tmp_path / "more.whl").write_text("1")
    assert place(tmp_path) != before


def test_a_variable_in_requirements_counts_and_an_editable_install_is_nobody_else_s(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("nltk==${VERSION}\n")
    assert place(tmp_path, VERSION="1") != place(tmp_path, VERSION="2")
    (tmp_path / "requirements.txt").write_text("nltk\n-e ./mine\n")
    assert place(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("/opt/ml/input/data/wheels/thing.whl", {}),
        ("--find-links /opt/ml/input/data/wheels\nthing", {}),
        ("-r ../input/more.txt", {}),
        ("thing", {"PIP_FIND_LINKS": "/opt/ml/input/data/wheels"}),
        ("thing", {"PIP_CONSTRAINT": "/opt/ml/code/../input/limits.txt"}),
        ("thing", {"PIP_TARGET": "/opt/ml/code/packages"}),
    ],
)
def test_what_comes_from_a_job_s_own_data_is_for_nobody_else(
    tmp_path: Path, text: str, variables: dict[str, str]
) -> None:
    (tmp_path / "requirements.txt").write_text(text)
    assert shared(tmp_path, **variables) is None


def test_an_installation_for_others_sees_what_its_name_tells_and_no_more(tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "wheels").mkdir(parents=True)
    (code / "requirements.txt").write_text("nltk\n")
    (code / "json.py").write_text("a module of the script's, where pip looks for its own")
    (code / "wheels" / "nltk.whl").write_text("1")
    (code / "link").symlink_to("/opt/ml/input")
    plain = shared(code, PIP_NO_INDEX="1", PYTHONPATH="/opt/ml/code/odd", LD_PRELOAD="/opt/ml/code/odd.so")
    assert plain is not None
    assert (plain.files, plain.variables) == (["requirements.txt"], {"PIP_NO_INDEX": "1"})
    found = shared(code, PIP_FIND_LINKS="/opt/ml/code/wheels")
    assert found is not None and found.files == ["json.py", "link", "requirements.txt", "wheels/nltk.whl"]
    kept_layers.copy(code, found.files, tmp_path / "seen")
    assert (tmp_path / "seen" / "link").readlink() == Path("/opt/ml/input")
    places = {found.place}
    for change in ("content", "mode", "link"):
        if change == "content":
            (code / "wheels" / "nltk.whl").write_text("2")
        elif change == "mode":
            (code / "json.py").chmod(0o755)
        else:
            (code / "link").unlink()
            (code / "link").symlink_to("wheels")
        changed = shared(code, PIP_FIND_LINKS="/opt/ml/code/wheels")
        assert changed is not None
        places.add(changed.place)
    assert len(places) == 4


def test_no_name_of_a_file_can_stand_for_others(tmp_path: Path) -> None:
    for folder, names in (("one", ["a", "b"]), ("two", ["a\nb", "c"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    assert place(tmp_path / "one", PACKAGE) != place(tmp_path / "two", PACKAGE)


def written(tmp_path: Path) -> Layer:
    """A layer in which something was installed."""
    layer = Layer(tmp_path / "image", tmp_path / "layer")
    (tmp_path / "layer" / "upper" / "lib").mkdir(parents=True)
    for name in ("lib/nltk.py", "pip.conf"):
        (tmp_path / "layer" / "upper" / name).touch()
    return layer


def test_what_was_installed_is_kept(tmp_path: Path) -> None:
    kept_layers.keep(written(tmp_path), tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept").rglob("*")) == ["lib", "nltk.py"]


def test_one_makes_a_layer_and_leaves_nothing_else(tmp_path: Path) -> None:
    if not container.can_lay_over(tmp_path):
        pytest.skip("this kernel lays no directory over another, so nothing is kept")
    kept = tmp_path / "kept"
    (tmp_path / ".kept.making").mkdir()
    (tmp_path / ".kept.making" / "cut off").touch()
    with kept_layers.making(kept) as folder, kept_layers.making(kept) as other:
        assert folder is not None and other is None
        kept_layers.keep(written(folder), kept)
    with kept_layers.making(kept) as folder:
        assert folder is None, "it is there"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".kept.lock", "kept"]


def test_who_waits_gets_what_the_other_has_made_or_makes_it(tmp_path: Path) -> None:
    if not container.can_lay_over(tmp_path):
        pytest.skip("this kernel lays no directory over another, so nothing is kept")
    kept = tmp_path / "kept"

    def waits() -> bool:
        with kept_layers.making(kept, patience=60) as found:
            return found is not None

    with ThreadPoolExecutor() as threads:
        with kept_layers.making(kept):
            makes = threads.submit(waits)
        assert makes.result(), "the first has given up"
        with kept_layers.making(kept) as folder:
            gets = threads.submit(waits)
            assert folder is not None
            kept_layers.keep(written(folder), kept)
        assert not gets.result() and kept.is_dir()


def settings(tmp_path: Path, **variables: str) -> dict[str, dict[str, str]]:
    found = pip_settings.settings(variables, tmp_path)
    return {section: dict(found.items(section)) for section in found.sections()}


def test_where_packages_come_from_is_the_machine_s_affair(tmp_path: Path) -> None:
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://a/%(odd)s\ntarget = /elsewhere\n[install]\nfind-links = /old\nuser = true\n"
    )
    found = settings(tmp_path, PIP_FIND_LINKS="/wheels /more", PIP_PREFIX="/x", HTTPS_PROXY="http://proxy", HOME="/h")
    assert found["install"] == {}
    chosen = {"use-pep517": "true", "disable-pip-version-check": "true", "root-user-action": "ignore"}
    assert found["global"] == {
        "index-url": "https://a/%(odd)s", "find-links": "/wheels /more", "proxy": "http://proxy", **chosen
    }  # fmt: skip


def test_without_settings_pip_goes_where_it_goes(tmp_path: Path) -> None:
    assert "index-url" not in settings(tmp_path)["global"]


def test_where_nothing_can_be_laid_over_the_image_an_environment_stands_in_front(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "can_lay_over", lambda _directory: False)
    monkeypatch.setattr(container, "tmp_view", lambda tmp: tmp)
    image = tmp_path / "image"
    (image / PACKAGES).mkdir(parents=True)
    (image / PACKAGES / "of_the_image.py").write_text("VALUE = 7")
    (image / "bin").mkdir()
    (image / "bin" / "python").symlink_to(os.path.realpath("/proc/self/exe"))
    found = layers.writable(ImageEnvironment(image / "bin" / "python"), tmp_path / "layer", tmp_path / "tmp")
    assert found.layer is None and layers.describe(found)
    assert found.image.program_dirs == (tmp_path / "tmp" / "environment" / "bin", image / "bin")
    said = os.popen(f"{found.image.python} -c 'import of_the_image, sys; print(of_the_image.VALUE, sys.prefix)'").read()  # noqa: S605
    assert said.split() == ["7", str(tmp_path / "tmp" / "environment")]


def test_a_toolkit_is_taken_from_its_source_without_a_compiler(tmp_path: Path) -> None:
    files = {
        "PKG-INFO": "Name: sagemaker-containers\nVersion: 2.8\n",
        "setup.py": "raise SystemExit('never run')",
        "src/sagemaker_containers/__init__.py": "VALUE = 7",
        "src/sagemaker_containers/_mapping.py": "class M(collections.Mapping): ...",
        "src/sagemaker_containers/c/gethostname.c": "int x;",
        "etc/default.conf": "x",
    }
    with tarfile.open(tmp_path / "sagemaker_containers-2.8.tar.gz", "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"sagemaker_containers-2.8/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    site = tmp_path / "site"
    image_toolkits.install_source(tmp_path / "sagemaker_containers-2.8.tar.gz", site)
    assert {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()} == {
        "gethostname.py", "sagemaker_containers/__init__.py", "sagemaker_containers/_mapping.py",
        "sagemaker_containers/etc/default.conf", "sagemaker_containers-2.8.dist-info/METADATA",
        "sagemaker_containers-2.8.dist-info/INSTALLER", "sagemaker_containers-2.8.dist-info/RECORD",
    }  # fmt: skip
    assert "collections.abc.Mapping" in (site / "sagemaker_containers" / "_mapping.py").read_text()
