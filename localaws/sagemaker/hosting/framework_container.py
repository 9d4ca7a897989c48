"""A model container of a framework's image: the platform's own model server, in the environment that stands for it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from localaws.sagemaker.containers import environment, layers, script_reading, warm_start
from localaws.sagemaker.containers.container import Container, ContainerSpec, describe_isolation, ml_dir, tmp_view
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.script_reading import NOTHING_KNOWN
from localaws.sagemaker.containers.warm_start import Warm
from localaws.sagemaker.hosting import kept_requirements, model_server
from localaws.sagemaker.hosting.endpoint_logs import follow
from localaws.sagemaker.hosting.model_archive import unpack_source
from localaws.sagemaker.hosting.model_data import Fetcher
from localaws.sagemaker.hosting.model_server.code_install import BUILT_BY
from localaws.sagemaker.hosting.model_server.containers import requirements
from localaws.sagemaker.hosting.model_server.model import settings_of
from localaws.sagemaker.hosting.prepared import Place, Prepared
from localaws.sagemaker.hosting.worker import Worker, start_worker

_SERVER = Path(model_server.__file__).parent / "__main__.py"  # run by the image's own Python
_OPT_ML_CODE = "/opt/ml/code"
_SUBMITTED = "SAGEMAKER_SUBMIT_DIRECTORY"


def start(prepared: Prepared, fetcher: Fetcher) -> Worker:
    """Start the container. Raises ModelDataError, ImageBuildError, UnhealthyError."""
    place, log = prepared.place, prepared.log
    submitted = _unpack_code(prepared, fetcher)
    image = prepared.context.images.environment(prepared.source["Image"], log.say)
    installed = layers.writable(image, place.layer, place.tmp)
    for note in filter(None, [*image.notes, describe_isolation(), layers.describe(installed)]):
        log.say(note)
    variables = _variables(prepared, installed) | submitted
    kept = _with_requirements(prepared, installed, variables)
    told = ["--installed"] if kept else []
    return start_worker(lambda descriptor: _launch(prepared, kept or installed, variables, descriptor, told))


def _unpack_code(prepared: Prepared, fetcher: Fetcher) -> dict[str, str]:
    """Fill /opt/ml/code as the image's toolkit does when the code is in S3; the variable that says so."""
    submitted = prepared.source["Environment"].get(_SUBMITTED)
    if submitted is None or "://" not in submitted:
        return {}
    archive = fetcher.fetched(submitted, prepared.place.archives / "sourcedir.tar.gz")
    unpack_source(archive, prepared.place.ml / "code", submitted)
    return {_SUBMITTED: _OPT_ML_CODE}


def _with_requirements(prepared: Prepared, installed: Writable, variables: Mapping[str, str]) -> Writable | None:
    """The environment with what the code's requirements.txt asks for; None: there is none, or the container does it."""
    wanted = requirements({**variables, "SAGEMAKER_BASE_DIR": str(prepared.place.ml)})
    return None if wanted is None else kept_requirements.over(prepared, installed, wanted.parent)


def _variables(prepared: Prepared, installed: Writable) -> dict[str, str]:
    platform, place = prepared.context.platform, prepared.place
    base, tmp = ml_dir(place.ml), tmp_view(place.tmp)
    return {
        **environment.variables(platform, prepared.credentials, installed.image, base=base, tmp=tmp),
        "SAGEMAKER_REGION": platform.region,
        **prepared.source["Environment"],
    }


def _launch(
    prepared: Prepared, installed: Writable, variables: dict[str, str], descriptor: int, told: list[str]
) -> Container:
    place = prepared.place
    spec = ContainerSpec(
        command=[str(installed.image.python), str(_SERVER), "--control-fd", str(descriptor), *told],
        environment=variables,
        base_dir=place.ml,
        tmp_dir=place.tmp,
        cwd=ml_dir(place.ml) / "model",
        hide=prepared.context.platform.private_dirs,
        needs=[_SERVER.parent],
        descriptors=[descriptor],
        limits=place.limits,
        warm=_warm(place, installed, variables),
    )
    container = prepared.context.launch(installed.given_to(spec))
    threading.Thread(target=follow, args=(container, place.limits, prepared.log), daemon=True).start()
    return container


def _warm(place: Place, installed: Writable, variables: dict[str, str]) -> Warm | None:
    """How the model server may begin warm; None where it installs something first."""
    settings = settings_of({**variables, "SAGEMAKER_BASE_DIR": str(place.ml)})
    if not settings.code_dir.is_relative_to(place.ml) or any((settings.code_dir / name).exists() for name in BUILT_BY):
        return None
    program, image = settings.code_dir / settings.program, installed.image
    imports = warm_start.framework(image.imports)
    reading = script_reading.of_file(program, [program.parent], imports) if program.is_file() else NOTHING_KNOWN
    return Warm(image.python, image.imports, variables, reading)
