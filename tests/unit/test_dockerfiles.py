"""Dockerfiles as they are read before anything is deployed: what they say, and what is surely wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from run_world import make_spec

from infra.own_images import check_own_image, warnings
from ratchet.spec import ConfigurationError, PipelineSpec, SpecError, docker_context
from ratchet.spec.docker_context import DockerContext
from ratchet.spec.dockerfile import parse
from ratchet.spec.loading import check_context

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312"
PYTORCH = "763104351884.dkr.ecr.us-west-2.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
PUBLIC = "public.ecr.aws/docker/library/python:3.12-slim"


def context(folder: Path) -> DockerContext:
    return docker_context.docker_context(folder, "Dockerfile")


def loaded(folder: Path, text: str, files: Mapping[str, str] | None = None) -> PipelineSpec:
    (folder / "Dockerfile").write_text(text)
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return make_spec(folder, framework=None, dockerfile="Dockerfile")


def checked(folder: Path, text: str, files: Mapping[str, str] | None = None) -> PipelineSpec:
    """As the CDK app checks it."""
    spec = loaded(folder, text, files)
    check_own_image(spec, "us-east-1")
    check_context(spec)
    return spec


TWO = "FROM python:3.12 AS build\nRUN make\nFROM python:3.12-slim\n"
NOTHING = "holds no instruction; a Dockerfile begins with FROM and the image that it builds on"
RIGHT = 'write a list in double quotation marks, as ENTRYPOINT ["python3", "/opt/program/main.py"]'

# What is written, on which line, and the whole sentence.
WRONG: dict[str, tuple[str, int, str]] = {
    "nothing": ("", 1, NOTHING),
    "comments": ("# later\n\n", 1, NOTHING),
    "no FROM": ("ARG A=1\n", 1, "has no FROM; a Dockerfile begins with FROM and the image that it builds on"),
    "something before FROM": ("RUN make\nFROM a\n", 1, "RUN stands before the first FROM (line 2); only ARG may"),
    "a misspelt instruction": ("FROM a\nCOPPY . /\n", 2, "COPPY is no instruction; did you mean COPY?"),
    "something else": ("FROM a\n\nimport numpy\n", 3, "IMPORT is no instruction"),
    "a line without its backslash": (
        "FROM a\nRUN apt-get update\n    && apt-get install gcc\n",
        3,
        "&& is no instruction; the line above lacks a \\ at its end, by which this one is its own",
    ),
    "a continuation into nothing": (
        "FROM a\nRUN make && \\\n",
        2,
        "RUN ends in a continuation, and nothing follows: take the last \\ away, or write what is missing",
    ),
    "an instruction alone": ("FROM a\nRUN\n", 2, "RUN says nothing; write what it is to do behind it"),
    "FROM with too much": ("FROM a b\n", 1, "FROM has 2 words; write FROM <image>, or FROM <image> AS <name>"),
    "FROM a later stage": (
        "FROM build\nFROM python:3.12 AS build\n",
        1,
        "FROM takes 'build', a stage that is on line 2, below; it can take those above alone",
    ),
    "COPY from a later stage": (
        "FROM a AS one\nCOPY --from=two /x /x\nFROM b AS two\n",
        2,
        "COPY takes 'two', a stage that is on line 3, below; it can take those above alone",
    ),
    "COPY from its own stage": (
        "FROM a AS one\nCOPY --from=one /x /x\n",
        2,
        "COPY takes 'one', a stage that is itself; it can take those above alone",
    ),
    "COPY from a misspelt stage": (
        f"{TWO}COPY --from=biuld /x /x\n",
        4,
        "COPY takes 'biuld', which is no stage above; did you mean build?",
    ),
    "COPY from a stage of no such number": (
        f"{TWO}COPY --from=1 /x /x\n",
        4,
        "COPY takes stage 1, and above are 1, counted from 0",
    ),
    "ENTRYPOINT in shell form": (
        "FROM a\nENTRYPOINT python3 /main.py\n",
        2,
        f"ENTRYPOINT is a text for a shell which swallows SageMaker's `train` and `serve`; {RIGHT}",
    ),
    "ENTRYPOINT in single quotes": (
        "FROM a\nENTRYPOINT ['python3', '/main.py']\n",
        2,
        "ENTRYPOINT is a text for a shell, in single quotation marks, which swallows SageMaker's `train` and `serve`; "
        f"{RIGHT}",
    ),
    "ENTRYPOINT by a shell": (
        'FROM a\nENTRYPOINT ["/bin/sh", "-c", "exec python3 /main.py"]\n',
        2,
        "ENTRYPOINT calls /bin/sh -c, whose text doesn't hear SageMaker's `train` and `serve`; name the program itself"
        f": {RIGHT}",
    ),
    "ENTRYPOINT of an earlier stage": (
        "FROM a AS base\nENTRYPOINT main\nFROM base\nRUN make\n",
        2,
        f"ENTRYPOINT is a text for a shell which swallows SageMaker's `train` and `serve`; {RIGHT}",
    ),
    "COPY from outside": (
        "FROM a\nCOPY ../common /common\n",
        2,
        "COPY takes '../common', which is outside of {folder}; an image is built from the model's folder alone",
    ),
    "COPY of what isn't there": (
        "FROM a\nCOPY sevre /serve\n",
        2,
        "COPY takes 'sevre', which isn't in {folder}; did you mean serve?",
    ),
    "COPY of no such files": ("FROM a\nCOPY src/*.rs /src/\n", 2, "COPY takes 'src/*.rs', which isn't in {folder}"),
    "COPY of what stays out": (
        "FROM a\nCOPY pipeline.yaml /\n",
        2,
        "COPY takes 'pipeline.yaml', which stays out of the build: *.md, data, notebooks, sample, tests do, as names "
        "with a dot before them do, and pipeline.yaml; where .dockerignore is, it says in their place what stays out",
    ),
    "COPY of one thing": (
        "FROM a\nCOPY serve\n",
        2,
        "COPY says only 'serve'; write what is to be copied, and to where",
    ),
    "COPY of two to a file": (
        "FROM a\nCOPY train serve /opt/program\n",
        2,
        "COPY takes 2 files, so '/opt/program' must be a folder: write /opt/program/",
    ),
    "a program that can't be executed": (
        "FROM a\nCOPY serve /usr/bin/\n",
        2,
        "COPY takes serve, which may not be executed: SageMaker's `serve` would end with Permission denied; "
        "chmod +x {folder}/serve",
    ),
    "a framework's image in another account": (
        f"FROM {SKLEARN.replace('us-east-1', 'eu-west-1')}\n",
        1,
        f"FROM takes {SKLEARN.replace('us-east-1', 'eu-west-1')}, and in eu-west-1 AWS's account for "
        "sagemaker-scikit-learn is 141502667606",
    ),
    "a framework's image where there is none": (
        f"FROM python:3\nCOPY --from={PYTORCH.replace('us-west-2', 'us-west-9')} /a /a\n",
        2,
        f"COPY takes {PYTORCH.replace('us-west-2', 'us-west-9')}, "
        "and AWS has no pytorch-training in us-west-9; only in ",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_surely_wrong_is_told_with_its_line(tmp_path: Path, what: str) -> None:
    text, line, message = WRONG[what]
    with pytest.raises(SpecError) as refused:
        checked(tmp_path, text, {"serve": "#!/bin/sh\n", "train": "#!/bin/sh\n"})
    told = f"{tmp_path / 'Dockerfile'}:{line}: {message.replace('{folder}', str(tmp_path))}"
    assert str(refused.value) == told or (message.endswith("only in ") and str(refused.value).startswith(told))


FINE = f"""# syntax=docker/dockerfile:1
# escape=`
ARG VERSION=3.12
ARG BASE=public.ecr.aws/docker/library/python:${{VERSION}}
FROM --platform=linux/amd64 {PUBLIC} AS Build
RUN apt-get update `
    # of the compiler

    && apt-get install -y gcc
RUN <<EOF
COPPY is a line of the script
EOF
FROM ${{BASE}}
ONBUILD RUN make
COPY --from=build /usr/bin/gcc /usr/bin/
COPY --from=0 ["/usr/lib/a b", "/usr/lib/"]
RUN --mount=type=bind,from={PYTORCH},target=/torch cp /torch/x /x
COPY --chmod=755 train ser[v]e ./src/ /opt/program/
COPY $MORE https://example.com/data /opt/program/
MAINTAINER somebody
entrypoint ["/bin/sh", "-c", "exec main $0"]
"""


def test_what_is_fine_passes(tmp_path: Path) -> None:
    spec = checked(tmp_path, FINE, {"train": "#!x", "serve": "#!x", "src/main.c": ""})
    assert spec.is_own_container
    built = spec.dockerfile_read
    assert built
    assert built.images == [PUBLIC, "public.ecr.aws/docker/library/python:${VERSION}", PYTORCH]


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM scratch\n", []),
        (f"ARG R={PYTORCH.partition('/')[0]}\nFROM $R/{PYTORCH.partition('/')[2]}\n", [PYTORCH]),
        (f"FROM {SKLEARN} AS a\nFROM a\nCOPY --from=a /x /x\nCOPY --from={PYTORCH} /x /x\n", [SKLEARN, PYTORCH]),
        (f"FROM python\nRUN docker pull {SKLEARN}\n# FROM {PYTORCH}\n", ["python"]),
        ("FROM python AS python\nRUN x\n", ["python"]),
    ],
)
def test_the_images_that_it_is_built_from(text: str, images: list[str]) -> None:
    assert parse(text).images == images


def test_a_long_one_is_read_once(tmp_path: Path) -> None:
    lines = [f"COPY --from=stage /{number} /{number}" for number in range(20_000)]
    spec = loaded(tmp_path, "\n".join([f"FROM {SKLEARN} AS stage", f"FROM {PYTORCH}", *lines]))
    check_own_image(spec, "us-east-1")
    assert not spec.is_own_container


def test_a_dockerfile_in_a_folder_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "Dockerfile").write_text("FORM a\n")
    with pytest.raises(SpecError, match=r"docker/Dockerfile:1: FORM is no instruction; did you mean FROM\?"):
        make_spec(tmp_path, framework=None, dockerfile="docker/Dockerfile")


def test_a_folder_is_no_dockerfile(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").mkdir()
    with pytest.raises(SpecError, match="dockerfile: there is no file Dockerfile in"):
        make_spec(tmp_path, framework=None, dockerfile="Dockerfile")


# ------------------------------------------------------------------------------------------------------------- context


@pytest.mark.fidelity(
    "Containers",
    "A build's context leaves out what .dockerignore names: the last line that fits holds, ! takes it back, ** is any "
    "number of folders, and a folder stands for all in it.",
    "docs.docker.com/build/concepts/context, .dockerignore files; moby/patternmatcher: patternmatcher.go",
)
@pytest.mark.parametrize(
    ("ignored", "left"),
    [
        ("", {"a.py", "a.md", "data/a.csv", "src/a.py", "src/b/a.py", "src/b/x.tmp"}),
        ("*.md\n", {"a.py", "data/a.csv", "src/a.py", "src/b/a.py", "src/b/x.tmp"}),
        ("*.py\n", {"a.md", "data/a.csv", "src/a.py", "src/b/a.py", "src/b/x.tmp"}),
        ("**/*.py\n", {"a.md", "data/a.csv", "src/b/x.tmp"}),
        ("/src/b/\n# data\ndata\n", {"a.py", "a.md", "src/a.py"}),
        ("*\n!src/a.py\n", {"src/a.py"}),
        ("src\n!src/b\nsrc/b/?.tmp\n", {"a.py", "a.md", "data/a.csv", "src/b/a.py"}),
        ("*/a.*\n", {"a.py", "a.md", "src/b/a.py", "src/b/x.tmp"}),
        ("**/" * 40 + "*.tmp\n", {"a.py", "a.md", "data/a.csv", "src/a.py", "src/b/a.py"}),
        ("[a-b].md\n[!\n", {"a.py", "data/a.csv", "src/a.py", "src/b/a.py", "src/b/x.tmp"}),
    ],
)
def test_what_the_build_gets(tmp_path: Path, ignored: str, left: set[str]) -> None:
    for name in ("a.py", "a.md", "data/a.csv", "src/a.py", "src/b/a.py", "src/b/x.tmp", ".env", "__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "pipeline.yaml").write_text("name: x")
    (tmp_path / "Dockerfile").write_text("FROM a")
    (tmp_path / ".dockerignore").write_text(ignored)
    assert set(context(tmp_path).names) == left | {"Dockerfile"}


def test_a_file_for_one_dockerfile_goes_before_the_folders(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("")
    (tmp_path / "Dockerfile").write_text("FROM a")
    (tmp_path / ".dockerignore").write_text("*")
    (tmp_path / "Dockerfile.dockerignore").write_text("Dockerfile*")
    assert context(tmp_path).names == ("Dockerfile", "a.py")


def test_without_one_prose_data_and_tests_stay_out(tmp_path: Path) -> None:
    for name in ("README.md", "data/a.csv", "sample/a.csv", "tests/a.py", "train", "assets/stops.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "Dockerfile").write_text("FROM a")
    assert context(tmp_path).names == ("Dockerfile", "assets/stops.txt", "train")


def test_its_hash_is_of_names_contents_and_what_can_be_run(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a")
    hashes = {context(tmp_path).content_hash}
    (tmp_path / "train").write_text("x")
    hashes.add(context(tmp_path).content_hash)
    (tmp_path / "train").chmod(0o755)
    hashes.add(context(tmp_path).content_hash)
    (tmp_path / "train").write_text("y")
    hashes.add(context(tmp_path).content_hash)
    (tmp_path / "train").rename(tmp_path / "serve")
    hashes.add(context(tmp_path).content_hash)
    assert len(hashes) == 5
    (tmp_path / "README.md").write_text("prose")
    (tmp_path / "serve").chmod(0o700)
    assert context(tmp_path).content_hash in hashes


def test_a_context_that_is_too_large_names_its_largest_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_context, "MAXIMUM_BYTES", 5 << 20)
    spec = loaded(tmp_path, "FROM a\n")
    for name, size in {"a": 3, "b": 2, "c": 1, "d": 0}.items():
        (tmp_path / f"{name}.bin").write_bytes(b"\0" * (size << 20))
    with pytest.raises(ConfigurationError) as refused:
        check_context(spec)
    assert str(refused.value) == (
        f"{tmp_path}: the image is built from 6 MiB, the largest a.bin (3 MiB), b.bin (2 MiB), c.bin (1 MiB); at most "
        "5 MiB, since each change is uploaded anew. Name what the image doesn't need in .dockerignore; data belongs "
        "into the data bucket"
    )
    (tmp_path / ".dockerignore").write_text("*.bin")
    check_context(spec)


def test_a_link_is_refused_unless_it_stays_out(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "FROM a\n")
    (tmp_path / "weights").symlink_to("/etc")
    with pytest.raises(ConfigurationError, match=r"weights: is a link; put the file itself here, or name it in"):
        check_context(spec)
    (tmp_path / ".dockerignore").write_text("weights")
    check_context(spec)


def test_a_list_that_is_no_text_is_told(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "FROM a\n")
    (tmp_path / ".dockerignore").write_bytes(b"\xff\xfe*")
    with pytest.raises(ConfigurationError, match=r"\.dockerignore: isn't UTF-8 text"):
        check_context(spec)


# ------------------------------------------------------------------------------------------------------------ warnings


@pytest.mark.fidelity(
    "Containers",
    "An image is called as `docker run <image> train` and `docker run <image> serve`, in place of its CMD, as root.",
    "docs.aws.amazon.com: developer guide, Custom Inference Code with Hosting Services; How Amazon SageMaker AI Runs "
    "Your Training Image",
)
def test_what_sagemaker_does_not_heed_is_warned_of(tmp_path: Path) -> None:
    spec = checked(tmp_path, 'FROM a\nUSER app:app\nCMD ["python3", "train.py"]\n')
    assert [warning.removeprefix(f"{tmp_path}/") for warning in warnings(spec)] == [
        "Dockerfile:3: CMD isn't run: SageMaker calls the image with `train` and `serve` in its place, which must be "
        "programs on its PATH; or name one as ENTRYPOINT",
        "Dockerfile:2: USER is app:app, and SageMaker expects all containers to run as root: another may not write "
        "below /opt/ml",
    ]
    assert not list(warnings(checked(tmp_path, 'FROM a\nUSER 0\nENTRYPOINT ["main"]\nCMD ["x"]\n')))
