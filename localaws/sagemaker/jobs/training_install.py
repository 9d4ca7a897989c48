"""What the framework container installs before the script starts, and what of it later jobs needn't install again.

The container runs pip itself, in its own layer over the image's environment. When the job is over and nothing in the
layer has changed since pip was done, the layer is kept under a name that tells everything it was made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from localaws.sagemaker.containers import kept_layers, script_mode
from localaws.sagemaker.containers.layers import Writable
from localaws.sagemaker.containers.script_mode import ScriptJob
from localaws.sagemaker.containers.train_command import Install
from localaws.sagemaker.jobs.job import Job


def plan(job: Job, script: ScriptJob, installed: Writable) -> tuple[Writable, Install | None]:
    """The environment, with what an earlier job has installed, and what is to be installed all the same."""
    wanted = script_mode.installation(script, job.ml / "code")
    if wanted is None:
        return installed, None
    command = " ".join(wanted.command)
    kept = None if installed.layer is None else _place(job, wanted.command, installed.image.root)
    if kept is not None and kept.is_dir():
        job.log.say(f"{command}: kept from an earlier job with the same files and settings ({kept.name}).")
        return installed.over(kept), None
    job.log.say(f"Installing with the following command: {command}")
    done = installed.image.root / kept_layers.DONE
    return installed.kept_at(kept), Install(wanted.command, wanted.error, str(done))


def _place(job: Job, command: Sequence[str], environment: Path) -> Path | None:
    network = "none" if job.document["EnableNetworkIsolation"] else "host"
    return kept_layers.place(environment, command, job.ml / "code", job.document.get("Environment", {}), network)
