"""One embedded AWS: where it lives, what its parts share, and the ASGI application that it serves."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from localaws.ministack_adapter.asgi import Application, Message, Receive, Scope, Send
from localaws.server_file import ACCOUNT, REGION

if TYPE_CHECKING:
    from localaws.autoscaling.service import AutoScaling
    from localaws.builds.service import Builds
    from localaws.registry.service import Registry
    from localaws.sagemaker.service import SageMaker

logger = logging.getLogger(__name__)


class _Closable(Protocol):
    def close(self) -> None: ...


Service = TypeVar("Service", bound=_Closable)


class EmbeddedAws:
    """Shared by the adapter's parts, which register with it.

    A part wraps the application with `wrap`, asks to be told when the server answers with `when_ready`, and says how
    it is closed with `when_closing` (called in the reverse order). `make_sagemaker` makes the service when it is first
    needed.
    """

    account = ACCOUNT
    region = REGION

    def __init__(
        self,
        *,
        state_dir: Path,
        image_dir: Path,
        port: int,
        rule_evaluator: Sequence[Path] = (),
        make_sagemaker: Callable[[EmbeddedAws], SageMaker],
        make_autoscaling: Callable[[EmbeddedAws], AutoScaling],
        make_registry: Callable[[EmbeddedAws], Registry],
        make_builds: Callable[[EmbeddedAws], Builds],
    ) -> None:
        self.state_dir = state_dir
        self.image_dir = image_dir
        self.rule_evaluator = rule_evaluator
        self.port = port
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.kept_builds: dict[str, Any] = {}
        self.kept_images: dict[str, Any] = {}
        self.kept_stores: dict[str, dict[str, Any]] = {}
        self._make_sagemaker = make_sagemaker
        self._make_autoscaling = make_autoscaling
        self._make_registry = make_registry
        self._make_builds = make_builds
        self._making = threading.RLock()
        self._wrappers: list[Callable[[Application], Application]] = []
        self._restored: list[Callable[[], None]] = []
        self._ready: list[Callable[[], None]] = []
        self._closing: list[Callable[[], None]] = []
        self._closed: list[Callable[[], None]] = []
        self._on_change: list[Callable[[str], None]] = []
        self._before_fold: list[Callable[[], None]] = []
        self.when_flushed: list[Callable[[], Callable[[], None]]] = []

    @cached_property
    def sagemaker(self) -> SageMaker:
        """The SageMaker service, made when it is first needed; `sagemaker.install` says when that is."""
        return self._once("sagemaker", self._make_sagemaker)

    @cached_property
    def autoscaling(self) -> AutoScaling:
        """Application Auto Scaling, made when it is first needed; it may scale then, and is closed before SageMaker."""
        _ = self.sagemaker
        return self._once("autoscaling", self._make_autoscaling)

    @cached_property
    def registry(self) -> Registry:
        """The account's container registry, made when it is first needed, or where it has images."""
        return self._once("registry", self._make_registry)

    @property
    def has_registry(self) -> bool:
        """Whether it has been made."""
        return "registry" in self.__dict__

    @cached_property
    def builds(self) -> Builds:
        """The builds of CodeBuild's projects, made when they are first needed."""
        return self._once("builds", self._make_builds)

    def _once(self, name: str, make: Callable[[EmbeddedAws], Service]) -> Service:
        """A service, of which there is one whoever asks first: a request, or a start that goes on in other threads."""
        with self._making:
            if name not in self.__dict__:
                service = make(self)
                self.when_closing(service.close)
                self.__dict__[name] = service
            made: Service = self.__dict__[name]
            return made

    def keep(self, name: str, store: dict[str, Any]) -> None:
        """Keep a store of ours on disk, under a name that is no service of MiniStack's; it is told of by `changed`."""
        self.kept_stores[name] = store

    def wrap(self, wrapper: Callable[[Application], Application]) -> None:
        self._wrappers.append(wrapper)

    def when_restored(self, action: Callable[[], None]) -> None:
        """Run `action` when the services have the state back that they had, before requests are answered."""
        self._restored.append(action)

    def restored(self) -> None:
        for action in self._restored:
            action()

    def when_ready(self, action: Callable[[], None]) -> None:
        """Run `action` in a thread once requests are answered."""
        self._ready.append(action)

    def when_closing(self, action: Callable[[], None]) -> None:
        self._closing.append(action)

    def changed(self, module: str) -> None:
        """Say that the state of a MiniStack service (its module's name) has changed outside of a request to it."""
        for listener in self._on_change:
            listener(module)

    def on_change(self, listener: Callable[[str], None]) -> None:
        self._on_change.append(listener)

    def before_fold(self, action: Callable[[], None]) -> None:
        """Run `action` before the journal's log is folded: what its records name is on the disk itself first."""
        self._before_fold.append(action)

    def folding(self) -> None:
        for action in self._before_fold:
            action()

    def when_closed(self, action: Callable[[], None]) -> None:
        """Run `action` after everything else has been closed."""
        self._closed.append(action)

    def application(self, ready: Callable[[], None]) -> Application:
        """MiniStack's application inside the parts' wrappers; `ready` is called first when it answers."""
        from ministack.app import app

        from localaws.ministack_adapter.guard import guarded
        from localaws.ministack_adapter.request_bodies import bounded, install_unpacking

        install_unpacking()
        inner: Application = app
        for wrapper in self._wrappers:
            inner = wrapper(inner)
        return _telling_when_ready(guarded(bounded(inner)), [ready, *self._ready])

    def close(self) -> None:
        for action in [*reversed(self._closing), *self._closed]:
            try:
                action()
            except Exception:
                logger.exception("closing failed")


def _telling_when_ready(inner: Application, actions: list[Callable[[], None]]) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await inner(scope, receive, send)
            return

        async def telling(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                _start_in_thread(actions)

        await inner(scope, receive, telling)

    return application


def _start_in_thread(actions: list[Callable[[], None]]) -> None:
    """Run each action in a thread of its own: one that takes long must not keep the others waiting."""
    for action in actions:
        threading.Thread(target=_run, args=(action,), name="localaws-ready", daemon=True).start()


def _run(action: Callable[[], None]) -> None:
    try:
        action()
    except Exception:
        logger.exception("an action at start failed")
