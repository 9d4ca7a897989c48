"""A served model's requirements.txt, installed once for all containers that ask for the same.

AWS's container installs it at each start of each instance. Here pip does that in a container of its own, before the
model's, into a layer that is kept (`kept_layers`): the next instance, the next deployment and a training with the same
requirements begin at once. What AWS gives a container to answer its first /ping, pip may take here.
"""

from __future__ import annotations

import subprocess
import threading
from dataclasses import replace
from pathlib import Path

from localaws.sagemaker.containers import environment, kept_layers, layers
from localaws.sagemaker.containers.container import Container, ContainerSpec, ml_dir, tmp_view
from localaws.sagemaker.containers.kept_layers import Shared
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.script_mode import REQUIREMENTS_COMMAND
from localaws.sagemaker.hosting.endpoint_logs import copy_output
from localaws.sagemaker.hosting.prepared import Prepared
from localaws.sagemaker.hosting.worker import UnhealthyError

_WORDS = " ".join(REQUIREMENTS_COMMAND)


def over(prepared: Prepared, installed: Writable, code: Path) -> Writable | None:
    """The environment with the code's requirements; None where the model's own container has to install them.

    That is where nobody else could use what is installed, where this machine has no layers, or where pip fails, which
    the container then tells.

    Raises:
        UnhealthyError: it took as long as the container may take to start.
    """
    given, log = prepared.source["Environment"], prepared.log
    shared = kept_layers.shared(installed.image.root, REQUIREMENTS_COMMAND, code, given, "host")
    if installed.layer is None or shared is None:
        return None
    with kept_layers.making(shared.place, prepared.startup_seconds) as folder:
        if folder is not None:
            log.say(f"Installing with the following command: {_WORDS}")
            _install(prepared, installed, code, shared, folder)
        elif shared.place.is_dir():
            log.say(f"{_WORDS}: kept from an earlier container with the same files and settings.")
    return installed.over(shared.place) if shared.place.is_dir() else None


def _install(prepared: Prepared, installed: Writable, code: Path, shared: Shared, folder: Path) -> None:
    """Install in a container of its own, of which all is in the folder; keep what it has installed."""
    ml, tmp = folder / "ml", folder / "tmp"
    kept_layers.copy(code, shared.files, ml / "code")
    tmp.mkdir()
    made = layers.writable(installed.image, folder / "layer", tmp)
    variables = environment.of_the_image(installed.image, base=ml_dir(ml), tmp=tmp_view(tmp))
    spec = ContainerSpec(
        command=shared.command,
        environment={**variables, **shared.variables},
        base_dir=ml,
        tmp_dir=tmp,
        cwd=ml_dir(ml) / "code",
        hide=prepared.context.platform.private_dirs,
        limits=replace(prepared.place.limits, shared=None),  # none of the containers that serve together
    )
    status = _ended(prepared.context.launch(made.given_to(spec)), prepared)
    if status == 0 and made.layer is not None:
        kept_layers.keep(made.layer, shared.place)
    else:
        prepared.log.say("It is tried again in the model's own container.")


def _ended(container: Container, prepared: Prepared) -> int:
    """Its exit status; what it said is in the log. UnhealthyError where it had to be ended."""
    copying = threading.Thread(target=copy_output, args=(container, prepared.log), daemon=True)
    copying.start()
    seconds = prepared.startup_seconds
    try:
        return container.wait(seconds)
    except subprocess.TimeoutExpired:
        container.kill()
        container.wait()
        copying.join()
        reason = f"its requirements weren't installed within {seconds:g} s"
        prepared.log.say(reason)
        raise UnhealthyError(reason) from None
    finally:
        copying.join()
