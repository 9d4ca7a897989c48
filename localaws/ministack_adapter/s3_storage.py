"""S3's objects are kept by `s3_state`: on disk before they are acknowledged, or refused with an InternalError.

MiniStack writes an object's data and its metadata one after the other, keeps an object that it couldn't write in memory
alone, and forgets locks and unfinished uploads.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.full_disk import told
from localaws.ministack_adapter.s3_bodies import Bodies
from localaws.ministack_adapter.s3_contents import Content, KnownDigests
from localaws.ministack_adapter.s3_digests import is_known
from localaws.ministack_adapter.s3_large_bodies import LARGE
from localaws.ministack_adapter.s3_spooling import spool_requests
from localaws.ministack_adapter.s3_state import S3State
from localaws.ministack_adapter.s3_streaming import stream_answers, streams
from localaws.ministack_adapter.service_state import live_stores

logger = logging.getLogger(__name__)

Document = dict[str, Any]

FOLDER = "s3"
_CHANGING = {"PUT", "POST", "DELETE"}


def make_state(aws: EmbeddedAws) -> S3State:
    """S3's state, with MiniStack's S3 made to use it."""
    from ministack.services import s3

    lock = threading.RLock()
    bodies = Bodies(aws.state_dir / FOLDER)
    aws.before_fold(bodies.sync)
    state = S3State(lambda: live_stores(s3), s3, bodies, lock)
    _read_bodies(s3, bodies)
    _take_digests_of_contents(s3)
    _name_bodies(s3)
    stream_answers(s3)
    spool_requests(aws, bodies)
    _change_one_at_a_time(s3, state, lock)
    return state


def _read_bodies(s3: Any, bodies: Bodies) -> None:
    def found(record: Document) -> bytes | Content:
        over_the_wire = streams.get() and record["size"] > LARGE
        return bodies.content(record["body_name"]) if over_the_wire else bodies.read(record["body_name"])

    def _read_body(_bucket_name: str, _key: str, obj: Document) -> bytes | Content:
        body: bytes | Content | None = obj.get("body")
        return found(obj) if body is None else body

    def _version_body(_bucket: Document, _bucket_name: str, _key: str, v: Document) -> bytes | Content | None:
        return found(v) if "body_name" in v else None

    s3._read_body = _read_body
    s3._version_body = _version_body


def _take_digests_of_contents(s3: Any) -> None:
    digests = KnownDigests()
    compute = s3._compute_s3_checksum

    def _compute_s3_checksum(algorithm: str, body: bytes | Content) -> str | None:
        named = (algorithm or "").upper().replace("_", "")
        if isinstance(body, Content):
            return body.checksum(named) if is_known(named) else None
        found: str | None = compute(algorithm, body)
        return found

    def md5_hash(data: bytes | Content) -> str:
        return digests.md5(data).hexdigest()

    s3.hashlib, s3.md5_hash, s3._compute_s3_checksum = digests, md5_hash, _compute_s3_checksum


def _name_bodies(s3: Any) -> None:
    """Versions name their bodies as objects do, instead of holding them in memory."""
    entry_of, record_of = s3._version_entry_from_record, s3._object_record_from_version

    def _version_entry_from_record(obj: Document, version_id: str, _data: Any) -> Document:
        return {**entry_of(obj, version_id, None), "body_name": obj["body_name"]}

    def _object_record_from_version(v: Document) -> Document:
        return {**record_of(v), "body_name": v["body_name"]}

    s3._version_entry_from_record = _version_entry_from_record
    s3._object_record_from_version = _object_record_from_version


def _change_one_at_a_time(s3: Any, state: S3State, lock: threading.RLock) -> None:
    dispatch, put_object = s3._dispatch, s3._put_object

    def _dispatch(method: str, bucket: str, key: str, headers: Any, body: bytes, query_params: Any) -> Any:
        try:
            if method not in _CHANGING:
                return dispatch(method, bucket, key, headers, body, query_params)
            with lock, _Undone(s3, bucket, key) as undone:
                answer = dispatch(method, bucket, key, headers, body, query_params)
                undone.unless(answer[0] < 400)
                if key:
                    state.touched(s3.get_account_id(), bucket, key)
                return answer
        except OSError as error:
            logger.error("%s %s/%s: %s", method, bucket, key, error)
            return s3._error("InternalError", told(error), 500, f"/{bucket}/{key}")

    def _put_object(bucket_name: str, key: str, body: bytes, headers: Any) -> Any:
        with lock:
            return put_object(bucket_name, key, body, headers)

    s3._dispatch = _dispatch
    s3._put_object = _put_object


class _Undone:
    """Puts a key's object back where the request that replaced it was refused after all."""

    def __init__(self, s3: Any, bucket: str, key: str) -> None:
        held = s3._buckets.get(bucket)
        self._objects = held["objects"] if held and key else {}
        self._key = key
        self._before = self._objects.get(key)
        self._done = False

    def unless(self, done: bool) -> None:
        self._done = done

    def __enter__(self) -> _Undone:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._done or self._objects.get(self._key) is self._before:
            return
        if self._before is None:
            self._objects.pop(self._key, None)
        else:
            self._objects[self._key] = self._before
