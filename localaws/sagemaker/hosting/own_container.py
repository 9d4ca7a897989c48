"""A model container of an image of one's own: `docker run IMAGE serve`, spoken to over HTTP in a network of its own.

(developer guide, "Custom Inference Code with Hosting Services"; "Custom Inference Code with Batch Transform")
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from localaws.confinement import image_program
from localaws.confinement.network import ADDRESS
from localaws.sagemaker.containers import environment, own_images
from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.networks import Network
from localaws.sagemaker.containers.own_images import CannotRunImageError, OwnImage
from localaws.sagemaker.core.registry_images import (
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    RegistryImage,
    UnusableImageError,
)
from localaws.sagemaker.hosting.endpoint_logs import follow
from localaws.sagemaker.hosting.model_server.flask_model import PASSED_ON
from localaws.sagemaker.hosting.prepared import Prepared
from localaws.sagemaker.hosting.worker import Worker

_PORT = 8080
_HOSTNAME = "model.aws.local"
# "The containers in a pipeline listen on the port specified in the SAGEMAKER_BIND_TO_PORT environment variable (instead
# of 8080)" (developer guide, "Run Real-time Predictions with an Inference Pipeline"); which ports these are isn't told.
_FIRST_OF_SEVERAL = 8081
_SAFE_PORTS, _SAFE_PORTS_EACH = 21000, 1000
_PING_SECONDS = 2.0  # "The request timeout on /ping attempts is 2 seconds"
_COMMAND = ["serve"]
_PULLED = "image.json"  # beside a deployment's archives
_NOT_PULLED = (
    "Please make sure all images included in the model for the production variant {} exist, and that the execution "
    "role used to create the model has permissions to access them."
)
_NETWORK_NOTE = (
    "The container is in a network of its own, in which it reaches this AWS at AWS_ENDPOINT_URL, and nothing else: not "
    "the internet, and no other server of this machine."
)
_ISOLATED_NOTE = "EnableNetworkIsolation: the container reaches nothing, and has no credentials."


class OwnContainerError(Exception):
    """The container can't be started; the message is the failure reason."""


class _NetworkDoor:
    """To a container's server, which listens in a private network."""

    patience: float | None = _PING_SECONDS
    ends_when_hung = serves_several = False
    not_started: Collection[int] = (image_program.NOT_FOUND, image_program.CANNOT_RUN, image_program.NOT_STARTED)

    def __init__(self, network: Network, port: int) -> None:
        self._network, self._port = network, port

    def headers(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """Those of AWS's client, without the one by which containers of ours know that they are one of several."""
        others = {name: value for name, value in given.items() if name != PASSED_ON}
        return {"Host": f"{ADDRESS}:{self._port}", "User-Agent": "AHC/2.0", **others}

    def connect(self, seconds: float) -> socket.socket:
        return self._network.connect(ADDRESS, self._port, seconds)

    def close(self) -> None:
        self._network.close()


def start(prepared: Prepared, variant: str) -> Worker:
    """Start the container. OwnContainerError."""
    image = _image(prepared, variant)
    network = _network(prepared)
    try:
        container = _launch(prepared, image, network)
    except OSError as error:
        network.close()
        raise OwnContainerError(f"CannotStartContainerError: {error}") from error
    except BaseException:
        network.close()
        raise
    return Worker(container, _NetworkDoor(network, _port(prepared.number)))


def _image(prepared: Prepared, variant: str) -> OwnImage:
    """The image, pulled with a deployment's first container: another comes back even when it has gone meanwhile."""
    context, uri, say = prepared.context, prepared.source["Image"], prepared.log.say
    known = prepared.place.archives / _PULLED
    try:
        image = _read(known) or _pulled(prepared, variant)
        found = own_images.unpacked(context.images, context.platform, image, uri, say)
    except CannotRunImageError as error:
        raise OwnContainerError(str(error)) from error
    _write(known, image)
    return found


def _pulled(prepared: Prepared, variant: str) -> RegistryImage:
    uri, role = prepared.source["Image"], prepared.source["RoleArn"]
    try:
        return prepared.context.platform.registry_image(uri, role)
    except ImageAccessDeniedError as error:
        prepared.log.say(str(error))
        raise OwnContainerError(_denied(uri, role, variant, str(error))) from error
    except ImageNotInRegistryError as error:
        prepared.log.say(str(error))
        raise OwnContainerError(_NOT_PULLED.format(variant)) from error
    except UnusableImageError as error:
        raise OwnContainerError(str(error)) from error


def _read(known: Path) -> RegistryImage | None:
    """What was pulled; None where nothing was, or a power cut has left the file without its text."""
    try:
        image = json.loads(known.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return RegistryImage(image["digest"], image["config"], [Path(layer) for layer in image["layers"]])


def _write(known: Path, image: RegistryImage) -> None:
    document = {"digest": image.digest, "config": image.config, "layers": [str(layer) for layer in image.layers]}
    known.parent.mkdir(parents=True, exist_ok=True)
    partial = known.with_name(f"{known.name}.{secrets.token_hex(4)}")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(known)


def _denied(uri: str, role: str, variant: str, told: str) -> str:
    """AWS's words; those that it has for other actions than this one aren't told."""
    if "ecr:BatchGetImage" in told:
        return f"The role '{role}' does not have BatchGetImage permission for the image: '{uri}'."
    return _NOT_PULLED.format(variant)


def _network(prepared: Prepared) -> Network:
    """A network in which this AWS answers; under isolation, one in which nobody does."""
    context, isolated = prepared.context, prepared.source.get("IsIsolated", False)
    try:
        network = context.networks.open() if isolated else context.open_network()
    except OSError as error:
        raise OwnContainerError(
            f"A model in an image of its own is served in a private network, and this machine allows none: {error}."
        ) from error
    prepared.log.say(_ISOLATED_NOTE if isolated else _NETWORK_NOTE)
    return network


def _launch(prepared: Prepared, image: OwnImage, network: Network) -> Container:
    place, log = prepared.place, prepared.log
    remove(place.layer)  # an earlier container's
    place.tmp.chmod(0o1777)  # the image's user may be anyone
    name = prepared.source.get("Hostname", _HOSTNAME)
    root, notes = own_images.prepare(image, place.layer, name, {name: ADDRESS}, has_network=False)
    for note in notes:
        log.say(note)
    spec = ContainerSpec(
        command=image.config.run([], _COMMAND),
        environment=image.config.environment({"HOSTNAME": name, **_variables(prepared)}, image.account.home),
        base_dir=place.ml,
        tmp_dir=place.tmp,
        cwd=Path(image.config.cwd),
        network=network.descriptors,
        limits=place.limits,
        image_root=root,
        hostname=name,
    )
    container = prepared.context.launch(spec)
    threading.Thread(target=follow, args=(container, place.limits, log), daemon=True).start()
    return container


def _variables(prepared: Prepared) -> dict[str, str]:
    """What the platform tells a container, and the request's Environment."""
    platform, number = prepared.context.platform, prepared.number
    own = environment.of_the_role(platform, prepared.credentials)
    if prepared.source.get("IsIsolated", False):
        own = environment.of_the_region(platform)
    first = _SAFE_PORTS + _SAFE_PORTS_EACH * max(number - 1, 0)
    own["SAGEMAKER_SAFE_PORT_RANGE"] = f"{first}-{first + _SAFE_PORTS_EACH - 1}"
    if number:
        own["SAGEMAKER_BIND_TO_PORT"] = str(_port(number))
    return {**own, **prepared.source["Environment"]}


def _port(number: int) -> int:
    """Where a container listens: the only one, or that of several."""
    return _FIRST_OF_SEVERAL + number - 1 if number else _PORT
