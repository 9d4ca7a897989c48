"""Durability: changed state is committed before a mutating request is answered, and so survives `kill -9`.

MiniStack keeps its state in memory and saves it on a graceful stop. Here every answer to a request that may have
changed something waits for one commit of what changed, together with all others that wait at that moment. What changes
without a request (executions that move on, events delivered) is committed a few times a second, or at once where a
part tells that it changed. A change that can't be committed is answered with an error, and so is who would read it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

from localaws import database
from localaws.ministack_adapter import full_disk, s3_storage
from localaws.ministack_adapter.asgi import Application, Message, Receive, Scope, Send
from localaws.ministack_adapter.credential_scope import service_of
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.growing_state import DynamoDbState
from localaws.ministack_adapter.journal import Journal, Record
from localaws.ministack_adapter.known_services import load, state_of
from localaws.ministack_adapter.request_effects import changed_services, modules
from localaws.ministack_adapter.service_state import ServiceState, join_whole, whole
from localaws.ministack_adapter.stack_state import StackState

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.25
# Without requests and without anything telling of changes, a look now and then is enough.
IDLE_FLUSH_SECONDS = 2.0
# What a machine that loses its power may lose, at most; a process that is killed loses nothing.
FOLD_SECONDS = 10.0
_ACTIVE_SECONDS = 5.0
# Between two flushes, and as many times as long as the last one took, up to a second: requests come first.
_FLUSH_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 1.0
_FLUSH_SHARE = 16
# The same between two looks at what changes without being told: the more there is, the rarer.
_BACKGROUND_SHARE = 100

# Services that change without a request to them.
_BACKGROUND = ("stepfunctions", "lambda", "sqs", "cloudwatch_logs", "cloudwatch", "eventbridge")
# Makes other services' resources without requests to them. Its records are large, and who reads them waits for a
# commit: between requests a look now and then is enough.
_PROVISIONING = "cloudformation"

# What a request's own handling has told of: its answer waits for that, and not for what others told of.
_told_here: ContextVar[set[str] | None] = ContextVar("told_here", default=None)


class Durability:
    """Knows every loaded service's state and commits what changed. `folding` runs before the journal is folded."""

    def __init__(self, journal: Journal, folding: Callable[[], None] = lambda: None) -> None:
        self._journal = journal
        self._folding = folding
        self._states: dict[str, ServiceState] = {}
        self._failed: set[str] = set()
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._told_lock = threading.Lock()
        self._wake = threading.Event()
        # Each is called before a flush, and what it answers when that is on disk.
        self.when_flushed: list[Callable[[], Callable[[], None]]] = []
        self._last_activity = time.monotonic()
        self._waiting: set[str] = set()
        self._commit: asyncio.Future[None] | None = None

    def add(self, service: str, store: dict[str, Any]) -> None:
        """Keep a store of ours under a name that is no service of MiniStack's, and give it back what it had."""
        state = ServiceState(service, lambda: {"store": store}, whole, join_whole)
        self._states[service] = state
        store.update(state.restored(self._journal.records(service)).get("store", {}))

    def know(self, state: ServiceState) -> None:
        """Use this state of a service instead of the one that `state_of` would make."""
        self._states[state.service] = state

    def restore(self) -> None:
        """Give every service that has records its state back."""
        for service in self._journal.services():
            state = self._state(service)
            if state is not None:
                load(service, state.restored(self._journal.records(service)))
                state.loaded()

    def tell(self, service: str) -> None:
        """Say that a service's state changed outside of a request to it. Callable from any thread."""
        with self._told_lock:
            self._told.add(service)
        if (here := _told_here.get()) is not None:
            here.add(service)
        self._last_activity = time.monotonic()
        self._wake.set()

    def commit(self, services: Iterable[str]) -> None:
        """Commit what changed in these services, in one transaction."""
        with self._lock:
            states = [state for service in services if (state := self._state(service)) is not None]
            records: list[Record] = []
            stacks = self._states.get(_PROVISIONING)
            try:
                for state in states:
                    found = _found(state.changes)
                    records += found
                    if found and state.service == _PROVISIONING:
                        # What a stack says that it has must be there: resources are looked at after their stack.
                        states += [other for other in self._loaded_states() if other not in states]
                if isinstance(stacks, StackState):
                    # Last: what a stack's thread makes while others are looked at must be known to its stack.
                    records += _found(stacks.changes_in_progress)
                self._journal.commit(records)
            except BaseException:
                for state in {*states, *([stacks] if stacks else [])}:
                    state.forget()
                self._failed |= {state.service for state in states}
                raise
            for state in states:
                state.committed()
            self._failed -= {state.service for state in states}

    async def committed(self, services: set[str]) -> None:
        """Return when what changed in these services is on disk; everybody who waits at once shares one commit."""
        self._last_activity = time.monotonic()
        self._waiting |= services
        if self._commit is None:
            loop = asyncio.get_running_loop()
            self._commit = loop.create_future()
            loop.call_soon(self._commit_waiting)
        await asyncio.shield(self._commit)

    def uncommitted(self, name: str) -> set[str]:
        """The states that a request that reads a service (by its signing name) may show, and are not on disk yet."""
        if name == _PROVISIONING:
            # What its requests change they commit; what its threads do shows in a stack's status.
            return {_PROVISIONING} if self._stacks_have_moved() else set()
        waiting = self._told | self._failed
        return waiting.intersection(modules(name)) if waiting else set()

    def flush_forever(self, stopping: threading.Event) -> None:
        """Commit what is told at once, and background changes a few times a second, until told to stop."""
        background_at, provisioning_at = 0.0, 0.0
        fold_at = time.monotonic() + FOLD_SECONDS
        while not stopping.is_set():
            self._wake.wait(self._pause())
            self._wake.clear()
            began, looked_at, written = time.monotonic(), set(self._failed), list[Callable[[], None]]()
            if began >= background_at:
                # What it brought about is in these services.
                written = [prepare() for prepare in self.when_flushed]
                looked_at |= {service for service in _BACKGROUND if service in self._loaded()}
            if began >= provisioning_at:
                looked_at |= {_PROVISIONING}.intersection(self._loaded()) if self._stacks_have_moved() else set()
                provisioning_at = began + IDLE_FLUSH_SECONDS
            if self.flush(self._take_told() | looked_at):
                for act in written:
                    act()
            took = time.monotonic() - began
            if began >= background_at:
                background_at = began + max(self._pause(), min(_BACKGROUND_SHARE * took, IDLE_FLUSH_SECONDS))
            if began >= fold_at:
                self.fold(stopping)
                fold_at = time.monotonic() + FOLD_SECONDS
            stopping.wait(max(_FLUSH_PAUSE_SECONDS, min(_FLUSH_SHARE * took, _LONGEST_PAUSE_SECONDS)))

    def fold(self, stopping: threading.Event) -> None:
        """Bring what was committed onto the disk itself, and give back what was freed."""
        try:
            self._folding()
            self._journal.fold()
            while self._shrunk() and not stopping.wait(FLUSH_SECONDS):
                self._journal.fold()
        except Exception:
            logger.exception("the journal could not be folded")

    def _stacks_have_moved(self) -> bool:
        stacks = self._states.get(_PROVISIONING)
        return not isinstance(stacks, StackState) or stacks.has_moved

    def _shrunk(self) -> bool:
        with self._lock:
            return self._journal.shrink()

    def flush(self, services: Iterable[str] | None = None) -> bool:
        """Commit these services (all, where none are named) one by one, so that no request waits for all of them."""
        all_written = True
        for service in list(self._loaded() if services is None else services):
            known = service in self._failed
            try:
                self.commit([service])
            except Exception as error:
                all_written = False
                if not known:  # not again with every look while the disk is full
                    logger.exception("the state of %s could not be committed: %s", service, full_disk.told(error))
        return all_written

    def close(self) -> None:
        """Commit what there is, and let go of the journal, whose log is folded by that."""
        self.flush()
        with self._lock:
            self._journal.close()

    def dynamodb(self) -> DynamoDbState:
        state = self._state("dynamodb")
        assert isinstance(state, DynamoDbState)  # noqa: S101 - what `state_of` makes for this name
        return state

    def _commit_waiting(self) -> None:
        future, self._commit = self._commit, None
        services, self._waiting = self._waiting, set()
        if future is None:
            return
        try:
            self.commit(services)
            future.set_result(None)
        except Exception as error:  # noqa: BLE001 - told to every request that waits for it
            future.set_exception(error)

    def _pause(self) -> float:
        active = time.monotonic() - self._last_activity < _ACTIVE_SECONDS
        return FLUSH_SECONDS if active else IDLE_FLUSH_SECONDS

    def _loaded(self) -> list[str]:
        import sys

        from ministack import app

        return [key for key, module in app._state_map.items() if f"ministack.services.{module}" in sys.modules]

    def _take_told(self) -> set[str]:
        with self._told_lock:
            told, self._told = self._told, set()
        return told

    def _loaded_states(self) -> list[ServiceState]:
        return [state for service in self._loaded() if (state := self._state(service)) is not None]

    def _state(self, service: str) -> ServiceState | None:
        if service not in self._states:
            state = state_of(service)
            if state is None:
                return None
            self._states[service] = state
        return self._states[service]


def install(aws: EmbeddedAws) -> None:
    for mark in (*aws.state_dir.glob("*.mark"), *aws.state_dir.glob("sagemaker/*.mark")):
        database.check(mark.with_suffix(".sqlite"))
    durability = Durability(Journal(aws.state_dir / "journal.sqlite"), aws.folding)
    durability.know(s3_storage.make_state(aws))
    _follow_dynamodb(durability)
    durability.restore()
    for name, store in aws.kept_stores.items():
        durability.add(name, store)
    aws.on_change(durability.tell)
    durability.when_flushed = aws.when_flushed
    aws.restored()
    aws.wrap(partial(_durable, durability, aws.state_dir))
    stopping = threading.Event()
    flusher = threading.Thread(target=durability.flush_forever, args=(stopping,), name="localaws-journal", daemon=True)
    aws.when_ready(flusher.start)
    aws.when_closing(stopping.set)
    aws.when_closed(durability.close)


def _durable(durability: Durability, state_dir: Path, inner: Application) -> Application:
    """Hold back the start of an answer until what the request changed is on disk; answer an error where it can't be."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return
        first = await receive()
        body_start, started, told_here = first.get("body", b"")[:4096], False, set[str]()
        _told_here.set(told_here)

        async def receiving() -> Message:
            nonlocal first
            message, first = first, {}
            return message or await receive()

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start" and message["status"] < 400:
                services = changed_services(scope, body_start) | told_here
                services = services or durability.uncommitted(service_of(scope))
                if services:
                    await durability.committed(services)
            started = True
            await send(message)

        try:
            full_disk.require_room(state_dir, scope, body_start)
            await inner(scope, receiving, sending)
        except (OSError, sqlite3.Error) as error:
            if started:
                raise
            logger.error("%s of %s: %s", scope["method"], scope["path"], error)
            await full_disk.answer(scope, send, error)

    return application


def _found(look: Callable[[], list[Record]]) -> list[Record]:
    """A service's changes; looked for again where another thread changed a container meanwhile."""
    for _ in range(20):
        try:
            return look()
        except RuntimeError:  # "dictionary changed size during iteration"
            continue
    return look()


def _follow_dynamodb(durability: Durability) -> None:
    """Tell DynamoDB's state of every item that is written."""
    from ministack.services import dynamodb

    set_item, remove_item, items_replaced = dynamodb._set_item, dynamodb._remove_item, dynamodb._items_replaced
    state = durability.dynamodb()

    def _set_item(table: Any, pk_val: Any, sk_val: Any, item: Any) -> Any:
        old = set_item(table, pk_val, sk_val, item)
        state.touched(table, pk_val, sk_val)
        return old

    def _remove_item(table: Any, pk_val: Any, sk_val: Any) -> Any:
        old = remove_item(table, pk_val, sk_val)
        state.touched(table, pk_val, sk_val)
        return old

    def _items_replaced(table: Any) -> None:
        items_replaced(table)
        state.replaced(table)

    dynamodb._set_item = _set_item
    dynamodb._remove_item = _remove_item
    dynamodb._items_replaced = _items_replaced
