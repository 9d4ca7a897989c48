"""Data capture: what an endpoint's variants were asked and what they answered, as JSON lines in S3.

`{destination}/{endpoint}/{variant}/yyyy/mm/dd/hh/`, an object for what came in a while. Sources: DataCaptureConfig (API
reference); developer guide, "Capture data from real-time endpoint" (view captured data) and "Create a shadow test" (of
production and shadow variants alike). An answer with an error isn't captured; what can't be written is lost, as a
request may never fail because of it.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection

from localaws.sagemaker.containers.objects import Objects
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.wire import split_s3_uri
from localaws.sagemaker.hosting.turns import Turns
from localaws.sagemaker.hosting.witnesses import Exchange

FLUSH_SECONDS, SHORTEST_FLUSH_SECONDS = 10.0, 0.2
# Of what waits to be written: what comes beyond is lost.
MAX_BYTES = 64 * 1024 * 1024
_LAST_SECONDS = 5.0  # for what is left when an endpoint ends
INPUT, OUTPUT, BOTH = "Input", "Output", "InputAndOutput"

_log = logging.getLogger(__name__)

Write = Callable[[str, bytes], None]
"""Writes an object below the destination, by its key there."""


def check_capture(request: Document) -> None:
    """Refuse an endpoint configuration's DataCaptureConfig that can't be honoured. ValidationException."""
    config = request.get("DataCaptureConfig")
    if config is None:
        return
    if "AsyncInferenceConfig" in request:
        raise errors.not_supported("DataCaptureConfig of an asynchronous endpoint")
    try:
        split_s3_uri(config["DestinationS3Uri"])
    except ValueError as error:
        raise errors.validation(f"DestinationS3Uri of DataCaptureConfig is {error}.") from error


def is_on(config: Document | None) -> bool:
    """Whether a configuration captures anything; EnableCapture is true unless said."""
    return bool(config and config.get("EnableCapture", True) and config["InitialSamplingPercentage"] > 0)


def captured(config: Document, exchange: Exchange) -> Document:
    """The line of an exchange."""
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    answer, parts = exchange.answer, {}
    if modes & {INPUT, BOTH}:
        parts["endpointInput"] = _part(config, "INPUT", exchange.content_type, exchange.body)
    if modes & {OUTPUT, BOTH}:
        parts["endpointOutput"] = _part(config, "OUTPUT", answer.headers.get("content-type", ""), answer.body)
    known = {"inferenceId": exchange.inference_id} if exchange.inference_id is not None else {}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(exchange.at))
    metadata = {"eventId": exchange.event_id, **known, "inferenceTime": at}
    return {"captureData": parts, "eventMetadata": metadata, "eventVersion": "0"}


def _part(config: Document, mode: str, content_type: str, body: bytes) -> Document:
    encoding = _encoding(config.get("CaptureContentTypeHeader", {}), content_type)
    try:
        data = body.decode() if encoding != "BASE64" else base64.b64encode(body).decode()
    except UnicodeDecodeError:
        encoding, data = "BASE64", base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def _encoding(headers: Document, content_type: str) -> str:
    """CSV and JSON for the content types that are said to be that, whatever their parameters; else BASE64."""
    bare = content_type.partition(";")[0].strip().lower()
    for encoding, member in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if _has(headers.get(member, ()), bare):
            return encoding
    return "BASE64"


def _has(types: Collection[str], bare: str) -> bool:
    return any(each.partition(";")[0].strip().lower() == bare for each in types)


def key_of(endpoint: str, variant: str, at: float) -> str:
    """The key of a new object, below the destination's prefix."""
    hour = time.strftime("%Y/%m/%d/%H/%M-%S", time.gmtime(at))
    return f"{endpoint}/{variant}/{hour}-{int(at * 1000) % 1000:03d}-{uuid.uuid4()}.jsonl"


def writer(objects: Callable[[], Objects], config: Document) -> Write:
    """Writes below the destination as a role may; `objects` is S3 through it."""
    bucket, prefix = split_s3_uri(config["DestinationS3Uri"])

    def write(key: str, content: bytes) -> None:
        where = f"{prefix.rstrip('/')}/{key}".lstrip("/")
        objects().upload(io.BytesIO(content), len(content), bucket, where, config.get("KmsKeyId") or None)

    return write


class Capture:
    """Notes one variant's exchanges and writes them in a thread that sleeps while there are none. Thread-safe."""

    def __init__(self, config: Document, write: Write, flush_seconds: float = FLUSH_SECONDS) -> None:
        share = config["InitialSamplingPercentage"] / 100
        self._config, self._write, self._flush_seconds = config, write, flush_seconds
        self._turns = Turns({True: share, False: 1 - share})
        self._changed = threading.Condition()
        self._waiting: list[Exchange] = []
        self._bytes = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def saw(self, exchange: Exchange) -> None:
        """Note an exchange, if it is its turn, the answer is no error and there is room."""
        if not 200 <= exchange.answer.status < 300:
            return
        size = len(exchange.body) + len(exchange.answer.body)
        with self._changed:
            if self._closed or not self._turns.next():
                return
            if self._bytes + size > MAX_BYTES:
                _log.warning("%s/%s: an exchange isn't captured", exchange.endpoint, exchange.variant)
                return
            self._waiting.append(exchange)
            self._bytes += size
            self._begin()

    def close(self) -> None:
        """Write what is left."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(_LAST_SECONDS)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
            self._thread.start()
        elif len(self._waiting) == 1:
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or bool(self._waiting))
                is_over = self._changed.wait_for(lambda: self._closed, self._flush_seconds)
                found, self._waiting, self._bytes = self._waiting, [], 0
            self._flush(found)
            if is_over:
                return

    def _flush(self, found: list[Exchange]) -> None:
        if not found:
            return
        first = found[0]
        lines = "".join(json.dumps(captured(self._config, each)) + "\n" for each in found)
        try:
            self._write(key_of(first.endpoint, first.variant, first.at), lines.encode())
        except Exception:  # noqa: BLE001 - a bucket that is gone, a role that may not write: the endpoint goes on
            _log.exception("%s/%s: %d exchanges aren't captured", first.endpoint, first.variant, len(found))
