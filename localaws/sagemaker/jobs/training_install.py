"""What the framework container installs before the script starts, and what of it later jobs needn't install again.

What others may use is installed by pip in a container of its own, before the job's, into a layer over the image's
environment that no script can write to. What only this job can use, its own container installs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from localaws.sagemaker.containers import container, kept_layers, layers, script_mode
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.containers.kept_layers import Shared
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.script_mode import Installation, ScriptJob
from localaws.sagemaker.containers.train_command import Install
from localaws.sagemaker.jobs import job_container
from localaws.sagemaker.jobs.job import Host
from localaws.sagemaker.jobs.outcomes import SCRIPT, EndedEarlyError, Outcome

RunContainer = Callable[[container.ContainerSpec], Outcome]
_KEYS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})


def plan(host: Host, script: ScriptJob, installed: Writable, run: RunContainer) -> tuple[Writable, Install | None]:
    """The environment, with what is installed for others too, and what the host's own container has to install.

    run: runs a container in the job's time. Raises EndedEarlyError where something else ends it.
    """
    wanted = script_mode.installation(script, host.ml / "code")
    if wanted is None:
        return installed, None
    command = " ".join(wanted.command)
    if host.job.installed is not None:
        host.log.say(f"{command}: done for all hosts by {host.job.first.name}.")
        return installed.over(host.job.installed), None
    shared = None if installed.layer is None else _shared(host, wanted, installed.image)
    if shared is not None and shared.place.is_dir():
        host.log.say(f"{command}: kept from an earlier job with the same files and settings ({shared.place.name}).")
        return installed.over(shared.place), None
    host.log.say(f"Installing with the following command: {command}")
    if shared is not None and host.is_first:
        with kept_layers.making(shared.place) as folder:
            if folder is not None:
                _install(host, shared, installed.image, run, folder)
        if shared.place.is_dir():
            host.job.installed = shared.place
            return installed.over(shared.place), None
    return installed, Install(wanted.command, wanted.error)


def _shared(host: Host, wanted: Installation, image: ImageEnvironment) -> Shared | None:
    network = "none" if host.job.document["EnableNetworkIsolation"] else "host"
    variables = host.job.document.get("Environment", {})
    return kept_layers.shared(image.root, wanted.command, host.ml / "code", variables, network)


def _install(host: Host, shared: Shared, image: ImageEnvironment, run: RunContainer, folder: Path) -> None:
    """Install in a container of its own, of which all is in the folder, and keep it.

    Where pip fails, the job's own container does it again, and tells why.
    """
    ml, tmp = folder / "ml", folder / "tmp"
    kept_layers.copy(host.ml / "code", shared.files, ml / "code")
    tmp.mkdir()
    made = layers.writable(image, folder / "layer", tmp)
    given = {name: value for name, value in job_container.variables(host, image).items() if name not in _KEYS}
    isolated = bool(host.job.document["EnableNetworkIsolation"])
    cwd = container.ml_dir(ml) / "code"
    spec = job_container.spec(host, shared.command, {**given, **shared.variables}, cwd=cwd, isolated=isolated)
    outcome = run(made.given_to(replace(spec, base_dir=ml, tmp_dir=tmp)))
    if outcome.cause != SCRIPT:
        raise EndedEarlyError(outcome)
    if outcome.exit_code == 0 and made.layer is not None:
        kept_layers.keep(made.layer, shared.place)
    else:
        host.log.say("It is tried again in the job's own container.")
