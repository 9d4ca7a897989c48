"""Reading a pipeline.yaml: from the file to a validated PipelineSpec, or to all its problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from contract import files
from contract.held_out import READER
from ratchet.spec import dockerfile_checks, sentences, yaml_lines
from ratchet.spec.candidates import check_scripts as check_candidates
from ratchet.spec.deploy_micro_batches import check_helper
from ratchet.spec.docker_context import docker_context
from ratchet.spec.errors import SpecError, nearest
from ratchet.spec.hyperparameters import check_hyperparameters
from ratchet.spec.model import Model, section
from ratchet.spec.over_http import check_over_http
from ratchet.spec.own_code import check_metric
from ratchet.spec.own_container import check_own_container
from ratchet.spec.pipeline import PipelineSpec
from ratchet.spec.rules import check_custom_rule
from ratchet.spec.serving import check_scripts
from ratchet.spec.train_hosts import check_image, check_script
from ratchet.spec.train_spot import check_checkpoints
from ratchet.spec.views import check_script as check_probe
from ratchet.spec.views import check_view
from ratchet.spec.watching import check_variables
from ratchet.spec.yaml_lines import Document, Location, Problem, dotted


def load(path: Path) -> PipelineSpec:
    """The pipeline that a pipeline.yaml describes.

    Raises:
        SpecError: the file can't be read, or says something that can't work; it holds every problem found.
    """
    try:
        document = yaml_lines.read(path)
    except OSError as error:
        raise SpecError(path, [Problem(1, "", f"can't be read: {error.strerror}")]) from error
    except yaml_lines.YamlError as error:
        raise SpecError(path, [error.problem]) from error
    spec = _validated(path, document)
    _check_folder(spec)
    return spec


def _validated(path: Path, document: Document) -> PipelineSpec:
    if not isinstance(document.data, dict):
        found = "is empty" if document.data is None else f"holds a {type(document.data).__name__}"
        raise SpecError(path, [Problem(1, "", f"{found}; a pipeline is a mapping that starts with name: <pipeline>")])
    refused = {
        place: Problem(document.line(place), dotted(place), f"{what} is not supported yet; leave it out")
        for place, what in _not_yet(PipelineSpec, document.data)
    }
    replaced = {
        place: Problem(document.line(place), dotted(place), f"is {text[:40]!r}; {_REPLACED}")
        for place, text in _replaced(document.data)
    }
    try:
        spec = PipelineSpec.model_validate(document.data)
    except ValidationError as error:
        details = [detail for detail in error.errors() if sentences.location(detail) not in refused]
        others = {sentences.location(detail): sentences.problem(detail, document, PipelineSpec) for detail in details}
        raise SpecError(path, [*refused.values(), *{**replaced, **others}.values()]) from error
    if replaced:
        raise SpecError(path, list(replaced.values()))
    spec._path, spec._document = path, document
    return spec


# A prefix says by itself what is wrong with such a text.
_SAYS_BY_ITSELF = ("data",)
_REPLACED = "neither CloudFormation nor Step Functions would leave it as it is: write it without ${, and not behind {%"


def _replaced(data: object, where: Location = ()) -> Iterator[tuple[Location, str]]:
    """The texts, names among them, in which CloudFormation or Step Functions would put something else."""
    entries = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for name, value in entries:
        place = (*where, name)
        for text in (name, value):
            if isinstance(text, str) and ("${" in text or text.startswith("{%")) and where[:1] != _SAYS_BY_ITSELF:
                yield place, text
        yield from _replaced(value, place)


def _not_yet(model: type[Model], data: object, where: Location = ()) -> Iterator[tuple[Location, str]]:
    """The fields that ask for something of a later version of Ratchet, each with what that is in plain words."""
    if not isinstance(data, Mapping):
        return
    for written, what in model.not_yet.items():
        field, _, value = written.partition(": ")
        if field in data and (not value or data[field] == value):
            yield (*where, field), what
    for field in model.model_fields:
        inner = section(model, field)
        if inner is not None and field in data:
            yield from _not_yet(inner, data[field], (*where, field))


def _check_folder(spec: PipelineSpec) -> None:
    """Raises SpecError when the model's folder lacks what the spec names."""
    folder = spec.folder
    if spec.dockerfile is not None and not (folder / spec.dockerfile).is_file():
        raise spec.error("dockerfile", f"there is no file {spec.dockerfile} in {folder}")
    _check_dockerfile(spec)
    if not spec.is_own_container:
        for field, missing in check_candidates(spec.candidates, folder):
            raise spec.error(field, missing)
    _check_hosts(spec)
    check_hyperparameters(spec)
    if spec.is_own_container:
        check_own_container(spec)
        check_over_http(spec)
    elif spec.train.spot is not None:
        for script in spec.training_scripts:
            if wrong := check_checkpoints(folder, script):
                raise spec.error("train.spot", wrong)
    if spec.deploy.batch is not None and (wrong := check_helper(folder, spec.batching_scripts)):
        raise spec.error("deploy.batch", wrong)
    if spec.serving.threshold is not None and (wrong := check_scripts(folder, spec.serving_scripts)):
        raise spec.error("serving.threshold", wrong)
    for index, rule in enumerate(spec.rules):
        wrong = check_custom_rule(rule, folder) if rule.is_custom else None
        if wrong:
            raise spec.error(f"rules.{index}.rule", wrong)
    _check_views(spec)
    _check_chain(spec)
    _check_gate(spec)


def _check_views(spec: PipelineSpec) -> None:
    """Raises SpecError for a view that the folder lacks or that takes other parameters, and for a script without a
    probe; and for more of them than a job's variables hold."""
    if spec.views and (wrong := check_probe(spec.folder, files.TRAINING_SCRIPT)):
        raise spec.error("views", wrong)
    for index, view in enumerate(spec.views):
        try:
            check_view(view, spec.folder)
        except PydanticCustomError as error:
            told = error.context or {}
            raise spec.error(".".join(map(str, ("views", index, *told["at"]))), told["message"]) from error
    if too_many := check_variables(spec):
        raise spec.error("views" if spec.views else "rules", too_many)


def _check_dockerfile(spec: PipelineSpec) -> None:
    """Raises SpecError, on the Dockerfile's own lines, when no image can be built from it."""
    if (built := spec.dockerfile_read) is None:
        return
    found = list(dockerfile_checks.problems(built))
    if not found and spec.is_own_container:
        found = list(dockerfile_checks.problems_at_start(built))
    if found:
        raise SpecError(spec.folder / str(spec.dockerfile), found)


def check_context(spec: PipelineSpec) -> None:
    """Raises where the folder lacks what the Dockerfile takes from it, or is too large to build an image from.

    Raises:
        SpecError: on the Dockerfile's own lines.
        ConfigurationError: as of `docker_context`.
    """
    if (built := spec.dockerfile_read) is None:
        return
    context = docker_context(spec.folder, str(spec.dockerfile))
    if found := list(dockerfile_checks.problems_with_context(built, context)):
        raise SpecError(spec.folder / str(spec.dockerfile), found)


def _check_hosts(spec: PipelineSpec) -> None:
    """Raises SpecError when a train.py is started on several hosts, and knows nothing of them; or not as is said."""
    train, framework = spec.train, spec.framework.name if spec.framework else None
    image = None if spec.is_own_container else spec.started_like
    if framework is None and (wrong_image := check_image(image, train.distribution)):
        raise spec.error("train.distribution", wrong_image)
    if spec.is_own_container:
        return
    for script in spec.training_scripts:
        wrong = check_script(spec.folder, framework, train.instance_count, train.distribution, script)
        if wrong:
            raise spec.error(f"train.{wrong[0]}", wrong[1])


def _check_chain(spec: PipelineSpec) -> None:
    """Raises SpecError when the folder has no such entry point."""
    for index, container in enumerate(spec.deploy.chain):
        if not (folder := spec.folder).joinpath(container.entry).is_file():
            there = [path.name for path in folder.glob("*.py") if path.name != files.TRAINING_SCRIPT]
            known = nearest(container.entry, sorted(there)) if there else ""
            raise spec.error(f"deploy.chain.{index}.entry", f"there is no file {container.entry} in {folder}{known}")


def _check_gate(spec: PipelineSpec) -> None:
    """Raises SpecError when the gate names a function that the folder lacks, or columns where serve.py yields none."""
    wrong = check_metric(spec.gate.metric, spec.folder) if spec.gate.is_own else None
    if wrong:
        raise spec.error("gate.metric", wrong)
    if spec.gate.segments and spec.reads_held_out_data:
        message = (
            f"is said, but {READER} of {spec.serving_scripts[0]} yields examples, which have no columns; leave it out"
        )
        raise spec.error("gate.segments", message)
