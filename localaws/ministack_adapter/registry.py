"""Put our container registry into MiniStack's ECR: images on disk, and the registry protocol with its tokens checked.

MiniStack holds blobs in memory, takes any password, and answers the layers' operations without doing them. Its
repositories, with their policies and tags, stay; what is in them is `localaws.registry`'s.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.asgi import Application, Receive, Scope, Send
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported
from localaws.ministack_adapter.ministack_platform import put_event
from localaws.ministack_adapter.sagemaker_requests import document_of, operation_of
from localaws.registry.paths import is_of_registry
from localaws.server_file import ACCOUNT, REGION

if TYPE_CHECKING:
    from localaws.registry.images import Rules
    from localaws.registry.protocol import Call
    from localaws.registry.service import Registry
    from localaws.registry.tokens import Owner

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]

SERVICE = "registry"
_JSON = "application/x-amz-json-1.1"


def install(aws: EmbeddedAws) -> None:
    aws.keep(SERVICE, aws.kept_images)
    aws.wrap(partial(_serving, aws))
    aws.when_restored(partial(_sweep, aws))
    aws.before_fold(partial(_sync, aws))
    aws.when_flushed.append(partial(_free, aws))
    when_imported("ministack.services.ecr", partial(_answer_for_images, aws))


def make_registry(aws: EmbeddedAws) -> Registry:
    """The registry of this AWS's account, whose images are below the state folder."""
    from localaws.registry.images import Images
    from localaws.registry.service import Registry

    changed = partial(aws.changed, SERVICE)
    images = Images(aws.state_dir / SERVICE, aws.kept_images, rules_of, changed, aws.account)
    images.listener = partial(_tell, aws)
    return Registry(images, os.environ["AWS_SECRET_ACCESS_KEY"], aws.region, aws.endpoint_url)


def _tell(aws: EmbeddedAws, action: str, name: str, digest: str, tag: str | None) -> None:
    """An image's event ("Amazon ECR events and EventBridge"), put by a thread: its targets take their time."""
    detail = {"result": "SUCCESS", "repository-name": name, "image-digest": digest, "action-type": action}
    told = {**detail, **({"image-tag": tag} if tag else {})}
    put = partial(put_event, aws, "aws.ecr", "ECR Image Action", told, [])
    threading.Thread(target=put, name="registry-event", daemon=True).start()


def _sweep(aws: EmbeddedAws) -> None:
    if (aws.state_dir / SERVICE).exists():
        aws.registry.images.sweep()


def _sync(aws: EmbeddedAws) -> None:
    if aws.has_registry:
        aws.registry.images.blobs.sync()


def _free(aws: EmbeddedAws) -> Callable[[], None]:
    return aws.registry.images.free() if aws.has_registry else _nothing


def _nothing() -> None: ...


def rules_of(name: str) -> Rules | None:
    """What is said of a repository; None where there is none."""
    from ministack.core.responses import request_scope
    from ministack.services import ecr

    from localaws.registry.images import Rules

    with request_scope(ACCOUNT, REGION):
        found = ecr._repositories.get(name)
    if found is None:
        return None
    scanning = found.get("imageScanningConfiguration") or {}
    return Rules(found.get("imageTagMutability") == "IMMUTABLE", bool(scanning.get("scanOnPush")))


def _serving(aws: EmbeddedAws, inner: Application) -> Application:
    """Let the registry protocol's requests to our registry, and none of them to MiniStack's."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_of_registry(scope["path"]):
            await inner(scope, receive, send)
            return
        from localaws.registry.serving import Serving

        await Serving(aws.registry, partial(_authorize, aws))(scope, receive, send)

    return application


def _authorize(aws: EmbeddedAws, owner: Owner, call: Call) -> None:
    from localaws.registry.refusals import RegistryError

    authorization.ask_as(owner.access_key)
    arn = f"arn:aws:ecr:{aws.region}:{aws.account}:repository/{call.repository}"
    try:
        authorization.authorize(owner.arn, f"ecr:{call.action}", arn)
    except authorization.AccessDeniedError as denied:
        raise RegistryError(denied.code, denied.message) from denied


def _answer_for_images(aws: EmbeddedAws, ecr: ModuleType) -> None:
    handle, delete_repository = ecr.handle_request, ecr._delete_repository

    async def handle_request(
        method: str, path: str, headers: dict[str, str], body: bytes, params: Document
    ) -> Response:
        request = document_of(body)
        ours = _answer(aws, operation_of(headers), request) if request is not None else None
        if ours is not None:
            return ours
        theirs: Response = await handle(method, path, headers, body, params)
        return theirs

    def _delete_repository(data: Document) -> Response:
        name = data.get("repositoryName", "")
        if name in ecr._repositories and aws.registry.images.count(name) and not data.get("force"):
            told = f"The repository with name '{name}' in registry with id '{aws.account}' cannot be deleted because it"
            return _error("RepositoryNotEmptyException", f"{told} still contains images")
        answer: Response = delete_repository(data)
        if answer[0] < 400:
            aws.registry.images.forget(name)
        return answer

    ecr.__dict__.update(handle_request=handle_request, _delete_repository=_delete_repository)


def _answer(aws: EmbeddedAws, operation: str, request: Document) -> Response | None:
    from ministack.core.iam_evaluator import caller_arn

    from localaws.registry.refusals import RegistryError
    from localaws.registry.tokens import Owner

    try:
        answer = aws.registry.answer(operation, request, Owner(caller_arn(), authorization.access_key()))
    except RegistryError as refused:
        return _error(refused.code, refused.message, refused.members)
    return None if answer is None else (200, {"Content-Type": _JSON}, json.dumps(answer).encode())


def _error(code: str, message: str, members: Document | None = None) -> Response:
    document = {"__type": code, "message": message, **(members or {})}
    return 400, {"Content-Type": _JSON, "x-amzn-errortype": code}, json.dumps(document).encode()
