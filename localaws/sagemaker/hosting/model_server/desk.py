"""Where requests are answered: one after the other in the thread that loads the model, whichever connection is theirs.

The model is asked by one thread alone, as by a worker of the framework containers, and that thread reads and writes the
connections, too: handing a request from thread to thread, and the interpreter's lock with it, would take longer than
all the rest. While the model takes its time, with a request or with being loaded, another thread looks at the
connections instead, so that a /ping is answered all the same.

Where the container's workers answer others while a request waits (`one_at_a_time`), further threads do the same as the
first, started when one waits and nobody else looks at the connections.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from . import answers
from .errors import ModelServerError
from .http_messages import GO_ON, Incoming, Request, Response, message
from .model import Model
from .one_at_a_time import Turn

# Threads that answer: as many as requests that the platform hands to one endpoint at once.
_THREADS = 32
_READ = 256 * 1024
# A /ping must be answered within 2 s (developer guide, "Custom Inference Code with Hosting Services"). While the model
# is busy somebody looks for one so often, and one that finds the model being loaded is held back so long: who waits
# for the model learns at once that it is there.
_LOOK_SECONDS = 0.25
_HELD_SECONDS = 1.0
_SEND_SECONDS = 30.0  # until a client that doesn't read its answer is given up


class _Connection:
    """One client. `waiting`: its requests that aren't answered yet, of which `later` come after the first; `gone`: it
    sends no more."""

    def __init__(self, end: socket.socket) -> None:
        end.settimeout(_SEND_SECONDS)
        self.socket = end
        self.incoming = Incoming()
        self.waiting = 0
        self.later: deque[Request] = deque()
        self.gone = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def receive(self) -> None:
        """Take what has come."""
        data = self.socket.recv(_READ)
        self.incoming.add(data)
        self.gone = not data

    def send(self, data: bytes) -> None:
        """Send an answer; a client that doesn't take it gets no other."""
        try:
            self.socket.sendall(data)
        except OSError:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)


class Desk:
    """Takes connections from any thread (`add`), and answers in the one that runs it."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._selector = selectors.DefaultSelector()
        self._added: deque[socket.socket] = deque()
        self._asked: deque[tuple[_Connection, Request]] = deque()
        self._held: deque[tuple[_Connection, float]] = deque()  # pings, and since when
        self._looking = threading.Lock()  # held by whoever looks at the connections
        self._counting = threading.Lock()  # held for the numbers that several threads change
        self._threads = 1  # that answer
        self._turn = Turn(self._somebody_else)
        self._ended: Callable[[BaseException], None] = _raised
        self._busy_since = 0.0
        self._busy = threading.Event()
        self._bell, self._ringer = socket.socketpair()
        self._selector.register(self._bell, selectors.EVENT_READ)

    def add(self, connection: socket.socket) -> None:
        """Take a connection."""
        self._added.append(connection)
        self._ringer.send(b"x")

    def run(self, load: Callable[[], Model], ended: Callable[[BaseException], None] | None = None) -> None:
        """Load the model, then answer for ever. What ends another thread that answers goes to `ended`."""
        self._ended = ended or _raised
        threading.Thread(target=self._stand_in, name="pings", daemon=True).start()
        self._begin()
        model = self._model = load()
        self._busy_since = 0.0
        self._answer_all(model)

    def let_others_while_waiting(self) -> None:
        """In this process, whoever waits in the model's code lets others be answered."""
        self._turn.let_others_while_waiting()

    def _answer_all(self, model: Model) -> None:
        while True:
            with self._looking:
                self._answer_held()
                self._look(0 if self._asked else None)
            while self._asked:
                try:
                    connection, request = self._asked.popleft()
                except IndexError:  # another thread was quicker
                    break
                self._begin()
                with self._turn:
                    response = answers.without_the_model(request) or answers.of_the_model(model, request)
                self._answer(connection, response)
                self._busy_since = 0.0

    def _somebody_else(self) -> None:
        """Whoever looks at the connections answers what has been asked; another thread where nobody does."""
        if self._looking.locked():
            if self._asked:
                self._ringer.send(b"x")
            return
        with self._counting:
            if self._threads == _THREADS:
                return
            self._threads += 1
        threading.Thread(target=self._answer_too, name="requests", daemon=True).start()

    def _answer_too(self) -> None:
        assert self._model is not None  # noqa: S101 - somebody waits in it
        try:
            self._answer_all(self._model)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this thread answers no more
            self._ended(error)

    def _begin(self) -> None:
        self._busy_since = time.monotonic()
        if not self._busy.is_set():
            self._busy.set()

    def _stand_in(self) -> None:
        """Look at the connections while the model has been busy for some time."""
        while True:
            self._busy.wait()
            time.sleep(_LOOK_SECONDS)
            since = self._busy_since
            if not since:
                self._busy.clear()
                if self._busy_since:  # it has begun between the two
                    self._busy.set()
            elif time.monotonic() - since >= _LOOK_SECONDS and self._looking.acquire(blocking=False):
                try:
                    self._look(0)
                    self._answer_held()
                finally:
                    self._looking.release()
                if self._asked and self._model is not None and self._turn.is_nobodys:
                    self._somebody_else()

    def _look(self, timeout: float | None) -> None:
        """Answer what needs no model of what has come, and put the rest where it is asked."""
        for key, _ in self._selector.select(timeout):
            if isinstance(key.fileobj, _Connection):
                self._serve(key.fileobj)
            else:
                self._bell.recv(_READ)
                while self._added:
                    self._selector.register(_Connection(self._added.popleft()), selectors.EVENT_READ)

    def _serve(self, connection: _Connection) -> None:
        try:
            connection.receive()
            while (request := connection.incoming.next()) is not None:
                self._take(connection, request)
            if connection.incoming.must_go_on():
                connection.send(GO_ON)
        except OSError:
            connection.gone = True
        except (ModelServerError, ValueError) as error:  # what follows on this connection can't be trusted
            connection.send(message(answers.failure(getattr(error, "status_code", 400), str(error))))
            connection.gone = True
        if connection.gone:
            self._selector.unregister(connection)
            if not connection.waiting:
                connection.socket.close()

    def _take(self, connection: _Connection, request: Request) -> None:
        """Answer a request, or keep it for later."""
        response = answers.without_the_model(request)
        with self._counting:
            connection.waiting += 1
            if connection.waiting > 1:  # answers come in the order of their requests
                connection.later.append(request)
                return
        if self._model is None and request.path == answers.PING:
            self._held.append((connection, time.monotonic()))
        elif response is None and self._model is not None:
            self._asked.append((connection, request))
        else:
            self._answer(connection, response or answers.LOADING)

    def _answer(self, connection: _Connection, response: Response) -> None:
        connection.send(message(response))
        with self._counting:
            connection.waiting -= 1
            if connection.later:
                self._asked.append((connection, connection.later.popleft()))
        if connection.gone and not connection.waiting:
            connection.socket.close()

    def _answer_held(self) -> None:
        """Answer pings that wait for the model, when it is there or they have waited long enough."""
        now = time.monotonic()
        while self._held and (self._model is not None or now - self._held[0][1] >= _HELD_SECONDS):
            connection, _ = self._held.popleft()
            self._answer(connection, answers.LOADING if self._model is None else Response(200))


def _raised(error: BaseException) -> None:
    raise error
